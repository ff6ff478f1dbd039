"""Official files to a verified index: read, join, check, write, read back, and only then hand over."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from app.lookup import layout, postcode
from app.lookup.deprivation import DOMAINS, NATIONS
from app.lookup.index import FEW, Index
from app.lookup.text import TextColumn
from app.reference import areas as area_tables
from app.reference import postcodes as directories
from app.reference import shares as share_tables
from app.reference.errors import ReferenceDataError
from app.reference.manifest import Manifest, Measure
from app.reference.releases import INDEX_FILE, PROVENANCE_FILE
from app.reference.sources import Source, discover, sha256, unpacked_size

_CODE_COLUMNS: Final = ("lsoa21", "lsoa11", "lad", "icb")
_GSS_NATION: Final = {"E92000001": 1, "W92000004": 2, "S92000003": 3, "N92000002": 4}
# Refused beyond these; below them, counted in the provenance.
_MOST_UNREADABLE: Final = 1e-4  # postcodes of an official file that no rule can read
_MOST_RANKS_APART: Final = 1e-3  # postcodes whose own rank column contradicts the join
_LEAST_MATCHED: Final = 0.97  # live postcodes in England with a decile of the newest English edition
_MOST_WITHOUT_NATION: Final = 0.01  # live postcodes without any code; 0.3% of NSPL August 2024


@dataclass(slots=True)
class BuildReport:
    """What a build found: the provenance that is kept beside the index."""

    tool: str = ""
    built_at: str = ""
    manifest: str = ""
    postcodes: str = ""
    starter: bool = False
    part: bool = False
    files: list[dict[str, Any]] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    editions: list[dict[str, Any]] = field(default_factory=list)
    measures: list[dict[str, Any]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    coverage: dict[str, dict[str, float]] = field(default_factory=dict)
    introduced_until: str | None = None  # newest month of introduction that is known of a postcode
    untrusted: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    release: str = ""
    checksum: str = ""
    index_bytes: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How much is asked of a build before it is handed over."""

    allow_part: bool = False  # fewer postcodes than the whole country
    starter: bool = False  # named as such in every answer


def build(
    paths: list[Path],
    folder: Path,
    manifest: Manifest,
    options: BuildOptions,
    on_progress: Callable[[str, int, int], None] = lambda *_: None,
) -> BuildReport:
    """Write the index and its provenance into an empty folder. ReferenceDataError when anything is doubtful."""
    began = time.perf_counter()
    sources, ignored = discover(paths, manifest)
    report = BuildReport(
        tool=f"imd-lens {metadata.version('imd-lens')}",
        built_at=datetime.now(UTC).isoformat(timespec="seconds"),
        manifest=manifest.version,
        starter=options.starter,
        ignored=ignored,
    )
    by_kind = _by_kind(sources)
    editions = area_tables.read_editions(by_kind.get("deprivation", []), manifest)
    measures = share_tables.read_measures(sources, manifest)
    lookups = area_tables.read_lookups([s for k in ("lsoa_change", "lsoa_icb", "lsoa_lad") for s in by_kind.get(k, [])])
    releases = directories.chosen(by_kind["postcodes"])
    notes = directories.ReadNotes()
    directory = _read_postcodes(releases, notes, on_progress)
    report.postcodes = releases[0][0]
    report.untrusted, report.warnings = notes.untrusted, notes.warnings
    _check_reading(directory, notes, releases, options, report)

    on_progress("Joining", 0, 1)
    areas, area_of = _areas(directory)
    areas = area_tables.complete(areas, lookups, report.counts)
    held = _edition_values(areas, editions, manifest, lookups, by_kind, report)
    shares = share_tables.resolve(areas, measures)
    report.measures = [_told(manifest.measures[name], areas, shares[name]) for name in measures]
    _count(report, directory, areas, area_of, held, notes)
    _count_context(report, directory, areas, area_of, shares)
    _check_coverage(report)
    on_progress("Joining", 1, 1)

    header, sections = _index(report, directory, areas, area_of, held, manifest)
    header["measures"] = list(measures)
    if len(shares.columns):
        nowhere = np.full((1, len(shares.columns)), layout.SHARE_UNKNOWN, np.uint8)
        sections["share"] = np.concatenate([nowhere, shares.to_numpy(np.uint8)])
    sections["rural"] = np.concatenate([[layout.RURAL_UNKNOWN], areas[directories.RURAL]]).astype(np.uint8)
    path = folder / INDEX_FILE
    layout.write_index(path, header, sections)
    on_progress("Reading back", 0, 1)
    index = _read_back(path, directory, areas, area_of, held, shares)
    on_progress("Reading back", 1, 1)
    report.files = _files(sources, releases, notes, manifest)
    report.release, report.checksum, report.index_bytes = index.release.id, index.release.checksum, index.size
    report.seconds = round(time.perf_counter() - began, 1)
    (folder / PROVENANCE_FILE).write_text(json.dumps(asdict(report), indent=1, ensure_ascii=False), "utf-8")
    return report


