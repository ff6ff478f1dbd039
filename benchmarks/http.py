"""One enrichment and batches over HTTP, beside an empty POST and a bare ASGI answer, in one run.

    python -m benchmarks.http [--seconds 5] [--rounds 3]

wrk asks each server in turn, several rounds, so that whatever else the machine does falls on all alike. The service is
what `imdlens serve` runs, asked with a key, its lines written to a file.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import httpx
import numpy as np
import pyarrow as pa

from app.reference.releases import current_index
from benchmarks import national, report
from benchmarks.serving import application, service

_SINGLES = 2_000
_MOST_REFUSED = 0.1
_E = "E: empty POST, same server"
_GOALS = {"batch": "≥ 200,000 postcodes/s", "one": "≥ 0.6 × E", "a card": "p95 < 30 ms"}
_SIGNALS = {"snomed": ["32911000", "22298006"], "interpreter_required": True}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=int, default=5)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--only", nargs="+", help="parts of the names of rows to measure, beside E")
    report.add_option(arguments)
    options = arguments.parse_args()
    if not shutil.which("wrk"):
        sys.exit("wrk is needed: on Debian, apt-get install wrk")
    folder = national.files()
    data = national.index(folder)
    machine = f"{national.machine('fastapi', 'uvicorn', 'pydantic')}; index {current_index(data).parent.name}"
    print(f"Measured {machine}\n")
    postcodes = national.postcodes(folder)
    picked = postcodes.take(pa.array(np.random.default_rng(2026).integers(0, len(postcodes), 40_000))).to_pylist()
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as running:
        folder = Path(temporary)
        counts = {"IMDLENS_COUNTS_DIR": str(folder / "counts")}
        rows = {"IMDLENS_CLIENT_ROWS_PER_MINUTE": "1000000000"}  # counted as ever, and never too many
        ours = running.enter_context(service(data, **counts, **rows))
        unguarded = running.enter_context(
            application("benchmarks.baseline:unguarded", "--factory", IMDLENS_DATA_DIR=str(data), **counts)
        )
        empty = running.enter_context(application("benchmarks.baseline:empty", "--factory"))
        bare = running.enter_context(application("benchmarks.baseline:bare", "--lifespan", "off"))

        def script(bodies: list[str], kind: str = "application/json", method: str = "POST") -> Path:
            return _script(folder / f"{len(list(folder.iterdir()))}.lua", bodies, ours.key, kind, method)

        asked = {"include": ["context"], "signals": _SIGNALS}
        single = script([json.dumps({"postcode": p}) for p in picked[:_SINGLES]])
        area = script([json.dumps({"postcode": p, "include": ["area"]}) for p in picked[:_SINGLES]])
        context = script([json.dumps({"postcode": p, **asked}) for p in picked[:_SINGLES]])
        batches = [picked[i : i + 1000] for i in range(0, len(picked), 1000)]
        whole = script([json.dumps({"records": [{"postcode": p} for p in some]}) for some in batches])
        lines = ["\n".join(json.dumps({"postcode": p}) for p in some) for some in batches]
        local = [p for p in picked if p.startswith(("NG", "DE"))][:1000]
        trust = script([json.dumps({"records": [{"postcode": p} for p in (local * 1000)[:1000]]})])
        bearer = {"Authorization": f"Bearer {ours.key}"}
        link = httpx.post(f"{ours.url}/card", json={"postcode": local[0], **asked}, headers=bearer).json()["url"]
        runs = {
            "bare ASGI answer": (bare, single, "/v1/enrich", 32),
            _E: (empty, single, "/v1/enrich", 32),
            "one enrichment": (ours, single, "/v1/enrich", 32),
            "one enrichment, with area codes": (ours, area, "/v1/enrich", 32),
            "one enrichment, full context and signals": (ours, context, "/v1/enrich", 32),
            "(full context without key, line and metrics)": (unguarded, context, "/v1/enrich", 32),
            "a card made": (ours, context, "/card", 1),
            "a card opened": (ours, script([""], method="GET"), f"/{link}", 1),
            "batch of 1,000, JSON": (ours, whole, "/v1/enrich/batch", 4),
            "batch of 1,000, NDJSON": (ours, script(lines, "application/x-ndjson"), "/v1/enrich/batch", 4),
            "batch of 1,000, one trust's area": (ours, trust, "/v1/enrich/batch", 4),
        }
        if options.only:
            runs = {name: run for name, run in runs.items() if name == _E or any(o in name for o in options.only)}
        rates: dict[str, list[float]] = {name: [] for name in runs}
        tails: dict[str, list[float]] = {name: [] for name in runs}
        costs: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(options.rounds):
            for name, (server, script_of, path, connections) in runs.items():
                before = server.used()
                rate, tail = _wrk(f"{server.url}{path}", script_of, connections, options.seconds)
                costs[name].append((server.used() - before) / (rate * options.seconds) * 1e6)
                rates[name].append(rate)
                tails[name].append(tail)
    shown = _print(rates, costs, {name: median(t) for name, t in tails.items()})
    ours = [row for row in shown if row[0].startswith(tuple(_GOALS))]
    figures = [
        report.Figure(name, f"{rate}, 99% within {tail}", ratio, goal) for name, goal, rate, ratio, _, tail in ours
    ]
    report.write(options.json, machine, figures)


def _print(
    measured: dict[str, list[float]], costs: dict[str, list[float]], tails: dict[str, float]
) -> list[tuple[str, ...]]:
    rows = []
    for name, found in measured.items():
        rate, ratios = median(found), sorted(f / e for f, e in zip(found, measured[_E], strict=True))
        batch = name.startswith("batch")
        shown = f"{rate * 1000:,.0f} postcodes/s" if batch else f"{rate:,.0f} requests/s"
        goal = next((goal for begins, goal in _GOALS.items() if name.startswith(begins)), "")
        ratio = "" if batch else f"{median(ratios):.2f} × E ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        cost = median(costs[name])
        of_e = "" if batch else f", {median(costs[_E]) / cost:.2f} × E"
        rows.append((name, goal, shown, ratio, f"{cost:,.0f} µs{of_e}", f"{tails[name]:.1f} ms"))
    heading = ("one worker", "goal", "measured", "ratio, and its spread over rounds", "processor time of one", "p99")
    print(national.table(heading, rows))
    return rows


def _script(path: Path, bodies: list[str], key: str, kind: str = "application/json", method: str = "POST") -> Path:
    """A wrk script that sends these bodies in turn, with a key."""
    body = ",\n".join(f"[==[{b}]==]" for b in bodies)
    path.write_text(
        f'wrk.method = "{method}"\nwrk.headers["Content-Type"] = "{kind}"\n'
        f'wrk.headers["Authorization"] = "Bearer {key}"\n'
        f"local bodies = {{{body}}}\nlocal made, i = {{}}, 0\n"
        "init = function(args) for k, b in ipairs(bodies) do made[k] = wrk.format(nil, nil, nil, b) end end\n"
        "request = function() i = i % #made + 1; return made[i] end\n"
    )
    return path


def _wrk(url: str, script: Path, connections: int, seconds: int) -> tuple[float, float]:
    """Answers a second, and the 99th percentile in milliseconds.

    A worker that gets too little of the machine refuses some (503). Those are no answers; more than few are an error.
    """
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script), url]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", shown)
    tail = re.search(r"99%\s+([\d.]+)(us|ms|s)", shown)
    total = re.search(r"([\d]+) requests in", shown)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", shown)
    assert rate
    assert tail
    assert total
    share = int(refused[1]) / int(total[1]) if refused else 0.0
    assert share < _MOST_REFUSED, shown
    return float(rate[1]) * (1 - share), float(tail[1]) * {"us": 0.001, "ms": 1, "s": 1000}[tail[2]]


if __name__ == "__main__":
    main()
