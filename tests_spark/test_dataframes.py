"""On a real Spark session every row gets what `enrich` says of its postcode, and keeps what it had."""

import os
import shutil
import time
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f

from app.batch import spark as spark_module
from app.batch.columns import CORE, Enricher, Wanted, text_column
from app.batch.plan import FileProblemError
from app.batch.spark import ExecutorError, enrich_dataframe
from app.context.files import RuleFileError
from app.context.rulebook import Rulebook
from app.enrichment import Question, Rules, enrich
from app.lookup.deprivation import DOMAINS, Status
from app.lookup.index import Index
from app.reference.errors import ReferenceDataError
from tests import starter_data
from tests.property.strategies import postcodes

# One of each status, and what has been taken for a postcode before.
PLAIN: list[str | None] = [
    *starter_data.postcodes()[:40],
    "ng11aa",
    " NG1  1AA ",
    "NG1 1AA\u00a0",
    "NGI 1AA",
    "NG1 9ZZ",
    "ZZ99 3VZ",
    "NF1 1AB",
    "ZZ99 3WZ",
    "ZZ99 3CZ",
    "ZZ99 3GZ",
    "ZZ99 1WZ",
    "ZZ99 4QZ",
    "BFPO 12",
    "GY1 1AA",
    "ZZZSECUR",
    "NG1",
    "",
    "07700900000",
    "é" * 80,
    None,
]


def answered_by_enrich(texts: list[str | None], index: Index, rules: Rules) -> list[dict[str, Any]]:
    """What one call for each text says, under the names of the columns."""
    rows = []
    for text in texts:
        said = enrich(Question(text, with_area=True), index, rules)
        row = {name: getattr(said.reading, name) for name in CORE}
        domains = said.domains or (0,) * len(DOMAINS)
        row |= {f"imd_{name}_decile": d or None for name, d in zip(DOMAINS, domains, strict=True)}
        row |= {k: getattr(said.area, k) if said.area else None for k in ("lsoa21", "lsoa11", "lad", "icb")}
        rows.append(row)
    return rows


def frame(spark: SparkSession, texts: list[str | None], parts: int = 3) -> DataFrame:
    table = pa.table({"n": pa.array(range(len(texts)), pa.int64()), "postcode": pa.array(texts, pa.string())})
    return spark.createDataFrame(table).repartition(parts, "n")


def in_order(df: DataFrame) -> list[dict[str, Any]]:
    return sorted(df.toArrow().to_pylist(), key=lambda row: row["n"])


def check_equal(df: DataFrame, texts: list[str | None], index: Index, rules: Rules) -> None:
    rows = in_order(df)
    assert [row["postcode"] for row in rows] == texts
    expected = answered_by_enrich(texts, index, rules)
    assert [{name: row[name] for name in answer} for row, answer in zip(rows, expected, strict=True)] == expected


def test_every_status_is_answered_as_one_call_answers_it(
    spark: SparkSession, starter: Path, index: Index, rules: Rules
) -> None:
    df = enrich_dataframe(frame(spark, PLAIN), index=starter, rules=rules, domains=True, area=True)
    check_equal(df, PLAIN, index, rules)
    seen = {row["postcode_status"] for row in in_order(df)}
    assert seen >= set(Status.__args__) - {"terminated"}  # type: ignore[attr-defined]


def test_the_nastiest_strings_are_answered_as_one_call_answers_them(
    spark: SparkSession, starter: Path, index: Index, rules: Rules
) -> None:
    @settings(max_examples=5, deadline=None)
    @given(st.lists(st.one_of(postcodes, st.sampled_from(starter_data.postcodes())), min_size=100, max_size=400))
    def check(texts: list[str | None]) -> None:
        df = enrich_dataframe(frame(spark, texts, 2), index=starter, rules=rules, domains=True, area=True)
        check_equal(df, texts, index, rules)

    check()


