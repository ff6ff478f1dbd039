"""The waiting list at a month's end: a stock, replaced whole, valid only once it is declared complete."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine, insert

from app.counts.cells import band_of
from app.counts.periods import month_of, today
from app.counts.schema import waiting_list, waiting_list_snapshot
from app.counts.store import first_to_count, last_closed, open_month, open_year, too_old
from app.counts.vocabulary import ABSENT, UNRECOGNISED, vocabulary, wait_band
from app.database import writing
from app.enrichment import Question, Rules, enrich
from app.lookup.index import Index

WITHHELD: Final = ("", "", "withheld")
"""Stands for whoever must not be counted, among counts by specialty, wait and band."""

WaitingCounts = Callable[[str], Counter[tuple[str, str, str]]]
"""For an edition the people by specialty, wait and band, those withheld under WITHHELD."""


class Waiting(NamedTuple):
    """One person waiting."""

    postcode: str | None
    specialty: str
    weeks: float


class WaitingListError(Exception):
    """A list that cannot be taken as it is; the message names the line and the column, never a value."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Which list this is."""

    id: str
    month: str
    edition: str


def read_waiting(line: int, row: Mapping[str, str | None], names: Mapping[str, str] | None = None) -> Waiting:
    """One line with `postcode`, `specialty` and `weeks`; WaitingListError where a value means nothing.

    `names` are what the file calls its columns, where it calls them otherwise.
    """
    called = {"specialty": "specialty", "weeks": "weeks"} | dict(names or {})
    specialty = (row.get("specialty") or "").strip()
    if specialty and specialty not in vocabulary().specialties:
        if not (len(specialty) == 3 and specialty.isascii() and specialty.isdigit()):
            raise WaitingListError(f"Line {line}: `{called['specialty']}` is not a treatment function code.")
        specialty = UNRECOGNISED
    try:
        weeks = float(row.get("weeks") or "")
        wait_band(weeks)
    except ValueError:
        raise WaitingListError(f"Line {line}: `{called['weeks']}` is not a number of weeks.") from None
    return Waiting(row.get("postcode"), specialty or ABSENT, weeks)


def replace_waiting_list(
    engine: Engine,
    snapshot: Snapshot,
    people: Iterable[Waiting],
    index: Index,
    rules: Rules,
    *,
    expected: int,
    since: str | None = None,
) -> int:
    """Replace a month's list by this one; how many people are counted. All of it is taken, or none.

    Whose address is withheld is not counted, as in contacts. `since` is the first month that is counted.

    It is complete when it holds as many people as it was said to: a file that was cut short must not pass for one.
    """
    return replace_waiting_counts(
        engine, snapshot, lambda edition: _counted(people, edition, index, rules), expected=expected, since=since
    )


def replace_waiting_counts(
    engine: Engine, snapshot: Snapshot, counted: WaitingCounts, *, expected: int, since: str | None = None
) -> int:
    """`replace_waiting_list` for people who are counted already, once the edition is known to count them on."""
    if snapshot.month > month_of(today()):
        raise WaitingListError(f"{snapshot.month} lies in the future.")
    with writing(engine) as connection:
        _check_open(connection, snapshot.month)
        if snapshot.month < (first := first_to_count(connection, since)):
            raise WaitingListError(too_old(snapshot.month, first))
        edition = open_year(connection, snapshot.month, snapshot.edition)
    counts = counted(edition)  # takes its time: nobody else may wait for it
    total, withheld = sum(counts.values()), counts.pop(WITHHELD, 0)
    if total != expected:
        raise WaitingListError(f"The list holds {total:,} people, not {expected:,}: nothing was taken.")
    total -= withheld
    with writing(engine) as connection:
        _check_open(connection, snapshot.month)
        open_month(connection, snapshot.month, snapshot.edition)
        _write(connection, snapshot, edition, counts, total)
    return total


def _check_open(connection: Connection, month: str) -> None:
    if month <= last_closed(connection):
        raise WaitingListError(f"{month} is closed: its waiting list cannot change any more.")


def _counted(people: Iterable[Waiting], edition: str, index: Index, rules: Rules) -> Counter[tuple[str, str, str]]:
    counts: Counter[tuple[str, str, str]] = Counter()
    for person in people:
        answer = enrich(Question(person.postcode), index, rules)
        if answer.reading.postcode_status == "withheld":
            counts[WITHHELD] += 1
            continue
        band, _ = band_of(answer.reading, edition)
        counts[person.specialty, wait_band(person.weeks), band] += 1
    return counts


def _write(
    connection: Connection, snapshot: Snapshot, edition: str, counts: Counter[tuple[str, str, str]], total: int
) -> None:
    for table in (waiting_list, waiting_list_snapshot):
        connection.execute(table.delete().where(table.c.month == snapshot.month))
    connection.execute(
        insert(waiting_list_snapshot).values(
            month=snapshot.month,
            snapshot=snapshot.id,
            edition=edition,
            complete=True,
            patients=total,
            received_on=today().isoformat(),
        )
    )
    rows = [
        {"month": snapshot.month, "specialty": s, "wait_band": w, "edition": edition, "band": b, "n": n}
        for (s, w, b), n in sorted(counts.items())
    ]
    if rows:
        connection.execute(insert(waiting_list), rows)
