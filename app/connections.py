"""HTTP connections of `imdlens serve`: uvicorn's own, which also turn requests away before these cost anything.

A request that reaches the application has a task, a queue and a chain of calls of its own by then. Under four times the
load that can be served those alone would be more than the worker has. So an overloaded worker answers from here, while
the request's head is being parsed, with bytes that were made beforehand.

What uvicorn leaves open is closed here as well: heads without end, headers after the body, answers that nobody reads,
and bodies of requests that would rather speak another protocol.

It rests on names inside uvicorn's protocol (`cycle`, `flow`, `headers`, `parser`, `_start_asgi_task`); tests hold it to
them.
"""

import secrets
import sys
from asyncio import BaseTransport, TimerHandle
from collections.abc import Iterable
from fcntl import ioctl
from itertools import count
from termios import TIOCOUTQ
from typing import Any, Final, cast

import httptools
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.errors import Problem
from app.exchange import WHOLE
from app.limits import PROBES, WAITED, busy
from app.overload import Overload
from app.telemetry import SAFE_ID, refusal_headers

STATE: Final = "connections"
"""Where the application's lifespan state holds what connections are bounded by."""

_PROBES: Final = frozenset(path.encode() for path in PROBES)
_SPARE: Final = 64  # connections over the limit that may still ask after the worker's health
_OTHER_FILES: Final = 128
_LONGEST_HEAD: Final = 64 * 2**10
_AROUND_A_HEADER: Final = len(": \r\n")
_LEAST_READ: Final = 4096  # bytes a second that a client must read of an answer that waits for it
_UPGRADING: Final = frozenset({b"upgrade", b"http2-settings"})


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
            if name == b"x-request-id" and SAFE_ID.fullmatch(value):
                request_id = value
            elif name == b"x-correlation-id" and SAFE_ID.fullmatch(value):
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
        self._is_head = True
        self._got_on = False
        self._head_bytes = 0
        self._head_length = 0
        self._unread: int | None = None

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
        self._head_timer = self.loop.call_later(bounds.head_seconds, self._check)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        super().connection_lost(exc)

    def _check(self) -> None:
        """Close a connection whose client owes a head, or does not read its answer. It costs no request anything."""
        bounds = self._bounds
        if bounds is None:
            return
        if self._is_unread(bounds.head_seconds):
            self.transport.abort()
            return
        busy_now = self.transport.is_closing() or (self.cycle is not None and not self.cycle.response_complete)
        left = bounds.head_seconds if busy_now else self._free_since + bounds.head_seconds - self.loop.time()
        if left <= 0:
            self.transport.abort()
        else:
            self._head_timer = self.loop.call_later(left, self._check)

    def _is_unread(self, seconds: float) -> bool:
        """Whether a client read next to nothing, since this was last asked, of an answer that waits for it."""
        before, self._unread = self._unread, None
        if self.flow.write_paused or self.transport.is_closing():
            self._unread = self.transport.get_write_buffer_size() + self._left_in_the_kernel()
        if before is None or self._unread is None:
            return False
        return self._unread > before - _LEAST_READ * seconds

    def _left_in_the_kernel(self) -> int:
        # Some megabytes may be there: without them a slow client would seem to read nothing for a long time.
        try:
            left = ioctl(self.transport.get_extra_info("socket").fileno(), TIOCOUTQ, bytes(4))
        except (OSError, AttributeError):
            return 0
        return int.from_bytes(left, sys.byteorder)

    def resume_writing(self) -> None:
        """The client read on."""
        self._unread = None
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Some bytes of a client."""
        self._unset_keepalive_if_required()
        self._got_on = False
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._go_on(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError:
            if self._head_length > _LONGEST_HEAD:
                self._refuse_head()
                return
            self.logger.warning("Invalid HTTP request received.")
            self.send_400_response("Invalid HTTP request received.")
            return
        # Neither a head nor what follows a body is kept whole by the parser for longer than this.
        self._head_bytes = 0 if self._got_on else self._head_bytes + len(data)
        if self._head_bytes > _LONGEST_HEAD:
            self._refuse_head()

    def _go_on(self, rest: bytes) -> None:
        """Read a request that asks for another protocol (a WebSocket, h2c) as if it did not, its body too.

        The parser believes that another protocol follows, and would take the body for the next request.
        """
        head = [self.parser.get_method(), b" ", self.url, b" HTTP/", self.parser.get_http_version().encode(), b"\r\n"]
        for name, value in self.headers:
            if name == b"connection":
                value = b", ".join(part for part in value.split(b",") if part.strip().lower() not in _UPGRADING)
            if name not in _UPGRADING:
                head += [name, b": ", value, b"\r\n"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.data_received(b"".join([*head, b"\r\n", rest]))

    def _is_upgrade(self) -> bool:
        # CONNECT is no upgrade that could be left out, and no address of ours.
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"

    def on_message_begin(self) -> None:
        """A request begins."""
        self._is_refused = False
        self._is_head = True
        self._head_length = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Some of a request's address."""
        self._head_length += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header. One that comes after the body is none: proxies look at heads alone, and so do we."""
        if self._is_head:
            self._head_length += len(name) + len(value) + _AROUND_A_HEADER
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head of a request is read: refuse it here, or serve it."""
        self._is_head, self._got_on = False, True
        # One that comes all at once, with its end, was never seen unfinished. An error ends the parsing.
        if self._head_length > _LONGEST_HEAD:
            raise ValueError("a head too long")
        if self._is_upgrade():
            return
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
        self._got_on = True
        if not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is read to its end."""
        self._got_on = True
        if self._is_refused or self._is_upgrade():
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
        super()._start_asgi_task(cycle, _closing(cycle, app) if cycle.waiting_for_100_continue else app)

    def _refuse_head(self) -> None:
        """Answer 431 where nothing else is being answered, and hang up."""
        if self.cycle is None or self.cycle.response_complete:
            response = Problem(431).response("/")
            lines = [f"{name}: {value}" for name, value in dict(response.headers).items()]
            head = "\r\n".join(["HTTP/1.1 431 Request Header Fields Too Large", *lines, "Connection: close"])
            self.transport.write(head.encode() + b"\r\n\r\n" + bytes(response.body))
            self.transport.close()
        else:
            self.transport.abort()

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


def _closing(cycle: RequestResponseCycle, app: ASGIApp) -> Any:
    """The application for a client that waits to be told to send its body.

    Answered without having been told to, it may send its next request where we would read the body: so nothing more is
    read from it.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_and_close(message: Message) -> None:
            if cycle.waiting_for_100_continue:
                cycle.keep_alive = False
            await send(message)

        await app(scope, receive, send_and_close)

    return answer
