"""Tables that are not kept byte by byte: Parquet and NDJSON read as Arrow's batches, and those and Excel written."""

import csv
import io
import json
import math
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from app.batch.columns import text_column
from app.batch.ndjson import objects
from app.batch.plan import FileProblemError, Plan

ROWS: Final = 65_536  # of a batch, at most
EXCEL_ROWS, EXCEL_COLUMNS, EXCEL_TEXT = 1_048_575, 16_384, 32_767  # beside the heading; characters of a cell

_BATCH_BYTES: Final = 32 << 20  # that a batch may come to
_GROUP_ROWS, _GROUP_BYTES = 262_144, 128 << 20  # of a row group, at most
_WHOLE: Final = 1 << 53  # up to here a number of Excel's is exact
_FIGURES: Final = 10**15  # and up to here it is shown as it is
_BUFFER: Final = 1 << 20


class Table(NamedTuple):
    """A file as batches of one schema, in its order."""

    schema: pa.Schema
    batches: Iterable[pa.RecordBatch]
    rows: int | None = None  # where that is known before
    compression: str | None = None  # of a Parquet file's columns


class Writer(Protocol):
    """Writes batches to one file."""

    def begin(self, schema: pa.Schema, plan: Plan) -> None:
        """Before the first batch; FileProblemError where a file of this kind cannot hold such columns."""

    def write(self, batch: pa.RecordBatch) -> None:
        """The next rows. Every call may come from another thread, but one at a time."""

    def close(self) -> None:
        """After the last batch: without it the file is not whole."""

    def abandon(self) -> None:
        """Instead of `close`, when the work has failed. Raises nothing."""


def enrich_tables(batches: Iterable[pa.RecordBatch], schema: pa.Schema, writer: Writer | None, plan: Plan) -> None:
    """Append the answer's columns to every batch, in order. Nothing is written where `writer` is None.

    While a batch is answered the next one is read and the last one written, each by a thread. FileProblemError where
    the postcode's column cannot be told or holds no text.
    """
    place, needed = plan.places(schema.names)
    _check_text(schema.field(place))
    for told, other in needed.items():
        _check_value(schema.field(other), told)
    added = plan.wanted.schema()
    whole = pa.schema([*schema, *added], _metadata(schema, plan))
    rest = iter(batches)
    with ExitStack() as stack:
        stack.enter_context(_no_text())
        if writer is not None:
            stack.callback(writer.abandon)
            writer.begin(whole, plan)
        pool = stack.enter_context(ThreadPoolExecutor(2, thread_name_prefix="tables"))
        written: Future[None] | None = None
        coming = pool.submit(next, rest, None)
        while (batch := coming.result()) is not None:
            coming = pool.submit(next, rest, None)
            answers = plan.enricher.read(text_column(batch.column(place)))
            if writer is not None:
                columns = plan.enricher.columns(answers, plan.wanted)
                done = pa.RecordBatch.from_arrays([*batch.columns, *columns.columns], schema=whole)
                if written is not None:
                    written.result()
                written = pool.submit(writer.write, done)
            plan.seen(answers, _getter(batch, needed))
        if written is not None:
            written.result()
        if writer is not None:
            writer.close()


@contextmanager
def _no_text() -> Iterator[None]:
    """A file may call text what is none; that is found where it is to be written as text."""
    try:
        yield
    except UnicodeDecodeError:
        raise FileProblemError("A column of text holds bytes that are no text in UTF-8.") from None


def _getter(batch: pa.RecordBatch, needed: dict[str, int]) -> Callable[[str], pa.Array]:
    return lambda name: _strings(batch.column(needed[name]))


def _strings(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(pa.string())


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _check_text(field: pa.Field) -> None:
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if not (_is_text(kind) or pa.types.is_null(kind) or _is_number(kind) or pa.types.is_boolean(kind)):
        raise FileProblemError(f"The column {field.name} holds {kind}, where a postcode must be text.")


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _check_value(field: pa.Field, told: str) -> None:
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if pa.types.is_nested(kind) or _is_bytes(kind):
        raise FileProblemError(f"The column {told} holds {kind}, where one value of text or a number must stand.")


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
        or pa.types.is_binary_view(kind)
    )


