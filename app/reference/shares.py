"""Shares of the residents or households of small areas: counts read, checked, and joined to each area.

Each measure is a count over a count, both of LSOAs 2021, from any file whose manifest entry names its columns.
"""

from typing import Final

import numpy as np
import pandas as pd

from app.lookup import layout
from app.reference.errors import ReferenceDataError
from app.reference.manifest import CountColumns, Manifest, Measure
from app.reference.sources import Source, table

# A share of fewer people or households than this is told as "few", as counts of people are.
FEWEST: Final = 10

COUNTS: Final = ("numerator", "denominator")


def read_measures(sources: list[Source], manifest: Manifest) -> dict[str, pd.DataFrame]:
    """Each measure that some file gives, in the manifest's order: index the LSOA 2021, columns COUNTS."""
    found: dict[str, pd.DataFrame] = {}
    whole: set[str] = set()
    for source in sources:
        if not source.release.measures:
            continue
        data = _rows(source)
        for name, columns in source.release.measures.items():
            counts = _counts(source, data, columns)
            found[name] = _agreed(source, name, found[name], counts) if name in found else counts
            if not source.release.part:
                whole.add(name)
    for name in whole:
        _check_facts(manifest.measures[name], found[name])
    return {name: found[name] for name in manifest.measures if name in found}


def _rows(source: Source) -> pd.DataFrame:
    data = table(source)
    blank = data.index[data["area"].isna() | (data["area"] == "")]
    if len(blank):
        raise ReferenceDataError(f"{source.name}, row {blank[0]}, column {source.columns['area']}: a code is missing.")
    expected = source.release.rows
    if expected is not None and len(data) != expected:
        raise ReferenceDataError(f"{source.name}: {len(data)} rows, where the release has {expected}.")
    twice = data.index[data["area"].duplicated()]
    if len(twice):
        raise ReferenceDataError(f"{source.name}, row {twice[0]}: this area stands twice.")
    return data


def _counts(source: Source, data: pd.DataFrame, columns: CountColumns) -> pd.DataFrame:
    numerator = sum((_count(source, data, c) for c in columns.numerator), start=pd.Series(0, index=data.index))
    denominator = _count(source, data, columns.denominator)
    more = data.index[numerator > denominator]
    if len(more):
        named = " and ".join(source.columns[c] for c in columns.numerator)
        raise ReferenceDataError(
            f"{source.name}, row {more[0]}, column {named}: more than all in column"
            f" {source.columns[columns.denominator]}."
        )
    counts = pd.DataFrame({"numerator": numerator, "denominator": denominator})
    return counts.set_index(data["area"])


def _count(source: Source, data: pd.DataFrame, concept: str) -> pd.Series:
    numbers = pd.to_numeric(data[concept], errors="coerce")
    bad = numbers.index[~(numbers >= 0) | (numbers % 1 != 0)]
    if len(bad):
        raise ReferenceDataError(
            f"{source.name}, row {bad[0]}, column {source.columns[concept]}: not a whole number from 0 up."
        )
    return numbers.astype(np.int64)


def _agreed(source: Source, name: str, before: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """Two files of one measure as one; they must say the same of what both say."""
    common = before.index.intersection(now.index)
    differ = (before.loc[common] != now.loc[common]).any(axis=1)
    if differ.any():
        raise ReferenceDataError(
            f"{source.name}: {name} of {differ.sum()} areas differs from another file of the same measure, first at"
            f" {common[differ][0]}."
        )
    return pd.concat([before, now.loc[now.index.difference(before.index)]])


def _check_facts(measure: Measure, counts: pd.DataFrame) -> None:
    for fact in measure.facts:
        if fact.area not in counts.index:
            raise ReferenceDataError(f"{measure.id}: {fact.area} is missing.")
        numerator, denominator = counts.loc[fact.area, list(COUNTS)]
        if (numerator, denominator) != (fact.numerator, fact.denominator):
            raise ReferenceDataError(
                f"{measure.id}: {fact.area} has {numerator} of {denominator}, where {fact.numerator} of"
                f" {fact.denominator} were published."
            )


def as_stored(counts: pd.DataFrame) -> pd.Series:
    """Each area's share as the index holds it: whole percent, a half rounded up, or the code for few or unknown."""
    numerator, denominator = counts["numerator"], counts["denominator"]
    percent = (200 * numerator + denominator) // (2 * denominator.clip(lower=1))
    stored = percent.where(numerator >= FEWEST, layout.SHARE_FEW)
    return stored.where(denominator > 0, layout.SHARE_UNKNOWN).astype(np.uint8)


def resolve(areas: pd.DataFrame, measures: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Every measure of every area, in order, as the index holds it; an area without LSOA 2021 has none."""
    return pd.DataFrame(
        {
            name: areas["lsoa21"].map(as_stored(counts)).fillna(layout.SHARE_UNKNOWN).astype(np.uint8)
            for name, counts in measures.items()
        },
        index=areas.index,
    )
