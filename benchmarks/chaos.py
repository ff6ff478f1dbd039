"""What goes wrong around a service, one thing at a time, under load: what its users saw and what was stored.

    python -m benchmarks.chaos [--seconds 10] [FAULT ...]

For each fault: a service with two clients' worth of contacts, ten of them a second with an event key and ten without;
the fault after two seconds, for so many seconds; then until contacts are counted again and all that was acknowledged is
in the store. Clients try keyed contacts again until they are acknowledged. Exits with 1 where one was lost or doubled.
All is of this machine: 127.0.0.0/8, and a network of its own for the partition.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

import httpx
from sqlalchemy import make_url, text
from sqlalchemy.exc import SQLAlchemyError

from app.reference.build import BuildOptions, BuildReport, build
from app.reference.manifest import manifest, packaged_data
from app.reference.releases import publish, rollback
from benchmarks import faults, national, report
from tests.databases import Postgres, opened, running_postgres
from tests.integration.running import Service
from tests.service import bearer, key_in

KEYED, UNKEYED = "100", "340"
ACKNOWLEDGED: Final = {"counted", "duplicate", "spooled"}
_EVERY: Final = 0.1  # seconds between two contacts of one kind
_WARM: Final = 2.0
_MOST_SECONDS: Final = 90.0  # to recover in


@dataclass
class Told:
    """What the clients were told, and what the store held in the end."""

    answers: list[tuple[float, float, str, str]] = field(default_factory=list)  # when, seconds, status, outcome
    sent: int = 0
    acknowledged: int = 0
    keys: int = 0
    keys_acknowledged: int = 0
    began: float = 0.0  # the fault
    ended: float = 0.0
    counted_again: float | None = None  # seconds after the fault's end
    settled: float | None = None
    stored: dict[str, int] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Nothing acknowledged was lost, and nothing was counted twice."""
        keyed, unkeyed = self.stored[KEYED], self.stored[UNKEYED]
        return self.keys == self.keys_acknowledged == keyed and self.acknowledged <= unkeyed <= self.sent

    def during(self) -> list[tuple[float, float, str, str]]:
        """Answers to what was sent while the fault lasted."""
        return [one for one in self.answers if self.began <= one[0] <= self.ended]

    def saw(self) -> str:
        """Statuses and outcomes during the fault, and the longest wait."""
        seen = Counter(status if status != "200" else f"200 {outcome}" for _, _, status, outcome in self.during())
        longest = max((seconds for _, seconds, _, _ in self.during()), default=0.0)
        return ", ".join(f"{what} ×{n}" for what, n in seen.most_common()) + f"; longest {longest * 1000:,.0f} ms"


Fault = Callable[["Around"], Any]


@dataclass
class Around:
    """Where a fault takes place."""

    folder: Path
    seconds: float
    service: Service
    postgres: Postgres | None = None
    clock: faults.Clock | None = None
    network: faults.Network | None = None
    disk: Path | None = None
    chance: Random = field(default_factory=lambda: Random(2026))


# ------------------------------------------------------------------------------------- the faults


def kill_workers(around: Around) -> None:
    """One of two workers is killed every five seconds; the service starts another."""
    for _ in range(max(1, int(around.seconds / 5))):
        around.service.kill_worker(around.chance)
        time.sleep(5)


def kill_service(around: Around) -> None:
    """All of the service is killed, and started again at once."""
    around.service.kill()
    around.service.start()


def stop_postgres(around: Around) -> None:
    """PostgreSQL is stopped at once, and started again."""
    assert around.postgres
    around.postgres.take_away()
    time.sleep(around.seconds)
    around.postgres.bring_back()


def move_postgres(around: Around) -> None:
    """PostgreSQL stops at its address, and starts at another that the service was told of too."""
    assert around.postgres
    around.postgres.take_away()
    time.sleep(around.seconds)
    around.postgres.bring_back(faults.OTHER)


def freeze_postgres(around: Around) -> None:
    """PostgreSQL keeps its connections and answers nothing."""
    assert around.postgres
    with faults.frozen(around.postgres):
        time.sleep(around.seconds)


