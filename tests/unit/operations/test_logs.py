"""A line holds what we wrote, and of others' records their logger, level and type."""

import asyncio
import json
import logging
import os
import resource
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app import logs

MARK = "QZ9 9ZZ"


@pytest.fixture
def lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[dict[str, object]]]]:
    """Lines that were written; what setting up changed in this process is changed back."""
    root, names = logging.getLogger(), ("imdlens", "uvicorn", "uvicorn.error", "uvicorn.access")
    before = [(logging.getLogger(n), logging.getLogger(n).level, logging.getLogger(n).propagate) for n in names]
    handlers, level = root.handlers[:], root.level
    hooks = ((sys, "excepthook"), (threading, "excepthook"), (sys, "unraisablehook"), (logging, "lastResort"))
    cores = resource.getrlimit(resource.RLIMIT_CORE)
    for module, name in hooks:
        monkeypatch.setattr(module, name, getattr(module, name))
    monkeypatch.setattr(logs, "_stream", -1)
    logs.configure()
    path = tmp_path / "lines"
    logs._stream = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    yield lambda: [json.loads(line) for line in path.read_text().splitlines()]
    os.close(logs._stream)
    resource.setrlimit(resource.RLIMIT_CORE, cores)
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)
    for logger, its_level, propagate in before:
        logger.setLevel(its_level)
        logger.propagate = propagate


Lines = Callable[[], list[dict[str, object]]]


def failing() -> None:
    raise ValueError(MARK)


def test_our_own_sentence_is_written_and_has_the_documented_fields(lines: Lines) -> None:
    logging.getLogger("imdlens").info("answering from release %s", "nspl-1")
    (line,) = lines()
    assert line["event"] == "answering from release nspl-1"
    assert list(line) == ["time", "level", "event", "pid"]
    assert line["level"] == "info"
    assert line["pid"] == os.getpid()


def test_the_time_is_of_now_and_always_has_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    for now, shown in ((1e9, "2001-09-09T01:46:40.000Z"), (1e9 + 0.0625, "2001-09-09T01:46:40.062Z")):
        monkeypatch.setattr(logs.time, "time", lambda now=now: now)
        assert logs.moment() == shown


@pytest.mark.parametrize("name", ["uvicorn.error", "sqlalchemy.engine", "asyncio", "httpx", "alembic", "anything"])
def test_of_another_librarys_record_the_message_is_never_written(lines: Lines, name: str) -> None:
    logger = logging.getLogger(name)
    logger.warning("statement with %s", MARK)
    logger.error(MARK)
    logger.error(OSError(98, MARK))
    try:
        failing()
    except ValueError:
        logger.exception("it failed on %s", MARK)
    found = lines()
    assert [line["event"] for line in found] == ["library"] * 4
    assert found[2]["error"] == "OSError"
    assert found[2]["errno"] == "EADDRINUSE"
    assert found[3]["error"] == "ValueError"
    assert {key for line in found for key in line} == set(logs.FIELDS)
    assert MARK not in str(found)


def test_what_the_server_says_of_itself_is_told_in_our_words(lines: Lines) -> None:
    logger = logging.getLogger("uvicorn.error")
    logger.info(f"Child process [{4711}] died")  # noqa: G004 - as uvicorn writes it
    logger.info("Uvicorn running on %s", MARK)  # not worth a line
    logging.getLogger("uvicorn.access").info('%s - "%s"', MARK, MARK)
    logging.getLogger("another").warning("Child process")
    assert [line["event"] for line in lines()] == ["a worker ended unasked", "library"]


def test_a_message_whose_placeholders_do_not_fit_is_not_printed(
    lines: Lines, capfd: pytest.CaptureFixture[str]
) -> None:
    logs.LineHandler().handle(logging.LogRecord("imdlens", logging.ERROR, "", 1, "one %s", (MARK, MARK), None))
    assert [line["event"] for line in lines()] == ["a record could not be written"]
    assert MARK not in "".join(capfd.readouterr())


