"""What is installed is what is pinned, whole and without an address."""

import re

import pytest

from supply.pinned import PINS, needed, pins, versions

TEXT = PINS.read_text("utf-8")
APART = {"atheris", "py4j", "pyspark"}  # the extras `fuzz` and `spark`, which no test of the suite needs


def test_everything_that_running_and_testing_need_is_pinned_at_the_version_that_is_installed() -> None:
    found, missing = needed(("dev", "otel", "bench"))
    assert not missing
    assert len(found) > 100
    assert {name: version for name, version in versions(found).items() if pins(TEXT).get(name) != version} == {}


def test_nothing_is_pinned_that_nothing_needs() -> None:
    found, _ = needed(("dev", "otel", "bench"))
    assert pins(TEXT).keys() - found.keys() == APART


def test_the_pins_hold_no_address() -> None:
    assert not re.search(r"//|@|^-", TEXT, re.MULTILINE)


@pytest.mark.parametrize(
    "line", ["numpy", "numpy>=2", "numpy==2.*", "-r other.txt", "numpy @ file:numpy.whl", "--index-url x", "a==1\nA==2"]
)
def test_a_line_that_is_no_single_version_of_a_name_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="line"):
        pins(line)
