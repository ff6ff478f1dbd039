"""Keys in the database: made, listed, revoked, and read by the workers."""

import re
import secrets as randomness
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Engine, insert, select, update

from app.access.caller import NAME, RESERVED, read_scopes
from app.access.keys import KeyHasher, StoredKey, make_key
from app.access.schema import api_key, key_version
from app.database import writing

LONGEST_DAYS: Final = 3 * 366
DEFAULT_DAYS: Final = 365
_ID: Final = re.compile(r"[0-9a-f]{8}")


class KeyRefusedError(Exception):
    """A key that cannot be made or found as it is asked for; the message is for whoever asks."""


def create(
    engine: Engine, hasher: KeyHasher, name: str, scopes: Sequence[str], days: int = DEFAULT_DAYS, by: str = ""
) -> str:
    """Make a key and store its hash; the key itself is returned, and is nowhere else. ScopeError, KeyRefusedError."""
    with writing(engine) as connection:
        return _create(connection, hasher, name, scopes, days, by)


def create_first(
    engine: Engine, hasher: KeyHasher, name: str, scopes: Sequence[str], days: int = DEFAULT_DAYS, by: str = ""
) -> str | None:
    """The same where no key was ever made, else None; of two that begin together on one host only one makes it."""
    with writing(engine) as connection:
        if connection.execute(select(api_key.c.id).limit(1)).first() is not None:
            return None
        return _create(connection, hasher, name, scopes, days, by)


def _create(connection: Connection, hasher: KeyHasher, name: str, scopes: Sequence[str], days: int, by: str) -> str:
    if not NAME.fullmatch(name) or name in RESERVED:
        kept = ", ".join(sorted(RESERVED))
        raise KeyRefusedError(f"A name has up to 40 of a-z, 0-9, dot, dash and underscore, and is none of {kept}.")
    if not scopes:
        raise KeyRefusedError("A key needs at least one scope.")
    if _ID.fullmatch(name):
        raise KeyRefusedError("A name of eight hexadecimal digits could be the id of another key.")
    if not 1 <= days <= LONGEST_DAYS:
        raise KeyRefusedError(f"A key is good for 1 to {LONGEST_DAYS} days.")
    granted = read_scopes(scopes)
    key, now = make_key(), int(time.time())
    connection.execute(
        insert(api_key).values(
            id=randomness.token_hex(4),
            hash=hasher.newest(key.encode()),
            name=name,
            scopes=" ".join(sorted(granted)),
            created_at=now,
            created_by=by[:80],
            expires_at=now + days * 86_400,
        )
    )
    _changed(connection)
    return key


def revoke(engine: Engine, which: str, by: str = "") -> int:
    """Revoke the key of this id, or every key of this name; how many were good until now."""
    now = int(time.time())
    with writing(engine) as connection:
        found = connection.execute(
            update(api_key)
            .where((api_key.c.id == which) | (api_key.c.name == which))
            .where(api_key.c.revoked_at.is_(None))
            .values(revoked_at=now, revoked_by=by[:80])
        ).rowcount
        _changed(connection)
    return int(found)


def listed(engine: Engine) -> list[dict[str, Any]]:
    """Every key that ever was, newest first, without its hash. Moments are seconds since 1970."""
    columns = [column for column in api_key.c if column.name != "hash"]
    with engine.connect() as connection:
        rows = connection.execute(select(*columns).order_by(api_key.c.created_at.desc(), api_key.c.id)).mappings()
        return [dict(row) for row in rows]


def any_good(engine: Engine) -> bool:
    """Whether there is a key that opens anything now."""
    return any(key["revoked_at"] is None and key["expires_at"] > time.time() for key in listed(engine))


def version(engine: Engine) -> int:
    """The number that grows with each change."""
    with engine.connect() as connection:
        return int(connection.execute(select(key_version.c.version)).scalar_one())


def good_keys(engine: Engine) -> tuple[int, list[StoredKey]]:
    """The version, and the keys that are not revoked. Expired ones are among them: clocks decide at each use."""
    with engine.connect() as connection:
        # The version first: a change between the two reads is then seen once more, never missed.
        number = int(connection.execute(select(key_version.c.version)).scalar_one())
        rows = connection.execute(
            select(api_key.c.id, api_key.c.hash, api_key.c.name, api_key.c.scopes, api_key.c.expires_at).where(
                api_key.c.revoked_at.is_(None)
            )
        ).all()
    return number, [
        StoredKey(row.id, row.hash, row.name, frozenset(row.scopes.split()), row.expires_at) for row in rows
    ]


def write_use(engine: Engine, used: Mapping[str, int], renewed: Mapping[str, str]) -> None:
    """Write down when keys were last used, and hashes under the newest secret."""
    with writing(engine) as connection:
        for key_id, moment in used.items():
            newer = api_key.c.used_at.is_(None) | (api_key.c.used_at < moment)
            connection.execute(update(api_key).where((api_key.c.id == key_id) & newer).values(used_at=moment))
        for key_id, hashed in renewed.items():
            connection.execute(update(api_key).where(api_key.c.id == key_id).values(hash=hashed))
        if renewed:
            _changed(connection)


def _changed(connection: Any) -> None:
    connection.execute(update(key_version).values(version=key_version.c.version + 1))
