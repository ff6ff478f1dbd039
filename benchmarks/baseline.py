"""What IMD Lens is measured against: a bare ASGI answer, and the same server with an empty POST.

`E` takes a `{postcode}` model and answers `{}`. Around it is what any service would have: an id and fixed headers on
each answer, and a limit to the body. No key, no line in a log, no metrics. It is a yardstick, so it uses nothing of the
service, and stays as it is when that gets faster or slower.
"""

import gc
import re
import secrets
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SAFE_ID = re.compile(rb"[A-Za-z0-9._:-]{8,64}")
_FIXED = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]


class Question(BaseModel):
    postcode: str


class Headers:
    """Mirrors or makes an id, and adds the headers that every answer has."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
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

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *headers]
            await send(message)

        await self.app(scope, receive, send_with_headers)


class Limit:
    """Refuses a body over a number of bytes."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app, self.most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not announced.isdigit() or int(announced) > self.most:
            raise HTTPException(413)
        read = 0

        async def receive_some() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self.most:
                raise HTTPException(413)
            return message

        await self.app(scope, receive_some, send)


def empty() -> FastAPI:
    """E."""
    app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})
    app.add_middleware(Limit, most=64 * 2**10)
    app.add_middleware(Headers)

    @app.post("/v1/enrich")
    async def answer(question: Question) -> dict[str, str]:
        return {}

    gc.collect()
    gc.freeze()
    return app


def unguarded() -> FastAPI:
    """The service's own doors within E's two layers: the rest of its layers is what it costs more."""
    from app.access.caller import SCOPES, Caller
    from app.exchange import KEY, Exchange
    from app.main import create_app

    caller = Caller("benchmark", frozenset(SCOPES), "key", 1e12)

    class Known:
        """What doors ask of a request's layers: who called."""

        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            exchange = scope[KEY] = Exchange()
            exchange.caller = caller
            await self.app(scope, receive, send)

    app = create_app()
    layers: list[Any] = [Middleware(Headers), Middleware(Limit, most=64 * 2**10), Middleware(Known)]
    app.user_middleware = layers
    return app


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    """An answer without any framework."""
    if scope["type"] == "lifespan":
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": b"{}"})
