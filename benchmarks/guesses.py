"""100,000 guesses of a key against the real service, beside a client with a good key that goes on with its work.

    python -m benchmarks.guesses [--guesses 100000] [--workers 2] [--connections 8]

What is told: whether any guess opened, what the service's memory did, and what the good client noticed. Only ever
against a service of its own on 127.0.0.1.
"""

import argparse
import base64
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from app.access import key_store
from app.access.keys import PREFIX
from app.counting import key_hasher, open_store
from app.settings import Settings
from benchmarks import national, report

MOST: Final = 1_000_000
_BODY: Final = json.dumps({"postcode": "NG1 1AA"}).encode()
_QUIET_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 0.01  # between two requests of the good client


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--guesses", type=int, default=100_000)
    arguments.add_argument("--workers", type=int, default=2)
    arguments.add_argument("--connections", type=int, default=8)
    report.add_option(arguments)
    options = arguments.parse_args()
    machine = national.machine("uvicorn", "httptools", "uvloop")
    print(f"Measured {machine}\n")
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        build = [sys.executable, "-m", "app.cli", "data", "build", "--starter", "--out", str(data)]
        subprocess.run(build, check=True, capture_output=True)
        result = attack(data, Path(folder) / "counts", min(options.guesses, MOST), options.workers, options.connections)
    print(result.table())
    alone, meanwhile, _ = result.spells
    figure = report.Figure(
        f"{sum(result.guesses.values()):,} guesses of a key",
        f"{result.guesses[200]:,} opened; a client beside them waits {meanwhile.percentile(99):.1f} ms at p99",
        f"{alone.percentile(99):.1f} ms alone",
        "none opens",
    )
    report.write(options.json, machine, [figure])


@dataclass
class Spell:
    """A while, and what the good client met in it."""

    name: str
    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    taken: list[float] = field(default_factory=list)
    resident: tuple[float, float] = (0.0, 0.0)
    """Megabytes of all workers, at its beginning and at its end."""

    def percentile(self, part: float) -> float:
        """Milliseconds in which so many in a hundred of the good client's requests were answered."""
        ordered = sorted(self.taken)
        return ordered[min(len(ordered) - 1, int(len(ordered) * part / 100))] * 1000 if ordered else 0.0


@dataclass
class Result:
    """What became of guesses, and of the good client before, meanwhile and afterwards."""

    guesses: Counter[int]
    spells: list[Spell]

    def table(self) -> str:
        rows = [
            (
                spell.name,
                f"{spell.seconds:.1f} s",
                f"{sum(self.guesses.values()):,}" if number == 1 else "0",
                f"{self.guesses[200]:,}" if number == 1 else "0",
                ", ".join(f"{status}: {n:,}" for status, n in sorted(spell.statuses.items())),
                f"{spell.percentile(50):.1f}, {spell.percentile(99):.1f}, {spell.percentile(100):.0f} ms",
                f"{spell.resident[0]:.1f} to {spell.resident[1]:.1f} MB",
            )
            for number, spell in enumerate(self.spells)
        ]
        heading = ("stage", "took", "guesses", "that opened", "good client", "its p50, p99, most", "resident")
        answered = ", ".join(f"{status}: {n:,}" for status, n in sorted(self.guesses.items()))
        return f"{national.table(heading, rows)}\n\nGuesses were answered {answered}."


def attack(data: Path, counts: Path, guesses: int, workers: int = 2, connections: int = 8) -> Result:
    """Guess keys of a service that is started for it, on this machine alone."""
    settings = Settings(data_dir=data, counts_dir=counts)
    engine = open_store(settings)
    key = key_store.create(engine, key_hasher(settings), "good", ("enrich",), by="benchmark")
    engine.dispose()
    with _serving(data, counts, workers) as (port, process):
        _guess(port, 500, 1, Counter())  # what is loaded at first use is no growth
        good = _Good(port, key)
        found: Counter[int] = Counter()
        spells = [good.spell("alone", process, lambda: time.sleep(_QUIET_SECONDS))]
        spells.append(good.spell("guessed at", process, lambda: _guess(port, guesses, connections, found)))
        spells.append(good.spell("afterwards", process, lambda: time.sleep(_QUIET_SECONDS)))
    return Result(found, spells)


def _guess(port: int, guesses: int, connections: int, found: Counter[int]) -> None:
    """Send wrong keys, as fast as answers come, over some connections; each is another one, of the right form."""
    told: list[Counter[int]] = []

    def run(number: int, many: int) -> None:
        rng = random.Random(number)
        mine: Counter[int] = Counter()
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            for _ in range(many):
                wrong = PREFIX + base64.urlsafe_b64encode(rng.randbytes(32)).rstrip(b"=").decode()
                mine[_ask(connection, wrong)] += 1
        told.append(mine)

    parts = [guesses // connections + (number < guesses % connections) for number in range(connections)]
    threads = [threading.Thread(target=run, args=(number, many)) for number, many in enumerate(parts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for mine in told:
        found.update(mine)
    assert sum(found.values()) == guesses, "some guesses were not answered"


class _Good:
    """A client with a good key that asks now and then, on one connection."""

    def __init__(self, port: int, key: str) -> None:
        self._port, self._key = port, key

    def spell(self, name: str, process: psutil.Process, happens: Callable[[], object]) -> Spell:
        """Go on asking while something happens."""
        spell, ends = Spell(name), threading.Event()

        def ask() -> None:
            with socket.create_connection(("127.0.0.1", self._port), timeout=60) as connection:
                while not ends.is_set():
                    began = time.perf_counter()
                    spell.statuses[_ask(connection, self._key)] += 1
                    spell.taken.append(time.perf_counter() - began)
                    ends.wait(_PAUSE_SECONDS)

        before, began = _resident(process), time.monotonic()
        thread = threading.Thread(target=ask)
        thread.start()
        try:
            happens()
        finally:
            ends.set()
            thread.join()
        spell.seconds, spell.resident = time.monotonic() - began, (before, _resident(process))
        return spell


def _ask(connection: socket.socket, key: str) -> int:
    connection.sendall(
        b"POST /v1/enrich HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s" % (key.encode(), len(_BODY), _BODY)
    )
    came = b""
    while some := connection.recv(65536):
        came += some
        head, found, body = came.partition(b"\r\n\r\n")
        if found and len(body) >= int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]):
            return int(came[9:12])
    raise ConnectionError


def _resident(process: psutil.Process) -> float:
    return sum(child.memory_info().rss for child in [process, *process.children(recursive=True)]) / 1e6


@contextmanager
def _serving(data: Path, counts: Path, workers: int) -> Iterator[tuple[int, psutil.Process]]:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    command = [sys.executable, "-m", "app.cli", "serve", "--port", str(port), "--workers", str(workers)]
    environment = {**os.environ, "IMDLENS_DATA_DIR": str(data), "IMDLENS_COUNTS_DIR": str(counts)}
    log = counts.parent / "guesses.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stderr=output, stdout=output)
    try:
        until = time.monotonic() + 60
        while log.read_text().count("a worker is ready") < workers:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.1)
        yield port, psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
