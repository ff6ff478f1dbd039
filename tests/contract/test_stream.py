"""`POST /v1/enrich/stream`: what batches answer, at any length, and tables."""

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Message, Scope

from app.batch.columns import Enricher, Wanted, text_column
from app.batch.csv_answers import CsvAnswers
from app.enrichment import Rules
from app.errors import Problem
from app.exchange import KEY
from app.lookup.index import Index
from app.settings import Settings
from tests.property.strategies import postcodes
from tests.service import bearer, calling, key_for

PATH = "/v1/enrich/stream"
NDJSON = {"Content-Type": "application/x-ndjson"}
CSV = {"Content-Type": "text/csv"}
SCOPE: Scope = {"type": "http", "method": "POST", "path": PATH, "scheme": "http", "query_string": b"", "root_path": ""}
LONG = b'{"postcode": "' + b"N" * 70_000 + b'"}'
SOUND = b'{"postcode": "NG1 1AA"}'
NASTY = [
    SOUND,
    b'{"postcode": null}\r',
    b"",
    b" \t",
    b'{"postcode": "ZZ99 3VZ", "include": ["area", "context"]}',
    b'{"postcode": "NG1 1AA", "signals": {"snomed": ["32911000"], "interpreter_required": true}}',
    b'{"postcode": "NG1 1AA", "contact": {"specialty": "340", "age": 54}}',
    b'{"postcode": "NG1 1AA", "contact": 1}',
    b'{"postcode": "NG1 1AA", "postcode": "BH1 3BE"}',
    b'{"postcode": NaN}',
    b'{"postcode": "NG1 1AA"',
    b"[]",
    b"null",
    b"\xff",
    b"{}",
    b'{"postcode": "NG1 1AA", "x": 1}',
    json.dumps(dict.fromkeys(map(str, range(100)))).encode(),
    b"[" * 5000,
    LONG,
    b" " * 70_000,
    b'{"postcode": "NG1 1AB"}',
]


def stream(client: TestClient, body: Any, query: str = "", **headers: str) -> httpx.Response:
    kind = {} if "Content-Type" in headers else NDJSON
    answer: httpx.Response = client.post(PATH + query, content=body, headers={**kind, **headers})
    return answer


def table(client: TestClient, body: bytes | Iterator[bytes], query: str = "", **headers: str) -> httpx.Response:
    answer: httpx.Response = client.post(PATH + query, content=body, headers={**CSV, **headers})
    return answer


def plain(client: TestClient, *scopes: str) -> dict[str, str]:
    return bearer(key_for(client.app.state.settings, *(scopes or ("enrich",))))  # type: ignore[attr-defined]


# ---------------------------------------------------------------------------------------------- NDJSON


@pytest.mark.parametrize("scopes", [(), ("enrich",)])
@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n \n"])
def test_each_record_is_answered_as_in_a_batch(client: TestClient, scopes: tuple[str, ...], end: bytes) -> None:
    body = b"\n".join(NASTY) + end
    headers = plain(client, *scopes) if scopes else {}
    batch = client.post("/v1/enrich/batch", content=body, headers={**NDJSON, **headers})
    answer = stream(client, body, **headers)
    assert answer.status_code == batch.status_code == 200
    assert answer.headers["content-type"] == batch.headers["content-type"]
    assert answer.headers["x-accel-buffering"] == "no"
    assert "content-length" not in answer.headers
    assert answer.content == batch.content
    assert answer.content.count(b'{"error"') >= 10


def test_what_a_line_is_answered_does_not_depend_on_pieces(client: TestClient) -> None:
    body = b"\n".join(NASTY)
    whole = stream(client, body).content
    for size in (1000, 65_536):
        assert stream(client, (body[i : i + size] for i in range(0, len(body), size))).content == whole


def test_an_empty_body_has_an_empty_answer(client: TestClient) -> None:
    for body in (b"", b"\n \n"):
        answer = stream(client, body)
        assert (answer.status_code, answer.content) == (200, b"")


