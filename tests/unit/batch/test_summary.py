"""The summary of a file: each row in one figure, and nothing from which a small one could be told."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from app.batch.columns import Answers, Enricher, text_column
from app.batch.files import enrich_file
from app.batch.plan import FileProblemError, Plan
from app.batch.summary import Line, Summary
from app.counts.disclosure import Rule
from app.enrichment import Question, Rules, enrich
from app.lookup.index import Index
from tests import starter_data

RULE = Rule()
CORE20 = "Core20: 1 and 2 together"


@pytest.fixture
def enricher(index: Index, rules: Rules) -> Enricher:
    return Enricher(index, rules)


@pytest.fixture(scope="module")
def homes(index: Index, rules: Rules) -> dict[int, str]:
    """A live postcode in each decile that the starter data have."""
    found: dict[int, str] = {}
    for text in starter_data.postcodes():
        reading = enrich(Question(text), index, rules).reading
        if reading.imd_decile and reading.postcode_status == "live":
            found.setdefault(reading.imd_decile, text)
    return found


def summed(enricher: Enricher, *texts: str) -> Summary:
    summary = Summary(enricher)
    summary.observe(enricher.read(text_column(pa.array(texts))), lambda _: pa.array([]))
    return summary


def lines(summary: Summary, rule: Rule | None = RULE) -> dict[str, Line]:
    return {line.name: line for section in summary.sections(rule) for line in section.lines}


def test_a_hidden_part_hides_every_sum_and_share_that_would_tell_it(enricher: Enricher, homes: dict[int, str]) -> None:
    shown = lines(summed(enricher, *[homes[1]] * 3, *[homes[2]] * 120, *[homes[3]] * 400))
    assert (shown["1 (most deprived)"].n, shown["2"].n, shown["3"].n) == (None, 120, 400)
    assert (shown[CORE20].n, shown[CORE20].share) == (None, None)
    assert {line.share for line in shown.values()} == {None}


def test_sums_and_shares_are_made_of_what_is_shown(enricher: Enricher, homes: dict[int, str]) -> None:
    shown = lines(summed(enricher, *[homes[1]] * 98, *[homes[2]] * 98, *[homes[3]] * 203))
    assert [shown[name].n for name in ("1 (most deprived)", "2", CORE20, "3")] == [100, 100, 200, 205]
    assert shown[CORE20].share == pytest.approx(100 * 200 / 405)


def test_a_share_of_few_is_not_said(enricher: Enricher, homes: dict[int, str]) -> None:
    assert lines(summed(enricher, *[homes[3]] * 94))["3"].share is None
    assert lines(summed(enricher, *[homes[3]] * 104))["3"].share == 100


def test_each_row_stands_in_one_part_and_a_withheld_address_with_those_not_known(
    enricher: Enricher, homes: dict[int, str]
) -> None:
    summary = summed(enricher, homes[1], "CF10 1AA", "ZZ99 3VZ", "ZZ99 3WZ", "ZZZSECUR", "", "NG99 9ZZ", "JE2 3AB")
    exact = summary.sections(None)
    parts = [line for section in exact[:3] for line in section.lines if line.name != CORE20]
    assert sum(line.n or 0 for line in parts) == 8
    shown = lines(summary, None)
    assert shown["Not known or withheld (pseudo-postcode)"].n == 2
    assert (shown["Found in the directory"].n, shown["Not found"].n) == (1, 7)


def test_the_text_holds_no_exact_figure_unless_it_is_asked_for(enricher: Enricher, homes: dict[int, str]) -> None:
    summary = summed(enricher, *[homes[1]] * 103, *[homes[2]] * 211, *[""] * 7)
    shared = summary.text(RULE, date(2026, 11, 23))
    assert not {"103", "211", "314", "321"} & set(shared.split())
    assert {"103", "211", "314"} <= set(summary.text(RULE, date(2026, 11, 23), exact=True).split())


class _Meddler:
    """Whoever writes to a file while it is read."""

    columns: Sequence[str] = ()

    def __init__(self, file: Path) -> None:
        self._file = file

    def observe(self, answers: Answers, column: object) -> None:
        with self._file.open("a") as file:
            file.write("M1 1AE\n")


def test_a_file_that_is_changed_while_it_is_read_is_not_answered(enricher: Enricher, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("postcode\nNG1 1AA\n", "utf-8")
    with pytest.raises(FileProblemError, match="was changed while it was read"):
        enrich_file(source, tmp_path / "out.csv", Plan(enricher, observers=[_Meddler(source)]))
    assert [file.name for file in tmp_path.iterdir()] == ["in.csv"]
