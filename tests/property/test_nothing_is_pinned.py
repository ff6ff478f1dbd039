"""An attacker with an integer program against stores as published: no small count has fewer than three values."""

import re
from pathlib import Path

import pytest

from app.counts import seal as sealing
from tests.attacker import WEIGHTS, Attack, Verdict, fifth_of, published_rows
from tests.counts_stores import OUTCOMES, Plain, Plan, draw_plan, opened_store, seal_all, sharp_plan

MONTHS = ["2024-12", "2025-01", "2025-02", "2025-03"]
CHILD = Plain(
    "", "656", "all_other", "emergency", "referred", 10, "", 9, "male", "absent", "ward", "live", "E07000172"
)  # fmt: skip
ADULT = CHILD._replace(type="outpatient", age=50)


def attacked(plan: Plan, folder: Path) -> Verdict:
    with opened_store(plan, folder) as engine:
        seal_all(engine, plan)
        rows = published_rows(engine)
    return Attack(plan, rows).run()


def assert_nothing_is_pinned(verdict: Verdict) -> None:
    assert verdict.undecided == 0
    found = [(t.table, t.what, t.mark, t.truth, sorted(t.seen)) for t in verdict.with_values(2)]
    assert not found


@pytest.mark.parametrize("seed", range(24))
def test_no_small_count_of_a_drawn_store_has_fewer_than_three_values(tmp_path: Path, seed: int) -> None:
    assert_nothing_is_pinned(attacked(draw_plan(seed, most_a_month=6), tmp_path))


@pytest.mark.parametrize("seed", range(16))
def test_no_small_count_of_a_sharp_store_has_fewer_than_three_values(tmp_path: Path, seed: int) -> None:
    assert_nothing_is_pinned(attacked(sharp_plan(seed), tmp_path))


def every_month(contact: Plain, each: int, months: list[str] = MONTHS) -> list[Plain]:
    return [contact._replace(month=month) for month in months for _ in range(each)]


def welsh(contact: Plain) -> Plain:
    return contact._replace(decile=None, reason="not_in_england", lad="W06000015")


def of_x04(outcome: str, month: str) -> Plain:
    return ADULT._replace(month=month, specialty="211", unit="X04", decile=3, outcome=outcome)


# Each is a store in which tables that seem to have little to do with each other pin a count together.
CASES = {
    "children's emergencies bound the contacts of their fifth": every_month(CHILD, 7),
    "children's emergencies bound the children of each specialty": [
        *every_month(CHILD, 13, MONTHS[-1:]),
        *every_month(CHILD._replace(decile=1), 1, MONTHS[-1:]),
    ],
    "each fifth has one emergency of a child, and no other contact has": [
        *every_month(CHILD, 8, MONTHS[-1:]),
        *(CHILD._replace(month=MONTHS[-1], decile=d) for d in (1, 3, 5, 7)),
        *every_month(ADULT, 30),
    ],
    "one child only, and it was an emergency": [CHILD._replace(month=MONTHS[0]), *every_month(ADULT, 20)],
    "one person has no fixed abode, and everybody else an area": [
        *every_month(ADULT, 20),
        ADULT._replace(
            month=MONTHS[-1],
            decile=None,
            reason="no_fixed_abode",
            status="no_fixed_abode",
            lad=None,
            groups=(("inclusion", "homelessness"),),
        ),
    ],
    "a district of Wales has no deciles": [
        *every_month(ADULT, 12, MONTHS[-1:]),
        *every_month(welsh(ADULT), 7, MONTHS[-1:]),
        *every_month(welsh(ADULT)._replace(lad="W06000018"), 7, MONTHS[-1:]),
    ],
    "what a clinic cancelled, kept or missed in a year leaves one contact of a fifth": [
        *(of_x04("attended", month) for month in MONTHS for _ in range(2)),
        *(of_x04("cancelled_by_provider", month) for month in MONTHS for _ in range(2)),
        of_x04("admitted", MONTHS[0]),
        *(of_x04(o, m)._replace(decile=9) for m in MONTHS for o in OUTCOMES for _ in range(9)),
        *(ADULT._replace(month=m, decile=3, outcome=o) for m in MONTHS for o in OUTCOMES for _ in range(9)),
    ],
    "first contacts and all contacts of a clinic leave one that is not first": [
        *(of_x04("attended", month) for month in MONTHS for _ in range(3)),
        *(of_x04("attended", month)._replace(decile=5) for month in MONTHS for _ in range(4)),
        of_x04("attended", MONTHS[0])._replace(decile=5, attendance="follow_up"),
        *every_month(ADULT, 30),
        *every_month(ADULT._replace(decile=3), 30),
        *every_month(ADULT._replace(decile=5), 30),
    ],
    "two contacts in a year": [ADULT._replace(month=MONTHS[0]), CHILD._replace(month=MONTHS[0])],
}


@pytest.mark.parametrize("name", CASES, ids=[re.sub(r"[^a-z]+", "-", name.lower().replace("'", "")) for name in CASES])
def test_tables_that_overlap_pin_nothing_together(tmp_path: Path, name: str) -> None:
    assert_nothing_is_pinned(attacked(Plan(MONTHS, ["X04"], CASES[name]), tmp_path))


def test_one_contact_in_a_clinics_year_does_not_empty_the_tables_of_all_others(tmp_path: Path) -> None:
    plan = draw_plan(1006, most_a_month=20)
    mine = [c for c in plan.contacts if c.unit == "320" and fifth_of(c.decile) == "1"]
    assert [c.attendance for c in mine] == ["new"]
    with opened_store(plan, tmp_path) as engine:
        rows = [tables for sealed in seal_all(engine, plan) for tables in sealed.withheld.elements()]
    assert len([table for table in rows if table != sealing.STANDARDISED]) < 10


@pytest.mark.parametrize("residents", [100, 1000, 10_000])
@pytest.mark.parametrize("contacts", ["all with a rate", "some without"])
def test_rates_with_ages_and_emergencies_of_children_pin_nothing(tmp_path: Path, residents: int, contacts: str) -> None:
    ages = (2, 7, 12, 16, 30, 50, 70)
    mixed = [
        CHILD._replace(month=MONTHS[-1], age=age, decile=2 * (i % 5) + 1, type=kind)
        for i, age in enumerate(ages)
        for kind, n in (("emergency", 8 + i), ("outpatient", 3 * i), ("elective", 12))
        for _ in range(n)
    ]
    if contacts == "some without":
        mixed += [c._replace(type="community") for c in mixed[::5]]
    people = {(str(q), band): residents for q in range(1, 6) for band in WEIGHTS}
    assert_nothing_is_pinned(attacked(Plan(MONTHS[-1:], ["X04"], mixed, [], people), tmp_path))


@pytest.mark.parametrize("seed", [0, 2, 4, 8])
def test_without_the_audit_the_attacker_pins_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Rounding alone fails, and this attacker finds out: the tests above could fail."""
    monkeypatch.setattr(sealing, "audit", lambda *_: set())
    pinned = attacked(sharp_plan(seed), tmp_path).with_values(1)
    assert len(pinned) >= 10


def test_what_an_attacker_finds_pinned_is_the_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "audit", lambda *_: set())
    plan = Plan(MONTHS, [], every_month(ADULT, 7))
    verdict = attacked(plan, tmp_path)
    assert {t.table for t in verdict.with_values(1)} >= {"T1", "T6", "T11", "derived"}
    assert all(t.seen == {t.truth} for t in verdict.with_values(1))
