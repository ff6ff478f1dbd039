"""Charts as accessible SVG. Each is a table first: its rows stand beneath it and in its CSV and JSON twins.

A chart is drawn from whole numbers that were published, and from nothing else. It is drawn here, on the server, and
loads nothing: what makes the picture is asked for with no address that it may read.
"""

import atexit
import csv
import hashlib
import io
import json
import re
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple
from xml.sax.saxutils import escape

from app.pages.drawing import Drawer
from app.pages.vega import Layout, layout

_KEPT: Final = 512  # drawings: some 5 to 60 kB each
_DRAWER: Final = Drawer()
_DRAWING: Final = threading.Lock()  # one at a time: the same chart is drawn once, however many ask for it
atexit.register(_DRAWER.close)
_MONTH: Final = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
_RUNS: Final = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\N{MINUS SIGN}")

Kind = Literal["bars", "trend", "ranking", "funnel", "slope"]
Cell = str | int | float | None
"""A value of a chart's table. What is hidden is None, and `mark` of its row says why."""


class Column(NamedTuple):
    """One column of a chart's table: its key in the rows and in the twins, and its heading on the page."""

    key: str
    heading: str
    is_number: bool
    place: Literal["both", "page", "twins"] = "both"  # codes, and what is the same in every row, are for twins alone


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart: the finding as its title, its rows, and what they are from.

    Rows hold these keys, and others for the table alone:
    - `bars`: group, series, value, lower, upper, mark; is_subject (`yes`: what the chart is about)
    - `trend`: period, value, mean, lower, upper, phase (0, 1, ...), flag (empty, `better`, `worse` or `changed`), mark;
      edition, the label of the phase
    - `ranking`: name, value, lower, upper, stands_out (yes or no)
    - `funnel`: name, size, value, stands_out (yes or no); `limits` holds the curves
    - `slope`: group, position (0 to 100, the middle of the fifth on the scale of people), value, lower, upper, fitted;
      mark; is_subject

    A row with a mark is drawn as its mark alone, whatever else it holds.
    """

    id: str  # in addresses: letters, digits and hyphens
    kind: Kind
    question: str  # that it answers in five seconds
    title: str  # the finding
    axis: str  # what the values are: "Missed in 100 appointments"
    columns: tuple[Column, ...]
    rows: tuple[Mapping[str, Cell], ...]
    source: str  # tables, period, edition, day of sealing: one sentence
    notes: tuple[str, ...] = ()
    centre: int | None = None  # a line to compare with
    centre_label: str = ""
    limits: tuple[Mapping[str, Cell], ...] = ()  # funnel: size, lower95, upper95, lower998, upper998
    is_synthetic: bool = False

    @property
    def shown_columns(self) -> tuple[Column, ...]:
        """The columns of the table on a page: what a reader needs, without codes."""
        return tuple(column for column in self.columns if column.place != "twins")

    @property
    def twin_columns(self) -> tuple[Column, ...]:
        """The columns of CSV and JSON: periods as codes, which sort, and not in words, which Excel makes dates of."""
        return tuple(column for column in self.columns if column.place != "page")

    def columns_heading(self, key: str) -> str:
        """The heading of a column, or nothing where the table has none."""
        return next((column.heading for column in self.columns if column.key == key), "")


@dataclass(frozen=True, slots=True)
class _Drawing:
    """A chart that is to be drawn, known by its content."""

    digest: str
    width: int
    chart: Chart = field(compare=False)


def svg(chart: Chart, width: int = 640) -> str:
    """A chart as an SVG image for a page: no style, no script, no address, and the same text for the same chart.

    `width` is in CSS pixels and 240 at least; below 480 it is laid out for a telephone. Two widths of one chart may
    stand on one page. It fills its container if the page gives its class, `chart-svg`, a width. ValueError for a chart
    whose `id` cannot be in an address, DrawingError where no process can draw it.
    """
    if not re.fullmatch(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*", chart.id):
        raise ValueError("a chart's id is letters, digits and hyphens")
    if width < 240:
        raise ValueError("a chart is at least 240 pixels wide")
    with _DRAWING:
        return _drawn(_Drawing(_digest(chart), width, chart))


def png(chart: Chart, width: int = 640, scale: float = 2) -> bytes:
    """A chart as a picture for a document, `scale` device pixels to a CSS pixel. Errors as `svg`."""
    import vl_convert

    drawn = svg(chart, width)
    with _DRAWING:
        return vl_convert.svg_to_png(drawn, scale=scale)


def as_csv(chart: Chart) -> str:
    """A chart's rows as CSV that Excel reads rightly: a byte order mark, and months that it does not take for dates.

    The columns are those of the chart, by their keys, then `source` and `synthetic`. A text that a spreadsheet would
    run begins with an apostrophe.
    """
    buffer = io.StringIO()
    buffer.write("\ufeff")
    writer = csv.writer(buffer)
    writer.writerow([*(column.key for column in chart.twin_columns), "source", "synthetic"])
    for row in chart.rows:
        cells = [row.get(column.key) for column in chart.twin_columns]
        writer.writerow([*map(_csv_cell, cells), _csv_cell(chart.source), str(chart.is_synthetic).lower()])
    return buffer.getvalue()


def as_json(chart: Chart) -> dict[str, Any]:
    """A chart's rows with what they answer and where they are from; months as `2026-11`, what is hidden as null."""
    keys = [column.key for column in chart.twin_columns]
    return {
        "id": chart.id,
        "question": chart.question,
        "finding": chart.title,
        "measures": chart.axis,
        "source": chart.source,
        "notes": list(chart.notes),
        "synthetic": chart.is_synthetic,
        "columns": [{"key": column.key, "heading": column.heading} for column in chart.twin_columns],
        "rows": [{key: row.get(key) for key in keys} for row in chart.rows],
        "centre": chart.centre,
        "limits": [dict(row) for row in chart.limits],
    }


