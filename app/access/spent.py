"""Which tokens of CDS Hooks were used: each is good for one call, on whichever host it comes first."""

import hashlib
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import Final

from sqlalchemy import ColumnElement, Engine, delete, insert, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from app.access.schema import spent_token
from app.access.tokens import HookToken
from app.database import DatabaseError, writing

_CLEAR_SECONDS: Final = 600
_CLEARED_AT_ONCE: Final = 50_000  # more than ten minutes of use
_KEPT_SECONDS: Final = 300  # beyond its end, as the clocks of hosts differ


class SpentAwayError(Exception):
    """The database is away: nobody can say whether a token was used before."""


class SpentTokens:
    """Tokens that were used, as hashes, in the shared database, until they have expired everywhere."""

    def __init__(self, open_engine: Callable[[], Engine]) -> None:
        self._open, self._opening = open_engine, Lock()
        self._engine: Engine | None = None
        self._cleared = time.monotonic()

    def spend(self, token: HookToken) -> bool:
        """Whether this is its first use. Blocks; SpentAwayError where that cannot be known."""
        # The issuer's name has no line feed in it, so no two pairs make one text.
        hashed = hashlib.sha256(f"{token.caller.name}\n{token.jti}".encode()).hexdigest()
        try:
            with self._opening:
                self._engine = self._engine or self._open()
            with writing(self._engine) as connection:
                connection.execute(insert(spent_token).values(hash=hashed, expires_at=int(token.expires)))
            self._clear(self._engine)
        except IntegrityError:
            return False
        except (SQLAlchemyError, DatabaseError, OSError):
            raise SpentAwayError from None
        return True

    def close(self) -> None:
        """Give the connections back."""
        if self._engine is not None:
            self._engine.dispose()

    def _clear(self, engine: Engine) -> None:
        if time.monotonic() - self._cleared < _CLEAR_SECONDS:
            return
        self._cleared = time.monotonic()
        # The token is spent by now, and could not be sent again: what is old is forgotten another time. Of a great
        # many only some: more than the database lets one statement take would never be forgotten at all.
        some = select(spent_token.c.hash).where(expired(time.time())).limit(_CLEARED_AT_ONCE)
        with suppress(SQLAlchemyError), writing(engine) as connection:
            connection.execute(delete(spent_token).where(spent_token.c.hash.in_(some)))


def expired(now: float) -> ColumnElement[bool]:
    """The rows that tell nothing any more, `now` in seconds since 1970."""
    return spent_token.c.expires_at < now - _KEPT_SECONDS