def test_more_records_than_a_batch_may_have_are_answered(client: TestClient) -> None:
    records = 12_345
    asked = (SOUND + b"\n" if place % 1000 else b"x\n" for place in range(records))
    answers = stream(client, asked).content.split(b"\n")
    assert answers.pop() == b""
    assert len(answers) == records
    assert [place for place, answer in enumerate(answers) if answer.startswith(b'{"error"')] == [
        *range(0, records, 1000)
    ]
    assert len({*answers}) == 2


def test_a_body_may_be_larger_than_any_other(starter: Path) -> None:
    with calling(Settings(data_dir=starter, max_body_bytes=100, max_batch_bytes=100)) as client:
        assert stream(client, (SOUND + b"\n") * 100).content.count(b"\n") == 100
        assert stream(client, ((SOUND + b"\n") * 10 for _ in range(10))).content.count(b"\n") == 100


def test_area_codes_are_refused_in_their_place_without_the_scope(client: TestClient) -> None:
    lines = SOUND + b'\n{"postcode": "NG1 1AA", "include": ["area"]}\n'
    first, second = stream(client, lines, **plain(client)).content.splitlines()
    assert json.loads(first)["imd_decile"] == 3
    assert json.loads(second)["error"]["status"] == 403


def contacts(many: int) -> bytes:
    record = {"postcode": "NG1 1AA", "contact": {"specialty": "340", "age": 54}}
    return b"\n".join([json.dumps(record).encode()] * many)


def test_a_contact_counts_once_over_streams_and_batches_by_its_place_in_the_whole(client: TestClient) -> None:
    key, body = {"Idempotency-Key": "a night of the stream"}, contacts(1200)
    first = [json.loads(line) for line in stream(client, body, **key).content.splitlines()]
    again = [json.loads(line) for line in stream(client, body, **key).content.splitlines()]
    batch = client.post("/v1/enrich/batch", content=body, headers={**NDJSON, **key}).content.splitlines()
    assert {a["counted"] for a in first} == {True}
    assert {a["counted_reason"] for a in again} == {"duplicate"}
    assert {json.loads(line)["counted_reason"] for line in batch} == {"duplicate"}


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "", "text/csv; charset=utf-16"])
def test_another_media_type_is_415_before_anything_is_answered(client: TestClient, kind: str) -> None:
    answer = stream(client, SOUND, **{"Content-Type": kind})
    assert (answer.status_code, answer.headers["content-type"]) == (415, "application/problem+json")


@pytest.mark.parametrize("kind", ["application/x-ndjson; charset=utf-8", 'Text/CSV; header=present; Charset="UTF-8"'])
def test_parameters_of_the_media_type_are_heeded(client: TestClient, kind: str) -> None:
    assert stream(client, b"postcode\n", **{"Content-Type": kind}).status_code == 200


@pytest.mark.parametrize("kind", [NDJSON, CSV])
def test_a_compressed_body_is_415_and_not_an_error_for_each_of_its_lines(
    client: TestClient, kind: dict[str, str]
) -> None:
    for encoding, status in (("gzip", 415), ("identity", 200)):
        answer = stream(client, b"postcode\n", **{**kind, "Content-Encoding": encoding})
        assert answer.status_code == status


@pytest.mark.parametrize(("kind", "line"), [(NDJSON, SOUND + b"\n"), (CSV, b"postcode\n")])
def test_a_stream_waits_for_its_clients_allowance_where_a_batch_is_refused(
    starter: Path, kind: dict[str, str], line: bytes
) -> None:
    with calling(Settings(data_dir=starter, client_rows_per_minute=1800), name="waits") as client:
        answer = stream(client, line * 1830, **kind)
        assert (answer.status_code, answer.content.count(b"\n")) == (200, 1830)
        batch = client.post("/v1/enrich/batch", content=(SOUND + b"\n") * 1000, headers=NDJSON)
        assert batch.status_code == 429


