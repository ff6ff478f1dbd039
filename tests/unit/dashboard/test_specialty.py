"""What a specialty's first screen says beside its finding."""

from app.dashboard.frame import Frame
from app.dashboard.specialty import closing, lead, waiting
from app.findings.options import Options
from app.findings.overview import overview
from tests.unit.findings.plain import Number, Plain

Q = "2026-27-Q2"
EXPLAINED = "Each figure is rounded by itself, so the gap differs by a point from the two beside it."


def said(core20: tuple[Number, Number], rest: tuple[Number, Number]) -> tuple[str, ...]:
    """The lead of a specialty with these missed appointments of all."""
    return lead(overview(Plain().missed(Q, "340", core20, rest).published(), "340", options=Options()))


def test_a_gap_that_is_not_the_difference_of_the_shares_beside_it_is_explained_there() -> None:
    assert said((770, 5000), (530, 5000))[-1] == EXPLAINED  # 15 and 11 in 100, and 5 points
    assert EXPLAINED not in said((750, 5000), (500, 5000))
    assert EXPLAINED in said((530, 5000), (770, 5000))


def test_where_nothing_is_known_the_lead_leaves_the_reason_to_the_box_beneath() -> None:
    assert said(("*", 1000), (240, 3000)) == ()


def test_a_verdict_on_few_points_is_said_to_be_on_trial_limits_where_nothing_is_folded_away() -> None:
    made = Plain()
    for n, quarter in enumerate(f"{year}-Q{q}" for year in ("2024-25", "2025-26") for q in range(1, 5)):
        made.missed(quarter, "340", (150 + 5 * (n % 3), 1000), (300, 3000))
    section = closing(Frame.of("", made.published(), Options(), None), overview(made.published(), "340"))
    assert section.exhibits[0].chart.title.startswith("No sign of change:")
    assert section.quiet == ("These are trial limits, on 8 quarters: firm ones need 12.",)


def test_what_is_not_shown_of_a_list_is_named_beside_what_is() -> None:
    made = Plain().missed(Q, "340", (150, 1000), (300, 3000))
    made.waiting("2026-09", "340", core20=(300, 200, "*"), rest=(500, 250, 40), unknown=(10, 10, 0))
    section = waiting(Frame.of("", made.published(), Options(), None), overview(made.published(), "340"))
    assert "had waited over 18 weeks" in section.exhibits[0].chart.title
    assert section.sentences[0].startswith("Waiting over 52 weeks: not shown: a count that this rests on")
