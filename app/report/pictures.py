"""The charts of a report as pictures, and what they say to those who cannot see them."""

import re
from typing import Final

from app.pages import charts
from app.pages.charts import Chart

_KINDS: Final = {
    "bars": "Bar chart",
    "trend": "Line over time with process limits",
    "ranking": "Values side by side with their limits",
    "funnel": "Funnel of values by size",
    "slope": "Values by fifth of areas with a fitted line",
}
_NAMED: Final = re.compile(r"""\b(id="|url\(#|href="#|aria-labelledby="|aria-describedby=")""")


def svg_of(chart: Chart) -> str:
    """A chart as SVG."""
    return charts.svg(chart)


def png_of(chart: Chart) -> bytes:
    """A chart as PNG, for programs that show no SVG."""
    return charts.png(chart)


def picture(chart: Chart, prefix: str) -> str:
    """A chart as SVG to stand in a page beside others: its ids begin with `prefix`, so that none is there twice."""
    drawn = svg_of(chart)
    return _NAMED.sub(lambda found: f"{found[1]}{prefix}-", drawn[drawn.index("<svg") :])


def alternative(chart: Chart) -> str:
    """What a chart says to those who cannot see it; its table says the rest."""
    return f"{_KINDS[chart.kind]}: {chart.title} The table beneath holds all values."
