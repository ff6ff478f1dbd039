"""Counts contacts durably: requests join a batch, one thread commits it, and the answers follow the commit.

While the database is away batches go to the spool; a second thread tells when it is back and delivers them.
Nothing here delays an answer beyond the deadline, and nothing here can fail one.
"""

import asyncio
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.counts.periods import financial_year
from app.counts.spool import Spool, SpoolError
from app.counts.store import Batch, CountStore, Event, Outcome

log: Final = logging.getLogger("imdlens")

_MOST_IN_BATCH: Final = 5_000  # contacts
_MOST_WAITING: Final = 50_000  # contacts
_GATHER_SECONDS: Final = 0.001  # before a batch is taken: fewer, larger ones cost less, most of all with two workers
_TRIES: Final = 3
_BEAT_SECONDS: Final = 5.0
_PROBE_SECONDS: Final = 0.5
_PREPARE_SECONDS: Final = 5.0
_FORGET_SECONDS: Final = 3600.0

_Waiting = tuple[Sequence[Event], "asyncio.Future[list[Outcome]]"]


class Ledger:
    """One for each worker. `count` belongs to the event loop's thread, all else to the two threads."""

    def __init__(self, store: CountStore, spool: Spool, deadline: float) -> None:
        """`deadline` in seconds: an answer that waited this long goes out as `unconfirmed`."""
        self._store, self._spool, self._deadline = store, spool, deadline
        # The next batch grows while the writer is busy with the one before, and the writer takes it by itself: each
        # wake-up of a thread takes Python's lock from the loop, so it is woken only when it sleeps.
        self._next: list[_Waiting] = []
        self._busy = False
        self._handing = threading.Lock()  # over both
        self._wake_up: queue.SimpleQueue[bool] = queue.SimpleQueue()  # False to end
        self._waiting = 0
        self._expiring: deque[tuple[float, asyncio.Future[list[Outcome]]]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._editions: dict[int, str] = spool.editions()  # those met before, for when the database is away
        self._asked: dict[int, tuple[float, asyncio.Task[None]]] = {}
        self._away = False
        self._ends = threading.Event()
        self._writer = threading.Thread(target=self._write, name="ledger-writer", daemon=True)
        self._keeper = threading.Thread(target=self._keep, name="ledger-keeper", daemon=True)

    def start(self) -> None:
        """Begin to count, from within a running event loop."""
        self._loop = asyncio.get_running_loop()
        self._writer.start()
        self._keeper.start()

    # ------------------------------------------------------------------------- the event loop's side

    async def count(self, events: Sequence[Event]) -> list[Outcome]:
        """What became of each contact, within the deadline."""
        if self._waiting + len(events) > _MOST_WAITING or self._ends.is_set():
            return ["unavailable"] * len(events)
        done: asyncio.Future[list[Outcome]] = self._loop.create_future()
        self._waiting += len(events)
        with self._handing:
            self._next.append((events, done))
            sleeps, self._busy = not self._busy, True
        if sleeps:
            self._loop.call_soon(self._wake_up.put, True)  # with what other requests of this turn of the loop add
        self._expiring.append((self._loop.time() + self._deadline, done))
        if self._timer is None:
            self._timer = self._loop.call_at(self._expiring[0][0], self._expire)
        # A deadline gives None rather than an exception: it is an ordinary end of waiting.
        return await done or ["unconfirmed"] * len(events)

    def _expire(self) -> None:
        now = self._loop.time()
        while self._expiring and (self._expiring[0][1].done() or self._expiring[0][0] <= now):
            _, done = self._expiring.popleft()
            if not done.done():
                done.set_result([])
        self._timer = self._loop.call_at(self._expiring[0][0], self._expire) if self._expiring else None

    def _answer(self, taken: list[_Waiting], outcomes: list[list[Outcome]]) -> None:
        for (events, done), became in zip(taken, outcomes, strict=True):
            self._waiting -= len(events)
            if not done.done():  # the deadline passed, or the caller left
                done.set_result(became)

    @property
    def is_away(self) -> bool:
        """Whether the database cannot be reached, as far as this worker knows."""
        return self._away

    def spooled(self) -> tuple[int, int | None]:
        """Batches on this host's disk, and when the oldest was put there, in seconds since 1970. SpoolError."""
        return self._spool.waiting()

    def known_edition(self, month: str) -> str | None:
        """The edition that a month is counted on, if this worker has met its year before."""
        return self._editions.get(financial_year(month))

    async def edition_of(self, month: str) -> str | None:
        """The edition that a month is counted on; None while the database cannot be asked for the first time.

        It is asked once for all who wait, and they wait no longer than the deadline, counted from the first.
        """
        year, now = financial_year(month), self._loop.time()
        if year not in self._editions and not self._away and not self._ends.is_set():
            if year not in self._asked:
                self._asked[year] = (now, self._loop.create_task(self._ask(year, month)))
            since, asking = self._asked[year]
            if (left := since + self._deadline - now) > 0:
                await asyncio.wait([asking], timeout=left)
        return self._editions.get(year)

    async def prepare(self, month: str) -> None:
        """Learn the edition that a month is counted on before anybody waits for it, as long as that takes a while.

        The first connection to a database takes longer than a contact may wait: it would not be counted.
        """
        year = financial_year(month)
        if year not in self._editions and year not in self._asked:
            self._asked[year] = (self._loop.time(), self._loop.create_task(self._ask(year, month)))
            await asyncio.wait([self._asked[year][1]], timeout=_PREPARE_SECONDS)

    async def _ask(self, year: int, month: str) -> None:
        try:
            self._editions[year] = await asyncio.to_thread(self._store.edition_of, month)
            await asyncio.to_thread(self._spool.remember_edition, year, self._editions[year])
        except (SQLAlchemyError, SpoolError) as error:
            log.warning("the edition of a year is not known: %s", type(error).__name__)
        finally:
            del self._asked[year]

    async def stop(self, seconds: float = 10.0) -> None:
        """Finish what waits, tell the store whether anything is left on the disk, and end the threads."""
        self._ends.set()
        self._wake_up.put(True)
        self._wake_up.put(False)
        await asyncio.to_thread(self._writer.join, seconds)
        await asyncio.to_thread(self._keeper.join, seconds)
        if asking := [task for _, task in self._asked.values()]:
            await asyncio.wait(asking, timeout=seconds)
        if not self._writer.is_alive() and self._timer:
            self._timer.cancel()  # all are answered
        self._spool.close()
        self._store.close()

    # ------------------------------------------------------------------------------- the writer's side

    def _write(self) -> None:
        while self._wake_up.get():
            while taken := self._take():
                self._tell(taken, self._commit(taken))

    def _take(self) -> list[_Waiting]:
        """Everything that waits, up to a batch."""
        if self._next:
            time.sleep(_GATHER_SECONDS)
        with self._handing:
            contacts = end = 0
            while end < len(self._next) and contacts < _MOST_IN_BATCH:
                contacts += len(self._next[end][0])
                end += 1
            taken = self._next[:end]
            del self._next[:end]
            self._busy = bool(taken)
            return taken

    def _tell(self, taken: list[_Waiting], outcomes: list[list[Outcome]]) -> None:
        try:
            self._loop.call_soon_threadsafe(self._answer, taken, outcomes)
        except RuntimeError:  # the loop is closed: nobody waits any more
            log.warning("contacts were counted after the last request had gone")

    def _commit(self, taken: list[_Waiting]) -> list[list[Outcome]]:
        try:
            return self._commit_all(taken)
        except (DataError, IntegrityError) as error:
            log.error("a batch could not be counted: %s", type(error).__name__)
        except Exception as error:  # noqa: BLE001 - a writer that ended would leave every later contact uncounted
            log.error("counting a batch failed: %s", type(error).__name__)
            return [["unconfirmed"] * len(events) for events, _ in taken]
        if len(taken) == 1:
            return [["unavailable"] * len(taken[0][0])]
        half = len(taken) // 2  # the database took nothing of it: find the one at fault, and count the others
        return self._commit(taken[:half]) + self._commit(taken[half:])

    def _commit_all(self, taken: list[_Waiting]) -> list[list[Outcome]]:
        batch = Batch.of(event for events, _ in taken for event in events)
        tried = False
        for attempt in range(_TRIES):
            if self._away:
                break
            tried = True
            try:
                committed = self._store.commit(batch)
            except (DataError, IntegrityError):
                raise  # no fault of the database's: it would fail as well from the spool, for ever
            except (DBAPIError, PoolTimeoutError) as error:
                self._failed(error, last=attempt == _TRIES - 1)
                continue
            seen: set[str] = set()
            return [[committed.outcome(event, seen) for event in events] for events, _ in taken]
        return self._put_aside(taken, batch, tried=tried)

    def _failed(self, error: SQLAlchemyError, *, last: bool) -> None:
        # A lost connection or the last try: the database is away until the other thread finds it back.
        if last or (isinstance(error, DBAPIError) and error.connection_invalidated):
            if not self._away:
                log.error("the database of counts is away: %s", type(error).__name__)
            self._away = True
        else:
            time.sleep(0.01)

    def _put_aside(self, taken: list[_Waiting], batch: Batch, *, tried: bool) -> list[list[Outcome]]:
        became: Outcome = "spooled"
        try:
            self._spool.put(batch)
        except SpoolError as error:
            log.error("contacts can be kept nowhere: %s", type(error).__name__)
            became = "unconfirmed" if tried else "unavailable"
        return [[became] * len(events) for events, _ in taken]

    # ------------------------------------------------------------------------------- the keeper's side

    def _keep(self) -> None:
        """Until the end: see whether the database is back, deliver the spool, tell the store this host lives."""
        beat = forget = float("-inf")
        joined = False
        while not self._ends.wait(_PROBE_SECONDS):
            now = time.monotonic()
            try:
                if not joined:
                    self._spool.join()
                    joined = True
                if self._away:
                    self._beat()
                    self._away, beat = False, float("-inf")
                    log.warning("the database of counts is back")
                if now - beat >= _BEAT_SECONDS and self._spool.is_keeper():
                    beat = now  # when it fails, not twice a second
                    self._deliver()
                    self._beat()
                if now - forget >= _FORGET_SECONDS and self._spool.is_keeper():
                    forget = now
                    self._store.forget_old_keys()
            except Exception as error:  # noqa: BLE001 - a keeper that ended would leave the spool undelivered
                if not self._away:
                    log.error("keeping the store failed: %s", type(error).__name__)
        self._leave()

    def _beat(self, *, stopped: bool = False) -> None:
        waiting, oldest = self._spool.waiting()
        self._store.beat(self._spool.host, waiting, oldest=oldest, stopped=stopped)

    def _deliver(self) -> None:
        """Bring spooled batches to the store, oldest first, until none is left but what it will not take."""
        while (batch := self._spool.oldest()) is not None:
            try:
                self._store.commit(batch, from_spool=True)
            except (DataError, IntegrityError, LookupError, TypeError, ValueError) as error:
                log.error("a spooled batch cannot be delivered and is set aside: %s", type(error).__name__)
                self._spool.set_aside(batch.id)
            else:
                self._spool.remove(batch.id)

    def _leave(self) -> None:
        self._writer.join(10)
        try:
            if not self._spool.is_last():
                return
            self._deliver()
            self._beat(stopped=True)
        except Exception as error:  # noqa: BLE001 - the process is ending, and says only why
            log.warning("the store was not told that this host stopped: %s", type(error).__name__)
