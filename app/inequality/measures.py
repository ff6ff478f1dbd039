"""Statistics, each one function named by the field, with its reference.

Counts may be fractions, since effective counts are. Limits are two-sided at `confidence`. Every ValueError is a
sentence without a value.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from math import exp, inf, isfinite, lgamma, log, nan, sqrt
from statistics import NormalDist, fmean
from typing import Final, Literal, NamedTuple


class Estimate(NamedTuple):
    """A value and its limits, all in the same unit; `nan` where a limit is not known."""

    value: float
    lower: float
    upper: float


def wilson(events: float, total: float, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson score limits of a proportion, as proportions.

    Wilson 1927, as OHID's technical guidance gives it. (2x + z^2 -/+ z sqrt(z^2 + 4x(1 - x/n))) / (2(n + z^2)).
    ValueError unless 0 <= events <= total and total > 0.
    """
    _check(events, total)
    z = _z(confidence)
    share = events / total
    middle = 2 * events + z * z
    spread = z * sqrt(z * z + 4 * events * (1 - share))
    return (middle - spread) / (2 * (total + z * z)), (middle + spread) / (2 * (total + z * z))


def proportion(events: float, total: float, confidence: float = 0.95, design_effect: float = 1.0) -> Estimate:
    """Events of a total, as a proportion, with Wilson limits of the effective counts.

    x/n, and `wilson` of x/d and n/d (Wilson 1927; effective counts as Kish 1965). `design_effect` d says how many times
    the variance of independent events theirs is. ValueError as `wilson`, and for a design effect under 1.
    """
    effective = _effective(design_effect)
    lower, upper = wilson(events * effective, total * effective, confidence)
    value = events / total
    # Of nothing but events the upper limit is 1, but for rounding.
    return Estimate(value, lower, min(1.0, max(upper, value)))


def byar(events: float, confidence: float = 0.95) -> tuple[float, float]:
    """Byar's approximate Poisson limits of a number of events.

    x(1 - 1/(9x) - z/(3 sqrt(x)))^3, and y(1 - 1/(9y) + z/(3 sqrt(y)))^3 with y = x + 1 (Breslow and Day 1987). Good
    from 10 events on. ValueError for no events.
    """
    if not 0 < events < inf:
        raise ValueError("Byar's limits need events")
    z, y = _z(confidence), events + 1
    lower = events * (1 - 1 / (9 * events) - z / (3 * sqrt(events))) ** 3
    return lower, y * (1 - 1 / (9 * y) + z / (3 * sqrt(y))) ** 3


def exact_poisson(events: float, confidence: float = 0.95) -> tuple[float, float]:
    """Exact Poisson limits of a number of events.

    chi2(alpha/2, 2x)/2, which is 0 for no events, and chi2(1 - alpha/2, 2x + 2)/2 (Garwood 1936). ValueError for fewer
    events than none.
    """
    if not 0 <= events < inf:
        raise ValueError("events cannot be fewer than none")
    _z(confidence)
    lower = chi_square_quantile(0.5 - confidence / 2, 2 * events) / 2 if events else 0.0
    return lower, chi_square_quantile(0.5 + confidence / 2, 2 * events + 2) / 2


def rate(events: float, population: float, multiplier: float = 1.0, confidence: float = 0.95) -> Estimate:
    """Events per `multiplier` of a population.

    m x/n, with Byar's limits, or exact ones under 10 events, times m/n (OHID technical guidance). ValueError for fewer
    events than none, and without a population or a multiplier.
    """
    if not 0 <= events < inf or not 0 < population < inf or not 0 < multiplier < inf:
        raise ValueError("a rate needs events that are not fewer than none, a population, and a multiplier")
    lower, upper = (exact_poisson if events < _LEAST_EVENTS else byar)(events, confidence)
    unit = multiplier / population
    return Estimate(events * unit, lower * unit, upper * unit)


def absolute_gap(
    events1: float,
    total1: float,
    events2: float,
    total2: float,
    confidence: float = 0.95,
    design_effect: float = 1.0,
) -> Estimate:
    """The first proportion less the second, -1 to 1; above 0 where the first is higher.

    d = p1 - p2 with d - sqrt((p1 - l1)^2 + (u2 - p2)^2) and d + sqrt((u1 - p1)^2 + (p2 - l2)^2), l and u the Wilson
    limits of the effective counts (Newcombe 1998, method 10). The groups share nobody. ValueError as `proportion`.
    """
    p1, l1, u1 = proportion(events1, total1, confidence, design_effect)
    p2, l2, u2 = proportion(events2, total2, confidence, design_effect)
    gap = p1 - p2
    return Estimate(gap, gap - sqrt((p1 - l1) ** 2 + (u2 - p2) ** 2), gap + sqrt((u1 - p1) ** 2 + (p2 - l2) ** 2))


