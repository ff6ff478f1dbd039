"""Official files as they are published: found, recognised by their columns, and opened.

CSV, CSV.gz, XLSX and zip files of CSVs; with or without a byte-order mark, quotes or upper-case
headers. Nothing is unpacked to disk.
"""

import codecs
import csv
import gzip
import hashlib
import io
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import IO, cast

import pandas as pd
from python_calamine import CalamineError

from app.reference.errors import ReferenceDataError
from app.reference.manifest import Manifest, Release

_HEADER_BYTES = 256 * 1024
_SUFFIXES = (".csv", ".csv.gz", ".zip", ".xlsx")


@dataclass(frozen=True, slots=True)
class Source:
    """One recognised table: a file, or a member of a zip, or a sheet of a workbook."""

    path: Path
    member: str | None
    release: Release
    columns: dict[str, str]  # concept to the name that the file gives the column
    header: tuple[str, ...]

    @property
    def name(self) -> str:
        """How messages call it."""
        return f"{self.path.name} › {self.member}" if self.member else self.path.name

    @property
    def stem(self) -> str:
        """The name of the table itself, without folder or suffix."""
        return Path(self.member or self.path.name).name.split(".")[0]

    @property
    def issue(self) -> tuple[str, date] | None:
        """Product and month of a postcode directory, from its file name."""
        pattern = self.release.file_name
        match = pattern.search(self.stem) if pattern else None
        if match is None:
            return None
        try:
            when = datetime.strptime(f"{match['month']} {match['year']}", "%b %Y").date()  # noqa: DTZ007
        except ValueError:
            return None
        return match["product"].upper(), when


def discover(paths: Iterable[Path], manifest: Manifest) -> tuple[list[Source], list[str]]:
    """The recognised tables among files and folders, and the names of those that are not.

    A file named by itself must be recognised; a folder may hold others.
    """
    found: list[Source] = []
    ignored: list[str] = []
    for path in paths:
        if path.is_dir():
            for file in sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith(".")):
                here = list(_recognised(file, manifest)) if file.name.lower().endswith(_SUFFIXES) else []
                found += here
                ignored += [] if here else [str(file.relative_to(path))]
        elif path.is_file():
            here = list(_recognised(path, manifest))
            if not here:
                raise ReferenceDataError(
                    f"{path.name}: none of its tables has the columns of an official release that is known here."
                )
            found += here
        else:
            raise ReferenceDataError(f"{path}: there is no such file or folder.")
    return found, ignored


def _recognised(path: Path, manifest: Manifest) -> Iterator[Source]:
    try:
        for member, header, first in _openings(path):
            hit = manifest.recognise(header)
            if hit is not None and _of_its_areas(*hit, dict(zip(header, first, strict=False))):
                yield Source(path, member, hit[0], hit[1], tuple(header))
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, csv.Error, ValueError, CalamineError) as error:
        raise ReferenceDataError(f"{path.name}: it cannot be read ({error}).") from error


def _of_its_areas(release: Release, columns: dict[str, str], first: dict[str, str]) -> bool:
    """Whether the first row is of the geography that the release is of; a table without rows is told later."""
    code = first.get(columns.get("area", ""), "").strip()
    return release.area_code is None or not code or release.area_code.fullmatch(code) is not None


def _openings(path: Path) -> Iterator[tuple[str | None, list[str], list[str]]]:
    """The tables of a file: name inside it, column names, and first row."""
    name = path.name.lower()
    if name.endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                if member.lower().endswith(".csv"):
                    with archive.open(member) as file:
                        yield member, *_first_rows(file.read(_HEADER_BYTES))
    elif name.endswith(".xlsx"):
        for sheet, table in pd.read_excel(path, sheet_name=None, nrows=1, dtype=str, engine="calamine").items():
            yield str(sheet), [str(column) for column in table.columns], [str(v) for v in table.to_numpy().ravel()]
    elif name.endswith(".gz"):
        with gzip.open(path) as file:
            yield None, *_first_rows(file.read(_HEADER_BYTES))
    else:
        with path.open("rb") as file:
            yield None, *_first_rows(file.read(_HEADER_BYTES))


def header_row(start: bytes) -> list[str]:
    """The column names at the start of a CSV file; a quoted name may run over lines."""
    return _first_rows(start)[0]


def _first_rows(start: bytes) -> tuple[list[str], list[str]]:
    rows = csv.reader(io.StringIO(start.decode("utf-8-sig", "replace"), newline=""))
    header = next(rows, [])
    try:
        return header, next(rows, [])
    except csv.Error:  # of a table that may not even be one of ours
        return header, []


@contextmanager
def opened(source: Source, on_bytes: Callable[[int], None] = lambda _: None) -> Iterator[io.RawIOBase]:
    """The bytes of a CSV table, unpacked and without its byte-order mark; `on_bytes` hears of progress."""
    if source.member:
        with zipfile.ZipFile(source.path) as archive, archive.open(source.member) as file:
            yield _Counted(file, on_bytes)
    else:
        with _unpacked(source.path) as file:
            yield _Counted(file, on_bytes)


def _unpacked(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


class _Counted(io.RawIOBase):
    """A stream that reports how much of it was read, and leaves out a byte-order mark."""

    def __init__(self, file: IO[bytes], on_bytes: Callable[[int], None]) -> None:
        self._file, self._on_bytes = file, on_bytes
        self._ahead = file.read(len(codecs.BOM_UTF8)).removeprefix(codecs.BOM_UTF8)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        ahead, self._ahead = self._ahead, b""
        data = ahead + self._file.read(size - len(ahead) if size >= 0 else -1)
        self._on_bytes(len(data))
        return data


def unpacked_size(source: Source) -> int:
    """Bytes of the table as text, for a progress bar; an estimate for gzip."""
    if source.member and source.path.suffix == ".zip":
        with zipfile.ZipFile(source.path) as archive:
            return archive.getinfo(source.member).file_size
    size = source.path.stat().st_size
    if source.path.suffix == ".gz":
        with source.path.open("rb") as file:
            file.seek(-4, io.SEEK_END)  # gzip ends with its length modulo 2**32
            return max(int.from_bytes(file.read(4), "little"), size)
    return size


def table(source: Source) -> pd.DataFrame:
    """The recognised columns of a small table, as text, named by concept; blank rows left out."""
    names = list(dict.fromkeys(source.columns.values()))
    try:
        if source.path.suffix.lower() == ".xlsx":
            data = pd.read_excel(source.path, sheet_name=source.member, usecols=names, dtype=str, engine="calamine")
        else:
            with opened(source) as file:
                data = pd.read_csv(file, usecols=names, dtype=str, encoding_errors="replace")
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error, CalamineError) as error:
        raise ReferenceDataError(f"{source.name}: it cannot be read ({error}).") from error
    named = pd.DataFrame({concept: data[column].str.strip() for concept, column in source.columns.items()})
    named.index = named.index + 2  # the row as a spreadsheet counts it
    return named[named.notna().any(axis=1) & (named != "").any(axis=1)]


def sha256(path: Path) -> str:
    """Digest of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
