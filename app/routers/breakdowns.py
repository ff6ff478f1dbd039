"""`GET /v1/breakdowns`, `GET /v1/breakdowns/{table}` and `GET /v1/counts`."""

import hashlib
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request, Response
from pydantic_core import to_json

from app.contract.breakdowns import Breakdown, BreakdownQuery, Breakdowns, CountsQuery, ExactCounts
from app.contract.problems import problems
from app.counting import Counts, StoreAwayError
from app.counts.periods import is_month
from app.counts.published import Chosen, NotPublishedError, as_csv
from app.errors import Problem
from app.routers.state import client_of, counts_of

router = APIRouter(prefix="/v1", tags=["counts"])

_T = TypeVar("_T")
_CSV = "text/csv"


@router.get(
    "/breakdowns",
    summary="The closed list of published tables",
    response_model=Breakdowns,
    responses={304: {}, **problems(429, 503)},
)
def list_tables(request: Request) -> Response:
    """Every table there is, and which periods of it are published. No other will ever be."""
    listed = _asked(request, Counts.listed)
    return _answer(request, to_json({"tables": listed}), "application/json")


@router.get(
    "/breakdowns/{table}",
    summary="Published rows of one table",
    response_model=Breakdown,
    responses={200: {"content": {_CSV: {"schema": {"type": "string"}}}}, 304: {}, **problems(404, 422, 429, 503)},
)
def read_table(
    request: Request,
    table: str,
    asked: Annotated[BreakdownQuery, Query()],
) -> Response:
    """Figures as they were published, once and for ever. Filters choose among them; nothing is computed anew."""
    try:
        filters = asked.model_dump(exclude={"period", "format"}, exclude_none=True)
        chosen = _asked(request, lambda counts: counts.choose(table, asked.period, **filters))
    except NotPublishedError as error:
        raise Problem(
            404, "Nothing is published there.", errors=[{"field": error.field, "code": "not_found"}]
        ) from None
    if asked.format == "csv" or (asked.format is None and _prefers_csv(request)):
        name = f'attachment; filename="{table}.csv"'
        return _answer(request, "".join(as_csv(chosen)).encode(), f"{_CSV}; charset=utf-8", name)
    return _answer(request, to_json(_body(chosen)), "application/json")


@router.get(
    "/counts",
    summary="Exact counts of a sealed month",
    response_model=ExactCounts,
    responses=problems(404, 422, 429, 503),
)
def read_counts(
    request: Request,
    asked: Annotated[CountsQuery, Query()],
) -> Response:
    """Exact aggregates for callers with the scope `counts:exact`; each read is put on record.

    Confidential: a count of one can be a person.
    """
    if not is_month(asked.month):
        raise Problem(422, errors=[{"field": "month", "code": "not_a_month"}])
    found = _asked(request, lambda counts: counts.exact(asked.month, asked.by, client_of(request)))
    if found is None:
        raise Problem(404, "Only sealed months can be read.", errors=[{"field": "month", "code": "not_sealed"}])
    return Response(to_json(found), media_type="application/json")


def _asked(request: Request, ask: Callable[[Counts], _T]) -> _T:
    try:
        return ask(counts_of(request))
    except StoreAwayError:
        raise Problem(503, "The counts cannot be read now.", headers={"Retry-After": "5"}) from None


def _prefers_csv(request: Request) -> bool:
    accepted = request.headers.get("accept", "")
    return _CSV in accepted and "application/json" not in accepted


def _answer(request: Request, body: bytes, media_type: str, disposition: str | None = None) -> Response:
    """With an entity tag, so that a dashboard that asks again is told quickly that nothing changed."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Accept"}
    asked = request.headers.get("if-none-match", "")
    if asked == "*" or tag in (part.strip().removeprefix("W/") for part in asked.split(",")):
        return Response(status_code=304, headers=headers)
    if disposition:
        headers["Content-Disposition"] = disposition
    return Response(body, media_type=media_type, headers=headers)


def _body(chosen: Chosen) -> dict[str, Any]:
    return {
        "table": chosen.table.name,
        "number": chosen.table.number,
        "sentence": chosen.sentence,
        "value": chosen.table.value,
        "rule": chosen.publications[-1].rule,
        "publications": [
            {"period": p.period, "sealed_at": p.sealed_at, "edition": p.edition, "release": p.release, "rule": p.rule}
            for p in chosen.publications
        ],
        "breaks": chosen.breaks,
        "rows": chosen.rows,
    }
