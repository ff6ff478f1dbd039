"""What is removed from the store when its time is over, and what only on the operator's word."""

import time
from collections.abc import Iterator
from typing import Final, NamedTuple

from sqlalchemy import Column, ColumnElement, Engine, delete, func, select, update

from app.access.schema import api_key, key_version, spent_token
from app.access.spent import expired
from app.counts.schema import batch, event_key, host
from app.counts.store import database_time, first_day_kept
from app.database import writing

LEAST_DAYS: Final = 366
"""Ended keys are on record for this long at least: an inquiry may ask whose a key was."""
_HOST_DAYS: Final = 30
_AT_ONCE: Final = 5_000


class Old(NamedTuple):
    """Rows of one kind whose time is over."""

    what: str
    column: Column[str]
    over: ColumnElement[bool]


def old(engine: Engine, *, ended_keys: int | None = None) -> Iterator[Old]:
    """All kinds; keys too, so many days after their end, where that is said. Reads of exact counts always stay."""
    day = first_day_kept(engine)
    yield Old("hashes of event ids, of more than a week ago", event_key.c.hash, event_key.c.day < day)
    yield Old("ids of batches, of more than a week ago", batch.c.id, batch.c.day < day)
    yield Old("hashes of used CDS Hooks tokens that expired", spent_token.c.hash, expired(time.time()))
    with engine.connect() as connection:
        now = database_time(connection)
    gone = host.c.stopped & (host.c.spooled == 0) & (host.c.seen_at < now - _HOST_DAYS * 86_400)
    yield Old("hosts that stopped a month ago with nothing held back", host.c.id, gone)
    if ended_keys is not None:
        end = func.coalesce(api_key.c.revoked_at, api_key.c.expires_at) < now - ended_keys * 86_400
        # The newest stays whatever it is: a store without any key takes the next start for its first.
        newest = select(func.max(api_key.c.created_at)).scalar_subquery()
        yield Old(f"keys that ended {ended_keys} days ago", api_key.c.id, end & (api_key.c.created_at < newest))


def count(engine: Engine, kind: Old) -> int:
    """How many rows there are of it."""
    with engine.connect() as connection:
        return int(
            connection.execute(select(func.count()).select_from(kind.column.table).where(kind.over)).scalar_one()
        )


def remove(engine: Engine, kind: Old) -> int:
    """Remove them, some thousand at a time, since contacts wait to be counted meanwhile; how many they were."""
    removed, at_once = 0, _AT_ONCE
    some = select(kind.column).where(kind.over).limit(_AT_ONCE)
    while at_once == _AT_ONCE:
        with writing(engine) as connection:
            at_once = connection.execute(delete(kind.column.table).where(kind.column.in_(some))).rowcount
            if at_once and kind.column.table is api_key:
                connection.execute(update(key_version).values(version=key_version.c.version + 1))
        removed += at_once
    return removed
