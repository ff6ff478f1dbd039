"""What surrounds every request: its ids, and that nothing it carried gets into a log.

Pure ASGI, the outermost layer. An exception that nobody caught ends here: it is logged by its type
and the place in our code, without its message, because a message may quote what the caller sent.
"""

import logging
import re
import secrets
import traceback
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import Problem
from app.exchange import KEY, Exchange

log: Final = logging.getLogger("imdlens")

_SAFE_ID: Final = re.compile(rb"[A-Za-z0-9._:-]{8,64}")
_UUID: Final = re.compile(rb"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_FIXED: Final = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]


class RequestContext:
    """Mirrors or makes X-Request-ID, mirrors X-Correlation-ID, and turns what escapes into a 500."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = [(b"x-request-id", b""), *_FIXED]
        request_id = b""
        for name, value in scope["headers"]:
            if name == b"x-request-id" and _SAFE_ID.fullmatch(value):
                request_id = value
            elif name == b"x-correlation-id" and _SAFE_ID.fullmatch(value):
                headers.append((b"x-correlation-id", value))
        headers[0] = (b"x-request-id", request_id or secrets.token_hex(16).encode())
        scope[KEY] = Exchange(headers[0][1])
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                own = any(name == b"cache-control" for name, _ in message["headers"])
                message["headers"] = [*message["headers"], *(headers if not own else _without_caching(headers))]
            await send(message)

        if scope["method"] == "HEAD":  # answered as GET; the server leaves the body out
            scope = {**scope, "method": "GET"}
        try:
            await self.app(scope, receive, send_with_headers)
        except ClientDisconnect:
            return  # nobody is there to answer
        except Exception as error:  # noqa: BLE001 - this is the last place where it can be caught
            # An id that the caller chose is logged only as a UUID: anything else could be a patient's.
            known = headers[0][1] if not request_id or _UUID.fullmatch(request_id) else b"of the caller's own"
            log.error("unhandled %s at %s, request %s", type(error).__name__, _place(error), known.decode())
            if not started:
                await Problem(500).response(scope["path"])(scope, receive, send_with_headers)


def _without_caching(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [header for header in headers if header != _FIXED[0]]  # the door said better what may be kept


def _place(error: BaseException) -> str:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "/app/" in f.filename]
    return f"{frames[-1].filename.rsplit('/app/', 1)[1]}:{frames[-1].lineno}" if frames else "an unknown place"
