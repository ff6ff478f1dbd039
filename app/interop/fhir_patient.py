"""A UK Core Patient (FHIR R4) read for the little that is asked of it: home postcode, age, and two extensions.

Pure, and never raises: whatever is odd is taken for absent, and elements that are not named here are not read. The
names are those of UK Core Patient 2.6.1 (NHSDigital/FHIR-R4-UKCORE-STAGING-MAIN); which address is the home follows
the definitions of Address.use, Address.type and Address.period in FHIR R4.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Final, NamedTuple

from app.context.core20plus5 import OLDEST

ETHNIC_CATEGORY: Final = "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-EthnicCategory"
INTERPRETER_REQUIRED: Final = "http://hl7.org/fhir/StructureDefinition/patient-interpreterRequired"
_SYSTEM: Final = "https://fhir.hl7.org.uk/CodeSystem/UKCore-EthnicCategory"
# The first is that of the Personal Demographics Service: England's letters, and two of them for more detail.
ETHNIC_SYSTEMS: Final[Mapping[str, str]] = {
    _SYSTEM: "england",
    f"{_SYSTEM}England": "england",
    f"{_SYSTEM}Wales": "wales",
    f"{_SYSTEM}Scotland": "scotland",
    f"{_SYSTEM}NorthernIreland": "northern_ireland",
}
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT: Final = re.compile(r"([0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2})?)?)(?:T.*)?")  # a FHIR dateTime: its date, its time


class Patient(NamedTuple):
    """What is read of a Patient; None where it does not say."""

    postcode: str | None = None
    age: int | None = None  # whole years
    ethnic_category: Mapping[str, str] | None = None  # `system` and `code`, as `signals` has them
    interpreter_required: bool | None = None


def read_patient(resource: Any, day: date) -> Patient:
    """A Patient as it stands on a day; an empty one where the resource is something else."""
    if not isinstance(resource, dict) or resource.get("resourceType") != "Patient":
        return Patient()
    return Patient(
        _home_postcode(resource, day),
        _age(resource.get("birthDate"), day),
        next(_ethnic_categories(resource), None),
        next(_interpreter(resource), None),
    )


def _home_postcode(patient: Mapping[str, Any], day: date) -> str | None:
    """The postcode of the home address: the first of use `home`, else the first that does not say its use."""
    current = [address for address in _objects(patient.get("address")) if _may_be_home(address, day)]
    homes = [address for address in current if address.get("use") == "home"]
    home = next(iter(homes or current), {})
    postcode = home.get("postalCode")
    return postcode if isinstance(postcode, str) else None


def _may_be_home(address: Mapping[str, Any], day: date) -> bool:
    """Whether somebody may live there on this day. `work`, `temp`, `old` and `billing` are uses, and not a home."""
    return address.get("use") in ("home", None) and address.get("type") != "postal" and _is_current(address, day)


def _is_current(address: Mapping[str, Any], day: date) -> bool:
    """Whether the address's period has begun and not ended. Its last day belongs to it.

    A date is compared as far as it goes: a period that ends in `2026` lasts that year. An end that cannot be read is
    an end all the same: better no postcode than a former one.
    """
    period = address.get("period")
    if not isinstance(period, dict):
        return True
    start, end = (_as_far_as_said(period.get(bound)) for bound in ("start", "end"))
    if end is None and period.get("end") is not None:
        return False
    today = day.isoformat()
    return (start is None or start <= today[: len(start)]) and (end is None or end >= today[: len(end)])


def _as_far_as_said(moment: Any) -> str | None:
    """The date of a FHIR dateTime, `2026`, `2026-11` or `2026-11-22`, in the time zone in which it is written."""
    found = _MOMENT.fullmatch(moment) if isinstance(moment, str) else None
    return found[1] if found else None


def _age(born: Any, day: date) -> int | None:
    """Whole years on a day; None where the date is partial, in the future, or more than 130 years ago."""
    if not isinstance(born, str) or not _DAY.fullmatch(born):
        return None
    try:
        birthday = date.fromisoformat(born)
    except ValueError:
        return None
    years = day.year - birthday.year - ((day.month, day.day) < (birthday.month, birthday.day))
    return years if 0 <= years <= OLDEST else None


def _ethnic_categories(patient: Mapping[str, Any]) -> Iterator[Mapping[str, str]]:
    """Codings whose code system is one of a nation's; a letter without its system means nothing."""
    for extension in _extensions(patient, ETHNIC_CATEGORY):
        concept = extension.get("valueCodeableConcept")
        for coding in _objects(concept.get("coding")) if isinstance(concept, dict) else ():
            system, code = coding.get("system"), coding.get("code")
            if isinstance(system, str) and system in ETHNIC_SYSTEMS and isinstance(code, str):
                yield {"system": ETHNIC_SYSTEMS[system], "code": code}


def _interpreter(patient: Mapping[str, Any]) -> Iterator[bool]:
    for extension in _extensions(patient, INTERPRETER_REQUIRED):
        if isinstance(value := extension.get("valueBoolean"), bool):
            yield value


def _extensions(patient: Mapping[str, Any], url: str) -> Iterator[Mapping[str, Any]]:
    return (extension for extension in _objects(patient.get("extension")) if extension.get("url") == url)


def _objects(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a list; nothing where it is none."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
