"""Two workers under a mixed load at a fixed rate for half an hour: whether memory, files, threads and times stay flat.

    python -m benchmarks.soak [--minutes 30] [--rate 20] [--starter]

SOAK_MINUTES sets the minutes too. On the national index where the files are here, else on starter data. Every minute is
a row. At the end the second half is judged by its slope, the last third's times are set beside the first third's, and
every contact that was acknowledged is looked for in the store. Exits with 1 unless all of it holds.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from statistics import linear_regression, mean, quantiles
from typing import Any, Final, NamedTuple

import httpx
import psutil
from sqlalchemy import text

from app.counting import open_store
from app.counts.seal import Publisher, seal
from app.settings import Settings
from benchmarks import national, report
from benchmarks.serving import Server, service
from benchmarks.tables import fill_cells

_EVERY: Final = 10  # seconds between two looks
_SHARE: Final = 0.03  # that memory may grow by in the second half
_LEAST_MB: Final = 8.0  # what is never called growth
_COUNTED: Final = ("files", "threads")
_FILES: Final = 12  # descriptors or threads, of all processes
_TIMES: Final = 1.5  # of the first third's median that the last third's may be
_ACKNOWLEDGED: Final = {"counted", "duplicate", "spooled"}
_KEYED, _UNKEYED = "100", "340"
_PATIENT: Final = {
    "resourceType": "Patient",
    "birthDate": "1972-03-04",
    "address": [{"use": "home", "postalCode": "NG1 1AA"}],
}


class Look(NamedTuple):
    """What all processes of the service hold at one moment."""

    seconds: float
    rss: float  # megabytes
    uss: float
    files: int
    threads: int
    processes: int


@dataclass
class Seen:
    """What became of what was sent."""

    times: list[tuple[float, str, float]] = field(default_factory=list)  # when, kind, seconds
    statuses: Counter[str] = field(default_factory=Counter)
    sent: int = 0  # contacts without a key
    acknowledged: int = 0
    keys: set[str] = field(default_factory=set)
    keys_acknowledged: set[str] = field(default_factory=set)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, default=float(os.environ.get("SOAK_MINUTES", "30")))
    arguments.add_argument("--rate", type=float, default=20, help="requests a second")
    arguments.add_argument("--starter", action="store_true", help="on starter data, whatever is here")
    report.add_option(arguments)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        data = _data(Path(temporary), starter=options.starter)
        counts = Path(temporary) / "counts"
        settings = Settings(data_dir=data, counts_dir=counts)
        before = _prepared(settings)
        machine = national.machine("fastapi", "uvicorn", "sqlalchemy")
        print(f"Measured {machine}; {options.rate:g} requests/s, {'starter' if options.starter else 'national'} data\n")
        with service(data.absolute(), 2, IMDLENS_COUNTS_DIR=str(counts)) as server:
            looks, seen = asyncio.run(_soaked(server, options.minutes * 60, options.rate))
        stored = {which: n - before[which] for which, n in _stored(settings).items()}
    faults = _judged(looks, seen, stored, options.minutes * 60)
    figure = report.Figure(
        f"{options.minutes:g} minutes, two workers, {options.rate:g} requests/s of every kind",
        f"memory {looks[len(looks) // 2].uss:.0f} to {looks[-1].uss:.0f} MB in the second half",
        f"{len(seen.times):,} answers",
        "flat",
    )
    report.write(options.json, machine, [figure])
    print("\nflat" if not faults else "\nNOT FLAT:\n" + "\n".join(f"- {fault}" for fault in faults))
    sys.exit(bool(faults))


# ------------------------------------------------------------------------------------ before


def _data(temporary: Path, *, starter: bool) -> Path:
    if not starter and os.environ.get("NATIONAL_FILES"):
        return national.index(national.files())
    data = temporary / "data"
    build = [sys.executable, "-m", "app.cli", "data", "build", "--starter", "--out", str(data)]
    subprocess.run(build, check=True, capture_output=True)
    return data


def _prepared(settings: Settings) -> dict[str, int]:
    """A store with sealed tables, so that pages and breakdowns have something to show."""
    engine = open_store(settings, patient=True)
    for month in fill_cells(engine, 100_000, whole_years=True):
        assert seal(engine, month, Publisher(edition="IoD2025", without_rates=True))
    engine.dispose()
    return _stored(settings)


def _stored(settings: Settings) -> dict[str, int]:
    engine = open_store(settings)
    try:
        with engine.connect() as connection:
            asked = text("SELECT coalesce(sum(n), 0) FROM flow WHERE specialty = :specialty")
            return {
                which: int(connection.execute(asked, {"specialty": which}).scalar_one()) for which in (_KEYED, _UNKEYED)
            }
    finally:
        engine.dispose()


# -------------------------------------------------------------------------------------- load


async def _soaked(server: Server, seconds: float, rate: float) -> tuple[list[Look], Seen]:
    """Send at this rate, whether or not answers come, and look every ten seconds."""
    seen, looks, chance = Seen(), list[Look](), Random(2026)
    proof = {"Authorization": f"Bearer {server.key}"}
    heading = ("minute", "answers", "p50 ms", "p95 ms", "p99 ms", "RSS MB", "USS MB", "files", "threads", "load")
    print(national.table(heading, []), flush=True)
    limits = httpx.Limits(max_connections=64, keepalive_expiry=2)  # the service closes idle ones after 5 s
    async with httpx.AsyncClient(base_url=server.url, headers=proof, timeout=30, limits=limits) as client:
        asker = _Asker(client, seen, chance)
        began, waiting = time.monotonic(), set[asyncio.Task[None]]()
        for number in count():
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            elapsed = time.monotonic() - began
            if elapsed >= seconds:
                break
            if elapsed >= len(looks) * _EVERY:
                looks.append(look(server.pid, elapsed))
                if len(looks) % (60 // _EVERY) == 0:
                    _row(len(looks) * _EVERY // 60, seen, looks[-1])
            task = asyncio.create_task(asker.ask(began))
            waiting.add(task)
            task.add_done_callback(waiting.discard)
        await asyncio.gather(*waiting)
    return looks, seen


def look(pid: int, seconds: float) -> Look:
    """What a service and all its processes hold."""
    parent = psutil.Process(pid)
    memory, files, threads, processes = [], 0, 0, 0
    for process in [parent, *parent.children(recursive=True)]:
        try:
            memory.append(process.memory_full_info())
            files, threads, processes = files + process.num_fds(), threads + process.num_threads(), processes + 1
        except psutil.Error:  # it ended meanwhile
            continue
    return Look(seconds, sum(m.rss for m in memory) / 1e6, sum(m.uss for m in memory) / 1e6, files, threads, processes)


def _row(minute: int, seen: Seen, last: Look) -> None:
    times = sorted(taken * 1000 for when, _, taken in seen.times if when >= last.seconds - 60)
    if len(times) < 2:
        return
    cut = quantiles(times, n=100)
    print(
        f"| {minute} | {len(times):,} | {cut[49]:.1f} | {cut[94]:.1f} | {cut[98]:.1f} | {last.rss:.0f} | {last.uss:.1f}"
        f" | {last.files} | {last.threads} | {os.getloadavg()[0]:.0f} |",
        flush=True,
    )


class _Asker:
    """Asks one of every kind in turn, by weight."""

    def __init__(self, client: httpx.AsyncClient, seen: Seen, chance: Random) -> None:
        self._client, self._seen, self._chance = client, seen, chance
        self._turns, self._keys = count(), count()
        kinds: dict[str, tuple[int, Callable[[], Awaitable[httpx.Response]]]] = {
            "one": (5, self._one),
            "contact": (3, self._contact),
            "keyed contact": (3, self._keyed),
            "context": (2, self._context),
            "batch": (1, self._batch),
            "stream": (1, self._stream),
            "hook": (1, self._hook),
            "FHIR": (1, self._fhir),
            "card": (1, self._card),
            "page": (1, lambda: client.get("/dashboard")),
            "detail": (1, lambda: client.get("/dashboard/specialties/100/detail")),
            "table": (1, lambda: client.get("/v1/breakdowns")),
        }
        self._kinds = {name: asks for name, (_, asks) in kinds.items()}
        self._turn = [name for name, (weight, _) in kinds.items() for _ in range(weight)]
        chance.shuffle(self._turn)

    async def ask(self, began: float) -> None:
        """Send one, and note how it went."""
        kind = self._turn[next(self._turns) % len(self._turn)]
        started = time.monotonic()
        try:
            answer = await self._kinds[kind]()
            status = str(answer.status_code)
        except httpx.HTTPError as error:
            status = type(error).__name__
        self._seen.statuses[status] += 1
        if status in ("200", "201"):
            self._seen.times.append((time.monotonic() - began, kind, time.monotonic() - started))

    def _one(self) -> Awaitable[httpx.Response]:
        return self._client.post(
            "/v1/enrich", json={"postcode": self._chance.choice(["NG1 1AA", "ng11aa", "ZZ99 3VZ", "no"])}
        )

    def _context(self) -> Awaitable[httpx.Response]:
        return self._client.post("/v1/enrich", json={"postcode": "NG1 1AA", "include": ["context"]})

    async def _contact(self) -> httpx.Response:
        self._seen.sent += 1
        answer = await self._client.post("/v1/enrich", json={"postcode": "NG1 1AA", "contact": _contact(_UNKEYED)})
        self._seen.acknowledged += _acknowledged(answer.json()) if answer.status_code == 200 else 0
        return answer

    async def _keyed(self) -> httpx.Response:
        """With a key; one in ten is sent twice."""
        key = f"soak-{next(self._keys)}"
        self._seen.keys.add(key)
        body = {"postcode": "NG1 1AA", "contact": {**_contact(_KEYED), "event_id": key}}
        answer = await self._client.post("/v1/enrich", json=body)
        if self._chance.random() < 0.1:
            answer = await self._client.post("/v1/enrich", json=body)
        if answer.status_code == 200 and _acknowledged(answer.json()):
            self._seen.keys_acknowledged.add(key)
        return answer

    async def _batch(self) -> httpx.Response:
        records = [{"postcode": "NG1 1AA", "contact": _contact(_UNKEYED)} for _ in range(50)]
        self._seen.sent += len(records)
        answer = await self._client.post("/v1/enrich/batch", json={"records": records})
        if answer.status_code == 200:
            self._seen.acknowledged += sum(map(_acknowledged, answer.json()["results"]))
        return answer

    def _stream(self) -> Awaitable[httpx.Response]:
        lines = b"".join(b'{"postcode": "NG1 1AA"}\n' for _ in range(500))
        return self._client.post("/v1/enrich/stream", content=lines, headers={"Content-Type": "application/x-ndjson"})

    def _hook(self) -> Awaitable[httpx.Response]:
        body = {"hook": "patient-view", "hookInstance": "1", "context": {}, "prefetch": {"patient": _PATIENT}}
        return self._client.post("/cds-services/deprivation-context", json=body)

    def _fhir(self) -> Awaitable[httpx.Response]:
        kind = {"Content-Type": "application/fhir+json"}
        return self._client.post("/fhir/R4/$enrich", content=json.dumps(_PATIENT), headers=kind)

    async def _card(self) -> httpx.Response:
        made = await self._client.post("/card", json={"postcode": "NG1 1AA"})
        return await self._client.get(f"/{made.json()['url']}") if made.status_code == 201 else made


def _contact(specialty: str) -> dict[str, Any]:
    return {"specialty": specialty, "type": "outpatient", "age": 54, "sex": "female"}


def _acknowledged(found: dict[str, Any]) -> bool:
    return ("counted" if found.get("counted") else found.get("counted_reason")) in _ACKNOWLEDGED


# ----------------------------------------------------------------------------------- verdict


def growth(points: list[tuple[float, float]]) -> float:
    """What a straight line through the points rises by from the first to the last."""
    if len(points) < 2 or points[0][0] == points[-1][0]:
        return 0.0
    slope = linear_regression([x for x, _ in points], [y for _, y in points]).slope
    return slope * (points[-1][0] - points[0][0])


def grown(looks: list[Look]) -> Iterator[str]:
    """What rose in the second half by more than chance, in a sentence each."""
    half = looks[len(looks) // 2 :]
    memory = growth([(at.seconds, at.uss) for at in half])
    if memory > max(_LEAST_MB, _SHARE * mean(at.uss for at in half)):
        yield f"memory of the processes' own grew by {memory:.1f} MB in the second half"
    for name in _COUNTED:
        rise = growth([(at.seconds, float(getattr(at, name))) for at in half])
        if rise > _FILES:
            yield f"{name} grew by {rise:.0f} in the second half"


def slowed(times: list[tuple[float, str, float]], seconds: float) -> Iterator[str]:
    """Where the last third's median is far above the first third's."""
    early = [taken for when, _, taken in times if min(60, seconds / 10) <= when < seconds / 3]
    late = [taken for when, _, taken in times if when >= seconds * 2 / 3]
    if len(early) < 2 or len(late) < 2:
        return
    cuts = [quantiles(some, n=100) for some in (early, late)]
    print(
        "\ntimes, first third and last: "
        + ", ".join(f"p{p} {cuts[0][p - 1] * 1000:.1f} and {cuts[1][p - 1] * 1000:.1f} ms" for p in (50, 95, 99))
    )
    if cuts[1][49] > _TIMES * cuts[0][49]:
        yield f"the median rose from {cuts[0][49] * 1000:.1f} to {cuts[1][49] * 1000:.1f} ms"


def _judged(looks: list[Look], seen: Seen, stored: dict[str, int], seconds: float) -> list[str]:
    faults = [*grown(looks), *slowed(seen.times, seconds)]
    half = looks[len(looks) // 2 :]
    rises = {name: growth([(at.seconds, float(getattr(at, name))) for at in half]) for name in ("uss", *_COUNTED)}
    print(
        f"second half: USS {rises['uss']:+.1f} MB of {mean(at.uss for at in half):.0f},"
        f" files {rises['files']:+.1f}, threads {rises['threads']:+.1f}"
    )
    print(f"statuses: {', '.join(f'{status} {n:,}' for status, n in seen.statuses.most_common())}")
    print(
        f"with a key: {len(seen.keys_acknowledged):,} acknowledged, {stored[_KEYED]:,} stored, {len(seen.keys):,} sent;"
        f" without: {seen.acknowledged:,} acknowledged, {stored[_UNKEYED]:,} stored, {seen.sent:,} sent"
    )
    if not len(seen.keys_acknowledged) <= stored[_KEYED] <= len(seen.keys):
        faults.append("contacts with a key were lost or doubled")
    if not seen.acknowledged <= stored[_UNKEYED] <= seen.sent:
        faults.append("contacts without a key were lost or doubled")
    if odd := set(seen.statuses) - {"200", "201", "503"}:
        faults.append(f"answers that nobody should see: {', '.join(sorted(odd))}")
    return faults


if __name__ == "__main__":
    main()
