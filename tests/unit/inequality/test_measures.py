"""Statistics against published worked examples, against statsmodels and SciPy, and against cases done by hand."""

from math import exp, inf, isnan, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2
from statsmodels.api import WLS
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint
from statsmodels.stats.rates import confint_poisson

from app.inequality.measures import (
    ESP2013,
    absolute_gap,
    byar,
    chi_square_quantile,
    cluster_design_effect,
    directly_standardised_rate,
    dispersion,
    effective_total,
    exact_poisson,
    fewer_if_matched,
    gap_funnel,
    proportion,
    proportion_funnel,
    rate,
    relative_gap,
    representation_ratio,
    slope_index,
    standardised_rate,
    wilson,
)

# PHEindicatormethods 2.1.0, its test data for proportions: events, total, lower and upper 95% limits.
WILSON = [
    (1, 100, 0.0017674320641406511, 0.054486196178705294),
    (5, 100, 0.02154367915436798, 0.11175046923191911),
    (20, 100, 0.1333669333310325, 0.28882916559315885),
    (65, 100, 0.5525444329688797, 0.7363575175690247),
]
# The same, its test data for rates: events of 100, and per 100 the 95% and the 99.8% limits.
RATES = [
    (1, 0.025317807984289897, 5.571643390938898, 0.0010005003335835344, 9.233413476451585),
    (5, 1.62348639011842, 11.668332079322669, 0.739371731917839, 16.454745203680105),
    (20, 12.211428834875937, 30.889880369197066, 8.922802365144193, 38.08503562504191),
    (65, 50.163187710459454, 82.84913854593984, 42.8802614714802, 94.00029084431802),
]
# Newcombe 1998, table II, method 10: 56/70 - 48/80 and 9/10 - 3/10; the third is done by the formula.
GAPS = [
    ((56, 70, 48, 80), (0.2, 0.0524314724023649, 0.333872654036906)),
    ((9, 10, 3, 10), (0.6, 0.17052272393450302, 0.8090179735354881)),
    ((412, 1000, 1380, 4000), (0.067, 0.033414167612250224, 0.10106265907212297)),
]
RATIOS = [
    ((56, 70, 48, 80), (1.3333333333333335, 1.076626422763193, 1.651248511266387)),
    ((9, 10, 3, 10), (3.0, 1.13835035744767, 7.906177514784792)),
    ((412, 1000, 1380, 4000), (1.1942028985507247, 1.0963704427273004, 1.3007652407696937)),
]
# PHEindicatormethods 2.1.0, its test data for the slope index of life expectancy in two areas, deciles in order.
AREA_1 = (
    [7291, 7997, 6105, 7666, 5790, 6934, 5918, 5974, 7147, 7534],
    [
        (75.9334590103081, 72.7220530546453, 79.1448649659708),
        (78.3442382727843, 75.2509802190802, 81.4374963264884),
        (83.8360631041654, 80.8697295124759, 86.8023966958549),
        (83.6375399664931, 80.157578356036, 87.1175015769501),
        (80.4655031529559, 77.1308785969275, 83.8001277089842),
        (81.1156759857022, 78.0499986811178, 84.1813532902866),
        (81.6930835718562, 79.011578491948, 84.3745886517644),
        (84.1900062060987, 81.4457282769343, 86.9342841352631),
        (80.5955641081472, 75.827185168894, 85.3639430474004),
        (86.2894349578624, 83.2190593454592, 89.3598105702656),
    ],
)
AREA_2 = (
    [21675, 20065, 19750, 24713, 20112, 19618, 22408, 19752, 18939, 19312],
    [
        (70.54853186, 70.09853186, 70.99853186),
        (71.57155734, 71.12155734, 72.14),
        (72.48698671, 72.03698671, 73.21),
        (73.51985519, 73.06985519, 73.7),
        (73.14605425, 72.69605425, 75.8),
        (76.15898712, 75.70898712, 78.76),
        (78.65444871, 78.20444871, 79.77),
        (80.56476961, 80.11476961, 81.21),
        (80.85486627, 80.40486627, 81.30486627),
        (79.9711253, 79.5211253, 80.9),
    ],
)
# SII and its limits by propagation; that package's own SII limits by simulation, and how far off those are, relatively.
SIMULATED = [
    (AREA_1, (3.127594617650817, 10.7586873680794), (0.0120764, 0.0019260)),
    (AREA_2, (11.936156426792138, 13.163020132396579), (0.0000182, 0.0002811)),
]
# SII and its limits by propagation; then RII and its limits by that package's own simulation.
SLOPES = [
    (AREA_1, (6.934616473668819, 3.089824494908886, 10.779408452428704), (1.0888180804446217, 1.0383691, 1.1412993)),
    (AREA_2, (12.547846636351798, 11.936372500919035, 13.159320771784596), (1.180885620848795, 1.1713707, 1.1904396)),
]
# Eurostat 2013, by five-year band from 0-4 to 90+.
ESP = [5000, 5500, 5500, 5500, 6000, 6000, 6500, 7000, 7000, 7000, 7000, 6500, 6000, 5500, 5000, 4000, 2500, 1500, 1000]
EVERYWHERE = dict.fromkeys(ESP2013, 1000)
Z = 1.959963984540054


