"""A ranking is made only where its limits can be right, and chance alone stands out of it next to never."""

import random

from hypothesis import given
from hypothesis import strategies as st

from app.counts.vocabulary import vocabulary
from app.findings.findings import Ranking
from app.findings.options import Options
from app.findings.ranking import ranking
from tests.unit.findings.invented import QUARTER, YEAR, Given

MONTH = "2026-02"
ALL = list(vocabulary().specialties)
EFFECT = Options(design_effect=2.0)


def refused(found: Ranking) -> str:
    """The code of a refusal, of which the sentence is what is said; nothing is ranked."""
    assert found.refusal is not None
    assert found.sentence == found.refusal.sentence
    assert (found.rows, found.funnel, found.centre) == ((), (), None)
    return found.refusal.code


def test_missed_appointments_are_ranked_only_with_a_design_effect_and_people_who_wait_always() -> None:
    given_ = Given()
    for i, unit in enumerate(ALL[:6]):
        given_.missed(unit, 100 + i, 1000, 200, 3000)
        given_.waiting(unit, (600, 400), (2000, 1000))
    assert refused(ranking(given_.published, "missed", QUARTER, Options())) == "no_design_effect"
    assert len(ranking(given_.published, "missed", QUARTER, EFFECT).rows) == 6
    assert len(ranking(given_.published, "over_18_weeks", MONTH, Options()).rows) == 6


def test_one_unit_unlike_the_others_stands_out_and_is_first() -> None:
    given_ = Given()
    for unit in ALL[:20]:
        given_.missed(unit, 300, 3000, 800, 10000)  # 10% against 8%
    given_.missed("340", 900, 3000, 800, 10000)  # 30% against 8%
    found = ranking(given_.published, "missed", QUARTER, EFFECT)
    assert [(row.unit.code, row.stands_out) for row in found.rows[:2]] == [("340", True), (ALL[0], False)]
    assert sum(row.stands_out for row in found.rows) == 1
    assert found.rows[0].value.value == 22
    assert found.rows[0].value.lower < 22 < found.rows[0].value.upper
    assert found.design_effect == 2.0
    assert "1 of 21 services stands out" in found.sentence
    assert "Respiratory Medicine" in found.sentence
    assert "99.8%" in found.sentence
    assert "not anybody's fault" in found.sentence


def test_the_limits_of_a_row_are_those_of_99_8_percent() -> None:
    given_ = Given()
    given_.missed("340", 1500, 10000, 900, 10000)
    given_.missed("110", 1500, 10000, 900, 10000)
    (row, _) = ranking(given_.published, "missed", QUARTER, Options(design_effect=1.0)).rows
    # 3.09 * sqrt(.15 * .85 / 10,000 + .09 * .91 / 10,000) is 1.4 points.
    assert row.value == (6, 5, 7)


def test_units_without_a_figure_are_listed_with_their_reasons() -> None:
    given_ = Given()
    given_.missed("340", 100, 1000, 200, 3000)
    given_.missed("110", "*", 1000, 200, 3000)
    given_.missed("502", 5, 50, 200, 3000)
    found = ranking(given_.published, "missed", QUARTER, EFFECT)
    assert [(unit.code, refusal.code) for unit, refusal in found.refused] == [("110", "hidden"), ("502", "too_few")]
    assert "2 more have no figure" in found.sentence


def test_nothing_published_is_said_and_a_period_of_another_grain_has_no_ranking() -> None:
    given_ = Given()
    given_.missed("340", 100, 1000, 200, 3000)
    for measure, period in (("missed", YEAR), ("missed", MONTH), ("over_18_weeks", QUARTER), ("core20_share", YEAR)):
        assert refused(ranking(given_.published, measure, period, EFFECT)) == "not_published"  # type: ignore[arg-type]


def test_shares_of_first_contacts_need_no_design_effect_and_those_of_all_contacts_do() -> None:
    given_ = Given()
    given_.first_contacts({"340": (600, 1400), "110": (400, 1600), "502": ("w", 100), "160": (20, 40)})
    found = ranking(given_.published, "core20_share", YEAR, Options())
    assert [(row.unit.code, row.value.value, row.size) for row in found.rows] == [("340", 30, 2000), ("110", 20, 2000)]
    assert (found.centre, found.design_effect) == (25, None)
    assert [refusal.code for _, refusal in found.refused] == ["hidden", "too_few"]
    contacts = Given()
    contacts.contacts({"340": (60, 140), "110": (40, 160)})
    assert refused(ranking(contacts.published, "core20_share", YEAR, Options())) == "no_design_effect"
    assert ranking(contacts.published, "core20_share", YEAR, EFFECT).design_effect == 2.0


