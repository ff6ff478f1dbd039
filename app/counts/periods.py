"""Months, quarters and financial years, as text that sorts: `2026-11`, `2026-27-Q3`, `2026-27`."""

from datetime import UTC, date, datetime
from typing import Final
from zoneinfo import ZoneInfo

_LONDON: Final = ZoneInfo("Europe/London")
_MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def today() -> date:
    """The date in Europe/London, which is where contacts happen."""
    return datetime.now(_LONDON).date()


def moment() -> str:
    """Now, in UTC and to the second, as what is put on record bears it: `2026-11-22T19:04:47+00:00`."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def month_of(day: date) -> str:
    """The month of a day."""
    return f"{day.year:04d}-{day.month:02d}"


def financial_year(month: str) -> int:
    """The year in which a month's financial year begins: it runs from 1 April."""
    year, number = int(month[:4]), int(month[5:])
    return year if number >= 4 else year - 1


def year_name(year: int) -> str:
    """`2026-27` for the financial year that begins on 1 April 2026."""
    return f"{year:04d}-{(year + 1) % 100:02d}"


def quarter_name(month: str) -> str:
    """`2026-27-Q1` for April to June 2026, and so on."""
    quarter = (int(month[5:]) - 4) % 12 // 3 + 1
    return f"{year_name(financial_year(month))}-Q{quarter}"


def months_of_year(year: int) -> list[str]:
    """The twelve months of a financial year, April first."""
    return [f"{year:04d}-{m:02d}" for m in range(4, 13)] + [f"{year + 1:04d}-{m:02d}" for m in range(1, 4)]


def months_of_quarter(month: str) -> list[str]:
    """The three months of the quarter that a month is in."""
    months = months_of_year(financial_year(month))
    start = months.index(month) // 3 * 3
    return months[start : start + 3]


def first_counted(day: date) -> str:
    """The first month that is counted by default: April of the financial year before that of a day."""
    return f"{financial_year(month_of(day)) - 1:04d}-04"


def next_month(month: str) -> str:
    """The month after."""
    year, number = int(month[:4]), int(month[5:])
    return f"{year + number // 12:04d}-{number % 12 + 1:02d}"


def ends_quarter(month: str) -> bool:
    """Whether a quarter ends with this month."""
    return int(month[5:]) % 3 == 0


def ends_year(month: str) -> bool:
    """Whether a financial year ends with this month."""
    return month[5:] == "03"


def is_month(text: str) -> bool:
    """Whether this is a month as written here."""
    return (
        len(text) == 7
        and text.isascii()
        and text[4] == "-"
        and (text[:4] + text[5:]).isdigit()
        and 1 <= int(text[5:]) <= 12
    )


def in_words(period: str) -> str:
    """A period as a person would say it: `November 2026`, `the quarter July to September 2026`."""
    if is_month(period):
        return f"{_MONTHS[int(period[5:]) - 1]} {period[:4]}"
    year = int(period[:4])
    if "Q" in period:
        months = months_of_year(year)[(int(period[-1]) - 1) * 3 :][:3]
        return f"the quarter {_MONTHS[int(months[0][5:]) - 1]} to {in_words(months[2])}"
    return f"the financial year {year}/{(year + 1) % 100:02d}"
