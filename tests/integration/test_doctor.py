"""`imdlens doctor` finds each fault that can be made, says what to do, changes nothing and shows no secret."""

import datetime
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr, TypeAdapter
from sqlalchemy import make_url

from app.access import key_store
from app.access.keys import KeyHasher, StoredKey
from app.counts.spool import Spool
from app.counts.store import Batch, CountStore
from app.database import downgrade, embedded_file
from app.doctor import machine
from app.doctor.examination import examine, examine_with
from app.doctor.finding import Finding
from app.reference.build import BuildOptions, build
from app.reference.manifest import manifest, packaged_data
from app.reference.releases import publish
from app.settings import Settings
from tests.databases import Postgres, opened
from tests.integration.running import imdlens
from tests.service import key_for
from tests.starter_data import copy_without_counts
from tests.unit.counts.events import EDITION, close_month, event, run

SECRET = "a secret of sixteen or more"
HASHER = KeyHasher([SECRET.encode()])
DAY = 86_400


def settings_of(starter: Path, folder: Path, **more: Any) -> Settings:
    """A deployment on starter data with its counts in a private folder."""
    counts = folder / "counts"
    counts.mkdir(mode=0o700, exist_ok=True)
    return Settings(**{"data_dir": starter, "counts_dir": counts, "secret": SECRET, **more})


def found(settings: Settings, name: str) -> list[Finding]:
    return [one for one in examine_with(settings) if one.name == name]


def failing(settings: Settings, name: str) -> str:
    """What is said of the one failure of this name; there must be one, and something to do about it."""
    (one,) = [one for one in found(settings, name) if one.status == "fail"]
    assert one.do
    return one.said


def warning(settings: Settings, name: str) -> str:
    """What is said where there is a warning, and no failure."""
    several = found(settings, name)
    (one,) = [one for one in several if one.status == "warn"]
    assert one.do
    assert not [one for one in several if one.status == "fail"]
    return one.said


@pytest.fixture
def sound(starter: Path, tmp_path: Path) -> Settings:
    """A deployment with a store and a key, on SQLite, and data of its own: no other test's service writes there."""
    settings = settings_of(copy_without_counts(starter, tmp_path / "data"), tmp_path)
    key_for(settings)
    return settings


@pytest.fixture
def on_store(starter: Path, tmp_path: Path, store_url: str) -> Settings:
    """A deployment whose store is at an address, once on each database, with a key."""
    with opened(store_url) as engine:
        key_store.create(engine, HASHER, "epr", ["enrich"])
    return settings_of(starter, tmp_path, database_url=store_url)


def url_of(settings: Settings) -> str:
    assert settings.database_url
    return settings.database_url.get_secret_value()


# ------------------------------------------------------------------------------- as a whole


def test_a_sound_deployment_passes_and_nothing_of_it_is_changed(sound: Settings) -> None:
    before = {path: path.stat() for path in [*sound.counts_folder.rglob("*"), *sound.data_dir.rglob("*")]}
    run_ = imdlens(
        "doctor",
        "--json",
        cwd=sound.counts_folder.parent,
        IMDLENS_DATA_DIR=str(sound.data_dir),
        IMDLENS_COUNTS_DIR=str(sound.counts_folder),
        IMDLENS_SECRET=SECRET,
    )
    told = json.loads(run_.stdout)
    assert run_.returncode == 0, run_.stdout
    assert told["status"] == "warn"  # starter data, and perhaps root
    names = {one["name"] for one in told["checks"]}
    assert names == {
        *("settings", "secret", "tls", "rules", "index", "clock", "disk", "permissions", "audit"),
        *("spool", "database", "keys", "hosts", "sealing"),
    }
    assert all(one["do"] for one in told["checks"] if one["status"] != "pass")
    after = {path: path.stat() for path in [*sound.counts_folder.rglob("*"), *sound.data_dir.rglob("*")]}
    assert {path: (s.st_mtime_ns, s.st_ino, s.st_mode) for path, s in before.items()} == {
        path: (s.st_mtime_ns, s.st_ino, s.st_mode) for path, s in after.items()
    }