def relative_gap(
    events1: float,
    total1: float,
    events2: float,
    total2: float,
    confidence: float = 0.95,
    design_effect: float = 1.0,
) -> Estimate:
    """The first proportion over the second, from 0 up; above 1 where the first is higher.

    RR = p1/p2 with exp(ln RR -/+ z sqrt(d (1/x1 - 1/n1 + 1/x2 - 1/n2))) (Katz and others 1978). ValueError as
    `proportion`, where a group has no events, and where both groups are nothing but events: the formula would then
    give limits without any width.
    """
    p1 = proportion(events1, total1, confidence, design_effect).value
    p2 = proportion(events2, total2, confidence, design_effect).value
    if not events1 or not events2:
        raise ValueError("a relative gap needs events in both groups")
    variance = design_effect * (1 / events1 - 1 / total1 + 1 / events2 - 1 / total2)
    if variance <= 0:
        raise ValueError("a relative gap needs a group that is not all events")
    ratio, spread = p1 / p2, exp(_z(confidence) * sqrt(variance))
    return Estimate(ratio, ratio / spread, ratio * spread)


def representation_ratio(
    events: float, total: float, reference_share: float, confidence: float = 0.95, design_effect: float = 1.0
) -> Estimate:
    """A share over the share that was to be expected, from 0 up; above 1 where there are more than expected.

    (x/n)/r, with the Wilson limits over r. The reference share r, 0 to 1, is taken as known without error: a census,
    not a sample. Against an independent group it is `relative_gap`. ValueError as `proportion`, and for a reference
    share outside 0 to 1 or of none.
    """
    if not 0 < reference_share <= 1:
        raise ValueError("a reference share is above 0 and not above 1")
    return Estimate(*(part / reference_share for part in proportion(events, total, confidence, design_effect)))


def fewer_if_matched(events: float, total: float, other_rate: float) -> float:
    """Events above what another group's rate would give: how many fewer there would be with that rate.

    x - n r, in events; below 0 where the other rate is higher. It is arithmetic, not a forecast. ValueError as
    `wilson`, and for a rate outside 0 to 1.
    """
    _check(events, total)
    if not 0 <= other_rate <= 1:
        raise ValueError("the other rate is a proportion")
    return events - total * other_rate


def cluster_design_effect(mean_size: float, variation: float = 0.0, correlation: float = 1.0) -> float:
    """How many times too small the variance is when contacts that belong to the same person are taken as independent.

    1 + ((1 + cv^2) m - 1) rho, m the mean contacts a person, cv their coefficient of variation, rho the intraclass
    correlation of the event (Kish 1965; for unequal sizes Eldridge, Ashby and Kerry 2006). What belongs to the person,
    like a decile, has rho 1, and the formula is then the sum of squared sizes over their sum. Never under 1.
    ValueError for a mean under 1, a variation under 0, or a correlation outside 0 to 1.
    """
    if not 1 <= mean_size < inf or not 0 <= variation < inf or not 0 <= correlation <= 1:
        raise ValueError("a design effect needs a mean of 1 or more, a variation of 0 or more, a correlation of 0 to 1")
    return 1 + ((1 + variation**2) * mean_size - 1) * correlation


class SlopeIndex(NamedTuple):
    """Slope and relative index of inequality, and the line that they are read from."""

    sii: Estimate
    """In the unit of the values, least deprived less most deprived: below 0 where the most deprived have more."""
    rii: Estimate
    """Least deprived over most deprived; `nan` where an end of the line is not above 0."""
    intercept: float
    """Of the line, on the scale of the fit."""
    fitted: tuple[float, ...]
    """The line at the middle of each quantile, in the unit of the values."""
    at_most_deprived: float
    """The line at rank 0, in the unit of the values."""
    at_least_deprived: float
    """The line at rank 1, in the unit of the values."""


class _Scale(NamedTuple):
    """Where a line is fitted: to it, back, the slope of the way back at a value, and the values that it holds."""

    to: Callable[[float], float]
    back: Callable[[float], float]
    slope: Callable[[float], float]
    least: float
    most: float


def _logit(p: float) -> float:
    return log(p / (1 - p))


def _expit(x: float) -> float:
    return 1 / (1 + exp(-x)) if x >= 0 else exp(x) / (1 + exp(x))


