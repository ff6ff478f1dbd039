"""FHIR R4: what `$enrich` is asked, read into a question, and the answer written as Parameters or an Observation.

Pure. Elements and parameters that are not known here are ignored, as FHIR asks; what is wrong is told by where it is
and never by its value.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, Final, Literal, NamedTuple, get_args

from app.context.notices import Notice
from app.context.rulebook import Context
from app.enrichment import AreaCodes, Enrichment, Question, Reading, Rules, Standing
from app.interop.patient import PatientReading, read_patient
from app.lookup.deprivation import DOMAINS
from app.lookup.index import Release

Json = dict[str, Any]
AreaMeasure = Literal["area-deprivation", "imd-decile", "core20", "imd-edition", "lookup"]
AREA_MEASURES: Final[tuple[AreaMeasure, ...]] = get_args(AreaMeasure)

_CATEGORIES: Final = "http://terminology.hl7.org/CodeSystem/observation-category"
_ABSENT: Final = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
_MODIFIERS: Final = ("implicitRules", "modifierExtension")  # what follows may mean something else where one stands
_ONE: Final = ("postcode", "patient", "specialty", "age")  # parameters of which there is one
# What a notice is about, as a FHIR client knows it.
_FIELDS: Final = {
    "postcode": "postcode",
    "signals.snomed": "signal-snomed",
    "signals.ethnic_category.code": "patient.extension",
}


class Fault(NamedTuple):
    """Why a body is no question: where, as a FHIRPath, and what. Never a value."""

    expression: str
    code: str


# ------------------------------------------------------------------------------------------- what is asked


def read_question(body: Any, day: date) -> Question | Fault:
    """A Parameters, or a Patient by itself, as a question on this day. Never raises, whatever the body holds."""
    if not isinstance(body, dict):
        return Fault("Parameters", "not_parameters_or_patient")
    if fault := _modified(body):
        return fault
    if body.get("resourceType") == "Patient":
        return _question(read_patient(body, day))
    if body.get("resourceType") != "Parameters":
        return Fault("resourceType", "not_parameters_or_patient")
    if not isinstance(body.get("parameter"), list):
        return Fault("Parameters.parameter", "required")
    return _read_parameters(body["parameter"], day)


def _is_patient(resource: Any) -> bool:
    return isinstance(resource, dict) and resource.get("resourceType") == "Patient"


def _read_parameters(sent: list[Any], day: date) -> Question | Fault:
    named: dict[str, list[Json]] = {}
    for place, parameter in enumerate(sent):
        name = _text(parameter.get("name")) if isinstance(parameter, dict) else None
        if name is None:
            continue
        if name in named and name in _ONE:  # two postcodes are two patients: neither is taken
            return Fault(f"Parameters.parameter[{place}]", "too_many")
        named.setdefault(name, []).append(parameter)
    if not {"postcode", "patient"} & set(named):
        return Fault("Parameters.parameter", "postcode_or_patient_required")
    resource = _first(named, "patient", "resource")
    if isinstance(resource, dict) and (fault := _modified(resource)):
        return fault
    patient = read_patient(resource if _is_patient(resource) else {}, day)
    if "postcode" in named:
        patient = patient._replace(postcode=_text(_first(named, "postcode", "valueString")))
    if type(age := _first(named, "age", "valueInteger")) is int:
        patient = patient._replace(age=age)
    include = {
        parameter.get("valueCode") for parameter in named.get("include", ()) if _text(parameter.get("valueCode"))
    }
    return _question(
        patient,
        specialty=_text(_first(named, "specialty", "valueCode", "valueString")),
        snomed=[code for p in named.get("signal-snomed", ()) if (code := _text(p.get("valueCode"))) is not None],
        with_area="area" in include,
        context_on=day if "context" in include else None,
    )


def _modified(resource: Json) -> Fault | None:
    """What FHIR forbids to ignore: an element that may turn the meaning of the others into its opposite."""
    found = next((name for name in _MODIFIERS if resource.get(name)), None)
    return Fault(found, "modifier_not_understood") if found else None


def _question(
    patient: PatientReading,
    specialty: str | None = None,
    snomed: list[str] | None = None,
    with_area: bool = False,
    context_on: date | None = None,
) -> Question:
    """The question about a patient; the contact only says what context is for, and is not to be counted."""
    signals = {
        "snomed": snomed or None,
        "ethnic_category": patient.ethnic_category,
        "interpreter_required": patient.interpreter_required,
    }
    contact = {"specialty": specialty, "age": patient.age}
    return Question(patient.postcode, _said(contact) or None, _said(signals) or None, with_area, context_on)


def _said(fields: Mapping[str, Any]) -> Json:
    return {name: value for name, value in fields.items() if value is not None}


def _first(named: Mapping[str, list[Json]], name: str, *keys: str) -> Any:
    parameter = next(iter(named.get(name, ())), {})
    return next((parameter[key] for key in keys if key in parameter), None)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


# ------------------------------------------------------------------------------------ the answer as Parameters


def parameters(answer: Enrichment, release: Release, rules: Rules, *, may_see_groups: bool) -> Json:
    """The answer as a Parameters. What is unknown is absent, with its reason; groups only for whoever may see them."""
    reading, said = answer.reading, answer.said
    written = [
        *_reading(reading),
        *(_edition(name, standing) for name, standing in reading.editions.items()),
        *_domains(answer.domains),
        _of("summary", "String", reading.summary),
        _of("second", "String", rules.book.area.second),
        *(_of("caution", "Code", caution) for caution in reading.cautions),
        *(_parts("access-need", *_named(need), _of("sentence", "String", need.sentence)) for need in said.needs),
        _of("inclusion-groups-shown", "Boolean", may_see_groups),
    ]
    if may_see_groups:
        written += [_parts("inclusion-group", *_named(group)) for group in said.groups]
        written.append(_of("private-summary", "String", said.private_summary))
    if answer.area:
        written.append(_area(answer.area))
    if answer.context:
        written.append(_context(answer.context, rules))
    written += [_warning(notice) for notice in (*reading.warnings, *said.problems)]
    written.append(_data(release, rules))
    return {"resourceType": "Parameters", "parameter": _present(written)}


def _reading(reading: Reading) -> list[Json | None]:
    return [
        _of("postcode-status", "Code", reading.postcode_status),
        _of("country", "String", reading.country),
        _of("imd-decile", "Integer", reading.imd_decile),
        _of("imd-quintile", "Integer", reading.imd_quintile),
        _of("imd-edition", "Code", reading.imd_edition),
        _of("core20", "Boolean", reading.core20),
        _of("core20-reason", "Code", reading.core20_reason),
    ]


def _edition(name: str, standing: Standing | None) -> Json:
    """How the area stands in one edition: its name alone where it has no value in it."""
    decile, fifth, core20, computed = standing or (None, None, None, None)
    return _parts(
        "edition",
        _of("id", "Code", name),
        _of("decile", "Integer", decile),
        _of("quintile", "Integer", fifth),
        _of("core20", "Boolean", core20),
        _of("computed", "Boolean", computed),
    )


def _domains(deciles: tuple[int, ...] | None) -> list[Json]:
    known = zip(DOMAINS, deciles, strict=True) if deciles else ()
    return [_parts("domain", _of("id", "Code", n), _of("decile", "Integer", d)) for n, d in known if d]


def _area(area: AreaCodes) -> Json:
    return _parts(
        "area",
        *(_of(name, "Code", getattr(area, name)) for name in ("lsoa21", "lsoa11", "lad", "icb")),
        *(_parts("rank", _of("id", "Code", name), _of("rank", "Integer", rank)) for name, rank in area.ranks.items()),
    )


def _context(context: Context, rules: Rules) -> Json:
    return _parts(
        "context",
        _of("never", "String", rules.book.area.never),
        *(
            _parts("area-fact", *_named(fact), _of("sentence", "String", fact.sentence), _of("kind", "Code", fact.kind))
            for fact in context.area
        ),
        *(
            _parts("prompt", _of("id", "Code", p.id), _of("kind", "Code", p.kind), _of("text", "String", p.text))
            for p in context.prompts
        ),
        *(
            _parts(
                "signpost",
                *_named(signpost),
                _of("what", "String", signpost.what),
                _of("for-whom", "String", signpost.for_whom),
                _of("phone", "String", signpost.phone),
                _of("url", "Url", signpost.url),
                _of("reviewed", "Date", signpost.reviewed.isoformat() if signpost.reviewed else None),
            )
            for signpost in context.signposts
        ),
        *(
            _parts("clinical-area", *_named(area), _of("aim", "String", area.aim), _of("why", "String", area.why))
            for area in context.clinical_areas
        ),
        *(
            _parts("lead", _of("id", "Code", lead.id), _of("sentence", "String", f"{lead.title}: {lead.sentence}"))
            for lead in rules.book.organisation.leads
        ),
    )


def _warning(notice: Notice) -> Json:
    field = _FIELDS.get(notice.field, "patient.extension")
    return _parts("warning", _of("field", "String", field), _of("code", "Code", notice.code))


def _data(release: Release, rules: Rules) -> Json:
    return _parts(
        "data",
        _of("release", "String", release.id),
        _of("postcodes", "String", release.postcodes),
        _of("checksum", "String", release.checksum),
        _of("rules", "String", rules.version),
    )


def _named(thing: Any) -> tuple[Json | None, ...]:
    return _of("id", "Code", thing.id), _of("name", "String", thing.name)


def _of(name: str, kind: str, value: Any) -> Json | None:
    """A parameter with a value, None where there is none: FHIR knows neither null nor an empty text."""
    return None if value is None or value == "" else {"name": name, f"value{kind}": value}


def _parts(name: str, *parts: Json | None) -> Json:
    return {"name": name, "part": _present(parts)}


def _present(parameters: Iterable[Json | None]) -> list[Json]:
    return [parameter for parameter in parameters if parameter is not None]


# ----------------------------------------------------------------------------------- the answer as an Observation


def observation(answer: Enrichment, rules: Rules, day: date, base: str) -> Json:
    """The answer as an Observation of the area: no subject, no value where the decile is unknown.

    `base` is that of our code systems. A decile is read from a table for a postcode: nobody was measured.
    """
    reading = answer.reading
    known = reading.imd_decile is not None
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [_concept(_CATEGORIES, "social-history")],
        "code": {**_measure(base, "area-deprivation"), "text": "Deprivation of the area of the home postcode"},
        "effectiveDateTime": day.isoformat(),
        **({} if known else {"dataAbsentReason": _concept(_ABSENT, "unknown")}),
        "note": [{"text": f"{reading.summary} {rules.book.area.second}"}],
        "method": {**_measure(base, "lookup"), "text": "lookup"},
        "component": [
            _component(base, "imd-decile", "Integer", reading.imd_decile),
            _component(base, "core20", "Boolean", reading.core20),
            _component(base, "imd-edition", "String", reading.imd_edition),
        ],
    }


def _component(base: str, measure: AreaMeasure, kind: str, value: Any) -> Json:
    said = {"dataAbsentReason": _concept(_ABSENT, "unknown")} if value is None else {f"value{kind}": value}
    return {"code": _measure(base, measure), **said}


def _measure(base: str, measure: AreaMeasure) -> Json:
    return _concept(f"{base}/CodeSystem/area-measure", measure)


def _concept(system: str, code: str) -> Json:
    return {"coding": [{"system": system, "code": code}]}
