"""A report as one HTML file that needs nothing but itself: style, charts and tables are in it."""

from dataclasses import dataclass
from typing import Final

from app.pages.rendering import render
from app.report.document import Block, Document, Exhibit, Heading, TableBlock, shown, table_of
from app.report.pictures import svg_of

_WIDE: Final = 640  # CSS pixels, on a screen and in print
_NARROW: Final = 320  # on a telephone


@dataclass(frozen=True, slots=True)
class _Part:
    """One block as the template reads it."""

    kind: str
    id: str
    block: Block
    wide: str = ""  # the chart as markup
    narrow: str = ""
    table: TableBlock | None = None


def write_html(document: Document) -> bytes:
    """The report as HTML. Text stays text, whatever it holds."""
    parts = [_part(number, block) for number, block in enumerate(document.blocks, 1)]
    sections = [(p.id, p.block.text) for p in parts if isinstance(p.block, Heading) and p.block.level == 2]
    contents = [] if document.is_brief else sections
    return render("report.html", document=document, parts=parts, contents=contents, shown=shown)


def _part(number: int, block: Block) -> _Part:
    kind, name = type(block).__name__, f"part-{number}"
    if isinstance(block, Exhibit):
        wide, narrow = (svg_of(block.chart, width) for width in (_WIDE, _NARROW))
        return _Part(kind, name, block, wide, narrow, table_of(block.chart))
    return _Part(kind, name, block)