@pytest.mark.parametrize(("events", "total", "lower", "upper"), WILSON)
def test_wilson_limits_are_those_of_the_worked_examples(events: int, total: int, lower: float, upper: float) -> None:
    assert wilson(events, total) == pytest.approx((lower, upper), rel=1e-12)


@given(st.integers(0, 5000), st.integers(1, 5000))
def test_wilson_limits_solve_the_score_equation(events: int, total: int) -> None:
    events = min(events, total)
    for limit in wilson(events, total):
        off = abs(events / total - limit)
        assert off == pytest.approx(Z * sqrt(max(limit * (1 - limit), 0) / total), abs=1e-7)


@pytest.mark.parametrize(("events", "total"), [(-1, 10), (11, 10), (0, 0), (float("nan"), 10), (1, float("inf"))])
def test_what_is_no_proportion_has_no_limits(events: float, total: float) -> None:
    with pytest.raises(ValueError, match="proportion"):
        wilson(events, total)


@pytest.mark.parametrize("confidence", [0.0, 1.0, -0.5, 95.0, float("nan")])
def test_a_confidence_that_is_none_gives_no_limits(confidence: float) -> None:
    for limits in (
        lambda: wilson(3, 10, confidence),
        lambda: byar(20, confidence),
        lambda: exact_poisson(0, confidence),
    ):
        with pytest.raises(ValueError, match="confidence"):
            limits()


@pytest.mark.parametrize(("events", "total"), [(0, 10), (1, 10), (37, 100), (100, 100), (5_000, 70_000)])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.998])
def test_a_proportion_has_the_limits_of_statsmodels(events: int, total: int, confidence: float) -> None:
    expected = proportion_confint(events, total, 1 - confidence, "wilson")
    value, *limits = proportion(events, total, confidence)
    assert value == events / total
    assert limits == pytest.approx(expected, abs=1e-12)


def test_a_design_effect_divides_events_and_total() -> None:
    value, *limits = proportion(60, 200, design_effect=2.5)
    assert value == 0.3
    assert limits == pytest.approx(wilson(24, 80), rel=1e-14)
    assert proportion(60, 200, design_effect=1) == proportion(60, 200)


@pytest.mark.parametrize("effect", [0.9, 0, -1, float("nan"), float("inf")])
def test_a_design_effect_under_one_is_refused(effect: float) -> None:
    with pytest.raises(ValueError, match="design effect"):
        proportion(3, 10, design_effect=effect)
    with pytest.raises(ValueError, match="design effect"):
        proportion_funnel(0.3, [10], design_effect=effect)


