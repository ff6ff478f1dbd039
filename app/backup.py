"""A copy of the embedded store that can be kept elsewhere, and the way back from it.

Both go through SQLite alone. A copy of the file by other means may lack what is still in the log beside it, and a
process that opens and closes the file itself gives up the locks that it holds on it.
"""

import os
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple
from uuid import uuid4

from sqlalchemy import make_url

from app.access import key_store
from app.access.keeper import remembered
from app.access.keys import StoredKey
from app.counts.spool import SpoolError, alone
from app.database import connect_to_look, is_sqlite, open_to_look, schema_of

_IN_USE: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_SIDES: Final = ("-wal", "-shm")


class BackupError(Exception):
    """A copy that cannot be made or used; the message says why and what to do, and holds no password."""


class Copied(NamedTuple):
    """What a copy holds."""

    size: int
    months: int
    newest: str | None  # the newest month that is sealed


def back_up(store: Path, out: Path) -> Copied:
    """Copy a store that may be in use, whole and as of one moment. There is a sound copy at `out` then, or nothing."""
    if not store.is_file():
        raise BackupError(f"There is no store at {store}: nothing was ever counted here.")
    if out.exists() or out.is_symlink():
        raise BackupError(f"{out} is there already: a backup never takes the place of another.")
    with _fresh(out.parent) as fresh:
        with closing(_connect(store)) as source, closing(_connect(fresh)) as target:
            _copy(source, target)
        found = examine(fresh)
        _sync(fresh)
        try:
            os.link(fresh, out)
        except FileExistsError:
            raise BackupError(f"{out} is there already: a backup never takes the place of another.") from None
    _sync(out.parent)
    return found


def examine(copy: Path) -> Copied:
    """What a copy holds. BackupError where it is damaged, is no store, or is of a newer version of IMD Lens."""
    if not copy.is_file():
        raise BackupError(f"There is no file {copy}.")
    try:
        with closing(connect_to_look(copy)) as db:
            if db.execute("PRAGMA integrity_check").fetchone() != ("ok",):
                raise BackupError(f"{copy} is damaged: take an older backup.")
        engine = open_to_look(f"sqlite:///{copy}")
        state = schema_of(engine)
        if state == "none":
            raise BackupError(f"{copy} is no store of IMD Lens.")
        if state == "newer":
            raise BackupError(f"{copy} was made by a newer version of IMD Lens: install that first.")
        with closing(connect_to_look(copy)) as db:
            months = db.execute("SELECT count(*), max(CASE state WHEN 'sealed' THEN month END) FROM month").fetchone()
    except sqlite3.DatabaseError:
        raise BackupError(f"{copy} is not a SQLite database, or is damaged.") from None
    return Copied(copy.stat().st_size, *months)


def restore(copy: Path, store: Path, spool: Path, *, move_aside: bool) -> Path | None:
    """Put a copy in the place of the store; where the store of before is now. The service must be stopped.

    The copy is examined before anything is touched, and takes its place in one step.
    """
    examine(copy)
    if store.exists() and not move_aside:
        raise BackupError(f"There is a store at {store}: with --move-aside it is kept under another name.")
    store.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with alone(spool):
            return _put(copy, store)
    except SpoolError as error:
        raise BackupError(f"The service must be stopped first. {error}") from None


def _put(copy: Path, store: Path) -> Path | None:
    with _fresh(store.parent) as fresh:
        with closing(connect_to_look(copy)) as source, closing(_connect(fresh)) as target:
            _copy(source, target)
        if os.geteuid() == 0:  # whom the folder belongs to must be able to write it
            owner = store.parent.stat()
            os.chown(fresh, owner.st_uid, owner.st_gid)
        _sync(fresh)
        aside = _set_aside(store)
        fresh.replace(store)
    _sync(store.parent)
    return aside


def _set_aside(store: Path) -> Path | None:
    """Another name for the store that is there, and for what is left beside it: a log of it would spoil the next."""
    aside = store.with_name(f"{store.name}.before-{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid4().hex[:4]}")
    there = store.exists()
    if there:
        _settle(store)
        os.link(store, aside)
    for side in _SIDES:
        with suppress(FileNotFoundError):
            Path(f"{store}{side}").rename(f"{aside}{side}")
    return aside if there else None


def _settle(store: Path) -> None:
    """Bring what is in the log into the file. Only possible when nobody else has it open."""
    try:
        with closing(_connect(store)) as db:
            db.execute("PRAGMA journal_mode = DELETE").fetchone()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode in _IN_USE:
            raise BackupError(f"{store} is in use: stop the service first.") from None
        # A damaged one is kept as it is, with its log.


def _copy(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """All of one moment, as one file: writers go on meanwhile, and are not in it."""
    try:
        source.backup(target)
        target.execute("PRAGMA journal_mode = DELETE").fetchone()
    except sqlite3.DatabaseError as error:
        raise BackupError(f"The store could not be copied: {error.sqlite_errorname}.") from None


def _connect(file: Path) -> sqlite3.Connection:
    address = f"{file.absolute().as_uri()}?mode=rw"  # never makes a file
    return sqlite3.connect(address, uri=True, timeout=1, isolation_level=None)


@contextmanager
def _fresh(folder: Path) -> Iterator[Path]:
    """An empty file that only this user may read, gone at the end under this name."""
    fresh = folder / f".store-{uuid4().hex}"
    os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    try:
        yield fresh
    finally:
        fresh.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Be sure that it is on the disk. Never of a store that is in use: closing it would give up its locks."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# ------------------------------------------------------------------------------------------- after


def revived(store: Path, copy_of_keys: Path) -> list[StoredKey]:
    """Keys that a restored store takes for good and this host, when it last looked, did not: revoked since, perhaps."""
    known = remembered(copy_of_keys)
    if known is None:
        return []
    ids = {key.id for key in known}
    engine = open_to_look(f"sqlite:///{store}")
    if not is_sqlite(engine) or schema_of(engine) != "current":
        return []
    return [key for key in key_store.good_keys(engine)[1] if key.id not in ids]


# -------------------------------------------------------------------------------------- PostgreSQL


def pg_dump_command(url: str, out: Path) -> str:
    """What makes a backup of a store in PostgreSQL. No password is in it."""
    return f"umask 077; pg_dump --format=custom --file={shlex.quote(str(out))} {postgres_options(url)}"


def pg_restore_command(url: str, file: Path) -> str:
    """What restores such a backup into an empty database. No password is in it."""
    return (
        f"pg_restore --exit-on-error --single-transaction --no-owner {postgres_options(url)} {shlex.quote(str(file))}"
    )


def postgres_options(url: str) -> str:
    """Which database it is, as PostgreSQL's own programs are told. No password is in it."""
    parsed = make_url(url)
    # Of what libpq takes only these: the rest may hold a password, which PGPASSWORD or ~/.pgpass is for.
    host = parsed.host or parsed.query.get("host")
    named = {"host": host, "port": parsed.port, "username": parsed.username, "dbname": parsed.database}
    return " ".join(f"--{name}={shlex.quote(str(value))}" for name, value in named.items() if value)
