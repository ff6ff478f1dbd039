"""A request's line has the documented fields; the audit file is shared, moved and filled up without failing anybody."""

import errno
import json
import os
import stat
from pathlib import Path

import pytest

from app import request_log
from app.access.caller import Caller
from app.doors import DOORS, Door
from app.exchange import Exchange, Trace
from app.request_log import FIELDS, AuditFile, RequestLog

DOOR = {door.name: door for door in DOORS}


def exchange(door: Door | None) -> Exchange:
    made = Exchange()
    made.door, made.shown_id, made.records = door, "0123456789abcdef", 3
    made.caller, made.key_id = Caller("epr", frozenset({"enrich"}), "key", 9e12), "a1b2c3d4"
    made.trace = Trace("a" * 32, "b" * 16, sampled=True)
    return made


@pytest.fixture
def file(tmp_path: Path) -> AuditFile:
    made = AuditFile(tmp_path / "audit.jsonl")
    made.open()
    return made


def test_a_line_has_every_documented_field_in_order(tmp_path: Path, file: AuditFile) -> None:
    RequestLog(file).write(exchange(DOOR["batch"]), "POST", 200, 0.00123)
    (line,) = (tmp_path / "audit.jsonl").read_text().splitlines()
    found = json.loads(line)
    assert list(found) == list(FIELDS)
    assert (found["door"], found["scope"], found["client"], found["key"]) == ("batch", "enrich", "epr", "a1b2c3d4")
    assert (found["ms"], found["records"], found["trace_id"]) == (1.2, 3, "a" * 32)


@pytest.mark.parametrize(
    ("door", "status", "kept"),
    [
        *(("enrich", 401, True), ("exact_counts", 403, True), ("metrics", 200, True), ("card", 404, True)),
        *(("docs", 200, False), ("livez", 200, False), ("readyz", 503, False), (None, 404, False)),
    ],
)
def test_the_audit_file_has_the_doors_that_answer_callers(
    tmp_path: Path, file: AuditFile, door: str | None, status: int, kept: bool
) -> None:
    RequestLog(file).write(exchange(DOOR[door] if door else None), "GET", status, 0)
    assert bool((tmp_path / "audit.jsonl").read_text()) is kept


def test_a_method_of_the_callers_own_is_not_written(tmp_path: Path, file: AuditFile) -> None:
    RequestLog(file).write(exchange(DOOR["enrich"]), "NG11AA", 200, 0)
    assert json.loads((tmp_path / "audit.jsonl").read_text())["method"] == "other"


def test_only_its_owner_may_read_it(tmp_path: Path, file: AuditFile) -> None:
    assert stat.S_IMODE((tmp_path / "audit.jsonl").stat().st_mode) == 0o600


@pytest.mark.parametrize("by_signal", [True, False])
def test_a_file_that_was_moved_away_is_made_anew(
    tmp_path: Path, file: AuditFile, monkeypatch: pytest.MonkeyPatch, by_signal: bool
) -> None:
    file.write(b"1\n")
    (tmp_path / "audit.jsonl").rename(tmp_path / "audit.jsonl.1")
    if by_signal:
        file.reopen()
    else:
        file.write(b"2\n")  # within the second: still to the old one, and not lost
        monkeypatch.setattr(request_log, "_LOOK_SECONDS", 0)
    file.write(b"3\n")
    assert (tmp_path / "audit.jsonl.1").read_text() == ("1\n" if by_signal else "1\n2\n")
    assert (tmp_path / "audit.jsonl").read_text() == "3\n"


def test_a_write_that_fails_is_told_once_and_fails_nobody(
    tmp_path: Path, file: AuditFile, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = os.write

    def full(_: int, __: bytes) -> int:
        raise OSError(errno.ENOSPC, "a value")

    monkeypatch.setattr(request_log.os, "write", full)
    file.write(b"1\n")
    file.write(b"2\n")
    assert file.failing
    assert [record.getMessage() for record in caplog.records] == ["the audit file cannot be written: OSError"]
    monkeypatch.setattr(request_log.os, "write", lambda where, line: real(where, line[:3]))  # a part fits
    file.write(b"three\n")
    assert file.failing
    monkeypatch.setattr(request_log.os, "write", real)
    file.write(b"4\n")
    assert not file.failing
    assert (tmp_path / "audit.jsonl").read_text() == "thr\n4\n"
    assert len(caplog.records) == 2


def test_a_folder_that_went_away_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = AuditFile(tmp_path / "away" / "audit.jsonl")
    file.write(b"1\n")
    assert file.failing
    (tmp_path / "away").mkdir()
    file.reopen()
    file.write(b"2\n")
    assert not file.failing
    assert (tmp_path / "away" / "audit.jsonl").read_text() == "2\n"


def test_a_pipe_that_nobody_reads_stops_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "audit.jsonl")
    with pytest.raises(OSError, match="No such device"):
        AuditFile(tmp_path / "audit.jsonl").open()
