"""Sound JSON of odd values: what a reader expects, changed where and how some bytes say.

Of a million mutated texts most are no JSON at all. These all are, so that what lies behind the reading of JSON is
reached by every one.
"""

import copy
from collections.abc import Iterator, Sequence
from typing import Any

CONTACT = {
    "date": "2026-11-20", "specialty": "100", "type": "outpatient", "attendance": "first", "mode": "in_person",
    "outcome": "attended", "age": 54, "sex": "female", "event_id": "a-visit",
    "ethnic_category": {"system": "england", "code": "A"},
}  # fmt: skip
SIGNALS = {"accommodation_status": "01", "snomed": ["32911000"], "interpreter_required": True}
RECORD = {"postcode": "NG1 1AA", "contact": CONTACT, "signals": SIGNALS, "include": ["context", "area"]}
PATIENT = {
    "resourceType": "Patient",
    "birthDate": "1972-03-04",
    "address": [
        {"use": "temp", "postalCode": "DT1 1AA", "period": {"start": "2026", "end": "2026-12"}},
        {"use": "home", "postalCode": "NG1 1AA", "period": {"start": "2020-01-01T00:00:00Z"}},
    ],
    "extension": [
        {
            "url": "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-EthnicCategory",
            "valueCodeableConcept": {
                "coding": [{"system": "https://fhir.hl7.org.uk/CodeSystem/UKCore-EthnicCategoryEngland", "code": "A"}]
            },
        },
        {"url": "http://hl7.org/fhir/StructureDefinition/patient-interpreterRequired", "valueBoolean": True},
    ],
}
PARAMETERS = {
    "resourceType": "Parameters",
    "parameter": [
        {"name": "patient", "resource": PATIENT},
        {"name": "postcode", "valueString": "NG1 1AA"},
        {"name": "age", "valueInteger": 54},
        {"name": "specialty", "valueCode": "100"},
        {"name": "signal-snomed", "valueCode": "32911000"},
        {"name": "include", "valueCode": "context"},
    ],
}
FEEDBACK = {"feedback": [{"card": "1", "outcome": "accepted", "acceptedSuggestions": [{"id": "2"}]}]}

_CELL = [0, "2026-11", "100", "outpatient", "first", "attended", "IoD2025", "3"]
SPOOLED = {"unkeyed": [["2026-11", "IoD2025", [[_CELL, 2]]]], "keyed": [[["a", "b"], [_CELL]]]}


def hook(name: str) -> dict[str, Any]:
    """The body of a hook for a patient, whose record comes with it."""
    return {"hook": name, "hookInstance": "1", "context": {"patientId": "1"}, "prefetch": {"patient": PATIENT}}


_ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 54, 121, 2**31, 2**63, -(2**63), 10**30, 0.5, -0.0, 1e308, "", " ", "0", "054", "None",
    "\0", "\ud800", "\u2028", "é", "NG1 1AA", "ZZ99 3VZ", "GIR 0AA", "DT1 1AA", "9999-12-31", "0001-01-01",
    "2026-02-30", "2026-11-20T25:00:00Z", "2026", "99991231", "a" * 300, "🙂" * 40, [], {}, [[]], [None], {"": None},
)  # fmt: skip
_EDITS, _NODES = 8, 400  # of a value, at most


def edited(data: bytes, seeds: Sequence[Any]) -> Any:
    """One of the seeds, which by the first byte, after an edit for every few bytes that follow."""
    rest = iter(data)
    root = [copy.deepcopy(seeds[next(rest, 0) % len(seeds)])]
    for _ in range(_EDITS):
        how = next(rest, None)
        places = list(_places(root))
        if how is None or not places:
            break
        holder, key = places[_number(rest) % len(places)]
        _edit(holder, key, how % 8, rest, places)
    return root[0] if root else None


def _edit(holder: Any, key: Any, how: int, rest: Iterator[int], places: list[tuple[Any, Any]]) -> None:
    held = holder[key]
    if how == 0:
        del holder[key]
    elif how == 1:
        holder[key] = [held]
    elif how == 2:
        holder[key] = bytes(next(rest, 0) for _ in range(next(rest, 0) % 24)).decode("utf-8", "surrogateescape")
    elif how == 3:
        holder[key] = copy.deepcopy(_ODD[next(rest, 0) % len(_ODD)])
    elif how == 4 and len(places) < _NODES:
        other, where = places[_number(rest) % len(places)]
        holder[key] = copy.deepcopy(other[where])
    elif how == 5 and isinstance(holder, dict):
        names = [name for _, name in places if isinstance(name, str)]  # its own at least
        holder[names[_number(rest) % len(names)]] = held
    elif how == 6 and isinstance(held, str) and held:
        at = next(rest, 0) % len(held)
        holder[key] = held[:at] + chr(next(rest, 0)) + held[at + 1 :]
    elif isinstance(holder, list) and len(places) < _NODES:
        holder.insert(key, copy.deepcopy(held))


def _number(rest: Iterator[int]) -> int:
    return next(rest, 0) | next(rest, 0) << 8


def _places(holder: Any) -> Iterator[tuple[Any, Any]]:
    """Everything within, as what holds it and its key there."""
    for key, held in list(holder.items() if isinstance(holder, dict) else enumerate(holder)):
        yield holder, key
        if isinstance(held, (dict, list)):
            yield from _places(held)
