"""Where else help is to be had: the directory that an organisation keeps, by where the postcode lies."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from itertools import takewhile
from typing import Final

from app.context.core20plus5 import OLDEST
from app.context.files import Row, RuleFolder, is_web_address
from app.lookup import postcode

_COLUMNS: Final = (
    "id", "name", "what", "for_whom", "from_age", "to_age", "area", "area_code",
    "phone", "url", "reviewed", "review_by", "source",
)  # fmt: skip
# An entry for a nation is for whoever lives there; where nothing is known of the home, England's are shown too.
NATIONS: Final = {
    "england": "England",
    "wales": "Wales",
    "scotland": "Scotland",
    "northern_ireland": "Northern Ireland",
}
_CODES: Final = {
    "icb": re.compile(r"E54[0-9]{6}"),
    "lad": re.compile(r"[ENSW][0-9]{8}"),
    "postcode_area": re.compile(r"[A-Z]{1,2}"),
}
_PHONE: Final = re.compile(r"\+?[0-9][0-9 ]{1,18}[0-9]|[0-9]{3,6}")
_LONGEST: Final = {"name": 60, "what": 100, "for_whom": 90}  # characters: four of the longest fit on paper


@dataclass(frozen=True, slots=True, eq=False)
class Signpost:
    """One service, for patients of an age from `from_age` to `to_age` in years.

    `area` is uk, a nation, icb, lad or postcode_area; `review_by` is the last day it is shown.
    """

    id: str
    name: str
    what: str
    for_whom: str
    from_age: int
    to_age: int
    area: str
    area_code: str | None
    phone: str | None
    url: str | None
    reviewed: date | None  # None where nobody here has checked it yet
    review_by: date
    source: str

    def is_for(self, age: int | None) -> bool:
        """Whether it is for a patient of this age; for everybody where the age is not known."""
        return age is None or self.from_age <= age <= self.to_age


@dataclass(frozen=True, slots=True, eq=False)
class Directory:
    """The services of one version."""

    entries: tuple[Signpost, ...]
    by_area: Mapping[tuple[str, str], tuple[Signpost, ...]] = field(repr=False)  # kind of area and its code, or ""
    _has_postcode_areas: bool

    @classmethod
    def load(cls, folder: RuleFolder) -> "Directory":
        """The directory of a folder; RuleFileError for an entry that could not be shown as it stands."""
        entries: list[Signpost] = []
        for row in folder.rows("signposts.csv", _COLUMNS):
            entry = _read(row)
            if any(e.id == entry.id for e in entries):
                raise row.wrong("id", "stands twice")
            entries.append(entry)
        by_area: dict[tuple[str, str], list[Signpost]] = defaultdict(list)
        for entry in entries:
            by_area[entry.area, entry.area_code or ""].append(entry)
        areas = {key: tuple(some) for key, some in by_area.items()}
        return cls(tuple(entries), areas, any(e.area == "postcode_area" for e in entries))

    def expired(self, day: date) -> tuple[Signpost, ...]:
        """The entries that are not shown any more on this day."""
        return tuple(e for e in self.entries if e.review_by < day)

    def due(self, day: date, within: int = 30) -> tuple[Signpost, ...]:
        """The entries that are shown, but only for so many days more."""
        return tuple(e for e in self.entries if 0 <= (e.review_by - day).days < within)

    def postcode_area(self, text: str | None) -> str | None:
        """The letters that a postcode begins with, however it is written; None where no entry asks for them."""
        if not self._has_postcode_areas:
            return None
        read = postcode.parse(text)
        if read.kind != "real":
            return None
        return "".join(takewhile(str.isalpha, postcode.sector_name(read.sector)))

    def near(
        self, day: date, country: str | None, icb: str | None, lad: str | None, letters: str | None
    ) -> tuple[Signpost, ...]:
        """What is shown on this day to somebody who lives here, the nearest first; each entry once."""
        return _near(self, day, country, icb, lad, letters)


# By district and day: some hundred combinations in a trust's work.
@lru_cache(maxsize=4096)
def _near(
    directory: Directory, day: date, country: str | None, icb: str | None, lad: str | None, letters: str | None
) -> tuple[Signpost, ...]:
    places = [("postcode_area", letters), ("lad", lad), ("icb", icb)]
    places += [(nation, "") for nation, name in NATIONS.items() if country == name]
    if country is None:
        places.append(("england", ""))
    places.append(("uk", ""))
    return tuple(
        entry
        for area, code in places
        if code is not None
        for entry in directory.by_area.get((area, code), ())
        if entry.review_by >= day
    )


def _read(row: Row) -> Signpost:
    area = row.choice("area", ("uk", *NATIONS, *_CODES))
    code = row.optional("area_code")
    if area in _CODES and not (code and _CODES[area].fullmatch(code)):
        raise row.wrong("area_code", f"is not a code of kind {area}")
    if area not in _CODES and code:
        raise row.wrong("area_code", f"must be empty for {area}")
    for column, most in _LONGEST.items():
        if len(row.text(column)) > most:
            raise row.wrong(column, f"is longer than {most} characters")
    phone, url = row.optional("phone"), row.optional("url")
    if not phone and not url:
        raise row.wrong("phone", "and url are both empty: there is no way to get there")
    if phone and not _PHONE.fullmatch(phone):
        raise row.wrong("phone", "is not a telephone number")
    if url and not is_web_address(url):
        raise row.wrong("url", "is not a web address that begins with https://")
    reviewed = _day(row, "reviewed") if row.optional("reviewed") else None
    review_by = _day(row, "review_by")
    if reviewed and review_by < reviewed:
        raise row.wrong("review_by", "is before reviewed")
    return Signpost(
        row.text("id"),
        row.text("name"),
        row.text("what"),
        row.text("for_whom"),
        _age(row, "from_age", 0),
        _age(row, "to_age", OLDEST),
        area,
        code,
        phone,
        url,
        reviewed,
        review_by,
        row.text("source"),
    )


def _age(row: Row, column: str, default: int) -> int:
    text = row.optional(column)
    if text is not None and not (text.isascii() and text.isdigit() and int(text) <= OLDEST):
        raise row.wrong(column, f"is not an age in years, 0 to {OLDEST}")
    return default if text is None else int(text)


def _day(row: Row, column: str) -> date:
    try:
        return date.fromisoformat(row.text(column))
    except ValueError:
        raise row.wrong(column, "is not a date, YYYY-MM-DD") from None
