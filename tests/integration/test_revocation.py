"""A revoked key is refused within a second by every worker of every service, and a new one is accepted as soon."""

import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from app.access import key_store
from app.counting import engine_of, key_hasher, open_store
from app.settings import Settings
from tests.databases import eventually
from tests.integration.running import imdlens, serving
from tests.service import bearer

CONNECTIONS = 20
PROMISED_SECONDS = 1.0
BODY = json.dumps({"postcode": "NG1 1AA"}).encode()


class Deployment:
    """Services on one database, each with two workers."""

    def __init__(self, folder: Path, urls: list[str], environment: dict[str, str]) -> None:
        self.folder, self.urls, self.environment = folder, urls, environment
        named = {name.removeprefix("IMDLENS_").lower(): value for name, value in environment.items()}
        self.settings = Settings(**named)  # type: ignore[arg-type]

    def command(self, *arguments: str) -> str:
        ended = imdlens(*arguments, cwd=self.folder, **self.environment)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.strip().splitlines()[-1]

    def create(self, name: str) -> str:
        return self.command("keys", "create", "--name", name, "--scope", "enrich")

    def in_force(self) -> set[str]:
        engine = engine_of(self.settings)
        try:
            return {key["name"] for key in key_store.listed(engine) if key["revoked_at"] is None}
        finally:
            engine.dispose()

    def make(self, name: str) -> str:
        """A key, made without a process of its own: its commit is when this returns."""
        engine = open_store(self.settings)
        try:
            return key_store.create(engine, key_hasher(self.settings), name, ("enrich",), by="tests")
        finally:
            engine.dispose()

    def pids(self) -> set[int]:
        """Workers that answered so far."""
        lines = [line for log in self.folder.glob("log*") for line in log.read_text().splitlines() if line[:1] == "{"]
        asked = [json.loads(line) for line in lines]
        return {line["pid"] for line in asked if line["event"] == "request" and line["door"] == "enrich"}


class Hammer:
    """One key over many connections that stay open: what each was answered, and when."""

    def __init__(self, urls: list[str], key: str) -> None:
        self.answers: list[list[tuple[float, int]]] = [[] for _ in range(CONNECTIONS * len(urls))]
        self._ends = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(urls[number % len(urls)], key, kept), daemon=True)
            for number, kept in enumerate(self.answers)
        ]

    def __enter__(self) -> "Hammer":
        for thread in self._threads:
            thread.start()
        eventually(lambda: all(kept for kept in self.answers), 30)
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, url: str, key: str, kept: list[tuple[float, int]]) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        head = f"POST /v1/enrich HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        asked = f"{head}Authorization: Bearer {key}\r\nContent-Length: {len(BODY)}\r\n\r\n".encode() + BODY
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            while not self._ends.is_set():
                connection.sendall(asked)
                sent = time.time()
                if (status := _status(connection)) != 503:  # that says nothing of a key: the machine has other work
                    kept.append((sent, status))
                time.sleep(0.02)

    def statuses(self) -> list[set[int]]:
        return [{status for _, status in kept} for kept in self.answers]

    def last(self, status: int) -> list[float]:
        """When each connection sent the last request that was answered so."""
        return [max((sent for sent, said in kept if said == status), default=0.0) for kept in self.answers]

    def all_end_with(self, status: int) -> bool:
        return all(kept[-1][1] == status for kept in self.answers)


def _status(connection: socket.socket) -> int:
    came = b""
    while some := connection.recv(65536):
        came += some
        head, found, body = came.partition(b"\r\n\r\n")
        if found and len(body) >= int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]):
            return int(came[9:12])
    return 0


def _slow_batch(url: str, key: str) -> socket.socket:
    """A batch whose body has begun."""
    host, _, port = url.removeprefix("http://").partition(":")
    connection = socket.create_connection((host, int(port)), timeout=30)
    head = f"POST /v1/enrich/batch HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    connection.sendall(f"{head}Authorization: Bearer {key}\r\nContent-Length: 100000\r\n\r\n".encode() + b'{"records":')
    return connection


def _session(url: str, key: str) -> dict[str, str]:
    signed_in = httpx.post(f"{url}/sign-in", data={"key": key}, headers={"Sec-Fetch-Site": "same-origin"})
    assert signed_in.status_code == 303
    return {"Cookie": signed_in.headers["set-cookie"].partition(";")[0]}


