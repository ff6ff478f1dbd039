"""Keyed hashes of what tells a contact from its retry: an event id or an Idempotency-Key. The text is never kept."""

import hmac
from collections.abc import Sequence


def hashes_of(
    secrets: Sequence[bytes], client: str, event_id: str | None, key: str | None = None, place: int | None = None
) -> tuple[str, ...]:
    """Hashes of a contact's keys under every secret in force: 128 bits of HMAC-SHA-256 each.

    `client` is who sends: two clients may use the same ids. `key` is the header's; of a batch it stands for each
    record with its place.
    """
    named = []
    if event_id is not None:
        named.append((b"e", _bytes(event_id)))
    if key is not None:
        named.append((b"k" if place is None else b"b%d" % place, _bytes(key)))
    return tuple(
        hmac.digest(secret, b"\0".join((kind, client.encode(), text)), "sha256")[:16].hex()
        for secret in secrets
        for kind, text in named
    )


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
