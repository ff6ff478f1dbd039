"""Good practice, targets and a catchment: taken as they are, or refused by file, line and column, never by value."""

import csv
import io
from datetime import date
from itertools import product
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.context.catchment import BANDS, DECILES, Catchments, age_set, as_catchment_file
from app.context.files import RuleFileError, RuleFolder
from app.context.practice import COLUMNS, UNIT, Practice
from app.context.rulebook import Rulebook
from app.context.targets import MEASURES, Targets
from app.context.written import as_file, shielded, unshielded
from app.counts.vocabulary import vocabulary
from app.findings.findings import MeasureName
from tests.unit.context.rule_folders import with_lines

GOOD = "340,Calls,Somebody rings.,The lead,Fewer missed.,2026-10-01,Town Hospital"
TARGET = "missed,340,8,2025-26-Q1,4,2027-03-31,The lead"


def residents(age_band: str = "all", persons: str = "10", tail: str = "town,Census,2021-03-21") -> list[str]:
    """A catchment of ten rows, one a decile."""
    return [f"IoD2025,{decile},{age_band},{persons},{tail}" for decile in DECILES]


def test_nothing_is_shipped_so_that_nothing_is_compared_with_anothers() -> None:
    book = Rulebook.load()
    assert (book.practice.initiatives, book.targets.each, book.catchment.each) == ((), (), ())


def test_an_organisations_own_files_are_read(tmp_path: Path) -> None:
    with_lines(tmp_path, "good_practice.csv", GOOD, GOOD.replace("340,Calls", "all,Letters"))
    with_lines(tmp_path, "targets.csv", TARGET, "core20_share,all,30,2025-26,35,2027-03-31,The board")
    with_lines(tmp_path, "catchment.csv", *residents())
    book = Rulebook.load(tmp_path)
    assert [i.title for i in book.practice.of("340", "C_340")] == ["Calls", "Letters"]
    assert [i.title for i in book.practice.of("110")] == ["Letters"]
    found = book.targets.of("missed", "340")
    assert found is not None
    assert (found.baseline, found.target, found.by) == (8, 4, date(2027, 3, 31))
    assert book.targets.of("core20_share", "") is not None
    assert book.targets.of("missed", "110") is None
    town = book.catchment.of("IoD2025")
    assert town is not None
    assert (town.area, town.persons, town.core20, town.by_age) == ("town", 100, 20, {})
    assert book.catchment.of("IoD2019") is None


def test_a_text_of_many_lines_stays_whole_and_errors_after_it_name_the_right_line(tmp_path: Path) -> None:
    told = '340,Calls,"First a line.\n\n# Not a comment, a line.\n,,\nThe ""last"".",The lead,Fewer.,2026-10-01,Town'
    (one,) = Practice.load(RuleFolder(with_lines(tmp_path, "good_practice.csv", told))).initiatives
    assert one.what == 'First a line.\n\n# Not a comment, a line.\n,,\nThe "last".'
    with_lines(tmp_path, "good_practice.csv", told, GOOD.replace("2026-10-01", "soon"))
    with pytest.raises(RuleFileError, match=r"^good_practice\.csv, line 11, date: "):
        Practice.load(RuleFolder(tmp_path))


@pytest.mark.parametrize(
    ("lines", "column"),
    [
        ([GOOD.replace("340", "34")], "specialty"),
        ([GOOD.replace("340", "")], "specialty"),
        ([GOOD.replace("340", "cardiology")], "specialty"),
        ([GOOD.replace("Calls", "")], "title"),
        ([GOOD.replace("Calls", "x" * 121)], "title"),
        ([GOOD.replace("Calls", "Ca\u200bls")], "title"),
        ([GOOD.replace("Calls", "Ca\x1bls")], "title"),
        ([GOOD.replace("Somebody rings.", "x" * 4001)], "what"),
        ([GOOD.replace("The lead", "")], "who_to_ask"),
        ([GOOD.replace("Fewer missed.", "")], "outcome"),
        ([GOOD.replace("2026-10-01", "01/10/2026")], "date"),
        ([GOOD.replace("2026-10-01", "20261001")], "date"),
        ([GOOD.replace("Town Hospital", "")], "organisation"),
        ([GOOD, GOOD.replace("Calls", "calls ").replace("Town", "TOWN ")], "title"),
    ],
)
def test_good_practice_that_could_not_be_shown_is_refused(tmp_path: Path, lines: list[str], column: str) -> None:
    check(tmp_path, "good_practice.csv", lines, column, Practice.load)


