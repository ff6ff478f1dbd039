"""Gaps and shares over time, from published parts."""

import pytest

from app.findings.options import Options
from app.findings.trends import sequence, trend
from tests.unit.findings.plain import Plain, months

OPTIONS = Options()
LAST_TWO_YEARS = months("2024-10", 24)
WAVE = (40, 44, 38, 42, 46, 40, 38, 44, 42, 40, 45, 41)


def month_of(core20: int, others: int = 20) -> dict[str, dict[str, int | str]]:
    """A month of the organisation: missed of 400 in fifth 1, and of 250 in each of the others."""
    return {
        "1": {"did_not_attend": core20, "attended": 400 - core20},
        **{q: {"did_not_attend": others, "attended": 250 - others} for q in ("2", "3", "4", "5")},
    }


def wave(many: int, first: str = "2024-10") -> Plain:
    store = Plain()
    for i, month in enumerate(months(first, many)):
        store.outcomes(month, month_of(WAVE[i % 12]))
    return store


def test_without_a_special_cause_there_is_no_sign_of_change() -> None:
    found = trend(wave(24).published(), "missed", "", OPTIONS)
    assert [p.period for p in found.points] == LAST_TWO_YEARS
    # 40/400 - 80/1000 is 2 points.
    assert found.points[0].value == 2
    assert {p.flags for p in found.points} == {()}
    assert found.verdict == "common_cause"
    assert (
        found.sentence
        == "No sign of change: the gap in missed appointments has moved around 2 points, between 0 and 5."
    )
    (phase,) = found.phases
    assert (phase.start, phase.stop, phase.is_trial, phase.edition) == (0, 24, False, "IoD2025")


def test_a_gap_that_falls_has_narrowed_and_one_that_rises_has_widened() -> None:
    for end, verdict, said in (
        (36, "improving", "narrowed: the last 7 months are below the mean of 2 points"),
        (48, "worsening", "widened: the last 8 months are above the mean of 3 points"),  # one more by chance
    ):
        store = wave(24)
        for month in LAST_TWO_YEARS[-7:]:
            store.outcomes(month, month_of(end))
        found = trend(store.published(), "missed", "", OPTIONS)
        assert found.verdict == verdict
        assert found.sentence == f"The gap in missed appointments has {said}. The chart does not say why."
        assert all("shift" in p.flags for p in found.points[-7:])


def test_a_gap_the_other_way_narrows_when_it_rises() -> None:
    store = Plain()
    for i, month in enumerate(LAST_TWO_YEARS):
        store.outcomes(month, month_of(WAVE[i % 12] + (6 if i > 16 else 0), others=60))
    found = trend(store.published(), "missed", "", OPTIONS)
    assert (found.points[0].value, found.verdict) == (-14, "improving")
    assert "narrowed" in found.sentence


@pytest.mark.parametrize(
    ("many", "verdict", "is_trial"),
    [(7, "too_few", True), (8, "common_cause", True), (11, "common_cause", True), (12, "common_cause", False)],
)
def test_under_12_points_the_limits_are_trial_limits_and_under_8_there_is_no_verdict(
    many: int, verdict: str, is_trial: bool
) -> None:
    found = trend(wave(many).published(), "missed", "", OPTIONS)
    assert found.phases[0].is_trial == is_trial
    assert found.verdict == verdict
    assert ("trial limits" in found.sentence) == is_trial


def test_one_point_has_no_limits() -> None:
    one = trend(wave(1).published(), "missed", "", OPTIONS)
    assert (one.verdict, one.phases[0].lower) == ("too_few", None)
    assert one.sentence == "Too few to judge change: 1 month of the 8 that a verdict needs."


def test_limits_are_worked_out_before_rounding() -> None:
    # Gaps of 2 and 2.25 points round alike: after rounding there would be no spread, and limits of no width.
    store = Plain()
    for i, month in enumerate(LAST_TWO_YEARS):
        store.outcomes(month, month_of(40 + i % 2))
    found = trend(store.published(), "missed", "", OPTIONS)
    assert {p.value for p in found.points} == {2}
    (phase,) = found.phases
    assert (phase.mean, phase.lower, phase.upper) == (2, 1, 3)


def test_a_hidden_month_is_a_hole_in_the_line_and_said() -> None:
    store = wave(24)
    store.outcomes(LAST_TWO_YEARS[5], {"1": {"did_not_attend": "*"}})
    store.outcomes(LAST_TWO_YEARS[9], {"4": {"attended": "w"}})
    store.outcomes(LAST_TWO_YEARS[12], {"1": {"did_not_attend": 10, "attended": 80}})
    found = trend(store.published(), "missed", "", OPTIONS)
    marks = {i: (p.value, p.mark) for i, p in enumerate(found.points) if p.mark}
    assert marks == {5: (None, "*"), 9: (None, "w"), 12: (None, "few")}
    assert "3 of 24 months cannot be shown." in found.sentence


