"""NDJSON to NDJSON: one object a line, every byte kept, the answer's members added before the closing brace.

Lines are read a piece at a time by Arrow, which is told only of the members that are needed. Whatever Arrow would
read otherwise than a strict reader does (escapes, NaN, a member that is there already, what is no object) goes line by
line to the strict reader, and so does a whole piece that Arrow refuses.
"""

import json
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final, NamedTuple

import jiter
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from app.batch.columns import CORE, Answers, Enricher, Wanted, text_column
from app.batch.plan import FileProblemError, Plan

LONGEST_LINE: Final = 16 << 20  # bytes
PIECE: Final = 4 << 20  # bytes read at a time

_BOM: Final = b"\xef\xbb\xbf"
_SPACE: Final = b" \t\r"
_NEWLINE, _RETURN, _OPEN, _CLOSE = b"\n\r{}"
_JOINED: Final = 65_536  # lines joined at a time, so that what is made of very short ones stays small
_SHALLOW: Final = 400  # bytes in which nothing can be nested so deeply that the strict reader refuses it
_BRACKETS: Final = 190  # of one line, above which it might
# What Arrow takes for numbers where it stands outside a string, half a character of UTF-16, and a zero byte.
_NOT_FOR_ARROW: Final = r"(?:NaN|Inf(?:inity)?)[\s,}\]]|\\u[dD][89a-fA-F]|\x00"
# An escape in a key, which may spell it otherwise than it looks. One whose last escape is a quotation mark is passed
# over: it is no name that we look for, unless that has a mark too.
_ESCAPED_KEY: Final = r"\\[^\"]*\"\s*:"
_KINDS: Final = {str: pa.string(), int: pa.int64(), bool: pa.bool_()}

Int64s = npt.NDArray[np.int64]


def enrich_ndjson(source: BinaryIO, sink: BinaryIO | None, plan: Plan, *, piece: int = PIECE, threads: int = 2) -> None:
    """Add the answer's members to every object of `source`; nothing is written where `sink` is None.

    Order, line ends, blank lines and a byte order mark stay. FileProblemError names the line that cannot be taken.
    Some 4 MiB are read at a time, and as many pieces are worked on at once as there are `threads`.
    """
    pieces = _pieces(source, piece)
    reader: _Reader | None = None
    waiting: deque[Future[_Done]] = deque()
    before = 0  # lines
    with ThreadPoolExecutor(threads, thread_name_prefix="ndjson") as pool:
        try:
            for data in pieces:
                if reader is None:
                    data, reader, before = _begin(data, sink, plan, before)
                    if reader is None:
                        continue
                waiting.append(pool.submit(reader.read, data, write=sink is not None))
                if len(waiting) > threads:
                    before += _finish(waiting.popleft(), sink, plan, before)
            while waiting:
                before += _finish(waiting.popleft(), sink, plan, before)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _pieces(source: BinaryIO, size: int) -> Iterator[bytes]:
    """The file in pieces of whole lines, each some `size` bytes long or a line."""
    rest: list[bytes] = []
    kept = 0
    while data := source.read(size):
        end = data.rfind(b"\n") + 1
        if end:
            yield b"".join([*rest, data[:end]])
            rest, kept = [], 0
        rest.append(data[end:])
        kept += len(data) - end
        if kept > LONGEST_LINE + len(_BOM):
            break  # whoever reads this much of a line refuses it
    if kept:
        yield b"".join(rest)


def _begin(data: bytes, sink: BinaryIO | None, plan: Plan, before: int) -> "tuple[bytes, _Reader | None, int]":
    """Find the members by the first object. Lines before it are blank and are written here."""
    bom = before == 0 and data.startswith(_BOM)
    blank = len(_BOM) if bom else 0
    while blank < len(data):
        end = data.find(b"\n", blank)
        line = data[blank : end if end >= 0 else len(data)]
        try:
            first = _object(line, frozenset(), frozenset())
        except _LineError as error:
            raise error.at(before) from None
        if first is not None:
            names = list(first)
            if sink is not None:
                sink.write(data[:blank])
            places = plan.places(names)
            member = names[places[0]]
            needed = {name: names[place] for name, place in places[1].items()}
            return data[blank:], _Reader(plan.enricher, plan.wanted, member, needed), before
        blank += len(line) + (end >= 0)
        before += 1
    if sink is not None:
        sink.write(data)
    # A mark without a line is not yet a line: only what has ended counts.
    return b"", None, before


def _finish(future: "Future[_Done]", sink: BinaryIO | None, plan: Plan, before: int) -> int:
    try:
        done = future.result()
    except _LineError as error:
        raise error.at(before) from None
    for part in done.parts:
        if sink is not None:
            sink.write(part)
    plan.seen(done.answers, done.column)
    return done.lines


