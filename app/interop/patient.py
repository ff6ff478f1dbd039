"""What is read of a FHIR R4 Patient: the home postcode, the age, and two extensions. All else is left unread.

Pure. A Patient comes from another system: whatever is odd in it is taken as missing, and nothing here raises.
Sources: FHIR R4 Patient, Address and Period; UK Core Patient 2.6.1 for the extensions.
"""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, Final, NamedTuple

from app.context.core20plus5 import OLDEST

ETHNIC_CATEGORY: Final = "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-EthnicCategory"
INTERPRETER: Final = "http://hl7.org/fhir/StructureDefinition/patient-interpreterRequired"
# The systems of ethnic categories by the address of their code system. UK Core has none for Northern Ireland.
ETHNIC_SYSTEMS: Final[Mapping[str, str]] = {
    "https://fhir.hl7.org.uk/CodeSystem/UKCore-EthnicCategory": "england",
    "https://fhir.hl7.org.uk/CodeSystem/UKCore-EthnicCategoryEngland": "england",
    "https://fhir.hl7.org.uk/CodeSystem/UKCore-EthnicCategoryWales": "wales",
    "https://fhir.hl7.org.uk/CodeSystem/UKCore-EthnicCategoryScotland": "scotland",
}
_FULL_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATE_TIME: Final = re.compile(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2}(T.*)?)?)?")


class PatientReading(NamedTuple):
    """What a Patient says that this service has a use for; None where it does not say."""

    postcode: str | None
    age: int | None  # in whole years
    ethnic_category: Mapping[str, str] | None  # system and code, as a contact holds them
    interpreter_required: bool | None


def read_patient(patient: Mapping[str, Any], day: date) -> PatientReading:
    """What a Patient says on a day. Never raises for a value."""
    return PatientReading(
        home_postcode(patient, day),
        age_on(patient.get("birthDate"), day),
        _ethnic_category(patient),
        _interpreter_required(patient),
    )


def home_postcode(patient: Mapping[str, Any], day: date) -> str | None:
    """The postcode of the address where the person lives on a day: the first that is said to be home, or the first of
    which no use is said. A temporary, old, billing, work or postal address is never home. None where there is none."""
    current = [a for a in _objects(patient.get("address")) if a.get("type") != "postal" and _holds(a, day)]
    for use in ("home", None):
        for address in current:
            if address.get("use") == use:
                return _text(address.get("postalCode"))
    return None


def age_on(birth_date: Any, day: date) -> int | None:
    """The age in whole years. None for a year or a month alone, a date that is none, or one in the future."""
    if not isinstance(birth_date, str) or not _FULL_DATE.fullmatch(birth_date):
        return None
    try:
        born = date.fromisoformat(birth_date)
    except ValueError:
        return None
    age = day.year - born.year - ((day.month, day.day) < (born.month, born.day))
    return age if 0 <= age <= OLDEST else None


def _holds(address: Mapping[str, Any], day: date) -> bool:
    """Whether an address is in force on a day. A period that cannot be read may be over, so it is not."""
    period = address.get("period")
    if period is None:
        return True
    if not isinstance(period, Mapping):
        return False
    start, end = period.get("start"), period.get("end")
    return (start is None or _order(start, day) in (-1, 0)) and (end is None or _order(end, day) in (0, 1))


def _order(moment: Any, day: date) -> int | None:
    """-1 where a FHIR dateTime is before a day, 0 on it, 1 after it; a year or a month holds all its days."""
    if not isinstance(moment, str) or not _DATE_TIME.fullmatch(moment):
        return None
    known = moment[:10]
    same = day.isoformat()[: len(known)]
    return (known > same) - (known < same)


def _ethnic_category(patient: Mapping[str, Any]) -> Mapping[str, str] | None:
    """The first coding whose system says what its code means: the same letter differs between nations."""
    for extension in _objects(patient.get("extension")):
        concept = extension.get("valueCodeableConcept")
        if extension.get("url") != ETHNIC_CATEGORY or not isinstance(concept, Mapping):
            continue
        for coding in _objects(concept.get("coding")):
            address, code = _text(coding.get("system")), _text(coding.get("code"))
            system = ETHNIC_SYSTEMS.get(address) if address else None
            if system and code:
                return {"system": system, "code": code}
    return None


def _interpreter_required(patient: Mapping[str, Any]) -> bool | None:
    for extension in _objects(patient.get("extension")):
        value = extension.get("valueBoolean")
        if extension.get("url") == INTERPRETER and isinstance(value, bool):
            return value
    return None


def _objects(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a list; none where it is no list."""
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
