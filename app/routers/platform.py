"""What an operator and a load balancer ask: is it alive, is it ready, which version answers."""

from datetime import UTC, datetime
from importlib import metadata
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from app.errors import Problem
from app.lookup.layout import FORMAT
from app.routers.dependencies import CurrentDep, RulesDep
from app.routers.enrich import PROBLEMS

router = APIRouter(tags=["platform"])


class Alive(BaseModel):
    """The process answers."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "alive"}]})

    status: Literal["alive"]


class Ready(BaseModel):
    """An index is open, and this is which."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "ready",
                    "release": "nspl-august-2024-a62e1039",
                    "postcodes": "NSPL August 2024",
                    "starter": False,
                    "built_at": "2026-11-22T13:53:43Z",
                    "age_days": 0,
                    "problem": None,
                }
            ]
        }
    )

    status: Literal["ready"]
    release: str
    postcodes: str = Field(description="The postcode directory, with its month.")
    starter: bool = Field(description="True on starter data: almost every postcode is not found.")
    built_at: datetime | None
    age_days: int | None = Field(description="Days since the index was built.")
    problem: str | None = Field(description="Why a newer release could not be opened, if one could not.")


class Version(BaseModel):
    """What runs here, and on which data and rules."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "version": "0.1.0",
                    "api": "v1",
                    "rules": "postcode 2026-11-22, wording 2026-11-22",
                    "core20_edition": "IoD2025",
                    "index_format": 1,
                    "release": "nspl-august-2024-a62e1039",
                    "checksum": "sha256:a62e1039…",
                    "editions": ["IoD2025", "IoD2019"],
                }
            ]
        }
    )

    version: str
    api: Literal["v1"]
    rules: str
    core20_edition: str
    index_format: int
    release: str | None
    checksum: str | None
    editions: list[str]


@router.get("/livez", response_model=Alive, summary="Is the process alive")
async def livez() -> dict[str, str]:
    """Says so as long as the process can answer at all. Restart it when this fails."""
    return {"status": "alive"}


@router.get("/readyz", response_model=Ready, summary="Can it answer", responses={503: PROBLEMS[503]})
async def readyz(current: CurrentDep) -> dict[str, Any]:
    """Ready once an index is open. Send no requests while this fails."""
    index = current.index
    if index is None:
        raise Problem(503, current.problem)
    age = datetime.now(UTC) - current.built_at if current.built_at else None
    return {
        "status": "ready",
        "release": index.release.id,
        "postcodes": index.release.postcodes,
        "starter": index.release.starter,
        "built_at": current.built_at,
        "age_days": age.days if age is not None else None,
        "problem": current.problem,
    }


@router.get("/version", response_model=Version, summary="What runs here")
async def version(current: CurrentDep, rules: RulesDep) -> dict[str, Any]:
    """Version of the service, of its rules and of its data."""
    index = current.index
    return {
        "version": metadata.version("imd-lens"),
        "api": "v1",
        "rules": rules.version,
        "core20_edition": rules.core20_edition,
        "index_format": FORMAT,
        "release": index.release.id if index else None,
        "checksum": index.release.checksum if index else None,
        "editions": [e.id for e in index.editions] if index else [],
    }
