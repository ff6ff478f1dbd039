"""Keeps a worker's ring of keys as the database has it: a thread that looks several times a second.

What it found is kept on disk too, so that a service which starts while the database is away knows its callers. The
copy holds hashes, and is believed for as long as a running worker would believe its own.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

from pydantic import TypeAdapter
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from app.access import key_store
from app.access.keys import KeyRing, StoredKey
from app.database import DatabaseError

log: Final = logging.getLogger("imdlens")

# A revoked key must be refused everywhere within a second.
POLL_SECONDS: Final = 0.3
_WRITE_SECONDS: Final = 30
_COPY: Final = TypeAdapter(list[StoredKey])


def remembered(copy: Path) -> list[StoredKey] | None:
    """The keys of a copy, however old; None where there is none yet, or one that is not ours."""
    try:
        return _COPY.validate_json(copy.read_bytes())
    except (OSError, ValueError):
        return None


class KeyKeeper:
    """Reads keys anew when their version changed, and writes down when they were last used."""

    def __init__(self, ring: KeyRing, open_engine: Callable[[], Engine], copy: Path) -> None:
        """`copy`: the file that what was found is kept in."""
        self._ring, self._open, self._copy = ring, open_engine, copy
        self._engine: Engine | None = None
        self._version: int | None = None
        self._away = False
        self._kept = True
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keys", daemon=True)

    def start(self) -> None:
        """Read the keys once, then keep looking. Blocks for as long as the database takes to answer or to fail."""
        self.look()
        if self._away:
            self._remember()
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and write down what is left to be written."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=10)
        self._write()
        if self._engine is not None:
            self._engine.dispose()

    def look(self) -> None:
        """Look once."""
        seen = time.monotonic()  # before the question: the answer may take long
        try:
            if self._engine is None:
                self._engine = self._open()
            found = key_store.version(self._engine)
            if found == self._version:
                self._ring.confirm(seen)
            else:
                self._version, keys = key_store.good_keys(self._engine)
                self._ring.replace(keys, seen)
                self._keep(keys)
        except (SQLAlchemyError, DatabaseError, OSError) as error:
            if not self._away:
                log.error("keys cannot be read, those known are believed for a while: %s", type(error).__name__)
            self._away = True
            self._version = None  # what comes back may be a backup, whose numbers mean other keys
        else:
            if self._away:
                log.info("keys can be read again")
            self._away = False

    def _run(self) -> None:
        written = time.monotonic()
        while not self._stopping.wait(POLL_SECONDS):
            try:
                self.look()
                if time.monotonic() - written >= _WRITE_SECONDS:
                    written = time.monotonic()
                    self._write()
                    if not self._away:
                        self._keep(self._ring.stored())
            except Exception as error:  # noqa: BLE001 - without this thread no key could be revoked any more
                log.error("looking after keys failed: %s", type(error).__name__)

    def _write(self) -> None:
        """Write down when keys were used. What cannot be written now is kept for the next time."""
        used, renewed = self._ring.used, self._ring.renewed
        if self._engine is None or self._away or not (used or renewed):
            return
        self._ring.used, self._ring.renewed = {}, {}
        try:
            key_store.write_use(self._engine, used, renewed)
        except (SQLAlchemyError, DatabaseError) as error:
            log.error("when keys were used could not be written down: %s", type(error).__name__)
            self._ring.used = {**used, **self._ring.used}
            self._ring.renewed = {**renewed, **self._ring.renewed}

    # ---- the copy on disk; its time of change says when the keys were last confirmed

    def _keep(self, keys: list[StoredKey]) -> None:
        """Write the copy, whole each time: one that could not be written must grow old, not be confirmed unread."""
        fresh = self._copy.with_name(f".keys-{uuid4().hex}")
        try:
            fresh.touch(mode=0o600)
            fresh.write_bytes(_COPY.dump_json(keys))
            fresh.replace(self._copy)
        except OSError as error:  # a start without the database will have to wait for it
            if self._kept:
                log.error("keys could not be copied to disk: %s", type(error).__name__)
            self._kept = False
            with suppress(OSError):
                fresh.unlink(missing_ok=True)
        else:
            self._kept = True

    def _remember(self) -> None:
        keys = remembered(self._copy)
        try:
            age = time.time() - self._copy.stat().st_mtime
        except OSError:
            return
        if keys is not None and age >= 0:  # of a copy from the future nobody can say how old it is
            self._ring.replace(keys, time.monotonic() - age)
