"""A gap or a share over time, with process limits (XmR) where it is a flow."""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from app.counts import periods
from app.counts.parts import Published
from app.counts.tables import Figure
from app.findings import drawn, words
from app.findings.findings import (
    Measure,
    MeasureName,
    Phase,
    Refusal,
    Trend,
    TrendPoint,
    Unit,
    Verdict,
)
from app.findings.kinds import MEASURES, unit_of
from app.findings.options import Options
from app.inequality.trend import LEAST_FOR_VERDICT, LEAST_POINTS, Better, SpecialCause, Xmr, verdict, xmr

MOST_POINTS: Final = 24
"""The newest so many periods are shown and used: older ones would judge today by what a service was years ago."""

_RULES: Final = ("shift", "trend", "outside_limits", "near_limit")  # the one that says most first
_FEW: Final = "few"


class _Reading(NamedTuple):
    value: float | None  # percent or points, not rounded
    mark: str
    edition: str | None
    refusal: Refusal | None
    figures: Sequence[Figure]


def trend(
    published: Published,
    measure: MeasureName,
    unit_code: str,
    options: Options,
    until: str | None = None,
    of: Literal["gap", "share"] = "gap",
) -> Trend:
    """Up to 24 periods, the last of them `until` or the newest: months, but quarters for missed of a specialty.

    `gap` is Core20 less the rest in points. `share` is in percent: for `core20_share`, which has no gap, that of
    contacts; else that of events in the most deprived fifth. Limits and causes are worked out before rounding, and
    begin anew with each edition. A stock has neither, and its verdict is always `too_few`.
    """
    what, unit = MEASURES[measure], unit_of(unit_code)
    of = "share" if measure == "core20_share" else of
    table = table_of(measure, unit_code)
    shown = sequence(published, table, until)[-MOST_POINTS:] if table else []
    if table is None or not shown:
        sentence = words.not_published_over_time() if table is None else words.nothing_over_time(unit)
        return Trend(what, unit, of, (), (), "too_few", sentence, Refusal("not_published", sentence), None)
    readings = [_read(published, what, unit, table, period, of, options) for period in shown]
    starts = _starts(readings)
    chart = None if what.is_stock else xmr([r.value for r in readings], starts)
    points = tuple(
        TrendPoint(
            period,
            None if r.value is None else round(r.value),
            r.mark,
            tuple(sorted({cause.rule for cause in chart.flags[i]})) if chart else (),
        )
        for i, (period, r) in enumerate(zip(shown, readings, strict=True))
    )
    source = drawn.source_of(published, (f for r in readings for f in r.figures))
    if all(r.value is None for r in readings):
        refusal = readings[-1].refusal
        return Trend(what, unit, of, points, (), "too_few", refusal.sentence if refusal else "", refusal, source)
    editions = [readings[start].edition or "" for start in starts]
    phases = _phases(chart, editions, of) if chart else ()
    found, sentence = _judge(chart, what, unit, of, words.time_words(shown[-1]))
    began = drawn.held(published, (f for r in readings for f in r.figures))
    # Counting begins once, so it is the first period that is shown.
    sentence += began.replace("within this period", f"within {periods.in_words(shown[0])}")
    hidden = sum(r.value is None for r in readings)
    if hidden:
        sentence += f" {words.not_shown(hidden, len(shown), words.time_words(shown[-1]))}"
    for start, before, after in zip(starts[1:], editions, editions[1:], strict=False):
        sentence += f" {words.edition_break(shown[start], after, before)}"
    return Trend(what, unit, of, points, phases, found, sentence, None, source)


def table_of(measure: MeasureName, unit_code: str) -> str | None:
    """The table whose periods are a trend's; None where it is published by the year alone."""
    if MEASURES[measure].is_stock:
        return "waiting_list"
    if measure == "core20_share":
        return "specialty_core20"
    if not unit_code:
        return "organisation_outcome"
    return "specialty_dna_core20" if measure == "missed" else None


