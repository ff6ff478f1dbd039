"""Bad input gets a clear error that names the field and not its value."""

import itertools
import json

import pytest
from fastapi.testclient import TestClient

from app.settings import Settings
from tests.service import calling

JSON = {"Content-Type": "application/json"}
MARK = "QQ1 1QQ"  # stands for what a patient's record holds: it must never come back


def problem(answer) -> dict:  # type: ignore[no-untyped-def,type-arg]
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["type"].startswith("urn:imdlens:problem:")
    assert body["title"]
    assert body["status"] == answer.status_code
    assert MARK not in answer.text
    return body  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"NG1 1AA",
        b'{"postcode": NaN}',
        b'{"postcode": "NG1 1AA", "contact": {"age": Infinity}}',
        b'{"postcode": "QQ1 1QQ", "postcode": "NG1 1AA"}',
        b'{"postcode": "QQ1 1QQ", "contact": {"age": 1, "age": 2}}',
        b'{"postcode": "\xff\xfe"}',
        b'{"postcode": "\\ud800"}',
        b'{"postcode": "NG1 1AA"} trailing',
        b"[" * 20_000,
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        b"\x00",
        '{"postcode": "NG1 1AA"}'.encode("utf-16"),
    ],
    ids=itertools.count(),
)
@pytest.mark.parametrize("path", ["/v1/enrich", "/v1/enrich/batch"])
def test_what_is_not_json_is_400(client: TestClient, path: str, body: bytes) -> None:
    answer = client.post(path, content=body, headers=JSON)
    if path == "/v1/enrich" and body == b"":
        assert problem(answer)["status"] == 422  # no body at all: the record itself is missing
    else:
        assert problem(answer)["status"] == 400


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "postcode", "required"),
        ({"postcode": 7}, "postcode", "not_text"),
        ({"postcode": ["QQ1 1QQ"]}, "postcode", "not_text"),
        ({"postcode": True}, "postcode", "not_text"),
        ({"postcode": "NG1 1AA", "QQ1 1QQ": 1}, "body", "unknown_field"),
        ({"postcode": "NG1 1AA", "contact": {"QQ1 1QQ": 1}}, "contact", "unknown_field"),
        ({"postcode": "NG1 1AA", "contact": "QQ1 1QQ"}, "contact", "not_an_object"),
        ({"postcode": "NG1 1AA", "contact": {"specialty": ["QQ1 1QQ"]}}, "contact.specialty", "not_a_single_value"),
        (
            {"postcode": "NG1 1AA", "contact": {"ethnic_category": "QQ1 1QQ"}},
            "contact.ethnic_category",
            "not_an_object",
        ),
        ({"postcode": "NG1 1AA", "signals": {"snomed": "QQ1 1QQ"}}, "signals.snomed", "not_a_list"),
        (
            {"postcode": "NG1 1AA", "signals": {"snomed": [1, {"QQ1 1QQ": 1}]}},
            "signals.snomed[1]",
            "not_a_single_value",
        ),
        ({"postcode": "NG1 1AA", "include": ["QQ1 1QQ"]}, "include[0]", "not_one_of_the_allowed"),
        ({"postcode": "NG1 1AA", "include": "area"}, "include", "not_a_list"),
        ([], "body", "not_an_object"),
        ("QQ1 1QQ", "body", "not_an_object"),
        (None, "body", "not_an_object"),
    ],
)
def test_a_broken_structure_is_422_and_names_the_field(client: TestClient, body: object, field: str, code: str) -> None:
    answer = client.post("/v1/enrich", content=json.dumps(body), headers=JSON)
    assert answer.status_code == 422
    assert {"field": field, "code": code} in problem(answer)["errors"]


@pytest.mark.parametrize("body", [{}, [], {"records": 7}, {"records": {}}, {"records": [], "QQ1 1QQ": 1}, 7])
def test_a_batch_without_records_is_422(client: TestClient, body: object) -> None:
    assert problem(client.post("/v1/enrich/batch", json=body))["status"] == 422


@pytest.mark.parametrize(
    "text", ["", " ", "x" * 10_240, "NG1 1АА", "ＮＧ１ １ＡＡ", "NG1\u0000 1AA", "\u202eNG1 1AA", "💉", "'; --", "<b>"]
)
def test_a_poor_postcode_is_an_answer_and_does_not_come_back(client: TestClient, text: str) -> None:
    answer = client.post("/v1/enrich", json={"postcode": text})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["postcode_status"], body["core20"], body["core20_reason"]) == ("malformed", None, "malformed")
    assert len(text.strip()) < 2 or text not in answer.text


