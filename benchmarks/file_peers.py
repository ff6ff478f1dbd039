"""What a file is enriched with beside IMD Lens, each as a good user of it would: one engine in one process.

    python -m benchmarks.file_peers ENGINE IN OUT --directory FILE.parquet

Whether files are CSV or Parquet is seen from their names. The directory holds a row for each postcode: `key`, upper
case without blanks, and the columns that IMD Lens answers. Every engine makes the same key of what it reads, joins the
directory and writes all columns of the file and those of the answer; what is not in the directory is `not_found`.
Blanks are the only white space in the file, so that taking them away is all that a key needs.
"""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.patients import COLUMNS

THREADS: Final = 2
ANSWER: Final = (
    "postcode_status",
    "country",
    "imd_decile",
    "imd_quintile",
    "imd_edition",
    "core20",
    "core20_reason",
)
_EDITION: Final = "IoD2025"
_UNKNOWN: Final = {"postcode_status": "not_found", "imd_edition": _EDITION, "core20_reason": "not_found"}
_MOST_IN_BLOCK: Final = 4 * 2**20


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("engine", choices=ENGINES)
    arguments.add_argument("source", type=Path)
    arguments.add_argument("target", type=Path)
    arguments.add_argument("--directory", type=Path, required=True)
    options = arguments.parse_args()
    os.environ["POLARS_MAX_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(THREADS)
    ENGINES[options.engine](options.source, options.target, options.directory)


def arrow_streaming(source: Path, target: Path, _: Path) -> None:
    """Read and write, a block at a time; nothing is looked up. Arrow writes quotes around every text."""
    import pyarrow.csv as pa_csv
    import pyarrow.parquet as pq

    if source.suffix == ".parquet":
        with pq.ParquetFile(source) as file, pq.ParquetWriter(target, file.schema_arrow) as writer:
            for batch in file.iter_batches(batch_size=500_000):
                writer.write_batch(batch)
        return
    reading, converting = _arrow_options()
    with (
        pa_csv.open_csv(source, reading, convert_options=converting) as reader,
        pa_csv.CSVWriter(target, reader.schema) as writer,
    ):
        for batch in reader:
            writer.write_batch(batch)


def arrow_whole(source: Path, target: Path, _: Path) -> None:
    """Read the whole file, then write it; nothing is looked up."""
    import pyarrow.csv as pa_csv
    import pyarrow.parquet as pq

    if source.suffix == ".parquet":
        pq.write_table(pq.read_table(source), target)
        return
    reading, converting = _arrow_options()
    pa_csv.write_csv(pa_csv.read_csv(source, reading, convert_options=converting), target)


def _arrow_options():  # type: ignore[no-untyped-def]
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    texts = pa_csv.ConvertOptions(column_types=dict.fromkeys(COLUMNS, pa.string()))
    return pa_csv.ReadOptions(block_size=_MOST_IN_BLOCK), texts


def pandas_merge(source: Path, target: Path, directory: Path) -> None:
    """The whole file in memory, read by Arrow, text as pandas keeps it by default, and a left merge."""
    import pandas as pd

    held = pd.read_parquet(directory, dtype_backend="pyarrow").astype({"key": "str"})
    frame = pd.read_csv(source, dtype="str", keep_default_na=False, engine="pyarrow")
    frame["key"] = frame["postcode"].str.upper().str.replace(" ", "", regex=False)
    merged = frame.merge(held, on="key", how="left").drop(columns="key")
    merged.loc[merged["postcode_status"].isna(), list(_UNKNOWN)] = list(_UNKNOWN.values())
    merged.to_csv(target, index=False)


def duckdb_join(source: Path, target: Path, directory: Path) -> None:
    """One statement on two threads. `preserve_insertion_order` is on, but a join of DuckDB's keeps no order."""
    read = _duckdb_reads(source)
    _duckdb_writes(target, f"select p.*, {_DUCKDB_ANSWER} from {read} p {_duckdb_joins(directory)}")


def duckdb_ordered(source: Path, target: Path, directory: Path) -> None:
    """The same, sorted back into the order of the file."""
    numbered = f"(select *, row_number() over () as place from {_duckdb_reads(source)})"
    columns = f"p.* exclude (place), {_DUCKDB_ANSWER}"
    _duckdb_writes(target, f"select {columns} from {numbered} p {_duckdb_joins(directory)} order by place")


_DUCKDB_ANSWER: Final = ", ".join(
    f"case when d.key is null then '{_UNKNOWN[name]}' else d.{name} end as {name}" if name in _UNKNOWN else f"d.{name}"
    for name in ANSWER
)


def _duckdb_reads(source: Path) -> str:
    options = "all_varchar = true, header = true, delim = ',', quote = '\"'"
    return f"'{source}'" if source.suffix == ".parquet" else f"read_csv('{source}', {options})"


def _duckdb_joins(directory: Path) -> str:
    return f"left join '{directory}' d on upper(replace(p.postcode, ' ', '')) = d.key"


def _duckdb_writes(target: Path, query: str) -> None:
    import duckdb

    form = "parquet" if target.suffix == ".parquet" else "csv, header"
    connection = duckdb.connect(config={"threads": THREADS, "preserve_insertion_order": True})
    connection.execute(f"copy ({query}) to '{target}' (format {form})")


def polars_join(source: Path, target: Path, directory: Path) -> None:
    """Lazily, by the streaming engine; a join of Polars' keeps no order unless it is told to."""
    _polars(source, target, directory, ordered=False)


def polars_ordered(source: Path, target: Path, directory: Path) -> None:
    """The same, told to keep the order of the file."""
    _polars(source, target, directory, ordered=True)


def _polars(source: Path, target: Path, directory: Path, *, ordered: bool) -> None:
    import polars as pl

    parquet = source.suffix == ".parquet"
    file = pl.scan_parquet(source) if parquet else pl.scan_csv(source, infer_schema=False)
    key = pl.col("postcode").str.replace_all(" ", "", literal=True).str.to_uppercase().alias("key")
    missing = pl.col("postcode_status").is_null()
    joined = (
        file.with_columns(key)
        .join(pl.scan_parquet(directory), on="key", how="left", maintain_order="left" if ordered else "none")
        .drop("key")
        .with_columns(
            pl.when(missing).then(pl.lit(value)).otherwise(name).alias(name) for name, value in _UNKNOWN.items()
        )
    )
    if parquet:
        joined.sink_parquet(target, engine="streaming")
    else:
        joined.sink_csv(target, engine="streaming")


ENGINES: Final[dict[str, Callable[[Path, Path, Path], None]]] = {
    "arrow-streaming": arrow_streaming,
    "arrow-whole": arrow_whole,
    "pandas": pandas_merge,
    "duckdb": duckdb_join,
    "duckdb-ordered": duckdb_ordered,
    "polars": polars_join,
    "polars-ordered": polars_ordered,
}

if __name__ == "__main__":
    main()
