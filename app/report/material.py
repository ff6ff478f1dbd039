"""What a report says besides findings: questions, reasons and limits, from versioned files with their sources."""

import csv
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, Final, NamedTuple

SUPPORT: Final = {"supported": "Supported", "partly": "Partly", "not": "Not supported"}


class Question(NamedTuple):
    """A question of the guide, and how this report answers it."""

    answer: str
    text: str


class Reason(NamedTuple):
    """A reason to act: "Legal", "Moral" or "Financial", in our own words."""

    kind: str
    text: str


class Indicator(NamedTuple):
    """One indicator of the Statement, what this data can say of it, and which figures those are; empty for none."""

    domain: str
    indicator: str
    wording: str
    support: str
    what: str
    value: str


@dataclass(frozen=True, slots=True)
class Case:
    """The questions and reasons of the guide, and what the data must not be used for."""

    citation: str
    not_recorded: str
    questions: tuple[Question, ...]
    reasons: tuple[Reason, ...]
    never: tuple[str, ...]
    must_not: tuple[str, ...]
    attribution: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AuditDay:
    """What the sheets of an audit day say besides their tables."""

    how: tuple[str, ...]
    may: tuple[str, ...]
    after: tuple[str, ...]


def _text(name: str) -> str:
    return resources.files("app.report").joinpath("rules", name).read_text("utf-8")


def _table(name: str) -> dict[str, Any]:
    return tomllib.loads(_text(name))


@lru_cache(maxsize=1)
def case() -> Case:
    """The guide's questions and reasons."""
    table = _table("case.toml")
    return Case(
        table["citation"],
        table["not_recorded"],
        tuple(Question(q["answer"], q["text"]) for q in table["question"]),
        tuple(Reason(r["kind"], r["text"]) for r in table["reason"]),
        tuple(table["never"]["items"]),
        tuple(table["must_not"]["items"]),
        tuple(table["attribution"]["items"]),
    )


@lru_cache(maxsize=1)
def indicators() -> tuple[Indicator, ...]:
    """The indicators of the Statement, by domain."""
    lines = [line for line in _text("statement_indicators.csv").splitlines() if not line.startswith("#")]
    return tuple(Indicator(**row) for row in csv.DictReader(lines))


@lru_cache(maxsize=1)
def audit_day() -> AuditDay:
    """The words of the exercise sheets."""
    table = _table("audit_day.toml")
    return AuditDay(tuple(table["how"]), tuple(table["may"]), tuple(table["after"]))
