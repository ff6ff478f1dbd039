"""One line for each answered request: who, through which door, with which scope, how many records, how long.

The same line is the audit log. It never holds what was asked about: no postcode, no answer, no address, no query.
"""

import logging
import os
import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

from pydantic_core import to_json

from app import logs
from app.exchange import Exchange

log: Final = logging.getLogger("imdlens")

FIELDS: Final[Mapping[str, str]] = {
    "time": "UTC, ISO 8601, to the millisecond: when the answer had been sent",
    "level": "`info`; `error` from status 500",
    "event": "`request`",
    "pid": "process id of the worker",
    "door": "name of the door, never the address; `none` where there is no such door",
    "method": "HTTP method; `other` for one that is not common",
    "status": "HTTP status; 499 where the caller left before the answer",
    "ms": "milliseconds from the request's head to the end of the answer",
    "client": "name of the client whose proof was good; null without one",
    "key": "id of the key that the proof rests on; null without one. Not the key",
    "user": "keyed hash of the user whom a listed proxy vouched for; null otherwise",
    "proof": "kind of proof: `key`, `token`, `hook`, `session` or `proxy`; null without one",
    "scope": "scope that the door asks for; null where it asks for none",
    "refused": "why the door stayed closed: `credential`, `key`, `session`, `address`, `scope`, `token_…` and a word of"
    " docs/tokens.md; else null. No caller is told",
    "cut": "why a stream's answer ended before it was whole: `proof` (a key revoked, a time over), `slow` (no more"
    " of the body came), `left` (the caller did), `stopped` (the worker), `fault`; else null",
    "records": "how many records were answered about",
    "request_id": "the request's id if it was made here or is a UUID, else `of the caller's own`",
    "trace_id": "trace of the caller's `traceparent`; null without a good one",
}
"""Every field of a request's line, in order."""

METHODS: Final = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"})
LEFT: Final = 499
"""The status of a request whose caller left before the answer; no such answer is ever sent."""
_AUDITED: Final = frozenset({"data", "page", "operations"})
_LOOK_SECONDS: Final = 1.0


class RequestLog:
    """Writes the lines: all but those of probes to the error stream, those of doors that answer callers to a file."""

    def __init__(self, audit: "AuditFile | None" = None) -> None:
        self.audit = audit

    def write(self, exchange: Exchange, method: str, status: int, seconds: float) -> None:
        """Write the line of one request."""
        door, caller, failed = exchange.door, exchange.caller, status >= 500
        if door is not None and door.kind == "probe" and not failed:
            return
        # Parts, most of them written before: as one object it would cost a tenth of a small request. Numbers, and the
        # ids that are put in here, hold nothing that JSON would have to escape.
        what = _what(
            os.getpid(), failed, door.name if door else "none", method if method in METHODS else "other", status
        )
        who = _who(caller.name, exchange.key_id) if caller else _who(None, exchange.key_id)
        how = _how(caller.proof if caller else None, door.scope if door else None, exchange.refused, exchange.cut)
        user = f'"{exchange.user}"' if exchange.user else "null"
        trace = f'"{exchange.trace.trace_id}"' if exchange.trace else "null"
        line = (
            f'{{"time":"{logs.moment()}",{what},"ms":{seconds * 1000:.1f},{who},"user":{user},{how},'
            f'"records":{exchange.records},"request_id":"{exchange.shown_id}","trace_id":{trace}}}\n'
        ).encode()
        if self.audit is not None and door is not None and door.kind in _AUDITED:
            self.audit.write(line)  # first: the other may be read by nobody
        logs.write(line)


@lru_cache(maxsize=1024)
def _what(pid: int, failed: bool, door: str, method: str, status: int) -> str:
    level = "error" if failed else "info"
    return _members(level=level, event="request", pid=pid, door=door, method=method, status=status)


@lru_cache(maxsize=1024)
def _who(client: str | None, key: str | None) -> str:
    return _members(client=client, key=key)


@lru_cache(maxsize=256)
def _how(proof: str | None, scope: str | None, refused: str | None, cut: str | None) -> str:
    return _members(proof=proof, scope=scope, refused=refused, cut=cut)


def _members(**fields: str | int | None) -> str:
    return to_json(fields).decode()[1:-1]


class AuditFile:
    """A file that several workers append to, one write a line; opened anew when it was moved away or taken away."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1
        self._known: tuple[int, int] | None = None
        self._looked = 0.0
        self._torn = False
        self.failing = False
        """Whether the last line could not be written."""

    def open(self) -> None:
        """Open the file, and make it if it is not there. OSError."""
        self.close()
        # O_NONBLOCK: a pipe that nobody reads would stop the worker here. To a file it means nothing.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        self._file = os.open(self._path, flags, 0o600)
        found = os.fstat(self._file)
        self._known, self._looked = (found.st_dev, found.st_ino), time.monotonic()

    def reopen(self) -> None:
        """Open it anew with the next line."""
        self._looked = 0.0
        self._known = None

    def write(self, line: bytes) -> None:
        """Append a line. What goes wrong is told once and kept in `failing`; it fails no answer."""
        try:
            if time.monotonic() - self._looked >= _LOOK_SECONDS:
                self._look()
            if self._torn:  # a full disk took a part of a line: what follows must not be glued to it
                line = b"\n" + line
            written = os.write(self._file, line)
            self._torn = written != len(line)
        except OSError as error:
            self._fail(error)
            return
        if self._torn:
            self._fail(OSError())
        elif self.failing:
            self.failing = False
            log.warning("the audit file can be written again; the lines between are missing")

    def _fail(self, error: OSError) -> None:
        if not self.failing:
            log.error("the audit file cannot be written: %s", type(error).__name__)
        self.failing = True

    def _look(self) -> None:
        self._looked = time.monotonic()
        try:
            found = self._path.stat()
            there = (found.st_dev, found.st_ino)
        except FileNotFoundError:
            there = None
        if there is None or there != self._known:
            self.open()

    def close(self) -> None:
        """Let go of the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
