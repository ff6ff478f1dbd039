"""Gaps between the most deprived fifth of areas and the rest, from published parts."""

import pytest

from app.findings.findings import Ratio, Whole
from app.findings.gaps import gap
from app.findings.options import Options
from tests.unit.findings.plain import Number, Plain, months

Q = "2026-27-Q2"
OPTIONS = Options()


def outcomes(core20: tuple[Number, Number], rest: tuple[Number, Number]) -> dict[str, dict[str, Number]]:
    """Did not attend and attended of fifth 1 and of each of the others, with others beside that must not matter."""
    return {
        "1": {"did_not_attend": core20[0], "attended": core20[1], "cancelled_by_patient": 500},
        **{q: {"did_not_attend": rest[0], "attended": rest[1], "referred": 70} for q in ("2", "3", "4", "5")},
        "no_decile": {"did_not_attend": 900, "attended": 100},
    }


def test_a_gap_is_as_worked_out_by_hand() -> None:
    # 140/1000 - 240/3000 = 6 points. Wilson 95%: 11.99 to 16.29, and 7.08 to 9.02. Newcombe:
    # 6 - sqrt(2.01^2 + 1.02^2) = 3.74; 6 + sqrt(2.29^2 + 0.92^2) = 8.47. Ratio 1.75, from exp(ln 1.75 -/+ 0.194).
    found = gap(Plain().missed(Q, "340", (140, 1000), (240, 3000)).published(), "missed", "340", Q, OPTIONS)
    assert found.core20.percent == Whole(14, 12, 16)
    assert found.rest.percent == Whole(8, 7, 9)
    assert found.absolute == Whole(6, 4, 8)
    assert found.relative == Ratio(1.8, 1.4, 2.1)
    assert found.is_certain
    assert found.fewer == 60  # 140 - 1000 x 8%
    assert found.sentence == (
        "In the most deprived fifth of areas, 14 in 100 Respiratory Medicine appointments were missed; in other areas,"
        " 8 in 100; the gap is 6 points (4 to 8), in the quarter July to September 2026. At the rate of other areas"
        " there would have been about 60 fewer missed appointments in the most deprived fifth."
    )
    assert found.source is not None
    assert (found.source.tables, found.source.periods) == (("T2 specialty_dna_core20",), (Q,))


def test_services_for_children_say_was_not_brought() -> None:
    store = Plain()
    for code in ("420", "711", "422", "X04"):
        store.missed(Q, code, (140, 1000), (240, 3000))
    for code in ("420", "711", "422", "X04"):
        sentence = gap(store.published(), "missed", code, Q, OPTIONS).sentence
        assert "children were not brought" in sentence
        assert "missed" not in sentence


def test_a_gap_the_other_way_says_so_and_promises_no_fewer_events() -> None:
    found = gap(Plain().missed(Q, "340", (80, 1000), (420, 3000)).published(), "missed", "340", Q, OPTIONS)
    assert found.absolute == Whole(-6, -8, -4)
    assert (found.is_certain, found.fewer) == (True, None)
    assert "the gap is 6 points the other way (4 to 8): less in the most deprived fifth" in found.sentence


def test_a_gap_whose_limits_show_zero_is_not_certain() -> None:
    found = gap(Plain().missed(Q, "340", (15, 150), (240, 3000)).published(), "missed", "340", Q, OPTIONS)
    assert found.absolute is not None
    assert found.absolute.lower <= 0 <= found.absolute.upper
    assert (found.is_certain, found.fewer) == (False, None)
    assert "not certain" in found.sentence


@pytest.mark.parametrize("hidden", ["*", "w"])
@pytest.mark.parametrize("at", range(4))
def test_where_any_part_is_hidden_there_is_no_gap(hidden: str, at: int) -> None:
    parts: list[Number] = [140, 1000, 240, 3000]
    parts[at] = hidden
    store = Plain().missed(Q, "340", (parts[0], parts[1]), (parts[2], parts[3])).published()
    found = gap(store, "missed", "340", Q, OPTIONS)
    assert found.refusal is not None
    assert found.refusal.code == "hidden"
    assert (found.absolute, found.relative, found.fewer, found.is_certain) == (None, None, None, False)
    assert hidden in (found.core20.mark, found.rest.mark)
    assert found.sentence == found.refusal.sentence


def test_the_sentence_of_a_hidden_part_says_up_to_which_count_it_hides() -> None:
    store = Plain().missed(Q, "340", ("*", 1000), (240, 3000)).published()
    assert "from 1 to 12," in gap(store, "missed", "340", Q, Options(suppress_up_to=12)).sentence


