"""Small areas and their published deciles: every edition read, checked, and joined to each area.

An area is one combination of LSOA 2021, LSOA 2011, district, ICB, country and rurality that some postcode has.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from app.lookup.deprivation import DOMAINS
from app.reference.errors import ReferenceDataError
from app.reference.manifest import Edition, Manifest
from app.reference.sources import Source, table

VALUES = ("rank", "decile", *DOMAINS)


@dataclass(frozen=True, slots=True)
class Lookups:
    """What links one geography to another."""

    lsoa11_of: Mapping[str, tuple[str, ...]]  # LSOA 2021 to its parents, where the change is regular
    lsoa21_of: Mapping[str, tuple[str, ...]]  # LSOA 2011 to its children
    pairs: frozenset[tuple[str, str]]  # every (2011, 2021) pair that overlaps
    icb_of: Mapping[str, str]
    lad_of: Mapping[str, str]


# -------------------------------------------------------------------------------------- editions


def computed_decile(rank: pd.Series, areas: int) -> pd.Series:
    """floor(10 * (rank - 1) / areas) + 1: for nations of which only ranks are at hand."""
    return (10 * (rank - 1)) // areas + 1


def published_decile_check(rank: pd.Series, areas: int) -> pd.Series:
    """ceil(10 * rank / areas): England's rule, which checks a file and is never a source."""
    return -((-10 * rank) // areas)


def read_editions(sources: list[Source], manifest: Manifest) -> dict[str, pd.DataFrame]:
    """Each edition's table: index the area code, columns VALUES, 0 where not known."""
    editions: dict[str, pd.DataFrame] = {}
    whole: set[str] = set()
    for source in sources:
        edition = manifest.editions[source.release.edition or ""]
        values = _read_edition(source, edition)
        if edition.id in editions:
            values = _agreed(source, editions[edition.id], values)
        editions[edition.id] = values
        if not source.release.part:
            whole.add(edition.id)
    for name in whole:
        _check_facts(manifest.editions[name], editions[name])
    return editions


def _read_edition(source: Source, edition: Edition) -> pd.DataFrame:
    data = table(source)
    data = data[data["area"].notna() & (data["area"] != "")]
    _check_rows(source, data)
    numbers = pd.DataFrame(
        {c: _whole_numbers(source, c, data[c]) for c in VALUES if c in data.columns}, index=data.index
    )
    if edition.decile == "computed":
        numbers["decile"] = computed_decile(numbers["rank"], edition.areas)
    _check_range(source, "rank", numbers["rank"], edition.areas)
    for concept in (c for c in numbers.columns if c != "rank"):
        _check_range(source, concept, numbers[concept], 10)
    if edition.decile == "published":
        wrong = numbers.index[numbers["decile"] != published_decile_check(numbers["rank"], edition.areas)]
        if len(wrong):
            raise ReferenceDataError(
                f"{source.name}, row {wrong[0]}, column {source.columns['decile']}: the decile is not"
                f" the one of its rank among {edition.areas} areas ({len(wrong)} such rows)."
            )
    return numbers.set_index(data["area"]).reindex(columns=list(VALUES), fill_value=0)


def _check_rows(source: Source, data: pd.DataFrame) -> None:
    expected = source.release.rows
    if expected is not None and len(data) != expected:
        raise ReferenceDataError(f"{source.name}: {len(data)} rows, where the release has {expected}.")
    twice = data.index[data["area"].duplicated()]
    if len(twice):
        raise ReferenceDataError(f"{source.name}, row {twice[0]}: this area stands twice.")


def _whole_numbers(source: Source, concept: str, column: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce")
    bad = numbers.index[numbers.isna() | (numbers % 1 != 0)]
    if len(bad):
        raise ReferenceDataError(f"{source.name}, row {bad[0]}, column {source.columns[concept]}: not a whole number.")
    return numbers.astype(np.int64)


def _check_range(source: Source, concept: str, numbers: pd.Series, most: int) -> None:
    bad = numbers.index[(numbers < 1) | (numbers > most)]
    if len(bad):
        column = source.columns.get(concept, concept)
        raise ReferenceDataError(f"{source.name}, row {bad[0]}, column {column}: not between 1 and {most}.")


def _agreed(source: Source, before: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """Two files of one edition as one; they must say the same of what both say."""
    common = before.index.intersection(now.index)
    for concept in VALUES:
        a, b = before.loc[common, concept], now.loc[common, concept]
        differ = (a != b) & (a != 0) & (b != 0)
        if differ.any():
            raise ReferenceDataError(
                f"{source.name}: {concept} of {differ.sum()} areas differs from another file of the same"
                f" edition, first at {common[differ][0]}."
            )
    joined = before.reindex(before.index.union(now.index), fill_value=0)
    joined.loc[now.index] = joined.loc[now.index].where(joined.loc[now.index] != 0, now)
    return joined


def _check_facts(edition: Edition, values: pd.DataFrame) -> None:
    for fact in edition.facts:
        if fact.area not in values.index:
            raise ReferenceDataError(f"{edition.id}: {fact.area} is missing.")
        row = values.loc[fact.area]
        if row["rank"] != fact.rank or (fact.decile is not None and row["decile"] != fact.decile):
            raise ReferenceDataError(
                f"{edition.id}: {fact.area} has rank {row['rank']} and decile {row['decile']}, where"
                f" {fact.rank} and {fact.decile} were published."
            )


# --------------------------------------------------------------------------------------- lookups


def read_lookups(sources: list[Source]) -> Lookups:
    """The lookups that are there; a missing one is empty."""
    tables: dict[str, pd.DataFrame] = {}
    for source in sources:
        if source.release.kind in tables:
            raise ReferenceDataError(f"{source.name}: there is another lookup of the same kind; give one of them.")
        tables[source.release.kind] = _lookup(source)
    icb, lad = tables.get("lsoa_icb"), tables.get("lsoa_lad")
    change = tables.get("lsoa_change", pd.DataFrame(columns=["lsoa11", "lsoa21", "change"]))
    regular = change[change["change"].isin(["U", "S", "M"])]
    return Lookups(
        lsoa11_of={str(k): tuple(v) for k, v in regular.groupby("lsoa21")["lsoa11"]},
        lsoa21_of={str(k): tuple(v) for k, v in regular.groupby("lsoa11")["lsoa21"]},
        pairs=frozenset(zip(change["lsoa11"], change["lsoa21"], strict=True)),
        icb_of=dict(zip(icb["lsoa21"], icb["icb"], strict=True)) if icb is not None else {},
        lad_of=dict(zip(lad["lsoa21"], lad["lad"], strict=True)) if lad is not None else {},
    )


def _lookup(source: Source) -> pd.DataFrame:
    data = table(source)
    expected = source.release.rows
    if expected is not None and len(data) != expected:
        raise ReferenceDataError(f"{source.name}: {len(data)} rows, where the release has {expected}.")
    blank = data.index[data[list(source.release.required)].isna().any(axis=1)]
    if len(blank):
        raise ReferenceDataError(f"{source.name}, row {blank[0]}: a code is missing.")
    return data


# ------------------------------------------------------------------------------------- resolution


def complete(areas: pd.DataFrame, lookups: Lookups, counts: dict[str, int]) -> pd.DataFrame:
    """Fill what the postcode file left out: LSOA 2011 or 2021 where the change is exact, ICB, district, nation.

    `areas` has the text columns country, lsoa21, lsoa11, lad, icb, "" where not known.
    """
    areas = areas.copy()
    both = (areas["lsoa11"] != "") & (areas["lsoa21"] != "") & areas["lsoa21"].str.match("[EW]")
    if lookups.pairs:
        pairs = zip(areas["lsoa11"], areas["lsoa21"], strict=True)
        apart = both & ~pd.Series([p in lookups.pairs for p in pairs], index=areas.index)
        counts["areas_whose_lsoa_2011_and_2021_do_not_overlap"] = int(apart.sum())
        areas.loc[apart, "lsoa11"] = ""
    for blank, known, links in (
        ("lsoa11", "lsoa21", lookups.lsoa11_of),
        ("lsoa21", "lsoa11", lookups.lsoa21_of),
    ):
        fill = areas[blank] == ""
        only = [links.get(code, ()) for code in areas.loc[fill, known]]
        areas.loc[fill, blank] = [codes[0] if len(codes) == 1 else "" for codes in only]
    for column, of_lsoa in (("icb", lookups.icb_of), ("lad", lookups.lad_of)):
        fill = areas[column] == ""
        areas.loc[fill, column] = [of_lsoa.get(code, "") for code in areas.loc[fill, "lsoa21"]]
    said = areas["country"].copy()
    for column in ("lad", "lsoa11", "lsoa21"):  # the small area decides, since the decile is its
        nation = areas[column].map(_nation)
        areas["country"] = areas["country"].where(nation == "", nation)
    counts["areas_in_another_nation_than_said"] = int(((said != "") & (said != areas["country"])).sum())
    return areas


def _nation(code: str) -> str:
    if code.startswith("95"):  # Northern Ireland's Super Output Areas of 2001
        return "Northern Ireland"
    return {"E": "England", "W": "Wales", "S": "Scotland", "N": "Northern Ireland"}.get(code[:1], "")


def resolve(
    areas: pd.DataFrame,
    edition: Edition,
    values: pd.DataFrame | None,
    lookups: Lookups,
    rank_column: str | None,
) -> pd.DataFrame:
    """An edition's values for every area, in order; 0 where none is known.

    In this order: the area's own code; the code the postcode's rank belongs to; what all areas that
    it may lie in agree on.
    """
    result = pd.DataFrame(0, index=areas.index, columns=list(VALUES))
    here = areas["country"] == edition.nation
    ranks = areas[rank_column] if rank_column else pd.Series(0, index=areas.index)
    if values is None:
        if edition.decile == "computed":
            given = here & ranks.between(1, edition.areas)
            result.loc[given, "rank"] = ranks[given]
            result.loc[given, "decile"] = computed_decile(ranks[given], edition.areas)
        return result
    own, other, links = _geography(areas, edition, values, lookups)
    direct = here & own.isin(values.index)
    result.loc[direct] = values.loc[own[direct]].to_numpy()
    rest = here & ~direct & ranks.between(1, edition.areas)
    by_rank = values.reset_index(drop=True).drop_duplicates().set_index("rank", drop=False)
    by_rank = by_rank[~by_rank.index.duplicated(keep=False)]  # a tied rank has no one area
    ranked = rest & ranks.isin(by_rank.index)
    result.loc[ranked] = by_rank.loc[ranks[ranked]].to_numpy()
    for area in areas.index[here & ~direct & ~ranked]:
        candidates = [code for code in links.get(other[area], ()) if code in values.index]
        if candidates and len(candidates) == len(links[other[area]]):
            found = values.loc[candidates]
            same = found.nunique() == 1
            result.loc[area] = found.iloc[0].where(same, 0)
    return result


def _geography(
    areas: pd.DataFrame, edition: Edition, values: pd.DataFrame, lookups: Lookups
) -> tuple[pd.Series, pd.Series, Mapping[str, tuple[str, ...]]]:
    """The code of each area in the edition's geography, its code in the other, and the links between."""
    if edition.geography == "LSOA 2021":
        return areas["lsoa21"], areas["lsoa11"], lookups.lsoa21_of
    if edition.geography == "LSOA 2011":
        return areas["lsoa11"], areas["lsoa21"], lookups.lsoa11_of
    # Scotland and Northern Ireland: ONS writes their areas into either LSOA column, by release.
    return areas["lsoa11"].where(areas["lsoa11"].isin(values.index), areas["lsoa21"]), areas["lsoa11"], {}


def check_ranks(
    areas: pd.DataFrame, edition: Edition, values: pd.DataFrame, lookups: Lookups, rank_column: str
) -> tuple[int, int]:
    """Postcodes of which both a rank column and their area's own rank are known, and those that differ."""
    own, _, _ = _geography(areas, edition, values, lookups)
    here = (areas["country"] == edition.nation) & own.isin(values.index) & (areas[rank_column] > 0)
    joined = values.loc[own[here], "rank"].to_numpy()
    differ = areas.loc[here, rank_column].to_numpy() != joined
    postcodes = areas.loc[here, "postcodes"].to_numpy()
    return int(postcodes.sum()), int(postcodes[differ].sum())


def unknown_areas(areas: pd.DataFrame, edition: Edition, values: pd.DataFrame) -> list[str]:
    """Codes of the edition's own geography that it does not know."""
    column = "lsoa21" if edition.geography == "LSOA 2021" else "lsoa11"
    codes = areas.loc[(areas["country"] == edition.nation) & (areas[column] != ""), column]
    return sorted(set(codes) - set(values.index))
