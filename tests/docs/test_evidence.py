"""What the documents for safety, governance and security claim can be looked up: they name what exists."""

import ast
import csv
import posixpath
import re
from functools import cache
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import get_args

import pytest

from app import logs, request_log
from app.access import schema as access_schema
from app.access import tokens
from app.contract.platform import Ready
from app.counts import schema as counts_schema
from app.database import metadata
from app.doors import DOORS
from app.metrics import TABLE
from app.settings import Settings
from handbook import commands as installed
from tests.unit.context.test_words import grade

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
OWN = (  # who must own each document that is a draft
    ("clinical-safety/intended-purpose.md", "Clinical Safety Officer"),
    ("clinical-safety/plan.md", "Clinical Safety Officer"),
    ("clinical-safety/hazard-log.md", "Clinical Safety Officer"),
    ("clinical-safety/case-report.md", "Clinical Safety Officer"),
    ("security/threat-model.md", "security lead"),
    ("security/asvs.md", "security lead"),
    ("dpia.md", "Data Protection Officer"),
    ("disclosure-control.md", "information-governance lead"),
    ("dtac.md", "deploying organisation"),
    ("accessibility.md", "deploying organisation"),
    ("patient-notice.md", "organisation"),
)
TEST = re.compile(r"`(tests(?:_spark)?/[\w/]+\.py)(?:::(\w+))?`")
HAZARD = re.compile(r"^## (H\d\d) ", re.MULTILINE)
THREAT = re.compile(r"T\d\d")


def text_of(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def rows(text: str) -> list[list[str]]:
    """The rows of all tables of a text, without headings and rules."""
    found = []
    for line, after in pairwise([*text.splitlines(), ""]):
        if line.startswith("|") and not line.startswith("|---") and not after.startswith("|---"):
            found.append([cell.strip() for cell in line.strip().strip("|").split("|")])
    return found


@cache
def names_of_tests(path: str) -> frozenset[str]:
    """The names of the tests of a module, without importing it; none where there is no such module."""
    file = ROOT / path
    if not file.is_file():
        return frozenset()
    nodes = ast.walk(ast.parse(file.read_text("utf-8")))
    functions = (node for node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))
    return frozenset(node.name for node in functions if node.name.startswith("test_"))


def proofs(text: str) -> list[str]:
    """The tests that a text names, `path::name`."""
    return [f"{path}::{name}" for path, name in TEST.findall(text) if name]


def exists(proof: str) -> bool:
    path, _, name = proof.partition("::")
    return name in names_of_tests(path)


