"""XmR charts against cases done by hand, one rule at a time."""

import pytest

from app.inequality.trend import LEAST_POINTS, SpecialCause, Xmr, verdict, xmr


def rule_of(chart: Xmr, rule: str, direction: str) -> list[int]:
    """Where a rule was found."""
    return [at for at, causes in enumerate(chart.flags) if SpecialCause(rule, direction) in causes]


def only(chart: Xmr, expected: dict[tuple[str, str], list[int]]) -> None:
    """Nothing else was found either."""
    found = {tuple(cause) for causes in chart.flags for cause in causes}
    assert {pair: rule_of(chart, *pair) for pair in found} == expected


def test_limits_are_266_mean_moving_ranges_from_the_mean() -> None:
    """By hand: the mean of 10, 12, 11, 15, 13 is 12.2, that of the ranges 2, 1, 4, 2 is 2.25."""
    phase = xmr([10, 12, 11, 15, 13]).phases[0]
    assert phase.mean == pytest.approx(12.2)
    assert (phase.lower, phase.upper) == pytest.approx((12.2 - 2.66 * 2.25, 12.2 + 2.66 * 2.25))
    assert (phase.start, phase.stop, phase.points) == (0, 5, 5)


def test_a_published_chart_has_the_limits_that_were_published() -> None:
    """NIST/SEMATECH e-Handbook of Statistical Methods, 6.3.2.2, whose factor is 3/1.128 in full."""
    flow = [49.6, 47.6, 49.9, 51.3, 47.8, 51.2, 52.6, 52.4, 53.6, 52.1]
    chart = xmr(flow)
    phase = chart.phases[0]
    assert phase.mean == pytest.approx(50.81)
    assert (phase.lower, phase.upper) == pytest.approx((45.8159, 55.8041), abs=2e-3)
    only(chart, {})


def test_266_is_three_standard_deviations_of_neighbours_that_differ_by_1128_of_one() -> None:
    phase = xmr([0, 1.128, 0, 1.128, 0]).phases[0]
    assert phase.upper is not None
    assert phase.mean is not None
    assert phase.upper - phase.mean == pytest.approx(3, abs=5e-4)


def test_a_moving_range_of_3267_means_or_more_is_left_out_once() -> None:
    """By hand: ranges are 1 eight times and 31 twice, their mean 7, and 3.267 of it 22.87."""
    values = [5.0, 6, 5, 6, 5, 36, 5, 6, 5, 6, 5]
    kept = xmr(values, drop_wide_ranges=False).phases[0]
    dropped = xmr(values).phases[0]
    mean = sum(values) / 11
    assert kept.upper == pytest.approx(mean + 2.66 * 7)
    assert dropped.upper == pytest.approx(mean + 2.66)
    assert rule_of(xmr(values), "outside_limits", "high") == [5]


def test_a_moving_range_just_under_3267_means_stays_and_one_just_over_does_not() -> None:
    """Nine ranges of 1 and one of r: r is wide from r = 3.267 (9 + r)/10 on, which is 4.3667."""
    for last, limit in [(4.36, 2.66 * 13.36 / 10), (4.37, 2.66)]:
        values = [0.0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 1 + last]
        phase = xmr(values).phases[0]
        assert phase.upper == pytest.approx(sum(values) / 11 + limit)


def test_ranges_are_left_out_only_once() -> None:
    """Nine ranges of 1, then 5 and 40. 40 is wide at first; 5 is only once 40 is gone, and stays."""
    values = [0.0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 6, 46]
    phase = xmr(values).phases[0]
    assert phase.upper == pytest.approx(sum(values) / 12 + 2.66 * 14 / 10)


def test_a_wide_range_stays_where_all_others_are_zero() -> None:
    chart = xmr([5.0] * 12 + [9.0])
    assert chart.phases[0].upper == pytest.approx(69 / 13 + 2.66 * 4 / 12)
    assert rule_of(chart, "outside_limits", "high") == [12]


def test_under_twelve_points_limits_are_trial() -> None:
    assert xmr([1.0, 2] * 6).phases[0].is_trial is False
    assert xmr([1.0, 2] * 5 + [1.0]).phases[0].is_trial is True
    assert xmr([*[1.0, 2] * 5, None, 1.0]).phases[0].is_trial is True, "a gap is no point"
    assert LEAST_POINTS == 12


def test_a_constant_series_has_limits_on_its_mean_and_no_special_cause() -> None:
    chart = xmr([0.1] * 15)
    assert chart.phases[0].lower == chart.phases[0].upper == pytest.approx(0.1)
    only(chart, {})
    assert verdict(chart, "lower") == "common_cause"


