"""Targets beside their latest values: on one measure and one edition, with limits, and no trend of two points."""

from dataclasses import replace
from datetime import date

import pytest

from app.findings.gaps import gap
from app.report.progress import progress
from tests.unit.findings.plain import Plain
from tests.unit.report.year import OPTIONS, tables, target

TODAY = date(2026, 4, 1)


def test_the_latest_value_is_the_finding_of_the_newest_period_of_the_same_kind() -> None:
    found = progress(tables(), target(), "2025-26-Q4", TODAY, OPTIONS)
    assert found.latest_period == "2025-26-Q4"
    assert found.latest == gap(tables(), "missed", "340", "2025-26-Q4", OPTIONS).absolute
    assert found.sentence == "Not at the target."


def test_what_came_after_the_period_of_the_report_is_not_read() -> None:
    assert progress(tables(), target(), "2025-26-Q3", TODAY, OPTIONS).latest_period == "2025-26-Q3"


@pytest.mark.parametrize(
    ("aim", "says"),
    [(9, "At the target, its limits too."), (7, "its limits reach beyond it: not certain."), (2, "Not at the target.")],
)
def test_a_target_is_reached_for_certain_only_with_its_limits(aim: int, says: str) -> None:
    latest = progress(tables(), target(baseline=12, aim=aim), "2025-26-Q4", TODAY, OPTIONS)
    assert latest.latest is not None
    assert (latest.latest.lower, latest.latest.value, latest.latest.upper) == (5, 7, 9)
    assert latest.sentence.endswith(says)


def test_a_share_that_is_to_rise_is_at_its_target_from_above() -> None:
    share = target("core20_share", "340", 30, "2025-05", 35)
    found = progress(tables(), share, "2025-26-Q4", TODAY, OPTIONS)
    assert found.latest is not None
    assert found.latest.value == 36
    assert found.sentence.startswith("At the target")
    assert progress(tables(), replace(share, target=60), "2025-26-Q4", TODAY, OPTIONS).sentence == "Not at the target."


def test_a_date_that_has_passed_is_said() -> None:
    found = progress(tables(), target(), "2025-26-Q4", date(2028, 1, 1), OPTIONS)
    assert found.sentence == "The date has passed. Not at the target."


def test_a_baseline_without_a_newer_value_is_no_progress() -> None:
    found = progress(tables(), target(of="2025-26-Q4"), "2025-26-Q4", TODAY, OPTIONS)
    assert found.sentence == "Nothing newer than the baseline is published."


def test_a_hidden_value_is_told_with_its_reason_and_never_as_zero() -> None:
    found = progress(tables(), target(unit="110"), "2025-26-Q4", TODAY, OPTIONS)
    assert found.latest is None
    assert found.sentence.startswith("Not shown")


def test_two_editions_are_never_compared() -> None:
    plain = Plain(editions={"2026-01": "IoD2030"})
    for quarter in ("2025-26-Q1", "2025-26-Q4"):
        plain.missed(quarter, "340", (180, 1200), (160, 2000))
    found = progress(plain.published(), target(), "2025-26-Q4", TODAY, OPTIONS)
    assert found.latest is None
    assert "IoD2025" in found.sentence
    assert "IoD2030" in found.sentence


def test_a_baseline_from_before_the_tables_is_not_compared_since_its_edition_is_not_known() -> None:
    found = progress(tables(), target(of="2023-24-Q1"), "2025-26-Q4", TODAY, OPTIONS)
    assert found.latest is None
    assert "edition is not known" in found.sentence


def test_a_gap_that_turned_round_is_not_said_to_be_at_its_target() -> None:
    plain = Plain()
    for quarter, core20 in (("2025-26-Q1", 180), ("2025-26-Q4", 30)):
        plain.missed(quarter, "340", (core20, 1200), (300, 2000))
    found = progress(plain.published(), target(baseline=7, aim=4, of="2025-26-Q1"), "2025-26-Q4", TODAY, OPTIONS)
    assert found.latest is not None
    assert found.latest.upper < 0
    assert "the other way now" in found.sentence
    assert "At the target" not in found.sentence


def test_a_target_within_the_limits_is_not_certain_to_be_missed() -> None:
    found = progress(tables(), target(baseline=12, aim=6), "2025-26-Q4", TODAY, OPTIONS)
    assert found.latest == (7, 5, 9)
    assert found.sentence == "Not at the target, but its limits reach it: not certain."
