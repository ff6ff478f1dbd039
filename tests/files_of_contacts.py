"""Files of contacts for tests, and what the door would count of their rows one by one."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import pyarrow as pa
from sqlalchemy import Engine

from app.batch.columns import Enricher, text_column
from app.batch.contacts import ContactColumns, Loading
from app.batch.plan import Observer
from app.counts.cells import Cell
from app.counts.intake import Asked, Intake
from app.counts.ledger import Ledger
from app.counts.periods import month_of, today
from app.counts.store import CountStore, Event, Outcome
from app.enrichment import Question, Rules, enrich
from app.lookup.index import Index

EDITION, SECRET, SYSTEM, SOURCE = "IoD2025", b"a secret of sixteen", "england", "pas-extract"
MONTH = month_of(today())
FIELDS = (
    "specialty",
    "type",
    "attendance",
    "outcome",
    "date",
    "age",
    "sex",
    "ethnic_category",
    "mode",
)
COLUMNS = ContactColumns(**{name: name.upper() for name in FIELDS}, ethnic_system=SYSTEM)

Row = Mapping[str, str | None]


def feed(observer: Observer, enricher: Enricher, rows: Sequence[Row], block: int = 1000) -> None:
    """Let an observer see rows, each with `postcode` and what its columns are named, as a format's module does."""
    for start in range(0, max(len(rows), 1), block):
        some = rows[start : start + block]
        answers = enricher.read(text_column(pa.array([row.get("postcode") for row in some], pa.string())))
        observer.observe(
            answers,
            lambda name, some=some: pa.array([row.get(name.lower()) for row in some], pa.string()),  # type: ignore[misc]
        )


def as_sent(row: Row, period: str | None = None) -> dict[str, object]:
    """A row as the contact of a request: what is blank was not sent, but a date and an event id are always."""
    sent: dict[str, object] = {
        name: row[name] for name in FIELDS if name not in ("date", "ethnic_category") and (row.get(name) or "").strip()
    }
    if (row.get("ethnic_category") or "").strip():
        sent["ethnic_category"] = {"system": SYSTEM, "code": row["ethnic_category"]}
    sent["date"] = f"{period}-01" if period else row.get("date") or ""
    if "event_id" in row:
        sent["event_id"] = row["event_id"] or ""
    return sent


class Kept:
    """A ledger that keeps what it is given."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def known_edition(self, month: str) -> str:
        del month
        return EDITION

    async def count(self, events: Sequence[Event]) -> list[Outcome]:
        self.events += events
        return ["counted"] * len(events)


def door(rows: Sequence[Row], index: Index, rules: Rules, period: str | None = None) -> Iterator[tuple[str, Event]]:
    """What the door's own intake makes of each row, one at a time: why it is not counted, or "" and its event."""
    ledger = Kept()
    intake = Intake(cast("Ledger", ledger), [SECRET])
    for row in rows:
        sent = as_sent(row, period)
        answer = enrich(Question(row.get("postcode"), sent), index, rules)
        (receipt,) = asyncio.run(intake.take([Asked(sent, answer)], index, SOURCE))
        yield receipt.reason or "", ledger.events.pop() if receipt.counted else Event([])


def door_cells(rows: Sequence[Row], index: Index, rules: Rules, month: str) -> tuple[Counter[Cell], Counter[str]]:
    """The cells that the door would fill with the rows of one month, and why others are not among them."""
    cells: Counter[Cell] = Counter()
    reasons: Counter[str] = Counter()
    for reason, event in door(rows, index, rules):
        if not reason and event.place[0] != month:
            reason = "outside"
        reasons[reason or "counted"] += 1
        if not reason:
            cells.update(event.cells)
    return cells, reasons


def loading(
    engine: Engine,
    enricher: Enricher,
    source: str = SOURCE,
    period: str | None = MONTH,
    columns: ContactColumns = COLUMNS,
) -> Loading:
    """A file of a source, about to be read."""
    return Loading(enricher, columns, CountStore(engine, EDITION), source, period=period, secrets=[SECRET])
