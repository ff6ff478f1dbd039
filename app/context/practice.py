"""What somebody did about an inequality, and what came of it: the initiatives that an organisation tells others of."""

import re
from dataclasses import dataclass
from datetime import date
from typing import Final

from app.context.files import Row, RuleFolder
from app.context.written import unshielded

FILE: Final = "good_practice.csv"
COLUMNS: Final = ("specialty", "title", "what", "who_to_ask", "outcome", "date", "organisation")
ALL: Final = "all"
UNIT: Final = re.compile(r"[0-9]{3}|C_[0-9]{3}|X0[0-9]")
"""A treatment function code, or the code of an RTT group."""

_LONGEST: Final = {"title": 120, "what": 4000, "who_to_ask": 200, "outcome": 4000, "organisation": 120}  # characters
# What no spreadsheet and no page shows, or shows as something else.
_UNSEEN: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


@dataclass(frozen=True, slots=True)
class Initiative:
    """One initiative. `specialty` is a treatment function code, an RTT group or `all`; texts may have many lines."""

    specialty: str
    title: str
    what: str
    who_to_ask: str  # a name or a role among the staff
    outcome: str
    date: date  # from when this is told
    organisation: str

    @property
    def key(self) -> tuple[str, str]:
        """What makes it the same initiative in two files: organisation and title, however they are spaced and cased."""
        return " ".join(self.organisation.casefold().split()), " ".join(self.title.casefold().split())


@dataclass(frozen=True, slots=True, eq=False)
class Practice:
    """The initiatives of one file, in its order."""

    initiatives: tuple[Initiative, ...] = ()

    @classmethod
    def load(cls, folder: RuleFolder) -> "Practice":
        """The initiatives of a folder; RuleFileError for one that could not be shown, or stands twice."""
        read: dict[tuple[str, str], Initiative] = {}
        for row in folder.rows(FILE, COLUMNS):
            initiative = _read(row)
            if initiative.key in read:
                raise row.wrong("title", "stands twice for this organisation")
            read[initiative.key] = initiative
        return cls(tuple(read.values()))

    def of(self, specialty: str, rtt_group: str = "") -> tuple[Initiative, ...]:
        """What may help a specialty: its own first, then its RTT group's, then what is for all."""
        wanted = [code for code in (specialty, rtt_group, ALL) if code]
        return tuple(i for code in dict.fromkeys(wanted) for i in self.initiatives if i.specialty == code)


def day(row: Row, column: str) -> date:
    """A date, written YYYY-MM-DD."""
    text = row.text(column)
    try:
        if len(text) == len("YYYY-MM-DD"):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise row.wrong(column, "is not a date, YYYY-MM-DD")


def _read(row: Row) -> Initiative:
    specialty = row.text("specialty")
    if specialty != ALL and not UNIT.fullmatch(specialty):
        raise row.wrong("specialty", f"is neither {ALL}, nor a treatment function code, nor an RTT group's")
    for column, most in _LONGEST.items():
        text = row.text(column)
        if len(text) > most:
            raise row.wrong(column, f"is longer than {most} characters")
        if _UNSEEN.search(text.replace("\r\n", "\n")):
            raise row.wrong(column, "holds a sign that cannot be seen")
    texts = {column: unshielded(row.text(column)).replace("\r\n", "\n") for column in _LONGEST}
    return Initiative(specialty=specialty, date=day(row, "date"), **texts)
