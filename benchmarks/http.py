"""One enrichment and batches over HTTP, beside an empty POST and a bare ASGI answer, in one run.

    python -m benchmarks.http [--seconds 5] [--rounds 3]

wrk asks each server in turn, several rounds, so that whatever else the machine does falls on all alike.
"""

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import httpx
import numpy as np
import pyarrow as pa

from app.reference.releases import current_index
from benchmarks import national

_SINGLES = 2_000
_GOALS = {"batch": "≥ 200,000 postcodes/s", "one": "≥ 0.6 × E", "a card": "p95 < 30 ms"}
_SIGNALS = {"snomed": ["32911000", "22298006"], "interpreter_required": True}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=int, default=5)
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    if not shutil.which("wrk"):
        sys.exit("wrk is needed: on Debian, apt-get install wrk")
    folder = national.files()
    data = national.CACHE / "national"
    if not (data / "current").exists():
        build = [sys.executable, "-m", "app.cli", "data", "build", str(folder), "--out", str(data)]
        subprocess.run(build, check=True, capture_output=True)
    print(f"Measured {national.machine('fastapi', 'uvicorn', 'pydantic')}; index {current_index(data).parent.name}\n")
    postcodes = national.postcodes(folder)
    picked = postcodes.take(pa.array(np.random.default_rng(2026).integers(0, len(postcodes), 40_000))).to_pylist()
    with tempfile.TemporaryDirectory() as scripts, ExitStack() as running:
        single = _script(Path(scripts) / "single.lua", [json.dumps({"postcode": p}) for p in picked[:_SINGLES]])
        area = _script(
            Path(scripts) / "area.lua", [json.dumps({"postcode": p, "include": ["area"]}) for p in picked[:_SINGLES]]
        )
        asked = {"include": ["context"], "signals": _SIGNALS}
        context = _script(
            Path(scripts) / "context.lua", [json.dumps({"postcode": p, **asked}) for p in picked[:_SINGLES]]
        )
        batches = [picked[i : i + 1000] for i in range(0, len(picked), 1000)]
        whole = [json.dumps({"records": [{"postcode": p} for p in some]}) for some in batches]
        lines = ["\n".join(json.dumps({"postcode": p}) for p in some) for some in batches]
        local = [p for p in picked if p.startswith(("NG", "DE"))][:1000]
        trust = [json.dumps({"records": [{"postcode": p} for p in (local * 1000)[:1000]]})]
        service = running.enter_context(_serving("app.main:create_app", "--factory", IMDLENS_DATA_DIR=str(data)))
        empty = running.enter_context(_serving("benchmarks.baseline:empty", "--factory"))
        bare = running.enter_context(_serving("benchmarks.baseline:bare", "--lifespan", "off"))
        opened = _script(Path(scripts) / "opened.lua", [""], method="GET")
        link = httpx.post(f"{service}/card", json={"postcode": local[0], **asked}).json()["url"]
        runs = {
            "bare ASGI answer": (bare, single, "/v1/enrich", 32),
            "E: empty POST, same middleware": (empty, single, "/v1/enrich", 32),
            "one enrichment": (service, single, "/v1/enrich", 32),
            "one enrichment, with area codes": (service, area, "/v1/enrich", 32),
            "one enrichment, full context and signals": (service, context, "/v1/enrich", 32),
            "a card made": (service, context, "/card", 1),
            "a card opened": (service, opened, f"/{link}", 1),
            "batch of 1,000, JSON": (service, _script(Path(scripts) / "json.lua", whole), "/v1/enrich/batch", 4),
            "batch of 1,000, NDJSON": (
                service,
                _script(Path(scripts) / "lines.lua", lines, "application/x-ndjson"),
                "/v1/enrich/batch",
                4,
            ),
            "batch of 1,000, one trust's area": (
                service,
                _script(Path(scripts) / "trust.lua", trust),
                "/v1/enrich/batch",
                4,
            ),
        }
        rates: dict[str, list[float]] = {name: [] for name in runs}
        tails: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(options.rounds):
            for name, (url, script, path, connections) in runs.items():
                rate, tail = _wrk(f"{url}{path}", script, connections, options.seconds)
                rates[name].append(rate)
                tails[name].append(tail)
    _print({name: median(r) for name, r in rates.items()}, {name: median(t) for name, t in tails.items()})


def _print(rates: dict[str, float], tails: dict[str, float]) -> None:
    base = rates["E: empty POST, same middleware"]
    rows = []
    for name, rate in rates.items():
        batch = name.startswith("batch")
        shown = f"{rate * 1000:,.0f} postcodes/s" if batch else f"{rate:,.0f} requests/s"
        goal = next((goal for begins, goal in _GOALS.items() if name.startswith(begins)), "")
        rows.append((name, goal, shown, "" if batch else f"{rate / base:.2f} × E", f"{tails[name]:.1f} ms"))
    print(national.table(("one worker", "goal", "measured", "ratio", "p99"), rows))


def _script(path: Path, bodies: list[str], kind: str = "application/json", method: str = "POST") -> Path:
    """A wrk script that sends these bodies in turn."""
    body = ",\n".join(f"[==[{b}]==]" for b in bodies)
    path.write_text(
        f'wrk.method = "{method}"\nwrk.headers["Content-Type"] = "{kind}"\n'
        f"local bodies = {{{body}}}\nlocal made, i = {{}}, 0\n"
        "init = function(args) for k, b in ipairs(bodies) do made[k] = wrk.format(nil, nil, nil, b) end end\n"
        "request = function() i = i % #made + 1; return made[i] end\n"
    )
    return path


def _wrk(url: str, script: Path, connections: int, seconds: int) -> tuple[float, float]:
    """Requests a second, and the 99th percentile in milliseconds; every answer must be a 2xx."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script), url]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in shown, shown
    rate = re.search(r"Requests/sec:\s+([\d.]+)", shown)
    tail = re.search(r"99%\s+([\d.]+)(us|ms|s)", shown)
    assert rate
    assert tail
    return float(rate[1]), float(tail[1]) * {"us": 0.001, "ms": 1, "s": 1000}[tail[2]]


@contextmanager
def _serving(application: str, *arguments: str, **environment: str) -> Iterator[str]:
    """One worker on a free port, its own process."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", application, *arguments, "--port", str(port), "--no-access-log"]
    process = subprocess.Popen(command, env={**os.environ, **environment}, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


if __name__ == "__main__":
    main()