@pytest.fixture(params=["sqlite", "postgresql"])
def deployment(request: pytest.FixtureRequest, starter: Path, tmp_path: Path) -> Iterator[Deployment]:
    """One service on its own file, or two on one PostgreSQL."""
    environment = {"IMDLENS_DATA_DIR": str(starter), "IMDLENS_COUNTS_DIR": str(tmp_path / "counts")}
    hosts = [environment]
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
        environment |= {"IMDLENS_DATABASE_URL": url, "IMDLENS_SECRET": "the same on every host"}
        hosts = [environment, environment | {"IMDLENS_COUNTS_DIR": str(tmp_path / "counts2")}]
    with ExitStack() as stack:
        urls = []
        for number, host in enumerate(hosts):
            log = tmp_path / f"log{number}"
            urls.append(stack.enter_context(serving(tmp_path, "--workers", "2", log=log, **host))[0])
            eventually(lambda log=log: log.read_text().count("a worker is ready") == 2, 60)  # type: ignore[misc]
        yield Deployment(tmp_path, urls, environment)


@contextmanager
def _revoking(deployment: Deployment, name: str) -> Iterator[subprocess.Popen[bytes]]:
    """`imdlens keys revoke`, running."""
    command = [sys.executable, "-m", "app.cli", "keys", "revoke", name]
    process = subprocess.Popen(
        command, cwd=deployment.folder, env={**os.environ, **deployment.environment}, stdout=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.wait(60)


def test_a_revoked_key_is_refused_everywhere_within_a_second(deployment: Deployment) -> None:
    """Measured from the revocation's commit; thrice, where the machine was busy with something else."""
    other = deployment.create("portal")
    for attempt in range(3):
        name = f"leaked{attempt}"
        key = deployment.create(name)
        eventually(lambda key=key: all(_opens(url, key, 5) for url in deployment.urls))  # type: ignore[misc]
        sessions = [(url, _session(url, key)) for url in deployment.urls]
        with ExitStack() as stack:
            slow = [stack.enter_context(_slow_batch(url, key)) for url in deployment.urls for _ in range(4)]
            theirs = stack.enter_context(Hammer(deployment.urls, key))
            others = stack.enter_context(Hammer(deployment.urls, other))
            revoking = stack.enter_context(_revoking(deployment, name))
            committed = 0.0
            while name in deployment.in_force():
                committed = time.time()  # at that moment it was in force, so its end is no earlier
                time.sleep(0.01)
            assert revoking.wait(60) == 0
            exited = time.time()
            eventually(lambda theirs=theirs: theirs.all_end_with(401), 10)  # type: ignore[misc]
            for connection in slow:
                connection.sendall(b" ")  # the next bytes of a body are refused
                assert _status(connection) == 401
            for url, cookie in sessions:
                answer = httpx.get(url, headers=cookie)
                assert (answer.status_code, answer.headers["location"]) == (303, "sign-in?to=ask")
        assert all(found == {200, 401} for found in theirs.statuses())
        assert all(found == {200} for found in others.statuses()), "another key was refused"
        assert len(deployment.pids()) == 2 * len(deployment.urls), "not every worker was asked"
        late = sorted(last - committed for last in theirs.last(200))
        told = f"last 200 after the commit: median {statistics.median(late):.2f} s, max {late[-1]:.2f} s"
        print(f"{told}; after the command's exit: max {late[-1] - (exited - committed):.2f} s")
        if late[-1] <= PROMISED_SECONDS:
            return
    pytest.fail(told)


def _opens(url: str, key: str, times: int) -> bool:
    """Whether a key opens a door, on some connections of their own."""
    asked = [httpx.post(f"{url}/v1/enrich", content=BODY, headers=_headers(key)).status_code for _ in range(times)]
    assert set(asked) <= {200, 401}
    return set(asked) == {200}


def _headers(key: str) -> dict[str, str]:
    return {**bearer(key), "Content-Type": "application/json"}


def test_a_new_key_is_accepted_everywhere_within_a_second(deployment: Deployment) -> None:
    for attempt in range(3):
        key = deployment.make(f"new{attempt}")
        made = time.time()
        with Hammer(deployment.urls, key) as new:
            eventually(lambda new=new: new.all_end_with(200), 10)  # type: ignore[misc]
        late = sorted(max(0.0, last - made) for last in new.last(401))
        print(f"last 401 after the commit: median {statistics.median(late):.2f} s, max {late[-1]:.2f} s")
        if late[-1] <= PROMISED_SECONDS:
            return
    pytest.fail(f"refused for {late[-1]:.2f} s")
