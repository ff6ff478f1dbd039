"""Postcode directories of any era, read in a stream and laid over each other, newest on top."""

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby
from typing import Final
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from app.lookup import layout
from app.lookup.postcode import KINDS, UNITS, parse, parse_column
from app.lookup.text import TextColumn
from app.reference.errors import ReferenceDataError
from app.reference.manifest import Release, Rurality
from app.reference.sources import Source, opened

CODES: Final = ("country", "lsoa21", "lsoa11", "lad", "icb")
RANKS: Final = ("rank_2019_era", "rank_2025_era")
RURAL: Final = "rural"  # as the index holds it: 0 not known, 1 urban, 2 rural
PLACE: Final = (*CODES, *RANKS, RURAL)  # what describes where a postcode is
OTHERS: Final = ("introduced", "terminated", "user_type", "positional_quality")
_BLOCK: Final = 8 * 2**20
# Columns of a rural-urban classification, the newest first.
_RURAL_COLUMNS: Final[tuple[str, ...]] = ("rural_2021", "rural_2011")
_STORED: Final[dict[str, int]] = {"unknown": layout.RURAL_UNKNOWN, "urban": layout.URBAN, "rural": layout.RURAL}
_UNLISTED: Final = -1  # a code that the manifest does not have, until it is counted
# How ONS writes "no code here".
_PSEUDO: Final = ("99999999", "00000000")

Int32s = npt.NDArray[np.int32]


@dataclass(slots=True)
class Directory:
    """Postcodes and what is said of each, as columns: codes are positions in `vocabulary`, -1 unknown.

    Numbers are 0 where not known; `terminated` and `introduced` are YYYYMM.
    """

    keys: npt.NDArray[np.int64]  # sector * 400 + unit
    columns: dict[str, Int32s]
    vocabulary: list[str] = field(default_factory=list)


@dataclass(slots=True)
class ReadNotes:
    """What happened while directories were read, for the provenance and for refusing."""

    rows: dict[str, int] = field(default_factory=dict)
    special: dict[str, int] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    untrusted: list[str] = field(default_factory=list)
    newest: int = 0  # postcodes of the newest release alone


def label(issue: tuple[str, date] | None, fallback: str) -> str:
    """How a directory is called in every answer, such as `ONSPD August 2026`."""
    return f"{issue[0]} {issue[1]:%B %Y}" if issue else fallback.replace("_", " ")


def chosen(sources: list[Source]) -> list[tuple[str, list[Source]]]:
    """The directories to read, newest first: of a release that is there whole and in parts, the whole."""

    def order(source: Source) -> tuple[date, str]:
        return (source.issue[1] if source.issue else date.min, label(source.issue, source.stem))

    releases = []
    for (_, name), group in groupby(sorted(sources, key=order, reverse=True), key=order):
        members = list(group)
        whole = [s for s in members if s.stem.upper().endswith("_UK")]
        releases.append((name, whole[:1] or members))
    return releases


def read_directories(
    releases: list[tuple[str, list[Source]]], notes: ReadNotes, on_bytes: Callable[[int], None]
) -> Directory:
    """Read every release and lay them over each other.

    Where two speak of a postcode, what describes the place is taken from one row, the newest that
    names a small area, so that codes, ranks and rurality never mix; every other column from the newest that has it.
    """
    vocabulary: dict[str, int] = {}
    layers = []
    for name, sources in releases:
        parts = [_read(source, vocabulary, notes, on_bytes) for source in sources]
        layers.append(_one_row_each(name, parts, notes))
    notes.newest = len(layers[0].keys)
    keys = layers[0].keys
    for layer in layers[1:]:
        keys = np.union1d(keys, layer.keys)
    columns = {c: np.full(len(keys), -1, np.int32) for c in CODES}
    columns |= {c: np.zeros(len(keys), np.int32) for c in (*RANKS, RURAL, *OTHERS)}
    new = np.ones(len(keys), np.bool_)
    for layer in reversed(layers):
        where = np.searchsorted(keys, layer.keys)
        names_area = np.zeros(len(where), np.bool_)
        for code in ("lsoa21", "lsoa11"):
            names_area |= layer.columns.get(code, np.full(len(where), -1)) >= 0
        placed = names_area | new[where]
        for concept in PLACE:
            blank = np.full(len(where), -1 if concept in CODES else 0, np.int32)
            columns[concept][where[placed]] = layer.columns.get(concept, blank)[placed]
        for concept in OTHERS:
            if concept in layer.columns:
                columns[concept][where] = layer.columns[concept]
        new[where] = False
    return Directory(keys, columns, list(vocabulary))


