"""What the README says is what happens."""

import json
import re
import shlex
import subprocess
from pathlib import Path

from tests.integration.running import imdlens, serving
from tests.service import key_in

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_curl_of_the_readme_gives_the_answer_of_the_readme(tmp_path: Path) -> None:
    command = next(b for b in blocks("sh") if b.startswith("KEY="))
    key = key_in(tmp_path)
    with serving(tmp_path) as (url, _):
        pasted = command.replace("http://127.0.0.1:8080", url).replace("imdl_…", key)
        answer = json.loads(subprocess.run(["sh", "-c", pasted], capture_output=True, text=True, check=True).stdout)
    shown = json.loads(blocks("json")[0])
    shown.pop("…")
    assert answer.items() >= shown.items()


def test_every_make_target_and_command_that_the_readme_names_exists(tmp_path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"\bmake ([a-z]+)", "\n".join(blocks("sh"))):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    guide = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "counts.md").read_text("utf-8"), re.DOTALL)
    for line in "\n".join([*blocks("sh"), *guide]).splitlines():
        if run := re.search(r"(?:^|\s)imdlens (.*)", line):
            words = [w for w in shlex.split(run[1], comments=True) if re.fullmatch("[a-z]+", w)]
            command = words[:2] if words[0] in ("data", "counts", "db", "keys") else words[:1]
            shown = imdlens(*command, "--help", cwd=tmp_path)
            assert shown.returncode == 0, command
            for option in re.findall(r"--[a-z]+", line):
                assert option in shown.stdout, (command, option)


def test_the_table_of_statuses_is_what_the_service_answers(tmp_path: Path, index, rules) -> None:  # type: ignore[no-untyped-def]
    from typing import get_args

    from app.enrichment import Question, enrich
    from app.lookup.deprivation import Status

    table = [line.split("|")[1:3] for line in README.splitlines() if line.startswith("|") and "`" in line]
    for given, said in table:
        statuses = re.findall(r"`(\w+)`", said)
        for text in re.findall(r"`((?:ZZ99|NF1|ZZZ)[^`n…]*)`", given):
            assert enrich(Question(text), index, rules).reading.postcode_status in statuses, text
    named = set(re.findall(r"`(\w+)`", " ".join(said for _, said in table)))
    assert set(get_args(Status)) <= named


def test_every_link_in_the_documentation_leads_to_a_file() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), ROOT / "benchmarks" / "RESULTS.md"]:
        for link in re.findall(r"\]\(([^)#]+)", page.read_text("utf-8")):
            if not link.startswith("http"):
                assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_first_line_of_make_lists_what_there_is() -> None:
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("run", "test", "check", "bench"):
        assert f"make {target}" in listed


def test_the_guide_to_counts_names_every_table_and_what_became_of_a_contact() -> None:
    from typing import get_args

    from app.counts.intake import CountedReason
    from app.counts.tables import TABLES

    guide = (ROOT / "docs" / "counts.md").read_text("utf-8")
    named = set(re.findall(r"`(\w+)`", guide))
    assert set(get_args(CountedReason)) <= named
    shortened = {name: name.replace("organisation_", "_") for name in TABLES}
    assert all(name in named or short in named for name, short in shortened.items())


def test_the_decisions_are_listed_as_they_are_titled() -> None:
    listed = (ROOT / "docs" / "adr" / "README.md").read_text("utf-8")
    pages = sorted((ROOT / "docs" / "adr").glob("0*.md"))
    for page in pages:
        number, title = page.read_text("utf-8").splitlines()[0].removeprefix("# ").split(" ", 1)
        assert f"| [{number}]({page.name}) | {title} |" in listed
    assert len(pages) == listed.count("| [0")
