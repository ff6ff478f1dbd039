"""Who calls, and what they may do."""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

SCOPES: Final = {
    "enrich": "Ask about postcodes: decile, Core20, context. No area codes, no inclusion-health groups.",
    "area": "Area codes beside the answers: LSOA, district, ICB, rank.",
    "inclusion": "Inclusion-health groups and the private sentence.",
    "breakdowns": "Published tables.",
    "counts:exact": "Exact counts of sealed months. Confidential; each read is on record.",
    "admin": "Operations: metrics and status.",
}
"""Every scope, and what it opens. None includes another."""

NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,38}[a-z0-9]|[a-z0-9]")
"""How clients are named. The name stands in counts, logs and metrics, so it is one of a system, never of a person."""


RESERVED: Final = frozenset({"proxy", "unnamed", "other", "none"})
"""Names with a meaning of their own in counts, logs and metrics."""


class ScopeError(ValueError):
    """A scope that does not exist; the message lists those that do."""


class Caller(NamedTuple):
    """A client that proved who it is.

    `expires` in Unix seconds: after it this proof is worth nothing. `proof` says of what kind it was: `key`, `token`,
    `hook`, `session` or `proxy`.
    """

    name: str
    scopes: frozenset[str]
    proof: str
    expires: float


def read_scopes(texts: Iterable[str]) -> frozenset[str]:
    """Scopes as they were written; ScopeError where one does not exist."""
    scopes = frozenset(texts)
    if not scopes <= SCOPES.keys():
        raise ScopeError(f"Scopes are {', '.join(SCOPES)}.")
    return scopes
