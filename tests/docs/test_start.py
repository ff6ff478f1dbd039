"""What the pages for the first five minutes say is what happens, command by command."""

import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import insert

from app import counting
from app.counts import schema
from app.database import writing
from app.settings import Settings
from tests.integration.running import free_port, serving
from tests.sealed_store import YEAR, sealed
from tests.service import key_in
from tests.starter_data import copy_without_counts

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "start").glob("*.md"))
DEMO, PERIOD = "imdlens-demo", "2024-25-Q1"


def blocks(page: str) -> list[tuple[str, str]]:
    """The blocks of a page: commands, and what they show."""
    text = (ROOT / "docs" / "start" / f"{page}.md").read_text("utf-8")
    found = re.findall(r"^```(\w+)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert {kind for kind, _ in found} <= {"sh", "text"}
    return found


def commands(page: str) -> str:
    """What is pasted after `make run` or `make demo`, which the tests of those do."""
    scripts = [text for kind, text in blocks(page) if kind == "sh"]
    assert scripts[0] in ("make run\n", "make demo\n")
    return "".join(scripts[1:])


def shown(page: str) -> list[str]:
    return [line for kind, text in blocks(page) if kind == "text" for line in text.splitlines()]


def ran(script: str, cwd: Path) -> str:
    """What a shell says that the lines are pasted into; whatever it started ends with it."""
    command = cwd / ".venv" / "bin" / "imdlens"
    command.parent.mkdir(parents=True, exist_ok=True)
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m app.cli "$@"\n', "utf-8")
    command.chmod(0o755)
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(["sh", "-ec", script], cwd=cwd, text=True, start_new_session=True, **pipes) as shell:
        try:
            told, complained = shell.communicate(timeout=60)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
    assert shell.returncode == 0, complained
    return told


def clear(folder: Path) -> None:
    """Take away what another test's commands left: nothing is written over."""
    for made in ("answered.csv", "tables"):
        shutil.rmtree(folder / made, ignore_errors=True)
        (folder / made).unlink(missing_ok=True)


@pytest.fixture(scope="module")
def demonstration(starter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what `make demo` leaves in it, of fewer months."""
    folder = tmp_path_factory.mktemp("start")
    copy_without_counts(starter, folder / DEMO)
    (folder / DEMO / "local").mkdir()
    engine = counting.open_store(Settings(data_dir=folder / DEMO))
    with writing(engine) as connection:
        connection.execute(insert(schema.store_fact), {"name": "synthetic", "value": "invented by a test"})
    sealed(engine, YEAR[:3], 450)
    engine.dispose()
    return folder


def test_the_start_of_an_integration_engineer_shows_what_it_says(tmp_path: Path) -> None:
    key = key_in(tmp_path)
    with serving(tmp_path) as (url, _):
        script = commands("integration").replace("http://127.0.0.1:8080", url).replace("imdl_…", key)
        told = ran(script, tmp_path).splitlines()
    assert told[: len(shown("integration"))] == shown("integration")
    assert re.fullmatch(r'\{"url":"card/[^"]+","expires_at":"[^"]+","warnings":\[\]\}', told[-1])


def test_the_start_of_an_analyst_answers_a_file_and_reads_published_tables(demonstration: Path) -> None:
    clear(demonstration)
    key = key_in(demonstration, "breakdowns", IMDLENS_DATA_DIR=DEMO)
    with serving(demonstration, IMDLENS_DATA_DIR=DEMO) as (url, _):
        script = commands("information").replace("http://127.0.0.1:8080", url).replace("imdl_…", key)
        told = ran(script, demonstration).splitlines()
    assert told[: len(shown("information"))] == shown("information")
    assert sum('"sentence":' in line for line in told) >= 1
    assert any(line.startswith("\ufeffperiod,organisation,specialty") for line in told)
    assert "specialty_dna_core20.parquet" in told


def test_the_start_of_a_clinician_leaves_a_brief_and_a_paper(demonstration: Path) -> None:
    script = commands("clinician")
    assert script.count("PERIOD=") == 1
    ran(re.sub(r"PERIOD=\S+", f"PERIOD={PERIOD}", script), demonstration)
    assert (demonstration / "respiratory.pdf").read_bytes().startswith(b"%PDF")
    assert (demonstration / "board.docx").stat().st_size > 10_000


def test_the_commands_of_the_readme_for_files_tables_and_a_paper_do_what_it_says(demonstration: Path) -> None:
    key = key_in(demonstration, "breakdowns", IMDLENS_DATA_DIR=DEMO)
    scripts = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    for begin in ("export PATH", "imdlens enrich", "curl -s"):  # the second and third rest on the first's variables
        assert sum(script.startswith(begin) for script in scripts) == 1, begin
    script = f"KEY={key}\n" + "".join(
        next(script for script in scripts if script.startswith(begin))
        for begin in ("export PATH", "imdlens enrich", "curl -s")
    )
    (demonstration / "patients.csv").write_text("id,postcode\n007,NG1 1AA\n", "utf-8")
    clear(demonstration)
    with serving(demonstration, IMDLENS_DATA_DIR=DEMO) as (url, _):
        told = ran(script.replace("http://127.0.0.1:8080", url).replace("2026-Q2", "2024-Q1"), demonstration)
    assert told.count("\ufeffperiod,organisation,specialty") == 2
    assert "ZZ99 3VZ" in told
    assert "007,NG1 1AA,live,England,3" in (demonstration / "answered.csv").read_text("utf-8")
    assert (demonstration / "board.pdf").read_bytes().startswith(b"%PDF")


def test_the_start_of_an_operator_serves_measures_and_revokes(starter: Path, tmp_path: Path) -> None:
    copy_without_counts(starter, tmp_path / "imdlens-data")
    port = free_port()
    script = commands("operator").replace("8080", str(port)).replace("imdlens serve", f"imdlens serve --port {port}")
    told = ran(script, tmp_path)
    assert '"status":"pass"' in told
    assert '"imd_decile":3' in told
    assert re.search(r"^imdlens_workers [12]\.0$", told, re.MULTILINE)
    assert "\n".join(shown("operator")) in told.splitlines()
    audit = (tmp_path / "audit.jsonl").read_text("utf-8")
    assert '"client":"epr"' in audit
    written = (tmp_path / "service.jsonl").read_text("utf-8").splitlines()
    assert "NG1" not in audit + "".join(line for line in written if line.startswith("{"))


def test_each_of_the_four_readers_has_a_start_that_is_short_and_linked() -> None:
    assert [page.stem for page in PAGES] == ["clinician", "information", "integration", "operator"]
    for page in PAGES:
        assert len(page.read_text("utf-8").splitlines()) < 90, page.name
        for index in (ROOT / "README.md", ROOT / "docs" / "README.md"):
            assert f"start/{page.name}" in index.read_text("utf-8"), (index, page.name)


def test_make_has_what_the_starts_begin_with() -> None:
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert all(f"make {target} " in listed for target in ("run", "demo", "docs", "reference"))
