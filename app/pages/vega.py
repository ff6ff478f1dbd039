"""Vega-Lite specifications of charts, one function per kind, with every place worked out here.

Nothing is left to the measuring of fonts, so that a chart is the same on every machine. Texts but those of axes are
written here as well: Vega measures each of its own, which takes ten times as long as all the rest. What a row holds is
data, never an expression. Colours differ in lightness, and a shape or a word says the same.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from app.pages.charts import Cell, Chart

Spec = dict[str, Any]
Row = Mapping[str, "Cell"]

INK: Final = "#212b32"
BLUE: Final = "#005eb8"  # what the chart is about (Core20, this unit), and what stands out
OTHER: Final = "#768fa8"  # 3.3 to 1 on white
QUIET: Final = "#4c6272"  # text and lines beside the point, 6 to 1 on white
WORSE: Final = "#b35900"
CHANGED: Final = "#7c2855"
FAINT: Final = "#d8dde0"  # leads the eye; carries nothing

MARKS: Final[Mapping[str, str]] = {
    "*": "* small number, not shown",
    "w": "w withheld",
    "few": "f too few to say",
    "absent": "– not published",
    "none": "– no figure",
}
NOTHING: Final = "There is no figure to show."

_NARROW: Final = 480  # px: below it, names stand above what they name
_FONT: Final = "Arial, sans-serif"
_TALLEST: Final = 420  # px between two watermarks


_DASHES: Final[Mapping[str, Spec]] = {"solid": {}, "dashed": {"strokeDash": [6, 4]}}


class _Flag(NamedTuple):
    """How a flagged point looks, and what that means."""

    shape: str
    colour: str
    words: str


_FLAGS: Final[Mapping[str, _Flag]] = {
    "": _Flag("circle", QUIET, "Within what chance explains"),
    "better": _Flag("square", BLUE, "Better than chance explains"),
    "worse": _Flag("diamond", WORSE, "Worse than chance explains"),
    "changed": _Flag("triangle-up", CHANGED, "Changed by more than chance"),
}


class Layout(NamedTuple):
    """A Vega-Lite specification, and the texts behind and before what it draws, as SVG."""

    spec: Spec
    behind: str
    before: str


def layout(chart: Chart, width: int) -> Layout:
    """A chart laid out in `width` CSS pixels. The height follows from the rows."""
    page = _Page(chart, width)
    if chart.rows:
        _KINDS[chart.kind](page)
    else:
        page.nothing()
    return page.layout()


def pixels(text: str, size: float) -> float:
    """About how wide a text is in Arial, rather too wide than too narrow."""
    return sum(_em(sign) for sign in text) * size


def wrapped(text: str, size: float, limit: float, lines: int) -> list[str]:
    """A text in at most so many lines of at most `limit` pixels; what does not fit ends in an ellipsis."""
    found: list[str] = []
    for word in text.split():
        if found and pixels(f"{found[-1]} {word}", size) <= limit:
            found[-1] += f" {word}"
        else:
            found.append(word)
    if len(found) > lines:
        found = [*found[: lines - 1], " ".join(found[lines - 1 :])]
    return [_cut(line, size, limit) for line in found]


def ticks(low: int, high: int, most: int = 6) -> list[int]:
    """Whole numbers in even steps of 1, 2 or 5 times a power of ten that hold `low` and `high` between them."""
    step = next(s for s in _steps() if (high - low) / s <= most)
    return list(range(math.floor(low / step) * step, math.ceil(high / step) * step + step, step))


def _steps() -> Iterator[int]:
    power = 1
    while True:
        yield from (power, 2 * power, 5 * power)
        power *= 10


def _em(sign: str) -> float:
    if sign in "iljtfrI.,:;'|!()[] -":
        return 0.33
    if unicodedata.east_asian_width(sign) in "WF":
        return 1.0
    return 0.0 if unicodedata.combining(sign) else 0.86 if sign in "MWmw@%" else 0.7 if sign.isupper() else 0.57


def _cut(text: str, size: float, limit: float) -> str:
    if pixels(text, size) <= limit:
        return text
    while text and pixels(f"{text}…", size) > limit:
        text = text[:-1]
    return f"{text.rstrip()}…"


def _number(row: Row, key: str) -> int | None:
    """A whole number of a row that shows one. A hidden row has none, whatever stands in it."""
    value = row.get(key)
    return int(value) if isinstance(value, int | float) and not row.get("mark") else None


def _text(row: Row, key: str) -> str:
    value = row.get(key)
    return "" if value is None else str(value)


def _said(value: int) -> str:
    return f"{value:,}".replace("-", "−")


def _mark(row: Row) -> str:
    """Why a row shows no value, in words."""
    mark = _text(row, "mark") or "absent"
    return MARKS.get(mark, mark)


def _sign(row: Row) -> str:
    """The one sign that stands for a value that is not shown; the key under the chart says what it means."""
    return _mark(row)[:1]


def _short(period: str) -> str:
    """A period as a label: `Nov 26`, `Q3 26/27`, `2026/27`; anything else as it is."""
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    year, _, rest = period.partition("-")
    if len(year) != 4 or not year.isdigit():
        return period
    if "Q" in rest:
        return f"{rest[-2:]} {year[2:]}/{rest[:2]}"
    if len(period) == 7 and rest.isdigit():
        # A month and a financial year are both two numbers; only a year is followed by the next one.
        return f"{months[int(rest) - 1]} {year[2:]}" if 1 <= int(rest) <= 12 else period
    return period.replace("-", "/")


@dataclass(slots=True)
class _Page:
    """One chart while it is laid out: pixels of the plot, its axes, and layers from the back to the front."""

    chart: Chart
    width: int
    height: float = 60
    left: float = 12
    right: float = 12
    top: float = 0
    bottom: float = 12
    x: tuple[float, float] = (0, 1)
    y: tuple[float, float] | None = None  # None: pixels from the top
    x_axis: Spec | None = None
    y_axis: Spec | None = None
    layers: list[Spec] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)  # as SVG, over the layers
    fonts: tuple[int, int] = (14, 13)  # names and values; axes and keys

    def __post_init__(self) -> None:
        """The axis's words stand at the top, and everything else below them."""
        if self.is_narrow:
            self.fonts = (13, 12)
        self.words = wrapped(self.chart.axis, self.fonts[1], self.width - 24, 3)
        self.top = 12 + 17 * len(self.words)

    words: list[str] = field(init=False, default_factory=list)

    @property
    def is_narrow(self) -> bool:
        """Whether the chart is for a telephone."""
        return self.width < _NARROW

    @property
    def plot(self) -> float:
        """The width of the plot, in pixels."""
        return max(self.width - self.left - self.right, 40)

    def px(self, value: float) -> float:
        """The horizontal place of a value, in pixels of the plot."""
        return (value - self.x[0]) / (self.x[1] - self.x[0]) * self.plot

    def py(self, value: float) -> float:
        """The vertical place of a value, in pixels of the plot."""
        low, high = self.y or (self.height, 0)
        return (high - value) / (high - low) * self.height

    def add(self, mark: Spec, rows: Iterable[Spec], **more: Spec) -> None:
        """A layer over rows with x and y, and x2, y2, colour, shape where they are needed."""
        values = list(rows)
        if not values:
            return
        encoding: Spec = {
            "x": {"field": "x", "type": "quantitative"},
            "y": {"field": "y", "type": "quantitative"},
        }
        for key in ("x2", "y2"):
            if key in values[0]:
                encoding[key] = {"field": key}
        for key, channel in (("colour", "color"), ("shape", "shape")):
            if key in values[0]:
                encoding[channel] = {"field": key, "type": "nominal", "scale": None, "legend": None}
        self.layers.append({"data": {"values": values}, "mark": mark, "encoding": {**encoding, **more}})

    def text(self, rows: Iterable[Spec], size: int | None = None, *, dx: float = 0, dy: float = 0, **look: Any) -> None:
        """Texts at x and y of the scales. `look` as of `note`."""
        for row in rows:
            look["size"] = size or self.fonts[0]
            self.note(row["text"], self.px(row["x"]) + dx, self.py(row["y"]) + dy, **look)

    def note(self, text: str | Sequence[str], x: float, y: float, **look: Any) -> None:
        """One text, in lines if it is several, at pixels of the plot; in the type of axes unless `look` says else."""
        lines = [text] if isinstance(text, str) else list(text)
        self.texts.append(_written(lines, x, y, **{"size": self.fonts[1], **look}))

    def line(self, x: float, y: float, x2: float, y2: float, **mark: Any) -> None:
        """One straight line between pixels of the plot."""
        drawn = {"type": "rule", "stroke": QUIET, "strokeWidth": 1} | mark
        encoding = {"x": {"value": x}, "y": {"value": y}, "x2": {"value": x2}, "y2": {"value": y2}}
        self.layers.append({"data": {"values": [{}]}, "mark": drawn, "encoding": encoding})

    def whiskers(self, rows: Sequence[Spec], *, is_across: bool, has_halo: bool = True) -> None:
        """Limits as thin lines with caps, with white around them where they may cross a bar or a line."""
        for width, colour in ((3.5, "#ffffff"), (1.25, INK))[0 if has_halo else 1 :]:
            mark = {"type": "rule", "stroke": colour, "strokeWidth": width}
            self.add(mark, rows)
            cap = {"type": "tick", "thickness": width, "size": 8 if width < 2 else 10, "fill": colour}
            cap["orient"] = "vertical" if is_across else "horizontal"
            ends = [(row["x"], row["y"]) for row in rows]
            ends += [(row.get("x2", row["x"]), row.get("y2", row["y"])) for row in rows]
            self.add(cap, [{"x": x, "y": y} for x, y in ends])

    def key(self, items: Sequence[tuple[str, str, str]]) -> None:
        """Shapes or lines and what they mean, in words, under all else. Nothing as a shape leaves the words alone."""
        size, y, x = self.fonts[1], self.height + self.bottom + 4, -self.left + 12
        for shape, colour, words in items:
            wide = pixels(words, size) + (18 if shape else 0)
            if x > 0 and x + wide > self.plot + self.right - 8:
                x, y = -self.left + 12, y + size + 8
            if shape in _DASHES:
                self.line(x - 1, y, x + 13, y, stroke=colour, strokeWidth=1.75, **_DASHES[shape])
            elif shape:
                mark = {"type": "point", "filled": True, "opacity": 1, "size": 90, "shape": shape, "color": colour}
                if shape == "ring":
                    mark |= {"filled": False, "shape": "circle", "strokeWidth": 1.5, "size": 60}
                at = {"x": {"value": x + 5}, "y": {"value": y}}
                self.layers.append({"data": {"values": [{}]}, "mark": mark, "encoding": at})
            self.note(words, x + (18 if shape else 0), y)
            x += wide + 20
        if items:
            self.bottom = y - self.height + 16

    def marks_key(self) -> list[tuple[str, str, str]]:
        """What the marks of hidden rows mean."""
        return [
            ("", INK, words)
            for words in dict.fromkeys(_mark(r) for r in self.chart.rows if _number(r, "value") is None)
        ]

    def nothing(self) -> None:
        """Says that there is nothing, where the chart would be."""
        self.note(NOTHING, 0, self.height / 2)

    def layout(self) -> Layout:
        """What was laid out."""
        y_domain = self.y or (0, self.height)
        y_scale = {"domain": list(y_domain), "nice": False, "zero": False}
        if self.y is None:
            y_scale["range"] = [0, self.height]
        frame = {
            "data": {"values": [{"x": self.x[0], "y": y_domain[0]}]},
            "mark": {"type": "point", "opacity": 0, "size": 0},
            "encoding": {
                "x": {
                    "field": "x",
                    "type": "quantitative",
                    "scale": {"domain": list(self.x), "nice": False, "zero": False},
                    "axis": self.x_axis,
                },
                "y": {"field": "y", "type": "quantitative", "scale": y_scale, "axis": self.y_axis},
            },
        }
        self.note(self.words, 12 - self.left, 10 - self.top, weight="bold", is_below=True)
        axis = {"labelFontSize": self.fonts[1], "labelColor": INK, "tickColor": QUIET, "domainColor": QUIET}
        spec = {
            "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
            "width": self.plot,
            "height": self.height,
            "padding": {"left": self.left, "right": self.right, "top": self.top, "bottom": self.bottom},
            "autosize": {"type": "none"},
            "background": "#ffffff",
            "config": {
                "aria": False,
                "font": _FONT,
                "view": {"stroke": None},
                "axis": {**axis, "grid": False, "title": None, "labelLimit": 0, "tickSize": 4},
            },
            "layer": [frame, *self.layers],
        }
        return Layout(spec, self._group(self._watermark()), self._group(self.texts))

    def _group(self, texts: Sequence[str]) -> str:
        if not texts:
            return ""
        place = f"translate({_places(self.left)},{_places(self.top)})"
        return f'<g font-family="{_FONT}" transform="{place}">{"".join(texts)}</g>'

    def _watermark(self) -> list[str]:
        if not self.chart.is_synthetic:
            return []
        times = max(1, round(self.height / _TALLEST))
        size = min(self.plot / 7, self.height / times / 1.4, 64)
        angle = -20 if size > 30 else 0
        return [
            _written(
                ["SYNTHETIC"],
                self.plot / 2,
                self.height * (i + 0.5) / times,
                size=size,
                align="middle",
                weight="bold",
                fill="#e3e8ec",
                angle=angle,
            )
            for i in range(times)
        ]


