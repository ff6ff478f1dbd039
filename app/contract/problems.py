"""How an answer that is not an answer looks: RFC 9457 problem details."""

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from app.errors import MEDIA_TYPE, Problem


class FieldCode(BaseModel):
    """A field of the request, and what is to be said of it. Never the value."""

    field: str = Field(examples=["postcode"])
    code: str = Field(examples=["repaired"])


class ProblemDetails(BaseModel):
    """RFC 9457 problem details. Names fields, never values."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:imdlens:problem:invalid-request",
                    "title": "The request does not have the expected structure",
                    "status": 422,
                    "errors": [{"field": "postcode", "code": "required"}],
                }
            ]
        }
    )

    type: str
    title: str
    status: int
    detail: str | None = None
    errors: list[FieldCode] | None = None


WHEN: Final[dict[int, tuple[str, str | None, list[dict[str, str]]]]] = {
    400: ("The body is not JSON: broken, a key twice, NaN, not UTF-8, or nested too deeply.", None, []),
    401: ("Nobody proved who calls: no key, or one that is wrong, revoked or expired.", None, []),
    403: ("The caller lacks the scope of this door, or of what the body asks for.", None, []),
    404: (
        "There is no such address, table, period, sealed month or service.",
        None,
        [{"field": "period", "code": "not_found"}],
    ),
    405: ("The address takes other methods: `Allow` says which.", None, []),
    406: ("Under `/fhir`: `_format` or `Accept` leaves JSON out.", "Ask for application/fhir+json.", []),
    408: ("The body did not come to its end in time. The connection is closed.", None, []),
    412: (
        "The Patient was not prefetched.",
        "Send the Patient in prefetch.patient.",
        [{"field": "prefetch.patient", "code": "required"}],
    ),
    413: ("The body, or the number of records, is over a limit.", "At most 65,536 bytes.", []),
    415: ("The body is of another media type.", "Send application/json or application/x-ndjson.", []),
    422: (
        "The body lacks a field, has one that is not known, or one of another type.",
        None,
        [{"field": "postcode", "code": "required"}],
    ),
    429: (
        "This client has too many requests in work, or sent too many records this minute. `Retry-After` says when.",
        "At most 64 requests of one client at once.",
        [],
    ),
    431: ("The address and the headers together are too long. The connection is closed.", None, []),
    500: ("A fault of this service. The log says where it is, and nothing of the request.", None, []),
    503: ("Too busy, no data is loaded, or the store cannot be read.", "No data is loaded.", []),
    505: ("A stream was asked for over HTTP/1.0, which cannot carry an answer of unknown length.", None, []),
}
"""When each is answered, and an example of its detail and errors."""


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The documentation of a door's errors, all of one shape."""
    schema = {"$ref": "#/components/schemas/ProblemDetails"}
    return {
        status: {
            "description": when,
            "content": {MEDIA_TYPE: {"schema": schema, "example": Problem(status, detail, errors=errors).body()}},
        }
        for status, (when, detail, errors) in WHEN.items()
        if status in statuses
    }
