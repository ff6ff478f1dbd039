"""What durable counting costs: enrichments with a contact beside enrichments without one, in one run.

    python -m benchmarks.ledger [--seconds 4] [--rounds 3] [--rate-seconds 8]

wrk asks each server in turn, several rounds. Tails are taken at half of the counted capacity by a client that
sends at a fixed rate and counts its time from when a request was due, which wrk cannot do.
"""

import argparse
import asyncio
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple
from uuid import uuid4

from app.database import open_engine
from benchmarks import national, report
from benchmarks.http import _script, _wrk
from benchmarks.serving import service as running
from tests.databases import Postgres, running_postgres
from tests.starter_data import postcodes

_SPECIALTIES = ("100", "110", "120", "130", "300", "301", "320", "330", "340", "410", "420", "430", "501", "502")
_OUTCOMES = ("attended", "attended", "attended", "did_not_attend", "cancelled_by_patient")
_CONNECTIONS = 32


class Service(NamedTuple):
    """A running service, a key to it, and the address of its store."""

    url: str
    key: str
    store: str


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=int, default=4)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--rate-seconds", type=int, default=8)
    arguments.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    arguments.add_argument("--stores", nargs="+", default=["SQLite", "PostgreSQL"])
    report.add_option(arguments)
    options = arguments.parse_args()
    if not shutil.which("wrk"):
        sys.exit("wrk is needed: on Debian, apt-get install wrk")
    machine = f"{national.machine('fastapi', 'uvicorn', 'sqlalchemy', 'psycopg')}; starter data"
    print(f"Measured {machine}\n")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        Path(folder).chmod(0o755)  # PostgreSQL runs as another user
        data = Path(folder) / "data"
        build = [sys.executable, "-m", "app.cli", "data", "build", "--starter", "--out", str(data)]
        subprocess.run(build, check=True, capture_output=True)
        server = (
            running.enter_context(running_postgres(Path(folder) / "pg")) if "PostgreSQL" in options.stores else None
        )
        services = {
            (store, workers): running.enter_context(_serving(Path(folder), data, store, workers, server))
            for workers in options.workers
            for store in options.stores
        }
        scripts = Path(folder)
        rates: dict[tuple[str, str, int], list[float]] = {}
        shares: dict[tuple[str, str, int], list[float]] = {}
        for number in range(options.rounds + 1):
            for (store, workers), service in services.items():
                plain = _script(scripts / "plain.lua", [json.dumps({"postcode": p}) for p in _picked()], service.key)
                unkeyed = _script(scripts / "unkeyed.lua", _contacts(), service.key)
                keyed = _keyed(scripts / "keyed.lua", service.key)
                for kind, script in (("uncounted", plain), ("unkeyed", unkeyed), ("keyed", keyed)):
                    before = _stored(service.store)
                    seconds = options.seconds if number else 1  # the first round warms up
                    rate, _ = _wrk(f"{service.url}/v1/enrich", script, _CONNECTIONS, seconds)
                    if number:
                        rates.setdefault((kind, store, workers), []).append(rate)
                        share = (_stored(service.store) - before) / (rate * seconds)
                        shares.setdefault((kind, store, workers), []).append(share)
        medians = {name: median(found) for name, found in rates.items()}
        tails = _tails(services, medians, options.rate_seconds) if options.rate_seconds else {}
    rows = _print(medians, {name: median(found) for name, found in shares.items()}, tails)
    figures = [
        report.Figure(
            f"one enrichment, durably counted: {name}",
            rate,
            f"{ratio} of uncounted; p99 {tail or 'not taken'}",
            "≥ 0.5 of uncounted",
        )
        for name, rate, ratio, _, tail in rows
        if not name.endswith("uncounted")
    ]
    report.write(options.json, machine, figures)


def _print(
    rates: dict[tuple[str, str, int], float],
    shares: dict[tuple[str, str, int], float],
    tails: dict[tuple[str, str, int], tuple[float, float, float]],
) -> list[tuple[str, ...]]:
    rows = []
    for (kind, store, workers), rate in rates.items():
        base = rates["uncounted", store, workers]
        counted = kind != "uncounted"
        at, plain, tail = tails.get((kind, store, workers), (0, 0, 0))
        rows.append(
            (
                f"{store}, {workers} worker{'s' * (workers > 1)}, {kind}",
                f"{rate:,.0f}/s",
                f"{rate / base:.2f}" if counted else "1.00",
                f"{shares[kind, store, workers]:.1%}" if counted else "",
                f"{tail - plain:+.1f} ms ({tail:.1f} − {plain:.1f}) at {at:,.0f}/s" if at else "",
            )
        )
    heading = ("", "capacity", "of uncounted (goal ≥ 0.5)", "in the store", "p99 more at half capacity (goal ≤ 20 ms)")
    print(national.table(heading, rows))
    return rows


