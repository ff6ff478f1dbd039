"""Residents by decile of the areas that a catchment is made of: the Census 2021 tables that this version ships."""

import csv
from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Final, Literal, NamedTuple

from app.reference.manifest import packaged_data

AreaKind = Literal["lad", "icb"]

EDITION: Final = "IoD2025"
"""The edition of the index whose deciles these are: there is no other here."""
CENSUS_DAY: Final = date(2021, 3, 21)
SOURCE: Final = "Census 2021 usual residents (ONS, TS021) by decile of IoD2025 (MHCLG), Open Government Licence v3.0"


class Residents(NamedTuple):
    """One area's residents; `by_decile` are deciles 1 to 10, of all ages."""

    name: str
    by_decile: tuple[int, ...]


@cache
def census2021(kind: AreaKind) -> Mapping[str, Residents]:
    """Local authority districts or integrated care boards of 2024 by code; England itself is E92000001."""
    path = packaged_data() / "population" / f"census2021_by_iod2025_decile_{kind}24.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        return {
            row[f"{kind}24_code"]: Residents(
                row[f"{kind}24_name"], tuple(int(row[f"d{decile}"]) for decile in range(1, 11))
            )
            for row in rows
        }
