"""What is true of any limits, gaps, slope indices and charts, whatever the numbers."""

from itertools import pairwise
from math import isclose

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.inequality.measures import (
    ESP2013,
    Estimate,
    absolute_gap,
    chi_square_quantile,
    directly_standardised_rate,
    dispersion,
    gap_funnel,
    proportion,
    proportion_funnel,
    rate,
    relative_gap,
    representation_ratio,
    slope_index,
    standardised_rate,
)
from app.inequality.trend import SpecialCause, verdict, xmr


@st.composite
def groups(draw: st.DrawFn, least: int = 0) -> tuple[int, int]:
    """Events and their total."""
    total = draw(st.integers(max(1, least), 20_000))
    return draw(st.integers(least, total)), total


confidences = st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.998])
effects = st.floats(1, 20)
counts = st.integers(10, 100_000)
proportions = st.floats(0.01, 0.99)


def holds(estimate: Estimate) -> bool:
    return estimate.lower <= estimate.value <= estimate.upper


def width(estimate: Estimate) -> float:
    return estimate.upper - estimate.lower


@given(groups(1), groups(1), confidences, effects)
def test_limits_of_shares_and_gaps_hold_the_value_and_stay_inside_what_can_be(
    one: tuple[int, int], other: tuple[int, int], confidence: float, effect: float
) -> None:
    share = proportion(*one, confidence, effect)
    assert holds(share)
    assert 0 <= share.lower <= share.upper <= 1
    gap = absolute_gap(*one, *other, confidence, effect)
    assert holds(gap)
    assert gap.lower + 1e-12 >= -1
    assert gap.upper - 1e-12 <= 1
    assert holds(representation_ratio(*one, 0.2, confidence, effect))
    assume(one[0] < one[1] or other[0] < other[1])
    ratio = relative_gap(*one, *other, confidence, effect)
    assert holds(ratio)
    assert ratio.lower > 0


@given(st.integers(1, 20_000), confidences, effects)
def test_no_events_have_a_lower_limit_of_none_and_nothing_but_events_an_upper_one_of_all(
    total: int, confidence: float, effect: float
) -> None:
    none, everything = proportion(0, total, confidence, effect), proportion(total, total, confidence, effect)
    assert none[:2] == (0, 0)
    assert (everything.value, everything.upper) == (1, 1)
    assert none.upper == pytest.approx(1 - everything.lower, rel=1e-12)


@given(st.integers(0, 3000), st.integers(1, 10**7), confidences)
def test_limits_of_a_rate_hold_it(events: int, population: int, confidence: float) -> None:
    found = rate(events, population, 1000, confidence)
    assert holds(found)
    assert found.lower >= 0
    assert rate(events, population, 100_000, confidence) == pytest.approx([100 * part for part in found], rel=1e-12)
    assert rate(events, 4 * population, 1000, confidence) == pytest.approx([part / 4 for part in found], rel=1e-12)


@given(groups(1), st.integers(1, 50), confidences, effects)
def test_groups_of_the_same_proportion_have_no_gap(
    one: tuple[int, int], times: int, confidence: float, effect: float
) -> None:
    assume(one[0] < one[1])
    other = times * one[0], times * one[1]
    assert absolute_gap(*one, *other, confidence, effect).value == pytest.approx(0, abs=1e-15)
    assert relative_gap(*one, *other, confidence, effect).value == pytest.approx(1, rel=1e-14)


@given(groups(1), groups(1), confidences, effects)
def test_swapped_groups_have_the_gap_of_the_other_sign_and_the_ratio_inverted(
    one: tuple[int, int], other: tuple[int, int], confidence: float, effect: float
) -> None:
    gap, swapped = absolute_gap(*one, *other, confidence, effect), absolute_gap(*other, *one, confidence, effect)
    assert swapped == pytest.approx((-gap.value, -gap.upper, -gap.lower), abs=1e-14)
    assume(one[0] < one[1] or other[0] < other[1])
    ratio, swapped = relative_gap(*one, *other, confidence, effect), relative_gap(*other, *one, confidence, effect)
    assert swapped == pytest.approx((1 / ratio.value, 1 / ratio.upper, 1 / ratio.lower), rel=1e-12)


@given(groups(1), groups(1), effects, st.floats(1, 5))
def test_a_larger_design_effect_never_narrows_and_one_changes_nothing(
    one: tuple[int, int], other: tuple[int, int], effect: float, more: float
) -> None:
    assume(one[0] < one[1] or other[0] < other[1])
    for made in (
        lambda d: proportion(*one, design_effect=d),
        lambda d: absolute_gap(*one, *other, design_effect=d),
        lambda d: relative_gap(*one, *other, design_effect=d),
        lambda d: representation_ratio(*one, 0.2, design_effect=d),
    ):
        assert width(made(effect * more)) >= width(made(effect)) * (1 - 1e-9)
        assert width(made(effect)) >= width(made(1)) * (1 - 1e-9)
    assert absolute_gap(*one, *other, design_effect=1) == absolute_gap(*one, *other)
    narrow = proportion_funnel(0.2, [one[1]], design_effect=effect)[0]
    wide = proportion_funnel(0.2, [one[1]], design_effect=effect * more)[0]
    assert wide[0] <= narrow[0] <= narrow[1] <= wide[1]


