"""Targets and how far they are: a baseline, the latest value on the same measure and edition, and what was aimed at."""

from dataclasses import dataclass
from datetime import date
from typing import Final

from app.context.targets import Target
from app.counts import periods
from app.counts.parts import Publication, Published
from app.findings import drawn
from app.findings.drawn import is_year, months_of
from app.findings.findings import MeasureName, Source, Unit, Whole
from app.findings.gaps import gap
from app.findings.kinds import MEASURES, unit_of
from app.findings.options import Options

_TABLES: Final = {"month": "specialty_core20", "quarter": "specialty_dna_core20", "year": "specialty_dna_quintile"}


@dataclass(frozen=True, slots=True)
class Progress:
    """One target beside the newest value of the same kind of period."""

    target: Target
    unit: Unit
    label: str
    latest: Whole | None
    latest_period: str  # empty where nothing of that kind is published
    sentence: str
    source: Source | None


def progress(published: Published, target: Target, until: str, today: date, options: Options) -> Progress:
    """How far a target is at the end of a period. Nothing is compared over two editions of the index."""
    measure, unit = MEASURES[_name(target)], unit_of(target.unit)
    table = "waiting_list" if measure.is_stock else _TABLES[_kind(target.baseline_period)]
    end = months_of(until)[-1]
    known = [p for p in published.periods(table) if _kind(p) == _kind(target.baseline_period)]
    period = max((p for p in known if months_of(p)[-1] <= end), default="")
    label = f"{measure.label}: {'share' if measure.name == 'core20_share' else 'gap'}"
    if not period:
        return Progress(target, unit, label, None, "", "Nothing is published yet to compare with.", None)
    latest, refusal, source = _value(published, measure.name, target.unit, period, options)
    if latest is None:
        return Progress(target, unit, label, None, period, refusal, source)
    before, after = published.of(table, target.baseline_period), published.of(table, period)
    other = _other_edition(before, after)
    said = other or _said(target, latest, period, today)
    return Progress(target, unit, label, None if other else latest, period, said, source)


def _name(target: Target) -> MeasureName:
    return next(name for name in MEASURES if name == target.measure)


def _kind(period: str) -> str:
    return "month" if periods.is_month(period) else "year" if is_year(period) else "quarter"


def _value(
    published: Published, measure: MeasureName, unit: str, period: str, options: Options
) -> tuple[Whole | None, str, Source | None]:
    """A gap in points or a Core20 share in percent, else why there is none."""
    if measure != "core20_share":
        found = gap(published, measure, unit, period, options)
        return found.absolute, found.sentence, found.source
    ways, counted = drawn.draw(published, measure, unit, period, ("core20",))
    refusal = drawn.refusal_of(counted, MEASURES[measure], unit_of(unit), period, options)
    share = drawn.share_of(counted[0], options, drawn.design_effect_of(MEASURES[measure], options))
    source = drawn.source_of(published, ways[0].total)
    return (None if refusal else share.percent), (refusal.sentence if refusal else ""), source


def _other_edition(before: Publication | None, after: Publication | None) -> str:
    if before is None or after is None:
        return "The baseline's period is not in these tables, so its edition is not known: not compared."
    if before.edition != after.edition:
        return f"The baseline is on {before.edition} and the latest value on {after.edition}: never compared."
    return ""


def _said(target: Target, latest: Whole, period: str, today: date) -> str:
    if period == target.baseline_period:
        return "Nothing newer than the baseline is published."
    when = "The date has passed. " if target.by < today else ""
    if target.measure != "core20_share" and latest.upper < 0 <= target.target:
        return f"{when}The gap is the other way now, less in the most deprived fifth: whether that was the aim is open."
    lower_is_aim = target.target <= target.baseline
    reached = latest.value <= target.target if lower_is_aim else latest.value >= target.target
    beyond = latest.upper <= target.target if lower_is_aim else latest.lower >= target.target
    if beyond:
        return f"{when}At the target, its limits too."
    if reached:
        return f"{when}At the target, but its limits reach beyond it: not certain."
    if latest.lower <= target.target <= latest.upper:
        return f"{when}Not at the target, but its limits reach it: not certain."
    return f"{when}Not at the target."
