"""The picture of the data flow as SVG, from its Mermaid text: names and arrows are read, places are given here.

A browser could draw it from the text too, with a script of three megabytes that asks for more.
"""

import re
from html import escape
from typing import Final, NamedTuple

# Column and row of each box.
PLACES: Final = {
    "OPS": (0, 0),
    "EPR": (0, 1),
    "HOOK": (0, 2),
    "FRAME": (0, 3),
    "STAFF": (0, 4),
    "RULES": (0, 5),
    "TEAM": (0, 6),
    "ONS": (0, 7),
    "SPOOL": (1, 1),
    "APP": (1, 3),
    "INDEX": (1, 6.5),
    "DB": (2, 0),
    "READERS": (2, 1.6),
    "LOGS": (2, 3),
    "IDP": (2, 4.6),
}
_COLUMNS: Final = (8, 372, 694)
_WIDE, _HIGH, _ROW, _TOP = 248, 44, 66, 34
_NODE: Final = re.compile(r'^\s*(\w+)\[\(?"([^"]+)"\)?\]$', re.MULTILINE)
_EDGE: Final = re.compile(r"^\s*(\w+) (?:-- (F\d+) -->|---) (\w+)$", re.MULTILINE)
_SERVICE: Final = re.compile(r'subgraph service\["([^"]+)"\]')


class Box(NamedTuple):
    """Where a box stands: its left upper corner."""

    x: float
    y: float

    @property
    def middle(self) -> tuple[float, float]:
        """Its middle."""
        return self.x + _WIDE / 2, self.y + _HIGH / 2


def svg(text: str) -> str:
    """The picture; a KeyError where a box has no place."""
    names = dict(_NODE.findall(text))
    boxes = {name: _box(*PLACES[name]) for name in names}
    parts = [_frame(boxes, text), *(_arrow(boxes[a], boxes[b], label) for a, label, b in _EDGE.findall(text))]
    parts += [_drawn(box, names[name]) for name, box in boxes.items()]
    wide, high = _COLUMNS[-1] + _WIDE + 8, _TOP + 8 * _ROW
    return (
        '<div class="flow" role="region" tabindex="0" aria-label="Picture of the flows">'
        f'<svg viewBox="0 0 {wide} {high}" role="img" aria-label="Twelve flows between the record system,'
        ' staff, the service and what is around it; each is told in words below.">'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        f'<path d="M0 0 8 4 0 8z"/></marker></defs>{"".join(parts)}</svg></div>'
    )


def _box(column: int, row: float) -> Box:
    return Box(_COLUMNS[column], _TOP + row * _ROW)


def _frame(boxes: dict[str, Box], text: str) -> str:
    """What is inside of the service, with its name."""
    inside = [boxes[name] for name in ("SPOOL", "APP", "INDEX")]
    top, bottom = min(box.y for box in inside) - 32, max(box.y for box in inside) + _HIGH + 12
    said = _SERVICE.search(text)
    return (
        f'<rect class="frame" x="{_COLUMNS[1] - 12}" y="{top}" width="{_WIDE + 24}" height="{bottom - top}" rx="6"/>'
        f'<text x="{_COLUMNS[1]}" y="{top + 20}">{escape(said[1] if said else "")}</text>'
    )


def _drawn(box: Box, name: str) -> str:
    """A box, its words on two lines where one is too short."""
    words, lines = name.split(), [""]
    for word in words:
        if len(lines[-1]) + len(word) > 33:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    first = box.y + _HIGH / 2 + 5 - 8 * (len(lines) - 1)
    texts = [f'<text x="{box.x + 10}" y="{first + 16 * n}">{escape(line)}</text>' for n, line in enumerate(lines)]
    return f'<rect class="box" x="{box.x}" y="{box.y}" width="{_WIDE}" height="{_HIGH}" rx="4"/>{"".join(texts)}'


def _arrow(begin: Box, end: Box, label: str) -> str:
    """A line from side to side, or from edge to edge within a column, with its number."""
    (x1, y1), (x2, y2) = begin.middle, end.middle
    if begin.x == end.x:
        y1, y2 = (begin.y + _HIGH, end.y) if y2 > y1 else (begin.y, end.y + _HIGH)
    else:
        x1, x2 = begin.x + _WIDE, end.x
    tip = ' marker-end="url(#tip)"' if label else ""
    line = f'<path class="line" d="M{x1} {y1} {x2} {y2}"{tip}/>'
    if not label:
        return line
    x, y = x1 + (x2 - x1) * 0.4, y1 + (y2 - y1) * 0.4
    behind = f'<rect class="label" x="{x - 15}" y="{y - 11}" width="30" height="20"/>'
    return f'{line}{behind}<text class="number" x="{x}" y="{y + 5}">{label}</text>'
