"""Writes batches of contacts into the store of counts, each exactly once."""

import fcntl
import os
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import Final, Literal, NamedTuple
from uuid import uuid4

from sqlalchemy import Connection, Engine, text
from sqlalchemy.event import listen

from app.counts.cells import Cell
from app.counts.periods import financial_year, first_counted, today
from app.counts.statements import Statements, body_of, statements_of
from app.database import is_sqlite, writing

Outcome = Literal["counted", "duplicate", "sealed", "spooled", "unconfirmed", "unavailable"]
"""What became of a contact: `counted` is in the database; `spooled` is safe on this host's disk and will be."""

_KEPT_DAYS: Final = 7
_SECONDS_OF_A_TURN: Final = 2.0
_FORGOTTEN_AT_ONCE: Final = 5_000

_OPEN_YEAR: Final = text("INSERT INTO financial_year (year, edition) VALUES (:year, :edition) ON CONFLICT DO NOTHING")
_OPEN_MONTH: Final = text(
    "INSERT INTO month (month, year, edition, state)"
    " SELECT :month, year, edition, 'open' FROM financial_year WHERE year = :year ON CONFLICT DO NOTHING"
)
_EDITION: Final = text("SELECT edition FROM financial_year WHERE year = :year")


class Event(NamedTuple):
    """One contact to be counted: the cells it adds one to, and keyed hashes that tell it from a retry."""

    cells: Sequence[Cell]
    hashes: tuple[str, ...] = ()

    @property
    def place(self) -> tuple[str, str]:
        """Its month and edition, from the flow cell, which is always the first."""
        flow = self.cells[0]
        return str(flow[1]), str(flow[6])


@dataclass(slots=True)
class Batch:
    """Contacts that are committed together. Its id makes a second try harmless when the first one's fate is unknown."""

    id: str = field(default_factory=lambda: uuid4().hex)
    unkeyed: dict[tuple[str, str], Counter[Cell]] = field(default_factory=dict)
    keyed: list[Event] = field(default_factory=list)

    @classmethod
    def of(cls, events: Iterable[Event]) -> "Batch":
        """A batch of these contacts."""
        made = cls()
        unkeyed: dict[tuple[str, str], list[Sequence[Cell]]] = defaultdict(list)
        for event in events:
            if event.hashes:
                made.keyed.append(event)
            else:
                unkeyed[event.place].append(event.cells)
        for place, cells in unkeyed.items():
            made.unkeyed[place] = Counter(chain.from_iterable(cells))
        return made

    def places(self) -> set[tuple[str, str]]:
        """The months and editions that it touches."""
        return {*self.unkeyed, *(event.place for event in self.keyed)}


class Committed(NamedTuple):
    """What a commit did: the places it may not add to, and which keyed contacts were new."""

    refused: Mapping[tuple[str, str], Outcome]
    new: frozenset[str]  # hashes that were not there before
    again: bool = False  # the batch was there already, and its months may have closed since
    known: frozenset[str] = frozenset()  # hashes of refused contacts that were counted before

    def outcome(self, event: Event, seen: set[str]) -> Outcome:
        """What became of one contact; `seen` collects the hashes met so far in its batch."""
        refused = self.refused.get(event.place)
        if not event.hashes:
            return "unconfirmed" if refused and self.again else refused or "counted"
        # A refused contact leaves no key behind: one that did was counted while its month was open.
        if refused and not (self.again and self.new.issuperset(event.hashes)):
            return refused if self.known.isdisjoint(event.hashes) else "duplicate"
        return "counted" if self.is_first(event, seen) else "duplicate"

    def is_first(self, event: Event, seen: set[str]) -> bool:
        """Whether a keyed contact is met for the first time."""
        first = self.new.issuperset(event.hashes) and seen.isdisjoint(event.hashes)
        seen.update(event.hashes)  # those of a retry too: another retry may carry only them
        return first


