"""Backup and restore, rehearsed on real databases: what comes back, what does not, and what is refused."""

import shutil
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Engine, insert, select

from app.access import key_store
from app.access.keys import KeyHasher
from app.backup import BackupError, back_up, examine, pg_dump_command, pg_restore_command, restore, revived
from app.counts.schema import population, publication, published_row
from app.counts.seal import declare_units, seal
from app.counts.spool import Spool
from app.counts.store import Batch, CountStore, Event
from app.database import embedded_file, open_to_look, schema_of, upgrade, writing
from tests.databases import Postgres, opened
from tests.integration.running import imdlens, serving
from tests.sealed_store import PUBLISHER, RESIDENTS, fill
from tests.service import key_in
from tests.unit.counts.events import EDITION, event, run, stored, value

HASHER = KeyHasher([b"a secret of sixteen or more"])


class Site(NamedTuple):
    """A store, how it is backed up, and how it is lost and restored; each gives the address of the store after."""

    url: str
    back_up: Callable[[], None]
    lose_and_restore: Callable[[], str]


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """A store on each database."""
    kept = tmp_path / "kept.backup"
    if request.param == "sqlite":
        url: str = request.getfixturevalue("sqlite_url")
        store = Path(url.removeprefix("sqlite:///"))

        def lose() -> str:
            for file in store.parent.glob("counts.sqlite*"):
                file.unlink()
            restore(kept, store, store.parent / "spool", move_aside=False)
            return url

        yield Site(url, lambda: void(back_up(store, kept)), lose)
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    first, second = postgres.new_database(), postgres.new_database(migrated=False)

    def lose_database() -> str:
        postgres.drop(first)
        postgres.client(pg_restore_command(second, kept))
        return second

    yield Site(first, lambda: postgres.client(pg_dump_command(first, kept)), lose_database)
    for url in (first, second):
        postgres.drop(url)


def void(_: object) -> None:
    """Nothing of it is asked for."""


def commit(url: str, *events: Event) -> list[str]:
    """What became of each contact."""
    with opened(url) as engine:
        committed, seen = CountStore(engine, EDITION).commit(Batch.of(events)), set[str]()
    return [committed.outcome(one, seen) for one in events]


# ------------------------------------------------------------------------------- what comes back


def test_keyed_contacts_sent_again_after_a_restore_are_counted_exactly_once(site: Site) -> None:
    before, after = [event(f"b{i}") for i in range(20)], [event(f"a{i}") for i in range(30)]
    commit(site.url, *before)
    site.back_up()
    commit(site.url, *after)
    url = site.lose_and_restore()
    with opened(url) as engine:
        assert stored(engine) == 20
    assert commit(url, *before, *after) == ["duplicate"] * 20 + ["counted"] * 30
    with opened(url) as engine:
        assert stored(engine) == 50


def test_contacts_without_a_key_that_came_after_the_backup_are_lost(site: Site) -> None:
    commit(site.url, event(), event())
    site.back_up()
    commit(site.url, event())
    with opened(site.lose_and_restore()) as engine:
        assert stored(engine) == 2


def test_a_batch_that_waited_on_the_disk_is_counted_once_though_the_store_was_restored(
    site: Site, tmp_path: Path
) -> None:
    spool, batch = Spool(tmp_path / "a host"), Batch.of([event(), event("k")])
    spool.put(batch)
    site.back_up()
    with opened(site.lose_and_restore()) as engine:
        store = CountStore(engine, EDITION)
        for _ in range(2):  # the second time as if the first one's end was never seen
            waiting = spool.oldest()
            assert waiting
            store.commit(waiting, from_spool=True)
        assert stored(engine) == 2
    spool.close()


def test_a_key_revoked_after_the_backup_is_good_again(site: Site) -> None:
    with opened(site.url) as engine:
        key_store.create(engine, HASHER, "epr", ["enrich"])
    site.back_up()
    with opened(site.url) as engine:
        assert key_store.revoke(engine, "epr") == 1
    with opened(site.lose_and_restore()) as engine:
        assert [key["revoked_at"] for key in key_store.listed(engine)] == [None]