@pytest.mark.parametrize(("events", "lower", "upper", "lower_998", "upper_998"), RATES)
def test_rates_have_the_limits_of_the_worked_examples(
    events: int, lower: float, upper: float, lower_998: float, upper_998: float
) -> None:
    assert rate(events, 100, 100) == pytest.approx((events, lower, upper), rel=1e-12)
    assert rate(events, 100, 100, 0.998) == pytest.approx((events, lower_998, upper_998), rel=1e-12)


@pytest.mark.parametrize("events", [0, 1, 4, 9])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.998])
def test_few_events_have_the_exact_limits_of_statsmodels(events: int, confidence: float) -> None:
    expected = confint_poisson(events, 1, "exact-c", 1 - confidence)
    assert exact_poisson(events, confidence) == pytest.approx(expected, rel=1e-10, nan_ok=False)
    assert rate(events, 500, 1000, confidence)[1:] == pytest.approx([2 * limit for limit in expected], rel=1e-10)


def test_byars_limits_begin_at_ten_events() -> None:
    assert rate(9, 1)[1:] == exact_poisson(9)
    assert rate(10, 1)[1:] == byar(10)
    assert byar(10) == pytest.approx(exact_poisson(10), rel=2e-3)


def test_a_rate_of_no_events_is_zero_with_an_upper_limit() -> None:
    assert rate(0, 50, 10) == pytest.approx((0, 0, -log(0.025) / 5))


@pytest.mark.parametrize(
    ("events", "population", "multiplier"),
    [(-1, 10, 1), (1, 0, 1), (1, -5, 1), (1, 10, 0), (float("nan"), 10, 1), (1, float("inf"), 1)],
)
def test_what_is_no_rate_is_refused(events: float, population: float, multiplier: float) -> None:
    with pytest.raises(ValueError, match="rate needs"):
        rate(events, population, multiplier)


def test_poisson_limits_need_events_that_are_not_fewer_than_none() -> None:
    with pytest.raises(ValueError, match="events"):
        exact_poisson(-1)
    with pytest.raises(ValueError, match="events"):
        byar(0)


@pytest.mark.parametrize("degrees_of_freedom", [0.1, 0.5, 1, 1.5, 2, 3, 6, 18, 20, 100, 1000])
@pytest.mark.parametrize("probability", [1e-9, 0.0005, 0.025, 0.1, 0.3, 0.5, 0.6, 0.9, 0.975, 0.9995, 1 - 1e-9])
def test_chi_square_quantiles_are_those_of_scipy(degrees_of_freedom: float, probability: float) -> None:
    # SciPy's ppf loses digits in the upper tail, where its isf does not.
    one = chi2.ppf(probability, degrees_of_freedom)
    expected = one if probability <= 0.5 else chi2.isf(1 - probability, degrees_of_freedom)
    assert chi_square_quantile(probability, degrees_of_freedom) == pytest.approx(expected, rel=1e-10, abs=0)


def test_chi_square_quantiles_go_down_to_where_numbers_end() -> None:
    assert chi_square_quantile(1e-12, 0.02) == 0


@pytest.mark.parametrize(("probability", "degrees"), [(0, 1), (1, 1), (0.5, 0), (0.5, -1), (float("nan"), 1)])
def test_a_quantile_of_no_probability_is_refused(probability: float, degrees: float) -> None:
    with pytest.raises(ValueError, match="quantile"):
        chi_square_quantile(probability, degrees)


@pytest.mark.parametrize(("groups", "expected"), GAPS)
def test_absolute_gaps_are_those_of_the_worked_examples(
    groups: tuple[int, int, int, int], expected: tuple[float, float, float]
) -> None:
    assert absolute_gap(*groups) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("groups", "expected"), RATIOS)
def test_relative_gaps_are_those_of_the_worked_examples(
    groups: tuple[int, int, int, int], expected: tuple[float, float, float]
) -> None:
    assert relative_gap(*groups) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("groups", [(56, 70, 48, 80), (10, 10, 0, 20), (0, 10, 3, 10), (5, 1000, 90, 3000)])
