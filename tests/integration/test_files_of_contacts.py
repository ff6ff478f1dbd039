"""Whole files of contacts into real stores: beside the door, twice, interrupted, and within bounded memory."""

import os
import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sqlalchemy import Engine

from app.batch.columns import Answers, Enricher
from app.batch.contacts import ContactColumns, Loading
from app.counts.event_keys import hashes_of
from app.counts.loads import LoadError, loads
from app.counts.periods import first_counted, next_month, today
from app.counts.store import Batch, CountStore, Event
from app.database import DatabaseAwayError
from app.enrichment import Rules
from app.lookup.index import Index
from tests.databases import Postgres, eventually, opened
from tests.files_of_contacts import COLUMNS, EDITION, MONTH, SECRET, SOURCE, Row, door, feed, loading
from tests.integration.running import imdlens
from tests.unit.counts.events import cells, close_month, value

WITH_IDS = replace(COLUMNS, event_id="EVENT_ID")
DAY = f"{MONTH}-01"


@pytest.fixture(scope="module")
def enricher(index: Index, rules: Rules) -> Enricher:
    return Enricher(index, rules)


@pytest.fixture
def store(store_url: str) -> Iterator[Engine]:
    with opened(store_url, patient=True) as engine:
        yield engine


def row(event_id: str | None = "1", **values: str | None) -> Row:
    good = {"postcode": "NG1 1AA", "specialty": "340", "date": DAY, "age": "54", "ethnic_category": "CN"}
    return good | {"event_id": event_id} | values


def count(store: Engine, enricher: Enricher, rows: list[Row], columns: ContactColumns = WITH_IDS) -> dict[str, int]:
    reading = loading(store, enricher, period=None, columns=columns)
    feed(reading, enricher, rows, 3)
    done = reading.finish()
    return {name: n for name, n in done._asdict().items() if n}


def test_a_contact_that_came_by_the_door_and_comes_again_in_a_file_counts_once(
    index: Index, rules: Rules, enricher: Enricher, store: Engine
) -> None:
    rows = [row(str(i), specialty=specialty) for i, specialty in enumerate(["340", "110", "120", "340", "100"])]
    events = [event for _, event in door(rows[:2], index, rules)]
    assert all(event.hashes for event in events)
    CountStore(store, EDITION).commit(Batch.of(events))
    assert count(store, enricher, rows) == {"counted": 3, "duplicates": 2}
    assert cells(store) == Counter(cell for _, event in door(rows, index, rules) for cell in event.cells)
    assert count(store, enricher, rows) == {"duplicates": 5}
    later = [event for _, event in door(rows[4:], index, rules)]
    assert CountStore(store, EDITION).commit(Batch.of(later)).outcome(later[0], set()) == "duplicate"


def test_rows_without_an_id_of_their_own_are_refused_and_others_are_read_as_at_the_door(
    enricher: Enricher, store: Engine
) -> None:
    rows = [row("a"), row(" a "), row(None), row(""), row("x" * 201), row("é"), row("b", specialty="340 "), row("c")]
    done = count(store, enricher, [*rows, row("d", age="old", sex="?"), row("e", postcode="ZZ99 9ZZ", date="2026")])
    assert done["counted"] == 4
    assert done["duplicates"] == 1
    assert done["refused"] == 5
    assert done["problems"] == {
        ("contact.event_id", "not_an_id"): 3,
        ("contact.age", "not_a_number"): 1,
        ("contact.sex", "unknown_value"): 1,
        ("contact.date", "not_a_date"): 1,
    }


def test_rows_of_several_years_and_a_closed_month_are_each_counted_as_at_the_door(
    enricher: Enricher, store: Engine
) -> None:
    first = first_counted(today())
    with_first = [row("1", date=f"{first}-01"), row("2", date=f"{next_month(first)}-02"), row("3")]
    assert count(store, enricher, with_first) == {"counted": 3}
    close_month(store, first)
    again = [*with_first, row("4", date=f"{first}-01"), row("5", date=f"{first}-30"), row("6")]
    assert count(store, enricher, again) == {"counted": 1, "duplicates": 3, "sealed": 2}


def test_ids_are_kept_as_hashes_under_every_secret_in_force(enricher: Enricher, store: Engine) -> None:
    secrets = [b"the newer secret....", SECRET]
    reading = Loading(enricher, WITH_IDS, CountStore(store, EDITION), SOURCE, secrets=secrets)
    feed(reading, enricher, [row("4711")])
    assert reading.finish().counted == 1
    with store.connect() as connection:
        kept = set(connection.exec_driver_sql("SELECT hash FROM event_key").scalars())
    assert kept == set(hashes_of(secrets, SOURCE, "4711"))
    assert count(store, enricher, [row("4711")]) == {"duplicates": 1}  # under the older secret alone


