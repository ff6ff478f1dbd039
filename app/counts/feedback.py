"""What became of CDS Hooks cards: accepted or overridden, by month and service, and nothing else of them."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.dialects import postgresql, sqlite

from app.counts.schema import card_feedback
from app.database import is_sqlite, writing


def add(engine: Engine, month: str, service: str, outcomes: Mapping[str, int]) -> None:
    """Add to a month. `outcomes`: how many cards of the service were `accepted` and how many `overridden`."""
    dialect = sqlite if is_sqlite(engine) else postgresql
    with writing(engine) as connection:
        for outcome, n in sorted(outcomes.items()):  # in one order: two that add at once must not wait for each other
            new = dialect.insert(card_feedback).values(month=month, service=service, outcome=outcome, n=n)
            key = ("month", "service", "outcome")
            added = card_feedback.c.n + new.excluded.n
            connection.execute(new.on_conflict_do_update(index_elements=key, set_={"n": added}))


def read(engine: Engine) -> list[dict[str, Any]]:
    """`{"month", "service", "outcome", "n"}`, newest month first."""
    order = (card_feedback.c.month.desc(), card_feedback.c.service, card_feedback.c.outcome)
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(select(card_feedback).order_by(*order)).mappings()]
