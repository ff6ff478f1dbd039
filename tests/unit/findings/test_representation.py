"""Who comes is compared with all others but itself, then with residents at the same ages; never with 20%."""

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.context.catchment import BANDS, Catchment, Catchments
from app.context.files import RuleFolder
from app.counts.parts import Published
from app.findings.findings import Comparison
from app.findings.options import Options
from app.findings.representation import comparisons
from app.inequality.references import age_matched_share
from tests.unit.findings.invented import YEAR, Given

NOBODY = Catchments()


def catchment(
    by_age: dict[str, tuple[int, int]] | None = None, core20: int = 300, rest: int = 700, edition: str = "IoD2025"
) -> Catchments:
    """A town with so many residents in deciles 1 and 5."""
    by_decile = dict.fromkeys(range(1, 11), 0) | {1: core20, 5: rest}
    return Catchments((Catchment(edition, "the town", "Census 2021", date(2021, 3, 21), by_decile, by_age or {}),))


def test_a_unit_is_compared_with_all_others_but_itself() -> None:
    given_ = Given()
    given_.first_contacts({"340": (240, 760), "110": (150, 850), "502": (250, 1750)})
    others, _ = comparisons(given_.published, "340", None, NOBODY, Options())
    assert (others.share.n, others.share.total) == (240, 1000)
    assert others.share.percent is not None
    assert others.reference is not None
    assert others.ratio is not None
    # 24% over (150 + 250) / 3,000; itself among them would be 640 / 4,000 = 16%.
    assert (others.share.percent.value, others.reference.share.value, others.ratio.value) == (24, 13, 1.8)
    assert others.ratio.lower < 1.8 < others.ratio.upper
    assert "24 in 100 first contacts in the Respiratory" in others.sentence
    assert "13 in 100" in others.sentence
    assert "An equal share is not yet a fair share" in others.sentence
    assert others.source is not None
    assert others.source.periods == (YEAR,)


def test_the_whole_organisation_is_compared_with_its_catchment_alone() -> None:
    given_ = Given()
    given_.first_contacts({"340": (240, 760), "110": (160, 840)})
    (only,) = comparisons(given_.published, "", YEAR, catchment(), Options())
    assert only.reference is not None
    assert (only.reference.kind, only.share.n, only.share.total) == ("catchment", 400, 2000)
    assert only.reference.share == (30, 30, 30)
    assert only.ratio is not None
    assert only.ratio.value == 0.7


def test_others_that_are_hidden_are_left_out_whole_and_said_and_a_hidden_unit_has_no_share() -> None:
    given_ = Given()
    given_.first_contacts({"340": (240, 760), "110": (150, 850), "502": ("w", 1750), "160": ("*", 60)})
    others, _ = comparisons(given_.published, "340", None, NOBODY, Options())
    assert others.reference is not None
    assert (others.reference.share.value, others.reference.name) == (15, "all other specialties (2 of 3 are not shown)")
    for unit in ("502", "160"):
        for found in comparisons(given_.published, unit, None, catchment(), Options()):
            assert found.refusal is not None
            assert (found.refusal.code, found.share.n, found.ratio) == ("hidden", None, None)


def refused(found: Comparison) -> str:
    """The code of a refusal, of which the sentence is what is said."""
    assert found.refusal is not None
    assert found.sentence == found.refusal.sentence
    assert found.ratio is None
    return found.refusal.code


def test_nothing_is_said_without_first_contacts_unless_a_design_effect_says_how_often_people_come() -> None:
    given_ = Given()
    given_.contacts({"340": (20, 80), "110": (10, 90)})
    assert [refused(c) for c in comparisons(given_.published, "340", None, catchment(), Options())] == [
        "no_design_effect"
    ] * 2
    narrow, wide = (
        comparisons(given_.published, "340", YEAR, catchment(), Options(design_effect=d))[0] for d in (1.0, 4.0)
    )
    assert narrow.share.n == wide.share.n == 240
    assert narrow.ratio is not None
    assert wide.ratio is not None
    assert narrow.ratio.value == wide.ratio.value == 2.0
    assert wide.ratio.lower < narrow.ratio.lower
    assert "contacts in the Respiratory" in wide.sentence
    assert "first contacts" not in wide.sentence


def test_what_cannot_be_compared_says_why() -> None:
    nothing = Given()
    assert [refused(c) for c in comparisons(nothing.published, "340", None, catchment(), Options())] == [
        "not_published"
    ] * 2
    given_ = Given()
    given_.first_contacts({"340": (240, 760), "110": (0, 900), "160": (20, 30)})
    assert refused(comparisons(given_.published, "340", "2019-20", catchment(), Options())[0]) == "not_published"
    assert refused(comparisons(given_.published, "999", None, catchment(), Options())[0]) == "not_published"
    assert refused(comparisons(given_.published, "160", None, catchment(), Options())[1]) == "too_few"
    assert refused(comparisons(given_.published, "110", None, catchment(), Options())[0]) == "no_events"
    assert refused(comparisons(given_.published, "340", None, NOBODY, Options())[1]) == "no_reference"
    assert (
        refused(comparisons(given_.published, "340", None, catchment(edition="IoD2019"), Options())[1])
        == "other_edition"
    )
    assert refused(comparisons(given_.published, "340", None, catchment(core20=0), Options())[1]) == "no_events"


