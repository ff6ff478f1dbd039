"""One error for every door, which names the field and never its value.

It is written as RFC 9457 problem details; under `/fhir` as an OperationOutcome, since that is what a FHIR client reads.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

MEDIA_TYPE: Final = "application/problem+json"
FHIR_MEDIA_TYPE: Final = "application/fhir+json"

# Problem types: code, title. The type URI is urn:imdlens:problem:<code>.
TITLES: Final[Mapping[int, tuple[str, str]]] = {
    400: ("not-json", "The body is not valid JSON"),
    401: ("no-key", "A key is needed"),
    403: ("forbidden", "This is closed"),
    404: ("not-found", "There is nothing at this address"),
    405: ("method-not-allowed", "This address does not take this method"),
    406: ("not-acceptable", "This is not answered in the form that is asked for"),
    408: ("too-slow", "The body took too long to come"),
    412: ("not-prefetched", "What this hook needs was not sent along"),
    413: ("too-large", "The request is over a limit"),
    415: ("media-type", "The body is not of a media type that is read here"),
    422: ("invalid-request", "The request does not have the expected structure"),
    429: ("throttled", "This client asks too much at once"),
    431: ("head-too-large", "The head of the request is too large"),
    500: ("internal", "Something went wrong on this side"),
    503: ("not-ready", "The service is not ready"),
    505: ("http-version", "This is answered over HTTP/1.1 alone"),
}

# The same as FHIR's issue types (http://hl7.org/fhir/issue-type).
_ISSUES: Final[Mapping[int, str]] = {
    400: "structure",
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    406: "not-supported",
    408: "timeout",
    413: "too-long",
    415: "not-supported",
    422: "invalid",
    429: "throttled",
    431: "too-long",
    500: "exception",
    503: "transient",
    505: "not-supported",
}

# Pydantic's names for what is wrong, in words that an integration engineer meets in other APIs.
CODES: Final[Mapping[str, str]] = {
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

    def outcome(self) -> dict[str, Any]:
        """The problem as an OperationOutcome: an issue for each field, or one for all."""
        title = self.body()["title"]
        issue = {"severity": "fatal" if self.status == 500 else "error", "code": _ISSUES.get(self.status, "processing")}
        issues = [
            {
                **issue,
                "code": "required" if error["code"].endswith("required") else issue["code"],
                "details": {"text": f"{title}: {error['code'].replace('_', ' ')}."},
                "expression": [error["field"]],
            }
            for error in self.errors
        ]
        whole = {**issue, "details": {"text": f"{title}. {self.detail}" if self.detail else f"{title}."}}
        return {"resourceType": "OperationOutcome", "issue": issues or [whole]}

    def response(self, path: str) -> Response:
        """The problem as an answer to a request of this path, in the shape that is read there."""
        if path == "/fhir" or path.startswith("/fhir/"):
            return Response(to_json(self.outcome()), self.status, self.headers, FHIR_MEDIA_TYPE)
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
        entry = {"field": field or root, "code": CODES.get(error["type"], "invalid")}
        if entry not in found:
            found.append(entry)
    return found


def errors_of(error: ValidationError, root: str) -> list[dict[str, str]]:
    """`field_errors` of a model's error. Beyond some dozen the rest is not even listed: it costs seconds."""
    if error.error_count() > _MOST_ERRORS:
        return [{"field": root, "code": "invalid"}]
    return field_errors(error.errors(include_url=False, include_input=False, include_context=False), root)


class _Silence(Response):
    """No answer: whoever asked has left while their body came."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send nothing."""


def add_handlers(app: FastAPI) -> None:
    """Render every error of the framework as a Problem."""

    async def on_problem(request: Request, problem: Exception) -> Response:
        assert isinstance(problem, Problem)  # noqa: S101 - registered for no other
        return problem.response(request.scope["path"])

    async def on_invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101
        errors = error.errors()
        if any(e["type"] == "json_invalid" for e in errors):
            return Problem(400).response(request.scope["path"])
        return Problem(422, errors=field_errors(errors)).response(request.scope["path"])

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101
        return Problem(error.status_code, headers=error.headers).response(request.scope["path"])

    async def on_left(request: Request, error: Exception) -> Response:
        return _Silence()

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(ClientDisconnect, on_left)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)
