"""Delimited text is answered like each of its records read one byte at a time, and keeps every byte of its own."""

import io
from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.batch.columns import CORE, Answers, Enricher, Wanted, written
from app.batch.delimited import enrich_delimited
from app.batch.plan import FileProblemError, Plan
from app.enrichment import Question, Rules, enrich
from app.lookup.index import Index
from tests import starter_data
from tests.property.strategies import postcodes


class Record(NamedTuple):
    """A record as the oracle reads it."""

    fields: list[bytes]
    text: bytes  # without its line end
    end: bytes


def records(data: bytes, delimiter: bytes) -> list[Record] | None:
    """Every record, read one byte at a time; None where quoting is never closed."""
    found: list[Record] = []
    at = 0
    while at < len(data):
        start, fields, field, quoted, fresh = at, [], b"", False, True
        while at < len(data):
            byte = data[at : at + 1]
            at += 1
            if quoted:
                if byte != b'"':
                    field += byte
                elif data[at : at + 1] == b'"':
                    field += b'"'
                    at += 1
                else:
                    quoted = False
            elif byte == b'"' and fresh:
                quoted = True
            elif byte == delimiter:
                fields.append(field)
                field, fresh = b"", True
                continue
            elif byte == b"\n":
                at -= 1
                break
            else:
                field += byte
            fresh = False
        if quoted:
            return None
        end = b""
        text = data[start:at]
        if data[at : at + 1] == b"\n":
            at += 1
            end = b"\n"
        if text.endswith(b"\r"):
            text, end = text[:-1], b"\r" + end
            field = field.removesuffix(b"\r")
        found.append(Record([*fields, field], text, end))
    return found


def expected(data: bytes, delimiter: bytes, place: int, width: int, index: Index, rules: Rules) -> bytes | None:
    """The answered file, without its heading; None where it cannot be taken."""
    read = records(data, delimiter)
    if read is None:
        return None
    answered = b""
    for record in read:
        if record.text == b"" and width > 1:
            answered += record.end
            continue
        if len(record.fields) != width:
            return None
        reading = enrich(Question(record.fields[place].decode("utf-8", "replace")), index, rules).reading
        added = b"".join(delimiter + written(getattr(reading, name)) for name in CORE)
        answered += record.text + added + record.end
    return answered


def answered(data: bytes, enricher: Enricher, piece: int, **options: object) -> bytes:
    sink = io.BytesIO()
    enrich_delimited(io.BytesIO(data), sink, Plan(enricher, **options), piece=piece)  # type: ignore[arg-type]
    return sink.getvalue()


fields = st.one_of(
    postcodes.map(lambda text: (text or "").encode("utf-8", "replace")),
    st.sampled_from([text.encode() for text in starter_data.postcodes()[::9]]),
    st.binary(max_size=6),
    st.sampled_from([b"", b"007", b" x ", b'5" pipe', b'"', b'""', b"a\r", b"caf\xc3\xa9", b"\xe9", b"\0"]),
)
PIECES = st.sampled_from([1, 2, 3, 7, 16, 64, 1024, 2**20])
HEAD = b"id,postcode,note"


def quoted(field: bytes) -> bytes:
    return b'"' + field.replace(b'"', b'""') + b'"'


@st.composite
def sound_files(draw: st.DrawFn) -> bytes:
    """Records of three fields, quoted where they must be and sometimes where they need not, with any line ends."""
    lines = []
    for row in draw(st.lists(st.tuples(fields, fields, fields), max_size=12)):
        written_row = [quoted(f) if draw(st.booleans()) or any(c in f for c in b',\n"\r') else f for f in row]
        lines.append(b",".join(written_row) + draw(st.sampled_from([b"\n", b"\r\n", b"\n\n", b"\r\n\r\n"])))
    data = b"".join(lines)
    return data if draw(st.booleans()) else data.removesuffix(b"\n").removesuffix(b"\r")


@pytest.fixture(scope="module")
def enricher(index: Index, rules: Rules) -> Enricher:
    return Enricher(index, rules)


def test_a_sound_file_is_answered_like_each_of_its_records_whatever_the_pieces(
    enricher: Enricher, index: Index, rules: Rules
) -> None:
    @given(sound_files(), PIECES)
    @example(b'1,NG1 1AA,"a ""b"", c\n"\r\n2,"ng11aa",x\n', 3)
    def check(data: bytes, piece: int) -> None:
        head, rest = answered(HEAD + b"\n" + data, enricher, piece, encoding="utf-8").split(b"\n", 1)
        assert head == HEAD + b"," + b",".join(name.encode() for name in CORE)
        assert rest == expected(data, b",", 1, 3, index, rules)

    check()


def test_any_bytes_are_answered_as_one_byte_at_a_time_would_or_refused(
    enricher: Enricher, index: Index, rules: Rules
) -> None:
    nasty = st.lists(
        st.sampled_from([b'"', b",", b"\n", b"\r\n", b"\r", b"a", b"NG1 1AA", b"\0", b"\xff"]), max_size=40
    )

    @given(nasty.map(b"".join), PIECES)
    @example(b'\r",",,', 64)
    @example(b'\r",,', 1)
    def check(data: bytes, piece: int) -> None:
        try:
            _, rest = answered(HEAD + b"\n" + data, enricher, piece, encoding="utf-8").split(b"\n", 1)
        except FileProblemError:
            assert expected(data, b",", 1, 3, index, rules) is None
        else:
            assert rest == expected(data, b",", 1, 3, index, rules)

    check()


