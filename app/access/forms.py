"""Tokens in forms: proof that a form was on a page of ours, given to the one who sends it.

A browser sends cookies, and a proxy names its user, whoever wrote the page that the request comes from. The token is
what only our own page could have told.
"""

import hmac
from collections.abc import Iterator, Sequence
from typing import Final

from app.sealing import derived

_LABEL: Final = b"imdlens forms v1"
_DAY: Final = 86_400


class Forms:
    """Makes and checks the tokens of forms. Each is bound to one session or user, and good for a day or two."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        """`secrets` of the deployment, newest first."""
        self._keys = [derived(secret, _LABEL) for secret in secrets]

    def token(self, bound_to: bytes, now: float) -> str:
        """The token for a form on a page that is made now."""
        return _token(self._keys[0], bound_to, int(now // _DAY))

    def fits(self, token: str, bound_to: bytes, now: float) -> bool:
        """Whether the token was made for this session or user, today or yesterday."""
        sent = token.encode("utf-8", "replace")
        # Each is compared, whichever fits: how long it takes tells nothing.
        return sum([hmac.compare_digest(sent, good.encode()) for good in self._good(bound_to, int(now // _DAY))]) > 0

    def _good(self, bound_to: bytes, day: int) -> Iterator[str]:
        for key in self._keys:
            yield _token(key, bound_to, day)
            yield _token(key, bound_to, day - 1)


def _token(key: bytes, bound_to: bytes, day: int) -> str:
    return hmac.digest(key, b"%d\0%b" % (day, bound_to), "sha256").hex()
