"""What is asked of the store while contacts are written, in the words of SQLite and of PostgreSQL."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from pydantic_core import to_json
from sqlalchemy import Connection, Engine, Table

from app.counts.cells import Cell
from app.counts.schema import KINDS, late
from app.database import is_sqlite

Body = tuple[str | int, ...]
"""A batch as one statement takes it: its id, its day, its hashes and the rows of each kind, these as JSON."""


def statements_of(engine: Engine) -> "Statements":
    """The statements that an engine's database understands."""
    return _Sqlite() if is_sqlite(engine) else _Postgresql()


def body_of(batch: str, day: int, hashes: Sequence[str], cells: Counter[Cell]) -> Body:
    """A batch for `add_at_once`; `day` in days since 1970."""
    # In key order, like the cells: two batches that lock the same rows in different orders deadlock.
    return (batch, day, _json(sorted(hashes)), *map(_json, _rows(cells)))


class Statements(ABC):
    """One statement for all rows of a kind. Every method but `add_at_once` raises SQLAlchemy's errors."""

    _value: str  # what stands for a value
    _texts: str  # a JSON array in place of a value, as rows of one text named `value`
    _arrays: str  # the same of an array of arrays, `value` each
    _lock: str  # at the end of a query: until the end of the transaction nobody changes what was read

    def __init__(self) -> None:
        self._upserts: Final = [self._upsert(table) for table in KINDS]
        self._late: Final = self._upsert(late)

    def _upsert(self, table: Table, arrays: str | None = None) -> str:
        names, key = [c.name for c in table.columns], [c.name for c in table.primary_key]
        values = [f"CAST(value ->> {i} AS bigint)" if n == "n" else f"value ->> {i}" for i, n in enumerate(names)]
        return (
            f"INSERT INTO {table.name} ({', '.join(names)})"  # noqa: S608
            f" SELECT {', '.join(values)} FROM {arrays or self._arrays} WHERE true"
            f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET n = {table.name}.n + excluded.n"
        )

    @abstractmethod
    def prepare(self, connection: Any) -> None:
        """Make a new connection of the driver's ready for `add_at_once`."""

    @abstractmethod
    def add_at_once(self, connection: Any, body: Body) -> None:
        """Add a batch to all tables and commit it, through the driver's own connection; the driver's errors."""

    @abstractmethod
    def add(self, connection: Connection, cells: Counter[Cell]) -> None:
        """Add to the cells of all kinds."""

    def add_late(self, connection: Connection, contacts: Counter[tuple[str, str]]) -> None:
        """Add contacts that came too late, by month and specialty."""
        rows = sorted((*key, n) for key, n in contacts.items())
        connection.exec_driver_sql(self._late, (_json(rows),))

    def insert_batch(self, connection: Connection, batch: str, day: int) -> bool:
        """Put a batch's id on record; whether it was not there."""
        v = self._value
        statement = f"INSERT INTO batch (id, day) VALUES ({v}, {v}) ON CONFLICT DO NOTHING"  # noqa: S608
        return connection.exec_driver_sql(statement, (batch, day)).rowcount == 1

    def insert_keys(self, connection: Connection, hashes: list[str], batch: str, day: int) -> frozenset[str]:
        """Put hashes on record, in the order given; those that were not there."""
        v = self._value
        statement = (
            f"INSERT INTO event_key (hash, batch, day) SELECT value, {v}, {v} FROM {self._texts} WHERE true"  # noqa: S608
            " ON CONFLICT DO NOTHING RETURNING hash"
        )
        return frozenset(connection.exec_driver_sql(statement, (batch, day, _json(hashes))).scalars())

    def keys_of(self, connection: Connection, batch: str) -> frozenset[str]:
        """The hashes that came with a batch and were new."""
        statement = f"SELECT hash FROM event_key WHERE batch = {self._value}"  # noqa: S608
        return frozenset(connection.exec_driver_sql(statement, (batch,)).scalars())

    def known_keys(self, connection: Connection, hashes: list[str]) -> frozenset[str]:
        """Those of the hashes that are on record."""
        statement = f"SELECT hash FROM event_key WHERE hash IN (SELECT value FROM {self._texts})"  # noqa: S608
        return frozenset(connection.exec_driver_sql(statement, (_json(hashes),)).scalars())

    def lock_months(self, connection: Connection, months: list[str]) -> dict[str, tuple[str, str]]:
        """State and edition of those months that are known, none of which can be closed before this one commits."""
        statement = (
            f"SELECT month, state, edition FROM month WHERE month IN (SELECT value FROM {self._texts})"  # noqa: S608
            f" ORDER BY month{self._lock}"
        )
        rows = connection.exec_driver_sql(statement, (_json(months),))
        return {month: (state, edition) for month, state, edition in rows}

    def remember(self, connection: Connection, source: str, month: str, rows: Sequence[tuple[str, str, int]]) -> None:
        """Put on record what a file added: the kind of cell, the rest of its key as JSON, and how many."""
        v = self._value
        statement = (
            f"INSERT INTO file_load_cell (source, month, kind, cell, n) SELECT {v}, {v},"  # noqa: S608
            f" value ->> 0, value ->> 1, CAST(value ->> 2 AS bigint) FROM {self._arrays} WHERE true"
            " ON CONFLICT (source, month, kind, cell) DO UPDATE SET n = excluded.n"
        )
        connection.exec_driver_sql(statement, (source, month, _json(rows)))

    def beat(
        self, connection: Connection, host: str, seen_at: int, spooled: int, oldest: int | None, *, stopped: bool
    ) -> None:
        """Put on record when a host was seen and what waits on its disk; times in seconds since 1970."""
        v = self._value
        statement = (
            f"INSERT INTO host (id, seen_at, spooled, oldest, stopped) VALUES ({v}, {v}, {v}, {v}, {v})"  # noqa: S608
            " ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, spooled = excluded.spooled,"
            " oldest = excluded.oldest, stopped = excluded.stopped"
        )
        connection.exec_driver_sql(statement, (host, seen_at, spooled, oldest, stopped))


