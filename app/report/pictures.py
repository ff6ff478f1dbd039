"""The charts of a report as pictures, and what they say to those who cannot see them."""

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


def svg_of(chart: Chart, width: int = 640) -> str:
    """A chart as SVG, `width` in CSS pixels."""
    return charts.svg(chart, width)


def png_of(chart: Chart) -> bytes:
    """A chart as PNG, for programs that show no SVG."""
    return charts.png(chart)


def alternative(chart: Chart) -> str:
    """What a chart says to those who cannot see it; its table says the rest."""
    return f"{_KINDS[chart.kind]}: {chart.title} The table beneath holds all values."