def cut_network(around: Around) -> None:
    """Every packet to and from PostgreSQL is dropped."""
    assert around.network
    around.network.cut()
    time.sleep(around.seconds)
    around.network.mend()


def _clock(seconds: int) -> Fault:
    def jump(around: Around) -> None:
        assert around.clock
        around.clock.set(seconds)
        time.sleep(around.seconds)
        around.clock.set(0)

    return jump


def fill_disk(around: Around) -> None:
    """The disk of counts, spool and audit file is full."""
    assert around.disk
    faults.fill(around.disk)
    time.sleep(around.seconds)
    faults.free(around.disk)


def fill_spool(around: Around) -> None:
    """The spool's disk is full while PostgreSQL is away."""
    assert around.disk
    assert around.postgres
    faults.fill(around.disk)
    around.postgres.take_away()
    time.sleep(around.seconds)
    faults.free(around.disk)
    time.sleep(around.seconds / 2)
    around.postgres.bring_back()


def swap_data(around: Around) -> None:
    """Another release takes the place of the data every second."""
    for _ in range(int(around.seconds)):
        rollback(around.folder / "data")
        time.sleep(1)


@dataclass(frozen=True)
class Kind:
    """A fault by its name, and what it takes place in."""

    fault: Fault
    what: str
    database: str = "sqlite"  # postgresql, tcp, moved
    needs: str = ""  # disk, network, clock

    def missing(self) -> str:
        """Why it cannot be tried here; empty where it can."""
        if self.needs == "disk" and not faults.is_root():
            return "a disk of its own needs root"
        if self.needs == "network" and not faults.has_networks():
            return "a network of its own needs root, ip and iptables"
        if self.needs == "clock" and not faults.Clock.can_be_made():
            return "a clock of its own needs Linux and a C compiler"
        return ""


FAULTS: Final[dict[str, Kind]] = {
    "workers": Kind(kill_workers, "one of two workers is killed every five seconds"),
    "service": Kind(kill_service, "the whole service is killed and started again"),
    "stopped": Kind(stop_postgres, "PostgreSQL is stopped at once and started again", "postgresql"),
    "moved": Kind(move_postgres, "PostgreSQL starts again at another address that the service knows", "moved"),
    "frozen": Kind(freeze_postgres, "PostgreSQL answers nothing, its connections stay", "postgresql"),
    "cut": Kind(cut_network, "every packet to and from PostgreSQL is dropped", "tcp", "network"),
    "day": Kind(_clock(86_400), "the service's clock is a day ahead, and back", needs="clock"),
    "hour": Kind(_clock(-3600), "the service's clock is an hour behind, and back", needs="clock"),
    "month": Kind(_clock(31 * 86_400), "the service's clock is in the next month, and back", needs="clock"),
    "disk": Kind(fill_disk, "the disk of counts, spool and audit file is full", needs="disk"),
    "spool": Kind(fill_spool, "PostgreSQL is away, and at first the spool's disk is full", "postgresql", "disk"),
    "data": Kind(swap_data, "another release of the data every second"),
}


# --------------------------------------------------------------------------------------- the load