class CountStore:
    """The store, through one engine. Every method may raise SQLAlchemy's DBAPIError when the database is away."""

    def __init__(self, engine: Engine, edition: str) -> None:
        """`edition` is the one that a financial year is counted on when its first contact comes."""
        self._engine, self._edition = engine, edition
        self._sql = statements_of(engine)
        self._turn = _Turn(engine)
        listen(engine, "connect", lambda connection, _: self._sql.prepare(connection))
        engine.dispose()  # connections made before that

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection within one transaction that writes, when it is this one's turn."""
        with self._turn, writing(self._engine) as connection:
            yield connection

    def commit(self, batch: Batch, *, from_spool: bool = False) -> Committed:
        """Add a batch, once. What its month no longer takes is left out, or kept as `late` when it was spooled."""
        if not from_spool and (committed := self._commit_at_once(batch)):
            return committed
        with self.writing() as connection:
            return self._add(connection, batch, from_spool)

    def _commit_at_once(self, batch: Batch) -> Committed | None:
        """Add a batch by one statement, as is possible when all its keys are new and all its months open.

        Nearly all are like that, and each further statement would wait once more for Python's lock, which the
        event loop holds. None when nothing was added, or when nobody knows: then the batch id tells.
        """
        hashes = [h for event in batch.keyed for h in event.hashes]
        new = frozenset(hashes)
        if len(new) < len(hashes):
            return None
        committed = Committed({}, new)
        cells, _ = _sum(batch.unkeyed, batch.keyed, committed)
        body = body_of(batch.id, _day(), hashes, cells)  # before it is our turn: others wait for that
        driver = self._engine.dialect.loaded_dbapi
        with self._turn, self._engine.connect() as connection:
            try:
                self._sql.add_at_once(connection.connection.driver_connection, body)
            except driver.IntegrityError:
                return None
            except driver.Error:
                connection.invalidate()
                return None
        return committed

    def _add(self, connection: Connection, batch: Batch, from_spool: bool) -> Committed:
        sql = self._sql
        refused = self.refused(connection, batch.places())
        if from_spool and "unavailable" in refused.values():
            raise LookupError("a spooled contact was placed on another edition than its year's")
        if not sql.insert_batch(connection, batch.id, _day()):
            return Committed(refused, sql.keys_of(connection, batch.id), again=True)
        keyed = [event for event in batch.keyed if from_spool or event.place not in refused]
        hashes = sorted({h for event in keyed for h in event.hashes})
        new = sql.insert_keys(connection, hashes, batch.id, _day()) if hashes else frozenset()
        late_keys = sorted({h for event in batch.keyed if event.place in refused for h in event.hashes} - new)
        known = sql.known_keys(connection, late_keys) if late_keys else frozenset()
        committed = Committed(refused, new, known=known)
        added, too_late = _sum(batch.unkeyed, keyed, committed)
        sql.add(connection, added)
        if from_spool and too_late:
            sql.add_late(connection, too_late)
        return committed

    @property
    def engine(self) -> Engine:
        """The engine that it writes through."""
        return self._engine

    @property
    def statements(self) -> Statements:
        """What its database is told, in its own words."""
        return self._sql

    def refused(self, connection: Connection, places: set[tuple[str, str]]) -> dict[tuple[str, str], Outcome]:
        """Locks the months against sealing, and tells which places they no longer take."""
        months = sorted({month for month, _ in places})
        found = self._sql.lock_months(connection, months)
        if missing := [month for month in months if month not in found]:
            closed = last_closed(connection)
            for month in missing:
                if month > closed:
                    open_month(connection, month, self._edition)
            found |= self._sql.lock_months(connection, missing)
        refused: dict[tuple[str, str], Outcome] = {}
        for month, edition in places:
            # A month before one that is closed is closed with it, though no contact of it ever came.
            state, counted_on = found.get(month, ("closed", ""))
            if state != "open":
                refused[month, edition] = "sealed"
            elif counted_on != edition:
                refused[month, edition] = "unavailable"
        return refused

    def edition_of(self, month: str) -> str:
        """The edition that a month is counted on; decided now when its year is new."""
        with self.writing() as connection:
            return open_year(connection, month, self._edition)

    def beat(self, host: str, spooled: int, *, oldest: int | None = None, stopped: bool = False) -> None:
        """Tell the store that this host lives, how many batches wait on its disk, and since when the oldest does."""
        with self.writing() as connection:
            self._sql.beat(connection, host, database_time(connection), spooled, oldest, stopped=stopped)

    def forget_old_keys(self) -> None:
        """Remove keys and batch ids of more than a week ago, unless a host may still deliver such old ones.

        A little at a time: contacts are waiting to be counted meanwhile.
        """
        before = first_day_kept(self._engine)
        for table, key in (("event_key", "hash"), ("batch", "id")):
            some = f"SELECT {key} FROM {table} WHERE day < {before:d} LIMIT {_FORGOTTEN_AT_ONCE:d}"  # noqa: S608
            removed = _FORGOTTEN_AT_ONCE
            while removed == _FORGOTTEN_AT_ONCE:
                with self.writing() as connection:
                    removed = connection.exec_driver_sql(
                        f"DELETE FROM {table} WHERE {key} IN ({some})"  # noqa: S608
                    ).rowcount

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()
        self._turn.close()


