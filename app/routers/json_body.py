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

from app.errors import Problem


def read_json(body: bytes) -> Any:
    """The value of a JSON text; ValueError, without any of the text, when it is not one.

    Nothing is cached: the reader's cache of keys would outlive the request, and a caller may write anything there.
    """
    try:
        return jiter.from_json(body, allow_inf_nan=False, cache_mode="none", catch_duplicate_keys=True)
    except ValueError:
        raise ValueError("not JSON") from None


def media_type(request: Request) -> str:
    """The media type of the body, without its parameters."""
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


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

    The framework solves all the same: cookies, a query, an answer to put headers on. That took a fifth of a request.
    No dependency of a router or of the application reaches such a function: who may ask is the Guard's to say.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The function itself, or the framework's handler."""
        if list(signature(self.endpoint).parameters) == ["request"]:
            handler: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
            return handler
        return super().get_route_handler()


class StrictRoute(DirectRoute):
    """A route that reads its body strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the framework's handler."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def handle_strictly(request: Request) -> Response:
            if media_type(request) != "application/json":
                return Problem(415, "Send application/json.").response(request.scope["path"])
            return await handle(StrictRequest(request.scope, request.receive))

        return handle_strictly