@pytest.mark.parametrize("at", [0, 1])
def test_under_the_least_denominator_there_is_no_gap(at: int) -> None:
    pairs: list[tuple[Number, Number]] = [(10, 100), (10, 100)]
    assert gap(Plain().missed(Q, "340", *pairs).published(), "missed", "340", Q, OPTIONS).refusal is None
    pairs[at] = (10, 95)
    found = gap(Plain().missed(Q, "340", *pairs).published(), "missed", "340", Q, OPTIONS)
    assert found.refusal is not None
    assert (found.refusal.code, found.absolute) == ("too_few", None)
    stricter = Plain().missed(Q, "340", (10, 100), (10, 100)).published()
    assert gap(stricter, "missed", "340", Q, Options(least_denominator=200)).refusal is not None


def test_more_events_than_contacts_are_no_share() -> None:
    found = gap(Plain().missed(Q, "340", (105, 100), (10, 100)).published(), "missed", "340", Q, OPTIONS)
    assert found.refusal is not None
    assert found.core20.percent is None


def test_no_events_make_a_gap_but_no_ratio() -> None:
    found = gap(Plain().missed(Q, "340", (0, 400), (40, 400)).published(), "missed", "340", Q, OPTIONS)
    assert (found.absolute, found.relative) != (None, None)
    assert found.relative is None
    assert "0 in 100" in found.sentence


def test_a_share_that_rounds_to_nothing_is_not_said_to_be_nothing() -> None:
    found = gap(Plain().missed(Q, "340", (10, 4000), (240, 3000)).published(), "missed", "340", Q, OPTIONS)
    assert "fewer than 1 in 100" in found.sentence


@pytest.mark.parametrize(
    ("measure", "unit", "period"),
    [
        ("missed", "340", "2026-27-Q3"),
        ("missed", "110", Q),
        ("missed", "340", "2026-07"),  # of a specialty never by the month
        ("cancelled_by_provider", "340", Q),
        ("over_18_weeks", "340", "2026-09"),
        ("core20_share", "340", "2026-09"),  # no gap
        ("missed", "", Q),
    ],
)
def test_what_is_not_published_is_said_not_to_be(measure: str, unit: str, period: str) -> None:
    store = Plain().missed("2026-27-Q1", "340", (140, 1000), (240, 3000)) if unit == "" else Plain()
    if unit:
        store.missed(Q, "340", (140, 1000), (240, 3000))
    found = gap(store.published(), measure, unit, period, OPTIONS)  # type: ignore[arg-type]
    assert found.refusal is not None
    assert (found.refusal.code, found.absolute) == ("not_published", None)


def test_of_the_whole_organisation_fifth_1_is_set_against_the_four_others_over_the_months() -> None:
    store = Plain()
    for month in ("2026-07", "2026-08", "2026-09"):
        store.outcomes(month, outcomes((40, 160), (20, 230)))
    found = gap(store.published(), "missed", "", Q, OPTIONS)
    assert (found.core20.n, found.core20.total) == (120, 600)
    assert (found.rest.n, found.rest.total) == (240, 3000)
    assert found.source is not None
    assert found.source.periods == ("2026-07", "2026-08", "2026-09")


def test_contacts_without_a_decile_are_in_neither_part() -> None:
    with_unknown, without = Plain(), Plain()
    for month in ("2026-07", "2026-08", "2026-09"):
        said = outcomes((40, 160), (20, 230))
        with_unknown.outcomes(month, said)
        without.outcomes(month, {q: o for q, o in said.items() if q != "no_decile"})
    assert gap(with_unknown.published(), "missed", "", Q, OPTIONS) == gap(without.published(), "missed", "", Q, OPTIONS)


def test_where_a_month_hides_a_part_the_quarters_of_the_specialties_are_added() -> None:
    store = Plain().missed(Q, "340", (140, 1000), (240, 3000)).missed(Q, "all_other", (60, 1000), (60, 1000))
    for month in ("2026-07", "2026-08", "2026-09"):
        store.outcomes(month, outcomes(("*", 160), (20, 230)))
    found = gap(store.published(), "missed", "", Q, OPTIONS)
    assert (found.core20.n, found.core20.total, found.rest.n, found.rest.total) == (200, 2000, 300, 4000)
    store.missed(Q, "110", ("*", 100), (20, 200))
    refused = gap(store.published(), "missed", "", Q, OPTIONS)
    assert refused.refusal is not None
    assert refused.refusal.code == "hidden"


def test_a_quarter_of_which_a_month_is_missing_is_not_published() -> None:
    store = Plain()
    for month in ("2026-07", "2026-09"):
        store.outcomes(month, outcomes((40, 160), (20, 230)))
    refused = gap(store.published(), "missed", "", Q, OPTIONS)
    assert refused.refusal is not None
    assert refused.refusal.code == "not_published"