def test_absolute_gaps_have_the_limits_of_statsmodels(groups: tuple[int, int, int, int]) -> None:
    expected = confint_proportions_2indep(*groups, method="newcomb", compare="diff", alpha=0.1)
    assert absolute_gap(*groups, confidence=0.9)[1:] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("groups", [(56, 70, 48, 80), (10, 10, 1, 20), (5, 1000, 90, 3000)])
def test_relative_gaps_have_the_limits_of_statsmodels(groups: tuple[int, int, int, int]) -> None:
    expected = confint_proportions_2indep(*groups, method="log", compare="ratio", alpha=0.1)
    assert relative_gap(*groups, confidence=0.9)[1:] == pytest.approx(expected, rel=1e-12)


def test_a_design_effect_acts_on_gaps_as_fewer_contacts_do() -> None:
    assert absolute_gap(120, 400, 80, 400, design_effect=4) == pytest.approx(absolute_gap(30, 100, 20, 100))
    assert relative_gap(120, 400, 80, 400, design_effect=4) == pytest.approx(relative_gap(30, 100, 20, 100))


@pytest.mark.parametrize("groups", [(0, 10, 5, 10), (5, 10, 0, 10)])
def test_a_relative_gap_without_events_is_refused(groups: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="events in both"):
        relative_gap(*groups)


def test_a_relative_gap_of_groups_that_are_all_events_is_refused() -> None:
    with pytest.raises(ValueError, match="not all events"):
        relative_gap(10, 10, 20, 20)
    assert relative_gap(10, 10, 19, 20).lower < 1


def test_a_representation_ratio_is_a_share_over_the_share_expected() -> None:
    lower, upper = wilson(30, 80)
    assert representation_ratio(60, 160, 0.25, 0.95, 2) == pytest.approx((1.5, lower / 0.25, upper / 0.25))


@pytest.mark.parametrize("share", [0, -0.1, 1.01, 20, float("nan")])
def test_a_reference_share_is_a_proportion(share: float) -> None:
    with pytest.raises(ValueError, match="reference share"):
        representation_ratio(60, 160, share)


def test_fewer_if_matched_is_what_lies_above_the_other_rate() -> None:
    assert fewer_if_matched(150, 1000, 0.1) == pytest.approx(50)
    assert fewer_if_matched(50, 1000, 0.1) == pytest.approx(-50)
    with pytest.raises(ValueError, match="other rate"):
        fewer_if_matched(150, 1000, 10)
    with pytest.raises(ValueError, match="proportion"):
        fewer_if_matched(15, 10, 0.1)


@pytest.mark.parametrize("sizes", [[1, 1, 1], [1, 2, 6, 1], [3, 3]])
def test_the_design_effect_of_what_belongs_to_the_person_is_squared_sizes_over_sizes(sizes: list[int]) -> None:
    mean, variation = np.mean(sizes), np.std(sizes) / np.mean(sizes)
    expected = sum(n * n for n in sizes) / sum(sizes)
    assert cluster_design_effect(mean, variation) == pytest.approx(expected)
    assert cluster_design_effect(mean, variation, 0) == 1
    assert cluster_design_effect(mean, variation, 0.3) == pytest.approx(0.7 + 0.3 * expected)


@pytest.mark.parametrize("arguments", [(0.9,), (2, -0.1), (2, 0, -0.1), (2, 0, 1.1), (float("nan"),)])
def test_a_design_effect_of_what_cannot_be_is_refused(arguments: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="design effect"):
        cluster_design_effect(*arguments)


@pytest.mark.parametrize(("area", "sii", "rii"), SLOPES)
def test_slope_indices_are_those_of_the_worked_examples(
    area: tuple[list[int], list[tuple[float, float, float]]],
    sii: tuple[float, float, float],
    rii: tuple[float, float, float],
) -> None:
    populations, rows = area
    index = slope_index([row[0] for row in rows], populations, [row[1:] for row in rows])
    assert index.sii == pytest.approx(sii, rel=1e-12)
    assert index.rii.value == pytest.approx(rii[0], rel=1e-12)
    # The package's own are percentiles of a simulation.
    assert index.rii[1:] == pytest.approx(rii[1:], abs=4e-4)


