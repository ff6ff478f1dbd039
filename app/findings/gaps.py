"""The most deprived fifth of areas against the rest of England, in one measure, unit and period."""

from typing import Final

from app.counts.parts import Published
from app.findings import drawn, words
from app.findings.findings import Gap, MeasureName, Ratio, Refusal
from app.findings.kinds import MEASURES, unit_of
from app.findings.options import Options
from app.inequality.measures import absolute_gap, fewer_if_matched, relative_gap

_GROUPS: Final[tuple[drawn.Group, drawn.Group]] = ("core20", "rest")


def gap(
    published: Published,
    measure: MeasureName,
    unit_code: str,
    period: str,
    options: Options,
    confidence: float = 0.95,
) -> Gap:
    """Core20 less the rest, in points, with limits at `confidence`; a Gap with a refusal where it cannot be said.

    `period` is a quarter or a year for appointments (a month too for the whole organisation), a month for waiting.
    """
    what, unit = MEASURES[measure], unit_of(unit_code)
    if measure == "core20_share":
        ways, counted = [drawn.Drawn()] * 2, [drawn.count(published, drawn.Drawn())] * 2
    else:
        ways, counted = drawn.draw(published, measure, unit_code, period, _GROUPS)
    effect = drawn.design_effect_of(what, options)
    core20, rest = (drawn.share_of(c, options, effect, confidence) for c in counted)
    refusal = drawn.refusal_of(counted, what, unit, period, options)
    source = drawn.source_of(published, (f for way in ways for f in way.total))
    if source and ", " in source.edition:
        refusal = Refusal("other_edition", words.two_editions())
        core20 = rest = drawn.NOT_ADDED
    if refusal:
        return Gap(what, unit, period, core20, rest, None, None, False, None, refusal.sentence, refusal, source)
    events1, total1 = counted[0].events.n or 0, counted[0].total.n or 0
    events2, total2 = counted[1].events.n or 0, counted[1].total.n or 0
    absolute = drawn.percent(absolute_gap(events1, total1, events2, total2, confidence, effect))
    relative: Ratio | None = None
    if events1 > 0 and events2 > 0 and (events1 < total1 or events2 < total2):
        relative = drawn.tenths(relative_gap(events1, total1, events2, total2, confidence, effect))
    # By the limits that are shown: what a reader sees to include zero is not called certain.
    is_certain = absolute.lower > 0 or absolute.upper < 0
    fewer = drawn.nearest_5(fewer_if_matched(events1, total1, events2 / total2)) if absolute.lower > 0 else 0
    sentence = words.gap(what, unit, period, core20, rest, absolute, fewer or None)
    sentence += drawn.held(published, (f for way in ways for f in way.total))
    return Gap(what, unit, period, core20, rest, absolute, relative, is_certain, fewer or None, sentence, None, source)
