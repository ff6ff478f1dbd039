"""`POST /v1/enrich` and `POST /v1/enrich/batch`."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from app.contract.enrich import BatchRequest, BatchResponse, EnrichRequest, EnrichResponse
from app.contract.problems import problems
from app.contract.render import render
from app.counts.intake import NO_CONTACT, Asked, Receipt
from app.counts.periods import today
from app.enrichment import Question, enrich, enrich_each
from app.errors import Problem, errors_of
from app.exchange import exchange_of
from app.lookup.index import Index
from app.routers.json_body import DirectRoute, body_of, media_type, read_json
from app.routers.state import (
    charge,
    check_area,
    client_of,
    index_of,
    intake_of,
    may,
    may_see_groups,
    rules_of,
    settings_of,
)

router = APIRouter(prefix="/v1", tags=["enrichment"], route_class=DirectRoute)

_NDJSON: Final = "application/x-ndjson"
_RECORD: Final[TypeAdapter[EnrichRequest]] = TypeAdapter(EnrichRequest)
_RECORDS: Final[TypeAdapter[list[EnrichRequest]]] = TypeAdapter(list[EnrichRequest])
_ENVELOPE: Final[TypeAdapter[BatchRequest]] = TypeAdapter(BatchRequest)
_MOST_FIELDS: Final = 32  # of an object; the largest has ten
_LONGEST_RECORD: Final = 64 * 2**10  # bytes of a line
_SLICE: Final = 500  # records between two turns of the event loop: some milliseconds

_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Makes a retry of the same request count once, as `contact.event_id` does. In a batch it stands for"
    " each record with its place. At most 200 characters: a longer one costs the count, never the answer.",
    "schema": {"type": "string"},
}


@router.post(
    "/enrich",
    summary="Deprivation context for one postcode",
    response_model=EnrichResponse,
    responses=problems(400, 408, 413, 415, 422, 429, 503),
    openapi_extra={
        "parameters": [_KEY],
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
    check_area(request, asked=_asks_area(record))
    answer = enrich(_question(record), index, rules)
    exchange_of(request.scope).records = 1
    receipt = NO_CONTACT
    if (contact := record.get("contact")) is not None:
        (receipt,) = await _receipts(request, index, [Asked(contact, answer, request.headers.get("idempotency-key"))])
    written = render(answer, receipt, index.release, rules, may_see_groups=may_see_groups(request))
    return Response(written, media_type="application/json")


@router.post(
    "/enrich/batch",
    summary="Deprivation context for up to 10,000 postcodes",
    response_model=BatchResponse,
    responses={
        200: {"content": {_NDJSON: {"schema": {"description": "One answer a line."}}}},
        **problems(400, 408, 413, 415, 422, 429, 503),
    },
    openapi_extra={
        "parameters": [_KEY],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/BatchRequest"}},
                _NDJSON: {
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
    if kind == _NDJSON:
        _check_length(body.count(b"\n") // 2, most)  # a blank line between any two is enough
        lines = [line for line in body.split(b"\n") if line.strip()]
        _check_length(len(lines), most)
        headers = charge(request, len(lines))
        answers = await _Answerer(request).answers([_parsed(line) for line in lines])
        return Response(b"\n".join([*answers, b""]), headers=headers, media_type=_NDJSON)
    if kind == "application/json":
        records = _records(body, most)
        headers = charge(request, len(records))
        answers = await _Answerer(request).answers(records)
        return Response(_results(answers), headers=headers, media_type="application/json")
    raise Problem(415, f"Send application/json or {_NDJSON}.")


def _asks_area(record: EnrichRequest) -> bool:
    return "area" in (record.get("include") or ())


def _question(record: EnrichRequest) -> Question:
    include = record.get("include") or ()
    day = today() if "context" in include else None
    return Question(record["postcode"], record.get("contact"), record.get("signals"), "area" in include, day)


async def _receipts(request: Request, index: Index, asked: list[Asked]) -> list[Receipt]:
    """What became of each contact."""
    intake = intake_of(request)
    if intake is None:
        withheld = (one.answer.reading.postcode_status == "withheld" for one in asked)
        receipts = [Receipt(False, "withheld" if w else "unavailable") for w in withheld]
    else:
        receipts = await intake.take(asked, index, client_of(request))
    exchange_of(request.scope).count_contacts(receipt.reason or "counted" for receipt in receipts)
    return receipts


class _Answerer:
    """Answers the records of one batch from one release."""

    def __init__(self, request: Request) -> None:
        self.request, self.index, self.rules = request, index_of(request), rules_of(request)
        self.key = request.headers.get("idempotency-key")
        self.may_see_areas, self.may_see_groups = may(request, "area"), may_see_groups(request)

    async def answers(self, records: list[Any]) -> list[bytes]:
        answers: list[bytes] = []
        for start in range(0, len(records), _SLICE):
            some = [
                # Most records of a batch are a postcode and nothing else.
                record if type(record) is dict and len(record) == 1 else _overgrown(record) or record
                for record in records[start : start + _SLICE]
            ]
            try:
                read = _RECORDS.validate_python(some)
                if not self.may_see_areas and any(len(r) > 1 and _asks_area(r) for r in read):
                    answers += await self._answered_apart(some, start)
                else:
                    answers += await self._answered(read, range(start, start + len(some)))
            except ValidationError:  # at least one is broken
                answers += await self._answered_apart(some, start)
            exchange_of(self.request.scope).records = len(answers)
            await asyncio.sleep(0)  # a long batch must not hold up the single requests beside it
        return answers

    async def _answered(self, requests: list[EnrichRequest], places: Sequence[int]) -> list[bytes]:
        """Records' answers as JSON."""
        questions = [r["postcode"] if len(r) == 1 else _question(r) for r in requests]
        answers = enrich_each(questions, self.index, self.rules)
        receipts = [NO_CONTACT] * len(answers)
        counted = [row for row, r in enumerate(requests) if len(r) > 1 and r.get("contact") is not None]
        if counted:
            asked = [Asked(requests[row]["contact"] or {}, answers[row], self.key, places[row]) for row in counted]
            for row, receipt in zip(counted, await _receipts(self.request, self.index, asked), strict=True):
                receipts[row] = receipt
        release, rules, may_see_groups = self.index.release, self.rules, self.may_see_groups
        return [
            render(answer, receipt, release, rules, may_see_groups=may_see_groups)
            for answer, receipt in zip(answers, receipts, strict=True)
        ]

    async def _answered_apart(self, records: list[Any], start: int) -> list[bytes]:
        """The sound records looked up together, and an error in the place of each other one."""
        read = [self._allowed(_read(record)) for record in records]
        sound = {start + i: r for i, r in enumerate(read) if not isinstance(r, Problem)}
        answers = iter(await self._answered(list(sound.values()), list(sound)))
        return [to_json({"error": r.body()}) if isinstance(r, Problem) else next(answers) for r in read]

    def _allowed(self, record: EnrichRequest | Problem) -> EnrichRequest | Problem:
        if isinstance(record, Problem) or self.may_see_areas or not _asks_area(record):
            return record
        return Problem(403)


def _overgrown(record: Any, name: str = "record") -> Problem | None:
    """A record with far more fields than there are, refused before each of them costs an error of its own."""
    if not isinstance(record, dict):
        return None
    inner = (record.get("contact"), record.get("signals"))
    if len(record) > _MOST_FIELDS or any(isinstance(i, dict) and len(i) > _MOST_FIELDS for i in inner):
        return Problem(422, errors=[{"field": name, "code": "unknown_field"}])
    return None


def read_record(record: Any, name: str = "record") -> EnrichRequest:
    """A record whose structure is sound; a 422 problem, which calls it by this name, when it is not."""
    if problem := _overgrown(record, name):
        raise problem
    try:
        return _RECORD.validate_python(record)
    except ValidationError as error:
        raise Problem(422, errors=errors_of(error, name)) from None


def _read(record: Any) -> EnrichRequest | Problem:
    try:
        return record if isinstance(record, Problem) else read_record(record)
    except Problem as problem:
        return problem


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