_SCALES: Final = {
    "linear": _Scale(float, float, lambda _: 1.0, -inf, inf),
    "log": _Scale(log, exp, lambda y: y, 0.0, inf),
    "logit": _Scale(_logit, _expit, lambda y: y * (1 - y), 0.0, 1.0),
}


def slope_index(
    values: Sequence[float],
    populations: Sequence[float],
    limits: Sequence[tuple[float, float]] | None = None,
    scale: Literal["linear", "log", "logit"] = "linear",
    confidence: float = 0.95,
) -> SlopeIndex:
    """Slope and relative index of inequality over deprivation quantiles, the most deprived first.

    a is a quantile's share of the population and b the cumulative share to its middle; y on b by least squares with
    weight a. SII is the line at b = 1 less the line at 0, RII the one over the other (Low and Low 2004; OHID technical
    guidance). `scale` is where y is fitted: `linear`; `log` for rates; `logit` for proportions, back-transformed.

    `limits` are the values' own, at `confidence`, and bring a design effect with them; without them the indices have
    none (`nan`). Errors of quantiles are independent: SE = (upper - lower)/(2z) on the scale of the fit, and the ends
    of the line are sums of y, so that the variance of SII, and of ln RII, is the sum of (derivative x SE)^2. For SII on
    the linear scale, and RII on the log one, that is exact; elsewhere it is the delta method (Oehlert 1992), which
    unlike the limits of the slope alone knows that the line's level is uncertain as well. The limits take the line to
    be straight.

    ValueError for fewer than three quantiles, numbers of values, populations and limits that differ, a quantile
    without population, a value outside what the scale holds, and limits that are none.
    """
    on = _SCALES[scale]
    if not 3 <= len(values) == len(populations) or (limits is not None and len(limits) != len(values)):
        raise ValueError("a slope index needs three quantiles or more, and a population and limits of each")
    if not all(0 < n < inf for n in populations):
        raise ValueError("every quantile needs a population")
    everything = [*values, *(limit for pair in limits or () for limit in pair)]
    if not all(isfinite(y) and on.least < y < on.most for y in everything):
        raise ValueError("a value, or a limit of one, is outside what the scale holds")
    if any(lower > upper for lower, upper in limits or ()):
        raise ValueError("a lower limit is above its upper one")

    total = sum(populations)
    share = [n / total for n in populations]
    middle = [after - a / 2 for after, a in zip(accumulate(share), share, strict=True)]
    centre = sum(a * b for a, b in zip(share, middle, strict=True))
    spread = sum(a * (b - centre) ** 2 for a, b in zip(share, middle, strict=True))
    to_slope = [a * (b - centre) / spread for a, b in zip(share, middle, strict=True)]
    to_most = [a - centre * c for a, c in zip(share, to_slope, strict=True)]
    to_least = [first + c for first, c in zip(to_most, to_slope, strict=True)]

    y = [on.to(value) for value in values]
    slope, intercept = _sum_of_products(to_slope, y), _sum_of_products(to_most, y)
    most, least = on.back(intercept), on.back(intercept + slope)
    sii, ratio = least - most, least / most if most > 0 and least > 0 else nan
    off_sii = off_ratio = nan
    if limits is not None:
        z = _z(confidence)
        errors = [(on.to(upper) - on.to(lower)) / (2 * z) for lower, upper in limits]
        at_most, at_least = on.slope(most), on.slope(least)
        ends = list(zip(to_most, to_least, errors, strict=True))
        off_sii = z * sqrt(sum(((at_least * e - at_most * b) * se) ** 2 for b, e, se in ends))
        if isfinite(ratio):
            off_ratio = z * sqrt(sum(((at_least / least * e - at_most / most * b) * se) ** 2 for b, e, se in ends))
    # An end of the line that may well be 0 says nothing of the ratio, without an upper bound to that.
    spread_of_ratio = inf if off_ratio > _MOST_EXPONENT else exp(off_ratio)
    return SlopeIndex(
        Estimate(sii, sii - off_sii, sii + off_sii),
        Estimate(ratio, ratio / spread_of_ratio, ratio * spread_of_ratio),
        intercept,
        tuple(on.back(intercept + slope * b) for b in middle),
        most,
        least,
    )


# European Standard Population 2013, its 5-year bands; 15-19 is split at 18 as two and three fifths, because the
# store counts people under 18. Eurostat 2013, as OHID uses it.
ESP2013 = {
    "0-4": 5000,
    "5-9": 5500,
    "10-14": 5500,
    "15-17": 3300,
    "18-19": 2200,
    "20-24": 6000,
    "25-29": 6000,
    "30-34": 6500,
    "35-39": 7000,
    "40-44": 7000,
    "45-49": 7000,
    "50-54": 7000,
    "55-59": 6500,
    "60-64": 6000,
    "65-69": 5500,
    "70-74": 5000,
    "75-79": 4000,
    "80-84": 2500,
    "85-89": 1500,
    "90+": 1000,
}


