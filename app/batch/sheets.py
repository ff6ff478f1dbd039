"""Workbooks: a sheet read as Arrow's batches, by a process of its own.

The reader of workbooks makes room for every cell between the first and the last. One stray cell in the last corner asks
for hundreds of gigabytes, and where they are refused the reader ends its process, with no exception that could be
caught. So that is a process which may have so much memory and no more, and its end is told in a sentence.
"""

import io
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from typing import Any, BinaryIO, Final

import pyarrow as pa
from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, PasswordError, SheetTypeEnum

from app.batch.plan import FileProblemError, Plan
from app.batch.tables import ROWS, Table

_MOST: Final = 4 << 30  # bytes; a million rows of a hundred columns need three quarters of it
_SHARE: Final = 0.75  # of the machine's memory
_NO_ROOM: Final = 3  # the process's exit code
_WHOLE: Final = 1 << 53  # up to here a number of Excel's is exact


def read_excel(source: BinaryIO, plan: Plan) -> Table:
    """The first sheet, or `plan.sheet`, of an .xlsx, .xlsb, .xls or .ods workbook.

    The first row that is not empty is the heading. Text stays text, leading zeros and all; numbers, days and truth
    values keep their types where all of a column's agree, and are text beside text. An empty cell is null.
    FileProblemError where it is damaged, or needs more memory than there is.
    """
    source.seek(0)
    done = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-P", "-m", __name__, json.dumps([plan.sheet, plan.has_header, _most_memory()])],
        input=source.read(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # the reader's last words, which may quote what is in the file
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    if done.returncode == _NO_ROOM or done.returncode < 0:
        raise FileProblemError(
            "The workbook needs more memory than there is. A cell far from all others is enough for that: delete the "
            "empty rows and columns that follow the last ones and save it again, or save the sheet as CSV."
        )
    if done.returncode:
        raise RuntimeError(f"the reader of workbooks ended with {done.returncode}")
    told, _, content = done.stdout.partition(b"\n")
    head = json.loads(told)
    if "problem" in head:
        raise FileProblemError(head["problem"])
    batches = pa.ipc.open_stream(pa.py_buffer(content))
    return Table(batches.schema, batches, head["rows"])


def main() -> None:
    """Read a workbook from standard input; write a line of JSON, and where that tells of rows, Arrow's stream."""
    chosen, has_header, most = json.loads(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    answer = pa.BufferOutputStream()
    try:
        table = read_sheet(io.BytesIO(sys.stdin.buffer.read()), chosen, has_header=has_header)
        head: dict[str, Any] = {"rows": table.rows}
        with pa.ipc.new_stream(answer, table.schema) as stream:
            for batch in table.batches:
                stream.write_batch(batch)
    except FileProblemError as error:
        head, answer = {"problem": str(error)}, pa.BufferOutputStream()
    except MemoryError:
        sys.exit(_NO_ROOM)
    sys.stdout.buffer.write(json.dumps(head).encode() + b"\n")
    sys.stdout.buffer.write(answer.getvalue())


def _most_memory() -> int:
    return min(_MOST, int(_SHARE * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")))


def read_sheet(source: BinaryIO, chosen: str | None, *, has_header: bool) -> Table:
    """`read_excel` in this process, which a sheet can end."""
    with _excel_damage():
        source.seek(0)
        book = CalamineWorkbook.from_filelike(source)
        sheets = [s.name for s in book.sheets_metadata if s.typ == SheetTypeEnum.WorkSheet]
    if not sheets:
        raise FileProblemError("The workbook has no sheet with cells.")
    if chosen is not None and chosen not in sheets:
        raise FileProblemError(f"The workbook has no sheet called {chosen}; it has {', '.join(sheets[:5])}.")
    with _excel_damage():
        sheet = book.get_sheet_by_name(chosen or sheets[0])
        rows = _filled(sheet)
        names = [_cell_text(cell) or "" for cell in next(rows, [])] if has_header else None
        kinds: list[set[type]] = [set() for _ in names or ()]
        count = 0
        for row in rows:
            kinds.extend(set() for _ in range(len(row) - len(kinds)))
            count += 1
            for found, cell in zip(kinds, row, strict=False):
                if cell != "":
                    found.add(_cell_kind(cell))
    if names is None:
        names = [str(i + 1) for i in range(len(kinds))]
    names += [""] * (len(kinds) - len(names))
    schema = pa.schema([pa.field(name, _cell_type(found)) for name, found in zip(names, kinds, strict=True)])
    return Table(schema, _excel_batches(sheet, schema, has_header=has_header), count)


def _filled(sheet: CalamineSheet) -> Iterator[list[Any]]:
    """Rows from the first one that is not empty."""
    rows = iter(sheet.iter_rows())
    for row in rows:
        if any(cell != "" for cell in row):
            yield row
            break
    yield from rows


def _excel_batches(sheet: CalamineSheet, schema: pa.Schema, *, has_header: bool) -> Iterator[pa.RecordBatch]:
    rows = _filled(sheet)
    if has_header:
        next(rows, None)
    some: list[list[Any]] = []
    for row in rows:
        some.append(row)
        if len(some) == ROWS // 4:
            yield _excel_batch(some, schema)
            some = []
    if some:
        yield _excel_batch(some, schema)


def _excel_batch(rows: list[list[Any]], schema: pa.Schema) -> pa.RecordBatch:
    arrays = []
    for place, field in enumerate(schema):
        cells = (row[place] if place < len(row) else "" for row in rows)
        read: Callable[[Any], Any] = _CELLS.get(field.type, _cell_text)
        arrays.append(pa.array([None if cell == "" else read(cell) for cell in cells], field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _cell_kind(cell: Any) -> type:
    """A cell's type; `int` of a number that is whole, since a sheet knows no other numbers than fractions."""
    if isinstance(cell, float):
        return int if cell.is_integer() and abs(cell) < _WHOLE else float
    return type(cell)


def _cell_type(kinds: set[type]) -> pa.DataType:
    for known, kind in _TYPES:
        if kinds and kinds <= known:
            return kind
    return pa.string()


_TYPES: Final[tuple[tuple[set[type], pa.DataType], ...]] = (
    ({bool}, pa.bool_()),
    ({int}, pa.int64()),
    ({int, float}, pa.float64()),
    ({date}, pa.date32()),
    ({date, datetime}, pa.timestamp("us")),
    ({time}, pa.time64("us")),
    ({timedelta}, pa.duration("us")),
)
_CELLS: Final[dict[pa.DataType, Callable[[Any], Any]]] = {kind: lambda cell: cell for _, kind in _TYPES} | {
    pa.int64(): int,
    pa.float64(): float,
    pa.timestamp("us"): lambda cell: cell if isinstance(cell, datetime) else datetime(cell.year, cell.month, cell.day),  # noqa: DTZ001
}


def _cell_text(cell: Any) -> str:
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float) and _cell_kind(cell) is int:
        return str(int(cell))
    return cell.isoformat() if isinstance(cell, (date, time)) else str(cell)


@contextmanager
def _excel_damage() -> Iterator[None]:
    """The reader's errors as sentences: its own may quote what is in the file."""
    try:
        yield
    except PasswordError:
        raise FileProblemError("The workbook is protected by a password: save it without one first.") from None
    except (CalamineError, ValueError, KeyError, OverflowError, EOFError):
        raise FileProblemError("The workbook is damaged, or is no Excel or OpenDocument file.") from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise FileProblemError("The workbook is damaged, or is no Excel or OpenDocument file.") from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # of the reader's own language, and no Exception
            raise
        raise FileProblemError("The workbook is damaged, or is no Excel or OpenDocument file.") from None


if __name__ == "__main__":
    main()
