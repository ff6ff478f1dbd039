"""`GET /v1/breakdowns`, `GET /v1/breakdowns/{table}` and `GET /v1/counts`."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic_core import to_json

from app.contract.breakdowns import Breakdown, BreakdownQuery, Breakdowns, CountsQuery, ExactCounts
from app.contract.problems import problems
from app.counting import Counts
from app.counts.periods import is_month
from app.counts.published import Chosen, NotPublishedError, as_csv
from app.errors import Problem
from app.routers.state import client_of
from app.routers.tagged import CSV, ask_store, tagged, wants_csv

router = APIRouter(prefix="/v1", tags=["counts"])

_LINKS: Final = {
    "table": {
        "operationId": "read_table_v1_breakdowns__table__get",
        "parameters": {"table": "$response.body#/tables/0/table"},
        "description": "The rows of a table that is listed.",
    }
}


@router.get(
    "/breakdowns",
    summary="The closed list of published tables",
    response_model=Breakdowns,
    responses={200: {"links": _LINKS}, 304: {}, **problems(429, 503)},
)
def list_tables(request: Request) -> Response:
    """Every table there is, and which periods of it are published. No other will ever be."""
    listed = ask_store(request, Counts.listed)
    return tagged(request, to_json({"tables": listed}), "application/json")


@router.get(
    "/breakdowns/{table}",
    summary="Published rows of one table",
    response_model=Breakdown,
    responses={200: {"content": {CSV: {"schema": {"type": "string"}}}}, 304: {}, **problems(404, 422, 429, 503)},
)
def read_table(
    request: Request,
    table: str,
    asked: Annotated[BreakdownQuery, Query()],
) -> Response:
    """Figures as they were published, once and for ever. Filters choose among them; nothing is computed anew."""
    try:
        filters = asked.model_dump(exclude={"period", "format"}, exclude_none=True)
        chosen = ask_store(request, lambda counts: counts.choose(table, asked.period, **filters))
    except NotPublishedError as error:
        raise Problem(
            404, "Nothing is published there.", errors=[{"field": error.field, "code": "not_found"}]
        ) from None
    if wants_csv(request, asked.format):
        name = f'attachment; filename="{table}.csv"'
        return tagged(request, "".join(as_csv(chosen)).encode(), f"{CSV}; charset=utf-8", name)
    return tagged(request, to_json(_body(chosen)), "application/json")


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
    found = ask_store(request, lambda counts: counts.exact(asked.month, asked.by, client_of(request)))
    if found is None:
        raise Problem(404, "Only sealed months can be read.", errors=[{"field": "month", "code": "not_sealed"}])
    return Response(to_json(found), media_type="application/json")


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
