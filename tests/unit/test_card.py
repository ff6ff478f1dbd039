"""A card's content: codes in a token, and the same words as the JSON answer when it is opened."""

import json
from datetime import date
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.card import pack, view_of
from app.context.rulebook import Rulebook
from app.enrichment import Question, Rules, enrich
from app.lookup.deprivation import Status
from app.lookup.index import Index
from app.pages.card import CardView, render_card
from app.pages.token import seal
from tests import starter_data
from tests.unit.context.rule_folders import with_lines

DAY = date(2026, 11, 22)
STATUSES = {
    "live": "NG1 1AA",
    "terminated": "SR2 0QW",
    "not_found": "B1 1BB",
    "malformed": "NG1",
    "no_fixed_abode": "ZZ99 3VZ",
    "address_not_known": "ZZ99 3WZ",
    "country_only": "ZZ99 3GZ",
    "overseas": "ZZ99 6BZ",
    "forces": "BF1 1AA",
    "crown_dependency": "IM1 1AA",
    "withheld": "ZZZSECUR",
}


def card(index: Index, rules: Rules, postcode: str | None, groups: bool = True, **sent: Any) -> CardView:
    question = Question(postcode, sent.get("contact"), sent.get("signals"), context_on=DAY)
    answer = enrich(question, index, rules)
    view = view_of(pack(question, answer, index, may_see_groups=groups), rules)
    assert view.summary == answer.reading.summary
    return view


@pytest.mark.parametrize("status", get_args(Status))
def test_every_status_has_an_honest_card(index: Index, rules: Rules, status: Status) -> None:
    view = card(index, rules, STATUSES[status])
    assert enrich(Question(STATUSES[status]), index, rules).reading.postcode_status == status
    assert len(view.cues) == 3
    assert view.second == "This is about the area. Ask what matters to this person."
    if status not in ("live", "terminated"):
        assert view.core20 in ("Core20: not known", "Core20 does not apply")
        assert view.bars == ()
        assert "deprived" not in view.summary
        assert view.core20_detail.endswith(".")


def test_every_starter_postcode_has_a_card_that_says_what_the_answer_says(index: Index, rules: Rules) -> None:
    for postcode in starter_data.postcodes():
        answer = enrich(Question(postcode, context_on=DAY), index, rules)
        view = card(index, rules, postcode)
        assert answer.context is not None
        assert [bar.decile for bar in view.bars[1:] if bar.decile] == [
            f.decile for f in answer.context.area if f.decile
        ]
        assert not view.bars or view.bars[0].decile == answer.reading.imd_decile
        assert list(view.cues + view.follow_ups) == [p.text for p in answer.context.prompts]
        said = {True: "This area is in Core20", False: "This area is not in Core20", None: "Core20: not known"}
        elsewhere = answer.reading.core20_reason in ("not_in_england", "crown_dependency")
        assert view.core20 == ("Core20 does not apply" if elsewhere else said[answer.reading.core20])


def test_the_first_view_is_the_same_whatever_the_signals_say(index: Index, rules: Rules) -> None:
    signals = {"snomed": ["32911000", "191816009"], "interpreter_required": True}
    plain, told = card(index, rules, "NG1 1AA"), card(index, rules, "NG1 1AA", signals=signals)
    assert [line.title for line in told.private] == ["Homelessness", "Drug or alcohol use", "Interpreter"]
    assert plain.private == ()
    for name in CardView.__slots__:
        assert name == "private" or getattr(plain, name) == getattr(told, name)


def test_a_withheld_address_and_no_fixed_abode_differ_in_the_private_part_alone(index: Index, rules: Rules) -> None:
    signals = {"snomed": ["191816009"]}
    withheld, homeless = (card(index, rules, p, signals=signals) for p in ("ZZZ SECUR", "ZZ99 3VZ"))
    assert withheld.private == ()
    assert homeless.private[0].text.startswith("The record says 'no fixed abode'")
    for name in CardView.__slots__:
        assert name == "private" or getattr(withheld, name) == getattr(homeless, name)


def test_without_the_scope_a_card_holds_needs_and_no_groups(index: Index, rules: Rules) -> None:
    signals = {"snomed": ["32911000"], "interpreter_required": True}
    view = card(index, rules, "ZZ99 3VZ", groups=False, signals=signals)
    assert [line.title for line in view.private] == ["Interpreter"]


def test_a_token_holds_no_postcode_no_area_no_age_and_no_signal(index: Index, rules: Rules) -> None:
    contact = {"specialty": "340", "age": 87, "date": "2026-11-20", "event_id": "an-id"}
    signals = {"snomed": ["32911000"], "accommodation_status": "HM01"}
    question = Question("NG1 1AA", contact, signals, with_area=True, context_on=DAY)
    packed = pack(question, enrich(question, index, rules), index, may_see_groups=True).decode()
    for sent in ("NG1", "1AA", "E01035500", "E06000018", "E54000060", "7420", "87", "340", "32911000", "HM01", "an-id"):
        assert sent not in packed, sent


def test_every_token_of_starter_data_has_one_length(index: Index, rules: Rules) -> None:
    signals = {"snomed": [r.code for r in rules.book.inclusion.rules if r.signal == "snomed"]}
    lengths = set()
    for postcode in (*starter_data.postcodes(), *STATUSES.values()):
        for sent in (None, signals):
            question = Question(postcode, {"specialty": "173", "age": 40}, sent, context_on=DAY)
            packed = pack(question, enrich(question, index, rules), index, may_see_groups=True)
            lengths.add(len(seal(packed, [b"sixteen characters"], 0)))
    assert len(lengths) == 1


def test_a_card_made_before_a_rule_went_away_still_opens(index: Index, rules: Rules, tmp_path: Path) -> None:
    entry = "city,City advice,Help with money,Anyone,,,lad,E06000018,0115 496 0000,,2026-10-01,2027-10-01,the city"
    wider = Rules("IoD2025", Rulebook.load(with_lines(tmp_path, "signposts.csv", entry)))
    question = Question("NG1 1AA", context_on=DAY)
    packed = pack(question, enrich(question, index, wider), index, may_see_groups=True)
    assert view_of(packed, wider).signposts[0].title == "City advice"
    assert view_of(packed, rules).signposts[0].title == "Help with health costs"


def test_what_is_no_card_is_refused(rules: Rules) -> None:
    for packed in (b"", b"{}", b"[]", b"[1,2,3]", b"\xff", json.dumps([None] * 30).encode()):
        with pytest.raises(ValueError):
            view_of(packed, rules)


def test_an_entry_that_nobody_checked_says_so(index: Index, rules: Rules) -> None:
    view = card(index, rules, "NG1 1AA")
    assert all((line.note or "").endswith("Not yet checked by this organisation.") for line in view.signposts)
    assert view.signposts


def test_any_question_makes_a_card_that_renders(index: Index, rules: Rules) -> None:
    @given(
        st.one_of(st.none(), st.text(max_size=12), st.sampled_from([*STATUSES.values(), *starter_data.postcodes()])),
        st.one_of(st.none(), st.integers(), st.text(max_size=4)),
        st.one_of(st.none(), st.sampled_from(["340", "258", "501", "720", "x", 173])),
    )
    def check(postcode: str | None, age: Any, specialty: Any) -> None:
        view = card(index, rules, postcode, contact={"age": age, "specialty": specialty})
        assert len(view.bars) in (0, 8)
        assert render_card(view).startswith(b"<!DOCTYPE html>")

    check()
