"""Which period and unit a question is about, held against what is published."""

import pytest

from app.counts.published import NotPublishedError
from app.findings.asked import check_trend, pages_of, period_of, period_of_ranking
from tests.unit.findings.plain import Plain, months

Q = "2026-27-Q2"


def store() -> Plain:
    made = Plain().missed("2026-27-Q1", "340", (9, 100), (9, 100)).missed(Q, "340", (9, 100), (9, 100))
    made.missed(Q, "X04", (9, 100), (9, 100)).by_fifths("2025-26", "340", [(9, 100)] * 5)
    for month in months("2026-04", 5):
        made.outcomes(month, {"1": {"attended": 100}}).contacts(month, "340", 100, 100)
    return made.waiting("2026-08", "340", core20=(1, 1, 1), rest=(1, 1, 1))


def test_the_newest_period_is_chosen_a_quarter_where_there_is_one() -> None:
    published = store().published()
    assert period_of(published, "missed", "340", "specialty", None) == Q
    assert period_of(published, "cancelled_by_provider", "340", "specialty", None) == "2025-26"
    assert period_of(published, "over_18_weeks", "340", "specialty", None) == "2026-08"
    # Two months of the second quarter are there, which is not the quarter.
    assert period_of(published, "missed", "", None, None) == "2026-27-Q1"
    assert list(pages_of(published, "core20_share", "340")) == ["2026-27-Q1", *reversed(months("2026-04", 5))]


def test_an_rtt_group_is_found_by_its_own_parameter_alone() -> None:
    published = store().published()
    assert period_of(published, "missed", "X04", "rtt_group", None) == Q
    check_trend(published, "missed", "X04", "rtt_group")
    for code, naming in (("X04", "specialty"), ("340", "rtt_group")):
        with pytest.raises(NotPublishedError, match=naming):
            period_of(published, "missed", code, naming, None)  # type: ignore[arg-type]
        with pytest.raises(NotPublishedError, match=naming):
            check_trend(published, "missed", code, naming)  # type: ignore[arg-type]


def test_a_period_or_a_unit_that_is_not_published_is_named_by_its_field_and_never_by_its_value() -> None:
    published = store().published()
    for period, field in (("2026-27-Q3", "period"), ("2026-05", "period"), ("nothing", "period")):
        with pytest.raises(NotPublishedError) as error:
            period_of(published, "missed", "340", "specialty", period)
        assert str(error.value) == field
    with pytest.raises(NotPublishedError, match="specialty"):
        period_of(published, "missed", "X04", "specialty", "2026-27-Q1")
    with pytest.raises(NotPublishedError, match="period"):
        period_of_ranking(published, "core20_share", None)
    with pytest.raises(NotPublishedError, match="measure"):
        check_trend(Plain().published(), "missed", "", None)


def test_rankings_are_of_a_quarter_a_year_or_a_month_end() -> None:
    published = store().published()
    assert period_of_ranking(published, "missed", None) == Q
    assert period_of_ranking(published, "missed", "2025-26") == "2025-26"
    assert period_of_ranking(published, "over_52_weeks", "2026-M08") == "2026-08"
    with pytest.raises(NotPublishedError, match="period"):
        period_of_ranking(published, "missed", "2026-05")
