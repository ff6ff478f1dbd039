"""What a door does with a contact: read it, count it, and say what became of it."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from app.context.notices import Notice
from app.counts.cells import cells_of
from app.counts.contact import LONGEST_EVENT_ID, read_contact
from app.counts.event_keys import hashes_of
from app.counts.ledger import Ledger
from app.counts.periods import financial_year, first_counted, month_of, today
from app.counts.spool import SpoolError
from app.counts.store import Event
from app.enrichment import Enrichment
from app.lookup.index import Index

CountedReason = Literal[
    "no_contact", "duplicate", "spooled", "unconfirmed", "unavailable", "sealed", "invalid_contact", "withheld"
]
log: Final = logging.getLogger("imdlens")


class Receipt(NamedTuple):
    """Whether a contact was counted, why not, and what was wrong with it."""

    counted: bool
    reason: CountedReason | None
    warnings: tuple[Notice, ...] = ()


NO_CONTACT: Final = Receipt(False, "no_contact")
_WITHHELD: Final = Receipt(False, "withheld")
_UNAVAILABLE: Final = Receipt(False, "unavailable")


class Asked(NamedTuple):
    """One request for counting: its contact as sent, what was answered, the header's key, and its place."""

    contact: Mapping[str, Any]
    answer: Enrichment
    key: str | None = None
    place: int | None = None  # in a batch


class Intake:
    """Reads contacts and hands them to the ledger. `secrets` newest first; all of them count a retry once."""

    def __init__(self, ledger: Ledger, secrets: Sequence[bytes], since: str | None = None) -> None:
        self._ledger, self._secrets, self._since = ledger, secrets, since
        self._uncounted = set[int]()  # financial years whose edition cannot be used now

    async def prepare(self) -> None:
        """Ask the database what this month needs, before the first contact; a few seconds where it does not answer."""
        await self._ledger.prepare(month_of(today()))

    async def take(self, asked: Sequence[Asked], index: Index, client: str) -> list[Receipt]:
        """A receipt for each, within the deadline. A bad value never fails the answer, only the count."""
        events: list[Event] = []
        read = [await self._read(one, index, client, events) for one in asked]
        outcomes = iter(await self._ledger.count(events) if events else ())
        receipts = []
        for receipt, warnings in read:
            if receipt is not None:
                receipts.append(receipt)
                continue
            outcome = next(outcomes)
            receipts.append(Receipt(outcome == "counted", None if outcome == "counted" else outcome, warnings))
        return receipts

    async def _read(
        self, asked: Asked, index: Index, client: str, events: list[Event]
    ) -> tuple[Receipt | None, tuple[Notice, ...]]:
        """A receipt when it cannot be counted; else its event is added, and its warnings are returned."""
        answer = asked.answer
        if answer.reading.postcode_status == "withheld":
            return _WITHHELD, ()
        day = today()
        contact, warnings = read_contact(asked.contact, day, self._since or first_counted(day))
        if asked.key is not None and not 0 < len(asked.key) <= LONGEST_EVENT_ID:
            contact, warnings = None, (*warnings, Notice("Idempotency-Key", "not_an_id"))
        if contact is None or answer.said.problems:
            return Receipt(False, "invalid_contact", warnings), ()
        edition = self._ledger.known_edition(contact.month) or await self._ledger.edition_of(contact.month)
        # Not known while the database is away, or not in the loaded data: no band would be right, and a year of
        # contacts without deciles could never be mended.
        if edition is None or not any(e.id == edition and e.nation == "England" for e in index.editions):
            self._tell_uncounted(contact.month)
            return _UNAVAILABLE, warnings
        if self._uncounted:
            self._tell_counted(contact.month)
        lad = index.code(answer.place, "lad") if answer.place else None
        cells = cells_of(contact, answer.reading, edition, client, answer.said.counted, lad)
        events.append(Event(cells, hashes_of(self._secrets, client, contact.event_id, asked.key, asked.place)))
        return None, warnings

    def _tell_uncounted(self, month: str) -> None:
        """Once, and not at every request: the log must stay readable while it lasts."""
        if (year := financial_year(month)) not in self._uncounted:
            self._uncounted.add(year)
            log.error("the edition that a year is counted on is not known, or not in the loaded data")

    def _tell_counted(self, month: str) -> None:
        if (year := financial_year(month)) in self._uncounted:
            self._uncounted.remove(year)
            log.warning("the edition that a year is counted on is known and loaded again")

    @property
    def state(self) -> Literal["on", "spooling"]:
        """Whether contacts reach the database, or wait on this host's disk."""
        return "spooling" if self._ledger.is_away else "on"

    def spooled(self) -> int | None:
        """How many batches wait on this host's disk; None where that cannot be read. Reads a file."""
        try:
            return self._ledger.spooled()[0]
        except SpoolError:
            return None

    async def stop(self) -> None:
        """Finish what waits."""
        await self._ledger.stop()