def test_where_there_is_nothing_yet_nothing_is_made_and_the_command_ends_with_1(tmp_path: Path) -> None:
    run_ = imdlens("doctor", cwd=tmp_path)
    assert run_.returncode == 1
    assert "fail index" in run_.stdout
    assert "imdlens data fetch" in run_.stdout
    assert list(tmp_path.iterdir()) == []


def test_no_secret_and_no_password_is_ever_shown(starter: Path, tmp_path: Path, postgres: Postgres) -> None:
    gone = "postgresql://someone:hunter22@127.0.0.1:9/counts?sslpassword=hunter33"
    run_ = imdlens(
        "doctor",
        cwd=tmp_path,
        IMDLENS_DATA_DIR=str(starter),
        IMDLENS_COUNTS_DIR=str(tmp_path),
        IMDLENS_DATABASE_URL=gone,
        IMDLENS_SECRET="hunter44,hunter44-hunter44",  # noqa: S106 - it must not be shown
        IMDLENS_TLS_CERTIFICATE="none.pem",
        IMDLENS_TLS_KEY="none.key",
    )
    assert run_.returncode == 1
    assert run_.stdout.count("fail") == 3
    assert "hunter" not in run_.stdout + run_.stderr


# ------------------------------------------------------------------------------- settings


def test_a_setting_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMDLENS_DATABSE_URL", "hunter22")
    (one,) = examine()
    assert (one.name, one.status) == ("settings", "fail")
    assert "IMDLENS_DATABSE_URL" in one.said
    assert "hunter" not in one.said


def test_settings_that_cannot_be_read_are_named_without_their_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMDLENS_MAX_IN_FLIGHT", "hunter22")
    monkeypatch.setenv("IMDLENS_SECRET", "hunter33")
    monkeypatch.setenv("IMDLENS_SUPPRESS_UP_TO", "8")
    (one,) = examine()
    assert one.status == "fail"
    for name in ("IMDLENS_MAX_IN_FLIGHT", "IMDLENS_SECRET", "IMDLENS_SUPPRESS_UP_TO"):
        assert name in one.said
    assert "hunter" not in one.said


def test_half_of_tls_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMDLENS_TLS_KEY", "some.key")
    (one,) = examine()
    assert "IMDLENS_TLS_CERTIFICATE and IMDLENS_TLS_KEY go together" in one.said


def test_two_stores_of_which_one_is_not_used_are_a_warning(sound: Settings, postgres_url: str) -> None:
    assert "is a store too" in warning(sound.model_copy(update={"database_url": SecretStr(postgres_url)}), "settings")


def test_settings_that_contradict_each_other_are_failures(sound: Settings, tmp_path: Path) -> None:
    tls = {"tls_certificate": tmp_path / "c.pem", "tls_key": tmp_path / "k.pem", "public_url": "http://imd.example"}
    assert "TLS alone is served" in failing(sound.model_copy(update=tls), "settings")
    assert "in the future" in failing(sound.model_copy(update={"counts_since": "2999-01"}), "settings")


def test_an_address_that_is_none_is_a_failure(starter: Path, tmp_path: Path) -> None:
    for url in ("hunter22", "mysql://hunter22@somewhere/it"):
        said = failing(settings_of(starter, tmp_path, database_url=url), "database")
        assert "IMDLENS_DATABASE_URL" in said
        assert "hunter" not in said


def test_a_secret_that_is_missing_short_or_cut_is_a_failure(
    starter: Path, tmp_path: Path, sound: Settings, postgres_url: str
) -> None:
    alone = settings_of(starter, tmp_path, secret=None, database_url=postgres_url)
    assert "needs IMDLENS_SECRET" in failing(alone, "secret")
    assert "fewer than 16" in failing(settings_of(starter, tmp_path, secret=f"{SECRET},short"), "secret")
    made = settings_of(starter, tmp_path, secret=None)
    assert "the store has keys" in failing(made, "secret")
    assert not (made.counts_folder / "secret").exists()
    (made.counts_folder / "secret").write_bytes(b"cut")
    assert "cut short" in failing(made, "secret")


