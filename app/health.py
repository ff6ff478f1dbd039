"""How a worker is: its index, its keys, its database, its spool, its rules and its audit file."""

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple, Protocol

from starlette.datastructures import State

from app.access.access import Access
from app.access.keys import CACHED_SECONDS
from app.counts.intake import Intake
from app.counts.periods import today
from app.current import CurrentRelease
from app.enrichment import Rules
from app.metrics import Asked, Readings
from app.overload import Overload
from app.request_log import AuditFile

Status = Literal["pass", "warn", "fail"]
_KEYS_LATE_SECONDS: Final = 10.0
_WORSE: Final[tuple[Status, ...]] = ("pass", "warn", "fail")


class Check(NamedTuple):
    """One thing that was looked at; `output` is a sentence of ours where it is not well."""

    name: str
    status: Status
    value: float | None = None
    unit: str | None = None
    output: str | None = None


class Health:
    """What can be said of this worker now."""

    def __init__(self, state: State) -> None:
        """`state` is the application's."""
        self._current: CurrentRelease = state.current
        self._rules: Rules = state.rules
        self._intake: Intake | None = state.intake
        self._access: Access | None = state.access
        self._audit: AuditFile | None = state.audit
        self._overload: Overload = state.overload

    @property
    def index_age(self) -> float | None:
        """Days since the index was built, if it says when."""
        built = self._current.built_at
        return (datetime.now(UTC) - built).total_seconds() / 86_400 if built else None

    @property
    def keys_age(self) -> float | None:
        """Seconds since the keys were last confirmed."""
        return self._access.ring.age(time.monotonic()) if self._access else None

    @property
    def audit(self) -> Literal["off", "on", "failing"]:
        """Whether lines are kept in a file."""
        if self._audit is None:
            return "off"
        return "failing" if self._audit.failing else "on"

    def readings(self) -> Readings:
        """What metrics show each second."""
        return Readings(self.keys_age, self.index_age, self.audit == "failing", self._overload.shed)

    def asked(self) -> Asked:
        """What metrics show when they are asked for. Reads a file."""
        index = self._current.index
        return Asked(index.release.id if index else None, self._intake.spooled() if self._intake else None)

    def checks(self) -> list[Check]:
        """Everything that is looked at. Reads a file."""
        return [
            self._index(),
            self._keys(),
            self._database(),
            self._spool(),
            self._signposts(),
            self._audited(),
            *self._tokens(),
        ]

    def _index(self) -> Check:
        index, age = self._current.index, self.index_age
        days = round(age, 1) if age is not None else None
        if index is None:
            return Check("imdlens:index", "fail", output="No index is open.")
        if self._current.problem is not None:
            return Check("imdlens:index", "warn", days, "days", "A newer release could not be opened: see /readyz.")
        if index.release.starter:
            return Check("imdlens:index", "warn", days, "days", "Starter data: almost every postcode is not found.")
        return Check("imdlens:index", "pass", days, "days")

    def _keys(self) -> Check:
        age = self.keys_age
        seconds = round(age, 1) if age is not None else None
        if age is None or age > CACHED_SECONDS:
            return Check("imdlens:keys", "fail", seconds, "seconds", "Nobody can say which keys are good.")
        if age > _KEYS_LATE_SECONDS:
            return Check("imdlens:keys", "warn", seconds, "seconds", "Keys cannot be read; those known are believed.")
        return Check("imdlens:keys", "pass", seconds, "seconds")

    def _database(self) -> Check:
        if self._intake is None:
            return Check("imdlens:database", "fail", output="No contact is counted.")
        if self._intake.state == "spooling":
            return Check("imdlens:database", "warn", output="Away; contacts wait on this host's disk.")
        return Check("imdlens:database", "pass")

    def _spool(self) -> Check:
        waiting = self._intake.spooled() if self._intake else None
        if waiting is None:
            return Check("imdlens:spool", "warn", output="The spool cannot be read.")
        if waiting:
            return Check("imdlens:spool", "warn", waiting, "batches", "Contacts wait for the database.")
        return Check("imdlens:spool", "pass", waiting, "batches")

    def _signposts(self) -> Check:
        expired = len(self._rules.book.signposts.expired(today()))
        said = "Some are past their review date and are not shown." if expired else None
        return Check("imdlens:signposts", "warn" if expired else "pass", expired, "expired", said)

    def _audited(self) -> Check:
        failing = self.audit == "failing"
        return (
            Check("imdlens:audit", "warn", output="Lines are missing.") if failing else Check("imdlens:audit", "pass")
        )

    def _tokens(self) -> Iterator[Check]:
        if tokens := self._access.tokens if self._access else None:
            said = "An older access file or key set is in force: see the log." if tokens.problem else None
            yield Check("imdlens:tokens", "warn" if said else "pass", output=said)


class HasStatus(Protocol):
    """Anything that passes, warns or fails."""

    @property
    def status(self) -> Status:
        """How it is."""


def worst(checks: Iterable[HasStatus]) -> Status:
    """The status of the whole: that of the worst of its parts."""
    return max((check.status for check in checks), key=_WORSE.index)
