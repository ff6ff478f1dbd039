"""Charts as accessible SVG. Each is a table first: its rows stand beneath it and in its CSV and JSON twins."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

Kind = Literal["bars", "trend", "ranking", "funnel", "slope"]
Cell = str | int | float | None
"""A value of a chart's table. What is hidden is None, and `mark` of its row says why."""


class Column(NamedTuple):
    """One column of a chart's table: its key in the rows and in the twins, and its heading on the page."""

    key: str
    heading: str
    is_number: bool


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart: the finding as its title, its rows, and what they are from.

    Rows hold these keys, and others for the table alone:
    - `bars`: group, series, value, lower, upper, mark
    - `trend`: period, value, mean, lower, upper, phase (0, 1, ...), flag (empty, `better`, `worse` or `changed`), mark
    - `ranking`: name, value, lower, upper, stands_out (yes or no)
    - `funnel`: name, size, value, stands_out (yes or no); `limits` holds the curves
    - `slope`: group, position (0 to 100, the middle of the fifth on the scale of people), value, lower, upper, fitted
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