def objects(source: BinaryIO) -> Iterator[tuple[int, dict[str, Any]]]:
    """Every object of a file with its line's number from 1. Numbers that are not whole come as they are written.

    FileProblemError where a line is no object, or a member stands twice in one: one of two values would be lost.
    """
    before = 0
    for data in _pieces(source, PIECE):
        text = data.removeprefix(_BOM) if before == 0 else data
        lines = text.split(b"\n")
        for number, line in enumerate(lines, before):
            try:
                read = _object(line, frozenset(), None)
            except _LineError as error:
                raise error.at(number) from None
            if read is not None:
                yield number + 1, read
        before += len(lines) - 1


class _LineError(Exception):
    """A line cannot be taken: its number from 0 within a piece, and why."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line, self.why = line, why

    def at(self, before: int) -> FileProblemError:
        """The same, with the line's number in the file."""
        return FileProblemError(f"Line {before + self.line + 1:,} {self.why}.")


_TOO_LONG: Final = f"is longer than {LONGEST_LINE >> 20} MiB: there must be one object on each line"


class _Done(NamedTuple):
    """A piece, finished."""

    lines: int
    answers: Answers
    column: Callable[[str], pa.Array]
    parts: list[memoryview]


class _Lines(NamedTuple):
    """Where lines lie in a piece. A line's added text stands at `cuts`; `row` is an object, the others are blank."""

    starts: Int64s
    ends: Int64s  # without the newline
    cuts: Int64s
    plain: npt.NDArray[np.bool_]  # begins with a brace and ends with one: for Arrow


