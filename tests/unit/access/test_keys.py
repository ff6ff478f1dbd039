"""Keys are random, stored as keyed hashes, and good exactly as long as they should be."""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete
from sqlalchemy.exc import OperationalError

from app.access import key_store
from app.access.caller import SCOPES, ScopeError
from app.access.keeper import KeyKeeper
from app.access.keys import CACHED_SECONDS, KeyHasher, KeyRing, KeysAwayError, StoredKey, is_key, make_key
from app.access.schema import api_key
from app.database import open_engine
from tests.databases import eventually, opened

SECRET = b"a secret of sixteen or more"
HASHER = KeyHasher([SECRET])
NOW = 1_800_000_000


def ring_with(key: str, hasher: KeyHasher = HASHER, expires_at: int = NOW + 60) -> KeyRing:
    ring = KeyRing(hasher)
    ring.replace([StoredKey("0a1b2c3d", hasher.newest(key.encode()), "epr", frozenset({"enrich"}), expires_at)], 0)
    return ring


def caller(ring: KeyRing, key: str | bytes, now: float = NOW, seen: float = 0):  # type: ignore[no-untyped-def]
    return ring.caller(key if isinstance(key, bytes) else key.encode(), now, seen)


def test_a_key_holds_32_random_bytes_and_no_two_are_alike() -> None:
    keys = {make_key() for _ in range(1_000)}
    assert len(keys) == 1_000
    assert all(re.fullmatch(r"imdl_[A-Za-z0-9_-]{43}", key) for key in keys)


def test_a_key_opens_for_whom_it_was_made() -> None:
    key = make_key()
    found, key_id = caller(ring_with(key), key)
    assert (found.name, found.scopes, found.proof, key_id) == ("epr", {"enrich"}, "key", "0a1b2c3d")


@pytest.mark.parametrize(
    "wrong", [b"", b"imdl_", b"imdl_\xff", b"IMDL_", b" imdl_", "imdl_é".encode(), b"imdl_" + b"A" * 10_000, b"\0"]
)
def test_what_is_no_key_opens_nothing(wrong: bytes) -> None:
    assert caller(ring_with(make_key()), wrong) is None
    assert not is_key(wrong)


def test_a_key_with_any_one_character_changed_opens_nothing() -> None:
    key = make_key()
    ring = ring_with(key)
    for place in range(len(key)):
        other = key[:place] + ("A" if key[place] != "A" else "B") + key[place + 1 :]
        assert caller(ring, other) is None
    for other in (key + "\n", key + "A", key[:-1], key.upper(), " " + key):
        assert caller(ring, other) is None


def test_a_key_ends_at_its_second() -> None:
    key = make_key()
    ring = ring_with(key, expires_at=NOW)
    assert caller(ring, key, NOW - 0.001)
    assert caller(ring, key, NOW) is None


def test_keys_are_believed_for_15_minutes_after_the_database_was_last_seen_and_then_nobody_can_tell() -> None:
    key = make_key()
    ring = ring_with(key)
    assert caller(ring, key, seen=CACHED_SECONDS)
    with pytest.raises(KeysAwayError):
        caller(ring, key, seen=CACHED_SECONDS + 0.1)
    with pytest.raises(KeysAwayError):
        caller(ring, make_key(), seen=CACHED_SECONDS + 0.1)
    ring.confirm(CACHED_SECONDS)
    assert caller(ring, key, seen=CACHED_SECONDS * 2)


def test_of_keys_that_were_never_read_nobody_can_tell() -> None:
    with pytest.raises(KeysAwayError):
        caller(KeyRing(HASHER), make_key())


def test_without_a_secret_no_key_is_good() -> None:
    ring = KeyRing(KeyHasher([]))
    ring.replace([StoredKey("0a1b2c3d", "", "epr", frozenset(SCOPES), NOW + 60)], 0)
    assert caller(ring, make_key()) is None


def test_a_key_under_an_older_secret_opens_and_its_newer_hash_is_noted() -> None:
    key = make_key()
    both = KeyHasher([b"a newer secret of sixteen", SECRET])
    ring = KeyRing(both)
    ring.replace([StoredKey("0a1b2c3d", HASHER.newest(key.encode()), "epr", frozenset({"enrich"}), NOW + 60)], 0)
    assert caller(ring, key)
    assert ring.renewed == {"0a1b2c3d": both.newest(key.encode())}
    assert ring.used == {"0a1b2c3d": NOW}


# ------------------------------------------------------------------------------------------ in the database


@pytest.fixture
def engine(store_url: str):  # type: ignore[no-untyped-def]
    with opened(store_url) as engine:
        yield engine


def make(engine: Engine, name: str = "epr", *scopes: str, days: int = 1) -> str:
    return key_store.create(engine, HASHER, name, scopes or ("enrich",), days, by="someone@somewhere")


