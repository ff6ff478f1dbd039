"""All units side by side: whose gap, or whose share, stands out from the others by more than chance.

With 178 specialties, limits of 95% would give about nine false alarms at every look, so a unit stands out only beyond
99.8%. A ranking says where to ask first, and never whose fault anything is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Final, NamedTuple

from app.counts import periods
from app.counts.parts import Publication, Published
from app.findings.drawn import design_effect_of, held_of, percent, source_of_pages
from app.findings.findings import (
    FunnelLimit,
    Gap,
    Measure,
    MeasureName,
    RankedGap,
    Ranking,
    Refusal,
    Unit,
)
from app.findings.gaps import gap
from app.findings.kinds import MEASURES, unit_of
from app.findings.options import Options
from app.findings.representation import core20_parts, share_of_units
from app.inequality.measures import dispersion, effective_total, gap_funnel, proportion, proportion_funnel

CONFIDENCE: Final = 0.998
LEAST_UNITS: Final = 10
"""Of fewer none can stand out: of 9 none is further from their centre than 3 times their spread, and 3.09 is asked."""

_LIMIT: Final = 3.09  # as the funnel is drawn
_DNA, _BY_PROVIDER = "did_not_attend", "cancelled_by_provider"
_WORTH_SAYING: Final = 1.5  # over-dispersion
_SIZES: Final = 12  # sizes at which the funnel is given
_TABLES: Final[Mapping[tuple[MeasureName, str], str]] = {
    ("missed", "quarter"): "specialty_dna_core20",
    ("missed", "year"): "specialty_dna_quintile",
    ("cancelled_by_provider", "year"): "specialty_dna_quintile",
    ("over_18_weeks", "month"): "waiting_list",
    ("over_52_weeks", "month"): "waiting_list",
}
_NO_DESIGN_EFFECT: Final = (
    "The same people miss appointments, or have them cancelled, again and again. How often is not configured"
    " (IMDLENS_DESIGN_EFFECT), so limits would be too narrow, and there is no ranking."
)


class _Counts(NamedTuple):
    """Events and totals of one unit: Core20, then the rest."""

    x1: int
    n1: int
    x2: int
    n2: int

    @classmethod
    def of(cls, gap: Gap) -> "_Counts":
        return cls(gap.core20.n or 0, gap.core20.total or 0, gap.rest.n or 0, gap.rest.total or 0)

    @property
    def gap(self) -> float:
        return self.x1 / self.n1 - self.x2 / self.n2


@dataclass(frozen=True, slots=True)
class _Placed:
    """A unit with its value, unrounded, and z: its distance from the centre, before over-dispersion."""

    row: RankedGap
    value: float
    z: float


def ranking(published: Published, measure: MeasureName, period: str, options: Options) -> Ranking:
    """Units by their gap in a measure, or by their Core20 share, the largest value first, with 99.8% limits.

    `period` is one that is published: a quarter or year for missed appointments, a year for cancellations by the
    hospital and the Core20 share, a month for waits. Missed and cancelled appointments repeat within people: they are
    ranked only with a configured design effect. People wait once, so waits may be.
    """
    if measure == "core20_share":
        return _of_shares(published, period, options)
    what, table = MEASURES[measure], _table(measure, period)
    page = published.of(table, period)
    if page is None:
        return _refused(what, period, Refusal("not_published", "Nothing is published of this for this period."))
    if not what.is_stock and options.design_effect is None:
        return _refused(what, period, Refusal("no_design_effect", _NO_DESIGN_EFFECT), page)
    gaps = [gap(published, measure, unit, period, options, CONFIDENCE) for unit in published.units(table, period)]
    return _of_gaps(what, page, gaps, design_effect_of(what, options))


def _table(measure: MeasureName, period: str) -> str:
    grain = "month" if periods.is_month(period) else "quarter" if "Q" in period else "year"
    return _TABLES.get((measure, grain), "")


# ------------------------------------------------------------------------------------------- gaps


def _of_gaps(what: Measure, page: Publication, gaps: Sequence[Gap], effect: float) -> Ranking:
    refused = [(one.unit, one.refusal) for one in gaps if one.refusal]
    shown = [(one, _Counts.of(one)) for one in gaps if not one.refusal]
    everybody = sum(c.n1 + c.n2 for _, c in shown)
    rate = sum(c.x1 + c.x2 for _, c in shown) / everybody if everybody else 0.0
    if not 0 < rate < 1:
        return _nothing(what, page, refused)
    # The common gap: each unit's own gap with the weight of its size, so that a mix of units is no gap.
    weight = sum(effective_total(c.n1, c.n2) for _, c in shown)
    centre = sum(effective_total(c.n1, c.n2) * c.gap for _, c in shown) / weight
    placed = []
    for one, counts in shown:
        variance = _variance_at(centre, counts)
        if one.absolute is None:
            continue
        row = RankedGap(one.unit, one.absolute, round(rate * (1 - rate) / variance), stands_out=False)
        placed.append(_Placed(row, counts.gap, (counts.gap - centre) / sqrt(effect * variance)))
    phi = dispersion([one.z for one in placed])
    sizes = _sizes([one.row.size for one in placed])
    limits = (gap_funnel(rate, sizes, confidence, effect, phi, centre) for confidence in (0.95, CONFIDENCE))
    return _ranked(what, page, centre, placed, refused, _funnel(sizes, *limits), None if what.is_stock else effect, phi)


def _variance_at(gap: float, counts: _Counts) -> float:
    """The variance of a unit's gap, were it `gap`, and the unit's events as many as they are.

    From what is to be expected, not from what was seen, so that few events do not make it small. A unit's place in the
    funnel is the size at which the funnel is as wide: specialties miss 5 in 100 or 15, and one width is not for both.
    """
    n = counts.n1 + counts.n2
    rest = (counts.x1 + counts.x2 + 0.5) / (n + 1) - gap * counts.n1 / n
    least = 0.5 / (n + 1)
    first, second = (min(max(p, least), 1 - least) for p in (rest + gap, rest))
    return first * (1 - first) / counts.n1 + second * (1 - second) / counts.n2


# ----------------------------------------------------------------------------------------- shares


def _of_shares(published: Published, year: str, options: Options) -> Ranking:
    what, found = MEASURES["core20_share"], core20_parts(published, year, options)
    if found.refusal:
        return _refused(what, year, found.refusal)
    page = found.publications[-1]._replace(period=found.year)
    counts: list[tuple[Unit, int, int]] = []
    refused: list[tuple[Unit, Refusal]] = []
    for code in found.parts:
        share, refusal = share_of_units(found, [code], options)
        if refusal:
            refused.append((unit_of(code), refusal))
        else:
            counts.append((unit_of(code), share.n or 0, share.total or 0))
    everybody = sum(n for _, _, n in counts)
    centre = sum(x for _, x, _ in counts) / everybody if everybody else 0.0
    if not 0 < centre < 1:
        return _nothing(what, page, refused)
    effect = found.design_effect
    placed = [
        _Placed(
            RankedGap(unit, percent(proportion(x, n, CONFIDENCE, effect)), n, stands_out=False),
            x / n,
            (x / n - centre) / sqrt(effect * centre * (1 - centre) / n),
        )
        for unit, x, n in counts
    ]
    phi = dispersion([one.z for one in placed])
    sizes = _sizes([one.row.size for one in placed])
    limits = (proportion_funnel(centre, sizes, confidence, effect, phi) for confidence in (0.95, CONFIDENCE))
    funnel = _funnel(sizes, *limits)
    return _ranked(what, page, centre, placed, refused, funnel, None if found.are_first else effect, phi)


# ------------------------------------------------------------------------------------ shared parts


def _ranked(
    what: Measure,
    page: Publication,
    centre: float,
    placed: Sequence[_Placed],
    refused: Sequence[tuple[Unit, Refusal]],
    funnel: tuple[FunnelLimit, ...],
    effect: float | None,
    phi: float,
) -> Ranking:
    ordered = sorted(placed, key=lambda one: (-one.value, one.row.unit.code))
    beyond = _LIMIT * sqrt(phi)
    rows = tuple(replace(one.row, stands_out=abs(one.z) > beyond) for one in ordered)
    return Ranking(
        what,
        page.period,
        round(100 * centre),
        rows,
        tuple(refused),
        funnel,
        effect,
        round(phi, 1),
        _sentence(page.period, rows, refused, phi) + held_of([page]),
        None,
        source_of_pages([page]),
    )


def _sizes(sizes: Sequence[int]) -> list[int]:
    """Sizes from the smallest unit to the largest, each the same number of times the one before."""
    least, most = max(min(sizes), 1), max(*sizes, 1)
    step = (most / least) ** (1 / (_SIZES - 1))
    return sorted({round(least * step**i) for i in range(_SIZES)} | {least, most})


def _funnel(
    sizes: Sequence[int], inner: Sequence[tuple[float, float]], outer: Sequence[tuple[float, float]]
) -> tuple[FunnelLimit, ...]:
    return tuple(
        FunnelLimit(size, *(round(100 * limit) for limit in (*near, *far)))
        for size, near, far in zip(sizes, inner, outer, strict=True)
    )


def _refused(what: Measure, period: str, refusal: Refusal, page: Publication | None = None) -> Ranking:
    source = source_of_pages([page] if page else [])
    return Ranking(what, period, None, (), (), (), None, None, refusal.sentence, refusal, source)


def _nothing(what: Measure, page: Publication, refused: Sequence[tuple[Unit, Refusal]]) -> Ranking:
    refusal = Refusal("too_few", "No unit has figures that may be set side by side.")
    return replace(_refused(what, page.period, refusal, page), refused=tuple(refused))


def _sentence(period: str, rows: Sequence[RankedGap], refused: Sequence[tuple[Unit, Refusal]], phi: float) -> str:
    reason = "for the reason that is given" if len(refused) == 1 else "each with its reason"
    without = f" {len(refused)} more {_have(len(refused))} no figure, {reason}." if refused else ""
    if len(rows) < LEAST_UNITS:
        services = "1 service" if len(rows) == 1 else f"{len(rows)} services"
        return (
            f"In {periods.in_words(period)}, there are figures of {services}, fewer than 10, too few to tell whether"
            f" one stands out from the others: that does not mean that all are alike.{without}"
        )
    out = [row.unit.name for row in rows if row.stands_out]
    many = f"{len(out)} of {len(rows)} services" if out else f"none of {len(rows)} services"
    stand = "stands out" if len(out) < 2 else "stand out"
    names = f": {', '.join(out)}" if 0 < len(out) <= 3 else ""
    wide = (
        f" The variance among services is {phi:.1f} times what chance alone would make it, and the limits are widened"
        " for that."
        if phi >= _WORTH_SAYING
        else ""
    )
    return (
        f"In {periods.in_words(period)}, {many} {stand} from the others by more than the limits allow{names}.{wide}"
        f"{without} The limits are 99.8%: at 95%, one look at 178 specialties would give about nine false alarms."
        f" What stands out is a question to ask, not anybody's fault."
    )


def _have(many: int) -> str:
    return "has" if many == 1 else "have"
