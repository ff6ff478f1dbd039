"""Which period and unit a question is about, held against what is published: nothing else is answered."""

from typing import Literal

from app.counts import periods
from app.counts.parts import Published
from app.counts.published import NotPublishedError
from app.counts.tables import ALL_OTHER
from app.findings.drawn import months_of
from app.findings.findings import MeasureName
from app.findings.kinds import MEASURES, ORGANISATION, unit_of
from app.findings.trends import table_of

Naming = Literal["specialty", "rtt_group"]

_QUARTERLY, _YEARLY = "specialty_dna_core20", "specialty_dna_quintile"
_LIST, _CONTACTS, _OUTCOMES, _FIRST = (
    "waiting_list",
    "specialty_core20",
    "organisation_outcome",
    "specialty_new_core20",
)


def pages_of(published: Published, measure: MeasureName, unit_code: str) -> dict[str, list[tuple[str, str]]]:
    """Each period in which a measure is published for a unit or for the organisation, and the pages that it is on.

    In the order in which a period would be chosen: quarters before years before months, the newest first.
    """
    if MEASURES[measure].is_stock:
        return {month: [(_LIST, month)] for month in reversed(published.periods(_LIST))}
    if measure == "core20_share":
        return _by_months(published, _CONTACTS, ("quarter", "year", "month"))
    if unit_code == ORGANISATION:
        return _by_months(published, _OUTCOMES, ("quarter", "year", "month"))
    found = {}
    if measure == "missed":
        found = {quarter: [(_QUARTERLY, quarter)] for quarter in reversed(published.periods(_QUARTERLY))}
    return found | {year: [(_YEARLY, year)] for year in reversed(published.periods(_YEARLY))}


def _by_months(published: Published, table: str, grains: tuple[str, ...]) -> dict[str, list[tuple[str, str]]]:
    """Periods of whose months all are published."""
    months = published.periods(table)
    named = {
        "quarter": [periods.quarter_name(m) for m in months if periods.ends_quarter(m)],
        "year": [periods.year_name(periods.financial_year(m)) for m in months if periods.ends_year(m)],
        "month": months,
    }
    return {
        period: [(table, month) for month in months_of(period)]
        for grain in grains
        for period in reversed(named[grain])
        if set(months_of(period)) <= set(months)
    }


def period_of(
    published: Published, measure: MeasureName, unit_code: str, naming: Naming | None, period: str | None
) -> str:
    """The period that was asked for, or the newest. NotPublishedError names the field of which nothing is published."""
    known = pages_of(published, measure, unit_code)
    chosen = next(iter(known), None) if period is None else period.replace("-M", "-")
    if chosen not in known or chosen is None:
        raise NotPublishedError("period", list(known))
    if naming and not _is_unit(unit_code, naming, [u for page in known[chosen] for u in published.units(*page)]):
        raise NotPublishedError(naming)
    return chosen


def period_of_ranking(published: Published, measure: MeasureName, period: str | None) -> str:
    """The same for all units side by side: a quarter or a year, a month for waiting, a year for Core20 shares."""
    if measure == "core20_share":
        known = list(reversed(published.periods(_FIRST)))
        known += [p for p in _by_months(published, _CONTACTS, ("year",)) if p not in known]
    else:
        known = list(pages_of(published, measure, ALL_OTHER))
    chosen = next(iter(known), None) if period is None else period.replace("-M", "-")
    if chosen not in known or chosen is None:
        raise NotPublishedError("period", list(known))
    return chosen


def check_trend(published: Published, measure: MeasureName, unit_code: str, naming: Naming | None) -> None:
    """NotPublishedError where no period is published, or none in which this unit has rows."""
    table = table_of(measure, unit_code) or _YEARLY
    known = published.periods(table)
    if not known:
        raise NotPublishedError("measure")
    if naming and not any(_is_unit(unit_code, naming, published.units(table, period)) for period in reversed(known)):
        raise NotPublishedError(naming)


def _is_unit(code: str, naming: Naming, units: list[str]) -> bool:
    return code in units and (unit_of(code).kind == "rtt_group") == (naming == "rtt_group")
