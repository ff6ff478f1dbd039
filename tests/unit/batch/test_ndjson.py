"""NDJSON files: what is kept, what is added, and what is refused."""

import io

import pytest

from app.batch.columns import Enricher, Wanted
from app.batch.ndjson import LONGEST_LINE, enrich_ndjson
from app.batch.plan import FileProblemError, Plan
from app.enrichment import Rules
from app.lookup.index import Index

LIVE = (
    b'"postcode_status":"live","country":"England","imd_decile":3,"imd_quintile":2,"imd_edition":"IoD2025",'
    b'"core20":false,"core20_reason":null'
)
MALFORMED = (
    b'"postcode_status":"malformed","country":null,"imd_decile":null,"imd_quintile":null,"imd_edition":"IoD2025",'
    b'"core20":null,"core20_reason":"malformed"'
)


@pytest.fixture(scope="module")
def enricher(index: Index, rules: Rules) -> Enricher:
    return Enricher(index, rules)


def run(data: bytes, plan: Plan, **options: int) -> bytes:
    sink = io.BytesIO()
    enrich_ndjson(io.BytesIO(data), sink, plan, **options)
    return sink.getvalue()


def test_members_are_added_before_the_closing_brace(enricher: Enricher) -> None:
    data = b'{"id":"007","postcode":"NG1 1AA"}\n'
    assert run(data, Plan(enricher)) == b'{"id":"007","postcode":"NG1 1AA",' + LIVE + b"}\n"


def test_an_object_without_the_postcode_is_answered_as_one_without_a_value(enricher: Enricher) -> None:
    data = b'{"postcode":null}\r\n{}\r\n\r\n{ }\r\n{"id":1}'
    assert run(data, Plan(enricher)) == (
        b'{"postcode":null,%b}\r\n{%b}\r\n\r\n{%b }\r\n{"id":1,%b}' % (MALFORMED, MALFORMED, MALFORMED, MALFORMED)
    )


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf", b"\n\n", b"\xef\xbb\xbf \r\n\n", b"\n" * 50 + b" "])
def test_a_file_of_no_objects_stays_as_it_is(enricher: Enricher, data: bytes) -> None:
    for piece in (1, 5, 1 << 20):
        plan = Plan(enricher)
        assert run(data, plan, piece=piece) == data
        assert plan.rows == 0


def test_pieces_of_blank_lines_alone_stay_as_they_are(enricher: Enricher) -> None:
    data = b"\n\n" + b'{"postcode":"NG1 1AA"}\n' + b"\n" * 50
    for wanted in (Wanted(), Wanted(area=True)):
        assert run(data, Plan(enricher, wanted), piece=8).count(b"\n") == 53


def test_the_member_may_be_told(enricher: Enricher) -> None:
    data = b'{"home":"NG1 1AA","postcode":"junk"}\n'
    assert run(data, Plan(enricher, postcode_column="home")).endswith(LIVE + b"}\n")
    with pytest.raises(FileProblemError, match="no column elsewhere"):
        run(data, Plan(enricher, postcode_column="elsewhere"))


def test_an_object_that_names_no_postcode_at_all_is_refused(enricher: Enricher) -> None:
    with pytest.raises(FileProblemError, match="--postcode-column"):
        run(b'{"id":1}\n', Plan(enricher))


def test_a_name_that_is_there_already_is_refused_and_a_prefix_helps(enricher: Enricher) -> None:
    data = b'{"postcode":"NG1 1AA","country":null}\n'
    with pytest.raises(FileProblemError, match="--prefix"):
        run(data, Plan(enricher))
    assert b'"now_country":"England"' in run(data, Plan(enricher, Wanted(prefix="now_")))


def test_members_that_are_not_read_may_stand_twice(enricher: Enricher) -> None:
    data = b'{"x":1,"postcode":"NG1 1AA","x":{"y":1,"y":2}}\n'
    assert run(data, Plan(enricher)).startswith(data[:-2] + b",")


def test_a_line_longer_than_the_limit_is_refused_by_its_number(enricher: Enricher) -> None:
    long = b'{"postcode":"NG1 1AA","x":"' + b"x" * LONGEST_LINE + b'"}'
    for data in (long, b"\n\n" + long + b"\n", b'{"postcode":"NG1 1AA"}\n\n' + long + b"\n{}"):
        number = data[: data.index(b"xx")].count(b"\n") + 1
        for piece in (4 << 20, 64 << 20):
            with pytest.raises(FileProblemError, match=rf"^Line {number} is longer than 16 MiB"):
                run(data, Plan(enricher), piece=piece)


def test_a_line_as_long_as_the_limit_is_taken(enricher: Enricher) -> None:
    head = b'{"postcode":"NG1 1AA","x":"'
    line = head + b"x" * (LONGEST_LINE - len(head) - 2) + b'"}'
    assert len(line) == LONGEST_LINE
    assert run(line + b"\n", Plan(enricher)) == line[:-1] + b"," + LIVE + b"}\n"


def test_what_cannot_be_written_stops_the_work(enricher: Enricher) -> None:
    class Full(io.RawIOBase):
        def write(self, _: object) -> int:
            raise OSError(28, "full")

    with pytest.raises(OSError, match="full"):
        enrich_ndjson(io.BytesIO(b'{"postcode":"NG1 1AA"}\n' * 1000), Full(), Plan(enricher), piece=100)
