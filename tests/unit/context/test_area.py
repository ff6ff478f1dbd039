"""What is said of an area: plain, about the area, and never a figure of few."""

from itertools import pairwise

import pytest

from app.context.area import AreaRules
from app.context.files import RuleFolder
from app.lookup.deprivation import DOMAINS
from app.lookup.index import FEW, Index

AREA = AreaRules.load(RuleFolder())


def said(share: int, measure: str = "no_car") -> str:
    (fact,) = AREA.facts(None, {measure: share}, None)
    assert fact.share == (None if share == FEW else share)
    return fact.sentence


@pytest.mark.parametrize(
    ("share", "begins", "standing"),
    [
        (70, "About 70 in 100 homes here", ": more than in about 9 in 10 areas in England, where it is 24 in 100."),
        (41, "About 41 in 100 homes here", ": more than in about 8 in 10 areas in England, where it is 24 in 100."),
        (24, "About 24 in 100 homes here", ". In England it is 24 in 100."),
        (20, "About 20 in 100 homes here", ". In England it is 24 in 100."),
        (8, "About 8 in 100 homes here", ": fewer than in about 8 in 10 areas in England, where it is 24 in 100."),
        (0, "Fewer than 1 in 100 homes here", ". In England it is 24 in 100."),
        (FEW, "Few homes here", ". In England it is 24 in 100."),
    ],
)
def test_a_share_is_said_with_where_it_stands_in_england(share: int, begins: str, standing: str) -> None:
    assert said(share) == f"{begins} have no car or van{standing}"


def test_where_whole_percents_leave_the_standing_open_it_is_not_said() -> None:
    assert "areas" not in said(1, "limited_english")  # from 0.5% to 1.5% lie three tenths of areas


def test_a_small_number_is_few_and_has_no_figure() -> None:
    (fact,) = AREA.facts(None, {"overcrowded": FEW}, None)
    assert fact.few
    assert fact.share is None
    assert fact.sentence.startswith("Few homes here")


def test_domains_are_said_as_the_decile_is_and_an_unknown_one_is_left_out() -> None:
    facts = AREA.facts((1, 6, 0, 10, 5, 2, 9), {}, None)
    assert {fact.id: fact.decile for fact in facts} == {
        "income": 1,
        "employment": 6,
        "health": 10,
        "crime": 5,
        "barriers": 2,
        "living_environment": 9,
    }
    sentences = {fact.id: fact.sentence for fact in facts}
    assert sentences["income"] == "Income: more deprived than about 9 in 10 areas in England."
    assert sentences["employment"] == "Work: less deprived than about 5 in 10 areas in England."
    assert sentences["barriers"] == "Housing and services: more deprived than about 8 in 10 areas in England."


def test_each_domain_says_more_the_more_deprived_it_is() -> None:
    for facts in AREA.domains.values():
        assert [fact.decile for fact in facts] == list(range(1, 11))
        assert len({fact.sentence for fact in facts}) == 10


def test_rural_and_urban_are_said_and_not_known_is_silent() -> None:
    assert [f.sentence for f in AREA.facts(None, {}, True)] == ["This is a rural area."]
    assert [f.sentence for f in AREA.facts(None, {}, False)] == ["This is an urban area: a town or a city."]
    assert AREA.facts(None, {"no_car": None}, None) == ()


def test_every_sentence_is_about_the_area_and_blames_nobody() -> None:
    for facts in (*AREA.domains.values(), *AREA.measures.values(), AREA.rural):
        for fact in facts:
            assert len(fact.sentence) <= 160
            for word in ("patient", "they are deprived", "you are", "{", "bad", "poor"):
                assert word not in fact.sentence


def test_the_standing_never_falls_while_the_share_rises() -> None:
    for facts in AREA.measures.values():
        stand = [_standing(f.sentence) for f in facts[:101]]
        known = [s for s in stand if s is not None]
        assert all(a <= b for a, b in pairwise(known))


def _standing(sentence: str) -> int | None:
    for words, sign in (("more than in about ", 1), ("fewer than in about ", -1)):
        if words in sentence:
            return sign * int(sentence.split(words)[1][0])
    return None


def test_every_measure_of_the_index_has_its_words(index: Index) -> None:
    assert set(index.measures) == set(AREA.measures)
    assert set(AREA.domains) == set(DOMAINS)