def _csv_cell(cell: Cell) -> str | int | float:
    if cell is None:
        return ""
    if not isinstance(cell, str):
        return cell
    if _MONTH.fullmatch(cell):
        return cell.replace("-", "-M")
    # Excel and others run what begins so, full-width signs and what follows a tab or a line break included.
    return f"'{cell}" if cell.lstrip().startswith(_RUNS) or cell[:1].isspace() else cell


def _digest(chart: Chart) -> str:
    whole = json.dumps(asdict(chart), sort_keys=True, default=dict)
    return hashlib.sha256(whole.encode()).hexdigest()


@lru_cache(_KEPT)
def _drawn(drawing: _Drawing) -> str:
    laid = layout(drawing.chart, drawing.width)
    return _accessible(_DRAWER.draw(laid.spec), laid, drawing.chart, drawing.width)


def _accessible(drawn: str, laid: Layout, chart: Chart, width: int) -> str:
    """One image with a name and a description, of which nothing inside is spoken or reached by the keyboard."""
    opening, _, inside = drawn.partition(">")
    height = re.search(r'height="([0-9.]+)"', opening)
    if height is None:
        raise ValueError("what was drawn is not an SVG image")
    inside = re.sub(r' (?:class|role|aria-[a-z]+|pointer-events|tabindex)="[^"]*"', "", inside)
    inside = re.sub(r'<path d="M0,0h0v0h0Z"/>|<path d="" display="none"/>', "", inside.removesuffix("</svg>"))
    background, end, marks = inside.partition("/>")
    inside = f"{background}{end}{laid.behind}{marks}{laid.before}"
    name = f"{chart.id}-{width}"
    about = f"{chart.question} {chart.axis}. {_HOW[chart.kind]} The table beneath holds the numbers."
    if chart.is_synthetic:
        about += " The data are synthetic."
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart-svg" id="{name}" viewBox="0 0 {width} {height[1]}"'
        f' width="{width}" height="{height[1]}" role="img" aria-labelledby="{name}-title"'
        f' aria-describedby="{name}-desc" focusable="false">'
        f'<title id="{name}-title">{_plain(chart.title)}</title><desc id="{name}-desc">{_plain(about)}</desc>'
        f'<g aria-hidden="true">{inside}</g></svg>'
    )


def _plain(text: str) -> str:
    """A text that XML can hold."""
    return escape("".join(sign for sign in text if sign.isprintable()))


_HOW: Final[Mapping[Kind, str]] = {
    "bars": "One bar for each group; the longer the bar, the higher the value. Thin lines are 95% limits.",
    "trend": "Time runs from left to right. Dashed lines are the limits of what chance explains, the line between them"
    " is the mean. A gap in the line is a period that is not shown.",
    "ranking": "One line for each name, the highest value first. Thin lines are 99.8% limits.",
    "funnel": "One point for each name, the larger further right. Points outside the outer curves stand out.",
    "slope": "Five fifths of areas, the most deprived first. Thin lines are 95% limits, the dashed line is fitted.",
}