class Clients:
    """Contacts at a steady rate; those with a key are tried again until they are acknowledged."""

    def __init__(self, url: str, key: str, told: Told) -> None:
        self._url, self._key, self._told, self._ends = url, key, told, False

    async def run(self, work: Callable[[], Any]) -> None:
        """Send until the work is done and contacts are counted again."""
        limits = httpx.Limits(max_connections=500)
        async with httpx.AsyncClient(timeout=15, limits=limits, headers=bearer(self._key)) as client:
            sending = [asyncio.create_task(self._steadily(client, kind)) for kind in (self._unkeyed, self._keyed)]
            await asyncio.sleep(_WARM)
            self._told.began = time.monotonic()
            await asyncio.to_thread(work)
            self._told.ended = time.monotonic()
            await self._recovered()
            self._ends = True
            await asyncio.gather(*sending)

    async def _recovered(self) -> None:
        """Until three contacts in turn, sent after the fault, were counted."""
        while time.monotonic() - self._told.ended < _MOST_SECONDS:
            after = [(when, outcome) for when, _, _, outcome in self._told.answers if when > self._told.ended]
            for at in range(len(after) - 2):
                if all(outcome in ("counted", "duplicate") for _, outcome in after[at : at + 3]):
                    self._told.counted_again = after[at][0] - self._told.ended
                    return
            await asyncio.sleep(0.1)

    async def _steadily(self, client: httpx.AsyncClient, send: Callable[[httpx.AsyncClient, int], Any]) -> None:
        number = 0
        async with asyncio.TaskGroup() as group:
            while not self._ends:
                number += 1
                group.create_task(send(client, number))
                await asyncio.sleep(_EVERY)

    async def _unkeyed(self, client: httpx.AsyncClient, _: int) -> None:
        self._told.sent += 1
        self._told.acknowledged += await self._ask(client, {"specialty": UNKEYED}) in ACKNOWLEDGED

    async def _keyed(self, client: httpx.AsyncClient, number: int) -> None:
        self._told.keys += 1
        end = time.monotonic() + _MOST_SECONDS
        while time.monotonic() < end:
            if await self._ask(client, {"specialty": KEYED, "event_id": f"chaos-{number}"}) in ACKNOWLEDGED:
                self._told.keys_acknowledged += 1
                return
            await asyncio.sleep(0.5)

    async def _ask(self, client: httpx.AsyncClient, contact: dict[str, str]) -> str:
        body = {"postcode": "NG1 1AA", "contact": {**contact, "type": "outpatient", "age": 54, "sex": "female"}}
        began, outcome = time.monotonic(), ""
        try:
            answer = await client.post(f"{self._url}/v1/enrich", json=body)
            status = str(answer.status_code)
        except httpx.HTTPError as error:
            status = type(error).__name__
        else:
            if status == "200":
                found = answer.json()
                assert found["imd_decile"] == 3, "an answer is right or is none"
                outcome = "counted" if found["counted"] else str(found["counted_reason"])
        self._told.answers.append((began, time.monotonic() - began, status, outcome))
        return outcome


# ------------------------------------------------------------------------------------------ one fault


def tried(name: str, seconds: float, postgres: Postgres | None) -> Told:
    """One fault from its beginning to the store's last word."""
    kind, told = FAULTS[name], Told()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="imdlens-chaos-")))
        around, environment, store = _prepared(kind, seconds, folder, postgres, stack)
        key = key_in(folder, **{name: value for name, value in environment.items() if name.startswith("IMDLENS_")})
        stack.callback(around.service.end)
        around.service.start()
        asyncio.run(Clients(around.service.url, key, told).run(lambda: kind.fault(around)))
        told.settled = _settled(store, told)
        around.service.stop()
        told.stored = _stored(store)
    return told


def _prepared(
    kind: Kind, seconds: float, folder: Path, postgres: Postgres | None, stack: ExitStack
) -> tuple[Around, dict[str, str], str]:
    """The service and what is around it, the variables it starts with, and the store as it is looked at from here."""
    starter_data(folder)
    counts = folder / "disk" / "counts"
    disk = stack.enter_context(faults.small_disk(folder / "disk", 16)) if kind.needs == "disk" else None
    counts.parent.mkdir(exist_ok=True)
    network = stack.enter_context(faults.Network()) if kind.needs == "network" else None
    clock = faults.Clock(folder) if kind.needs == "clock" else None
    environment = {
        "IMDLENS_DATA_DIR": str(folder / "data"),
        "IMDLENS_COUNTS_DIR": str(counts),
        "IMDLENS_DATA_POLL_SECONDS": "0.2",
        "IMDLENS_AUDIT_FILE": str(counts.parent / "audit.log"),
    }
    store = f"sqlite:///{counts / 'counts.sqlite'}"
    if kind.database != "sqlite":
        assert postgres
        store = postgres.new_database()
        stack.callback(postgres.drop, store)
        listens = {"tcp": network.database if network else "", "moved": faults.ONE}.get(kind.database, "")
        stack.callback(_only_by_socket, postgres)
        for net in ("127.0.0.0/8", "10.0.0.0/8"):
            postgres.admit(net)
        postgres.take_away()
        postgres.bring_back(listens)
        environment |= {
            "IMDLENS_DATABASE_URL": _address(store, kind, listens),
            "IMDLENS_SECRET": "a secret of the chaos",
        }
    service = Service(
        folder / "service",
        2,
        host=network.service if network else "127.0.0.1",
        before=network.before if network else (),
        **environment,
        **(clock.environment if clock else {}),
    )
    return Around(folder, seconds, service, postgres, clock, network, disk), environment, store