def _by_kind(sources: list[Source]) -> dict[str, list[Source]]:
    by_kind: dict[str, list[Source]] = {}
    for source in sources:
        by_kind.setdefault(source.release.kind, []).append(source)
    for kind, what in (
        ("postcodes", "a postcode directory (ONSPD or NSPL)"),
        ("deprivation", "an index of deprivation (such as IoD2025 File 7)"),
    ):
        if kind not in by_kind:
            raise ReferenceDataError(f"There is no {what} among these files.")
    return by_kind


def _read_postcodes(
    releases: list[tuple[str, list[Source]]],
    notes: directories.ReadNotes,
    on_progress: Callable[[str, int, int], None],
) -> directories.Directory:
    total = sum(unpacked_size(s) for _, sources in releases for s in sources)
    done = 0

    def on_bytes(n: int) -> None:
        nonlocal done
        done += n
        on_progress("Reading postcodes", min(done, total), total)

    return directories.read_directories(releases, notes, on_bytes)


def _check_reading(
    directory: directories.Directory,
    notes: directories.ReadNotes,
    releases: list[tuple[str, list[Source]]],
    options: BuildOptions,
    report: BuildReport,
) -> None:
    rows = sum(notes.rows.values())
    unreadable = notes.special.get("malformed", 0)
    if unreadable > rows * _MOST_UNREADABLE:
        raise ReferenceDataError(
            f"{unreadable} of {rows} postcodes cannot be read as postcodes, first at {notes.unreadable[0]}."
        )
    report.warnings += [f"not a postcode: {where}" for where in notes.unreadable]
    release = releases[0][1][0].release
    report.part = not directories.is_whole(release, notes.newest)
    if report.part and not options.allow_part:
        raise ReferenceDataError(
            f"Only {notes.newest:,} postcodes in {releases[0][0]}, where the whole country has more than"
            f" {release.rows_at_least:,}: give the rest of that release too, or allow a part with --allow-part."
        )
    if not len(directory.keys):
        raise ReferenceDataError(f"{releases[0][0]}: there is no postcode in it that can be looked up.")
    missing = [c for c in ("terminated", "user_type", "positional_quality") if c not in releases[0][1][0].columns]
    if missing:
        report.warnings.append(
            f"{releases[0][0]} has no column for {', '.join(missing)}: taken from older files that have the postcode."
        )
    if len(releases) > 1:
        older = ", ".join(name for name, _ in releases[1:])
        report.warnings.append(f"{releases[0][0]} is filled up from older releases: {older}.")


