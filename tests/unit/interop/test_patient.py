"""Which address of a Patient is home, and what else is read of it."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.interop.patient import (
    ETHNIC_CATEGORY,
    ETHNIC_SYSTEMS,
    INTERPRETER,
    PatientReading,
    age_on,
    home_postcode,
    read_patient,
)

DAY = date(2026, 11, 22)
HOME = {"use": "home", "postalCode": "HOME"}
PLAIN = {"postalCode": "PLAIN"}


def address(**fields: Any) -> dict[str, Any]:
    return {"postalCode": "OTHER", **fields}


def ethnic(*codings: Any) -> dict[str, Any]:
    return {"url": ETHNIC_CATEGORY, "valueCodeableConcept": {"coding": list(codings)}}


@pytest.mark.parametrize(
    ("addresses", "postcode"),
    [
        ([HOME], "HOME"),
        ([PLAIN, HOME], "HOME"),
        ([HOME, address(use="home")], "HOME"),
        ([PLAIN, address()], "PLAIN"),
        ([address(use="home", type="physical")], "OTHER"),
        ([address(use="home", type="both")], "OTHER"),
        ([address(use="home", type="postal"), PLAIN], "PLAIN"),
        ([address(type="postal"), PLAIN], "PLAIN"),
        ([address(use="temp")], None),
        ([address(use="old")], None),
        ([address(use="billing")], None),
        ([address(use="work")], None),
        ([address(use="holiday")], None),
        ([address(use="temp"), PLAIN], "PLAIN"),
        ([{"use": "home", "line": ["1 High Street"]}], None),
        ([{"use": "home"}, HOME], None),
        ([address(use="home", postalCode=7)], None),
        ([address(use=["home"])], None),
        ([None, "HOME", HOME], "HOME"),
        ([], None),
        (None, None),
        (HOME, None),
        ("HOME", None),
    ],
)
def test_home_is_what_is_said_to_be_home_or_else_what_is_said_to_be_nothing(
    addresses: Any, postcode: str | None
) -> None:
    assert home_postcode({"address": addresses}, DAY) == postcode


@pytest.mark.parametrize(
    ("period", "holds"),
    [
        ({}, True),
        (None, True),
        ({"start": "2020-01-01"}, True),
        ({"start": "2026-11-22"}, True),
        ({"start": "2026-11-23"}, False),
        ({"start": "2026"}, True),
        ({"start": "2026-12"}, False),
        ({"start": "2027"}, False),
        ({"end": "2026-11-22"}, True),
        ({"end": "2026-11-22T23:30:00+00:00"}, True),
        ({"end": "2026-11-21"}, False),
        ({"end": "2026-11-21T10:00:00Z"}, False),
        ({"end": "2026"}, True),
        ({"end": "2026-11"}, True),
        ({"end": "2026-10"}, False),
        ({"end": "2025"}, False),
        ({"start": "2020", "end": "2030"}, True),
        ({"start": None, "end": None}, True),
        ({"end": "soon"}, False),
        ({"start": 2020}, False),
        ("2020", False),
    ],
)
def test_an_address_counts_while_its_period_lasts(period: Any, holds: bool) -> None:
    assert home_postcode({"address": [HOME | {"period": period}]}, DAY) == ("HOME" if holds else None)


@pytest.mark.parametrize(
    ("born", "age"),
    [
        ("1972-11-22", 54),
        ("1972-11-23", 53),
        ("2026-11-22", 0),
        ("2026-11-23", None),
        ("2027-01-01", None),
        ("1896-11-22", 130),
        ("1895-11-22", None),
        ("1972", None),
        ("1972-11", None),
        ("1972-02-30", None),
        ("19721122", None),
        ("1972-11-22T10:00:00Z", None),
        ("１９７２-11-22", None),
        (1972, None),
        (None, None),
    ],
)
def test_an_age_is_in_whole_years_and_only_from_a_whole_date(born: Any, age: int | None) -> None:
    assert age_on(born, DAY) == age


def test_a_birthday_on_the_last_of_february_comes_in_march_of_other_years() -> None:
    assert age_on("2024-02-29", date(2025, 2, 28)) == 0
    assert age_on("2024-02-29", date(2025, 3, 1)) == 1


@pytest.mark.parametrize(("url", "system"), ETHNIC_SYSTEMS.items())
def test_an_ethnic_category_is_read_with_the_nation_of_its_code_system(url: str, system: str) -> None:
    read = read_patient({"extension": [ethnic({"system": url, "code": "B"})]}, DAY)
    assert read.ethnic_category == {"system": system, "code": "B"}


def test_a_code_of_an_unknown_system_or_of_none_is_not_read() -> None:
    (england,) = [url for url in ETHNIC_SYSTEMS if url.endswith("England")]
    known = {"system": england, "code": "H"}
    for other in ({"code": "B"}, {"system": "http://snomed.info/sct", "code": "B"}, {"system": england}, None, [known]):
        assert read_patient({"extension": [ethnic(other)]}, DAY).ethnic_category is None
        assert read_patient({"extension": [ethnic(other, known)]}, DAY).ethnic_category == {
            "system": "england",
            "code": "H",
        }
    assert read_patient({"extension": [ethnic(known) | {"url": "other"}]}, DAY).ethnic_category is None


@pytest.mark.parametrize(("value", "read"), [(True, True), (False, False), ("true", None), (1, None), (None, None)])
def test_an_interpreter_is_required_only_where_the_extension_says_true(value: Any, read: bool | None) -> None:
    patient = {"extension": [{"url": INTERPRETER, "valueBoolean": value}]}
    assert read_patient(patient, DAY).interpreter_required is read


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_address = st.fixed_dictionaries(
    {},
    optional={
        "use": _json | st.sampled_from(["home", "temp"]),
        "type": _json,
        "period": _json | st.fixed_dictionaries({}, optional={"start": _json, "end": _json}),
        "postalCode": _json,
    },
)
_extension = st.fixed_dictionaries(
    {},
    optional={
        "url": _json | st.sampled_from([ETHNIC_CATEGORY, INTERPRETER]),
        "valueBoolean": _json,
        "valueCodeableConcept": _json
        | st.fixed_dictionaries(
            {"coding": _json | st.lists(st.fixed_dictionaries({"system": _json, "code": _json}), max_size=2)}
        ),
    },
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "address": _json | st.lists(_json | _address, max_size=3),
            "birthDate": _json | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", fullmatch=True),
            "extension": _json | st.lists(_json | _extension, max_size=3),
        },
    )
)
def test_whatever_a_patient_holds_it_is_read_or_taken_as_missing(patient: dict[str, Any]) -> None:
    read = read_patient(patient, DAY)
    assert isinstance(read, PatientReading)
    assert read.postcode is None or isinstance(read.postcode, str)
    assert read.age is None or 0 <= read.age <= 130
    assert read.interpreter_required in (None, True, False)
