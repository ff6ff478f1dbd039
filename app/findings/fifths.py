"""One measure over the five fifths of areas, with the slope index of inequality."""

from typing import Final

from app.counts.parts import Published
from app.findings import drawn, words
from app.findings.findings import Fifths, MeasureName, Refusal, Whole
from app.findings.kinds import MEASURES, unit_of
from app.findings.options import Options
from app.inequality.measures import Estimate, proportion, slope_index

_GROUPS: Final[tuple[drawn.Group, ...]] = ("1", "2", "3", "4", "5")


def fifths(published: Published, measure: MeasureName, unit_code: str, period: str, options: Options) -> Fifths:
    """Five shares, the most deprived first, and the slope fitted to their logits, weighted by their totals.

    `missed` and `cancelled_by_provider` alone are published by fifths: of a financial year, for the whole organisation
    also of a quarter or a month. A share can be said where the slope cannot.
    """
    what, unit = MEASURES[measure], unit_of(unit_code)
    if measure in ("missed", "cancelled_by_provider"):
        ways, counted = drawn.draw(published, measure, unit_code, period, _GROUPS)
    else:
        ways, counted = [drawn.Drawn()] * 5, [drawn.count(published, drawn.Drawn())] * 5
    effect = drawn.design_effect_of(what, options)
    shares = tuple(drawn.share_of(c, options, effect) for c in counted)
    source = drawn.source_of(published, (f for way in ways for f in way.total))
    refusal = drawn.refusal_of(counted, what, unit, period, options)
    if source and ", " in source.edition:
        refusal = Refusal("other_edition", words.two_editions())
        shares = (drawn.NOT_ADDED,) * len(_GROUPS)
    if not refusal and any(not 0 < (s.n or 0) < (s.total or 0) for s in shares):
        refusal = Refusal("no_events", words.no_slope(what))
    if refusal:
        return Fifths(what, unit, period, shares, None, None, (), None, refusal.sentence, refusal, source)
    events, totals = [s.n or 0 for s in shares], [s.total or 0 for s in shares]
    estimates = [proportion(n, total, design_effect=effect) for n, total in zip(events, totals, strict=True)]
    slope = slope_index([e.value for e in estimates], totals, [(e.lower, e.upper) for e in estimates], "logit")
    # The field's SII is the least less the most deprived end; ours is positive where the most deprived have more.
    sii = drawn.percent(Estimate(-slope.sii.value, -slope.sii.upper, -slope.sii.lower))
    rii = drawn.tenths(Estimate(1 / slope.rii.value, 1 / slope.rii.upper, 1 / slope.rii.lower))
    least = estimates[-1].value
    above = sum(n - total * least for n, total in zip(events, totals, strict=True))
    fewer = max(0, drawn.nearest_5(above)) if sii.lower > 0 else 0
    ends = (round(100 * slope.at_most_deprived), round(100 * slope.at_least_deprived))
    return Fifths(
        what,
        unit,
        period,
        shares,
        Whole(*sii),
        rii,
        tuple(round(100 * y) for y in slope.fitted),
        fewer or None,
        words.slope(what, unit, period, ends, sii) + drawn.held(published, (f for way in ways for f in way.total)),
        None,
        source,
    )
