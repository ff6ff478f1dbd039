"""CSV and its kin, answered on the bytes of the file: nothing that it holds is parsed and written anew.

A file is read in pieces that end with a record. In each the separators are found by array operations, the postcodes
are looked up where they lie, and each answer is put before its record's line end. So every other byte stays as it
was: leading zeros, quotes, line breaks within quotes, line ends, an unknown encoding. Pieces are answered by threads
and written in their order.
"""

import codecs
import csv
import io
import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from app.batch.arrays import of_numbers, of_values
from app.batch.columns import Answers, written
from app.batch.encodings import encoded, widened
from app.batch.plan import FileProblemError, Plan
from app.lookup.text import TextColumn

PIECE: Final = 4 * 2**20
"""Bytes read at once."""
LONGEST_RECORD: Final = 64 * 2**20
"""Bytes of a record, its line breaks included. A longer one is a quotation mark that was not closed, or no CSV."""
RAGGED_NAMED: Final = 20

_MOST_LINES: Final = 200_000  # of a piece, nearly

_WORKERS: Final = min(4, os.cpu_count() or 1)
_CANDIDATES: Final = b",;\t|"
_QUOTE, _LF, _CR = b'"\n\r'
_SEP_LINE: Final = re.compile(rb'(?:\xef\xbb\xbf)?"?sep=([^\r\n"])"?\r?\n')  # what Excel writes for itself
_NOTHING, _NULL = of_values([b"", None], pa.binary())
_LOOKED_AT: Final = 2**20  # bytes, for the encoding

Bytes = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]


class Ragged(NamedTuple):
    """Records with another number of fields than the heading, by the number of the line where each begins."""

    records: int
    lines: list[int]  # of the first of them


NOTHING_RAGGED: Final = Ragged(0, [])


@dataclass(slots=True)
class Heading:
    """What must be known before the first record is read."""

    lead: bytes  # what stands before the first record, as it is: a mark of the encoding, the heading
    lines: int  # line ends in it
    names: list[str]
    delimiter: int
    postcode: int
    needed: dict[str, int]
    encoding: str


class Piece(NamedTuple):
    """Some whole records; each ends with a line end, but for the last of a file."""

    data: bytes | memoryview
    quotes: Places | None  # where quoting begins and ends, in turn; None where there is none
    ended: bool  # whether its last record has a line end
    lines: int  # line ends in it


@dataclass(slots=True)
class Rows:
    """Where the records of a piece lie. Places are counted from the beginning of the piece."""

    buffer: Bytes
    starts: Places  # of each record; of a field, by `field`
    ends: Places  # without the line end
    separators: Places
    first: Places  # the number of the separator before which a record's first field ends
    ragged_starts: Places  # of records that are not of the heading's width
    ragged_stops: Places  # behind their line ends
    width: int

    def field(self, column: int) -> tuple[Places, Places]:
        """Where a field begins and ends in every record, without its quotation marks."""
        starts = self.starts if column == 0 else self.separators[self.first + (column - 1)] + 1
        ends = self.ends if column == self.width - 1 else self.separators[self.first + column]
        if len(starts):
            buffer = self.buffer
            quoted = (ends - starts >= 2) & (buffer.take(starts, mode="clip") == _QUOTE)
            quoted &= buffer.take(ends - 1, mode="clip") == _QUOTE
            if quoted.any():
                return starts + quoted, ends - quoted
        return starts, ends


@dataclass(slots=True)
class _Answered:
    """A piece with its answers, and what of it was set aside."""

    rows: Rows
    ragged: Rows  # the same, and those of another width
    answers: Answers
    text: list[pa.Buffer | bytes | memoryview]
    aside: bytes
    lines: int


# ------------------------------------------------------------------------------------ the whole of it


