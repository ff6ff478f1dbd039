"""What is counted of a contact, value by value, and what is said of a value that cannot be."""

from datetime import date
from typing import Any

import pytest

from app.context.notices import Notice
from app.counts.contact import Contact, read_contact

TODAY = date(2026, 11, 22)
FULL: dict[str, Any] = {
    "specialty": "340",
    "type": "outpatient",
    "attendance": "new",
    "mode": "phone",
    "outcome": "attended",
    "date": "2026-10-20",
    "event_id": "opaque-to-us",
    "age": 54,
    "sex": "female",
    "ethnic_category": {"system": "england", "code": "H"},
}
A = "absent"
BAD_STRINGS = [
    pytest.param("", id="empty"),
    pytest.param("absent", id="absent"),
    pytest.param("unrecognised", id="unrecognised"),
    pytest.param("\ud800", id="surrogate"),
    pytest.param("\x00", id="zero byte"),
    pytest.param("x" * 10_000, id="ten thousand letters"),
    pytest.param("9" * 10_000, id="ten thousand digits"),
    pytest.param("٣٤٠", id="arabic digits"),
    pytest.param("³⁴⁰", id="superscript digits"),
    pytest.param("３４０", id="fullwidth digits"),
]
BAD_NUMBERS = [
    pytest.param(True, id="true"),
    pytest.param(False, id="false"),
    pytest.param(-1, id="minus one"),
    pytest.param(10**5000, id="huge"),
    pytest.param(-(10**5000), id="hugely negative"),
    pytest.param(1.5, id="fraction"),
    pytest.param(float("nan"), id="nan"),
    pytest.param(float("inf"), id="infinity"),
    pytest.param(float("-inf"), id="minus infinity"),
    pytest.param(1e300, id="huge float"),
]


def counted(**sent: Any) -> Contact:
    """The contact of values that are all good, without any warning."""
    contact, notices = read_contact(sent, TODAY)
    assert contact is not None
    assert notices == ()
    return contact


def problems(**sent: Any) -> list[tuple[str, str]]:
    """The notices of a contact that is not counted."""
    contact, notices = read_contact(sent, TODAY)
    assert contact is None
    return [tuple(notice) for notice in notices]  # type: ignore[misc]


def test_a_full_contact_is_counted_word_by_word() -> None:
    assert counted(**FULL) == Contact(
        month="2026-10",
        specialty="340",
        type="outpatient",
        attendance="new",
        outcome="attended",
        age_band="40-64",
        age_five="50-54",
        sex="female",
        ethnic_category="england:H",
        event_id="opaque-to-us",
    )


def test_an_empty_contact_is_of_this_month_and_absent_in_all_else() -> None:
    assert counted() == Contact("2026-11", A, A, A, A, A, A, A, A, None)


def test_null_is_as_good_as_not_sent() -> None:
    assert counted(**dict.fromkeys(FULL)) == counted()
    assert counted(ethnic_category={"system": None, "code": None}) == counted()


def test_all_problems_are_told_at_once_each_by_its_field() -> None:
    wrong = {**dict.fromkeys(FULL, "?"), "event_id": "", "ethnic_category": {"system": "?", "code": ""}}
    assert sorted(problems(**wrong)) == [
        ("contact.age", "not_a_number"),
        ("contact.attendance", "unknown_value"),
        ("contact.date", "not_a_date"),
        ("contact.ethnic_category.code", "not_a_code"),
        ("contact.ethnic_category.system", "unknown_value"),
        ("contact.event_id", "not_an_id"),
        ("contact.mode", "unknown_value"),
        ("contact.outcome", "unknown_value"),
        ("contact.sex", "unknown_value"),
        ("contact.specialty", "not_a_code"),
        ("contact.type", "unknown_value"),
    ]


def test_a_warning_stands_beside_the_problems() -> None:
    assert problems(specialty="999", sex="?") == [
        ("contact.specialty", "unrecognised"),
        ("contact.sex", "unknown_value"),
    ]


# -------------------------------------------------------------------------------------------- specialty


@pytest.mark.parametrize("sent", ["340", " 340\t", 340])
def test_a_known_specialty_is_counted_under_its_code(sent: object) -> None:
    assert counted(specialty=sent).specialty == "340"


@pytest.mark.parametrize("sent", ["999", " 349 ", "000", 728, 100 + 12])
def test_an_unknown_three_digit_specialty_is_counted_with_a_warning(sent: object) -> None:
    contact, notices = read_contact({"specialty": sent}, TODAY)
    assert contact is not None
    assert contact.specialty == "unrecognised"
    assert notices == (("contact.specialty", "unrecognised"),)