def test_a_body_over_the_limit_is_413(starter) -> None:  # type: ignore[no-untyped-def]
    settings = Settings(data_dir=starter, max_body_bytes=1_000, max_batch_bytes=1_000)
    with calling(settings) as client:
        for path in ("/v1/enrich", "/v1/enrich/batch"):
            announced = client.post(path, content=b" " * 1_001, headers=JSON)
            assert problem(announced)["status"] == 413
            unannounced = client.post(path, content=(b" " * 300 for _ in range(4)), headers=JSON)
            assert problem(unannounced)["status"] == 413
        assert client.post("/v1/enrich", json={"postcode": "NG1 1AA"}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/v1/enrich", 405), ("POST", "/livez", 405), ("GET", "/none", 404)]
)
def test_a_wrong_address_or_method_is_a_problem_too(client: TestClient, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert problem(answer)["status"] == status
    if status == 405:
        assert answer.headers["allow"]


def test_an_address_with_a_slash_too_many_is_not_redirected(client: TestClient) -> None:
    """A redirect would have the client send the postcode again, to wherever the Host header says."""
    answer = client.post(
        "/v1/enrich/", json={"postcode": MARK}, headers={"Host": "elsewhere.example"}, follow_redirects=False
    )
    assert problem(answer)["status"] == 404
    assert "location" not in answer.headers


@pytest.mark.parametrize("where", ["record", "contact", "signals", "envelope"])
def test_thousands_of_unknown_fields_are_one_error(client: TestClient, where: str) -> None:
    many = {f"{MARK}{i}": i for i in range(20_000)}
    record = {"postcode": "NG1 1AA"} | (many if where == "record" else {where: many} if where != "envelope" else {})
    body = {"records": [record, {"postcode": "NG1 1AA"}]} | (many if where == "envelope" else {})
    answer = client.post("/v1/enrich/batch", json=body)
    assert MARK not in answer.text
    if where == "envelope":
        assert problem(answer)["errors"] == [{"field": "body", "code": "unknown_field"}]
    else:
        broken, whole = answer.json()["results"]
        assert broken["error"]["errors"] == [{"field": "record", "code": "unknown_field"}]
        assert whole["imd_decile"] == 3


def test_a_line_of_a_batch_over_the_limit_of_one_record_is_refused_in_its_place(client: TestClient) -> None:
    lines = json.dumps({"postcode": "N" * 70_000}) + '\n{"postcode": "NG1 1AA"}'
    answer = client.post("/v1/enrich/batch", content=lines, headers={"Content-Type": "application/x-ndjson"})
    broken, whole = (json.loads(line) for line in answer.text.splitlines())
    assert broken["error"]["status"] == 413
    assert whole["imd_decile"] == 3


def test_a_body_of_nothing_but_lines_is_refused_unread(client: TestClient) -> None:
    answer = client.post("/v1/enrich/batch", content=b"\n" * 100_000, headers={"Content-Type": "application/x-ndjson"})
    assert problem(answer)["status"] == 413


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/version"])
def test_a_load_balancer_may_ask_with_head(client: TestClient, path: str) -> None:
    assert client.head(path).status_code == 200


def test_a_postcode_in_the_url_is_neither_read_nor_repeated(client: TestClient) -> None:
    assert problem(client.get(f"/v1/enrich?postcode={MARK}"))["status"] == 405
    assert problem(client.get(f"/v1/{MARK}"))["status"] == 404


def test_what_nobody_foresaw_is_a_500_without_a_word_of_it(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(f"about {MARK}")

    monkeypatch.setattr("app.routers.enrich.enrich", fail)
    answer = client.post("/v1/enrich", json={"postcode": MARK}, headers={"X-Request-ID": "9434765919"})
    assert problem(answer)["status"] == 500
    assert "unhandled RuntimeError at routers/enrich.py" in caplog.text
    assert MARK not in caplog.text
    assert "9434765919" not in caplog.text


def test_without_data_the_service_is_alive_and_not_ready(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with calling(Settings(data_dir=tmp_path / "none")) as client:
        assert client.get("/livez").json() == {"status": "alive"}
        assert problem(client.get("/readyz"))["status"] == 503
        refused = client.post("/v1/enrich", json={"postcode": "NG1 1AA"})
        assert problem(refused)["status"] == 503
        assert refused.headers["retry-after"]
        assert client.get("/version").json()["release"] is None
