"""Assembles what counts contacts: database, spool, ledger and intake, from the settings."""

import logging
import sys
from collections.abc import Callable, Mapping
from secrets import token_bytes
from typing import Any, Final, TypeVar

from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from app.access.keys import KeyHasher
from app.counts import feedback
from app.counts.disclosure import Rule
from app.counts.exact import NotSealedError, read_exact
from app.counts.intake import Intake
from app.counts.ledger import Ledger
from app.counts.parts import Published, PublishedPages
from app.counts.periods import month_of, today
from app.counts.published import Chosen, PublishedTables
from app.counts.schema import store_fact
from app.counts.seal import Publisher
from app.counts.spool import Spool, SpoolError, secret_of
from app.counts.store import CountStore
from app.database import DatabaseAwayError, DatabaseError, check_schema, is_sqlite, open_engine, upgrade
from app.findings.options import Options
from app.settings import Settings

log: Final = logging.getLogger("imdlens")

_T = TypeVar("_T")

# With Python's default of 5 ms the committing thread waits for the event loop at every turn.
_SWITCH_SECONDS: Final = 0.0005


def database_url(settings: Settings) -> str:
    """The address of the store: the configured one, or the embedded file's."""
    if settings.database_url:
        return settings.database_url.get_secret_value()
    return f"sqlite:///{settings.counts_folder / 'counts.sqlite'}"


def engine_of(settings: Settings, *, patient: bool = False) -> Engine:
    """The store's engine, nothing asked of it yet; the folder of an embedded one is made."""
    if not settings.database_url:
        _make_folder(settings)
    return open_engine(database_url(settings), patient=patient)


def _make_folder(settings: Settings) -> None:
    settings.counts_folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def _upgrade_embedded(engine: Engine) -> None:
    """SQLite belongs to this host alone; what several share is upgraded by hand, once."""
    if is_sqlite(engine):
        upgrade(engine)


def open_store(settings: Settings, *, patient: bool = False) -> Engine:
    """The store's engine, its schema checked; an embedded one is made and upgraded. DatabaseError otherwise."""
    engine = engine_of(settings, patient=patient)
    try:
        _upgrade_embedded(engine)
        if not is_sqlite(engine):
            check_schema(engine)
    except SQLAlchemyError as error:
        # The driver's message may hold the address; ours says what to look at.
        raise DatabaseAwayError(f"The database of counts cannot be reached ({type(error).__name__}).") from None
    return engine


def is_synthetic(engine: Engine) -> bool:
    """Whether the store holds invented data."""
    with engine.connect() as connection:
        return connection.execute(select(store_fact).where(store_fact.c.name == "synthetic")).first() is not None


def secrets_of(settings: Settings) -> list[bytes]:
    """The secrets in force, newest first. DatabaseError where hosts would need a shared one and have none."""
    if settings.secret:
        found = [part.strip().encode() for part in settings.secret.get_secret_value().split(",")]
        if any(len(secret) < 16 for secret in found):
            raise DatabaseError("Each secret in IMDLENS_SECRET must have at least 16 characters.")
        return found
    if settings.database_url:
        raise DatabaseError("IMDLENS_SECRET is needed with IMDLENS_DATABASE_URL: the same on every host.")
    return [secret_of(settings.counts_folder)]


def secrets_for_cards(settings: Settings) -> list[bytes]:
    """The secrets that seal cards, newest first: shared by all hosts and workers where there are any.

    Else one of this process alone: a card made by another worker cannot be opened here.
    """
    try:
        return secrets_of(settings)
    except (DatabaseError, OSError) as error:
        log.error("cards are sealed by each worker for itself: %s", type(error).__name__)
        return [token_bytes(32)]


def key_hasher(settings: Settings) -> KeyHasher:
    """What API keys are hashed with. Without a secret that could be read no key is good."""
    try:
        return KeyHasher(secrets_of(settings))
    except (DatabaseError, OSError) as error:
        log.error("no key can be checked: %s", type(error).__name__)
        return KeyHasher([])


def start_counting(settings: Settings) -> Intake | None:
    """Begin to count, from within a running event loop; None, and a line in the log, where that is impossible.

    A database that is away at the start is no hindrance: contacts are spooled until it is there.
    """
    spool = None
    try:
        _make_folder(settings)  # with a database elsewhere too: the spool is here
        secrets = secrets_of(settings)
        spool = Spool(settings.counts_folder / "spool")
        engine = engine_of(settings)
        _upgrade_embedded(engine)
    except (DatabaseError, SpoolError, OSError, SQLAlchemyError) as error:
        log.error("no contact will be counted: %s", type(error).__name__)
        if spool:
            spool.close()
        return None
    ledger = Ledger(CountStore(engine, settings.counted_edition), spool, settings.count_deadline_ms / 1000)
    ledger.start()
    sys.setswitchinterval(_SWITCH_SECONDS)
    return Intake(ledger, secrets, settings.counts_since)


def publisher(settings: Settings, release: str) -> Publisher:
    """What this deployment decided about its publications."""
    return Publisher(
        rule=Rule(suppress_up_to=settings.suppress_up_to, least_denominator=settings.least_denominator),
        least_specialty=settings.least_specialty,
        organisation=settings.organisation,
        release=release,
        edition=settings.counted_edition,
    )


def options(settings: Settings) -> Options:
    """What this deployment decided about its findings."""
    return Options(settings.least_denominator, settings.design_effect, settings.unknown_limit, settings.suppress_up_to)


class StoreAwayError(Exception):
    """The store cannot be read now."""


class Counts:
    """What doors may ask of the store: published tables, exact counts on record, and to add feedback on cards."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._engine: Engine | None = None
        self._pages: PublishedPages | None = None

    def listed(self) -> list[dict[str, Any]]:
        """Every table, with the periods that are published. StoreAwayError when the store cannot be read."""
        return self._ask(lambda engine: PublishedTables(engine).listed())

    def choose(self, table: str, period: str | None, **filters: str | None) -> Chosen:
        """Published rows. NotPublishedError where there are none, StoreAwayError when the store cannot be read."""
        return self._ask(lambda engine: PublishedTables(engine).choose(table, period, **filters))

    def find(self, finding: Callable[[Published], _T]) -> _T:
        """What is found in all that is published now. StoreAwayError when the store cannot be read."""

        def ask(engine: Engine) -> _T:
            if self._pages is None:
                self._pages = PublishedPages(engine)
            return finding(self._pages.now())

        return self._ask(ask)

    def exact(self, month: str, by: str, who: str) -> dict[str, Any] | None:
        """Exact counts of a sealed month, the read put on record; None where the month is not sealed."""
        try:
            return self._ask(lambda engine: read_exact(engine, month, by, who, sealed_only=True))
        except NotSealedError:
            return None

    def add_feedback(self, service: str, outcomes: Mapping[str, int]) -> None:
        """Add what became of CDS Hooks cards to this month. StoreAwayError when that cannot be written now."""
        self._ask(lambda engine: feedback.add(engine, month_of(today()), service, outcomes))

    def _ask(self, question: Callable[[Engine], _T]) -> _T:
        try:
            if self._engine is None:
                self._engine = open_engine(database_url(self._settings))  # a door makes no folder
            return question(self._engine)
        except (SQLAlchemyError, DatabaseError) as error:
            log.error("the store of counts cannot be used: %s", type(error).__name__)
            raise StoreAwayError from None

    def close(self) -> None:
        """Give the connections back."""
        if self._engine is not None:
            self._engine.dispose()