def _areas(directory: directories.Directory) -> tuple[pd.DataFrame, npt.NDArray[np.int64]]:
    """One row for each combination of codes, ranks and rurality, and the row of each postcode. Row 0 is no area."""
    keyed = list(directories.PLACE)
    rows = pd.DataFrame({c: directory.columns[c] for c in keyed})
    number: npt.NDArray[np.int64] = rows.groupby(keyed, sort=False).ngroup().to_numpy().astype(np.int64) + 1
    first = np.concatenate([[True], np.diff(np.maximum.accumulate(number)) > 0])
    areas = rows[first].reset_index(drop=True)
    areas.index = areas.index + 1
    words = np.array([*directory.vocabulary, ""], dtype=object)
    text = pd.DataFrame({c: words[areas[c].to_numpy()] for c in directories.CODES}, index=areas.index)
    names = {code: NATIONS[n - 1] for code, n in _GSS_NATION.items()}
    text["country"] = [names.get(code, "") for code in text["country"]]
    numbers = [c for c in keyed if c not in directories.CODES]
    text[numbers] = areas[numbers]
    text["postcodes"] = np.bincount(number, minlength=len(areas) + 1)[1:]
    return text, number


def _edition_values(
    areas: pd.DataFrame,
    editions: dict[str, pd.DataFrame],
    manifest: Manifest,
    lookups: area_tables.Lookups,
    by_kind: dict[str, list[Source]],
    report: BuildReport,
) -> dict[str, pd.DataFrame]:
    """Each edition that says something of some area, with its values in the order of `areas`."""
    rank_columns = {
        edition: column
        for column, nations in (by_kind["postcodes"][0].release.rank_editions or {}).items()
        for edition in nations.values()
    }
    parts = {s.release.edition for s in by_kind["deprivation"] if s.release.part}
    held: dict[str, pd.DataFrame] = {}
    for name, edition in manifest.editions.items():
        column = rank_columns.get(name)
        values = area_tables.resolve(areas, edition, editions.get(name), lookups, column)
        if not (values["decile"] > 0).any():
            continue
        if name in editions:
            unknown = area_tables.unknown_areas(areas, edition, editions[name])
            if unknown and edition.geography.startswith("LSOA"):
                what = f"{len(unknown)} areas of the postcode files are not in {name}, first {unknown[0]}"
                if name not in parts:
                    raise ReferenceDataError(f"{what}.")
                report.warnings.append(f"{what}: this is a part of the edition.")
        if column and name in editions:
            compared, apart = area_tables.check_ranks(areas, edition, editions[name], lookups, column)
            report.counts[f"{name}_ranks_compared"] = compared
            report.counts[f"{name}_ranks_apart"] = apart
            if apart > compared * _MOST_RANKS_APART:
                raise ReferenceDataError(
                    f"{apart} of {compared} postcodes carry another rank than {name} has for their area."
                )
        held[name] = values
    if not any(manifest.editions[name].nation == "England" for name in held):
        raise ReferenceDataError("No English index of deprivation fits these postcodes.")
    known = [manifest.editions[name] for name in held]
    report.editions = [{"id": e.id, "nation": e.nation, "computed": e.decile == "computed"} for e in known]
    return held


def _count(
    report: BuildReport,
    directory: directories.Directory,
    areas: pd.DataFrame,
    area_of: npt.NDArray[np.int64],
    held: dict[str, pd.DataFrame],
    notes: directories.ReadNotes,
) -> None:
    live = directory.columns["terminated"] == 0
    country = areas["country"].to_numpy()[area_of - 1]
    report.counts |= {
        "postcodes": len(directory.keys),
        "live": int(live.sum()),
        "terminated": int((~live).sum()),
        "large_user": int((directory.columns["user_type"] == 1).sum()),
        "live_nation_unknown": int((live & (country == "")).sum()),
        "areas": len(areas),
        **{f"left_out_{kind}": n for kind, n in sorted(notes.special.items())},
    }
    for nation in NATIONS:
        here = live & (country == nation)
        report.counts[f"live_{nation.lower().replace(' ', '_')}"] = int(here.sum())
        for name, values in held.items():
            known = (values["decile"] > 0).to_numpy()[area_of - 1]
            if here.any() and (known & here).any():
                share = round(float((known & here).sum() / here.sum()), 5)
                report.coverage.setdefault(nation, {})[name] = share


