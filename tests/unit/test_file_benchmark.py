"""What the file benchmark measures on: invented patients, and peers whose answers are compared."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from app.batch.columns import Enricher, Wanted, text_column
from app.enrichment import Rules
from app.lookup.index import Index
from benchmarks import all as everything
from benchmarks import file_peers, files, patients, report
from tests.starter_data import postcodes

ROWS = 3_000
NEEDS = {"duckdb": "duckdb", "duckdb-ordered": "duckdb", "polars": "polars", "polars-ordered": "polars"}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("patients") / "patients.csv"
    patients.write(path, ROWS, pa.array(postcodes()))
    return path


def read(path: Path) -> pa.Table:
    texts = pa_csv.ConvertOptions(column_types=dict.fromkeys(patients.COLUMNS, pa.string()))
    return pa_csv.read_csv(path, convert_options=texts)


def test_no_number_of_a_patient_passes_the_check_of_nhs_numbers_and_none_comes_twice(file: Path) -> None:
    numbers = read(file)["patient_number"].to_pylist()
    digits = np.array([[int(digit) for digit in number] for number in numbers])
    right = (11 - digits[:, :9] @ np.arange(10, 1, -1) % 11) % 11
    assert digits.shape == (ROWS, 10)
    assert not (right == digits[:, 9]).any()
    assert len(set(numbers)) == ROWS


def test_a_shorter_file_of_patients_is_the_beginning_of_a_longer_one(file: Path, tmp_path: Path) -> None:
    patients.write(tmp_path / "short.csv", 100, pa.array(postcodes()))
    assert file.read_bytes().startswith((tmp_path / "short.csv").read_bytes())


def test_csv_and_parquet_hold_the_same_patients(file: Path, tmp_path: Path) -> None:
    patients.write(tmp_path / "patients.parquet", ROWS, pa.array(postcodes()))
    assert pq.read_table(tmp_path / "patients.parquet").equals(read(file))
    assert b'"Diabetes, ""one stop"""' in file.read_bytes()


def answered(file: Path, target: Path, enricher: Enricher) -> pa.Table:
    """The file with our answers, written where it is told."""
    table = read(file)
    answers = enricher.columns(enricher.read(text_column(table["postcode"])), Wanted())
    for name in answers.schema.names:
        table = table.append_column(name, answers[name])
    pa_csv.write_csv(table, target)
    return table


@pytest.mark.parametrize("engine", ["pandas", *NEEDS])
def test_a_peer_answers_as_we_do_wherever_it_finds_the_postcode(
    engine: str, file: Path, tmp_path: Path, index: Index, rules: Rules
) -> None:
    if engine in NEEDS:
        pytest.importorskip(NEEDS[engine])
    enricher, ours, theirs = Enricher(index, rules), tmp_path / "ours.csv", tmp_path / "theirs.csv"
    files.make_directory(pa.array(postcodes()), enricher, tmp_path / "directory.parquet")
    answered(file, ours, enricher)
    file_peers.ENGINES[engine](file, theirs, tmp_path / "directory.parquet")
    compared = files.compare(ours, theirs)
    assert compared.rows == ROWS
    assert 0.9 * ROWS < compared.matched < ROWS
    assert compared.different == 0
    assert compared.in_order or not engine.endswith("ordered")


def test_one_wrong_decile_is_seen_whatever_the_order_of_the_rows(
    file: Path, tmp_path: Path, index: Index, rules: Rules
) -> None:
    table = answered(file, tmp_path / "ours.csv", Enricher(index, rules))
    deciles = table["imd_decile"].to_pylist()
    row = next(i for i, decile in enumerate(deciles) if decile)
    deciles[row] = deciles[row] % 10 + 1
    wrong = table.set_column(table.schema.get_field_index("imd_decile"), "imd_decile", pa.array(deciles))
    pa_csv.write_csv(wrong.take(list(reversed(range(ROWS)))), tmp_path / "theirs.csv")
    compared = files.compare(tmp_path / "ours.csv", tmp_path / "theirs.csv")
    assert (compared.different, compared.in_order) == (1, False)


def test_files_of_other_patients_are_not_compared(file: Path, tmp_path: Path, index: Index, rules: Rules) -> None:
    table = answered(file, tmp_path / "ours.csv", Enricher(index, rules))
    pa_csv.write_csv(table.slice(1), tmp_path / "theirs.csv")
    with pytest.raises(files.EngineError):
        files.compare(tmp_path / "ours.csv", tmp_path / "theirs.csv")


def test_a_benchmark_that_fails_is_said_and_one_without_its_python_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    failed = everything.run(everything.Part("x", "X", "benchmarks.that_there_is_not"), ())
    skipped = everything.run(everything.Part("y", "Y", "y", python=tmp_path / "none", without="skipped: no Y"), ())
    table = everything.section([failed, skipped])
    assert failed.why_not.startswith("failed: ")
    assert "| X |  | failed: " in table
    assert "| Y |  | skipped: no Y |  |" in table


def test_figures_are_kept_in_the_marked_section_and_nowhere_else() -> None:
    results = f"before\n{everything.BEGIN}\nold\n{everything.END}\nafter\n"
    once = everything.recorded(results, "new")
    assert once == f"before\n{everything.BEGIN}\n\nnew\n\n{everything.END}\nafter\n"
    assert everything.recorded(once, "new") == once
    with pytest.raises(ValueError, match="no marked section"):
        everything.recorded("nothing is marked", "new")
    assert everything.BEGIN in everything.RESULTS.read_text("utf-8")


def test_figures_read_back_as_they_were_written(tmp_path: Path) -> None:
    figures = [report.Figure("one lookup", "1 µs", "dict 2", "≤ 2 µs"), report.Figure("another", "3")]
    report.write(tmp_path / "figures.json", "a machine", figures)
    assert report.read(tmp_path / "figures.json") == ("a machine", figures)