# ------------------------------------------------------------------------------------------ what is sent


def _picked() -> list[str]:
    return random.Random(1).choices(postcodes(), k=2_000)


def _contacts() -> list[str]:
    """Full contacts, varied as those of a hospital are."""
    chance = random.Random(2)
    return [
        json.dumps(
            {
                "postcode": postcode,
                "contact": {
                    "specialty": chance.choice(_SPECIALTIES),
                    "type": chance.choice(("outpatient", "outpatient", "elective", "emergency")),
                    "attendance": chance.choice(("new", "follow_up")),
                    "outcome": chance.choice(_OUTCOMES),
                    "age": chance.randint(0, 100),
                    "sex": chance.choice(("female", "male")),
                    "ethnic_category": {"system": "england", "code": chance.choice("ABCDEFGHJKLMNPRSZ")},
                },
            }
        )
        for postcode in _picked()
    ]


def _keyed(path: Path, key: str) -> Path:
    """The same contacts, each request with an event id of its own."""
    bodies = ",\n".join(f"[==[{body[:-2]}]==]" for body in _contacts())
    path.write_text(
        f'local headers = {{["Content-Type"] = "application/json", ["Authorization"] = "Bearer {key}"}}\n'
        f"local bodies = {{{bodies}}}\nlocal i = 0\n"
        "request = function() i = i + 1\n"
        f"  local body = bodies[i % #bodies + 1] .. ', \"event_id\": \"{uuid4().hex}-' .. i .. '\"}}}}'\n"
        '  return wrk.format("POST", nil, headers, body) end\n'
    )
    return path


# ------------------------------------------------------------------------------------------ servers


@contextmanager
def _serving(folder: Path, data: Path, store: str, workers: int, server: Postgres | None) -> Iterator[Service]:
    counts = folder / f"{store}-{workers}"
    environment = {"IMDLENS_COUNTS_DIR": str(counts)}
    url = f"sqlite:///{counts / 'counts.sqlite'}"
    if store == "PostgreSQL":
        assert server
        url = server.new_database()
        environment |= {"IMDLENS_DATABASE_URL": url, "IMDLENS_SECRET": "a secret for benchmarks"}
    with running(data, workers, **environment) as one:
        yield Service(one.url, one.key, url)


def _stored(url: str) -> int:
    engine = open_engine(url)
    with engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT coalesce(sum(n), 0) FROM flow").scalar_one()
    engine.dispose()
    return int(found)


# ------------------------------------------------------------------------------------------ at a fixed rate


def _tails(
    services: dict[tuple[str, int], Service], rates: dict[tuple[str, str, int], float], seconds: int
) -> dict[tuple[str, str, int], tuple[float, float, float]]:
    """For each store and number of workers: the rate, and the 99th percentiles without and with counting."""
    found = {}
    plain, unkeyed = [json.dumps({"postcode": p}) for p in _picked()], _contacts()
    for (store, workers), service in services.items():
        rate = rates["unkeyed", store, workers] / 2
        parts: tuple[list[float], list[float]] = ([], [])
        for _ in range(3):
            for part, bodies in zip(parts, (plain, unkeyed), strict=True):
                part.append(_p99(asyncio.run(_at_rate(service, bodies, rate, seconds / 3))))
        found["unkeyed", store, workers] = (rate, median(parts[0]), median(parts[1]))
    return found


def _p99(latencies: list[float]) -> float:
    return sorted(latencies)[int(len(latencies) * 0.99)] * 1000


async def _at_rate(service: Service, bodies: list[str], rate: float, seconds: float) -> list[float]:
    """Latencies of requests sent at a fixed rate, each from the moment when it was due."""
    port = int(service.url.rsplit(":", 1)[1])
    requests = [
        b"POST /v1/enrich HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer %s\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (service.key.encode(), len(body.encode()), body.encode())
        for body in bodies
    ]
    due = asyncio.Queue[tuple[float, bytes]]()
    latencies: list[float] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while True:
            at, request = await due.get()
            if not request:
                break
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(h for h in head.split(b"\r\n") if h.lower().startswith(b"content-length:"))
            await reader.readexactly(int(length.split(b":")[1]))
            assert head.startswith(b"HTTP/1.1 200")
            latencies.append(time.perf_counter() - at)
        writer.close()

    clients = [asyncio.create_task(client()) for _ in range(64)]
    await asyncio.sleep(0.2)
    start, sent, total = time.perf_counter(), 0, int(rate * seconds)
    while sent < total:
        now = time.perf_counter() - start
        while sent < total and sent / rate <= now:
            due.put_nowait((start + sent / rate, requests[sent % len(requests)]))
            sent += 1
        await asyncio.sleep(0.001)
    for _ in clients:
        due.put_nowait((0, b""))
    await asyncio.gather(*clients)
    return latencies


if __name__ == "__main__":
    main()