@given(groups(), confidences, confidences)
def test_more_confidence_is_wider(one: tuple[int, int], first: float, second: float) -> None:
    low, high = sorted((first, second))
    assert width(proportion(*one, high)) >= width(proportion(*one, low))
    assert width(rate(*one, 1, high)) >= width(rate(*one, 1, low))


@given(st.floats(0.001, 0.999), st.floats(0.001, 0.999), st.floats(0.1, 500))
def test_a_chi_square_quantile_rises_with_its_probability(one: float, other: float, degrees: float) -> None:
    low, high = sorted((one, other))
    assert chi_square_quantile(low, degrees) <= chi_square_quantile(high, degrees) * (1 + 1e-12)


deciles = st.integers(3, 10).flatmap(
    lambda n: st.tuples(
        st.lists(proportions, min_size=n, max_size=n),
        st.lists(counts, min_size=n, max_size=n),
    )
)
scales = st.sampled_from(["linear", "log", "logit"])


def limits_of(values: list[float], populations: list[int]) -> list[tuple[float, float]]:
    return [tuple(proportion(y * n, n)[1:]) for y, n in zip(values, populations, strict=True)]


@given(deciles, scales)
def test_limits_of_slope_indices_hold_them(table: tuple[list[float], list[int]], scale: str) -> None:
    index = slope_index(*table, limits_of(*table), scale)
    assert holds(index.sii)
    assert index.rii.value != index.rii.value or holds(index.rii)
    assert index.sii.value == index.at_least_deprived - index.at_most_deprived


@given(deciles, scales)
def test_deciles_in_reverse_have_the_slope_of_the_other_sign(table: tuple[list[float], list[int]], scale: str) -> None:
    index = slope_index(*table, limits_of(*table), scale)
    turned = [part[::-1] for part in table]
    back = slope_index(*turned, limits_of(*turned), scale)
    assert back.sii == pytest.approx((-index.sii.value, -index.sii.upper, -index.sii.lower), abs=1e-9)
    assert back.at_most_deprived == pytest.approx(index.at_least_deprived, abs=1e-9)
    assert back.fitted == pytest.approx(index.fitted[::-1], abs=1e-9)
    if min(index.at_most_deprived, index.at_least_deprived) > 1e-3:
        assert back.rii.value == pytest.approx(1 / index.rii.value, rel=1e-6)
        assert back.rii.lower == pytest.approx(1 / index.rii.upper, rel=1e-6)


@given(deciles, st.floats(0.1, 1000), st.sampled_from(["linear", "log"]))
def test_values_in_another_unit_have_a_slope_in_it_and_the_same_relative_index(
    table: tuple[list[float], list[int]], times: float, scale: str
) -> None:
    values, populations = table
    limits = limits_of(*table)
    index = slope_index(values, populations, limits, scale)
    scaled = slope_index([times * y for y in values], populations, [(times * a, times * b) for a, b in limits], scale)
    assert scaled.sii == pytest.approx([times * part for part in index.sii], abs=1e-9 * times)
    if min(index.at_most_deprived, index.at_least_deprived) > 1e-3:
        assert scaled.rii == pytest.approx(index.rii, rel=1e-6)


@given(deciles, st.floats(0.01, 100), scales)
def test_populations_matter_only_beside_each_other(
    table: tuple[list[float], list[int]], times: float, scale: str
) -> None:
    values, populations = table
    limits = limits_of(*table)
    index = slope_index(values, populations, limits, scale)
    scaled = slope_index(values, [times * n for n in populations], limits, scale)
    assert scaled.sii == pytest.approx(index.sii, abs=1e-9)
    assert scaled.fitted == pytest.approx(index.fitted, abs=1e-9)


@given(proportions, st.lists(counts, min_size=3, max_size=10), scales)
def test_the_same_everywhere_has_no_slope(value: float, populations: list[int], scale: str) -> None:
    values = [value] * len(populations)
    index = slope_index(values, populations, limits_of(values, populations), scale)
    assert index.sii.value == pytest.approx(0, abs=1e-9)
    assert index.rii.value == pytest.approx(1, rel=1e-9)


@given(st.lists(proportions, min_size=3, max_size=10), st.integers(10, 10_000))
def test_values_on_a_line_are_fitted_as_they_are(values: list[float], population: int) -> None:
    n = len(values)
    line = [values[0] + (values[1] - values[0]) * (at + 0.5) / n for at in range(n)]
    index = slope_index(line, [population] * n)
    assert index.sii.value == pytest.approx(values[1] - values[0], abs=1e-9)
    assert (index.at_most_deprived, index.at_least_deprived) == pytest.approx((values[0], values[1]), abs=1e-9)
    assert index.fitted == pytest.approx(line, abs=1e-9)


