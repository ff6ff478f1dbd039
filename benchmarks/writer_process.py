"""A prototype to compare with: one process of a host commits for all its workers, instead of a thread in each.

    python -m benchmarks.writer_process [--seconds 4] [--rounds 3] [--workers 1 2]

Workers send their contacts through a Unix socket; what waits from all of them is one batch. It has no spool, no
deadline and no second try: it shows what the division costs or saves, and is no part of the service.
"""

import argparse
import asyncio
import json
import marshal
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from fastapi import FastAPI

from app import cli, counting
from app.counts.ledger import Ledger
from app.counts.store import Batch, CountStore, Event, Outcome
from app.database import is_sqlite, open_engine, upgrade
from benchmarks import national
from benchmarks.http import _script, _wrk
from benchmarks.ledger import _CONNECTIONS, _contacts, _keyed, _picked
from benchmarks.serving import Server, service
from tests.databases import Postgres, running_postgres

_SOCKET = "BENCHMARK_WRITER"


def _write(url: str, address: str) -> None:
    """The process: commit whatever has come from any worker, then answer it."""
    engine = open_engine(url)
    if is_sqlite(engine):
        upgrade(engine)
    store = CountStore(engine, "IoD2025")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    listening.listen()
    waiting = selectors.DefaultSelector()
    waiting.register(listening, selectors.EVENT_READ)
    buffers: dict[socket.socket, bytearray] = {}
    while True:
        asked: list[tuple[socket.socket, int, list[Event]]] = []
        for key, _ in waiting.select():
            if key.fileobj is listening:
                connection, _ = listening.accept()
                waiting.register(connection, selectors.EVENT_READ)
                buffers[connection] = bytearray()
                continue
            connection = key.fileobj  # type: ignore[assignment]
            buffers[connection] += (data := connection.recv(1 << 20))
            if not data:
                waiting.unregister(connection)
                connection.close()
                continue
            for number, events in _frames(buffers[connection]):
                asked.append((connection, number, [Event(*event) for event in events]))
        if asked:
            committed = store.commit(Batch.of(event for _, _, events in asked for event in events))
            seen: set[str] = set()
            answers: dict[socket.socket, list[bytes]] = {}
            for connection, number, events in asked:
                outcomes = [committed.outcome(event, seen) for event in events]
                answers.setdefault(connection, []).append(_frame((number, outcomes)))
            for connection, frames in answers.items():
                connection.sendall(b"".join(frames))


def _frame(item: Any) -> bytes:
    body = marshal.dumps(item)
    return len(body).to_bytes(4, "little") + body


def _frames(buffer: bytearray) -> Iterator[Any]:
    start = 0
    while len(buffer) - start >= 4:
        end = start + 4 + int.from_bytes(buffer[start : start + 4], "little")
        if end > len(buffer):
            break
        yield marshal.loads(buffer[start + 4 : end])  # noqa: S302 - from a process of our own
        start = end
    del buffer[:start]


class _Remote(asyncio.Protocol):
    """What a worker has in place of a ledger."""

    def __init__(self) -> None:
        self._buffer, self._out = bytearray(), list[bytes]()
        self._futures: dict[int, asyncio.Future[list[Outcome]]] = {}
        self._number = 0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        for number, outcomes in _frames(self._buffer):
            self._futures.pop(number).set_result(outcomes)

    async def count(self, events: Sequence[Event]) -> list[Outcome]:
        self._number += 1
        done = asyncio.get_running_loop().create_future()
        self._futures[self._number] = done
        if not self._out:
            asyncio.get_running_loop().call_soon(self._flush)
        self._out.append(_frame((self._number, [tuple(event) for event in events])))
        return await done

    def _flush(self) -> None:
        self._transport.write(b"".join(self._out))
        self._out.clear()


