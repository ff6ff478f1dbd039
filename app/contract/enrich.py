"""What `POST /v1/enrich` and its batch take and answer."""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict  # pydantic asks for this one before Python 3.12

from app.contract.problems import FieldCode, ProblemDetails
from app.counts.intake import CountedReason
from app.enrichment import Caution
from app.lookup.deprivation import Core20Reason, Country, Status


def _scalar(value: Any) -> Any:
    if isinstance(value, (dict, list)):
        raise PydanticCustomError("scalar", "expected a single value")
    return value


Scalar = Annotated[
    str | int | float | bool | None,
    PlainValidator(_scalar),
    WithJsonSchema({"type": ["string", "number", "boolean", "null"]}),
]
"""Any single JSON value. A value that means nothing to us costs the count, never the clinical answer."""


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


# TypedDicts rather than models: they are validated alike, four times as fast, and a batch holds thousands.
_STRICT: ConfigDict = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


def _sent(description: str, example: Any) -> Any:
    return Field(description=description, examples=[example])


class EthnicCategory(TypedDict, total=False):
    """An ethnic category with the code list it is from: the same letter means different things in each."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    system: Annotated[Scalar, _sent("`england`, `wales`, `scotland` or `northern_ireland`.", "england")]
    code: Annotated[Scalar, _sent("The code in that list.", "H")]


class Contact(TypedDict, total=False):
    """One contact with a service, for the aggregate counts. Send it once per contact, not per screen opened."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    specialty: Annotated[
        Scalar,
        _sent(
            "Treatment function code, three digits. Not the main specialty code, which looks the same. One that is"
            " not known is counted as `unrecognised`.",
            "340",
        ),
    ]
    type: Annotated[
        Scalar,
        _sent(
            "`outpatient`, `elective`, `emergency`, `emergency_department`, `maternity`, `mental_health`,"
            " `community` or `diagnostic`.",
            "outpatient",
        ),
    ]
    attendance: Annotated[Scalar, _sent("`new` or `follow_up`.", "new")]
    mode: Annotated[Scalar, _sent("`in_person`, `phone` or `video`. Checked, and not counted.", "in_person")]
    outcome: Annotated[
        Scalar,
        _sent(
            "`attended`, `did_not_attend`, `cancelled_by_patient`, `cancelled_by_provider`, `admitted` or `referred`.",
            "attended",
        ),
    ]
    date: Annotated[
        Scalar,
        _sent(
            "Day of the contact, `YYYY-MM-DD`; today in Europe/London when absent. Not in the future: a cancellation"
            " is dated by the day on which it was made.",
            "2026-11-20",
        ),
    ]
    event_id: Annotated[
        Scalar,
        _sent(
            "Your own opaque id of the event: a retry with the same id counts once. Never an NHS number.",
            "opaque-to-us",
        ),
    ]
    age: Annotated[Scalar, _sent("Age in whole years.", 54)]
    sex: Annotated[Scalar, _sent("`female`, `male`, `other` or `not_known`.", "female")]
    ethnic_category: EthnicCategory | None


class Signals(TypedDict, total=False):
    """What else the record says that bears on inclusion health. Used in memory for this answer, never kept."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    snomed: Annotated[
        list[Scalar] | None,
        Field(max_length=200, description="SNOMED CT concept ids, as text.", examples=[["32911000"]]),
    ]
    accommodation_status: Annotated[Scalar, _sent("Accommodation status code of the NHS Data Dictionary.", "HM01")]
    interpreter_required: Annotated[Scalar, _sent("Whether an interpreter is needed.", True)]


_REQUEST_EXAMPLE: JsonDict = {
    "postcode": "NG1 1AA",
    "contact": {"specialty": "340", "type": "outpatient", "attendance": "new", "outcome": "attended"},
}


class EnrichRequest(TypedDict):
    """One patient's postcode, and what else is known. Only `postcode` is required."""

    __pydantic_config__ = ConfigDict(  # type: ignore[misc]
        extra="forbid",
        strict=True,
        hide_input_in_errors=True,
        json_schema_extra={"examples": [{"postcode": "NG1 1AA"}, _REQUEST_EXAMPLE]},
    )

    postcode: Annotated[
        str | None,
        Field(
            description="The usual address's postcode as the record holds it: any case, any spacing, NHS"
            " pseudo-postcodes included. Null or empty is answered as `malformed`: send it rather than leave the"
            " patient out.",
            examples=["NG1 1AA"],
        ),
    ]
    contact: NotRequired[Annotated[Contact | None, Field(description="Without it nothing is counted.")]]
    signals: NotRequired[Signals | None]
    include: NotRequired[
        Annotated[
            list[Literal["context", "area"]] | None,
            Field(
                max_length=10,
                description="`area`: LSOA, district, ICB and ranks. `context`: prompts, signposts and area context.",
                examples=[["area"]],
            ),
        ]
    ]