def keeper_of(engine: Engine, ring: KeyRing, tmp_path) -> KeyKeeper:  # type: ignore[no-untyped-def]
    return KeyKeeper(ring, lambda: engine, tmp_path / "keys.json")


def test_the_database_holds_a_hash_and_not_the_key(engine: Engine) -> None:
    key = make(engine)
    with engine.connect() as connection:
        row = connection.execute(api_key.select()).mappings().one()
    assert key not in str(dict(row))
    assert key[5:] not in str(dict(row))
    assert row["hash"] == HASHER.newest(key.encode())
    assert (row["name"], row["created_by"], row["expires_at"] - row["created_at"]) == (
        "epr",
        "someone@somewhere",
        86_400,
    )


@pytest.mark.parametrize("name", ["", "EPR", "é", "a b", "a" * 41, "-a", "a-", "a@b", "a\n", "a/b", "proxy", "other"])
def test_a_name_that_is_none_of_a_system_is_refused(engine: Engine, name: str) -> None:
    with pytest.raises(key_store.KeyRefusedError):
        make(engine, name)


@pytest.mark.parametrize("days", [0, -1, 1_099])
def test_a_key_for_no_time_or_for_ever_is_refused(engine: Engine, days: int) -> None:
    with pytest.raises(key_store.KeyRefusedError):
        make(engine, days=days)


def test_a_scope_that_does_not_exist_is_refused_and_the_others_are_named(engine: Engine) -> None:
    with pytest.raises(ScopeError, match="enrich, area, inclusion, breakdowns, counts:exact, admin"):
        make(engine, "epr", "enrich", "everything")
    with pytest.raises(key_store.KeyRefusedError):
        key_store.create(engine, HASHER, "epr", ())
    assert key_store.listed(engine) == []


def test_a_revoked_key_is_gone_at_the_next_look_and_others_stay(engine: Engine, tmp_path) -> None:  # type: ignore[no-untyped-def]
    ring = KeyRing(HASHER)
    keeper = keeper_of(engine, ring, tmp_path)
    one, other = make(engine, "one"), make(engine, "lab")
    keeper.look()
    _, key_id = caller(ring, one, 0)
    assert key_store.revoke(engine, key_id, by="me") == 1
    assert key_store.revoke(engine, key_id, by="you") == 0
    keeper.look()
    assert caller(ring, one, 0) is None
    assert not ring.is_good(key_id)
    assert caller(ring, other, 0)
    assert {(k["name"], k["revoked_by"]) for k in key_store.listed(engine)} == {("one", "me"), ("lab", None)}


def test_a_name_revokes_all_its_keys(engine: Engine) -> None:
    make(engine, "epr")
    make(engine, "epr")
    make(engine, "lab")
    assert key_store.revoke(engine, "epr") == 2
    assert key_store.any_good(engine)
    assert key_store.revoke(engine, "lab") == 1
    assert not key_store.any_good(engine)


def test_when_a_key_was_last_used_is_written_down_and_never_turned_back(engine: Engine, tmp_path) -> None:  # type: ignore[no-untyped-def]
    ring = KeyRing(HASHER)
    keeper = keeper_of(engine, ring, tmp_path)
    key = make(engine)
    keeper.look()
    for moment in (1_000, 500):
        caller(ring, key, moment)
        keeper._write()
    assert [k["used_at"] for k in key_store.listed(engine)] == [1_000]
    assert ring.used == {}


def test_a_key_used_while_the_secret_changes_stays_good_without_the_old_one(engine: Engine, tmp_path) -> None:  # type: ignore[no-untyped-def]
    newer = b"a newer secret of sixteen"
    key = make(engine)
    ring = KeyRing(KeyHasher([newer, SECRET]))
    keeper = keeper_of(engine, ring, tmp_path)
    keeper.look()
    assert caller(ring, key, 0)
    keeper._write()
    keeper.look()
    alone = KeyRing(KeyHasher([newer]))
    keeper_of(engine, alone, tmp_path).look()
    assert caller(alone, key, 0)
    assert ring.renewed == {}


# ------------------------------------------------------------------------------------------ without the database


def away() -> Engine:
    raise OperationalError("", None, Exception())


