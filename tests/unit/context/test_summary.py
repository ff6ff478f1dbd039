"""What is said of an area, word by word."""

import pytest

from app.context.summary import Summaries
from app.lookup.deprivation import NATIONS, Status

SUMMARIES = Summaries.load()
SPECIAL: list[Status] = [
    "not_found",
    "malformed",
    "no_fixed_abode",
    "address_not_known",
    "country_only",
    "overseas",
    "forces",
    "crown_dependency",
    "withheld",
]


@pytest.mark.parametrize(
    ("decile", "words"),
    [
        (1, "more deprived than about 9 in 10"),
        (2, "more deprived than about 8 in 10"),
        (3, "more deprived than about 7 in 10"),
        (4, "more deprived than about 6 in 10"),
        (5, "more deprived than about 5 in 10"),
        (6, "less deprived than about 5 in 10"),
        (7, "less deprived than about 6 in 10"),
        (8, "less deprived than about 7 in 10"),
        (9, "less deprived than about 8 in 10"),
        (10, "less deprived than about 9 in 10"),
    ],
)
def test_each_decile_says_how_many_areas_are_better_or_worse_off(decile: int, words: str) -> None:
    live = SUMMARIES.sentence("live", "England", decile, None)
    assert live == f"This home postcode is in an area {words} areas in England."
    old = SUMMARIES.sentence("terminated", "England", decile, None)
    assert old == f"This is an old postcode, so please check it: its area is {words} in England."


@pytest.mark.parametrize("nation", NATIONS[1:])
def test_another_nation_is_named_and_core20_is_said_to_be_englands(nation: str) -> None:
    said = SUMMARIES.sentence("live", nation, 3, None)  # type: ignore[arg-type]
    assert said.endswith(f"areas in {nation}. Core20 is for England only.")
    assert nation in SUMMARIES.sentence("live", nation, None, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("status", SPECIAL)
def test_no_special_status_says_anything_of_deprivation(status: Status) -> None:
    assert "deprived" not in SUMMARIES.sentence(status, None, None, None)


def test_a_protected_address_sounds_like_no_home_postcode() -> None:
    assert SUMMARIES.sentence("withheld", None, None, None) == SUMMARIES.sentence("no_fixed_abode", None, None, None)


def test_an_empty_postcode_asks_for_it_rather_than_calling_it_misspelt() -> None:
    assert "please ask for it" in SUMMARIES.sentence("malformed", None, None, "empty")
    assert "please check it" in SUMMARIES.sentence("malformed", None, None, "partial")


def test_every_sentence_is_short_plain_and_about_the_area() -> None:
    said = [
        SUMMARIES.sentence(status, nation, decile, None)  # type: ignore[arg-type]
        for status in ("live", "terminated", *SPECIAL)
        for nation in NATIONS
        for decile in (None, *range(1, 11))
        if decile is None or status in ("live", "terminated")
    ]
    for sentence in said:
        assert len(sentence) < 140, sentence
        assert "patient" not in sentence
        assert "{" not in sentence
