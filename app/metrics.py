"""What is measured, as one table, and how it adds up over workers.

A request adds to plain numbers of its worker; once a second those are brought to prometheus-client, whose memory-mapped
files the workers of one service share. Its own increments, four or five a request, cost several times as much.
"""

import asyncio
import logging
import os
import resource
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from app.doors import DOORS
from app.exchange import Exchange
from app.request_log import LEFT

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

log: Final = logging.getLogger("imdlens")

FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Where workers share their numbers: read by prometheus-client, set before workers start."""
MOST_CLIENTS: Final = 64
OTHER: Final = "other"
BUCKETS: Final = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_BEAT_SECONDS: Final = 1.0

_DOOR_NAMES: Final = (*(door.name for door in DOORS), "none")
_STATUSES: Final = (
    *("200", "201", "303", "304"),
    *("400", "401", "403", "404", "405", "406", "408", "410", "412", "413", "415", "422", "429", str(LEFT)),
    *("500", "503", OTHER),
)
_OUTCOMES: Final = {
    "counted": "counted",
    "duplicate": "duplicate",
    "spooled": "spooled",
    "unconfirmed": "unconfirmed",
    "unavailable": "unavailable",
    "sealed": "sealed",
    # One name for both: that a postcode is withheld is not to be read off a number that grew by one.
    "invalid_contact": "not_taken",
    "withheld": "not_taken",
}
_REFUSALS: Final = {401: "no_key", 403: "no_scope", 413: "too_large", 429: "too_many", 503: "not_now"}
_SERVICES: Final = ("deprivation-context", "access-offers")
_FEEDBACK: Final = ("accepted", "overridden")


class Label(NamedTuple):
    """A label, and every value that it can have; or, where those are not known beforehand, how many at most."""

    name: str
    values: tuple[str, ...] = ()
    most: int = 0
    source: str = ""

    @property
    def bound(self) -> int:
        """How many values there can be."""
        return len(self.values) or self.most


Kind = Literal["counter", "histogram", "gauge"]
# How a gauge adds up over live workers; `asked` is asked of the worker that answers, at that moment.
Over = Literal["livesum", "livemax", "asked"]


class Measure(NamedTuple):
    """One metric."""

    name: str
    kind: Kind
    help: str
    labels: tuple[Label, ...] = ()
    over: Over = "livesum"

    @property
    def bound(self) -> int:
        """How many series it can have at most."""
        series = len(BUCKETS) + 3 if self.kind == "histogram" else 1  # with +Inf, sum and count
        for label in self.labels:
            series *= label.bound
        return series


_DOOR: Final = Label("door", _DOOR_NAMES)

TABLE: Final = (
    Measure("imdlens_requests_total", "counter", "Requests answered, probes too.", (_DOOR, Label("status", _STATUSES))),
    Measure("imdlens_request_seconds", "histogram", "From a request's head to the end of its answer.", (_DOOR,)),
    Measure(
        "imdlens_client_requests_total",
        "counter",
        "Requests whose proof was good, by client.",
        (
            Label(
                "client",
                most=MOST_CLIENTS + 1,
                source=f"names of clients, and those beyond {MOST_CLIENTS} added up as `{OTHER}`",
            ),
        ),
    ),
    Measure("imdlens_records_total", "counter", "Records answered about.", (_DOOR,)),
    Measure(
        "imdlens_contacts_total",
        "counter",
        "Contacts by what became of them; `not_taken` are those that were invalid or withheld.",
        (Label("outcome", tuple(dict.fromkeys(_OUTCOMES.values()))),),
    ),
    Measure(
        "imdlens_card_feedback_total",
        "counter",
        "CDS Hooks cards by what was done with them.",
        (Label("service", _SERVICES), Label("outcome", _FEEDBACK)),
    ),
    Measure(
        "imdlens_refused_total",
        "counter",
        "Requests refused: no good key (401), no scope (403), too large (413), too many (429), not now (503).",
        (Label("reason", tuple(_REFUSALS.values())),),
    ),
    Measure(
        "imdlens_shed_total",
        "counter",
        "Requests turned away because the worker was overloaded, most before they were any other number here.",
    ),
    Measure("imdlens_in_flight", "gauge", "Requests that are being answered, as of the last second."),
    Measure("imdlens_workers", "gauge", "Live workers."),
    Measure(
        "imdlens_keys_age_seconds",
        "gauge",
        "Since the keys were last confirmed, in the worst worker.",
        over="livemax",
    ),
    Measure(
        "imdlens_index_age_days", "gauge", "Since the postcode index was built, in the worst worker.", over="livemax"
    ),
    Measure("imdlens_audit_failing", "gauge", "1 while a worker cannot write the audit file, else 0.", over="livemax"),
    Measure("imdlens_spooled_batches", "gauge", "Batches of contacts that wait on this host's disk.", over="asked"),
    Measure(
        "imdlens_release_info",
        "gauge",
        "1, with what runs here as labels.",
        (
            Label("version", most=1, source="version of the service"),
            Label("release", most=1, source="id of the index that the asked worker answers from"),
        ),
        over="asked",
    ),
    Measure("imdlens_cpu_seconds_total", "counter", "Processor time of all workers, those that ended too."),
    Measure("imdlens_resident_bytes", "gauge", "Resident memory of all live workers; shared pages count in each."),
    Measure("imdlens_open_files", "gauge", "Open file descriptors of all live workers."),
)
"""Every metric that is exposed. No label ever holds a value that a request carried but a proven client's name."""


