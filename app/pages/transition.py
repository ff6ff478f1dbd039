"""The page of a transition report: a view of plain values in, one HTML file out that needs nothing but itself."""

from dataclasses import dataclass
from typing import NamedTuple

from app.pages.rendering import render


class Bar(NamedTuple):
    """One part of a whole: its name, its count as shown, and its share in whole percent, None where there is none."""

    label: str
    shown: str
    share: int | None


class FlowCell(NamedTuple):
    """One move between deciles: its count as shown, how dark it is (0 to 4), and whether the decile stays."""

    shown: str
    shade: int
    is_same: bool


class SpecialtyRow(NamedTuple):
    """One specialty: name, code or empty, its five counts as shown, and the share that crosses, or empty."""

    name: str
    code: str
    counts: tuple[str, ...]
    crossing: str


@dataclass(frozen=True, slots=True)
class TransitionView:
    """All that the page shows, in the order in which it is read."""

    notice: str  # of starter data, or a part of the country
    headline: str
    second: tuple[str, ...]
    things: str  # what a row is
    first: str  # the editions
    second_edition: str
    moves: tuple[Bar, ...]
    changes: tuple[Bar, ...]
    flow: tuple[tuple[FlowCell, ...], ...]  # by decile in the first edition
    specialties: tuple[SpecialtyRow, ...]  # none where no column named them, or all are in one row
    reasons: tuple[tuple[str, str], ...]
    most_hidden: int  # `*` is 1 to this
    may: tuple[str, ...]
    must_not: tuple[str, ...]
    how: tuple[str, ...]
    provenance: tuple[tuple[str, str], ...]
    attribution: tuple[str, ...]


def render_transition(view: TransitionView) -> bytes:
    """The page, to be kept or sent as one file."""
    return render("transition.html", view=view)
