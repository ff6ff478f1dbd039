"""Proof of who calls: from what a request carries to a caller."""

import asyncio
import time
from typing import Final, NamedTuple

from app.access.caller import Caller
from app.access.keys import PREFIX, KeyRing
from app.access.spent import SpentTokens
from app.access.tokens import TokenError, TokenReader, is_jwt

_PREFIX: Final = PREFIX.encode()


class Proof(NamedTuple):
    """A caller, and the key that the proof rests on where it rests on one."""

    caller: Caller
    key_id: str | None = None

    def holds(self, ring: KeyRing) -> bool:
        """Whether the proof is still good: its key not revoked meanwhile, its time not over."""
        return time.time() < self.caller.expires and (self.key_id is None or ring.is_good(self.key_id))


class Refused(NamedTuple):
    """A credential that proves nothing. The reason is for lines of the log: callers are never told."""

    reason: str


NO_CREDENTIAL: Final = Refused("credential")
_NO_GOOD_KEY: Final = Refused("key")  # wrong, revoked or expired: of what is not in the ring nothing more is known
_SPENT: Final = Refused("token_spent")


class Access:
    """Everything that a worker needs to tell who calls. `tokens` where an access file names who may send them."""

    def __init__(self, ring: KeyRing, tokens: TokenReader | None, spent: SpentTokens) -> None:
        self.ring, self.tokens, self._spent = ring, tokens, spent

    def bearer(self, credential: bytes) -> Proof | Refused:
        """Who sends this after `Authorization: Bearer`. KeysAwayError."""
        if credential.startswith(_PREFIX):
            found = self.ring.caller(credential, time.time(), time.monotonic())
            return Proof(*found) if found else _NO_GOOD_KEY
        if self.tokens and is_jwt(credential):
            try:
                return Proof(self.tokens.caller(credential, time.time()))
            except TokenError as error:
                return _refused(error)
        return NO_CREDENTIAL

    async def hook(self, credential: bytes, path: str) -> Proof | Refused:
        """The same at the doors of CDS Hooks, where an EPR may send a token for this one call. SpentAwayError."""
        if self.tokens is None or not is_jwt(credential):
            return self.bearer(credential)
        # In a thread: checking a signature of theirs takes a millisecond, and the database takes more.
        return await asyncio.to_thread(self._spend, self.tokens, credential, path)

    def _spend(self, tokens: TokenReader, credential: bytes, path: str) -> Proof | Refused:
        try:
            token = tokens.hook(credential, path, time.time())
        except TokenError as error:
            # Of an issuer that is no EPR: it may be a token for every door.
            return self.bearer(credential) if error.reason == "issuer" else _refused(error)
        return Proof(token.caller) if self._spent.spend(token) else _SPENT

    def close(self) -> None:
        """Give connections back."""
        self._spent.close()


def _refused(error: TokenError) -> Refused:
    return Refused(f"token_{error.reason}")
