"""What to mind about a postcode, and the places that an organisation lists: the published decile stays."""

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
# Kinds of place whose postcode is answered as a withheld address is. They are one and the same in all that follows.
PROTECTED: Final = frozenset({"prison", "refuge", "protected"})
_COLUMNS: Final = ("postcode", "kind", "source", "reviewed")


@dataclass(frozen=True, slots=True, eq=False)
class Cautions:
    """The sentences of one version, and the places of one organisation."""

    sentences: Mapping[Caution, str]
    _data_to: Mapping[str, int] = field(repr=False)
    _places: Mapping[tuple[int, int], tuple[Caution, ...]] = field(repr=False)
    _protected: frozenset[tuple[int, int]] = field(repr=False)
    _is_empty: bool

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
        return cls(
            {shown[name]: sentence for name, sentence in sentences.items()},
            {edition: _month(month, table.where) for edition, month in table.texts("data_to").items()},
            {p: tuple(c for c in CAUTIONS if c in kinds) for p, kinds in places.items()},
            frozenset(p for p, kinds in places.items() if kinds & PROTECTED),
            not places,
        )

    def place(self, text: str | None) -> tuple[Caution, ...] | None:
        """Cautions of the place that has this postcode; None where it is protected and nothing may be said of it."""
        if self._is_empty:
            return ()
        read = postcode.parse(text)
        if read.kind != "real":
            return ()
        where = (read.sector, read.unit)
        return None if where in self._protected else self._places.get(where, ())

    def is_new(self, introduced: int, edition: str) -> bool:
        """Whether a postcode, introduced so many months after December 1969 (0: not known), is newer than the data."""
        return introduced > self._data_to.get(edition, 1 << 16)


def _month(text: str, where: str) -> int:
    """Months since December 1969 of a `YYYY-MM`."""
    day = _day(f"{text}-01", f"{where}, data_to")
    return (day.year - 1970) * 12 + day.month


def _day(text: str, where: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise RuleFileError(f"{where}: is not a date, YYYY-MM-DD.") from None
