"""The ledger answers within its deadline, and whatever happens meanwhile each contact counts once."""

import asyncio
import contextlib
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine

from app.counts import ledger as ledger_module
from app.counts.ledger import Ledger
from app.counts.spool import Spool
from app.counts.store import Batch, CountStore
from app.database import is_sqlite, open_engine, writing
from tests.databases import Postgres, eventually, opened
from tests.unit.counts.events import EDITION, MONTH, close_month, event, stored, value

PATIENT = 30.0  # seconds: a deadline that no test machine passes


@asynccontextmanager
async def counting(url: str, folder: Path, deadline: float = PATIENT) -> AsyncIterator[Ledger]:
    """A ledger of a worker whose host keeps its spool in this folder."""
    ledger = Ledger(CountStore(open_engine(url), EDITION), Spool(folder / "spool"), deadline)
    ledger.start()
    try:
        yield ledger
    finally:
        await ledger.stop()


@contextmanager
def blocked(engine: Engine) -> Iterator[None]:
    """Nobody else can write to the store."""
    with writing(engine) as connection:
        if not is_sqlite(engine):
            connection.exec_driver_sql("LOCK TABLE batch, financial_year, month IN ACCESS EXCLUSIVE MODE")
        yield


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    with opened(store_url) as engine:
        yield engine


async def until(true: Callable[[], bool]) -> None:
    await asyncio.to_thread(eventually, true)


# ------------------------------------------------------------------------------- answers


def test_each_contact_is_answered_in_its_place(engine: Engine, store_url: str, tmp_path: Path) -> None:
    async def run() -> list[list[str]]:
        async with counting(store_url, tmp_path) as ledger:
            first = await ledger.count([event("a"), event(), event("a")])
            rest = await asyncio.gather(ledger.count([event("a"), event("b")]), ledger.count([event()]))
            return [first, *rest, await ledger.count([])]

    assert asyncio.run(run()) == [["counted", "counted", "duplicate"], ["duplicate", "counted"], ["counted"], []]
    assert stored(engine) == 4


def test_many_requests_at_once_are_all_counted(engine: Engine, store_url: str, tmp_path: Path) -> None:
    async def run() -> list[list[str]]:
        async with counting(store_url, tmp_path) as ledger:
            return await asyncio.gather(*(ledger.count([event(), event(f"k{i % 50}")]) for i in range(200)))

    answers = asyncio.run(run())
    assert [a[0] for a in answers] == ["counted"] * 200
    assert sorted(a[1] for a in answers) == ["counted"] * 50 + ["duplicate"] * 150
    assert stored(engine) == 250


def test_after_the_deadline_a_contact_is_unconfirmed_and_still_counts_once(
    engine: Engine, store_url: str, tmp_path: Path
) -> None:
    async def run() -> tuple[list[str], list[str]]:
        async with counting(store_url, tmp_path, deadline=0.05) as ledger:
            with blocked(engine):
                late = await ledger.count([event("a"), event()])
            await until(lambda: stored(engine) == 2)
            return late, await ledger.count([event("a")])

    late, again = asyncio.run(run())
    assert late == ["unconfirmed", "unconfirmed"]
    assert again in (["duplicate"], ["unconfirmed"])
    assert stored(engine) == 2


def test_a_caller_that_leaves_disturbs_nobody_and_its_contact_counts(
    engine: Engine, store_url: str, tmp_path: Path
) -> None:
    async def run() -> list[str]:
        async with counting(store_url, tmp_path) as ledger:
            with blocked(engine):
                leaving = [asyncio.create_task(ledger.count([event()])) for _ in range(5)]
                staying = asyncio.create_task(ledger.count([event("a")]))
                await asyncio.sleep(0.05)
                for task in leaving:
                    task.cancel()
                await asyncio.gather(*leaving, return_exceptions=True)
            return await staying

    assert asyncio.run(run()) == ["counted"]
    assert stored(engine) == 6


def test_over_the_waiting_limit_contacts_are_refused_at_once(
    engine: Engine, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "_MOST_WAITING", 10)

    async def run() -> tuple[list[str], list[str], list[str]]:
        async with counting(store_url, tmp_path) as ledger:
            with blocked(engine):
                waiting = asyncio.create_task(ledger.count([event()] * 9))
                await asyncio.sleep(0)
                refused = await ledger.count([event(), event()])
            return await waiting, refused, await ledger.count([event()] * 10)

    waiting, refused, after = asyncio.run(run())
    assert (waiting, refused, after) == (["counted"] * 9, ["unavailable"] * 2, ["counted"] * 10)
    assert stored(engine) == 19


def test_a_contact_of_a_closed_month_is_answered_sealed(engine: Engine, store_url: str, tmp_path: Path) -> None:
    async def run() -> list[list[str]]:
        async with counting(store_url, tmp_path) as ledger:
            open_ = await ledger.count([event()])
            await asyncio.to_thread(close_month, engine)
            return [open_, await ledger.count([event("a"), event(month="2026-06")])]

    assert asyncio.run(run()) == [["counted"], ["sealed", "counted"]]