def test_parts_on_two_editions_are_never_added() -> None:
    store = Plain(editions={"2026-09": "IoD2030"})
    for month in ("2026-07", "2026-08", "2026-09"):
        store.outcomes(month, outcomes((40, 160), (20, 230)))
    refused = gap(store.published(), "missed", "", Q, OPTIONS)
    assert refused.refusal is not None
    assert (refused.refusal.code, refused.absolute) == ("other_edition", None)


def test_a_design_effect_widens_the_limits_of_contacts_and_not_those_of_people_waiting() -> None:
    store = Plain().missed(Q, "340", (140, 1000), (240, 3000))
    store.waiting("2026-09", "340", core20=(600, 400, 50), rest=(1400, 600, 50))
    wide = Options(design_effect=4.0)
    plain, widened = (gap(store.published(), "missed", "340", Q, o).absolute for o in (OPTIONS, wide))
    assert plain is not None
    assert widened is not None
    assert widened.value == plain.value
    assert widened.upper - widened.lower > plain.upper - plain.lower
    waiting = [gap(store.published(), "over_18_weeks", "340", "2026-09", o).absolute for o in (OPTIONS, wide)]
    assert waiting[0] == waiting[1] == Whole(10, 6, 14)


def test_people_waiting_are_added_over_units_and_over_52_weeks_is_part_of_over_18() -> None:
    store = Plain()
    store.waiting("2026-09", "340", core20=(600, 400, 50), rest=(1400, 600, 50), unknown=(300, 300, 300))
    store.waiting("2026-09", "all_other", core20=(400, 100, 25), rest=(600, 400, 100), unknown=(5, 0, 0))
    found = gap(store.published(), "over_18_weeks", "", "2026-09", OPTIONS)
    assert (found.core20.n, found.core20.total, found.rest.n, found.rest.total) == (500, 1500, 1000, 3000)
    year = gap(store.published(), "over_52_weeks", "", "2026-09", OPTIONS)
    assert (year.core20.n, year.core20.total, year.rest.n, year.rest.total) == (75, 1500, 150, 3000)
    assert found.sentence.startswith("Of people waiting who live in the most deprived fifth of areas, 33 in 100")
    assert "at the end of September 2026" in found.sentence


def test_a_hidden_count_of_one_unit_hides_the_whole_list() -> None:
    store = Plain().waiting("2026-09", "340", core20=(600, 400, 50), rest=(1400, 600, 50))
    store.waiting("2026-09", "110", core20=(600, 400, "*"), rest=(1400, 600, 50))
    assert gap(store.published(), "over_18_weeks", "", "2026-09", OPTIONS).refusal is None
    refused = gap(store.published(), "over_52_weeks", "", "2026-09", OPTIONS).refusal
    assert refused is not None
    assert refused.code == "hidden"


def test_a_specialty_s_year_sets_fifth_1_against_the_four_others() -> None:
    pairs: list[tuple[Number, Number]] = [(140, 1000), (120, 1000), (100, 1000), (90, 1000), (80, 1000)]
    store = Plain().by_fifths("2025-26", "340", pairs, cancelled=[100, 50, 50, 50, 50])
    missed = gap(store.published(), "missed", "340", "2025-26", OPTIONS)
    assert (missed.core20.n, missed.core20.total, missed.rest.n, missed.rest.total) == (140, 1000, 390, 4000)
    cancelled = gap(store.published(), "cancelled_by_provider", "340", "2025-26", OPTIONS)
    assert (cancelled.core20.n, cancelled.core20.total) == (100, 1100)
    assert (cancelled.rest.n, cancelled.rest.total) == (200, 4200)
    assert "the hospital cancelled 9 in 100 Respiratory Medicine appointments" in cancelled.sentence


def test_turning_the_areas_round_turns_the_gap_round() -> None:
    for core20, rest in (((140, 1000), (240, 3000)), ((15, 150), (240, 3000)), ((0, 400), (40, 400))):
        one = gap(Plain().missed(Q, "340", core20, rest).published(), "missed", "340", Q, OPTIONS)
        other = gap(Plain().missed(Q, "340", rest, core20).published(), "missed", "340", Q, OPTIONS)
        assert one.absolute is not None
        assert other.absolute == Whole(-one.absolute.value, -one.absolute.upper, -one.absolute.lower)
        assert one.is_certain == other.is_certain


def test_months_follow_each_other() -> None:
    assert months("2026-11", 3) == ["2026-11", "2026-12", "2027-01"]


def test_a_gap_whose_limit_is_shown_as_nothing_is_not_certain() -> None:
    # Its lower limit is 0.5 points before rounding.
    found = gap(Plain().missed(Q, "340", (105, 1000), (240, 3000)).published(), "missed", "340", Q, OPTIONS)
    assert found.absolute is not None
    assert found.absolute.lower == 0
    assert not found.is_certain
    assert found.fewer is None
    assert "is not certain" in found.sentence
