"""The guides to whole files say what the commands do."""

import csv
import gzip
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import xlsxwriter

from app.batch.columns import AREA_COLUMNS, CORE, DOMAIN_COLUMNS
from tests.integration.running import imdlens, pasted
from tests.starter_data import postcodes

DOCS = Path(__file__).parents[2] / "docs"
ROWS = [["007", "NG1 1AA", "340"], ["008", "ZZ99 3VZ", "110"], ["009", "", "340"]]
DECILES = ["3", "", ""]


def commands(page: str) -> list[str]:
    """The first block of commands on a page, line by line."""
    found = re.search(r"```sh\n(.*?)```", (DOCS / page).read_text("utf-8"), re.DOTALL)
    assert found
    return found[1].splitlines()


def text_of(heading: list[str], rows: list[list[str]]) -> str:
    return "".join(",".join(row) + "\n" for row in [heading, *rows])


@pytest.fixture
def folder(starter: Path, tmp_path: Path) -> Path:
    """A folder with the files that the guide names."""
    heading = ["id", "postcode", "treatment_function_code"]
    (tmp_path / "patients.csv").write_text(text_of(heading, ROWS), "utf-8")
    (tmp_path / "extract.csv.gz").write_bytes(gzip.compress(text_of(["id", "Usual address", "tfc"], ROWS).encode()))
    made = imdlens(
        "enrich", "patients.csv", "made.parquet", "--prefix=old_", cwd=tmp_path, IMDLENS_DATA_DIR=str(starter)
    )
    assert made.returncode == 0, made.stderr
    pq.write_table(pq.read_table(tmp_path / "made.parquet").select(heading), tmp_path / "mpi.parquet")
    with xlsxwriter.Workbook(tmp_path / "clinic.xlsx") as book:
        book.add_worksheet("Week 46").write_row(0, 0, ["postcode"])
        sheet = book.add_worksheet("Week 47")
        for place, row in enumerate([heading, *ROWS]):
            sheet.write_row(place, 0, row)
    return tmp_path


def of_text(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(content.decode().splitlines()))


def of_parquet(path: Path) -> list[dict[str, str]]:
    rows = pq.read_table(path).to_pylist()
    return [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows]


def test_each_command_of_the_guide_to_files_answers_every_row(folder: Path, starter: Path) -> None:
    ran = pasted("\n".join(commands("files.md")[:-1]), cwd=folder, IMDLENS_DATA_DIR=str(starter))
    assert ran.returncode == 0, ran.stderr
    streamed = folder / "patients-imd.csv"
    first = streamed.read_bytes()
    ran = pasted(commands("files.md")[-1], cwd=folder, IMDLENS_DATA_DIR=str(starter))
    assert (ran.returncode, streamed.read_bytes()) == (0, first)
    as_text = imdlens(
        "enrich", "clinic-imd.xlsx", "clinic.csv", "--prefix=again_", cwd=folder, IMDLENS_DATA_DIR=str(starter)
    )
    assert as_text.returncode == 0, as_text.stderr
    for rows, added in (
        (of_text(first), CORE),
        (of_text(gzip.decompress((folder / "answers.csv.gz").read_bytes())), (*CORE, *DOMAIN_COLUMNS, *AREA_COLUMNS)),
        (of_parquet(folder / "mpi-imd.parquet"), CORE),
        (of_text((folder / "clinic.csv").read_bytes()), (*CORE, *(f"again_{name}" for name in CORE))),
    ):
        assert [row["imd_decile"] for row in rows] == DECILES
        assert [list(row.values())[:3] for row in rows] == ROWS
        assert tuple(rows[0])[3:] == tuple(added)


def test_the_guide_to_files_names_every_column_that_is_added() -> None:
    lines = [line for line in (DOCS / "files.md").read_text("utf-8").splitlines() if line.startswith("|")]
    named = set(re.findall(r"`(\w+)`", "\n".join(lines)))
    assert {*CORE, *AREA_COLUMNS} <= named
    assert named & set(DOMAIN_COLUMNS)


def test_each_command_of_the_guide_to_the_change_of_edition_makes_its_report(folder: Path, starter: Path) -> None:
    heading = ["id", "postcode", "treatment_function_code"]
    rows = [[str(place), postcode, "340"] for place, postcode in enumerate(postcodes())]
    (folder / "patients.csv").write_text(text_of(heading, rows), "utf-8")
    ran = pasted("\n".join(commands("transition.md")), cwd=folder, IMDLENS_DATA_DIR=str(starter))
    assert ran.returncode == 0, ran.stderr
    assert "<table" in (folder / "transition.html").read_text("utf-8")
    with (folder / "transition.csv").open(encoding="utf-8-sig", newline="") as report:
        tables = {row["table"] for row in csv.DictReader(report)}
    shown = re.findall(r"^\| `(\w+)` \|", (DOCS / "transition.md").read_text("utf-8"), re.MULTILINE)
    assert tables == set(shown) - {"specialty_core20"}  # no column of specialties was named for it
    assert "not to be shared" in ran.stdout