def _metadata(schema: pa.Schema, plan: Plan) -> dict[bytes, bytes]:
    """The file's own, and what the answers were made from."""
    index, rules = plan.enricher.index, plan.enricher.rules
    made_from = {
        "release": index.release.id,
        "checksum": index.release.checksum,
        "postcodes": index.release.postcodes,
        "core20_edition": rules.core20_edition,
        "editions": [edition.id for edition in index.editions],
        "rules": rules.version,
    }
    return {**(schema.metadata or {}), b"imdlens": json.dumps(made_from).encode()}


# ------------------------------------------------------------------------------------------ Parquet


def read_parquet(source: BinaryIO) -> Table:
    """All columns with their types and the schema's metadata, in batches of at most 65,536 rows.

    However long a row group is, a part of it is held. FileProblemError where the file is damaged or encrypted.
    """
    with _parquet_damage():
        file = pq.ParquetFile(source, pre_buffer=False, buffer_size=_BUFFER)
        meta, schema = file.metadata, file.schema_arrow
        groups = [meta.row_group(i) for i in range(meta.num_row_groups)]
        size = sum(group.total_byte_size for group in groups)
        rows = max(1, min(ROWS, _BATCH_BYTES * meta.num_rows // max(size, 1)))
        batches = file.iter_batches(batch_size=rows)
        first = next(batches, None)
        # Not before something was read: Arrow ends the whole process where it is asked the name of a compression that
        # there is not, and raises an exception where it is to read what is so compressed.
        read = [group for group in groups[:1] if first is not None and group.num_rows]
        used = Counter(group.column(i).compression for group in read for i in range(group.num_columns))
    return Table(schema, _parquet_batches(first, batches), meta.num_rows, _codec(used))


def _parquet_batches(first: pa.RecordBatch | None, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    batch = first
    while batch is not None:
        yield batch
        with _parquet_damage():
            batch = next(batches, None)


def _codec(used: Counter[str]) -> str | None:
    (name, _), *_ = used.most_common(1) or [("", 0)]
    known = {"UNCOMPRESSED": "none", "LZ4": "lz4", "LZ4_RAW": "lz4"}
    return known.get(name, name.lower() if name in {"SNAPPY", "GZIP", "BROTLI", "ZSTD"} else None)


@contextmanager
def _parquet_damage() -> Iterator[None]:
    """Arrow's errors as sentences: its own may quote what is in the file."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        if "encrypt" in str(error).lower() or "decrypt" in str(error).lower():
            raise FileProblemError("The Parquet file is encrypted: decrypt it first.") from None
        raise FileProblemError("The Parquet file is damaged or cut short, or is no Parquet file.") from None


class ParquetWriter:
    """Writes Parquet, with the schema's metadata, in row groups of at most 262,144 rows or some 128 MiB."""

    def __init__(self, sink: BinaryIO, compression: str | None = None) -> None:
        self._sink, self._compression = _Gate(sink), compression or "zstd"
        self._file: pq.ParquetWriter | None = None
        self._schema: pa.Schema | None = None
        self._batches: list[pa.RecordBatch] = []
        self._rows = self._size = 0

    def begin(self, schema: pa.Schema, plan: Plan) -> None:
        """Write the head."""
        del plan
        self._schema = schema
        try:
            self._file = pq.ParquetWriter(self._sink, schema, compression=self._compression)
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
            raise FileProblemError("The file has a column of a type that Parquet cannot hold.") from None

    def write(self, batch: pa.RecordBatch) -> None:
        """Keep the rows until they fill a row group."""
        self._batches.append(batch)
        self._rows += batch.num_rows
        self._size += batch.nbytes
        if self._rows >= _GROUP_ROWS or self._size >= _GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._file is not None and self._rows:
            table = pa.Table.from_batches(self._batches, self._schema)
            self._file.write_table(table, row_group_size=self._rows)
        self._batches, self._rows, self._size = [], 0, 0

    def close(self) -> None:
        """Write what is kept, and the foot."""
        self._flush()
        if self._file is not None:
            self._file.close()
            self._file = None

    def abandon(self) -> None:
        """Let go of what is kept. The file stays without a foot: nobody can read it as whole."""
        self._batches = []
        self._sink.shut = True
        if self._file is not None:
            self._file.is_open = False
            self._file = None


class _Gate(io.RawIOBase):
    """Lets nothing through once it is shut: Arrow writes the foot of whatever file it lets go of."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink, self._place = sink, 0
        self.shut = False

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        if not self.shut:
            self._sink.write(data)
        self._place += size
        return size


# ------------------------------------------------------------------------------------------- NDJSON


def read_ndjson(source: BinaryIO) -> Table:
    """Every member as a column, in the order in which they are met; the file is read twice, so it must be seekable.

    Text, whole numbers, fractions and truth values keep their types where all of a member's values agree. Numbers
    beside text become text, and so do those of more digits than 64 bits hold; objects and lists become their JSON.
    """
    start = source.tell()
    kinds: dict[str, set[str]] = {}
    for _, members in objects(source):
        for name, value in members.items():
            kinds.setdefault(name, set()).add(_json_kind(value))
    source.seek(start)
    schema = pa.schema([(name, _json_type(found - {"null"})) for name, found in kinds.items()])
    return Table(schema, _json_batches(source, schema))


def _json_kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if -(1 << 63) <= value < 1 << 63 else "digits"
    if isinstance(value, (str, dict, list)):
        return type(value).__name__
    return "float" if math.isfinite(float(value)) else "digits"


def _json_type(kinds: set[str]) -> pa.DataType:
    if kinds == {"bool"}:
        return pa.bool_()
    if kinds == {"int"}:
        return pa.int64()
    return pa.float64() if kinds and kinds <= {"int", "float"} else pa.string()


def _json_batches(source: BinaryIO, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    rows: list[dict[str, Any]] = []
    for _, members in objects(source):
        rows.append(members)
        if len(rows) == ROWS // 4:
            yield _json_batch(rows, schema)
            rows = []
    if rows:
        yield _json_batch(rows, schema)


def _json_batch(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.RecordBatch:
    arrays = []
    for field in schema:
        values: Iterable[Any] = (row.get(field.name) for row in rows)
        if pa.types.is_string(field.type):
            values = (value if value is None or isinstance(value, str) else _json_text(value) for value in values)
        elif pa.types.is_floating(field.type):
            values = (value if value is None else float(value) for value in values)
        arrays.append(pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _json_text(value: Any) -> str:
    # A number that is not whole is an object of its own, which knows how it was written.
    if isinstance(value, (dict, list, bool)):
        return json.dumps(value, ensure_ascii=False, default=float)
    return str(value)


class NdjsonWriter:
    """Writes one object a line, a member for each column; null where nothing stands."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink
        self._names: list[str] = []

    def begin(self, schema: pa.Schema, plan: Plan) -> None:
        """FileProblemError where two columns have one name, or a column holds bytes."""
        del plan
        _check_plain(schema)
        first: dict[str, int] = {}
        for place, name in enumerate(schema.names, start=1):
            # By number: of a file without a heading, its first row would stand here.
            if first.setdefault(name, place) != place:
                raise FileProblemError(
                    f"Columns {first[name]:,} and {place:,} have the same name, and an object has each member once."
                )
        self._names = schema.names

    def write(self, batch: pa.RecordBatch) -> None:
        """A line for each row."""
        columns = [_plain_values(column, in_json=True) for column in batch.columns]
        lines = [
            json.dumps(dict(zip(self._names, row, strict=True)), ensure_ascii=False, separators=(",", ":"), default=str)
            for row in zip(*columns, strict=True)
        ]
        self._sink.write("\n".join([*lines, ""]).encode())

    def close(self) -> None:
        """There is nothing at the end."""

    def abandon(self) -> None:
        """There is nothing to let go of."""


class CsvWriter:
    """Writes delimited text in UTF-8: quoted where it must be, null and "" both empty, the heading first."""

    def __init__(self, sink: BinaryIO, delimiter: str = ",") -> None:
        self._sink, self._delimiter = sink, delimiter

    def begin(self, schema: pa.Schema, plan: Plan) -> None:
        """Write the heading, where the file has one; FileProblemError where a column holds bytes."""
        _check_plain(schema)
        if plan.has_header:
            self._rows([schema.names])

    def write(self, batch: pa.RecordBatch) -> None:
        """A line for each row."""
        self._rows(zip(*(_plain_values(column) for column in batch.columns), strict=True))

    def _rows(self, rows: Iterable[Sequence[Any]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=self._delimiter, lineterminator="\r\n").writerows(rows)
        self._sink.write(text.getvalue().encode())

    def close(self) -> None:
        """There is nothing at the end."""

    def abandon(self) -> None:
        """There is nothing to let go of."""


def _check_plain(schema: pa.Schema) -> None:
    """FileProblemError where a column holds what text cannot."""
    for field in schema:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if _is_bytes(kind):
            raise FileProblemError(f"The column {field.name} holds bytes, which only Parquet can hold.")


def _plain_values(column: pa.Array, *, in_json: bool = False) -> list[Any]:
    """Values as text has them: days and times in ISO's order, truth as true and false, what is nested as JSON."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if in_json and (pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
        return list(column.to_pylist())
    if in_json and pa.types.is_floating(kind):
        return [value if value is None or math.isfinite(value) else None for value in column.to_pylist()]
    if pa.types.is_nested(kind):
        values = column.to_pylist()
        if in_json:
            return list(values)
        return [None if v is None else json.dumps(v, ensure_ascii=False, default=str) for v in values]
    texts = list((column if _is_text(kind) else column.cast(pa.string())).to_pylist())
    if pa.types.is_floating(kind):  # a number of a patient's must not become 1.2345678901e+10
        figures = zip(texts, column.to_pylist(), strict=True)
        return [str(int(n)) if n is not None and abs(n) < _WHOLE and n == int(n) else text for text, n in figures]
    return texts


# -------------------------------------------------------------------------------------------- Excel


_NO_XML: Final = {0xFFFE: "\ufffd", 0xFFFF: "\ufffd"}  # no characters, which would make the workbook unreadable


class ExcelWriter:
    """Writes an .xlsx workbook of one sheet, a row at a time. Text stays text: no cell becomes a formula or a link.

    `folder` is where rows wait on the disk until the end, in a folder that only this user may enter: the target's, so
    that what is about patients lies nowhere else.
    """

    def __init__(self, sink: BinaryIO, folder: Path, rows: int | None = None) -> None:
        self._sink, self._folder, self._known = sink, folder, rows
        self._waiting: tempfile.TemporaryDirectory[str] | None = None
        self._book: Any = None
        self._sheet: Any = None
        self._formats: dict[str, Any] = {}
        self._schema: pa.Schema | None = None
        self._row = 0

    def begin(self, schema: pa.Schema, plan: Plan) -> None:
        """Write the heading; FileProblemError where a sheet has not the rows or the columns."""
        import xlsxwriter  # 10 MB, for those alone who write workbooks

        _check_plain(schema)
        if len(schema) > EXCEL_COLUMNS:
            raise FileProblemError(f"A sheet of Excel has {EXCEL_COLUMNS:,} columns; this would be {len(schema):,}.")
        if self._known is not None and self._known > EXCEL_ROWS:
            raise _too_many_rows()
        self._waiting = tempfile.TemporaryDirectory(prefix=".imdlens-", dir=self._folder)
        options = {
            "constant_memory": True,
            "tmpdir": self._waiting.name,
            "strings_to_numbers": False,
            "strings_to_formulas": False,
            "strings_to_urls": False,
        }
        self._book = xlsxwriter.Workbook(self._sink, options)
        self._sheet = self._book.add_worksheet()
        written = {"d": "yyyy-mm-dd", "dt": "yyyy-mm-dd hh:mm:ss", "t": "hh:mm:ss", "td": "[h]:mm:ss"}
        self._formats = {name: self._book.add_format({"num_format": text}) for name, text in written.items()}
        self._schema = schema
        if plan.has_header:
            for place, name in enumerate(schema.names):
                self._cell(place, name)
            self._row = 1

    def write(self, batch: pa.RecordBatch) -> None:
        """A row of the sheet for each; FileProblemError at the row for which there is no room."""
        columns = [_cell_values(column) for column in batch.columns]
        for row in zip(*columns, strict=True):
            if self._row > EXCEL_ROWS:
                raise _too_many_rows()
            for place, value in enumerate(row):
                if value is not None:
                    self._cell(place, value)
            self._row += 1

    def _cell(self, place: int, value: Any) -> None:
        sheet, row = self._sheet, self._row
        if isinstance(value, bool):
            sheet.write_boolean(row, place, value)
        elif isinstance(value, (int, float)) and math.isfinite(value) and abs(value) < _FIGURES:
            sheet.write_number(row, place, value)
        elif isinstance(value, (date, time, timedelta)) and _in_excel(value):
            kind = {datetime: "dt", date: "d", time: "t"}.get(type(value), "td")
            sheet.write_datetime(row, place, value, self._formats[kind])
        else:
            text = (value.isoformat() if isinstance(value, (date, time)) else str(value)).translate(_NO_XML)
            if len(text.encode("utf-16-le")) // 2 > EXCEL_TEXT:
                raise FileProblemError(
                    f"Row {row + 1:,}, column {place + 1:,}: a cell of Excel holds {EXCEL_TEXT:,} characters."
                )
            if text:
                sheet.write_string(row, place, text)

    def close(self) -> None:
        """Put the workbook together."""
        try:
            if self._book is not None:
                self._book.close()
        finally:
            self._book = None
            self._clear()

    def abandon(self) -> None:
        """Remove what waits on the disk."""
        if self._book is not None:
            self._book.fileclosed = True  # else it would be put together when it is let go of
            self._book = None
        self._clear()

    def _clear(self) -> None:
        if self._sheet is not None and not self._sheet.row_data_fh.closed:
            self._sheet.row_data_fh.close()
        self._sheet = None
        if self._waiting is not None:
            self._waiting.cleanup()
            self._waiting = None


def _too_many_rows() -> FileProblemError:
    return FileProblemError(f"A sheet of Excel has {EXCEL_ROWS:,} rows beside its heading: write CSV or Parquet.")


def _in_excel(value: date | time | timedelta) -> bool:
    """Whether Excel's calendar, which begins with 1900, has it; a time zone it knows nothing of."""
    if isinstance(value, date):
        return value.year >= 1900 and getattr(value, "tzinfo", None) is None
    return isinstance(value, time) or value >= timedelta(0)


def _cell_values(column: pa.Array) -> list[Any]:
    kind = column.type
    if pa.types.is_temporal(kind):
        if pa.types.is_timestamp(kind):
            column = column.cast(pa.timestamp("us", kind.tz), safe=False)
        elif pa.types.is_time(kind):
            column = column.cast(pa.time64("us"), safe=False)
        elif pa.types.is_duration(kind):
            column = column.cast(pa.duration("us"), safe=False)
        return list(column.to_pylist())
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        return list(column.to_pylist())
    return _plain_values(column)
