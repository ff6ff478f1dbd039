"""An organisation's own files, written so that they read back as they were, and harm no spreadsheet."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final

_NUMBER: Final = re.compile(r"[-+]?[0-9]+")
# What a spreadsheet takes for a formula when a cell begins with it, full-width signs and what follows a break included.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\N{MINUS SIGN}")


def shielded(text: str) -> str:
    """A text with an apostrophe before it, where a spreadsheet would take it for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text


def unshielded(text: str) -> str:
    """The text without that apostrophe."""
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text


def as_file(columns: Sequence[str], rows: Iterable[Sequence[object]], *, source: str, written: date) -> str:
    """A rules file with its head: version, status, source and who signs it off, then the rows, every text shielded."""
    buffer = io.StringIO()
    said = " ".join(source.split())
    buffer.write(
        f"# version: {written.isoformat()}\n# status: sourced\n# source: {said}\n# sign_off: the organisation\n"
    )
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([shielded(str(value)) for value in row] for row in rows)
    return buffer.getvalue()
