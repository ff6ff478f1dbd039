"""The period of a report, as people write it, and what is published of it."""

import pytest

from app.counts.parts import Published
from app.report.period import ReportPeriodError, read_period
from tests.unit.findings.plain import Plain
from tests.unit.report.year import tables


@pytest.mark.parametrize(
    ("text", "asked", "words"),
    [
        ("2025-26-Q4", "2025-26-Q4", "the quarter January to March 2026"),
        ("2025-Q4", "2025-26-Q4", "the quarter January to March 2026"),
        ("2025-Q1", "2025-26-Q1", "the quarter April to June 2025"),
        ("2025-26", "2025-26", "the financial year 2025/26"),
        ("2025-11", "2025-11", "November 2025"),
    ],
)
def test_a_period_is_read_as_people_write_it_and_said_in_words(text: str, asked: str, words: str) -> None:
    found = read_period(tables(), text)
    assert (found.asked, found.words) == (asked, words)


def test_findings_are_of_the_newest_periods_by_the_end_of_what_was_asked() -> None:
    found = read_period(tables(), "2025-11")
    assert (found.month, found.quarter, found.year) == ("2025-11", "2025-26-Q2", "")
    whole = read_period(tables(), "2025-26")
    assert (whole.month, whole.quarter, whole.year) == ("2026-03", "2025-26-Q4", "2025-26")


@pytest.mark.parametrize("text", ["", "Q3", "2025", "2025-27", "2025-26-Q5", "2025-13", "2025-q1", "2025-1", "٢٠٢٥-١١"])
def test_what_is_no_period_is_refused_with_how_to_write_one(text: str) -> None:
    with pytest.raises(ReportPeriodError, match="2026-27-Q3"):
        read_period(tables(), text)


@pytest.mark.parametrize("text", ["2024-Q1", "2026-05", "2019-20"])
def test_where_nothing_is_published_it_says_what_is(text: str) -> None:
    with pytest.raises(ReportPeriodError) as found:
        read_period(tables(), text)
    assert "months 2025-04 to 2026-03; quarters 2025-26-Q1 to 2025-26-Q4; financial years 2025-26" in str(found.value)


def test_an_empty_store_says_that_nothing_is_published_yet() -> None:
    with pytest.raises(ReportPeriodError, match="Nothing is published yet"):
        read_period(Published(Plain(), []), "2025-11")
