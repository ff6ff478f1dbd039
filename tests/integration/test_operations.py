"""What a real service with two workers writes and measures: it adds up, it can be rotated, and it holds no value."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app import logs, request_log
from app.settings import Settings
from tests.databases import eventually
from tests.integration.running import free_port, imdlens, serving
from tests.service import bearer, key_for

MARK = "qz9crash9zz"
# Read by Python when it starts: a door that fails with a value in its message, as a fault of ours one day might.
CRASH = f"""
import sys, threading

def break_it(enrich):
    def broken(question, *rest):
        if getattr(question, "text", None) == "{MARK}" or "{MARK}" in repr(question):
            class Panic(BaseException): pass
            threading.Thread(target=lambda: int("{MARK}")).start()
            import asyncio
            asyncio.get_running_loop().call_soon(int, "{MARK}")
            raise (Panic if "panic" in repr(question) else ValueError)("{MARK} in a message")
        return enrich(question, *rest)
    return broken

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "app.routers.enrich":
            import app.enrichment
            sys.meta_path.remove(self)
            app.enrichment.enrich = break_it(app.enrichment.enrich)
        return None

sys.meta_path.insert(0, Finder())
"""


def command_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # it ended meanwhile
        return ""


class Running:
    """A service with two workers, its keys and its files."""

    def __init__(self, url: str, process: subprocess.Popen[str], folder: Path, keys: dict[str, str]) -> None:
        self.url, self.process, self.folder, self.keys = url, process, folder, keys
        self.log, self.audit = folder / "log", folder / "audit.jsonl"

    def workers(self) -> list[psutil.Process]:
        return [p for p in psutil.Process(self.process.pid).children() if "spawn_main" in command_of(p)]

    def shared(self) -> Path:
        """The folder of shared numbers."""
        return Path(self.workers()[0].environ()["PROMETHEUS_MULTIPROC_DIR"])

    def ask(self, times: int, postcode: str = "NG1 1AA") -> list[int]:
        """Statuses of requests, each on a connection of its own, so that both workers get some."""
        url, headers = f"{self.url}/v1/enrich", bearer(self.keys["epr"])
        return [httpx.post(url, json={"postcode": postcode}, headers=headers).status_code for _ in range(times)]

    def metric(self, name: str, **labels: str) -> float:
        answer = httpx.get(f"{self.url}/metrics", headers=bearer(self.keys["prometheus"]))
        return sum(
            sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def lines(self) -> list[dict[str, Any]]:
        """Lines of the error stream; before the first stand sentences for whoever started it."""
        text = self.log.read_text()
        return [json.loads(line) for line in text[text.index("\n{") :].splitlines() if line]


@pytest.fixture
def running(starter: Path, tmp_path: Path) -> Callable[..., Any]:
    @contextmanager
    def run(workers: int = 2, **environment: str) -> Iterator[Running]:
        settings = Settings(data_dir=starter, counts_dir=tmp_path / "counts")
        scopes = {"epr": "enrich", "prometheus": "admin"}
        keys = {name: key_for(settings, scope, name=name) for name, scope in scopes.items()}
        environment |= {
            "IMDLENS_DATA_DIR": str(starter),
            "IMDLENS_COUNTS_DIR": str(tmp_path / "counts"),
            "IMDLENS_AUDIT_FILE": str(tmp_path / "audit.jsonl"),
        }
        log = tmp_path / "log"
        with serving(tmp_path, "--workers", str(workers), log=log, **environment) as (url, process):
            eventually(lambda: workers == 1 or log.read_text().count("a worker is ready") == workers, 30)
            yield Running(url, process, tmp_path, keys)

    return run


def test_numbers_add_up_over_workers_and_survive_one_that_is_killed(running: Callable[..., Any]) -> None:
    with running() as service:
        assert set(service.ask(120)) == {200}
        pids = {line["pid"] for line in service.lines() if line["event"] == "request"}
        assert len(pids) == 2, "one worker got everything"
        asked = {"door": "enrich", "status": "200"}
        eventually(lambda: service.metric("imdlens_requests_total", **asked) == 120, 5)
        eventually(lambda: service.metric("imdlens_workers") == 2, 5)
        killed = service.workers()[0]
        killed.kill()
        eventually(lambda: len(service.workers()) == 2 and killed.pid not in {p.pid for p in service.workers()}, 30)
        eventually(lambda: service.log.read_text().count("a worker is ready") == 3, 30)
        assert set(service.ask(40)) == {200}
        eventually(lambda: service.metric("imdlens_requests_total", **asked) == 160, 5)
        assert service.metric("imdlens_request_seconds_count", door="enrich") == 160
        assert service.metric("imdlens_client_requests_total", client="epr") == 160
        eventually(lambda: service.metric("imdlens_workers") == 2, 5)
        shared = service.shared()
        assert shared.stat().st_mode & 0o777 == 0o700
        for line in service.lines():
            assert list(line) == list(request_log.FIELDS) or set(line) <= set(logs.FIELDS), line
        assert "a worker ended unasked" in {line["event"] for line in service.lines()}
    assert not shared.exists()


def test_the_audit_file_is_rotated_without_losing_a_line(running: Callable[..., Any]) -> None:
    with running() as service:
        service.ask(20)
        service.audit.rename(service.folder / "audit.1")
        service.ask(20)
        time.sleep(1.1)
        service.ask(20)
        service.audit.rename(service.folder / "audit.2")
        for worker in service.workers():
            worker.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        service.ask(20)
        assert len(service.workers()) == 2
        service.process.send_signal(signal.SIGHUP)  # starts the workers anew
        eventually(lambda: service.log.read_text().count("a worker is ready") == 4, 60)
        service.ask(20)
        eventually(lambda: sum(1 for line in service.lines() if line.get("door") == "enrich") == 100, 5)
        files = {path.name: path.read_text().splitlines() for path in service.folder.glob("audit.*")}
        assert sum(len(lines) for lines in files.values()) == 100
        assert all(json.loads(line)["client"] == "epr" for lines in files.values() for line in lines)
        assert len(files["audit.jsonl"]) == 40
        assert service.audit.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("workers", [1, 2])
def test_a_crash_leaves_its_value_nowhere(running: Callable[..., Any], tmp_path: Path, workers: int) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(CRASH)
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH", "")]))
    with running(workers, PYTHONPATH=path) as service:
        assert service.ask(1) == [200]
        assert service.ask(3, MARK) == [500] * 3
        assert service.ask(3, f"{MARK} panic") == [500] * 3
        eventually(lambda: service.metric("imdlens_requests_total", status="500") == 6, 5)
        written = [service.log, service.audit]
        if workers == 2:
            written += service.shared().iterdir()
        events = [line["event"] for line in service.lines()]
        assert sum(event.startswith("unhandled ValueError at ") for event in events) == 3
        assert sum(event.startswith("unhandled Panic at ") for event in events) == 3
        assert sum(event.startswith("uncaught ValueError at ") for event in events) == 6  # in threads
        assert sum("in the event loop" in event for event in events) == 6
        metrics = httpx.get(f"{service.url}/metrics", headers=bearer(service.keys["prometheus"])).text
        for text in (metrics, *(file.read_bytes().decode("latin-1") for file in written)):
            assert MARK not in text
    assert MARK not in service.log.read_text()


def test_a_collector_that_cannot_be_told_stops_the_start(starter: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\nf = u.find_spec\n"
        "u.find_spec = lambda n, *a: None if n.startswith('opentelemetry') else f(n, *a)\n"
    )
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    environment = {"IMDLENS_DATA_DIR": str(starter), "IMDLENS_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
    ended = imdlens("serve", "--port", str(free_port()), cwd=tmp_path, PYTHONPATH=path, **environment)
    assert ended.returncode == 1
    assert "IMDLENS_OTLP_ENDPOINT is set, but what sends traces is not installed" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_audit_file_that_cannot_be_written_stops_the_start(starter: Path, tmp_path: Path) -> None:
    environment = {"IMDLENS_DATA_DIR": str(starter), "IMDLENS_AUDIT_FILE": str(tmp_path / "away" / "audit")}
    environment["IMDLENS_COUNTS_DIR"] = str(tmp_path / "counts")
    ended = imdlens("serve", "--port", str(free_port()), cwd=tmp_path, **environment)
    assert ended.returncode == 1
    assert "audit: No such file or directory" in ended.stderr.replace("\n", " ")


def test_a_port_in_use_stops_the_start_in_a_sentence_before_a_key_is_printed(starter: Path, tmp_path: Path) -> None:
    environment = {"IMDLENS_DATA_DIR": str(starter), "IMDLENS_COUNTS_DIR": str(tmp_path / "counts")}
    with serving(tmp_path, log=tmp_path / "log", **environment) as (url, _):
        port = url.rsplit(":", 1)[1]
        environment["IMDLENS_COUNTS_DIR"] = str(tmp_path / "others")  # where no key was made yet
        ended = imdlens("serve", "--port", port, cwd=tmp_path, **environment)
    assert ended.returncode == 1
    assert f"Something listens on port {port} already" in ended.stderr.replace("\n", " ")
    assert "KEY=" not in ended.stderr
    assert not (tmp_path / "others").exists()


def test_modules_import_nothing_that_measures_or_traces() -> None:
    """prometheus-client reads its folder when it is imported: not before `serve` has named one."""
    program = "import sys, app.main; print([m for m in ('prometheus_client', 'opentelemetry.sdk') if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"
