"""NDJSON is answered like each of its objects alone, whatever is in them and however the file is cut."""

import io
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.batch.columns import Answers, Enricher, Wanted
from app.batch.ndjson import enrich_ndjson
from app.batch.plan import FileProblemError, Plan
from app.enrichment import Question, Rules, enrich
from app.lookup.deprivation import DOMAINS
from app.lookup.index import Index
from tests import starter_data
from tests.property.strategies import postcodes

SPACE = st.text(" \t", max_size=2)
TEXT = st.text()
NAMES = st.one_of(
    st.sampled_from(["id", "note", "x", "Infirmary", "é", "", 'a"b', "back\\slash", "post", "postcode "]), st.text()
)
NUMBERS = st.sampled_from(["0", "-0", "1.50", "1e400", "123456789012345678901234567890", "1e-400", "7", "-1.0E+2"])


@st.composite
def _texts(draw: st.DrawFn, values: st.SearchStrategy[str] = TEXT) -> str:
    """A JSON string, its characters escaped or not."""
    text = draw(values).encode("utf-8", "replace").decode()
    written = json.dumps(text, ensure_ascii=draw(st.booleans()))
    if text and draw(st.integers(0, 9)) == 0:
        return '"' + "".join(f"\\u{ord(c):04x}" if ord(c) < 0x10000 else c for c in text) + '"'
    return written


def _values(deep: int = 2) -> st.SearchStrategy[str]:
    plain = st.one_of(
        _texts(), NUMBERS, st.sampled_from(["null", "true", "false", '"NaN}"', '"Royal Infirmary"', '"Inf,"'])
    )
    if not deep:
        return plain
    inner = _values(deep - 1)
    return st.one_of(
        plain,
        st.lists(inner, max_size=2).map(lambda v: f"[{', '.join(v)}]"),
        st.tuples(st.sampled_from(['"postcode"', '"imd_decile"', '"x"']), inner).map(lambda kv: f"{{{kv[0]}:{kv[1]}}}"),
    )


@st.composite
def _objects(draw: st.DrawFn, held: list[str]) -> str:
    members = []
    for name in draw(st.lists(NAMES.filter(lambda n: n != "postcode"), max_size=3, unique=True)):
        written = json.dumps(name.encode("utf-8", "replace").decode(), ensure_ascii=draw(st.booleans()))
        members.append(f"{written}{draw(SPACE)}:{draw(SPACE)}{draw(_values())}")
    if draw(st.integers(0, 9)):
        key = draw(st.sampled_from(['"postcode"'] * 9 + ['"\\u0070ostcode"']))
        value = draw(
            st.one_of(
                _texts(postcodes.filter(lambda p: p is not None)),
                _texts(st.sampled_from(held)),
                st.sampled_from(["null", "true", *["0", "7", "1.50", "-0"]]),
            )
        )
        members.insert(draw(st.integers(0, len(members))), f"{key}:{value}")
    inner = f"{draw(SPACE)},{draw(SPACE)}".join(members)
    return f"{draw(SPACE)}{{{draw(SPACE)}{inner}{draw(SPACE)}}}{draw(SPACE)}"


def said(text: str | None, index: Index, rules: Rules, wanted: Wanted) -> dict[str, Any]:
    """The oracle: what `enrich` says of one postcode, as members."""
    answer = enrich(Question(text, with_area=True), index, rules)
    reading = answer.reading
    members = {name: getattr(reading, name) for name in list(Wanted().types())}
    if wanted.domains:
        domains = answer.domains or (0,) * len(DOMAINS)
        members |= {f"imd_{name}_decile": value or None for name, value in zip(DOMAINS, domains, strict=True)}
    if wanted.area:
        members |= {kind: getattr(answer.area, kind, None) for kind in ("lsoa21", "lsoa11", "lad", "icb")}
    return {wanted.prefix + name: value for name, value in members.items()}


def expected(data: bytes, index: Index, rules: Rules, wanted: Wanted) -> bytes:
    """The slow and obvious way: each line read by the standard library, the members put in at the last brace."""
    lines = []
    for line in data.split(b"\n"):
        bare = line.removeprefix(b"\xef\xbb\xbf").strip(b" \t\r")
        if not bare:
            lines.append(line)
            continue
        pairs = json.loads(bare, object_pairs_hook=lambda pairs: pairs, parse_int=str, parse_float=str)
        value = dict(pairs).get("postcode")
        if isinstance(value, bool):
            value = str(value).lower()
        if value == "-0" and not bare.count(b'"-0"'):
            value = "0"
        members = said(value, index, rules, wanted)
        added = ",".join(f"{json.dumps(name)}:{json.dumps(v)}" for name, v in members.items())
        end = line.rindex(b"}")
        kept = line[:end].rstrip(b" \t\r")
        comma = b"," if pairs else b""
        lines.append(kept + comma + added.encode() + line[len(kept) :])
    return b"\n".join(lines)


def run(data: bytes, plan: Plan, **options: int) -> bytes:
    """The file that is written."""
    sink = io.BytesIO()
    enrich_ndjson(io.BytesIO(data), sink, plan, **options)
    return sink.getvalue()


@pytest.fixture(scope="module")
def enricher(index: Index, rules: Rules) -> Enricher:
    return Enricher(index, rules)


