"""`POST /v1/enrich` and `POST /v1/enrich/batch`."""

import asyncio
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from app.contract.enrich import BatchRequest, BatchResponse, EnrichRequest, EnrichResponse
from app.contract.problems import problems
from app.contract.render import render
from app.enrichment import Rules, enrich
from app.errors import Problem, field_errors
from app.lookup.index import Index
from app.routers.dependencies import IndexDep, RulesDep, SettingsDep
from app.routers.json_body import StrictRoute, read_json

router = APIRouter(prefix="/v1", tags=["enrichment"], route_class=StrictRoute)

_NDJSON: Final = "application/x-ndjson"
_RECORD: Final[TypeAdapter[EnrichRequest]] = TypeAdapter(EnrichRequest)
_RECORDS: Final[TypeAdapter[list[EnrichRequest]]] = TypeAdapter(list[EnrichRequest])
_ENVELOPE: Final[TypeAdapter[BatchRequest]] = TypeAdapter(BatchRequest)
_SLICE: Final = 250  # records between two turns of the event loop: about a millisecond


@router.post(
    "/enrich",
    summary="Deprivation context for one postcode",
    response_model=EnrichResponse,
    responses=problems(400, 413, 422, 503),
)
async def enrich_one(request: EnrichRequest, index: IndexDep, rules: RulesDep) -> Response:
    """Answer one postcode. A poor postcode is answered 200 with its status: unknown is a finding, not a failure.

    Without `contact` nothing is counted. Allow 300 ms and carry on without the answer if it does not come.
    """
    return Response(answer(request, index, rules), media_type="application/json")


@router.post(
    "/enrich/batch",
    summary="Deprivation context for up to 10,000 postcodes",
    response_model=BatchResponse,
    responses={
        200: {"content": {_NDJSON: {"schema": {"description": "One answer a line."}}}},
        **problems(400, 413, 415, 422, 503),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/BatchRequest"}},
                _NDJSON: {
                    "schema": {"description": "One EnrichRequest a line; blank lines are skipped."},
                    "example": '{"postcode": "NG1 1AA"}\n{"postcode": "ZZ99 3VZ"}\n',
                },
            },
        }
    },
)
async def enrich_batch(request: Request, index: IndexDep, rules: RulesDep, settings: SettingsDep) -> Response:
    """Answer many records in one request, each by itself, in order.

    JSON in gives JSON out; NDJSON (`application/x-ndjson`, one record a line) gives NDJSON. A record that cannot be
    read is answered in its place by `{"error": …}` and its neighbours are answered as usual.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    body = await request.body()
    if kind == _NDJSON:
        lines = [line for line in body.split(b"\n") if line.strip()]
        _check_length(len(lines), settings.max_batch_records)
        answers = await _answers([_parsed(line) for line in lines], index, rules)
        return Response(b"".join(a + b"\n" for a in answers), media_type=_NDJSON)
    if kind == "application/json":
        records = _records(body, settings.max_batch_records)
        answers = await _answers(records, index, rules)
        return Response(b'{"results":[' + b",".join(answers) + b"]}", media_type="application/json")
    raise Problem(415, f"Send application/json or {_NDJSON}.")


def answer(request: EnrichRequest, index: Index, rules: Rules) -> bytes:
    """One record's answer as JSON."""
    with_area = request.include is not None and "area" in request.include
    enrichment = enrich(request.postcode, index, rules, with_area=with_area)
    if request.contact is None:
        reason = "no_contact"
    elif enrichment.reading.postcode_status == "withheld":
        reason = "withheld"
    else:
        reason = "unavailable"  # nothing keeps counts yet
    return render(enrichment, reason, index.release, rules)


async def _answers(records: list[Any], index: Index, rules: Rules) -> list[bytes]:
    answers: list[bytes] = []
    for start in range(0, len(records), _SLICE):
        some = records[start : start + _SLICE]
        try:
            answers += [answer(record, index, rules) for record in _RECORDS.validate_python(some)]
        except ValidationError:  # at least one is broken: each by itself, which is slower
            answers += [_answer_alone(record, index, rules) for record in some]
        await asyncio.sleep(0)  # a long batch must not hold up the single requests beside it
    return answers


def _answer_alone(record: Any, index: Index, rules: Rules) -> bytes:
    if isinstance(record, Problem):
        return _in_place(record)
    try:
        return answer(_RECORD.validate_python(record), index, rules)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False, include_context=False)
        return _in_place(Problem(422, errors=field_errors(errors, root="record")))


def _parsed(line: bytes) -> Any:
    try:
        return read_json(line)
    except ValueError:
        return Problem(400)


def _records(body: bytes, most: int) -> list[Any]:
    try:
        envelope = read_json(body)
    except ValueError:
        raise Problem(400) from None
    if isinstance(envelope, dict) and isinstance(envelope.get("records"), list):
        _check_length(len(envelope["records"]), most)
    try:
        return _ENVELOPE.validate_python(envelope).records
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False, include_context=False)
        raise Problem(422, errors=field_errors(errors)) from None


def _check_length(records: int, most: int) -> None:
    if records > most:
        raise Problem(413, f"At most {most:,} records in one batch.", errors=[{"field": "records", "code": "too_many"}])


def _in_place(problem: Problem) -> bytes:
    return to_json({"error": problem.body()})
