"""What a record sends besides its postcode, read into keys that rules can be looked up by.

Pure, and on the path of every request with signals. What was sent is read in memory and forgotten; nothing of it
is repeated in a notice.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

from app.context.notices import Notice

FLAGS: Final = ("interpreter_required", "accessible_format_required", "travel_support_required")
ETHNIC_SYSTEMS: Final = ("england", "wales", "scotland", "northern_ireland")
# The signals that there are, and the code systems of each; "" where a code stands for itself.
SYSTEMS: Final[Mapping[str, Collection[str]]] = {
    "snomed": ("",),
    "accommodation_status": ("data_dictionary", "asc_cld"),
    "ethnic_category": ETHNIC_SYSTEMS,
    "setting_role": ("ods",),
    "postcode_status": ("",),
    "flag": ("",),
}
SNOMED: Final = re.compile(r"[1-9][0-9]{5,17}")
ROLE: Final = re.compile(r"RO[0-9]{1,4}")
_LONGEST: Final = 100  # characters of a text that may be a category's name

Key = tuple[str, str, str]
"""A signal, its code system and its code, as `normal` writes it."""


class Sent(NamedTuple):
    """What was sent, as keys; and the values that were bad."""

    keys: list[Key]
    problems: list[Notice]


def normal(key: Key) -> Key:
    """A key as it is read from a record: without regard to case and spaces."""
    signal, system, code = key
    return key if signal in ("postcode_status", "flag") else (signal, system, " ".join(code.split()).upper())


def read_signals(signals: Mapping[str, Any], ethnic_category: Mapping[str, Any] | None) -> Sent:
    """Every signal as a key. Never raises for a value.

    `signals` is the request's, its structure already checked. `ethnic_category` is the contact's, which is judged
    where contacts are read: here it is only used.
    """
    sent = Sent([], [])
    get = signals.get
    if codes := get("snomed"):
        _read_each(sent, "snomed", "signals.snomed", codes, "", SNOMED)
    if roles := get("setting_roles"):
        _read_each(sent, "setting_role", "signals.setting_roles", roles, "ods", ROLE)
    if (status := get("accommodation_status")) is not None:
        _read_accommodation(sent, status)
    if (own := get("ethnic_category")) is not None:
        _read_ethnic_category(sent, own, quietly=False)
    if ethnic_category is not None:
        _read_ethnic_category(sent, ethnic_category, quietly=True)
    for name in FLAGS:
        if (value := get(name)) is True:
            sent.keys.append(("flag", "", name))
        elif value is not None and value is not False:
            sent.problems.append(Notice(f"signals.{name}", "not_true_or_false"))
    return sent


def _read_each(
    sent: Sent, signal: str, field: str, values: Collection[Any], system: str, shape: re.Pattern[str]
) -> None:
    bad = False
    for value in values:
        text = str(value) if type(value) is int and abs(value) < 10**18 else value
        if not isinstance(text, str) or not text.isascii():
            bad = bad or value is not None
        elif shape.fullmatch(text) or shape.fullmatch(text := text.strip().upper()):
            sent.keys.append((signal, system, text))
        else:
            bad = True
    if bad:
        sent.problems.append(Notice(field, "not_a_code"))


def _read_accommodation(sent: Sent, value: Any) -> None:
    if not isinstance(value, str) or not 0 < len(value.strip()) <= _LONGEST:
        sent.problems.append(Notice("signals.accommodation_status", "not_a_code"))
        return
    word = " ".join(value.split()).upper()
    # No notice where it is not listed: its absence would tell that it is, to whoever may not see groups.
    sent.keys.extend(("accommodation_status", system, word) for system in SYSTEMS["accommodation_status"])


def _read_ethnic_category(sent: Sent, value: Mapping[str, Any], *, quietly: bool) -> None:
    sent_system, code = value.get("system"), value.get("code")
    if code is None and sent_system is None:
        return
    system = sent_system.strip().lower() if isinstance(sent_system, str) and sent_system.isascii() else None
    problem = None
    if system not in ETHNIC_SYSTEMS:  # one letter means different things in different nations
        problem = Notice("signals.ethnic_category.system", "system_missing" if sent_system is None else "unknown_value")
    elif isinstance(code, str) and code.strip() and code.isascii():
        sent.keys.append(("ethnic_category", system, code.strip().upper()))
    elif code is not None and type(code) is not int:
        problem = Notice("signals.ethnic_category.code", "not_a_code")
    if problem and not quietly:
        sent.problems.append(problem)
