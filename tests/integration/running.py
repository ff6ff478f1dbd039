"""The service as its users meet it: a process of its own behind a real socket."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import httpx
import psutil

from tests.databases import eventually

_LONGEST = 400  # seconds after which a command hangs; on a busy machine the demonstration took over 120


def imdlens(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a newcomer would."""
    return subprocess.run(
        [sys.executable, "-m", "app.cli", *arguments],
        cwd=cwd,
        env={**os.environ, "COLUMNS": "120", **environment},
        capture_output=True,
        text=True,
        timeout=_LONGEST,
        check=False,
    )


def pasted(commands: str, *, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Lines of a guide, as somebody pastes them into a shell; the first that fails ends them."""
    return subprocess.run(
        ["sh", "-ec", f'imdlens() {{ "{sys.executable}" -m app.cli "$@"; }}\n{commands}'],
        cwd=cwd,
        env={**os.environ, "COLUMNS": "120", **environment},
        capture_output=True,
        text=True,
        timeout=_LONGEST,
        check=False,
    )


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


@contextmanager
def serving(
    cwd: Path, *arguments: str, log: Path | None = None, **environment: str
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`imdlens serve` until it is ready; its address and its process. What it writes goes to `log`, if one is named."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with log.open("w") if log else nullcontext(subprocess.PIPE) as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "serve", "--port", str(port), *arguments],
            cwd=cwd,
            env={**os.environ, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if httpx.get(f"{url}/readyz", timeout=1).status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.1)
        else:
            raise AssertionError(process.communicate(timeout=5)[0])
        yield url, process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # it ended meanwhile
        return ""


class Service:
    """`imdlens serve`, that can be killed and started again at the same address.

    `before` is a command that runs it, as `ip netns exec NAME` does.
    """

    def __init__(
        self, folder: Path, workers: int = 1, *, host: str = "127.0.0.1", before: Sequence[str] = (), **environment: str
    ) -> None:
        self.port, self._workers = free_port(), workers
        self.url = f"http://{host}:{self.port}"
        self._folder, self._environment, self._host, self._before = folder, environment, host, before
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._folder.mkdir(exist_ok=True)
        served = [sys.executable, "-m", "app.cli", "serve", "--host", self._host]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._before, *served, "--workers", str(self._workers), "--port", str(self.port)],
                env={**os.environ, **self._environment},
                stdout=log,
                stderr=log,
            )
        eventually(self._ready, 60)

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def _processes(self) -> list[psutil.Process]:
        assert self._process
        children = psutil.Process(self._process.pid).children()
        return [child for child in children if "spawn_main" in _command(child)]

    def kill_worker(self, chance: random.Random) -> None:
        """One worker dies; the service itself starts another."""
        if workers := self._processes():
            chance.choice(workers).kill()

    def kill(self) -> None:
        """Everything dies."""
        assert self._process
        workers = psutil.Process(self._process.pid).children()
        self._process.kill()
        self._process.wait(30)
        for worker in workers:
            worker.kill()
        psutil.wait_procs(workers, 30)

    def stop(self) -> None:
        """An orderly end."""
        assert self._process
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(60)

    def end(self) -> None:
        if self._process and self._process.poll() is None:
            self.kill()
