"""Answers from what is published: asked of the store, as JSON or CSV, each with an entity tag."""

import hashlib
from collections.abc import Callable
from typing import Final, TypeVar

from fastapi import Request, Response

from app.counting import Counts, StoreAwayError
from app.errors import Problem
from app.routers.state import counts_of

CSV: Final = "text/csv"

_T = TypeVar("_T")
_OF_A_BODY: Final = ("content-length", "content-type", "content-disposition")


def ask_store(request: Request, ask: Callable[[Counts], _T]) -> _T:
    """What the store says; a 503 problem when it cannot be read."""
    try:
        return ask(counts_of(request))
    except StoreAwayError:
        raise Problem(503, "The counts cannot be read now.", headers={"Retry-After": "5"}) from None


def wants_csv(request: Request, named: str | None) -> bool:
    """Whether the answer is a table: by its name, else by what the caller accepts."""
    if named is not None:
        return named == "csv"
    accepted = request.headers.get("accept", "")
    return CSV in accepted and "application/json" not in accepted


def tagged(request: Request, body: bytes, media_type: str, disposition: str | None = None) -> Response:
    """An answer in the form that the caller accepts, with an entity tag."""
    named = {"Content-Disposition": disposition} if disposition else {}
    return with_tag(request, Response(body, media_type=media_type, headers={"Vary": "Accept", **named}))


def with_tag(request: Request, answer: Response) -> Response:
    """With an entity tag, so that whoever asks again is told quickly that nothing changed."""
    tag = f'"{hashlib.sha256(answer.body).hexdigest()[:32]}"'
    answer.headers["ETag"], answer.headers["Cache-Control"] = tag, "private, no-cache"
    sent = request.headers.get("if-none-match", "")
    if sent == "*" or tag in (part.strip().removeprefix("W/") for part in sent.split(",")):
        kept = {name: value for name, value in answer.headers.items() if name not in _OF_A_BODY}
        return Response(status_code=304, headers=kept)
    return answer
