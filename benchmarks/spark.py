"""Enrich a DataFrame of national postcodes on Spark, beside a broadcast join that yields the same columns, in one run.

    .venv-spark/bin/python -m benchmarks.spark [--rows 5000000] [--index PATH] [--wide 0] [--rounds 3] [--check]

Two cores of one machine. Half of the rows are as usually written and half as EPRs send them. Each engine reads the
same Parquet files and writes to nowhere; the join normalises the postcode in Spark SQL first. `--wide` adds so many
columns of text to every row. `--check` compares every row with what a file's columns get, and measures nothing.
The national index is the one that `python -m benchmarks.lookup` built, unless `--index` names another.
"""

import argparse
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f

from app.batch.columns import Enricher, Wanted, text_column
from app.batch.spark import enrich_dataframe
from app.context.rulebook import Rulebook
from app.enrichment import Rules
from app.lookup.index import Index
from app.reference.releases import current_index
from benchmarks import national

CORES = 2
NATION = 60_000_000  # rows, about one for each person in England and a few to spare
LARGE_BATCH = 65_536


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=5_000_000)
    arguments.add_argument("--index", type=Path)
    arguments.add_argument("--wide", type=int, default=0)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--check", action="store_true")
    options = arguments.parse_args()
    given = options.index
    path = current_index(given or national.CACHE / "national") if given is None or given.is_dir() else given
    index, rules = Index(path), Rules("IoD2025", Rulebook.load())
    known = national.postcodes(national.files())
    with tempfile.TemporaryDirectory(prefix="imdlens-spark-") as folder:
        rows, join = Path(folder) / "rows", Path(folder) / "join.parquet"
        rows.mkdir()
        _write_rows(known, options.rows, options.wide, rows)
        session = _session(folder)
        try:
            if options.check:
                _check(session, rows, path, index, rules)
                return
            _write_join(known, index, rules, join)
            _measure(session, rows, join, path, rules, options.rows, options.rounds)
        finally:
            session.stop()


def _session(folder: str) -> SparkSession:
    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = (
        SparkSession.builder.master(f"local[{CORES}]")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.memory", "1400m")
        .config("spark.local.dir", folder)
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.files.maxPartitionBytes", str(16 * 2**20))
        .getOrCreate()
    )
    warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas")
    session.sparkContext.setLogLevel("ERROR")
    return session


