"""One worker at four times what it can answer: what is answered, what is refused, how fast, and what comes after.

    python -m benchmarks.overload [--seconds 30] [--times 4] [--connections 900]

Requests are sent when they are due, whether or not earlier ones are answered (open loop), and a latency counts from
when its request was due: also where no connection was free to send it. Server and generator are pinned to one core each
where the machine has two, so that "what it can answer" is what one core can.
"""

import argparse
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from benchmarks import national, report, serving

_POSTCODES: Final = ("NG1 1AA", "ng11aa", "ZZ99 3VZ", "DT1 1AA", "NG7 2RD", "not one")
_BATCH: Final = 1000


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=30)
    arguments.add_argument("--times", type=float, default=4)
    arguments.add_argument("--connections", type=int, default=900)
    arguments.add_argument("--quiet", type=float, default=5, help="seconds of each of the other stages")
    arguments.add_argument("--drive", help=argparse.SUPPRESS)
    report.add_option(arguments)
    options = arguments.parse_args()
    if options.drive:
        print(json.dumps(_Driver(**json.loads(options.drive)).run()))
        return
    machine = national.machine("uvicorn", "httptools", "uvloop")
    print(f"Measured {machine}\n")
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    with tempfile.TemporaryDirectory() as folder, _serving(Path(folder), cores[0]) as (port, pid, key):
        memory = _Watched(pid)
        drive = {"port": port, "key": key, "connections": options.connections, "quiet": options.quiet}
        drive |= {"seconds": options.seconds, "times": options.times, "core": cores[-1]}
        command = [sys.executable, "-m", "benchmarks.overload", "--drive", json.dumps(drive)]
        limit = options.seconds + 10 * options.quiet + 60
        driver = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            shown, _ = driver.communicate(timeout=limit)
        finally:
            if driver.poll() is None:
                driver.kill()
                driver.wait()
        memory.stop()
    stages = json.loads(shown)
    _print(stages, memory)
    figures = [
        report.Figure(
            f"one worker, requests due: {stage['name']}",
            f"99% of what is answered within {stage['accepted_ms'][1]:.0f} ms",
            f"{stage['accepted'] / stage['seconds']:,.0f}/s answered, {stage['shed'] / stage['seconds']:,.0f}/s not",
            "p99 < 250 ms",
        )
        for stage in stages
        if stage["rate"]
    ]
    report.write(options.json, machine, figures)


def _print(stages: list[dict[str, Any]], memory: "_Watched") -> None:
    rows: list[tuple[str, ...]] = []
    for stage in stages:
        resident = memory.between(stage["began"], stage["ended"])
        due = f"{stage['rate']:,.0f}/s" if stage["rate"] else "as fast as answered"
        rows.append(
            (
                stage["name"],
                due,
                f"{stage['accepted'] / stage['seconds']:,.0f}/s",
                f"{stage['shed'] / stage['seconds']:,.0f}/s",
                f"{stage['other'] + stage['unsent']:,}",
                f"{stage['accepted_ms'][0]:.1f}, {stage['accepted_ms'][1]:.1f}, {stage['accepted_ms'][2]:.0f} ms",
                f"{stage['shed_ms'][1]:.1f} ms" if stage["shed"] else "",
                f"{stage['late_ms']:.1f} ms",
                f"{memory.busy(stage['began'], stage['ended']):.0%}, {stage['busy']:.0%}",
                f"{resident[0]:.1f} to {resident[1]:.1f} MB" if resident else "",
            )
        )
    heading = ("stage", "due", "answered", "refused", "neither", "answered in: p50, p99, most", "refused in: p99")
    print(national.table((*heading, "sent late: p99", "processor: server, generator", "resident"), rows))


class _Watched:
    """What a process holds resident and uses, every quarter of a second."""

    def __init__(self, pid: int) -> None:
        self._folder, self._stopped = Path(f"/proc/{pid}"), threading.Event()
        self._seen: list[tuple[float, float, float]] = []
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stopped.wait(0.25):
            try:
                pages = int((self._folder / "statm").read_text().split()[1])
                used = sum(map(int, (self._folder / "stat").read_text().rsplit(")", 1)[1].split()[11:13]))
            except OSError:
                return
            size, seconds = pages * os.sysconf("SC_PAGE_SIZE") / 1e6, used / os.sysconf("SC_CLK_TCK")
            self._seen.append((time.monotonic(), size, seconds))

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def between(self, began: float, ended: float) -> tuple[float, float] | None:
        """The least and the most in megabytes."""
        some = [size for when, size, _ in self._seen if began <= when <= ended]
        return (min(some), max(some)) if some else None

    def busy(self, began: float, ended: float) -> float:
        """The share of one core that the process used."""
        some = [(when, used) for when, _, used in self._seen if began <= when <= ended]
        return (some[-1][1] - some[0][1]) / (some[-1][0] - some[0][0]) if len(some) > 1 else 0.0


