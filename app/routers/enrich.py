"""`POST /v1/enrich` and `POST /v1/enrich/batch`."""

from typing import Any, Final

from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter, ValidationError

from app.contract.enrich import BatchRequest, BatchResponse, EnrichResponse
from app.contract.problems import problems
from app.contract.render import render
from app.counts.intake import NO_CONTACT, Asked
from app.enrichment import enrich
from app.errors import Problem, errors_of
from app.exchange import exchange_of
from app.routers.answering import (
    IDEMPOTENCY_KEY,
    MOST_FIELDS,
    NDJSON,
    Answerer,
    asks_area,
    parsed,
    question_of,
    read_record,
    receipts_of,
)
from app.routers.json_body import DirectRoute, body_of, media_type, read_json
from app.routers.state import charge, check_area, index_of, may_see_groups, rules_of, settings_of

router = APIRouter(prefix="/v1", tags=["enrichment"], route_class=DirectRoute)

_ENVELOPE: Final[TypeAdapter[BatchRequest]] = TypeAdapter(BatchRequest)


@router.post(
    "/enrich",
    summary="Deprivation context for one postcode",
    response_model=EnrichResponse,
    responses=problems(400, 408, 413, 415, 422, 429, 503),
    openapi_extra={
        "parameters": [IDEMPOTENCY_KEY],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/EnrichRequest"}}},
        },
    },
)
async def enrich_one(request: Request) -> Response:
    """Answer one postcode. A poor postcode is answered 200 with its status: unknown is a finding, not a failure.

    Without `contact` nothing is counted. With `contact.event_id`, or an `Idempotency-Key` header, a retry counts
    once. Allow 500 ms and carry on without the answer if it does not come.
    """
    if media_type(request) != "application/json":
        raise Problem(415, "Send application/json.")
    if not (body := await body_of(request)):
        raise Problem(422, errors=[{"field": "body", "code": "required"}])
    try:
        record = read_record(read_json(body), "body")
    except ValueError:
        raise Problem(400) from None
    index, rules = index_of(request), rules_of(request)
    check_area(request, asked=asks_area(record))
    answer = enrich(question_of(record), index, rules)
    exchange_of(request.scope).records = 1
    receipt = NO_CONTACT
    if (contact := record.get("contact")) is not None:
        (receipt,) = await receipts_of(request, index, [Asked(contact, answer, request.headers.get("idempotency-key"))])
    written = render(answer, receipt, index.release, rules, may_see_groups=may_see_groups(request))
    return Response(written, media_type="application/json")


@router.post(
    "/enrich/batch",
    summary="Deprivation context for up to 10,000 postcodes",
    response_model=BatchResponse,
    responses={
        200: {"content": {NDJSON: {"schema": {"description": "One answer a line."}}}},
        **problems(400, 408, 413, 415, 422, 429, 503),
    },
    openapi_extra={
        "parameters": [IDEMPOTENCY_KEY],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/BatchRequest"}},
                NDJSON: {
                    "schema": {"description": "One EnrichRequest a line; blank lines are skipped."},
                    "example": '{"postcode": "NG1 1AA"}\n{"postcode": "ZZ99 3VZ"}\n',
                },
            },
        },
    },
)
async def enrich_batch(request: Request) -> Response:
    """Answer many records in one request, each by itself, in order.

    JSON in gives JSON out; NDJSON (`application/x-ndjson`, one record a line) gives NDJSON. A record that cannot be
    read is answered in its place by `{"error": …}` and its neighbours are answered as usual.
    """
    kind, most = media_type(request), settings_of(request).max_batch_records
    body = await body_of(request)
    if kind == NDJSON:
        _check_length(body.count(b"\n") // 2, most)  # a blank line between any two is enough
        lines = [line for line in body.split(b"\n") if line.strip()]
        _check_length(len(lines), most)
        headers = charge(request, len(lines))
        answers = await Answerer(request).answers([parsed(line) for line in lines])
        return Response(b"\n".join([*answers, b""]), headers=headers, media_type=NDJSON)
    if kind == "application/json":
        records = _records(body, most)
        headers = charge(request, len(records))
        answers = await Answerer(request).answers(records)
        return Response(_results(answers), headers=headers, media_type="application/json")
    raise Problem(415, f"Send application/json or {NDJSON}.")


def _records(body: bytes, most: int) -> list[Any]:
    try:
        envelope = read_json(body)
    except ValueError:
        raise Problem(400) from None
    if isinstance(envelope, dict) and len(envelope) > MOST_FIELDS:
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
