"""The transition report from real starter postcodes, its figures worked by hand."""

import csv
import io
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from app.batch.columns import Enricher, text_column
from app.batch.plan import FileProblemError, Plan
from app.batch.transition import (
    CELLS,
    REASONS,
    EditionError,
    Editions,
    Tally,
    Transitions,
    check_editions,
)
from app.batch.transition_figures import (
    SPECIALTY,
    Figure,
    Report,
    Shown,
    TooFewRowsError,
    exact_report,
    folded,
    shareable_report,
)
from app.batch.transition_report import (
    ATTRIBUTION,
    COLUMNS,
    NOT_TO_BE_SHARED,
    Run,
    as_csv,
    as_json,
    as_text,
    must_not_be_concluded,
    reason_words,
    unit_words,
    view_of,
)
from app.cli_transition import Format, RowsAre, Wish, make_report, transition
from app.counts.disclosure import Rule
from app.enrichment import Rules
from app.lookup.index import Index
from app.pages.transition import render_transition
from app.reference.manifest import packaged_data
from app.settings import Settings
from tests.transition_attacker import tally_of

EDITIONS = Editions("IoD2019", "IoD2025")
# Decile in IoD2019 and in IoD2025: NG2 1JQ 1 and 2, BH1 4AP 2 and 2, NG1 3GZ 2 and 3, NG3 2NZ 3 and 4, BH1 4DD 3 and 2,
# AL5 2DA 10 and 10; NG1 1AA only 3 in IoD2025, HX1 2JZ only 1 in IoD2019; LD7 1LG is in Wales.
STAY_IN, LEAVE, STAY_OUT, ENTER = ("NG2 1JQ", "BH1 4AP"), "NG1 3GZ", ("NG3 2NZ", "AL5 2DA"), "BH1 4DD"
FILE = [
    *[(STAY_IN[0], "340")] * 600,
    *[(STAY_IN[1], "340")] * 211,
    *[(LEAVE, "340")] * 103,
    *[(ENTER, "340")] * 92,
    *[(STAY_OUT[0], "100")] * 801,
    *[(STAY_OUT[1], "100")] * 302,
    *[(LEAVE, "100")] * 4,
    *[("NG1 1AA", "100")] * 21,
    *[("HX1 2JZ", "100")] * 2,
    *[("LD7 1LG", "")] * 1033,
    *[("ZZ99 3VZ", "999")] * 12,
    *[("ZZ99 3WZ", None)] * 3,
    *[("ZZZSECUR", "340")] * 40,
]


def reader(rows: list[tuple[str | None, str | None]], block: int = 700) -> Callable[[Transitions, Enricher], None]:
    """Shows rows to an observer through a plan, some at a time, as the reading of a file does."""

    def read(observer: Transitions, enricher: Enricher) -> None:
        plan = Plan(enricher, observers=[observer])
        for start in range(0, len(rows), block):
            postcodes, specialties = zip(*rows[start : start + block], strict=True)
            answers = enricher.read(text_column(pa.array(postcodes, pa.string())))
            plan.seen(answers, {"tfc": pa.array(specialties, pa.string())}.__getitem__)

    return read


def tallied(index: Index, rules: Rules, rows: list[tuple[str | None, str | None]], column: str | None = "tfc") -> Tally:
    enricher = Enricher(index, rules)
    observer = Transitions(enricher, EDITIONS, column)
    reader(rows)(observer, enricher)
    return observer.tally()


@pytest.fixture(scope="module")
def report(index: Index, rules: Rules) -> Report:
    return shareable_report(tallied(index, rules, FILE), Rule())


@pytest.fixture(scope="module")
def run(index: Index) -> Run:
    return Run("patients", index.release, date(2026, 11, 23))


def exact_of(tally: Tally, specialty: str) -> dict[int, int]:
    row = tally.counts[tally.specialties.index(specialty)]
    return {int(c): int(row[c]) for c in row.nonzero()[0]}


