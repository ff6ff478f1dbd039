"""Which cards a hook is answered with, and that nothing about the person decides it."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.context.files import RuleFolder
from app.context.inclusion import Inclusion
from app.context.rulebook import Rulebook
from app.enrichment import Question, Rules, enrich
from app.interop.cds_hooks import (
    EXTENSION,
    context_card,
    discovery,
    is_shown,
    offers_card,
    prefetched_patient,
    question_of,
)
from app.interop.patient import ETHNIC_CATEGORY, ETHNIC_SYSTEMS, INTERPRETER
from app.lookup.index import Index
from tests import starter_data
from tests.unit.context.rule_folders import changed

DAY = date(2026, 11, 22)
UNKNOWN = {
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


def patient(postcode: Any, **fields: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "address": [{"use": "home", "postalCode": postcode}], **fields}


def card(sent: dict[str, Any], index: Index, rules: Rules, every_decile: bool = False) -> dict[str, Any] | None:
    answer = enrich(question_of(sent, DAY), index, rules)
    if not is_shown(answer.reading, every_decile=every_decile):
        return None
    return context_card(answer, index.release, rules, "an id", None)


def by_decile(index: Index, rules: Rules) -> dict[int | None, str]:
    """A starter postcode of each decile."""
    found = {}
    for postcode in starter_data.postcodes():
        reading = enrich(Question(postcode), index, rules).reading
        if reading.country == "England" and reading.postcode_status == "live":
            found[reading.imd_decile] = postcode
    return found


def test_the_most_deprived_fifth_has_a_card_and_no_other_decile_has_one(index: Index, rules: Rules) -> None:
    postcodes = by_decile(index, rules)
    assert {1, 2, 3, 6, 10} <= set(postcodes)
    for decile, postcode in postcodes.items():
        shown = card(patient(postcode), index, rules)
        assert (shown is not None) == (decile in (1, 2, None)), decile


def test_a_card_says_the_sentence_the_second_one_and_three_questions(index: Index, rules: Rules) -> None:
    postcode = by_decile(index, rules)[1]
    shown = card(patient(postcode), index, rules)
    assert shown
    assert shown["summary"] == enrich(Question(postcode), index, rules).reading.summary
    assert shown["detail"].startswith("This is about the area. Ask what matters to this person.\n\n")
    assert shown["detail"].count("\n- ") + shown["detail"].count("\n\n- ") >= 3
    for cue in rules.book.prompts.ask(None, None)[:3]:
        assert f"- {cue.text}" in shown["detail"]
    assert rules.book.area.never in shown["detail"]
    assert "English Indices of Deprivation 2025" in shown["detail"]
    assert shown["extension"][EXTENSION]["decile"] == 1
    assert shown["extension"][EXTENSION]["core20"] is True
    assert "core20_reason" not in shown["extension"][EXTENSION]


def test_a_childs_card_asks_the_parent(index: Index, rules: Rules) -> None:
    shown = card(patient(by_decile(index, rules)[1], birthDate="2020-01-01"), index, rules)
    assert shown
    assert "Questions for the parent or carer" in shown["detail"]
    assert "Ask the child too." in shown["detail"]


@pytest.mark.parametrize(("status", "postcode"), UNKNOWN.items())
def test_the_unknown_has_a_neutral_card(index: Index, rules: Rules, status: str, postcode: str) -> None:
    reading = enrich(Question(postcode), index, rules).reading
    assert reading.postcode_status == status
    shown = card(patient(postcode), index, rules)
    assert shown
    assert shown["summary"] == reading.summary
    assert "?" not in shown["detail"]
    assert not {"decile", "quintile", "core20"} & set(shown["extension"][EXTENSION])
    assert shown["extension"][EXTENSION]["core20_reason"]


def test_a_patient_without_an_address_is_answered_as_one_without_a_postcode(index: Index, rules: Rules) -> None:
    empty = card(patient(""), index, rules)
    assert empty
    assert "We do not know the home postcode" in empty["summary"]
    for sent in ({"resourceType": "Patient"}, patient(None), patient(7)):
        assert card(sent, index, rules) == empty


def test_a_withheld_address_has_the_card_of_no_fixed_abode_whatever_the_words(
    index: Index, rules: Rules, tmp_path: Path
) -> None:
    words = changed(
        tmp_path, "summaries.toml", ('withheld = "There is no home', 'withheld = "SECRET: there is no home')
    )
    for used in (rules, Rules("IoD2025", Rulebook.load(words))):
        withheld, homeless = (card(patient(p), index, used) for p in ("ZZZSECUR", "ZZ99 3VZ"))
        assert withheld == homeless
        assert withheld
        assert "withheld" not in str(withheld)
        assert "no_fixed_abode" not in str(withheld)
        assert card(patient("NF1 1AB"), index, used) == homeless


def test_other_nations_and_higher_deciles_have_a_quiet_card_only_on_wish(index: Index, rules: Rules) -> None:
    wales = next(
        p
        for p in starter_data.postcodes()
        if enrich(Question(p), index, rules).reading.country not in ("England", None)
    )
    for postcode in (wales, by_decile(index, rules)[3], by_decile(index, rules)[10]):
        assert card(patient(postcode), index, rules) is None
        quiet = card(patient(postcode), index, rules, every_decile=True)
        assert quiet
        assert quiet["indicator"] == "info"
        assert "?" not in quiet["detail"]
        assert quiet["extension"][EXTENSION].get("core20") is not True


def test_a_caution_is_said_beside_a_decile(index: Index, tmp_path: Path, rules: Rules) -> None:
    postcode = by_decile(index, rules)[1]
    text = Path(tmp_path, "places.csv")
    changed(tmp_path, "places.csv")
    text.write_text(text.read_text() + f"{postcode},hospital,ODS,2026-01-01\n")
    own = Rules("IoD2025", Rulebook.load(tmp_path))
    shown = card(patient(postcode), index, own)
    assert shown
    assert own.book.cautions.sentences["hospital"] in shown["detail"]


def test_every_starter_postcode_has_a_summary_under_140_characters(index: Index, rules: Rules) -> None:
    for postcode in (*starter_data.postcodes(), *UNKNOWN.values()):
        shown = card(patient(postcode), index, rules, every_decile=True)
        assert shown
        assert len(shown["summary"]) < 140


def test_a_longer_sentence_of_the_organisations_own_is_cut(index: Index, tmp_path: Path) -> None:
    words = changed(
        tmp_path, "summaries.toml", ('no_fixed_abode = "There is', f'no_fixed_abode = "{"x" * 60} There is')
    )
    own = Rules("IoD2025", Rulebook.load(words))
    shown = card(patient("ZZ99 3VZ"), index, own)
    assert shown
    assert len(enrich(Question("ZZ99 3VZ"), index, own).reading.summary) > 130
    assert len(shown["summary"]) < 140


_codes = [rule.code for rule in Inclusion.load(RuleFolder()).rules if rule.signal == "ethnic_category"]
_person = st.fixed_dictionaries(
    {},
    optional={
        "extension": st.lists(
            st.one_of(
                st.builds(lambda b: {"url": INTERPRETER, "valueBoolean": b}, st.booleans()),
                st.builds(
                    lambda s, c: {
                        "url": ETHNIC_CATEGORY,
                        "valueCodeableConcept": {"coding": [{"system": s, "code": c}]},
                    },
                    st.sampled_from(sorted(ETHNIC_SYSTEMS)),
                    st.sampled_from(_codes) | st.text(max_size=3),
                ),
            ),
            max_size=3,
        ),
        "gender": st.sampled_from(["male", "female", "other", "unknown"]),
        "name": st.just([{"family": "Quartz"}]),
        "communication": st.just([{"language": {"coding": [{"code": "pl"}]}, "preferred": True}]),
        "maritalStatus": st.just({"text": "x"}),
        "generalPractitioner": st.just([{"reference": "Organization/1"}]),
        "signals": st.just({"snomed": ["32911000"], "accommodation_status": "HM01"}),
        "contact": st.just([{"address": {"use": "home", "postalCode": "ZZ99 3VZ"}}]),
    },
)


@given(person=_person, postcode=st.sampled_from([*starter_data.postcodes(), *UNKNOWN.values()]))
def test_nothing_about_the_person_triggers_or_alters_a_card_about_the_area(
    index: Index, rules: Rules, person: dict[str, Any], postcode: str
) -> None:
    assert card(patient(postcode, **person), index, rules) == card(patient(postcode), index, rules)


@given(sent=_person, postcode=st.sampled_from([*starter_data.postcodes(), *UNKNOWN.values(), None]))
def test_offers_are_the_same_for_every_area(
    index: Index, rules: Rules, sent: dict[str, Any], postcode: str | None
) -> None:
    offered = offers_card(patient(postcode, **sent), DAY, rules, "an id")
    assert offered == offers_card(sent, DAY, rules, "an id")
    assert set(offered["extension"][EXTENSION]) == {"rules"}
    said = f"{offered['summary']} {offered['detail']}"
    assert not [word for word in ("area", "deprived", "Core20", "decile", "IoD") if word in said]


def test_an_offer_of_an_interpreter_is_worded_by_the_record(rules: Rules, tmp_path: Path) -> None:
    asked, needed = (
        offers_card({"extension": [{"url": INTERPRETER, "valueBoolean": b}]}, DAY, rules, "an id")["detail"]
        for b in (False, True)
    )
    assert "Ask whether they need an interpreter." in asked
    assert "The record says that an interpreter is needed. Book a trained interpreter, not family or friends." in needed
    assert [line for line in needed.splitlines() if "Interpreter" not in line] == [
        line for line in asked.splitlines() if "Interpreter" not in line
    ]


@pytest.mark.parametrize(
    "prefetch",
    [
        None,
        {},
        {"patient": None},
        {"patient": []},
        {"patient": "Patient/1"},
        {"patient": {}},
        {"patient": {"resourceType": "OperationOutcome"}},
        {"Patient": {"resourceType": "Patient"}},
    ],
)
def test_what_is_no_patient_is_none(prefetch: Any) -> None:
    assert prefetched_patient(prefetch) is None


def test_discovery_says_that_no_card_means_nothing_and_what_a_card_is_never_for() -> None:
    for service in discovery()["services"]:
        assert "No card means nothing about need" in service["description"]
        assert "Never for" in service["usageRequirements"]
