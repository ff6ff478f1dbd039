"""The published decile stays; what to mind is said beside it. Of a protected place nothing is said at all."""

from datetime import date
from pathlib import Path

import pytest

from app.context.rulebook import Rulebook
from app.contract.render import render
from app.counts.intake import NO_CONTACT
from app.enrichment import Question, Rules, enrich, enrich_each
from app.lookup import layout
from app.lookup.index import Index
from tests.unit.context.rule_folders import with_lines

DAY = date(2026, 11, 22)


@pytest.fixture
def rules(tmp_path: Path) -> Rules:
    """The shipped rules with some places."""
    local = with_lines(
        tmp_path,
        "places.csv",
        "NG1 1AA,hospital,ODS,2026-01-01",
        "ng5 1pb,student,local,2026-01-01",
        "NG51PB,communal,local,2026-01-01",
        "NG7 2UH,refuge,local,2026-01-01",
        "\u200bHX1\u00a02JZ\u2060,prison,ODS,2026-01-01",  # as a spreadsheet may hold it
        "B1 1BB,care_home,CQC,2026-01-01",
    )
    return Rules("IoD2025", Rulebook.load(local))


def test_a_listed_place_is_minded_and_its_decile_stays(index: Index, rules: Rules) -> None:
    reading = enrich(Question("NG1 1AA"), index, rules).reading
    assert reading.cautions == ("hospital",)
    assert reading.imd_decile == 3


def test_a_place_of_two_kinds_has_both_cautions_in_order(index: Index, rules: Rules) -> None:
    assert enrich(Question("NG5 1PB"), index, rules).reading.cautions == ("communal", "student")


def test_a_place_is_minded_even_where_the_postcode_is_not_found(index: Index, rules: Rules) -> None:
    reading = enrich(Question("B1 1BB"), index, rules).reading
    assert reading.postcode_status == "not_found"
    assert reading.cautions == ("care_home",)


@pytest.mark.parametrize("text", ["NG7 2UH", "ng72uh", " NG7  2UH ", "NG7\u200b2UH", "NG7 2uh\n", "HX1 2JZ", "HX12JZ"])
def test_a_protected_place_is_answered_as_a_withheld_address_to_the_last_byte(
    index: Index, rules: Rules, text: str
) -> None:
    signals = {"snomed": ["32911000", "nonsense"], "interpreter_required": True}
    contact = {"specialty": "340", "age": 54}

    def answer(postcode: str) -> bytes:
        question = Question(postcode, contact, signals, with_area=True, context_on=DAY)
        (batch,) = enrich_each([question], index, rules)
        single = enrich(question, index, rules)
        assert batch == single
        return render(single, NO_CONTACT, index.release, rules, may_see_groups=True)

    assert answer(text) == answer("ZZZ SECUR")


def test_a_place_written_with_a_letter_for_a_digit_is_still_protected(index: Index, rules: Rules) -> None:
    assert enrich(Question("HX1 2JZ".replace("1", "I")), index, rules).reading.postcode_status == "withheld"


def test_a_postcode_newer_than_the_editions_data_is_minded(rules: Rules) -> None:
    cautions = rules.book.cautions
    march_2023 = (2023 - 1970) * 12 + 3
    assert cautions.data_to("IoD2025") == march_2023
    in_march, in_april = march_2023 << layout.INTRODUCED_SHIFT, (march_2023 + 1) << layout.INTRODUCED_SHIFT
    assert not (in_march | layout.AREA | layout.LOW_PRECISION | layout.LARGE_USER) > rules.oldest_new
    assert in_april > rules.oldest_new
    assert not in_april > Rules("WIMD2025", rules.book).oldest_new


def test_every_caution_is_a_short_sentence_that_may_be_overheard(rules: Rules) -> None:
    for caution, sentence in rules.book.cautions.sentences.items():
        assert sentence.endswith("."), caution
        assert len(sentence) < 110
        for word in ("prison", "refuge", "homeless", "patient"):
            assert word not in sentence


def test_without_places_no_postcode_is_read_twice(index: Index) -> None:
    assert Rulebook.load().cautions.place("anything at all") == ()
