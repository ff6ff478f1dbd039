"""Contacts as the ledger gets them, and what the store holds, for tests of store, spool and ledger."""

from collections import Counter
from typing import Any

from sqlalchemy import Engine

from app.counts.cells import Cell
from app.counts.schema import KINDS
from app.counts.store import Event
from app.database import writing

MONTH, EDITION = "2026-05", "IoD2025"


def event(*hashes: str, specialty: str = "340", month: str = MONTH, edition: str = EDITION, band: str = "1") -> Event:
    """A contact with the cells that one adds to, and keys if any are given."""
    return Event(
        [
            (0, month, specialty, "outpatient", "new", "attended", edition, band),
            (1, month, specialty, edition, "1", "sex", "female"),
            (2, month, "lad", "E06000018"),
            (3, month, "outpatient", edition, "1", "50-54", "female"),
            (4, month, "anonymous", "live"),
        ],
        hashes,
    )


def cells(engine: Engine) -> Counter[Cell]:
    """Every cell in the store."""
    found: Counter[Cell] = Counter()
    with engine.connect() as connection:
        for kind, table in enumerate(KINDS):
            for *key, n in connection.execute(table.select()):
                found[kind, *key] = n
    return found


def stored(engine: Engine, month: str = MONTH) -> int:
    """How many contacts of a month are in the store."""
    return int(value(engine, f"SELECT coalesce(sum(n), 0) FROM flow WHERE month = '{month}'"))


def value(engine: Engine, statement: str) -> Any:
    """The one value that a statement gives."""
    with engine.connect() as connection:
        return connection.exec_driver_sql(statement).scalar()


def run(engine: Engine, *statements: str) -> None:
    """Run statements in one transaction."""
    with writing(engine) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def close_month(engine: Engine, month: str = MONTH) -> None:
    """Close a month that is in the store."""
    run(engine, f"UPDATE month SET state = 'closed' WHERE month = '{month}'")