def test_a_row_is_counted_by_its_specialty_and_its_decile_in_both_editions(index: Index, rules: Rules) -> None:
    tally = tallied(index, rules, FILE)
    assert exact_of(tally, "340") == {1: 600, 11: 211, 12: 103, 21: 92}
    reasons = {reason: CELLS + i for i, reason in enumerate(REASONS)}
    assert exact_of(tally, "100") == {
        23: 801,
        99: 302,
        12: 4,
        reasons["second_edition_only"]: 21,
        reasons["first_edition_only"]: 2,
    }
    assert exact_of(tally, "unrecognised") == {reasons["no_fixed_abode"]: 12}
    assert exact_of(tally, "absent") == {reasons["not_in_england"]: 1033, reasons["address_not_known"]: 3}
    assert tally.counts.sum() == len(FILE) - 40, "a withheld address is in no count"


def test_without_a_column_of_specialties_all_rows_are_of_none(index: Index, rules: Rules) -> None:
    tally = tallied(index, rules, FILE, column=None)
    assert tally.by_specialty() == {"absent": len(FILE) - 40}


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_specialties_are_read_whatever_the_columns_type(index: Index, rules: Rules, kind: pa.DataType) -> None:
    enricher = Enricher(index, rules)
    observer = Transitions(enricher, EDITIONS, "tfc")
    column = pa.chunked_array([pa.array([" 340 ", "34"]).cast(kind), pa.array([None, " "], pa.string()).cast(kind)])
    observer.observe(enricher.read(text_column(pa.array(["AL5 2DA"] * 4))), lambda _: column)
    assert observer.tally().by_specialty() == {"340": 1, "unrecognised": 1, "absent": 2}


def test_what_is_shared_is_rounded_and_each_total_by_itself(report: Report) -> None:
    assert report.units() == ("100", "340", "all_other")
    core20 = {f.category: s for f, s in report.figures.items() if f.table == "organisation_core20"}
    assert core20 == {
        "stays_in_core20": Shown(810),  # 811
        "enters_core20": Shown(90),  # 92
        "leaves_core20": Shown(105),  # 107
        "stays_out_of_core20": Shown(1105),  # 1103
        "not_comparable": Shown(1070),  # 1071
    }
    cells = {(f.first_decile, f.second_decile): s.n for f, s in report.figures.items() if f.table.endswith("deciles")}
    assert len(cells) == 100
    assert {where: n for where, n in cells.items() if n} == {
        (1, 2): 600,
        (2, 2): 210,
        (2, 3): 105,
        (3, 2): 90,
        (3, 4): 800,
        (10, 10): 300,
    }
    change = [s.n for f, s in report.figures.items() if f.table == "organisation_decile_change"]
    assert change == [515, 90, 1510]  # 513, 92 and 1508


def test_small_counts_are_hidden_and_none_is_shown_as_none(report: Report) -> None:
    reasons = {f.category: s for f, s in report.figures.items() if f.table == "organisation_not_comparable"}
    assert reasons["second_edition_only"] == Shown(20)
    assert reasons["first_edition_only"] == Shown(None, "*")
    assert reasons["address_not_known"] == Shown(None, "*")
    assert reasons["overseas"] == Shown(0)
    assert report.figures[Figure(SPECIALTY, "100", "leaves_core20")].n is None
    assert report.figures[Figure(SPECIALTY, "340", "leaves_core20")] == Shown(105)


def test_a_remainder_that_is_small_takes_the_smallest_row_in() -> None:
    tally = tally_of({("340", 0): 2000, ("320", 0): 1500, ("100", 33): 1100, ("812", 33): 30})
    assert folded(tally, 1000)[0] == ["320", "340", "all_other"]
    assert folded(tally, 1000)[1].sum(1).tolist() == [1500, 2000, 1130]
    assert folded(tally, 5000)[0] == ["all_other"]


def test_shares_are_of_what_is_shown_and_not_of_few(report: Report) -> None:
    moves = ("stays_in_core20", "enters_core20", "leaves_core20", "stays_out_of_core20")
    # (90 + 105) / (810 + 90 + 105 + 1105)
    assert report.share("organisation_core20", moves[1:3], moves) == 9
    assert report.share(SPECIALTY, moves[1:3], moves, "100") is None, "a part of it is hidden"
    assert report.share("organisation_not_comparable", ("second_edition_only",), ("second_edition_only",)) is None


