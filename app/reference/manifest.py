"""What the official releases are: `data/imd/manifest.toml`, read and checked."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Literal

Kind = Literal["postcodes", "deprivation", "census", "lsoa_change", "lsoa_icb", "lsoa_lad"]
Rurality = Literal["unknown", "urban", "rural"]


@dataclass(frozen=True, slots=True)
class Fact:
    """A published value that a build must reproduce."""

    area: str
    rank: int
    decile: int | None = None


@dataclass(frozen=True, slots=True)
class Edition:
    """One publication of one nation's index of deprivation."""

    id: str
    nation: str
    title: str
    publisher: str
    published: date
    geography: str
    areas: int
    decile: Literal["published", "computed"]
    licence: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class CountFact:
    """Published counts that a build must reproduce."""

    area: str
    numerator: int
    denominator: int


@dataclass(frozen=True, slots=True)
class Measure:
    """One share of an LSOA's residents or households, such as households without a car or van."""

    id: str
    title: str
    source: str
    publisher: str
    licence: str
    facts: tuple[CountFact, ...]


@dataclass(frozen=True, slots=True)
class CountColumns:
    """The concepts that a file counts a measure in; those of the numerator are added up."""

    numerator: tuple[str, ...]
    denominator: str


@dataclass(frozen=True, slots=True)
class KnownDefect:
    """Rows of one known copy that are reported and not trusted."""

    columns: tuple[str, ...]
    rows: int
    postcodes: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Search:
    """How the newest item of a product is found on ArcGIS."""

    product: str
    title: str
    name: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Release:
    """One kind of official file, and how it is recognised by its columns."""

    id: str
    kind: Kind
    title: str
    publisher: str
    licence: str
    required: tuple[str, ...]
    columns: Mapping[str, tuple[re.Pattern[str], ...]]
    any_of: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    edition: str | None = None
    part: bool = False
    rows: int | None = None
    rows_at_least: int | None = None
    url: str | None = None
    file_name: re.Pattern[str] | None = None
    rank_editions: Mapping[str, Mapping[str, str]] | None = None
    bare_rank_since: date | None = None
    known_defects: tuple[KnownDefect, ...] = ()
    searches: tuple[Search, ...] = ()
    # What its area codes look like, where tables of other geographies have the same columns.
    area_code: re.Pattern[str] | None = None
    measures: Mapping[str, CountColumns] = field(default_factory=dict)
    # By column of a rural-urban classification: its codes, and what each says.
    rural_codes: Mapping[str, Mapping[str, Rurality]] = field(default_factory=dict)

    def match(self, header: Sequence[str]) -> dict[str, str] | None:
        """Concept to column name as the file writes it, or None where this is another file."""
        found: dict[str, str] = {}
        tidy = {" ".join(name.split()).lower(): name for name in reversed(header)}
        for concept, patterns in self.columns.items():
            for pattern in patterns:
                hit = next((name for key, name in tidy.items() if pattern.fullmatch(key)), None)
                if hit is not None:
                    found[concept] = hit
                    break
        if not all(concept in found for concept in self.required):
            return None
        if self.any_of and not any(concept in found for concept in self.any_of):
            return None
        if any(concept in found for concept in self.absent):
            return None
        return found


@dataclass(frozen=True, slots=True)
class Manifest:
    """Every edition and release that a build knows."""

    version: str
    editions: Mapping[str, Edition]
    measures: Mapping[str, Measure]  # in the order in which an index holds them
    releases: tuple[Release, ...]

    def recognise(self, header: Sequence[str]) -> tuple[Release, dict[str, str]] | None:
        """The first release that a header fits, with its columns."""
        for release in self.releases:
            columns = release.match(header)
            if columns is not None:
                return release, columns
        return None


def packaged_data() -> Path:
    """The folder of manifest and starter data: inside an installed wheel, or in a checkout."""
    installed = Path(__file__).parent / "data"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "data" / "imd"


@cache
def manifest() -> Manifest:
    """The manifest that this version ships."""
    return read_manifest(packaged_data() / "manifest.toml")


def read_manifest(path: Path) -> Manifest:
    """Read a manifest; KeyError or TypeError where it is not well formed."""
    data = tomllib.loads(path.read_text("utf-8"))
    editions = {e["id"]: _edition(e) for e in data["edition"]}
    measures = {m["id"]: _measure(m) for m in data["measure"]}
    releases = tuple(_release(r) for r in data["release"])
    for release in releases:
        if release.edition is not None and release.edition not in editions:
            raise KeyError(release.edition)
        for name, counted in release.measures.items():
            if name not in measures or not {*counted.numerator, counted.denominator} <= {*release.required}:
                raise KeyError(name)
    return Manifest(data["version"], editions, measures, releases)


def _edition(data: dict[str, Any]) -> Edition:
    data = {key: value for key, value in data.items() if key != "facts_source"}
    return Edition(**(data | {"facts": tuple(Fact(**fact) for fact in data["facts"])}))


def _measure(data: dict[str, Any]) -> Measure:
    return Measure(**(data | {"facts": tuple(CountFact(**fact) for fact in data["facts"])}))


def _release(data: dict[str, Any]) -> Release:
    data = dict(data)
    return Release(
        required=tuple(data.pop("required")),
        any_of=tuple(data.pop("any_of", ())),
        absent=tuple(data.pop("absent", ())),
        columns={
            concept: tuple(re.compile(p, re.IGNORECASE) for p in patterns)
            for concept, patterns in data.pop("columns").items()
        },
        file_name=re.compile(data.pop("file_name"), re.IGNORECASE) if "file_name" in data else None,
        area_code=re.compile(data.pop("area_code")) if "area_code" in data else None,
        measures={
            name: CountColumns(tuple(counted["numerator"]), counted["denominator"])
            for name, counted in data.pop("measures", {}).items()
        },
        rural_codes={
            concept: {code: said for said, codes in table.items() for code in codes}
            for concept, table in data.pop("rural_codes", {}).items()
        },
        known_defects=tuple(
            KnownDefect(tuple(d["columns"]), d["rows"], tuple(d["postcodes"]), d["reason"])
            for d in data.pop("known_defect", ())
        ),
        searches=tuple(
            Search(s["product"], s["title"], re.compile(s["name"], re.IGNORECASE)) for s in data.pop("search", ())
        ),
        **data,
    )
