"""What surrounds every request: its ids, its headers, its line in the log, and that nothing it carried gets there.

Pure ASGI, the outermost layer. An exception that nobody caught ends here: it is logged by its type
and the place in our code, without its message, because a message may quote what the caller sent.
"""

import asyncio
import logging
import re
import secrets
import time
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import Problem
from app.exchange import KEY, Exchange
from app.logs import place_of
from app.metrics import Metrics
from app.request_log import LEFT, RequestLog
from app.tracing import Tracing, read_trace

log: Final = logging.getLogger("imdlens")

SAFE_ID: Final = re.compile(rb"[A-Za-z0-9._:-]{8,64}")
"""What an id of a caller's may be, to be mirrored."""
_UUID: Final = re.compile(rb"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_STORE: Final = (b"cache-control", b"no-store")
_POLICY: Final = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_OWN_ONLY: Final = (b"cross-origin-resource-policy", b"same-origin")
_NO_DEVICES: Final = (b"permissions-policy", b"camera=(), geolocation=(), microphone=()")
_HTTPS: Final = (b"strict-transport-security", b"max-age=31536000")

_Headers = tuple[tuple[bytes, bytes], ...]


def _headers(*, static: bool, page: bool, https: bool, stored: bool, governed: bool) -> _Headers:
    return (
        *_ALWAYS,
        # Style sheets serve cards in frames without an origin of their own, too.
        *(() if static else (_OWN_ONLY,)),
        *((_NO_DEVICES,) if page else ()),
        *((_HTTPS,) if https else ()),
        *(() if stored else (_STORE,)),
        *(() if governed else (_POLICY,)),
    )


# Made once: what is common to answers, by what they are and what the door itself has said.
_HEADERS: Final = {
    (static, page, https, stored, governed): _headers(
        static=static, page=page, https=https, stored=stored, governed=governed
    )
    for static in (False, True)
    for page in (False, True)
    for https in (False, True)
    for stored in (False, True)
    for governed in (False, True)
}


def refusal_headers(*, https: bool) -> _Headers:
    """What every problem has that is answered before its door is known."""
    return _HEADERS[False, False, https, False, False]


class RequestContext:
    """Mirrors or makes X-Request-ID, mirrors X-Correlation-ID, turns what escapes into a 500, and tells of each."""

    def __init__(self, app: ASGIApp, metrics: Metrics, request_log: RequestLog, tracing: Tracing) -> None:
        self.app, self.metrics, self.request_log, self.tracing = app, metrics, request_log, tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = correlation = b""
        traces: list[bytes] = []
        for name, value in scope["headers"]:
            if name == b"x-request-id" and SAFE_ID.fullmatch(value):
                request_id = value
            elif name == b"x-correlation-id" and SAFE_ID.fullmatch(value):
                correlation = value
            elif name == b"traceparent":
                traces.append(value)
        own_id = request_id or secrets.token_hex(16).encode()
        ids = [(b"x-request-id", own_id), *([(b"x-correlation-id", correlation)] if correlation else [])]
        exchange = scope[KEY] = Exchange()
        # An id that the caller chose is logged only as a UUID: anything else could be a patient's.
        known = own_id if not request_id or _UUID.fullmatch(request_id) else b"of the caller's own"
        exchange.shown_id = known.decode()
        if len(traces) == 1:  # of two nobody can say which is meant
            exchange.trace = read_trace(traces[0])
        status, error_type = LEFT, None

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *ids, *_common(scope, exchange, message["headers"])]
            await send(message)

        method = scope["method"]
        inner = {**scope, "method": "GET"} if method == "HEAD" else scope  # the server leaves the body out
        self.metrics.in_flight += 1
        try:
            await self.app(inner, receive, send_with_headers)
        except ClientDisconnect:
            pass  # nobody is there to answer
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # noqa: BLE001 - the last place to catch it: a panic of Rust's is no Exception
            error_type = type(error).__name__
            log.error("unhandled %s at %s, request %s", type(error).__name__, place_of(error), known.decode())
            if status == LEFT:
                await Problem(500).response(scope["path"])(inner, receive, send_with_headers)
        finally:
            self.metrics.in_flight -= 1
            seconds = time.perf_counter() - exchange.began
            self.metrics.answered(exchange, status, seconds)
            self.request_log.write(exchange, method, status, seconds)
            self.tracing.tell(exchange, method, status, seconds, error_type)


def _common(scope: Scope, exchange: Exchange, said: list[tuple[bytes, bytes]]) -> _Headers:
    """What every answer has, but for what its door said better."""
    stored = governed = False
    for name, _ in said:
        if name == b"cache-control":
            stored = True
        elif name == b"content-security-policy":
            governed = True
    door = exchange.door
    static = door is not None and door.name == "static"
    page = door is not None and (door.kind == "page" or door.name == "docs")
    return _HEADERS[static, page, scope["scheme"] == "https", stored, governed]