def _written(
    lines: Sequence[str],
    x: float,
    y: float,
    *,
    size: float,
    align: str = "start",
    weight: str = "",
    fill: str = INK,
    angle: int = 0,
    has_halo: bool = False,
    is_below: bool = False,
) -> str:
    """A text as SVG, its first line in the middle of `y`, or below it; `has_halo` where it may cross a line."""
    place = f"translate({_places(x)},{_places(y + round((0.79 if is_below else 0.3) * size))})"
    place += f" rotate({angle})" if angle else ""
    look = f' font-weight="{weight}"' if weight else ""
    look += f' text-anchor="{align}"' if align != "start" else ""
    look += ' stroke="#ffffff" stroke-width="4" stroke-linejoin="round" paint-order="stroke"' if has_halo else ""
    inside = _escaped(lines[0]) if lines else ""
    if len(lines) > 1:
        below = "".join(f'<tspan x="0" dy="{_places(size + 4)}">{_escaped(line)}</tspan>' for line in lines[1:])
        inside = f"<tspan>{inside}</tspan>{below}"
    return f'<text transform="{place}" font-size="{_places(size)}px" fill="{fill}"{look}>{inside}</text>'


def _escaped(text: str) -> str:
    # What XML cannot hold is left out: one odd sign must not cost the whole chart.
    return escape("".join(sign for sign in text if sign.isprintable()))


