"""Read the `contact` of a request into the coarse words that are counted.

Pure, and on the path of every counted request. Nothing that was sent is repeated in a notice: a bad value
may be a name or a number typed into the wrong field.
"""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, Final, NamedTuple

from app.context.core20plus5 import OLDEST
from app.context.notices import Notice
from app.counts.vocabulary import ABSENT, UNRECOGNISED, EthnicSystem, TreatmentFunction, Vocabulary, vocabulary

LONGEST_EVENT_ID: Final = 200  # characters, without the white space around

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_SPECIALTY: Final = re.compile(r"[0-9]{3}")
_TOO_BIG_TO_WRITE: Final = 10**LONGEST_EVENT_ID
_NO_BANDS: Final = (ABSENT, ABSENT)


class Contact(NamedTuple):
    """What is counted of one contact: words of the vocabulary, a month, and the caller's key if it sent one.

    Every word may be `absent`. `specialty` may be `unrecognised`, and `ethnic_category` a system's, such as
    `wales:unrecognised`.
    """

    month: str  # YYYY-MM
    specialty: str
    type: str
    attendance: str
    outcome: str
    age_band: str
    age_five: str
    sex: str
    ethnic_category: str
    event_id: str | None  # for counting a retry once; to be hashed, never stored


def read_contact(sent: Mapping[str, Any], today: date, since: str = "") -> tuple[Contact | None, tuple[Notice, ...]]:
    """The contact, with warnings; or None with every problem, if any value is bad. Never raises for a value.

    `since` is the first month that is counted, `YYYY-MM`.
    `sent` is the request's `contact`, its structure already checked: known keys only, each a single JSON value
    or None, and `ethnic_category` a mapping of the same. `today` is the date in Europe/London; it is the
    contact's date if none was sent.
    """
    words, get = vocabulary(), sent.get
    notices: list[Notice] = []
    month = _month(get("date"), today, since, notices)
    specialty = _specialty(get("specialty"), words.specialties, notices)
    kind = _choice("contact.type", get("type"), words.contact_types, notices)
    attendance = _choice("contact.attendance", get("attendance"), words.attendances, notices)
    mode = _choice("contact.mode", get("mode"), words.modes, notices)
    outcome = _choice("contact.outcome", get("outcome"), words.outcomes, notices)
    bands = _age_bands(get("age"), words, notices)
    sex = _choice("contact.sex", get("sex"), words.sexes, notices)
    ethnic = _ethnic_category(get("ethnic_category"), words.ethnic_systems, notices)
    event_id = event_id_of(get("event_id"), notices)
    if (
        month is None
        or specialty is None
        or kind is None
        or attendance is None
        or mode is None
        or outcome is None
        or bands is None
        or sex is None
        or ethnic is None
        or event_id is None
    ):
        return None, tuple(notices)
    contact = Contact(month, specialty, kind, attendance, outcome, *bands, sex, ethnic, event_id or None)
    return contact, tuple(notices)


# Each reader below returns what is counted, or None with a notice where the value is bad.


def _choice(field: str, value: Any, choices: Mapping[str, object], notices: list[Notice]) -> str | None:
    """A word of a list, whatever its case and the white space around it."""
    if value is None:
        return ABSENT
    if isinstance(value, str):
        if value in choices:
            return value
        word = value.strip()
        # Only ASCII: lower() makes a letter k of the Kelvin sign.
        if word.isascii() and (word := word.lower()) in choices:
            return word
    notices.append(Notice(field, "unknown_value"))
    return None


def _specialty(value: Any, known: Mapping[str, TreatmentFunction], notices: list[Notice]) -> str | None:
    if value is None:
        return ABSENT
    if type(value) is int and 100 <= value <= 999:  # a bool is an int, but no code
        value = str(value)
    if isinstance(value, str):
        if value in known:
            return value
        code = value.strip()
        if code in known:
            return code
        if _SPECIALTY.fullmatch(code):
            notices.append(Notice("contact.specialty", UNRECOGNISED))
            return UNRECOGNISED
    notices.append(Notice("contact.specialty", "not_a_code"))
    return None


