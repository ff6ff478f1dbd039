"""Public keys of those who sign tokens: what may stand in a key set, and key sets that change while we run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import jiter
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK, PyJWTError
from jwt.algorithms import AllowedPublicKeys

from app.access.fetch import FetchError, fetch

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Every algorithm that a token may be signed by: public keys alone, so nothing that we hold can sign one."""
_RSA: Final = frozenset(ALGORITHMS[:6])
_CURVES: Final = {
    ("EC", "P-256"): frozenset({"ES256"}),
    ("EC", "P-384"): frozenset({"ES384"}),
    ("EC", "P-521"): frozenset({"ES512"}),
    ("OKP", "Ed25519"): frozenset({"EdDSA"}),
}

MAX_BYTES: Final = 262_144
_MAX_KEYS: Final = 100
_RSA_BITS: Final = range(2048, 8193)  # beyond the upper end one check costs milliseconds
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

PERIOD: Final = 600.0
"""Seconds between two fetches of an address that answers."""
PAUSE: Final = 30.0
"""Seconds after any fetch before an unknown key, or a failure, leads to the next."""
KEEP: Final = 86_400.0
"""Seconds after its last good fetch for which the keys of an address stay good."""


class KeySetError(ValueError):
    """A key set that must not be used; the message ends a sentence and holds no value of it."""


class Key(NamedTuple):
    """A public key, and which algorithms it may check."""

    public: AllowedPublicKeys
    algorithms: frozenset[str]


@dataclass(frozen=True, slots=True)
class KeySet:
    """Keys by `kid`. `only` is the one that needs no `kid`: where it is the only key."""

    by_kid: Mapping[str, Key] = field(default_factory=dict)
    only: Key | None = None

    def find(self, kid: str | None) -> Key | None:
        """The key of this name, and never another in its place."""
        return self.only if kid is None else self.by_kid.get(kid)

    def fits(self, algorithms: frozenset[str]) -> bool:
        """Whether any key checks any of these."""
        return any(key is not None and key.algorithms & algorithms for key in (self.only, *self.by_kid.values()))


def read_keys(data: bytes) -> KeySet:
    """A JWK Set (RFC 7517) as JSON text.

    Keys that check no signatures (`use` `enc`, other kinds and curves) are left out, as identity providers list them
    beside the others. KeySetError for private or shared keys, weak ones, names that are missing or stand twice, and
    where nothing is left.
    """
    if len(data) > MAX_BYTES:
        raise KeySetError(f"is larger than {MAX_BYTES} bytes")
    try:
        keys = jiter.from_json(data, allow_inf_nan=False, cache_mode="none", catch_duplicate_keys=True)["keys"]
    except (ValueError, TypeError, KeyError):
        raise KeySetError("is not a JWK Set") from None
    if not isinstance(keys, list) or len(keys) > _MAX_KEYS or not all(isinstance(key, dict) for key in keys):
        raise KeySetError(f"is not a JWK Set of at most {_MAX_KEYS} keys")
    named: dict[str, Key] = {}
    found: list[Key] = []
    for number, jwk in enumerate(keys, 1):
        if (key := _read_key(number, jwk)) is None:
            continue
        found.append(key)
        if (kid := jwk.get("kid")) is None:
            continue
        if not isinstance(kid, str) or kid in named:
            raise KeySetError(f"has a kid that is no text or stands twice (key {number})")
        named[kid] = key
    if not found:
        raise KeySetError("holds no key that checks signatures")
    if len(found) > 1 and len(named) < len(found):
        raise KeySetError("holds several keys, and one without a kid")
    return KeySet(named, found[0] if len(found) == 1 else None)


def _read_key(number: int, jwk: Mapping[str, Any]) -> Key | None:
    # Before anything is left out: a secret lies open here, whatever it is for.
    if jwk.get("kty") == "oct" or _PRIVATE & jwk.keys():
        raise KeySetError(f"holds a private or shared key (key {number}): take it out, and make a new one")
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return None
    kind, curve = (value if isinstance(value := jwk.get(name), str) else "" for name in ("kty", "crv"))
    fitting = _RSA if kind == "RSA" else _CURVES.get((kind, curve), frozenset())
    if "alg" in jwk:
        fitting = frozenset(algorithm for algorithm in fitting if algorithm == jwk["alg"])
    if not fitting:
        return None
    try:
        # The algorithm is named here only to have the right kind of key read.
        public = PyJWK(dict(jwk), min(fitting)).key
    except (PyJWTError, ValueError, TypeError, OverflowError, UnsupportedAlgorithm):
        raise KeySetError(f"holds a key that cannot be read (key {number})") from None
    if isinstance(public, RSAPublicKey) and public.key_size not in _RSA_BITS:
        raise KeySetError(f"holds an RSA key of fewer than 2048 bits or more than 8192 (key {number})")
    return Key(public, fitting)


class KeyFile:
    """A key set in a file, read anew when the file changes. One that cannot be read leaves the keys as they were."""

    def __init__(self, path: Path, where: str) -> None:
        """KeySetError unless the file can be used now. `where` begins the sentence in `problem`."""
        self.where = where
        self.wanted = False  # a file is looked at every time anyway
        self.problem: str | None = None
        self._path = path
        self._stamp = _stamp(path)
        self.keys = self._read()

    def refresh(self, now: float) -> bool:
        """Look at the file; whether its keys are others now."""
        try:
            if (stamp := _stamp(self._path)) == self._stamp:
                self.problem = None
                return False
            before, self.keys = self.keys, self._read()
        except KeySetError as error:
            self.problem = f"{self.where} {error}."
            return False
        self._stamp, self.problem = stamp, None
        return self.keys != before

    def _read(self) -> KeySet:
        try:
            with self._path.open("rb") as file:
                return read_keys(file.read(MAX_BYTES + 1))
        except OSError as error:
            raise KeySetError(f"cannot be read: {error.strerror}") from None


class KeyUrl:
    """A key set at an address, fetched now and then. Nothing is fetched until the first `refresh`."""

    def __init__(self, url: str, where: str, get: Callable[[str], bytes] = fetch) -> None:
        """`where` begins the sentence in `problem`; `get` is given the address and raises FetchError."""
        self.where = where
        self.wanted = False
        self.keys = KeySet()
        self.problem: str | None = f"{where} has not been fetched yet."
        self._url, self._get = url, get
        self._tried = self._fetched = float("-inf")

    def refresh(self, now: float) -> bool:
        """Fetch where it is time to (`now` in seconds of a clock that only goes on); whether the keys are others now.

        Blocks for seconds. A failed fetch leaves the keys as they were, until they are older than KEEP.
        """
        before = self.keys
        if now >= self._tried + (PAUSE if self.wanted or self.problem else PERIOD):
            self._tried, self.wanted = now, False
            try:
                self.keys = read_keys(self._get(self._url))
            except (FetchError, KeySetError) as error:
                self.problem = f"{self.where} {error}."
            else:
                self._fetched, self.problem = now, None
        if now > self._fetched + KEEP:
            self.keys = KeySet()
        return self.keys != before


KeySource = KeyFile | KeyUrl
"""Where the keys of one party come from. `wanted` asks for an early `refresh`, of an address alone."""


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise KeySetError(f"cannot be read: {error.strerror}") from None
    return status.st_mtime_ns, status.st_size, status.st_ino
