"""What an operator and a load balancer ask: is it alive, is it ready, which version answers."""

import asyncio
from datetime import UTC, datetime
from importlib import metadata
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json
from starlette.responses import JSONResponse

from app.contract.platform import Alive, Ping, Ready, Status, Version
from app.contract.problems import problems
from app.counts.periods import today
from app.errors import Problem
from app.health import Check, worst
from app.lookup.layout import FORMAT
from app.routers.state import current_of, health_of, intake_of, metrics_of, rules_of, settings_of

router = APIRouter(tags=["platform"])

_HEALTH: Final = "application/health+json"


@router.get("/livez", response_model=Alive, summary="Is the process alive")
async def livez() -> dict[str, str]:
    """Says so as long as the process can answer at all. Restart it when this fails."""
    return {"status": "alive"}


@router.get("/readyz", response_model=Ready, summary="Can it answer", responses=problems(503))
async def readyz(request: Request) -> dict[str, Any]:
    """Ready once an index is open. Send no requests while this fails."""
    current = current_of(request)
    index = current.index
    if index is None:
        raise Problem(503, current.problem)
    age = datetime.now(UTC) - current.built_at if current.built_at else None
    return {
        "status": "ready",
        "release": index.release.id,
        "postcodes": index.release.postcodes,
        "starter": index.release.starter,
        "part": index.release.part,
        "built_at": current.built_at,
        "age_days": age.days if age is not None else None,
        "problem": current.problem,
        "signposts_expired": len(rules_of(request).book.signposts.expired(today())),
        "counting": intake.state if (intake := intake_of(request)) else "off",
        "audit": health_of(request).audit,
    }


@router.get("/version", response_model=Version, summary="What runs here", responses=problems(503))
async def version(request: Request) -> dict[str, Any]:
    """Version of the service, of its rules and of its data."""
    index, rules = current_of(request).index, rules_of(request)
    return {
        "version": metadata.version("imd-lens"),
        "api": "v1",
        "rules": rules.version,
        "rule_files": [file._asdict() for file in rules.book.files],
        "core20_edition": rules.core20_edition,
        "index_format": FORMAT,
        "release": index.release.id if index else None,
        "checksum": index.release.checksum if index else None,
        "editions": [e.id for e in index.editions] if index else [],
    }


class HealthResponse(JSONResponse):
    """An answer in the form of the draft on health checks of HTTP APIs."""

    media_type = _HEALTH

    def render(self, content: Any) -> bytes:
        """The answer as bytes."""
        return to_json(content)


@router.get("/_ping", response_model=Ping, response_class=HealthResponse, summary="Does it answer")
async def ping() -> Response:
    """Says so as long as the process can answer at all, in the shape that NHS APIs share."""
    return HealthResponse({"status": "pass", "version": metadata.version("imd-lens")})


@router.get(
    "/_status",
    response_model=Status,
    response_class=HealthResponse,
    summary="How it is, part by part",
    responses=problems(503),
)
async def status(request: Request) -> Response:
    """Every part that is looked at, of the worker that answers. Always 200: the body says `pass`, `warn` or `fail`."""
    index, health = current_of(request).index, health_of(request)
    checks = await asyncio.to_thread(health.checks)
    return HealthResponse(
        {
            "status": worst(checks),
            "version": metadata.version("imd-lens"),
            "revision": "v1",
            "releaseId": index.release.id if index else "",
            "commitId": settings_of(request).commit,
            "checks": {check.name: [_check(check)] for check in checks},
        }
    )


def _check(check: Check) -> dict[str, Any]:
    shown: dict[str, Any] = {"status": check.status, "timeout": False}
    if check.value is not None:
        shown |= {"observedValue": check.value, "observedUnit": check.unit}
    if check.output is not None:
        shown["output"] = check.output
    return shown


class MetricsResponse(Response):
    """Metrics as text."""

    media_type = "text/plain"


@router.get(
    "/metrics",
    response_class=MetricsResponse,
    summary="Metrics for Prometheus",
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **problems(503)},
)
async def metrics(request: Request) -> Response:
    """Sums over all workers of this service, as of the last second, in Prometheus's text form.

    Every metric and label is listed in docs/operations.md.
    """
    health, measured = health_of(request), metrics_of(request)
    measured.flush(health.readings())
    body, media_type = await asyncio.to_thread(lambda: measured.exposition(health.asked()))
    return Response(body, headers={"Content-Type": media_type})
