"""`/fhir/R4`: the operation `$enrich`, and the resources that describe it. Nothing is counted here."""

from typing import Any, Final

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from app.contract.fhir import FORMAT, OUTPUT, REQUEST_BODY, answers, outcomes, path_name
from app.counts.periods import today
from app.enrichment import enrich
from app.errors import FHIR_MEDIA_TYPE, Problem
from app.exchange import exchange_of
from app.interop.fhir import Fault, observation, parameters, read_question
from app.interop.fhir_definitions import CODE_SYSTEMS, capability_statement, code_system, operation_definition
from app.routers.json_body import DirectRoute, body_of, media_type, read_json
from app.routers.state import check_area, index_of, may_see_groups, rules_of, settings_of

_JSON: Final = frozenset({"application/json", FHIR_MEDIA_TYPE})
_FORMATS: Final = _JSON | {"json"}
_OUTPUTS: Final = frozenset({"parameters", "observation"})


class FhirResponse(Response):
    """A resource as JSON."""

    media_type = FHIR_MEDIA_TYPE


router = APIRouter(prefix="/fhir/R4", tags=["FHIR R4"], default_response_class=FhirResponse, route_class=DirectRoute)


@router.post(
    "/$enrich",
    summary="Deprivation context by FHIR",
    responses={
        **answers(
            "Parameters",
            "Observation",
            example={
                "resourceType": "Parameters",
                "parameter": [
                    {"name": "postcode-status", "valueCode": "live"},
                    {"name": "country", "valueString": "England"},
                    {"name": "imd-decile", "valueInteger": 3},
                    {"name": "imd-quintile", "valueInteger": 2},
                    {"name": "imd-edition", "valueCode": "IoD2025"},
                    {"name": "core20", "valueBoolean": False},
                ],
            },
        ),
        **outcomes(400, 406, 408, 413, 415, 422, 429, 503),
    },
    openapi_extra={"parameters": [OUTPUT, FORMAT], "requestBody": REQUEST_BODY},
)
async def ask(request: Request) -> Response:
    """Answer a Parameters, or a UK Core Patient by itself, by a Parameters. Unknown is absent, with its reason.

    What is not known here is ignored, as FHIR asks. Nothing is counted: at patient-view the outcome of a contact is
    not known. The OperationDefinition lists every parameter.
    """
    _check_format(request)
    outputs = request.query_params.getlist("_output") or ["parameters"]
    if len(outputs) > 1 or outputs[0] not in _OUTPUTS:
        raise Problem(422, errors=[{"field": "http._output", "code": "not_one_of_the_allowed"}])
    if media_type(request) not in _JSON:
        raise Problem(415, f"Send {FHIR_MEDIA_TYPE} or application/json.")
    day = today()
    question = read_question(await _body(request), day)
    if isinstance(question, Fault):
        raise Problem(422, errors=[{"field": question.expression, "code": question.code}])
    check_area(request, asked=question.with_area)
    index, rules = index_of(request), rules_of(request)
    answer = enrich(question, index, rules)
    exchange_of(request.scope).records = 1
    if outputs == ["observation"]:
        return _resource(observation(answer, rules, day, settings_of(request).fhir_base))
    return _resource(parameters(answer, index.release, rules, may_see_groups=may_see_groups(request)))


@router.get(
    "/metadata",
    summary="What the FHIR door can do",
    responses={**answers("CapabilityStatement"), **outcomes(406, 503)},
    openapi_extra={"parameters": [FORMAT]},
)
async def capabilities(request: Request) -> Response:
    """The CapabilityStatement."""
    _check_format(request)
    return _resource(capability_statement(settings_of(request).fhir_base, request.app.version))


@router.get(
    "/OperationDefinition/enrich",
    summary="The operation, parameter by parameter",
    responses={**answers("OperationDefinition"), **outcomes(406, 503)},
    openapi_extra={"parameters": [FORMAT]},
)
async def operation(request: Request) -> Response:
    """The OperationDefinition of `$enrich`."""
    _check_format(request)
    return _resource(operation_definition(settings_of(request).fhir_base, request.app.version))


@router.get(
    "/CodeSystem/{name}",
    summary="A code system of ours",
    responses={**answers("CodeSystem"), **outcomes(404, 406, 503)},
    openapi_extra={"parameters": [path_name(CODE_SYSTEMS), FORMAT]},
)
async def codes(request: Request) -> Response:
    """`postcode-status`, `core20-reason`, `caution` or `area-measure`, made of the very codes that answers hold."""
    _check_format(request)
    found = code_system(request.path_params["name"], settings_of(request).fhir_base, request.app.version)
    if found is None:
        raise Problem(404)
    return _resource(found)


def _resource(resource: dict[str, Any]) -> Response:
    return FhirResponse(to_json(resource))


async def _body(request: Request) -> Any:
    try:
        return read_json(await body_of(request))
    except ValueError:
        raise Problem(400) from None


def _check_format(request: Request) -> None:
    """A 406 problem where what is asked for leaves JSON out. `_format` comes before `Accept`, as FHIR has it."""
    if formats := request.query_params.getlist("_format"):
        # A plus sign in a query stands for a space, and few clients encode it.
        wanted = all(text.split(";")[0].strip().replace(" ", "+").lower() in _FORMATS for text in formats)
    else:
        wanted = _accepts_json(",".join(request.headers.getlist("accept")))
    if not wanted:
        raise Problem(406, f"Ask for {FHIR_MEDIA_TYPE}.")


def _accepts_json(accept: str) -> bool:
    """Whether an Accept header leaves room for JSON: of the ranges that match, the closest decides (RFC 9110)."""
    weights = dict(_weighed(media_range) for media_range in accept.split(",") if media_range.strip())
    if not weights:
        return True
    for own in _JSON:
        closest = next((r for r in (own, "application/*", "*/*") if r in weights), None)
        if closest is not None and weights[closest] > 0:
            return True
    return False


def _weighed(media_range: str) -> tuple[str, float]:
    """A media range and its weight from 0 to 1; one that cannot be read is taken for 1."""
    kind, *parameters_of_it = (part.strip().lower() for part in media_range.split(";"))
    weight = next((p[2:] for p in parameters_of_it if p.startswith("q=")), "1")
    try:
        return kind, float(weight)
    except ValueError:
        return kind, 1.0
