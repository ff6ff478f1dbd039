"""Two built releases side by side: what became of every postcode, every area and every edition.

Both index files are read as arrays, and each postcode is counted under what it was and what it is. All that follows is
worked out on those counts, some hundred thousand at most.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from app.lookup import layout, postcode
from app.lookup.deprivation import NATIONS, in_core20
from app.reference.manifest import Manifest
from app.reference.releases import INDEX_FILE, PROVENANCE_FILE

CODES: Final = ("lsoa21", "lsoa11", "lad", "icb")
PLACES: Final = (*NATIONS, "no nation known")
_SIDE_BITS: Final = layout.AREA_BITS + 1  # of a slot: the area, and whether it is terminated
_SIDE: Final = np.uint32(layout.AREA | layout.TERMINATED)
_CORE20: Final = np.array([False, *(in_core20(decile) for decile in range(1, 11))])

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Change:
    """One number before and after."""

    before: int
    after: int


@dataclass(frozen=True, slots=True)
class PostcodeChanges:
    """How many postcodes there are, and what became of them."""

    total: Change
    both: int  # held by both releases
    new: int
    gone: int
    terminated: int  # live before
    revived: int  # terminated before
    moved_nation: int  # both nations known, and another


@dataclass(frozen=True, slots=True)
class CodeChanges:
    """One kind of area code: how many there are, and how many postcodes lie in another."""

    codes: Change
    new: int
    gone: int
    moved: int  # postcodes whose code is known in both releases, and another
    lost: int  # postcodes whose code was known


@dataclass(frozen=True, slots=True)
class EditionChanges:
    """One edition of one nation's index of deprivation."""

    nation: str
    held: tuple[bool, bool]  # by the release before, and by the one after
    same_files: bool  # built from the same official files, byte for byte
    compared: int  # areas that both releases have a decile of
    deciles_changed: int  # of them, those with another decile or rank
    domains_changed: int  # of them, those with another decile of a domain
    live: Change  # live postcodes of the nation
    covered: Change  # of them, those with a decile
    both: int  # postcodes with a decile in both releases
    moved: int  # of them, those with another: they lie in another area, or the area's changed
    lost: int  # postcodes that had a decile and have none
    gained: int
    core20: Change | None  # live postcodes in Core20, of an English edition
    into_core20: int
    out_of_core20: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """What changed between the release that is current and one that is to become it."""

    before: str
    after: str
    directories: tuple[str, str]  # such as "ONSPD May 2026"
    part: tuple[bool, bool]
    postcodes: PostcodeChanges
    places: dict[str, dict[str, Change]]  # by nation, then "live" and "terminated"
    codes: dict[str, CodeChanges]
    editions: dict[str, EditionChanges]
    context: dict[str, Change]  # live postcodes whose area has a measure, or is known to be rural or urban

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Side:
    """One release as arrays by area, and of every kind of postcode its area and whether it is live."""

    file: layout.IndexFile
    area: Ints
    held: Bools
    live: Bools

    def of_areas(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The value of each kind of postcode, of values by area."""
        taken: npt.NDArray[Any] = values[self.area]
        return taken

    @property
    def nation(self) -> npt.NDArray[Any]:
        """By area: a position in NATIONS and one more, 0 where none is known."""
        nations: npt.NDArray[Any] = self.file.sections["profiles"][:, 0][self.file.sections["profile"]]
        return nations

    def row(self, edition: str) -> int | None:
        """Where an edition stands in the sections of deciles."""
        return next((i for i, e in enumerate(self.file.header["editions"]) if e["id"] == edition), None)

    def by_area(self, section: str, edition: str) -> npt.NDArray[Any]:
        """Values of an edition, all 0 where it is not held."""
        values, row = self.file.sections[section], self.row(edition)
        found: npt.NDArray[Any] = np.zeros_like(values[0]) if row is None else values[row]
        return found

    def known(self, measure: str) -> Bools:
        """By area: whether a measure, or `rural`, is known."""
        areas, sections = self.file.header["counts"]["areas"] + 1, self.file.sections
        measures = self.file.header.get("measures", [])
        if measure == "rural":
            known: Bools = sections.get("rural", np.zeros(areas, np.uint8)) != layout.RURAL_UNKNOWN
        elif measure in measures:
            known = sections["share"][:, measures.index(measure)] != layout.SHARE_UNKNOWN
        else:
            known = np.zeros(areas, np.bool_)
        return known


def compare(before: Path, after: Path, manifest: Manifest) -> Comparison:
    """Compare the releases in two folders. IndexFileError, in one sentence, where one is not sound."""
    files = layout.read_index(before / INDEX_FILE), layout.read_index(after / INDEX_FILE)
    old, new, many = _tally(*files)
    headers = [file.header for file in files]
    names = dict.fromkeys(e["id"] for header in headers for e in header["editions"])
    sources = _sources(before), _sources(after)
    context = dict.fromkeys([m for header in headers for m in header.get("measures", [])] + ["rural"])
    return Comparison(
        before=_id(files[0]),
        after=_id(files[1]),
        directories=(headers[0]["postcodes"], headers[1]["postcodes"]),
        part=(headers[0]["part"], headers[1]["part"]),
        postcodes=_postcodes(old, new, many),
        places=_places(old, new, many),
        codes={kind: _codes(old, new, many, kind) for kind in CODES},
        editions={name: _edition(old, new, many, name, manifest, sources) for name in names},
        context={
            name: Change(*(_sum(many, s.live & s.of_areas(s.known(name))) for s in (old, new))) for name in context
        },
    )


def _id(file: layout.IndexFile) -> str:
    return f"{file.header['name']}-{file.checksum[:8]}"


def _sources(folder: Path) -> dict[str, set[str]]:
    """The digests of each edition's official files; none where the provenance cannot be read."""
    try:
        files = json.loads((folder / PROVENANCE_FILE).read_text("utf-8"))["files"]
        found: dict[str, set[str]] = {}
        for file in files:
            found.setdefault(file["edition"], set()).add(file["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return found


def _tally(before: layout.IndexFile, after: layout.IndexFile) -> tuple[_Side, _Side, Ints]:
    """Every postcode of either release, counted under where it was and is, and whether it was and is live."""
    sectors = np.union1d(before.sections["sectors"], after.sections["sectors"])
    pairs = _aligned(after, sectors).astype(np.int64)
    pairs |= _aligned(before, sectors).astype(np.int64) << _SIDE_BITS
    kinds, many = np.unique(pairs[pairs > 0], return_counts=True)
    old, new = kinds >> _SIDE_BITS, kinds & int(_SIDE)
    return _side(before, old), _side(after, new), many


def _aligned(file: layout.IndexFile, sectors: npt.NDArray[np.int32]) -> npt.NDArray[np.uint32]:
    """The slots of a release, in the blocks of these sectors."""
    slots = np.zeros((len(sectors), postcode.UNITS), np.uint32)
    rows = np.searchsorted(sectors, file.sections["sectors"])
    slots[rows] = file.sections["slots"].reshape(-1, postcode.UNITS)[1:] & _SIDE
    return slots.reshape(-1)


def _side(file: layout.IndexFile, slots: Ints) -> _Side:
    area = slots & layout.AREA
    return _Side(file, area, area > 0, (area > 0) & (slots & layout.TERMINATED == 0))


def _sum(many: Ints, which: npt.NDArray[Any]) -> int:
    return int(many[which].sum())


def _postcodes(old: _Side, new: _Side, many: Ints) -> PostcodeChanges:
    both = old.held & new.held
    nations = old.of_areas(old.nation), new.of_areas(new.nation)
    moved = (nations[0] != nations[1]) & (nations[0] > 0) & (nations[1] > 0)
    return PostcodeChanges(
        total=Change(_sum(many, old.held), _sum(many, new.held)),
        both=_sum(many, both),
        new=_sum(many, ~old.held),
        gone=_sum(many, ~new.held),
        terminated=_sum(many, both & old.live & ~new.live),
        revived=_sum(many, both & ~old.live & new.live),
        moved_nation=_sum(many, both & moved),
    )


def _places(old: _Side, new: _Side, many: Ints) -> dict[str, dict[str, Change]]:
    nations = [side.of_areas(side.nation) for side in (old, new)]
    places: dict[str, dict[str, Change]] = {}
    for number, place in zip((*range(1, len(NATIONS) + 1), 0), PLACES, strict=True):
        here = [side.held & (nation == number) for side, nation in zip((old, new), nations, strict=True)]
        places[place] = {
            "live": Change(_sum(many, here[0] & old.live), _sum(many, here[1] & new.live)),
            "terminated": Change(_sum(many, here[0] & ~old.live), _sum(many, here[1] & ~new.live)),
        }
    return places


def _numbered(old: npt.NDArray[Any], new: npt.NDArray[Any]) -> tuple[Ints, Ints]:
    """Numbers for the values of two arrays, equal where the values are; the least value is 0."""
    _, numbers = np.unique(np.concatenate([old, new]), return_inverse=True)
    return numbers[: len(old)], numbers[len(old) :]


def _codes(old: _Side, new: _Side, many: Ints, kind: str) -> CodeChanges:
    # Row 0 of every index is no area, with no code: the empty code is number 0.
    numbers = _numbered(old.file.sections[kind], new.file.sections[kind])
    here = [np.unique(n[n > 0]) for n in numbers]
    was, now = old.of_areas(numbers[0]), new.of_areas(numbers[1])
    both = old.held & new.held & (was > 0)
    return CodeChanges(
        codes=Change(len(here[0]), len(here[1])),
        new=len(np.setdiff1d(here[1], here[0])),
        gone=len(np.setdiff1d(here[0], here[1])),
        moved=_sum(many, both & (now > 0) & (was != now)),
        lost=_sum(many, both & (now == 0)),
    )


def _edition(
    old: _Side, new: _Side, many: Ints, name: str, manifest: Manifest, sources: tuple[Mapping[str, set[str]], ...]
) -> EditionChanges:
    known = manifest.editions.get(name)
    nation = next(e["nation"] for side in (old, new) for e in side.file.header["editions"] if e["id"] == name)
    geography = known.geography if known else ""
    ranks = _packed(old, name, ("decile", "rank")), _packed(new, name, ("decile", "rank"))
    domains = _packed(old, name, ("domain",)), _packed(new, name, ("domain",))
    compared, changed = _areas_apart(old, new, name, geography, ranks)
    _, domains_changed = _areas_apart(old, new, name, geography, domains)
    was, now = (side.of_areas(side.by_area("decile", name)) for side in (old, new))
    here = [side.live & (side.of_areas(side.nation) == NATIONS.index(nation) + 1) for side in (old, new)]
    both = old.held & new.held
    told = both & (was > 0) & (now > 0)
    core20 = Change(_sum(many, here[0] & _CORE20[was]), _sum(many, here[1] & _CORE20[now]))
    return EditionChanges(
        nation=nation,
        held=(old.row(name) is not None, new.row(name) is not None),
        same_files=sources[0].get(name) == sources[1].get(name),
        compared=compared,
        deciles_changed=changed,
        domains_changed=domains_changed,
        live=Change(_sum(many, here[0]), _sum(many, here[1])),
        covered=Change(_sum(many, here[0] & (was > 0)), _sum(many, here[1] & (now > 0))),
        both=_sum(many, told),
        moved=_sum(many, told & (was != now)),
        lost=_sum(many, both & (was > 0) & (now == 0)),
        gained=_sum(many, both & (was == 0) & (now > 0)),
        core20=core20 if nation == "England" else None,
        into_core20=_sum(many, told & ~_CORE20[was] & _CORE20[now]) if nation == "England" else 0,
        out_of_core20=_sum(many, told & _CORE20[was] & ~_CORE20[now]) if nation == "England" else 0,
    )


def _packed(side: _Side, edition: str, sections: tuple[str, ...]) -> Ints:
    """What an edition says of each area, as one number: a decile takes 4 bits, a rank 16."""
    packed = np.zeros(len(side.file.sections["profile"]), np.int64)
    for section in sections:
        values = side.by_area(section, edition)
        for column in values.T if values.ndim > 1 else [values]:
            packed = packed << (16 if section == "rank" else 4) | column.astype(np.int64)
    return packed


def _areas_apart(old: _Side, new: _Side, edition: str, geography: str, packed: tuple[Ints, Ints]) -> tuple[int, int]:
    """How many areas of an edition's geography have a decile in both releases, and of how many the values differ."""
    codes = _numbered(_own_codes(old, geography), _own_codes(new, geography))
    values = _numbered(*packed)
    told = [(side.by_area("decile", edition) > 0) & (c > 0) for side, c in zip((old, new), codes, strict=True)]
    both = np.intersect1d(codes[0][told[0]], codes[1][told[1]])
    # An area with two rows of different values is told apart too: the set of values must be the same.
    was, now = (np.unique(c[t] << 32 | v[t]) for c, v, t in zip(codes, values, told, strict=True))
    apart = np.intersect1d(np.setxor1d(was, now) >> 32, both)
    return len(both), len(apart)


def _own_codes(side: _Side, geography: str) -> npt.NDArray[Any]:
    """The code of each area in the geography of an edition; beyond England and Wales it stands in either column."""
    lsoa21, lsoa11 = side.file.sections["lsoa21"], side.file.sections["lsoa11"]
    if geography.startswith("LSOA"):
        return lsoa21 if geography == "LSOA 2021" else lsoa11
    return np.where(lsoa11 == b"", lsoa21, lsoa11)
