"""What the CDS Hooks 2.0 doors take and answer. Fields that are not named here are ignored, as the standard asks."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict
from pydantic.json_schema import SkipJsonSchema

_PREFETCH: JsonDict = {
    "type": "object",
    "description": "What discovery asks for. 412 without the Patient; a reference in its place is not followed.",
    "required": ["patient"],
    "properties": {
        "patient": {
            "type": "object",
            "description": "A FHIR R4 Patient. Read: `address`, `birthDate`, and for offers UK Core's interpreter flag."
            " Whatever is odd in it is taken as missing.",
            "required": ["resourceType"],
            "properties": {"resourceType": {"const": "Patient"}},
        }
    },
}


def _example(hook: str) -> JsonDict:
    return {
        "hook": hook,
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context": {"userId": "Practitioner/abc", "patientId": "123"},
        "prefetch": {
            "patient": {
                "resourceType": "Patient",
                "birthDate": "1972-03-04",
                "address": [{"use": "home", "postalCode": "NG1 1AA"}],
            }
        },
    }


class _Received(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, hide_input_in_errors=True, alias_generator=to_camel)


def _complete(schema: JsonDict) -> None:
    """In the document the prefetch is required: that it is missing is answered by 412, after all that is 422."""
    required, properties = schema["required"], schema["properties"]
    assert isinstance(required, list)  # noqa: S101 - as pydantic makes it
    assert isinstance(properties, dict)  # noqa: S101
    required.append("prefetch")
    hook, prefetch = properties["hook"], properties["prefetch"]
    assert isinstance(hook, dict)  # noqa: S101
    assert isinstance(prefetch, dict)  # noqa: S101
    prefetch.pop("default", None)
    schema["examples"] = [_example(str(hook["const"]))]


class _HookRequest(_Received):
    hook_instance: str = Field(description="The client's id of this call. Not read.")
    context: dict[str, Any] = Field(description="The hook's context. Not read.")
    prefetch: Annotated[dict[str, Any] | None, WithJsonSchema(_PREFETCH)] = None


class PatientViewRequest(_HookRequest):
    """A `patient-view` hook. Tokens in `fhirAuthorization` are neither needed nor read."""

    model_config = ConfigDict(json_schema_extra=_complete)

    hook: Literal["patient-view"]


class AppointmentBookRequest(_HookRequest):
    """An `appointment-book` hook. Tokens in `fhirAuthorization` are neither needed nor read."""

    model_config = ConfigDict(json_schema_extra=_complete)

    hook: Literal["appointment-book"]


class CdsFeedbackEntry(_Received):
    """What became of one card. Its outcome is counted; suggestions, reasons and comments are dropped unread."""

    card: str = Field(description="The card's `uuid`.")
    outcome: Literal["accepted", "overridden"]


class CdsFeedback(_Received):
    """What clinicians did with cards."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "feedback": [
                        {
                            "card": "4e0a3a1e-3283-4575-ab82-028d55fe2719",
                            "outcome": "overridden",
                            "outcomeTimestamp": "2026-11-20T10:30:00Z",
                        }
                    ]
                }
            ]
        }
    )

    feedback: list[CdsFeedbackEntry] = Field(max_length=200)


# ---------------------------------------------------------------------------------------- answers


class CdsFeedbackAnswer(BaseModel):
    """The feedback was counted."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}]})


class CdsService(BaseModel):
    """One service as an EPR registers it."""

    hook: str = Field(examples=["patient-view"])
    title: str
    description: str
    id: str = Field(examples=["deprivation-context"])
    prefetch: dict[str, str] = Field(description="The FHIR queries whose answers must be sent along.")
    usageRequirements: str = Field(description="What the card must not be used for.")  # noqa: N815 - the standard's


class CdsServices(BaseModel):
    """Discovery."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "services": [
                        {
                            "hook": "patient-view",
                            "title": "Deprivation of the area",
                            "description": "…",
                            "id": "deprivation-context",
                            "prefetch": {"patient": "Patient/{{context.patientId}}"},
                            "usageRequirements": "…",
                        }
                    ]
                }
            ]
        }
    )

    services: list[CdsService]


class CdsTopic(BaseModel):
    """What a card is about: its service."""

    system: Literal["urn:imdlens:topic"]
    code: str = Field(examples=["deprivation-context"])
    display: str


class CdsSource(BaseModel):
    """Who says so."""

    label: str
    topic: CdsTopic


class CdsLink(BaseModel):
    """The card's page, for 15 minutes. Whoever holds the link can open it."""

    label: str
    url: str
    type: Literal["absolute"]


class CdsFinding(BaseModel):
    """A card's content for machines. What is left out is unknown, never false; a card of offers has `rules` alone."""

    decile: int | SkipJsonSchema[None] = Field(None, ge=1, le=10, description="England's, 1 the most deprived.")
    quintile: int | SkipJsonSchema[None] = Field(None, ge=1, le=5)
    edition: str | SkipJsonSchema[None] = Field(None, examples=["IoD2025"])
    core20: bool | SkipJsonSchema[None] = None
    core20_reason: str | SkipJsonSchema[None] = Field(None, description="Why `core20` is unknown, as in an enrichment.")
    postcode_status: str | SkipJsonSchema[None] = Field(
        None,
        description="As in an enrichment, but `no_home_postcode` stands for `no_fixed_abode` and `withheld` alike.",
    )
    release: str | SkipJsonSchema[None] = Field(None, description="Id of the built index.")
    rules: str = Field(description="Versions of the rules and the wording.")


class CdsExtension(BaseModel):
    """What the standard has no field for."""

    card: CdsFinding = Field(alias="urn:imdlens:card")


class CdsCard(BaseModel):
    """One card. About an area, never about a person, so its `indicator` is never more than `info`."""

    uuid: str
    summary: str = Field(max_length=139, description="One sentence, safe to be overheard.")
    detail: str = Field(description="GitHub-flavoured markdown.")
    indicator: Literal["info"]
    source: CdsSource
    links: list[CdsLink] | SkipJsonSchema[None] = Field(None, description="Only with `IMDLENS_PUBLIC_URL`.")
    extension: CdsExtension


_CARD_EXAMPLE: JsonDict = {
    "uuid": "4e0a3a1e-3283-4575-ab82-028d55fe2719",
    "summary": "This home postcode is in an area more deprived than about 9 in 10 areas in England.",
    "detail": "This is about the area. Ask what matters to this person.\n\n**Questions that help**\n\n- …",
    "indicator": "info",
    "source": {
        "label": "IMD Lens",
        "topic": {
            "system": "urn:imdlens:topic",
            "code": "deprivation-context",
            "display": "Deprivation of the area",
        },
    },
    "extension": {
        "urn:imdlens:card": {
            "decile": 1,
            "quintile": 1,
            "edition": "IoD2025",
            "core20": True,
            "postcode_status": "live",
            "release": "nspl-august-2024-a62e1039",
            "rules": "postcode 2026-11-22, wording 2026-11-22, context 2026-11-22",
        }
    },
}


class CdsCards(BaseModel):
    """The cards to show. None means nothing about need."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"cards": [_CARD_EXAMPLE]}, {"cards": []}]})

    cards: list[CdsCard]
