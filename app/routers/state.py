"""What a door takes from the application: the open index, the rules, the settings.

Plain functions rather than the framework's dependencies: solving two of those took a quarter of a request.
"""

from fastapi import Request

from app.counting import Counts
from app.counts.intake import Intake
from app.current import CurrentRelease
from app.dashboard.dashboard import Dashboard
from app.enrichment import Rules
from app.errors import Problem
from app.exchange import exchange_of
from app.health import Health
from app.limits import charge_rows, wait_for_rows
from app.lookup.index import Index
from app.metrics import Metrics
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


def dashboard_of(request: Request) -> Dashboard:
    """The dashboard of this worker."""
    dashboard: Dashboard = request.app.state.dashboard
    return dashboard


def metrics_of(request: Request) -> Metrics:
    """The numbers of this worker."""
    metrics: Metrics = request.app.state.metrics
    return metrics


def health_of(request: Request) -> Health:
    """How this worker is."""
    return Health(request.app.state)


def client_of(request: Request) -> str:
    """The name of whoever calls, as counts know it."""
    caller = exchange_of(request.scope).caller
    return caller.name if caller else "unnamed"


def card_secrets_of(request: Request) -> list[bytes]:
    """The secrets that seal cards, newest first."""
    secrets: list[bytes] = request.app.state.card_secrets
    return secrets


def may(request: Request, scope: str) -> bool:
    """Whether the caller has this scope."""
    caller = exchange_of(request.scope).caller
    return caller is not None and scope in caller.scopes


def may_see_groups(request: Request) -> bool:
    """Whether the caller has the scope `inclusion`."""
    return may(request, "inclusion")


def check_area(request: Request, *, asked: bool) -> None:
    """A 403 problem where area codes are asked for by a caller without the scope `area`."""
    if asked and not may(request, "area"):
        exchange_of(request.scope).refused = "scope"
        raise Problem(403)


def charge_at_once(request: Request, most: int) -> int:
    """How many rows of a stream can be waited for at once: so many, or what a whole minute allows."""
    return min(most, request.app.state.allowances.rows_per_minute or most)


async def wait_for_turn(request: Request, rows: int) -> None:
    """Wait until a slice of a stream may be answered: for its client's allowance, and for all who ask besides."""
    await wait_for_rows(request.app.state.allowances, client_of(request), rows)
    await request.app.state.overload.turn()


def charge(request: Request, rows: int) -> dict[str, str]:
    """Take a batch's rows from its client's allowance, before anything of it is answered; headers for the answer.

    A 429 problem where they must wait, 413 where there are more than a whole minute allows.
    """
    return charge_rows(request.app.state.allowances, client_of(request), rows)