def test_one_poisoned_contact_costs_no_other_and_the_writer_goes_on(
    engine: Engine, store_url: str, tmp_path: Path
) -> None:
    poison = event()
    poison.cells[1] = (1, MONTH, "340", "another", "1", "sex", "female")  # the database refuses its edition

    async def run() -> tuple[list[list[str]], list[str]]:
        async with counting(store_url, tmp_path) as ledger:
            with blocked(engine):  # so that the others join one batch
                asking = [asyncio.create_task(ledger.count([event()]))]
                await asyncio.sleep(0.05)
                asking += [asyncio.create_task(ledger.count([event(f"k{i}")])) for i in range(4)]
                asking.append(asyncio.create_task(ledger.count([poison])))
                asking += [asyncio.create_task(ledger.count([event()])) for _ in range(3)]
                await asyncio.sleep(0.05)
            return await asyncio.gather(*asking), await ledger.count([event()])

    answers, after = asyncio.run(run())
    assert answers == [["counted"]] * 5 + [["unavailable"]] + [["counted"]] * 3
    assert after == ["counted"]
    assert stored(engine) == 9


def test_stopping_counts_what_waits_and_refuses_what_comes_after(
    engine: Engine, store_url: str, tmp_path: Path
) -> None:
    async def run() -> tuple[list[list[str]], list[str]]:
        ledger = Ledger(CountStore(open_engine(store_url), EDITION), Spool(tmp_path / "spool"), PATIENT)
        ledger.start()
        asking = [asyncio.create_task(ledger.count([event()])) for _ in range(100)]
        await asyncio.sleep(0)
        await ledger.stop()
        return await asyncio.gather(*asking), await ledger.count([event()])

    answers, after = asyncio.run(run())
    assert answers == [["counted"]] * 100
    assert after == ["unavailable"]
    assert stored(engine) == 100


# ------------------------------------------------------------------------------- editions


def test_the_edition_of_a_year_is_asked_once_for_all_who_wait(store_url: str, tmp_path: Path) -> None:
    async def run() -> tuple[list[str | None], str | None, str | None]:
        async with counting(store_url, tmp_path) as ledger:
            before = ledger.known_edition(MONTH)
            asked = await asyncio.gather(*(ledger.edition_of(MONTH) for _ in range(20)))
            return asked, before, ledger.known_edition("2027-03")

    assert asyncio.run(run()) == ([EDITION] * 20, None, EDITION)


def test_an_edition_that_cannot_be_asked_in_time_is_not_guessed(engine: Engine, store_url: str, tmp_path: Path) -> None:
    async def run() -> tuple[list[str | None], str | None]:
        async with counting(store_url, tmp_path, deadline=0.05) as ledger:
            with blocked(engine):
                unknown = [await ledger.edition_of(MONTH) for _ in range(5)]
            await until(lambda: ledger.known_edition(MONTH) is not None)
            return unknown, await ledger.edition_of(MONTH)

    assert asyncio.run(run()) == ([None] * 5, EDITION)


def test_a_host_remembers_the_edition_of_a_year_for_when_the_database_is_away(store_url: str, tmp_path: Path) -> None:
    async def ask() -> str | None:
        async with counting(store_url, tmp_path) as ledger:
            return await ledger.edition_of(MONTH)

    async def known_at_once() -> str | None:
        async with counting(store_url, tmp_path) as ledger:
            return ledger.known_edition("2027-03")

    assert asyncio.run(ask()) == asyncio.run(known_at_once()) == EDITION


# ------------------------------------------------------------------------------- outages


@contextmanager
def outage(url: str, postgres: Postgres | None) -> Iterator[Callable[[], None]]:
    """The database is away until the function that this gives is called."""
    back = False
    if postgres is not None:
        postgres.take_away()
    else:
        folder = Path(url.removeprefix("sqlite:///")).parent
        folder.rename(folder.with_name("away"))

    def bring_back() -> None:
        nonlocal back
        if not back:
            back = True
            postgres.bring_back() if postgres is not None else folder.with_name("away").rename(folder)

    try:
        yield bring_back
    finally:
        bring_back()


