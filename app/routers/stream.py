"""`POST /v1/enrich/stream`: any number of records in one request, answered while they come.

A status and headers are said once, before the first answer. Whatever goes wrong after that cuts the connection without
the end of the answer, so that no part of one looks like the whole.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, cast

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from app.batch.pieces import Fault, Lines, Rows, field_of, fields_of
from app.contract.problems import problems
from app.enrichment import Rules
from app.errors import Problem
from app.exchange import Cut, Exchange, exchange_of
from app.lookup.index import Index
from app.routers.answering import IDEMPOTENCY_KEY, LONGEST_RECORD, NDJSON, SLICE, Answerer, parsed, too_long
from app.routers.json_body import DirectRoute, media_type
from app.routers.state import charge_at_once, check_area, index_of, rules_of, wait_for_turn

if TYPE_CHECKING:
    from app.batch.columns import Enricher
    from app.batch.csv_answers import CsvAnswers

router = APIRouter(prefix="/v1", tags=["enrichment"], route_class=DirectRoute)

CSV: Final = "text/csv"
_PIECE: Final = 64 * 2**10  # bytes that are taken apart between two turns of the event loop
_SLICE_BYTES: Final = 32 * 2**10  # of lines: with a contact and context one costs ten times a plain one
_ROWS: Final = 2000  # of CSV
_CHECK_SECONDS: Final = 0.5  # how often the caller's proof is looked at again
_INCLUDE: Final = ("domains", "area")
_UNREAD: Final = "The first row must name the columns, one of them the postcode: say which with postcode_column."
_CUTS: Final[dict[int, Cut]] = {401: "proof", 408: "slow"}

_PARAMETERS: Final[list[dict[str, Any]]] = [
    IDEMPOTENCY_KEY,
    {
        "name": "postcode_column",
        "in": "query",
        "required": False,
        "description": "CSV: the column that holds the postcode, by name or by number from 1. Needed where no heading"
        " tells.",
        "schema": {"type": "string"},
    },
    {
        "name": "include",
        "in": "query",
        "required": False,
        "description": "CSV: more columns. `domains`: deciles of the seven domains; `area`: codes of LSOA, district and"
        " ICB, with the scope `area`.",
        "schema": {"type": "array", "items": {"type": "string", "enum": list(_INCLUDE)}},
    },
]
_CSV_ANSWER: Final = (
    "postcode_status,country,imd_decile,imd_quintile,imd_edition,core20,core20_reason,error\n"
    "live,England,3,2,IoD2025,false,,\n"
    "no_fixed_abode,,,,IoD2025,,no_fixed_abode,\n"
)


@router.post(
    "/enrich/stream",
    summary="Deprivation context for any number of postcodes",
    response_class=Response,
    responses={
        200: {
            "description": "Answers, in order, while the body is still coming. An answer whose end is missing (no last"
            " chunk, a closed connection) is not whole and must not be used as if it were.",
            "content": {
                NDJSON: {"schema": {"description": "One answer a line, as `/v1/enrich/batch` gives it."}},
                CSV: {
                    "schema": {"description": "One row for each row sent, of answers alone, the last column `error`."},
                    "example": _CSV_ANSWER,
                },
            },
        },
        **problems(408, 413, 415, 422, 429, 503, 505),
    },
    openapi_extra={
        "parameters": _PARAMETERS,
        "requestBody": {
            "required": True,
            "content": {
                NDJSON: {
                    "schema": {"description": "One EnrichRequest a line; blank lines are skipped."},
                    "example": '{"postcode": "NG1 1AA"}\n{"postcode": "ZZ99 3VZ"}\n',
                },
                CSV: {
                    "schema": {"description": "UTF-8, commas, columns named in the first row."},
                    "example": "postcode\nNG1 1AA\nZZ99 3VZ\n",
                },
            },
        },
    },
)
async def enrich_stream(request: Request) -> Response:
    """Answer records while they come, each by itself, in order. Read the answers while you send.

    NDJSON (`application/x-ndjson`) in gives NDJSON, line by line what `/v1/enrich/batch` gives; `contact` is counted.
    CSV (`text/csv`) gives CSV: a row for each row, without what was sent, and nothing is counted. A record that cannot
    be read, or is over 64 KiB, is answered in its place.
    """
    if request.scope.get("http_version") == "1.0":
        # It knows no chunks: their sizes would be read as rows, and without them a cut looks like the end.
        raise Problem(505)
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise Problem(415, "Send it without Content-Encoding: compressed bodies are not read.")
    include, told = _asked(request)
    check_area(request, asked="area" in include)
    kind = media_type(request)
    if kind == NDJSON:
        return _Stream(_answers(request, Answerer(request)), NDJSON)
    if kind == CSV and _charset(request) in ("", "utf-8", "utf8", "us-ascii"):
        return await _table(request, include, told)
    raise Problem(415, f"Send {NDJSON}, or {CSV} in UTF-8.")


def _asked(request: Request) -> tuple[list[str], str | None]:
    """What the query says: columns to include, and where the postcode stands."""
    query = request.query_params
    include, told = query.getlist("include"), query.getlist("postcode_column")
    if not set(include) <= set(_INCLUDE):
        raise Problem(422, errors=[{"field": "include", "code": "not_one_of_the_allowed"}])
    if len(told) > 1:
        raise Problem(422, errors=[{"field": "postcode_column", "code": "not_a_single_value"}])
    return include, told[0] if told else None


def _charset(request: Request) -> str:
    for parameter in request.headers["content-type"].split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip('"').lower()
    return ""


# ------------------------------------------------------------------------------------------------ NDJSON


async def _answers(request: Request, answerer: Answerer) -> AsyncGenerator[bytes]:
    place = 0
    async for lines in _fed(request, Lines(LONGEST_RECORD)):
        start = 0
        while start < len(lines):
            some = _light(lines[start : start + charge_at_once(request, SLICE)])
            await wait_for_turn(request, len(some))
            records = [parsed(line) if isinstance(line, bytes) else too_long() for line in some]
            yield b"\n".join([*await answerer.answers(records, place), b""])
            place, start = place + len(some), start + len(some)


def _light(lines: list[bytes | Fault]) -> list[bytes | Fault]:
    """As many of these lines as are answered in some milliseconds, at least one."""
    size = 0
    for number, line in enumerate(lines):
        size += len(line)
        if size > _SLICE_BYTES and number:
            return lines[:number]
    return lines


# ------------------------------------------------------------------------------------------------ CSV


async def _table(request: Request, include: Sequence[str], told: str | None) -> Response:
    """The answer to a CSV body, of which the heading is read now: it may still be refused."""
    index, rules = index_of(request), rules_of(request)
    fed = _fed(request, Rows(LONGEST_RECORD))
    async for rows in fed:
        if rows:
            break
    else:
        raise Problem(422, errors=[{"field": "heading", "code": "required"}])
    if rows[0] == "too_long":
        raise Problem(413, f"At most {LONGEST_RECORD:,} bytes in the heading.")
    enricher = await _enricher(request, index, rules)
    place, width = _postcode_of(rows[0], told)
    return _Stream(_rows(request, fed, rows[1:], _writer(enricher, include), place, width), CSV)


async def _rows(
    request: Request,
    fed: AsyncGenerator[list[bytes | Fault]],
    rows: list[bytes | Fault],
    writer: "CsvAnswers",
    place: int,
    width: int,
) -> AsyncGenerator[bytes]:
    yield writer.heading
    most = charge_at_once(request, _ROWS)
    while True:
        for start in range(0, len(rows), most):
            some = rows[start : start + most]
            await wait_for_turn(request, len(some))
            yield writer.write([field_of(row, place, width) for row in some])
            exchange_of(request.scope).records += len(some)
        try:
            rows = await anext(fed)
        except StopAsyncIteration:
            return


def _postcode_of(heading: bytes | Fault, told: str | None) -> tuple[int, int]:
    """Where the postcode stands, and how many columns there are. A 422 problem that quotes nothing: without a heading
    the first row is a patient's."""
    from app.batch.plan import FileProblemError, find_postcode

    fields = fields_of(heading) if isinstance(heading, bytes) else None
    names = [field.decode("utf-8", "replace") for field in fields or ()]
    if not names or any(sign in name for sign in ";\t|\0" for name in names):
        raise Problem(422, _UNREAD, errors=[{"field": "heading", "code": "invalid"}])
    try:
        return find_postcode(names, told), len(names)
    except FileProblemError:
        field = "heading" if told is None else "postcode_column"
        raise Problem(422, _UNREAD, errors=[{"field": field, "code": "not_found"}]) from None


