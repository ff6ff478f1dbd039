"""An attacker with an integer program against transition reports: no small count has fewer than three values."""

import pytest

from app.batch import transition_figures as figures
from app.batch.transition import Tally
from app.batch.transition_figures import SPECIALTY, shareable_report
from app.counts.disclosure import Rule
from tests.transition_attacker import CODES, Attack, as_folded, cells_of, drawn, tally_of


def attack(rows: dict[tuple[str, int], int]) -> Attack:
    tally = tally_of(rows)
    report = shareable_report(tally, Rule())
    return Attack(report, cells_of(*as_folded(report, tally)))


@pytest.mark.parametrize("seed", range(60))
def test_no_small_count_of_a_drawn_file_has_fewer_than_three_values(seed: int) -> None:
    assert not attack(drawn(seed)).pinned()


# Each is a file in which rounding alone would give a count away, together with the number of rows that is known.
CASES = {
    "one row moves and all others stay": {("340", 0): 102, ("340", 10): 1},
    "one row cannot be compared": {("340", 33): 1102, ("340", 105): 1},
    "two specialties, one of which has the only moves": {("340", 0): 1200, ("340", 20): 2, ("100", 33): 1202},
    "a remainder as large as a specialty": {("340", 0): 1100, ("100", 2): 3, ("100", 0): 1004, ("812", 33): 1007},
    "every count at an edge": {("340", c): n for c, n in ((0, 1002), (1, 7), (11, 8), (20, 12), (22, 13), (101, 1))},
    "one row can be compared": {("340", 100): 500, ("340", 12): 1},
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_known_beside_the_report_pins_nothing(name: str) -> None:
    assert not attack(CASES[name]).pinned()


@pytest.mark.parametrize("seed", range(0, 60, 4))
def test_no_small_group_of_a_specialty_and_its_deciles_has_fewer_than_three_values(seed: int) -> None:
    """No table shows it, and the audit does not look for it: so it is looked for here."""
    assert not attack(drawn(seed)).joint().pinned()


@pytest.mark.parametrize("seed", [11, 56, 69, 94, 152, 324])
def test_reports_of_one_file_with_and_without_specialties_say_the_same_of_the_whole_file(seed: int) -> None:
    """In each of these files the audit of specialties would withhold a figure that the other report shows."""
    tally = tally_of(drawn(seed))
    with_them = shareable_report(tally, Rule())
    no_code = Tally(tally.editions, CODES[-1:], tally.counts.sum(0, keepdims=True))
    without = shareable_report(no_code, Rule())
    assert {f: n for f, n in with_them.figures.items() if f.table != SPECIALTY} == without.figures
    assert not Attack(with_them, cells_of(*as_folded(with_them, tally))).pinned()


def test_without_the_audit_the_attacker_pins_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounding alone fails, and this attacker finds out: the tests above could fail."""
    monkeypatch.setattr(figures, "audit", lambda *_: set())
    pinned = [attack(drawn(seed)).pinned() for seed in range(12)]
    assert sum(map(bool, pinned)) >= 3