def test_a_file_without_dates_is_of_its_period_and_one_with_them_leaves_others_out(
    enricher: Enricher, store: Engine
) -> None:
    period = first_counted(today())
    rows = [row(date=f"{period}-03"), row(date=f"{next_month(period)}-03"), row(date=None), row(date=f"{period}-31")]
    for columns, found in (
        (COLUMNS, (1, 1, 2)),  # neither a row without a date nor 31 April
        (replace(COLUMNS, date=None), (4, 0, 0)),
    ):
        reading = loading(store, enricher, period=period, columns=columns)
        feed(reading, enricher, rows)
        done = reading.finish()
        assert (done.counted, done.outside, done.refused) == found
        assert value(store, "SELECT sum(n) FROM flow") == found[0]
    assert done.replaced
    assert value(store, "SELECT count(DISTINCT month) FROM month") == 1


def test_a_file_of_which_nothing_can_be_counted_does_not_remove_the_one_before(
    enricher: Enricher, store: Engine
) -> None:
    good = loading(store, enricher)
    feed(good, enricher, [row()])
    good.finish()
    before = cells(store)
    for rows, said in (
        ([row(specialty="x"), row(specialty="y", sex="z")], r"None of the 2 rows .* contact.specialty \(not_a_code\)"),
        ([row(date=f"{first_counted(today())}-01"), row(specialty="x")], f"dated in {MONTH}"),
    ):
        wrong = loading(store, enricher)
        feed(wrong, enricher, rows)
        with pytest.raises(LoadError, match=said) as caught:
            wrong.finish()
        assert str(caught.value).endswith("nothing was changed.")
        assert cells(store) == before
    empty = loading(store, enricher)
    feed(empty, enricher, [])
    assert empty.finish().replaced
    assert not cells(store)
    assert loads(store, "me") == []


@pytest.mark.parametrize(
    ("columns", "period", "said"),
    [
        (WITH_IDS, MONTH, "one of the two"),
        (COLUMNS, None, "one of the two"),
        (replace(WITH_IDS, date=None), None, "--date-column is needed"),
        (COLUMNS, "2999-01", "future"),
        (COLUMNS, "1999-01", "too old"),
    ],
)
def test_what_could_count_twice_or_in_the_wrong_month_is_refused_before_a_row_is_read(
    enricher: Enricher, store: Engine, columns: ContactColumns, period: str | None, said: str
) -> None:
    with pytest.raises(LoadError, match=said):
        loading(store, enricher, period=period, columns=columns)
    assert value(store, "SELECT count(*) FROM month") == 0


def test_a_month_closed_while_a_file_is_read_refuses_it_whole(enricher: Enricher, store: Engine) -> None:
    first, second = loading(store, enricher), loading(store, enricher)
    feed(first, enricher, [row()])
    feed(second, enricher, [row(), row()])
    first.finish()
    before = cells(store)
    close_month(store, MONTH)
    with pytest.raises(LoadError, match="is closed"):
        second.finish()
    assert cells(store) == before


def test_letters_of_ethnic_categories_need_the_system_that_they_are_of() -> None:
    with pytest.raises(LoadError, match="--ethnic-system is one of"):
        ContactColumns(ethnic_category="ETHNIC")


def test_an_edition_that_is_not_in_the_loaded_data_counts_nothing(enricher: Enricher, store: Engine) -> None:
    for period, columns in ((MONTH, COLUMNS), (None, WITH_IDS)):
        unknown = CountStore(store, "IoD1999")
        with pytest.raises(LoadError, match="IoD1999, which is not in the loaded data"):  # noqa: PT012 - at either step
            reading = Loading(enricher, columns, unknown, SOURCE, period=period, secrets=[SECRET])
            feed(reading, enricher, [row()])
            reading.finish()
    assert not cells(store)


@pytest.mark.parametrize("period", [MONTH, None])
def test_a_database_that_goes_away_while_a_file_is_read_loses_nothing(
    enricher: Enricher, postgres: Postgres, period: str | None
) -> None:
    columns = COLUMNS if period else WITH_IDS
    url = postgres.new_database()
    with opened(url, patient=True) as engine:
        rows = [row(str(i)) for i in range(5)]
        reading = loading(engine, enricher, period=period, columns=columns)
        feed(reading, enricher, rows)
        postgres.take_away()
        try:
            with pytest.raises(DatabaseAwayError, match="run it again when it is back"):
                reading.finish()
        finally:
            postgres.bring_back()
        assert not cells(engine)
        again = loading(engine, enricher, period=period, columns=columns)
        feed(again, enricher, rows)
        assert again.finish().counted == 5
    postgres.drop(url)


