"""Reads signed tokens (JWT, RFC 7519): who sent this, and what may they do?

Policy is ours, signatures are checked by PyJWT. A refusal says one word of a closed list and nothing of the token.
"""

import asyncio
import hashlib
import logging
import re
import threading
import time
from base64 import urlsafe_b64decode
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, NoReturn, TypeVar

import jiter
from jwt import PyJWS, PyJWTError

from app.access.access_file import AccessFileError, CdsClient, Client, Issuer, Party, Sources, read_access_file
from app.access.caller import Caller
from app.access.jwks import ALGORITHMS, KeySet

Reason = Literal[
    "malformed",  # not three parts of base64url, too long, not JSON, a key twice
    "header",  # `crit`, `b64`, or another `typ` or `jku` than is allowed
    "issuer",  # nobody who may come to this door
    "algorithm",  # not one of this issuer's, or not one of this key's
    "key",  # no such key
    "signature",
    "claims",  # one is missing, or is not of its type
    "audience",  # for somebody else
    "expired",
    "early",  # not valid yet, or issued in the future
    "lifetime",  # valid for longer than this kind of token may be
    "client",  # a client that the issuer's table does not list
]
"""Why a token was refused: a label of metrics and logs."""

MAX_TOKEN: Final = 8_192
_MAX_CACHED: Final = 4_096
_SKEW: Final = 60.0  # seconds by which clocks may differ
_ACCESS_SECONDS: Final = 86_400.0
_CLIENT_SECONDS: Final = 3_600.0
_HOOK_SECONDS: Final = 300.0 + _SKEW
_LATEST: Final = 1e11  # the year 5138: all below is exact as a float
_HOOK_SCOPES: Final = frozenset({"enrich"})
_JWT: Final = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_JTI: Final = re.compile(r"[ -~]{1,200}")
_TYPES: Final = frozenset({"jwt", "at+jwt", "application/at+jwt"})
_HOOK_TYPES: Final = frozenset({"jwt"})
# Knows neither `none` nor HMAC: no header can lead to them.
_JWS: Final = PyJWS(algorithms=ALGORITHMS)
_P = TypeVar("_P", bound=Party)
log: Final = logging.getLogger("imdlens")