def test_one_column_answers_every_line_the_empty_ones_too(enricher: Enricher, index: Index, rules: Rules) -> None:
    @given(st.lists(fields.filter(lambda f: not set(f) & set(b',"\r\n')), max_size=12), PIECES)
    def check(rows: list[bytes], piece: int) -> None:
        data = b"".join(row + b"\n" for row in rows)
        rest = answered(b"pcds\n" + data, enricher, piece, encoding="utf-8", delimiter=",").split(b"\n", 1)[1]
        assert rest == expected(data, b",", 0, 1, index, rules)

    check()


def test_columns_beside_the_postcode_are_shown_as_they_are_read(enricher: Enricher) -> None:
    class Notes:
        columns = ("note", "id")

        def __init__(self) -> None:
            self.seen: list[tuple[str | None, str | None]] = []

        def observe(self, answers: Answers, column: object) -> None:
            self.seen += zip(column("note").to_pylist(), column("id").to_pylist(), strict=True)  # type: ignore[operator]

    @given(sound_files(), PIECES)
    def check(data: bytes, piece: int) -> None:
        notes = Notes()
        answered(HEAD + b"\n" + data, enricher, piece, observers=[notes], encoding="utf-8")
        read = [r.fields for r in records(data, b",") or [] if r.text]
        texts = [tuple(f.decode("utf-8", "replace") or None for f in (r[2], r[0])) for r in read]
        assert notes.seen == texts

    check()


def test_a_file_in_another_encoding_comes_back_in_it(enricher: Enricher, index: Index, rules: Rules) -> None:
    text = st.lists(
        st.tuples(st.sampled_from(["NG1 1AA", "ng1\xa01aa", "", "x"]), st.text("äé€Łx7 ", max_size=4)), max_size=9
    )
    encodings = st.sampled_from(
        ["cp1252", "iso-8859-15", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1250", "gbk"]
    )

    @given(text, encodings, PIECES)
    def check(rows: list[tuple[str, str]], encoding: str, piece: int) -> None:
        data = "postcode,note\n" + "".join(f"{p},{n}\n" for p, n in rows)
        raw = data.encode(encoding, "replace")
        sent = [line.split(",") for line in raw.decode(encoding).splitlines()[1:]]
        back = answered(raw, enricher, piece, encoding=encoding).decode(encoding).splitlines()[1:]
        for (postcode, note), line in zip(sent, back, strict=True):
            reading = enrich(Question(postcode), index, rules).reading
            assert line == ",".join([postcode, note, *(written(getattr(reading, name)).decode() for name in CORE)])

    check()


@pytest.mark.parametrize("encoding", ["utf-16-le", "cp932"])
@pytest.mark.parametrize("piece", [1, 2, 3, 7, 64, 4096])
def test_letters_that_are_longer_in_utf8_than_where_they_came_from_are_kept(
    encoding: str, piece: int, enricher: Enricher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.batch.delimited._LOOKED_AT", 1)  # or the first megabyte would be one piece
    note = "\u6f22\u5b57\uff71\uff72" * 10
    data = "postcode,note\n" + f"NG1 1AA,{note}\n" * 100
    back = answered(data.encode(encoding), enricher, piece, encoding=encoding).decode(encoding).splitlines()[1:]
    assert [line.split(",")[:3] for line in back] == [["NG1 1AA", note, "live"]] * 100


def test_domains_and_areas_are_those_of_each_row(enricher: Enricher, index: Index, rules: Rules) -> None:
    texts = [*starter_data.postcodes()[::20], "ZZ99 3VZ", "", "CF10 1AA"]
    data = b"postcode\n" + "".join(f"{text}\n" for text in texts).encode()
    lines = answered(data, enricher, 64, wanted=Wanted(domains=True, area=True)).decode().splitlines()
    assert lines[0].split(",")[8:] == list(Wanted(domains=True, area=True).types())[7:]
    for text, line in zip(texts, lines[1:], strict=True):
        answer = enrich(Question(text, with_area=True), index, rules)
        domains = [d or None for d in answer.domains or [None] * 7]
        codes = answer.area[:4] if answer.area else (None,) * 4
        assert line.split(",")[8:] == [written(value).decode() for value in [*domains, *codes]]


def test_a_piece_of_very_short_lines_is_cut_into_several(enricher: Enricher, monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"pcds\n" + b"\n" * 500 + b'"a\nb"\n' + b"x\n" * 500 + b"NG1 1AA"
    whole = answered(data, enricher, 2**20, delimiter=",")
    monkeypatch.setattr("app.batch.delimited._MOST_LINES", 7)
    assert answered(data, enricher, 2**20, delimiter=",") == whole
    assert len(whole.splitlines()) == 1004