@pytest.mark.parametrize(
    "wanted", [Wanted(), Wanted(domains=True), Wanted(area=True, prefix='é "'), Wanted(domains=True, area=True)]
)
def test_every_object_gets_what_enrich_says_of_it_and_keeps_every_byte(
    index: Index, rules: Rules, enricher: Enricher, wanted: Wanted
) -> None:
    objects = _objects(starter_data.postcodes()[::7])

    @settings(max_examples=settings().max_examples // 3)  # of each of four
    @given(
        st.lists(st.one_of(objects, objects, SPACE), max_size=12),
        st.sampled_from(["\n", "\r\n"]),
        st.booleans(),
        st.booleans(),
        st.integers(1, 400),
        st.integers(1, 3),
    )
    @example(['{"postcode":"NG1 1AA"}', '{"postcode":null,"x":Infinity}'][:1] * 40, "\n", True, False, 64, 2)
    def check(lines: list[str], newline: str, ended: bool, bom: bool, piece: int, threads: int) -> None:
        first = '{"postcode":"NG1 1AA","id":"007"}'
        data = newline.join([first, *lines, newline if ended else ""][: None if ended else -1]).encode()
        data = (b"\xef\xbb\xbf" if bom else b"") + data
        right = expected(data, index, rules, wanted)
        assert run(data, Plan(enricher, wanted), piece=piece, threads=threads) == right
        assert run(data, Plan(enricher, wanted)) == right

    check()


BROKEN = [
    "[1]",
    '"x"',
    "{",
    '{"postcode":"NG1 1AA"} x',
    '{"postcode":"NG1 1AA"}{"postcode":"NG1 1AA"}',
    '{"postcode":NaN}',
    '{"postcode":"NG1 1AA","x":NaN}',
    '{"postcode":"NG1 1AA","x":-Infinity}',
    '{"postcode":"NG1 1AA","x":[Inf ]}',
    '{"postcode":"NG1 1AA","postcode":"NG1 1AA"}',
    '{"postcode":null,"postcode":null}',
    '{"postcode":"NG1 1AA","\\u0070ostcode":"NG1 1AA"}',
    '{"postcode":{}}',
    '{"postcode":[]}',
    '{"postcode":"NG1 1AA","imd_decile":3}',
    '{"postcode":"NG1 1AA","imd_decile":null}',
    '{"postcode":"NG1 1AA","imd\\u005fdecile":null}',
    '{"postcode":"NG1 1AA","x":"\\ud800"}',
    '{"postcode":"NG1 1AA","x":"\\udc00"}',
    '{"postcode":"NG1 1AA","x":"\\q"}',
    '{"postcode":"NG1 1AA","x":"a\tb"}',
    '{"postcode":"NG1 1AA","x":01}',
    '{"postcode":"NG1 1AA",}',
    "{'postcode':1}",
    '{"postcode":"NG1 1AA"}\0',
    '\0{"postcode":"NG1 1AA"}',
    '\ufeff{"postcode":"NG1 1AA"}',
    '{"postcode":"NG1 1AA","x":' + "[" * 300 + "]" * 300 + "}",
    '{"postcode":"NG1 1AA","x":' + "[" * 100_000 + "]" * 100_000 + "}",
    '{"postcode":"NG1 1AA","x":"\udcff"}',
    '{"postcode":"NG1 1AA","x":[{}',
]


@pytest.mark.parametrize("broken", BROKEN, ids=range(len(BROKEN)))
@pytest.mark.parametrize("piece", [7, 300, 4 << 20])
def test_a_broken_line_is_named_by_its_number_and_never_by_what_it_holds(
    enricher: Enricher, broken: str, piece: int
) -> None:
    lines = ['{"postcode":"NG1 1AA","id":"secret"}'] * 20
    lines[11:11] = ["", broken]
    data = "\n".join([*lines, '{"postcode":"M1 1AE"} later']).encode("utf-8", "surrogateescape")
    for sink in (io.BytesIO(), None):
        with pytest.raises(FileProblemError, match=r"^Line 13 ") as raised:
            enrich_ndjson(io.BytesIO(data), sink, Plan(enricher), piece=piece)
        assert "NG1" not in str(raised.value)
        assert "secret" not in str(raised.value)


@given(st.integers(1, 3), st.lists(st.sampled_from(['"7"', "7", "1.5", "true", "null", '"true"', "-0"]), max_size=9))
def test_observers_get_values_as_they_are_written(enricher: Enricher, threads: int, values: list[str]) -> None:
    seen: list[tuple[list[str | None], int]] = []

    class Watcher:
        columns = ("ward",)

        def observe(self, answers: Answers, column: Any) -> None:
            got = column("ward")
            assert got.type == pa.string()
            assert len(got) == len(answers.number) == len(answers.area)
            seen.append((got.to_pylist(), int(np.count_nonzero(answers.area))))

    lines = ['{"postcode":"NG1 1AA","ward":"A"}', *(f'{{"ward":{v},"postcode":"NG1 1AA"}}' for v in values), "", "{}"]
    plan = Plan(enricher, observers=[Watcher()])
    enrich_ndjson(io.BytesIO("\n".join(lines).encode()), None, plan, piece=60, threads=threads)
    wards = [ward for got, _ in seen for ward in got]
    plain = {'"7"': "7", "null": None, '"true"': "true", "-0": "0"}
    assert wards == ["A", *(plain.get(v, v) for v in values), None]
    assert sum(found for _, found in seen) == len(values) + 1
    assert plan.rows == len(wards)
