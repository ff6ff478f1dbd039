"""API keys: how they are made, and the ring of keys that each worker holds in memory.

A key is `imdl_` and 32 random bytes in base64url. It is shown once; what is stored is a hash under a key that is
derived from the deployment's secret, so that neither the database nor its backup alone tells which keys are good.
"""

import base64
import hmac
import re
import secrets as randomness
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from app.access.caller import Caller

PREFIX: Final = "imdl_"
CACHED_SECONDS: Final = 15 * 60
"""For so long are keys believed after the database was last seen: for no longer can a revoked one still serve."""

_KEY: Final = re.compile(rb"imdl_[A-Za-z0-9_-]{43}")
_LABEL: Final = b"imdlens api keys v1"


class KeysAwayError(Exception):
    """The database was not seen for too long: nobody can say which keys are good."""


class StoredKey(NamedTuple):
    """A key as it is stored. Moments are seconds since 1970."""

    id: str
    hash: str
    name: str
    scopes: frozenset[str]
    expires_at: int


def make_key() -> str:
    """A fresh key, to be shown once."""
    return PREFIX + base64.urlsafe_b64encode(randomness.token_bytes(32)).rstrip(b"=").decode()


def is_key(text: bytes) -> bool:
    """Whether this has the form of a key."""
    return _KEY.fullmatch(text) is not None


class KeyHasher:
    """Hashes keys under the deployment's secrets, newest first."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        self._peppers = [hmac.digest(secret, _LABEL, "sha256") for secret in secrets]

    def newest(self, key: bytes) -> str:
        """The hash that a new key is stored under."""
        return hmac.digest(self._peppers[0], key, "sha256").hex()

    def all(self, key: bytes) -> list[str]:
        """The hashes that a key may be stored under."""
        return [hmac.digest(pepper, key, "sha256").hex() for pepper in self._peppers]


class KeyRing:
    """The keys that are good, as this worker last read them. Moments named `seen` are of a monotonic clock."""

    def __init__(self, hasher: KeyHasher) -> None:
        self._hasher = hasher
        self._keys: dict[str, StoredKey] = {}
        self._good: frozenset[str] = frozenset()
        self._seen: float | None = None
        self.used: dict[str, int] = {}
        """When each key was last used, by its id, until that is written down."""
        self.renewed: dict[str, str] = {}
        """Hashes under the newest secret, by id, of keys that were found under an older one."""

    def replace(self, keys: Iterable[StoredKey], seen: float) -> None:
        """Take these keys for all that there are."""
        self._keys = {key.hash: key for key in keys}
        self._good = frozenset(key.id for key in self._keys.values())
        self._seen = seen

    def stored(self) -> list[StoredKey]:
        """The keys, as they were read."""
        return list(self._keys.values())

    def confirm(self, seen: float) -> None:
        """The keys were found unchanged."""
        self._seen = seen

    def age(self, seen: float) -> float | None:
        """Seconds since the keys were last confirmed; None where they never were."""
        return None if self._seen is None else seen - self._seen

    def caller(self, key: bytes, now: float, seen: float) -> tuple[Caller, str] | None:
        """Whose key this is, and its id; None where it is nobody's, revoked or expired.

        KeysAwayError where the keys were not confirmed for too long. What is compared are hashes under a secret of
        ours, so that the time it takes tells nothing of the keys.
        """
        self._check_age(seen)
        if not is_key(key):
            return None
        for place, hashed in enumerate(self._hasher.all(key)):
            found = self._keys.get(hashed)
            if found is not None and hmac.compare_digest(found.hash.encode(), hashed.encode()):
                if now >= found.expires_at:
                    return None
                self.used[found.id] = int(now)
                if place:
                    self.renewed[found.id] = self._hasher.newest(key)
                return Caller(found.name, found.scopes, "key", found.expires_at), found.id
        return None

    def by_id(self, key_id: str, now: float, seen: float) -> Caller | None:
        """The client of a key that was proved before, if that key is still good. KeysAwayError as above."""
        self._check_age(seen)
        for found in self._keys.values():
            if found.id == key_id and now < found.expires_at:
                self.used[found.id] = int(now)
                return Caller(found.name, found.scopes, "session", found.expires_at)
        return None

    def is_good(self, key_id: str) -> bool:
        """Whether the key of this id is still in the ring."""
        return key_id in self._good

    def _check_age(self, seen: float) -> None:
        age = self.age(seen)
        if age is None or age > CACHED_SECONDS:
            raise KeysAwayError