def _told(measure: Measure, areas: pd.DataFrame, stored: pd.Series) -> dict[str, Any]:
    """What the provenance tells of a measure, with the LSOAs that have it and those of them that have few."""
    known = areas["lsoa21"][stored != layout.SHARE_UNKNOWN]
    few = areas["lsoa21"][stored == layout.SHARE_FEW]
    return {
        "id": measure.id,
        "title": measure.title,
        "source": measure.source,
        "publisher": measure.publisher,
        "licence": measure.licence,
        "areas": int(known.nunique()),
        "few": int(few.nunique()),
    }


def _count_context(
    report: BuildReport,
    directory: directories.Directory,
    areas: pd.DataFrame,
    area_of: npt.NDArray[np.int64],
    shares: pd.DataFrame,
) -> None:
    """The share of each nation's live postcodes whose area has a measure, or is known to be rural or urban."""
    live = directory.columns["terminated"] == 0
    country = areas["country"].to_numpy()[area_of - 1]
    known = {str(name): (shares[name] != layout.SHARE_UNKNOWN).to_numpy() for name in shares}
    known["rural"] = (areas[directories.RURAL] != layout.RURAL_UNKNOWN).to_numpy()
    for nation in NATIONS:
        here = live & (country == nation)
        for name, has in known.items():
            if (has[area_of - 1] & here).any():
                share = round(float((has[area_of - 1] & here).sum() / here.sum()), 5)
                report.coverage.setdefault(nation, {})[name] = share
    introduced = directory.columns["introduced"]
    report.counts["introduction_known"] = int((introduced > 0).sum())
    if introduced.any():
        year, month = divmod(int(introduced.max()), 100)
        report.introduced_until = f"{year}-{month:02}"


def _check_coverage(report: BuildReport) -> None:
    counts = report.counts
    if counts["live_nation_unknown"] > counts["live"] * _MOST_WITHOUT_NATION:
        raise ReferenceDataError(
            f"{counts['live_nation_unknown']:,} of {counts['live']:,} live postcodes have no code that says where they"
            " are: these files do not fit."
        )
    english = report.coverage.get("England", {})
    newest = next((e for e in report.editions if e["nation"] == "England"), {"id": ""})["id"]
    if english.get(newest, 0.0) < _LEAST_MATCHED:
        raise ReferenceDataError(
            f"Only {english.get(newest, 0.0):.1%} of England's live postcodes have a decile of {newest}: these files do"
            " not fit."
        )