def directly_standardised_rate(events: Mapping[str, float], population: Mapping[str, float]) -> float:
    """Events per person, standardised to ESP2013: sum(x w / n) / sum(w) over the age bands.

    ValueError where a band has no population, since a rate of nobody is none.
    """
    if any(population.get(band, 0) <= 0 for band in ESP2013):
        raise ValueError("every age band needs a population")
    weighted = sum(events.get(band, 0) * weight / population[band] for band, weight in ESP2013.items())
    return weighted / sum(ESP2013.values())


def standardised_rate(
    events: Mapping[str, float], population: Mapping[str, float], multiplier: float = 1000, confidence: float = 0.95
) -> Estimate:
    """Events per `multiplier` people, standardised to ESP2013, with limits. Keys are age bands; a band without events
    may be left out.

    DSR + sqrt(var/O) (Byar(O) - O), O all events and var = sum(x (w/n)^2)/(sum w)^2 (Dobson and others 1991; OHID
    technical guidance). ValueError as `directly_standardised_rate`, under 10 events, for a band that is not one of
    ESP2013 or has fewer events than none.
    """
    if not set(events) <= set(ESP2013):
        raise ValueError("an age band is not one of the standard population")
    if any(not 0 <= x < inf for x in events.values()) or not 0 < multiplier < inf:
        raise ValueError("every age band needs events that are not fewer than none, and the rate a multiplier")
    observed = sum(events.values())
    if observed < _LEAST_EVENTS:
        raise ValueError("a directly standardised rate needs 10 events")
    value = directly_standardised_rate(events, population)
    weights = sum(ESP2013.values())
    variance = sum(events.get(band, 0) * (weight / population[band]) ** 2 for band, weight in ESP2013.items())
    unit = multiplier * sqrt(variance / observed) / weights
    lower, upper = byar(observed, confidence)
    value *= multiplier
    return Estimate(value, value + unit * (lower - observed), value + unit * (upper - observed))


def dispersion(z_scores: Sequence[float], winsorise: float = 0.1) -> float:
    """How many times the variance of units is what chance alone gives: the over-dispersion factor phi, 1 or more.

    Mean of z^2, after the lowest and the highest `winsorise` of z are set to the next one inwards, so that the units
    looked for do not widen the limits (Spiegelhalter 2005, multiplicative). A unit's z is (p - centre) /
    sqrt(centre (1 - centre)/n). ValueError without z-scores, or unless 0 <= winsorise < 0.5.
    """
    if not z_scores or not all(isfinite(z) for z in z_scores):
        raise ValueError("dispersion needs z-scores")
    if not 0 <= winsorise < 0.5:
        raise ValueError("the part to winsorise is 0 or more, and under one half")
    ordered = sorted(z_scores)
    cut = int(len(ordered) * winsorise)
    least, most = ordered[cut], ordered[-1 - cut]
    return max(1.0, fmean(min(max(z, least), most) ** 2 for z in ordered))


def proportion_funnel(
    centre: float,
    totals: Sequence[float],
    confidence: float = 0.95,
    design_effect: float = 1.0,
    dispersion: float = 1.0,
) -> list[tuple[float, float]]:
    """Limits around a common proportion for units of each total, clipped to 0-1.

    p -/+ z sqrt(d phi p(1 - p)/n), z 1.96 for 95% and 3.09 for 99.8% (Spiegelhalter 2005), no other being drawn.
    ValueError for a centre outside 0 to 1, a unit without a total, another confidence, and factors under 1.
    """
    spreads = _funnel(centre, totals, confidence, design_effect, dispersion)
    return [(max(0.0, centre - off), min(1.0, centre + off)) for off in spreads]


def gap_funnel(
    centre_rate: float,
    effective_totals: Sequence[float],
    confidence: float = 0.95,
    design_effect: float = 1.0,
    dispersion: float = 1.0,
    centre_gap: float = 0.0,
) -> list[tuple[float, float]]:
    """Limits around a common gap of two proportions for units of each effective total, clipped to -1 to 1.

    g -/+ z sqrt(d phi p(1 - p)/m), p the proportion of everybody, m by `effective_total`, z as `proportion_funnel`
    (Spiegelhalter 2005). ValueError as there, and for a centre outside -1 to 1.
    """
    if not -1 <= centre_gap <= 1:
        raise ValueError("a gap lies between -1 and 1")
    spreads = _funnel(centre_rate, effective_totals, confidence, design_effect, dispersion)
    return [(max(-1.0, centre_gap - off), min(1.0, centre_gap + off)) for off in spreads]