def _read(source: Source, vocabulary: dict[str, int], notes: ReadNotes, on_bytes: Callable[[int], None]) -> Directory:
    """One table, its special postcodes and untrusted rows left out."""
    rural = [c for c in _RURAL_COLUMNS if c in source.columns]
    concepts = [c for c in (*CODES, *RANKS, *OTHERS, *rural) if c in source.columns and not _undated(source, c, notes)]
    parts: dict[str, list[npt.NDArray[np.int32]]] = {c: [] for c in concepts}
    keys: list[npt.NDArray[np.int64]] = []
    row = 2
    for batch in _batches(source, on_bytes):
        parsed = parse_column(_text(batch.column(source.columns["postcode"])))
        real = parsed.kind == 0
        if not real.all():
            _note_special(source, batch, parsed.kind, row, notes)
        keep = np.flatnonzero(real)
        keys.append(parsed.sector[keep].astype(np.int64) * UNITS + parsed.unit[keep])
        for concept in concepts:
            column = batch.column(source.columns[concept])
            if concept in CODES:
                read = _codes(column, vocabulary)
            elif concept in rural:
                read = _rurality(column, source.release.rural_codes[concept])
            else:
                read = _numbers(source, concept, column, row)
            parts[concept].append(read[keep])
        row += batch.num_rows
    notes.rows[source.name] = row - 2
    columns = {c: np.concatenate(p) if p else np.zeros(0, np.int32) for c, p in parts.items()}
    if rural:
        columns[RURAL] = _newest_rurality(source, {c: columns.pop(c) for c in rural}, notes)
    directory = Directory(np.concatenate(keys) if keys else np.zeros(0, np.int64), columns)
    return _without_known_defects(source, directory, row - 2, notes)


def _undated(source: Source, concept: str, notes: ReadNotes) -> bool:
    """Whether a rank column does not say of which edition it is: a bare `imd` in a file of unknown or early date."""
    since = source.release.bare_rank_since
    if concept not in RANKS or since is None or any(c.isdigit() for c in source.columns[concept]):
        return False
    if source.issue is not None and source.issue[1] >= since:
        return False
    notes.warnings.append(
        f"{source.name}: the ranks of column {source.columns[concept]} are of an unknown edition, not used."
    )
    return True


def _batches(source: Source, on_bytes: Callable[[int], None]) -> Iterator[pa.RecordBatch]:
    wanted = sorted(set(source.columns.values()))
    convert = pa_csv.ConvertOptions(
        include_columns=wanted,
        column_types=dict.fromkeys(wanted, pa.string()),
        check_utf8=False,  # names in other columns may be in any encoding; what is read is ASCII
        strings_can_be_null=False,
    )
    try:
        with opened(source, on_bytes) as file:
            reader = pa_csv.open_csv(file, read_options=pa_csv.ReadOptions(block_size=_BLOCK), convert_options=convert)
            yield from reader
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError, EOFError, BadZipFile, zlib.error) as error:
        reason = str(error).split("\n", 1)[0][:200]
        raise ReferenceDataError(f"{source.name}: it cannot be read to its end ({reason}).") from error


def _text(column: pa.Array) -> TextColumn:
    """The same bytes as the core reads them."""
    _, offsets, data = column.buffers()
    first = column.offset
    bounds = np.frombuffer(offsets, np.int32)[first : first + len(column) + 1]
    return TextColumn.end_to_end(np.frombuffer(data, np.uint8) if data else np.zeros(0, np.uint8), bounds)


def _codes(column: pa.Array, vocabulary: dict[str, int]) -> Int32s:
    """GSS codes as positions in the vocabulary; blanks and ONS's pseudo codes are -1."""
    encoded = column.dictionary_encode()
    positions = []
    for value in encoded.dictionary.to_pylist():
        code = value.strip()
        known = code and not code.endswith(_PSEUDO)
        positions.append(vocabulary.setdefault(code, len(vocabulary)) if known else -1)
    codes: Int32s = np.array(positions, np.int32).take(encoded.indices.to_numpy())
    return codes


def _rurality(column: pa.Array, codes: Mapping[str, Rurality]) -> Int32s:
    """Codes of one rural-urban classification as the index holds them."""
    encoded = column.dictionary_encode()
    stored = []
    for value in encoded.dictionary.to_pylist():
        code = value.strip()
        blank = not code or code.endswith(_PSEUDO)
        stored.append(layout.RURAL_UNKNOWN if blank else _STORED[codes[code]] if code in codes else _UNLISTED)
    rurality: Int32s = np.array(stored, np.int32).take(encoded.indices.to_numpy())
    return rurality