bands = st.fixed_dictionaries({band: st.integers(0, 500) for band in ESP2013})
people = st.fixed_dictionaries({band: st.integers(50, 50_000) for band in ESP2013})


@given(bands, people, confidences)
def test_limits_of_a_standardised_rate_hold_it(
    events: dict[str, int], population: dict[str, int], confidence: float
) -> None:
    assume(sum(events.values()) >= 10)
    found = standardised_rate(events, population, 1000, confidence)
    assert holds(found)
    assert found.lower >= 0
    assert isclose(found.value, 1000 * directly_standardised_rate(events, population), rel_tol=1e-12)
    assert standardised_rate(events, population, 1, confidence) == pytest.approx([part / 1000 for part in found])


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=60), st.floats(0, 0.49))
def test_dispersion_is_one_or_more_and_the_same_for_mirrored_scores(scores: list[float], part: float) -> None:
    found = dispersion(scores, part)
    assert 1 <= found <= max(1, max(score**2 for score in scores)) * (1 + 1e-12)
    assert dispersion([-score for score in scores], part) == pytest.approx(found)


@given(proportions, st.lists(counts, min_size=2, max_size=5), st.sampled_from([0.95, 0.998]), st.floats(1, 30))
def test_funnels_narrow_with_totals_and_stay_inside_what_can_be(
    centre: float, totals: list[int], confidence: float, phi: float
) -> None:
    for lines, least in [
        (proportion_funnel(centre, sorted(totals), confidence, dispersion=phi), 0),
        (gap_funnel(centre, sorted(totals), confidence, dispersion=phi), -1),
    ]:
        for (lower, upper), (lower_of_more, upper_of_more) in pairwise(lines):
            assert least <= lower <= lower_of_more <= upper_of_more <= upper <= 1


series = st.lists(st.none() | st.integers(0, 60), min_size=1, max_size=50)


@given(series, st.integers(-100, 100), st.sampled_from([0.25, 1, 2, 16]), st.data())
def test_a_chart_of_other_units_is_the_same_chart(
    values: list[int | None], by: int, times: float, data: st.DataObject
) -> None:
    starts = sorted({0, *data.draw(st.lists(st.integers(0, len(values) - 1), max_size=3))})
    chart = xmr(values, starts)
    moved = xmr([None if value is None else times * value + by for value in values], starts)
    assert moved.flags == chart.flags
    for phase, other in zip(chart.phases, moved.phases, strict=True):
        for line, there in zip(phase[2:5], other[2:5], strict=True):
            assert there == (None if line is None else pytest.approx(times * line + by, abs=1e-9))


@given(series)
def test_a_mirrored_chart_has_mirrored_causes(values: list[int | None]) -> None:
    turned = {"high": "low", "low": "high"}
    chart, mirrored = xmr(values), xmr([None if value is None else -value for value in values])
    assert mirrored.flags == tuple(
        frozenset(SpecialCause(cause.rule, turned[cause.direction]) for cause in causes) for causes in chart.flags
    )
    assert verdict(chart, "lower") == verdict(mirrored, "higher")


@given(st.floats(-1e6, 1e6), st.integers(1, 60))
def test_a_constant_series_has_no_special_cause(value: float, length: int) -> None:
    assert not any(xmr([value] * length).flags)


@given(series)
def test_a_gap_has_no_special_cause_and_is_no_point(values: list[int | None]) -> None:
    chart = xmr(values)
    assert all(not causes for causes, value in zip(chart.flags, values, strict=True) if value is None)
    assert chart.phases[0].points == sum(value is not None for value in values)


@given(series)
def test_every_special_cause_is_what_its_rule_says(values: list[int | None]) -> None:
    """The rules once more, each as a search over all windows, slow and plain."""
    chart = xmr(values)
    (phase,) = chart.phases
    expected: list[set[SpecialCause]] = [set() for _ in values]

    def mark(rule: str, length: int, holds_for: object) -> None:
        for at in range(len(values) - length + 1):
            window = values[at : at + length]
            if None not in window:
                for sign, direction in ((1, "high"), (-1, "low")):
                    for i in holds_for([sign * (value - phase.mean) for value in window]):
                        expected[at + i].add(SpecialCause(rule, direction))

    small = 1e-9
    mark("shift", 7, lambda w: range(7) if min(w) > small else ())
    mark("trend", 7, lambda w: range(7) if all(b - a > small for a, b in pairwise(w)) else ())
    if phase.upper is not None:
        off = phase.upper - phase.mean
        mark("outside_limits", 1, lambda w: [0] if w[0] > off + small else ())

        def near(window: list[float]) -> list[int]:
            close = [i for i, value in enumerate(window) if off * 2 / 3 + small < value <= off + small]
            return close if len(close) >= 2 and min(window) > small else []

        mark("near_limit", 3, near)
    assert chart.flags == tuple(map(frozenset, expected))
