"""The command does what its guide says, run as a newcomer runs it."""

import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from app.batch.columns import CORE

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent


def run(*words: str | Path, **settings: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("IMDLENS_", "PYSPARK_", "SPARK_"))}
    return subprocess.run(
        list(map(str, words)),
        env=kept | {"SPARK_LOCAL_IP": "127.0.0.1", "PATH": f"{BIN}:{kept['PATH']}"} | settings,
        text=True,
        capture_output=True,
        timeout=180,
        check=False,
    )


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
    cluster = ("--master", "local-cluster[1,1,512]", "--executor-memory", "512m", "--conf", "spark.ui.enabled=false")
    command = (
        BIN / "spark-submit",
        *cluster,
        ROOT / "app" / "cli_spark.py",
        extract,
        out,
        "--format",
        "csv",
        "--index",
        starter,
    )
    done = run(*command, PYSPARK_PYTHON=sys.executable)
    assert done.returncode == 0, done.stderr
    assert "3 rows answered" in done.stderr
    table = pq.read_table(out).sort_by("nhs_number")
    assert table.column_names == ["nhs_number", "home_postcode", "name", "age", *CORE]
    rows = [tuple(row.values()) for row in table.to_pylist()]
    assert rows == [
        ("0000000001", "NG1 1AA", 'O"Neill, A', "007", "live", "England", 3, 2, "IoD2025", False, None),
        ("0000000002", "zz993vz", "B", None, "no_fixed_abode", None, None, None, "IoD2025", None, "no_fixed_abode"),
        ("0000000003", None, "C", "1.50", "malformed", None, None, None, "IoD2025", None, "malformed"),
    ]


def test_the_command_reads_parquet_and_replaces_only_when_it_is_told(starter: Path, tmp_path: Path) -> None:
    import pyarrow as pa

    pq.write_table(pa.table({"Postcode": ["NG1 1AA", None], "n": [1, 2]}), tmp_path / "in.parquet")
    out = tmp_path / "out"
    command = (BIN / "imdlens-spark", tmp_path / "in.parquet", out, "--domains", "--prefix", "home_")
    out.mkdir()
    (out / "kept").write_text("kept")
    refused = run(*command, IMDLENS_DATA_DIR=str(starter))
    assert refused.returncode == 1
    assert refused.stderr.endswith("imdlens-spark: OUT exists already: name another, or say --overwrite.\n")
    assert (out / "kept").exists()
    done = run(*command, "--overwrite", IMDLENS_DATA_DIR=str(starter))
    assert done.returncode == 0, done.stderr
    (first, second) = pq.read_table(out).sort_by("n").to_pylist()
    assert (first["home_imd_decile"], first["home_imd_health_decile"]) == (3, 1)
    assert (second["home_postcode_status"], second["home_core20"]) == ("malformed", None)


def test_a_row_of_another_length_stops_it_and_no_value_is_told(starter: Path, tmp_path: Path) -> None:
    ragged = tmp_path / "ragged.csv"
    ragged.write_text("id,address,postcode\n1,High Street,NG1 1AA\n2,Flat 3, Secret Road,NG1 1AB\n", "utf-8")
    stopped = run(BIN / "imdlens-spark", ragged, tmp_path / "out", "--format", "csv", "--index", starter)
    assert stopped.returncode == 1
    assert stopped.stderr.endswith("A row of the CSV has more or fewer fields than its heading.\n")
    assert "Secret" not in stopped.stderr + stopped.stdout
    assert not list((tmp_path / "out").glob("*.parquet"))


def test_what_cannot_be_is_said_in_one_sentence_before_spark_starts(tmp_path: Path) -> None:
    same = run(BIN / "imdlens-spark", tmp_path / "a", f"file:{tmp_path}/a")
    assert (same.returncode, same.stderr) == (1, "imdlens-spark: IN and OUT are the same folder.\n")
    pair = run(BIN / "imdlens-spark", tmp_path / "a", tmp_path / "b", "--option", "sep")
    assert (pair.returncode, pair.stderr) == (1, "imdlens-spark: --option is written KEY=VALUE.\n")