class Readings(NamedTuple):
    """What is read off the worker once a second; None where it is not known."""

    keys_age: float | None = None
    index_age: float | None = None
    audit_failing: bool = False
    shed: int = 0


class Asked(NamedTuple):
    """What is asked only when metrics are."""

    release: str | None = None
    spooled: int | None = None


class _Door:
    """What a door's requests added up to and was not yet brought away."""

    __slots__ = ("buckets", "records", "seconds", "statuses")

    def __init__(self) -> None:
        self.statuses: dict[int, int] = {}
        self.buckets = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0
        self.records = 0


class Metrics:
    """The numbers of one worker. All but `exposition` belongs to the event loop's thread."""

    def __init__(self) -> None:
        self.in_flight = 0
        self._doors: dict[str, _Door] = {}
        self._clients: dict[str, int] = {}
        self._named: set[str] = set()
        self._outcomes: dict[str, int] = {}
        self._feedback: dict[tuple[str, str], int] = {}
        self._made: dict[str, Any] = {}
        self._children: dict[tuple[str, ...], Any] = {}
        self._registry: CollectorRegistry | None = None
        self._folder: Path | None = None
        self._cpu = 0.0
        self._shed = 0

    def answered(self, exchange: Exchange, status: int, seconds: float) -> None:
        """Add one request. This is on the way of every answer: it touches plain numbers only."""
        name = exchange.door.name if exchange.door else "none"
        door = self._doors.get(name)
        if door is None:
            door = self._doors[name] = _Door()
        door.statuses[status] = door.statuses.get(status, 0) + 1
        door.buckets[bisect_left(BUCKETS, seconds)] += 1
        door.seconds += seconds
        door.records += exchange.records
        if exchange.caller is not None:
            client = exchange.caller.name
            self._clients[client] = self._clients.get(client, 0) + 1
        if exchange.contacts:
            for outcome, count in exchange.contacts.items():
                self._outcomes[outcome] = self._outcomes.get(outcome, 0) + count
        if exchange.feedback:
            service, outcomes = exchange.feedback
            for outcome in outcomes:
                self._feedback[service, outcome] = self._feedback.get((service, outcome), 0) + 1

    def start(self) -> None:
        """Make the metrics. prometheus-client opens its files here, and not when this module is imported."""
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

        if self._registry is not None:
            return
        disable_created_metrics()  # type: ignore[no-untyped-call]
        shared = os.environ.get(FOLDER)
        self._folder = Path(shared) if shared else None
        self._registry = CollectorRegistry()
        for measure in TABLE:
            names = [label.name for label in measure.labels]
            if measure.kind == "counter":
                self._made[measure.name] = Counter(measure.name, measure.help, names, registry=self._registry)
            elif measure.kind == "histogram":
                self._made[measure.name] = Histogram(
                    measure.name, measure.help, names, registry=self._registry, buckets=BUCKETS
                )
            elif measure.over != "asked":
                self._made[measure.name] = Gauge(
                    measure.name, measure.help, names, registry=self._registry, multiprocess_mode=measure.over
                )

    async def keep(self, read: Callable[[], Readings]) -> None:
        """Bring the numbers away once a second, until cancelled, and then once more."""
        try:
            while True:
                await asyncio.sleep(_BEAT_SECONDS)
                try:
                    self.flush(read())
                except Exception as error:  # noqa: BLE001 - metrics that stop would never be noticed
                    log.error("metrics could not be brought away: %s", type(error).__name__)
        finally:
            with suppress(Exception):
                self.flush(Readings())

    def flush(self, readings: Readings) -> None:
        """Bring the numbers to where all workers' are added up."""
        doors, self._doors = self._doors, {}
        for name, door in doors.items():
            for status, count in door.statuses.items():
                text = str(status)
                self._child("imdlens_requests_total", name, text if text in _STATUSES else OTHER).inc(count)
                if status in _REFUSALS:
                    self._child("imdlens_refused_total", _REFUSALS[status]).inc(count)
            self._observe(self._child("imdlens_request_seconds", name), door)
            if door.records:
                self._child("imdlens_records_total", name).inc(door.records)
        clients, self._clients = self._clients, {}
        for client, count in clients.items():
            if client not in self._named and len(self._named) < MOST_CLIENTS:
                self._named.add(client)
            self._child("imdlens_client_requests_total", client if client in self._named else OTHER).inc(count)
        outcomes, self._outcomes = self._outcomes, {}
        for outcome, count in outcomes.items():
            if outcome in _OUTCOMES:
                self._child("imdlens_contacts_total", _OUTCOMES[outcome]).inc(count)
        feedback, self._feedback = self._feedback, {}
        for (service, outcome), count in feedback.items():
            if service in _SERVICES and outcome in _FEEDBACK:
                self._child("imdlens_card_feedback_total", service, outcome).inc(count)
        self._gauges(readings)

    def _gauges(self, readings: Readings) -> None:
        self._child("imdlens_in_flight").set(self.in_flight)
        self._child("imdlens_workers").set(1)
        if readings.keys_age is not None:
            self._child("imdlens_keys_age_seconds").set(round(readings.keys_age, 1))
        if readings.index_age is not None:
            self._child("imdlens_index_age_days").set(round(readings.index_age, 2))
        self._child("imdlens_audit_failing").set(int(readings.audit_failing))
        if readings.shed > self._shed:
            self._child("imdlens_shed_total").inc(readings.shed - self._shed)
            self._shed = readings.shed
        used = resource.getrusage(resource.RUSAGE_SELF)
        cpu = used.ru_utime + used.ru_stime
        self._child("imdlens_cpu_seconds_total").inc(max(0.0, cpu - self._cpu))
        self._cpu = cpu
        with suppress(OSError):  # where there is no /proc these two stay away
            pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
            self._child("imdlens_resident_bytes").set(pages * resource.getpagesize())
            self._child("imdlens_open_files").set(sum(1 for _ in Path("/proc/self/fd").iterdir()))

    def _child(self, name: str, *labels: str) -> Any:
        found = self._children.get((name, *labels))
        if found is None:
            made = self._made[name]
            found = self._children[name, *labels] = made.labels(*labels) if labels else made
        return found

    @staticmethod
    def _observe(child: Any, door: _Door) -> None:
        # The library observes one value at a time only; a second's worth goes into its numbers at once.
        for bucket, count in zip(child._buckets, door.buckets, strict=True):  # noqa: SLF001
            if count:
                bucket.inc(count)
        child._sum.inc(door.seconds)  # noqa: SLF001

    def exposition(self, asked: Asked) -> tuple[bytes, str]:
        """Everything in Prometheus's text form, and its media type. Reads files: call it in a thread."""
        from prometheus_client import multiprocess
        from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

        source: Any = self._registry
        if self._folder is not None:
            forget_the_dead(self._folder)
            source = multiprocess.MultiProcessCollector(None, str(self._folder))  # type: ignore[no-untyped-call]
        return generate_latest(_Everything(source.collect(), asked)), CONTENT_TYPE_PLAIN_0_0_4

    def stop(self) -> None:
        """Take this worker out of what is added up over live ones."""
        if self._folder is not None:
            _forget(self._folder, os.getpid())


