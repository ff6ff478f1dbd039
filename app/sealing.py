"""Sealed texts: content that only this deployment can read or make, with the time at which it was sealed.

Nothing is kept on the server, so any host with the same secret opens them. AES-256-GCM keeps content secret and whole.
Each kind of content has a label that its keys are derived with, so that one kind is never taken for another.

The nonce is 96 random bits. A service without a store has no counter that hosts could share, and a
clock can be set back; by chance alone, a thousand million texts under one secret meet twice with a
probability of one in 10^11. The label names the layout too: another layout takes another label, and what was
sealed before is then no longer ours.
"""

import base64
import re
import secrets as randomness
import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SKEW_SECONDS: Final = 60  # how far the clock of the host that sealed may be ahead of ours

_NONCE: Final = 12
_TAG: Final = 16
_MADE: Final = struct.Struct(">Q")  # milliseconds since 1970
_TEXT: Final = re.compile(r"[A-Za-z0-9_-]+")


class ExpiredTokenError(Exception):
    """A text of ours, older than its life."""


class BadTokenError(Exception):
    """Not a text of ours: made up, damaged, cut short, or sealed with a secret that is no longer listed."""


class Opened(NamedTuple):
    """What was sealed, and when, in seconds since 1970."""

    content: bytes
    made: float


@lru_cache(maxsize=64)
def derived(secret: bytes, label: bytes) -> bytes:
    """A key of 32 bytes for one use of a secret. A deployment has one or two secrets: each is derived once."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=label).derive(secret)


class Seal:
    """Seals one kind of content, for a life of some seconds."""

    def __init__(self, label: bytes, life_seconds: int, longest: int) -> None:
        """`longest` content in bytes: what is longer when it comes is refused before anything is done with it."""
        self.life_seconds = life_seconds
        self._label = label
        self._longest = -(-(_NONCE + _MADE.size + longest + _TAG) * 4 // 3)

    def seal(self, content: bytes, secrets: Sequence[bytes], now: float) -> str:
        """This content under the first of the secrets, at the time `now`, in letters that fit an address."""
        if not secrets or not secrets[0]:
            raise ValueError("a token needs a secret")
        nonce = randomness.token_bytes(_NONCE)
        plain = _MADE.pack(int(now * 1000)) + content
        sealed = nonce + AESGCM(derived(secrets[0], self._label)).encrypt(nonce, plain, None)
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open(self, text: str, secrets: Sequence[bytes], now: float) -> Opened:
        """What one of the secrets sealed within the life of its kind. BadTokenError, ExpiredTokenError."""
        plain = self._decrypted(self._decoded(text), secrets)
        (made,) = _MADE.unpack_from(plain)
        age = int(now * 1000) - made
        if age < -SKEW_SECONDS * 1000:
            raise BadTokenError
        if age >= self.life_seconds * 1000:
            raise ExpiredTokenError
        return Opened(plain[_MADE.size :], made / 1000)

    def _decoded(self, text: str) -> bytes:
        """The bytes of a text, if its form alone does not rule it out; the length is looked at before all else."""
        if len(text) > self._longest or not _TEXT.fullmatch(text) or len(text) % 4 == 1:
            raise BadTokenError
        sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        # The last character holds bits that decode to nothing: one token has one spelling.
        if len(sealed) < _NONCE + _MADE.size + _TAG or base64.urlsafe_b64encode(sealed).rstrip(b"=").decode() != text:
            raise BadTokenError
        return sealed

    def _decrypted(self, sealed: bytes, secrets: Sequence[bytes]) -> bytes:
        for secret in filter(None, secrets):
            try:
                return AESGCM(derived(secret, self._label)).decrypt(sealed[:_NONCE], sealed[_NONCE:], None)
            except InvalidTag:
                continue
        raise BadTokenError
