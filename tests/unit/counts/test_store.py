"""The store adds each contact exactly once, to the right month and edition, whoever else writes."""

import random
import stat
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from app.counts.schema import KINDS
from app.counts.store import Batch, Committed, CountStore, Event
from app.database import open_engine
from tests.databases import opened
from tests.unit.counts.events import EDITION, MONTH, cells, close_month, event, run, stored, value


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    with opened(store_url) as engine:
        yield engine


@pytest.fixture
def store(engine: Engine) -> CountStore:
    return CountStore(engine, EDITION)


def commit(store: CountStore, *events: Event, from_spool: bool = False) -> list[str]:
    """What became of each contact of one batch."""
    committed, seen = store.commit(Batch.of(events), from_spool=from_spool), set[str]()
    return [committed.outcome(one, seen) for one in events]


# ------------------------------------------------------------------------------- once


def test_a_contact_adds_one_to_each_of_its_cells(store: CountStore, engine: Engine) -> None:
    assert commit(store, event(), event(), event("a")) == ["counted"] * 3
    assert cells(engine) == Counter(dict.fromkeys(event().cells, 3))


def test_a_batch_committed_twice_counts_once(store: CountStore, engine: Engine) -> None:
    events = [event(), event("a"), event("a"), event("b")]
    batch = Batch.of(events)
    first, again = store.commit(batch), store.commit(batch)
    for committed in (first, again):
        seen: set[str] = set()
        assert [committed.outcome(one, seen) for one in events] == ["counted", "counted", "duplicate", "counted"]
    store.commit(batch, from_spool=True)
    assert stored(engine) == 3


def test_a_key_counts_once_within_a_batch_and_across_batches(store: CountStore, engine: Engine) -> None:
    assert commit(store, event("a"), event("a"), event("b")) == ["counted", "duplicate", "counted"]
    assert commit(store, event("b"), event("c"), event()) == ["duplicate", "counted", "counted"]
    assert stored(engine) == 4


def test_a_key_counts_once_while_the_secret_is_being_changed(store: CountStore, engine: Engine) -> None:
    """Hosts hash with the old secret, with both, and in the end with the new one alone."""
    assert commit(store, event("old-1")) == ["counted"]
    assert commit(store, event("new-1", "old-1"), event("new-2", "old-2")) == ["duplicate", "counted"]
    assert commit(store, event("old-2"), event("new-2")) == ["duplicate", "duplicate"]
    assert commit(store, event("new-1")) == ["duplicate"]
    assert stored(engine) == 2


@pytest.mark.parametrize("together", [True, False], ids=["one batch", "three batches"])
def test_a_retry_that_names_another_key_as_well_makes_that_one_known(
    store: CountStore, engine: Engine, together: bool
) -> None:
    events = [event("id"), event("id", "header"), event("header")]
    outcomes = commit(store, *events) if together else [commit(store, one)[0] for one in events]
    assert outcomes == ["counted", "duplicate", "duplicate"]
    assert stored(engine) == 1


def test_an_empty_batch_is_no_trouble(store: CountStore, engine: Engine) -> None:
    assert store.commit(Batch()) == Committed({}, frozenset())
    assert not cells(engine)


# ------------------------------------------------------------------------------- closed months, editions


def test_a_closed_month_is_answered_sealed_and_keeps_no_key(store: CountStore, engine: Engine) -> None:
    commit(store, event())
    close_month(engine)
    assert commit(store, event(), event("a"), event("b", month="2026-06")) == ["sealed", "sealed", "counted"]
    assert stored(engine) == 1
    assert value(engine, "SELECT count(*) FROM event_key") == 1
    assert value(engine, "SELECT count(*) FROM late") == 0


@pytest.mark.parametrize("closed_first", [True, False])
def test_a_key_used_for_a_closed_and_an_open_month_at_once_counts_in_the_open_one(
    store: CountStore, engine: Engine, closed_first: bool
) -> None:
    commit(store, event(month="2026-04"))
    close_month(engine, "2026-04")
    pair = [(event("a", month="2026-04"), "sealed"), (event("a"), "counted")]
    pair = pair if closed_first else pair[::-1]
    assert commit(store, *(one for one, _ in pair)) == [outcome for _, outcome in pair]
    assert (stored(engine), stored(engine, "2026-04")) == (1, 1)


