"""Targets that read whole files: delimited text, NDJSON, Parquet, workbooks, the index."""

import io
import resource
import signal
import zipfile
from collections.abc import Callable
from concurrent.futures import Future
from functools import cache
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from typing import Any, Self

from app.batch import delimited as delimited_reader
from app.batch import ndjson as ndjson_reader
from app.batch import sheets, tables
from app.batch.delimited import enrich_delimited, read_delimited
from app.batch.ndjson import enrich_ndjson
from app.batch.plan import FileProblemError, Plan
from app.lookup.deprivation import DOMAINS
from app.lookup.index import Index
from app.lookup.layout import IndexFileError
from fuzz import around
from fuzz.readers import check_sentence

PIECES = (64, 257, 4096)  # of a file: the answer must not depend on them


class _AtOnce:
    """Stands in for a pool of threads: what is handed to it is done at once, by the thread that coverage is seen of."""

    def __init__(self, *_: Any, **__: Any) -> None:
        """Begins no thread: to hand over a file of some hundred bytes takes longer than to answer it."""

    def submit(self, work: Callable[..., Any], *arguments: Any, **named: Any) -> Future[Any]:
        """The result, or what was raised, in a future that is done."""
        future: Future[Any] = Future()
        try:
            future.set_result(work(*arguments, **named))
        except Exception as error:  # noqa: BLE001 - a pool hands on whatever it is
            future.set_exception(error)
        return future

    def shutdown(self, **_: Any) -> None:
        """There is nothing to end."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """There is nothing to end."""


def without_threads() -> None:
    """Answer files in this thread from now on. The suite's property tests read them with threads."""
    for module in (delimited_reader, ndjson_reader, tables):
        module.ThreadPoolExecutor = _AtOnce  # type: ignore[attr-defined,misc]


def _plan(options: int) -> Plan:
    return Plan(
        around.enricher(),
        postcode_column="1" if options & 1 else None,
        has_header=not options & 2,
        delimiter="," if options & 4 else None,
    )


def delimited(data: bytes) -> None:
    """CSV and its kin, how by the first byte: the same answer however the file is cut, or a sentence."""
    options, content = (data[0], data[1:]) if data else (0, b"")
    if options & 8:
        _as_table(options, content)
        return
    sizes = PIECES if options & 16 else PIECES[-1:]
    aside = bool(options & 32)
    made = {_delimited(content, options, piece, aside=aside) for piece in sizes}
    assert len(made) == 1


def _delimited(content: bytes, options: int, piece: int, *, aside: bool) -> tuple[bytes, bytes] | None:
    sink, apart = io.BytesIO(), io.BytesIO()
    try:
        enrich_delimited(io.BytesIO(content), sink, _plan(options), aside=apart if aside else None, piece=piece)
    except FileProblemError:
        return None
    return sink.getvalue(), apart.getvalue()


def _as_table(options: int, content: bytes) -> None:
    plan = _plan(options)
    try:
        schema, batches, _ = read_delimited(io.BytesIO(content), plan, aside=io.BytesIO(), piece=PIECES[-1])
        tables.enrich_tables(batches, schema, tables.NdjsonWriter(io.BytesIO()), plan)
    except FileProblemError:
        return


def ndjson(data: bytes) -> None:
    """NDJSON: the same answer however the file is cut, or a sentence; and as a table."""
    options, content = (data[0], data[1:]) if data else (0, b"")
    if options & 8:
        _answered(lambda: tables.read_ndjson(io.BytesIO(content)), _plan(0))
        return
    sizes = PIECES if options & 16 else PIECES[-1:]
    assert len({_ndjson(content, piece) for piece in sizes}) == 1


def _ndjson(content: bytes, piece: int) -> bytes | None:
    sink = io.BytesIO()
    try:
        enrich_ndjson(io.BytesIO(content), sink, _plan(0), piece=piece)
    except FileProblemError:
        return None
    return sink.getvalue()


