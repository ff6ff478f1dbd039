"""The writer of each format, by the end of a file's name. What a format needs is loaded when it is written."""

from collections.abc import Callable, Mapping
from typing import Final

from app.report.document import Document
from app.report.docx import write_docx
from app.report.html import write_html
from app.report.pdf import write_pdf
from app.report.xlsx import write_xlsx

FORMATS: Final[Mapping[str, Callable[[Document], bytes]]] = {
    ".html": write_html,
    ".pdf": write_pdf,
    ".docx": write_docx,
    ".xlsx": write_xlsx,
}


def write(document: Document, suffix: str) -> bytes:
    """A document in the format of a suffix, `.pdf` or `.PDF`. KeyError for another."""
    return FORMATS[suffix.lower()](document)
