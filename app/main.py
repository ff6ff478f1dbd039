"""Assembly and lifespan, nothing else."""

import asyncio
import gc
import logging
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import metadata
from typing import Any, Final

from fastapi import FastAPI

from app.access.access import Access
from app.access.browsers import Browsers
from app.access.keeper import KeyKeeper
from app.access.keys import KeyRing
from app.access.spent import SpentTokens
from app.access.tokens import TokenReader
from app.allowances import Allowances
from app.api_document import DESCRIPTION, add_docs, document
from app.connections import STATE, Bounds
from app.cors import CorsBelow
from app.counting import Counts, engine_of, key_hasher, options, secrets_for_cards, start_counting
from app.counts.periods import today
from app.current import CurrentRelease, read_rules
from app.dashboard.context import Context
from app.dashboard.dashboard import Dashboard
from app.doors import Size
from app.enrichment import Rules
from app.errors import add_handlers
from app.guard import Guard
from app.health import Health
from app.limits import BodyLimit, ClientLimits, Shedding
from app.logs import watch_loop
from app.metrics import Metrics
from app.overload import Overload
from app.proxies import Proxies
from app.request_log import AuditFile, RequestLog
from app.routers import breakdowns, card, cds_hooks, dashboard, enrich, fhir, inequality, platform, sign_in, stream
from app.settings import Settings, read_settings
from app.telemetry import RequestContext
from app.tracing import Tracing

log: Final = logging.getLogger("imdlens")


def create_app(settings: Settings | None = None) -> FastAPI:
    """The service, ready to be served; nothing is opened until it starts."""
    settings = settings or read_settings()
    rules = read_rules(settings)
    tokens = TokenReader.read(settings.access_file) if settings.access_file else None
    current = CurrentRelease(settings.data_dir, rules)
    overload = Overload(settings.max_in_flight)
    allowances = Allowances(settings.client_in_flight, settings.client_rows_per_minute)

    metrics, tracing = Metrics(), Tracing(settings.otlp_endpoint)
    audit = AuditFile(settings.audit_file) if settings.audit_file else None

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
        watch_loop(asyncio.get_running_loop())
        metrics.start()
        tracing.start()
        _reopen_on_hangup(audit)
        await asyncio.to_thread(current.look)
        app.state.intake = start_counting(settings)
        if app.state.intake:
            await app.state.intake.prepare()
        app.state.card_secrets = secrets_for_cards(settings)
        ring = KeyRing(key_hasher(settings))
        keeper = KeyKeeper(ring, lambda: engine_of(settings), settings.keys_copy)
        await asyncio.to_thread(keeper.start)
        spent = SpentTokens(lambda: engine_of(settings))
        app.state.access = access = Access(ring, tokens, spent)
        app.state.browsers = _browsers(settings, ring, app.state.card_secrets)
        if rules.book.signposts.expired(today()):
            log.warning("some signposts are past their review date and are not shown: imdlens signposts check")
        settle()
        watching = [
            current.watch(settings.data_poll_seconds),
            overload.watch(),
            metrics.keep(lambda: Health(app.state).readings()),
        ]
        if tokens:
            watching.append(tokens.watch())
        watches = [asyncio.create_task(watch) for watch in watching]
        yield {STATE: Bounds(overload, settings.max_connections, settings.head_seconds)}
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)  # whatever ended one, what was counted is written down
        if app.state.intake:
            await app.state.intake.stop()
            app.state.intake = None
        await asyncio.to_thread(keeper.stop)
        access.close()
        app.state.counts.close()
        await asyncio.to_thread(tracing.stop)
        metrics.stop()
        if audit:
            audit.close()

    app = FastAPI(
        title="IMD Lens",
        summary="Deprivation context at the point of care.",
        description=DESCRIPTION,
        version=metadata.version("imd-lens"),
        license_info={"name": "MIT", "identifier": "MIT"},
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,  # a redirect has the client send the postcode again, where the Host header says
        # The framework's own telemetry records messages of exceptions, and these may quote a request.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        swagger_ui_oauth2_redirect_url=None,
    )
    app.state.settings, app.state.rules, app.state.current = settings, rules, current
    app.state.intake, app.state.counts, app.state.access = None, Counts(settings), None
    app.state.metrics, app.state.audit = metrics, audit
    app.state.dashboard = _dashboard(settings, rules)
    app.state.browsers = app.state.enricher = None
    app.state.overload, app.state.allowances = overload, allowances
    add_handlers(app)
    most: dict[Size, int] = {"record": settings.max_body_bytes, "batch": settings.max_batch_bytes}
    app.add_middleware(BodyLimit, most=most, seconds=settings.body_seconds)
    app.add_middleware(ClientLimits, allowances=allowances)
    app.add_middleware(Guard)
    if settings.cors_origins:
        app.add_middleware(CorsBelow, path=cds_hooks.PREFIX, origins=settings.cors_origins.split())
    app.add_middleware(Shedding, overload=overload)
    # Added last: the outermost.
    app.add_middleware(RequestContext, metrics=metrics, request_log=RequestLog(audit), tracing=tracing)
    for doors in (enrich, stream, breakdowns, inequality, dashboard, card, sign_in, cds_hooks, fhir, platform):
        # Not included: a request would be matched twice, against the router and against its route.
        app.router.routes.extend(doors.router.routes)
    add_docs(app)
    app.openapi = lambda: document(app)  # type: ignore[method-assign]
    return app


def _dashboard(settings: Settings, rules: Rules) -> Dashboard:
    """The dashboard, with what this deployment decided and brought."""
    return Dashboard(Context(options(settings), rules.book))


def _browsers(settings: Settings, ring: KeyRing, secrets: list[bytes]) -> Browsers:
    """Who tells browsers apart, as the settings want it."""
    return Browsers(
        ring,
        secrets,
        public_url=settings.public_url,
        proxies=Proxies(settings.proxies),
        identity_header=settings.identity_header,
        identity_scopes=frozenset(settings.identity_scopes.split()),
    )


def settle() -> None:
    """Take what start-up made out of the garbage collector's rounds: each full one cost requests some 50 ms."""
    gc.collect()
    gc.freeze()


def _reopen_on_hangup(audit: AuditFile | None) -> None:
    """SIGHUP opens the audit file anew, as whoever moved it away expects."""
    if audit is not None and threading.current_thread() is threading.main_thread():
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, audit.reopen)