def _write_rows(known: pa.Array, count: int, wide: int, folder: Path) -> None:
    """Contacts as an extract holds them, in files of half a million rows."""
    chance = np.random.default_rng(2026)
    for start in range(0, count, 500_000):
        n = min(500_000, count - start)
        drawn = known.take(pa.array(chance.integers(0, len(known), n)))
        usual = pa.concat_arrays([drawn[: n // 2], national.untidy(drawn[n // 2 :])])
        table = {
            "n": pa.array(np.arange(start, start + n)),
            "specialty": pa.array(["100", "110", "130", "300", "340", "501"]).take(pa.array(chance.integers(0, 6, n))),
            "date": pa.array(chance.integers(20_000, 20_365, n).astype(np.int32)).cast(pa.date32()),
            "age": pa.array(chance.integers(0, 100, n).astype(np.int8)),
            "postcode": usual,
        }
        text = pa.array([f"text {i:08d} of some length" for i in range(1000)])
        table |= {f"text_{i}": text.take(pa.array(chance.integers(0, 1000, n))) for i in range(wide)}
        pq.write_table(pa.table(table), folder / f"{start:09d}.parquet")


def _write_join(known: pa.Array, index: Index, rules: Rules, path: Path) -> None:
    """The table of the join: every postcode as it is normalised, and the columns that it is to yield."""
    enricher = Enricher(index, rules)
    answers = enricher.columns(enricher.read(text_column(known)), Wanted())
    keys = pc.replace_substring(known, " ", "")
    pq.write_table(pa.Table.from_arrays([keys, *answers.columns], ["key", *answers.schema.names]), path)


def _joined(df: DataFrame, held: DataFrame) -> DataFrame:
    """What an analyst writes: normalise, broadcast, join."""
    key = f.upper(f.regexp_replace("postcode", r"\s+", ""))
    return df.withColumn("key", key).join(f.broadcast(held), "key", "left").drop("key")


def _measure(session: SparkSession, rows: Path, join: Path, path: Path, rules: Rules, count: int, rounds: int) -> None:
    df, held = session.read.parquet(str(rows)), session.read.parquet(str(join))
    enriched = enrich_dataframe(df, index=path, rules=rules)
    joined = _joined(df, held)
    assert sorted(enriched.columns) == sorted(joined.columns)

    def run(build: Callable[[DataFrame], DataFrame], batch: int = 10_000) -> Callable[[DataFrame], None]:
        def to_nowhere(frame: DataFrame) -> None:
            session.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", batch)
            build(frame).write.format("noop").mode("overwrite").save()

        return to_nowhere

    def enrich(frame: DataFrame) -> DataFrame:
        return enrich_dataframe(frame, index=path, rules=rules)

    engines = [
        ("reading alone", run(lambda frame: frame)),
        ("IMD Lens", run(enrich)),
        (f"IMD Lens, Arrow batches of {LARGE_BATCH:,}", run(enrich, LARGE_BATCH)),
        ("broadcast join", run(lambda frame: _joined(frame, held))),
    ]
    print(f"Measured {national.machine('pyspark', 'pyarrow', 'numpy')}, local[{CORES}]\n")
    print(f"{count:,} rows of {len(df.columns)} columns, half as usually written, half as EPRs send them\n")
    lines = []
    for name, engine in engines:
        took = _median(partial(engine, df), rounds)
        fixed = _median(partial(engine, df.filter("n < 1")), rounds)
        per_core = count / (took - fixed) / CORES
        print(f"{name}: {took:.2f} s, of one row {fixed:.2f} s", file=sys.stderr)
        whole = fixed + NATION / per_core / 64
        lines.append((name, f"{took:.2f}", f"{fixed:.2f}", f"{per_core / 1e6:.3f}", f"{whole:.0f}"))
    heading = ("engine", "seconds", "of one row", "M rows/s/core beyond it", f"{NATION:,} rows on 64 cores: seconds")
    print(national.table(heading, lines) + "\n")
    differing = _differing(enriched, held)
    print(f"{count - differing:,} of {count:,} rows have the same decile and Core20 flag from both.")
    print("The last column is on paper: the seconds of one row, and rows/s/core times cores. No cluster was tried.")


def _differing(enriched: DataFrame, held: DataFrame) -> int:
    """Rows whose decile or flag is another by the join."""
    other = held.select("key", f.col("imd_decile").alias("decile"), f.col("core20").alias("flag"))
    both = _joined(enriched, other)
    same = f.col("imd_decile").eqNullSafe(f.col("decile")) & f.col("core20").eqNullSafe(f.col("flag"))
    return both.filter(~same).count()


def _median(run: Callable[[], None], rounds: int) -> float:
    """Of so many rounds, after one that is not timed."""
    run()
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return median(seconds)


def _check(session: SparkSession, rows: Path, path: Path, index: Index, rules: Rules) -> None:
    """Every row from Spark beside the same row from the columns of a file; ends the program where one differs."""
    wanted = Wanted(domains=True, area=True)
    df = session.read.parquet(str(rows)).select("n", "postcode")
    made = Path(rows).with_name("made")
    enrich_dataframe(df, index=path, rules=rules, domains=True, area=True).write.parquet(str(made))
    enricher = Enricher(index, rules)
    compared = 0
    for file in made.glob("*.parquet"):
        table = pq.read_table(file)
        expected = enricher.columns(enricher.read(text_column(table["postcode"])), wanted)
        for name in wanted.types():
            assert table[name].combine_chunks().cast(expected[name].type).equals(expected[name]), name
        compared += table.num_rows
    assert compared == df.count()
    print(f"{compared:,} rows are the same by Spark and by columns, in all {len(wanted.types())} columns.")


if __name__ == "__main__":
    main()