@contextmanager
def _serving(folder: Path, core: int) -> Iterator[tuple[int, int, str]]:
    """`imdlens serve` on starter data: its port, its process and a key."""
    data = folder / "data"
    build = [sys.executable, "-m", "app.cli", "data", "build", "--starter", "--out", str(data)]
    subprocess.run(build, check=True, capture_output=True)
    key = serving.key(data)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    command = [sys.executable, "-m", "app.cli", "serve", "--port", str(port)]
    process = subprocess.Popen(
        command, env={**os.environ, "IMDLENS_DATA_DIR": str(data)}, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    _pin(process.pid, core)  # before it has threads, which take it over
    try:
        for _ in range(300):
            try:
                if httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=1).status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.1)
        yield port, process.pid, key
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _pin(pid: int, core: int) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(pid, {core})


class _Driver:
    """The generator: one thread, one epoll, keep-alive connections, one request at a time on each."""

    def __init__(
        self, port: int, key: str, connections: int, quiet: float, seconds: float, times: float, core: int
    ) -> None:
        _pin(0, core)
        self.port, self.connections, self.quiet, self.seconds, self.times = port, connections, quiet, seconds, times
        bodies = [json.dumps({"postcode": postcode}).encode() for postcode in _POSTCODES]
        self.requests = [
            b"POST /v1/enrich HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s" % (key.encode(), len(body), body)
            for body in bodies
        ]
        self.poll = select.epoll()
        self.sockets: dict[int, socket.socket] = {}
        self.idle: deque[int] = deque()
        self.partial: dict[int, bytes] = {}
        self.lost = 0

    def run(self) -> list[dict[str, Any]]:
        self._connect(32)
        self._stage("warming up", None, 2)
        closed = self._stage("capacity (closed loop, 32 connections)", None, self.quiet)
        capacity = closed["accepted"] / closed["seconds"]
        self._connect(self.connections)
        return [
            closed,
            self._stage("half of it", capacity / 2, self.quiet),
            self._stage(f"{self.times:g} times it", capacity * self.times, self.seconds),
            self._stage("half of it, at once afterwards", capacity / 2, self.quiet),
            self._stage("half of it, later", capacity / 2, self.quiet),
        ]

    def _connect(self, wanted: int) -> None:
        while len(self.sockets) < wanted:
            connection = socket.create_connection(("127.0.0.1", self.port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setblocking(False)
            self.sockets[connection.fileno()] = connection
            self.poll.register(connection.fileno(), select.EPOLLIN)
            self.idle.append(connection.fileno())

    def _stage(self, name: str, rate: float | None, seconds: float) -> dict[str, Any]:
        """Send for some seconds, at this rate or as fast as answers come; what became of it."""
        accepted: list[float] = []
        shed: list[float] = []
        late: list[float] = []
        due_at: dict[int, float] = {}
        other = sent = 0
        clock, idle, requests, sockets = time.monotonic, self.idle, self.requests, self.sockets
        self._connect(len(self.sockets) + self.lost)
        self.lost = 0
        began = now = clock()
        ended = began + seconds
        used = time.process_time()
        while due_at or now < ended:
            if now < ended:
                due = len(idle) + sent if rate is None else int((now - began) * rate)
                while sent < due and idle:
                    file = idle.popleft()
                    moment = now if rate is None else began + sent / rate
                    try:
                        sockets[file].send(requests[sent % len(requests)])
                    except OSError:
                        self._drop(file)
                        continue
                    due_at[file] = moment
                    late.append(clock() - moment)
                    sent += 1
            elif now > ended + 10:
                break
            for file, _ in self.poll.poll(0.001):
                try:
                    answer = self.partial.pop(file, b"") + sockets[file].recv(65536)
                except OSError:
                    answer = b""
                if not answer:
                    other += due_at.pop(file, None) is not None
                    self._drop(file)
                    continue
                if not _is_whole(answer):
                    self.partial[file] = answer
                    continue
                taken = clock() - due_at.pop(file)
                status = answer[9:12]
                if status == b"200":
                    accepted.append(taken)
                elif status == b"503":
                    shed.append(taken)
                else:
                    other += 1
                idle.append(file)
            now = clock()
        used = (time.process_time() - used) / (now - began)
        unsent = 0 if rate is None else int(seconds * rate) - sent
        return {
            "name": name,
            "rate": rate,
            "seconds": seconds,
            "began": began,
            "ended": ended,
            "accepted": len(accepted),
            "shed": len(shed),
            "other": other + len(due_at),
            "unsent": unsent,
            "accepted_ms": _percentiles(accepted),
            "shed_ms": _percentiles(shed),
            "busy": used,
            "late_ms": _percentiles(late)[1],
        }

    def _drop(self, file: int) -> None:
        self.poll.unregister(file)
        self.sockets.pop(file).close()
        self.partial.pop(file, None)
        self.lost += 1


def _is_whole(answer: bytes) -> bool:
    head = answer.find(b"\r\n\r\n")
    if head < 0:
        return False
    at = answer.lower().find(b"content-length: ", 0, head)
    return len(answer) >= head + 4 + int(answer[at + 16 : answer.index(b"\r\n", at)])


def _percentiles(seconds: list[float]) -> tuple[float, float, float]:
    if not seconds:
        return 0.0, 0.0, 0.0
    ordered = sorted(seconds)
    at = len(ordered) - 1
    return ordered[at // 2] * 1000, ordered[at * 99 // 100] * 1000, ordered[-1] * 1000


if __name__ == "__main__":
    main()
