"""Faults of the machine around a service, each for a second; `make chaos` has more of them, and for longer."""

import pytest

from benchmarks.chaos import FAULTS, Told, tried
from tests.databases import Postgres


def through(name: str, postgres: Postgres | None = None) -> Told:
    """What clients were told through a fault that leaves nothing lost and nothing doubled."""
    if missing := FAULTS[name].missing():
        pytest.skip(missing)
    told = tried(name, 1.5, postgres)
    assert told.keys == told.keys_acknowledged == told.stored["100"], told.saw()
    assert told.acknowledged <= told.stored["340"] <= told.sent, told.saw()
    assert told.counted_again is not None
    assert {status for _, _, status, _ in told.answers} == {"200"}, "a fault of counting fails no answer"
    return told


def outcomes(told: Told) -> set[str]:
    return {outcome for _, _, _, outcome in told.during()}


def test_a_database_that_drops_every_packet_is_waited_for_and_nothing_is_lost(postgres: Postgres) -> None:
    assert outcomes(through("cut", postgres)) & {"unconfirmed", "spooled"}


def test_a_database_that_starts_again_at_its_other_address_is_found_there(postgres: Postgres) -> None:
    assert "spooled" in outcomes(through("moved", postgres))


def test_a_full_disk_costs_the_count_and_never_the_answer() -> None:
    assert outcomes(through("disk")) & {"unavailable", "unconfirmed"}


def test_a_clock_that_is_in_the_next_month_and_comes_back_counts_a_retry_once() -> None:
    assert outcomes(through("month")) == {"counted"}
