"""A report as PDF/UA-1 by Typst: tagged, with alternative text, without a browser, a network or a font of this machine.

What the report says goes to a fixed template as JSON, so that nothing in a name can be taken for markup.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC
from importlib import resources
from typing import Any, Final, Literal

from app.report.document import Block, Document, Exhibit, TableBlock, shown, table_of
from app.report.pictures import alternative, svg_of

STANDARD: Final = "ua-1"

# A column as wide as its longest word is not widened; a sentence gets a share of what is left.
_LONG: Final = 28


def write_pdf(document: Document) -> bytes:
    """The report as PDF. Equal documents make equal bytes: it is dated by what it rests on."""
    made = _compiled(document, "pdf", pdf_standards=[STANDARD], timestamp=document.dated.astimezone(UTC))
    return made if isinstance(made, bytes) else b"".join(made)


def pages_of(document: Document, dots_per_inch: int = 80) -> list[bytes]:
    """Each page of the PDF as PNG, to look at."""
    made = _compiled(document, "png", ppi=dots_per_inch)
    return [made] if isinstance(made, bytes) else list(made)


def _compiled(document: Document, output: Literal["pdf", "png"], **options: Any) -> bytes | Sequence[bytes]:
    import typst  # when a report is written, and not when the service starts

    source = resources.files("app.report").joinpath("report.typ").read_bytes()
    told = json.dumps(_told(document), ensure_ascii=False)
    made: bytes | Sequence[bytes] = typst.compile(
        source, format=output, ignore_system_fonts=True, sys_inputs={"report": told}, **options
    )
    return made


def _told(document: Document) -> dict[str, Any]:
    return {
        "title": document.title,
        "subtitle": document.subtitle,
        "author": document.organisation or "IMD Lens",
        "footer": ("SYNTHETIC DATA. " if document.is_synthetic else "") + f"{document.title}. {document.subtitle}",
        "facts": [fact._asdict() for fact in document.facts],
        "key": document.key,
        "is_synthetic": document.is_synthetic,
        "is_brief": document.is_brief,
        "blocks": [_block(block, document) for block in document.blocks],
    }


def _block(block: Block, document: Document) -> dict[str, Any]:
    kind = {"kind": type(block).__name__}
    if isinstance(block, TableBlock):
        return kind | _table(block)
    if isinstance(block, Exhibit):
        return kind | {
            "title": block.chart.title,
            "picture": svg_of(block.chart),
            "alternative": alternative(block.chart),
            "width": 62 if document.is_brief else 100,
            "table": _table(table_of(block.chart)) | {"caption": block.chart.axis},
        }
    told = asdict(block)
    if "figures" in told:
        told["figures"] = [figure._asdict() for figure in block.figures]  # type: ignore[union-attr]
    return kind | told


def _table(table: TableBlock) -> dict[str, Any]:
    rows = [[shown(cell) for cell in row] for row in table.rows]
    longest = [max((len(row[i]) for row in rows), default=0) for i in range(len(table.columns))]
    return {
        "caption": table.caption,
        "columns": [
            column._asdict() | {"width": _share(length)} for column, length in zip(table.columns, longest, strict=True)
        ],
        "rows": rows,
        "notes": list(table.notes),
        "source": table.source,
    }


def _share(length: int) -> int:
    """How much of the page's width a column gets beside others; 0 is as much as it needs."""
    return 0 if length <= _LONG else 1 if length <= 2 * _LONG else 2 if length <= 5 * _LONG else 3