def test_an_old_secret_that_is_still_listed_is_a_warning(starter: Path, tmp_path: Path) -> None:
    assert "2 secrets" in warning(settings_of(starter, tmp_path, secret=f"{SECRET},{SECRET}"), "secret")


# ------------------------------------------------------------------------------- TLS


def certificate(folder: Path, begin: int, end: int) -> dict[str, Path]:
    """Settings with a certificate that is good between two days from now."""
    private, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "imd.example")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=begin))
        .not_valid_after(now + datetime.timedelta(days=end, hours=1))
        .sign(private, hashes.SHA256())
    )
    files = {"tls_certificate": folder / "c.pem", "tls_key": folder / "k.pem"}
    files["tls_certificate"].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    files["tls_key"].touch(mode=0o600)
    files["tls_key"].write_bytes(private.private_bytes(serialization.Encoding.PEM, form, plain))
    return files


@pytest.mark.parametrize(
    ("begin", "end", "status", "said"),
    [
        (-10, -1, "fail", "expired on"),
        (1, 90, "fail", "begins on"),
        (-10, 20, "warn", "ends in 20 days"),
        (-10, 90, "pass", "is good until"),
    ],
)
def test_a_certificate_is_looked_at_for_its_time(
    sound: Settings, tmp_path: Path, begin: int, end: int, status: str, said: str
) -> None:
    (one,) = found(sound.model_copy(update=certificate(tmp_path, begin, end)), "tls")
    assert one.status == status
    assert said in one.said


def test_files_of_tls_that_do_not_go_together_are_a_failure(sound: Settings, tmp_path: Path) -> None:
    files = certificate(tmp_path, -1, 90)
    (tmp_path / "other").mkdir()
    other = certificate(tmp_path / "other", -1, 90)
    mixed = {"tls_certificate": files["tls_certificate"], "tls_key": other["tls_key"]}
    assert "cannot be used together" in failing(sound.model_copy(update=mixed), "tls")
    gone = {**files, "tls_client_ca": tmp_path / "none.pem"}
    assert "cannot be used together" in failing(sound.model_copy(update=gone), "tls")


def test_a_client_authority_that_expired_is_a_failure(sound: Settings, tmp_path: Path) -> None:
    (tmp_path / "ca").mkdir()
    expired = certificate(tmp_path / "ca", -10, -1)["tls_certificate"]
    files = {**certificate(tmp_path, -1, 90), "tls_client_ca": expired}
    assert "IMDLENS_TLS_CLIENT_CA expired" in failing(sound.model_copy(update=files), "tls")


# ------------------------------------------------------------------------------- files


def test_rules_and_access_files_that_must_not_be_used_are_failures(sound: Settings, tmp_path: Path) -> None:
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "organisation.toml").write_text("this is not TOML")
    assert "organisation.toml" in failing(sound.model_copy(update={"local_dir": tmp_path / "local"}), "rules")
    (tmp_path / "access.toml").write_text("this is not TOML")
    assert "access.toml" in failing(sound.model_copy(update={"access_file": tmp_path / "access.toml"}), "tokens")


def test_signposts_past_their_review_are_a_warning(sound: Settings, tmp_path: Path) -> None:
    shipped = (files("app.context") / "rules" / "signposts.csv").read_text("utf-8")
    (tmp_path / "signposts.csv").write_text(shipped.replace("2027-05-22", "2025-05-22"), "utf-8")
    assert "past their review date" in warning(sound.model_copy(update={"local_dir": tmp_path}), "rules")


# ------------------------------------------------------------------------------- data


@pytest.fixture
def copied(starter: Path, tmp_path: Path) -> Path:
    """A copy of the starter data, to be spoilt."""
    folder = tmp_path / "data"
    copy_without_counts(starter, folder)
    return folder


