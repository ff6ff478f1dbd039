"""Lines on the error stream: one JSON object each, of fields that are named here, and never a value of a request.

What we say ourselves is constants, numbers and names of types, so it is written as it is. Of another library's
record only its logger, its level and the type of its exception are written: its message may quote a request.
"""

import asyncio
import errno
import faulthandler
import logging
import logging.config
import os
import select
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final

from pydantic_core import to_json

log: Final = logging.getLogger("imdlens")

FIELDS: Final[Mapping[str, str]] = {
    "time": "UTC, ISO 8601, to the millisecond",
    "level": "`info`, `warning`, `error` or `critical`",
    "event": "what happened: a sentence of ours, `request` for an answered request, `library` for another's record",
    "pid": "process id of the worker",
    "logger": "with another library's record: which logger",
    "error": "with another library's record: the type of its exception",
    "errno": "with another library's record: the name of the system's error, as `EADDRINUSE`",
}
"""Every field of a line that is not about a request."""

# The handler, by this name, so that each process that a server starts sets it up for itself.
CONFIG: Final[dict[str, Any]] = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"lines": {"()": "app.logs.begin"}},
    "root": {"handlers": ["lines"], "level": "WARNING"},
    "loggers": {
        "imdlens": {"level": "INFO"},
        "uvicorn": {"handlers": [], "level": "INFO", "propagate": True},
        "uvicorn.error": {"handlers": [], "level": "INFO", "propagate": True},
        "uvicorn.access": {"handlers": [], "level": "CRITICAL", "propagate": False},  # it quotes addresses
    },
}

# What the server says of itself, told by its beginning, in words of ours.
_KNOWN: Final = (
    ("Started parent process", "the service starts"),
    ("Started server process", "a worker starts"),
    ("Application startup complete", "a worker is ready"),
    ("Application startup failed", "a worker could not start"),
    ("Child process", "a worker ended unasked"),
    ("Terminated child process", "a worker was asked to end"),
    ("Received SIG", "a signal was received"),
    ("Finished server process", "a worker ended"),
    ("Stopping parent process", "the service ended"),
    ("Cancel ", "requests were cut off at the end of the time to stop"),
    ("Error loading ASGI app", "the application could not be loaded"),
    ("Invalid HTTP request received", "something came that is not HTTP"),
    ("Exception in ASGI application", "an exception left the application"),
    ("ASGI callable returned without completing response", "an answer was cut off"),
)

_stream = -1
_lost = 0
_second, _prefix = 0, ""


def moment() -> str:
    """Now, as every line has it."""
    global _second, _prefix
    now = time.time()
    second = int(now)
    if second != _second:  # the one part of a line that is dear to make
        _second, _prefix = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
    return f"{_prefix}.{int((now - second) * 1000):03d}Z"


def write(line: bytes) -> None:
    """Write a line where lines are configured; nowhere else. A stream that is full or gone fails nobody.

    A pipe that nobody reads would stop the worker, and with it the decile on every screen. So what it has no room for
    is lost, and how many lines that were is the first thing that is written when there is room again.
    """
    global _lost
    if _stream < 0:
        return
    try:
        if not select.select((), (_stream,), (), 0)[1]:  # a file always has room, a pipe while it takes a page
            _lost += 1
            return
        if _lost:
            event = f"{_lost} lines were lost while nobody read them"
            _lost = 0
            fields = {"time": moment(), "level": "warning", "event": event, "pid": os.getpid()}
            os.write(_stream, to_json(fields) + b"\n")
        os.write(_stream, line)
    except OSError:
        pass  # there is no better place to say so


def place_of(error: BaseException) -> str:
    """Where in our code an exception arose, without what it says."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "/app/" in f.filename]
    return f"{frames[-1].filename.rsplit('/app/', 1)[1]}:{frames[-1].lineno}" if frames else "an unknown place"


def fields_of(record: logging.LogRecord) -> dict[str, Any] | None:
    """A record as the fields of a line; None where it is not worth one."""
    fields: dict[str, Any] = {"time": moment(), "level": record.levelname.lower(), "event": "library"}
    fields["pid"] = os.getpid()
    if record.name == "imdlens":
        fields["event"] = record.getMessage()
        return fields
    said = record.msg if isinstance(record.msg, str) else ""
    known = next((ours for theirs, ours in _KNOWN if said.startswith(theirs)), None)
    if known is not None and record.name == "uvicorn.error":
        fields["event"] = known
    elif record.levelno < logging.WARNING:
        return None
    fields["logger"] = record.name
    error = record.exc_info[1] if record.exc_info else record.msg
    if isinstance(error, BaseException):
        fields["error"] = type(error).__name__
        if isinstance(error, OSError) and error.errno is not None and error.errno in errno.errorcode:
            fields["errno"] = errno.errorcode[error.errno]
    return fields


class LineHandler(logging.Handler):
    """Writes each record as a line."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, or leave it out."""
        try:
            if (fields := fields_of(record)) is not None:
                write(to_json(fields) + b"\n")
        except Exception:  # noqa: BLE001 - a message whose placeholders do not fit: logging would print its arguments
            write(to_json({"time": moment(), "level": "error", "event": "a record could not be written"}) + b"\n")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Say nothing: what logging would print holds the record's arguments."""


def begin() -> LineHandler:
    """The handler, and with it what is done with errors that nobody caught: their type and place are told, no more."""
    global _stream
    _stream = 2
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_a_thread
    sys.unraisablehook = _unraisable
    if not faulthandler.is_enabled():
        faulthandler.enable()  # should the interpreter itself crash: files and line numbers, no values
    _leave_no_core()
    logging.captureWarnings(capture=True)
    handler = LineHandler()
    logging.lastResort = handler  # what no handler takes, as of a logger cut off, would be written with its message
    return handler


def _leave_no_core() -> None:
    """A core holds the memory of a process, and so the requests that it served: none is written when it crashes."""
    try:
        import resource
    except ImportError:  # there are no cores on Windows
        return
    # One byte, not none: Linux pipes a core to a collector whatever the limit is, except where it is 1.
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (1 if hard == resource.RLIM_INFINITY else min(1, hard), hard))


def configure() -> None:
    """Write lines from now on, in this process. `imdlens serve` does; under another server call it before the app."""
    logging.config.dictConfig(CONFIG)


def watch_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Tell errors of callbacks and tasks by type and place: the loop's own way is a whole traceback."""
    loop.set_exception_handler(_in_the_loop)


def _uncaught(_: type[BaseException], error: BaseException, __: TracebackType | None) -> None:
    if not isinstance(error, KeyboardInterrupt):
        log.critical("uncaught %s at %s", type(error).__name__, place_of(error))


def _uncaught_in_a_thread(about: threading.ExceptHookArgs) -> None:
    error = about.exc_value
    if error is not None and not isinstance(error, SystemExit):
        log.critical("uncaught %s at %s, in a thread", type(error).__name__, place_of(error))


def _unraisable(about: "sys.UnraisableHookArgs") -> None:
    error = about.exc_value
    if error is not None:
        log.error("%s at %s could not be raised", type(error).__name__, place_of(error))


def _in_the_loop(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    if isinstance(error, BaseException):
        log.error("%s at %s in the event loop", type(error).__name__, place_of(error))
    else:
        log.error("the event loop has something to complain of")
