"""The slow, obvious count, row by row, is the oracle of the fast one."""

from collections import Counter

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from app.batch.columns import Enricher, text_column
from app.batch.transition import CELLS, REASONS, Editions, Transitions
from app.counts.vocabulary import vocabulary
from app.enrichment import Question, Rules, enrich
from app.lookup.index import Index
from tests import starter_data
from tests.property.strategies import postcodes

SPECIALTIES = st.sampled_from(["340", "100", " 320\t", "X03", "", "  ", None, "034", "340.0", "all_other", "absent"])


def slow_specialty(text: str | None) -> str:
    if text is None or not text.strip():
        return "absent"
    return text.strip() if text.strip() in vocabulary().specialties else "unrecognised"


def slow_standing(postcode: str | None, index: Index, rules: Rules, first: str, second: str) -> tuple[int, int] | str:
    reading = enrich(Question(postcode), index, rules).reading
    if reading.postcode_status not in ("live", "terminated"):
        return reading.postcode_status
    if reading.country not in (None, "England"):
        return "not_in_england"
    before, after = reading.editions.get(first), reading.editions.get(second)
    if before and after:
        return before.decile, after.decile
    return "first_edition_only" if before else "second_edition_only" if after else "no_small_area"


def test_a_file_is_tallied_like_each_of_its_rows(index: Index, rules: Rules) -> None:
    held = starter_data.postcodes()

    @given(
        st.lists(st.tuples(st.one_of(postcodes, st.sampled_from(held)), SPECIALTIES), max_size=30),
        st.sampled_from([("IoD2019", "IoD2025"), ("IoD2025", "IoD2019")]),
        st.integers(1, 9),
    )
    def check(rows: list[tuple[str | None, str | None]], editions: tuple[str, str], block: int) -> None:
        enricher = Enricher(index, rules)
        observer = Transitions(enricher, Editions(*editions), "tfc")
        slow: Counter[tuple[str, tuple[int, int] | str]] = Counter()
        for start in range(0, len(rows), block):
            texts, specialties = zip(*rows[start : start + block], strict=True)
            column = pa.array(specialties, pa.string())
            clean = [None if t is None else t.encode("utf-8", "replace").decode() for t in texts]
            observer.observe(enricher.read(text_column(pa.array(clean, pa.string()))), lambda _, c=column: c)
            for text, specialty in zip(clean, specialties, strict=True):
                slow[slow_specialty(specialty), slow_standing(text, index, rules, *editions)] += 1
        tally = observer.tally()
        fast = {
            (
                tally.specialties[row],
                (column // 10 + 1, column % 10 + 1) if column < CELLS else REASONS[column - CELLS],
            ): int(tally.counts[row, column])
            for row, column in zip(*(place.tolist() for place in tally.counts.nonzero()), strict=True)
        }
        assert fast == {key: n for key, n in slow.items() if key[1] != "withheld"}

    check()