class BatchRequest(_Request):
    """Up to 10,000 records. Each is answered by itself, in order, whatever its neighbours are like."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"records": [{"postcode": "NG1 1AA"}, {"postcode": "ZZ99 3VZ"}]}]}
    )

    records: list[Annotated[Any, WithJsonSchema({})]] = Field(
        description="Each an `EnrichRequest`; at most 10,000, or the request is refused with 413. A record that is not"
        " one is answered in its place by a `BatchError`.",
    )


# ---------------------------------------------------------------------------------------- answers


class EditionStanding(BaseModel):
    """How the area stands in one edition."""

    decile: int = Field(ge=1, le=10, description="1 is the most deprived tenth of areas in the nation.")
    quintile: int = Field(ge=1, le=5, description="1 is the most deprived fifth.")
    core20: bool | None = Field(description="Deciles 1 and 2 in England; null outside England.")
    computed: bool = Field(description="True where only a rank was published and the decile is computed from it.")


class DomainDeciles(BaseModel):
    """Deciles of the seven domains in `imd_edition`; null where the areas a postcode may lie in disagree."""

    income: int | None = Field(ge=1, le=10)
    employment: int | None = Field(ge=1, le=10)
    education: int | None = Field(ge=1, le=10)
    health: int | None = Field(ge=1, le=10)
    crime: int | None = Field(ge=1, le=10)
    barriers: int | None = Field(ge=1, le=10, description="Barriers to housing and services.")
    living_environment: int | None = Field(ge=1, le=10)


class InclusionHealth(BaseModel):
    """Inclusion-health groups; empty until signals are read."""

    groups: list[str]
    private_summary: str | None = Field(description="A sentence that must not be overheard.")


class Context(BaseModel):
    """What a clinician may do with it; empty until context is offered."""

    area: list[Any]
    prompts: list[Any]
    signposts: list[Any]
    clinical_areas: list[Any]


class Area(BaseModel):
    """Where the postcode lies. Ranks are published; an exact rank can point to one small area."""

    lsoa21: str | None = Field(description="LSOA (2021), or the equivalent small area.", examples=["E01035500"])
    lsoa11: str | None = Field(description="LSOA (2011); null where it was merged or redrawn since.")
    lad: str | None = Field(description="Local authority district.", examples=["E06000018"])
    icb: str | None = Field(description="Integrated care board.", examples=["E54000060"])
    ranks: dict[str, int] = Field(description="Rank within the nation by edition, 1 the most deprived.")


class DataRelease(BaseModel):
    """What the answer was read from."""

    release: str = Field(description="Id of the built index.")
    postcodes: str = Field(description="The postcode directory.", examples=["ONSPD August 2026"])
    checksum: str = Field(description="SHA-256 of the index.")
    rules: str = Field(description="Versions of the rules and the wording.")


_ANSWER_EXAMPLE: JsonDict = {
    "postcode_status": "live",
    "country": "England",
    "repaired": False,
    "imd_decile": 3,
    "imd_quintile": 2,
    "imd_edition": "IoD2025",
    "core20": False,
    "core20_reason": None,
    "editions": {
        "IoD2025": {"decile": 3, "quintile": 2, "core20": False, "computed": False},
        "IoD2019": None,
    },
    "domains": {
        "income": 4,
        "employment": 5,
        "education": 2,
        "health": 1,
        "crime": 1,
        "barriers": 7,
        "living_environment": 2,
    },
    "summary": "This home postcode is in an area more deprived than about 7 in 10 areas in England.",
    "cautions": [],
    "access_needs": [],
    "inclusion_health": {"groups": [], "private_summary": None},
    "context": {"area": [], "prompts": [], "signposts": [], "clinical_areas": []},
    "area": None,
    "counted": False,
    "counted_reason": "no_contact",
    "warnings": [],
    "data": {
        "release": "nspl-august-2024-a62e1039",
        "postcodes": "NSPL August 2024",
        "checksum": "sha256:a62e1039…",
        "rules": "postcode 2026-11-22, wording 2026-11-22",
    },
}


class EnrichResponse(BaseModel):
    """What may be said of one postcode. Unknown is null with a reason, never "not deprived"."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ANSWER_EXAMPLE]})

    postcode_status: Status = Field(description="What the postcode is. A poor one is a finding, answered 200.")
    country: Country | None
    repaired: bool = Field(
        description="O and 0, or I and 1, were taken for each other and only one reading is possible."
    )
    imd_decile: int | None = Field(
        ge=1,
        le=10,
        description="England's published decile in `imd_edition`, 1 the most deprived. Null is unknown.",
    )
    imd_quintile: int | None = Field(ge=1, le=5)
    imd_edition: str = Field(description="The edition that decile, quintile, domains and Core20 are read from.")
    core20: bool | None = Field(
        description="Whether the area is among England's most deprived fifth. Null is unknown, or not in England."
    )
    core20_reason: Core20Reason | None = Field(description="Why `core20` is null.")
    editions: dict[str, EditionStanding | None] = Field(
        description="Every edition of the postcode's own nation, newest first; null where the area has no value in it."
        " Deciles of different nations must not be compared."
    )
    domains: DomainDeciles | None
    summary: str = Field(description="One sentence about the area that may be overheard at a bedside.")
    cautions: list[Caution] = Field(description="What to mind about this postcode; the published decile stays.")
    access_needs: list[str]
    inclusion_health: InclusionHealth
    context: Context
    area: Area | None = Field(description='Only with `include: ["area"]`.')
    counted: bool
    counted_reason: CountedReason | None = Field(
        description="Why `counted` is false. `duplicate`: counted before. `spooled`: safe on this host's disk, and"
        " added once the database is back. `unconfirmed`: not known in time; send it again with the same `event_id`."
        " `unavailable`: not counted. `sealed`: its month is closed. `invalid_contact`: see `warnings`."
    )
    warnings: list[FieldCode] = Field(description="What was noticed about the request's values.")
    data: DataRelease


class BatchError(BaseModel):
    """Stands in the place of a record that could not be read."""

    error: ProblemDetails


class BatchResponse(BaseModel):
    """One answer for each record, in the order of the request."""

    results: list[EnrichResponse | BatchError]