class _Sqlite(Statements):
    _value = "?"
    _texts = _arrays = "json_each(?)"
    _lock = ""  # the one who writes has the whole database

    def prepare(self, connection: Any) -> None:
        """A view of this connection's own; what is inserted into it goes to all the tables, or to none."""
        kinds = [table.name for table in KINDS]
        nothing = ", ".join(f"NULL AS {name}" for name in ("id", "day", "hashes", *kinds))
        upserts = "; ".join(self._upsert(table, f"json_each(NEW.{table.name})") for table in KINDS)
        connection.execute(f"CREATE TEMP VIEW IF NOT EXISTS at_once AS SELECT {nothing}")
        connection.execute(
            "CREATE TEMP TRIGGER IF NOT EXISTS at_once_insert INSTEAD OF INSERT ON at_once BEGIN"  # noqa: S608
            " INSERT INTO batch (id, day) VALUES (NEW.id, NEW.day);"
            " INSERT INTO event_key (hash, batch, day) SELECT value, NEW.id, NEW.day FROM json_each(NEW.hashes);"
            f" {upserts}; END"
        )

    def add_at_once(self, connection: Any, body: Body) -> None:
        connection.execute(f"INSERT INTO temp.at_once VALUES ({', '.join('?' * len(body))})", body)  # noqa: S608

    def add(self, connection: Connection, cells: Counter[Cell]) -> None:
        for statement, rows in zip(self._upserts, _rows(cells), strict=True):
            if rows:
                connection.exec_driver_sql(statement, (_json(rows),))


class _Postgresql(Statements):
    _value = "%s"
    _texts = "jsonb_array_elements_text(%s::jsonb) AS e (value)"
    _arrays = "jsonb_array_elements(%s::jsonb) AS e (value)"
    _lock = " FOR SHARE"

    def __init__(self) -> None:
        super().__init__()
        # The main statement runs first and the others in an order of the server's: here as there keys come before
        # cells, and cells in the same order, or two batches would deadlock.
        upserts = ", ".join(f"w{i} AS ({upsert})" for i, upsert in enumerate(self._upserts))
        self._all = f"WITH {upserts} SELECT 1"
        self._at_once = (
            f"WITH b AS (INSERT INTO batch (id, day) VALUES (%s, %s)), {upserts}"  # noqa: S608
            f" INSERT INTO event_key (hash, batch, day) SELECT value, %s, %s FROM {self._texts}"
        )

    def prepare(self, connection: Any) -> None:
        """Nothing is needed."""

    def add_at_once(self, connection: Any, body: Body) -> None:
        batch, day, hashes, *cells = body
        connection.autocommit = True  # without a round trip to begin and one to commit
        try:
            connection.execute(self._at_once, (batch, day, *cells, batch, day, hashes))
        finally:
            if not connection.closed:
                connection.autocommit = False

    def add(self, connection: Connection, cells: Counter[Cell]) -> None:
        connection.exec_driver_sql(self._all, tuple(map(_json, _rows(cells))))


def _json(value: Sequence[Any]) -> str:
    return to_json(value).decode()


def _rows(cells: Counter[Cell]) -> list[list[tuple[Any, ...]]]:
    """The rows of each kind."""
    rows: list[list[tuple[Any, ...]]] = [[] for _ in KINDS]
    for cell in sorted(cells):  # in key order: see body_of
        rows[int(cell[0])].append((*cell[1:], cells[cell]))
    return rows
