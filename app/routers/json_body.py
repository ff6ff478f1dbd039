"""Request bodies read strictly: duplicate keys, NaN, bad UTF-8 and bottomless nesting are not JSON here.

Two values under one key are two postcodes for one patient: the last must not simply win.
"""

import json
from collections.abc import Callable, Coroutine
from inspect import signature
from typing import Any

import jiter
from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import Problem


def read_json(body: bytes) -> Any:
    """The value of a JSON text; ValueError, without any of the text, when it is not one.

    Nothing is cached: the reader's cache of keys would outlive the request, and a caller may write anything there.
    """
    try:
        return jiter.from_json(body, allow_inf_nan=False, cache_mode="none", catch_duplicate_keys=True)
    except ValueError:
        raise ValueError("not JSON") from None


async def body_of(request: Request) -> bytes:
    """The whole body. The framework's own reader is a generator, which takes longer than the reading."""
    parts: list[bytes] = []
    more = True
    while more:
        message = await request.receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def media_type(request: Request) -> str:
    """The media type of the body, without its parameters."""
    # As the server has them: the framework would decode every header first.
    found = next((value for name, value in request.scope["headers"] if name == b"content-type"), b"")
    return found.decode("latin-1").partition(";")[0].strip().lower()


class StrictRequest(Request):
    """A request whose JSON is read by `read_json`."""

    async def json(self) -> Any:
        """The body's value; json.JSONDecodeError, which the framework turns into a validation error."""
        try:
            return read_json(await self.body())
        except ValueError:
            raise json.JSONDecodeError("not JSON", "", 0) from None


class DirectRoute(APIRoute):
    """A route whose function is called at once where it takes the request alone, as there is nothing to solve for it.

    The framework would solve all the same (cookies, a query, an answer to put headers on), between two stacks of what
    to close and a second catcher of errors: a third of a request. No dependency of a router or of the application
    reaches such a function: who may ask is the Guard's to say.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        if list(signature(endpoint).parameters) == ["request"]:
            self.app = _direct(endpoint)


def _direct(endpoint: Callable[[Request], Coroutine[Any, Any, Response]]) -> ASGIApp:
    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        response = await endpoint(Request(scope, receive, send))
        await response(scope, receive, send)

    return call


class StrictRoute(DirectRoute):
    """A route that reads its body strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the framework's handler."""
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            if self.body_field is not None and media_type(request) != "application/json":
                return Problem(415, "Send application/json.").response(request.scope["path"])
            return await handle(StrictRequest(request.scope, request.receive))

        return handle_strictly