def create_app() -> FastAPI:
    """The service with the remote writer, when one is named."""
    from app import main

    address = os.environ.get(_SOCKET)
    app = main.create_app()
    if address:
        inner: Callable[..., Any] = counting.start_counting

        def start_counting(settings: Any) -> Any:
            intake = inner(settings)
            ledger: Ledger = intake._ledger  # noqa: SLF001
            remote = _Remote()
            loop = asyncio.get_running_loop()

            async def count(events: Sequence[Event]) -> list[Outcome]:
                if not hasattr(remote, "_transport"):
                    await loop.create_unix_connection(lambda: remote, address)
                return await remote.count(events)

            ledger.count = count  # type: ignore[method-assign]
            return intake

        main.start_counting = start_counting
    return app


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=int, default=4)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--workers", type=int, nargs="+", default=[2])
    options = arguments.parse_args()
    print(f"Measured {national.machine('uvicorn', 'sqlalchemy', 'psycopg')}, starter data\n")
    rates: dict[tuple[str, int, str, str], list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        Path(folder).chmod(0o755)
        data = Path(folder) / "data"
        build = [sys.executable, "-m", "app.cli", "data", "build", "--starter", "--out", str(data)]
        subprocess.run(build, check=True, capture_output=True)
        server = running.enter_context(running_postgres(Path(folder) / "pg"))
        services = {
            (store, workers, how): running.enter_context(_serving(Path(folder), data, store, workers, how, server))
            for workers in options.workers
            for store in ("SQLite", "PostgreSQL")
            for how in ("thread", "process")
        }
        for number in range(options.rounds + 1):
            for (store, workers, how), one in services.items():
                scripts = {
                    "uncounted": _script(
                        Path(folder) / "p.lua", [json.dumps({"postcode": p}) for p in _picked()], one.key
                    ),
                    "unkeyed": _script(Path(folder) / "u.lua", _contacts(), one.key),
                    "keyed": _keyed(Path(folder) / "k.lua", one.key),
                }
                for kind, script in scripts.items():
                    found = _wrk(f"{one.url}/v1/enrich", script, _CONNECTIONS, options.seconds if number else 2)
                    if number:
                        rates.setdefault((store, workers, how, kind), []).append(found)
    rows = []
    for (store, workers, how, kind), found in rates.items():
        rate = median(r for r, _ in found)
        base = median(r for r, _ in rates[store, workers, how, "uncounted"])
        name = f"{store}, {workers} workers, {how}, {kind}"
        rows.append((name, f"{rate:,.0f}/s", f"{rate / base:.2f}", f"{median(t for _, t in found):.0f} ms"))
    print(national.table(("", "capacity", "of uncounted", "p99 at capacity"), rows))


@contextmanager
def _serving(folder: Path, data: Path, store: str, workers: int, how: str, server: Postgres) -> Iterator[Server]:
    counts = folder / f"{store}-{workers}-{how}"
    counts.mkdir()
    url = server.new_database() if store == "PostgreSQL" else f"sqlite:///{counts / 'counts.sqlite'}"
    environment = {
        "IMDLENS_COUNTS_DIR": str(counts),
        "IMDLENS_DATABASE_URL": url,
        "IMDLENS_SECRET": "a secret for benchmarks",
    }
    with ExitStack() as running:
        if how == "process":
            environment[_SOCKET] = str(counts / "writer")
            program = f"from benchmarks.writer_process import _write; _write({url!r}, {str(counts / 'writer')!r})"
            writer = running.enter_context(subprocess.Popen([sys.executable, "-c", program]))
            running.callback(writer.terminate)
            while not (counts / "writer").exists():
                time.sleep(0.05)
        yield running.enter_context(service(data, workers, program="benchmarks.writer_process", **environment))


def serve() -> None:
    """`imdlens serve` of the service with the remote writer."""
    import uvicorn

    run = uvicorn.run
    uvicorn.run = lambda _, **named: run("benchmarks.writer_process:create_app", **named)
    cli.main()


if __name__ == "__main__":
    serve() if sys.argv[1:2] == ["serve"] else main()