@pytest.fixture(params=["sqlite", "postgresql"])
def fragile(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Postgres | None]:
    """A store that can be taken away: its address, and its server."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_url"), request.getfixturevalue("postgres")
    (tmp_path / "here").mkdir()
    shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "here" / "counts.sqlite")
    return f"sqlite:///{tmp_path / 'here' / 'counts.sqlite'}", None


def test_the_edition_of_a_month_can_be_learnt_before_anybody_waits_for_it(store_url: str, tmp_path: Path) -> None:
    async def run() -> tuple[str | None, str | None]:
        async with counting(store_url, tmp_path, deadline=0.0) as ledger:
            before = ledger.known_edition("2026-11")
            await ledger.prepare("2026-11")
            return before, ledger.known_edition("2026-11")

    assert asyncio.run(run()) == (None, EDITION)


def test_while_the_database_is_away_contacts_are_spooled_and_delivered_when_it_is_back(
    fragile: tuple[str, Postgres | None], tmp_path: Path
) -> None:
    url, postgres = fragile

    async def run() -> list[list[str]]:
        with outage(url, postgres) as bring_back:
            # One host met the outage, and another that it was retried on.
            async with counting(url, tmp_path / "one") as one, counting(url, tmp_path / "other") as other:
                answers = [await one.count([event("a"), event()]), await other.count([event("a"), event("b")])]
                answers.append(await one.count([event("c")]))
                await asyncio.to_thread(bring_back)
                with opened(url) as engine:
                    await until(lambda: stored(engine) == 4)
                answers.append(await one.count([event("b"), event()]))
                return answers

    assert asyncio.run(run()) == [["spooled"] * 2, ["spooled"] * 2, ["spooled"], ["duplicate", "counted"]]
    with opened(url) as engine:
        assert stored(engine) == 5
        assert value(engine, "SELECT count(*) FROM host WHERE stopped AND spooled = 0") == 2


def test_what_was_spooled_before_a_stop_is_delivered_at_the_next_start(
    fragile: tuple[str, Postgres | None], tmp_path: Path
) -> None:
    url, postgres = fragile

    async def run() -> list[str]:
        with outage(url, postgres):
            async with counting(url, tmp_path) as ledger:
                return await ledger.count([event("a"), event()])

    async def again() -> None:
        with opened(url) as engine:
            async with counting(url, tmp_path):
                await until(lambda: stored(engine) == 2)

    assert asyncio.run(run()) == ["spooled", "spooled"]
    asyncio.run(again())
    asyncio.run(again())


def test_a_connection_that_breaks_under_the_writer_loses_nothing(
    postgres: Postgres, postgres_url: str, tmp_path: Path
) -> None:
    async def run() -> list[list[str]]:
        with opened(postgres_url) as engine:
            async with counting(postgres_url, tmp_path) as ledger:
                answers = []
                for i in range(20):
                    answers.append(await ledger.count([event(f"k{i}"), event()]))
                    await asyncio.to_thread(_cut_off, engine)
                return answers

    async def deliver() -> None:
        """What was still on the disk when the first one stopped."""
        with opened(postgres_url) as engine:
            async with counting(postgres_url, tmp_path):
                await until(lambda: stored(engine) == 40)

    answers = asyncio.run(run())
    assert {outcome for answer in answers for outcome in answer} <= {"counted", "spooled"}
    asyncio.run(deliver())


def _cut_off(engine: Engine) -> None:
    value(
        engine,
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )


@pytest.mark.parametrize("when", ["away at once", "lost after a try"])
def test_where_nothing_can_be_kept_contacts_are_refused_or_unconfirmed_and_nothing_fails(
    fragile: tuple[str, Postgres | None], tmp_path: Path, when: str
) -> None:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small disk")
    small = tmp_path / "small"
    small.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(small)]
    if subprocess.run(mounted, check=False, capture_output=True).returncode:
        pytest.skip("this machine does not let root mount a small disk")
    url, postgres = fragile

    async def run() -> list[str]:
        async with counting(url, small) as ledger:
            with contextlib.suppress(OSError), (small / "full").open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(1_000))
            with outage(url, postgres):
                first = await ledger.count([event("a")])
                second = await ledger.count([event("a")])
                (small / "full").unlink()
                return [*(first if when == "lost after a try" else second), *(await ledger.count([event("b")]))]

    try:
        answers = asyncio.run(run())
    finally:
        subprocess.run(["umount", str(small)], check=True)
    assert answers == ["unconfirmed" if when == "lost after a try" else "unavailable", "spooled"]
    with opened(url) as engine:
        assert stored(engine) == 1


def test_a_spooled_batch_that_no_store_takes_does_not_hold_up_the_others(store_url: str, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    spool.put(Batch.of([event("bad", month="never")]))
    spool.put(Batch.of([event("good")]))
    spool.close()

    async def run() -> None:
        with opened(store_url) as engine:
            async with counting(store_url, tmp_path):
                await until(lambda: stored(engine) == 1)
                await until(lambda: value(engine, "SELECT spooled FROM host") == 1)

    asyncio.run(run())


# ------------------------------------------------------------------------------- the workers of a host


def test_one_worker_of_a_host_keeps_the_spool_and_the_last_to_go_marks_the_host_stopped(
    engine: Engine, store_url: str, tmp_path: Path
) -> None:
    def stopped() -> bool | None:
        found = value(engine, "SELECT stopped FROM host")
        return None if found is None else bool(found)

    async def run() -> None:
        async with counting(store_url, tmp_path):
            async with counting(store_url, tmp_path) as second:
                await until(lambda: stopped() is False)
                assert await second.count([event()]) == ["counted"]
            assert stopped() is False
        assert stopped() is True
        assert value(engine, "SELECT count(*) FROM host") == 1
        async with counting(store_url, tmp_path):
            await until(lambda: stopped() is False)

    asyncio.run(run())