def test_a_point_outside_a_limit_is_special() -> None:
    """By hand: twenty ranges of 1, and the last, which is 3.5 in the first chart and 4 in the others."""
    calm = [5.0, 6] * 10
    inside = xmr([*calm, 5, 8.5], drop_wide_ranges=False)
    assert inside.phases[0].upper == pytest.approx(123.5 / 22 + 2.66 * 23.5 / 21)
    only(inside, {})
    high = xmr([*calm, 5, 9], drop_wide_ranges=False)
    assert high.phases[0].upper == pytest.approx(124 / 22 + 2.66 * 24 / 21)
    only(high, {("outside_limits", "high"): [21]})
    only(xmr([*calm, 6, 2], drop_wide_ranges=False), {("outside_limits", "low"): [21]})


SHIFTS = [6.0, 9, 6, 9, 6, 9, 6, 4, 1, 4, 1, 4, 1, 4]  # their mean is 5


def test_seven_on_one_side_of_the_mean_are_a_shift_and_six_are_none() -> None:
    only(xmr(SHIFTS), {("shift", "high"): list(range(7)), ("shift", "low"): list(range(7, 14))})
    only(xmr([6.0, 9, 6, 9, 6, 9, 4, 1, 4, 1, 4, 1]), {})


def test_a_shift_goes_on_for_as_long_as_it_lasts_and_ends_on_the_mean() -> None:
    nine = [7.0, 6] * 4 + [7.0, 5.0] + [3.0, 4] * 4 + [3.0]
    assert sum(nine) == 5 * 19
    chart = xmr(nine)
    assert rule_of(chart, "shift", "high") == list(range(9))
    assert rule_of(chart, "shift", "low") == list(range(10, 19))


def test_seven_that_rise_each_time_are_a_trend_and_six_are_none() -> None:
    wide = [9.0, 0] * 6
    chart = xmr([*wide, 1, 2, 3, 4, 5, 6], drop_wide_ranges=False)
    only(chart, {("trend", "high"): list(range(11, 18))})
    only(xmr([*wide, 1, 2, 3, 4, 5], drop_wide_ranges=False), {})
    only(xmr([*wide, 1, 2, 3, 3, 4, 5, 6], drop_wide_ranges=False), {})
    chart = xmr([*[0.0, 9] * 6, 8, 7, 6, 5, 4, 3], drop_wide_ranges=False)
    only(chart, {("trend", "low"): list(range(11, 18))})


def test_the_outer_third_begins_two_thirds_of_the_way_to_a_limit() -> None:
    """By hand: the mean is 0, and what is asked about lies just inside and just outside of two thirds."""
    calm = [1.0, -1] * 8
    for value, flagged in [(5.49, []), (5.5, [16, 18])]:
        chart = xmr([*calm, value, 1, value, -1, -2 * value], drop_wide_ranges=False)
        # Ranges: 15 of 2, then up by v + 1, down and up by v - 1, down by v + 1, down by 2v - 1.
        limit = 2.66 * (30 + 2 * (value + 1) + 2 * (value - 1) + 2 * value - 1) / 20
        assert chart.phases[0].mean == pytest.approx(0)
        assert chart.phases[0].upper == pytest.approx(limit)
        assert (limit * 2 / 3 < value) == bool(flagged)
        assert rule_of(chart, "near_limit", "high") == flagged


