"""What IMD Lens is measured against: a bare ASGI answer, and the same server with an empty POST.

`E` has the same middleware as the service, takes a `{postcode}` model and answers `{}`.
"""

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from app.limits import BodyLimit
from app.main import settle
from app.telemetry import RequestContext


class Question(BaseModel):
    postcode: str


def empty() -> FastAPI:
    settle()
    app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})
    app.add_middleware(BodyLimit, most={"record": 64 * 2**10})
    app.add_middleware(RequestContext)

    @app.post("/v1/enrich")
    async def answer(question: Question) -> dict[str, str]:
        return {}

    return app


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": b"{}"})
