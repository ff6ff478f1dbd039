"""What to do: an organisation's target and who answers for it, what others did, and all that as a page and a file."""

import csv
import io
from collections.abc import Iterable

from app.context.practice import COLUMNS, Initiative, Practice
from app.context.targets import Target
from app.context.written import shielded
from app.counts import periods
from app.counts.vocabulary import vocabulary
from app.dashboard.context import Context
from app.dashboard.frame import Frame, NoSuchPageError, in_words
from app.findings import words
from app.findings.findings import Unit
from app.findings.kinds import MEASURES, unit_of
from app.findings.overview import Overview
from app.pages.dashboard import Chooser, Fact, Link, Screen, Section


def act(context: Context, frame: Frame, found: Overview) -> Section:
    """Target, owner, one example of what was done elsewhere, and the page to take along."""
    unit = found.unit
    targets = [target for name in MEASURES if (target := context.book.targets.of(name, unit.code))]
    examples = context.book.practice.of(unit.code, _group_of(unit))
    facts = [fact for target in targets for fact in _target(target)]
    said, items = [], []
    if not targets:
        items.append(
            "No target is set. Write one, with who answers for it, into targets.csv in the folder IMDLENS_LOCAL_DIR."
        )
    if examples:
        first = examples[0]
        said.append(
            f"What helped elsewhere: {first.title} ({first.organisation}). {first.outcome} Ask: {first.who_to_ask}."
        )
    else:
        items.append(
            "No example is in the good-practice bank yet. Add one to good_practice.csv in the folder IMDLENS_LOCAL_DIR."
        )
    links = []
    if unit.code:
        links = [
            Link("One page to take along (PDF)", frame.specialty(unit.code, "/brief")),
            Link("What lies behind: slopes, deciles, limits and method", frame.specialty(unit.code, "/detail")),
        ]
    links.append(Link("More good practice", _bank(frame, unit.code if examples else "")))
    return Section(
        "act", "What to do next", tuple(said), facts=tuple(facts), items=tuple(items), links=tuple(links), look="act"
    )


def _target(target: Target) -> tuple[Fact, Fact]:
    what = next((measure.label for name, measure in MEASURES.items() if name == target.measure), "")
    goal = "" if target.measure == "core20_share" else ": gap"
    return (
        Fact(
            f"{what}{goal}, target by {_day(target.by)}",
            _amount(target.measure, target.target),
            f"from {_amount(target.measure, target.baseline)} in {in_words(target.baseline_period)}",
        ),
        Fact("Who answers for it", target.owner),
    )


def _amount(measure: str, value: int) -> str:
    return f"{value}%" if measure == "core20_share" else words.points(value).replace("-", "\N{MINUS SIGN}")


def _day(day: object) -> str:
    text = str(day)
    return f"{int(text[8:])} {periods.in_words(text[:7])}"


def _group_of(unit: Unit) -> str:
    known = vocabulary().specialties.get(unit.code)
    return known.rtt_group if known else ""


def _bank(frame: Frame, specialty: str) -> str:
    return frame.to("dashboard/practice", specialty=specialty)


# ------------------------------------------------------------------------------------------ the bank


def screen(context: Context, frame: Frame, specialty: str) -> Screen:
    """The bank of good practice, for all or for one specialty. NoSuchPageError where no initiative is of it."""
    every = context.book.practice.initiatives
    codes = list(dict.fromkeys(one.specialty for one in every))
    if specialty and not _may_filter(specialty, codes):
        raise NoSuchPageError
    shown = context.book.practice.of(specialty, _group_of(unit_of(specialty))) if specialty else every
    if not every:
        empty = Section(
            "empty",
            "The bank is empty",
            (
                (
                    "Whoever did something about an inequality can tell others here: what it was, whom"
                    " to ask, what came of it."
                ),
            ),
            items=(
                "Put good_practice.csv into the folder IMDLENS_LOCAL_DIR, with the columns " + ", ".join(COLUMNS) + ".",
                "Start the service again: it is read once.",
            ),
            look="empty",
        )
        return frame.screen("practice", "Good practice", (empty,))
    links = [Link("All", _bank(frame, ""), is_current=not specialty)]
    links += [Link(_name(code), _bank(frame, code), is_current=code == specialty) for code in codes if code != "all"]
    if specialty and specialty not in codes:
        links.append(Link(_name(specialty), _bank(frame, specialty), is_current=True))
    sections = [_initiative(number, one) for number, one in enumerate(shown, 1)]
    if not sections:
        sections = [
            Section("none", "Nothing for this specialty yet", ("Look at all of them, or add the first.",), look="empty")
        ]
    take = Section(
        "take",
        "Take it along",
        links=(Link("All of the bank as CSV", frame.to("dashboard/practice", format="csv")),),
        look="quiet",
    )
    return frame.screen(
        "practice",
        "Good practice" if not specialty else f"Good practice for {_name(specialty)}",
        (*sections, take),
        lead=("What somebody did about an inequality, and what came of it, in their own words.",),
        choosers=(Chooser("Specialty", tuple(links)),),
    )


def _may_filter(specialty: str, codes: Iterable[str]) -> bool:
    words = vocabulary()
    return specialty in words.specialties or specialty in words.rtt_groups or specialty in codes


def _name(code: str) -> str:
    return "All specialties" if code == "all" else unit_of(code).name


def _initiative(number: int, one: Initiative) -> Section:
    return Section(
        f"initiative-{number}",
        one.title,
        (*one.what.splitlines(), f"What came of it: {one.outcome}"),
        quiet=(f"{_name(one.specialty)}. {one.organisation}, {_day(one.date)}. Ask: {one.who_to_ask}",),
    )


def as_csv(practice: Practice) -> bytes:
    """The whole bank, with the columns of its file; no cell is a formula where a spreadsheet opens it."""
    buffer = io.StringIO()
    buffer.write("\ufeff")
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    for one in practice.initiatives:
        writer.writerow([shielded(str(getattr(one, column))) for column in COLUMNS])
    return buffer.getvalue().encode()