class TokenError(Exception):
    """A token that is refused. `reason` is all that is said of it."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


class HookToken(NamedTuple):
    """A verified call of CDS Hooks.

    It is good for one call: who answers keeps `(caller.name, jti)` until `expires`, in Unix seconds, and refuses it
    when it comes again.
    """

    caller: Caller
    jti: str
    expires: float


@dataclass(frozen=True, slots=True)
class _Current:
    """All that answers depend on, changed as one: what was verified by old keys lands in a cache nobody reads.

    Each door has its own issuers, so that no token of one can come in by the other.
    """

    callers: Mapping[str, tuple[Issuer | Client, KeySet]] = field(default_factory=dict)
    hooks: Mapping[str, tuple[CdsClient, KeySet]] = field(default_factory=dict)
    cache: dict[bytes, Caller] = field(default_factory=dict)


def is_jwt(text: bytes | str) -> bool:
    """Whether it has the shape of a signed token: three parts of base64url between two dots."""
    data = text.encode("utf-8", "replace") if isinstance(text, str) else text
    return _JWT.fullmatch(data) is not None


class TokenReader:
    """Verifies tokens of those whom the operator's file lists.

    `caller` and `hook` wait for nothing, cost at most about a millisecond for a new token, and may be called from any
    thread. `refresh` blocks, and one at a time may run.
    """

    @classmethod
    def read(cls, path: Path) -> "TokenReader":
        """A reader of this file. AccessFileError where it, or a key set in a file, must not be used.

        Fetches nothing: keys at an address are there after the first `refresh`.
        """
        reader = cls(path)
        reader._read()
        reader._renew()
        return reader

    def __init__(self, path: Path) -> None:
        """Knows nobody yet: use `read`."""
        self.problem: str | None = None
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._listed: Mapping[str, Party] = {}
        self._sources: Sources = {}
        self._current = _Current()
        self._storing = threading.Lock()

    def caller(self, token: bytes | str, now: float) -> Caller:
        """Who sent this access token, or token that a client signed itself; `now` in Unix seconds. TokenError."""
        data = _bounded(token)
        current = self._current
        digest = hashlib.sha256(data).digest()
        if caller := current.cache.get(digest):
            if now < caller.expires:
                return caller
            raise TokenError("expired")
        party, claims = _verified(current.callers, data, _TYPES)
        expires = _time(claims, "exp")
        issued = _lifetime(claims, expires, now)
        _for_us(claims, party.audience)
        if isinstance(party, Client):
            if claims.get("sub") != party.issuer or issued is None:
                raise TokenError("claims")
            if expires - issued > _CLIENT_SECONDS:
                raise TokenError("lifetime")
            caller = Caller(party.name, party.scopes, "token", expires)
        else:
            if expires > now + _ACCESS_SECONDS:
                raise TokenError("lifetime")
            caller = Caller(_client(claims, party), _scopes(claims, party), "token", expires)
        with self._storing:
            while len(current.cache) >= _MAX_CACHED:
                del current.cache[next(iter(current.cache))]
            current.cache[digest] = caller
        return caller

    def hook(self, token: bytes | str, endpoint_path: str, now: float) -> HookToken:
        """Who sent this call of CDS Hooks to the endpoint at this path (with its first slash). TokenError."""
        party, claims = _verified(self._current.hooks, _bounded(token), _HOOK_TYPES)
        expires = _time(claims, "exp")
        issued = _lifetime(claims, expires, now)
        _for_us(claims, party.audience_base + endpoint_path)
        jti = claims.get("jti")
        if issued is None or not isinstance(jti, str) or not _JTI.fullmatch(jti):
            raise TokenError("claims")
        if expires - issued > _HOOK_SECONDS:
            raise TokenError("lifetime")
        return HookToken(Caller(party.name, _HOOK_SCOPES, "hook", expires), jti, expires)

    def refresh(self, now: float) -> None:
        """Take up changed files, and fetch keys where it is time to. Blocks for seconds where there are addresses.

        `now` in seconds of a clock that only goes on. What cannot be used is told in `problem` and logged; the file
        and keys from before then stay in force.
        """
        sentence, changed = None, False
        try:
            changed = self._read()
        except AccessFileError as error:
            sentence = str(error)
        try:
            for source in self._sources.values():
                changed = source.refresh(now) or changed
        finally:
            # A key that was taken away is gone, whatever befell the next set.
            if changed:
                self._renew()
        sentence = sentence or next((s.problem for s in self._sources.values() if s.problem), None)
        if sentence and sentence != self.problem:
            log.error("%s Tokens are read by what was good before.", sentence)
        elif self.problem and not sentence:
            log.warning("all that tokens are read by is well again")
        self.problem = sentence

    async def watch(self, seconds: float = 1.0) -> None:
        """Refresh at once and then again and again, in a thread, until cancelled. No fault of one ends the watch."""
        while True:
            try:
                await asyncio.to_thread(self.refresh, time.monotonic())
            except Exception as error:  # noqa: BLE001 - keys that are never renewed again would not be noticed
                log.error("looking for other keys failed: %s", type(error).__name__)
            await asyncio.sleep(seconds)

    def _read(self) -> bool:
        """Read the file, unless it is as it was. Its stamp is kept only when all could be read: else try again."""
        try:
            status = self._path.stat()
        except OSError as error:
            raise AccessFileError(f"{self._path.name} cannot be read: {error.strerror}.") from None
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        if stamp == self._stamp:
            return False
        self._listed, self._sources = read_access_file(self._path, self._sources)
        self._stamp = stamp
        return True

    def _renew(self) -> None:
        listed = self._listed.items()
        self._current = _Current(
            {iss: (party, party.keys.keys) for iss, party in listed if not isinstance(party, CdsClient)},
            {iss: (party, party.keys.keys) for iss, party in listed if isinstance(party, CdsClient)},
        )


def _bounded(token: bytes | str) -> bytes:
    if len(token) > MAX_TOKEN:
        raise TokenError("malformed")
    # What is not ASCII becomes a question mark, which no token holds.
    return token.encode("ascii", "replace") if isinstance(token, str) else token


def _verified(
    parties: Mapping[str, tuple[_P, KeySet]], token: bytes, types: Collection[str]
) -> tuple[_P, Mapping[str, Any]]:
    """Who signed it, and its claims, of which nothing but `iss` and the signature has been looked at."""
    if not _JWT.fullmatch(token):
        raise TokenError("malformed")
    first, second, _ = token.split(b".")
    header, claims = _object(first), _object(second)
    # `b64` and whatever `crit` says would change what is signed; what we do not understand, we do not accept.
    kind = header.get("typ", "JWT")
    if "crit" in header or "b64" in header or not isinstance(kind, str) or kind.lower() not in types:
        raise TokenError("header")
    # Not verified yet: it does no more than to say by whose keys to verify.
    issuer = claims.get("iss")
    if not isinstance(issuer, str) or issuer not in parties:
        raise TokenError("issuer")
    party, keys = parties[issuer]
    # Its `jku` is compared and never fetched; `jwk`, `x5u` and `x5c` are not even read.
    if isinstance(party, CdsClient) and "jku" in header and header["jku"] != party.jku:
        raise TokenError("header")
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in party.algorithms:
        raise TokenError("algorithm")
    if "kid" in header and not isinstance(kid, str):
        raise TokenError("header")
    if (key := keys.find(kid)) is None:
        party.keys.wanted = True
        raise TokenError("key")
    if algorithm not in key.algorithms:
        raise TokenError("algorithm")
    try:
        _JWS.decode_complete(token, key.public, algorithms=[algorithm])
    except (PyJWTError, ValueError, TypeError):
        _refuse("signature")
    return party, claims


def _object(part: bytes) -> dict[str, Any]:
    try:
        data = urlsafe_b64decode(part + b"=" * (-len(part) % 4))
        # A key that stands twice would be one thing to us and another to the next reader.
        value = jiter.from_json(data, allow_inf_nan=False, cache_mode="none", catch_duplicate_keys=True)
    except ValueError:
        _refuse("malformed")
    if not isinstance(value, dict):
        raise TokenError("malformed")
    return value


def _refuse(reason: Reason) -> NoReturn:
    raise TokenError(reason) from None  # the cause may quote the token


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    # `type`, as True is an int; the range leaves infinity out, and whole numbers that no float can hold.
    if type(value) not in (int, float) or not 0 <= value < _LATEST:  # type: ignore[operator]
        raise TokenError("claims")
    return float(value)  # type: ignore[arg-type]


def _lifetime(claims: Mapping[str, Any], expires: float, now: float) -> float | None:
    """`iat`, None where it is missing. TokenError outside the time in which it is valid."""
    issued = _time(claims, "iat") if "iat" in claims else None
    if now >= expires:
        raise TokenError("expired")
    if (issued or 0) > now + _SKEW or ("nbf" in claims and _time(claims, "nbf") > now + _SKEW):
        raise TokenError("early")
    return issued


def _for_us(claims: Mapping[str, Any], audience: str) -> None:
    said = claims.get("aud")
    if said != audience and not (isinstance(said, list) and audience in said):
        raise TokenError("audience")


def _client(claims: Mapping[str, Any], party: Issuer) -> str:
    said = claims.get(party.client_claim)
    name = party.clients.get(said) if isinstance(said, str) else None
    if name is None:
        raise TokenError("client")
    return name


def _scopes(claims: Mapping[str, Any], party: Issuer) -> frozenset[str]:
    """Our scopes for the words of the token; words that the file does not list give nothing."""
    said = claims.get(party.scope_claim, [])
    words = said.split(" ") if isinstance(said, str) else said
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise TokenError("claims")
    return frozenset(party.scopes[word] for word in words if word in party.scopes)
