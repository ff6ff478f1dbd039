"""What an organisation set itself: from which gap or share, to which, by when, and who answers for it."""

import re
from dataclasses import dataclass
from datetime import date
from typing import Final

from app.context.files import Row, RuleFolder
from app.context.practice import ALL, UNIT, day

FILE: Final = "targets.csv"
COLUMNS: Final = ("measure", "unit", "baseline_value", "baseline_period", "target_value", "target_date", "owner")
MEASURES: Final = ("missed", "cancelled_by_provider", "over_18_weeks", "over_52_weeks", "core20_share")
_UNIT: Final = re.compile(rf"{UNIT.pattern}|all_other")
_WHOLE: Final = re.compile(r"[-\u2212]?[0-9]{1,3}")
_PERIOD: Final = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])|(20[0-9]{2})-([0-9]{2})(-Q[1-4])?")
_LONGEST: Final = 120  # characters


@dataclass(frozen=True, slots=True)
class Target:
    """One target: a gap in whole percentage points (Core20 less the rest), or a Core20 share in whole percent."""

    measure: str  # a name of app.findings
    unit: str  # as in published tables; empty for the organisation
    baseline: int
    baseline_period: str  # `2026-11`, `2026-27-Q1` or `2026-27`
    target: int
    by: date
    owner: str  # a name or a role among the staff


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """The targets of one file, in its order."""

    each: tuple[Target, ...] = ()

    @classmethod
    def load(cls, folder: RuleFolder) -> "Targets":
        """The targets of a folder; RuleFileError for one that cannot be read, or two for the same measure and unit."""
        read: dict[tuple[str, str], Target] = {}
        for row in folder.rows(FILE, COLUMNS):
            target = _read(row)
            if (target.measure, target.unit) in read:
                raise row.wrong("unit", "has a target in this measure already")
            read[target.measure, target.unit] = target
        return cls(tuple(read.values()))

    def of(self, measure: str, unit: str) -> Target | None:
        """The target of a unit in a measure; None where none is set."""
        return next((t for t in self.each if (t.measure, t.unit) == (measure, unit)), None)


def _read(row: Row) -> Target:
    measure = row.choice("measure", MEASURES)
    unit = row.text("unit")
    if unit != ALL and not _UNIT.fullmatch(unit):
        raise row.wrong(
            "unit", f"is neither {ALL} (the whole organisation), nor a treatment function code, nor an RTT group's"
        )
    least = 0 if measure == "core20_share" else -100
    if len(row.text("owner")) > _LONGEST:
        raise row.wrong("owner", f"is longer than {_LONGEST} characters")
    return Target(
        measure,
        "" if unit == ALL else unit,
        _percent(row, "baseline_value", least),
        _period(row),
        _percent(row, "target_value", least),
        day(row, "target_date"),
        row.text("owner"),
    )


def _percent(row: Row, column: str, least: int) -> int:
    text = row.text(column)
    value = int(text.replace("\u2212", "-")) if _WHOLE.fullmatch(text) else None
    if value is None or not least <= value <= 100:
        what = "whole percentage points, -100 to 100" if least else "a whole percent, 0 to 100"
        raise row.wrong(column, f"is not {what}")
    return value


def _period(row: Row) -> str:
    text = row.text("baseline_period")
    read = _PERIOD.fullmatch(text)
    # `2026-11` is a month, and the financial year 2010/11 is one too: what begins a year ends in the next.
    if not read or (read[2] and (int(read[2]) + 1) % 100 != int(read[3])):
        raise row.wrong("baseline_period", "is not a period as published: 2026-11, 2026-27-Q1 or 2026-27")
    return text
