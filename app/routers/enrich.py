"""`POST /v1/enrich` and `POST /v1/enrich/batch`."""

import asyncio
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Request, Response
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from app.contract.enrich import BatchRequest, BatchResponse, EnrichRequest, EnrichResponse
from app.contract.problems import problems
from app.contract.render import render
from app.enrichment import Enrichment, Rules, enrich, enrich_each
from app.errors import Problem, errors_of
from app.lookup.index import Index
from app.routers.json_body import StrictRoute, media_type, read_json
from app.routers.state import index_of, rules_of, settings_of

router = APIRouter(prefix="/v1", tags=["enrichment"], route_class=StrictRoute)

_NDJSON: Final = "application/x-ndjson"
_RECORD: Final[TypeAdapter[EnrichRequest]] = TypeAdapter(EnrichRequest)
_RECORDS: Final[TypeAdapter[list[EnrichRequest]]] = TypeAdapter(list[EnrichRequest])
_ENVELOPE: Final[TypeAdapter[BatchRequest]] = TypeAdapter(BatchRequest)
_MOST_FIELDS: Final = 32  # of an object; the largest has ten
_LONGEST_RECORD: Final = 64 * 2**10  # bytes of a line
_SLICE: Final = 500  # records between two turns of the event loop: some milliseconds


@router.post(
    "/enrich",
    summary="Deprivation context for one postcode",
    response_model=EnrichResponse,
    responses=problems(400, 413, 415, 422, 503),
)
async def enrich_one(request: Request, record: Annotated[EnrichRequest, Body()]) -> Response:
    """Answer one postcode. A poor postcode is answered 200 with its status: unknown is a finding, not a failure.

    Without `contact` nothing is counted. Allow 300 ms and carry on without the answer if it does not come.
    """
    index, rules = index_of(request), rules_of(request)
    answer = enrich(record["postcode"], index, rules, with_area="area" in (record.get("include") or ()))
    body = render(answer, _reason(record, answer), index.release, rules)
    return Response(body, media_type="application/json")


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
async def enrich_batch(request: Request) -> Response:
    """Answer many records in one request, each by itself, in order.

    JSON in gives JSON out; NDJSON (`application/x-ndjson`, one record a line) gives NDJSON. A record that cannot be
    read is answered in its place by `{"error": …}` and its neighbours are answered as usual.
    """
    kind, most = media_type(request), settings_of(request).max_batch_records
    body = await request.body()
    index, rules = index_of(request), rules_of(request)
    if kind == _NDJSON:
        _check_length(body.count(b"\n") // 2, most)  # a blank line between any two is enough
        lines = [line for line in body.split(b"\n") if line.strip()]
        _check_length(len(lines), most)
        answers = await _answers([_parsed(line) for line in lines], index, rules)
        return Response(b"\n".join([*answers, b""]), media_type=_NDJSON)
    if kind == "application/json":
        records = _records(body, most)
        answers = await _answers(records, index, rules)
        return Response(_results(answers), media_type="application/json")
    raise Problem(415, f"Send application/json or {_NDJSON}.")


def _answered(requests: list[EnrichRequest], index: Index, rules: Rules) -> list[bytes]:
    """Records' answers as JSON."""
    with_area = ["area" in (r.get("include") or ()) for r in requests]
    answers = enrich_each([r["postcode"] for r in requests], index, rules, with_area)
    return [
        render(answer, _reason(request, answer), index.release, rules)
        for request, answer in zip(requests, answers, strict=True)
    ]


def _reason(request: EnrichRequest, answer: Enrichment) -> str:
    """Why nothing was counted."""
    if request.get("contact") is None:
        return "no_contact"
    if answer.reading.postcode_status == "withheld":
        return "withheld"
    return "unavailable"  # nothing keeps counts yet


async def _answers(records: list[Any], index: Index, rules: Rules) -> list[bytes]:
    answers: list[bytes] = []
    for start in range(0, len(records), _SLICE):
        some = [
            # Most records of a batch are a postcode and nothing else.
            record if type(record) is dict and len(record) == 1 else _overgrown(record) or record
            for record in records[start : start + _SLICE]
        ]
        try:
            answers += _answered(_RECORDS.validate_python(some), index, rules)
        except ValidationError:  # at least one is broken
            answers += _answered_apart(some, index, rules)
        await asyncio.sleep(0)  # a long batch must not hold up the single requests beside it
    return answers


def _answered_apart(records: list[Any], index: Index, rules: Rules) -> list[bytes]:
    """The sound records looked up together, and an error in the place of each other one."""
    read = [_read(record) for record in records]
    answers = iter(_answered([r for r in read if not isinstance(r, Problem)], index, rules))
    return [to_json({"error": r.body()}) if isinstance(r, Problem) else next(answers) for r in read]


def _overgrown(record: Any) -> Problem | None:
    """A record with far more fields than there are, refused before each of them costs an error of its own."""
    if not isinstance(record, dict):
        return None
    inner = (record.get("contact"), record.get("signals"))
    if len(record) > _MOST_FIELDS or any(isinstance(i, dict) and len(i) > _MOST_FIELDS for i in inner):
        return Problem(422, errors=[{"field": "record", "code": "unknown_field"}])
    return None


def _read(record: Any) -> EnrichRequest | Problem:
    if isinstance(record, Problem):
        return record
    try:
        return _RECORD.validate_python(record)
    except ValidationError as error:
        return Problem(422, errors=errors_of(error, "record"))


def _parsed(line: bytes) -> Any:
    if len(line) > _LONGEST_RECORD:
        return Problem(413, f"At most {_LONGEST_RECORD:,} bytes in one record.")
    try:
        return read_json(line)
    except ValueError:
        return Problem(400)


def _records(body: bytes, most: int) -> list[Any]:
    try:
        envelope = read_json(body)
    except ValueError:
        raise Problem(400) from None
    if isinstance(envelope, dict) and len(envelope) > _MOST_FIELDS:
        raise Problem(422, errors=[{"field": "body", "code": "unknown_field"}])
    if isinstance(envelope, dict) and isinstance(envelope.get("records"), list):
        _check_length(len(envelope["records"]), most)
    try:
        return _ENVELOPE.validate_python(envelope).records
    except ValidationError as error:
        raise Problem(422, errors=errors_of(error, "body")) from None


def _results(answers: list[bytes]) -> bytes:
    if not answers:
        return b'{"results":[]}'
    # Joined once: the answer to a thousand is about a megabyte, and each further copy of it shows.
    answers[0] = b'{"results":[' + answers[0]
    answers[-1] += b"]}"
    return b",".join(answers)


def _check_length(records: int, most: int) -> None:
    if records > most:
        raise Problem(413, f"At most {most:,} records in one batch.", errors=[{"field": "records", "code": "too_many"}])
