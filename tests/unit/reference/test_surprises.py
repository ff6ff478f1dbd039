"""What passes a limit is told by its name, and what does not is not."""

from dataclasses import replace
from typing import Any

import pytest

from app.reference.comparison import Change, CodeChanges, Comparison, EditionChanges, PostcodeChanges
from app.reference.surprises import LIMITS, month, surprises

MILLION = 1_000_000
LIVE = Change(800_000, 801_000)
EDITION = EditionChanges(
    nation="England",
    held=(True, True),
    same_files=True,
    compared=33_755,
    deciles_changed=0,
    domains_changed=0,
    live=LIVE,
    covered=LIVE,
    both=MILLION,
    moved=5_000,
    lost=1_000,
    gained=0,
    core20=Change(160_000, 160_000),
    into_core20=1_000,
    out_of_core20=1_000,
)
CODE = CodeChanges(codes=Change(30_000, 30_000), new=30, gone=30, moved=5_000, lost=1_000)
# Everything stands at its limit, and nothing is beyond.
CALM = Comparison(
    before="onspd-may-2026-00000000",
    after="onspd-august-2026-11111111",
    directories=("ONSPD May 2026", "ONSPD August 2026"),
    part=(False, False),
    postcodes=PostcodeChanges(
        total=Change(MILLION, MILLION),
        both=MILLION,
        new=10_000,
        gone=1_000,
        terminated=8_000,
        revived=5_000,
        moved_nation=100,
    ),
    places={"England": {"live": LIVE, "terminated": Change(200_000, 200_000)}},
    codes={"lsoa21": CODE, "lsoa11": CODE, "lad": replace(CODE, moved=10_000), "icb": replace(CODE, moved=10_000)},
    editions={"IoD2025": EDITION},
    context={"rural": LIVE},
)


def postcodes(**changed: Any) -> Comparison:
    return replace(CALM, postcodes=replace(CALM.postcodes, **changed))


def codes(kind: str, **changed: Any) -> Comparison:
    return replace(CALM, codes=CALM.codes | {kind: replace(CALM.codes[kind], **changed)})


def edition(**changed: Any) -> Comparison:
    return replace(CALM, editions={"IoD2025": replace(EDITION, **changed)})


BEYOND = [
    ("part", replace(CALM, part=(False, True))),
    ("older", replace(CALM, directories=("ONSPD May 2026", "ONSPD February 2026"))),
    ("gone", postcodes(gone=1_001)),
    ("new", postcodes(new=10_001)),
    ("terminated", postcodes(terminated=8_001)),
    ("revived", postcodes(revived=5_001)),
    ("moved-nation", postcodes(moved_nation=101)),
    ("nation-size", replace(CALM, places=CALM.places | {"Wales": {"live": Change(0, 1), "terminated": Change(0, 0)}})),
    ("nation-size", replace(CALM, places={"England": {"live": Change(800_000, 783_999)}})),
    ("moved-lsoa", codes("lsoa21", moved=5_001)),
    ("moved-lsoa", codes("lsoa11", moved=5_001)),
    ("moved-lad", codes("lad", moved=10_001)),
    ("moved-icb", codes("icb", moved=10_001)),
    ("lost-codes", codes("icb", lost=1_001)),
    ("lsoas", codes("lsoa21", gone=31)),
    ("lsoas", codes("lsoa11", new=31)),
    ("lost-edition", edition(held=(True, False))),
    ("changed-deciles", edition(deciles_changed=1)),
    ("changed-deciles", edition(domains_changed=1)),
    ("revised-edition", edition(deciles_changed=1, same_files=False)),
    ("lost-deciles", edition(lost=1_002)),
    ("coverage", edition(covered=Change(800_000, 796_994))),
    ("moved-deciles", edition(moved=5_001)),
    ("core20", edition(into_core20=1_001)),
    ("core20", edition(out_of_core20=1_001)),
    ("lost-context", replace(CALM, context={"rural": Change(800_000, 792_989)})),
]


def test_what_stands_at_every_limit_surprises_nobody() -> None:
    assert surprises(CALM, None) == []
    assert surprises(CALM, CALM.before) == []


@pytest.mark.parametrize(("name", "found"), BEYOND, ids=[f"{n}-{i}" for i, (n, _) in enumerate(BEYOND)])
def test_one_beyond_a_limit_is_a_surprise_of_its_name(name: str, found: Comparison) -> None:
    told = surprises(found, None)
    assert [surprise.name for surprise in told] == [name]
    assert told[0].sentence.endswith(".")


def test_every_limit_is_tested_and_every_surprise_has_a_limit() -> None:
    elsewhere = {"gone-back", "nothing-compared"}  # tests/unit/reference/test_gate.py
    assert {name for name, _ in BEYOND} | elsewhere == set(LIMITS)


def test_a_surprise_says_which_limit_was_passed_and_by_how_much() -> None:
    assert surprises(postcodes(gone=13_000), None)[0].sentence == (
        "13,000 postcodes are gone, 1.300% of 1,000,000 postcodes of the current release; at most 0.10% may be."
    )


def test_the_release_that_was_gone_back_from_surprises_when_it_comes_again() -> None:
    assert [s.name for s in surprises(CALM, CALM.after)] == ["gone-back"]


def test_a_release_that_is_current_may_be_built_again() -> None:
    assert surprises(replace(CALM, after=CALM.before), CALM.before) == []


def test_an_edition_that_is_new_does_not_surprise() -> None:
    assert surprises(edition(held=(False, True), lost=0, moved=0), None) == []


def test_the_month_of_a_directory_is_read_from_its_name() -> None:
    assert month("ONSPD August 2026") == (2026, 8)
    assert month("NSPL February 2025") == (2025, 2)
    assert month("my own postcodes") is None
    assert month("Table Smarch 2026") is None
