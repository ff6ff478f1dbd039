"""What the soak calls flat is flat, and what it calls grown has grown."""

import pytest

from benchmarks.soak import Look, grown, growth, slowed


def looks(memory: list[float], files: list[int]) -> list[Look]:
    return [Look(10.0 * at, 500.0, uss, n, 30, 3) for at, (uss, n) in enumerate(zip(memory, files, strict=True))]


def test_growth_is_the_rise_of_a_line_through_the_points() -> None:
    assert growth([(0, 5), (1, 7), (2, 9)]) == pytest.approx(4)
    assert growth([(0, 5)]) == 0


def test_memory_that_wavers_is_flat_and_memory_that_climbs_is_not() -> None:
    assert not list(grown(looks([400 + at % 3 for at in range(60)], [100] * 60)))
    assert [*grown(looks([400 + at for at in range(60)], [100] * 60))] == [
        "memory of the processes' own grew by 29.0 MB in the second half"
    ]


def test_files_that_are_never_closed_are_seen() -> None:
    assert [*grown(looks([400] * 60, list(range(60))))] == ["files grew by 29 in the second half"]


def test_what_is_learned_in_the_first_half_is_no_growth() -> None:
    assert not list(grown(looks([300 + min(at, 29) * 5 for at in range(60)], [min(at, 29) for at in range(60)])))


def test_a_median_that_doubles_is_told() -> None:
    steady = [(float(at), "one", 0.01) for at in range(100)]
    assert not list(slowed(steady, 100))
    assert list(slowed([(at, kind, 0.01 + 0.01 * (at > 50)) for at, kind, _ in steady], 100))