def test_errors_that_nobody_caught_are_told_by_type_and_place(lines: Lines, capfd: pytest.CaptureFixture[str]) -> None:
    try:
        failing()
    except ValueError as error:
        sys.excepthook(ValueError, error, error.__traceback__)
        about = type("About", (), {"exc_value": error, "object": MARK, "err_msg": MARK})()
        sys.unraisablehook(about)
        caught = error
    thread = threading.Thread(target=failing)
    thread.start()
    thread.join()

    async def in_a_loop() -> None:
        loop = asyncio.get_running_loop()
        logs.watch_loop(loop)
        loop.call_soon(failing)
        loop.call_exception_handler({"message": MARK})
        await asyncio.sleep(0.01)

    asyncio.run(in_a_loop())
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn_explicit(MARK, UserWarning, MARK, 1)
    events = [str(line["event"]) for line in lines()]
    assert events[5:] == ["library"]
    place = logs.place_of(caught)
    assert events[:3] == [
        f"uncaught ValueError at {place}",
        f"ValueError at {place} could not be raised",
        f"uncaught ValueError at {place}, in a thread",
    ]
    assert set(events[3:5]) == {
        f"ValueError at {place} in the event loop",
        "the event loop has something to complain of",
    }
    assert MARK not in str(lines()) + "".join(capfd.readouterr())


def test_a_place_is_of_our_code_or_none() -> None:
    with pytest.raises(KeyError) as elsewhere:
        logs.FIELDS["no such field"]
    assert logs.place_of(elsewhere.value) == "an unknown place"
    with pytest.raises(AttributeError) as here:
        logs.fields_of(None)  # type: ignore[arg-type]
    assert logs.place_of(here.value).startswith("logs.py:")


def test_a_stream_that_is_gone_fails_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.close(read)
    monkeypatch.setattr(logs, "_stream", write)
    logs.write(b"x")
    os.close(write)
    logs.write(b"x")


def test_a_pipe_that_nobody_reads_stops_nobody_and_what_was_lost_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    monkeypatch.setattr(logs, "_stream", write)
    monkeypatch.setattr(logs, "_lost", 0)
    line = b"x" * 999 + b"\n"
    for _ in range(1_000):
        logs.write(line)  # far more than a pipe holds: were it to wait, this test would never end
    kept = 1_000 - logs._lost
    assert 0 < kept < 1_000
    taken = b""
    while len(taken) < kept * len(line):
        taken += os.read(read, 65_536)
    logs.write(line)
    told, after = os.read(read, 65_536).splitlines()
    assert json.loads(told)["event"] == f"{1_000 - kept} lines were lost while nobody read them"
    assert json.loads(told).keys() <= logs.FIELDS.keys()
    assert after == line.rstrip()
    os.close(read)
    os.close(write)


def test_what_no_handler_takes_is_a_line_as_well(lines: Lines, capfd: pytest.CaptureFixture[str]) -> None:
    """By itself Python would write the message of such a record, and its traceback, to the error stream."""
    cut_off = logging.getLogger("a library that was cut off")
    cut_off.propagate = False
    try:
        failing()
    except ValueError:
        cut_off.exception("it failed on %s", MARK)
    (line,) = lines()
    assert (line["event"], line["error"]) == ("library", "ValueError")
    assert MARK not in str(line) + capfd.readouterr().err


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="where a core goes is each system's own")
def test_a_process_that_crashes_leaves_no_core(tmp_path: Path) -> None:
    """Its memory holds requests. The limit is 1 where that is allowed, which a collector behind a pipe heeds too."""
    program = (
        "import os, resource, app.logs\n"
        "hard = resource.getrlimit(resource.RLIMIT_CORE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))\n"
        "app.logs.configure()\n"
        "print(resource.getrlimit(resource.RLIMIT_CORE)[0], hard, flush=True)\n"
        "os.abort()\n"
    )
    root = str(Path(__file__).parents[3])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    soft, hard = map(int, ended.stdout.split())
    assert ended.returncode == -signal.SIGABRT
    assert soft == (0 if hard == 0 else 1)
    assert "Fatal Python error: Aborted" in ended.stderr
    assert not list(tmp_path.iterdir())
