"""Whole columns are answered like each of their rows alone, in any layout that Arrow has."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.batch.columns import CORE, DOMAIN_COLUMNS, Enricher, Wanted, text_column
from app.context.rulebook import Rulebook
from app.enrichment import Question, Rules, enrich
from app.lookup.deprivation import DOMAINS
from app.lookup.index import Index
from tests import starter_data
from tests.property.strategies import postcodes
from tests.unit.context.rule_folders import with_lines

HELD = starter_data.postcodes()[::5]
TEXTS = st.one_of(
    postcodes, st.sampled_from(HELD), st.sampled_from(["NG7 2UH", "ng72uh", "NG7 2 UH", "NG72UH\t", "NG7"])
)
EVERYTHING = Wanted(domains=True, area=True, prefix="x_")


@pytest.fixture(scope="module", params=["IoD2025", "IoD2019", "WIMD2019", "protected"])
def enricher(request: pytest.FixtureRequest, index: Index, tmp_path_factory: pytest.TempPathFactory) -> Enricher:
    """Of each edition, and of an organisation with places of which nothing may be said."""
    if request.param != "protected":
        return Enricher(index, Rules(request.param, Rulebook.load()))
    folder = tmp_path_factory.mktemp("local")
    kinds = ["refuge", "hospital", "prison", "protected"]
    places = ["NG7 2UH", "NG5 1PB", HELD[3], HELD[11]]
    listed = [f"{place},{kind},local,2026-01-01" for place, kind in zip(places, kinds, strict=True)]
    # One that no release holds is protected too.
    with_lines(folder, "places.csv", *listed, "NG1 1ZZ,refuge,local,2026-01-01")
    return Enricher(index, Rules("IoD2025", Rulebook.load(folder)))


def alone(text: str | None, enricher: Enricher) -> dict[str, Any]:
    """The oracle: one row, by `enrich`."""
    answer = enrich(Question(text, with_area=True), enricher.index, enricher.rules)
    row = {name: getattr(answer.reading, name) for name in CORE}
    row |= dict(zip(DOMAIN_COLUMNS, [d or None for d in answer.domains or (0,) * len(DOMAINS)], strict=True))
    row |= {name: getattr(answer.area, name, None) for name in ("lsoa21", "lsoa11", "lad", "icb")}
    return {f"x_{name}": value for name, value in row.items()}


def together(column: pa.Array | pa.ChunkedArray, enricher: Enricher) -> list[dict[str, Any]]:
    answers = enricher.read(text_column(column))
    batch = enricher.columns(answers, EVERYTHING)
    batch.validate(full=True)
    assert batch.schema == EVERYTHING.schema()
    for number, area, row in zip(answers.number.tolist(), answers.area.tolist(), batch.to_pylist(), strict=True):
        assert enricher.answers[number].core == tuple(row[f"x_{name}"] for name in CORE)
        assert area or row["x_lad"] is None
    return list(batch.to_pylist())


def plain(text: str | None) -> str | None:
    """Without half characters, which Arrow's strings cannot hold."""
    return None if text is None else text.encode("utf-8", "replace").decode()


LAYOUTS = {
    "string": lambda texts: pa.array(texts, pa.string()),
    "large_string": lambda texts: pa.array(texts, pa.large_string()),
    "string_view": lambda texts: pa.array(texts, pa.string_view()),
    "dictionary": lambda texts: pa.array(texts, pa.string()).dictionary_encode(),
    "large dictionary": lambda texts: pa.array(texts, pa.large_string()).dictionary_encode(),
    "slice": lambda texts: pa.array(["NG1 1AA", None, *texts, "NG7 2UH", "junk"], pa.string()).slice(2, len(texts)),
    "large slice": lambda texts: pa.array(["é", None, *texts, "x"], pa.large_string()).slice(2, len(texts)),
    "dictionary slice": lambda texts: pa.array(["x", *texts, "y"]).dictionary_encode().slice(1, len(texts)),
    "chunks": lambda texts: pa.chunked_array([texts[:3], [], texts[3:]], pa.string()),
    "sliced chunks": lambda texts: pa.chunked_array([["x", *texts[:2]], texts[2:]], pa.string()).slice(1),
    "dictionary chunks": lambda texts: pa.chunked_array(
        [pa.array(part, pa.string()).dictionary_encode() for part in (texts[:3], texts[3:])],
        pa.dictionary(pa.int32(), pa.string()),
    ),
    "no chunks": lambda texts: pa.chunked_array([pa.array(texts, pa.string())] if texts else [], pa.string()),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_column_of_any_layout_is_answered_like_each_of_its_rows(enricher: Enricher, layout: str) -> None:
    @settings(max_examples=settings().max_examples // 10)  # of each of 48 pairs of layout and rules
    @given(st.lists(TEXTS, max_size=30))
    def check(found: list[str | None]) -> None:
        texts = [plain(text) for text in found]
        assert together(LAYOUTS[layout](texts), enricher) == [alone(text, enricher) for text in texts]

    check()


@pytest.mark.parametrize(
    "column",
    [pa.array([7, None, -1]), pa.array([1.5, None]), pa.array([True, None]), pa.nulls(3), pa.array([], pa.int64())],
    ids=lambda column: f"{column.type} {len(column)}",
)
def test_a_column_of_no_text_is_answered_by_its_digits(enricher: Enricher, column: pa.Array) -> None:
    texts = column.cast(pa.string()).to_pylist()
    assert together(column, enricher) == [alone(text, enricher) for text in texts]


def test_a_null_says_what_an_empty_text_says_whatever_lies_beneath_it(enricher: Enricher) -> None:
    beneath = pa.array(["NG1 1AA", "NG7 2UH"])
    validity = pa.py_buffer(b"\x02")
    masked = pa.Array.from_buffers(pa.string(), 2, [validity, *beneath.buffers()[1:]])
    assert masked.to_pylist() == [None, "NG7 2UH"]
    assert together(masked, enricher) == [alone(None, enricher), alone("NG7 2UH", enricher)]


def test_a_protected_place_says_nothing_however_it_is_written(index: Index, tmp_path: Path) -> None:
    with_lines(tmp_path, "places.csv", "NG7 2UH,refuge,local,2026-01-01")
    enricher = Enricher(index, Rules("IoD2025", Rulebook.load(tmp_path)))
    rows = together(pa.array(["NG7 2UH", "ng72uh", " NG7  2UH", "NG7 2\u200bUH", "N G 7 2 U H"]), enricher)
    withheld = alone("ZZZSECUR", enricher)
    assert rows == [withheld] * len(rows)
    assert withheld["x_postcode_status"] == "withheld"