def enrich_delimited(
    source: BinaryIO, sink: BinaryIO | None, plan: Plan, *, aside: BinaryIO | None = None, piece: int = PIECE
) -> Ragged:
    """Copy a file with answers added to every record. FileProblemError where it cannot be taken as it is.

    Records of another width than the heading's cannot be answered: a field that is missing before the postcode would
    put another one in its place. They go to `aside`, as they are; without it the first of them ends the run, once all
    are known. An empty line stays as it is, and is no record, unless there is but one column.
    """
    source, recoded, encoding = widened(source, plan.encoding)
    if recoded is not None:
        sink, aside = encoded(sink, recoded), encoded(aside, recoded)
    reader = _Reader(source, piece)
    heading = _heading(reader, plan, encoding)
    writer = _Writer(heading, plan, sets_aside=aside is not None, writes=sink is not None)
    if sink is not None:
        sink.write(writer.heading())
    if aside is not None:
        aside.write(heading.lead)
    ragged, line = Ragged(0, []), heading.lines + 1
    for done in _answered(reader, heading, writer):
        if aside is None and len(done.ragged.ragged_starts):
            sink = None  # there will be no answered file: what follows is only looked through
        if sink is not None:
            for text in done.text:
                sink.write(text)
        if aside is not None:
            aside.write(done.aside)
        ragged = _noted(ragged, done.ragged, line)
        line += done.lines
        plan.seen(done.answers, partial(_texts, done.rows, heading))
    if ragged.records and aside is None:
        raise FileProblemError(_ragged_sentence(ragged, len(heading.names)))
    return ragged


def read_delimited(
    source: BinaryIO, plan: Plan, *, aside: BinaryIO | None = None, piece: int = PIECE
) -> tuple[pa.Schema, Iterator[pa.RecordBatch], Callable[[], Ragged]]:
    """A file as batches of strings, null where nothing stands, to be written in another format.

    The last of what is returned tells which records were set aside, once all batches were taken. FileProblemError as of
    `enrich_delimited`.
    """
    source, recoded, encoding = widened(source, plan.encoding)
    if recoded is not None:
        aside = encoded(aside, recoded)
    reader = _Reader(source, piece)
    heading = _heading(reader, plan, encoding)
    ragged = Ragged(0, [])
    if aside is not None:
        aside.write(heading.lead)

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal ragged
        line = heading.lines + 1
        for found in reader.pieces(heading.delimiter):
            rows = scan(found, heading.delimiter, len(heading.names))
            ragged = _noted(ragged, rows, line)
            line += found.lines
            if len(rows.ragged_starts) and aside is not None:
                found, lost = _parted(found, rows, heading.delimiter)
                aside.write(lost)
                rows = scan(found, heading.delimiter, len(heading.names))
            columns = [_column(rows, place, heading.encoding) for place in range(len(heading.names))]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)
        if ragged.records and aside is None:
            raise FileProblemError(_ragged_sentence(ragged, len(heading.names)))

    schema = pa.schema([(name, pa.string()) for name in heading.names])
    return schema, batches(), lambda: ragged


def _ragged_sentence(ragged: Ragged, width: int) -> str:
    listed = ", ".join(f"{line:,}" for line in ragged.lines)
    more = f" and {ragged.records - len(ragged.lines):,} more" if ragged.records > len(ragged.lines) else ""
    which = f"Line {listed}{more} does" if ragged.records == 1 else f"Lines {listed}{more} do"
    return (
        f"{which} not have {width:,} fields as the heading has: mend the file, or set such lines aside with"
        " --aside FILE."
    )


def _noted(ragged: Ragged, rows: Rows, line: int) -> Ragged:
    """The ragged records so far, with those of a piece that begins at a line."""
    if not len(rows.ragged_starts):
        return ragged
    room = RAGGED_NAMED - len(ragged.lines)
    breaks = np.flatnonzero(rows.buffer == _LF)
    lines = line + np.searchsorted(breaks, rows.ragged_starts[:room])
    return Ragged(ragged.records + len(rows.ragged_starts), ragged.lines + lines.tolist())


def _answered(reader: "_Reader", heading: Heading, writer: "_Writer") -> Iterator[_Answered]:
    """Every piece answered, in order; a few are worked on at once."""
    waiting: deque[Future[_Answered]] = deque()
    with ThreadPoolExecutor(_WORKERS, "enrich") as pool:
        try:
            for piece in reader.pieces(heading.delimiter):
                waiting.append(pool.submit(writer.answer, piece))
                if len(waiting) > _WORKERS:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


# --------------------------------------------------------------------------------------- the heading


