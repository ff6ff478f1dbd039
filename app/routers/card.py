"""`/card`: a page for a clinician, opened by a sealed link that holds no postcode."""

import time
from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json
from starlette.responses import RedirectResponse

from app.card import pack, view_of
from app.context.core20plus5 import read_age, read_specialty
from app.context.notices import Notice
from app.contract.card import CardLink
from app.contract.problems import problems
from app.counts.periods import today
from app.enrichment import Enrichment, Question, enrich
from app.errors import Problem
from app.exchange import exchange_of
from app.lookup.index import Index
from app.page_doors import FORM, above, page
from app.pages import token
from app.pages.card import PROBLEMS, Field, render_ask, render_card, render_gone, render_not_found
from app.pages.sign_in import render_not_from_here
from app.routers.answering import read_record
from app.routers.forms import Fields, ForeignFormError, read_form, visitor_of
from app.routers.json_body import DirectRoute, body_of, media_type, read_json
from app.routers.state import card_secrets_of, current_of, index_of, may, may_see_groups, rules_of, settings_of
from app.sealing import BadTokenError, ExpiredTokenError

router = APIRouter(tags=["card"], route_class=DirectRoute)

# Pages are for browsers: they are not in the API's document, and their errors are pages too.


@router.get("/", include_in_schema=False)
async def ask(request: Request, problem: str | None = None) -> Response:
    """A page where a postcode can be typed, to see the card that a clinician would."""
    wrong = next((field for field in PROBLEMS if field == problem), None)
    index = current_of(request).index
    shown = render_ask(
        wrong,
        is_demonstration=index is not None and index.release.starter,
        may_see_dashboard=may(request, "breakdowns"),
        visitor=visitor_of(request),
    )
    return _page(request, shown)


@router.post(
    "/card",
    summary="Make a card",
    status_code=201,
    response_model=CardLink,
    responses={
        303: {"description": "To the card, for a browser's form."},
        **problems(400, 408, 413, 415, 422, 429, 503),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/EnrichRequest"}}},
        }
    },
)
async def make(request: Request) -> Response:
    """Seal a card for one patient and answer where it is; open that within 15 minutes. Nothing is counted.

    A browser may post the same as a form (`postcode`, `specialty`, `age`) and is led to the card at once. The link is
    relative to this door, so that it holds behind any proxy.
    """
    kind = media_type(request)
    if kind == FORM:
        try:
            asked = _question(await read_form(request))
        except ForeignFormError:
            return page(request.scope, render_not_from_here(above(request.scope)), 403)
        # Back to the page to try, so that what was typed is in no page that can be opened again.
        where = _seal(request, asked)[0] if isinstance(asked, Question) else f"./?problem={asked}"
        return RedirectResponse(where, 303)
    if kind != "application/json":
        raise Problem(415, f"Send application/json or {FORM}.")
    try:
        record = read_record(read_json(await body_of(request)))
    except ValueError:
        raise Problem(400) from None
    question = Question(record["postcode"], record.get("contact"), record.get("signals"), context_on=today())
    link, warnings = _seal(request, question)
    expires = datetime.fromtimestamp(int(time.time()) + token.LIFE_SECONDS, UTC)
    body = to_json({"url": link, "expires_at": expires.isoformat(), "warnings": [w._asdict() for w in warnings]})
    return Response(body, 201, {"Location": link}, "application/json")


@router.get("/card/{sealed}", include_in_schema=False)
async def show(request: Request, sealed: str) -> Response:
    """The card behind a link, for 15 minutes after it was made. Whose it is stands in no record of ours."""
    try:
        content = token.open_token(sealed, card_secrets_of(request), time.time())
        view = view_of(content, rules_of(request))
    except ExpiredTokenError:
        return _page(request, render_gone(), 410)
    except (BadTokenError, ValueError):
        return _page(request, render_not_found(), 404)
    exchange_of(request.scope).records = 1
    return _page(request, render_card(view))


def _seal(request: Request, question: Question) -> tuple[str, tuple[Notice, ...]]:
    """A card's link, and what was noticed about the values that it was made of."""
    index, rules = index_of(request), rules_of(request)
    answer = enrich(question, index, rules)
    exchange_of(request.scope).records = 1
    link = sealed_link(request, question, answer, index, may_see_groups=may_see_groups(request))
    return link, (*answer.reading.warnings, *answer.said.problems)


def sealed_link(request: Request, question: Question, answer: Enrichment, index: Index, *, may_see_groups: bool) -> str:
    """Where an answer's card is for 15 minutes, relative to the service's root. It was asked for with its context."""
    content = pack(question, answer, index, may_see_groups=may_see_groups)
    return f"card/{token.seal(content, card_secrets_of(request), time.time())}"


def _question(fields: Fields) -> Question | Field:
    """What was typed, or the field that cannot be used. A field sent twice is two patients: neither is taken."""
    if twice := [name for name in PROBLEMS if len(fields.get(name, ())) > 1]:
        return twice[0]
    typed = {name: fields.get(name, [""])[0].strip() for name in PROBLEMS}
    if not typed["postcode"]:
        return "postcode"
    if typed["specialty"] and read_specialty(typed["specialty"]) is None:
        return "specialty"
    if typed["age"] and read_age(typed["age"]) is None:
        return "age"
    contact = {name: typed[name] for name in ("specialty", "age") if typed[name]}
    return Question(typed["postcode"], contact, context_on=today())


def _page(request: Request, html: bytes, status: int = 200) -> Response:
    """A page that may stand in frames of the record."""
    return page(request.scope, html, status, settings_of(request).card_frame_ancestors)
