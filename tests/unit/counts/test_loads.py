"""A file takes the place of the one before it, exactly, whoever else writes, and until its month is closed."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from app.counts.cells import Cell
from app.counts.loads import LoadError, check_source, edition_of, loads, remove_load, replace_load
from app.counts.periods import first_counted, month_of, next_month, today
from app.counts.seal import seal
from app.counts.store import Batch, CountStore, Event
from app.database import DatabaseAwayError, downgrade, upgrade
from tests.databases import Postgres, opened
from tests.sealed_store import PUBLISHER
from tests.sealed_store import event as contact
from tests.unit.counts.events import EDITION, MONTH, cells, close_month, event, run, stored, value


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    with opened(store_url, patient=True) as engine:
        yield engine


@pytest.fixture
def store(engine: Engine) -> CountStore:
    return CountStore(engine, EDITION)


def file(*specialties: str, bands: int = 3) -> tuple[Counter[Cell], int]:
    """The cells of a file with a contact of each specialty and band, and how many contacts those are."""
    found: Counter[Cell] = Counter()
    for specialty in specialties:
        for band in range(1, bands + 1):
            found.update(event(specialty=specialty, band=str(band)).cells)
    return found, len(specialties) * bands


def load(store: CountStore, made: tuple[Counter[Cell], int], source: str = "pas", month: str = MONTH) -> bool:
    return replace_load(store, source, month, EDITION, *made)


FIRST, SECOND = file("340", "110", "340"), file("110", "120", bands=7)


def test_a_corrected_file_leaves_no_trace_of_the_one_before(store: CountStore, engine: Engine) -> None:
    assert load(store, FIRST) is False
    assert cells(engine) == FIRST[0]
    assert load(store, SECOND) is True
    assert cells(engine) == SECOND[0]
    assert load(store, FIRST) is True
    assert cells(engine) == FIRST[0]


def test_the_same_file_twice_counts_once(store: CountStore, engine: Engine) -> None:
    for _ in range(3):
        load(store, FIRST)
    assert cells(engine) == FIRST[0]
    (listed,) = loads(engine, "me")
    assert (listed["source"], listed["month"], listed["contacts"]) == ("pas", MONTH, 9)
    assert value(engine, "SELECT times FROM file_load") == 3


def test_contacts_that_came_one_by_one_and_other_sources_are_not_touched(store: CountStore, engine: Engine) -> None:
    store.commit(Batch.of([event(), event("a")]))
    single = cells(engine)
    load(store, FIRST)
    load(store, SECOND, "ae-extract")
    store.commit(Batch.of([event()]))
    assert cells(engine) == single + FIRST[0] + SECOND[0] + Counter(event().cells)
    assert remove_load(store, "pas", MONTH) == 9
    assert cells(engine) == single + SECOND[0] + Counter(event().cells)


@pytest.mark.parametrize("how", ["empty", "removed"])
def test_a_file_is_taken_back_whole_and_no_empty_cell_stays(store: CountStore, engine: Engine, how: str) -> None:
    load(store, FIRST)
    if how == "empty":
        assert load(store, (Counter(), 0)) is True
    else:
        assert remove_load(store, "pas", MONTH) == 9
    assert not cells(engine)
    assert value(engine, "SELECT count(*) FROM file_load_cell") == 0
    assert loads(engine, "me") == []
    assert load(store, (Counter(), 0)) is False
    with pytest.raises(LoadError, match="No file of pas is loaded"):
        remove_load(store, "pas", MONTH)


def test_an_empty_file_opens_no_month(store: CountStore, engine: Engine) -> None:
    load(store, (Counter(), 0))
    assert value(engine, "SELECT count(*) FROM month") == 0


def test_a_closed_month_refuses_files_in_one_sentence_and_forgets_what_each_added(
    store: CountStore, engine: Engine
) -> None:
    load(store, FIRST)
    load(store, SECOND, "other-extract")
    close_month(engine)
    assert value(engine, "SELECT count(*) FROM file_load_cell") == 0
    before = cells(engine)
    for refused in (
        lambda: load(store, SECOND),
        lambda: load(store, (Counter(), 0)),
        lambda: remove_load(store, "pas", MONTH),
        lambda: edition_of(store, MONTH, "2020-01"),
    ):
        with pytest.raises(LoadError, match=f"^{MONTH} is closed: no file can be counted") as caught:
            refused()
        assert str(caught.value).count(". ") == 0
    assert cells(engine) == before
    assert [row["replaceable"] for row in loads(engine, "me")] == [False, False]


def test_sealing_publishes_what_was_loaded_and_forgets_what_was_remembered(store: CountStore, engine: Engine) -> None:
    month = "2024-04"
    made = Counter[Cell]()
    for _ in range(400):
        made.update(contact(month).cells)
    load(store, (made, 400), month=month)
    assert value(engine, "SELECT count(*) FROM file_load_cell") == len(made)
    seal(engine, month, PUBLISHER)
    assert value(engine, "SELECT count(*) FROM file_load_cell") == 0
    assert value(engine, "SELECT max(n) FROM published_row") == 400


def test_a_month_that_a_file_left_empty_is_sealed_with_zeros(store: CountStore, engine: Engine) -> None:
    month = "2024-04"
    load(store, (Counter(contact(month).cells), 1), month=month)
    remove_load(store, "pas", month)
    assert seal(engine, month, PUBLISHER)
    assert value(engine, "SELECT max(n) FROM published_row") == 0


def test_the_database_takes_no_file_on_record_for_a_month_that_is_not_open(store: CountStore, engine: Engine) -> None:
    load(store, FIRST)
    close_month(engine)
    for statement in (
        f"INSERT INTO file_load_cell VALUES ('pas', '{MONTH}', 'flow', '[]', 1)",
        f"INSERT INTO file_load VALUES ('x', '{MONTH}', 1, '', '', 1)",
        "UPDATE file_load SET contacts = 1",
    ):
        with pytest.raises(IntegrityError):
            run(engine, statement)


def test_cells_changed_by_hand_are_never_made_negative(store: CountStore, engine: Engine) -> None:
    load(store, FIRST)
    run(engine, "DELETE FROM age_sex", "UPDATE flow SET n = 1")
    before = cells(engine)
    for change in (lambda: load(store, SECOND), lambda: remove_load(store, "pas", MONTH)):
        with pytest.raises(LoadError, match="changed by hand"):
            change()
    assert cells(engine) == before
    assert value(engine, "SELECT contacts FROM file_load") == 9


def test_months_that_take_no_file_are_refused_before_it_is_read(store: CountStore, engine: Engine) -> None:
    now = month_of(today())
    assert edition_of(store, now) == EDITION
    for month, said in (
        (next_month(now), "future"),
        ("2001-01", f"counted from {first_counted(today())}"),
        ("2026-13", "YYYY-MM"),
    ):
        with pytest.raises(LoadError, match=said):
            edition_of(store, month)
    with pytest.raises(LoadError, match="counted from 2026-10"):
        edition_of(store, "2026-09", "2026-10")
    assert value(engine, "SELECT count(*) FROM month") == 0


def test_a_month_before_the_first_that_is_known_needs_to_be_meant(store: CountStore) -> None:
    """A mistyped year within the time that is counted would make the first month to be sealed."""
    first = first_counted(today())
    assert edition_of(store, first) == EDITION
    load(store, FIRST)
    with pytest.raises(LoadError, match=f"counted from {MONTH}. If it is meant, set IMDLENS_COUNTS_SINCE"):
        edition_of(store, first)
    assert edition_of(store, first, first) == EDITION


@pytest.mark.parametrize("name", ["", "proxy", "none", "other", "PAS", "a b", "x" * 41, "é", "-a"])
def test_a_source_is_named_like_a_client(name: str) -> None:
    with pytest.raises(LoadError, match="named like a client"):
        check_source(name)
    assert check_source("pas-extract.v2") == "pas-extract.v2"


# ------------------------------------------------------------------------------- at the same time


def in_threads(*steps: object) -> list[BaseException]:
    failed: list[BaseException] = []

    def guarded(step: object) -> None:
        try:
            step()  # type: ignore[operator]
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=guarded, args=(step,)) for step in steps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failed


def test_two_files_of_one_source_at_once_leave_one_of_them(store_url: str, engine: Engine) -> None:
    with opened(store_url, patient=True) as other:
        stores = CountStore(engine, EDITION), CountStore(other, EDITION)

        def often(store: CountStore, made: tuple[Counter[Cell], int]) -> None:
            for _ in range(15):
                load(store, made)

        for _ in range(3):
            assert in_threads(lambda: often(stores[0], FIRST), lambda: often(stores[1], SECOND)) == []
            assert cells(engine) in (FIRST[0], SECOND[0])
        remove_load(stores[0], "pas", MONTH)
        assert not cells(engine)


def test_files_and_single_contacts_at_the_same_time_add_up(store_url: str, engine: Engine) -> None:
    with opened(store_url, patient=True) as second, opened(store_url) as third:
        one, two, door = (CountStore(e, EDITION) for e in (engine, second, third))
        dice = random.Random(4)
        batches = [
            [event(*([f"{i}-{j}"] if j % 2 else []), specialty=dice.choice(["340", "110", "120"])) for j in range(20)]
            for i in range(60)
        ]

        def counting() -> None:
            for events in batches:
                batch = Batch.of(events)
                for attempt in range(5):
                    try:
                        door.commit(batch)
                        break
                    except Exception:
                        if attempt == 4:
                            raise

        def loading(store: CountStore, source: str) -> None:
            for i in range(20):
                load(store, (FIRST, SECOND)[i % 2], source)

        failed = in_threads(counting, lambda: loading(one, "pas"), lambda: loading(two, "ae-extract"))
        assert failed == []
        expected = Counter(cell for events in batches for one_event in events for cell in one_event.cells)
        assert cells(engine) == expected + SECOND[0] + SECOND[0]
        remove_load(one, "pas", MONTH)
        remove_load(two, "ae-extract", MONTH)
        assert cells(engine) == expected


def test_a_file_that_meets_the_closing_of_its_month_is_in_it_whole_or_not_at_all(
    store_url: str, engine: Engine
) -> None:
    store = CountStore(engine, EDITION)
    seen = Counter[bool]()
    with opened(store_url, patient=True) as other:
        month = "2025-04"
        for turn in range(12):
            made: Counter[Cell] = Counter()
            for specialty in ("340", "110", "120"):
                made.update(event(specialty=specialty, month=month).cells)
            load(store, (Counter(event(month=month).cells), 1), month=month)

            def closing(month: str = month, turn: int = turn) -> None:
                time.sleep(0.002 * (turn % 4))
                close_month(other, month)

            failed = in_threads(closing, lambda made=made, month=month: load(store, (made, 3), month=month))
            assert all(isinstance(error, LoadError) for error in failed), failed
            seen[bool(failed)] += 1
            assert stored(engine, month) == (1 if failed else 3)
            assert value(engine, f"SELECT count(*) FROM file_load_cell WHERE month = '{month}'") == 0
            month = next_month(month)
    assert seen.total() == 12


LOADING = """
import sys
from app.counts.store import CountStore
from app.database import open_engine
from tests.unit.counts.test_loads import EDITION, FIRST, SECOND, load
store = CountStore(open_engine(sys.argv[1], patient=True), EDITION)
load(store, FIRST)
print("ready", flush=True)
while True:
    load(store, SECOND)
    load(store, FIRST)
