"""Waiting lists of invented people, for stores that are sealed."""

import random
from collections import Counter
from collections.abc import Iterable

from sqlalchemy import Engine

from app.counts.waiting import Snapshot, replace_waiting_counts


def with_waiting_lists(engine: Engine, months: Iterable[str], people: int = 4000, seed: int = 1) -> None:
    """A complete list at the end of each of these months: in decile 1 and 2 more wait long."""
    dice = random.Random(seed)
    for month in months:
        counted: Counter[tuple[str, str, str]] = Counter()
        for _ in range(people):
            band = dice.choice([*map(str, range(1, 11)), "not_found"])
            long = 0.5 if band in ("1", "2") else 0.3
            wait = "to_18" if dice.random() > long else dice.choice(("18_to_26", "52_to_65"))
            counted[dice.choice(("340", "340", "110", "656")), wait, band] += 1
        replace_waiting_counts(
            engine,
            Snapshot(month, month, "IoD2025"),
            lambda _, counted=counted: counted,  # type: ignore[misc]
            expected=people,
            since="2024-04",
        )
