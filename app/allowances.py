"""What each client may take of one worker: so many requests at once, so many rows of batches a minute."""

from collections import OrderedDict
from collections.abc import Callable
from time import monotonic_ns
from typing import Final, NamedTuple

_SECOND: Final = 10**9
_MINUTE: Final = 60 * _SECOND
_MOST_CLIENTS: Final = 1000
"""Clients are named by keys and so are few; what is noted of them is bounded all the same."""


class Taken(NamedTuple):
    """What became of a request for rows."""

    granted: bool
    remaining: int
    """Rows that are left now."""
    wait: int
    """Whole seconds: where refused until they could be granted, else until the whole allowance is back."""


class RowBucket:
    """An allowance of rows that fills up steadily within a minute.

    What is kept is one moment: until when the rows that were taken are paid for by time. Whole nanoseconds, so that
    nothing is lost by rounding, however many small steps there are.
    """

    __slots__ = ("_paid_until", "per_minute")

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._paid_until = 0

    def take(self, rows: int, now: int) -> Taken:
        """Take rows, all or none of them. `now` in nanoseconds of a clock that never goes back."""
        paid_until = max(self._paid_until, now)
        then = paid_until - (-rows * _MINUTE // self.per_minute)  # rounded up
        if (over := then - now - _MINUTE) > 0:
            return Taken(False, self._left(paid_until, now), _whole_seconds(over))
        self._paid_until = then
        return Taken(True, self._left(then, now), _whole_seconds(then - now))

    def is_full(self, now: int) -> bool:
        """Whether nothing of the allowance is taken."""
        return self._paid_until <= now

    def _left(self, paid_until: int, now: int) -> int:
        return (_MINUTE - (paid_until - now)) * self.per_minute // _MINUTE


def _whole_seconds(nanoseconds: int) -> int:
    return -(-nanoseconds // _SECOND)


class Client:
    """One client's use of this worker."""

    __slots__ = ("in_flight", "rows")

    def __init__(self, rows: RowBucket | None) -> None:
        self.in_flight = 0
        self.rows = rows


class Allowances:
    """Every client's use of this worker. Used by its event loop alone."""

    def __init__(
        self,
        in_flight: int,
        rows_per_minute: int,
        *,
        most_clients: int = _MOST_CLIENTS,
        clock: Callable[[], int] = monotonic_ns,
    ) -> None:
        """`rows_per_minute` 0 is no limit. `clock` in nanoseconds."""
        self.in_flight, self.rows_per_minute = in_flight, rows_per_minute
        self._most_clients, self._clock = most_clients, clock
        self._clients: OrderedDict[str, Client] = OrderedDict()

    def __len__(self) -> int:
        """Of how many clients something is noted."""
        return len(self._clients)

    def client(self, name: str) -> Client:
        """The client of this name."""
        client = self._clients.get(name)
        if client is None:
            if len(self._clients) >= self._most_clients:
                self._forget_some()
            client = self._clients[name] = Client(RowBucket(self.rows_per_minute) if self.rows_per_minute else None)
        return client

    def take(self, name: str, rows: int) -> Taken | None:
        """Take rows for a client; None where rows are not limited."""
        client = self.client(name)
        return None if client.rows is None else client.rows.take(rows, self._clock())

    def _forget_some(self) -> None:
        """Forget who uses nothing; where all do, who came first of those that have no request in work."""
        now = self._clock()
        idle = [name for name, client in self._clients.items() if client.in_flight == 0]
        done = [name for name in idle if (rows := self._clients[name].rows) is None or rows.is_full(now)]
        for name in done or idle[:1]:
            del self._clients[name]
