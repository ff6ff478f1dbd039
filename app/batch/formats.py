"""Which format a file is in: by its name or as told, and whether its first bytes agree."""

import re
from pathlib import Path
from typing import Final, Literal, NamedTuple, get_args

from app.batch.plan import FileProblemError

Format = Literal["csv", "tsv", "ndjson", "parquet", "excel"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
HEAD: Final = 8
"""Bytes of a file's beginning that `check_head` needs."""

_SUFFIXES: Final[dict[str, Format]] = {
    ".csv": "csv",
    ".txt": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".xlsx": "excel",
    ".xlsm": "excel",
    ".xlsb": "excel",
    ".xls": "excel",
    ".ods": "excel",
}
_WRITTEN: Final = frozenset({".xlsx"})  # of Excel's
_TEXT: Final = frozenset({"csv", "tsv", "ndjson"})
_MAGIC: Final = {
    b"PAR1": "a Parquet file",
    b"PARE": "an encrypted Parquet file",
    b"PK\x03\x04": "a workbook or another ZIP file",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "a workbook of the old kind, or one with a password",
    b"\x1f\x8b": "compressed with gzip",
}
_OF: Final[dict[str, tuple[bytes, ...]]] = {
    "parquet": (b"PAR1", b"PARE"),
    "excel": (b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
}


class FileFormat(NamedTuple):
    """A format, and whether it lies compressed with gzip."""

    name: Format
    gzip: bool = False


def format_of(path: Path | str, told: str | None = None, *, written: bool = False) -> FileFormat:
    """The format of a file by the end of its name, `.csv.gz` and the like included, or as it was told.

    `written`: it is to be written, which for Excel is possible as .xlsx alone. FileProblemError where the name says
    nothing, or a format is told that there is not.
    """
    suffixes = [suffix.lower() for suffix in Path(path).suffixes[-2:]]
    gzip = suffixes[-1:] == [".gz"]
    last = suffixes[-2] if gzip and len(suffixes) > 1 else suffixes[-1] if suffixes and not gzip else ""
    if told is not None:
        name = next((known for known in FORMATS if known == told.lower()), None)
        if name is None:
            raise FileProblemError(f"There is no format of that name: it is one of {', '.join(FORMATS)}.")
    elif last in _SUFFIXES:
        name = _SUFFIXES[last]
    else:
        raise FileProblemError(
            f"The name of the file does not say its format: it ends with {_ends()}, or say which with --format."
        )
    if gzip and name not in _TEXT:
        raise FileProblemError("Parquet files and workbooks are compressed within: take .gz from the name.")
    if written and name == "excel" and last in _SUFFIXES and _SUFFIXES[last] == "excel" and last not in _WRITTEN:
        raise FileProblemError("A workbook is written as .xlsx: let the name of the new file end with that.")
    return FileFormat(name, gzip)


def _ends() -> str:
    *most, last = _SUFFIXES
    return f"{', '.join(most)} or {last}, with .gz after that of text"


def check_head(head: bytes, found: FileFormat) -> None:
    """FileProblemError where a file's first bytes are another format's. An empty file agrees with any text."""
    said = "gzip" if found.gzip else found.name
    kind = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)
    if found.gzip:
        fits = not head or head.startswith(b"\x1f\x8b")
    elif found.name in _OF:
        fits = head.startswith(_OF[found.name])
    else:
        # A heading may begin with the letters of a mark, such as PAR1 or PK, but not with their other bytes.
        fits = kind is None or (re.match(rb"PAR[1E][\t -~]", head) is not None)
    if not fits:
        what = f"is {kind}" if kind else "begins as none does"
        raise FileProblemError(f"The file is said to be {said} but {what}: give it its right name, or --format.")
