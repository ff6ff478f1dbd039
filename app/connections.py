"""HTTP connections of `imdlens serve`: uvicorn's own, which also turn requests away before these cost anything.

A request that reaches the application has a task, a queue and a chain of calls of its own by then. Under four times the
load that can be served those alone would be more than the worker has. So an overloaded worker answers from here, while
the request's head is being parsed, with bytes that were made beforehand.

It rests on names inside uvicorn's protocol (`cycle`, `flow`, `headers`, `_start_asgi_task`); tests hold it to them.
"""

import re
import secrets
from asyncio import BaseTransport, TimerHandle
from collections.abc import Iterable
from itertools import count
from typing import Any, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.errors import Problem
from app.exchange import WHOLE
from app.limits import PROBES, WAITED, busy
from app.overload import Overload
from app.telemetry import refusal_headers

STATE: Final = "connections"
"""Where the application's lifespan state holds what connections are bounded by."""

_PROBES: Final = frozenset(path.encode() for path in PROBES)
_SAFE_ID: Final = re.compile(rb"[A-Za-z0-9._:-]{8,64}")
_SPARE: Final = 64  # connections over the limit that may still ask after the worker's health
_OTHER_FILES: Final = 128


def allow_connections(most: int) -> None:
    """Let this process, and those that it starts, hold as many files as so many connections need, where it may."""
    try:
        import resource
    except ImportError:  # there is no such limit on Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most + _SPARE + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
        )


class Bounds:
    """What the connections of one worker are bounded by. Made by the application, read by its connections."""

    def __init__(self, overload: Overload, most: int, head_seconds: float) -> None:
        """`most` connections; `head_seconds` from when a connection is free until it sent the head of a request."""
        self.overload, self.most, self.head_seconds = overload, most, head_seconds
        self._answers = {
            (path == "/fhir", close, https): [_parts(busy(turn), path, close=close, https=https) for turn in range(3)]
            for path in ("/", "/fhir")
            for close in (False, True)
            for https in (False, True)
        }
        self._turn = count()

    def refusal(
        self, headers: Iterable[tuple[bytes, bytes]], *, fhir: bool, close: bool, https: bool, head: bool
    ) -> bytes:
        """A whole answer to one who is turned away."""
        begin, end = self._answers[fhir, close, https][next(self._turn) % 3]
        request_id, correlation = b"", b""
        for name, value in headers:
            if name == b"x-request-id" and _SAFE_ID.fullmatch(value):
                request_id = value
            elif name == b"x-correlation-id" and _SAFE_ID.fullmatch(value):
                correlation = b"\r\nx-correlation-id: " + value
        made = request_id or secrets.token_hex(16).encode()
        return b"".join((begin, made, correlation, b"\r\n\r\n", b"" if head else end))


def _parts(problem: Problem, path: str, *, close: bool, https: bool) -> tuple[bytes, bytes]:
    """An answer in two parts, between which the request's id belongs."""
    response = problem.response(path)
    headers = [*response.raw_headers, *refusal_headers(https=https)]
    lines = [f"{name.decode()}: {value.decode()}" for name, value in headers]
    lines += ["Connection: close"] if close else []
    head = "\r\n".join(["HTTP/1.1 503 Service Unavailable", *lines, "x-request-id: "])
    return head.encode(), bytes(response.body)


class Connection(HttpToolsProtocol):
    """One connection of a client.

    While the worker is overloaded its requests are refused and it stays open: to open another costs both sides more
    than the refusal. It is closed when its client stays silent, or slow, where the head of a request is due.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._bounds = cast("Bounds | None", self.app_state.get(STATE))
        self._is_spare = False
        self._is_refused = False
        self._free_since = 0.0
        self._head_timer: TimerHandle | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        """A client connected."""
        super().connection_made(transport)  # type: ignore[arg-type]
        if (bounds := self._bounds) is None:
            return
        open_now = len(self.connections)
        if open_now > bounds.most + _SPARE:
            self.transport.abort()
            return
        self._is_spare = open_now > bounds.most  # good for one request, so that a probe still gets through
        self._free_since = self.loop.time()
        self._head_timer = self.loop.call_later(bounds.head_seconds, self._check_head)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        super().connection_lost(exc)

    def _check_head(self) -> None:
        """Close a connection that was free for too long without the head of a request. It costs no request anything."""
        bounds = self._bounds
        if bounds is None or self.transport.is_closing():
            return
        busy_now = self.cycle is not None and not self.cycle.response_complete
        left = bounds.head_seconds if busy_now else self._free_since + bounds.head_seconds - self.loop.time()
        if left <= 0:
            self.transport.abort()
        else:
            self._head_timer = self.loop.call_later(left, self._check_head)

    def on_message_begin(self) -> None:
        """A request begins."""
        self._is_refused = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head of a request is read: refuse it here, or serve it."""
        if (
            (bounds := self._bounds) is not None
            and (bounds.overload.refuses or self._is_spare)
            and (self.cycle is None or self.cycle.response_complete)  # else it has to wait for its turn to be answered
            and self.url.partition(b"?")[0] not in _PROBES
        ):
            self._refuse(bounds)
            return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Some of a request's body."""
        if not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is read to its end."""
        if self._is_refused:
            return
        super().on_message_complete()
        if self.cycle is not None and not self.cycle.more_body:
            self.cycle.scope[WHOLE] = True  # type: ignore[typeddict-unknown-key]

    def on_response_complete(self) -> None:
        """A request is answered to its end."""
        self._free_since = self.loop.time()
        super().on_response_complete()
        if self._is_spare and not self.transport.is_closing():
            self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if self._bounds is not None:
            self._bounds.overload.waiting += 1
            cycle.scope[WAITED] = True  # type: ignore[typeddict-unknown-key]
        super()._start_asgi_task(cycle, app)

    def _refuse(self, bounds: Bounds) -> None:
        bounds.overload.shed += 1
        self._is_refused = True
        self._free_since = self.loop.time()
        if self.flow.write_paused:  # a client that asks and does not read: its answers must not pile up
            self.transport.abort()
            return
        # One who waits to be told to send the body would not know whether to.
        close = self._is_spare or self.expect_100_continue or not self.parser.should_keep_alive()
        fhir = self.url.startswith(b"/fhir/") or self.url == b"/fhir"
        https, head = self.scheme == "https", self.parser.get_method() == b"HEAD"
        self.transport.write(bounds.refusal(self.headers, fhir=fhir, close=close, https=https, head=head))
        if close:
            self.transport.close()