@pytest.mark.parametrize(
    ("lines", "column"),
    [
        ([TARGET.replace("missed", "waits")], "measure"),
        ([TARGET.replace("340", "")], "unit"),
        ([TARGET.replace("340", "ward 7")], "unit"),
        ([TARGET.replace(",8,", ",8.5,")], "baseline_value"),
        ([TARGET.replace(",8,", ",101,")], "baseline_value"),
        ([TARGET.replace(",4,", ",,")], "target_value"),
        ([TARGET.replace(",4,", ",-101,")], "target_value"),
        ([TARGET.replace(",4,", ",٤,")], "target_value"),
        (["core20_share,340,-1,2025-26,4,2027-03-31,x"], "baseline_value"),
        ([TARGET.replace("2025-26-Q1", "2025-13")], "baseline_period"),
        ([TARGET.replace("2025-26-Q1", "2025-27-Q1")], "baseline_period"),
        ([TARGET.replace("2025-26-Q1", "2025-26-Q5")], "baseline_period"),
        ([TARGET.replace("2027-03-31", "2027-02-30")], "target_date"),
        ([TARGET.replace("The lead", "")], "owner"),
        ([TARGET.replace("The lead", "x" * 121)], "owner"),
        ([TARGET, TARGET.replace(",8,", ",9,")], "unit"),
    ],
)
def test_a_target_that_could_not_be_shown_is_refused(tmp_path: Path, lines: list[str], column: str) -> None:
    check(tmp_path, "targets.csv", lines, column, Targets.load)


@pytest.mark.parametrize("period", ["2025-11", "2025-26", "2025-26-Q4", "2099-00"])
def test_a_period_is_written_as_it_is_published(tmp_path: Path, period: str) -> None:
    local = with_lines(tmp_path, "targets.csv", TARGET.replace("2025-26-Q1", period).replace(",4,", ",-4,"))
    (one,) = Targets.load(RuleFolder(local)).each
    assert (one.baseline_period, one.target) == (period, -4)


ROWS = residents()


@pytest.mark.parametrize(
    ("lines", "column"),
    [
        (ROWS[:9], "imd_decile"),
        ([*ROWS, ROWS[0]], "imd_decile"),
        ([ROWS[0].replace(",1,", ",11,"), *ROWS[1:]], "imd_decile"),
        ([ROWS[0].replace(",1,", ",no_decile,"), *ROWS[1:]], "imd_decile"),
        ([ROWS[0].replace("IoD2025", "IoD2015"), *ROWS[1:]], "edition"),
        ([*ROWS[:9], ROWS[9].replace("all", "0-17")], "age_band"),
        (residents("0-15"), "age_band"),
        (residents("0-17"), "imd_decile"),
        (residents(persons="ten"), "persons"),
        (residents(persons="-1"), "persons"),
        (residents(persons="1.5"), "persons"),
        (residents(persons="1000000000"), "persons"),
        (residents(persons="0"), "persons"),
        ([*ROWS[:9], ROWS[9].replace("town", "city")], "area"),
        ([*ROWS[:9], ROWS[9].replace("Census", "")], "source"),
        ([*ROWS[:9], ROWS[9].replace("2021-03-21", "2021-03-22")], "date"),
        (residents(tail="town,Census,March 2021"), "date"),
    ],
)
def test_a_catchment_that_is_not_whole_is_refused(tmp_path: Path, lines: list[str], column: str) -> None:
    check(tmp_path, "catchment.csv", lines, column, Catchments.load)


def check(folder: Path, name: str, lines: list[str], column: str, load: object) -> None:
    """Refused by file, line and column; of a value, nothing is told."""
    local = with_lines(folder, name, *lines)
    with pytest.raises(RuleFileError, match=rf"^{name}, line \d+, {column}: ") as told:
        load(RuleFolder(local))  # type: ignore[operator]
    secret = {"ward 7", "cardiology", "waits", "soon", "01/10/2026", "IoD2015", "no_decile", "city", "March", "xxxxx"}
    assert not [value for value in secret if value in str(told.value)]


