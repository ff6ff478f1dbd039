"""A report as blocks of plain values: what all four writers show, each in its own format.

A writer adds nothing to what stands here and leaves nothing out of it: a figure that is in no block is in no report.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, NamedTuple

from app.pages.charts import Cell, Chart, Column

NOT_SHOWN: Final = "–"
"""What stands where there is no value and nothing is hidden."""

MARKS: Final = {"*": "*", "w": "w", "absent": "not published", "few": "too few", "none": NOT_SHOWN}
"""How a mark is shown instead of a number."""


class Fact(NamedTuple):
    """One line of a title page: "Period", "the quarter July to September 2026"."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of level 2 (a section) or 3; level 1 is the document's title."""

    text: str
    level: Literal[2, 3] = 2


@dataclass(frozen=True, slots=True)
class Paragraph:
    """One paragraph; `lead` is set larger, `quiet` smaller."""

    text: str
    tone: Literal["plain", "lead", "quiet"] = "plain"


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list; its order says nothing unless `numbered`."""

    items: tuple[str, ...]
    numbered: bool = False


@dataclass(frozen=True, slots=True)
class Callout:
    """Something that must not be overlooked: a title and its paragraphs."""

    title: str
    paragraphs: tuple[str, ...]
    is_warning: bool = False


class KeyFigure(NamedTuple):
    """One figure to remember: "6 points", what it is, and how certain."""

    value: str
    label: str
    note: str


@dataclass(frozen=True, slots=True)
class KeyFigures:
    """A few figures side by side."""

    figures: tuple[KeyFigure, ...]


@dataclass(frozen=True, slots=True)
class TableBlock:
    """A table: every row has a cell for each column, in their order.

    A number is a number, so that a workbook can reckon with it; `*` and `w` are text, and None is "–".
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    source: str
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """ValueError where a row has more or fewer cells than there are columns."""
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError("A row of a table has more or fewer cells than it has columns.")


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A chart with its table beneath it."""

    chart: Chart


@dataclass(frozen=True, slots=True)
class PageBreak:
    """What follows begins a page, where there are pages."""


Block = Heading | Paragraph | Bullets | Callout | KeyFigures | TableBlock | Exhibit | PageBreak


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report. `dated` is the newest sealing that it rests on, so equal tables make equal files."""

    title: str
    subtitle: str
    organisation: str  # empty where none is configured
    facts: tuple[Fact, ...]
    blocks: tuple[Block, ...]
    most_hidden: int  # `*` is 1 to this
    dated: datetime
    is_synthetic: bool
    is_brief: bool = False  # everything on one page

    @property
    def key(self) -> str:
        """What is shown instead of a figure, in one sentence."""
        return (
            f"* is a count of 1 to {self.most_hidden}, or a figure that rests on one; w is withheld, or rests on what"
            " is, so that no * can be worked out; – is no figure."
        )

    def tables(self) -> Iterator[TableBlock]:
        """Every table, those of charts too, in the order in which they are read."""
        for block in self.blocks:
            if isinstance(block, TableBlock):
                yield block
            elif isinstance(block, Exhibit):
                yield table_of(block.chart)


def table_of(chart: Chart) -> TableBlock:
    """The table beneath a chart; a hidden value is told by its mark."""
    columns = chart.shown_columns
    rows = tuple(
        tuple(_cell(row.get(column.key), str(row.get("mark") or ""), column) for column in columns)
        for row in chart.rows
    )
    return TableBlock(chart.title, columns, rows, chart.source, chart.notes)


def _cell(value: Cell, mark: str, column: Column) -> Cell:
    if value is None and column.is_number and mark:
        return MARKS.get(mark, mark)
    return value


def shown(cell: Cell) -> str:
    """A cell as people read it: `1,240`, `1.4`, `*`, `–`."""
    if cell is None or cell == "":
        return NOT_SHOWN
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return f"{cell:,}".replace("-", "−") if isinstance(cell, (int, float)) else cell