async def _enricher(request: Request, index: Index, rules: Rules) -> "Enricher":
    """What answers columns from this release, made at the first stream that needs it."""
    state = request.app.state
    if state.enricher is None or state.enricher.index is not index:
        # In a thread: what it rests on takes a third of a second to load, and most workers never need it.
        state.enricher = await asyncio.to_thread(_make_enricher, index, rules)
    return cast("Enricher", state.enricher)


def _make_enricher(index: Index, rules: Rules) -> "Enricher":
    import app.batch.csv_answers
    import app.batch.plan  # noqa: F401 - loaded here, and not while others wait
    from app.batch.columns import Enricher

    return Enricher(index, rules)


def _writer(enricher: "Enricher", include: Sequence[str]) -> "CsvAnswers":
    from app.batch.columns import Wanted
    from app.batch.csv_answers import CsvAnswers

    return CsvAnswers(enricher, Wanted(domains="domains" in include, area="area" in include))


# ------------------------------------------------------------------------------------------------ both


async def _fed(request: Request, reader: Lines | Rows) -> AsyncGenerator[list[bytes | Fault]]:
    """What each piece of the body ends, and then what is left. Nothing is read before what came is answered."""
    more = True
    while more:
        message = await request.receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        piece, more = message.get("body", b""), message.get("more_body", False)
        for start in range(0, len(piece), _PIECE):
            yield reader.feed(piece[start : start + _PIECE])
            await asyncio.sleep(0)
    yield reader.end()