def driven(client: TestClient, *messages: Message, kind: bytes = b"application/x-ndjson", end: Any = None) -> Any:
    """The messages that a stream sends to one whose body comes so; then `end` is raised, or it is stopped."""
    seen: list[Any] = []
    came = iter(messages)
    scope: Scope = dict(SCOPE)

    async def receive() -> Message:
        if (message := next(came, None)) is not None:
            return message
        if isinstance(end, BaseException):
            raise end
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        seen.append(message)

    async def drive() -> None:
        headers = [(b"authorization", client.headers["authorization"].encode()), (b"content-type", kind)]
        scope.update(headers=headers)
        task = asyncio.create_task(client.app(scope, receive, send))  # type: ignore[arg-type]
        if end == "stop":
            while len(seen) < 2:
                await asyncio.sleep(0.01)
            task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    assert client.portal is not None
    client.portal.call(drive)
    return seen, scope[KEY].cut


def piece(body: bytes, *, more: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


@pytest.mark.parametrize(
    ("end", "cut"),
    [
        ("stop", "stopped"),
        (HTTPException(401), "proof"),
        (HTTPException(408), "slow"),
        (Problem(503), "fault"),
        (RuntimeError("trouble"), "fault"),
        (ClientDisconnect(), "left"),
    ],
)
@pytest.mark.parametrize("kind", ["application/x-ndjson", "text/csv"])
def test_whatever_goes_wrong_amid_an_answer_leaves_it_without_an_end(
    client: TestClient, end: Any, cut: str, kind: str
) -> None:
    first = SOUND if kind.endswith("ndjson") else b"postcode\nNG1 1AA"
    seen, why = driven(client, piece(first + b"\nBH1"), kind=kind.encode(), end=end)
    assert [m["type"] for m in seen][:2] == ["http.response.start", "http.response.body"]
    assert seen[0]["status"] == 200
    assert all(m["more_body"] for m in seen[1:])
    assert why == cut


@pytest.mark.parametrize(("error", "status"), [(HTTPException(408), 408), (HTTPException(401), 401), (OSError(), 500)])
@pytest.mark.parametrize("kind", [b"application/x-ndjson", b"text/csv"])
def test_what_goes_wrong_before_an_answer_is_a_problem(
    client: TestClient, error: Exception, status: int, kind: bytes
) -> None:
    seen, _ = driven(client, piece(b"postc"), kind=kind, end=error)
    assert seen[0]["status"] == status
    assert dict(seen[0]["headers"])[b"content-type"] == b"application/problem+json"
    assert not seen[-1].get("more_body")


@pytest.mark.parametrize("body", [b"", SOUND, NASTY[0] * 1000])
@pytest.mark.parametrize("kind", [NDJSON, CSV, {"Content-Type": "text/plain"}])
def test_a_stream_gives_its_places_back_when_it_ends(client: TestClient, kind: dict[str, str], body: bytes) -> None:
    state = client.app.state  # type: ignore[attr-defined]
    stream(client, body, **kind)
    assert (state.overload.in_flight, state.allowances.client("tests").in_flight) == (0, 0)


def test_a_stream_keeps_the_release_that_it_began_with(starter: Path) -> None:
    with calling(Settings(data_dir=starter)) as client:
        state = client.app.state  # type: ignore[attr-defined]
        index = state.current.index
        for kind, line in ((NDJSON, SOUND), (CSV, b"postcode\nNG1 1AA")):

            async def come(line: bytes = line) -> AsyncIterator[Message]:
                yield piece(line + b"\n")
                state.current.index = None
                yield piece(line.rpartition(b"\n")[2], more=False)

            messages = come()
            sent: list[Message] = []

            async def receive(messages: AsyncIterator[Message] = messages) -> Message:
                return await anext(messages)

            async def send(message: Message, sent: list[Message] = sent) -> None:
                sent.append(message)

            asked = {"authorization": client.headers["authorization"], "content-type": kind["Content-Type"]}
            headers = [(name.encode(), value.encode()) for name, value in asked.items()]
            assert client.portal is not None
            client.portal.call(client.app, SCOPE | {"headers": headers}, receive, send)
            body = b"".join(m.get("body", b"") for m in sent[1:])
            assert len(set(body.splitlines()[-2:])) == 1
            assert (sent[0]["status"], sent[-1]["more_body"]) == (200, False)
            assert stream(client, SOUND).status_code == 503
            state.current.index = index


# ---------------------------------------------------------------------------------------------- CSV


def read(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.content.endswith(b"\n")
    assert '"' not in answer.text
    return list(csv.DictReader(io.StringIO(answer.text)))


@pytest.mark.parametrize("size", [3, 1000])
def test_each_row_is_answered_in_its_place_and_nothing_of_it_comes_back(client: TestClient, size: int) -> None:
    body = (
        b'\xef\xbb\xbfid,"PostCode of usual address",note\r\n'
        b"1,NG1 1AA,x\r\n"
        b'2,"BH1\n3BE","a\r\n""b"", c"\n'
        b"3\n\n"
        b"4,NG1 1AA,x,y\n"
        b"5," + b"N" * 70_000 + b",x\n"
        b'6,"' + b"N,\n" * 30_000 + b'",x\n'
        b"7,,\xff\n"
        b"8,ZZ99 3VZ,\n"
        b'9,ZZZSECUR,5" nail\n'
        b"10,NG1 1AA,last"
    )
    answer = table(client, (body[i : i + size] for i in range(0, len(body), size)))
    rows = read(answer)
    assert answer.text.splitlines()[0] == (
        "postcode_status,country,imd_decile,imd_quintile,imd_edition,core20,core20_reason,error"
    )
    assert [row["error"] for row in rows] == [
        *("", "", "columns", "columns", "columns", "too_long", "too_long", "", "", "", "")
    ]
    assert [row["postcode_status"] for row in rows] == [
        *("live", "live", "", "", "", "", "", "malformed", "no_fixed_abode", "withheld", "live")
    ]
    assert (rows[0]["imd_decile"], rows[0]["core20"], rows[0]["core20_reason"]) == ("3", "false", "")
    assert (rows[8]["imd_decile"], rows[8]["core20"], rows[8]["core20_reason"]) == ("", "", "no_fixed_abode")
    assert not {*"".join(row["core20"] for row in rows if row["error"])}
    assert answer.headers["x-accel-buffering"] == "no"
    assert "NG1" not in answer.text
    assert "3BE" not in answer.text


def test_a_row_cut_off_amid_its_quotes_is_not_answered_by_half(client: TestClient) -> None:
    assert [r["error"] for r in read(table(client, b'postcode\nNG1 1AA\n"NG1 1A'))] == ["", "columns"]


def test_blank_lines_of_a_table_of_one_column_are_rows_without_a_postcode(client: TestClient) -> None:
    rows = read(table(client, b"postcode\n\nNG1 1AA\n\n"))
    assert [(r["postcode_status"], r["error"]) for r in rows] == [("malformed", ""), ("live", ""), ("malformed", "")]


@pytest.mark.parametrize(
    ("heading", "query"),
    [
        (b"a,pcds", ""),
        (b"a,Home postcode", "?postcode_column=Home%20postcode"),
        (b"x,y", "?postcode_column=2"),
        (b"postcode,b", "?postcode_column=b"),
    ],
)
def test_the_postcodes_column_is_found_or_told(client: TestClient, heading: bytes, query: str) -> None:
    assert [r["imd_decile"] for r in read(table(client, heading + b"\nBH1 3BE,NG1 1AA", query))] == ["3"]


@pytest.mark.parametrize(
    ("body", "query", "field", "code"),
    [
        (b"", "", "heading", "required"),
        (b"name,secret\nNG1 1AA,1\n", "", "heading", "not_found"),
        (b"home postcode secret,work postcode secret\n", "", "heading", "not_found"),
        (b"postcode\n", "?postcode_column=secret", "postcode_column", "not_found"),
        (b"postcode\n", "?postcode_column=2", "postcode_column", "not_found"),
        (b"postcode\n", "?postcode_column=1&postcode_column=1", "postcode_column", "not_a_single_value"),
        (b"postcode\n", "?include=secret", "include", "not_one_of_the_allowed"),
        (b"postcode;secret\n", "", "heading", "invalid"),
        (b'"postcode', "", "heading", "invalid"),
        ("postcode\nNG1 1AA\n".encode("utf-16"), "", "heading", "invalid"),
    ],
)
def test_a_heading_that_cannot_be_read_is_422_and_nothing_of_it_is_quoted(
    client: TestClient, body: bytes, query: str, field: str, code: str
) -> None:
    answer = table(client, body, query)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert answer.json()["errors"] == [{"field": field, "code": code}]
    assert "secret" not in answer.text


def test_a_heading_over_the_limit_of_a_record_is_413(client: TestClient) -> None:
    assert table(client, b"postcode," + b"x" * 70_000 + b"\nNG1 1AA,1\n").status_code == 413


def test_codes_of_areas_need_their_scope(client: TestClient) -> None:
    body = b"postcode\nNG1 1AA\nx\n"
    refused = table(client, body, "?include=area", **plain(client))
    assert (refused.status_code, refused.headers["content-type"]) == (403, "application/problem+json")
    found, nothing = read(table(client, body, "?include=area"))
    assert (found["lsoa21"], found["lad"], nothing["lsoa21"], nothing["icb"]) == ("E01035500", "E06000018", "", "")


def test_a_table_is_never_counted(client: TestClient) -> None:
    metrics = client.get("/metrics").text
    read(table(client, b"postcode,specialty\nNG1 1AA,340\n", **{"Idempotency-Key": "a table"}))
    again = client.get("/metrics").text
    assert [m for m in again.splitlines() if m.startswith("imdlens_contacts_total")] == [
        m for m in metrics.splitlines() if m.startswith("imdlens_contacts_total")
    ]


@given(st.lists(postcodes, min_size=1, max_size=30))
@hypothesis_settings(max_examples=100)
def test_a_table_says_what_the_columns_of_a_file_say(index: Index, rules: Rules, texts: list[str | None]) -> None:
    enricher, wanted = Enricher(index, rules), Wanted(domains=True, area=True)
    sent = [(text or "").encode("utf-8", "replace") for text in texts]
    written = CsvAnswers(enricher, wanted).write([*sent, "columns"]).decode().splitlines()
    column = text_column(pa.array([text.decode() for text in sent]))
    expected = enricher.columns(enricher.read(column), wanted).to_pylist()
    for row, values in zip(written, expected, strict=False):
        shown = ["" if v is None else str(v).lower() if isinstance(v, bool) else str(v) for v in values.values()]
        assert row.split(",") == [*shown, ""]
    assert written[-1] == "," * len(wanted.types()) + "columns"


def test_no_answer_holds_what_a_row_would_have_to_quote(index: Index, rules: Rules) -> None:
    enricher = Enricher(index, rules)
    texts = [*(f"ZZ99 3{letter}Z" for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"), "NG1 1AA", "BT1 1AA", "JE1 1AA", "x", ""]
    enricher.read(text_column(pa.array(texts)))
    for answer in enricher.answers:
        assert not {*',"\r\n'} & {*"".join(map(str, answer.core))}
    for kind in ("lsoa21", "lsoa11", "lad", "icb"):
        assert not {*',"\r\n'} & {*"".join(code or "" for code in index.codes(kind))}
