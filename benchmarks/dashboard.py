"""Pages of the dashboard over stores of a million cells and more, made anew and kept.

    python -m benchmarks.dashboard [--cells 1 10] [--requests 200]

Cold is the first request for a page in a new process's memory, charts and all; warm is every one after that. The
stores hold whole years, so that every page has its charts. Then pages of the demonstration are opened from a served
worker, while one enrichment is sent every 5 ms and waited for: how long it waits is what the dashboard costs others.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from http.client import HTTPConnection
from pathlib import Path
from statistics import quantiles

import httpx
import psutil
from fastapi.testclient import TestClient

from app.counting import open_store
from app.counts.seal import Publisher, seal
from app.settings import Settings
from benchmarks import national, report, serving
from benchmarks.tables import fill_cells
from tests.service import calling

_EVERY = 0.005  # seconds


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--cells", type=int, nargs="+", default=[1, 10], help="millions")
    arguments.add_argument("--requests", type=int, default=200)
    report.add_option(arguments)
    options = arguments.parse_args()
    machine = f"{national.machine('fastapi', 'sqlalchemy', 'vl-convert-python')}; SQLite"
    print(f"Measured {machine}\n")
    rows = []
    for millions in options.cells:
        with tempfile.TemporaryDirectory() as folder:
            rows += _measure(Path(folder), millions, options.requests)
    print(national.table(("cells", "page", "cold", "warm: p50", "warm: p95"), rows))
    figures = [
        report.Figure(f"{page} over {cells} cells, warm: p95", p95, f"cold: {cold}", "p95 ≤ 300 ms")
        for cells, page, cold, _, p95 in rows
    ]
    with tempfile.TemporaryDirectory() as folder:
        beside = _beside(Path(folder))
    print(national.table(("while", "enrichments", "p50", "p99", "longest", "the page itself"), beside))
    figures += [
        report.Figure(f"one enrichment while {what}: longest", longest, f"p99 {p99}", "≤ 100 ms")
        for what, _, _, p99, longest, _ in beside
    ]
    report.write(options.json, machine, figures)


def _measure(folder: Path, millions: int, requests: int) -> list[tuple[str, ...]]:
    settings = Settings(data_dir=folder, counts_dir=folder / "counts")
    engine = open_store(settings, patient=True)
    for month in fill_cells(engine, millions * 1_000_000, whole_years=True):
        assert seal(engine, month, Publisher(edition="IoD2025", without_rates=True))
    engine.dispose()
    rows = []
    with calling(settings) as client:
        unit = "dashboard/specialties/100"
        for page in ("dashboard", unit, f"{unit}/detail", "dashboard/ranking?measure=core20_share"):
            cold = _asked(client, page)
            times = quantiles([_asked(client, page) for _ in range(requests)], n=100)
            rows.append((f"{millions} M", f"`/{page}`", f"{cold:.0f} ms", f"{times[49]:.1f} ms", f"{times[94]:.1f} ms"))
    return rows


def _asked(client: TestClient, page: str) -> float:
    """Milliseconds until a page was answered."""
    started = time.perf_counter()
    answer = client.get(f"/{page}")
    took = 1000 * (time.perf_counter() - started)
    assert answer.status_code == 200, answer.text
    return took


def _beside(folder: Path) -> list[tuple[str, ...]]:
    """How long enrichments wait at one worker while pages are opened there."""
    command = [sys.executable, "-m", "app.cli", "demo", "--out", str(folder / "demo")]
    subprocess.run(command, check=True, capture_output=True)
    units = [f"dashboard/specialties/{unit}" for unit in ("100", "110", "300", "320", "330", "340", "400")]
    pages = {
        "no page is opened": [],
        "the first chart is drawn": ["dashboard"],
        "seven specialties are opened": units,
        "and again, as kept": units * 20,
        "three briefs are written": [f"{unit}/brief" for unit in units[:3]],
    }
    with serving.service(folder / "demo", IMDLENS_DESIGN_EFFECT="1.5") as server:
        _opening(server, [])  # connections, caches
        rows = [(what, *_opening(server, opened)) for what, opened in pages.items()]
        service = psutil.Process(server.pid)
        sizes = [f"{one.memory_full_info().uss / 1e6:.0f} MB" for one in (service, *service.children(recursive=True))]
    print(f"Memory of the worker, and of what draws for it: {', '.join(sizes)}\n")
    return rows


def _opening(server: serving.Server, pages: list[str]) -> tuple[str, ...]:
    """Enrichments sent, p50, p99 and the longest; and the slowest page."""
    waits: list[float] = []
    is_over = threading.Event()
    asking = threading.Thread(target=_enrich, args=(server, is_over, waits))
    asking.start()
    time.sleep(2)
    slowest = 0.0
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {server.key}"}, timeout=30) as client:
        for page in pages:
            started = time.perf_counter()
            assert client.get(f"/{page}").status_code == 200, page
            slowest = max(slowest, 1000 * (time.perf_counter() - started))
    is_over.set()
    asking.join()
    hundredths = quantiles(waits, n=100)
    shown = [f"{one:.1f} ms" for one in (hundredths[49], hundredths[98], max(waits))]
    return (f"{len(waits):,}", *shown, f"{slowest:.0f} ms" if pages else "")


def _enrich(server: serving.Server, is_over: threading.Event, waits: list[float]) -> None:
    """One enrichment each 5 ms, or as soon as the one before it is answered."""
    body, headers = '{"postcode": "NG1 5DT"}', {"Authorization": f"Bearer {server.key}"}
    connection = HTTPConnection(server.url.removeprefix("http://"))
    while not is_over.wait(_EVERY):
        started = time.perf_counter()
        connection.request("POST", "/v1/enrich", body, headers | {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        waits.append(1000 * (time.perf_counter() - started))
        assert answer.status == 200
    connection.close()


if __name__ == "__main__":
    main()
