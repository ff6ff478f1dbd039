"""The slow, obvious reader is the oracle of the fast one."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from app.enrichment import Question, Rules, enrich, enrich_each
from app.lookup.index import STATUSES, Index
from app.lookup.postcode import CHUNK, KINDS, parse, parse_column
from app.lookup.text import TextColumn
from tests import starter_data
from tests.property.strategies import postcodes


@given(st.lists(postcodes, max_size=40))
@example(["NG1 1AA"] * (CHUNK + 3) + ["ZZ99 3VZ", "GIR 0AA"])
def test_a_column_is_read_like_each_of_its_strings(texts: list[str | None]) -> None:
    column = parse_column(TextColumn.of(texts))
    for i, text in enumerate(texts):
        one = parse(text)
        assert (KINDS[column.kind[i]], column.sector[i], column.unit[i], column.repaired[i]) == (
            one.kind,
            one.sector,
            one.unit,
            one.repaired,
        ), repr(text)


def test_a_column_finds_what_each_of_its_strings_finds(index: Index) -> None:
    held = starter_data.postcodes()[::7]

    @given(st.lists(st.one_of(postcodes, st.sampled_from(held)), max_size=40))
    def check(texts: list[str | None]) -> None:
        column = index.many(TextColumn.of(texts))
        deciles = {e.id: index.deciles(column, e.id) for e in index.editions}
        for i, text in enumerate(texts):
            one = index.one(text)
            assert (STATUSES[column.status[i]], column.slot[i], column.repaired[i]) == (
                one.finding.status,
                one.slot,
                one.finding.repaired,
            )
            for name, values in deciles.items():
                assert (values[i] or None) == (index.decile(one.area, name) if one.area else None)

    check()


NEAR = ["\x00NG1 1AA", "XNG161AA", "NG1 1AC", "NG1 1A1", "NG1 1\x00AA", "1NG11AA", "NG1 1AA\x00", "\x00\x00NG11AA"]


def test_what_differs_by_a_character_from_a_held_postcode_is_not_found_as_it(index: Index, rules: Rules) -> None:
    column = index.many(TextColumn.of(["NG1 1AA", *NEAR, "NG1 1AA"]))
    assert [STATUSES[s] for s in column.status] == ["live", *["malformed"] * len(NEAR), "live"]
    assert not column.slot[1:-1].any()
    together = enrich_each([Question(text) for text in NEAR], index, rules)
    assert {answer.reading.postcode_status for answer in together} == {"malformed"}


def test_rows_of_an_arrow_slice_are_read_where_they_lie() -> None:
    whole = TextColumn.of(["junk", "NG1 1AA", "M1 1AE", "junk"])
    assert parse_column(whole.rows(1, 3)).kind.tolist() == [0, 0]
    assert parse_column(TextColumn(whole.data, whole.starts[1:3], whole.ends[1:3])).kind.tolist() == [0, 0]


def test_what_stands_between_two_rows_belongs_to_none(index: Index) -> None:
    data = np.frombuffer(b"A1,NG1 1AA,7\0\nB2,ng11aa,NG1\n1AA,M1 1AE", np.uint8)
    column = TextColumn(data, np.array([3, 17, 28]), np.array([10, 23, 31]))
    assert column.values(np.arange(3)) == [b"NG1 1AA", b"ng11aa", b"1AA"]
    assert [STATUSES[s] for s in index.many(column).status] == ["live", "live", "malformed"]


def test_a_row_of_many_megabytes_is_malformed_like_any_other() -> None:
    column = TextColumn.of(["NG1 1AA", "x" * 5_000_000, " " * 5_000_000, "NG1 1AA"])
    assert [KINDS[k] for k in parse_column(column).kind] == ["real", "malformed", "malformed", "real"]


def test_bytes_that_are_not_utf8_are_malformed() -> None:
    data = np.frombuffer(b"NG1 1\xc0\xafNG1 1AA", np.uint8)
    parsed = parse_column(TextColumn.end_to_end(data, np.array([0, 7, 14])))
    assert [KINDS[k] for k in parsed.kind] == ["malformed", "real"]


def test_a_batch_is_enriched_like_each_of_its_postcodes(index: Index, rules: Rules) -> None:
    @given(
        st.lists(st.tuples(st.one_of(postcodes, st.sampled_from(starter_data.postcodes())), st.booleans()), max_size=30)
    )
    def check(asked: list[tuple[str | None, bool]]) -> None:
        questions = [Question(text, with_area=area) for text, area in asked]
        alone = [q if q.with_area else q.postcode for q in questions]
        assert enrich_each(alone, index, rules) == enrich_each(questions, index, rules)
        assert enrich_each(questions, index, rules) == [enrich(question, index, rules) for question in questions]

    check()
