"""One file in, one file out: opened, answered, written beside its target, and renamed when it is whole.

The source is never written to. The target has its name only once every byte of it is on the disk; whatever ends a run
before that leaves what was there before. What a killed run left behind is removed by the next.
"""

import errno
import fcntl
import gzip
import os
import select
import stat
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from app.batch.delimited import NOTHING_RAGGED, Ragged, enrich_delimited, read_delimited
from app.batch.formats import HEAD, FileFormat, check_head, format_of
from app.batch.ndjson import enrich_ndjson
from app.batch.plan import FileProblemError, Plan

STREAM: Final = Path("-")
"""Stands for standard input or standard output."""
_GZIP_LEVEL: Final = 4
_LOOKS_UP: Final = 0.5  # seconds
_DELIMITED: Final = ("csv", "tsv")
_TEXT: Final = FileFormat("csv")


def enrich_file(
    source: Path,
    target: Path | None,
    plan: Plan,
    *,
    told: str | None = None,
    overwrite: bool = False,
    aside: Path | None = None,
    before_it_counts: Callable[[], None] = lambda: None,
) -> Ragged:
    """Answer a file. FileProblemError where it cannot be taken as it is.

    `target` None: the answers are only shown to the plan's observers. `told` is the source's format where its name
    does not say it; the target's is that of its name, or else the source's. `aside` is where records go that no answer
    can be given for. `before_it_counts` is called when all is written and nothing has its name yet: what it raises
    leaves everything as it was.
    """
    found = format_of("-.csv" if source == STREAM else source, told)
    written = _format_to_write(target, found)
    if aside and found.name not in _DELIMITED:
        raise FileProblemError("Only lines of delimited text can be set aside.")
    if aside == STREAM:
        raise FileProblemError("Lines cannot be set aside on standard output: name a file.")
    with ExitStack() as stack:
        # The outermost first: a full disk is told as such whatever else ends because of it.
        stack.enter_context(_plainly())
        opened, is_as_it_was = stack.enter_context(_reading(source, plan, found))
        sink = stack.enter_context(writing(target, source, written, overwrite=overwrite)) if target else None
        apart = stack.enter_context(writing(aside, source, _TEXT, overwrite=overwrite)) if aside else None
        if found.name in _DELIMITED and (written is None or written.name == found.name):
            ragged = enrich_delimited(opened, sink, plan, aside=apart)
        elif found.name == "ndjson" and (written is None or written.name == "ndjson"):
            ragged = NOTHING_RAGGED
            enrich_ndjson(opened, sink, plan)
        else:
            ragged = _convert(opened, found, sink, written, target, plan, apart)
        if not is_as_it_was():
            raise FileProblemError("The file was changed while it was read: answer it again once it stays as it is.")
        before_it_counts()
    return ragged


def _format_to_write(target: Path | None, found: FileFormat) -> FileFormat | None:
    if target is None:
        return None
    if target == STREAM:
        return FileFormat(found.name)
    try:
        return format_of(target, written=True)
    except FileProblemError:
        if target.suffix and target.suffix != ".gz":
            raise
    return format_of(target, found.name, written=True)


def _convert(
    source: BinaryIO,
    found: FileFormat,
    sink: BinaryIO | None,
    written: FileFormat | None,
    target: Path | None,
    plan: Plan,
    aside: BinaryIO | None,
) -> Ragged:
    """By way of a table: into another format, or from one that is no text."""
    from app.batch import tables

    ragged: Callable[[], Ragged] = lambda: NOTHING_RAGGED  # noqa: E731 - the one of delimited text tells more
    if found.name == "parquet":
        table = tables.read_parquet(source)
    elif found.name == "excel":
        from app.batch import sheets

        table = sheets.read_excel(source, plan)
    elif found.name == "ndjson":
        if not source.seekable():
            raise FileProblemError("NDJSON from a stream can only be written as NDJSON: name the file.")
        table = tables.read_ndjson(source)
    else:
        schema, batches, ragged = read_delimited(source, plan, aside=aside)
        table = tables.Table(schema, batches)
    if table.rows is not None:
        plan.whole, plan.position = table.rows, lambda: plan.rows
    writer: tables.Writer | None = None
    if sink is not None and written is not None and target is not None:
        if written.name == "parquet":
            writer = tables.ParquetWriter(sink, table.compression)
        elif written.name == "excel":
            writer = tables.ExcelWriter(sink, target.parent, table.rows)
        elif written.name == "ndjson":
            writer = tables.NdjsonWriter(sink)
        else:
            writer = tables.CsvWriter(sink, "\t" if written.name == "tsv" else ",")
    tables.enrich_tables(table.batches, table.schema, writer, plan)
    return ragged()


@contextmanager
def _plainly() -> Iterator[None]:
    """What disks and compressed files do wrong, in a sentence."""
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise FileProblemError("The compressed file is damaged, or ends before its end. Nothing was written.") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise FileProblemError("There is no room for the answered file. What was written is removed.") from None
        raise


# ------------------------------------------------------------------------------------------ reading


