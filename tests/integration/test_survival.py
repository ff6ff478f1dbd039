"""Nothing is lost and nothing doubled while workers, whole services and the database are killed under load.

Two rounds in the suite; `make chaos` does more (CHAOS_ROUNDS, and CHAOS_SEED for other moments).
"""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from sqlalchemy.exc import OperationalError

from tests.databases import Postgres, eventually, opened
from tests.integration.running import Service
from tests.service import bearer, key_in
from tests.unit.counts.events import value

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "2"))
SEED = int(os.environ.get("CHAOS_SEED", "2026"))
CLIENTS = 16
KEYED, UNKEYED = "100", "340"  # their specialties tell them apart in the store
ACKNOWLEDGED = {"counted", "duplicate", "spooled"}


@dataclass
class Load:
    """Clients that send contacts to any of the services, and retry the keyed ones until they are acknowledged."""

    urls: list[str]
    key: str
    chance: random.Random
    sent: int = 0  # contacts without a key
    acknowledged: int = 0
    keys: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    ends: bool = False

    async def run(self, disturb: Callable[[], Awaitable[None]]) -> None:
        limits = httpx.Limits(max_connections=CLIENTS * len(self.urls))
        proof = bearer(self.key)
        async with httpx.AsyncClient(timeout=10, limits=limits, headers=proof) as client, asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                group.create_task(self._send(client, number))
            try:
                await disturb()
            finally:
                self.ends = True

    async def _send(self, client: httpx.AsyncClient, number: int) -> None:
        count = 0
        while not self.ends:
            count += 1
            if count % 2:
                self.sent += 1
                outcome = await self._ask(client, {"specialty": UNKEYED})
                self.acknowledged += outcome in ACKNOWLEDGED
                continue
            self.keys += 1
            contact = {"specialty": KEYED, "event_id": f"{number}-{count}"}
            while await self._ask(client, contact) not in ACKNOWLEDGED:
                await asyncio.sleep(0.05)

    async def _ask(self, client: httpx.AsyncClient, contact: dict[str, str]) -> str | None:
        body = {"postcode": "NG1 1AA", "contact": {**contact, "type": "outpatient", "age": 54, "sex": "female"}}
        try:
            answer = await client.post(f"{self.chance.choice(self.urls)}/v1/enrich", json=body)
        except httpx.HTTPError:
            await asyncio.sleep(0.05)
            return None
        assert answer.status_code == 200, "a counter in trouble fails no enrichment"
        found = answer.json()
        assert found["imd_decile"] == 3
        outcome = "counted" if found["counted"] else str(found["counted_reason"])
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        return outcome


def check(load: Load, url: str, services: list[Service]) -> None:
    """The promise, once the spools are empty, and still after an orderly stop."""

    def contacts(specialty: str) -> int:
        return int(value(engine, f"SELECT coalesce(sum(n), 0) FROM flow WHERE specialty = '{specialty}'"))

    def settled() -> bool:
        try:
            return contacts(KEYED) >= load.keys and contacts(UNKEYED) >= load.acknowledged
        except OperationalError:
            return False

    with opened(url) as engine:
        eventually(settled, 60)
        for service in services:
            service.stop()
        assert contacts(KEYED) == load.keys, load.outcomes
        assert load.acknowledged <= contacts(UNKEYED) <= load.sent, load.outcomes
        for table in ("one_way WHERE dimension = 'sex'", "age_sex", "completeness"):
            assert value(engine, f"SELECT sum(n) FROM {table}") == contacts(KEYED) + contacts(UNKEYED)
        assert value(engine, "SELECT count(*) FROM late") == 0
        assert value(engine, "SELECT count(*) FROM host WHERE NOT stopped OR spooled > 0") == 0
    assert load.keys > 0
    assert load.acknowledged > 0


@contextmanager
def running(*services: Service) -> Iterator[list[Service]]:
    with ExitStack() as stack:
        for service in services:
            stack.callback(service.end)
        with ThreadPoolExecutor() as pool:
            list(pool.map(Service.start, services))
        yield list(services)


def environment(starter: Path, counts: Path, url: str) -> dict[str, str]:
    found = {"IMDLENS_DATA_DIR": str(starter), "IMDLENS_COUNTS_DIR": str(counts)}
    if url.startswith("postgresql"):
        found |= {"IMDLENS_DATABASE_URL": url, "IMDLENS_SECRET": "the same on every host"}
    return found


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_killing_workers_and_services_under_load_loses_and_doubles_nothing(
    database: str, request: pytest.FixtureRequest, starter: Path, tmp_path: Path
) -> None:
    counts = tmp_path / "counts"
    url = f"sqlite:///{counts / 'counts.sqlite'}" if database == "sqlite" else request.getfixturevalue("postgres_url")
    chance = random.Random(SEED)

    async def disturb() -> None:
        for number in range(ROUNDS):
            await asyncio.sleep(chance.uniform(0.3, 1.5))
            if number % 3 == 2:
                await asyncio.to_thread(service.kill)
                await asyncio.to_thread(service.start)
            else:
                service.kill_worker(chance)
        await asyncio.sleep(0.5)

    named = environment(starter, counts, url)
    key = key_in(tmp_path, **named)
    with running(Service(tmp_path, 2, **named)) as (service,):
        load = Load([service.url], key, chance)
        asyncio.run(load.run(disturb))
        check(load, url, [service])


def test_a_database_that_dies_under_two_hosts_loses_and_doubles_nothing(
    postgres: Postgres, postgres_url: str, starter: Path, tmp_path: Path
) -> None:
    """Retries go to either host, and in every third outage one host is killed with contacts on its disk."""
    chance = random.Random(SEED)

    async def disturb() -> None:
        for number in range(ROUNDS):
            await asyncio.sleep(chance.uniform(0.3, 1.5))
            await asyncio.to_thread(postgres.take_away)
            try:
                await asyncio.sleep(chance.uniform(0.2, 1.0))
                if number % 3 == 1:
                    await asyncio.to_thread(services[0].kill)
                    await asyncio.to_thread(services[0].start)
                await asyncio.sleep(chance.uniform(0.1, 0.5))
            finally:
                await asyncio.to_thread(postgres.bring_back)
        await asyncio.sleep(0.5)

    hosts = [
        Service(tmp_path / name, **environment(starter, tmp_path / name / "counts", postgres_url))
        for name in ("one", "other")
    ]
    key = key_in(tmp_path, **environment(starter, tmp_path, postgres_url))
    with running(*hosts) as services:
        load = Load([service.url for service in services], key, chance)
        asyncio.run(load.run(disturb))
        check(load, postgres_url, services)
    assert load.outcomes.get("spooled", 0) > 0


def test_a_service_that_starts_while_the_database_is_away_answers_and_counts_later(
    postgres: Postgres, postgres_url: str, starter: Path, tmp_path: Path
) -> None:
    named = environment(starter, tmp_path / "counts", postgres_url)
    load = Load([], key_in(tmp_path, **named), random.Random(SEED))

    async def disturb() -> None:
        await asyncio.sleep(0.5)
        await asyncio.to_thread(postgres.bring_back)
        await asyncio.sleep(0.5)

    with running(Service(tmp_path, **named)) as (before,):  # this host learns its callers
        before.stop()
    postgres.take_away()
    try:
        with running(Service(tmp_path, **named)) as services:
            load.urls.append(services[0].url)
            asyncio.run(load.run(disturb))
            check(load, postgres_url, services)
    finally:
        postgres.bring_back()
