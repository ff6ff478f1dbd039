"""What `POST /v1/enrich` and its batch take and answer."""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict  # pydantic asks for this one before Python 3.12

from app.context.cautions import Caution
from app.contract.problems import FieldCode, ProblemDetails
from app.counts.intake import CountedReason
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
    accommodation_status: Annotated[
        Scalar,
        _sent(
            "Accommodation status: a code of the NHS Data Dictionary, or a category of adult social care.",
            "HM01",
        ),
    ]
    ethnic_category: EthnicCategory | None
    setting_roles: Annotated[
        list[Scalar] | None,
        Field(
            max_length=20,
            description="ODS role codes of where the person lives or is registered. Those of prisons and other secure"
            " settings are left unread unless the organisation's rules say otherwise.",
            examples=[["RO76"]],
        ),
    ]
    interpreter_required: Annotated[Scalar, _sent("Whether an interpreter is needed: true or false.", True)]
    accessible_format_required: Annotated[Scalar, _sent("Whether letters must come in another format.", False)]
    travel_support_required: Annotated[Scalar, _sent("Whether help with travel is needed.", False)]


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
                description="`area`: LSOA, district, ICB and ranks. `context`: what is known of the area, questions"
                " that help, signposts, clinical areas and who leads here.",
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


class AccessNeed(BaseModel):
    """What this person needs in order to use the service. Not an inclusion-health group."""

    id: str = Field(examples=["interpreter"])
    name: str = Field(examples=["Interpreter"])
    sentence: str = Field(description="What to do about it.", examples=["Book a trained interpreter, not family."])


class InclusionGroup(BaseModel):
    """An inclusion-health group that a signal points to."""

    id: str = Field(examples=["homelessness"])
    name: str = Field(examples=["Homelessness"])


class InclusionHealth(BaseModel):
    """Inclusion-health groups, for callers with the scope `inclusion`. Special-category data: never for a screen that
    others can see."""

    groups: list[InclusionGroup] | None = Field(
        description="Groups that the signals of this request point to. Null is not shown to this caller: it does not"
        " mean that there is none."
    )
    private_summary: str | None = Field(description="A sentence that must not be overheard.")


class AreaFact(BaseModel):
    """One thing about the area, in a plain sentence."""

    id: str = Field(examples=["no_car"])
    kind: Literal["domain", "census", "rural"]
    name: str = Field(examples=["Cars"])
    gloss: str | None = Field(description="What a domain of deprivation is about.")
    sentence: str = Field(examples=["About 41 in 100 homes here have no car or van: more than in about 8 in 10 areas."])
    decile: int | None = Field(ge=1, le=10, description="A domain's decile in `imd_edition`.")
    share: int | None = Field(ge=0, le=100, description="A Census 2021 share in whole percent.")
    few: bool = Field(description="The share is of fewer than ten people or households, so no figure is given.")


class Prompt(BaseModel):
    """A question that helps. Cues are for everybody, whatever the area."""

    id: str = Field(examples=["typical_day"])
    kind: Literal["cue", "follow_up"]
    topic: str | None = Field(description="What an optional follow-up is about.", examples=["Housing"])
    text: str = Field(examples=["What is a typical day like for you, and how do you look after your health?"])


class Signpost(BaseModel):
    """A service to tell the patient about, from the organisation's directory."""

    id: str
    name: str
    what: str
    for_whom: str
    area: str = Field(description="`postcode_area`, `lad`, `icb`, a nation or `uk`: how near the entry is.")
    phone: str | None
    url: str | None
    reviewed: str | None = Field(
        description="The day on which the organisation last checked the entry; null where it never did.",
        examples=["2026-11-22"],
    )


class ClinicalArea(BaseModel):
    """A clinical area of Core20PLUS5 that this specialty meets at this age. Authored, not an official mapping."""

    programme: Literal["adult", "cyp"]
    id: str = Field(examples=["chronic_respiratory_disease"])
    name: str = Field(examples=["Long-term lung disease"])
    aim: str = Field(description="A national aim for the service: label it so. It says nothing of the patient.")
    strength: Literal["direct", "related", "weak"]
    why: str


class Lead(BaseModel):
    """Who leads on this here. A blank name is worth noticing."""

    id: Literal["health_inequalities", "inclusion_health"]
    title: str
    name: str | None
    role: str | None
    contact: str | None
    sentence: str = Field(examples=["No lead recorded. Ask who leads on this here."])


class Resource(BaseModel):
    """Something of the organisation's own to read or use."""

    title: str
    url: str


class CautionText(BaseModel):
    """A caution in words."""

    id: Caution
    sentence: str


class Words(BaseModel):
    """What a card says besides, for a system that draws its own."""

    second: str = Field(description="Always beside the summary.")
    gloss: str = Field(description="What deprivation means, once.")
    never: str = Field(description="What this must not be used for.")
    core20: str = Field(examples=["This area is not in Core20"])
    core20_detail: str = Field(examples=["By the English Indices of Deprivation 2025, published in October 2025."])
    asked: str = Field(description="Who is asked, by age: above the questions.", examples=["Questions that help"])
    asked_note: str | None = Field(description="What to mind when asking a child or a young person.")
    census: str = Field(description="Where the shares of an area come from.")


class Context(BaseModel):
    """What a clinician may do with a decile; `words` is null and every list is empty unless `include` asks for it.

    Domains and shares together point to one small area nearly always: keep them as you keep the area's code.
    """

    words: Words | None
    cautions: list[CautionText]
    area: list[AreaFact]
    prompts: list[Prompt] = Field(description="Three cues first, then optional follow-ups. Never a reason to refuse.")
    signposts: list[Signpost] = Field(description="The nearest first. Entries past their review date are left out.")
    clinical_areas: list[ClinicalArea] = Field(description="Needs `contact.specialty` and `contact.age`.")
    leads: list[Lead]
    resources: list[Resource]


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
    "inclusion_health": {"groups": None, "private_summary": None},
    "context": {
        "words": None,
        "cautions": [],
        "area": [],
        "prompts": [],
        "signposts": [],
        "clinical_areas": [],
        "leads": [],
        "resources": [],
    },
    "area": None,
    "counted": False,
    "counted_reason": "no_contact",
    "warnings": [],
    "data": {
        "release": "nspl-august-2024-a62e1039",
        "postcodes": "NSPL August 2024",
        "checksum": "sha256:a62e1039…",
        "rules": "postcode 2026-11-22, wording 2026-11-22, context 2026-11-22",
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
    access_needs: list[AccessNeed]
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