@pytest.mark.parametrize("sent", [*BAD_STRINGS, *BAD_NUMBERS, "34", "3400", "C_340", "34 0", "+34", 99, 1000, 340.0])
def test_what_is_not_three_digits_is_no_specialty(sent: object) -> None:
    assert problems(specialty=sent) == [("contact.specialty", "not_a_code")]


# ---------------------------------------------------------------------------------------- listed words


@pytest.mark.parametrize(
    ("field", "word"),
    [
        ("type", "emergency_department"),
        ("attendance", "follow_up"),
        ("outcome", "did_not_attend"),
        ("sex", "not_known"),
    ],
)
def test_a_listed_word_is_read_in_any_case_and_spacing(field: str, word: str) -> None:
    for sent in (word, word.upper(), f"\n {word.title()} "):
        assert getattr(counted(**{field: sent}), field) == word


def test_the_mode_is_checked_and_not_kept() -> None:
    assert counted(mode=" Video") == counted()


@pytest.mark.parametrize("field", ["type", "attendance", "mode", "outcome", "sex"])
@pytest.mark.parametrize("sent", [*BAD_STRINGS, *BAD_NUMBERS, "not-known", pytest.param("not_\u212anown", id="kelvin")])
def test_a_word_that_is_not_listed_is_a_problem(field: str, sent: object) -> None:
    assert problems(**{field: sent}) == [(f"contact.{field}", "unknown_value")]


# ------------------------------------------------------------------------------------------------- date


@pytest.mark.parametrize(("sent", "month"), [("2026-11-22", "2026-11"), ("2016-11-22", "2016-11")])
def test_a_contact_is_of_the_month_of_its_date(sent: str, month: str) -> None:
    assert counted(date=sent).month == month


@pytest.mark.parametrize(
    "sent",
    [
        *BAD_STRINGS,
        *BAD_NUMBERS,
        "20261120",
        "2026-W47-5",
        "2026-1-20",
        "20-11-2026",
        "2026-11-20T09:00",
        " 2026-11-20",
        "2026-11-20\n",
        "2026-02-29",
        "2026-13-01",
        "0000-01-01",
        pytest.param("２０２６-11-20", id="fullwidth"),
        20261120,
    ],
)
def test_only_year_month_and_day_with_hyphens_is_a_date(sent: object) -> None:
    assert problems(date=sent) == [("contact.date", "not_a_date")]


@pytest.mark.parametrize("sent", ["2026-11-23", "2027-01-01", "9999-12-31"])
def test_a_contact_cannot_be_in_the_future(sent: str) -> None:
    assert problems(date=sent) == [("contact.date", "in_future")]


@pytest.mark.parametrize("sent", ["2025-03-31", "1926-11-22", "0001-01-01"])
def test_a_contact_before_the_first_month_that_is_counted_is_too_old(sent: str) -> None:
    assert read_contact({"date": sent}, TODAY, "2025-04") == (None, (Notice("contact.date", "too_old"),))


def test_the_first_month_that_is_counted_is_counted_whole() -> None:
    contact, _ = read_contact({"date": "2025-04-01"}, TODAY, "2025-04")
    assert contact is not None
    assert contact.month == "2025-04"


# -------------------------------------------------------------------------------------------------- age


@pytest.mark.parametrize("sent", [54, 54.0, "54", " 54 ", "054", pytest.param("0" * 5000 + "54", id="zeros")])
def test_a_whole_number_of_years_is_an_age(sent: object) -> None:
    assert counted(age=sent)[5:7] == ("40-64", "50-54")


@pytest.mark.parametrize(
    ("sent", "bands"),
    [
        (0, ("0-17", "0-4")),
        ("0", ("0-17", "0-4")),
        (-0.0, ("0-17", "0-4")),
        (17, ("0-17", "15-17")),
        (130, ("80+", "90+")),
    ],
)
def test_the_youngest_and_the_oldest_have_an_age(sent: object, bands: tuple[str, str]) -> None:
    assert counted(age=sent)[5:7] == bands


@pytest.mark.parametrize(
    "sent",
    [
        -1,
        131,
        "131",
        "1000",
        "13000",
        -1.0,
        131.0,
        1e300,
        pytest.param(10**5000, id="huge"),
        pytest.param(-(10**5000), id="hugely negative"),
        pytest.param("9" * 10_000, id="ten thousand digits"),
    ],
)
def test_an_age_that_nobody_has_is_out_of_range(sent: object) -> None:
    assert problems(age=sent) == [("contact.age", "out_of_range")]


@pytest.mark.parametrize(
    "sent",
    [
        *(p for p in BAD_STRINGS if p.id != "ten thousand digits"),
        *(p for p in BAD_NUMBERS if p.id in {"true", "false", "fraction", "nan", "infinity", "minus infinity"}),
        "-1",
        "54.0",
        "1_0",
        "5 4",
        "54y",
    ],
)
def test_what_is_no_whole_number_is_no_age(sent: object) -> None:
    assert problems(age=sent) == [("contact.age", "not_a_number")]


