"""`POST /v1/enrich` and its batch, as an integration engineer meets them."""

import json

import pytest
from fastapi.testclient import TestClient

NDJSON = {"Content-Type": "application/x-ndjson"}


def post(client: TestClient, body: object, path: str = "/v1/enrich"):  # type: ignore[no-untyped-def]
    return client.post(path, json=body)


def test_only_the_postcode_is_required(client: TestClient) -> None:
    answer = post(client, {"postcode": "NG1 1AA"})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["imd_decile"], body["core20"], body["imd_edition"]) == (3, False, "IoD2025")
    assert body["counted"] is False
    assert body["counted_reason"] == "no_contact"
    assert body["area"] is None


def test_a_contact_is_counted_once_however_often_it_is_sent(client: TestClient) -> None:
    contact = {"specialty": "340", "type": "outpatient", "outcome": "attended", "age": 54, "event_id": "appointment 1"}
    answers = [post(client, {"postcode": "NG1 1AA", "contact": contact}).json() for _ in range(3)]
    assert [(a["counted"], a["counted_reason"]) for a in answers] == [(True, None), *[(False, "duplicate")] * 2]
    assert answers[0]["imd_decile"] == 3


def test_a_withheld_address_counts_nothing_for_its_own_reason(client: TestClient) -> None:
    body = post(client, {"postcode": "ZZZSECUR", "contact": {"specialty": "340"}, "include": ["area"]}).json()
    assert (body["postcode_status"], body["counted_reason"], body["area"]) == ("withheld", "withheld", None)


@pytest.mark.parametrize("value", ["340", 340, 3.4, True, None, "no such specialty", ""])
def test_a_meaningless_value_in_a_contact_never_costs_the_clinical_answer(client: TestClient, value: object) -> None:
    contact = {"specialty": value, "age": value, "date": value, "sex": value, "ethnic_category": {"code": value}}
    answer = post(client, {"postcode": "NG1 1AA", "contact": contact, "signals": {"snomed": [value]}})
    assert answer.status_code == 200
    assert answer.json()["imd_decile"] == 3


def test_area_codes_come_only_when_asked_for(client: TestClient) -> None:
    area = post(client, {"postcode": "NG1 1AA", "include": ["area"]}).json()["area"]
    assert area["lsoa21"] == "E01035500"
    assert area["ranks"] == {"IoD2025": 7420}


def test_every_answer_states_its_release_and_rules(client: TestClient) -> None:
    data = post(client, {"postcode": None}).json()["data"]
    version = client.get("/version").json()
    assert (data["release"], data["checksum"], data["rules"]) == (
        version["release"],
        version["checksum"],
        version["rules"],
    )


def test_answers_are_not_kept_by_anything_between(client: TestClient) -> None:
    answer = post(client, {"postcode": "NG1 1AA"})
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


# ------------------------------------------------------------------------------------------ ids


def test_a_request_id_is_mirrored_or_made(client: TestClient) -> None:
    mine = "0f4f1a1e-5b0e-4d7c-9f55-3a1d6f0f8a11"
    answer = client.post(
        "/v1/enrich", json={"postcode": None}, headers={"X-Request-ID": mine, "X-Correlation-ID": mine}
    )
    assert answer.headers["x-request-id"] == answer.headers["x-correlation-id"] == mine
    made = post(client, {"postcode": None}).headers
    assert len(made["x-request-id"]) == 32
    assert "x-correlation-id" not in made


@pytest.mark.parametrize("bad", ["short", "x" * 65, "has space in it", "semi;colon;here", "NG1 1AA NG1 1AA"])
def test_a_request_id_that_is_not_one_is_replaced(client: TestClient, bad: str) -> None:
    answer = client.post("/v1/enrich", json={"postcode": None}, headers={"X-Request-ID": bad, "X-Correlation-ID": bad})
    assert answer.headers["x-request-id"] != bad
    assert "x-correlation-id" not in answer.headers


# ---------------------------------------------------------------------------------------- batch