def test_a_start_without_the_database_knows_what_this_host_knew(sqlite_url: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    with opened(sqlite_url) as engine:
        key = make(engine)
        keeper_of(engine, KeyRing(HASHER), tmp_path).look()
    copy = tmp_path / "keys.json"
    assert copy.stat().st_mode & 0o777 == 0o600
    assert key[5:] not in copy.read_text()
    ring = KeyRing(HASHER)
    keeper = KeyKeeper(ring, away, copy)
    keeper.start()
    keeper.stop()
    found, _ = ring.caller(key.encode(), 0, ring._seen)
    assert found.name == "epr"


@pytest.mark.parametrize("age", [-120, CACHED_SECONDS + 5])
def test_a_copy_too_old_or_from_the_future_lets_nobody_in(sqlite_url: str, tmp_path, age: int) -> None:  # type: ignore[no-untyped-def]
    import os
    import time

    with opened(sqlite_url) as engine:
        key = make(engine)
        keeper_of(engine, KeyRing(HASHER), tmp_path).look()
    copy = tmp_path / "keys.json"
    os.utime(copy, (time.time() - age,) * 2)
    ring = KeyRing(HASHER)
    keeper = KeyKeeper(ring, away, copy)
    keeper.start()
    keeper.stop()
    with pytest.raises(KeysAwayError):
        ring.caller(key.encode(), 0, time.monotonic())


@pytest.mark.parametrize("content", ["", "{}", "[1]", "[[1,2]]", "null", "[[[],[],[],[],[]]]", "\x00"])
def test_a_copy_that_is_none_of_ours_is_ignored(tmp_path, content: str) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "keys.json").write_text(content)
    ring = KeyRing(HASHER)
    keeper = KeyKeeper(ring, away, tmp_path / "keys.json")
    keeper.start()
    keeper.stop()
    assert caller_or_away(ring) is None


def caller_or_away(ring: KeyRing):  # type: ignore[no-untyped-def]
    try:
        return caller(ring, make_key(), seen=0)
    except KeysAwayError:
        return None


def test_a_database_that_goes_and_comes_back_is_asked_again(sqlite_url: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    ring = KeyRing(HASHER)
    answers = [away, lambda: open_engine(sqlite_url)]
    keeper = KeyKeeper(ring, lambda: answers.pop(0)(), tmp_path / "keys.json")
    keeper.look()
    with pytest.raises(KeysAwayError):
        caller(ring, make_key())
    keeper.look()
    assert ring.age(0) is not None
    keeper.stop()


def test_a_backup_that_comes_back_with_the_same_number_is_read_anew(sqlite_url: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    """After a restore, another change may have brought the version to where it was."""
    with opened(sqlite_url) as engine:
        first = make(engine)
        engines = [lambda: engine, away, lambda: engine]
        ring = KeyRing(HASHER)
        keeper = KeyKeeper(ring, lambda: engines.pop(0)(), tmp_path / "keys.json")
        keeper.look()
        with engine.begin() as connection:  # as if restored: the key is gone, the version as before
            connection.execute(delete(api_key))
        for _ in range(2):
            keeper._engine = None
            keeper.look()
        assert caller(ring, first, now=0, seen=ring._seen or 0) is None


def test_no_fault_ends_the_looking_after_keys(sqlite_url: str, tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """A thread that ended would leave every revoked key good for as long as the service runs."""
    with opened(sqlite_url) as engine:
        key = make(engine)
        ring = KeyRing(HASHER)
        keeper = keeper_of(engine, ring, tmp_path)
        keeper.start()
        looked = keeper.look
        faults = [RuntimeError(), MemoryError()]

        def look() -> None:
            if faults:
                raise faults.pop()
            looked()

        monkeypatch.setattr(keeper, "look", look)
        assert key_store.revoke(engine, "epr") == 1
        assert caller(ring, key, now=0, seen=ring._seen or 0)
        eventually(lambda: caller(ring, key, now=0, seen=ring._seen or 0) is None)
        keeper.stop()


def test_a_copy_that_could_not_be_written_grows_old_and_leaves_nothing_behind(
    sqlite_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A full disk keeps a revoked key in the copy: it must not be said to be right."""
    with opened(sqlite_url) as engine:
        make(engine)
        ring = KeyRing(HASHER)
        keeper = keeper_of(engine, ring, tmp_path)
        keeper.look()
        copy = tmp_path / "keys.json"
        os.utime(copy, (1, 1))

        def full(*_: object) -> int:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(Path, "write_bytes", full)
            key_store.revoke(engine, "epr")
            keeper.look()
            keeper._keep(ring.stored())
        assert copy.stat().st_mtime == 1
        assert [file.name for file in tmp_path.glob("*keys*")] == ["keys.json"]
        keeper._keep(ring.stored())
        assert copy.read_text() == "[]"


def test_of_two_services_that_start_together_one_makes_the_first_key(sqlite_url: str) -> None:
    with opened(sqlite_url) as engine, ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: key_store.create_first(engine, HASHER, "local", ["enrich"]), range(8)))
        assert len([key for key in made if key]) == 1
        assert len(key_store.listed(engine)) == 1


def test_a_name_that_could_be_the_id_of_another_key_is_refused(engine: Engine) -> None:
    with pytest.raises(key_store.KeyRefusedError):
        make(engine, "1f0c9a3b")