def sequence(published: Published, table: str, until: str | None = None) -> list[str]:
    """Every period from the first that is published to the last, or `until`; those in between that are not, too."""
    known = published.periods(table)
    if until is not None:
        known = [p for p in known if drawn.months_of(p)[-1] <= drawn.months_of(until)[-1]]
    if not known:
        return []
    found = [min(known)]
    while found[-1] < max(known):
        month = periods.next_month(drawn.months_of(found[-1])[-1])
        found.append(month if periods.is_month(found[-1]) else periods.quarter_name(month))
    return found


def _read(
    published: Published, what: Measure, unit: Unit, table: str, period: str, of: str, options: Options
) -> _Reading:
    groups: tuple[drawn.Group, ...] = ("core20", "rest") if of == "gap" else ("core20",)
    ways, counted = drawn.draw(published, what.name, unit.code, period, groups)
    page = published.of(table, period)
    figures = [f for way in ways for f in way.total]
    refusal = drawn.refusal_of(counted, what, unit, period, options)
    value = None
    mark = next((c.mark for c in counted if c.mark), _FEW if refusal else "")
    if not refusal:
        parts = [100 * (c.events.n or 0) / (c.total.n or 1) for c in counted]
        value = parts[0] - parts[1] if of == "gap" else parts[0]
    return _Reading(value, mark, page.edition if page else None, refusal, figures)


def _starts(readings: Sequence[_Reading]) -> list[int]:
    """Where phases begin: at the first period, and at each that is on another edition than the one before."""
    starts, edition = [0], None
    for i, reading in enumerate(readings):
        if reading.edition is None:
            continue
        if edition is not None and reading.edition != edition:
            starts.append(i)
        edition = reading.edition
    return starts


def _phases(chart: Xmr, editions: Sequence[str], of: str) -> tuple[Phase, ...]:
    def whole(value: float | None) -> int | None:
        if value is None:
            return None
        return round(min(100.0, max(0.0, value)) if of == "share" else value)

    return tuple(
        Phase(p.start, p.stop, whole(p.mean), whole(p.lower), whole(p.upper), p.is_trial, edition)
        for p, edition in zip(chart.phases, editions, strict=True)
    )


def _judge(chart: Xmr | None, what: Measure, unit: Unit, of: str, times: tuple[str, str]) -> tuple[Verdict, str]:
    if chart is None:
        return "too_few", words.stock_trend()
    last = chart.phases[-1]
    better: Better = "neither"
    latest = next((v for v in reversed(chart.values[last.start : last.stop]) if v is not None), 0.0)
    # A gap that turned round has neither narrowed nor widened.
    if of == "gap" and round(last.mean or 0) and round(latest) * round(last.mean or 0) >= 0:
        # A gap the other way narrows when it rises.
        better = "lower" if (last.mean or 0) > 0 else "higher"
    elif of == "share" and what.better == "lower":
        better = "lower"
    found = verdict(chart, better)
    limits = None
    if last.lower is not None and last.upper is not None:
        (shown,) = _phases(Xmr((last,), (), ()), [""], of)
        limits = (shown.lower or 0, shown.upper or 0)
    mean = None if last.mean is None else round(last.mean)
    cause, run = _evidence(chart)
    return found, words.trend(
        found,
        of,
        words.followed(what, unit, of),
        mean,
        limits,
        cause,
        run,
        last.points,
        times,
        LEAST_FOR_VERDICT,
        LEAST_POINTS,
        ends_hidden=chart.values[-1] is None,
    )


def _evidence(chart: Xmr) -> tuple[SpecialCause | None, int]:
    """The cause that the last point shown is part of, and for how many points up to it; None and 0 without one."""
    last = chart.phases[-1]
    shown = [i for i in range(last.start, last.stop) if chart.values[i] is not None]
    if not shown or not chart.flags[shown[-1]]:
        return None, 0
    cause: SpecialCause = min(chart.flags[shown[-1]], key=lambda c: (_RULES.index(c.rule), c.direction))
    run = 0
    for i in reversed(range(last.start, shown[-1] + 1)):
        if cause not in chart.flags[i]:
            break
        run += 1
    return cause, run
