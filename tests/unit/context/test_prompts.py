"""Three open cues for everybody, at every decile and without one; the area only puts follow-ups in order."""

from itertools import product

import pytest

from app.context.files import RuleFolder
from app.context.prompts import AUDIENCES, Prompts

PROMPTS = Prompts.load(RuleFolder())
CUES = ["typical_day", "in_the_way", "help_already_had"]
TOPICS = {"housing", "work", "food", "travel", "air"}


def ids(age: int | None, deciles: tuple[int, ...] | None) -> list[str]:
    return [prompt.id for prompt in PROMPTS.ask(age, deciles)]


@pytest.mark.parametrize("age", [None, 0, 11, 12, 17, 18, 99, 130])
@pytest.mark.parametrize("deciles", [None, (0,) * 7, *((d,) * 7 for d in range(1, 11))])
def test_the_same_questions_are_offered_at_every_age_and_decile(age: int | None, deciles: tuple[int, ...]) -> None:
    assert ids(age, deciles)[:3] == CUES
    assert set(ids(age, deciles)[3:]) == TOPICS


@pytest.mark.parametrize(
    ("age", "audience"),
    [
        (None, "adult"),
        (0, "parent"),
        (11, "parent"),
        (12, "young_person"),
        (17, "young_person"),
        (18, "adult"),
        (90, "adult"),
    ],
)
def test_parents_and_young_people_have_words_of_their_own(age: int | None, audience: str) -> None:
    assert PROMPTS.audience(age) == audience


def test_the_most_deprived_domain_comes_first() -> None:
    # income, employment, education, health, crime, barriers, living environment
    assert ids(54, (9, 9, 9, 9, 9, 9, 1))[3:5] == ["housing", "air"]
    assert ids(54, (9, 1, 9, 9, 9, 9, 9))[3] == "work"
    assert ids(54, (1, 9, 9, 9, 9, 9, 9))[3:5] == ["work", "food"]
    assert ids(54, (9, 9, 9, 9, 9, 1, 9))[3:5] == ["housing", "travel"]


def test_crime_health_and_education_of_an_area_change_no_question() -> None:
    usual = ids(54, (5,) * 7)
    for education, health, crime in product((1, 10), repeat=3):
        assert ids(54, (5, 5, education, health, crime, 5, 5)) == usual


def test_where_nothing_is_known_the_order_is_that_of_the_file() -> None:
    assert ids(None, None) == [*CUES, "housing", "work", "food", "travel", "air"]
    assert ids(None, (0,) * 7) == ids(None, None)


def test_every_question_is_open_plain_and_blames_nobody() -> None:
    for audience in AUDIENCES:
        assert PROMPTS.asked[audience][0].startswith("Questions ")
        for prompt in PROMPTS.ask_as(audience, None):
            assert prompt.text.endswith("?")
            assert len(prompt.text) <= 120
            for word in ("deprived", "why did", "fail", "crime", "should", "decile", "your home"):
                assert word not in prompt.text.lower()