def _heading(reader: "_Reader", plan: Plan, encoding: str | None) -> Heading:
    start = reader.begin()
    if not start.strip():
        raise FileProblemError("The file is empty.")
    encoding = encoding or _encoding_of(start[:_LOOKED_AT])
    lead = b""
    delimiter = plan.delimiter.encode("utf-8", "replace") if plan.delimiter is not None else None
    if excel := _SEP_LINE.match(start):
        lead, delimiter = reader.take(excel.end()), excel[1] if delimiter is None else delimiter
    # None that stands in a name or a value that is added.
    if delimiter is not None and (len(delimiter) != 1 or delimiter.isalnum() or delimiter in b'"\r\n _\0'):
        raise FileProblemError("The delimiter must be one character, no letter, digit, blank, _ or quotation mark.")
    delimiter = delimiter or b""
    first = reader.first_record(delimiter)
    if b"\0" in first:
        raise FileProblemError("The first line holds NUL bytes: say --encoding utf-16-le or utf-16-be if it is that.")
    found = delimiter[0] if delimiter else _delimiter_of(first)
    try:
        text = first.decode("utf-8-sig" if encoding == "utf-8" else encoding, "strict")
        (names,) = csv.reader(io.StringIO(text, newline=""), delimiter=chr(found))
    except UnicodeDecodeError:
        raise FileProblemError(f"The first line is not in {encoding}: say which it is with --encoding.") from None
    except (ValueError, csv.Error):
        raise FileProblemError("The first line cannot be read as a heading.") from None
    if plan.has_header:
        lead += reader.take(len(first))
    else:
        names = [str(i + 1) for i in range(len(names))]
    postcode, needed = plan.places(names)
    return Heading(lead, lead.count(b"\n"), names, found, postcode, needed, encoding)


def _encoding_of(start: bytes) -> str:
    """UTF-8 if it can be, else Windows-1252, which nearly everything else is."""
    try:
        codecs.getincrementaldecoder("utf-8")("strict").decode(start)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def _delimiter_of(first: bytes) -> int:
    """The candidate that stands most often in the first record outside quotation marks; a comma where none does."""
    bare = re.sub(rb'"[^"]*"', b"", first)
    return max(_CANDIDATES, key=lambda c: (bare.count(c), c == ord(",")))


# ------------------------------------------------------------------------------------------- pieces


