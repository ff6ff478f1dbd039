"""A built index, opened by mmap: one postcode, or a whole column of them, to its area and deciles."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
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
_SEVEN: Final = struct.Struct("7B")
_UNITS: Final = {name: i for i, name in enumerate(postcode.unit_names())}


@dataclass(frozen=True, slots=True, eq=False)
class Release:
    """What an index was built from."""

    id: str
    checksum: str  # SHA-256 of the index file's contents
    postcodes: str  # such as "ONSPD August 2026"
    starter: bool
    rules: str  # version of the postcode rules it was built with
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """A nation and an area's deciles in its editions, newest first, 0 where there is none.

    Some hundred profiles describe all areas: whatever follows from deciles alone is worked out once for each.
    """

    country: Country | None
    deciles: tuple[tuple[Edition, int], ...]


class Found(NamedTuple):
    """What is known of one string: `area` is 0 and `profile` None unless `status` is live or terminated."""

    status: Status
    area: int = 0
    profile: Profile | None = None
    slot: int = 0
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
        return bool(self.slot & layout.LARGE_USER)

    @property
    def low_precision(self) -> bool:
        """ONS could place the postcode only roughly, or not at all."""
        return bool(self.slot & layout.LOW_PRECISION)

    @property
    def introduced(self) -> int:
        """Months since December 1969; 0 where not known."""
        return self.slot >> layout.INTRODUCED_SHIFT


@dataclass(frozen=True, slots=True)
class FoundColumn:
    """`Found` of every row, as arrays of equal length. `status` is a position in STATUSES."""

    status: npt.NDArray[np.uint8]
    slot: npt.NDArray[np.uint32]
    repaired: npt.NDArray[np.bool_]

    @property
    def area(self) -> npt.NDArray[np.uint32]:
        """Area numbers, 0 where there is none."""
        return self.slot & np.uint32(layout.AREA)


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
                rules=header["rules"],
                counts=header["counts"],
            )
            self._slots: npt.NDArray[np.uint32] = section["slots"]
            self._profile_view = section["profile"].data
            self._profiles = [self._profile_of(row) for row in section["profiles"].tolist()]
            self._decile: npt.NDArray[np.uint8] = section["decile"]
            self._rank: npt.NDArray[np.uint16] = section["rank"]
            self._domain: npt.NDArray[np.uint8] = section["domain"]
            self._codes = {name: section[name] for name in ("lsoa21", "lsoa11", "lad", "icb")}
            sectors: npt.NDArray[np.int32] = section["sectors"]
        except (KeyError, TypeError) as error:
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
        self._decile_views = [row.data for row in self._decile]
        self._domain_views = [row.reshape(-1).data for row in self._domain]

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
        return self._found(slot, False) if slot else self._read(text)

    def _read(self, text: str | None) -> Found:
        read = postcode.parse(text)
        if read.kind != "real":
            country: Any = read.country
            return Found(read.kind, problem=read.problem, special_country=country)
        slot = self._slot_view[int(self._base[read.sector]) + read.unit]
        return self._found(slot, read.repaired) if slot else Found("not_found", repaired=read.repaired)

    def _found(self, slot: int, repaired: bool) -> Found:
        area = slot & layout.AREA
        status: Status = "terminated" if slot & layout.TERMINATED else "live"
        return Found(status, area, self._profiles[self._profile_view[area]], slot, repaired)

    def decile(self, area: int, edition: str) -> int | None:
        """The decile of an area in an edition, 1 (most deprived) to 10; None where there is none."""
        i = self._edition.get(edition)
        return None if i is None else self._decile_views[i][area] or None

    def domains(self, area: int, edition: str) -> tuple[int, ...] | None:
        """Deciles in the order of DOMAINS, 0 where one is not known; None where none is."""
        i = self._edition.get(edition)
        values = _SEVEN.unpack_from(self._domain_views[i], area * 7) if i is not None else ()
        return values if any(values) else None

    def rank(self, area: int, edition: str) -> int | None:
        """The published rank of an area, 1 the most deprived; None where there is none."""
        i = self._edition.get(edition)
        return None if i is None else int(self._rank[i, area]) or None

    def code(self, area: int, kind: str) -> str | None:
        """A GSS code of an area: `lsoa21`, `lsoa11`, `lad` or `icb`; None where it is not known."""
        return self._codes[kind][area].decode() or None

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

    def deciles(self, found: FoundColumn, edition: str) -> npt.NDArray[np.uint8]:
        """Deciles of a column in an edition, 0 where there is none."""
        i = self._edition.get(edition)
        if i is None:
            return np.zeros(len(found.slot), np.uint8)
        deciles: npt.NDArray[np.uint8] = self._decile[i].take(found.area, mode="wrap")
        return deciles
