"""What is spooled is on the disk of this host, private to its user, and reaches the store exactly once."""

import multiprocessing
import os
import resource
import shutil
import sqlite3
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.counts.spool import Spool, SpoolError, secret_of
from app.counts.store import Batch, CountStore
from tests.databases import opened
from tests.unit.counts.events import EDITION, event, stored


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path / "spool")
    yield spool
    spool.close()


def test_batches_come_back_whole_and_in_order_after_reopening(tmp_path: Path) -> None:
    batches = [Batch.of([event(), event(), event("a", "b", month="2026-03")]), Batch.of([event("c")])]
    first = Spool(tmp_path / "spool")
    for batch in batches:
        first.put(batch)
        first.put(batch)
    first.close()
    again = Spool(tmp_path / "spool")
    assert again.host == first.host
    assert len(again) == 2
    for batch in batches:
        assert again.oldest() == batch
        again.remove(batch.id)
    assert again.oldest() is None
    again.close()


def _put_and_die(folder: Path) -> None:
    Spool(folder).put(Batch.of([event("a")]))
    os._exit(9)  # no clean-up of any kind


def test_what_was_put_is_there_after_the_process_died(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_put_and_die, args=(tmp_path / "spool",))
    process.start()
    process.join(60)
    assert process.exitcode == 9
    spool = Spool(tmp_path / "spool")
    assert len(spool) == 1
    spool.close()


def test_each_put_is_synced_to_the_disk(spool: Spool) -> None:
    with spool._open() as db:
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_only_its_user_can_read_the_spool(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        spool = Spool(tmp_path / "counts" / "spool")
        with spool._open() as db:  # while it is open its journal lies beside it
            spool.put(Batch.of([event("a")]))
            names = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "counts/spool").iterdir()}
            assert db
        secret_of(tmp_path / "counts")
        spool.close()
    finally:
        os.umask(old)
    assert {"spool.sqlite", "spool.sqlite-wal"} <= names.keys()
    assert {mode for name, mode in names.items() if name.startswith("spool.sqlite")} == {0o600}
    assert stat.S_IMODE((tmp_path / "counts/spool").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "counts/secret").stat().st_mode) == 0o600


def test_two_hosts_that_spooled_the_same_key_count_it_once(store_url: str, tmp_path: Path) -> None:
    with opened(store_url) as engine:
        store = CountStore(engine, EDITION)
        spools = [Spool(tmp_path / name) for name in ("one", "other")]
        assert spools[0].host != spools[1].host
        for spool in spools:
            spool.put(Batch.of([event("retried"), event()]))
            spool.put(Batch.of([event("retried"), event(spool.host)]))
        for spool in spools:
            while (batch := spool.oldest()) is not None:
                store.commit(batch, from_spool=True)
                store.commit(batch, from_spool=True)  # it died before it could remove it
                spool.remove(batch.id)
            spool.close()
        assert stored(engine) == 1 + 2 + 2


def test_a_batch_set_aside_does_not_hold_up_others_and_is_tried_again_at_the_next_start(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    bad, good = Batch.of([event("a")]), Batch.of([event("b")])
    spool.put(bad)
    spool.put(good)
    spool.set_aside(bad.id)
    assert spool.oldest() == good
    assert spool.waiting()[0] == 2
    spool.close()
    spool = Spool(tmp_path / "spool")
    assert spool.oldest() == bad
    spool.close()


def test_a_batch_that_the_disk_changed_does_not_hold_up_others(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    spool.put(Batch.of([event("a")]))
    with sqlite3.connect(tmp_path / "spool" / "spool.sqlite") as db:
        db.execute("UPDATE entry SET body = 'x'")
    db.close()
    spool.put(good := Batch.of([event("b")]))
    assert spool.oldest() == good
    spool.close()


def test_one_worker_of_a_host_delivers_and_the_last_one_to_leave_knows_it(tmp_path: Path) -> None:
    first, second = Spool(tmp_path / "spool"), Spool(tmp_path / "spool")
    for spool in (first, second):
        spool.join()
    assert first.host == second.host
    assert first.is_keeper()
    assert not second.is_keeper()
    assert not first.is_last()
    first.close()
    assert second.is_keeper()
    assert second.is_last()
    second.close()


def test_workers_that_start_together_agree_on_the_host(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        hosts = pool.map(_host, [tmp_path / "spool"] * 8, chunksize=1)
        secrets = pool.map(secret_of, [tmp_path] * 8, chunksize=1)
    assert len(set(hosts)) == len(set(secrets)) == 1
    assert len(secrets[0]) == 32


def _host(folder: Path) -> str:
    spool = Spool(folder)
    spool.close()
    return spool.host


# ------------------------------------------------------------------------------- a disk that is full


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small disk")
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("this machine does not let root mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_said_and_what_was_put_before_is_still_there(small_disk: Path) -> None:
    spool = Spool(small_disk / "spool")
    put, full = 0, False
    try:
        while put < 1_000:
            spool.put(Batch.of([event(f"{put}-{i}") for i in range(100)]))
            put += 1
    except SpoolError:
        full = True
    assert full
    assert put > 0
    assert len(spool) == put
    oldest = spool.oldest()
    assert oldest is not None
    assert len(oldest.keyed) == 100
    spool.close()


def _put_under_a_limit(folder: Path) -> None:
    spool = Spool(folder)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    try:
        for _ in range(1_000):
            spool.put(Batch.of([event(f"{i}") for i in range(200)]))
    except SpoolError:
        os._exit(7)


def test_a_write_that_the_system_refuses_is_a_spool_error(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_put_under_a_limit, args=(tmp_path / "spool",))
    process.start()
    process.join(60)
    assert process.exitcode == 7


def test_a_folder_that_cannot_be_made_is_a_spool_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpoolError):
        Spool(tmp_path / "file" / "spool")
    (tmp_path / "spool" / "spool.sqlite").mkdir(parents=True)
    with pytest.raises(SpoolError):
        Spool(tmp_path / "spool")
