"""One error shape for every door: RFC 9457 problem details that name the field and never its value."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.responses import Response

MEDIA_TYPE: Final = "application/problem+json"

# Problem types: code, title. The type URI is urn:imdlens:problem:<code>.
TITLES: Final[Mapping[int, tuple[str, str]]] = {
    400: ("not-json", "The body is not valid JSON"),
    401: ("no-key", "A key is needed"),
    403: ("forbidden", "This is closed"),
    404: ("not-found", "There is nothing at this address"),
    405: ("method-not-allowed", "This address does not take this method"),
    412: ("not-prefetched", "What this hook needs was not sent along"),
    413: ("too-large", "The request is over a limit"),
    415: ("media-type", "The body is not of a media type that is read here"),
    422: ("invalid-request", "The body does not have the expected structure"),
    500: ("internal", "Something went wrong on this side"),
    503: ("not-ready", "The service is not ready"),
}

# Pydantic's names for what is wrong, in words that an integration engineer meets in other APIs.
_CODES: Final[Mapping[str, str]] = {
    "missing": "required",
    "extra_forbidden": "unknown_field",
    "string_type": "not_text",
    "list_type": "not_a_list",
    "dict_type": "not_an_object",
    "model_type": "not_an_object",
    "model_attributes_type": "not_an_object",
    "literal_error": "not_one_of_the_allowed",
    "too_long": "too_many",
    "scalar": "not_a_single_value",
}


_MOST_ERRORS: Final = 50


class Problem(Exception):  # noqa: N818 - RFC 9457's own word
    """Any answer that is not an answer. `detail` is ours alone: it never carries what the caller sent."""

    def __init__(
        self,
        status: int,
        detail: str | None = None,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(TITLES.get(status, ("", ""))[0])
        self.status, self.detail, self.errors, self.headers = status, detail, errors, headers

    def body(self) -> dict[str, Any]:
        """The problem as an object."""
        code, title = TITLES.get(self.status, ("error", "The request could not be answered"))
        body: dict[str, Any] = {"type": f"urn:imdlens:problem:{code}", "title": title, "status": self.status}
        if self.detail:
            body["detail"] = self.detail
        if self.errors:
            body["errors"] = list(self.errors)
        return body

    def response(self) -> Response:
        """The problem as an answer."""
        return Response(to_json(self.body()), self.status, self.headers, MEDIA_TYPE)


def field_errors(errors: Iterable[Mapping[str, Any]], root: str = "body") -> list[dict[str, str]]:
    """Pydantic's errors as `{field, code}`: no value, no message built from one, no field name of the caller's."""
    found: list[dict[str, str]] = []
    for error in islice(errors, _MOST_ERRORS):
        place = list(error["loc"])
        if place[:1] == [root]:
            place = place[1:]
        if error["type"] == "extra_forbidden":
            place = place[:-1]  # the caller chose that name: it may be anything
        field = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in place).lstrip(".")
        entry = {"field": field or root, "code": _CODES.get(error["type"], "invalid")}
        if entry not in found:
            found.append(entry)
    return found


def errors_of(error: ValidationError, root: str) -> list[dict[str, str]]:
    """`field_errors` of a model's error. Beyond some dozen the rest is not even listed: it costs seconds."""
    if error.error_count() > _MOST_ERRORS:
        return [{"field": root, "code": "invalid"}]
    return field_errors(error.errors(include_url=False, include_input=False, include_context=False), root)


def add_handlers(app: FastAPI) -> None:
    """Render every error of the framework as a Problem."""

    async def on_problem(_: Request, problem: Exception) -> Response:
        assert isinstance(problem, Problem)  # noqa: S101 - registered for no other
        return problem.response()

    async def on_invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101
        errors = error.errors()
        if any(e["type"] == "json_invalid" for e in errors):
            return Problem(400).response()
        return Problem(422, errors=field_errors(errors)).response()

    async def on_http(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101
        return Problem(error.status_code, headers=error.headers).response()

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)