"""


def test_a_process_killed_half_way_leaves_one_file_or_the_other(store_url: str, engine: Engine) -> None:
    dice = random.Random(8)
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", LOADING, store_url], stdout=subprocess.PIPE, text=True, env={**os.environ}
        )
        assert process.stdout
        with process.stdout:
            assert process.stdout.readline() == "ready\n"
            time.sleep(dice.uniform(0, 0.05))
            process.send_signal(signal.SIGKILL)
            process.wait()
        found = cells(engine)
        assert found in (FIRST[0], SECOND[0])
    store = CountStore(engine, EDITION)
    assert load(store, FIRST) is True
    assert cells(engine) == FIRST[0]


def test_a_database_that_is_away_is_said_in_one_sentence_and_nothing_is_lost(postgres: Postgres) -> None:
    url = postgres.new_database()
    with opened(url, patient=True) as engine:
        store = CountStore(engine, EDITION)
        load(store, FIRST)
        postgres.take_away()
        try:
            for step in (
                lambda: load(store, SECOND),
                lambda: remove_load(store, "pas", MONTH),
                lambda: edition_of(store, MONTH, "2020-01"),
            ):
                with pytest.raises(DatabaseAwayError, match="run it again when it is back") as caught:
                    step()
                assert "test_" not in str(caught.value)
        finally:
            postgres.bring_back()
        assert cells(engine) == FIRST[0]
        assert load(store, SECOND) is True
        assert cells(engine) == SECOND[0]
    postgres.drop(url)


# ------------------------------------------------------------------------------- the schema


def test_going_down_and_up_keeps_what_was_counted_and_forgets_which_file_it_came_in(
    store: CountStore, engine: Engine
) -> None:
    load(store, FIRST)
    downgrade(engine, "0002")
    assert cells(engine) == FIRST[0]
    upgrade(engine)
    assert cells(engine) == FIRST[0]
    assert loads(engine, "me") == []
    assert load(store, SECOND, "other-extract") is False
    assert cells(engine) == FIRST[0] + SECOND[0]


def test_each_listing_is_on_record(store: CountStore, engine: Engine) -> None:
    loads(engine, "somebody")
    assert value(engine, "SELECT count(*) FROM exact_read WHERE who = 'somebody'") == 1


def test_cells_of_another_month_are_never_loaded(store: CountStore) -> None:
    with pytest.raises(ValueError, match="another month"):
        load(store, (Counter(Event(event(month="2026-06").cells).cells), 1))
