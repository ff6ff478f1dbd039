"""`/sign-in` and `/sign-out`: a key, exchanged for a session that opens pages and nothing else."""

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from app.access.keys import KeysAwayError
from app.errors import Problem
from app.exchange import exchange_of
from app.page_doors import DESTINATIONS, FORM, above, browsers_of, destination, page, sent_of, sign_in_page
from app.pages.sign_in import Notice, render_not_from_here, render_not_safe, render_sign_in
from app.pages.sign_in import Problem as Wrong
from app.routers.forms import ForeignFormError, only, read_fields, read_form
from app.routers.json_body import media_type

router = APIRouter(include_in_schema=False)


@router.get("/sign-in")
async def ask_for_key(request: Request) -> Response:
    """The page with the field for a key; where it would not be safe on its way, a page that says so."""
    scope = request.scope
    if not browsers_of(scope).may_sign_in(sent_of(scope)):
        return page(scope, render_not_safe(above(scope)), 403)
    notice: Notice | None = "out" if "out" in request.query_params else None
    return sign_in_page(scope, request.query_params.get("to"), notice)


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Begin a session and lead to the page that was asked for."""
    scope, browsers, sent = request.scope, browsers_of(request.scope), sent_of(request.scope)
    _check_form(request)
    if not browsers.may_sign_in(sent):
        return page(scope, render_not_safe(above(scope)), 403)
    if not browsers.is_own_page(sent):  # another site's page could sign a person in as somebody else
        return page(scope, render_not_from_here(above(scope)), 403)
    fields = await read_fields(request)
    key, to = only(fields, "key"), destination(only(fields, "to"))
    try:
        signed_in = browsers.sign_in(sent, key)
    except KeysAwayError:
        raise Problem(503, headers={"Retry-After": "5"}) from None
    if signed_in is None:
        wrong: Wrong = "wrong" if key else "empty"
        return page(scope, render_sign_in(above(scope), to, problem=wrong), 401)
    exchange = exchange_of(scope)
    exchange.caller, exchange.key_id = signed_in.caller, signed_in.key_id
    where = f"{above(scope)}./{DESTINATIONS[to].lstrip('/')}"
    return RedirectResponse(where, 303, {"Set-Cookie": signed_in.set_cookie, "Vary": "Cookie"})


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """End the session in this browser. Works while the database is away, too."""
    scope = request.scope
    _check_form(request)
    try:
        await read_form(request)
    except ForeignFormError:
        return page(scope, render_not_from_here(above(scope)), 403)
    browsers, sent = browsers_of(scope), sent_of(scope)
    answer = RedirectResponse(f"{above(scope)}sign-in?out", 303, {"Vary": "Cookie"})
    # Only where a session came along, and so was proved by its form: another site's form comes without one, and would
    # else take it from the browser. And not by Clear-Site-Data, which would take the cookies of every other service
    # of the organisation's domain as well.
    if browsers.bound_to(sent) is not None:
        answer.headers["Set-Cookie"] = browsers.sign_out(sent)
    return answer


def _check_form(request: Request) -> None:
    if media_type(request) != FORM:
        raise Problem(415, f"Send {FORM}.")
