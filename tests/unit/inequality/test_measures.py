"""Statistics against published worked examples, and against what must be true of any of them."""

from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.inequality.measures import ESP2013, directly_standardised_rate, wilson

# PHEindicatormethods 2.1.0, its test data for proportions: events, total, lower and upper 95% limits.
WILSON = [
    (1, 100, 0.0017674320641406511, 0.054486196178705294),
    (5, 100, 0.02154367915436798, 0.11175046923191911),
    (20, 100, 0.1333669333310325, 0.28882916559315885),
    (65, 100, 0.5525444329688797, 0.7363575175690247),
]
# Eurostat 2013, by five-year band from 0-4 to 90+.
ESP = [5000, 5500, 5500, 5500, 6000, 6000, 6500, 7000, 7000, 7000, 7000, 6500, 6000, 5500, 5000, 4000, 2500, 1500, 1000]
EVERYWHERE = dict.fromkeys(ESP2013, 1000)


@pytest.mark.parametrize(("events", "total", "lower", "upper"), WILSON)
def test_wilson_limits_are_those_of_the_worked_examples(events: int, total: int, lower: float, upper: float) -> None:
    assert wilson(events, total) == pytest.approx((lower, upper), rel=1e-12)


@given(st.integers(0, 5000), st.integers(1, 5000))
def test_wilson_limits_solve_the_score_equation(events: int, total: int) -> None:
    events = min(events, total)
    for limit in wilson(events, total):
        off = abs(events / total - limit)
        assert off == pytest.approx(1.959963984540054 * sqrt(max(limit * (1 - limit), 0) / total), abs=1e-7)


@pytest.mark.parametrize(("events", "total"), [(-1, 10), (11, 10), (0, 0)])
def test_what_is_no_proportion_has_no_limits(events: int, total: int) -> None:
    with pytest.raises(ValueError, match="proportion"):
        wilson(events, total)


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
