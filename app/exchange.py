"""What is noted of one request while it is served. Nothing of what it carried is among it."""

import time
from collections.abc import Callable, Iterable
from typing import Final, Literal, NamedTuple

from starlette.types import Scope

from app.access.caller import Caller
from app.doors import Door

KEY: Final = "imdlens"
Cut = Literal["proof", "slow", "left", "stopped", "fault"]
"""Why an answer ended before it was whole."""
WHOLE: Final = "imdlens.whole"
"""Stands in the scope of a request whose body is all there: to read it takes no time, in which anything could change.
Only our own connections say so; under another server every body is taken for one that may be slow."""


class Trace(NamedTuple):
    """Where a request stands in its caller's trace: W3C's `traceparent`, taken apart. Hexadecimal."""

    trace_id: str
    parent_id: str
    sampled: bool


class Exchange:
    """One request and its answer: which door, who called, how many records. Made by the outermost layer."""

    __slots__ = (
        "began",
        "caller",
        "contacts",
        "cut",
        "door",
        "feedback",
        "holds",
        "key_id",
        "records",
        "refused",
        "shown_id",
        "trace",
        "user",
    )

    def __init__(self) -> None:
        self.shown_id = ""
        """The request's id as it may be written down: one that the caller chose could be a patient's."""
        self.began = time.perf_counter()
        self.door: Door | None = None
        self.caller: Caller | None = None
        self.key_id: str | None = None
        """The key that the caller's proof rests on, where it rests on one."""
        self.user: str | None = None
        """A keyed hash of the user whom a listed proxy vouched for; the name itself is noted nowhere."""
        self.refused: str | None = None
        """Why the door stayed closed, in a word that is ours alone."""
        self.holds: Callable[[], bool] = _always
        """Whether the proof of the caller is still good."""
        self.cut: Cut | None = None
        """Why the answer was cut off, where it was."""
        self.records = 0
        self.contacts: dict[str, int] | None = None
        """How many contacts became what, where there were any."""
        self.feedback: tuple[str, tuple[str, ...]] | None = None
        """The service whose cards feedback is about, and the outcome of each card."""
        self.trace: Trace | None = None

    def count_contacts(self, outcomes: Iterable[str]) -> None:
        """Note what became of contacts."""
        counted = self.contacts = self.contacts or {}
        for outcome in outcomes:
            counted[outcome] = counted.get(outcome, 0) + 1


def _always() -> bool:
    return True


def exchange_of(scope: Scope) -> Exchange:
    """What is noted of this request."""
    exchange: Exchange = scope[KEY]
    return exchange
