"""Five fifths of areas with their slope, from published parts."""

import pytest

from app.findings.fifths import fifths
from app.findings.findings import Whole
from app.findings.options import Options
from tests.unit.findings.plain import Number, Plain

YEAR = "2025-26"
FALLING: list[tuple[Number, Number]] = [(140, 1000), (120, 1000), (100, 1000), (90, 1000), (80, 1000)]
OPTIONS = Options()


def test_a_slope_is_positive_where_the_most_deprived_have_more_and_its_direction_is_in_words() -> None:
    found = fifths(Plain().by_fifths(YEAR, "340", FALLING).published(), "missed", "340", YEAR, OPTIONS)
    assert [s.percent and s.percent.value for s in found.shares] == [14, 12, 10, 9, 8]
    # By hand: logits -1.815, -1.992, -2.197, -2.314, -2.442 on ranks 0.1 to 0.9 with equal weights: slope -0.788,
    # -1.758 at 0 and -2.546 at 1, that is 14.7% and 7.3%.
    assert found.sii is not None
    assert found.sii.value == 7
    assert found.sii.lower > 0
    assert found.rii is not None
    assert found.rii.value == 2.0
    assert found.fitted == (14, 12, 10, 9, 8)
    assert found.fewer == 130  # 530 - 5000 x 8%
    assert "from 15 in 100 at the most deprived end to 7 at the least" in found.sentence
    assert "with more in deprived areas" in found.sentence


def test_turning_the_fifths_round_turns_the_slope_round() -> None:
    one = fifths(Plain().by_fifths(YEAR, "340", FALLING).published(), "missed", "340", YEAR, OPTIONS)
    other = fifths(Plain().by_fifths(YEAR, "340", FALLING[::-1]).published(), "missed", "340", YEAR, OPTIONS)
    assert one.sii is not None
    assert other.sii == Whole(-one.sii.value, -one.sii.upper, -one.sii.lower)
    assert other.shares == one.shares[::-1]
    assert other.fitted == one.fitted[::-1]
    assert other.fewer is None
    assert "with fewer in deprived areas" in other.sentence


def test_without_a_difference_the_slope_is_not_certain() -> None:
    found = fifths(Plain().by_fifths(YEAR, "340", [(100, 1000)] * 5).published(), "missed", "340", YEAR, OPTIONS)
    assert found.sii is not None
    assert found.sii.lower < 0 < found.sii.upper
    assert found.fewer is None
    assert "not certain" in found.sentence


@pytest.mark.parametrize("hidden", ["*", "w"])
@pytest.mark.parametrize("at", range(5))
def test_where_one_fifth_is_hidden_the_others_are_shown_and_there_is_no_slope(hidden: str, at: int) -> None:
    pairs = [*FALLING]
    pairs[at] = (hidden, pairs[at][1])
    found = fifths(Plain().by_fifths(YEAR, "340", pairs).published(), "missed", "340", YEAR, OPTIONS)
    assert found.refusal is not None
    assert found.refusal.code == "hidden"
    assert (found.sii, found.rii, found.fitted, found.fewer) == (None, None, (), None)
    assert [s.percent is None for s in found.shares] == [i == at for i in range(5)]
    assert found.shares[at].mark == hidden


def test_a_small_fifth_or_one_without_events_has_no_slope() -> None:
    for pair, code in (((10, 95), "too_few"), ((0, 1000), "no_events"), ((1000, 1000), "no_events")):
        store = Plain().by_fifths(YEAR, "340", [*FALLING[:4], pair]).published()
        found = fifths(store, "missed", "340", YEAR, OPTIONS)
        assert found.refusal is not None
        assert (found.refusal.code, found.sii) == (code, None)


def test_cancellations_are_a_share_of_what_was_cancelled_attended_and_missed() -> None:
    store = Plain().by_fifths(YEAR, "340", FALLING, cancelled=[100, 50, 50, 50, 50]).published()
    found = fifths(store, "cancelled_by_provider", "340", YEAR, OPTIONS)
    assert [(s.n, s.total) for s in found.shares] == [(100, 1100), (50, 1050), (50, 1050), (50, 1050), (50, 1050)]
    assert found.sii is not None


def test_a_store_from_before_cancellations_were_published_says_so() -> None:
    store = Plain().by_fifths(YEAR, "340", FALLING).published()
    found = fifths(store, "cancelled_by_provider", "340", YEAR, OPTIONS)
    assert found.refusal is not None
    assert found.refusal.code == "not_published"
    assert {s.mark for s in found.shares} == {"absent"}


def test_the_organisation_s_year_is_the_sum_of_its_months_without_those_of_unknown_decile() -> None:
    store = Plain()
    for number in range(12):
        month = f"{2025 + (number + 3) // 12}-{(number + 3) % 12 + 1:02d}"
        store.outcomes(
            month,
            {
                q: {"did_not_attend": 10 * (6 - int(q)), "attended": 200, "cancelled_by_provider": 20}
                for q in ("1", "2", "3", "4", "5")
            }
            | {"no_decile": {"did_not_attend": 500, "attended": 500, "cancelled_by_provider": 500}},
        )
    missed = fifths(store.published(), "missed", "", YEAR, OPTIONS)
    assert [(s.n, s.total) for s in missed.shares] == [(12 * 10 * n, 12 * (200 + 10 * n)) for n in (5, 4, 3, 2, 1)]
    cancelled = fifths(store.published(), "cancelled_by_provider", "", YEAR, OPTIONS)
    assert [(s.n, s.total) for s in cancelled.shares] == [(240, 12 * (220 + 10 * n)) for n in (5, 4, 3, 2, 1)]


def test_where_a_month_hides_a_part_the_years_of_the_specialties_are_added() -> None:
    store = Plain().by_fifths(YEAR, "340", FALLING, cancelled=[100, 50, 50, 50, 50])
    store.by_fifths(YEAR, "all_other", FALLING, cancelled=[10, 10, 10, 10, 10])
    store.outcomes("2025-04", {"1": {"did_not_attend": "*"}})
    missed = fifths(store.published(), "missed", "", YEAR, OPTIONS)
    assert [(s.n, s.total) for s in missed.shares] == [(280, 2000), (240, 2000), (200, 2000), (180, 2000), (160, 2000)]
    cancelled = fifths(store.published(), "cancelled_by_provider", "", YEAR, OPTIONS)
    assert (cancelled.shares[0].n, cancelled.shares[0].total) == (110, 2110)


def test_what_is_not_published_by_fifths_is_said_not_to_be() -> None:
    store = Plain().by_fifths(YEAR, "340", FALLING).published()
    for measure in ("over_18_weeks", "core20_share"):
        found = fifths(store, measure, "340", YEAR, OPTIONS)  # type: ignore[arg-type]
        assert found.refusal is not None
        assert found.refusal.code == "not_published"