def first_day_kept(engine: Engine) -> int:
    """The day since 1970 from which keys and batch ids must stay: a week ago, or as old as what a host still holds."""
    with engine.connect() as connection:
        oldest = connection.exec_driver_sql(
            "SELECT min(CASE WHEN oldest < seen_at THEN oldest ELSE seen_at END) FROM host"
            " WHERE NOT stopped OR spooled > 0"
        ).scalar()
    return min(int(time.time()), oldest or int(time.time())) // 86_400 - _KEPT_DAYS


def database_time(connection: Connection) -> int:
    """Seconds since 1970 by the database's clock: hosts' own may differ."""
    if is_sqlite(connection):
        return int(time.time())
    return int(connection.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp())::bigint").scalar_one())


def last_closed(connection: Connection) -> str:
    """The newest month that is closed or sealed; empty where none is. No month before it can be opened any more."""
    return str(connection.exec_driver_sql("SELECT max(month) FROM month WHERE state <> 'open'").scalar() or "")


def first_to_count(connection: Connection, since: str | None) -> str:
    """The first month that a whole file may be of: `since`, or else the first that is known and not years ago.

    A month before all others would be the first to be sealed, and a mistyped year makes one.
    """
    first = connection.exec_driver_sql("SELECT min(month) FROM month").scalar()
    return since or max(first_counted(today()), str(first or ""))


def too_old(month: str, first: str) -> str:
    """Why a file of this month is not taken."""
    return f"{month} is too old: months are counted from {first}. If it is meant, set IMDLENS_COUNTS_SINCE to it."


def open_year(connection: Connection, month: str, edition: str) -> str:
    """The edition of a month's financial year, which is the given one when the year is new."""
    year = financial_year(month)
    connection.execute(_OPEN_YEAR, {"year": year, "edition": edition})
    return str(connection.execute(_EDITION, {"year": year}).scalar_one())


def open_month(connection: Connection, month: str, edition: str) -> str:
    """Make a month known, open, on its year's edition, which is the given one when the year is new. Returns it.

    The database refuses a month before one that is closed.
    """
    found = open_year(connection, month, edition)
    connection.execute(_OPEN_MONTH, {"year": financial_year(month), "month": month})
    return found


def _sum(
    unkeyed: Mapping[tuple[str, str], Counter[Cell]], keyed: Sequence[Event], committed: Committed
) -> tuple[Counter[Cell], Counter[tuple[str, str]]]:
    """The cells to add, and by month and specialty what came too late."""
    seen = set[str]()
    added: Counter[Cell] = Counter()
    too_late: Counter[tuple[str, str]] = Counter()
    for place, cells in unkeyed.items():
        if place in committed.refused:
            for cell, n in cells.items():
                if cell[0] == 0:
                    too_late[str(cell[1]), str(cell[2])] += n
        elif added:
            added.update(cells)
        else:
            added = cells.copy()
    new = []
    for event in keyed:
        if not committed.is_first(event, seen):
            continue
        if event.place in committed.refused:
            too_late[str(event.cells[0][1]), str(event.cells[0][2])] += 1
        else:
            new.append(event.cells)
    added.update(chain.from_iterable(new))
    return added, too_late


def _day() -> int:
    return int(time.time()) // 86_400


class _Turn:
    """Whose turn it is to write to SQLite: its own waiting is a sleep that grows, this one wakes at once."""

    def __init__(self, engine: Engine) -> None:
        self._path = f"{engine.url.database}.turn" if is_sqlite(engine) else None
        self._among_threads = threading.Lock()
        self._file = -1

    def __enter__(self) -> None:
        if self._path is None:
            return
        self._among_threads.acquire()
        with suppress(OSError):  # a full disk: SQLite's own lock still holds, only slower
            if self._file < 0:
                self._file = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            self._wait()

    def _wait(self) -> None:
        """For a while: one who was stopped while it was his turn must not stop the others with him."""
        pause, end = 0.0002, time.monotonic() + _SECONDS_OF_A_TURN
        while time.monotonic() < end:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(pause)
                pause = min(2 * pause, 0.002)
            else:
                return

    def __exit__(self, *_: object) -> None:
        if self._path is None:
            return
        if self._file >= 0:
            with suppress(OSError):
                fcntl.flock(self._file, fcntl.LOCK_UN)
        self._among_threads.release()

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    __del__ = close
