"""What browsers meet at the doors of pages: who they are, where to sign in, and every refusal as a page of its own."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Message, Scope, Send

from app.access.browsers import Browsers, Sent, Visit
from app.doors import DOORS, Door
from app.errors import MEDIA_TYPE, Problem
from app.exchange import exchange_of
from app.pages.sign_in import Notice, render_closed, render_sign_in
from app.settings import Settings

FORM: Final = "application/x-www-form-urlencoded"
AMBIENT: Final = frozenset({"session", "proxy"})
"""Proofs that a browser attaches by itself, whoever asks it to send a request."""

DESTINATIONS: Final[Mapping[str, str]] = {
    door.name: door.path
    for door in DOORS
    if door.kind == "page" and door.method == "GET" and door.scope and "{" not in door.path
}
"""Where a sign-in may lead, by the door's name: no address that a request holds is ever gone to."""

_FIRST: Final = "ask"
# A page whose address holds something that was asked for is not gone back to: the first page of its kind is.
_INSTEAD: Final[Mapping[str, str]] = {
    door.name: first.name
    for door in DOORS
    for first in DOORS
    if "{" in door.path and first.name in DESTINATIONS and first.path == f"/{door.path.split('/')[1]}"
}


def sent_of(scope: Scope) -> Sent:
    """What is known of a request before its body. The peer is the other end of the connection, whatever is said."""
    client = scope.get("client")
    return Sent(scope["scheme"], client[0] if client else None, scope["headers"])


def browsers_of(scope: Scope) -> Browsers:
    """Who tells browsers apart; a 503 problem while the service starts."""
    browsers: Browsers | None = scope["app"].state.browsers
    if browsers is None:
        raise Problem(503, headers={"Retry-After": "5"})
    return browsers


def visit_of(scope: Scope) -> Visit | None:
    """Who opens a page by session or by proxy. KeysAwayError."""
    return browsers_of(scope).visit(sent_of(scope))


def is_browser(scope: Scope, door: Door) -> bool:
    """Whether this is a browser at a page: no key of its own is sent with it, and what it posts is a form."""
    if door.kind != "page":
        return False
    sent = sent_of(scope)
    keys = sent.all(b"authorization")
    # A proxy may pass on what a user signed in to it with: another scheme says nothing to us.
    if len(keys) > 1 or any(key.lower().startswith(b"bearer") for key in keys):
        return False
    kind = (sent.only(b"content-type") or b"").partition(b";")[0].strip().lower()
    return scope["method"] != "POST" or kind == FORM.encode()


def above(scope: Scope) -> str:
    """The way from a request's address up to the service's root, which may lie below any path of a proxy."""
    path: str = scope["path"]
    return "../" * (path.count("/") - 1)


def destination(name: str | None) -> str:
    """The name of a door that a sign-in may lead to, whatever was asked for."""
    name = _INSTEAD.get(name or "", name)
    return name if name is not None and name in DESTINATIONS else _FIRST


def page(scope: Scope, html: bytes, status: int = 200, ancestors: str = "'none'") -> Response:
    """A page that asks nobody else for anything, runs no script, and stands in no frames but of these ancestors."""
    policy = f"default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors {ancestors}"
    settings: Settings = scope["app"].state.settings
    varies = ", ".join(["Cookie", *filter(None, [settings.identity_header])])
    return HTMLResponse(html, status, {"Content-Security-Policy": policy, "Vary": varies})


def sign_in_page(scope: Scope, to: str | None = None, notice: Notice | None = None, status: int = 200) -> Response:
    """The page with the field for a key."""
    return page(scope, render_sign_in(above(scope), destination(to), notice=notice), status)


def refusal(scope: Scope, status: int) -> Response:
    """A page in the place of the one that was asked for."""
    door, caller = exchange_of(scope).door, exchange_of(scope).caller
    if status != 401:
        may_sign_in = status == 403 and caller is not None
        return page(scope, render_closed(above(scope), status, may_sign_in=may_sign_in), status)
    if scope["method"] == "POST":
        # Not led elsewhere: the browser would offer to send the form again, or put it into an address.
        return sign_in_page(scope, notice="over", status=401)
    to = destination(door.name if door else None)
    return RedirectResponse(f"{above(scope)}sign-in?to={to}", 303, {"Vary": "Cookie"})


def with_pages(scope: Scope, send: Send) -> Send:
    """Sends a page in the place of every problem that is answered."""
    is_replaced = False

    async def send_page(message: Message) -> None:
        nonlocal is_replaced
        if message["type"] == "http.response.start" and (b"content-type", MEDIA_TYPE.encode()) in message["headers"]:
            is_replaced = True
            answer = refusal(scope, message["status"])
            kept = (b"retry-after", b"connection")
            answer.raw_headers.extend(header for header in message["headers"] if header[0] in kept)
            await send({**message, "status": answer.status_code, "headers": answer.raw_headers})
            await send({"type": "http.response.body", "body": answer.body})
        elif not is_replaced:
            await send(message)

    return send_page
