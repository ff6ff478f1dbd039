"""Guessing keys opens nothing, costs no memory, and shuts nobody out."""

from pathlib import Path

from benchmarks.guesses import attack

GUESSES = 2_000
GROWTH_MB = 20.0  # a kilobyte kept of each guess would be 2 MB, and 100 MB with 100,000; the rest is warming up


def test_two_thousand_guesses_open_nothing_and_shut_nobody_out(starter: Path, tmp_path: Path) -> None:
    """`make guesses` sends 100,000."""
    result = attack(starter, tmp_path / "counts", GUESSES, workers=2, connections=4)
    assert sum(result.guesses.values()) == GUESSES
    assert set(result.guesses) <= {401, 503}, "503 where the machine has other work"
    assert result.guesses[401] > 0
    for spell in result.spells:
        assert set(spell.statuses) <= {200, 503}
        assert spell.statuses[200] > 0
        assert spell.resident[1] - spell.resident[0] < GROWTH_MB
