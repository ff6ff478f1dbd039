"""A report as PDF/UA-1 by Typst: tagged, with alternative text, without a browser, a network or a font of this machine.

What the report says goes to a fixed template as JSON, so that nothing in a name can be taken for markup.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC
from importlib import resources
from typing import Any, Final, Literal

from app.report.document import Block, Document, Exhibit, TableBlock, shown, table_of
from app.report.pictures import alternative, svg_of

STANDARD: Final = "ua-1"

# Characters that find room beside each other, by the number of columns: the template sets wide tables smaller.
_LINES: Final = {**dict.fromkeys(range(6), 100), **dict.fromkeys(range(6, 9), 115), 9: 132}
# What is neither Latin nor punctuation of ours: the font may lack it.
_UNCOMMON: Final = re.compile("[^\n\x20-\x7e\xa0-\xac\xae-\u017f\u2010-\u2015\u2018-\u201f\u2022\u2026\u20ac\u2212]")
_REPLACED: Final = "?"
_WIDEST: Final = 44  # a column of sentences gets no more than so many, as a share of the line
_ROWS: Final = 14
_TALLEST: Final = 1600  # characters of a table that is kept on one page


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

    def compiled(told: str) -> bytes | Sequence[bytes]:
        made: bytes | Sequence[bytes] = typst.compile(
            source, format=output, ignore_system_fonts=True, sys_inputs={"report": told}, **options
        )
        return made

    try:
        return compiled(told)
    except typst.TypstError:
        # The standard allows no sign that the font lacks, and a name in a local file may hold any.
        common = _UNCOMMON.sub(_REPLACED, told)
        if common == told:
            raise
        return compiled(common)


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
    texts = [[column.heading, *(row[i] for row in rows)] for i, column in enumerate(table.columns)]
    return {
        "caption": table.caption,
        "columns": [
            column._asdict() | {"width": width} for column, width in zip(table.columns, _widths(texts), strict=True)
        ],
        "rows": rows,
        "is_long": len(rows) > _ROWS or sum(len(cell) for row in rows for cell in row) > _TALLEST,
        "notes": list(table.notes),
        "source": table.source,
    }


def _widths(columns: list[list[str]]) -> list[int]:
    """The share of the page that each column gets; 0 is as much as it needs, where all find room beside each other."""
    line = _LINES[min(len(columns), max(_LINES))]
    longest = [max(map(len, texts)) for texts in columns]
    if sum(longest) + 3 * len(columns) <= line:
        return [0] * len(columns)
    # No column is narrower than its longest word, which would run into its neighbour; the rest goes to the long texts.
    least = [max(len(word) for text in texts for word in text.split() or [""]) + 3 for texts in columns]
    more = [max(0, min(_WIDEST, length) - word) for word, length in zip(least, longest, strict=True)]
    spare = max(0, line - sum(least))
    return [10 * word + 10 * spare * long // max(1, sum(more)) for word, long in zip(least, more, strict=True)]