@contextmanager
def _reading(source: Path, plan: Plan, found: FileFormat) -> Iterator[tuple[BinaryIO, Callable[[], bool]]]:
    """What to read, and what tells at the end whether nobody wrote to it meanwhile."""
    if source == STREAM:
        if found.name not in ("csv", "tsv", "ndjson"):
            raise FileProblemError("Parquet files and workbooks cannot be read from a stream: name the file.")
        yield cast("BinaryIO", _Stream(_standard(sys.stdin).fileno())), lambda: True
        return
    if source.is_dir():
        raise FileProblemError(f"{source} is a folder.")
    with source.open("rb", buffering=0) as raw:
        if stat.S_ISREG(os.fstat(raw.fileno()).st_mode):
            plan.whole, plan.position = os.fstat(raw.fileno()).st_size, raw.tell
            check_head(raw.read(HEAD), found)
            raw.seek(0)
        elif found.name not in _DELIMITED and found.name != "ndjson":
            raise FileProblemError("Parquet files and workbooks cannot be read from a stream: name the file.")
        before = _state(raw)
        is_as_it_was: Callable[[], bool] = lambda: _state(raw) == before  # noqa: E731
        plain = cast("BinaryIO", raw if before else _Stream(raw.fileno()))
        if found.gzip:
            with gzip.open(plain) as opened:
                yield cast("BinaryIO", opened), is_as_it_was
        else:
            yield plain, is_as_it_was


def _state(raw: Any) -> tuple[int, int] | None:
    """What changes with every write to a file; None of a pipe, where nothing is read twice."""
    found = os.fstat(raw.fileno())
    return (found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None


class _Stream:
    """Reads a pipe, and looks up from it twice a second.

    A signal that comes just before a read that then waits would be heeded only when that ends: perhaps never.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def readinto(self, room: memoryview) -> int:
        """Fill some of the room; 0 at the end."""
        while not select.select([self._descriptor], [], [], _LOOKS_UP)[0]:
            pass
        return os.readv(self._descriptor, [room])

    def read(self, size: int) -> bytes:
        """So many bytes, fewer at the end."""
        held, whole = 0, bytearray(size)
        with memoryview(whole) as room:
            while held < size and (read := self.readinto(room[held:])):
                held += read
        return bytes(whole[:held])


def _standard(stream: Any) -> BinaryIO:
    if stream is None:
        raise FileProblemError("Standard input or output is closed: name a file.")
    return cast("BinaryIO", stream.buffer)


# ------------------------------------------------------------------------------------------ writing


@contextmanager
def writing(target: Path, source: Path, written: FileFormat | None = None, *, overwrite: bool) -> Iterator[BinaryIO]:
    """Where to write; the target is made of it when the block ends well, and there is no trace of it otherwise."""
    if target == STREAM:
        stdout = _standard(sys.stdout)
        yield stdout
        stdout.flush()
        return
    check_target(target, source, overwrite=overwrite)
    # In the same folder, since only there renaming is one step.
    part = target.with_name(f".{target.name}.part")
    if source != STREAM and part.exists() and part.samefile(source):
        raise FileProblemError("This would be overwritten while it is read: give it, or the answer, another name.")
    descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        _claim(descriptor, part, target)
    except BaseException:
        os.close(descriptor)
        raise
    try:
        with open(descriptor, "wb", buffering=0, closefd=False) as raw:
            if written is not None and written.gzip:
                with gzip.GzipFile("", "wb", _GZIP_LEVEL, cast("BinaryIO", _Whole(raw)), mtime=0) as packed:
                    yield cast("BinaryIO", packed)
            else:
                yield cast("BinaryIO", _Whole(raw))
        os.fchmod(descriptor, _mode_of(source))
        os.fsync(descriptor)
        _name(part, target, overwrite=overwrite)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
    finally:
        os.close(descriptor)


def check_target(target: Path, source: Path, *, overwrite: bool) -> None:
    """FileProblemError for a target that may not be written: a folder, a link, or a file that is there."""
    if target.is_dir():
        raise FileProblemError(f"{target} is a folder: name a file in it.")
    if not target.parent.is_dir():
        raise FileProblemError(f"There is no folder {target.parent}.")
    if target.is_symlink() and not (target.exists() and source.exists() and target.samefile(source)):
        raise FileProblemError(f"{target} is a link: name the file itself, or - for standard output.")
    if target.exists():
        if source != STREAM and source.exists() and target.samefile(source):
            raise FileProblemError("A file cannot be answered into itself: name another for the answer.")
        if not target.is_file():
            raise FileProblemError(f"{target} is no ordinary file.")
        if not overwrite:
            raise FileProblemError(f"{target} is there already: --overwrite replaces it.")


def _claim(descriptor: int, part: Path, target: Path) -> None:
    """Make sure that nobody else writes to it, and begin anew what a killed run left behind."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_ours = os.fstat(descriptor).st_ino == part.stat().st_ino
    except (BlockingIOError, FileNotFoundError):
        is_ours = False
    if not is_ours:
        raise FileProblemError(f"{target} is being written already: by another run, or it is named twice.")
    os.ftruncate(descriptor, 0)


def _name(part: Path, target: Path, *, overwrite: bool) -> None:
    if overwrite:
        part.rename(target)
    else:
        try:
            target.hardlink_to(part)  # unlike renaming, it replaces nothing that came meanwhile
        except FileExistsError:
            raise FileProblemError(f"{target} was made by somebody else meanwhile.") from None
        except OSError as error:
            # Shares of Windows and memory sticks know no links. Nothing better is left than to look first.
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS) or os.path.lexists(target):
                raise
            part.rename(target)
        else:
            part.unlink()
    _sync_folder(target.parent)


def _mode_of(source: Path) -> int:
    """No more people may read the answers than the file itself."""
    if source == STREAM:
        return 0o600
    return stat.S_IMODE(source.stat().st_mode) & 0o666 | 0o600


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _Whole:
    """Writes all of what it is given: an unbuffered file may take less, as at a full disk."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        while len(rest):
            rest = rest[self._raw.write(rest) :]
        return size

    def flush(self) -> None:
        """Nothing is held back."""
