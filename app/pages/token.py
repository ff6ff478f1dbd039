"""The token that opens a card: the card's own content, encrypted, padded to one length and good for 15 minutes.

Nothing is kept on the server, so any host with the same secret opens it. Inside stand the time of
sealing, the length and the payload, deflated and then padded with zeros: what is short and what is
long make tokens of one length. AES-256-GCM keeps it secret and whole.

The nonce is 96 random bits. A service without a store has no counter that hosts could share, and a
clock can be set back; by chance alone, a thousand million tokens under one secret meet twice with a
probability of one in 10^11. The label that keys are derived with names this layout: another layout
takes another label, and old tokens are then no longer tokens.
"""

import base64
import re
import secrets as randomness
import struct
import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

LIFE_SECONDS: Final = 15 * 60
SKEW_SECONDS: Final = 60  # how far the clock of the host that sealed may be ahead of ours
BLOCK: Final = 512
MOST_BLOCKS: Final = 8

_LABEL: Final = b"imdlens card v1"
_NONCE: Final = 12
_TAG: Final = 16
_HEAD: Final = struct.Struct(">QH")  # milliseconds since 1970, length of the deflated payload
_MOST_PAYLOAD: Final = 64 * 1024
_LONGEST: Final = -(-(_NONCE + MOST_BLOCKS * BLOCK + _TAG) * 4 // 3)
_TEXT: Final = re.compile(r"[A-Za-z0-9_-]+")


class ExpiredTokenError(Exception):
    """A token of ours, older than its life."""


class BadTokenError(Exception):
    """Not a token of ours: made up, damaged, cut short, or sealed with a secret that is no longer listed."""


def seal(payload: bytes, secrets: Sequence[bytes], now: float) -> str:
    """A token for this payload, sealed with the first of the secrets at the time `now`."""
    if not secrets or not secrets[0]:
        raise ValueError("a token needs a secret")
    packed = zlib.compress(payload, 9)
    inside = _HEAD.size + len(packed)
    blocks = -(-inside // BLOCK)
    if len(payload) > _MOST_PAYLOAD or blocks > MOST_BLOCKS:
        raise ValueError("the payload is too large for a token")
    plain = (_HEAD.pack(int(now * 1000), len(packed)) + packed).ljust(blocks * BLOCK, b"\0")
    nonce = randomness.token_bytes(_NONCE)
    return base64.urlsafe_b64encode(nonce + _cipher(secrets[0]).encrypt(nonce, plain, None)).rstrip(b"=").decode()


def open_token(token: str, secrets: Sequence[bytes], now: float) -> bytes:
    """The payload of a token that one of the secrets sealed within the last 15 minutes."""
    sealed = _decoded(token)
    plain = _decrypted(sealed[:_NONCE], sealed[_NONCE:], secrets)
    made, length = _HEAD.unpack_from(plain)
    age = int(now * 1000) - made
    if age < -SKEW_SECONDS * 1000:
        raise BadTokenError
    if age >= LIFE_SECONDS * 1000:
        raise ExpiredTokenError
    return _inflated(plain[_HEAD.size : _HEAD.size + length])


def _decoded(token: str) -> bytes:
    """The bytes of a token, if its form alone does not rule it out; the length is looked at before anything else."""
    if len(token) > _LONGEST or not _TEXT.fullmatch(token) or len(token) % 4 == 1:
        raise BadTokenError
    sealed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    inside = len(sealed) - _NONCE - _TAG
    # The last character holds bits that decode to nothing: one token has one spelling.
    if inside < BLOCK or inside % BLOCK or base64.urlsafe_b64encode(sealed).rstrip(b"=").decode() != token:
        raise BadTokenError
    return sealed


def _decrypted(nonce: bytes, sealed: bytes, secrets: Sequence[bytes]) -> bytes:
    for secret in filter(None, secrets):
        try:
            return _cipher(secret).decrypt(nonce, sealed, None)
        except InvalidTag:
            continue
    raise BadTokenError


def _inflated(packed: bytes) -> bytes:
    """What was deflated. It was authenticated, so a limit and an error are for mistakes of ours alone."""
    inflater = zlib.decompressobj()
    try:
        payload = inflater.decompress(packed, _MOST_PAYLOAD + 1)
    except zlib.error:
        raise BadTokenError from None
    if not inflater.eof:
        raise BadTokenError
    return payload


@lru_cache(maxsize=16)
def _cipher(secret: bytes) -> AESGCM:
    """The cipher of one secret. A deployment has one or two, so each key is derived once."""
    return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=None, info=_LABEL).derive(secret))
