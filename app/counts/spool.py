"""Where a host keeps batches while the database is away: on its own disk, each with the id it would have had.

One SQLite file a host, shared by its workers, on a volume that outlives the process. A batch is kept as a sum for
contacts without a key and one by one for those with a key, since a key may have been counted by another host.
"""

import fcntl
import json
import os
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any, Final, NamedTuple
from uuid import uuid4

from app.counts.cells import Cell
from app.counts.store import Batch, Event
from app.database import connect_to_look, make_private

_FILE: Final = "spool.sqlite"


class SpoolError(Exception):
    """The spool's disk is full, or its folder cannot be written."""


class Spool:
    """The spool of one host. Methods raise SpoolError, and only that."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            make_private(self._path)
            self._here = (folder / "workers.lock").open("w")
        except OSError as error:
            raise SpoolError(f"{folder}: {error.strerror}") from None
        try:
            self.host = self._set_up()
        except SpoolError:
            self._here.close()
            raise

    def _set_up(self) -> str:
        with self._open() as db:
            db.execute("CREATE TABLE IF NOT EXISTS host (id TEXT NOT NULL)")
            db.execute(
                "CREATE TABLE IF NOT EXISTS entry (place INTEGER PRIMARY KEY, batch TEXT UNIQUE, body TEXT NOT NULL,"
                " at INTEGER NOT NULL, aside INTEGER NOT NULL DEFAULT 0)"
            )
            db.execute("CREATE TABLE IF NOT EXISTS edition (year INTEGER PRIMARY KEY, edition TEXT NOT NULL)")
            # One statement, so that of two workers that start together only one names the host.
            db.execute("INSERT INTO host SELECT ? WHERE NOT EXISTS (SELECT 1 FROM host)", (uuid4().hex,))
            # What an older version could not deliver, this one may.
            db.execute("UPDATE entry SET aside = 0 WHERE aside")
            return str(db.execute("SELECT id FROM host").fetchone()[0])

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        # Opened anew each time: nothing is spooled when all is well, and a connection that saw a full disk
        # is not worth keeping.
        try:
            with closing(sqlite3.connect(self._path, timeout=2, isolation_level=None)) as db:
                db.execute("PRAGMA journal_mode = WAL")
                db.execute("PRAGMA synchronous = FULL")
                db.execute("PRAGMA secure_delete = ON")  # what was delivered leaves nothing in the file
                yield db
        except sqlite3.Error as error:
            raise SpoolError(type(error).__name__) from None

    def editions(self) -> dict[int, str]:
        """The edition of each financial year that this host has met: it never changes once it is fixed."""
        with self._open() as db:
            return dict(db.execute("SELECT year, edition FROM edition").fetchall())

    def remember_edition(self, year: int, edition: str) -> None:
        """Keep a year's edition, so that contacts can be placed while the database is away."""
        with self._open() as db:
            db.execute("INSERT OR REPLACE INTO edition VALUES (?, ?)", (year, edition))

    def put(self, batch: Batch) -> None:
        """Keep a batch; when this returns it is on the disk."""
        statement = "INSERT OR IGNORE INTO entry (batch, body, at) VALUES (?, ?, ?)"
        with self._open() as db:
            db.execute(statement, (batch.id, _write(batch), int(time.time())))

    def oldest(self) -> Batch | None:
        """The batch that has waited longest, but for those set aside."""
        while True:
            with self._open() as db:
                found = db.execute("SELECT batch, body FROM entry WHERE NOT aside ORDER BY place LIMIT 1").fetchone()
            if not found:
                return None
            try:
                return _read(*found)
            except (ValueError, TypeError, LookupError):  # the disk changed it
                self.set_aside(found[0])

    def set_aside(self, batch: str) -> None:
        """Let a batch that cannot be delivered not hold up the others. It stays until the next start."""
        with self._open() as db:
            db.execute("UPDATE entry SET aside = 1 WHERE batch = ?", (batch,))

    def waiting(self) -> tuple[int, int | None]:
        """How many batches wait, those set aside too, and when the oldest was put here, in seconds since 1970."""
        with self._open() as db:
            count, oldest = db.execute("SELECT count(*), min(at) FROM entry").fetchone()
        return count, oldest

    def remove(self, batch: str) -> None:
        """Forget a batch that is in the database."""
        with self._open() as db:
            db.execute("DELETE FROM entry WHERE batch = ?", (batch,))

    def __len__(self) -> int:
        return self.waiting()[0]

    def join(self) -> None:
        """Be one of the host's workers, for `is_last`. Waits while a last one is leaving.

        Not before this worker serves: one that is stopped while it starts never says that it leaves.
        """
        fcntl.flock(self._here, fcntl.LOCK_SH)

    def is_keeper(self) -> bool:
        """Whether this worker is the one of the host that delivers; the first to ask is, until its process ends."""
        if not hasattr(self, "_keeper"):
            self._keeper: IO[str] = (self._folder / "keeper.lock").open("w")
        return _locked(self._keeper)

    def is_last(self) -> bool:
        """Whether no other worker of the host has joined; none can any more before this one ends."""
        return _locked(self._here)

    def close(self) -> None:
        """Let go of the host's locks."""
        self._here.close()
        if hasattr(self, "_keeper"):
            self._keeper.close()


class Waits(NamedTuple):
    """What is on a host's disk: batches that wait, batches set aside, and when the oldest was put there."""

    waiting: int
    aside: int
    oldest: int | None


def look(folder: Path) -> Waits | None:
    """What waits, without being a worker and without leaving anything; None where there is no spool yet. SpoolError."""
    file = folder / _FILE
    if not file.exists():
        return None
    try:
        with closing(connect_to_look(file)) as db:
            ask = "SELECT coalesce(sum(NOT aside), 0), coalesce(sum(aside), 0), min(at) FROM entry"
            return Waits(*db.execute(ask).fetchone())
    except sqlite3.Error as error:
        raise SpoolError(type(error).__name__) from None


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """No worker of this host while this lasts: one that starts meanwhile waits. SpoolError where there is one."""
    if not folder.is_dir():  # no worker ever began here
        yield
        return
    try:
        here = (folder / "workers.lock").open("w")
    except OSError as error:
        raise SpoolError(f"{folder}: {error.strerror}") from None
    with here:
        if not _locked(here):
            raise SpoolError("A worker is running.")
        yield


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _write(batch: Batch) -> str:
    return json.dumps(
        {
            "unkeyed": [[*place, [[list(c), n] for c, n in cells.items()]] for place, cells in batch.unkeyed.items()],
            "keyed": [[list(event.hashes), [list(c) for c in event.cells]] for event in batch.keyed],
        }
    )


def _read(batch: str, body: str) -> Batch:
    found: dict[str, Any] = json.loads(body)
    unkeyed: dict[tuple[str, str], Counter[Cell]] = defaultdict(Counter)
    for month, edition, cells in found["unkeyed"]:
        unkeyed[month, edition] = Counter({tuple(cell): n for cell, n in cells})
    keyed = [Event([tuple(c) for c in cells], tuple(hashes)) for hashes, cells in found["keyed"]]
    return Batch(batch, unkeyed, keyed)


def secret_of(folder: Path) -> bytes:
    """The secret of an embedded store, made at first use: 32 random bytes that only this user may read."""
    path = folder / "secret"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        fresh = folder / f".secret-{uuid4().hex}"
        fresh.touch(mode=0o600)
        with fresh.open("wb") as file:
            file.write(os.urandom(32))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, path)  # of two workers that start together one wins, and both read the same
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return path.read_bytes()