# ------------------------------------------------------------------------- what was published

MONTHS = ["2024-04", "2024-05", "2024-06"]


def test_what_is_published_anew_from_the_same_contacts_is_what_was_published_before(site: Site) -> None:
    """Sealing draws no lots: a store that holds the same says the same."""
    with opened(site.url) as engine:
        _ready(engine)
    site.back_up()
    with opened(site.url) as engine:
        _seal(engine, MONTHS)
        before = _published(engine)
    with opened(site.lose_and_restore()) as engine:
        assert _published(engine) == []
        _seal(engine, MONTHS)
        assert _published(engine) == before


def test_what_is_published_anew_without_some_contacts_is_another_table(site: Site) -> None:
    """Which is why a backup is made before a published table leaves the house."""
    with opened(site.url) as engine:
        _ready(engine)
    site.back_up()
    late = [event(month=MONTHS[2], specialty="340") for _ in range(40)]
    commit(site.url, *late)
    with opened(site.url) as engine:
        _seal(engine, MONTHS)
        before = _published(engine)
    with opened(site.lose_and_restore()) as engine:
        _seal(engine, MONTHS)
        assert _published(engine) != before


def test_a_backup_after_sealing_brings_back_each_figure_and_its_moment(site: Site) -> None:
    with opened(site.url) as engine:
        _ready(engine)
        _seal(engine, MONTHS)
        before = _published(engine), _moments(engine)
    site.back_up()
    with opened(site.lose_and_restore()) as engine:
        assert (_published(engine), _moments(engine)) == before


def _ready(engine: Engine) -> None:
    with writing(engine) as connection:
        declare_units(connection, 2024, ["340", "110"], "declared")
        connection.execute(insert(population), RESIDENTS)
    fill(engine, MONTHS, contacts=60)


def _seal(engine: Engine, months: Sequence[str]) -> None:
    for month in months:
        assert seal(engine, month, replace(PUBLISHER, without_rates=True))


def _published(engine: Engine) -> list[Any]:
    with engine.connect() as connection:
        order = (published_row.c.name, published_row.c.period, published_row.c.position)
        return list(connection.execute(select(published_row).order_by(*order)).all())


def _moments(engine: Engine) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(select(publication).order_by(publication.c.name, publication.c.period)).all())


# --------------------------------------------------------------------------- the embedded store


@pytest.fixture
def store(sqlite_url: str) -> Path:
    return Path(sqlite_url.removeprefix("sqlite:///"))


def test_a_backup_is_one_sound_file_of_this_user_alone(store: Path, sqlite_url: str, tmp_path: Path) -> None:
    commit(sqlite_url, event())
    found = back_up(store, tmp_path / "copy")
    assert found.months == 1
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith((".store", "copy"))) == ["copy"]
    assert examine(tmp_path / "copy") == found


def test_a_backup_holds_what_is_still_in_the_log_beside_the_file(store: Path, sqlite_url: str, tmp_path: Path) -> None:
    with opened(sqlite_url) as engine, engine.connect():
        CountStore(engine, EDITION).commit(Batch.of([event()]))
        assert Path(f"{store}-wal").stat().st_size > 0
        back_up(store, tmp_path / "copy")
    with opened(f"sqlite:///{tmp_path / 'copy'}") as engine:
        assert stored(engine) == 1


def test_a_backup_made_while_contacts_are_counted_holds_whole_batches(
    store: Path, sqlite_url: str, tmp_path: Path
) -> None:
    """Each batch adds to five kinds of cells: in every copy they agree."""
    ends = threading.Event()

    def count() -> None:
        with opened(sqlite_url) as engine:
            counting = CountStore(engine, EDITION)
            while not ends.is_set():
                counting.commit(Batch.of([event(), event()]))

    writer = threading.Thread(target=count)
    writer.start()
    try:
        for i in range(5):
            back_up(store, tmp_path / f"copy{i}")
    finally:
        ends.set()
        writer.join()
    for i in range(5):
        with closing(sqlite3.connect(tmp_path / f"copy{i}")) as db:
            sums = {db.execute(f"SELECT coalesce(sum(n), 0) FROM {t}").fetchone()[0] for t in ("flow", "age_sex")}
        assert len(sums) == 1
        assert sums.pop() % 2 == 0