def test_bytes_that_are_no_text_are_malformed_and_stay_as_they_are(
    spark: SparkSession, starter: Path, rules: Rules
) -> None:
    df = spark.sql("SELECT CAST(X'4E473120C0AF' AS STRING) AS postcode")
    (row,) = enrich_dataframe(df, index=starter, rules=rules).select(f.hex("postcode"), "postcode_status").collect()
    assert tuple(row) == ("4E473120C0AF", "malformed")


def test_two_hundred_thousand_rows_are_answered_as_the_columns_of_a_file_are(
    spark: SparkSession, starter: Path, index: Index, rules: Rules, tmp_path: Path
) -> None:
    texts = (starter_data.postcodes() + PLAIN) * (200_000 // (len(PLAIN) + len(starter_data.postcodes())) + 1)
    texts = texts[:200_000]
    wanted = Wanted(domains=True, area=True, prefix="home_")
    df = frame(spark, texts, 8)
    table = enrich_dataframe(df, index=starter, rules=rules, domains=True, area=True, prefix="home_").toArrow()
    table = table.sort_by("n")
    enricher = Enricher(index, rules)
    batch = enricher.columns(enricher.read(text_column(pa.array(texts, pa.string()))), wanted)
    assert table.num_rows == len(texts)
    for name in wanted.types():
        assert table[name].combine_chunks().cast(batch[name].type).equals(batch[name]), name


def test_every_column_keeps_its_place_its_type_and_its_values(spark: SparkSession, starter: Path, rules: Rules) -> None:
    spark.conf.set("spark.sql.session.timeZone", "America/New_York")
    try:
        df = spark.sql(
            "SELECT 1L AS n, TIMESTAMP '2026-03-29 00:30:00.123456' AS at, TIMESTAMP_NTZ '2026-03-29 01:30:00' AS wall,"
            " DATE '1924-02-29' AS born, CAST(12345678901234567890.123456789 AS DECIMAL(38,9)) AS money,"
            " 'NG1 1AA' AS `Home postcode`, X'00FF' AS raw, named_struct('a', array(1, NULL), 'b', map('x', 2.5D)) AS"
            " nested, CAST(NULL AS STRING) AS nothing, CAST('NaN' AS DOUBLE) AS nan, CAST(7 AS TINYINT) AS small,"
            " true AS yes, INTERVAL '1' DAY AS wait, NULL AS void, array(named_struct('c', 'd')) AS list"
        )
        made = enrich_dataframe(df, index=starter, rules=rules)
        assert made.schema.fields[: len(df.columns)] == df.schema.fields
        assert made.columns[len(df.columns) :] == list(CORE)
        left, right = df.collect()[0], made.collect()[0]
        assert repr(tuple(left)) == repr(tuple(right)[: len(left)])
        assert (right["born"], right["money"]) == (date(1924, 2, 29), Decimal("12345678901234567890.123456789"))
        assert (right["imd_decile"], right["core20"]) == (3, False)
    finally:
        spark.conf.unset("spark.sql.session.timeZone")


def test_the_types_of_the_new_columns_are_small(spark: SparkSession, starter: Path, rules: Rules) -> None:
    made = enrich_dataframe(frame(spark, PLAIN), index=starter, rules=rules, prefix="x_")
    kinds = {field.name: field.dataType.simpleString() for field in made.schema.fields[2:]}
    assert kinds == {
        "x_postcode_status": "string",
        "x_country": "string",
        "x_imd_decile": "tinyint",
        "x_imd_quintile": "tinyint",
        "x_imd_edition": "string",
        "x_core20": "boolean",
        "x_core20_reason": "string",
    }
    assert all(field.nullable for field in made.schema.fields[2:])


def test_no_rows_are_answered_with_none(spark: SparkSession, starter: Path, rules: Rules) -> None:
    nothing = enrich_dataframe(frame(spark, []), index=starter, rules=rules)
    assert nothing.count() == 0
    assert nothing.columns == ["n", "postcode", *CORE]


def test_partitions_without_rows_are_passed_by(spark: SparkSession, starter: Path, index: Index, rules: Rules) -> None:
    df = enrich_dataframe(frame(spark, PLAIN[:3], 16), index=starter, rules=rules, domains=True, area=True)
    check_equal(df, PLAIN[:3], index, rules)


@pytest.mark.parametrize("size", ["1", "7"])
def test_small_batches_change_no_answer(
    spark: SparkSession, starter: Path, index: Index, rules: Rules, size: str
) -> None:
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", size)
    try:
        df = enrich_dataframe(frame(spark, PLAIN), index=starter, rules=rules, domains=True, area=True)
        check_equal(df, PLAIN, index, rules)
    finally:
        spark.conf.unset("spark.sql.execution.arrow.maxRecordsPerBatch")


def test_strings_with_wide_offsets_are_read(spark: SparkSession, starter: Path, index: Index, rules: Rules) -> None:
    spark.conf.set("spark.sql.execution.arrow.useLargeVarTypes", "true")
    try:
        df = enrich_dataframe(frame(spark, PLAIN), index=starter, rules=rules, domains=True, area=True)
        check_equal(df, PLAIN, index, rules)
    finally:
        spark.conf.unset("spark.sql.execution.arrow.useLargeVarTypes")


@pytest.mark.parametrize("kind", ["INT", "BIGINT", "VOID"])
def test_a_column_of_numbers_or_of_nothing_is_malformed(
    spark: SparkSession, starter: Path, rules: Rules, kind: str
) -> None:
    value = "NULL" if kind == "VOID" else f"CAST(770090 AS {kind})"
    (row,) = enrich_dataframe(spark.sql(f"SELECT {value} AS postcode"), index=starter, rules=rules).collect()
    assert (row["postcode_status"], row["core20"], row["core20_reason"]) == ("malformed", None, "malformed")


def test_a_dictionary_is_read_like_its_strings(starter: Path, index: Index, rules: Rules, another: Path) -> None:
    """Spark sends none today; what it sends is its own to choose."""
    task = task_of(another, rules)
    plain = pa.array(PLAIN)
    (coded,) = spark_module._answered(task, iter([pa.record_batch({"postcode": plain.dictionary_encode()})]))
    (read,) = spark_module._answered(task, iter([pa.record_batch({"postcode": plain})]))
    assert coded.select(list(CORE)).equals(read.select(list(CORE)))


def task_of(path: Path, rules: Rules) -> Any:
    import pickle

    checksum = Index(path).release.checksum
    return spark_module._Task(str(path), False, checksum, pickle.dumps(rules), rules.version, Wanted(), 0)


# ------------------------------------------------------------------------------------------- refusals


def test_a_name_that_is_taken_is_refused_in_whatever_case(spark: SparkSession, starter: Path, rules: Rules) -> None:
    df = frame(spark, PLAIN)
    for name in ("core20", "CORE20"):
        with pytest.raises(FileProblemError, match="called core20 already"):
            enrich_dataframe(df.withColumn(name, f.lit(1)), index=starter, rules=rules)
        assert "x_core20" in enrich_dataframe(df.withColumn(name, f.lit(1)), index=starter, prefix="x_").columns
    with pytest.raises(FileProblemError, match="Two columns are called n"):
        enrich_dataframe(df.select("postcode", "n", "n"), index=starter, rules=rules)


def test_the_column_of_the_postcode_must_be_plain_and_text(spark: SparkSession, starter: Path, rules: Rules) -> None:
    df = spark.sql("SELECT 'NG1 1AA' AS a, X'00' AS b, array('NG1 1AA') AS c, DATE '2026-01-01' AS d")
    with pytest.raises(FileProblemError, match="not plain which of the 4 columns"):
        enrich_dataframe(df, index=starter, rules=rules)
    with pytest.raises(FileProblemError, match="There is no column e"):
        enrich_dataframe(df, "e", index=starter, rules=rules)
    for name in ("b", "c", "d"):
        with pytest.raises(FileProblemError, match=f"Column {name} is of type .*: a postcode is text"):
            enrich_dataframe(df, name, index=starter, rules=rules)
    (row,) = enrich_dataframe(df, "a", index=starter, rules=rules).collect()
    assert row["imd_decile"] == 3


def test_an_edition_that_the_index_lacks_is_refused_before_anything_runs(
    spark: SparkSession, starter: Path, rules: Rules
) -> None:
    with pytest.raises(ReferenceDataError, match="IoD2015"):
        enrich_dataframe(frame(spark, PLAIN), index=starter, rules=rules, core20_edition="IoD2015")


def test_the_other_edition_is_answered_when_it_is_named(
    spark: SparkSession, starter: Path, index: Index, rules: Rules
) -> None:
    other = next(e.id for e in index.editions if e.nation == "England" and e.id != "IoD2025")
    df = enrich_dataframe(
        frame(spark, PLAIN), index=starter, rules=rules, core20_edition=other, domains=True, area=True
    )
    check_equal(df, PLAIN, index, Rules(other, rules.book))


def failure(df: DataFrame) -> str:
    with pytest.raises(PySparkException) as raised:
        df.write.format("noop").mode("overwrite").save()
    return str(raised.value)


def test_an_executor_without_the_index_says_so(spark: SparkSession, another: Path, rules: Rules) -> None:
    df = enrich_dataframe(frame(spark, PLAIN), index=another, rules=rules, ship=False)
    another.unlink()
    said = failure(df)
    assert f"ExecutorError: An executor has no index: {another} cannot be opened: No such file or directory." in said


def test_an_executor_that_was_not_shipped_the_index_says_so(spark: SparkSession, another: Path, rules: Rules) -> None:
    from pyspark import SparkFiles

    df = enrich_dataframe(frame(spark, PLAIN), index=another, rules=rules)
    spark.range(0, 4, 1, 4).count()  # a job of any kind fetches what was shipped
    checksum = Index(another).release.checksum.removeprefix("sha256:")
    Path(SparkFiles.get(f"imdlens-{checksum}.imdl")).unlink()
    assert "ExecutorError: An executor has no index: " in failure(df)


def test_an_executor_with_a_damaged_index_says_so(spark: SparkSession, another: Path, rules: Rules) -> None:
    df = enrich_dataframe(frame(spark, PLAIN), index=another, rules=rules, ship=False)
    whole = bytearray(another.read_bytes())
    whole[-1] ^= 1
    another.write_bytes(whole)
    assert "is damaged: its checksum does not match" in failure(df)


def test_an_executor_with_another_release_says_so(
    spark: SparkSession, starter: Path, index: Index, another: Path, rules: Rules
) -> None:
    from app.reference.releases import current_index

    df = enrich_dataframe(frame(spark, PLAIN), index=another, rules=rules, ship=False)
    shutil.copyfile(current_index(starter), another)
    assert f"on an executor is {index.release.checksum}, but on the driver sha256:" in failure(df)


def test_an_executor_of_another_version_says_so(
    spark: SparkSession, another: Path, rules: Rules, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Rules, "version", property(lambda _: "another"))
    df = enrich_dataframe(frame(spark, PLAIN), index=another, rules=rules)
    assert "An executor has another version of IMD Lens than the driver" in failure(df)


def test_what_fails_on_an_executor_quotes_no_row(another: Path, rules: Rules) -> None:
    import traceback

    batch = pa.record_batch({"postcode": pa.array([b"SECRET NG1 1AA \xff"])})
    with pytest.raises(ExecutorError, match=r"^A batch of 1 rows failed: ArrowInvalid\.$") as raised:
        list(spark_module._answered(task_of(another, rules), iter([batch])))
    assert "SECRET" not in "".join(traceback.format_exception(raised.value))


# ------------------------------------------------------------------------------- the index and the rules


def workers(spark: SparkSession) -> dict[int, tuple[int, int]]:
    """Hits and misses of the kept indexes in every Python worker that answers."""

    def probe(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from app.batch.spark import _enricher

        for _ in batches:
            time.sleep(0.05)  # so that every worker gets one
            kept = _enricher.cache_info()
            yield pa.RecordBatch.from_pydict({"pid": [os.getpid()], "hits": [kept.hits], "misses": [kept.misses]})

    probed = spark.range(0, 16, 1, 16).mapInArrow(probe, "pid long, hits long, misses long").collect()
    return {row.pid: (row.hits, row.misses) for row in probed}


def test_the_index_is_opened_once_in_each_python_worker(spark: SparkSession, another: Path, rules: Rules) -> None:
    before = workers(spark)
    df = enrich_dataframe(frame(spark, PLAIN * 4, 12), index=another, rules=rules)
    tasks = 0
    for _ in range(3):
        df.write.format("noop").mode("overwrite").save()
        tasks += df.rdd.getNumPartitions()
    after = workers(spark)
    opened = {pid: misses - before.get(pid, (0, 0))[1] for pid, (_, misses) in after.items()}
    reused = {pid: hits - before.get(pid, (0, 0))[0] for pid, (hits, _) in after.items()}
    assert max(opened.values()) == 1
    assert sum(opened.values()) + sum(reused.values()) > len(after)
    assert tasks > sum(opened.values())


def test_one_session_answers_from_two_releases_each_by_its_own(
    spark: SparkSession, starter: Path, another: Path, rules: Rules, index: Index
) -> None:
    first = enrich_dataframe(frame(spark, PLAIN), index=starter, rules=rules, domains=True, area=True)
    second = enrich_dataframe(frame(spark, PLAIN), index=another, rules=rules, domains=True, area=True)
    check_equal(first, PLAIN, index, rules)
    check_equal(second, PLAIN, Index(another), rules)


@pytest.fixture
def protecting(tmp_path: Path) -> Path:
    """A deployment's rules: a refuge at NG1 1AA."""
    folder = tmp_path / "rules"
    folder.mkdir()
    head = "# version: 2026-11-01\n# status: authored\n# source: a test\n# sign_off: nobody\n"
    rows = "postcode,kind,source,reviewed\nNG1 1AA,refuge,a test,2026-11-01\n"
    (folder / "places.csv").write_text(head + rows, "utf-8")
    return folder


def test_protected_places_of_a_deployment_are_withheld_on_executors(
    spark: SparkSession, starter: Path, index: Index, protecting: Path
) -> None:
    rules = Rules("IoD2025", Rulebook.load(protecting))
    texts = ["NG1 1AA", "ng11aa", "NG11 AA", "NGI 1AA", "ZZZSECUR", *PLAIN]
    df = enrich_dataframe(frame(spark, texts), index=starter, rules=rules, domains=True, area=True)
    shutil.rmtree(protecting)  # what executors know of it came with their task
    check_equal(df, texts, index, rules)
    rows = in_order(df)
    hidden = {key: value for key, value in rows[0].items() if key not in ("n", "postcode")}
    assert hidden == {key: value for key, value in rows[4].items() if key not in ("n", "postcode")}
    assert {row["postcode_status"] for row in rows[:5]} == {"withheld"}


def test_rules_and_data_come_from_the_settings_as_the_services_do(
    spark: SparkSession, starter: Path, protecting: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMDLENS_DATA_DIR", str(starter))
    monkeypatch.setenv("IMDLENS_LOCAL_DIR", str(protecting))
    with pytest.raises(RuleFileError, match="IMDLENS_PROTECTED_PLACES"):
        enrich_dataframe(frame(spark, PLAIN))
    monkeypatch.setenv("IMDLENS_PROTECTED_PLACES", "true")
    (row,) = enrich_dataframe(frame(spark, ["NG1 1AA"])).collect()
    assert (row["postcode_status"], row["imd_decile"]) == ("withheld", None)


def test_a_session_that_cannot_ship_files_is_told_what_to_do(starter: Path, rules: Rules) -> None:
    class WithoutContext:
        """A session of Spark Connect has no context."""

    with pytest.raises(FileProblemError, match="ship=False"):
        spark_module._shipped(WithoutContext(), starter, "sha256:0")  # type: ignore[arg-type]
