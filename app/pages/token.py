"""The token that opens a card: the card's own content, sealed, padded to one length and good for 15 minutes.

Inside stand the length and the payload, deflated and then padded with zeros: what is short and what is
long make tokens of one length.
"""

import struct
import zlib
from collections.abc import Sequence
from typing import Final

from app.sealing import BadTokenError, Seal

LIFE_SECONDS: Final = 15 * 60
BLOCK: Final = 512  # with the moment that every sealed text begins with
MOST_BLOCKS: Final = 8

_MOMENT: Final = 8
_HEAD: Final = struct.Struct(">H")  # length of the deflated payload
_MOST_PAYLOAD: Final = 64 * 1024
_SEAL: Final = Seal(b"imdlens card v1", LIFE_SECONDS, longest=MOST_BLOCKS * BLOCK - _MOMENT)


def seal(payload: bytes, secrets: Sequence[bytes], now: float) -> str:
    """A token for this payload, sealed with the first of the secrets at the time `now`."""
    packed = zlib.compress(payload, 9)
    blocks = -(-(_MOMENT + _HEAD.size + len(packed)) // BLOCK)
    if len(payload) > _MOST_PAYLOAD or blocks > MOST_BLOCKS:
        raise ValueError("the payload is too large for a token")
    content = (_HEAD.pack(len(packed)) + packed).ljust(blocks * BLOCK - _MOMENT, b"\0")
    return _SEAL.seal(content, secrets, now)


def open_token(token: str, secrets: Sequence[bytes], now: float) -> bytes:
    """The payload of a token that one of the secrets sealed within the last 15 minutes."""
    content = _SEAL.open(token, secrets, now).content
    (length,) = _HEAD.unpack_from(content)
    return _inflated(content[_HEAD.size : _HEAD.size + length])


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