class _Stream(Response):
    """An answer that is sent while it is made, and cut off where it cannot be made whole."""

    def __init__(self, answers: AsyncGenerator[bytes], kind: str) -> None:
        super().__init__(media_type=kind, headers={"X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send all of it. What goes wrong before the first answer is raised; after it, the end is never sent."""
        exchange, begun = exchange_of(scope), False
        try:
            async with _proven(exchange), aclosing(self._answers):
                async for some in self._answers:
                    if not begun:
                        begun = True
                        await self._begin(send)
                    _check(exchange)
                    await send({"type": "http.response.body", "body": some, "more_body": True})
            if not begun:
                begun = True
                await self._begin(send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except ClientDisconnect:
            exchange.cut = "left"
            if not begun:
                raise
        except (HTTPException, Problem) as error:
            if not begun:
                raise
            status = error.status_code if isinstance(error, HTTPException) else error.status
            exchange.cut = _CUTS.get(status, "fault")
        except asyncio.CancelledError:
            exchange.cut = "stopped"
            raise
        except BaseException:
            exchange.cut = "fault"
            raise

    async def _begin(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})


def _check(exchange: Exchange) -> None:
    if not exchange.holds():
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})


@asynccontextmanager
async def _proven(exchange: Exchange) -> AsyncGenerator[None]:
    """Ends what is done within, with a 401, when the caller's proof is no longer good: also amid a wait."""

    async def look() -> None:
        while exchange.holds():  # noqa: ASYNC110 - time passes without an event
            await asyncio.sleep(_CHECK_SECONDS)
        limit.reschedule(asyncio.get_running_loop().time())

    try:
        async with asyncio.timeout(None) as limit:
            watch = asyncio.create_task(look())
            try:
                yield
            finally:
                watch.cancel()
    except TimeoutError:
        _check(exchange)
        raise