def _newest_rurality(source: Source, columns: dict[str, Int32s], notes: ReadNotes) -> Int32s:
    """The newest classification that knows a postcode's place decides; the older ones serve nations it leaves out."""
    rural = np.zeros(len(next(iter(columns.values()))), np.int32)
    for concept, said in columns.items():
        unlisted = int((said == _UNLISTED).sum())
        if unlisted:
            notes.warnings.append(
                f"{source.name}, column {source.columns[concept]}: {unlisted} postcodes have a code that is not known"
                " here, so neither rural nor urban."
            )
        rural = np.where(rural == layout.RURAL_UNKNOWN, np.maximum(said, layout.RURAL_UNKNOWN), rural)
    return rural


def _numbers(source: Source, concept: str, column: pa.Array, row: int) -> Int32s:
    """Whole numbers, 0 where blank."""
    try:
        numbers = pc.cast(pc.replace_substring_regex(column, r"^\s*$", "0"), pa.int32())
    except pa.ArrowInvalid as error:
        bad = pc.index(pc.match_substring_regex(column, r"^\s*\d*\s*$"), False).as_py()
        raise ReferenceDataError(
            f"{source.name}, row {row + max(bad, 0)}, column {source.columns[concept]}: not a whole number."
        ) from error
    values: Int32s = numbers.to_numpy(zero_copy_only=False)
    if concept in ("introduced", "terminated"):
        month = values % 100
        wrong = np.flatnonzero((values != 0) & ((values < 190001) | (values > 210012) | (month < 1) | (month > 12)))
        if len(wrong):
            raise ReferenceDataError(
                f"{source.name}, row {row + int(wrong[0])}, column {source.columns[concept]}: not a month as YYYYMM."
            )
    return values


def _note_special(
    source: Source, batch: pa.RecordBatch, kind: npt.NDArray[np.uint8], row: int, notes: ReadNotes
) -> None:
    for code in np.unique(kind[kind != 0]):
        name, rows = KINDS[code], np.flatnonzero(kind == code)
        notes.special[name] = notes.special.get(name, 0) + len(rows)
        if name == "malformed":
            column = batch.column(source.columns["postcode"])
            notes.unreadable += [f"{source.name}, row {row + int(i)}: {column[int(i)]}" for i in rows[:20]]


def _without_known_defects(source: Source, directory: Directory, rows: int, notes: ReadNotes) -> Directory:
    for defect in source.release.known_defects:
        if tuple(h.lower() for h in source.header) == defect.columns and rows == defect.rows:
            parsed = [parse(p) for p in defect.postcodes]
            bad = np.isin(directory.keys, [p.sector * UNITS + p.unit for p in parsed])
            notes.untrusted += [f"{source.name}: {p}" for p in defect.postcodes]
            notes.warnings.append(f"{source.name}: {bad.sum()} rows are not trusted: {defect.reason}.")
            return Directory(directory.keys[~bad], {c: v[~bad] for c, v in directory.columns.items()})
    return directory


def _one_row_each(name: str, parts: list[Directory], notes: ReadNotes) -> Directory:
    """The parts of one release as one, sorted; ReferenceDataError if a postcode is given twice, differently."""
    shared = set.intersection(*(set(p.columns) for p in parts))
    keys = np.concatenate([p.keys for p in parts])
    columns = {c: np.concatenate([p.columns[c] for p in parts]) for c in sorted(shared)}
    order = np.argsort(keys, kind="stable")
    keys, columns = keys[order], {c: v[order] for c, v in columns.items()}
    again = np.flatnonzero(keys[1:] == keys[:-1])
    if len(again):
        for concept, values in columns.items():
            if (values[again] != values[again + 1]).any():
                raise ReferenceDataError(f"{name}: {len(again)} postcodes stand twice, with different {concept}.")
        notes.warnings.append(f"{name}: {len(again)} postcodes stand twice, alike.")
        first = np.concatenate([[True], keys[1:] != keys[:-1]])
        keys, columns = keys[first], {c: v[first] for c, v in columns.items()}
    return Directory(keys, columns)


def is_whole(release: Release, postcodes: int) -> bool:
    """Whether so many postcodes can be the whole country."""
    return release.rows_at_least is None or postcodes >= release.rows_at_least