def _places(value: float) -> str:
    """A number as short as two places allow."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _lists(count: int) -> list[list[Spec]]:
    return [[] for _ in range(count)]


def _axis(values: Sequence[int], **more: Any) -> Spec:
    # Vega leaves out every other tick above its own count, whatever `values` says.
    return {
        "values": list(values),
        "tickCount": len(values),
        "format": ",d",
        "labelOverlap": False,
        "labelFlush": False,
        **more,
    }


def _tone(row: Row) -> str:
    return BLUE if _text(row, "is_subject") == "yes" else OTHER


def _highest(rows: Iterable[Row], *keys: str) -> int:
    return max((v for row in rows for key in keys if (v := _number(row, key)) is not None), default=0)


def _lowest(rows: Iterable[Row], *keys: str) -> int:
    return min((v for row in rows for key in keys if (v := _number(row, key)) is not None), default=0)


# -------------------------------------------------------------------------------- bars


def _bars(page: _Page) -> None:
    rows = page.chart.rows
    series = list(dict.fromkeys(_text(row, "series") for row in rows))
    scale = ticks(min(0, _lowest(rows, "value", "lower")), max(1, _highest(rows, "value", "upper")))
    size = page.fonts[0]
    widest = max(pixels(_text(row, "group"), size) for row in rows)
    page.left = 16 if page.is_narrow else min(widest, 0.36 * page.width) + 24
    shown = max(pixels(_said(_number(row, "value") or 0), size + 1) for row in rows)
    page.right = shown + 24
    page.x = (scale[0], scale[-1])
    page.x_axis = _axis(scale, domain=False)
    room = page.width - 32 if page.is_narrow else page.left - 24
    allowed = 2 if page.is_narrow else 3
    most_lines = max(len(wrapped(_text(row, "group"), size, room, allowed)) for row in rows)
    above, thick, gap = 0, 22, max(10, most_lines * (size + 3) - 14)
    if page.is_narrow:
        above, thick, gap = 4 + most_lines * (size + 3), 18, 10
    blocks: list[tuple[float, float]] = []
    heads, names, strong, bars, lines, values, hidden = _lists(7)
    y = 6.0
    for one in series:
        if one:
            heads.append({"x": page.x[0], "y": y + 10, "text": one})
            y += 28
        start = y
        for row in (row for row in rows if _text(row, "series") == one):
            y += above
            middle = y + thick / 2
            name = wrapped(_text(row, "group"), size, room, most_lines)
            at = {"x": page.x[0], "y": y - 10 if page.is_narrow else middle}
            at["y"] -= (len(name) - 1) * (size + 3) / (1 if page.is_narrow else 2)
            (strong if _text(row, "is_subject") == "yes" else names).append({**at, "text": name})
            if page.is_narrow:  # a line all the way down would cross the names
                blocks.append((y + 2, y + thick + 2))
            value, lower, upper = (_number(row, key) for key in ("value", "lower", "upper"))
            if value is None:
                hidden.append({"x": 0, "y": middle, "text": _mark(row)})
            else:
                bars.append({"x": 0, "x2": value, "y": y, "y2": y + thick, "colour": _tone(row)})
                has_limits = lower is not None and upper is not None and lower < upper
                if has_limits:
                    lines.append({"x": lower, "x2": upper, "y": middle})
                end = max(value, upper or 0, 0) if has_limits else max(value, 0)
                values.append({"x": end, "y": middle, "text": _said(value)})
            y += thick + gap
        if not page.is_narrow:
            blocks.append((start, y - gap / 2))
        y += 6
    page.height = y
    page.bottom = 36
    page.add({"type": "rect"}, bars)
    page.whiskers(lines, is_across=True)
    for first, after in blocks:
        page.line(page.px(0), first - 4, page.px(0), after, stroke=INK)
    aside: Spec = {"has_halo": True} if page.is_narrow else {"align": "end", "dx": -10}
    page.text(names, **aside)
    page.text(strong, weight="bold", **aside)
    page.text(heads, weight="bold", dx=0 if page.is_narrow else 12 - page.left)
    page.text(values, size + 1, weight="bold", dx=7, has_halo=True)
    page.text(hidden, dx=7, has_halo=True)
    _compare(page)


def _compare(page: _Page) -> None:
    """The line to compare with, down the whole plot, with its label under the axis."""
    centre = page.chart.centre
    if centre is None or not page.x[0] <= centre <= page.x[1]:
        return
    x = page.px(centre)
    page.line(x, 0, x, page.height, strokeDash=[5, 3], stroke=QUIET)
    label = page.chart.centre_label or _said(centre)
    half = pixels(label, page.fonts[1]) / 2
    x = min(max(x, half - page.left + 8), page.plot + page.right - half - 8)
    page.note(label, x, page.height + 34, align="middle", fill=QUIET)
    page.bottom = max(page.bottom, 50)


# -------------------------------------------------------------------------------- trend


def _trend(page: _Page) -> None:
    rows = page.chart.rows
    scale = ticks(min(0, _lowest(rows, "value", "lower")), max(1, _highest(rows, "value", "upper")))
    page.top += 8
    page.height = 220 if page.is_narrow else 280
    page.y, page.x = (scale[0], scale[-1]), (-0.5, len(rows) - 0.5)
    page.left = 12 + max(pixels(_said(tick), page.fonts[1]) for tick in scale) + 8
    page.y_axis = _axis(scale, domain=False)
    phases = _phases(rows)
    if any(label for *_, label in phases):
        page.top += 22
    last = rows[-1]
    page.right = 14
    ends = _ends(page, last)
    if ends:
        page.right = max(pixels(text, page.fonts[1]) for text, _ in ends) + 16
    every = math.ceil(len(rows) * (pixels("Mmm 00", page.fonts[1]) + 14) / page.plot)
    chosen = range((len(rows) - 1) % every, len(rows), every)
    page.bottom = 32
    page.line(0, page.py(0), page.plot, page.py(0), stroke=QUIET)
    _limits_over_time(page, phases)
    runs: list[list[tuple[int, int]]] = []
    points, hidden = _lists(2)
    for i, row in enumerate(rows):
        value = _number(row, "value")
        if value is None:
            hidden.append({"x": i, "y": scale[0], "text": _sign(row)})
            continue
        follows = i > 0 and runs and runs[-1][-1][0] == i - 1 and row.get("phase") == rows[i - 1].get("phase")
        if follows:
            runs[-1].append((i, value))
        else:
            runs.append([(i, value)])
        points.append({"x": i, "y": value, "flag": _text(row, "flag")})
    joined = [{"x": x, "y": y, "run": n} for n, run in enumerate(runs) if len(run) > 1 for x, y in run]
    line = {"type": "line", "stroke": QUIET, "strokeWidth": 2}
    page.add(line, joined, detail={"field": "run", "type": "nominal"}, order={"field": "x", "type": "quantitative"})
    for flag, look in _FLAGS.items():
        mark = {"type": "point", "filled": True, "opacity": 1, "shape": look.shape, "color": look.colour}
        mark |= {"size": 150 if flag else 50, "stroke": "#ffffff", "strokeWidth": 1}
        page.add(mark, [point for point in points if point["flag"] == flag])
    page.text(hidden, dy=-10, align="middle", weight="bold")
    _spoken(page, points)
    for i in chosen:
        page.line(page.px(i), page.height, page.px(i), page.height + 4)
        page.note(_short(_text(rows[i], "period")), page.px(i), page.height + 16, align="middle")
    for text, y in ends:
        page.note(text, page.plot + 8, y, fill=QUIET)
    present = {point["flag"] for point in points}
    items = [(look.shape, look.colour, look.words) for flag, look in _FLAGS.items() if flag in present]
    page.key((items if present - {""} else []) + page.marks_key())


def _phases(rows: Sequence[Row]) -> list[tuple[int, int, str]]:
    """Runs of rows of one phase: the first, the one after the last, and the edition to name."""
    found: list[tuple[int, int, str]] = []
    for i, row in enumerate(rows):
        if found and rows[i - 1].get("phase") == row.get("phase"):
            found[-1] = (found[-1][0], i + 1, found[-1][2])
        else:
            found.append((i, i + 1, _text(row, "edition")))
    return found


def _ends(page: _Page, last: Row) -> list[tuple[str, float]]:
    """The limits of the last phase, named at their ends, far enough apart to read."""
    words = {"upper": "Limit", "mean": "Mean", "lower": "Limit"}
    if not page.is_narrow:
        words = {"upper": "Upper limit", "mean": "Mean", "lower": "Lower limit"}
    # A hidden last period still has the limits of its phase.
    limits = {key: _number({key: last.get(key)}, key) for key in words}
    found = [(f"{words[key]} {_said(v)}", page.py(v)) for key, v in limits.items() if v is not None]
    return _apart(found, page.fonts[1] + 3)


def _apart(labels: Sequence[tuple[str, float]], least: float) -> list[tuple[str, float]]:
    """Labels from the top down, moved as little as keeps each `least` pixels from the one before it."""
    places = [y for _, y in labels]
    for _ in range(20):
        for i in range(1, len(places)):
            short = least - (places[i] - places[i - 1])
            if short > 0:
                places[i - 1] -= short / 2
                places[i] += short / 2
    return [(text, round(y, 2)) for (text, _), y in zip(labels, places, strict=True)]


def _limits_over_time(page: _Page, phases: Sequence[tuple[int, int, str]]) -> None:
    rows = page.chart.rows
    for n, (start, stop, edition) in enumerate(phases):
        left, right = page.px(start - 0.5), page.px(stop - 0.5)
        for key in ("mean", "lower", "upper"):
            value = _number({key: rows[start].get(key)}, key)
            if value is not None:
                y = page.py(value)
                dash = {} if key == "mean" else {"strokeDash": [6, 4]}
                page.line(left + 2, y, right - 2, y, stroke=QUIET, **dash)
        if n:
            page.line(left, -18, left, page.height, stroke=INK, strokeDash=[2, 2])
        if edition:
            label = _cut(edition, page.fonts[1], max(right - left - 8, 20))
            page.note(label, left + (6 if n else 0), -12)


def _spoken(page: _Page, points: Sequence[Spec]) -> None:
    """Values beside the points that matter: those flagged, and the last."""
    if not points:
        return
    said = [(p["x"] + 1, p["y"], p["flag"]) for p in points]
    # Of neighbours that say the same, the first is enough.
    chosen = [p for p in points if p["flag"] and (p["x"], p["y"], p["flag"]) not in said]
    chosen = [*chosen, points[-1]] if points[-1] not in chosen else chosen
    by_place = {point["x"]: point["y"] for point in points}
    above, below = _lists(2)
    for point in chosen:
        near = [by_place[x] for x in (point["x"] - 1, point["x"] + 1) if x in by_place]
        is_valley = near and point["y"] < sum(near) / len(near) and point["y"] > (page.y or (0, 0))[0]
        (below if is_valley else above).append({**point, "text": _said(point["y"])})
    page.text(above, dy=-14, align="middle", weight="bold", has_halo=True)
    page.text(below, dy=16, align="middle", weight="bold", has_halo=True)


# -------------------------------------------------------------------------------- ranking


def _ranking(page: _Page) -> None:
    rows = sorted(page.chart.rows, key=_largest_first)
    size = page.fonts[0]
    scale = ticks(min(0, _lowest(rows, "value", "lower")), max(1, _highest(rows, "value", "upper")))
    widest = max(pixels(_text(row, "name"), size) for row in rows) * 1.06
    page.left = 16 if page.is_narrow else min(widest, 0.44 * page.width) + 24
    shown = max(pixels(_said(_number(row, "value") or 0), size) for row in rows)
    page.right = shown + 24
    page.x = (scale[0], scale[-1])
    page.x_axis = _axis(scale, domain=False)
    step = 42 if page.is_narrow else 24
    page.height, page.bottom = step * len(rows) + 6, 36
    room = page.width - 32 if page.is_narrow else page.left - 24
    if len(rows) > 12:  # the end of a long list is far from the axis at its foot
        page.top += 20
        for tick in scale:
            page.note(_said(tick), page.px(tick), -8, align="middle")
    names, strong, lines, values, hidden, leads = _lists(6)
    dots: dict[bool, list[Spec]] = {False: [], True: []}
    for i, row in enumerate(rows):
        y = step * i + (30 if page.is_narrow else 15)
        stands_out = _text(row, "stands_out") == "yes"
        name = _cut(_text(row, "name"), size * (1.06 if stands_out else 1), room)
        at = {"x": page.x[0], "y": y - 18 if page.is_narrow else y, "text": name}
        (strong if stands_out else names).append(at)
        value, lower, upper = (_number(row, key) for key in ("value", "lower", "upper"))
        if value is None:
            hidden.append({"x": 0, "y": y, "text": _mark(row)})
            continue
        lower, upper = (value if lower is None else lower), (value if upper is None else upper)
        lines.append({"x": lower, "x2": upper, "y": y})
        leads.append({"x": page.x[0], "x2": lower, "y": y})
        values.append({"x": upper, "y": y, "text": _said(value)})
        dots[stands_out].append({"x": value, "y": y})
    page.add({"type": "rule", "stroke": FAINT}, leads)
    page.line(page.px(0), 0, page.px(0), page.height, stroke=INK)
    _compare(page)
    page.whiskers(lines, is_across=True, has_halo=False)
    look = {"type": "point", "filled": True, "opacity": 1, "stroke": "#ffffff", "strokeWidth": 1}
    page.add({**look, "size": 70, "shape": "circle", "color": OTHER}, dots[False])
    page.add({**look, "size": 130, "shape": "diamond", "color": BLUE}, dots[True])
    aside: Spec = {"has_halo": True} if page.is_narrow else {"align": "end", "dx": -10}
    page.text(names, **aside)
    page.text(strong, weight="bold", **aside)
    page.text(values, dx=8, has_halo=True)
    page.text(hidden, dx=7, has_halo=True)
    if dots[True]:
        page.key([("diamond", BLUE, "Stands out"), ("circle", OTHER, "Does not stand out")])


def _largest_first(row: Row) -> tuple[bool, int]:
    """Rows without a value come last, in the order in which they were given."""
    value = _number(row, "value")
    return value is None, -(value or 0)


# -------------------------------------------------------------------------------- funnel


def _funnel(page: _Page) -> None:
    rows = [row for row in page.chart.rows if _number(row, "value") is not None and _number(row, "size") is not None]
    limits = page.chart.limits
    if not rows:
        page.nothing()
        return
    edges = ("lower95", "upper95", "lower998", "upper998")
    scale = ticks(
        min(0, _lowest(rows, "value"), _lowest(limits, *edges)),
        max(1, _highest(rows, "value"), _highest(limits, *edges)),
    )
    sizes = ticks(0, max(1, _highest(rows, "size"), _highest(limits, "size")), 4 if page.is_narrow else 6)
    page.top += 8
    page.height = 300 if page.is_narrow else 380
    page.left = 12 + max(pixels(_said(tick), page.fonts[1]) for tick in scale) + 8
    page.right = pixels(_said(sizes[-1]), page.fonts[1]) / 2 + 14
    page.x, page.y = (0, sizes[-1]), (scale[0], scale[-1])
    page.x_axis, page.y_axis = _axis(sizes), _axis(scale)
    page.bottom = 48
    page.note(page.chart.columns_heading("size") or "Size", page.plot, page.height + 36, align="end")
    if page.chart.centre is not None:
        y = page.py(page.chart.centre)
        page.line(0, y, page.plot, y, stroke=INK, strokeDash=[2, 2])
    drawn: dict[str, list[Spec]] = {
        key: [
            {"x": s, "y": v}
            for row in limits
            if (s := _number(row, "size")) is not None and (v := _number(row, key)) is not None
        ]
        for key in edges
    }
    for key, curve in drawn.items():
        dash = {} if key.endswith("998") else {"strokeDash": [6, 4]}
        mark = {"type": "line", "stroke": QUIET, "strokeWidth": 1.25, "interpolate": "basis", **dash}
        page.add(mark, sorted(curve, key=lambda at: at["x"]))
    if page.chart.centre is not None:
        y = page.py(page.chart.centre)
        label = page.chart.centre_label or _said(page.chart.centre)
        page.note(_cut(label, page.fonts[1], page.plot), page.plot, y - 10, align="end", fill=QUIET, has_halo=True)
    look = {"type": "point", "opacity": 1}
    places = [(row, {"x": _number(row, "size"), "y": _number(row, "value")}) for row in rows]
    quiet = [at for row, at in places if _text(row, "stands_out") != "yes"]
    strong = [(row, at) for row, at in places if _text(row, "stands_out") == "yes"]
    page.add(
        {**look, "filled": False, "fill": "#ffffff", "size": 60, "shape": "circle", "color": QUIET, "strokeWidth": 1.5},
        quiet,
    )
    page.add(
        {**look, "filled": True, "size": 150, "shape": "diamond", "color": BLUE, "stroke": "#ffffff"},
        [at for _, at in strong],
    )
    _named_points(page, [(_text(row, "name"), at) for row, at in strong], [at for _, at in places])
    items = [("diamond", BLUE, "Stands out"), ("ring", QUIET, "Does not stand out")] if strong else []
    items += [("solid", QUIET, "99.8% limits"), ("dashed", QUIET, "95% limits")] if limits else []
    page.key(items)


def _named_points(page: _Page, named: Sequence[tuple[str, Spec]], dots: Sequence[Spec]) -> None:
    """Names beside points, where they cover neither a point nor another name; the rest are in the table."""
    size, most = page.fonts[1], 2 if page.is_narrow else 1
    taken = [(page.px(at["x"]) - 6, page.py(at["y"]) - 6, page.px(at["x"]) + 6, page.py(at["y"]) + 6) for at in dots]
    for name, at in named:
        lines = wrapped(name, size * 1.06, page.plot * 0.45, most)
        wide, tall = max((pixels(line, size) for line in lines), default=0) * 1.06, len(lines) * (size + 4)
        x, y, up = page.px(at["x"]), page.py(at["y"]), tall / 2 + 9
        places = [(x + 10, y), (x - 10 - wide, y), (x - wide / 2, y - up), (x - wide / 2, y + up)]
        places += [(x + 8, y - up), (x + 8, y + up), (x - 8 - wide, y - up), (x - 8 - wide, y + up)]
        for left, middle in places:
            box = (left, middle - tall / 2, left + wide, middle + tall / 2)
            inside = box[0] >= 0 and box[2] <= page.plot and box[1] >= -10 and box[3] <= page.height
            if inside and not any(_meet(box, other) for other in taken):
                first = middle - (len(lines) - 1) * (size + 4) / 2
                page.note(lines, round(left, 2), round(first, 2), weight="bold", has_halo=True)
                taken.append(box)
                break


def _meet(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


# -------------------------------------------------------------------------------- slope


def _slope(page: _Page) -> None:
    rows = page.chart.rows
    scale = ticks(min(0, _lowest(rows, "value", "lower", "fitted")), max(1, _highest(rows, "value", "upper", "fitted")))
    page.top += 8
    page.height = 230 if page.is_narrow else 300
    page.left = 12 + max(pixels(_said(tick), page.fonts[1]) for tick in scale) + 8
    page.right = 16
    page.x, page.y = (0, 100), (scale[0], scale[-1])
    page.y_axis = _axis(scale, domain=False)
    page.line(0, page.py(0), page.plot, page.py(0), stroke=INK)
    fitted = [
        {"x": p, "y": f} for row in rows if (p := _place(row)) is not None and (f := _number(row, "fitted")) is not None
    ]
    if len(fitted) > 1:
        fitted.sort(key=lambda at: at["x"])
        page.add(
            {"type": "line", "stroke": QUIET, "strokeWidth": 2, "strokeDash": [6, 4], "interpolate": "basis"}, fitted
        )
    lines, values, hidden = _lists(3)
    dots: dict[bool, list[Spec]] = {False: [], True: []}
    names: list[tuple[str, float]] = []
    for i, row in enumerate(rows):
        place = _place(row)
        x = 100 * (i + 0.5) / len(rows) if place is None else place
        names.append((_cut(_text(row, "group"), page.fonts[1], page.plot), page.px(x)))
        value, lower, upper = (_number(row, key) for key in ("value", "lower", "upper"))
        if value is None:
            hidden.append({"x": x, "y": 0, "text": _sign(row)})
            continue
        if lower is not None and upper is not None:
            lines.append({"x": x, "y": lower, "y2": upper})
        values.append({"x": x, "y": value, "text": _said(value)})
        dots[_text(row, "is_subject") == "yes"].append({"x": x, "y": value})
    page.whiskers(lines, is_across=False)
    look = {"type": "point", "filled": True, "opacity": 1, "stroke": "#ffffff", "strokeWidth": 1}
    page.add({**look, "size": 110, "shape": "circle", "color": OTHER}, dots[False])
    page.add({**look, "size": 150, "shape": "square", "color": BLUE}, dots[True])
    page.text(values, dx=11, weight="bold", has_halo=True)
    page.text(hidden, dy=-12, align="middle", weight="bold")
    _names_beneath(page, names)
    items = [("dashed", QUIET, "Fitted line")] if len(fitted) > 1 else []
    page.key(items + page.marks_key())


def _names_beneath(page: _Page, names: Sequence[tuple[str, float]]) -> None:
    """Names under their places on the axis: each whole, and one line lower where it would meet another.

    Few patients of a hospital may live in the less deprived fifths, whose places then lie close together.
    """
    step, ends = page.fonts[1] + 6, list[float]()
    for name, x in sorted(names, key=lambda each: each[1]):
        half = pixels(name, page.fonts[1]) / 2
        middle = min(max(x, half - page.left), page.plot + page.right - half - 2)
        level = next((i for i, end in enumerate(ends) if end + 8 <= middle - half), len(ends))
        ends[level:] = [middle + half, *ends[level + 1 :]]
        y = page.height + 10 + level * step
        page.line(x, page.height, x, y - 2)
        page.note(name, middle, y, align="middle", is_below=True, has_halo=True)
    page.bottom = 20 + len(ends) * step


def _place(row: Row) -> int | None:
    """The place of a row's group, which does not depend on whether its value is shown."""
    return _number({"position": row.get("position")}, "position")


_KINDS: Final[Mapping[str, Callable[[_Page], None]]] = {
    "bars": _bars,
    "trend": _trend,
    "ranking": _ranking,
    "funnel": _funnel,
    "slope": _slope,
}
