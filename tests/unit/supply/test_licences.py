"""Each package that runs with the service has a licence that may be there."""

import re

import pytest

from supply.licences import DOCUMENT, document, is_allowed, licence_of, policy, refused
from supply.pinned import PINS, needed, pins

FOUND, MISSING = needed()


def test_every_package_that_runs_with_the_service_has_a_licence_that_is_allowed() -> None:
    assert not MISSING
    assert len(FOUND) > 40
    assert not refused(FOUND)


@pytest.mark.parametrize(
    "expression",
    ["GPL-3.0-only", "AGPL-3.0-or-later", "LGPL-3.0-only", "MIT AND GPL-2.0-only", "", "BSD License", "Proprietary"],
)
def test_copyleft_and_unknown_licences_are_refused(expression: str) -> None:
    assert not is_allowed("a-new-package", expression)


@pytest.mark.parametrize("expression", ["MIT", "MIT OR GPL-3.0-only", "(MIT OR AGPL-3.0-only) AND 0BSD"])
def test_a_choice_is_allowed_by_one_of_its_licences(expression: str) -> None:
    assert is_allowed("a-new-package", expression)


def test_an_exception_is_for_one_package_and_one_licence() -> None:
    assert is_allowed("psycopg", "LGPL-3.0-only")
    assert not is_allowed("psycopg", "GPL-3.0-only")


def test_every_exception_and_every_licence_that_was_read_is_still_needed() -> None:
    for entry in policy()["exception"]:
        assert licence_of(entry["package"], FOUND[entry["package"]]).expression == entry["licence"]
        assert entry["reason"]
    for entry in policy()["read"]:
        assert licence_of(entry["package"], FOUND[entry["package"]]).said_by.startswith("us")


def test_no_exception_is_made_for_a_licence_that_reaches_into_our_own_code() -> None:
    for licence in [*policy()["allowed"], *(entry["licence"] for entry in policy()["exception"])]:
        assert not re.match(r"A?GPL|SSPL|EUPL|OSL|CC-BY-SA|CC-BY-NC", licence)


def test_the_document_of_licences_is_what_is_installed_and_pinned() -> None:
    written = DOCUMENT.read_text("utf-8").splitlines()
    assert not [line for line in document(FOUND).splitlines() if line not in written]
    rows = [[cell.strip() for cell in line.split("|")[1:3]] for line in written if re.match(r"\| [a-z]", line)]
    assert {name: version for name, version in rows[1:] if pins(PINS.read_text("utf-8"))[name] != version} == {}
