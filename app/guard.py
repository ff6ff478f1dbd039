"""Who may pass which door. No request reaches a route but through here.

Pure ASGI, before a body is read: who may not ask has nothing of theirs read.
"""

from typing import Final
from urllib.parse import unquote_to_bytes

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.access.access import NO_CREDENTIAL, Access, Proof, Refused
from app.access.keys import PREFIX, KeysAwayError
from app.access.spent import SpentAwayError
from app.doors import DOORS, HOOKS, Door, Doors
from app.errors import Problem
from app.exchange import WHOLE, Exchange, exchange_of
from app.page_doors import is_browser, visit_of, with_pages

_PREFIX: Final = PREFIX.encode()
_NO_SESSION: Final = Refused("session")
_NO_KEY: Final = {"WWW-Authenticate": "Bearer"}


class Guard:
    """Lets a request through to a door that its caller may use. 401 and 403 say nothing more than that."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.doors = Doors(DOORS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # there is no door for a WebSocket
            await send({"type": "websocket.close", "code": 1008})
            return
        try:
            proof = await self._pass(scope)
        except Problem as problem:
            await problem.response(scope["path"])(scope, receive, _as_read(scope, send))
            return
        if proof is not None:
            exchange, access = exchange_of(scope), _access_of(scope)
            exchange.holds = lambda: proof.holds(access.ring)
            if WHOLE not in scope:
                receive = _rechecked(receive, exchange)
        await self.app(scope, receive, _as_read(scope, send))

    async def _pass(self, scope: Scope) -> Proof | None:
        """The proof of the caller; None at a door where nobody is asked. A Problem where the door stays closed."""
        exchange = exchange_of(scope)
        exchange.door = door = self._door(scope)
        if door.scope is None:
            return None
        query = scope["query_string"]
        if query and _PREFIX in unquote_to_bytes(query):  # an address is kept where a key must not be
            exchange.refused = "address"
            raise Problem(401, headers=_NO_KEY)
        try:
            proof = _browser(scope) if is_browser(scope, door) else await _proof(scope, door)
        except (KeysAwayError, SpentAwayError):
            raise Problem(503, "Nobody can say now who may ask.", headers={"Retry-After": "5"}) from None
        if isinstance(proof, Refused):
            exchange.refused = proof.reason
            raise Problem(401, headers=_NO_KEY)
        exchange.caller, exchange.key_id = proof.caller, proof.key_id
        if door.scope not in proof.caller.scopes:
            exchange.refused = "scope"
            raise Problem(403)
        return proof

    def _door(self, scope: Scope) -> Door:
        found = self.doors.at(scope["path"])
        if not found:
            raise Problem(404)
        door = found.get(scope["method"])
        if door is None:
            raise Problem(405, headers={"Allow": ", ".join(sorted(found))})
        return door


def _access_of(scope: Scope) -> Access:
    access: Access | None = scope["app"].state.access
    if access is None:
        raise Problem(503, headers={"Retry-After": "5"})
    return access


async def _proof(scope: Scope, door: Door) -> Proof | Refused:
    sent = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(sent) != 1:  # with two, another reader before us may have believed the other
        return NO_CREDENTIAL
    scheme, _, credential = sent[0].partition(b" ")
    if scheme.lower() != b"bearer":
        return NO_CREDENTIAL
    access = _access_of(scope)
    if door.name in HOOKS:
        return await access.hook(credential.strip(), scope["path"])
    return access.bearer(credential.strip())


def _browser(scope: Scope) -> Proof | Refused:
    """The proof of a browser at a page. A cookie or a proxy's word is looked for at no other door."""
    visit = visit_of(scope)
    if visit is None:
        return _NO_SESSION
    exchange_of(scope).user = visit.user
    return visit.proof


def _as_read(scope: Scope, send: Send) -> Send:
    """Problems as pages, for browsers."""
    door = exchange_of(scope).door
    return with_pages(scope, send) if door is not None and is_browser(scope, door) else send


def _rechecked(receive: Receive, exchange: Exchange) -> Receive:
    """Reads a body whose sender may be cut off while it comes: a slow one must not outlive its key."""

    async def receive_some() -> Message:
        message = await receive()
        if not exchange.holds():
            raise HTTPException(401, headers=_NO_KEY)
        return message

    return receive_some
