"""Months, quarters and financial years."""

import time
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from app.counts import periods


@pytest.mark.parametrize(
    ("month", "quarter", "year"),
    [
        ("2026-04", "2026-27-Q1", 2026),
        ("2026-06", "2026-27-Q1", 2026),
        ("2026-07", "2026-27-Q2", 2026),
        ("2026-12", "2026-27-Q3", 2026),
        ("2027-01", "2026-27-Q4", 2026),
        ("2027-03", "2026-27-Q4", 2026),
        ("2099-12", "2099-00-Q3", 2099),
    ],
)
def test_a_financial_year_begins_in_april(month: str, quarter: str, year: int) -> None:
    assert periods.quarter_name(month) == quarter
    assert periods.financial_year(month) == year
    assert month in periods.months_of_quarter(month)
    assert month in periods.months_of_year(year)
    assert periods.quarter_name(month).startswith(periods.year_name(year))


def test_each_month_is_followed_by_the_next_and_a_year_has_four_quarters() -> None:
    months = periods.months_of_year(2026)
    assert months[0] == "2026-04"
    assert [periods.next_month(m) for m in months[:-1]] == months[1:]
    assert [m for m in months if periods.ends_quarter(m)] == ["2026-06", "2026-09", "2026-12", "2027-03"]
    assert [m for m in months if periods.ends_year(m)] == ["2027-03"]
    assert periods.month_of(date(2026, 1, 31)) == "2026-01"


@pytest.mark.parametrize("text", ["2026-13", "2026-00", "2026-1", "202611", "2026/11", "２０２６-11", "", "2026-27-Q1"])
def test_only_a_month_is_a_month(text: str) -> None:
    assert not periods.is_month(text)


def test_periods_are_said_in_words() -> None:
    assert periods.in_words("2026-11") == "November 2026"
    assert periods.in_words("2026-27-Q4") == "the quarter January to March 2027"
    assert periods.in_words("2026-27") == "the financial year 2026/27"


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12"])  # 26 hours apart: never on the same day
def test_today_is_londons_whatever_zone_the_machine_is_in(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as machine:
        machine.setenv("TZ", zone)
        time.tzset()
        before = datetime.now(UTC)
        today = periods.today()
        after = datetime.now(UTC)
    time.tzset()
    assert today in {moment.astimezone(ZoneInfo("Europe/London")).date() for moment in (before, after)}
