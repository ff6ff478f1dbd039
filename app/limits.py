"""How much of a request is read before it is refused."""

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.doors import Size
from app.errors import Problem
from app.exchange import exchange_of


class BodyLimit:
    """Refuses a body over a number of bytes: at once where its length is announced, else when it is passed."""

    def __init__(self, app: ASGIApp, most: Mapping[Size, int]) -> None:
        """`most` bytes by what a door takes."""
        self.app, self.most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        door = exchange_of(scope).door
        most = self.most[door.size if door else "record"]
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not announced.isdigit() or int(announced) > most:
            await Problem(413, f"At most {most:,} bytes.").response(scope["path"])(scope, receive, send)
            return
        read = 0

        async def receive_some() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                # The one exception that the framework lets through while it reads a body.
                raise HTTPException(413)
            return message

        await self.app(scope, receive_some, send)