def test_a_damaged_index_and_one_that_is_not_there_are_failures(copied: Path, tmp_path: Path) -> None:
    file = copied / "current" / "index.imdl"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)
    settings = settings_of(copied, tmp_path)
    assert failing(settings, "index")
    (copied / "current").unlink()
    assert "holds no data yet" in failing(settings, "index")


def test_an_index_without_the_edition_that_is_asked_for_is_a_failure(starter: Path, tmp_path: Path) -> None:
    said = failing(settings_of(starter, tmp_path, core20_edition="IoD2010"), "index")
    assert "IMDLENS_CORE20_EDITION" in said


def test_starter_data_a_part_of_the_country_and_old_data_are_warnings(starter: Path, tmp_path: Path) -> None:
    assert "starter data" in warning(settings_of(starter, tmp_path), "index")
    folder, options = tmp_path / "built", BuildOptions(allow_part=True)
    folder.mkdir()
    publish(folder, lambda made: build([packaged_data() / "starter"], made, manifest(), options))
    settings = settings_of(folder, tmp_path)
    assert "a part of the country" in warning(settings, "index")
    _rewrite(folder, part=False)
    assert [one.status for one in found(settings, "index")] == ["pass"]
    _rewrite(folder, built_at=(datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=121)).isoformat())
    assert "was built 121 days ago" in warning(settings, "index")


def _rewrite(folder: Path, **told: Any) -> None:
    file = folder / "current" / "provenance.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **told}))


def test_a_clock_before_the_build_of_the_index_is_a_failure(copied: Path, tmp_path: Path) -> None:
    _rewrite(copied, built_at=(datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=3)).isoformat())
    assert "the index was built on" in failing(settings_of(copied, tmp_path), "clock")


# ------------------------------------------------------------------------------- the host


