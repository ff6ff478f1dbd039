"""A built index, opened by mmap: one postcode, or a whole column of them, to its area and deciles."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from app.lookup import layout, postcode
from app.lookup.deprivation import NATIONS, Country, Edition, Status
from app.lookup.text import TextColumn

STATUSES: Final[tuple[Status, ...]] = get_args(Status)
_LIVE, _TERMINATED = STATUSES.index("live"), STATUSES.index("terminated")
# The status of each kind of string; of a real postcode until it is found.
_STATUS_OF_KIND: Final = np.array(
    [STATUSES.index("not_found" if kind == "real" else kind) for kind in postcode.KINDS], np.uint8
)
_FLAG_BITS: Final = layout.TERMINATED | layout.LARGE_USER | layout.LOW_PRECISION
_SEVEN: Final = struct.Struct("7B")
_UNITS: Final = {name: i for i, name in enumerate(postcode.unit_names())}

# Stands in the place of a share of fewer than ten people or households, none included: a small number is
# "few" and never a figure. Negative, so that no percent can be taken for it.
FEW: Final = -1
_SHARES: Final[tuple[int | None, ...]] = tuple(
    {layout.SHARE_FEW: FEW, layout.SHARE_UNKNOWN: None}.get(stored, stored) for stored in range(256)
)
# How each section is held. Another type could hold what no lookup expects: a negative profile, a fraction of a decile.
_HELD_AS: Final = {
    "slots": np.uint32,
    "sectors": np.int32,
    "profile": np.uint16,
    "profiles": np.uint8,
    "decile": np.uint8,
    "rank": np.uint16,
    "domain": np.uint8,
    "share": np.uint8,
    "rural": np.uint8,
    **dict.fromkeys(("lsoa21", "lsoa11", "lad", "icb"), "S9"),
}
_HIGHEST: Final = 10  # decile
_RURAL: Final = {layout.RURAL_UNKNOWN: None, layout.URBAN: False, layout.RURAL: True}


@dataclass(frozen=True, slots=True, eq=False)
class Release:
    """What an index was built from."""

    id: str
    checksum: str  # SHA-256 of the index file's contents
    postcodes: str  # such as "ONSPD August 2026"
    starter: bool
    part: bool  # fewer postcodes than the whole country has
    rules: str  # version of the postcode rules it was built with
    count: int  # postcodes
    areas: int


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """A nation and an area's deciles in its editions, newest first, 0 where there is none.

    Some hundred profiles describe all areas: whatever follows from deciles alone is worked out once for each.
    """

    country: Country | None
    deciles: tuple[tuple[Edition, int], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """What is known of a postcode besides where exactly it lies: one object for all that are alike.

    `profile` is None unless `status` is live or terminated.
    """

    status: Status
    profile: Profile | None = None
    flags: int = 0  # LARGE_USER and LOW_PRECISION of the layout
    repaired: bool = False
    problem: postcode.Problem | None = None
    special_country: Country | None = None  # of a special postcode that names one

    @property
    def country(self) -> Country | None:
        """The nation, where one is known."""
        return self.profile.country if self.profile else self.special_country

    @property
    def large_user(self) -> bool:
        """The postcode belongs to one organisation that gets much post."""
        return bool(self.flags & layout.LARGE_USER)

    @property
    def low_precision(self) -> bool:
        """ONS could place the postcode only roughly, or not at all."""
        return bool(self.flags & layout.LOW_PRECISION)


# One Finding for each combination that occurs, some hundred, so that what follows from it is kept with it.
_finding = lru_cache(maxsize=8192)(Finding)


class Found(NamedTuple):
    """A finding, and the slot it stands in; the slot is 0 unless the postcode is in the index."""

    finding: Finding
    slot: int = 0

    @property
    def area(self) -> int:
        """Number of the area, 0 where there is none."""
        return self.slot & layout.AREA

    @property
    def introduced(self) -> int:
        """Months since December 1969; 0 where not known."""
        return self.slot >> layout.INTRODUCED_SHIFT


@dataclass(frozen=True, slots=True)
class FoundColumn:
    """What was found of every row, as arrays of equal length. `status` is a position in STATUSES."""

    status: npt.NDArray[np.uint8]
    slot: npt.NDArray[np.uint32]
    repaired: npt.NDArray[np.bool_]

    @property
    def area(self) -> npt.NDArray[np.uint32]:
        """Area numbers, 0 where there is none."""
        return self.slot & np.uint32(layout.AREA)


def _check_types(sections: Mapping[str, npt.NDArray[Any]]) -> None:
    """ValueError where a section is held as another type than lookups read."""
    if any(name in _HELD_AS and array.dtype != _HELD_AS[name] for name, array in sections.items()):
        raise ValueError("a section is held otherwise")


class Index:
    """One release of the data. Safe to share between threads; nothing in it ever changes."""

    def __init__(self, path: Path) -> None:
        """Open and check a file; IndexFileError, in one sentence, when it is not sound."""
        file = layout.read_index(path)
        header, section = file.header, file.sections
        try:
            self.editions = tuple(Edition(**edition) for edition in header["editions"])
            self.release = Release(
                id=f"{header['name']}-{file.checksum[:8]}",
                checksum=f"sha256:{file.checksum}",
                postcodes=header["postcodes"],
                starter=header["starter"],
                part=header["part"],
                rules=header["rules"],
                count=header["counts"]["postcodes"],
                areas=header["counts"]["areas"],
            )
            _check_types(section)
            self._profile: npt.NDArray[np.uint16] = section["profile"]
            self._profiles = [self._profile_of(row) for row in section["profiles"].tolist()]
            self._slots: npt.NDArray[np.uint32] = section["slots"]
            self._decile: npt.NDArray[np.uint8] = section["decile"]
            self._rank: npt.NDArray[np.uint16] = section["rank"]
            self._domain: npt.NDArray[np.uint8] = section["domain"]
            self._codes = {name: section[name] for name in ("lsoa21", "lsoa11", "lad", "icb")}
            # A file written before there was area context has none of these: everything in them is unknown.
            areas = self.release.areas + 1
            self.measures: tuple[str, ...] = tuple(header.get("measures", ()))
            self._share: npt.NDArray[np.uint8] = section.get("share", np.zeros((areas, 0), np.uint8))
            self._rural: npt.NDArray[np.uint8] = section.get("rural", np.zeros(areas, np.uint8))
            sectors: npt.NDArray[np.int32] = section["sectors"]
            self._check(sectors, section["profiles"])
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise layout.IndexFileError(f"{path} lacks something that an index must have.") from error
        self.size = file.size
        self._edition = {edition.id: i for i, edition in enumerate(self.editions)}
        # Where each sector's 400 slots begin. Block 0 is empty, and stands for every sector not held.
        blocks = np.arange(1, len(sectors) + 1, dtype=np.int32) * postcode.UNITS
        self._base = np.zeros(postcode.SECTORS, np.int32)
        self._base[sectors] = blocks
        # The same for one at a time, by the sector as it is usually written; read through
        # memoryviews, which give Python integers several times faster than arrays do.
        names = map(postcode.sector_name, sectors.tolist())
        self._blocks = dict(zip(names, blocks.tolist(), strict=True))
        self._slot_view = self._slots.data
        self._profile_view = self._profile.data
        self._findings: dict[int, Finding] = {}  # by profile and flag bits, filled as they are met
        self._decile_views = [row.data for row in self._decile]
        self._rank_views = [row.data for row in self._rank]
        self._code_views = {kind: codes.view(np.uint8).data for kind, codes in self._codes.items()}
        self._domain_views = [row.reshape(-1).data for row in self._domain]
        self._share_view = self._share.reshape(-1).data
        self._rural_view = self._rural.data

    def _check(self, sectors: npt.NDArray[np.int32], profiles: npt.NDArray[np.uint8]) -> None:
        """ValueError where sections do not fit each other, so that no lookup can go beyond one or find two answers."""
        areas, editions = self.release.areas + 1, len(self.editions)
        fits = (
            self._slots.shape == ((len(sectors) + 1) * postcode.UNITS,)
            and bool((self._slots[: postcode.UNITS] == 0).all())
            and (len(sectors) == 0 or 0 <= sectors.min() <= sectors.max() < postcode.SECTORS)
            and int((self._slots & np.uint32(layout.AREA)).max(initial=0)) < areas
            and self._profile.shape == (areas,)
            and int(self._profile.max(initial=0)) < len(self._profiles)
            and self._decile.shape == self._rank.shape == (editions, areas)
            and self._domain.shape == (editions, areas, 7)
            and int(self._decile.max(initial=0)) <= _HIGHEST
            and int(self._domain.max(initial=0)) <= _HIGHEST
            # The same deciles stand twice: by area for columns, by profile for one at a time.
            and bool((profiles[self._profile, 1:] == self._decile.T).all())
            and all(codes.shape == (areas,) for codes in self._codes.values())
            and all(int(codes.view(np.uint8).max(initial=0)) < 128 for codes in self._codes.values())
            and all(isinstance(e.id, str) and e.nation in NATIONS for e in self.editions)
            and all(isinstance(name, str) for name in self.measures)
            and self._share.shape == (areas, len(self.measures))
            and bool(((self._share <= layout.SHARE_MOST) | (self._share >= layout.SHARE_FEW)).all())
            and self._rural.shape == (areas,)
            and int(self._rural.max(initial=0)) in _RURAL
        )
        if not fits:
            raise ValueError("sections do not fit")

    def _profile_of(self, row: list[int]) -> Profile:
        country = NATIONS[row[0] - 1] if row[0] else None
        deciles = zip(self.editions, row[1:], strict=True)
        return Profile(country, tuple((e, decile) for e, decile in deciles if e.nation == country))

    # ------------------------------------------------------------------------- one at a time

    def one(self, text: str | None) -> Found:
        """Find one postcode, however it is written. Never raises."""
        try:
            slot = self._slot_view[self._blocks[text[:-2]] + _UNITS[text[-2:]]]  # type: ignore[index]
        except (KeyError, TypeError):
            slot = 0
        if not slot:
            return self._read(text)
        finding = self._findings.get(
            self._profile_view[slot & layout.AREA] << 3 | (slot & _FLAG_BITS) >> layout.AREA_BITS
        )
        return Found(finding or self._held(slot, repaired=False), slot)

    def _read(self, text: str | None) -> Found:
        read = postcode.parse(text)
        if read.kind != "real":
            country: Any = read.country
            return Found(_finding(read.kind, None, 0, read.repaired, read.problem, country))
        slot = self._slot_view[int(self._base[read.sector]) + read.unit]
        if not slot:
            return Found(_finding("not_found", None, 0, read.repaired))
        return Found(self._held(slot, repaired=read.repaired), slot)

    def _held(self, slot: int, *, repaired: bool) -> Finding:
        profile = self._profile_view[slot & layout.AREA]
        status: Status = "terminated" if slot & layout.TERMINATED else "live"
        flags = slot & (layout.LARGE_USER | layout.LOW_PRECISION)
        finding = _finding(status, self._profiles[profile], flags, repaired)
        if not repaired:
            self._findings[profile << 3 | (slot & _FLAG_BITS) >> layout.AREA_BITS] = finding
        return finding

    def each(self, texts: Sequence[str | None]) -> tuple[list[Finding], npt.NDArray[np.uint32]]:
        """`one` for every text, as findings and slots: for a list, far from the processor's caches, much faster."""
        column = self.many(TextColumn.of(texts))
        keys = self._profile.take(column.area).astype(np.int64) << 3
        keys |= (column.slot & np.uint32(_FLAG_BITS)) >> np.uint32(layout.AREA_BITS)
        held = self._findings
        findings: list[Any] = [held.get(key) for key in keys.tolist()]
        alone = (column.slot == 0) | column.repaired
        for row in np.flatnonzero(alone).tolist():
            findings[row] = self._read(texts[row]).finding
        for row, finding in enumerate(findings):
            if finding is None:
                findings[row] = self._held(int(column.slot[row]), repaired=False)
        return findings, column.slot

    def decile(self, area: int, edition: str) -> int | None:
        """The decile of an area in an edition, 1 (most deprived) to 10; None where there is none."""
        i = self._edition.get(edition)
        return None if i is None else self._decile_views[i][area] or None

    def domains(self, area: int, edition: str) -> tuple[int, ...] | None:
        """Deciles in the order of DOMAINS, 0 where one is not known; None where none is."""
        i = self._edition.get(edition)
        values = _SEVEN.unpack_from(self._domain_views[i], area * 7) if i is not None else ()
        return values if any(values) else None

    def domains_each(self, slots: npt.NDArray[np.uint32], edition: str) -> list[tuple[int, ...] | None]:
        """`domains` of every slot; None where the slot is 0."""
        i = self._edition.get(edition)
        if i is None:
            return [None] * len(slots)
        rows = self._domain[i].take(slots & np.uint32(layout.AREA), axis=0)
        return [
            tuple(row) if known else None for row, known in zip(rows.tolist(), rows.any(axis=1).tolist(), strict=True)
        ]

    def rank(self, area: int, edition: str) -> int | None:
        """The published rank of an area, 1 the most deprived; None where there is none."""
        i = self._edition.get(edition)
        return None if i is None else self._rank_views[i][area] or None

    def shares(self, area: int) -> tuple[int | None, ...]:
        """Shares of an area's residents or households, in the order of `measures`.

        Whole percent 0 to 100; FEW where they are fewer than ten; None where the share is not known.
        """
        n = len(self.measures)
        return tuple([_SHARES[stored] for stored in self._share_view[area * n : area * n + n]])

    def rural(self, area: int) -> bool | None:
        """Whether an area is rural (True) or urban (False) in its nation's classification; None where not known."""
        return _RURAL[self._rural_view[area]]

    def rural_each(self, slots: npt.NDArray[np.uint32]) -> npt.NDArray[np.bool_]:
        """Whether `rural` is True of every slot's area."""
        rural: npt.NDArray[np.bool_] = self._rural.take(slots & np.uint32(layout.AREA)) == layout.RURAL
        return rural

    def code(self, area: int, kind: str) -> str | None:
        """A GSS code of an area: `lsoa21`, `lsoa11`, `lad` or `icb`; None where it is not known."""
        return self._code_views[kind][area * 9 : area * 9 + 9].tobytes().rstrip(b"\0").decode() or None

    # ------------------------------------------------------------------------- a whole column

    def many(self, column: TextColumn) -> FoundColumn:
        """Find every row of a column: the same answer as `one` for each."""
        n = len(column)
        found = FoundColumn(np.zeros(n, np.uint8), np.zeros(n, np.uint32), np.zeros(n, np.bool_))
        missed = []
        for start in range(0, n, postcode.CHUNK):
            stop = min(start + postcode.CHUNK, n)
            slot = self._slots_of(*postcode.pack(column, start, stop))
            found.slot[start:stop] = slot
            found.status[start:stop] = (slot & np.uint32(layout.TERMINATED)) != 0
            missed.append(np.flatnonzero(slot == 0) + start)
        rows = np.concatenate(missed) if missed else np.zeros(0, np.intp)
        if len(rows):
            self._read_column(column, rows, found)
        return found

    def _read_column(self, column: TextColumn, rows: npt.NDArray[np.intp], found: FoundColumn) -> None:
        read = postcode.parse_column(column.take(rows, postcode.longest_bytes()))
        slot = self._slots_of(read.sector, read.unit)
        status = _STATUS_OF_KIND[read.kind]
        held = slot != 0
        status[held] = (slot[held] & np.uint32(layout.TERMINATED)) != 0
        found.slot[rows], found.status[rows], found.repaired[rows] = slot, status, read.repaired

    def _slots_of(self, sector: postcode.Int32s, unit: postcode.Int32s) -> npt.NDArray[np.uint32]:
        sector = np.where((sector | unit) >= 0, sector, 0)
        where = self._base.take(sector, mode="wrap") + np.maximum(unit, 0)
        slots: npt.NDArray[np.uint32] = self._slots.take(where, mode="wrap")
        return slots

    @property
    def profile_count(self) -> int:
        """How many profiles there are; their numbers are below this."""
        return len(self._profiles)

    def profile_numbers(self, area: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint16]:
        """Numbers that are the same for areas with the same profile; of area 0, that of no profile at all."""
        numbers: npt.NDArray[np.uint16] = self._profile.take(area)
        return numbers

    def domain_rows(self, area: npt.NDArray[np.uint32], edition: str) -> npt.NDArray[np.uint8]:
        """`domains` of every area as rows of seven, 0 where one is not known."""
        i = self._edition.get(edition)
        if i is None:
            return np.zeros((len(area), 7), np.uint8)
        rows: npt.NDArray[np.uint8] = self._domain[i].take(area, axis=0)
        return rows

    def codes(self, kind: str) -> list[str | None]:
        """`code` of every area there is, by its number."""
        return [code.decode() or None for code in self._codes[kind].tolist()]

    def deciles(self, found: FoundColumn, edition: str) -> npt.NDArray[np.uint8]:
        """Deciles of a column in an edition, 0 where there is none."""
        i = self._edition.get(edition)
        if i is None:
            return np.zeros(len(found.slot), np.uint8)
        deciles: npt.NDArray[np.uint8] = self._decile[i].take(found.area, mode="wrap")
        return deciles