class _Everything:
    """All families of all workers, and what was asked just now, for the library to write."""

    def __init__(self, families: Iterable["Metric"], asked: Asked) -> None:
        self._families, self._asked = families, asked

    def collect(self) -> Iterator["Metric"]:
        yield from map(_few_clients, self._families)
        yield from _asked_families(self._asked)


def _few_clients(family: "Metric") -> "Metric":
    """Each worker names so many clients at most; all together name no more. The first in the alphabet stay."""
    if family.name != "imdlens_client_requests":
        return family
    named = sorted({s.labels["client"] for s in family.samples} - {OTHER})[:MOST_CLIENTS]
    sums: dict[str, float] = {}
    for sample in family.samples:
        client = sample.labels["client"] if sample.labels["client"] in named else OTHER
        sums[client] = sums.get(client, 0.0) + sample.value
    family.samples = []
    for client, count in sums.items():
        family.add_sample("imdlens_client_requests_total", {"client": client}, count)
    return family


def _asked_families(asked: Asked) -> Iterator["Metric"]:
    from prometheus_client.metrics_core import GaugeMetricFamily

    helps = {measure.name: measure.help for measure in TABLE}
    if asked.spooled is not None:
        yield GaugeMetricFamily("imdlens_spooled_batches", helps["imdlens_spooled_batches"], asked.spooled)
    info = GaugeMetricFamily("imdlens_release_info", helps["imdlens_release_info"], labels=["version", "release"])
    info.add_metric([metadata.version("imd-lens"), asked.release or ""], 1)
    yield info


def forget_the_dead(folder: Path) -> None:
    """Take workers that are gone out of what is added up over live ones. Their counters stay added for ever."""
    for pid in {int(file.stem.rsplit("_", 1)[1]) for file in folder.glob("gauge_live*_*.db")}:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            _forget(folder, pid)
        except PermissionError:
            pass


def _forget(folder: Path, pid: int) -> None:
    for file in folder.glob(f"gauge_live*_{pid}.db"):
        file.unlink(missing_ok=True)