def test_a_disk_without_room_is_a_failure(sound: Settings, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    small = tmp_path / "small"
    small.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(small)]
    if subprocess.run(mounted, check=False, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("this machine does not let root mount a small disk")
    try:
        said = failing(sound.model_copy(update={"audit_file": small / "audit.log"}), "disk")
    finally:
        subprocess.run(["umount", str(small)], check=True)
    assert "free for the audit file" in said


@pytest.mark.parametrize(("mode", "status"), [(0o644, "fail"), (0o640, "warn"), (0o600, None)])
@pytest.mark.parametrize("name", ["secret", "keys.json", "counts.sqlite", "spool/spool.sqlite"])
def test_what_is_confidential_and_open_to_others_is_found(
    sound: Settings, name: str, mode: int, status: str | None
) -> None:
    Spool(sound.counts_folder / "spool").close()
    file = sound.counts_folder / name
    file.touch()
    file.chmod(mode)
    about = [one.status for one in found(sound, "permissions") if str(file) in one.said]
    assert about == ([status] if status else [])


def test_a_key_of_tls_and_an_audit_file_that_anybody_can_read_are_failures(sound: Settings, tmp_path: Path) -> None:
    files = certificate(tmp_path, -1, 90)
    files["tls_key"].chmod(0o644)
    assert "k.pem is open to anybody" in failing(sound.model_copy(update=files), "permissions")
    (tmp_path / "audit.log").touch(mode=0o644)
    (tmp_path / "audit.log").chmod(0o644)
    assert "audit.log is open to" in failing(
        sound.model_copy(update={"audit_file": tmp_path / "audit.log"}), "permissions"
    )


def test_a_folder_of_counts_that_others_may_enter_is_a_warning(sound: Settings) -> None:
    sound.counts_folder.chmod(0o755)
    about = [one.status for one in found(sound, "permissions") if f"{sound.counts_folder} is open" in one.said]
    assert about == ["warn"]


@contextmanager
def as_nobody() -> Iterator[None]:
    """What root gives up for a while; whoever is not root stays who they are."""
    root = os.geteuid() == 0
    if root:
        os.setegid(65_534)
        os.seteuid(65_534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
            os.setegid(0)


def test_what_this_user_cannot_write_or_read_is_a_failure(starter: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        settings = settings_of(starter, folder, data_dir=folder / "data", audit_file=folder / "audit.log")
        settings.data_dir.mkdir(mode=0o700)
        settings.counts_folder.chmod(0o500)
        if os.geteuid() != 0:
            settings.data_dir.chmod(0o000)
            folder.chmod(0o555)
        with as_nobody():
            several = [*machine.permissions(settings), *machine.audit(settings)]
        settings.data_dir.chmod(0o700)
        folder.chmod(0o755)
    said = " ".join(one.said for one in several if one.status == "fail")
    assert f"{settings.counts_folder} cannot be written" in said
    assert f"{settings.data_dir} cannot be read" in said
    assert f"{settings.audit_file} cannot be written" in said


def test_an_audit_file_that_is_a_folder_is_a_failure(sound: Settings, tmp_path: Path) -> None:
    assert "is not a file" in failing(sound.model_copy(update={"audit_file": tmp_path}), "audit")


# ------------------------------------------------------------------------------- the spool


def test_what_waits_and_what_was_set_aside_is_a_warning(sound: Settings) -> None:
    spool = Spool(sound.counts_folder / "spool")
    first, second = Batch.of([event()]), Batch.of([event()])
    spool.put(first)
    assert "1 batches wait" in warning(sound, "spool")
    spool.put(second)
    spool.set_aside(first.id)
    assert [one.status for one in found(sound, "spool")] == ["warn", "warn"]
    spool.remove(first.id)
    spool.remove(second.id)
    spool.close()
    assert [one.status for one in found(sound, "spool")] == ["pass"]


def test_a_spool_that_cannot_be_read_is_a_failure(sound: Settings) -> None:
    (sound.counts_folder / "spool").mkdir(mode=0o700)
    (sound.counts_folder / "spool" / "spool.sqlite").write_text("no database\n" * 500)
    assert "cannot be read" in failing(sound, "spool")


# ------------------------------------------------------------------------------- the database


def test_a_sound_store_has_nothing_to_say(on_store: Settings) -> None:
    assert {one.status for one in examine_with(on_store) if one.name in ("database", "keys", "hosts", "sealing")} == {
        "pass"
    }


def test_a_database_that_is_away_is_a_failure(starter: Path, tmp_path: Path, postgres: Postgres) -> None:
    url = postgres.new_database()
    settings = settings_of(starter, tmp_path, database_url=url)
    postgres.take_away()
    try:
        assert "cannot be reached" in failing(settings, "database")
    finally:
        postgres.bring_back()
        postgres.drop(url)


def test_a_database_without_tables_or_with_newer_ones_is_a_failure(on_store: Settings) -> None:
    with opened(url_of(on_store), patient=True) as engine:
        run(engine, "UPDATE alembic_version SET version_num = '9999'")
        assert "newer version" in failing(on_store, "database")
        run(engine, "UPDATE alembic_version SET version_num = '0003'")
        downgrade(engine, "0002")
    if embedded_file(url_of(on_store)):  # which upgrades itself
        assert "older" in warning(on_store, "database")
    else:
        assert "or older ones" in failing(on_store, "database")


def test_a_store_that_is_no_database_any_more_is_a_failure(sound: Settings) -> None:
    (sound.counts_folder / "counts.sqlite").write_text("no database\n" * 500)
    assert "cannot be reached or read" in failing(sound, "database")


def test_a_store_that_is_gone_is_a_failure_where_the_host_remembers_its_keys(sound: Settings) -> None:
    (sound.counts_folder / "counts.sqlite").unlink()
    assert "not there yet" in warning(sound, "database")
    kept = [StoredKey("9f2c01ab", "a hash", "epr", frozenset({"enrich"}), 0)]
    sound.keys_copy.write_bytes(TypeAdapter(list[StoredKey]).dump_json(kept))
    assert "the store was lost" in failing(sound, "database")
    assert not (sound.counts_folder / "counts.sqlite").exists()


def test_a_user_of_the_database_who_may_not_write_is_a_failure(
    starter: Path, tmp_path: Path, postgres_url: str
) -> None:
    with opened(postgres_url) as engine:
        run(
            engine,
            "DROP ROLE IF EXISTS only_reads",
            "CREATE ROLE only_reads LOGIN",
            "GRANT SELECT ON ALL TABLES IN SCHEMA public TO only_reads",
        )
    url = make_url(postgres_url).set(username="only_reads").render_as_string(hide_password=False)
    said = failing(settings_of(starter, tmp_path, database_url=url), "database")
    with opened(postgres_url) as engine:
        run(engine, "DROP OWNED BY only_reads", "DROP ROLE only_reads")
    assert "may not write" in said


def test_a_clock_that_is_not_the_databases_is_found(
    starter: Path, tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, now = settings_of(starter, tmp_path, database_url=postgres_url), time.time
    for ahead, status in ((600, "fail"), (20, "warn")):  # no clock of the machine is set for a test
        monkeypatch.setattr("app.doctor.store.time.time", lambda ahead=ahead: now() + ahead)
        assert [one.status for one in found(settings, "clock") if "seconds apart" in one.said] == [status]


@pytest.mark.parametrize(
    "later",
    [
        f"INSERT INTO batch (id, day) VALUES ('b', {int(time.time()) // DAY + 2})",
        f"INSERT INTO event_key (hash, batch, day) VALUES ('h', 'b', {int(time.time()) // DAY + 2})",
        f"INSERT INTO host (id, seen_at, spooled, stopped) VALUES ('h', {int(time.time()) + DAY}, 0, '1')",
        f"UPDATE api_key SET created_at = {int(time.time()) + DAY}",
    ],
    ids=["batch", "event_key", "host", "key"],
)
def test_a_clock_before_what_was_stored_is_a_failure(on_store: Settings, later: str) -> None:
    with opened(url_of(on_store)) as engine:
        run(engine, later)
    assert "The clock is behind" in failing(on_store, "clock")


def test_keys_are_looked_at_for_their_end(on_store: Settings) -> None:
    with opened(url_of(on_store)) as engine:
        run(engine, f"UPDATE api_key SET expires_at = {int(time.time()) + 20 * DAY}")
        assert "End within 30 days" in warning(on_store, "keys")
        run(engine, f"UPDATE api_key SET expires_at = {int(time.time()) - 1}")
        assert "all are expired" in failing(on_store, "keys")
        key_store.create(engine, HASHER, "second", ["enrich"])
        assert "Expired, and perhaps still sent" in warning(on_store, "keys")
        key_store.revoke(engine, "epr")
        assert [one.status for one in found(on_store, "keys")] == ["pass"]
        run(engine, "DELETE FROM api_key")
    if embedded_file(url_of(on_store)):
        assert "there never was one" in warning(on_store, "keys")
    else:
        assert "there never was one" in failing(on_store, "keys")


def test_a_host_that_is_silent_or_holds_contacts_is_a_warning(on_store: Settings) -> None:
    with opened(url_of(on_store)) as engine:
        store = CountStore(engine, EDITION)
        store.beat("holds", 3, oldest=int(time.time()))
        assert "hold contacts" in warning(on_store, "hosts")
        store.beat("holds", 0)
        run(engine, f"UPDATE host SET seen_at = {int(time.time()) - 2 * DAY}")
        assert "holds has been silent" in warning(on_store, "hosts")


def test_a_month_that_is_due_is_a_warning_and_one_that_was_never_published_a_failure(on_store: Settings) -> None:
    with opened(url_of(on_store)) as engine:
        CountStore(engine, EDITION).commit(Batch.of([event(month="2024-05")]))
        assert "the first 2024-05" in warning(on_store, "sealing")
        close_month(engine, "2024-05")
        assert "2024-05 is closed and not published" in failing(on_store, "sealing")
