"""The residents that an organisation serves, by decile and, where known, by age: what its shares are compared with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import product
from typing import Final

from app.context.files import Row, RuleFileError, RuleFolder
from app.context.practice import day
from app.context.written import as_file, unshielded

FILE: Final = "catchment.csv"
COLUMNS: Final = ("edition", "imd_decile", "age_band", "persons", "area", "source", "date")
ALL_AGES: Final = "all"
DECILES: Final = tuple(str(decile) for decile in range(1, 11))
EDITIONS: Final = ("IoD2019", "IoD2025")

# The bands of the tables of ages, each with the five-year bands that it is made of.
BANDS: Final[Mapping[str, tuple[str, ...]]] = {
    "0-17": ("0-4", "5-9", "10-14", "15-17"),
    "18-39": ("18-19", "20-24", "25-29", "30-34", "35-39"),
    "40-64": ("40-44", "45-49", "50-54", "55-59", "60-64"),
    "65-79": ("65-69", "70-74", "75-79"),
    "80+": ("80-84", "85-89", "90+"),
}
_FIVE_YEAR: Final = {five: band for band, parts in BANDS.items() for five in parts}
_SETS: Final = ((ALL_AGES,), tuple(BANDS), tuple(_FIVE_YEAR))
_MOST: Final = 100_000_000  # people in one cell: more than there are in England


@dataclass(frozen=True, slots=True, eq=False)
class Catchment:
    """Residents by decile on one edition of the index. `date` is the day that the numbers are of."""

    edition: str
    area: str
    source: str
    date: date
    by_decile: Mapping[int, int] = field(repr=False)  # persons of all ages, deciles 1 to 10
    by_age: Mapping[str, tuple[int, int]] = field(repr=False)  # band: persons in deciles 1 and 2, and in all; or empty

    @property
    def persons(self) -> int:
        """All residents."""
        return sum(self.by_decile.values())

    @property
    def core20(self) -> int:
        """The residents of deciles 1 and 2."""
        return self.by_decile[1] + self.by_decile[2]


@dataclass(frozen=True, slots=True, eq=False)
class Catchments:
    """The catchment of an organisation, on each edition that it has numbers for."""

    each: tuple[Catchment, ...] = ()

    def of(self, edition: str) -> Catchment | None:
        """The catchment on an edition of the index; None where the file has none."""
        return next((c for c in self.each if c.edition == edition), None)

    @classmethod
    def load(cls, folder: RuleFolder) -> "Catchments":
        """The catchment of a folder; RuleFileError unless each edition has every decile and age band once."""
        rows: dict[str, list[Row]] = {}
        for row in folder.rows(FILE, COLUMNS):
            rows.setdefault(row.choice("edition", EDITIONS), []).append(row)
        return cls(tuple(_read(edition, some) for edition, some in rows.items()))


def age_set(band: str) -> tuple[str, ...]:
    """The set of bands that a band is of: all ages, the bands of the tables, or five years; empty where of none."""
    return next((bands for bands in _SETS if band in bands), ())


def as_catchment_file(
    edition: str, persons: Mapping[tuple[str, str], int], *, area: str, source: str, of: date, written: date
) -> str:
    """A catchment file of residents by decile and age band; a cell that is missing is nobody.

    ValueError where a decile is none, or the bands are not of one set.
    """
    bands = age_set(next(iter(persons), ("", ""))[1])
    if not all(decile in DECILES and band in bands for decile, band in persons):
        raise ValueError("residents are by decile and by bands of one set")
    rows = [
        (edition, decile, band, persons.get((decile, band), 0), area, source, of.isoformat())
        for decile in DECILES
        for band in bands
    ]
    return as_file(COLUMNS, rows, source=source, written=written)


def _read(edition: str, rows: list[Row]) -> Catchment:
    first = rows[0]
    bands = age_set(first.values["age_band"])
    persons: dict[tuple[str, str], int] = {}
    for row in rows:
        for column in ("area", "source", "date"):
            if row.text(column) != first.values[column]:
                raise row.wrong(column, f"is not what line {first.line} says; one edition is of one area and day")
        if row.values["age_band"] not in bands:
            raise row.wrong(
                "age_band",
                f"is none of {', '.join(bands)}, the ages that line {first.line} begins with"
                if bands
                else f"is neither {ALL_AGES}, nor one of {', '.join(BANDS)}, nor one of {', '.join(_FIVE_YEAR)}",
            )
        key = row.choice("imd_decile", DECILES), row.values["age_band"]
        if key in persons:
            raise row.wrong("imd_decile", "stands twice with this age band")
        persons[key] = _persons(row)
    if missing := len(DECILES) * len(bands) - len(persons):
        raise RuleFileError(
            f"{first.file}, line {rows[-1].line}, imd_decile: {edition} ends here and lacks {missing}"
            f" of {len(DECILES) * len(bands)} rows, one for each decile and age band."
        )
    if not sum(persons.values()):
        raise first.wrong("persons", "nobody lives in this catchment")
    return Catchment(
        edition,
        unshielded(first.text("area")),
        unshielded(first.text("source")),
        day(first, "date"),
        {int(d): sum(persons[d, band] for band in bands) for d in DECILES},
        {} if bands == (ALL_AGES,) else _by_age(persons, bands),
    )


def _by_age(persons: Mapping[tuple[str, str], int], bands: tuple[str, ...]) -> dict[str, tuple[int, int]]:
    found = dict.fromkeys(BANDS, (0, 0))
    for decile, band in product(DECILES, bands):
        broad, n = _FIVE_YEAR.get(band, band), persons[decile, band]
        core20, everybody = found[broad]
        found[broad] = core20 + (n if decile in DECILES[:2] else 0), everybody + n
    return found


def _persons(row: Row) -> int:
    text = row.text("persons")
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) <= _MOST):
        raise row.wrong("persons", "is not a whole number of people")
    return int(text)
