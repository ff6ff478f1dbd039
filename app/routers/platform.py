"""What an operator and a load balancer ask: is it alive, is it ready, which version answers."""

from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from fastapi import APIRouter, Request

from app.contract.platform import Alive, Ready, Version
from app.contract.problems import problems
from app.counts.periods import today
from app.errors import Problem
from app.lookup.layout import FORMAT
from app.routers.state import current_of, intake_of, rules_of

router = APIRouter(tags=["platform"])


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