def test_the_headline_says_who_crosses_and_who_changes_decile(report: Report, run: Run) -> None:
    text = as_text(report, run)
    crossing = (
        "About 9 in 100 patients with a decile in both editions are in another Core20 group under IoD2025 than under"
        " IoD2019."
    )
    assert text.splitlines()[2:5] == [
        crossing,
        "About 76 in 100 patients with a decile in both editions are in another decile.",  # 1600 of 2115
        "In Core20 under IoD2019: about 43 in 100 patients; under IoD2025: about 43 in 100.",
    ]
    assert text.startswith("Starter data: ")
    assert "\nLeave Core20 under IoD2025    105     5%\n" in text
    assert "\n2   0  210  105    0" in text
    assert NOT_TO_BE_SHARED not in text


def test_where_nobody_crosses_it_says_none(run: Run) -> None:
    stayed = shareable_report(tally_of({("340", 0): 200}), Rule())
    assert as_text(stayed, run).splitlines()[2].startswith("None of the patients with a decile in both editions")
    nobody = shareable_report(tally_of({("340", CELLS): 200}), Rule())
    assert "it cannot be shown how many" in as_text(nobody, run)
    few = shareable_report(tally_of({("340", 0): 20_000, ("340", 2): 20}), Rule())
    assert "Fewer than 1 in 100 patients" in as_text(few, run)


def test_the_csv_has_a_row_for_each_figure(report: Report, run: Run) -> None:
    lines = list(csv.DictReader(io.StringIO(as_csv(report, run).removeprefix("\ufeff"))))
    assert tuple(lines[0]) == COLUMNS
    assert len(lines) == len(report.figures) == 5 + 3 + 100 + len(REASONS) + 3 * 5
    (enters,) = [row for row in lines if (row["specialty"], row["category"]) == ("340", "enters_core20")]
    assert (enters["n"], enters["value"], enters["specialty_name"]) == ("90", "9", "Respiratory Medicine Service")
    (hidden,) = [row for row in lines if (row["specialty"], row["category"]) == ("100", "leaves_core20")]
    assert (hidden["n"], hidden["value"]) == ("", "")
    assert hidden["suppressed"] in {"*", "w"}
    assert {row["note"] for row in lines} == {""}


def test_the_json_says_what_may_and_what_must_not_be_concluded(report: Report, run: Run) -> None:
    said = json.loads(as_json(report, run))
    assert said["must_not_be_concluded"][0] == (
        "A patient did not become more or less deprived because the decile changed: the ranking of areas was made anew."
    )
    assert len(said["figures"]) == len(report.figures)
    assert said["note"] is None


def test_what_a_row_is_makes_the_words(report: Report, index: Index) -> None:
    words = {kind: must_not_be_concluded(report, Run(kind, index.release, date(2026, 1, 1)))[-1] for kind in RowsAre}
    assert words["contacts"].startswith("Contacts are counted, not people")
    assert words["patients"].startswith("Each row was taken to be one patient")
    assert len(set(words.values())) == 3


def test_every_reason_and_every_unit_has_words(report: Report) -> None:
    assert all(reason_words(reason, report) for reason in REASONS)
    assert len({reason_words(reason, report) for reason in REASONS}) == len(REASONS)
    for unit in ("340", "X03", "all_other", "unrecognised", "absent"):
        assert unit_words(unit)


def test_exact_figures_say_in_every_table_that_they_are_not_to_be_shared(index: Index, rules: Rules, run: Run) -> None:
    exact = exact_report(tallied(index, rules, FILE), Rule())
    assert set(exact.units()) == {"100", "340", "unrecognised", "absent"}
    assert exact.figures[Figure(SPECIALTY, "100", "leaves_core20")] == Shown(4)
    text = as_text(exact, run)
    assert text.startswith(NOT_TO_BE_SHARED)
    titles = ("Core20, patients", "Decile, patients", "Decile in IoD2019", "Core20 by specialty", "Why patients")
    for title in titles:
        (line,) = [line for line in text.splitlines() if line.startswith(title)]
        assert line.endswith(NOT_TO_BE_SHARED)
    assert {row["note"] for row in csv.DictReader(io.StringIO(as_csv(exact, run)))} == {NOT_TO_BE_SHARED}
    assert json.loads(as_json(exact, run))["note"] == NOT_TO_BE_SHARED
    with pytest.raises(ValueError, match="exact"):
        view_of(exact, run)


