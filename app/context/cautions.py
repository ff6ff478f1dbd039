"""What to mind about a postcode, and the places that an organisation lists: the published decile stays."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal, get_args

from app.context.files import RuleFileError, RuleFolder
from app.lookup import postcode

Caution = Literal[
    "terminated",
    "hospital",
    "large_user",
    "care_home",
    "communal",
    "student",
    "new_postcode",
    "low_precision",
    "rural",
]
CAUTIONS: Final[tuple[Caution, ...]] = get_args(Caution)
# Where the postcode is likely not the home's, so that what is said first says so.
NOT_HOME: Final[frozenset[Caution]] = frozenset({"hospital", "large_user"})
# Kinds of place whose postcode is answered as a withheld address is. They are one and the same in all that follows.
PROTECTED: Final = frozenset({"prison", "refuge", "protected"})
_USUAL: Final = re.compile(r"[A-Z]{1,2}[0-9][A-Z0-9]? [0-9][A-Z]{2}")
_COLUMNS: Final = ("postcode", "kind", "source", "reviewed")


@dataclass(frozen=True, slots=True, eq=False)
class Cautions:
    """The sentences of one version, and the places of one organisation."""

    sentences: Mapping[Caution, str]
    _data_to: Mapping[str, int] = field(repr=False)
    # None where the place is protected: by sector and unit, and by the postcode as it is usually written.
    _places: Mapping[tuple[int, int], tuple[Caution, ...] | None] = field(repr=False)
    _by_text: Mapping[str, tuple[Caution, ...] | None] = field(repr=False)
    has_no_places: bool
    has_protected_places: bool

    @classmethod
    def load(cls, folder: RuleFolder) -> "Cautions":
        """The cautions of a folder; RuleFileError where one is missing or a place cannot be read."""
        table = folder.table("cautions.toml", ("caution", "data_to", "data_to_source", "places"))
        sentences = table.texts("caution")
        if set(sentences) != set(CAUTIONS):
            raise RuleFileError(f"{table.where}, caution: must be {', '.join(CAUTIONS)}.")
        kinds = table.inner("places")
        cautioned = kinds.words("cautioned", CAUTIONS)
        if set(kinds.words("protected")) != PROTECTED:
            raise RuleFileError(f"{kinds.where}, protected: must be {', '.join(sorted(PROTECTED))}.")
        places: dict[tuple[int, int], set[str]] = {}
        for row in folder.rows("places.csv", _COLUMNS):
            read = postcode.parse(row.text("postcode"))
            if read.kind != "real" or read.repaired:
                raise row.wrong("postcode", "is not a full UK postcode")
            kind = row.choice("kind", (*cautioned, *sorted(PROTECTED)))
            row.text("source")
            _day(row.text("reviewed"), f"{row.file}, line {row.line}, reviewed")
            places.setdefault((read.sector, read.unit), set()).add(kind)
        shown: dict[str, Caution] = {c: c for c in CAUTIONS}
        known = {
            where: None if kinds & PROTECTED else tuple(c for c in CAUTIONS if c in kinds)
            for where, kinds in places.items()
        }
        units = postcode.unit_names()
        return cls(
            {shown[name]: sentence for name, sentence in sentences.items()},
            {edition: _month(month, table.where) for edition, month in table.texts("data_to").items()},
            known,
            {postcode.sector_name(sector) + units[unit]: cautions for (sector, unit), cautions in known.items()},
            not places,
            None in known.values(),
        )

    def place(self, text: str | None, *, found: bool = False) -> tuple[Caution, ...] | None:
        """Cautions of the place that has this postcode; None where it is protected and nothing may be said of it.

        `found`: the index holds the postcode as it is written, so that it need not be read once more.
        """
        if self.has_no_places:
            return ()
        if found and text is not None and _USUAL.fullmatch(text):
            return self._by_text.get(text, ())
        read = postcode.parse(text)
        if read.kind != "real":
            return ()
        return self._places.get((read.sector, read.unit), ())

    @property
    def protected(self) -> frozenset[tuple[int, int]]:
        """Sector and unit of every postcode of which nothing may be said."""
        return frozenset(where for where, cautions in self._places.items() if cautions is None)

    def data_to(self, edition: str) -> int:
        """The month, after December 1969, up to which an edition's data go; later than any where it is not known."""
        return self._data_to.get(edition, 1 << 16)


def _month(text: str, where: str) -> int:
    """Months since December 1969 of a `YYYY-MM`."""
    day = _day(f"{text}-01", f"{where}, data_to")
    return (day.year - 1970) * 12 + day.month


def _day(text: str, where: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise RuleFileError(f"{where}: is not a date, YYYY-MM-DD.") from None
