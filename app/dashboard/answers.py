"""All that is found of one unit in one quarter: what its screens are made of."""

from dataclasses import dataclass

from app.counts.parts import Published
from app.dashboard.context import Context
from app.findings.findings import Comparison, Fifths, Gap, Quality, Trend, Unit, Waits


@dataclass(frozen=True, slots=True)
class Answers:
    """Findings of one unit; None where nothing is published to find them in."""

    unit: Unit
    sentence: str
    quality: Quality | None
    gaps: tuple[Gap, ...]
    trend: Trend | None
    missed: Fifths | None
    cancelled: Fifths | None
    waits: Waits | None
    comparisons: tuple[Comparison, ...]


def year_of(published: Published, quarter: str) -> str | None:
    """The newest published financial year that is not after a quarter's own; None without one."""
    years = [year for year in published.periods("specialty_dna_quintile") if year <= quarter[:7]]
    return max(years, default=None)