class _Reader:
    """Cuts a file into pieces that end with a record."""

    def __init__(self, source: BinaryIO, size: int) -> None:
        self._source, self._size = source, size
        self._held = bytearray()
        self._line = 1
        self._at_end = False

    def begin(self) -> bytes:
        """The beginning of the file, which stays to be read."""
        self._more(max(self._size, _LOOKED_AT))
        return bytes(self._held)

    def take(self, length: int) -> bytes:
        """So many of the bytes that are held."""
        taken = bytes(self._held[:length])
        del self._held[:length]
        self._line += taken.count(b"\n")
        return taken

    def _more(self, size: int) -> None:
        """Hold so many bytes more, fewer at the end of the file. They are read to where they stay."""
        held = len(self._held)
        grown = bytearray(held + size)
        grown[:held] = self._held
        with memoryview(grown) as room:
            while held < len(grown) and not self._at_end:
                read = self._into(room[held:])
                self._at_end = not read
                held += read
        del grown[held:]
        self._held = grown

    def _into(self, room: memoryview) -> int:
        """Fill some of the room; how much is 0 at the end of the file alone."""
        if hasattr(self._source, "readinto"):
            return self._source.readinto(room) or 0
        part = self._source.read(len(room))
        room[: len(part)] = part
        return len(part)

    def first_record(self, delimiter: bytes) -> bytes:
        """The first record with its line end, which stays to be read; all of a file without one."""
        while True:
            quotes = self._quotes(delimiter[0] if delimiter else None)
            end = self._held.find(b"\n")
            while end >= 0 and quotes is not None and np.searchsorted(quotes, end) % 2:
                end = self._held.find(b"\n", end + 1)
            if end >= 0 or self._at_end:
                return bytes(self._held[: end + 1] if end >= 0 else self._held)
            self._check_length()
            self._more(self._size)

    def pieces(self, delimiter: int) -> Iterator[Piece]:
        """Whole records, as many as were read at once."""
        if not self._held:
            self._more(self._size)
        while self._held:
            self._check_length()
            quotes = self._quotes(delimiter)
            # Lines of a byte or two would make millions of records of one piece, and gigabytes of their places.
            lines, whole = _line_ends(self._held), len(self._held)
            end = self._end(quotes, len(self._held) * _MOST_LINES // lines) if lines > _MOST_LINES else -1
            is_part = end >= 0
            if not is_part:
                end = self._end(quotes, len(self._held))
            if self._at_end and not is_part:
                if quotes is not None and len(quotes) % 2:
                    line = self._line + self._held.count(b"\n", 0, int(quotes[-1]))
                    raise FileProblemError(f"Line {line:,}: a quotation mark is opened and never closed.")
                end = len(self._held) - 1
            if end >= 0:
                data, self._held = memoryview(self._held)[: end + 1], self._held[end + 1 :]
                inside = lines if end + 1 == whole else _line_ends(data)
                self._line += inside
                if quotes is not None:
                    quotes = quotes[: np.searchsorted(quotes, end, "right")]
                    quotes = quotes if len(quotes) else None
                yield Piece(data, quotes, data[-1] == _LF, inside)
            # A record that is longer than a piece is read in larger and larger steps, or it would be searched for
            # its end again and again.
            if not is_part:
                self._more(max(self._size - len(self._held), min(len(self._held), LONGEST_RECORD), self._size // 8))

    def _end(self, quotes: Places | None, before: int) -> int:
        """Where the last record ends that ends before this place; -1 where none does."""
        end = self._held.rfind(b"\n", 0, before)
        while end >= 0 and quotes is not None and np.searchsorted(quotes, end) % 2:
            end = self._held.rfind(b"\n", 0, end)
        return end

    def _check_length(self) -> None:
        if len(self._held) > LONGEST_RECORD:
            raise FileProblemError(
                f"Line {self._line:,} begins a record of more than {LONGEST_RECORD // 2**20} MiB: a quotation mark may"
                " not be closed, or this is no delimited text."
            )

    def _quotes(self, delimiter: int | None) -> Places | None:
        """Where quoting begins and ends in what is held, in turn."""
        if b'"' not in self._held:
            return None
        return quoting(np.frombuffer(self._held, np.uint8), delimiter)


def _line_ends(data: bytes | bytearray | memoryview) -> int:
    """How many there are: where lines are short, several times faster than to look for one after the other."""
    return int(np.count_nonzero(np.frombuffer(data, np.uint8) == _LF))


def quoting(buffer: Bytes, delimiter: int | None) -> Places:
    """Where quoting begins and ends, in turn. A quotation mark within a field that does not begin with one is a letter.

    `delimiter` None: any of the usual ones. What is quoted may hold its own marks doubled: quoting then ends and
    begins again at once, which comes to the same.
    """
    marks = np.flatnonzero(buffer == _QUOTE)
    before = np.where(marks > 0, buffer.take(marks - 1, mode="clip"), _LF)
    after = np.where(marks + 1 < len(buffer), buffer.take(marks + 1, mode="clip"), _LF)
    edges = np.zeros(256, np.bool_)
    edges[[_LF, *(_CANDIDATES if delimiter is None else (delimiter,))]] = True
    opens, closes = edges[before], edges[after] | (after == _CR)
    doubled = np.zeros(len(marks), np.bool_)  # the second of two in a row
    doubled[1:] = np.diff(marks) == 1
    begin, end = slice(0, None, 2), slice(1, None, 2)
    regular = (opens[begin] | doubled[begin]).all() and (
        closes[end] | np.append(doubled[2::2], np.False_)[: len(marks[end])]
    ).all()
    if regular:
        return marks
    # One by one, and only where a mark stands somewhere it should not.
    found: list[int] = []
    skip = -1
    for place, may_open in zip(marks.tolist(), opens.tolist(), strict=True):
        if place == skip:
            continue
        if len(found) % 2 == 0:
            if may_open:
                found.append(place)
        elif place + 1 < len(buffer) and buffer[place + 1] == _QUOTE:
            skip = place + 1
        else:
            found.append(place)
    return np.array(found, np.int64)


def scan(piece: Piece, delimiter: int, width: int) -> Rows:
    """Find the records of a piece and their separators."""
    buffer = np.frombuffer(piece.data, np.uint8)
    if not piece.ended:  # the last record of a file: as if it had a line end
        buffer = np.append(buffer, np.uint8(_LF))
    found, is_end = _separators(buffer, delimiter, piece.quotes)
    none = np.zeros(0, np.int64)
    lone = _lone_returns(buffer, piece.quotes) if width == 1 else none
    count = len(found) // width
    if (
        not len(lone)
        and len(found) == count * width
        and is_end[width - 1 :: width].all()
        and int(np.count_nonzero(is_end)) == count
    ):
        ends = found[width - 1 :: width]
        starts = np.empty(count, np.int64)
        starts[:1], starts[1:] = 0, ends[:-1] + 1
        first = np.arange(0, count * width, width)
        return Rows(buffer, starts, _without_cr(buffer, starts, ends), found, first, none, none, width)
    which = np.flatnonzero(is_end)
    first = np.empty(len(which), np.int64)
    first[:1], first[1:] = 0, which[:-1] + 1
    stops = found[which] + 1
    starts = np.empty(len(which), np.int64)
    starts[:1], starts[1:] = 0, stops[:-1]
    ends = _without_cr(buffer, starts, stops - 1)
    even = which - first + 1 == width
    even[np.searchsorted(found[which], lone)] = False
    blank = (ends == starts) & (width > 1)
    ragged = np.flatnonzero(~even & ~blank)
    return Rows(buffer, starts[even], ends[even], found, first[even], starts[ragged], stops[ragged], width)


def _separators(buffer: Bytes, delimiter: int, quotes: Places | None) -> tuple[Places, npt.NDArray[np.bool_]]:
    """Every separator that is not quoted, and whether it ends a record."""
    is_separator = buffer == delimiter
    is_separator |= buffer == _LF
    found = np.flatnonzero(is_separator)
    if quotes is not None:
        # Of what is quoted most holds no separator: what is to be left out is a few.
        begins, ends = np.searchsorted(found, quotes[::2]), np.searchsorted(found, quotes[1::2])
        if len(holding := np.flatnonzero(ends > begins)):
            quoted = np.zeros(len(found) + 1, np.int8)
            np.add.at(quoted, begins[holding], 1)
            np.add.at(quoted, ends[holding], -1)
            found = found[np.cumsum(quoted[:-1], dtype=np.int8) == 0]
    return found, buffer.take(found) == _LF


def _lone_returns(buffer: Bytes, quotes: Places | None) -> Places:
    """Carriage returns that end no line here, as they would on an old Mac: two of its rows of one field are not one."""
    found = np.flatnonzero(buffer == _CR)
    after = buffer.take(found + 1, mode="clip")
    lone = (after != _LF) & (after != _CR)
    if quotes is not None:
        lone &= np.searchsorted(quotes, found) % 2 == 0
    return np.compress(lone, found)


def _without_cr(buffer: Bytes, starts: Places, ends: Places) -> Places:
    bare: Places = ends - ((buffer.take(ends - 1, mode="clip") == _CR) & (ends > starts))
    return bare


# ------------------------------------------------------------------------------------------ answers


class _Writer:
    """Answers pieces. Its methods may be called by several threads."""

    def __init__(self, heading: Heading, plan: Plan, *, sets_aside: bool, writes: bool) -> None:
        self._heading, self._enricher, self._wanted = heading, plan.enricher, plan.wanted
        self._sets_aside, self._writes = sets_aside, writes
        self._mark = bytes([heading.delimiter])
        self._has_header = plan.has_header
        self._suffixes = of_values([], pa.binary())
        self._of_areas = self._area_suffixes() if self._wanted.domains or self._wanted.area else None

    def heading(self) -> bytes:
        """What the answered file begins with."""
        lead = self._heading.lead
        if not self._has_header:
            return lead
        if any(sign in self._wanted.prefix for sign in (chr(self._mark[0]), '"', "\r", "\n")):
            raise FileProblemError("What --prefix puts before the names must not hold a delimiter, quote or line end.")
        bare = lead.rstrip(b"\r\n")
        added = self._mark.join(name.encode(self._heading.encoding, "replace") for name in self._wanted.types())
        return bare + self._mark + added + lead[len(bare) :]

    def answer(self, piece: Piece) -> _Answered:
        """The piece with an answer at the end of each record."""
        lines, aside = piece.lines, b""
        rows = scan(piece, self._heading.delimiter, len(self._heading.names))
        ragged = rows
        if len(rows.ragged_starts) and self._sets_aside:
            piece, aside = _parted(piece, rows, self._heading.delimiter)
            rows = scan(piece, self._heading.delimiter, len(self._heading.names))
        answers = self._read(rows)
        return _Answered(rows, ragged, answers, self._text(piece, rows, answers) if self._writes else [], aside, lines)

    def _read(self, rows: Rows) -> Answers:
        starts, ends = rows.field(self._heading.postcode)
        answers = self._enricher.read(TextColumn(rows.buffer, starts, ends))
        if self._heading.encoding != "utf-8" and len(high := np.flatnonzero(rows.buffer >= 128)):
            other = np.flatnonzero(np.searchsorted(high, starts) != np.searchsorted(high, ends))
            if len(other):
                texts = TextColumn(rows.buffer, starts, ends).values(other)
                decoded = TextColumn.of(text.decode(self._heading.encoding, "replace") for text in texts)
                answers.number[other], answers.area[other] = self._enricher.read(decoded)
        return answers

    def _text(self, piece: Piece, rows: Rows, answers: Answers) -> list[pa.Buffer | bytes | memoryview]:
        if not len(rows.starts):
            return [piece.data]
        # What is joined to each answer begins where the record before it ended: with that one's line end.
        offsets = np.zeros(len(rows.ends) + 1, np.int32)
        offsets[1:] = rows.ends
        lines = pa.BinaryArray.from_buffers(
            pa.binary(), len(rows.ends), [None, pa.py_buffer(offsets), pa.py_buffer(piece.data)]
        )
        parts = [lines, self._of_answers().take(of_numbers(answers.number))]
        if self._of_areas is not None:
            parts.append(self._of_areas.take(of_numbers(answers.area)))
        joined = pc.binary_join_element_wise(*parts, _NOTHING)
        # Chunked where it is longer than offsets of 32 bits reach.
        chunks = joined.chunks if isinstance(joined, pa.ChunkedArray) else [joined]
        text: list[pa.Buffer | bytes | memoryview] = []
        for chunk in chunks:
            _, bounds, data = chunk.buffers()
            first, last = np.frombuffer(bounds, np.int32)[[chunk.offset, chunk.offset + len(chunk)]].tolist()
            text.append(data.slice(first, last - first))
        return [*text, piece.data[rows.ends[-1] :]]

    def _of_answers(self) -> pa.Array:
        """What is written for each answer, by its number."""
        suffixes = self._suffixes
        if len(suffixes) < len(known := list(self._enricher.answers)):
            suffixes = self._suffixes = of_values([self._written(answer.core) for answer in known], pa.binary())
        return suffixes

    def _area_suffixes(self) -> pa.Array:
        """What is written for each area, by its number."""
        columns = self._enricher.area_columns(self._wanted)
        return of_values([self._written(row) for row in zip(*columns, strict=True)], pa.binary())

    def _written(self, values: Iterable[Any]) -> bytes:
        return b"".join(self._mark + written(value) for value in values)


def _parted(piece: Piece, rows: Rows, delimiter: int) -> tuple[Piece, bytes]:
    """A piece without its ragged records, and these."""
    kept, aside, at = [], [], 0
    for start, stop in zip(rows.ragged_starts.tolist(), rows.ragged_stops.tolist(), strict=True):
        kept.append(piece.data[at:start])
        aside.append(piece.data[start:stop])
        at = stop
    data = b"".join([*kept, piece.data[at:]])
    quotes = quoting(np.frombuffer(data, np.uint8), delimiter) if b'"' in data else None
    # Where nothing is left there is no record to be ended either.
    return Piece(data, quotes, not data or data.endswith(b"\n"), _line_ends(data)), b"".join(aside)


def _texts(rows: Rows, heading: Heading, name: str) -> pa.Array:
    return _column(rows, heading.needed[name], heading.encoding)


def _column(rows: Rows, place: int, encoding: str) -> pa.Array:
    """A column of a piece as strings, null where nothing stands."""
    starts, ends = rows.field(place)
    # Between the fields of a column lies what nobody asked for: every second element.
    bounds = np.empty(2 * len(starts) + 1, np.int32)
    bounds[:-1:2], bounds[1::2] = starts, ends
    bounds[-1] = ends[-1] if len(ends) else 0
    scattered = pa.BinaryArray.from_buffers(
        pa.binary(), 2 * len(starts), [None, pa.py_buffer(bounds), pa.py_buffer(rows.buffer)]
    )
    found = scattered.take(of_numbers(np.arange(0, 2 * len(starts), 2)))
    found = pc.if_else(pc.equal(pc.binary_length(found), 0), _NULL, found)
    texts = _utf8(found) if encoding == "utf-8" else None
    if texts is None:
        coded = found.dictionary_encode()
        decoded = [v.decode(encoding, "replace") for v in coded.dictionary.to_pylist()]
        texts = of_values(decoded, pa.string()).take(coded.indices)
    return pc.replace_substring(texts, '""', '"')


def _utf8(column: pa.Array) -> pa.Array | None:
    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid:
        return None
