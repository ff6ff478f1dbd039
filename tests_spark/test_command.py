"""The command does what its guide says, run as a newcomer runs it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from app import cli_spark
from app.batch import spark as spark_module
from app.batch.columns import CORE
from app.cli_spark import main
from tests_spark.conftest import QUICK

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent


def called(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str]:
    """The command in this process, on the session that is open: its exit code, and what it told."""
    monkeypatch.setattr(sys, "argv", ["imdlens-spark", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr()
    assert told.out == ""
    return int(ended.value.code or 0), told.err


@pytest.fixture
def extract(tmp_path: Path) -> Path:
    """An extract as a hospital's system writes it: numbers with zeros before them, a comma and a quote in a field."""
    path = tmp_path / "extract.csv"
    path.write_text(
        "nhs_number,home_postcode,name,age\n"
        '0000000001,NG1 1AA,"O""Neill, A",007\n'
        "0000000002,zz993vz,B,\n"
        "0000000003,,C,1.50\n",
        "utf-8",
    )
    return path


def test_spark_submit_answers_a_csv_and_no_number_loses_its_zeros(extract: Path, starter: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    # An executor in a process of its own, to which the index must be shipped.
    cluster = {"spark.master": "local-cluster[1,1,512]", "spark.executor.memory": "512m", "spark.ui.enabled": "false"}
    java = {"spark.driver.extraJavaOptions": QUICK, "spark.executor.extraJavaOptions": QUICK}
    conf = [word for key, value in (cluster | java).items() for word in ("--conf", f"{key}={value}")]
    given = (ROOT / "app" / "cli_spark.py", extract, out, "--format", "csv", "--index", starter)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYSPARK_", "SPARK_"))}
    done = subprocess.run(
        [BIN / "spark-submit", *conf, *given],
        env=kept | {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable},
        cwd=tmp_path,  # where Spark keeps what its executors write
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "3 rows answered" in done.stdout
    table = pq.read_table(out).sort_by("nhs_number")
    assert table.column_names == ["nhs_number", "home_postcode", "name", "age", *CORE]
    rows = [tuple(row.values()) for row in table.to_pylist()]
    assert rows == [
        ("0000000001", "NG1 1AA", 'O"Neill, A', "007", "live", "England", 3, 2, "IoD2025", False, None),
        ("0000000002", "zz993vz", "B", None, "no_fixed_abode", None, None, None, "IoD2025", None, "no_fixed_abode"),
        ("0000000003", None, "C", "1.50", "malformed", None, None, None, "IoD2025", None, "malformed"),
    ]


def test_the_command_reads_parquet_and_replaces_only_when_it_is_told(
    spark: SparkSession,
    starter: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("IMDLENS_DATA_DIR", str(starter))
    pq.write_table(pa.table({"Postcode": ["NG1 1AA", None], "n": [1, 2]}), tmp_path / "in.parquet")
    out = tmp_path / "out"
    command = (tmp_path / "in.parquet", out, "--domains", "--prefix", "home_")
    out.mkdir()
    (out / "kept").write_text("kept")
    refused = called(monkeypatch, capsys, *command)
    assert refused == (1, "imdlens-spark: OUT exists already: name another, or say --overwrite.\n")
    assert (out / "kept").exists()
    code, told = called(monkeypatch, capsys, *command, "--overwrite")
    assert (code, told.split(";")[0]) == (0, "2 rows answered")
    (first, second) = pq.read_table(out).sort_by("n").to_pylist()
    assert (first["home_imd_decile"], first["home_imd_health_decile"]) == (3, 1)
    assert (second["home_postcode_status"], second["home_core20"]) == ("malformed", None)
    assert spark.range(3).count() == 3  # the session that was open before is open still


@pytest.mark.parametrize("row", ["2,Flat 3, Secret Road,NG1 1AB", "2,Secret Road"])
def test_a_row_of_another_length_stops_it_and_no_value_is_told(
    spark: SparkSession,
    starter: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    row: str,
) -> None:
    ragged = tmp_path / "ragged.csv"
    ragged.write_text(f"id,address,postcode\n1,High Street,NG1 1AA\n{row}\n", "utf-8")
    stopped = called(monkeypatch, capsys, ragged, tmp_path / "out", "--format", "csv", "--index", starter)
    assert stopped == (1, "imdlens-spark: A row of the CSV has more or fewer fields than its heading.\n")
    assert not list((tmp_path / "out").glob("*.parquet"))


def test_what_an_executor_says_is_told_as_it_stands(
    spark: SparkSession,
    another: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pq.write_table(pa.table({"postcode": ["NG1 1AA"] * 4}), tmp_path / "in.parquet")
    shipped = spark_module.enrich_dataframe

    def and_then_lost(*given: Any, **more: Any) -> Any:
        made = shipped(*given, **more)
        another.unlink()
        return made

    monkeypatch.setattr(cli_spark, "enrich_dataframe", and_then_lost)
    words = (tmp_path / "in.parquet", tmp_path / "out", "--index", another, "--no-ship")
    code, told = called(monkeypatch, capsys, *words)
    said = f"imdlens-spark: An executor has no index: {another} cannot be opened: No such file or directory.\n"
    assert (code, told) == (1, said)


def test_what_spark_says_is_told_by_its_kind_alone(
    spark: SparkSession,
    starter: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = (tmp_path / "out", "--index", starter)
    missing = called(monkeypatch, capsys, tmp_path / "none", *words)
    assert missing == (1, "imdlens-spark: IN was not found.\n")
    unknown = called(monkeypatch, capsys, tmp_path / "none", *words, "--format", "papyrus")
    assert unknown == (1, "imdlens-spark: This Spark knows no such --format.\n")


def test_what_cannot_be_is_said_in_one_sentence_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for source in ("a", "a/in.parquet"):  # to replace OUT would remove IN before it is read
        lost = called(monkeypatch, capsys, tmp_path / source, f"file:{tmp_path}/a", "--overwrite")
        assert lost == (1, "imdlens-spark: IN is OUT, or lies in it: what is read would be replaced.\n")
    pair = called(monkeypatch, capsys, tmp_path / "a", tmp_path / "b", "--option", "sep")
    assert pair == (1, "imdlens-spark: --option is written KEY=VALUE.\n")
