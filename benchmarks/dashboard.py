"""Pages of the dashboard over stores of a million cells and more, made anew and kept.

    python -m benchmarks.dashboard [--cells 1 10] [--requests 200]

Cold is the first request for a page in a new process's memory, charts and all; warm is every one after that. The
stores hold whole years, so that every page has its charts. Then pages of the demonstration are opened from a served
worker, while one enrichment is sent every 5 ms and waited for: how long it waits is what the dashboard costs others.
"""

import argparse
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import quantiles

import httpx
import psutil
from fastapi.testclient import TestClient

from app.counting import open_store
from app.counts.seal import Publisher, seal
from app.demo import build_demo
from app.settings import Settings
from benchmarks import national, report, serving
from benchmarks.tables import fill_cells
from tests.service import calling


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


if __name__ == "__main__":
    main()
