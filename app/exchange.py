"""What is noted of one request while it is served. Nothing of what it carried is among it."""

import time
from typing import Final

from starlette.types import Scope

from app.access.caller import Caller
from app.doors import Door

KEY: Final = "imdlens"


class Exchange:
    """One request and its answer: which door, who called, how many records. Made by the outermost layer."""

    __slots__ = ("began", "caller", "door", "key_id", "records", "request_id", "user")

    def __init__(self, request_id: bytes) -> None:
        self.request_id = request_id
        self.began = time.perf_counter()
        self.door: Door | None = None
        self.caller: Caller | None = None
        self.key_id: str | None = None
        """The key that the caller's proof rests on, where it rests on one."""
        self.user: str | None = None
        """A keyed hash of the user whom a listed proxy vouched for; the name itself is noted nowhere."""
        self.records = 0


def exchange_of(scope: Scope) -> Exchange:
    """What is noted of this request."""
    exchange: Exchange = scope[KEY]
    return exchange
