"""Millions of rows over one request, and the memory of both ends, beside batches of 1,000 in the same run.

    python -m benchmarks.stream [--rows 5000000]

The service is what `imdlens serve` runs. The client is a process of its own, which makes rows and reads answers at the
same time and keeps neither.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
import psutil
import pyarrow as pa

from app.reference.releases import current_index
from benchmarks import national, report
from benchmarks.serving import Server, service
from examples.stream import answers

_BATCH: Final = 1000
_MOST_IN_BATCHES: Final = 200_000
_MARKS: Final = (0.1, 0.5, 1.0)
_PIECE: Final = 1000  # rows that the client sends at once
_SPELLINGS: Final = 50_000
_MIB: Final = 2**20


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=5_000_000)
    report.add_option(arguments)
    arguments.add_argument("--drive", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.drive:
        _drive(**json.loads(options.drive))
        return
    folder = national.files()
    data = national.CACHE / "national"
    if not (data / "current").exists():
        build = [sys.executable, "-m", "app.cli", "data", "build", str(folder), "--out", str(data)]
        subprocess.run(build, check=True, capture_output=True)
    machine = national.machine("fastapi", "uvicorn", "pydantic")
    print(f"Measured {machine}; index {current_index(data).parent.name}\n")
    every = national.postcodes(folder)
    picked = every.take(pa.array(np.random.default_rng(2026).integers(0, len(every), _SPELLINGS))).to_pylist()
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        listed = Path(temporary) / "postcodes"
        listed.write_text("\n".join(picked))
        counts = {"IMDLENS_COUNTS_DIR": str(Path(temporary) / "counts"), "IMDLENS_CLIENT_ROWS_PER_MINUTE": "1000000000"}
        for kind in ("batches of 1,000, NDJSON", "stream, NDJSON", "stream, CSV"):
            many = min(options.rows, _MOST_IN_BATCHES) if kind.startswith("batch") else options.rows
            with service(data.absolute(), **counts) as server:  # a new one each time: memory is of this run alone
                rows.append((kind, f"{many:,}", *_measured(server, listed, kind, many)))
    heading = ["one worker", "rows", "rows/s", "service: MiB at 10%, 50%, 100%", "peak, growth from 10%"]
    print(national.table((*heading, "client: MiB at 10%, 50%, 100%", "peak, growth from 10%"), rows))
    beside = f"batches of 1,000 beside: {rows[0][2]}"
    figures = [
        report.Figure(
            f"{kind}, {many} rows over one request, rows/s", f"{rate}; service at 10%, 50%, 100%: {memory} MiB", beside
        )
        for kind, many, rate, memory, *_ in rows[1:]
    ]
    report.write(options.json, machine, figures)


def _measured(server: Server, listed: Path, kind: str, many: int) -> list[str]:
    """Rows a second, and the memory of both ends."""
    drive = {"url": server.url, "key": server.key, "listed": str(listed), "kind": kind, "rows": many}
    command = [sys.executable, "-m", "benchmarks.stream", "--drive", json.dumps(drive)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        ends = [psutil.Process(server.pid), psutil.Process(client.pid)]
        peaks, marks = [0, 0], list[tuple[int, ...]]()
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.05):
                peaks[:] = [max(peak, _rss(end)) for peak, end in zip(peaks, ends, strict=True)]

        watching = threading.Thread(target=watch)
        watching.start()
        assert client.stdout is not None
        said: dict[str, Any] = {}
        for line in client.stdout:
            said = json.loads(line)
            if "rate" not in said:
                marks.append(tuple(map(_rss, ends)))
        over.set()
        watching.join()
    assert client.returncode == 0
    shown = [f"{said['rate']:,.0f}"]
    for end in range(2):
        at = [mark[end] / _MIB for mark in marks]
        shown.append(", ".join(f"{mib:.0f}" for mib in at))
        shown.append(f"{max(peaks[end] / _MIB, *at):.0f}, {at[-1] - at[0]:+.1f}")
    return shown


def _rss(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


# ------------------------------------------------------------------------------------------------ the client


def _drive(url: str, key: str, listed: str, kind: str, rows: int) -> None:
    """Ask about so many rows; a line at each mark, when its memory may be looked at, and one with the rate."""
    postcodes = Path(listed).read_text().split("\n")
    done, marks, began = 0, [round(mark * rows) for mark in _MARKS], time.perf_counter()
    for answered in (
        _batches(url, key, postcodes, rows) if "batch" in kind else _stream(url, key, postcodes, kind, rows)
    ):
        done += answered
        while marks and done >= marks[0]:
            print(json.dumps({"done": marks.pop(0)}), flush=True)
    assert done == rows, (done, rows)
    print(json.dumps({"rate": rows / (time.perf_counter() - began)}), flush=True)
    time.sleep(0.2)  # so that the last mark finds a process


def _stream(url: str, key: str, postcodes: list[str], kind: str, rows: int) -> Iterator[int]:
    is_csv = kind.endswith("CSV")
    written = [f"{place},{p}\n" if is_csv else json.dumps({"postcode": p}) + "\n" for place, p in enumerate(postcodes)]
    pieces = ["".join(written[i : i + _PIECE]).encode() for i in range(0, len(written), _PIECE)]

    def body() -> Iterator[bytes]:
        if is_csv:
            yield b"id,postcode\n"
        for start in range(0, rows, _PIECE):
            yield pieces[start // _PIECE % len(pieces)]

    left = -1 if is_csv else 0  # the heading is no answer
    for piece in answers(url, key, body(), "text/csv" if is_csv else "application/x-ndjson"):
        left += piece.count(b"\n")
        if left > 0:
            yield left
            left = 0


def _batches(url: str, key: str, postcodes: list[str], rows: int) -> Iterator[int]:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/x-ndjson"}
    written = [json.dumps({"postcode": p}) for p in postcodes]
    bodies = ["\n".join(written[i : i + _BATCH]).encode() for i in range(0, len(written), _BATCH)]
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        for start in range(0, rows, _BATCH):
            answer = client.post("/v1/enrich/batch", content=bodies[start // _BATCH % len(bodies)])
            assert answer.status_code == 200, answer.status_code
            yield answer.content.count(b"\n")


if __name__ == "__main__":
    main()
