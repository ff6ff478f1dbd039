"""Findings as cells of a report's tables: a number as published, or the mark or words that stand instead."""

from typing import Final

from app.counts.parts import Part
from app.findings.findings import Gap, Ratio, Refusal, Share, Whole
from app.pages.charts import Cell, Column
from app.report.document import MARKS, NOT_SHOWN

GAP_COLUMNS: Final = (
    Column("core20", "Core20 in 100", is_number=True),
    Column("rest", "Rest of England in 100", is_number=True),
    Column("gap", "Gap in points", is_number=True),
    Column("lower", "Lower limit", is_number=True),
    Column("upper", "Upper limit", is_number=True),
)

WHY: Final = {
    "not_published": "not published",
    "hidden": "hidden",
    "too_few": "too few",
    "no_events": "no such events",
    "no_design_effect": "not ranked",
    "no_reference": "no reference",
    "other_edition": "two editions",
}
"""Each refusal in the words of a cell; its sentence stands beside the table or beneath it."""


def of_part(part: Part) -> Cell:
    """A published count, or its mark."""
    return part.n if part.n is not None else MARKS.get(part.mark, part.mark)


def of_count(count: int | None, mark: str) -> Cell:
    """A count of a share, or the mark of what is hidden."""
    return count if count is not None else MARKS.get(mark, mark) or None


def of_share(share: Share) -> Cell:
    """A share in whole percent, or why there is none."""
    if share.percent is not None:
        return share.percent.value
    return MARKS.get(share.mark, share.mark) if share.mark else "too few"


def of_gap(gap: Gap) -> tuple[Cell, ...]:
    """A gap as the cells of `GAP_COLUMNS`; why there is none stands in its place."""
    limits = (gap.absolute.lower, gap.absolute.upper) if gap.absolute else (None, None)
    return (of_share(gap.core20), of_share(gap.rest), gap.absolute.value if gap.absolute else why(gap.refusal), *limits)


def of_ratio(ratio: Ratio | None, refusal: Refusal | None) -> tuple[Cell, ...]:
    """A ratio with its limits as three cells; why there is none stands in its place."""
    return (ratio.value, ratio.lower, ratio.upper) if ratio else (why(refusal), None, None)


def limits(found: Whole | Ratio) -> str:
    """`4 to 8`; a minus sign is not a hyphen."""
    return f"{found.lower} to {found.upper}".replace("-", "\N{MINUS SIGN}")


def why(refusal: Refusal | None) -> str:
    """A refusal in a cell's words."""
    return WHY[refusal.code] if refusal else NOT_SHOWN