def _index(
    report: BuildReport,
    directory: directories.Directory,
    areas: pd.DataFrame,
    area_of: npt.NDArray[np.int64],
    held: dict[str, pd.DataFrame],
    manifest: Manifest,
) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Header and sections of the index file."""
    if len(areas) > layout.AREA:
        raise ReferenceDataError(f"{len(areas)} areas are more than an index can hold.")
    editions = [manifest.editions[name] for name in held]
    sector, unit = np.divmod(directory.keys, postcode.UNITS)
    sectors, block = np.unique(sector, return_inverse=True)
    slots = np.zeros((len(sectors) + 1) * postcode.UNITS, np.uint32)
    slots[(block + 1) * postcode.UNITS + unit] = _slots(directory, area_of)

    def stacked(column: str, kind: type) -> npt.NDArray[Any]:
        return np.stack([np.concatenate([[0], held[e.id][column]]) for e in editions]).astype(kind)

    sections: dict[str, npt.NDArray[Any]] = {
        "slots": slots,
        "sectors": sectors.astype(np.int32),
        "decile": stacked("decile", np.uint8),
        "rank": stacked("rank", np.uint16),
        "domain": np.stack([stacked(d, np.uint8) for d in DOMAINS], axis=-1),
    }
    nations = areas["country"].map({n: i + 1 for i, n in enumerate(NATIONS)}).fillna(0)
    country = np.concatenate([[0], nations]).astype(np.uint8)
    profiles, profile = np.unique(np.vstack([country, sections["decile"]]).T, axis=0, return_inverse=True)
    sections["profiles"], sections["profile"] = profiles, profile.astype(np.uint16)
    for name in _CODE_COLUMNS:
        sections[name] = np.array(["", *areas[name]], dtype="S9")
    header = {
        "name": report.postcodes.lower().replace(" ", "-"),
        "postcodes": report.postcodes,
        "starter": report.starter,
        "part": report.part,
        "rules": postcode.rules().version,
        "editions": report.editions,
        "counts": report.counts,
    }
    return header, sections


def _slots(directory: directories.Directory, area_of: npt.NDArray[np.int64]) -> npt.NDArray[np.uint32]:
    columns = directory.columns
    introduced = columns["introduced"]
    months = np.where(introduced > 0, (introduced // 100 - 1970) * 12 + introduced % 100, 0)
    months = np.where((months > 0) & (months < 2**11), months, 0)
    slots = area_of.astype(np.uint32)
    slots[columns["terminated"] > 0] |= np.uint32(layout.TERMINATED)
    slots[columns["user_type"] == 1] |= np.uint32(layout.LARGE_USER)
    slots[columns["positional_quality"] >= 8] |= np.uint32(layout.LOW_PRECISION)
    return slots | (months.astype(np.uint32) << np.uint32(layout.INTRODUCED_SHIFT))


def _read_back(
    path: Path,
    directory: directories.Directory,
    areas: pd.DataFrame,
    area_of: npt.NDArray[np.int64],
    held: dict[str, pd.DataFrame],
    shares: pd.DataFrame,
) -> Index:
    """Open what was written, ask it for every postcode as text, and compare with what was read."""
    index = Index(path)
    units = np.array(postcode.unit_names())
    sector, unit = np.divmod(directory.keys, postcode.UNITS)
    sectors, which = np.unique(sector, return_inverse=True)
    names = np.array([postcode.sector_name(int(s)) for s in sectors])
    for start in range(0, len(sector), 500_000):
        rows = slice(start, start + 500_000)
        text = np.char.add(names[which[rows]], units[unit[rows]])
        column = TextColumn.of(text.tolist())
        found = index.many(column)
        wrong = found.area != area_of[rows]
        for name, values in held.items():
            wrong |= index.deciles(found, name) != values["decile"].to_numpy()[area_of[rows] - 1]
        if wrong.any():
            raise ReferenceDataError(f"The written index answers {wrong.sum()} postcodes wrongly: it is not published.")
    few_or_unknown = {layout.SHARE_FEW: FEW, layout.SHARE_UNKNOWN: None}
    rural = {layout.RURAL_UNKNOWN: None, layout.URBAN: False, layout.RURAL: True}
    for area, stored in enumerate(zip(areas[directories.RURAL], *(shares[name] for name in shares), strict=True), 1):
        told = tuple(few_or_unknown.get(share, share) for share in stored[1:])
        if (index.rural(area), index.shares(area)) != (rural[stored[0]], told):
            raise ReferenceDataError(f"The written index tells wrong shares of area {area}: it is not published.")
    return index


def _files(
    sources: list[Source],
    releases: list[tuple[str, list[Source]]],
    notes: directories.ReadNotes,
    manifest: Manifest,
) -> list[dict[str, Any]]:
    used = {id(s) for _, members in releases for s in members}
    digests = {path: sha256(path) for path in {s.path for s in sources}}
    return [
        {
            "file": s.path.name,
            "table": s.member,
            "sha256": digests[s.path],
            "bytes": s.path.stat().st_size,
            "release": s.release.id,
            "title": s.release.title,
            "publisher": s.release.publisher,
            "licence": s.release.licence,
            "edition": s.release.edition,
            "measures": list(s.release.measures),
            "rows": notes.rows.get(s.name),
        }
        for s in sources
        if s.release.kind != "postcodes" or id(s) in used
    ]
