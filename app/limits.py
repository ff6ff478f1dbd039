"""How much is taken on: of all callers together, of one client, and of one body. Refused early, and cheaply.

Pure ASGI, so that it holds under any server. `app.connections` turns most of an overload away before it gets here.
"""

import asyncio
import sys
from collections.abc import Mapping
from itertools import count
from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.allowances import Allowances, Taken
from app.doors import DOORS, Size
from app.errors import Problem
from app.exchange import WHOLE, exchange_of
from app.overload import Overload, weight

WAITED: Final = "imdlens.waited"
"""Stands in the scope of a request that was already let in once, and counted among those that wait."""

PROBES: Final = frozenset(door.path for door in DOORS if door.kind == "probe")
"""Paths that are answered whatever else happens."""

_STREAMS: Final = frozenset(door.path for door in DOORS if door.size == "stream")
_OPEN_FORMS: Final = frozenset(door.path for door in DOORS if door.method == "POST" and door.scope is None)
BUSY: Final = "More is asked than can be answered now. Try again."
_RETRY_SECONDS: Final = (1, 2, 3)  # not all at the same moment
_BODY_SECONDS: Final = 30.0


def busy(turn: int) -> Problem:
    """The answer to one who is turned away: in turn, to come again in one, two or three seconds."""
    return Problem(503, BUSY, headers={"Retry-After": str(_RETRY_SECONDS[turn % len(_RETRY_SECONDS)])})


class Shedding:
    """Turns requests away while the worker has more to do than it can answer in time.

    Before who asks is known and before a body is read, since both cost more than the refusal.
    """

    def __init__(self, app: ASGIApp, overload: Overload) -> None:
        self.app, self.overload = app, overload
        self._turn = count()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        overload = self.overload
        waited = scope.pop(WAITED, False)
        if waited:
            overload.waiting -= 1
        if scope["path"] in PROBES:
            await self.app(scope, receive, send)
            return
        if overload.is_full or (overload.behind and not waited):
            overload.shed += 1
            await busy(next(self._turn)).response(scope["path"])(scope, receive, send)
            return
        # Whoever reads a body of anybody at all waits without a place: else some bodies that drip would take them all.
        is_anybody = scope["method"] == "POST" and scope["path"] in _OPEN_FORMS
        is_stream = scope["path"] in _STREAMS
        place = _Place(overload, 1 if is_stream else _weight(scope), 0 if is_anybody else 1)

        async def send_on(message: Message) -> None:
            # What is left to do then is the client's: one that does not read its answer must not hold a place.
            place.give_back()
            await send(message)

        try:
            if is_stream:  # from when its body comes it waits for its turns and takes nobody's place
                await self.app(scope, _freed(receive, place), send_on)
            else:
                await self.app(scope, receive if place.is_whole else self._weighed(receive, place), send_on)
        finally:
            place.give_back()

    def _weighed(self, receive: Receive, place: "_Place") -> Receive:
        """Reads a body that weighs something, which it does once it is there: until then it only takes a place."""

        async def receive_some() -> Message:
            message = await receive()
            if not message.get("more_body", False) and not place.take_whole():
                raise HTTPException(503, headers=busy(next(self._turn)).headers)
            return message

        return receive_some


class _Place:
    """What one request takes up: one unit or none from when it begins, and all of them once its body is there."""

    __slots__ = ("_overload", "_taken", "_whole", "is_whole")

    def __init__(self, overload: Overload, whole: int, now: int) -> None:
        self._overload, self._taken, self._whole = overload, now, whole
        self.is_whole = now == whole
        overload.in_flight += now

    def take_whole(self) -> bool:
        """Take up all of it; False where others took up everything meanwhile."""
        if not self.is_whole:
            if self._overload.in_flight - self._taken >= self._overload.most:
                self._overload.shed += 1
                return False
            self._overload.in_flight += self._whole - self._taken
            self._taken, self.is_whole = self._whole, True
        return True

    def give_back(self) -> None:
        """Give up what was taken."""
        self._overload.in_flight -= self._taken
        self._taken, self.is_whole = 0, True


def _freed(receive: Receive, place: _Place) -> Receive:
    async def receive_some() -> Message:
        message = await receive()
        place.give_back()
        return message

    return receive_some