def _month(value: Any, today: date, since: str, notices: list[Notice]) -> str | None:
    if value is None:
        return today.isoformat()[:7]
    problem = _problem_of_date(value, today, since)
    if problem:
        notices.append(Notice("contact.date", problem))
        return None
    return str(value[:7])


def _problem_of_date(value: Any, today: date, since: str) -> str | None:
    # The expression first: fromisoformat also reads 20261120 and 2026-W47-5.
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        return "not_a_date"
    try:
        day = date.fromisoformat(value)
    except ValueError:
        return "not_a_date"
    if day > today:
        return "in_future"
    return "too_old" if value[:7] < since else None


def _age_bands(value: Any, words: Vocabulary, notices: list[Notice]) -> tuple[str, str] | None:
    if value is None:
        return _NO_BANDS
    age = _whole_number(value)
    if age is None:
        notices.append(Notice("contact.age", "not_a_number"))
        return None
    if not 0 <= age <= OLDEST:
        notices.append(Notice("contact.age", "out_of_range"))
        return None
    return words.bands_of_age[age]


def _whole_number(value: Any) -> int | None:
    """The number, if it is whole and not a bool; of a string of ASCII digits too, cut where it is too big anyway."""
    if type(value) is int:
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None  # neither NaN nor infinity is an integer
    if isinstance(value, str):
        text = value.strip()
        if text.isascii() and text.isdigit():
            return int(text.lstrip("0")[:4] or "0")  # int() refuses thousands of digits; four are out of range
    return None


def _ethnic_category(
    sent: Mapping[str, Any] | None, systems: Mapping[str, EthnicSystem], notices: list[Notice]
) -> str | None:
    """`<system>:<code>`, `<system>:unrecognised`, `not_stated`, `not_known` or `absent`."""
    if sent is None:
        return ABSENT
    sent_system, sent_code = sent.get("system"), sent.get("code")
    system = _choice("contact.ethnic_category.system", sent_system, systems, notices)
    code = _ethnic_code(sent_code, notices)
    if sent_code is not None and sent_system is None:  # one letter means different things in different nations
        notices.append(Notice("contact.ethnic_category.system", "system_missing"))
        return None
    if system is None or code is None:
        return None
    if sent_code is None:
        return ABSENT
    value = systems[system].value_of(code)
    if value is None:
        notices.append(Notice("contact.ethnic_category.code", UNRECOGNISED))
        return systems[system].unrecognised
    return value


def _ethnic_code(value: Any, notices: list[Notice]) -> str | None:
    """A code in upper case, as sent. A number is read too, since some senders write 99 as one."""
    if value is None:
        return ABSENT
    if type(value) is int and 0 <= value <= 99:
        return str(value)
    if isinstance(value, str):
        code = value.strip()
        if code:
            return code.upper() if code.isascii() else code  # upper() makes an S of the long s
    notices.append(Notice("contact.ethnic_category.code", "not_a_code"))
    return None


def event_id_of(value: Any, notices: list[Notice]) -> str | None:
    """The event id; empty if none was sent. An empty one is bad: its sender believes that a retry counts once."""
    if value is None:
        return ""
    if type(value) is int and abs(value) < _TOO_BIG_TO_WRITE:  # str() refuses thousands of digits
        value = str(value)
    if isinstance(value, str):
        key = value.strip()
        if 0 < len(key) <= LONGEST_EVENT_ID and (key.isascii() or _is_writable(key)):
            return key
    notices.append(Notice("contact.event_id", "not_an_id"))
    return None


def _is_writable(text: str) -> bool:
    """Whether it has a UTF-8 form: half a surrogate pair has none, and could not be hashed."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