def test_five_year_bands_are_added_to_the_bands_of_the_tables(tmp_path: Path) -> None:
    fives = [five for parts in BANDS.values() for five in parts]
    lines = [
        f"IoD2025,{decile},{band},{int(decile) * i},town,Census,2021-03-21"
        for decile, (i, band) in product(DECILES, enumerate(fives))
    ]
    (town,) = Catchments.load(RuleFolder(with_lines(tmp_path, "catchment.csv", *lines))).each
    assert town.by_age["0-17"] == (3 * (0 + 1 + 2 + 3), 55 * (0 + 1 + 2 + 3))
    assert town.by_age["80+"] == (3 * (17 + 18 + 19), 55 * (17 + 18 + 19))
    assert sum(n for _, n in town.by_age.values()) == town.persons


def test_a_catchment_may_be_known_on_two_editions(tmp_path: Path) -> None:
    older = [row.replace("IoD2025", "IoD2019") for row in residents(persons="7")]
    found = Catchments.load(RuleFolder(with_lines(tmp_path, "catchment.csv", *residents(), *older)))
    assert {c.edition: c.persons for c in found.each} == {"IoD2025": 100, "IoD2019": 70}


def test_the_words_are_those_of_tables_and_findings() -> None:
    words = vocabulary()
    assert (*BANDS, "absent") == words.age_grid
    assert tuple(five for parts in BANDS.values() for five in parts) == words.five_year_bands
    for band, parts in BANDS.items():
        ages = [age for age, (broad, _) in enumerate(words.bands_of_age) if broad == band]
        assert ages == [age for age, (_, five) in enumerate(words.bands_of_age) if five in parts]
    assert get_args(MeasureName) == MEASURES
    assert all(UNIT.fullmatch(code) for code in (*words.specialties, *words.rtt_groups))


@pytest.mark.parametrize("text", ["=1+1", "+44 115", "-x", "@here", "\tx", "plain", "'quoted'", "-3", "+7", ""])
def test_a_spreadsheet_takes_no_text_for_a_formula_and_the_text_reads_back_as_it_was(text: str) -> None:
    assert unshielded(shielded(text)) == text
    assert not shielded(text).startswith(("=", "@", "\t", "\r"))
    assert not shielded(text).startswith(("+", "-")) or shielded(text).lstrip("+-").isdigit()


TEXT = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=40)


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5, unique_by=lambda t: t[0].casefold()))
def test_what_is_written_reads_back_as_it_was(pairs: list[tuple[str, str]]) -> None:
    rows = [("all", title, f"{text}\n\n# {text}", text, text, "2026-10-01", "Town") for title, text in pairs]
    text = as_file(COLUMNS, rows, source="a test", written=date(2026, 11, 23))
    read = list(csv.reader(io.StringIO(text)))[4:]
    assert read[0] == list(COLUMNS)
    assert [unshielded(row[1]) for row in read[1:]] == [title for title, _ in pairs]
    assert not [cell for row in read for cell in row if cell.startswith(("=", "@"))]


def test_residents_are_written_as_they_are_read_and_a_missing_cell_is_nobody(tmp_path: Path) -> None:
    written = {"area": "=town", "source": "@health team", "of": date(2024, 6, 30), "written": date(2026, 11, 23)}
    text = as_catchment_file("IoD2019", {("2", "0-17"): 30, ("9", "80+"): 50}, **written)  # type: ignore[arg-type]
    (tmp_path / "catchment.csv").write_text(text)
    (town,) = Catchments.load(RuleFolder(tmp_path)).each
    assert (town.area, town.source, town.date) == ("=town", "@health team", date(2024, 6, 30))
    assert (town.persons, town.core20, town.by_age["0-17"], town.by_age["18-39"]) == (80, 30, (30, 30), (0, 0))
    for wrong in ({("11", "all"): 1}, {("1", "0-4"): 1, ("2", "0-17"): 1}, {("1", "old"): 1}):
        with pytest.raises(ValueError, match="one set"):
            as_catchment_file("IoD2025", wrong, **written)  # type: ignore[arg-type]


def test_a_band_belongs_to_one_set() -> None:
    assert age_set("all") == ("all",)
    assert age_set("80+") == tuple(BANDS)
    assert age_set("85-89")[-1] == "90+"
    assert age_set("85+") == ()
