"""The period of a report: as it was asked for, and which published periods its findings are of."""

import re
from dataclasses import dataclass
from typing import Final

from app.counts import periods
from app.counts.parts import Published
from app.findings.drawn import is_year, months_of

BY_MONTH: Final = "specialty_core20"
BY_QUARTER: Final = "specialty_dna_core20"
BY_YEAR: Final = "specialty_dna_quintile"

_QUARTER: Final = re.compile(r"(20[0-9]{2})-Q([1-4])")
_YEAR: Final = re.compile(r"(20[0-9]{2})-([0-9]{2})(-Q[1-4])?")


class ReportPeriodError(Exception):
    """A period that cannot be read, or of which nothing is published; the message lists what is."""


@dataclass(frozen=True, slots=True)
class ReportPeriod:
    """What was asked for, and the newest published periods by its end; empty where there is none."""

    asked: str  # as tables write it
    quarter: str
    month: str
    year: str

    @property
    def words(self) -> str:
        """As a person would say it: `the quarter July to September 2026`."""
        return periods.in_words(self.asked)


def read_period(published: Published, text: str) -> ReportPeriod:
    """`2026-10`, `2026-27-Q3`, `2026-Q3` (the third quarter of the financial year that begins in 2026) or `2026-27`.

    ReportPeriodError where it is none of these, or where nothing is published of it.
    """
    asked = _named(text)
    table = BY_MONTH if periods.is_month(asked) else BY_YEAR if is_year(asked) else BY_QUARTER
    if asked not in published.periods(table):
        raise ReportPeriodError(f"Nothing is published of {periods.in_words(asked)}. {_what_there_is(published)}")
    end = months_of(asked)[-1]

    def newest(of: str) -> str:
        return max((p for p in published.periods(of) if months_of(p)[-1] <= end), default="")

    return ReportPeriod(asked, newest(BY_QUARTER), newest(BY_MONTH), newest(BY_YEAR))


def _named(text: str) -> str:
    if periods.is_month(text) or _is_financial_year(text):
        return text
    if found := _QUARTER.fullmatch(text):
        return f"{periods.year_name(int(found[1]))}-Q{found[2]}"
    raise ReportPeriodError(
        "--period is a month (2026-10), a quarter (2026-27-Q3, or 2026-Q3 for the third quarter of the financial year"
        " that begins in 2026) or a financial year (2026-27)."
    )


def _is_financial_year(text: str) -> bool:
    """A year and the next, or a quarter of it. What could be a month, as `2011-12`, is read as one before this."""
    found = _YEAR.fullmatch(text)
    return bool(found) and (int(text[:4]) + 1) % 100 == int(text[5:7])


def _what_there_is(published: Published) -> str:
    kinds = (("months", BY_MONTH), ("quarters", BY_QUARTER), ("financial years", BY_YEAR))
    listed = [f"{kind} {_span(published.periods(table))}" for kind, table in kinds if published.periods(table)]
    return f"There are: {'; '.join(listed)}." if listed else "Nothing is published yet: a month is when it is sealed."


def _span(found: list[str]) -> str:
    ordered = sorted(found)
    return ordered[0] if len(ordered) == 1 else f"{ordered[0]} to {ordered[-1]}"