@pytest.mark.parametrize(("area", "simulated", "off"), SIMULATED)
def test_limits_of_slope_indices_are_within_what_a_simulation_differs_by(
    area: tuple[list[int], list[tuple[float, float, float]]],
    simulated: tuple[float, float],
    off: tuple[float, float],
) -> None:
    populations, rows = area
    limits = slope_index([row[0] for row in rows], populations, [row[1:] for row in rows]).sii[1:]
    for limit, expected, tolerance in zip(limits, simulated, off, strict=True):
        assert limit == pytest.approx(expected, rel=tolerance + 1e-6)


_PATHS = {
    "linear": (lambda y: y, lambda x: x),
    "log": (np.log, np.exp),
    "logit": (lambda y: np.log(y / (1 - y)), lambda x: 1 / (1 + np.exp(-x))),
}


@pytest.mark.parametrize("scale", _PATHS)
def test_slope_indices_are_weighted_least_squares_of_statsmodels(scale: str) -> None:
    values = np.array([0.31, 0.24, 0.26, 0.18, 0.12])
    populations = np.array([900.0, 400, 700, 1000, 350])
    share = populations / populations.sum()
    middle = np.cumsum(share) - share / 2
    there, back = _PATHS[scale]
    line = WLS(there(values), np.column_stack([np.ones(5), middle]), weights=share).fit().params
    index = slope_index(values.tolist(), populations.tolist(), scale=scale)
    assert index.intercept == pytest.approx(line[0], rel=1e-12)
    most, least = back(line[0]), back(line.sum())
    assert (index.at_most_deprived, index.at_least_deprived) == pytest.approx((most, least), rel=1e-12)
    assert (index.sii.value, index.rii.value) == pytest.approx((least - most, least / most), rel=1e-12)
    assert index.fitted == pytest.approx(tuple(back(line[0] + line[1] * middle)), rel=1e-12)
    assert all(map(isnan, (*index.sii[1:], *index.rii[1:])))


@pytest.mark.parametrize("scale", _PATHS)
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_limits_of_slope_indices_are_errors_of_the_values_carried_through(scale: str, confidence: float) -> None:
    """Each value is moved a little by itself, and what that does to the index is taken as the derivative."""
    values, populations = [0.31, 0.24, 0.26, 0.18, 0.12], [900, 400, 700, 1000, 350]
    there, back = _PATHS[scale]
    half = np.array([0.1, 0.2, 0.15, 0.05, 0.3]) * (0.1 if scale == "linear" else 1)
    limits = [(float(back(there(y) - h)), float(back(there(y) + h))) for y, h in zip(values, half, strict=True)]
    index = slope_index(values, populations, limits, scale, confidence)
    small = 1e-6
    off_sii = off_rii = 0.0
    for at, h in enumerate(half):
        moved = [
            slope_index(
                [*values[:at], float(back(there(values[at]) + by)), *values[at + 1 :]], populations, scale=scale
            )
            for by in (-small, small)
        ]
        off_sii += ((moved[1].sii.value - moved[0].sii.value) / (2 * small) * h) ** 2
        off_rii += ((log(moved[1].rii.value) - log(moved[0].rii.value)) / (2 * small) * h) ** 2
    value, lower, upper = index.sii
    assert (value - lower, upper - value) == pytest.approx((sqrt(off_sii), sqrt(off_sii)), rel=1e-7)
    value, lower, upper = index.rii
    assert (value / lower, upper / value) == pytest.approx((exp(sqrt(off_rii)), exp(sqrt(off_rii))), rel=1e-7)


def test_the_relative_index_of_a_line_that_reaches_zero_is_not_known() -> None:
    index = slope_index([9, 5, 1], [1, 1, 1], [(8, 10), (4, 6), (0, 2)])
    assert index.at_least_deprived < 0
    assert all(map(isnan, index.rii))
    assert index.sii.value == pytest.approx(-12)
    assert index.sii.lower < index.sii.value < index.sii.upper


