"""When a worker turns requests away, with a clock of the test's own."""

import asyncio
from itertools import pairwise

import pytest

from app.overload import LoopDelay, Overload, weight


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def overload(clock: Clock) -> Overload:
    return Overload(128, LoopDelay(target=0.04, window=0.1), clock)


def ticks(overload: Overload, clock: Clock, late: float, number: int) -> None:
    for _ in range(number):
        clock.now += 0.01 + late
        overload.tick(late)


def test_a_loop_that_is_in_time_lets_in_a_burst_up_to_its_limit_and_no_more(overload: Overload, clock: Clock) -> None:
    ticks(overload, clock, 0.001, 100)
    overload.waiting = 127
    assert not overload.refuses
    overload.waiting = 128
    assert overload.refuses


def test_one_long_pause_turns_nobody_away(overload: Overload, clock: Clock) -> None:
    ticks(overload, clock, 0.0, 10)
    ticks(overload, clock, 0.9, 1)
    assert not overload.refuses
    assert overload.room == 128


def test_late_at_every_tick_of_a_window_halves_the_room_until_the_least(overload: Overload, clock: Clock) -> None:
    rooms = []
    for _ in range(9):
        ticks(overload, clock, 0.05, 1)
        rooms.append(overload.room)
    assert rooms == [128, 128, 64, 32, 16, 16, 16, 16, 16]
    assert overload.behind
    overload.waiting = 15
    assert not overload.refuses
    overload.waiting = 16
    assert overload.refuses


def test_one_tick_in_time_ends_it_and_the_room_comes_back_step_by_step(overload: Overload, clock: Clock) -> None:
    ticks(overload, clock, 0.05, 20)
    ticks(overload, clock, 0.0, 1)
    assert not overload.behind
    assert overload.room == 20
    ticks(overload, clock, 0.0, 27)
    assert overload.room == 128


def test_in_time_once_within_the_window_begins_the_window_anew(overload: Overload, clock: Clock) -> None:
    for _ in range(50):
        ticks(overload, clock, 0.05, 2)
        ticks(overload, clock, 0.0, 1)
    assert overload.room == 128


def test_what_has_begun_counts_by_its_weight(overload: Overload) -> None:
    overload.in_flight = 127
    assert not overload.refuses
    assert not overload.is_full
    overload.waiting = 1
    assert overload.refuses
    overload.in_flight = 128
    assert overload.is_full


@pytest.mark.parametrize(
    ("length", "units"),
    [(0, 1), (25, 1), (2047, 1), (2048, 2), (27_000, 14), (300_000, 32), (8 * 2**20, 32), (None, 32)],
)
def test_a_request_weighs_by_its_length_up_to_a_bound(length: int | None, units: int) -> None:
    assert weight(length) == units


def test_a_worker_with_little_room_never_has_less_than_one_place(clock: Clock) -> None:
    small = Overload(1, LoopDelay(target=0.04, window=0.1), clock)
    ticks(small, clock, 0.05, 20)
    ticks(small, clock, 0.0, 1)
    assert small.room == 1
    assert not small.refuses


def test_an_overload_is_logged_once_when_it_begins_and_once_when_it_ends(
    overload: Overload, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(10):
        overload.shed += 100
        ticks(overload, clock, 0.0, 10)
    ticks(overload, clock, 0.0, 1000)
    assert [record.message for record in caplog.records] == [
        "overloaded: some requests are answered 503",
        "no longer overloaded",
    ]


# ---------------------------------------------------------------------------------------------- turns


def test_slices_of_streams_are_done_one_at_a_time_with_others_between() -> None:
    async def run() -> list[str]:
        overload, done = Overload(10), list[str]()

        async def stream() -> None:
            for _ in range(5):
                await overload.turn()
                done.append("slice")

        async def single() -> None:
            for _ in range(40):
                await asyncio.sleep(0)
                done.append("single")

        await asyncio.gather(stream(), stream(), stream(), single())
        return done

    done = asyncio.run(run())
    assert done.count("slice") == 15
    assert all(pair != ("slice", "slice") for pair in pairwise(done[: len(done) - done[::-1].index("single")]))


@pytest.mark.parametrize("sign", ["late", "room"])
def test_under_strain_a_slice_waits_until_it_is_over_or_its_patience_is(sign: str) -> None:
    async def run(*, is_over: bool) -> float:
        now = 0.0

        def clock() -> float:
            nonlocal now
            now += 0.05
            return now

        overload = Overload(10, clock=clock)
        overload.delay.last, overload.room = (1.0, 10) if sign == "late" else (0.0, 9)
        assert overload.is_strained
        if is_over:
            overload.delay.last, overload.room = 0.0, 10
        await overload.turn()
        return now

    assert asyncio.run(run(is_over=False)) > 1.0
    assert asyncio.run(run(is_over=True)) < 0.2
