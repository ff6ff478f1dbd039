"""The recipe for DuckDB and Polars does what it says, with the real engines."""

from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pytest

from app.batch.columns import Wanted
from app.enrichment import Question, Rules, enrich
from app.lookup.index import Index
from examples.duckdb_and_polars.columns import from_duckdb, from_polars, open_enricher
from tests.starter_data import postcodes

TEXTS = [*postcodes()[::5], "ng11aa", "ZZ99 3VZ", "GY1 1AA", "", "junk", None]
WANTED = Wanted(domains=True, area=True, prefix="home_")


@pytest.fixture(scope="module")
def expected(index: Index, rules: Rules) -> list[tuple[str, int | None, bool | None, str | None]]:
    """Status, decile, flag and reason by `enrich`, a row for each of TEXTS."""
    read = [enrich(Question(text), index, rules).reading for text in TEXTS]
    return [(r.postcode_status, r.imd_decile, r.core20, r.core20_reason) for r in read]


COLUMNS = ["home_postcode_status", "home_imd_decile", "home_core20", "home_core20_reason"]


def test_a_query_of_duckdb_is_answered_and_read_by_duckdb_again(
    starter: Path, tmp_path: Path, expected: list[tuple[object, ...]]
) -> None:
    con = duckdb.connect()
    held = pa.table({"n": range(len(TEXTS)), "pc": pa.array(TEXTS, pa.string())})
    con.register("held", held)
    enriched = from_duckdb(con.sql("select n, pc from held order by n"), "pc", open_enricher(starter), WANTED)
    assert enriched.schema.names == ["n", "pc", *WANTED.types()]
    out = tmp_path / "out.parquet"
    other = duckdb.connect()  # the first is still giving rows
    other.register("enriched", enriched)
    other.sql(f"copy enriched to '{out}'")
    assert other.sql(f"select {', '.join(COLUMNS)} from '{out}' order by n").fetchall() == expected


def test_a_query_without_rows_has_the_columns_nevertheless(starter: Path) -> None:
    query = duckdb.connect().sql("select 1 as n, 'NG1 1AA' as pc where false")
    enriched = from_duckdb(query, "pc", open_enricher(starter), WANTED).read_all()
    assert (enriched.num_rows, enriched.column_names) == (0, ["n", "pc", *WANTED.types()])


@pytest.mark.parametrize("kind", [pl.String, pl.Categorical])
def test_a_frame_of_polars_is_answered(
    starter: Path, expected: list[tuple[object, ...]], kind: type[pl.DataType]
) -> None:
    frame = pl.DataFrame({"n": range(len(TEXTS)), "pc": TEXTS}).with_columns(pl.col("pc").cast(kind))
    enriched = from_polars(frame, "pc", open_enricher(starter), WANTED)
    assert enriched.columns == ["n", "pc", *WANTED.types()]
    assert enriched.select(COLUMNS).rows() == expected
    assert enriched["pc"].equals(frame["pc"])