def test_memory_does_not_grow_with_the_rows_of_a_file(enricher: Enricher, sqlite_url: str) -> None:
    dice = np.random.default_rng(1)
    postcodes = np.array(["NG1 1AA", "M1 1AE", "", "ZZ99 3VZ", "junk"])
    words = {
        "SPECIALTY": np.array(["340", "110", "120", "100", "999"]),
        "DATE": np.array([DAY]),
        "AGE": np.arange(100).astype(str),
        "SEX": np.array(["female", "male"]),
    }
    with opened(sqlite_url, patient=True) as engine:
        reading = loading(engine, enricher)

        def block(rows: int) -> None:
            codes = [enricher.read(_texts([p])) for p in postcodes.tolist()]
            drawn = dice.integers(0, len(postcodes), rows)
            answers = Answers(
                np.concatenate([c.number for c in codes])[drawn], np.concatenate([c.area for c in codes])[drawn]
            )
            columns = {name: pa.array(known[dice.integers(0, len(known), rows)]) for name, known in words.items()}
            empty = pa.nulls(rows, pa.string())
            reading.observe(answers, lambda name: columns.get(name, empty))

        block(100_000)
        tracemalloc.start()
        try:
            for _ in range(20):
                block(100_000)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 150_000_000
        assert reading.finish().counted == 2_100_000
        assert value(engine, "SELECT sum(n) FROM flow") == 2_100_000


def _texts(postcodes: list[str]) -> object:
    from app.lookup.text import TextColumn

    return TextColumn.of(postcodes)


def test_what_was_counted_is_said_where_the_answered_file_could_not_be_made(starter: Path, tmp_path: Path) -> None:
    """Counted first, named after: somebody else makes OUT while the file is read."""
    environment = {"IMDLENS_DATA_DIR": str(starter), "IMDLENS_COUNTS_DIR": "counts"}
    count = ("--count", "--source", "pas", "--period", MONTH)
    pipe = tmp_path / "in.csv"
    os.mkfifo(pipe)
    command = [sys.executable, "-m", "app.cli", "enrich", "in.csv", "out.csv", *count]
    with subprocess.Popen(
        command, cwd=tmp_path, env={**os.environ, **environment}, stderr=subprocess.PIPE, text=True
    ) as run:
        with pipe.open("w") as writer:
            writer.write("postcode\nNG1 1AA\n")
            eventually(lambda: (tmp_path / ".out.csv.part").exists(), 30)
            (tmp_path / "out.csv").write_text("another's", "utf-8")
        _, said = run.communicate(timeout=60)
    assert run.returncode == 1
    assert "Contacts counted: 1.\nThis is counted, though out.csv was not made: run it again" in said
    assert "made by somebody else meanwhile" in said
    (tmp_path / "again.csv").write_text("postcode\nNG1 1AA\n", "utf-8")
    again = imdlens("enrich", "again.csv", "new.csv", *count, cwd=tmp_path, **environment)
    assert "Contacts counted: 1, in the place of an earlier file." in again.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--count", "--period", MONTH), "Say with --source whose contacts they are"),
        (("--count", "--source", "pas", "--period", MONTH, "--expected", "0"), "are for --waiting-list"),
        (("--waiting-list", MONTH, "--period", MONTH), "leave the others out"),
        (("--waiting-list", MONTH, "--sex-column", "1"), "leave the others out"),
        (("--expected", "0"), "These options are for counting"),
    ],
)
def test_an_option_that_would_be_passed_over_is_refused(
    starter: Path, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    (tmp_path / "in.csv").write_text("postcode\nNG1 1AA\n", "utf-8")
    run = imdlens("enrich", "in.csv", "out.csv", *options, cwd=tmp_path, IMDLENS_DATA_DIR=str(starter))
    assert said in run.stderr, run.stderr
    assert (run.returncode, "Traceback" in run.stderr) == (1, False)
    assert not (tmp_path / "out.csv").exists()


def test_files_are_listed_and_taken_back_at_the_prompt(tmp_path: Path) -> None:
    made = imdlens("data", "build", "--starter", "--out", "data", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    environment = {"IMDLENS_DATA_DIR": "data"}
    assert "Nothing has been counted yet." in imdlens("counts", "loads", cwd=tmp_path, **environment).stdout
    (path,) = tmp_path.rglob("counts.sqlite")
    from app.counts.loads import replace_load

    with opened(f"sqlite:///{path}") as engine:
        event = Event([(0, MONTH, "340", "absent", "absent", "absent", EDITION, "1")])
        replace_load(CountStore(engine, EDITION), SOURCE, MONTH, EDITION, Counter(event.cells), 1)
    shown = imdlens("counts", "loads", cwd=tmp_path, **environment)
    assert SOURCE in shown.stdout
    assert "not for publication" in shown.stdout
    wrong = imdlens("counts", "load-remove", "another", MONTH, cwd=tmp_path, **environment)
    assert (wrong.returncode, "Traceback" in wrong.stderr) == (1, False)
    assert "No file of another is loaded" in wrong.stderr
    removed = imdlens("counts", "load-remove", SOURCE, MONTH, cwd=tmp_path, **environment)
    assert "1 contacts of pas-extract" in removed.stdout
    assert "Nothing has been counted yet." in imdlens("counts", "loads", cwd=tmp_path, **environment).stdout