@pytest.mark.parametrize(
    ("last", "flagged"),
    [
        ([6, 1, 6], [0, 2]),
        ([6, 6, 1], [0, 1]),
        ([1, 6, 6], [1, 2]),
        ([6, 6, 6], [0, 1, 2]),
        ([6, -1, 6], []),
        ([6, 1, 1, 6], []),
        ([-1, 6, 6], []),
        ([5, 1, 5], []),
        ([6, 1, 8.5], []),
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_near_a_limit_is_two_of_three_on_the_same_side(last: list[float], flagged: list[int], sign: int) -> None:
    """A long calm series has limits at 8: every range is 3.0075 and the mean 0; the few points hardly move them."""
    step = 8 / 2.66 / 2
    calm = [step, -step] * 3000
    chart = xmr([*calm, *(sign * value for value in last), 0])
    start = len(calm)
    direction = "high" if sign > 0 else "low"
    assert rule_of(chart, "near_limit", direction) == [start + at for at in flagged]


def test_near_a_limit_is_seen_at_the_last_point() -> None:
    step = 8 / 2.66 / 2
    chart = xmr([*[step, -step] * 3000, 6, 1, 6])
    assert rule_of(chart, "near_limit", "high") == [6000, 6002]
    assert verdict(chart, "lower") == "worsening"


def test_no_moving_range_crosses_a_gap() -> None:
    """By hand: ranges of 1, 1 and 1, 1; not the 50 between the stretches."""
    phase = xmr([1, 2, 1, None, 51, 52, 51], drop_wide_ranges=False).phases[0]
    assert phase.mean == pytest.approx(158 / 6)
    assert phase.upper == pytest.approx(158 / 6 + 2.66)
    assert (phase.stop, phase.points) == (7, 6)


def test_every_run_ends_at_a_gap() -> None:
    only(xmr([*SHIFTS[:3], None, *SHIFTS[3:]]), {("shift", "low"): list(range(8, 15))})
    rising = xmr([*[9.0, 0] * 6, 1, 2, None, 3, 4, 5, 6], drop_wide_ranges=False)
    only(rising, {})
    step = 8 / 2.66 / 2
    calm = [step, -step] * 3000
    assert rule_of(xmr([*calm, 6, None, 6, 1, 0]), "near_limit", "high") == []


def test_values_without_neighbours_have_a_mean_and_no_limits() -> None:
    phase = xmr([1, None, 3]).phases[0]
    assert (phase.mean, phase.lower, phase.upper) == (2, None, None)
    phase = xmr([5, 5, None, 9, 9]).phases[0]
    assert (phase.mean, phase.lower, phase.upper) == (7, None, None)
    assert verdict(xmr([1, None] * 20), "lower") == "too_few"


def test_nothing_shown_has_no_mean() -> None:
    chart = xmr([None, None])
    assert chart.phases[0][2:] == (None, None, None, True, 0)
    assert chart.flags == (frozenset(), frozenset())
    assert verdict(chart, "lower") == verdict(xmr([]), "lower") == "too_few"


def test_each_phase_is_a_chart_of_its_own() -> None:
    first, second = [1.0, 3, 2, 4, 1, 9], [50.0, 53, 51, 80, 50]
    chart = xmr([*first, *second], (0, 6))
    apart = xmr(first), xmr(second)
    assert [phase[2:] for phase in chart.phases] == [one.phases[0][2:] for one in apart]
    assert [(phase.start, phase.stop) for phase in chart.phases] == [(0, 6), (6, 11)]
    assert chart.flags == apart[0].flags + apart[1].flags


def test_no_run_crosses_the_beginning_of_a_phase() -> None:
    values = [*[9.0, 0] * 6, 1, 2, 3, 4, 5, 6]
    assert rule_of(xmr(values, drop_wide_ranges=False), "trend", "high")
    only(xmr(values, (0, 14), drop_wide_ranges=False), {})


@pytest.mark.parametrize("phases", [(), (1,), (0, 0), (0, 3, 2), (0, 5), (0, 9), (-1, 0)])
def test_phases_that_are_none_are_refused(phases: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="phases begin at 0"):
        xmr([1, 2, 3, 4, 5], phases)


def test_a_value_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="a number, or None"):
        xmr([1, float("nan")])


CALM = [5.0, 6] * 8


@pytest.mark.parametrize(
    ("values", "lower", "higher"),
    [
        (CALM, "common_cause", "common_cause"),
        ([*CALM, 30.0], "worsening", "improving"),
        ([*CALM, -20.0], "improving", "worsening"),
        ([*CALM, -20.0, None, None], "improving", "worsening"),
        ([*CALM, -20.0, 5.0], "common_cause", "common_cause"),
        (CALM[:7], "too_few", "too_few"),
        (CALM[:8], "common_cause", "common_cause"),
        ([5.0] * 11 + [30.0], "worsening", "improving"),
    ],
)
def test_the_verdict_is_that_of_the_last_point_shown(values: list[float | None], lower: str, higher: str) -> None:
    assert verdict(xmr(values), "lower") == lower
    assert verdict(xmr(values), "higher") == higher


def test_where_neither_direction_is_better_a_special_cause_is_a_change() -> None:
    assert verdict(xmr([*CALM, 30.0]), "neither") == "changed"
    assert verdict(xmr(CALM), "neither") == "common_cause"


def test_causes_that_point_both_ways_are_a_change() -> None:
    """The last seven are above the mean, and fall."""
    chart = xmr([*[0.0, 9] * 8, 0, 12, 11, 10, 9, 8, 7, 6], drop_wide_ranges=False)
    assert {cause.direction for cause in chart.flags[-1]} == {"high", "low"}
    assert verdict(chart, "higher") == verdict(chart, "lower") == "changed"


def test_the_verdict_is_that_of_the_last_phase() -> None:
    assert verdict(xmr([*CALM, 30.0, *CALM], (0, 17)), "lower") == "common_cause"
    assert verdict(xmr([*CALM, 30.0, 5.0], (0, 17)), "lower") == "too_few"
