"""Records to answers: what `/v1/enrich`, batches and streams do alike."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from fastapi import Request
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from app.contract.enrich import EnrichRequest
from app.contract.render import render
from app.counts.intake import NO_CONTACT, Asked, Receipt
from app.counts.periods import today
from app.enrichment import Question, enrich_each
from app.errors import Problem, errors_of
from app.exchange import exchange_of
from app.lookup.index import Index
from app.routers.json_body import read_json
from app.routers.state import client_of, index_of, intake_of, may, may_see_groups, rules_of

NDJSON: Final = "application/x-ndjson"
SLICE: Final = 500
"""Records between two turns of the event loop: some milliseconds."""
MOST_FIELDS: Final = 32
"""Of an object; the largest has ten."""
LONGEST_RECORD: Final = 64 * 2**10
"""Bytes of a line."""
IDEMPOTENCY_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Makes a retry of the same request count once, as `contact.event_id` does. In a batch or a stream it"
    " stands for each record with its place. At most 200 characters: a longer one costs the count, never the answer.",
    "schema": {"type": "string"},
}

_RECORD: Final[TypeAdapter[EnrichRequest]] = TypeAdapter(EnrichRequest)
_RECORDS: Final[TypeAdapter[list[EnrichRequest]]] = TypeAdapter(list[EnrichRequest])


def asks_area(record: EnrichRequest) -> bool:
    """Whether a record asks for area codes."""
    return "area" in (record.get("include") or ())


def question_of(record: EnrichRequest) -> Question:
    """What a record asks."""
    include = record.get("include") or ()
    day = today() if "context" in include else None
    return Question(record["postcode"], record.get("contact"), record.get("signals"), "area" in include, day)


async def receipts_of(request: Request, index: Index, asked: list[Asked]) -> list[Receipt]:
    """What became of each contact."""
    intake = intake_of(request)
    if intake is None:
        withheld = (one.answer.reading.postcode_status == "withheld" for one in asked)
        receipts = [Receipt(False, "withheld" if w else "unavailable") for w in withheld]
    else:
        receipts = await intake.take(asked, index, client_of(request))
    exchange_of(request.scope).count_contacts(receipt.reason or "counted" for receipt in receipts)
    return receipts


class Answerer:
    """Answers the records of one batch or stream, from the release that is current when it is made."""

    def __init__(self, request: Request) -> None:
        self.request, self.index, self.rules = request, index_of(request), rules_of(request)
        self.key = request.headers.get("idempotency-key")
        self.may_see_areas, self.may_see_groups = may(request, "area"), may_see_groups(request)

    async def answers(self, records: list[Any], place: int = 0) -> list[bytes]:
        """Answers as JSON, in order, to JSON values and to Problems in the place of what is none.

        `place` is how many records of the same request came before these.
        """
        answers: list[bytes] = []
        for start in range(0, len(records), SLICE):
            some = [
                # Most records of a batch are a postcode and nothing else.
                record if type(record) is dict and len(record) == 1 else _overgrown(record) or record
                for record in records[start : start + SLICE]
            ]
            try:
                read = _RECORDS.validate_python(some)
                if not self.may_see_areas and any(len(r) > 1 and asks_area(r) for r in read):
                    answers += await self._answered_apart(some, place + start)
                else:
                    answers += await self._answered(read, range(place + start, place + start + len(some)))
            except ValidationError:  # at least one is broken
                answers += await self._answered_apart(some, place + start)
            exchange_of(self.request.scope).records += len(some)
            await asyncio.sleep(0)  # a long batch must not hold up the single requests beside it
        return answers

    async def _answered(self, requests: list[EnrichRequest], places: Sequence[int]) -> list[bytes]:
        """Records' answers as JSON."""
        questions = [r["postcode"] if len(r) == 1 else question_of(r) for r in requests]
        answers = enrich_each(questions, self.index, self.rules)
        receipts = [NO_CONTACT] * len(answers)
        counted = [row for row, r in enumerate(requests) if len(r) > 1 and r.get("contact") is not None]
        if counted:
            asked = [Asked(requests[row]["contact"] or {}, answers[row], self.key, places[row]) for row in counted]
            for row, receipt in zip(counted, await receipts_of(self.request, self.index, asked), strict=True):
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
        if isinstance(record, Problem) or self.may_see_areas or not asks_area(record):
            return record
        return Problem(403)


def _overgrown(record: Any, name: str = "record") -> Problem | None:
    """A record with far more fields than there are, refused before each of them costs an error of its own."""
    if not isinstance(record, dict):
        return None
    inner = (record.get("contact"), record.get("signals"))
    if len(record) > MOST_FIELDS or any(isinstance(i, dict) and len(i) > MOST_FIELDS for i in inner):
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


def parsed(line: bytes) -> Any:
    """The value of a line, or a Problem to be answered in its place."""
    if len(line) > LONGEST_RECORD:
        return too_long()
    try:
        return read_json(line)
    except ValueError:
        return Problem(400)


def too_long() -> Problem:
    """What is answered in the place of a longer line."""
    return Problem(413, f"At most {LONGEST_RECORD:,} bytes in one record.")
