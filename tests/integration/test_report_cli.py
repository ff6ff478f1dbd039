"""The command `imdlens report`, run as an operator would, on a store that was sealed by the real code."""

import io
import shutil
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import docx
import pypdf
import pytest
import typer
from python_calamine import CalamineWorkbook
from sqlalchemy import delete, insert, text
from typer.testing import CliRunner

from app import cli_files, cli_report, counting
from app.counts import schema
from app.database import writing
from app.settings import Settings
from tests.integration.running import imdlens
from tests.sealed_store import YEAR, sealed
from tests.starter_data import copy_without_counts

FORMATS = ("html", "pdf", "docx", "xlsx")
PERIOD = "2024-Q4"
CELLS = (schema.flow, schema.one_way, schema.organisation_total, schema.age_sex, schema.completeness)
HOSTILE = "<script>alert(1)</script> #text(red)[x] *y*"
HEAD = "# version: 2026-11-22\n# status: sourced\n# source: invented\n# sign_off: the organisation\n"


def folder_of(place: Path, starter: Path, *, synthetic: bool) -> Path:
    """A data folder with a sealed year, marked as invented or not."""
    data = place / "data"
    copy_without_counts(starter, data)
    engine = counting.open_store(Settings(data_dir=data))
    if synthetic:
        with writing(engine) as connection:
            connection.execute(insert(schema.store_fact), {"name": "synthetic", "value": "invented by a test"})
    sealed(engine, YEAR, 450)
    engine.dispose()
    local = place / "local"
    local.mkdir()
    (local / "targets.csv").write_text(
        f"{HEAD}measure,unit,baseline_value,baseline_period,target_value,target_date,owner\n"
        f'missed,340,6,2024-25-Q1,3,2027-03-31,"=1+1 {HOSTILE}"\n',
        "utf-8",
    )
    (local / "good_practice.csv").write_text(
        f"{HEAD}specialty,title,what,who_to_ask,outcome,date,organisation\n"
        f'340,"+{HOSTILE}",Clinics after work,Matron,More came,2025-01-01,RX1\n',
        "utf-8",
    )
    return place


@pytest.fixture(scope="module")
def place(starter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with invented counts of a year."""
    return folder_of(tmp_path_factory.mktemp("report"), starter, synthetic=True)


@pytest.fixture(scope="module")
def real(starter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, not marked as invented."""
    return folder_of(tmp_path_factory.mktemp("real"), starter, synthetic=False)


def run(place: Path, *arguments: str) -> str:
    """What the command says, when it ends well."""
    made = imdlens("report", *arguments, cwd=place, IMDLENS_DATA_DIR="data", IMDLENS_LOCAL_DIR="local")
    assert made.returncode == 0, made.stderr
    return made.stderr


def refused(place: Path, *arguments: str) -> str:
    """Why the command refuses. It is called here, because to start a process for each takes seconds."""
    command = typer.Typer()
    command.command()(cli_report.report)
    with chdir(place):
        ended = CliRunner(env={"IMDLENS_DATA_DIR": "data", "IMDLENS_LOCAL_DIR": "local"}).invoke(command, arguments)
    assert isinstance(ended.exception, (*cli_report.FORESEEN, *cli_files.FORESEEN)), ended.output
    return str(ended.exception)


@pytest.fixture(scope="module")
def files(place: Path) -> dict[str, bytes]:
    """The board paper in all four formats, from one run."""
    outs = [part for name in FORMATS for part in ("--out", f"board.{name}")]
    told = run(place, "--period", PERIOD, *outs)
    assert told.count("the quarter January to March 2025") == 4
    return {name: (place / f"board.{name}").read_bytes() for name in FORMATS}


def texts(files: dict[str, bytes]) -> Iterator[tuple[str, str]]:
    """The text of each format."""
    yield "html", files["html"].decode()
    yield "pdf", "".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(files["pdf"])).pages)
    word = docx.Document(io.BytesIO(files["docx"]))
    cells = [cell.text for table in word.tables for row in table.rows for cell in row.cells]
    yield "docx", "\n".join([*(p.text for p in word.paragraphs), *cells])
    book = CalamineWorkbook.from_filelike(io.BytesIO(files["xlsx"]))
    rows = [row for name in book.sheet_names for row in book.get_sheet_by_name(name).to_python()]
    yield "xlsx", "\n".join(str(cell) for row in rows for cell in row)


def test_each_format_opens_and_says_that_all_is_invented(files: dict[str, bytes]) -> None:
    for name, told in texts(files):
        assert "SYNTHETIC" in told, name
        assert "What must not be concluded" in told, name
        assert "Respiratory Medicine Service" in told, name


def test_what_is_hidden_in_the_tables_is_hidden_in_every_format(files: dict[str, bytes]) -> None:
    word = docx.Document(io.BytesIO(files["docx"]))
    marks = [cell.text for table in word.tables for row in table.rows[1:] for cell in row.cells if cell.text == "*"]
    book = CalamineWorkbook.from_filelike(io.BytesIO(files["xlsx"]))
    sheets = [row for name in book.sheet_names[1:] for row in book.get_sheet_by_name(name).to_python()]
    assert marks
    assert len([cell for row in sheets for cell in row if cell == "*"]) == len(marks)
    assert files["html"].decode().count('<span aria-hidden="true">*</span>') == len(marks)
    pdf = dict(texts(files))["pdf"]
    assert pdf.count("*") >= len(marks)


