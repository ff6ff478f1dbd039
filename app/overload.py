"""Whether this worker has more to do than it can answer in time.

One worker is one event loop. What it has taken on waits in turn, and a handler that only computes runs to its end: so
neither the number of requests in work nor the rate of answers tells by itself how long a newcomer would wait. Two
signs are read together: how much was taken on, and how late the loop is at what it was told to do.
"""

import asyncio
import logging
from collections.abc import Callable
from time import monotonic
from typing import Final

log: Final = logging.getLogger("imdlens")

TICK_SECONDS: Final = 0.01
"""How often the loop is asked how late it is."""

_TARGET_SECONDS: Final = 0.03
_WINDOW_SECONDS: Final = 0.1
_QUIET_SECONDS: Final = 5.0  # an overload is over when for so long nobody was turned away
_PATIENCE_SECONDS: Final = 1.0  # then a slice is done all the same: a stream must get on
_LEAST_ROOM: Final = 16
_STEPS_BACK: Final = 32  # ticks from the least room to all of it

_BYTES_OF_A_UNIT: Final = 2048
_HEAVIEST: Final = 32


def weight(announced_bytes: int | None) -> int:
    """What a request with a body of this length weighs; None where its length was not announced.

    A unit is one small request. A batch is answered in slices of some milliseconds, between which others have their
    turn, so that what it weighs on others does not grow with its length for ever.
    """
    if announced_bytes is None:
        return _HEAVIEST
    return min(1 + announced_bytes // _BYTES_OF_A_UNIT, _HEAVIEST)


class LoopDelay:
    """Whether the loop is behind: late at every tick of a window, as CoDel judges a queue by its least delay.

    One late tick is a pause, of the garbage collector or of a large body. Late all the time is a queue that stands.
    """

    def __init__(self, target: float = _TARGET_SECONDS, window: float = _WINDOW_SECONDS) -> None:
        """Behind when at least `target` seconds late for `window` seconds."""
        self.target, self.window = target, window
        self.last = 0.0
        self._late_since: float | None = None

    def note(self, late: float, now: float) -> bool:
        """Take down how late a tick came, in seconds; whether the loop is behind."""
        self.last = late
        if late < self.target:
            self._late_since = None
            return False
        if self._late_since is None:
            self._late_since = now
        return now - self._late_since >= self.window


class Overload:
    """What one worker has taken on, and whether it can take on more. Used by its event loop alone.

    A burst is let in up to `most`: it is soon worked off. When the loop stays behind, the room for those that wait
    is halved at each tick until it catches up, and then given back step by step: so much is let in as is answered in
    time, however dear an answer is and however many have to be refused beside it.
    """

    def __init__(self, most: int, delay: LoopDelay | None = None, clock: Callable[[], float] = monotonic) -> None:
        """`most` units at once."""
        self.most = most
        self.delay = delay or LoopDelay()
        self.behind = False
        """Whether the loop does not catch up with the least room. Under a server that does not say what waits, the only
        sign of it."""
        self.room = most
        """How many may wait now."""
        self.waiting = 0
        """Requests that were let in and have not begun."""
        self.in_flight = 0
        """Units that have begun and are not answered."""
        self.shed = 0
        """Requests turned away since the start."""
        self._least, self._step = min(_LEAST_ROOM, most), max(1, most // _STEPS_BACK)
        self._clock = clock
        self._turn = asyncio.Lock()
        self._shed_before = 0
        self._last_shed: float | None = None

    @property
    def refuses(self) -> bool:
        """Whether a newcomer is to be turned away before it waits."""
        return self.waiting >= self.room or self.in_flight + self.waiting >= self.most

    @property
    def is_full(self) -> bool:
        """Whether what has begun is all that may; what waits learns it when its turn comes."""
        return self.in_flight >= self.most

    def tick(self, late: float) -> None:
        """One tick of the loop came so many seconds late."""
        now = self._clock()
        if self.delay.note(late, now):
            self.behind = self.room == self._least
            self.room = max(self.room // 2, self._least)
        else:
            self.behind = False
            if late < self.delay.target:
                self.room = min(self.room + self._step, self.most)
        if self.shed != self._shed_before:
            if self._last_shed is None:
                log.warning("overloaded: some requests are answered 503")
            self._shed_before, self._last_shed = self.shed, now
        elif self._last_shed is not None and now - self._last_shed >= _QUIET_SECONDS:
            self._last_shed = None
            log.warning("no longer overloaded")

    @property
    def is_strained(self) -> bool:
        """Whether the loop was late when it was last asked, or is not yet given all its room back."""
        return self.delay.last >= self.delay.target or self.room < self.most

    async def turn(self) -> None:
        """Wait until a slice of work that nobody waits for may be done: one at a time, and rarely under strain.

        Between two slices everything else that is ready has its turn.
        """
        async with self._turn:
            await asyncio.sleep(0)
            patience = self._clock() + _PATIENCE_SECONDS
            # Looked at as often as the loop's delay is: there is nothing else that would tell.
            while self.is_strained and self._clock() < patience:  # noqa: ASYNC110
                await asyncio.sleep(TICK_SECONDS)

    async def watch(self) -> None:
        """Ask the loop how late it is, until cancelled."""
        while True:
            due = self._clock() + TICK_SECONDS
            await asyncio.sleep(TICK_SECONDS)
            self.tick(max(0.0, self._clock() - due))