def test_what_was_spooled_comes_late_once_even_from_two_hosts(store: CountStore, engine: Engine) -> None:
    commit(store, event())
    close_month(engine)
    one, other = Batch.of([event("a"), event(), event()]), Batch.of([event("a", specialty="340"), event("b")])
    for batch in (one, other, one, other):
        store.commit(batch, from_spool=True)
    assert stored(engine) == 1
    assert value(engine, "SELECT sum(n) FROM late WHERE month = '2026-05' AND specialty = '340'") == 4


def test_what_another_host_counted_in_time_is_not_late(store: CountStore, engine: Engine) -> None:
    commit(store, event("a"))
    close_month(engine)
    store.commit(Batch.of([event("a")]), from_spool=True)
    assert value(engine, "SELECT count(*) FROM late") == 0


def test_a_batch_counted_before_its_month_closed_is_not_answered_sealed(store: CountStore, engine: Engine) -> None:
    """The answer to a first try was lost, and the month was closed before the second."""
    events = [event("a"), event()]
    batch = Batch.of(events)
    store.commit(batch)
    close_month(engine)
    committed, seen = store.commit(batch), set[str]()
    assert [committed.outcome(one, seen) for one in events] == ["counted", "unconfirmed"]


def test_a_year_keeps_the_edition_of_its_first_contact(store: CountStore, engine: Engine) -> None:
    later = CountStore(engine, "IoD2030")
    assert store.edition_of("2026-05") == "IoD2025"
    assert later.edition_of("2027-03") == "IoD2025"
    assert later.edition_of("2027-04") == "IoD2030"
    assert store.edition_of("2027-05") == "IoD2030"
    assert commit(later, event("a", edition="IoD2030"), event("b")) == ["unavailable", "counted"]
    assert commit(store, event("a")) == ["counted"], "the key of a refused contact is free"


def test_a_month_that_was_removed_from_the_store_is_opened_anew(store: CountStore, engine: Engine) -> None:
    commit(store, event())
    run(engine, *(f"DELETE FROM {table.name}" for table in KINDS), "DELETE FROM month")
    assert commit(store, event()) == ["counted"]
    assert stored(engine) == 1


# ------------------------------------------------------------------------------- many at once


def _oracle(batches: list[list[tuple[int, str, str]]]) -> Counter[tuple[str, str]]:
    """Contacts by month and specialty: (key or 0, month, specialty), each key once, the slow and obvious way."""
    seen, counted = set(), Counter()
    for batch in batches:
        for key, month, specialty in batch:
            if key == 0 or key not in seen:
                counted[month, specialty] += 1
            seen.add(key)
    return counted


_contacts = st.tuples(
    st.integers(0, 6), st.sampled_from(["2026-03", "2026-04", "2026-05"]), st.sampled_from(["100", "340"])
)
_batches = st.lists(st.lists(_contacts, max_size=12), max_size=8)


def _compare(url: str, batches: list[list[tuple[int, str, str]]]) -> None:
    with opened(url) as engine:
        run(engine, *(f"DELETE FROM {table.name}" for table in KINDS), "DELETE FROM event_key")
        store = CountStore(engine, EDITION)
        for batch in batches:
            commit(store, *(event(*[f"k{k}"][: bool(k)], month=m, specialty=s) for k, m, s in batch))
        expected: Counter[object] = Counter()
        for (month, specialty), n in _oracle(batches).items():
            expected.update(dict.fromkeys(event(month=month, specialty=specialty).cells, n))
        assert cells(engine) == expected


@settings(max_examples=100)
@given(_batches)
def test_random_batches_give_the_cells_of_a_slow_oracle_on_sqlite(
    sqlite_url: str, batches: list[list[tuple[int, str, str]]]
) -> None:
    _compare(sqlite_url, batches)


@settings(max_examples=15)
@given(_batches)
def test_random_batches_give_the_cells_of_a_slow_oracle_on_postgresql(
    postgres_url: str, batches: list[list[tuple[int, str, str]]]
) -> None:
    _compare(postgres_url, batches)


