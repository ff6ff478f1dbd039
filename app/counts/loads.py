"""Files of contacts by source and month: a later file takes the place of the earlier one, until the month is closed.

What a file added is remembered by cell, so that exactly that is taken back when a corrected file comes. Contacts that
came one by one are not touched: both add up in the same cells.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from sqlalchemy import ColumnElement, Connection, Engine, delete, insert, select, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.access.caller import NAME, RESERVED
from app.counts.cells import Cell
from app.counts.periods import is_month, moment, month_of, today
from app.counts.schema import KINDS, exact_read, file_load, file_load_cell
from app.counts.store import CountStore, first_to_count, last_closed, too_old
from app.database import DatabaseAwayError, writing

_TRIES: Final = 3
_PAUSE_SECONDS: Final = 0.2
_PLACE: Final = {table.name: place for place, table in enumerate(KINDS)}
_CLAIM: Final = text(
    "INSERT INTO file_load (source, month, contacts, first_at, loaded_at, times)"
    " VALUES (:source, :month, :contacts, :now, :now, 1) ON CONFLICT (source, month) DO UPDATE"
    " SET contacts = excluded.contacts, loaded_at = excluded.loaded_at, times = file_load.times + 1 RETURNING times"
)
_SOURCES_NEVER: Final = RESERVED - {"unnamed"}  # a service without keys counts its callers under that name

_T = TypeVar("_T")


class LoadError(Exception):
    """A file cannot be counted; the message is one sentence and holds no value of a row."""


def check_source(source: str) -> str:
    """The name of a source, which is one that a client could have; LoadError otherwise."""
    if not NAME.fullmatch(source) or source in _SOURCES_NEVER:
        raise LoadError(
            "A source is named like a client: up to 40 small letters, digits, dots, hyphens or underscores, and not"
            f" {' or '.join(sorted(_SOURCES_NEVER))}."
        )
    return source


def edition_of(store: CountStore, month: str, since: str | None = None) -> str:
    """The edition that a month is counted on. LoadError where it takes no file; DatabaseAwayError.

    `since` is the first month that is counted; by default as `first_to_count`.
    """
    if not is_month(month):
        raise LoadError("A month is written YYYY-MM.")
    if month > month_of(today()):
        raise LoadError(f"{month} lies in the future.")

    def ask() -> str:
        with store.engine.connect() as connection:
            if month < (first := first_to_count(connection, since)):
                raise LoadError(too_old(month, first))
            _check_open(connection, month)
        return store.edition_of(month)

    return trying(ask)


def replace_load(store: CountStore, source: str, month: str, edition: str, cells: Counter[Cell], contacts: int) -> bool:
    """Count a file in the place of the one before it, whole or not at all; whether there was one before.

    `cells` are all of one month and edition. Without contacts the earlier file is taken back. LoadError where the month
    is closed; DatabaseAwayError. Safe to run again: the same file twice gives the same counts.
    """
    if any(cell[1] != month for cell in cells):
        raise ValueError("a cell of another month")
    if not contacts:
        return trying(lambda: _take_back(store, source, month)) is not None
    return trying(lambda: _replace(store, source, (month, edition), cells, contacts))


def _replace(
    store: CountStore,
    source: str,
    place: tuple[str, str],
    cells: Counter[Cell],
    contacts: int,
) -> bool:
    month, _ = place
    with store.writing() as connection:
        if place in (refused := store.refused(connection, {place})):
            _refuse(month, sealed=refused[place] == "sealed")
        # The month is shared with other writers; this locks only against a second file of the same source and month.
        values = {"source": source, "month": month, "contacts": contacts, "now": moment()}
        times = connection.execute(_CLAIM, values).scalar_one()
        change = Counter(cells)
        change.subtract(_remembered(connection, source, month))
        _change(store, connection, month, change)
        changed = {cell: cells[cell] for cell, n in change.items() if n}
        store.statements.remember(connection, source, month, _rows(changed))
        connection.execute(delete(file_load_cell).where(*_of(source, month), file_load_cell.c.n == 0))
    return int(times) > 1


def remove_load(store: CountStore, source: str, month: str) -> int:
    """Take a file back that was loaded by mistake; how many contacts it held. LoadError, DatabaseAwayError."""
    removed = trying(lambda: _take_back(store, source, month))
    if removed is None:
        raise LoadError(f"No file of {source} is loaded for {month}: `imdlens counts loads` lists those that are.")
    return removed


def _take_back(store: CountStore, source: str, month: str) -> int | None:
    """How many contacts a file held that is on record no more; None where there was none."""
    with store.writing() as connection:
        store.statements.lock_months(connection, [month])
        _check_open(connection, month)
        where = (file_load.c.source == source, file_load.c.month == month)
        found = connection.execute(select(file_load.c.contacts).where(*where).with_for_update()).scalar()
        if found is None:
            return None
        change: Counter[Cell] = Counter()
        change.subtract(_remembered(connection, source, month))
        _change(store, connection, month, change)
        connection.execute(delete(file_load_cell).where(*_of(source, month)))
        connection.execute(delete(file_load).where(*where))
        return int(found)


def loads(engine: Engine, who: str) -> list[dict[str, Any]]:
    """Every file on record with its source, month, contacts and times, the read put on record as one of exact counts.

    `replaceable` says whether its month is open still.
    """
    with writing(engine) as connection:
        connection.execute(insert(exact_read).values(at=moment(), who=who, month="all", by="load"))
        closed = last_closed(connection)
        return [
            {
                "source": row.source,
                "month": row.month,
                "contacts": int(row.contacts),
                "first_at": row.first_at,
                "loaded_at": row.loaded_at,
                "replaceable": row.month > closed,
            }
            for row in connection.execute(select(file_load).order_by(file_load.c.month, file_load.c.source))
        ]


def trying(step: Callable[[], _T]) -> _T:
    """What a step gives that may be tried again whatever became of it; DatabaseAwayError when it never comes.

    Whether a commit arrived is not always known, so only for steps that change nothing when they are done twice.
    """
    for attempt in range(_TRIES):
        try:
            return step()
        except (DataError, IntegrityError):
            raise
        except (DBAPIError, PoolTimeoutError) as error:
            if attempt == _TRIES - 1:
                raise DatabaseAwayError(
                    f"The database of counts cannot be used ({type(error).__name__}): run it again when it is back;"
                    " nothing is counted twice."
                ) from None
            time.sleep(_PAUSE_SECONDS)
    raise AssertionError


def _refuse(month: str, *, sealed: bool) -> None:
    if sealed:
        raise LoadError(f"{month} is closed: no file can be counted in it, replaced or removed any more.")
    raise LoadError(f"{month} is counted on another edition than this file was read with: run it again.")


def _check_open(connection: Connection, month: str) -> None:
    if month <= last_closed(connection):
        _refuse(month, sealed=True)


def _remembered(connection: Connection, source: str, month: str) -> Counter[Cell]:
    """What the file on record added."""
    statement = select(file_load_cell.c.kind, file_load_cell.c.cell, file_load_cell.c.n).where(*_of(source, month))
    return Counter(
        {(_PLACE[kind], month, *json.loads(rest)): int(n) for kind, rest, n in connection.execute(statement)}
    )


def _of(source: str, month: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return file_load_cell.c.source == source, file_load_cell.c.month == month


def _rows(cells: Mapping[Cell, int]) -> list[tuple[str, str, int]]:
    """Cells as they are remembered."""
    return [(KINDS[int(kind)].name, json.dumps(rest), n) for (kind, _, *rest), n in sorted(cells.items())]


def _change(store: CountStore, connection: Connection, month: str, change: Counter[Cell]) -> None:
    """Add to cells and take from others, in the order in which all writers do: none stays empty or is negative."""
    change = Counter({cell: n for cell, n in change.items() if n})
    if not change:
        return
    store.statements.add(connection, change)
    for table in KINDS:
        negative = select(table.c.n).where(table.c.month == month, table.c.n < 0).limit(1)
        if connection.execute(negative).first():
            raise LoadError(
                f"The counts of {month} hold less than the earlier file added: they were changed by hand. Nothing was"
                " changed now."
            )
        connection.execute(delete(table).where(table.c.month == month, table.c.n == 0))