def _weight(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return weight(int(value)) if value.isdigit() and len(value) < 16 else weight(None)
        if name == b"transfer-encoding":
            return weight(None)
    return 1


class ClientLimits:
    """Lets each client have so many requests in work at once."""

    def __init__(self, app: ASGIApp, allowances: Allowances) -> None:
        self.app, self.allowances = app, allowances

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or (caller := exchange_of(scope).caller) is None:
            await self.app(scope, receive, send)
            return
        client, most = self.allowances.client(caller.name), self.allowances.in_flight
        if client.in_flight >= most:
            headers = {
                "Retry-After": "1",
                "RateLimit-Policy": f'"in-flight";q={most};qu="concurrent-requests"',
                "RateLimit": '"in-flight";r=0;t=1',
            }
            problem = Problem(429, f"At most {most:,} requests of one client at once.", headers=headers)
            await problem.response(scope["path"])(scope, receive, send)
            return
        client.in_flight += 1
        try:
            await self.app(scope, receive, send)
        finally:
            client.in_flight -= 1


def charge_rows(allowances: Allowances, name: str, rows: int) -> dict[str, str]:
    """Take a batch's rows from its client's allowance; headers for the answer.

    A 429 problem where they must wait, 413 where no waiting helps.
    """
    most = allowances.rows_per_minute
    if most and rows > most:
        raise Problem(
            413, f"At most {most:,} records of one client a minute.", errors=[{"field": "records", "code": "too_many"}]
        )
    taken = allowances.take(name, rows)
    if taken is None:
        return {}
    headers = _rate_limit(most, taken)
    if not taken.granted:
        headers["Retry-After"] = str(taken.wait)
        raise Problem(429, f"At most {most:,} records of one client a minute.", headers=headers)
    return headers


async def wait_for_rows(allowances: Allowances, name: str, rows: int) -> None:
    """Take a stream's rows from its client's allowance, as soon as there are so many.

    At most a minute's rows at once: more would be waited for in vain.
    """
    while True:
        taken = allowances.take(name, rows)
        if taken is None or taken.granted:
            return
        await asyncio.sleep(taken.wait)


def _rate_limit(per_minute: int, taken: Taken) -> dict[str, str]:
    # No registered unit is a row: this one is our own, as the draft allows.
    return {
        "RateLimit-Policy": f'"rows";q={per_minute};w=60;qu="imdlens-rows"',
        "RateLimit": f'"rows";r={taken.remaining};t={taken.wait}',
    }


class BodyLimit:
    """Refuses a body over a number of bytes: at once where its length is announced, else when it is passed.

    And one that does not come to its end in time: it would hold a place that others wait for. A stream may be as long
    as it likes, but no piece of it may be so long in coming.
    """

    def __init__(self, app: ASGIApp, most: Mapping[Size, int], seconds: float = _BODY_SECONDS) -> None:
        """`most` bytes by what a door takes; `seconds` for the whole of a body, or for each piece of a stream."""
        self.app, self.most, self.seconds = app, most, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        door = exchange_of(scope).door
        is_stream = door is not None and door.size == "stream"
        most = sys.maxsize if is_stream else self.most[door.size if door else "record"]
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not announced.isdigit() or int(announced) > most:
            await Problem(413, f"At most {most:,} bytes.").response(scope["path"])(scope, receive, send)
            return
        read, whole, until = 0, bool(scope.get(WHOLE)), 0.0

        async def receive_some() -> Message:
            nonlocal read, whole, until
            if whole:  # nothing to wait for
                message = await receive()
            else:
                until = (not is_stream and until) or asyncio.get_running_loop().time() + self.seconds
                try:
                    async with asyncio.timeout_at(until):
                        message = await receive()
                except TimeoutError:
                    # What still comes would be taken for another request: the connection is of no more use.
                    raise HTTPException(408, headers={"Connection": "close"}) from None
                whole = not message.get("more_body", False)
            read += len(message.get("body", b""))
            if read > most:
                # The one exception that the framework lets through while it reads a body.
                raise HTTPException(413)
            return message

        await self.app(scope, receive_some, send)