@dataclass(slots=True)
class _Reader:
    """Reads pieces of one file. Safe to share between threads: what is learned changes the pace alone."""

    enricher: Enricher
    wanted: Wanted
    member: str
    needed: dict[str, str]  # what an observer asks for to the member that has it
    kinds: dict[str, pa.DataType] = field(init=False)
    texts: "_Texts" = field(init=False)
    unfit: str = field(init=False)  # what a line holds that Arrow must not be asked of, as an expression of RE2

    def __post_init__(self) -> None:
        self.kinds = dict.fromkeys([self.member, *self.needed.values()], pa.string())
        self.texts = _Texts(self.enricher, self.wanted)
        # A member of a new name that is there already would be seen by Arrow only if it were not null.
        new = [json.dumps(name, ensure_ascii=False) for name in self.wanted.types()]
        plain = all(json.dumps(name, ensure_ascii=False) == f'"{name}"' for name in (*self.kinds, *self.wanted.types()))
        self.unfit = "|".join([_NOT_FOR_ARROW, _ESCAPED_KEY if plain else r"\\", *map(re.escape, new)])

    def read(self, data: bytes, *, write: bool) -> _Done:
        """One piece of whole lines; _LineError at the first line that cannot be taken."""
        octets = np.frombuffer(data, np.uint8)
        lines = _lines(data, octets)
        columns = self._by_arrow(data, lines)
        odd = ~lines.plain if columns is not None else np.ones(len(lines.starts), np.bool_)
        rows = np.flatnonzero(odd)
        empty, blank, read = self._by_line(data, lines, rows)
        if columns is None:
            columns = read
        elif len(rows):
            columns = _merged(columns, read, np.flatnonzero(lines.plain), np.setdiff1d(rows, blank))
        answers = self.enricher.read(text_column(columns[self.member]))
        parts = self._join(data, lines.cuts, answers, empty, blank) if write else []
        found = columns
        return _Done(len(lines.starts), answers, lambda name: found[self.needed[name]], parts)

    # ------------------------------------------------------------------------------ a whole piece

    def _by_arrow(self, data: bytes, lines: _Lines) -> dict[str, pa.Array] | None:
        """Values of the plain lines; None where Arrow will not read them, or not as a strict reader does.

        Lines that Arrow must not be asked of are taken out of `lines.plain`.
        """
        starts, plain = lines.starts, lines.plain
        text = _array(pa.string(), data, np.array([0, len(data)]))
        try:
            text.validate(full=True)  # nothing else asks whether skipped members are UTF-8
        except pa.ArrowInvalid:
            return None
        if pc.match_substring_regex(text.cast(pa.binary()), pattern=self.unfit)[0].as_py():
            offsets = np.append(starts, len(data))
            plain &= ~pc.match_substring_regex(_array(pa.binary(), data, offsets), pattern=self.unfit).to_numpy(False)
        lengths = lines.ends - starts
        plain &= lengths <= LONGEST_LINE
        if (lengths > _SHALLOW).any() and data.count(b"[") + data.count(b"{") > len(starts) + _BRACKETS:
            octets = np.frombuffer(data, np.uint8)
            opening = np.concatenate([[0], np.cumsum((octets == ord("[")) | (octets == _OPEN), dtype=np.int64)])
            plain &= opening[lines.ends] - opening[starts] <= _BRACKETS
        if not plain.any():
            return None
        if not plain.all():
            offsets = np.append(starts, len(data))
            chosen = _array(pa.binary(), data, offsets).filter(pa.array(plain))
            data = b"".join([memoryview(chosen.buffers()[2])])
        options = pyarrow.json.ParseOptions(
            explicit_schema=pa.schema(list(self.kinds.items())), unexpected_field_behavior="ignore"
        )
        try:
            table = pyarrow.json.read_json(
                pa.BufferReader(data), pyarrow.json.ReadOptions(use_threads=False, block_size=1 << 20), options
            )
        except pa.ArrowException:
            return None
        # Each line holds one object at least, and none goes over two: so none holds two.
        if table.num_rows != np.count_nonzero(plain):
            return None
        return {name: _strings(table.column(name)) for name in self.kinds}

    # -------------------------------------------------------------------------------- line by line

    def _by_line(self, data: bytes, lines: _Lines, rows: Int64s) -> tuple[Int64s, Int64s, dict[str, pa.Array]]:
        """Read some lines strictly, and set their cuts. Which are empty objects and which are blank; and the values."""
        empty, blank = [], []
        values: dict[str, list[Any]] = {name: [] for name in self.kinds}
        new = frozenset(self.wanted.types())
        refused = new | values.keys()
        for row, start, end in zip(rows.tolist(), lines.starts[rows].tolist(), lines.ends[rows].tolist(), strict=True):
            line = data[start:end]
            try:
                read = _object(line, new, refused)
                if read is not None:
                    for name, column in values.items():
                        column.append(_scalar(name, read.get(name)))
            except _LineError as error:
                raise _LineError(row, error.why) from None
            if read is None:
                blank.append(row)
                lines.cuts[row] = start
            else:
                lines.cuts[row] = start + len(line.rstrip(_SPACE)[:-1].rstrip(_SPACE))
                if not read:
                    empty.append(row)
        if len(rows) == len(lines.starts):
            self._learn(values)
        columns = {name: pa.array(map(_text, column), pa.string()) for name, column in values.items()}
        return np.array(empty, np.int64), np.array(blank, np.int64), columns

    def _learn(self, values: dict[str, list[Any]]) -> None:
        """What Arrow is to be told of each member in the pieces to come."""
        for name, column in values.items():
            kinds = set(map(type, column)) - {type(None)}
            if len(kinds) == 1:
                self.kinds[name] = _KINDS.get(kinds.pop(), pa.string())

    # ------------------------------------------------------------------------------------- writing

    def _join(self, data: bytes, cuts: Int64s, answers: Answers, empty: Int64s, blank: Int64s) -> list[memoryview]:
        """The piece with each line's text put in at its cut."""
        number, area = answers.number, answers.area
        if not len(number):
            return [memoryview(data)]
        if len(blank):  # which have no answer
            objects = np.setdiff1d(np.arange(len(cuts)), blank)
            number, area = np.full(len(cuts), -1, np.int32), np.zeros(len(cuts), np.uint32)
            number[objects], area[objects] = answers.number, answers.area
        texts = self.texts.of(number, area, empty, blank)
        parts = []
        last = 0
        for start in range(0, len(cuts), _JOINED):
            offsets = np.concatenate([[last], cuts[start : start + _JOINED]])
            bodies = _array(pa.binary(), data, offsets)
            joined = pc.binary_join_element_wise(
                bodies, *(text.slice(start, _JOINED) for text in texts), pa.scalar(b"", pa.binary())
            )
            parts.append(memoryview(joined.buffers()[2]))
            last = int(offsets[-1])
        parts.append(memoryview(data)[last:])
        return parts


class _Texts:
    """The text that is added for each answer and each area, made once for all that are alike."""

    def __init__(self, enricher: Enricher, wanted: Wanted) -> None:
        self.enricher, self.wanted = enricher, wanted
        self._core: dict[int, str] = {}
        self._by_area: dict[int, str] = {}

    def of(
        self, number: npt.NDArray[np.int32], area: npt.NDArray[np.uint32], empty: Int64s, blank: Int64s
    ) -> list[Any]:
        """Columns of what is put in, one after the other: by the answer and, where that is wanted, by the area."""
        known, places = np.unique(number, return_inverse=True)
        cores = [self._of_answer(n) if n >= 0 else "" for n in known.tolist()]
        places[empty] += len(cores)  # an empty object needs no comma
        columns = [_taken([*cores, *(core[1:] for core in cores)], places)]
        if self.wanted.area or self.wanted.domains:
            areas, places = np.unique(area, return_inverse=True)
            texts = self._of_areas(areas)
            places[blank] = len(texts)
            columns.append(_taken([*texts, ""], places))
        return columns

    def _of_answer(self, number: int) -> str:
        text = self._core.get(number)
        if text is None:
            answers = Answers(np.array([number], np.int32), np.zeros(1, np.uint32))
            (row,) = self.enricher.columns(answers, Wanted(prefix=self.wanted.prefix)).to_pylist()
            text = self._core[number] = _members(row.items())
        return text

    def _of_areas(self, areas: npt.NDArray[np.uint32]) -> list[str]:
        met = areas.tolist()
        if unmet := [area for area in met if area not in self._by_area]:
            answers = Answers(np.zeros(len(unmet), np.int32), np.array(unmet, np.uint32))
            columns = self.enricher.columns(answers, self.wanted)
            of_areas = columns.select(range(len(CORE), columns.num_columns)).to_pylist()
            self._by_area.update((area, _members(row.items())) for area, row in zip(unmet, of_areas, strict=True))
        return [self._by_area[area] for area in met]


