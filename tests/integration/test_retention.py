"""What is kept for a time goes when it is over, on both databases, and nothing else does."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from app.access import key_store
from app.access.keys import KeyHasher
from app.counts.ledger import Ledger
from app.counts.spool import Spool
from app.counts.store import Batch, CountStore
from app.retention import count, old, remove
from tests.databases import eventually, opened
from tests.integration.running import imdlens
from tests.unit.counts.events import EDITION, event, run, stored, value

DAY = 86_400
NOW = int(time.time())
HASHER = KeyHasher([b"a secret of sixteen or more"])


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    with opened(store_url) as engine:
        yield engine


def pruned(engine: Engine, **days: int) -> list[int]:
    """How many rows of each kind were removed; each count before says the same."""
    kinds = list(old(engine, **days))
    counted = [count(engine, kind) for kind in kinds]
    assert counted == [remove(engine, kind) for kind in kinds]
    return counted


def test_hashes_ids_and_tokens_go_after_their_time_and_counts_stay(engine: Engine) -> None:
    store = CountStore(engine, EDITION)
    store.commit(Batch.of(event(f"k{i}") for i in range(5_001)))
    run(engine, f"INSERT INTO spent_token (hash, expires_at) VALUES ('old', {NOW - 3600}), ('new', {NOW + DAY})")
    assert pruned(engine) == [0, 0, 1, 0]
    for table in ("event_key", "batch"):
        run(engine, f"UPDATE {table} SET day = day - 8")
    assert pruned(engine) == [5_001, 1, 0, 0]
    assert stored(engine) == 5_001
    assert value(engine, "SELECT hash FROM spent_token") == "new"


def test_a_host_goes_a_month_after_it_stopped_unless_it_may_hold_something(engine: Engine) -> None:
    store = CountStore(engine, EDITION)
    store.beat("gone", 0, stopped=True)
    store.beat("holds", 2, oldest=NOW, stopped=True)
    store.beat("silent", 0)
    assert pruned(engine)[3] == 0
    run(engine, f"UPDATE host SET seen_at = {NOW - 31 * DAY}")
    assert pruned(engine)[3] == 1
    assert value(engine, "SELECT count(*) FROM host WHERE id IN ('holds', 'silent')") == 2
    store.beat("gone", 0)  # it comes back
    assert value(engine, "SELECT count(*) FROM host") == 3


def test_ended_keys_stay_unless_they_are_named_and_the_newest_key_and_reads_always(engine: Engine) -> None:
    for name in ("revoked", "expired", "good", "newest"):
        key_store.create(engine, HASHER, name, ["enrich"])
    run(
        engine,
        f"UPDATE api_key SET created_at = {NOW - 900 * DAY} WHERE name <> 'newest'",
        f"UPDATE api_key SET revoked_at = {NOW - 500 * DAY} WHERE name IN ('revoked', 'newest')",
        f"UPDATE api_key SET expires_at = {NOW - 500 * DAY} WHERE name = 'expired'",
        "INSERT INTO exact_read (at, who, month, by) VALUES ('2020-01-01T00:00:00+00:00', 'w', '2020-01', 'lad')",
    )
    before = key_store.version(engine)
    assert pruned(engine) == [0, 0, 0, 0]
    assert pruned(engine, ended_keys=600) == [0, 0, 0, 0, 0]
    assert pruned(engine, ended_keys=400) == [0, 0, 0, 0, 2]
    assert {key["name"] for key in key_store.listed(engine)} == {"good", "newest"}
    assert key_store.version(engine) > before
    assert value(engine, "SELECT count(*) FROM exact_read") == 1


def test_a_quiet_service_that_counts_nothing_forgets_by_itself(engine: Engine, tmp_path: Path) -> None:
    CountStore(engine, EDITION).commit(Batch.of([event("k")]))
    run(engine, "UPDATE event_key SET day = day - 8", "UPDATE batch SET day = day - 8")

    async def serve() -> None:
        ledger = Ledger(CountStore(engine, EDITION), Spool(tmp_path / "spool"), 0.25)
        ledger.start()
        await asyncio.to_thread(eventually, lambda: value(engine, "SELECT count(*) FROM event_key") == 0)
        await ledger.stop()

    asyncio.run(serve())
    assert value(engine, "SELECT count(*) FROM batch") == 0


def test_the_command_says_how_much_there_is_and_then_removes_it(tmp_path: Path, store_url: str) -> None:
    environment = {"IMDLENS_DATABASE_URL": store_url, "IMDLENS_SECRET": "a secret of sixteen or more"}
    with opened(store_url) as engine:
        run(engine, f"INSERT INTO spent_token (hash, expires_at) VALUES ('old', {NOW - 3600})")
        looked = imdlens("db", "prune", "--dry-run", cwd=tmp_path, **environment)
        assert "1 hashes of used CDS Hooks tokens" in looked.stdout
        assert value(engine, "SELECT count(*) FROM spent_token") == 1
        assert imdlens("db", "prune", cwd=tmp_path, **environment).returncode == 0
        assert value(engine, "SELECT count(*) FROM spent_token") == 0