def test_a_backup_takes_no_lock_from_the_process_that_counts(store: Path, sqlite_url: str, tmp_path: Path) -> None:
    with opened(sqlite_url) as engine, engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1").all()
        back_up(store, tmp_path / "copy")
        with pytest.raises(BackupError, match="in use"):
            restore(tmp_path / "copy", store, tmp_path / "spool", move_aside=True)
        CountStore(engine, EDITION).commit(Batch.of([event()]))
        assert stored(engine) == 1


def test_a_backup_never_takes_the_place_of_a_file(store: Path, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    with pytest.raises(BackupError, match="is there already"):
        back_up(store, tmp_path / "there")
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(BackupError, match="is there already"):
        back_up(store, tmp_path / "link")
    with pytest.raises(BackupError, match="is there already"):
        back_up(store, store)
    assert (tmp_path / "there").read_text() == "mine"


def test_no_backup_is_made_of_a_store_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="There is no store"):
        back_up(tmp_path / "none.sqlite", tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []


def test_no_backup_is_kept_of_a_damaged_store(store: Path, sqlite_url: str, tmp_path: Path) -> None:
    with opened(sqlite_url) as engine:
        fill(engine, MONTHS, contacts=50)
    _damage(store)
    with pytest.raises(BackupError, match=r"damaged|could not be copied"):
        back_up(store, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("damaged", "damaged"),
        ("text", "not a SQLite database"),
        ("other", "no store of IMD Lens"),
        ("newer", "newer version"),
        ("missing", "There is no file"),
    ],
)
def test_what_is_no_sound_backup_is_refused_before_anything_is_touched(
    store: Path, sqlite_url: str, tmp_path: Path, kind: str, said: str
) -> None:
    with opened(sqlite_url) as engine:
        fill(engine, MONTHS, contacts=50)
    copy, content = tmp_path / "copy", store.read_bytes()
    if kind == "text":
        copy.write_text("no database\n" * 1000)
    elif kind == "other":
        with closing(sqlite3.connect(copy)) as db:
            db.execute("CREATE TABLE something (x)")
    elif kind != "missing":
        back_up(store, copy)
    if kind == "damaged":
        _damage(copy)
    if kind == "newer":
        with opened(f"sqlite:///{copy}") as engine:
            run(engine, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(BackupError, match=said):
        restore(copy, store, tmp_path / "spool", move_aside=True)
    assert store.read_bytes() == content


def _damage(file: Path) -> None:
    with file.open("r+b") as opened_file:
        for page in range(2, file.stat().st_size // 4096):
            opened_file.seek(page * 4096 + 8)
            opened_file.write(b"\xff" * 64)


def test_a_store_that_is_there_is_kept_under_another_name_or_not_touched(
    store: Path, sqlite_url: str, tmp_path: Path
) -> None:
    back_up(store, tmp_path / "copy")
    commit(sqlite_url, event())
    with pytest.raises(BackupError, match="--move-aside"):
        restore(tmp_path / "copy", store, tmp_path / "spool", move_aside=False)
    aside = restore(tmp_path / "copy", store, tmp_path / "spool", move_aside=True)
    assert aside
    for path, contacts in ((store, 0), (aside, 1)):
        with opened(f"sqlite:///{path}") as engine:
            assert stored(engine) == contacts
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_log_that_was_left_beside_a_lost_store_does_not_spoil_the_restored_one(
    store: Path, sqlite_url: str, tmp_path: Path
) -> None:
    commit(sqlite_url, event("k"))
    back_up(store, tmp_path / "copy")
    with opened(sqlite_url) as engine, engine.connect():
        CountStore(engine, EDITION).commit(Batch.of([event("l")]))
        shutil.copy(f"{store}-wal", tmp_path / "left")
    store.unlink()
    (tmp_path / "left").rename(f"{store}-wal")
    restore(tmp_path / "copy", store, tmp_path / "spool", move_aside=False)
    with opened(sqlite_url) as engine:
        assert stored(engine) == 1
        assert value(engine, "PRAGMA integrity_check") == "ok"


def test_a_restore_waits_for_no_worker_and_refuses(store: Path, tmp_path: Path) -> None:
    back_up(store, tmp_path / "copy")
    worker = Spool(tmp_path / "spool")
    worker.join()
    with pytest.raises(BackupError, match="must be stopped first"):
        restore(tmp_path / "copy", store, tmp_path / "spool", move_aside=True)
    worker.close()
    assert restore(tmp_path / "copy", store, tmp_path / "spool", move_aside=True)


def test_a_backup_of_an_older_schema_is_restored_and_upgraded(tmp_path: Path) -> None:
    old, store = tmp_path / "old.sqlite", tmp_path / "counts.sqlite"
    with opened(f"sqlite:///{old}") as engine:
        upgrade(engine, "0002")
    back_up(old, tmp_path / "copy")
    restore(tmp_path / "copy", store, tmp_path / "spool", move_aside=False)
    with opened(f"sqlite:///{store}") as engine:
        upgrade(engine)
        assert schema_of(engine) == "current"


def test_whoever_only_looks_can_change_nothing_and_leaves_nothing(store_url: str) -> None:
    file = embedded_file(store_url)
    before = sorted(file.parent.iterdir()) if file else []
    engine = open_to_look(store_url)
    with pytest.raises(Exception, match=r"read-?only"), writing(engine) as connection:
        connection.exec_driver_sql("INSERT INTO store_fact (name, value) VALUES ('a', 'b')")
    engine.dispose()
    assert (sorted(file.parent.iterdir()) if file else []) == before


# ------------------------------------------------------------------------------- the commands


def test_a_rehearsal_by_the_commands_names_a_key_that_is_good_again(tmp_path: Path) -> None:
    kept = tmp_path / "kept.sqlite"
    key_in(tmp_path)
    with serving(tmp_path):
        run_ = imdlens("db", "backup", str(kept), cwd=tmp_path)
        assert run_.returncode == 0, run_.stderr
        assert "It is sound" in run_.stdout
        assert "secret" in run_.stderr
        busy = imdlens("db", "restore", str(kept), "--move-aside", cwd=tmp_path)
        assert busy.returncode == 1
        assert "stop" in busy.stderr
        assert imdlens("keys", "revoke", "tests", cwd=tmp_path).returncode == 0
    with serving(tmp_path):
        pass  # this host now knows that it is revoked
    assert imdlens("db", "restore", str(kept), cwd=tmp_path).returncode == 1
    restored = imdlens("db", "restore", str(kept), "--move-aside", cwd=tmp_path)
    assert restored.returncode == 0, restored.stderr
    assert "(tests) is good again" in restored.stderr
    store = tmp_path / "imdlens-data" / "counts" / "counts.sqlite"
    assert [key.name for key in revived(store, store.with_name("keys.json"))] == ["tests"]


def test_for_postgresql_the_command_says_what_to_run_and_never_the_password(tmp_path: Path) -> None:
    url = "postgresql://someone:hunter22@db.example:5433/counts?sslpassword=hunter33"
    for command, program in (("backup", "pg_dump"), ("restore", "pg_restore")):
        said = imdlens("db", command, "it.dump", cwd=tmp_path, IMDLENS_DATABASE_URL=url)
        assert said.returncode == 1
        assert program in said.stderr
        assert "--host=db.example --port=5433 --username=someone --dbname=counts" in said.stderr
        assert "hunter" not in said.stderr + said.stdout
