"""Clinical areas of Core20PLUS5 by specialty and age; without either, none."""

from typing import Any

import pytest

from app.context.core20plus5 import Core20Plus5, read_age, read_specialty
from app.context.files import RuleFolder
from app.counts.vocabulary import vocabulary

MAP = Core20Plus5.load(RuleFolder())


def areas(specialty: str, age: int | None) -> list[tuple[str, str, str]]:
    return [(a.programme, a.id, a.strength) for a in MAP.areas(specialty, age)]


@pytest.mark.parametrize(
    ("specialty", "age", "expected"),
    [
        ("340", 54, [("adult", "chronic_respiratory_disease", "direct")]),
        ("340", 17, []),
        ("258", 17, [("cyp", "asthma", "direct")]),
        ("258", 18, []),
        ("140", 40, []),
        ("140", 8, [("cyp", "oral_health", "related")]),
        ("720", 17, [("cyp", "mental_health", "related")]),
        ("720", 18, [("adult", "severe_mental_illness", "related")]),
        ("501", 16, [("adult", "maternity", "direct")]),
        ("501", 11, []),
        (
            "173",
            70,
            [("adult", "chronic_respiratory_disease", "related"), ("adult", "early_cancer_diagnosis", "related")],
        ),
        ("422", 0, []),  # a baby's own record is not about its mother's care
        ("142", 9, [("cyp", "oral_health", "direct")]),
        ("142", 10, []),
        ("300", 70, [("adult", "hypertension_cvd", "weak")]),
        ("100", 54, []),
        ("999", 54, []),
    ],
)
def test_age_and_not_specialty_tells_adults_from_children(specialty: str, age: int, expected: list[Any]) -> None:
    assert areas(specialty, age) == expected


def test_without_an_age_or_a_specialty_none_is_offered() -> None:
    assert MAP.areas("720", None) == ()
    assert MAP.areas(None, 54) == ()


def test_the_strongest_link_comes_first_and_each_area_can_be_found_by_its_names() -> None:
    for specialty in vocabulary().specialties:
        for age in (5, 15, 30, 70):
            found = MAP.areas(specialty, age)
            order = ["direct", "related", "weak"]
            assert [a.strength for a in found] == sorted((a.strength for a in found), key=order.index)
            assert all(MAP.area(a.programme, a.id, a.strength) is a for a in found)


def test_every_specialty_of_the_map_is_a_treatment_function() -> None:
    assert set(MAP._areas) <= set(vocabulary().specialties)


@pytest.mark.parametrize("value", [54, "54", " 54 ", 54.0])
def test_an_age_is_read_in_every_way_in_which_a_contact_may_write_it(value: Any) -> None:
    assert read_age(value) == 54


@pytest.mark.parametrize(
    "value", [131, -1, True, "", None, "fifty", 54.5, "٥٤", "1300", [54], {}, float("nan"), float("inf")]
)
def test_what_is_no_age_is_none(value: Any) -> None:
    assert read_age(value) is None
    assert read_age(0) == 0
    assert read_age(130) == 130


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("340", "340"),
        (340, "340"),
        (" 340", "340"),
        ("34", None),
        (34, None),
        (True, None),
        ("３４０", None),
        ({}, None),
    ],
)
def test_a_specialty_is_three_digits(value: Any, code: str | None) -> None:
    assert read_specialty(value) == code
