"""However a body is cut into pieces, the same lines and rows come out of it, and nothing long is held."""

import csv
import io
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.batch.pieces import Fault, Lines, Rows, field_of, fields_of

LONGEST = 12
LINES = st.text("a \t\r\n{", max_size=60).map(str.encode)
TABLES = st.text('ab,"\r\n\u00e9\u0085\x00', max_size=60).map(str.encode)
CUTS = st.lists(st.integers(0, 200), max_size=12)


def read(reader: Lines | Rows, body: bytes, cuts: Sequence[int] = ()) -> list[bytes | Fault]:
    places = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    found: list[bytes | Fault] = []
    for start, stop in pairwise(places):
        found += reader.feed(body[start:stop])
    return found + reader.end()


@given(LINES, CUTS)
def test_lines_are_those_of_the_whole_body(body: bytes, cuts: list[int]) -> None:
    expected = [line if len(line) <= LONGEST else "too_long" for line in body.split(b"\n") if line.strip()]
    assert read(Lines(LONGEST), body, cuts) == expected


@given(TABLES, CUTS, st.sampled_from([LONGEST, 1000]))
def test_rows_are_the_same_wherever_the_body_is_cut(body: bytes, cuts: list[int], longest: int) -> None:
    assert read(Rows(longest), body, cuts) == read(Rows(longest), body)


@given(TABLES)
def test_rows_are_those_of_pythons_own_reader_where_it_reads_them(body: bytes) -> None:
    text = body.decode("latin-1").replace("\r", "")
    expected = list(csv.reader(io.StringIO(text, newline="")))
    found = read(Rows(1000), text.encode("latin-1"))
    if found and found[-1] == "columns":  # cut off amid quotes: Python's makes the best of it
        found, expected = found[:-1], expected[: len(found) - 1]
    fields = [fields_of(row) for row in found if isinstance(row, bytes)]
    assert fields == [[f.encode("latin-1") for f in row] or [b""] for row in expected]


@given(TABLES, CUTS)
def test_a_row_over_the_limit_costs_no_other_row(body: bytes, cuts: list[int]) -> None:
    whole, bounded = read(Rows(1000), body), read(Rows(LONGEST), body, cuts)
    assert len(whole) == len(bounded)
    for row, same in zip(whole, bounded, strict=True):
        assert same == row or (same == "too_long" and (row == "columns" or len(row) >= LONGEST))


@pytest.mark.parametrize("reader", [Lines, Rows])
@pytest.mark.parametrize("begin", [b"", b'"'])
def test_nothing_of_a_row_without_end_is_held(reader: type[Lines | Rows], begin: bytes) -> None:
    made = reader(LONGEST)
    assert not made.feed(begin)
    for _ in range(1000):
        assert not made.feed(b"x" * 1000)
        assert len(made._begun) <= LONGEST
    assert made.end() == ["too_long"]


def test_a_body_that_is_read_to_its_end_leaves_nothing_for_the_next_call() -> None:
    lines, rows = Lines(LONGEST), Rows(LONGEST)
    lines.feed(b"x" * 100)
    rows.feed(b"x" * 100)
    assert lines.end() == rows.end() == ["too_long"]
    assert lines.end() == rows.end() == []


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_a_byte_order_mark_is_no_part_of_the_first_name(size: int) -> None:
    body = '\ufeff"a,b",c\r\n\ufeffd,e'.encode()
    cuts = range(0, len(body), size)
    assert read(Rows(100), body, cuts) == [b'"a,b",c', "\ufeffd,e".encode()]


@pytest.mark.parametrize(
    ("row", "found"),
    [
        (b"1,NG1 1AA", b"NG1 1AA"),
        (b'"a ""b"", c","NG1\n1AA"', b"NG1\n1AA"),
        (b'5" nail,NG1 1AA', b"NG1 1AA"),
        (b"\xff\xe9,NG1 1AA", b"NG1 1AA"),
        (b"\x00,NG1 1AA", b"NG1 1AA"),
        (b",", b""),
        (b"", "columns"),
        (b"NG1 1AA", "columns"),
        (b"1,2,NG1 1AA", "columns"),
        (b"1,NG1 1AA\r2", "columns"),
        ("too_long", "too_long"),
    ],
)
def test_a_field_is_found_or_it_is_said_why_not(row: bytes | Fault, found: bytes | Fault) -> None:
    assert field_of(row, 1, 2) == found
