"""What the platform doors answer."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


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
                    "part": False,
                    "built_at": "2026-11-22T13:53:43Z",
                    "age_days": 0,
                    "problem": None,
                    "signposts_expired": 0,
                    "counting": "on",
                    "audit": "on",
                }
            ]
        }
    )

    status: Literal["ready"]
    release: str
    postcodes: str = Field(description="The postcode directory, with its month.")
    starter: bool = Field(description="True on starter data: almost every postcode is not found.")
    part: bool = Field(description="True where fewer postcodes are loaded than the whole country has.")
    built_at: datetime | None
    age_days: int | None = Field(description="Days since the index was built.")
    problem: str | None = Field(description="Why a newer release could not be opened, if one could not.")
    signposts_expired: int = Field(description="Entries of the directory past their review date, and so not shown.")
    counting: Literal["on", "spooling", "off"] = Field(
        description="Whether contacts reach the database, wait on this host's disk, or are not counted at all."
    )
    audit: Literal["off", "on", "failing"] = Field(
        description="Whether requests are written to `IMDLENS_AUDIT_FILE`; `failing` when the last could not be."
    )


class RuleFile(BaseModel):
    """A rules file, as it says of itself."""

    name: str = Field(examples=["prompts.toml"])
    version: str = Field(examples=["2026-11-22"])
    status: Literal["sourced", "authored"] = Field(description="Taken from a published source, or written for this.")
    source: str
    sign_off: str = Field(description="Who must agree to it before it is used.")
    checksum: str = Field(description="SHA-256 of the file.")
    local: bool = Field(description="The organisation's own, in place of the one shipped.")


class Version(BaseModel):
    """What runs here, and on which data and rules."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "version": "0.1.0",
                    "api": "v1",
                    "rules": "postcode 2026-11-22, wording 2026-11-22, context 2026-11-22",
                    "rule_files": [],
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
    rule_files: list[RuleFile] = Field(description="Every rules file in use.")
    core20_edition: str
    index_format: int
    release: str | None
    checksum: str | None
    editions: list[str]


class Ping(BaseModel):
    """The process answers, in the shape that NHS APIs share."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "pass", "version": "0.1.0"}]})

    status: Literal["pass"]
    version: str


class HealthCheck(BaseModel):
    """One thing that was looked at."""

    status: Literal["pass", "warn", "fail"]
    timeout: bool = Field(description="Always false: what is told was seen before, and nothing is waited for.")
    observedValue: float | None = Field(None, description="What was seen.")  # noqa: N815 - the standard's own name
    observedUnit: str | None = Field(  # noqa: N815
        None, description="Of what: days, seconds, batches, or expired signposts."
    )
    output: str | None = Field(None, description="One sentence where it is not well.")


class Status(BaseModel):
    """How the worker that answered is, in the shape that NHS APIs share."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "pass",
                    "version": "0.1.0",
                    "revision": "v1",
                    "releaseId": "nspl-august-2024-a62e1039",
                    "commitId": "77afc9a",
                    "checks": {
                        "imdlens:index": [
                            {"status": "pass", "timeout": False, "observedValue": 3.2, "observedUnit": "days"}
                        ],
                        "imdlens:database": [{"status": "pass", "timeout": False}],
                    },
                }
            ]
        }
    )

    status: Literal["pass", "warn", "fail"] = Field(description="The worst of the checks.")
    version: str = Field(description="Version of the service.")
    revision: str = Field(description="Version of the API.")
    releaseId: str = Field(description="The index that answers; empty without one.")  # noqa: N815
    commitId: str = Field(description="`IMDLENS_COMMIT`; empty where it is not set.")  # noqa: N815
    checks: dict[str, list[HealthCheck]] = Field(
        description="`imdlens:index`, `:keys`, `:database`, `:spool`, `:signposts` and `:audit`."
    )
