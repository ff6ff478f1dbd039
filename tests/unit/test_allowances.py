"""What a client may take, with a clock of the test's own."""

from hypothesis import given
from hypothesis import strategies as st

from app.allowances import Allowances, RowBucket

SECOND = 10**9
MINUTE = 60 * SECOND


class Clock:
    def __init__(self) -> None:
        self.now = 7 * SECOND

    def __call__(self) -> int:
        return self.now


def test_a_whole_minute_is_there_at_first_and_comes_back_within_a_minute() -> None:
    bucket = RowBucket(6000)
    assert bucket.take(6000, 0) == (True, 0, 60)
    assert bucket.take(1, 0) == (False, 0, 1)
    assert bucket.take(1000, 0) == (False, 0, 10)
    assert bucket.take(1000, 10 * SECOND) == (True, 0, 60)
    assert bucket.take(6000, 70 * SECOND) == (True, 0, 60)


def test_a_refusal_takes_nothing() -> None:
    bucket = RowBucket(100)
    assert bucket.take(60, 0).granted
    for _ in range(10):
        assert not bucket.take(41, 0).granted
    assert bucket.take(40, 0).granted


steps = st.lists(st.tuples(st.integers(0, 2 * MINUTE), st.integers(1, 20_000)), min_size=1, max_size=60)


@given(per_minute=st.integers(1, 10_000_000), steps=steps)
def test_no_window_grants_more_than_the_allowance_and_what_came_back_meanwhile(
    per_minute: int, steps: list[tuple[int, int]]
) -> None:
    bucket, now, granted = RowBucket(per_minute), 5 * SECOND, []
    for passed, rows in steps:
        now += passed
        if bucket.take(rows, now).granted:
            granted.append((now, rows))
    for first in range(len(granted)):
        total = 0
        for last in range(first, len(granted)):
            total += granted[last][1]
            window = granted[last][0] - granted[first][0]
            assert total * MINUTE <= per_minute * (MINUTE + window)


@given(per_minute=st.integers(1, 10_000_000), steps=steps)
def test_who_waits_as_told_is_granted_and_who_asks_for_what_is_left_too(
    per_minute: int, steps: list[tuple[int, int]]
) -> None:
    bucket, now = RowBucket(per_minute), 0
    for passed, asked in steps:
        now += passed
        rows = min(asked, per_minute)
        taken = bucket.take(rows, now)
        if not taken.granted:
            assert taken.wait >= 1
            assert taken.remaining < rows
            now += taken.wait * SECOND
            taken = bucket.take(rows, now)
            assert taken.granted
        if taken.remaining:
            assert bucket.take(taken.remaining, now).granted


def test_clients_do_not_share() -> None:
    allowances = Allowances(2, 100, clock=Clock())
    assert allowances.take("one", 100) == (True, 0, 60)
    assert allowances.take("other", 100) == (True, 0, 60)
    assert allowances.take("one", 1) == (False, 0, 1)


def test_no_limit_of_rows_is_no_answer() -> None:
    assert Allowances(2, 0).take("one", 10**9) is None


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 100), st.integers(0, 3 * MINUTE)), max_size=200))
def test_what_is_noted_of_clients_is_bounded(uses: list[tuple[int, int, int]]) -> None:
    clock = Clock()
    allowances = Allowances(2, 100, most_clients=10, clock=clock)
    for name, rows, passed in uses:
        clock.now += passed
        allowances.take(str(name), rows)
        assert len(allowances) <= 10


def test_a_client_with_a_request_in_work_is_not_forgotten() -> None:
    allowances = Allowances(2, 100, most_clients=2, clock=Clock())
    busy = allowances.client("busy")
    busy.in_flight = 1
    for number in range(20):
        allowances.client(str(number))
    assert allowances.client("busy") is busy


def test_who_used_their_rows_is_kept_while_another_used_none() -> None:
    allowances = Allowances(2, 100, most_clients=3, clock=Clock())
    allowances.take("a", 100)
    allowances.client("b")
    allowances.client("c")
    allowances.client("d")
    assert not allowances.take("a", 1).granted  # type: ignore[union-attr]
