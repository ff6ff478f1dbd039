"""Change over time by statistical process control: XmR charts as NHS England's Making Data Count draws them.

For flows, such as the events of a month. What stands at a month's end, like a waiting list, is a stock: each of its
values holds most of the one before, neighbours differ too little, and nearly every point would be called special.
Nothing here can tell one from the other, so never ask it about a stock.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import isfinite
from statistics import fmean
from typing import Final, Literal, NamedTuple

Rule = Literal["outside_limits", "shift", "trend", "near_limit"]
Direction = Literal["high", "low"]
Better = Literal["higher", "lower", "neither"]
Verdict = Literal["too_few", "common_cause", "improving", "worsening", "changed"]

LEAST_POINTS: Final = 12
"""Shown points of a phase under which its limits are trial limits."""

LEAST_FOR_VERDICT: Final = 8
"""Under so many there is no verdict: all of 7 points cannot lie on one side of their own mean. A quarterly table has
8 in two years."""

_LIMIT: Final = 2.66  # 3/1.128: three standard deviations, when two neighbours differ by 1.128 on average
_WIDEST: Final = 3.267  # of the mean moving range: its own upper limit
_RUN: Final = 7
_DIRECTIONS: Final[tuple[tuple[int, Direction], ...]] = ((1, "high"), (-1, "low"))
_CLOSE: Final = 2 / 3  # of the way from the mean to a limit, where the outer third begins
_ROUNDING: Final = 1e-12  # of the largest value: a point no further from the mean, or past a limit, is on it


class SpecialCause(NamedTuple):
    """A rule that a point is part of, and to which side; a trend that rises is high."""

    rule: Rule
    direction: Direction


class Phase(NamedTuple):
    """A stretch of points with a mean and limits of its own, in the unit of the values."""

    start: int
    """Index of its first point."""
    stop: int
    """Index after its last one."""
    mean: float | None
    """None where no point is shown."""
    lower: float | None
    """None where no two neighbours are shown, or none of them differ though values do."""
    upper: float | None
    """None where no two neighbours are shown, or none of them differ though values do."""
    is_trial: bool
    """Whether its limits rest on fewer than LEAST_POINTS points."""
    points: int
    """How many are shown."""


class Xmr(NamedTuple):
    """An XmR chart: its phases, and for each value the special causes that it is part of."""

    phases: tuple[Phase, ...]
    flags: tuple[frozenset[SpecialCause], ...]
    values: tuple[float | None, ...]


def xmr(values: Sequence[float | None], phases: Sequence[int] = (0,), *, drop_wide_ranges: bool = True) -> Xmr:
    """Mean, limits and special causes of values in the order of time; None is a period that cannot be shown.

    Limits are mean -/+ 2.66 x mean moving range (Wheeler 1993; Provost and Murray 2011), not clipped. With
    `drop_wide_ranges`, as the R package NHSRplotthedots and unlike Making Data Count's Excel tool, ranges of 3.267
    times their mean and more are left out once; not where nothing but ranges of 0 would be left.

    Special causes, as that package: a point outside the limits; a shift, 7 or more in a row on one side of the mean (a
    point on it ends the run); a trend, 7 or more that rise, or fall, each time; near a limit, 2 or 3 of 3 neighbours in
    the outer third towards it, not outside, and all three on that side of the mean. Every point of the run is flagged;
    of three neighbours those near the limit.

    `phases` are the indices at which phases begin, 0 first, such as the first period of another edition. A gap and
    the end of a phase are alike: no moving range crosses them, and every run ends there. A gap is not in the mean.

    ValueError for phases that do not begin with 0, rise, and lie inside the values; and for a value that is no number.
    """
    if any(value is not None and not isfinite(value) for value in values):
        raise ValueError("a value of a chart is a number, or None")
    starts = list(phases)
    if starts[:1] != [0] or any(a >= b for a, b in pairwise([*starts, max(len(values), 1)])):
        raise ValueError("phases begin at 0, rise, and lie inside the values")
    made = []
    flags: list[set[SpecialCause]] = [set() for _ in values]
    for start, stop in pairwise([*starts, len(values)]):
        stretches = _stretches(values, start, stop)
        phase = _phase(start, stop, [stretch for _, stretch in stretches], drop_wide_ranges)
        made.append(phase)
        for first, stretch in stretches:
            for at, cause in _special_causes(stretch, phase):
                flags[first + at].add(cause)
    return Xmr(tuple(made), tuple(frozenset(causes) for causes in flags), tuple(values))


def verdict(chart: Xmr, better: Better) -> Verdict:
    """What the chart says of now, by the last point shown of the last phase, as Making Data Count's icons do.

    One point is enough, since a run, a trend or two near a limit reach over the points before it, and looking further
    back would call a change new that has ended. `too_few` under LEAST_FOR_VERDICT points in the phase, and where there
    are no limits; under LEAST_POINTS the limits are trial limits, and whoever shows the verdict must say so;
    `common_cause` without a special cause; `changed` where neither direction is the better one, or its causes point
    both ways.
    """
    last = chart.phases[-1]
    if last.points < LEAST_FOR_VERDICT or last.lower is None:
        return "too_few"
    latest = max(at for at in range(last.start, last.stop) if chart.values[at] is not None)
    directions = {cause.direction for cause in chart.flags[latest]}
    if not directions:
        return "common_cause"
    if better == "neither" or len(directions) > 1:
        return "changed"
    return "improving" if directions == {"high" if better == "higher" else "low"} else "worsening"


def _stretches(values: Sequence[float | None], start: int, stop: int) -> list[tuple[int, list[float]]]:
    """Neighbours without a gap between them, each with the index of its first."""
    found: list[tuple[int, list[float]]] = []
    for at in range(start, stop):
        value = values[at]
        if value is None:
            continue
        if not found or found[-1][0] + len(found[-1][1]) < at:
            found.append((at, []))
        found[-1][1].append(value)
    return found


def _phase(start: int, stop: int, stretches: Sequence[Sequence[float]], drop_wide_ranges: bool) -> Phase:
    shown = [value for stretch in stretches for value in stretch]
    is_trial = len(shown) < LEAST_POINTS
    if not shown:
        return Phase(start, stop, None, None, None, is_trial, 0)
    mean = fmean(shown)
    ranges = [abs(b - a) for stretch in stretches for a, b in pairwise(stretch)]
    if not ranges or (not any(ranges) and min(shown) < max(shown)):
        return Phase(start, stop, mean, None, None, is_trial, len(shown))
    if drop_wide_ranges:
        widest = _WIDEST * fmean(ranges)
        kept = [moved for moved in ranges if moved < widest]
        ranges = kept if any(kept) else ranges
    off = _LIMIT * fmean(ranges)
    return Phase(start, stop, mean, mean - off, mean + off, is_trial, len(shown))


def _special_causes(stretch: Sequence[float], phase: Phase) -> Iterator[tuple[int, SpecialCause]]:
    """Indices in a stretch, and what each is part of. A fall is a rise of the mirrored values."""
    if phase.mean is None:
        return
    off = None if phase.upper is None else phase.upper - phase.mean
    rounding = _ROUNDING * max(abs(phase.mean), *(abs(value) for value in stretch))
    for sign, direction in _DIRECTIONS:
        above = [sign * (value - phase.mean) for value in stretch]
        on_side = [value > rounding for value in above]
        yield from ((at, SpecialCause("shift", direction)) for at in _runs(on_side, _RUN))
        rises = [a < b for a, b in pairwise([sign * value for value in stretch])]
        # Six rises in a row join seven points, and the point before a rise is part of it.
        rising = set(_runs(rises, _RUN - 1))
        yield from ((at, SpecialCause("trend", direction)) for at in sorted(rising | {at + 1 for at in rising}))
        if off is None:
            continue
        outside = [value > off + rounding for value in above]
        near = [value > _CLOSE * off + rounding and not out for value, out in zip(above, outside, strict=True)]
        yield from ((at, SpecialCause("outside_limits", direction)) for at, out in enumerate(outside) if out)
        for at in range(len(stretch) - 2):
            three = range(at, at + 3)
            if all(on_side[i] for i in three) and sum(near[i] for i in three) >= 2:
                yield from ((i, SpecialCause("near_limit", direction)) for i in three if near[i])


def _runs(held: Sequence[bool], least: int) -> Iterator[int]:
    """Indices inside runs of `least` or more that hold."""
    start = 0
    for at in range(len(held) + 1):
        if at == len(held) or not held[at]:
            if at - start >= least:
                yield from range(start, at)
            start = at + 1