# ------------------------------------------------------------------------------------- ethnic category


@pytest.mark.parametrize(
    ("system", "code", "value"),
    [
        ("england", "H", "england:H"),
        (" England ", " h ", "england:H"),
        ("england", "H1", "england:H"),
        ("england", "hx", "england:H"),
        ("england", "CX", "england:C"),
        ("england", "CL", "england:CL"),
        ("england", "cm", "england:CM"),
        ("england", "CN", "england:CN"),
        ("england", "B", "england:B"),
        ("wales", "B", "wales:B"),
        ("wales", "T", "wales:T"),
        ("scotland", "1k", "scotland:1K"),
        ("england", "Z", "not_stated"),
        ("england", "Z9", "not_stated"),
        ("england", "99", "not_known"),
        ("england", 99, "not_known"),
    ],
)
def test_an_ethnic_category_is_read_within_its_system(system: str, code: object, value: str) -> None:
    assert counted(ethnic_category={"system": system, "code": code}).ethnic_category == value


@pytest.mark.parametrize(
    ("system", "code"),
    [
        ("england", "I"),
        ("england", "T"),
        ("england", "9"),
        ("england", "98"),
        ("england", 9),
        ("england", "H12"),
        ("england", "H?"),
        ("england", "H\u00e9"),
        ("england", "\u017f"),
        ("england", "H\u0663"),
        ("england", "absent"),
        ("wales", "A"),
        ("wales", "BX"),
        ("wales", "Z"),
        ("scotland", "1A"),
        ("scotland", "1"),
        ("scotland", "99"),
        ("northern_ireland", "1"),
    ],
)
def test_a_code_that_its_system_does_not_list_is_counted_with_a_warning(system: str, code: object) -> None:
    contact, notices = read_contact({"ethnic_category": {"system": system, "code": code}}, TODAY)
    assert contact is not None
    assert contact.ethnic_category == f"{system}:unrecognised"
    assert notices == (("contact.ethnic_category.code", "unrecognised"),)


@pytest.mark.parametrize("code", [*BAD_NUMBERS, "", "  ", 100, 99.0])
def test_what_is_neither_text_nor_a_short_number_is_no_ethnic_code(code: object) -> None:
    sent = {"system": "england", "code": code}
    assert problems(ethnic_category=sent) == [("contact.ethnic_category.code", "not_a_code")]


@pytest.mark.parametrize("system", [*BAD_STRINGS, *BAD_NUMBERS, "ireland", "northern ireland"])
def test_a_system_that_is_not_listed_is_a_problem_with_or_without_a_code(system: object) -> None:
    for sent in ({"system": system, "code": "A"}, {"system": system}):
        assert problems(ethnic_category=sent) == [("contact.ethnic_category.system", "unknown_value")]


@pytest.mark.parametrize("sent", [{"code": "B"}, {"code": "B", "system": None}, {"code": "?"}])
def test_a_code_without_its_system_is_a_problem(sent: dict[str, Any]) -> None:
    assert problems(ethnic_category=sent) == [("contact.ethnic_category.system", "system_missing")]


def test_a_bad_code_without_its_system_is_two_problems() -> None:
    assert problems(ethnic_category={"code": ""}) == [
        ("contact.ethnic_category.code", "not_a_code"),
        ("contact.ethnic_category.system", "system_missing"),
    ]


def test_a_system_without_a_code_is_as_good_as_nothing() -> None:
    assert counted(ethnic_category={"system": "wales"}) == counted(ethnic_category={}) == counted()


# --------------------------------------------------------------------------------------------- event id


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        ("a", "a"),
        (" a b ", "a b"),
        (7, "7"),
        (0, "0"),
        (-7, "-7"),
        ("é", "é"),
        pytest.param("x" * 200, "x" * 200, id="two hundred letters"),
        pytest.param(f" {'x' * 200} ", "x" * 200, id="two hundred letters and spaces"),
        pytest.param(10**199, "1" + "0" * 199, id="two hundred digits"),
    ],
)
def test_an_event_id_is_kept_as_sent_without_the_space_around(sent: object, key: str) -> None:
    assert counted(event_id=sent).event_id == key


@pytest.mark.parametrize(
    "sent",
    [
        "",
        " \n ",
        True,
        1.0,
        float("nan"),
        pytest.param("x" * 201, id="201 letters"),
        pytest.param(10**200, id="201 digits"),
        pytest.param(-(10**199), id="200 digits and a sign"),
        pytest.param(10**5000, id="huge"),
        pytest.param("\ud800", id="surrogate"),
    ],
)
def test_what_could_not_tell_one_event_from_another_is_no_event_id(sent: object) -> None:
    assert problems(event_id=sent) == [("contact.event_id", "not_an_id")]
