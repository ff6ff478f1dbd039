"""A service in a process and an environment of its own, and a relay to it that adds the key."""

import csv
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from outside.relay import Relay, relaying

ROOT = Path(__file__).parents[1]
COMMAND = ROOT / ".venv" / "bin" / "imdlens"
PUBLIC = "https://lens.example.nhs.uk/imd"


class Deployment(NamedTuple):
    """A running service: its own address, the relay's, and its command."""

    url: str
    relay: Relay
    run: Callable[..., str]


@contextmanager
def deployed(folder: Path, *scopes: str, **settings: str) -> Iterator[Deployment]:
    """`imdlens serve` on starter data in a folder of its own, and a relay with a key that has these scopes."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("IMDLENS_")} | settings

    def run(*arguments: str) -> str:
        return subprocess.run(
            [COMMAND, *arguments],
            cwd=folder,
            env=environment,
            text=True,
            timeout=120,
            check=True,
            stdout=subprocess.PIPE,
        ).stdout

    wanted = [word for scope in scopes for word in ("--scope", scope)]
    key = run("keys", "create", "--name", "integration-engine", *wanted).splitlines()[-1]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    log = folder / "service.log"
    with log.open("w") as output:
        service = subprocess.Popen(
            [COMMAND, "serve", "--host", "127.0.0.1", "--port", str(port)],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait(url, service, log)
        with relaying(url, key) as relay:
            yield Deployment(url, relay, run)
    finally:
        service.send_signal(signal.SIGTERM)
        try:
            service.wait(30)
        except subprocess.TimeoutExpired:
            service.kill()


def _wait(url: str, service: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and service.poll() is None:
        try:
            if httpx.get(f"{url}/readyz", timeout=1).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise AssertionError(log.read_text("utf-8"))


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The service as it comes."""
    with deployed(tmp_path_factory.mktemp("service"), "enrich", "area", "inclusion") as made:
        yield made


@pytest.fixture(scope="session")
def linking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A service whose cards link to their pages."""
    with deployed(tmp_path_factory.mktemp("linking"), "enrich", IMDLENS_PUBLIC_URL=PUBLIC) as made:
        yield made


@pytest.fixture(scope="session")
def postcode_in(deployment: Deployment) -> Callable[[str], str]:
    """A postcode of the starter data in `core20`, or in a decile that is `other`."""
    with (ROOT / "data" / "imd" / "starter" / "starter_postcodes.csv").open(encoding="utf-8", newline="") as file:
        records = [{"postcode": row["pcds"]} for row in csv.DictReader(file)]
    sent = httpx.post(f"{deployment.relay.url}/v1/enrich/batch", json={"records": records}, timeout=30)
    known: list[dict[str, Any]] = sent.raise_for_status().json()["results"]
    found: dict[str, str] = {}
    for record, answer in zip(records, known, strict=True):
        if answer["imd_decile"]:
            found.setdefault("core20" if answer["imd_decile"] <= 2 else "other", record["postcode"])
    return found.__getitem__
