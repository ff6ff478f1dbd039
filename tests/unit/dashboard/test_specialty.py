"""What a specialty's first screen says beside its finding."""

from app.dashboard.specialty import lead
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
