"""The database of counts: its engine, its metadata, and whether its schema is the one this version needs."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Literal

from sqlalchemy import Connection, Engine, MetaData, NullPool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

_SECONDS_TO_CONNECT: Final = 3
_MS_FOR_A_STATEMENT: Final = 5_000
_CONVENTION: Final = {"pk": "pk_%(table_name)s", "ix": "ix_%(table_name)s_%(column_0_name)s"}

metadata = MetaData(naming_convention=_CONVENTION)
"""Every table of this service; the packages that own them add theirs."""


class DatabaseError(Exception):
    """The database cannot be used as it is; the message says what to do, and holds no address or password."""


class DatabaseAwayError(DatabaseError):
    """Nobody answers at its address, or not as a database would."""


def open_engine(url: str, *, patient: bool = False) -> Engine:
    """An engine for SQLite or PostgreSQL. `patient` ones may take long: sealing, migrations.

    SQLite writes ahead and syncs at each commit, so that what was acknowledged survives a loss of power.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise DatabaseError("IMDLENS_DATABASE_URL is not a database address.") from None
    if parsed.get_backend_name() == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise DatabaseError("IMDLENS_DATABASE_URL must name a file: counts kept in memory are lost.")
        file = Path(parsed.database)
        engine = create_engine(
            parsed, connect_args={"timeout": 60 if patient else 5, "check_same_thread": False}, pool_timeout=5
        )
        event.listen(engine, "do_connect", lambda *_: make_private(file))
        event.listen(engine, "connect", _tune_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if parsed.get_backend_name() != "postgresql":
        raise DatabaseError("IMDLENS_DATABASE_URL must name SQLite or PostgreSQL.")
    options = "-c TimeZone=UTC"
    if not patient:
        options += f" -c statement_timeout={_MS_FOR_A_STATEMENT} -c idle_in_transaction_session_timeout=30000"
    arguments: dict[str, Any] = {
        "connect_timeout": _SECONDS_TO_CONNECT,
        "options": options,
        "application_name": "imdlens",
        # A host that vanished must be noticed in seconds, not when the kernel gives up.
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": _MS_FOR_A_STATEMENT,
    }
    return create_engine(
        parsed.set(drivername="postgresql+psycopg"),
        connect_args=arguments,
        pool_size=2,
        max_overflow=4,
        pool_timeout=5,
    )


def embedded_file(url: str) -> Path | None:
    """The file of an embedded database; None where the address is of another kind, or of none."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        return None
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


def open_to_look(url: str) -> Engine:
    """An engine that cannot change anything: the database refuses it. A file that is not there is not made."""
    if file := embedded_file(url):
        return create_engine("sqlite://", creator=lambda: connect_to_look(file), poolclass=NullPool)
    engine = open_engine(url)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("SET TRANSACTION READ ONLY"))
    return engine


def connect_to_look(file: Path) -> sqlite3.Connection:
    """A connection to a SQLite file that reads it and leaves nothing beside it. sqlite3.OperationalError."""
    # Nobody has a file open that has no log beside it, and whoever looked at it as usual would leave one there.
    how = "mode=ro" if Path(f"{file}-wal").exists() else "mode=ro&immutable=1"
    return sqlite3.connect(f"{file.absolute().as_uri()}?{how}", uri=True, timeout=5, check_same_thread=False)


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A connection within one transaction, which says at its beginning that it will write.

    Committed at the end, and rolled back by an exception.
    """
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection


def is_sqlite(bind: Engine | Connection) -> bool:
    """Whether this is the embedded database."""
    return bind.dialect.name == "sqlite"


def make_private(file: Path) -> None:
    """Make a file that only this user may read, unless it is there; what SQLite puts beside it is then as private.

    One that is there is not even opened: closing it would give up every lock that this process holds on it, and
    SQLite's with them. Another process would then take the file for unused, and both would write to it.
    """
    with suppress(OSError):  # whoever opens it next will say why it cannot be
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _tune_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say so
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # One that will write must say so at once: a reader that turns writer cannot wait for another, it fails.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


# ------------------------------------------------------------------------------------------ schema


def migrations() -> Path:
    """The folder of migrations: inside an installed wheel, or in a checkout."""
    installed = Path(__file__).parent / "migrations"
    return installed if installed.is_dir() else Path(__file__).parents[1] / "migrations"


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring the schema to a revision, the newest by default. Safe to run twice, and by two at once.

    DatabaseError where a newer version of IMD Lens made it.
    """
    from alembic import command
    from alembic.util import CommandError

    with writing(engine) as connection:
        _one_at_a_time(connection)
        try:
            command.upgrade(_alembic(connection), revision)
        except CommandError:  # it names a revision that is not here
            raise DatabaseError("The database was made by a newer version of IMD Lens.") from None


def downgrade(engine: Engine, revision: str) -> None:
    """Bring the schema back to an older revision; `base` removes every table, and all counts with it."""
    from alembic import command

    with writing(engine) as connection:
        _one_at_a_time(connection)
        command.downgrade(_alembic(connection), revision)


def _one_at_a_time(connection: Connection) -> None:
    if not is_sqlite(connection):  # where who writes has the whole database
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(727733)")


def check_schema(engine: Engine) -> None:
    """DatabaseError unless the schema is exactly the one that this version was written for."""
    state = schema_of(engine)
    if state != "current":
        raise DatabaseError(
            "The database was made by a newer version of IMD Lens."
            if state == "newer"
            else "The database has no tables of IMD Lens yet, or older ones: run `imdlens db upgrade`."
        )


def schema_of(engine: Engine) -> Literal["none", "older", "current", "newer"]:
    """How the schema stands to the one that this version was written for."""
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    with engine.connect() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    if found is None:
        return "none"
    if found == ScriptDirectory(str(migrations())).get_current_head():
        return "current"
    return "older" if found in _known_revisions() else "newer"


def _known_revisions() -> set[str]:
    from alembic.script import ScriptDirectory

    return {script.revision for script in ScriptDirectory(str(migrations())).walk_revisions()}


def _alembic(connection: Connection) -> Any:
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(migrations()).replace("%", "%%"))
    return config