def test_where_nothing_can_be_shown_there_is_a_refusal_and_no_limits() -> None:
    store = Plain()
    for month in LAST_TWO_YEARS:
        store.outcomes(month, month_of(40)).outcomes(month, {"1": {"did_not_attend": "*"}})
    found = trend(store.published(), "missed", "", OPTIONS)
    assert found.refusal is not None
    assert (found.refusal.code, found.phases, found.verdict) == ("hidden", (), "too_few")
    assert len(found.points) == 24


def test_an_edition_begins_a_phase_and_is_said() -> None:
    store = wave(24)
    store.editions = {"2026-04": "IoD2030"}
    found = trend(store.published(), "missed", "", OPTIONS)
    assert [(p.start, p.stop, p.edition) for p in found.phases] == [(0, 18, "IoD2025"), (18, 24, "IoD2030")]
    assert found.verdict == "too_few"  # six months on the new edition
    assert "From April 2026 on areas are ranked by IoD2030, before by IoD2025" in found.sentence


def test_the_newest_24_periods_are_shown_up_to_the_one_asked_for() -> None:
    store = wave(30, "2024-04").published()
    assert [p.period for p in trend(store, "missed", "", OPTIONS).points] == LAST_TWO_YEARS
    until = trend(store, "missed", "", OPTIONS, until="2025-26-Q1")
    assert [p.period for p in until.points] == months("2024-04", 15)


def test_a_period_in_between_that_is_not_published_has_its_place() -> None:
    store = Plain()
    for month in ("2026-01", "2026-03"):
        store.outcomes(month, month_of(40))
    found = trend(store.published(), "missed", "", OPTIONS)
    assert [(p.period, p.value, p.mark) for p in found.points] == [
        ("2026-01", 2, ""),
        ("2026-02", None, "absent"),
        ("2026-03", 2, ""),
    ]
    quarters = Plain().missed("2025-26-Q3", "340", (9, 100), (9, 100)).missed("2026-27-Q1", "340", (9, 100), (9, 100))
    assert sequence(quarters.published(), "specialty_dna_core20") == ["2025-26-Q3", "2025-26-Q4", "2026-27-Q1"]


def test_a_specialty_s_missed_appointments_are_followed_by_quarter_and_its_share_is_of_the_most_deprived() -> None:
    store = Plain()
    for quarter in ("2026-27-Q1", "2026-27-Q2"):
        store.missed(quarter, "340", (140, 1000), (240, 3000))
    found = trend(store.published(), "missed", "340", OPTIONS)
    assert [(p.period, p.value) for p in found.points] == [("2026-27-Q1", 6), ("2026-27-Q2", 6)]
    assert "2 quarters of the 8" in found.sentence
    share = trend(store.published(), "missed", "340", OPTIONS, of="share")
    assert [p.value for p in share.points] == [14, 14]


def test_the_core20_share_is_of_contacts_with_a_decile_and_neither_direction_is_better() -> None:
    store = Plain()
    for i, month in enumerate(LAST_TWO_YEARS):
        store.contacts(month, "340", 200 + (i % 3) * 10 + (i > 16) * 60, 800, unknown=600)
    found = trend(store.published(), "core20_share", "340", OPTIONS)
    assert (found.of, found.points[0].value) == ("share", 20)
    assert found.verdict == "changed"
    assert found.sentence.startswith("The share of contacts from the most deprived fifth of areas has changed: ")


def test_a_stock_has_points_and_neither_limits_nor_flags_nor_a_verdict() -> None:
    store = Plain()
    for i, month in enumerate(LAST_TWO_YEARS):
        store.waiting(month, "340", core20=(600 - 10 * i, 400 + 10 * i, 50), rest=(1400, 600, 50))
    found = trend(store.published(), "over_18_weeks", "340", OPTIONS)
    assert [p.value for p in found.points][:3] == [10, 11, 12]
    assert (found.phases, {p.flags for p in found.points}, found.verdict) == ((), {()}, "too_few")
    assert "stock" in found.sentence


def test_what_is_published_by_the_year_alone_is_not_followed() -> None:
    store = Plain().by_fifths("2025-26", "340", [(10, 100)] * 5, cancelled=[10] * 5).published()
    found = trend(store, "cancelled_by_provider", "340", OPTIONS)
    assert found.refusal is not None
    assert (found.refusal.code, found.points) == ("not_published", ())
    nothing = trend(Plain().published(), "missed", "", OPTIONS)
    assert (nothing.points, nothing.verdict) == ((), "too_few")