def test_few_rows_give_no_report_that_may_be_shared() -> None:
    with pytest.raises(TooFewRowsError, match="fewer than 100 rows"):
        shareable_report(tally_of({("340", 0): 99}), Rule())


def test_editions_must_be_englands_and_in_the_release(index: Index) -> None:
    assert check_editions(index, "IoD2025", "IoD2019") == ("IoD2025", "IoD2019")
    for first, second in (("IoD2015", "IoD2025"), ("IoD2019", "WIMD2019")):
        with pytest.raises(EditionError, match="for England it holds IoD2025, IoD2019"):
            check_editions(index, first, second)
    with pytest.raises(EditionError, match="the same"):
        check_editions(index, "IoD2025", "IoD2025")


def test_a_stricter_rule_hides_more(index: Index, rules: Rules) -> None:
    strict = shareable_report(tallied(index, rules, FILE), Rule(suppress_up_to=22))
    assert strict.figures[Figure("organisation_not_comparable", "", "second_edition_only")].n is None


def page(**changes: Any) -> Wish:
    return Wish(**{"specialty_column": "tfc", "rows_are": RowsAre.PATIENTS, "html": True, **changes})


def test_the_page_holds_no_postcode_and_asks_nobody(index: Index, rules: Rules) -> None:
    text, made = make_report(reader(FILE), index, rules, Settings(), page(format=Format.JSON))
    assert json.loads(text)["figures"][0]["rows_are"] == "patients"
    assert made is not None
    html = made.decode()
    assert not [postcode for postcode, _ in set(FILE) if postcode and postcode in html]
    assert not [word for word in ("http", "<script", "<link", "src=", "url(", "@import") if word in html]
    assert 'lang="en-GB"' in html
    assert all(sentence in html for sentence in ATTRIBUTION)


def test_a_page_is_never_exact(index: Index, rules: Rules) -> None:
    with pytest.raises(FileProblemError, match="never exact"):
        make_report(reader(FILE), index, rules, Settings(), page(exact=True))
    text, made = make_report(reader(FILE), index, rules, Settings(), page(exact=True, html=False))
    assert made is None
    assert NOT_TO_BE_SHARED in text


def test_without_specialties_the_page_has_no_table_of_them(index: Index, rules: Rules) -> None:
    _, made = make_report(reader(FILE), index, rules, Settings(), page(specialty_column=None))
    assert made is not None
    assert b"By specialty" not in made


def test_the_attribution_is_the_one_of_the_data(report: Report, run: Run) -> None:
    said = " ".join((packaged_data() / "ATTRIBUTION.md").read_text("utf-8").split())
    assert all(sentence in said for sentence in ATTRIBUTION)
    assert b"Crown copyright" in render_transition(view_of(report, run))


def test_a_report_never_replaces_its_file(tmp_path: Path) -> None:
    source = tmp_path / "patients.csv"
    source.write_text("postcode\n")
    both = tmp_path / "report"
    for options in ({"out": source}, {"html": tmp_path / "." / "patients.csv"}, {"out": both, "html": both}):
        with pytest.raises(FileProblemError, match="another name"):
            transition(source, **options)  # type: ignore[arg-type]
    assert source.read_text() == "postcode\n"


def test_the_command_has_the_options_that_are_documented() -> None:
    import typer

    command = typer.Typer()
    command.command()(transition)
    shown = CliRunner().invoke(command, ["--help"], terminal_width=200, env={"NO_COLOR": "1"}).stdout
    for option in ("--from", "--to", "--rows-are", "--as", "--format", "--html", "--exact", "--specialty-column"):
        assert option in shown
    named = [option for one in typer.main.get_command(command).params for option in one.opts]
    assert len(named) == len(set(named))  # of two of one name the first would be passed over in silence
