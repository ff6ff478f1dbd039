"""Proof of who calls: from what a request carries to a caller."""

import time
from typing import NamedTuple

from app.access.caller import Caller
from app.access.keys import PREFIX, KeyRing

_PREFIX = PREFIX.encode()


class Proof(NamedTuple):
    """A caller, and the key that the proof rests on where it rests on one."""

    caller: Caller
    key_id: str | None = None

    def holds(self, ring: KeyRing) -> bool:
        """Whether the proof is still good: its key not revoked meanwhile, its time not over."""
        return time.time() < self.caller.expires and (self.key_id is None or ring.is_good(self.key_id))


class Access:
    """Everything that a worker needs to tell who calls."""

    def __init__(self, ring: KeyRing) -> None:
        self.ring = ring

    def bearer(self, credential: bytes) -> Proof | None:
        """Who sends this after `Authorization: Bearer`; None where it proves nothing. KeysAwayError."""
        if not credential.startswith(_PREFIX):
            return None
        found = self.ring.caller(credential, time.time(), time.monotonic())
        return Proof(*found) if found else None