def test_the_relative_index_of_a_line_that_nearly_reaches_zero_may_be_anything() -> None:
    index = slope_index([9, 5, 1.923077], [1, 1, 1], [(8, 10), (4, 6), (0, 4)])
    assert 0 < index.at_least_deprived < 1e-5
    assert index.rii[1:] == (0, inf)


@pytest.mark.parametrize(
    ("values", "populations", "limits", "scale", "sentence"),
    [
        ([1, 2], [1, 1], None, "linear", "three quantiles"),
        ([1, 2, 3], [1, 1], None, "linear", "three quantiles"),
        ([1, 2, 3], [1, 1, 1], [(1, 2)], "linear", "three quantiles"),
        ([1, 2, 3], [1, 0, 1], None, "linear", "population"),
        ([1, 2, float("nan")], [1, 1, 1], None, "linear", "scale"),
        ([1, 0, 2], [1, 1, 1], None, "log", "scale"),
        ([0.1, 0.5, 1], [1, 1, 1], None, "logit", "scale"),
        ([0.1, 0.5, 0.9], [1, 1, 1], [(0, 0.2), (0.4, 0.6), (0.8, 0.95)], "logit", "scale"),
        ([1, 2, 3], [1, 1, 1], [(1, 2), (3, 1), (2, 4)], "linear", "lower limit"),
    ],
)
def test_what_is_no_slope_index_is_refused(
    values: list[float], populations: list[float], limits: list[tuple[float, float]] | None, scale: str, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        slope_index(values, populations, limits, scale)


def test_the_standard_population_is_the_european_one_with_its_fourth_band_in_two_parts() -> None:
    weights = list(ESP2013.values())
    assert [*weights[:3], weights[3] + weights[4], *weights[5:]] == ESP
    assert sum(weights) == 100_000
    assert list(ESP2013)[3:5] == ["15-17", "18-19"]


def test_a_rate_that_is_the_same_at_all_ages_stays_as_it_is() -> None:
    assert directly_standardised_rate(dict.fromkeys(ESP2013, 37), EVERYWHERE) == pytest.approx(0.037)


@pytest.mark.parametrize("band", ESP2013)
def test_events_at_one_age_count_with_its_weight(band: str) -> None:
    rate = directly_standardised_rate({band: 50}, EVERYWHERE | {band: 200})
    assert rate == pytest.approx(0.25 * ESP2013[band] / 100_000)


def test_an_age_without_residents_has_no_rate() -> None:
    with pytest.raises(ValueError, match="population"):
        directly_standardised_rate({}, EVERYWHERE | {"90+": 0})


def test_a_standardised_rate_of_the_standard_population_has_byars_limits() -> None:
    """Every event weighs the same there, so that Dobson's limits are Byar's."""
    people = {band: 3 * weight for band, weight in ESP2013.items()}
    expected = [1000 * x / 300_000 for x in (240, *byar(240))]
    assert standardised_rate(dict.fromkeys(ESP2013, 12), people) == pytest.approx(expected, rel=1e-12)


def test_a_standardised_rate_has_dobsons_limits() -> None:
    """Done by hand: 8 events with weight 5,000/1,000 and 12 with 1,000/200; then 4 with 1,000/500 in place of 12."""
    people = EVERYWHERE | {"90+": 200}
    lower, upper = byar(20)
    found = standardised_rate({"0-4": 8, "90+": 12}, people, 100_000)
    assert found == pytest.approx((100, 5 * lower, 5 * upper), rel=1e-12)
    lower, upper = byar(12, 0.9)
    found = standardised_rate({"0-4": 8, "90+": 4}, EVERYWHERE | {"90+": 500}, 100_000, 0.9)
    unit = sqrt((8 * 25 + 4 * 4) / 12)
    assert found == pytest.approx((48, 48 + unit * (lower - 12), 48 + unit * (upper - 12)), rel=1e-12)


def test_a_standardised_rate_needs_ten_events_in_known_bands() -> None:
    assert standardised_rate({"40-44": 10}, EVERYWHERE).value == pytest.approx(1000 * 10 / 1000 * 0.07)
    with pytest.raises(ValueError, match="10 events"):
        standardised_rate({"40-44": 9}, EVERYWHERE)
    with pytest.raises(ValueError, match="age band"):
        standardised_rate({"15-19": 90}, EVERYWHERE)
    with pytest.raises(ValueError, match="age band"):
        standardised_rate({"0-4": -1, "40-44": 90}, EVERYWHERE)
    with pytest.raises(ValueError, match="population"):
        standardised_rate({"40-44": 90}, {"40-44": 1000})


def test_dispersion_is_the_mean_square_of_winsorised_z_scores() -> None:
    # Ten scores: the lowest becomes -3, the highest 4.
    scores = [9.0, -3, 2, 1, -1, 0, 3, 4, -20, -2]
    assert dispersion(scores) == pytest.approx((9 + 9 + 4 + 1 + 0 + 1 + 4 + 9 + 16 + 16) / 10)
    assert dispersion(scores, 0) == pytest.approx((81 + 9 + 4 + 1 + 1 + 0 + 9 + 16 + 400 + 4) / 10)
    assert dispersion(scores[:9]) == dispersion(scores[:9], 0), "a tenth of nine is nobody"


def test_dispersion_is_never_under_one() -> None:
    assert dispersion([0.1, -0.2, 0.3]) == 1


@pytest.mark.parametrize(("scores", "part"), [([], 0.1), ([1.0, float("nan")], 0.1), ([1.0], 0.5), ([1.0], -0.1)])
def test_dispersion_of_nothing_is_refused(scores: list[float], part: float) -> None:
    with pytest.raises(ValueError, match=r"z-scores|winsorise"):
        dispersion(scores, part)


def test_a_funnel_has_the_z_of_the_field() -> None:
    """Done by hand: p 0.2 and n 400 have a standard deviation of 0.02."""
    assert proportion_funnel(0.2, [400]) == [pytest.approx((0.2 - 1.96 * 0.02, 0.2 + 1.96 * 0.02))]
    assert proportion_funnel(0.2, [400], 0.998) == [pytest.approx((0.2 - 3.09 * 0.02, 0.2 + 3.09 * 0.02))]
    twice = proportion_funnel(0.2, [1600], design_effect=2, dispersion=8)
    assert twice == [pytest.approx((0.2 - 1.96 * 0.04, 0.2 + 1.96 * 0.04))]
    assert proportion_funnel(0.2, [400, 1]) == [proportion_funnel(0.2, [400])[0], (0, pytest.approx(0.984))]
    assert proportion_funnel(0.8, [1]) == [(pytest.approx(0.016), 1)]


def test_a_funnel_of_gaps_has_the_variance_of_a_difference() -> None:
    off = 1.96 * sqrt(0.2 * 0.8 / 100 + 0.2 * 0.8 / 400)
    total = effective_total(100, 400)
    assert total == pytest.approx(80)
    assert gap_funnel(0.2, [total]) == [pytest.approx((-off, off))]
    assert gap_funnel(0.2, [total], centre_gap=0.1) == [pytest.approx((0.1 - off, 0.1 + off))]
    assert gap_funnel(0.2, [2 * total], 0.998, 2, 4) == [pytest.approx((-2 * off * 3.09 / 1.96, 2 * off * 3.09 / 1.96))]
    assert gap_funnel(0.5, [0.5]) == [(-1, 1)]


def test_what_is_no_funnel_is_refused() -> None:
    for made, sentence in [
        (lambda: proportion_funnel(1.2, [10]), "centre"),
        (lambda: proportion_funnel(0.2, [10, 0]), "total"),
        (lambda: proportion_funnel(0.2, [10], 0.9), "95%"),
        (lambda: proportion_funnel(0.2, [10], dispersion=0.5), "dispersion"),
        (lambda: gap_funnel(0.2, [10], centre_gap=-1.5), "gap"),
        (lambda: effective_total(10, 0), "total"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            made()