def test_a_batch_is_answered_in_order(client: TestClient) -> None:
    sent = ["NG1 1AA", "ZZ99 3VZ", "", "NG7 2UH", "NG1 1AA"] * 200
    results = post(client, {"records": [{"postcode": p} for p in sent]}, "/v1/enrich/batch").json()["results"]
    assert [r["postcode_status"] for r in results] == ["live", "no_fixed_abode", "malformed", "live", "live"] * 200
    assert [r["imd_decile"] for r in results] == [3, None, None, 7, 3] * 200


def test_each_record_of_a_batch_has_the_answer_it_would_have_alone(client: TestClient) -> None:
    records = [{"postcode": p, "include": ["area"]} for p in ("NG1 1AA", "LD7 1LG", "ZZ99 3WZ", None)]
    results = post(client, {"records": records}, "/v1/enrich/batch").json()["results"]
    assert results == [post(client, r).json() for r in records]


BROKEN = [None, 7, "NG1 1AA", [], {}, {"postcode": 7}, {"postcode": "NG1 1AA", "nhs_number": "1"}, {"postcode": ["a"]}]


def test_a_broken_record_is_answered_in_its_place(client: TestClient) -> None:
    records = [record for broken in BROKEN for record in (broken, {"postcode": "NG1 1AA"})]
    answer = post(client, {"records": records}, "/v1/enrich/batch")
    assert answer.status_code == 200
    for broken, whole in zip(answer.json()["results"][::2], answer.json()["results"][1::2], strict=True):
        assert broken["error"]["status"] == 422
        assert broken["error"]["errors"]
        assert whole["imd_decile"] == 3


def test_ndjson_gives_ndjson_line_by_line(client: TestClient) -> None:
    good, cut, twice = '{"postcode": "NG1 1AA"}', '{"postcode": ', '{"postcode": "NG1 1AA", "postcode": "NG7 2UH"}'
    body = "\n".join([f"{good}\r", "", cut, twice, "null", '{"postcode": "NG7 2UH"}'])
    answer = client.post("/v1/enrich/batch", content=body, headers=NDJSON)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line.get("imd_decile") or line["error"]["status"] for line in lines] == [3, 400, 400, 422, 7]


def test_an_empty_batch_is_an_empty_answer(client: TestClient) -> None:
    assert post(client, {"records": []}, "/v1/enrich/batch").json() == {"results": []}
    assert client.post("/v1/enrich/batch", content=b"", headers=NDJSON).content == b""


def test_ten_thousand_records_are_answered_and_one_more_is_refused(client: TestClient) -> None:
    records = [{"postcode": "NG1 1AA"}] * 10_000
    assert len(post(client, {"records": records}, "/v1/enrich/batch").json()["results"]) == 10_000
    lines = b'{"postcode": "NG1 1AA"}\n' * 10_001
    for refused in (
        post(client, {"records": [*records, records[0]]}, "/v1/enrich/batch"),
        client.post("/v1/enrich/batch", content=lines, headers=NDJSON),
    ):
        assert refused.status_code == 413
        assert refused.json()["errors"] == [{"field": "records", "code": "too_many"}]


@pytest.mark.parametrize("kind", ["text/csv", "application/xml", "text/plain", ""])
@pytest.mark.parametrize("path", ["/v1/enrich", "/v1/enrich/batch"])
def test_another_media_type_is_refused(client: TestClient, path: str, kind: str) -> None:
    answer = client.post(path, content=b'{"postcode": "NG1 1AA"}', headers={"Content-Type": kind})
    assert answer.status_code == 415
    assert answer.headers["content-type"] == "application/problem+json"


def test_parameters_of_the_media_type_do_not_matter(client: TestClient) -> None:
    answer = client.post(
        "/v1/enrich", content=b'{"postcode": "NG1 1AA"}', headers={"Content-Type": "Application/JSON; charset=utf-8"}
    )
    assert answer.json()["imd_decile"] == 3