def effective_total(total1: float, total2: float) -> float:
    """The total n whose p(1 - p)/n is the variance of a difference of two proportions: 1/(1/n1 + 1/n2).

    ValueError unless both groups have a total.
    """
    if not 0 < total1 < inf or not 0 < total2 < inf:
        raise ValueError("both groups need a total")
    return 1 / (1 / total1 + 1 / total2)


def chi_square_quantile(probability: float, degrees_of_freedom: float) -> float:
    """The value that a chi-square variable stays below with a probability.

    Twice the x at which the regularised incomplete gamma function P(k/2, x) is the probability (Abramowitz and Stegun
    26.4.19), by Newton's steps in ln x between bounds. ValueError unless 0 < probability < 1 and there are degrees of
    freedom.
    """
    if not 0 < probability < 1 or not 0 < degrees_of_freedom < inf:
        raise ValueError("a quantile needs a probability between 0 and 1, and degrees of freedom")
    shape = degrees_of_freedom / 2
    # P <= x^a / gamma(a + 1) bounds it below, Laurent and Massart 2000 above.
    low, tail = (log(probability) + lgamma(shape + 1)) / shape, -log(1 - probability)
    high = log(shape + sqrt(2 * shape * tail) + tail)
    at = min(max(log(shape), low), high) if probability > 0.1 else low
    for _ in range(200):
        below, above = _gamma_parts(shape, at)
        # The smaller part is the one known without loss.
        off = below - probability if probability <= 0.5 else (1 - probability) - above
        low, high = (at, high) if off < 0 else (low, at)
        density = exp(shape * at - exp(at) - lgamma(shape))
        step = at - off / density if density > 0 else low
        if not low < step < high:
            step = (low + high) / 2
        if abs(step - at) <= 1e-15 * max(1.0, abs(at)):
            break
        at = step
    return 2 * exp(at)


def _gamma_parts(shape: float, log_x: float) -> tuple[float, float]:
    """The regularised incomplete gamma functions P and Q: a series below shape + 1, a continued fraction above."""
    x = exp(log_x)
    front = exp(shape * log_x - x - lgamma(shape))
    if x < shape + 1:
        term = added = 1 / shape
        n = shape
        while term > added * 1e-17:
            n += 1
            term *= x / n
            added += term
        return front * added, 1 - front * added
    tiny = 1e-300
    b, n, factor = x + 1 - shape, 0, 0.0
    c, d = 1 / tiny, 1 / b
    fraction = d
    while abs(factor - 1) > 1e-16:
        n += 1
        a = n * (shape - n)
        b += 2
        d = 1 / (a * d + b or tiny)
        c = b + a / c or tiny
        factor = c * d
        fraction *= factor
        if n > 10_000:
            break
    return 1 - front * fraction, front * fraction


_MOST_EXPONENT: Final = 700  # past which exp overflows
_FUNNEL_Z: Final = {0.95: 1.96, 0.998: 3.09}
_LEAST_EVENTS: Final = 10  # under which OHID uses exact limits, and gives no directly standardised rate


def _funnel(centre: float, totals: Sequence[float], confidence: float, effect: float, phi: float) -> list[float]:
    if not 0 <= centre <= 1:
        raise ValueError("the centre of a funnel is a proportion")
    if not all(0 < n < inf for n in totals):
        raise ValueError("every unit of a funnel needs a total")
    if confidence not in _FUNNEL_Z:
        raise ValueError("a funnel has limits of 95% or 99.8%")
    if not 1 <= effect < inf or not 1 <= phi < inf:
        raise ValueError("a design effect and a dispersion are 1 or more")
    return [_FUNNEL_Z[confidence] * sqrt(effect * phi * centre * (1 - centre) / n) for n in totals]


def _sum_of_products(left: Sequence[float], right: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


def _check(events: float, total: float) -> None:
    if not 0 <= events <= total or not 0 < total < inf:
        raise ValueError("a proportion needs 0 <= events <= total, and a total")


def _effective(design_effect: float) -> float:
    if not 1 <= design_effect < inf:
        raise ValueError("a design effect is 1 or more")
    return 1 / design_effect


def _z(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError("a confidence lies between 0 and 1")
    return NormalDist().inv_cdf(0.5 + confidence / 2)
