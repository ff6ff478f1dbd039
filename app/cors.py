"""Which web pages of others may call which doors: by default none."""

from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send


class CorsBelow:
    """Lets pages of some origins call the doors below one path, without cookies. All other doors stay closed."""

    def __init__(self, app: ASGIApp, path: str, origins: Sequence[str]) -> None:
        """`origins` as a browser sends them, such as `https://epr.example.nhs.uk`."""
        self.app, self.path = app, path
        self.shared = CORSMiddleware(
            app,
            allow_origins=origins,
            allow_methods=["GET", "POST", "OPTIONS"],
            allow_headers=["Authorization", "Content-Type", "X-Correlation-ID", "X-Request-ID"],
            expose_headers=["X-Correlation-ID", "X-Request-ID"],
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        below = scope["type"] == "http" and f"{scope['path']}/".startswith(f"{self.path}/")
        await (self.shared if below else self.app)(scope, receive, send)
