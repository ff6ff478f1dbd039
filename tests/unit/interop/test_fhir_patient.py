"""A UK Core Patient gives up its home postcode, age, ethnic category and need for an interpreter, and nothing else."""

from datetime import date
from typing import Any

import pytest

from app.interop.fhir_patient import ETHNIC_CATEGORY, INTERPRETER_REQUIRED, Patient, read_patient

DAY = date(2026, 11, 22)
HOME = {"use": "home", "postalCode": "NG1 1AA"}
OTHER = {"postalCode": "NG5 1PB"}
CODES = "https://fhir.hl7.org.uk/CodeSystem/UKCore-EthnicCategory"


def patient(**elements: Any) -> Patient:
    return read_patient({"resourceType": "Patient", **elements}, DAY)


@pytest.mark.parametrize(
    ("addresses", "postcode"),
    [
        ([HOME], "NG1 1AA"),
        ([OTHER], "NG5 1PB"),
        ([OTHER, HOME], "NG1 1AA"),
        ([HOME, {**HOME, "postalCode": "DT1 1AA"}], "NG1 1AA"),
        ([{**HOME, "type": "postal"}, OTHER], "NG5 1PB"),
        ([{**HOME, "type": "physical"}], "NG1 1AA"),
        ([{**HOME, "type": "both"}], "NG1 1AA"),
        *(([{**OTHER, "use": use}], None) for use in ("temp", "old", "billing", "work", "HOME", 7, ["home"], {})),
        *(([{**OTHER, "use": use}, HOME], "NG1 1AA") for use in ("temp", "old", "billing", "work")),
        ([], None),
        (None, None),
        ({"use": "home", "postalCode": "NG1 1AA"}, None),
        (["NG1 1AA", 7, None, HOME], "NG1 1AA"),
        ([{"use": "home"}, OTHER], None),
        ([{"use": "home", "postalCode": 7}], None),
        ([{"use": "home", "postalCode": ""}], ""),
    ],
)
def test_the_postcode_is_that_of_the_first_home(addresses: Any, postcode: str | None) -> None:
    assert patient(address=addresses).postcode == postcode


@pytest.mark.parametrize(
    ("period", "is_current"),
    [
        ({}, True),
        ({"start": "2020-01-01"}, True),
        ({"start": "2026-11-22"}, True),
        ({"start": "2026-11-23"}, False),
        ({"start": "2026"}, True),
        ({"start": "2027"}, False),
        ({"start": "2026-12"}, False),
        ({"end": "2026-11-21"}, False),
        ({"end": "2026-11-22"}, True),
        ({"end": "2026-11-21T23:59:59Z"}, False),
        ({"end": "2026-11-22T00:00:00+00:00"}, True),
        ({"end": "2026"}, True),
        ({"end": "2026-10"}, False),
        ({"end": "2099-12-31"}, True),
        ({"end": "long ago"}, False),
        ({"end": 7}, False),
        ({"start": "once"}, True),
        ("2020", True),
        (None, True),
    ],
)
def test_an_address_whose_period_has_not_begun_or_has_ended_is_no_home(period: Any, is_current: bool) -> None:
    assert patient(address=[{**HOME, "period": period}]).postcode == ("NG1 1AA" if is_current else None)


@pytest.mark.parametrize(
    ("born", "age"),
    [
        ("1972-11-22", 54),
        ("1972-11-23", 53),
        ("2026-11-22", 0),
        ("2026-11-23", None),
        ("1896-11-22", 130),
        ("1895-11-22", None),
        ("1972", None),
        ("1972-11", None),
        ("1972-02-30", None),
        ("19721122", None),
        ("1972-11-22T10:00:00", None),
        (1972, None),
        (None, None),
    ],
)
def test_the_age_is_in_whole_years_and_unknown_where_the_date_is_not_whole(born: Any, age: int | None) -> None:
    assert patient(birthDate=born).age == age


def test_somebody_born_on_29_february_is_a_year_older_on_1_march() -> None:
    born = {"resourceType": "Patient", "birthDate": "2024-02-29"}
    assert read_patient(born, date(2026, 2, 28)).age == 1
    assert read_patient(born, date(2026, 3, 1)).age == 2


def ethnic(*codings: Any) -> dict[str, Any]:
    return {"url": ETHNIC_CATEGORY, "valueCodeableConcept": {"coding": list(codings)}}


@pytest.mark.parametrize(
    ("system", "nation"),
    [
        (CODES, "england"),
        (f"{CODES}England", "england"),
        (f"{CODES}Wales", "wales"),
        (f"{CODES}Scotland", "scotland"),
        (f"{CODES}NorthernIreland", "northern_ireland"),
        (f"{CODES}France", None),
        ("", None),
        (None, None),
        ([CODES], None),
    ],
)
def test_an_ethnic_category_is_read_with_the_nation_of_its_code_system(system: Any, nation: str | None) -> None:
    read = patient(extension=[ethnic({"system": system, "code": "B"})]).ethnic_category
    assert read == ({"system": nation, "code": "B"} if nation else None)


def test_the_first_coding_that_can_be_read_counts() -> None:
    codings = ("B", {"code": "B"}, {"system": CODES, "code": 7}, {"system": f"{CODES}Wales", "code": "B"})
    odd = {"url": ETHNIC_CATEGORY, "valueCodeableConcept": "B"}
    assert patient(extension=[odd, ethnic(*codings)]).ethnic_category == {"system": "wales", "code": "B"}


@pytest.mark.parametrize("value", [True, False])
def test_the_need_for_an_interpreter_is_read(value: bool) -> None:
    assert patient(extension=[{"url": INTERPRETER_REQUIRED, "valueBoolean": value}]).interpreter_required is value


@pytest.mark.parametrize("value", ["true", 1, None, {}])
def test_what_is_not_true_or_false_says_nothing_of_an_interpreter(value: Any) -> None:
    assert patient(extension=[{"url": INTERPRETER_REQUIRED, "valueBoolean": value}]).interpreter_required is None


@pytest.mark.parametrize("resource", [None, [], "Patient", {}, {"resourceType": "Person", "address": [HOME]}])
def test_what_is_no_patient_says_nothing(resource: Any) -> None:
    assert read_patient(resource, DAY) == Patient()


def test_names_and_numbers_are_not_read() -> None:
    assert patient(identifier=[{"value": "9434765919"}], name=[{"family": "Q"}], telecom=[{"value": "0"}]) == Patient()
