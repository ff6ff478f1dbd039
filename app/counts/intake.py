"""What a door does with a contact: read it, count it, and say what became of it."""

import hashlib
import hmac
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from app.counts.cells import cells_of
from app.counts.contact import LONGEST_EVENT_ID, read_contact
from app.counts.ledger import Ledger
from app.counts.periods import today
from app.counts.store import Event
from app.enrichment import Enrichment, Notice
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
    """One request for counting: its contact and signals as sent, what was answered, and the header's key."""

    contact: Mapping[str, Any]
    signals: Mapping[str, Any] | None
    answer: Enrichment
    key: str | None = None


class Intake:
    """Reads contacts and hands them to the ledger. `secrets` newest first; all of them count a retry once."""

    def __init__(self, ledger: Ledger, secrets: Sequence[bytes], edition: str) -> None:
        self._ledger, self._secrets, self._edition = ledger, secrets, edition

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
        contact, warnings = read_contact(asked.contact, today())
        if asked.key is not None and not 0 < len(asked.key) <= LONGEST_EVENT_ID:
            contact, warnings = None, (*warnings, Notice("Idempotency-Key", "not_an_id"))
        if contact is None:
            return Receipt(False, "invalid_contact", warnings), ()
        edition = self._ledger.known_edition(contact.month)
        if edition is None:
            edition = await self._ledger.edition_of(contact.month, self._edition)
        if edition not in answer.reading.editions and answer.reading.core20 is not None:
            # The year is counted on an edition that the loaded data does not hold: no decile would be right.
            log.error("the loaded data lacks the edition that this year is counted on")
            return _UNAVAILABLE, ()
        lad = index.code(answer.place, "lad") if answer.place else None
        cells = cells_of(contact, answer, edition, client, _groups(answer, asked.signals), lad)
        events.append(Event(cells, self._hashes(client, contact.event_id, asked.key)))
        return None, warnings

    def _hashes(self, client: str, event_id: str | None, key: str | None) -> tuple[str, ...]:
        """Keyed hashes of a contact's keys under every secret in force: 128 bits of HMAC-SHA-256 each."""
        named = [(b"e", event_id)] * (event_id is not None) + [(b"k", key)] * (key is not None)
        return tuple(
            hmac.digest(secret, b"\0".join((kind, client.encode(), _bytes(text))), hashlib.sha256)[:16].hex()
            for secret in self._secrets
            for kind, text in named
        )

    async def stop(self) -> None:
        """Finish what waits."""
        await self._ledger.stop()


def _bytes(text: str | None) -> bytes:
    return (text or "").encode("utf-8", "surrogatepass")


def _groups(answer: Enrichment, signals: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Inclusion groups and access needs that are known of this contact."""
    groups = []
    if answer.reading.postcode_status == "no_fixed_abode":
        groups.append(("inclusion", "homelessness"))
    if signals is not None and signals.get("interpreter_required") is True:
        groups.append(("access", "interpreter"))
    return groups