def hazards() -> dict[str, str]:
    parts = HAZARD.split(text_of("clinical-safety/hazard-log.md"))[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def requirements() -> list[list[str]]:
    return [row for row in rows(text_of("security/asvs.md")) if re.match(r"\d+\.\d+\.\d+", row[0])]


def threats() -> list[list[str]]:
    return [row for row in rows(text_of("security/threat-model.md")) if THREAT.fullmatch(row[0])]


# ------------------------------------------------------------------------------------- tests that are named


def test_every_test_that_a_document_names_exists() -> None:
    pages = [ROOT / "README.md", *DOCS.rglob("*.md")]
    named = {(page.name, path, name) for page in pages for path, name in TEST.findall(page.read_text("utf-8"))}
    missing = [one for one in named if not (exists(f"{one[1]}::{one[2]}") if one[2] else (ROOT / one[1]).is_file())]
    assert not missing
    assert len(named) > 200


def test_a_name_that_is_no_test_is_noticed() -> None:
    assert exists("tests/docs/test_evidence.py::test_a_name_that_is_no_test_is_noticed")
    assert not exists("tests/docs/test_evidence.py::test_nobody_wrote_this")
    assert not exists("tests/docs/test_nowhere.py::test_a_name_that_is_no_test_is_noticed")
    assert not exists("tests/docs/test_evidence.py::rows")


# ----------------------------------------------------------------------------------------------- hazards


def test_hazards_are_numbered_one_after_the_other_and_those_that_must_be_there_are() -> None:
    found = hazards()
    assert list(found) == [f"H{number:02d}" for number in range(1, len(found) + 1)]
    titles = " ".join(part.splitlines()[0].lower() for part in found.values())
    for word in (
        "stale",
        "reused postcode",
        "hospital",
        "nation",
        "not deprived",
        "bedside",
        "stigma",
        "blocks the record",
        "counted twice",
        "small count",
        "ethnicity code",
        "mass calls",
        "person's own deprivation",
        "starter data",
        "invented data",
        "gap is read as its cause",
        "trend",
        "hidden is taken for zero",
        "stale card",
        "wrong clock",
        "time-out",
        "with 20%",
        "a sender stops",
    ):
        assert word in titles, word


@pytest.mark.parametrize("number", hazards())
def test_each_hazard_is_told_rated_and_controlled_by_what_is_proved_or_said_to_be_unproved(number: str) -> None:
    text = hazards()[number]
    for part in ("**Cause.**", "**Effect.**", "**What is left.**", "**Owner** "):
        assert part in text, part
    ratings = re.findall(r"\*\*(Before|After)\*\* (\d) × (\d) = (\d+)", text)
    assert [when for when, *_ in ratings] == ["Before", "After"]
    (before, after) = [[int(n) for n in numbers] for _, *numbers in ratings]
    for severity, likelihood, risk in (before, after):
        assert 1 <= severity <= 5
        assert 1 <= likelihood <= 5
        assert severity * likelihood == risk
    assert after[2] <= before[2]
    controls = rows(text)
    assert controls
    for control, proof in controls:
        assert control
        assert proofs(proof) or proof == "deployer" or proof.startswith("unproved: "), control
    assert any(exists(one) for _, proof in controls for one in proofs(proof)) or "unproved: " in text


def test_the_case_names_every_residual_risk_of_five_and_more_and_no_other() -> None:
    left = {n: int(re.findall(r"\*\*After\*\* \d × \d = (\d+)", text)[0]) for n, text in hazards().items()}
    case = text_of("clinical-safety/case-report.md").split("## What speaks against it", 1)[1]
    said = {number: int(risk) for number, risk in re.findall(r"(H\d\d) \((\d+)\)", case)}
    assert said == {number: risk for number, risk in left.items() if risk >= 5}
    assert max(left.values()) < 10  # the plan: not to be used


def test_the_case_speaks_of_every_hazard() -> None:
    case = text_of("clinical-safety/case-report.md").split("## Claims", 1)[1]
    assert set(hazards()) <= set(re.findall(r"H\d\d", case))
    assert f"{len(hazards())} hazards" in text_of("clinical-safety/case-report.md")


# ---------------------------------------------------------------------------------------------- security


def test_each_threat_has_a_control_that_is_proved_or_said_not_to_be() -> None:
    found = threats()
    numbers = [row[0] for row in found]
    assert sorted(numbers) == [f"T{number:02d}" for number in range(1, len(numbers) + 1)]
    assert {row[1] for row in found} == set("STRIDE")
    for number, _, threat, control, proof in found:
        assert threat, number
        assert control, number
        assert proofs(proof) or proof == "deployer" or proof.startswith("unproved: "), number


def test_each_flow_of_the_picture_is_told_in_words_and_in_the_threat_model() -> None:
    page = text_of("data-flow.md")
    drawn = set(re.findall(r"-- (F\d+) -->", page))
    assert len(drawn) == 12
    assert {row[0] for row in rows(page) if re.fullmatch(r"F\d+", row[0])} == drawn
    headings = " ".join(re.findall(r"^## (F.*)$", text_of("security/threat-model.md"), re.MULTILINE))
    assert set(re.findall(r"F\d+", headings)) == drawn


def test_what_is_met_of_asvs_names_a_test_and_what_is_not_says_why() -> None:
    found = requirements()
    assert {row[0].split(".")[0] for row in found} == {str(chapter) for chapter in range(1, 15)}
    for number, requirement, status, evidence in found:
        assert requirement, number
        assert status in ("met", "deployer", "not met", "not applicable"), number
        assert proofs(evidence) if status == "met" else evidence, number


def test_what_is_not_met_of_asvs_is_said_at_the_top() -> None:
    summary = text_of("security/asvs.md").split("**Not met, in short:**", 1)[1].split("\n## ", 1)[0]
    said = set(re.findall(r"\d+\.\d+\.\d+", summary))
    assert said <= {row[0] for row in requirements() if row[2] == "not met"}
    assert {row[0] for row in requirements() if row[2] == "not met"} - said <= {"1.14.3"}  # the same as 14.2.1


# -------------------------------------------------------------------------------------------- governance


def test_every_dtac_code_is_answered_under_its_topic() -> None:
    with (DOCS / "dtac_questions.csv").open(encoding="utf-8", newline="") as file:
        asked = list(csv.DictReader(file))
    answered = {row[0]: row for row in rows(text_of("dtac.md"))}
    assert list(answered) == [row["code"] for row in asked]
    assert all(row["source"] for row in asked)
    assert all(len(row) == 4 and row[2] for row in answered.values())


def test_every_table_of_the_database_is_in_the_dpia() -> None:
    assert counts_schema.flow.metadata is access_schema.api_key.metadata is metadata
    stored = text_of("dpia.md").split("## 3. What is stored", 1)[1].split("\n## ", 1)[0]
    assert {name for row in rows(stored) for name in re.findall(r"`(\w+)`", row[0])} == set(metadata.tables)


@pytest.mark.parametrize(("name", "owner"), OWN)
def test_a_draft_says_that_it_is_one_and_who_must_own_it(name: str, owner: str) -> None:
    opening = " ".join(text_of(name).split("\n## ", 1)[0].split())
    assert "**Draft" in opening
    assert owner in opening


def test_nothing_is_called_compliant_or_certified_but_in_the_sentence_that_explains_it() -> None:
    claim = re.compile(r"complian|certified|certification|accredited", re.IGNORECASE)
    found = [
        (str(page.relative_to(ROOT)), sentence)
        for page in [ROOT / "README.md", *DOCS.rglob("*.md")]
        for sentence in re.split(r"(?<=\.)\s", " ".join(page.read_text("utf-8").split()))
        if claim.search(sentence)
    ]
    assert len(found) == 1
    ((page, sentence),) = found
    assert page == "docs/README.md"
    assert sentence.startswith("They are never a statement")


def test_the_notice_is_for_readers_of_eleven() -> None:
    notice = text_of("patient-notice.md").split("\n---\n", 1)[1]
    plain = re.sub(r"\[([^\]]*)\](\([^)]*\))?", r"\1", notice).replace("**", "")
    parts = [part.strip() for part in re.split(r"\n\n|\n- ", f"\n{plain}")]
    paragraphs = [" ".join(part.lstrip("- ").split()) for part in parts if part and not part.startswith("#")]
    found = [grade(paragraph) for paragraph in paragraphs]
    assert median(found) <= 5  # a school year: age less five
    assert grade(" ".join(paragraphs)) <= 6
    for word in ("child", "interpreter", "look after someone else", "secret", "say no"):
        assert word in plain.lower(), word


def test_every_guide_is_in_the_index_by_reader_or_in_that_of_its_folder() -> None:
    linked = {
        posixpath.normpath(posixpath.join(index.parent.relative_to(DOCS).as_posix(), link))
        for index in [DOCS / "README.md", *DOCS.glob("*/README.md")]
        for link in re.findall(r"\]\(([^)#]+)\)", index.read_text("utf-8"))
    }
    pages = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    assert pages - {"README.md"} <= linked


# ------------------------------------------------------------------------------------------- operations


def test_figures_of_service_levels_are_those_of_the_benchmarks() -> None:
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text("utf-8")
    measured = text_of("service-levels.md").split("## Measured", 1)[1].split("**Goals", 1)[0]
    table = rows(measured)
    assert len(table) >= 10
    for question, answer, command in table:
        assert command.strip("`") in results, question
        assert (ROOT / "benchmarks" / f"{command.strip('`').split('.')[1].split()[0]}.py").is_file()
        for number in re.findall(r"\d[\d,]*\.\d+|\d+,\d{3}", answer):
            assert re.search(rf"(?<![\d.,]){re.escape(number)}(?![\d,])", results), (question, number)


@cache
def sentences() -> tuple[str, ...]:
    """Every text in the code, with dots for what varies."""
    found = set()
    for path in (ROOT / "app").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.add("".join(str(p.value) if isinstance(p, ast.Constant) else "…" for p in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value.replace("%s", "…"))
    return tuple(found)


def said(name: str) -> bool:
    """Whether the code has a text of these words, three dots standing for anything."""
    wanted = re.compile(r".*?".join(re.escape(part.strip()) for part in name.split("…")), re.DOTALL)
    return any(wanted.search(text) for text in sentences())


@cache
def commands() -> dict[str, frozenset[str]]:
    """Every command with its options: `counts seal` and `--without`."""
    return {
        name: frozenset(option for parameter in command.params for option in parameter.opts)
        for name, command in installed.commands()
    }


def is_known(name: str) -> bool:
    """Whether something set as code in the runbook is in this version."""
    if metric := re.fullmatch(r'(imdlens_\w+)(?:\{(\w+)="(\w+)"\})?', name):
        measures = {m.name: m for m in TABLE}
        labels = {label.name: label.values for label in measures[metric[1]].labels} if metric[1] in measures else {}
        return metric[1] in measures and (metric[2] is None or metric[3] in (labels.get(metric[2]) or ()))
    if name.startswith("IMDLENS_"):
        return name.removeprefix("IMDLENS_").lower() in Settings.model_fields
    if name.startswith("imdlens "):
        words = name.removeprefix("imdlens ").split()
        command = " ".join(word for word in words if re.fullmatch("[a-z-]+", word) and not word.startswith("-"))
        options = {word for word in words if word.startswith("--")}
        return command in commands() and options <= commands()[command]
    if name.startswith("--"):
        return any(name in options for options in commands().values())
    if name.startswith("/"):
        return name in {door.path for door in DOORS}
    if field := re.fullmatch(r'"(\w+)": (?:"(\w+)"|true|false)', name):
        of = Ready.model_fields.get(field[1])
        return of is not None and (field[2] is None or field[2] in get_args(of.annotation))
    if name in request_log.FIELDS or name in logs.FIELDS:
        return True
    if reason := re.fullmatch(r"token_([a-z]+)", name):
        return reason[1] in get_args(tokens.Reason)
    if re.fullmatch(r"[\w.]+", name):
        return name in sentences() or name in Ready.model_fields
    return said(name)


def test_every_name_in_the_runbook_exists() -> None:
    page = TEST.sub("", text_of("runbook.md"))
    names = re.findall(r"`([^`]+)`", re.sub(r"[ \n]+", " ", page))
    assert len(names) > 100
    assert not [name for name in names if not is_known(name)]


def test_settings_metrics_and_commands_that_the_other_evidence_names_exist() -> None:
    pages = [name for name, _ in OWN] + ["README.md", "data-flow.md", "data-sources.md"]
    pages += ["decommissioning.md", "service-levels.md"]
    named = {(page, one) for page in pages for one in re.findall(r"`((?:imdlens[ _]|IMDLENS_)[^`]+)`", text_of(page))}
    assert len(named) > 30
    assert not [one for one in named if not is_known(one[1])]


@pytest.mark.parametrize(
    "name",
    [
        "imdlens_nothing_total",
        'imdlens_refused_total{reason="mood"}',
        "IMDLENS_NOTHING",
        "imdlens counts vanish",
        "imdlens counts seal --nothing",
        "/nowhere",
        '"counting": "maybe"',
        "token_bored",
        "the database of counts is on holiday",
    ],
)
def test_a_name_that_is_in_no_table_of_the_code_is_noticed(name: str) -> None:
    assert not is_known(name)


def test_every_symptom_says_what_is_seen_why_what_to_do_and_when_it_is_over() -> None:
    parts = text_of("runbook.md").split("\n## ")[1:]
    assert len(parts) == 14
    for part in parts[:-1]:
        if "it says" in part:  # refusals of sealing: each sentence with what to do
            assert "\nOver: " in part
        else:
            assert [row[0] for row in rows(part)] == ["see", "why", "do", "over"], part.splitlines()[0]