def test_months_on_two_editions_are_never_added() -> None:
    given_ = Given()
    given_.contacts({"340": (20, 80), "110": (10, 90)})
    publications = list(given_.published.publications)
    publications[3] = publications[3]._replace(edition="IoD2019")
    published = Published(given_.published.pages, publications)
    found = comparisons(published, "340", YEAR, catchment(), Options(design_effect=2.0))
    assert [refused(c) for c in found] == ["other_edition"] * 2


def test_residents_are_matched_to_the_ages_of_those_who_came() -> None:
    # Children: 4 in 10 in Core20 areas; old people: 1 in 10. Four in five of those who came are children.
    by_age = {"0-17": (40, 100), "18-39": (0, 0), "40-64": (0, 0), "65-79": (0, 0), "80+": (90, 900)}
    given_ = Given()
    given_.first_contacts({"420": (650, 1350)})
    given_.ages("420", {"0-17": 1600, "18-39": 0, "40-64": 0, "65-79": 0, "80+": 400, "absent": 100})
    _, found = comparisons(given_.published, "420", None, catchment(by_age), Options())
    assert found.reference is not None
    assert found.reference.is_age_matched
    assert found.reference.share.value == 34  # 0.8 * 40% + 0.2 * 10%
    assert found.ratio is not None
    assert found.ratio.value == 1.0
    assert "at the ages that came here" in found.sentence
    assert found.source is not None
    assert found.source.tables[-1].endswith("specialty_age")


@pytest.mark.parametrize(
    ("by_age", "ages", "why"),
    [
        (None, dict.fromkeys(BANDS, 100), "the catchment has no ages"),
        (dict.fromkeys(BANDS, (3, 10)), {}, "are not published"),
        (dict.fromkeys(BANDS, (3, 10)), dict.fromkeys(BANDS, 100) | {"80+": "w"}, "are not shown"),
        (dict.fromkeys(BANDS, (3, 10)), dict.fromkeys(BANDS, 100) | {"80+": "*"}, "too many of the ages"),
        (dict.fromkeys(BANDS, (3, 10)) | {"80+": (0, 0)}, dict.fromkeys(BANDS, 100), "nobody at some of these ages"),
    ],
)
def test_a_reference_that_is_not_matched_for_age_says_why(
    by_age: dict[str, tuple[int, int]] | None, ages: dict[str, int | str], why: str
) -> None:
    given_ = Given()
    given_.first_contacts({"340": (650, 1350)})
    given_.ages("340", ages)
    _, found = comparisons(given_.published, "340", None, catchment(by_age), Options())
    assert found.reference is not None
    assert not found.reference.is_age_matched
    assert found.reference.share.value == 30
    assert "Not matched for age: " in found.sentence
    assert why in found.sentence


def test_a_few_of_an_age_that_are_not_shown_do_not_unmatch_the_thousands_that_are() -> None:
    given_ = Given()
    given_.first_contacts({"420": (650, 1350)})
    given_.ages("420", {"0-17": 2000, "18-39": "*", "40-64": 0, "65-79": 0, "80+": 0})
    _, found = comparisons(given_.published, "420", None, catchment(dict.fromkeys(BANDS, (3, 10))), Options())
    assert found.reference is not None
    assert found.reference.is_age_matched


counts = st.integers(0, 5000)
residents = st.tuples(st.integers(0, 9000), st.integers(1, 9000)).map(lambda t: (min(t), max(t)))


@given(
    st.fixed_dictionaries(dict.fromkeys(BANDS, counts)).filter(lambda a: sum(a.values()) > 0),
    st.fixed_dictionaries(dict.fromkeys(BANDS, residents)),
)
def test_age_matching_is_what_residents_would_be_were_they_drawn_one_by_one(
    ages: dict[str, int], by_age: dict[str, tuple[int, int]]
) -> None:
    # The slow way: a resident of the same age for every one who came, each as likely to be of a Core20 area.
    drawn = 0.0
    for band, n in ages.items():
        core20, everybody = by_age[band]
        for _ in range(n):
            drawn += core20 / everybody
    assert age_matched_share(ages, by_age) == pytest.approx(drawn / sum(ages.values()))
    # As many times more of everybody change nothing, and one share at all ages is that share.
    assert age_matched_share({b: 7 * n for b, n in ages.items()}, by_age) == pytest.approx(drawn / sum(ages.values()))
    assert age_matched_share(ages, dict.fromkeys(BANDS, (2, 9))) == pytest.approx(2 / 9)


@pytest.mark.parametrize("ages", [{}, {"0-17": 0}, {"0-17": -1, "80+": 3}, {"80+": 1}])
def test_age_matching_needs_people_and_residents_at_their_ages(ages: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="need"):
        age_matched_share(ages, {"0-17": (1, 2)})


def test_a_catchment_with_its_deciles_reversed_is_the_other_end(tmp_path: Path) -> None:
    head = "# version: 2026-11-22\n# status: sourced\n# source: here\n# sign_off: us\n"
    columns = "edition,imd_decile,age_band,persons,area,source,date\n"
    for name, decile in (("as_is", lambda d: d), ("reversed", lambda d: 11 - d)):
        folder = tmp_path / name
        folder.mkdir()
        rows = "".join(f"IoD2025,{decile(d)},all,{d * 100},town,Census 2021,2021-03-21\n" for d in range(1, 11))
        (folder / "catchment.csv").write_text(head + columns + rows)
    as_is, other = (Catchments.load(RuleFolder(tmp_path / name)).each[0] for name in ("as_is", "reversed"))
    assert (as_is.core20, other.core20, as_is.persons) == (300, 1900, 5500)
