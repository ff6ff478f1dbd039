"""From a parsed HL7 v2 ADT message to the body of `POST /v1/enrich`. An example to copy into an integration engine.

The three tables are what a trust changes. Whatever they do not hold is left out: unknown is better than wrong.
"""

import hmac
import json
from datetime import date
from typing import Any

import hl7

# PV1-10, the organisation's own words for its services -> treatment function code.
SPECIALTIES = {"T&O": "110", "CARD": "320", "RESP": "340", "ED": "180", "OBS": "501"}
# PV1-2 -> contact type. For an inpatient (I) with the first digit of PV1-4, here the national admission method.
TYPES = {
    "O": "outpatient",
    "E": "emergency_department",
    "B": "maternity",
    "I1": "elective",
    "I2": "emergency",
    "I3": "maternity",
}
SEXES = {"F": "female", "M": "male", "O": "other", "U": "not_known"}  # PID-8
OUTCOMES = {"A01": "admitted", "A04": "attended"}  # only these two events are contacts; others update a record
ADDRESS_TYPES = ("H", "C", "")  # PID-11.7: home, else current, else an address without a type; no other


def parsed(text: str) -> hl7.Message:
    """A message, whatever its lines end with."""
    return hl7.parse(text.replace("\r\n", "\r").replace("\n", "\r"))


def value(message: hl7.Message, segment: str, field: int, component: int = 1, repeat: int = 1) -> str:
    """A component with its escapes undone; empty where there is none, or where HL7's null `""` stands."""
    try:
        text = message.extract_field(segment, 1, field, repeat, component).strip()
    except (KeyError, IndexError):
        return ""
    return "" if text == '""' else text


def day(text: str) -> date | None:
    """The day of an HL7 time; None where it is not known to the day."""
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        return None


def postcode_of(message: hl7.Message) -> str | None:
    """The postcode of the home address that has not ended; none where that address has none."""
    try:
        repeats = range(1, len(message.segment("PID")(11)) + 1)
    except (KeyError, IndexError):
        return None
    sent = day(value(message, "MSH", 7))
    addresses = []
    for repeat in repeats:
        postcode, kind, end = (value(message, "PID", 11, component, repeat) for component in (5, 7, 14))
        ended = sent and (until := day(end)) and until < sent
        if kind in ADDRESS_TYPES and not ended:
            addresses.append((ADDRESS_TYPES.index(kind), repeat, postcode))
    return (min(addresses)[2] or None) if addresses else None


def contact_of(message: hl7.Message, key: bytes) -> dict[str, Any] | None:
    """What is counted; None where the event is no contact. `key` is a secret of the engine's own."""
    event = value(message, "MSH", 9, 2)
    if event not in OUTCOMES:
        return None
    when = day(value(message, "PV1", 44)) or day(value(message, "EVN", 2))
    born = day(value(message, "PID", 7))
    kind = value(message, "PV1", 2)
    number = value(message, "PV1", 19) or value(message, "MSH", 10)
    visit = json.dumps([value(message, "MSH", 4), number, event, str(when)])
    contact = {
        "specialty": SPECIALTIES.get(value(message, "PV1", 10)),
        "type": TYPES.get(kind + value(message, "PV1", 4)[:1] if kind == "I" else kind),
        "outcome": OUTCOMES[event],
        "date": when and when.isoformat(),
        "event_id": hmac.new(key, visit.encode(), "sha256").hexdigest() if number else None,
        "age": born and when and when.year - born.year - ((when.month, when.day) < (born.month, born.day)),
        "sex": SEXES.get(value(message, "PID", 8)),
    }
    return {name: known for name, known in contact.items() if known is not None}


def request_of(message: hl7.Message, key: bytes) -> dict[str, Any]:
    """The body to send. A patient without a postcode is sent too: `null` is answered with its reason."""
    contact = contact_of(message, key)
    return {"postcode": postcode_of(message)} | ({"contact": contact} if contact else {})
