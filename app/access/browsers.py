"""Who opens a page: by a session, or by the word of a listed proxy. Neither opens anything but pages.

A browser attaches both by itself, so neither is believed alone when a form is sent: see `forms`.
"""

import hmac
import math
import re
import time
from collections.abc import Sequence
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from app.access.access import Proof
from app.access.caller import Caller
from app.access.forms import Forms
from app.access.keys import KeyRing
from app.access.sessions import Session, Sessions
from app.proxies import Proxies
from app.sealing import derived

PROXY: Final = "proxy"
"""The name of every caller that a proxy vouches for: who it is must not be in logs, metrics or counts."""

_COOKIE: Final = b"imdlens"
_HOST_COOKIE: Final = b"__Host-imdlens"
_LOOPBACK: Final = re.compile(rb"(127(\.[0-9]{1,3}){3}|localhost|\[::1\])(:[0-9]{1,5})?")
_USER_LABEL: Final = b"imdlens users v1"
_LONGEST_IDENTITY: Final = 256
# What proxies write when they know no user.
_NOBODY: Final = frozenset({b"", b"-", b"(null)"})


class Sent(NamedTuple):
    """What is known of a request before its body: how and from where it came, and its headers."""

    scheme: str
    peer: str | None
    headers: Sequence[tuple[bytes, bytes]]

    def all(self, name: bytes) -> list[bytes]:
        """Every value of a header."""
        return [value for header, value in self.headers if header == name]

    def only(self, name: bytes) -> bytes | None:
        """The value of a header that was sent once."""
        values = self.all(name)
        return values[0] if len(values) == 1 else None


class Visit(NamedTuple):
    """Who opens a page. `user`: a keyed hash of a proxy's user, to be found again on record by who holds the secret."""

    proof: Proof
    user: str | None = None


class SignedIn(NamedTuple):
    """A caller who showed a key, and the header that gives the browser its session."""

    caller: Caller
    key_id: str
    set_cookie: str


class Browsers:
    """Tells who opens a page, and gives sessions to those who show a key."""

    def __init__(
        self,
        ring: KeyRing,
        secrets: Sequence[bytes],
        *,
        public_url: str | None = None,
        proxies: Proxies | None = None,
        identity_header: str | None = None,
        identity_scopes: frozenset[str] = frozenset(),
    ) -> None:
        self._forms = Forms(secrets)
        self._ring, self._sessions = ring, Sessions(secrets)
        self._users = derived(secrets[0], _USER_LABEL)
        public = urlsplit(public_url or "")
        self._public_origin = f"{public.scheme}://{public.netloc}".lower().encode() if public_url else None
        self._is_public_secure = public.scheme == "https"
        self._proxies = proxies or Proxies()
        self._identity_header = identity_header.lower().encode() if identity_header else None
        self._identity_scopes = identity_scopes

    # -------------------------------------------------------------------------------------------- who

    def visit(self, sent: Sent) -> Visit | None:
        """Who opens a page; None where nobody can tell. KeysAwayError."""
        if (session := self._session(sent)) is not None:
            caller = self._ring.by_id(session.key_id, time.time(), time.monotonic())
            if caller is not None:
                caller = caller._replace(expires=min(caller.expires, session.ends))
                return Visit(Proof(caller, session.key_id))
        if (identity := self._identity(sent)) is not None:
            user = hmac.digest(self._users, identity, "sha256").hex()[:16]
            return Visit(Proof(Caller(PROXY, self._identity_scopes, "proxy", math.inf)), user)
        return None

    def bound_to(self, sent: Sent) -> bytes | None:
        """What the forms of this browser are bound to. Keys are not asked: a form may be sent to sign out."""
        if (session := self._session(sent)) is not None:
            return b"session\0" + session.id
        identity = self._identity(sent)
        return None if identity is None else b"proxy\0" + identity

    def _session(self, sent: Sent) -> Session | None:
        name = self._cookie_name(sent)
        pairs = (pair.strip().partition(b"=") for header in sent.all(b"cookie") for pair in header.split(b";"))
        values = [value for found, _, value in pairs if found == name]
        # With two of one name, the other may be one that another site of the host has put there.
        return self._sessions.read(values[0], time.time()) if len(values) == 1 else None

    def _identity(self, sent: Sent) -> bytes | None:
        if self._identity_header is None or not self._proxies.lists(sent.peer):
            return None
        identity = (sent.only(self._identity_header) or b"").strip()
        # With a comma it may be two headers folded into one, the first of them sent by anybody.
        if identity in _NOBODY or b"," in identity or len(identity) > _LONGEST_IDENTITY:
            return None
        return identity

    # ---------------------------------------------------------------------------------------- sign-in

    def sign_in(self, sent: Sent, key: str) -> SignedIn | None:
        """A new session for whoever shows this key; None where it is no good key. KeysAwayError."""
        now = time.time()
        found = self._ring.caller(key.encode("utf-8", "replace"), now, time.monotonic())
        if found is None:
            return None
        caller, key_id = found
        return SignedIn(caller, key_id, self._cookie(sent, self._sessions.begin(key_id, now)))

    def sign_out(self, sent: Sent) -> str:
        """The header that takes the session away from the browser."""
        return f"{self._cookie(sent, '')}; Max-Age=0"

    def is_secure(self, sent: Sent) -> bool:
        """Whether the browser speaks https, as far as this can be known here."""
        if sent.scheme == "https" or self._is_public_secure:
            return True
        return self._proxies.lists(sent.peer) and sent.only(b"x-forwarded-proto") == b"https"

    def may_sign_in(self, sent: Sent) -> bool:
        """Whether a key and a session are safe on their way: by https, or within the browser's own machine."""
        if self.is_secure(sent):
            return True
        passed_on = sent.all(b"x-forwarded-for") or sent.all(b"forwarded") or sent.all(b"via")
        return not passed_on and _LOOPBACK.fullmatch(sent.only(b"host") or b"") is not None

    def _cookie_name(self, sent: Sent) -> bytes:
        # By https only the prefixed name is read: any host of the domain could have set the other.
        return _HOST_COOKIE if self.is_secure(sent) else _COOKIE

    def _cookie(self, sent: Sent, value: str) -> str:
        secure = "; Secure" if self.is_secure(sent) else ""
        return f"{self._cookie_name(sent).decode()}={value}; Path=/{secure}; HttpOnly; SameSite=Strict"

    # ------------------------------------------------------------------------------------------ forms

    def form_token(self, bound_to: bytes) -> str:
        """What a form of this browser holds."""
        return self._forms.token(bound_to, time.time())

    def form_fits(self, bound_to: bytes, token: str) -> bool:
        """Whether a form was made for this browser."""
        return self._forms.fits(token, bound_to, time.time())

    def is_own_page(self, sent: Sent) -> bool:
        """Whether the browser says that a page of ours sent this; False where it says nothing."""
        if site := sent.all(b"sec-fetch-site"):
            return site in ([b"same-origin"], [b"none"])
        origin, host = (sent.only(b"origin") or b"").lower(), (sent.only(b"host") or b"").lower()
        if not origin or not host:
            return False
        own = (b"https://" if self.is_secure(sent) else b"http://") + host
        return origin in (own, self._public_origin)

    def is_from_elsewhere(self, sent: Sent) -> bool:
        """Whether the browser says that another site's page sent this."""
        return bool(sent.all(b"sec-fetch-site")) and not self.is_own_page(sent)