def test_where_nobody_misses_or_everybody_is_hidden_there_is_no_ranking() -> None:
    given_ = Given()
    given_.missed("340", 0, 1000, 0, 3000)
    assert refused(ranking(given_.published, "missed", QUARTER, EFFECT)) == "too_few"
    hidden = Given()
    hidden.missed("340", "*", 1000, "*", 3000)
    found = ranking(hidden.published, "missed", QUARTER, EFFECT)
    assert refused(found) == "too_few"
    assert len(found.refused) == 1


@given(
    st.integers(0, 100),
    st.integers(0, 100),
    st.lists(st.integers(1, 40), min_size=1, max_size=30),
    st.sampled_from([1.0, 1.5, 4.0]),
)
def test_an_organisation_whose_units_are_all_alike_has_none_that_stands_out(
    x: int, y: int, sizes: list[int], effect: float
) -> None:
    given_ = Given()
    for unit, size in zip(ALL, sizes, strict=False):
        given_.missed(unit, x * size, 100 * size, y * size, 100 * size)
    found = ranking(given_.published, "missed", QUARTER, Options(design_effect=effect))
    assert not any(row.stands_out for row in found.rows)
    assert len(found.rows) in (0, len(sizes))


@given(st.lists(st.tuples(st.integers(1, 99), st.integers(1, 99)), min_size=2, max_size=25), st.integers(2, 9))
def test_with_core20_and_the_rest_exchanged_a_ranking_is_upside_down(units: list[tuple[int, int]], size: int) -> None:
    there, back = Given(), Given()
    for unit, (x, y) in zip(ALL, units, strict=False):
        there.missed(unit, x * size, 100 * size, y * size, 100 * size)
        back.missed(unit, y * size, 100 * size, x * size, 100 * size)
    one, other = (ranking(g.published, "missed", QUARTER, EFFECT) for g in (there, back))
    assert {r.unit.code for r in one.rows if r.stands_out} == {r.unit.code for r in other.rows if r.stands_out}
    for row in one.rows:
        (same,) = [r for r in other.rows if r.unit == row.unit]
        assert (row.value.value, row.value.lower, row.value.upper) == (
            -same.value.value,
            -same.value.upper,
            -same.value.lower,
        )


TRUE_EFFECT = (1 + 4 + 9 + 16 + 25) / (1 + 2 + 3 + 4 + 5)  # of people who come 1 to 5 times and miss all or none


def drawn(contacts: int, rate: float, dice: random.Random) -> tuple[int, int]:
    """Contacts that such people missed, and all of theirs."""
    missed = came = 0
    while came < contacts:
        times = dice.randint(1, 5)
        came += times
        missed += times if dice.random() < rate else 0
    return missed, came


def to_5(n: int) -> int:
    """As it is published."""
    return 5 * round(n / 5)


def alike(dice: random.Random) -> Given:
    """100 units that miss 5 to 20 in 100, whatever the area, published to the nearest 5."""
    given_ = Given()
    for unit in ALL[:100]:
        rate = dice.uniform(0.05, 0.2)
        (x1, n1), (x2, n2) = (drawn(dice.randint(300, 900) * k, rate, dice) for k in (1, 3))
        given_.missed(unit, to_5(x1), to_5(n1), to_5(x2), to_5(n2))
    return given_


def test_with_no_true_difference_about_two_in_a_thousand_stand_out_where_the_design_effect_is_right() -> None:
    # Of 2,000 units, 4 are expected beyond 99.8%, and more than 12 by chance in one of 4,000 such tests.
    dice, out = random.Random(20261123), 0
    for _ in range(20):
        found = ranking(alike(dice).published, "missed", QUARTER, Options(design_effect=TRUE_EFFECT))
        out += sum(row.stands_out for row in found.rows)
        assert (found.dispersion or 9) < 1.5
    assert out <= 12


def test_a_design_effect_that_is_too_small_shows_as_over_dispersion_which_widens_the_limits() -> None:
    found = ranking(alike(random.Random(5)).published, "missed", QUARTER, Options(design_effect=1.0))
    assert (found.dispersion or 0) > 2
    assert sum(row.stands_out for row in found.rows) <= 5
