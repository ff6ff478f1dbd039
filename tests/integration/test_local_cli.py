"""Files that an organisation brings, made, checked, exported and merged at the command."""

import csv
from pathlib import Path

import pytest

from app.context.catchment import FILE, Catchment, Catchments
from app.context.files import RuleFolder
from app.reference.population import census2021
from tests.integration.running import imdlens
from tests.unit.context.rule_folders import with_lines

CALLS = "340,Calls,Somebody rings.,The lead,Fewer missed.,2026-10-01,Town Hospital"


def read(file: Path) -> Catchment:
    """The one catchment of a file."""
    (found,) = Catchments.load(RuleFolder(instead={FILE: file})).each
    return found


def test_a_catchment_is_made_of_census_districts_and_its_share_is_never_20_percent_by_chance(tmp_path: Path) -> None:
    made = imdlens("catchment", "make", "--lad", "E06000018", "--out", "catchment.csv", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "50 in 100 live in the most deprived fifth" in made.stdout
    town = read(tmp_path / "catchment.csv")
    assert (town.area, town.edition, town.persons, town.core20) == ("Nottingham", "IoD2025", 323_684, 161_875)
    assert "Open Government Licence" in town.source
    checked = imdlens("catchment", "check", "catchment.csv", cwd=tmp_path)
    assert "without ages" in checked.stdout
    rules = imdlens("rules", "check", str(tmp_path), cwd=tmp_path)
    assert "catchment.csv" in rules.stdout
    assert "yours" in rules.stdout


def test_boards_are_added_and_what_would_count_somebody_twice_is_refused(tmp_path: Path) -> None:
    boards = ["E54000060", "E54000041"]
    made = imdlens("catchment", "make", *(f"--icb={code}" for code in boards), "--out", "c.csv", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert read(tmp_path / "c.csv").persons == sum(sum(census2021("icb")[code].by_decile) for code in boards)
    for wrong, said in (
        (("--lad", "E06000018", "--icb", "E54000060"), "counted twice"),
        (("--lad", "E06000018", "--lad", "E06000018"), "counts somebody twice"),
        (("--lad", "E92000001", "--lad", "E06000018"), "counts somebody twice"),
        (("--lad", "E54000060"), "none of the 296 codes"),
        ((), "Say one of --lad"),
        (("--lad", "E06000018", "--source", "me"), "go with --lsoas"),
    ):
        run = imdlens("catchment", "make", *wrong, "--out", "d.csv", cwd=tmp_path)
        assert (run.returncode, said in run.stderr, "Traceback" in run.stderr) == (1, True, False), run.stderr
    assert not (tmp_path / "d.csv").exists()
    again = imdlens("catchment", "make", "--lad", "E06000018", "--out", "c.csv", cwd=tmp_path)
    assert (again.returncode, "File exists" in again.stderr) == (1, True)


def test_the_shipped_census_adds_up_to_england() -> None:
    for kind, areas in (("lad", 296), ("icb", 42)):
        found = dict(census2021(kind))  # type: ignore[arg-type]
        england = found.pop("E92000001")
        assert len(found) == areas
        assert tuple(map(sum, zip(*(area.by_decile for area in found.values()), strict=True))) == england.by_decile
        assert sum(england.by_decile) == 56_490_108


def test_a_catchment_is_made_of_an_organisations_own_areas_by_age(tmp_path: Path, starter: Path) -> None:
    table = Path(__file__).parents[2] / "data" / "imd" / "starter" / "starter_lsoa21.csv"
    with table.open() as file:
        areas = {row["lsoa21cd"]: int(row["imd25_decile"]) for row in csv.DictReader(file)}
    rows = [f"{code},{i},{band}" for i, code in enumerate(areas) for band in ("0-4", "90+")]
    (tmp_path / "own.csv").write_text("\ufefflsoa21,persons,age_band\r\n" + "\r\n".join(rows) + "\r\n", "utf-8")
    told = ("--area", "our town", "--source", "mid-2024 estimates", "--date", "2024-06-30")
    environment = {"IMDLENS_DATA_DIR": str(starter)}
    made = imdlens("catchment", "make", "--lsoas", "own.csv", *told, "--out", "c.csv", cwd=tmp_path, **environment)
    assert made.returncode == 0, made.stderr
    town = read(tmp_path / "c.csv")
    core20 = sum(i for i, decile in enumerate(areas.values()) if decile <= 2)
    assert (town.core20, town.by_age["0-17"]) == (2 * core20, (core20, sum(range(len(areas)))))
    assert (town.area, town.source, str(town.date)) == ("our town", "mid-2024 estimates", "2024-06-30")

    lines = (tmp_path / "own.csv").read_text("utf-8").splitlines()
    for at, bad, said in (
        (3, "E01999999,5,0-4", "1 of 554 lines name no lsoa21 that has a decile in the loaded data"),
        (3, "secret,5,0-4", "lines 4."),
        (3, lines[3].replace(",1,", ",x,"), "line 4, persons: "),
        (3, lines[3].replace("0-4", "0-17"), "line 4, age_band: "),
        (3, lines[1], "line 4, lsoa21: stands twice"),
        (3, "secret", "line 4: has more or fewer columns"),
        (0, "postcode,persons,age_band", "its columns must be lsoa21"),
    ):
        (tmp_path / "bad.csv").write_text("\n".join([*lines[:at], bad, *lines[at + 1 :]]), "utf-8")
        run = imdlens("catchment", "make", "--lsoas", "bad.csv", *told, "--out", "d.csv", cwd=tmp_path, **environment)
        assert (run.returncode, said in run.stderr) == (1, True), run.stderr
        assert "secret" not in run.stderr
    run = imdlens("catchment", "make", "--lsoas", "own.csv", "--out", "d.csv", cwd=tmp_path, **environment)
    assert (run.returncode, "needs --area, --source and --date" in run.stderr) == (1, True)
    assert not (tmp_path / "d.csv").exists()


def test_good_practice_is_exported_and_merged_and_nothing_is_lost_unsaid(tmp_path: Path) -> None:
    ours = with_lines(tmp_path / "ours", "good_practice.csv", CALLS, "all,=HYPERLINK(1),Do.,Who,Less.,2026-09-01,Town")
    out = imdlens("practice", "export", "a.csv", cwd=tmp_path, IMDLENS_LOCAL_DIR=str(ours))
    assert out.returncode == 0, out.stderr
    assert "'=HYPERLINK" in (tmp_path / "a.csv").read_text("utf-8")
    theirs = with_lines(
        tmp_path / "theirs",
        "good_practice.csv",
        CALLS.replace("Somebody rings.", "Somebody rings twice.").replace("2026-10-01", "2026-11-01"),
        "all,Letters,Say it.,Who,More.,2026-09-01,City",
    )
    b = str(theirs / "good_practice.csv")
    merged = imdlens("practice", "merge", "a.csv", b, "--out", "c.csv", cwd=tmp_path)
    assert merged.returncode == 0, merged.stderr
    assert "3 initiatives" in merged.stdout
    for date in ("2026-10-01", "2026-11-01"):
        assert date in merged.stderr
    text = (tmp_path / "c.csv").read_text("utf-8")
    assert "rings twice" in text
    assert "'=HYPERLINK" in text
    assert "''=" not in text
    # The other way round the same stays, and one more time nothing changes.
    imdlens("practice", "merge", b, "a.csv", "--out", "d.csv", cwd=tmp_path)
    again = imdlens("practice", "merge", "c.csv", "d.csv", "--out", "e.csv", cwd=tmp_path)
    assert (again.returncode, again.stderr) == (0, "")
    rows = [sorted(line for line in (tmp_path / f).read_text("utf-8").splitlines()) for f in ("c.csv", "d.csv")]
    assert rows[0] == rows[1]


def test_two_that_differ_on_one_day_are_both_told(tmp_path: Path) -> None:
    for name, what in (("a", "Somebody rings."), ("b", "Somebody writes.")):
        with_lines(tmp_path / name, "good_practice.csv", CALLS.replace("Somebody rings.", what))
    files = [f"{name}/good_practice.csv" for name in "ab"]
    run = imdlens("practice", "merge", *files, "--out", "c.csv", cwd=tmp_path)
    assert (run.returncode, "of one day and differ" in run.stderr) == (0, True)
    assert "Somebody rings." in (tmp_path / "c.csv").read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("practice", "export", "x.csv"), "no good_practice.csv with initiatives"),
        (("practice", "merge", "bad.csv", "--out", "x.csv"), "two files or more"),
        (("practice", "merge", "bad.csv", "bad.csv", "--out", "x.csv"), "bad.csv does not say its version."),
        (("catchment", "check", "none.csv"), "cannot be read"),
        (("targets", "check", "targets.csv"), "no published table has a unit 999"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    (tmp_path / "bad.csv").write_text("specialty,title\n")
    with_lines(
        tmp_path,
        "targets.csv",
        "missed,999,8,2025-26-Q1,4,2027-03-31,The lead",
        "missed,all,8,2025-26-Q1,4,2020-03-31,The lead",
    )
    run = imdlens(*arguments, cwd=tmp_path)
    assert (run.returncode, said in run.stderr.replace("\n", " ")) == (1, True), run.stderr
    assert "Traceback" not in run.stderr
    if arguments[0] == "targets":
        assert "2 targets, 1 of them past their date" in run.stdout
