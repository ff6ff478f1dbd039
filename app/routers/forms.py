"""Forms that browsers send: read once, and only from pages of our own."""

from typing import Final
from urllib.parse import parse_qs

from fastapi import Request

from app.exchange import exchange_of
from app.page_doors import AMBIENT, browsers_of, is_browser, sent_of
from app.pages.sign_in import HIDDEN_FIELD, Visitor

Fields = dict[str, list[str]]

_MOST_FIELDS: Final = 8


class ForeignFormError(Exception):
    """A form that no page of ours has made for this browser, or that is too old."""


async def read_form(request: Request) -> Fields:
    """The fields of a form; none where it cannot be read. ForeignFormError.

    Who has a session, or is named by a proxy, must send the token that our page put into the form. Who sends a key
    with the request itself need not: no other site's page can make a browser do that.
    """
    fields = await read_fields(request)
    scope, exchange = request.scope, exchange_of(request.scope)
    if exchange.door is None or not is_browser(scope, exchange.door):
        return fields
    browsers, sent = browsers_of(scope), sent_of(scope)
    if browsers.is_from_elsewhere(sent):
        raise ForeignFormError
    bound_to = browsers.bound_to(sent)
    if bound_to is None:
        if exchange.caller is not None and exchange.caller.proof in AMBIENT:
            raise ForeignFormError  # it ended between the door and here
        return fields
    tokens = fields.pop(HIDDEN_FIELD, [])
    if len(tokens) != 1 or not browsers.form_fits(bound_to, tokens[0]):
        raise ForeignFormError
    return fields


async def read_fields(request: Request) -> Fields:
    """The fields of a form, whoever sent it; none where it cannot be read."""
    try:
        return parse_qs((await request.body()).decode("utf-8"), max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError:
        return {}


def only(fields: Fields, name: str) -> str:
    """What stands in a field; empty where it is missing, or was sent twice."""
    values = fields.get(name, [])
    return values[0].strip() if len(values) == 1 else ""


def visitor_of(request: Request) -> Visitor | None:
    """Who is signed in, for a page to show; None for a caller that sent a key with the request."""
    caller, browsers = exchange_of(request.scope).caller, browsers_of(request.scope)
    bound_to = browsers.bound_to(sent_of(request.scope))
    if caller is None or caller.proof not in AMBIENT or bound_to is None:
        return None
    return Visitor(caller.name if caller.proof == "session" else "", browsers.form_token(bound_to))