def _answered(read: Any, plan: Plan) -> None:
    try:
        table = read()
        tables.enrich_tables(table.batches, table.schema, tables.NdjsonWriter(io.BytesIO()), plan)
    except FileProblemError as error:
        check_sentence(error)


def parquet(data: bytes) -> None:
    """A Parquet file: answered, or a sentence."""
    _answered(lambda: tables.read_parquet(io.BytesIO(data)), _plan(0))


def workbook(data: bytes) -> None:
    """A workbook, or with an odd first byte one whose sheet's XML is the rest: answered, or a sentence."""
    options, content = (data[0], data[1:]) if data else (0, b"")
    plan = _plan(options & 2)
    book = with_sheet(content) if options & 1 else content
    if _reader().survives(book, has_header=plan.has_header):
        _answered(lambda: sheets.read_sheet(io.BytesIO(book), None, has_header=plan.has_header), plan)


class _Reader:
    """A process that reads every workbook first, with the memory that the product's has: it may end, this one may not.

    One for many workbooks, since to start one for each, as the product does, takes longer than all that is tried here.
    """

    _MEMORY = 2 << 30

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._here, there = Pipe()
        self._process = get_context("fork").Process(target=self._serve, args=(there,), daemon=True)
        self._process.start()
        there.close()

    def _serve(self, pipe: Connection) -> None:
        signal.signal(signal.SIGABRT, signal.SIG_DFL)  # the fuzzer's own would call it a crash of the fuzzer
        resource.setrlimit(resource.RLIMIT_AS, (self._MEMORY, self._MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        while True:
            book, has_header = pipe.recv()
            survived = True
            try:
                table = sheets.read_sheet(io.BytesIO(book), None, has_header=has_header)
                for _ in table.batches:
                    pass
            except MemoryError:
                survived = False
            except BaseException:  # noqa: BLE001, S110 - raised again by who asks, where it is seen
                pass
            pipe.send(survived)

    def survives(self, book: bytes, *, has_header: bool) -> bool:
        """Whether a workbook is read with so much memory; the product says a sentence where it is not."""
        try:
            self._here.send((book, has_header))
            return bool(self._here.recv())
        except (EOFError, OSError):
            self._process.join()
            self._start()
            return False


@cache
def _reader() -> _Reader:
    return _Reader()


@cache
def workbook_parts() -> dict[str, bytes]:
    """The parts of a workbook with a sheet of postcodes."""
    import xlsxwriter

    file = io.BytesIO()
    book = xlsxwriter.Workbook(file, {"in_memory": True})
    sheet = book.add_worksheet()
    for row, values in enumerate([("id", "postcode"), (7, "NG1 1AA"), (1.5, "DT1 1AA"), (True, "")]):
        for column, value in enumerate(values):
            sheet.write(row, column, value)
    book.close()
    with zipfile.ZipFile(file) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def with_sheet(xml: bytes) -> bytes:
    """A workbook whose sheet is this XML."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as packed:
        for name, part in workbook_parts().items():
            packed.writestr(name, xml if name.endswith("sheet1.xml") else part)
    return file.getvalue()


def index(data: bytes) -> None:
    """An index file, or with an odd first byte one whose checksum was made to match: refused, or answers within it."""
    options, content = (data[0], data[1:]) if data else (0, b"")
    path = around.folder() / "fuzzed.imdl"
    path.write_bytes(around.with_its_checksum(content) if options & 1 else content)
    try:
        opened = Index(path)
    except IndexFileError as error:
        check_sentence(error)
        return
    for text in ("E3 3AA", "AL5 2DA", "AL52DA", "NG1 1AA", "ZZ99 3VZ"):
        found = opened.one(text)
        assert opened.each([text])[1].tolist() == [found.slot]
        for edition in opened.editions:
            assert opened.decile(found.area, edition.id) in {None, *range(256)}
            assert len(opened.domains(found.area, edition.id) or DOMAINS) == len(DOMAINS)
        for kind in ("lsoa21", "lsoa11", "lad", "icb"):
            opened.code(found.area, kind)
        opened.shares(found.area)
        opened.rural(found.area)