def _members(items: Iterable[tuple[str, Any]]) -> str:
    return "".join(f",{json.dumps(name)}:{json.dumps(value)}" for name, value in items)


def _lines(data: bytes, octets: npt.NDArray[np.uint8]) -> _Lines:
    """Where the lines of a piece lie, and which have a brace at either end and something between."""
    newlines = np.flatnonzero(octets == _NEWLINE)
    ended = data.endswith(b"\n")
    starts = np.concatenate([[0], newlines[:-1] + 1 if ended else newlines + 1])
    ends = newlines if ended else np.append(newlines, len(data))
    last = ends - 1
    last -= octets.take(last, mode="clip") == _RETURN
    inner = last - 1
    plain = (inner > starts) & (octets.take(starts, mode="clip") == _OPEN) & (octets.take(last, mode="clip") == _CLOSE)
    before = octets.take(inner, mode="clip")
    plain &= (before > ord(" ")) & (before != _OPEN)
    return _Lines(starts, ends, last, plain)


def _strict(line: bytes, once: frozenset[str] | None) -> dict[str, Any]:
    """The object of one line, numbers that are not whole as they are written; _LineError for what is none.

    Members of `once` may not be there twice, and no member where it is None. Of any other, what stands twice is kept
    as it is, like every byte.
    """
    # Names of members are kept for the next line; values never are.
    try:
        try:
            read = jiter.from_json(
                line,
                allow_inf_nan=False,
                cache_mode="keys",
                catch_duplicate_keys=True,
                float_mode="lossless-float",
            )
        except ValueError as error:
            if not str(error).startswith("Detected duplicate key"):
                raise
            read = jiter.from_json(line, allow_inf_nan=False, cache_mode="keys", float_mode="lossless-float")
            if isinstance(read, dict):
                names = [name for name, _ in json.loads(line, object_pairs_hook=list, parse_int=str)]
                if once is None or any(names.count(name) > 1 for name in once.intersection(names)):
                    raise _LineError(0, "has a member twice: two values cannot both be the patient's") from None
    except (ValueError, RecursionError):
        raise _LineError(0, "is not JSON") from None
    if not isinstance(read, dict):
        raise _LineError(0, "is not a JSON object")
    return read


def _object(line: bytes, new: frozenset[str], once: frozenset[str] | None) -> dict[str, Any] | None:
    """The object of one line, None of a blank one; _LineError for what is none, or has a member of `new`."""
    if len(line) > LONGEST_LINE:
        raise _LineError(0, _TOO_LONG)
    line = line.strip(_SPACE)
    if not line:
        return None
    read = _strict(line, once)
    if taken := new.intersection(read):
        why = f"has a member called {min(taken)} already: put something before the new names with --prefix"
        raise _LineError(0, why)
    return read


def _scalar(name: str, value: Any) -> Any:
    if isinstance(value, (dict, list)):
        raise _LineError(0, f"has an object or a list as {name}, where one value must stand")
    return value


def _text(value: Any) -> str | None:
    """A value as a column of strings has it: numbers as they are written."""
    if value is None or isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)


def _strings(column: pa.ChunkedArray) -> pa.Array:
    column = column.cast(pa.string())
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _merged(one: dict[str, pa.Array], other: dict[str, pa.Array], rows: Int64s, others: Int64s) -> dict[str, pa.Array]:
    """Values of two sets of lines in the lines' order."""
    order = pa.array(np.argsort(np.concatenate([rows, others]), kind="stable"))
    return {name: pa.concat_arrays([one[name], other[name]]).take(order) for name in one}


def _array(kind: pa.DataType, data: bytes, offsets: Int64s) -> pa.Array:
    """Bytes that lie end to end as an array, nothing copied."""
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(data)]
    return pa.Array.from_buffers(kind, len(offsets) - 1, buffers)


def _taken(texts: Sequence[str], places: Int64s) -> pa.Array:
    return pa.array([text.encode() for text in texts], pa.binary()).take(pa.array(places))