def test_names_of_owners_and_initiatives_stay_names(files: dict[str, bytes]) -> None:
    for name, told in texts(files):
        if name == "html":
            assert "<script" not in told
            assert "=1+1 &lt;script&gt;alert(1)&lt;/script&gt; #text(red)[x] *y*" in told
        else:
            squeezed = "".join(told.split())
            assert "".join(f"=1+1 {HOSTILE}".split()) in squeezed, name
            assert "".join(f"+{HOSTILE}".split()) in squeezed, name


def test_the_same_tables_without_any_cell_make_the_same_files(place: Path, files: dict[str, bytes]) -> None:
    copied = place.parent / "without"
    shutil.copytree(place, copied)
    engine = counting.open_store(Settings(data_dir=copied / "data"))
    with writing(engine) as connection:
        # What is sealed cannot be changed, but by whoever may change the schema.
        for name in connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
            connection.execute(text(f'DROP TRIGGER "{name}"'))
        assert sum(connection.execute(delete(table)).rowcount for table in CELLS) > 0
    engine.dispose()
    run(copied, "--period", PERIOD, "--force", *(part for name in FORMATS for part in ("--out", f"board.{name}")))
    assert {name: (copied / f"board.{name}").read_bytes() for name in FORMATS} == files


def test_a_file_that_is_there_is_replaced_only_when_that_is_asked_for(place: Path) -> None:
    (place / "kept.pdf").write_bytes(b"kept")
    assert "is there already" in refused(place, "--period", PERIOD, "--out", "kept.pdf")
    assert (place / "kept.pdf").read_bytes() == b"kept"
    run(place, "--period", PERIOD, "--out", "kept.pdf", "--force")
    assert (place / "kept.pdf").read_bytes().startswith(b"%PDF")
    assert not list(place.glob(".*.part"))


def test_a_refusal_is_one_sentence_and_not_a_traceback(place: Path) -> None:
    made = imdlens("report", "--period", "soon", "--out", "x.pdf", cwd=place, IMDLENS_DATA_DIR="data")
    assert made.returncode == 1
    assert "--period is a month" in made.stderr
    assert "Traceback" not in made.stderr


def test_where_one_file_may_not_be_written_none_is(place: Path) -> None:
    (place / "there.docx").write_bytes(b"kept")
    (place / "link.pdf").symlink_to(place / "there.docx")
    for other, why in (("there.docx", "there already"), ("link.pdf", "is a link"), ("none/x.pdf", "no folder")):
        assert why in refused(place, "--period", PERIOD, "--out", "first.html", "--out", other)
        assert not (place / "first.html").exists()
    assert "is a link" in refused(place, "--period", PERIOD, "--out", "link.pdf", "--force")
    assert (place / "there.docx").read_bytes() == b"kept"


def test_a_file_that_is_no_report_is_refused_before_anything_is_made(place: Path) -> None:
    assert "a report is .html, .pdf, .docx, .xlsx" in refused(
        place, "--period", PERIOD, "--out", "a.html", "--out", "b.txt"
    )
    assert not (place / "a.html").exists()
    assert "named twice" in refused(place, "--period", PERIOD, "--out", "a.html", "--out", "./a.html")
    assert "no folder" in refused(place, "--period", PERIOD, "--out", "nowhere/a.html")


def test_a_period_or_specialty_that_is_not_there_is_refused_with_what_is(place: Path) -> None:
    assert "quarters 2024-25-Q1 to 2024-25-Q4" in refused(place, "--period", "2019-Q1", "--out", "x.pdf")
    assert "2026-27-Q3" in refused(place, "--period", "soon", "--out", "x.pdf")
    assert "110, 340, all_other" in refused(place, "--period", PERIOD, "--specialty", "999", "--out", "x.pdf")


def test_a_brief_of_a_specialty_is_one_page(place: Path) -> None:
    run(place, "--period", "2024-25", "--specialty", "340", "--pack", "brief", "--out", "brief.pdf")
    reader = pypdf.PdfReader(place / "brief.pdf")
    assert len(reader.pages) == 1
    assert "Respiratory Medicine" in reader.pages[0].extract_text()


def test_an_audit_day_is_made_of_invented_counts_and_of_no_others(place: Path, real: Path) -> None:
    run(place, "--period", PERIOD, "--pack", "audit-day", "--out", "day.docx")
    told = "\n".join(p.text for p in docx.Document(str(place / "day.docx")).paragraphs)
    assert "Answers to sheet 1" in told
    assert "imdlens demo" in refused(real, "--period", PERIOD, "--pack", "audit-day", "--out", "day.docx")
    assert not (real / "day.docx").exists()


def test_a_report_of_real_counts_bears_no_mark_of_invention(real: Path) -> None:
    run(real, "--period", PERIOD, "--out", "board.html")
    assert "SYNTHETIC" not in (real / "board.html").read_text("utf-8")


def test_neither_the_service_nor_another_command_loads_what_writes_reports() -> None:
    import subprocess
    import sys

    program = (
        "import sys, app.main, app.cli;"
        " print([m for m in ('typst', 'docx', 'xlsxwriter', 'vl_convert') if m in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"
