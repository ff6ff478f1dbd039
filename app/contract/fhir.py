"""What `/fhir/R4` takes and answers, for the API's document. Its OperationDefinition says the same in FHIR's words."""

from collections.abc import Iterable
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.errors import FHIR_MEDIA_TYPE, Problem

_SHOWN: Final[dict[str, Any]] = {
    "resourceType": "OperationOutcome",
    "issue": [
        {
            "severity": "error",
            "code": "required",
            "details": {"text": "The request does not have the expected structure: postcode or patient required."},
            "expression": ["Parameters.parameter"],
        }
    ],
}


class IssueDetails(BaseModel):
    """What is wrong, in words. Never a value."""

    text: str


class OutcomeIssue(BaseModel):
    """One thing that is wrong."""

    severity: Literal["fatal", "error"]
    code: str = Field(description="Of FHIR's issue types.", examples=["required"])
    details: IssueDetails
    expression: list[str] | None = Field(None, description="Where: a FHIRPath, or `http.` and a query parameter.")


class OperationOutcome(BaseModel):
    """How every error under `/fhir` looks. Names fields, never values."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SHOWN]})

    resourceType: Literal["OperationOutcome"]  # noqa: N815 - FHIR's own spelling
    issue: list[OutcomeIssue] = Field(min_length=1)


_PATIENT: Final[dict[str, Any]] = {
    "resourceType": "Patient",
    "birthDate": "1972-03-14",
    "address": [{"use": "home", "postalCode": "NG1 1AA"}],
}

# What is checked, and no more: whatever else stands there is taken if it can be read, and ignored if not.
_ONE_OF: Final = (
    "`postcode` (valueString), `patient` (resource), `specialty` (valueCode), `age` (valueInteger), once each"
)


def _at_most_one(name: str) -> dict[str, Any]:
    named = {"type": "object", "required": ["name"], "properties": {"name": {"const": name}}}
    return {"contains": named, "minContains": 0, "maxContains": 1}


REQUEST_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        media_type: {
            "schema": {
                "oneOf": [
                    {
                        "title": "Parameters",
                        "type": "object",
                        "required": ["resourceType", "parameter"],
                        "properties": {
                            "resourceType": {"const": "Parameters"},
                            "parameter": {
                                "description": f"{_ONE_OF}; `include` (valueCode `context`, `area`) and"
                                " `signal-snomed` (valueCode), repeated. Others are ignored. `postcode` or `patient`"
                                " is needed. A resource with `modifierExtension` or `implicitRules` is refused.",
                                "type": "array",
                                "contains": {
                                    "type": "object",
                                    "required": ["name"],
                                    "properties": {"name": {"enum": ["postcode", "patient"]}},
                                },
                                "allOf": [_at_most_one(name) for name in ("postcode", "patient", "specialty", "age")],
                            },
                        },
                    },
                    {
                        "title": "Patient",
                        "description": "UK Core: home address, birth date, ethnic category and need for an"
                        " interpreter are read, and nothing else.",
                        "type": "object",
                        "required": ["resourceType"],
                        "properties": {"resourceType": {"const": "Patient"}},
                    },
                ]
            },
            "examples": {
                "postcode": {
                    "value": {
                        "resourceType": "Parameters",
                        "parameter": [
                            {"name": "postcode", "valueString": "NG1 1AA"},
                            {"name": "specialty", "valueCode": "340"},
                            {"name": "age", "valueInteger": 54},
                            {"name": "include", "valueCode": "context"},
                        ],
                    }
                },
                "patient": {"value": _PATIENT},
                "patient and signals": {
                    "value": {
                        "resourceType": "Parameters",
                        "parameter": [
                            {"name": "patient", "resource": _PATIENT},
                            {"name": "signal-snomed", "valueCode": "32911000"},
                        ],
                    }
                },
            },
        }
        for media_type in (FHIR_MEDIA_TYPE, "application/json")
    },
}

FORMAT: Final[dict[str, Any]] = {
    "name": "_format",
    "in": "query",
    "required": False,
    "description": "JSON is the only one.",
    "schema": {"type": "string", "enum": ["json", "application/json", FHIR_MEDIA_TYPE]},
}

OUTPUT: Final[dict[str, Any]] = {
    "name": "_output",
    "in": "query",
    "required": False,
    "description": "`observation` answers an Observation of the area, without a subject. It can be re-shared as if it"
    " were about the person: ask for it only where that cannot happen.",
    "schema": {"type": "string", "enum": ["parameters", "observation"], "default": "parameters"},
}


def path_name(names: Iterable[str]) -> dict[str, Any]:
    """The documentation of a path's `name`, which is one of these."""
    schema = {"type": "string", "enum": list(names)}
    return {"name": "name", "in": "path", "required": True, "description": "Which of ours.", "schema": schema}


def answers(*types: str, example: dict[str, Any] | None = None) -> dict[int | str, dict[str, Any]]:
    """The documentation of an answer that is a resource of one of these types."""
    schema = {"type": "object", "required": ["resourceType"], "properties": {"resourceType": {"enum": list(types)}}}
    shown = {"example": example} if example else {}
    return {200: {"description": " or ".join(types), "content": {FHIR_MEDIA_TYPE: {"schema": schema, **shown}}}}


# When each is answered, and an example of its detail and errors.
_WHEN: Final[dict[int, tuple[str, str | None, list[dict[str, str]]]]] = {
    400: ("The body is not JSON: broken, a key twice, NaN, not UTF-8, or nested too deeply.", None, []),
    401: ("Nobody proved who calls: no key, or one that is wrong, revoked or expired.", None, []),
    403: ("The caller lacks the scope of this door, or of what the body asks for.", None, []),
    404: ("There is no such resource.", None, []),
    406: ("`_format` or `Accept` leaves JSON out.", "Ask for application/fhir+json.", []),
    413: ("The body is over the limit.", "At most 65,536 bytes.", []),
    415: ("The body is of another media type.", "Send application/fhir+json or application/json.", []),
    422: (
        "The body is neither a Parameters with a postcode or a patient, nor a Patient.",
        None,
        [{"field": "Parameters.parameter", "code": "postcode_or_patient_required"}],
    ),
    408: ("The body did not come to its end in time. The connection is closed.", None, []),
    429: (
        "This client has too many requests in work. `Retry-After` says when.",
        "At most 64 requests of one client at once.",
        [],
    ),
    503: ("Too busy, or no data is loaded.", "No data is loaded.", []),
}


def outcomes(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The documentation of a door's errors, each an OperationOutcome."""
    schema = {"$ref": "#/components/schemas/OperationOutcome"}
    documented: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        when, detail, errors = _WHEN[status]
        example = Problem(status, detail, errors=errors).outcome()
        documented[status] = {
            "description": when,
            "content": {FHIR_MEDIA_TYPE: {"schema": schema, "example": example}},
        }
    return documented