def test_many_writers_with_the_same_keys_and_cells_count_exactly_and_none_fails(store_url: str) -> None:
    """Eight threads, each with a store of its own, over the same keys and cells in random orders."""
    months, keys, rounds = ["2026-03", "2026-04", "2026-05"], 40, 12
    errors: list[Exception] = []

    def write(number: int) -> None:
        chance = random.Random(number)
        with opened(store_url) as engine:
            own = CountStore(engine, EDITION)
            for _ in range(rounds):
                # A key always names the same contact, as from one client.
                events = [event(f"k{k}", month=months[k % 3], specialty=f"{k % 7}00") for k in range(keys)]
                events += [event(month=months[k % 3], specialty=f"{k % 7}00") for k in range(21)]
                chance.shuffle(events)
                try:
                    own.commit(Batch.of(events))
                except Exception as error:
                    errors.append(error)

    _together([threading.Thread(target=write, args=(number,)) for number in range(8)])
    assert errors == []
    with opened(store_url) as engine:
        assert sum(stored(engine, month) for month in months) == keys + 8 * rounds * 21
        expected = Counter((months[k % 3], f"{k % 7}00") for k in range(keys))
        for k in range(21):
            expected[months[k % 3], f"{k % 7}00"] += 8 * rounds
        flow = {key[1:3]: n for key, n in cells(engine).items() if key[0] == 0}
        assert flow == expected


def test_one_store_may_be_used_by_two_threads(engine: Engine, store: CountStore) -> None:
    """The ledger's writer commits while its keeper delivers the spool."""
    errors: list[Exception] = []

    def write(from_spool: bool) -> None:
        for _ in range(40):
            try:
                store.commit(Batch.of([event()]), from_spool=from_spool)
                store.beat("host", 0)
            except Exception as error:
                errors.append(error)

    _together([threading.Thread(target=write, args=(spooled,)) for spooled in (False, True)])
    assert errors == []
    assert stored(engine) == 80


def _together(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()


# ------------------------------------------------------------------------------- keys that may go


def _aged(engine: Engine, days: int) -> None:
    run(engine, f"UPDATE event_key SET day = day - {days}", f"UPDATE batch SET day = day - {days}")


def _keys(engine: Engine) -> tuple[int, int]:
    return value(engine, "SELECT count(*) FROM event_key"), value(engine, "SELECT count(*) FROM batch")


def test_keys_are_kept_for_a_week(store: CountStore, engine: Engine) -> None:
    commit(store, *(event(f"k{i}") for i in range(5_001)))
    _aged(engine, 7)
    store.forget_old_keys()
    assert _keys(engine) == (5_001, 1)
    _aged(engine, 1)
    store.forget_old_keys()
    assert _keys(engine) == (0, 0)


def test_keys_stay_while_a_host_that_may_still_deliver_is_silent(store: CountStore, engine: Engine) -> None:
    commit(store, event("a"))
    _aged(engine, 30)
    store.beat("silent", 0)
    run(engine, f"UPDATE host SET seen_at = {int(time.time()) - 40 * 86_400}")
    store.beat("lively", 0)
    store.forget_old_keys()
    assert _keys(engine) == (1, 1)
    store.beat("silent", 0, stopped=True)
    store.forget_old_keys()
    assert _keys(engine) == (0, 0)


@pytest.mark.parametrize("stopped", [True, False])
def test_keys_stay_while_a_host_still_holds_what_is_as_old(store: CountStore, engine: Engine, stopped: bool) -> None:
    commit(store, event("a"))
    _aged(engine, 30)
    store.beat("back", 1, oldest=int(time.time()) - 30 * 86_400, stopped=stopped)
    store.forget_old_keys()
    assert _keys(engine) == (1, 1)
    store.beat("back", 0, stopped=stopped)
    store.forget_old_keys()
    assert _keys(engine) == (0, 0)


# ------------------------------------------------------------------------------- the embedded file


def test_only_its_user_can_read_the_embedded_store(tmp_path: Path) -> None:
    from app.database import upgrade

    engine = open_engine(f"sqlite:///{tmp_path / 'counts.sqlite'}")
    upgrade(engine)
    CountStore(engine, EDITION).commit(Batch.of([event()]))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    engine.dispose()
    assert {"counts.sqlite", "counts.sqlite-wal", "counts.sqlite.turn"} <= modes.keys()
    assert set(modes.values()) == {0o600}


def test_workers_that_start_together_make_one_embedded_store(tmp_path: Path) -> None:
    from app.database import upgrade

    errors: list[Exception] = []

    def begin() -> None:
        try:
            with opened(f"sqlite:///{tmp_path / 'counts.sqlite'}") as engine:
                upgrade(engine)
                CountStore(engine, EDITION).commit(Batch.of([event("same"), event()]))
        except Exception as error:
            errors.append(error)

    _together([threading.Thread(target=begin) for _ in range(6)])
    assert errors == []
    with opened(f"sqlite:///{tmp_path / 'counts.sqlite'}") as engine:
        assert stored(engine, MONTH) == 7