def starter_data(folder: Path) -> Path:
    """A data folder with two releases of the starter data, to be swapped."""
    for starter in (True, False):
        options = BuildOptions(allow_part=True, starter=starter)

        def write(made: Path, options: BuildOptions = options) -> BuildReport:
            return build([packaged_data() / "starter"], made, manifest(), options)

        publish(folder / "data", write)
    return folder / "data"


def _only_by_socket(postgres: Postgres) -> None:
    postgres.take_away()
    postgres.bring_back()


def _address(store: str, kind: Kind, listens: str) -> str:
    """The database's address as the service is told it."""
    url = make_url(store)
    if kind.database == "moved":
        return f"postgresql://{url.username}@/{url.database}?host={faults.ONE}:5432&host={faults.OTHER}:5432"
    return f"postgresql://{url.username}@{listens}:5432/{url.database}" if listens else store


def _stored(url: str) -> dict[str, int]:
    with opened(url) as engine, engine.connect() as connection:
        asked = text("SELECT coalesce(sum(n), 0) FROM flow WHERE specialty = :which")
        return {which: int(connection.execute(asked, {"which": which}).scalar_one()) for which in (KEYED, UNKEYED)}


def _settled(url: str, told: Told) -> float | None:
    """Seconds from the fault's end until all that was acknowledged was in the store; None where it never was."""
    while (now := time.monotonic()) - told.ended < _MOST_SECONDS:
        try:
            stored = _stored(url)
        except SQLAlchemyError:
            continue
        if stored[KEYED] >= told.keys_acknowledged and stored[UNKEYED] >= told.acknowledged:
            return now - told.ended
        time.sleep(0.1)
    return None


@contextmanager
def server(names: list[str]) -> Iterator[Postgres | None]:
    """A PostgreSQL server where one of these faults needs it."""
    if all(FAULTS[name].database == "sqlite" for name in names):
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="imdlens-pg-") as folder:
        Path(folder).chmod(0o755)
        with running_postgres(Path(folder) / "data") as postgres:
            yield postgres


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    arguments.add_argument("names", nargs="*", metavar="FAULT", help=f"of {', '.join(FAULTS)}")
    arguments.add_argument("--seconds", type=float, default=10, help="that a fault lasts")
    report.add_option(arguments)
    options = arguments.parse_args()
    names = options.names or list(FAULTS)
    machine = national.machine("fastapi", "uvicorn", "sqlalchemy", "psycopg")
    print(f"Measured {machine}; each fault lasts {options.seconds:g} s\n", flush=True)
    print(
        national.table(
            ("fault", "what the user saw", "with a key", "without", "counted again, all stored", "holds"), []
        )
    )
    figures, held = [], True
    with server([name for name in names if not FAULTS[name].missing()]) as postgres:
        for name in names:
            kind = FAULTS[name]
            if missing := kind.missing():
                print(f"| {kind.what} | not tried: {missing} | | | | |", flush=True)
                continue
            told = tried(name, options.seconds, postgres)
            held &= told.holds
            times = ", ".join("never" if s is None else f"{s:.1f} s" for s in (told.counted_again, told.settled))
            keyed = f"{told.keys_acknowledged}/{told.stored[KEYED]}/{told.keys}"
            unkeyed = f"{told.acknowledged}/{told.stored[UNKEYED]}/{told.sent}"
            print(f"| {kind.what} | {told.saw()} | {keyed} | {unkeyed} | {times} | {told.holds} |", flush=True)
            figures.append(
                report.Figure(kind.what, f"counted again after {times}", told.saw(), "nothing lost or doubled")
            )
    print("\nwith and without a key: acknowledged/stored/sent")
    report.write(options.json, machine, figures)
    sys.exit(not held)


if __name__ == "__main__":
    main()
