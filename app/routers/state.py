"""What a door takes from the application: the open index, the rules, the settings.

Plain functions rather than the framework's dependencies: solving two of those took a quarter of a request.
"""

import hmac

from fastapi import Request
from pydantic import SecretStr

from app.counting import Counts
from app.counts.intake import Intake
from app.current import CurrentRelease
from app.enrichment import Rules
from app.errors import Problem
from app.lookup.index import Index
from app.settings import Settings


def current_of(request: Request) -> CurrentRelease:
    """The release that this worker answers from, and how it is."""
    current: CurrentRelease = request.app.state.current
    return current


def index_of(request: Request) -> Index:
    """The open index, to be kept for the whole request; a 503 problem when there is none."""
    index = current_of(request).index
    if index is None:
        raise Problem(503, "No data is loaded.", headers={"Retry-After": "5"})
    return index


def rules_of(request: Request) -> Rules:
    """The rules of this deployment."""
    rules: Rules = request.app.state.rules
    return rules


def settings_of(request: Request) -> Settings:
    """The settings of this process."""
    settings: Settings = request.app.state.settings
    return settings


def intake_of(request: Request) -> Intake | None:
    """Where contacts are counted; None where they cannot be."""
    intake: Intake | None = request.app.state.intake
    return intake


def counts_of(request: Request) -> Counts:
    """Published tables and exact counts."""
    counts: Counts = request.app.state.counts
    return counts


def client_of(_: Request) -> str:
    """Who calls. Without keys every caller is the same client."""
    return "unnamed"


def card_secrets_of(request: Request) -> list[bytes]:
    """The secrets that seal cards, newest first."""
    secrets: list[bytes] = request.app.state.card_secrets
    return secrets


def holds(request: Request, key: SecretStr | None) -> bool:
    """Whether a request carries this bearer key; never where there is no such key."""
    if key is None:
        return False
    scheme, _, sent = request.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(
        sent.strip().encode("utf-8", "surrogatepass"), key.get_secret_value().encode()
    )


def may_see_groups(request: Request) -> bool:
    """Whether the caller has the scope `inclusion`."""
    return holds(request, settings_of(request).inclusion_key)
