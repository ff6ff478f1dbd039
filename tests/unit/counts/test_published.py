"""What is said of chosen rows, and how they are written as CSV."""

import csv
import io
from types import SimpleNamespace

import pytest

from app.counts.published import COLUMNS, Chosen, as_csv
from app.counts.tables import TABLES

TABLE = TABLES["specialty_core20"]


def test_a_table_of_any_length_is_written_once_and_whole() -> None:
    rows = [dict.fromkeys(COLUMNS) | {"period": "2024-25", "specialty": "x" * (n % 97), "n": n} for n in range(5000)]
    parts = list(as_csv(Chosen(TABLE, [], rows, {})))
    assert len(parts) > 2
    read = list(csv.DictReader(io.StringIO("".join(parts).removeprefix("\ufeff"))))
    assert [(row["specialty"], row["n"]) for row in read] == [(row["specialty"], str(row["n"])) for row in rows]


@pytest.mark.parametrize(
    ("periods", "said"),
    [
        (["2024-04"], "Of 2024-04."),
        (["2024-04", "2024-05"], "Of 2024-05. With the 1 period before it, from April 2024 on."),
        (["2024-04", "2024-05", "2024-06"], "Of 2024-06. With the 2 periods before it, from April 2024 on."),
    ],
)
def test_several_periods_are_said_to_be_so(periods: list[str], said: str) -> None:
    publications = [SimpleNamespace(period=p, sentence=f"Of {p}.", edition="IoD2025") for p in periods]
    assert Chosen(TABLE, publications, [], {}).sentence == said
