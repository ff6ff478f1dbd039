"""Clients that do what no client should, beside one that behaves: what each got, when, and what was counted.

    python -m benchmarks.clumsy [--connections 50]

Each kind opens so many connections at once to one worker, whose bounds are the defaults but for 5 seconds instead of 30
for a body. A contact stands in every body; none of those may be counted, since none arrived whole.
"""

import argparse
import json
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import quantiles
from typing import Final, NamedTuple

import httpx

from app.counting import open_store
from app.settings import Settings
from benchmarks import national, report
from benchmarks.chaos import starter_data
from benchmarks.serving import Server, service

_MOST_SECONDS: Final = 25.0
_BODY: Final = json.dumps(
    {"postcode": "NG1 1AA", "contact": {"specialty": "340", "type": "outpatient", "age": 54, "sex": "female"}}
).encode()


class Kind(NamedTuple):
    """What a client does, in words and in deed; its last deed is to wait for what it is told."""

    what: str
    does: Callable[[socket.socket, bytes], None]


def _head(key: bytes, length: int, *more: bytes) -> bytes:
    lines = [b"POST /v1/enrich HTTP/1.1", b"Host: 127.0.0.1", b"Content-Type: application/json"]
    lines += [b"Authorization: Bearer " + key, b"Content-Length: %d" % length, *more]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _nothing(_: socket.socket, __: bytes) -> None:
    """Says nothing at all."""


def _slow_head(stranger: socket.socket, key: bytes) -> None:
    _dripped(stranger, _head(key, len(_BODY)))


def _slow_body(stranger: socket.socket, key: bytes) -> None:
    stranger.sendall(_head(key, len(_BODY)))
    _dripped(stranger, _BODY[:-1])


def _dripped(stranger: socket.socket, data: bytes) -> None:
    stranger.settimeout(0.5)
    for byte in data:
        stranger.sendall(bytes([byte]))
        try:
            if stranger.recv(1, socket.MSG_PEEK) is not None:
                return
        except TimeoutError:
            continue


def _truncated(stranger: socket.socket, key: bytes) -> None:
    """Half of the body, and no more will come."""
    stranger.sendall(_head(key, len(_BODY)) + _BODY[: len(_BODY) // 2])
    stranger.shutdown(socket.SHUT_WR)


def _gone(stranger: socket.socket, key: bytes) -> None:
    """Half of the body, then nobody is there."""
    stranger.sendall(_head(key, len(_BODY)) + _BODY[: len(_BODY) // 2])


def _huge_head(stranger: socket.socket, key: bytes) -> None:
    stranger.sendall(_head(key, len(_BODY), *(b"X-%d: %s" % (number, b"a" * 1000) for number in range(100))))


def _no_http(stranger: socket.socket, _: bytes) -> None:
    stranger.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)))


KINDS: Final = (
    Kind("connects and says nothing", _nothing),
    Kind("sends a head byte by byte", _slow_head),
    Kind("sends a body byte by byte", _slow_body),
    Kind("stops within the body and waits", _gone),
    Kind("ends its side within the body", _truncated),
    Kind("sends a head of 100 KB", _huge_head),
    Kind("speaks no HTTP", _no_http),
)


def told(server: Server, kind: Kind) -> tuple[str, float]:
    """What one client got, and after how many seconds its connection was over."""
    host, port = server.url.removeprefix("http://").split(":")
    began = time.monotonic()
    with socket.create_connection((host, int(port))) as stranger:
        try:
            kind.does(stranger, server.key.encode())
            stranger.settimeout(_MOST_SECONDS)
            answer = stranger.recv(65_536)
            while answer and (more := stranger.recv(65_536)):
                answer += more
        except TimeoutError:
            return "left open", time.monotonic() - began
        except OSError:
            return "closed", time.monotonic() - began
    return answer[9:12].decode("latin-1") if answer.startswith(b"HTTP/") else "closed", time.monotonic() - began


class _Good(threading.Thread):
    """One request after another, beside."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self._server, self.ends = server, threading.Event()
        self.times: list[float] = []
        self.statuses: Counter[int] = Counter()

    def run(self) -> None:
        with httpx.Client(headers={"Authorization": f"Bearer {self._server.key}"}, timeout=30) as client:
            while not self.ends.wait(0.02):
                began = time.monotonic()
                self.statuses[
                    client.post(f"{self._server.url}/v1/enrich", json={"postcode": "NG1 1AA"}).status_code
                ] += 1
                self.times.append(time.monotonic() - began)


def met(server: Server, kind: Kind, connections: int) -> tuple[Counter[str], float, _Good]:
    """So many of one kind at once: what they got, when the last was over, and how the good client fared."""
    good = _Good(server)
    good.start()
    with ThreadPoolExecutor(connections) as pool:
        outcomes = list(pool.map(lambda _: told(server, kind), range(connections)))
    time.sleep(0.2)
    good.ends.set()
    good.join()
    return Counter(what for what, _ in outcomes), max(seconds for _, seconds in outcomes), good


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m benchmarks.clumsy", description=__doc__)
    arguments.add_argument("--connections", type=int, default=50)
    report.add_option(arguments)
    options = arguments.parse_args()
    machine = national.machine("fastapi", "uvicorn", "httptools")
    print(f"Measured {machine}; {options.connections} connections at once\n")
    rows, well = [], True
    with tempfile.TemporaryDirectory() as temporary:
        data, counts = starter_data(Path(temporary)), Path(temporary) / "counts"
        with service(data, IMDLENS_COUNTS_DIR=str(counts), IMDLENS_BODY_SECONDS="5") as server:
            for kind in KINDS:
                got, seconds, good = met(server, kind, options.connections)
                p99 = quantiles(good.times, n=100)[98] * 1000 if len(good.times) > 1 else 0.0
                said = ", ".join(f"{what} ×{n}" for what, n in got.most_common())
                rows.append((kind.what, said, f"{seconds:.1f} s", f"{dict(good.statuses)}", f"{p99:.0f} ms"))
                well &= set(good.statuses) <= {200, 503} and "left open" not in got
        engine = open_store(Settings(data_dir=data, counts_dir=counts))
        with engine.connect() as connection:
            counted = connection.exec_driver_sql("SELECT count(*) FROM flow").scalar_one()
        engine.dispose()
    print(national.table(("a client", "gets", "over after", "the good client beside", "its p99"), rows))
    print(f"\ncounted of all their contacts: {counted}")
    figures = [
        report.Figure(f"{kind}, {options.connections} at once", f"{said}, over after {over}", p99)
        for kind, said, over, _, p99 in rows
    ]
    report.write(options.json, machine, figures)
    sys.exit(not well or counted > 0)


if __name__ == "__main__":
    main()
