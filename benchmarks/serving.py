"""Servers to measure, each in a process of its own: the service as `imdlens serve` runs it, and what it is beside."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple

import psutil

from app.settings import Settings
from tests.service import key_for


class Server(NamedTuple):
    """A server that runs: its address, the process, and a key where it asks for one."""

    url: str
    pid: int
    key: str = ""

    def used(self) -> float:
        """Seconds of processor time that the process has used."""
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)


SCOPES = ("enrich", "area", "inclusion", "breakdowns")

# As `imdlens serve` has them, so that E and it differ in nothing but the application and its connections.
_SWITCHES = ("--no-access-log", "--no-server-header", "--no-proxy-headers")


def key(data: Path, **environment: str) -> str:
    """A key that a service with these variables will know."""
    named = {name: value for name, value in environment.items() if name.startswith("IMDLENS_")}
    settings = {name.removeprefix("IMDLENS_").lower(): value for name, value in named.items()}
    return key_for(Settings(**{"data_dir": data, **settings}), *SCOPES, name="benchmark")  # type: ignore[arg-type]


@contextmanager
def service(data: Path, workers: int = 1, *, program: str = "app.cli", **environment: str) -> Iterator[Server]:
    """`imdlens serve` on a free port. Its lines go to a file, as they would to a journal.

    `program` may name another module that serves when it is given the same arguments.
    """
    secret = key(data, **environment)
    command = [sys.executable, "-m", program, "serve", "--workers", str(workers)]
    with (
        TemporaryFile() as lines,
        _running(command, lines.fileno(), IMDLENS_DATA_DIR=str(data), **environment) as server,
    ):
        if workers > 1:
            time.sleep(2)  # the other workers
        yield server._replace(key=secret)


@contextmanager
def application(name: str, *arguments: str, **environment: str) -> Iterator[Server]:
    """Another application under uvicorn."""
    command = [sys.executable, "-m", "uvicorn", name, *_SWITCHES, *arguments]
    with _running(command, subprocess.DEVNULL, **environment) as server:
        yield server


@contextmanager
def _running(command: list[str], lines: int, **environment: str) -> Iterator[Server]:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    process = subprocess.Popen(
        [*command, "--port", str(port)],
        env={**os.environ, **environment},
        stderr=lines,
        stdout=subprocess.DEVNULL,
    )
    try:
        for _ in range(400):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, command
            time.sleep(0.05)
        yield Server(f"http://127.0.0.1:{port}", process.pid)
    finally:
        process.terminate()
        process.wait(60)
