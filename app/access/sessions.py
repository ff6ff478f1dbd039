"""Sessions of browsers: a key, exchanged for a sealed value that a browser keeps as a cookie.

Nothing is stored. The value names the key, and the ring is asked at each request: a session does not outlive its key.
"""

import secrets as randomness
from collections.abc import Sequence
from typing import Final, NamedTuple

from app.sealing import BadTokenError, ExpiredTokenError, Seal

LIFE_SECONDS: Final = 8 * 60 * 60
"""A shift. It is counted from the sign-in, whatever happens meanwhile."""

_ID: Final = 16
_LONGEST_KEY_ID: Final = 8
_SEAL: Final = Seal(b"imdlens session v1", LIFE_SECONDS, longest=_ID + _LONGEST_KEY_ID)


class Session(NamedTuple):
    """A session that was begun here: which key it rests on, its own random id, and when it ends at the latest."""

    key_id: str
    id: bytes
    ends: float


class Sessions:
    """Begins sessions and reads them."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        """`secrets` of the deployment, newest first."""
        self._secrets = secrets

    def begin(self, key_id: str, now: float) -> str:
        """The value of a new session. Each has another id, so that none from before the sign-in is of any use."""
        return _SEAL.seal(randomness.token_bytes(_ID) + key_id.encode(), self._secrets, now)

    def read(self, value: bytes, now: float) -> Session | None:
        """The session of a value; None where it is not ours, or over. Whether its key is still good is not asked."""
        try:
            content, made = _SEAL.open(value.decode("ascii"), self._secrets, now)
        except (UnicodeDecodeError, BadTokenError, ExpiredTokenError):
            return None
        return Session(content[_ID:].decode(), content[:_ID], made + LIFE_SECONDS)
