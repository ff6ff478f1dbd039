"""CDS Hooks 2.0 over HTTP, in the shapes of its specification, each field judged by itself."""

import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError

from app.counting import database_url
from app.counts import feedback
from app.database import writing
from app.settings import Settings
from tests import starter_data
from tests.databases import opened
from tests.service import bearer, calling, key_for

CONTEXT, OFFERS = "/cds-services/deprivation-context", "/cds-services/access-offers"
HOOKS = {CONTEXT: "patient-view", OFFERS: "appointment-book"}
PUBLIC = "https://lens.example.nhs.uk/imd"
ORIGIN = "https://epr.example.nhs.uk"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MARK = "QQ1 1QQ"  # stands for what a patient's record holds: it must never come back


FINDING = {"decile", "quintile", "edition", "core20", "core20_reason", "postcode_status", "release", "rules"}


def request(path: str, postcode: Any = "NG1 1AA", **fields: Any) -> dict[str, Any]:
    """A hook as an EPR sends it, with what this service has no use for."""
    return {
        "hook": HOOKS[path],
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "fhirServer": "https://fhir.example.nhs.uk/R4",
        "fhirAuthorization": {
            "access_token": MARK,
            "token_type": "Bearer",
            "expires_in": 300,
            "scope": "user/Patient.read",
            "subject": "cds-service4",
        },
        "context": {"userId": "Practitioner/example", "patientId": "1288992", "appointments": {"entry": []}},
        "prefetch": {
            "patient": {
                "resourceType": "Patient",
                "id": "1288992",
                "identifier": [{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": MARK}],
                "name": [{"family": MARK}],
                "birthDate": "1972-03-04",
                "address": [{"use": "home", "line": [MARK], "postalCode": postcode}],
                **fields,
            },
            "another": None,
        },
        "extension": {"com.example.timestamp": "2026-11-22"},
    }


@pytest.fixture(scope="module")
def open_service(starter: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A service that links its cards, shows every decile and lets one page call it."""
    settings = Settings(
        data_dir=starter,
        counts_dir=tmp_path_factory.mktemp("counts"),
        public_url=PUBLIC,
        cds_every_decile=True,
        cors_origins=f"https://other.example:8443 {ORIGIN}",
    )
    with calling(settings, raise_server_exceptions=False) as client:
        yield client


def cards(client: TestClient, path: str, postcode: Any = "NG1 1AA", **fields: Any) -> list[dict[str, Any]]:
    answer = client.post(path, json=request(path, postcode, **fields))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert MARK not in answer.text + str(answer.headers)
    body = answer.json()
    assert set(body) == {"cards"}
    for card in body["cards"]:
        check(card)
    return body["cards"]  # type: ignore[no-any-return]


def check(card: dict[str, Any]) -> None:
    """A card's fields as the specification has them, and none that is null or empty."""
    assert set(card) <= {"uuid", "summary", "detail", "indicator", "source", "links", "extension"}
    assert UUID.fullmatch(card["uuid"])
    assert 0 < len(card["summary"]) < 140
    assert "\n" not in card["summary"]
    assert card["indicator"] == "info"
    assert card["detail"].strip()
    assert set(card["source"]) == {"label", "topic"}
    assert card["source"]["label"]
    assert set(card["source"]["topic"]) == {"system", "code", "display"}
    for link in card.get("links", []):
        assert set(link) == {"label", "url", "type"}
        assert link["type"] == "absolute"
        assert link["url"].startswith("https://")
    (extension,) = card["extension"].values()

    def full(node: Any) -> bool:
        if isinstance(node, dict):
            return bool(node) and all(map(full, node.values()))
        return all(map(full, node)) and bool(node) if isinstance(node, list) else node is not None and node != ""

    assert full(card)
    assert set(extension) <= FINDING


def deprived(client: TestClient) -> str:
    """A starter postcode in Core20."""
    records = [{"postcode": p} for p in starter_data.postcodes()]
    answers = client.post("/v1/enrich/batch", json={"records": records}).json()["results"]
    return next(p for p, a in zip(starter_data.postcodes(), answers, strict=True) if a["core20"])


def test_discovery_lists_two_services_with_what_each_must_be_sent(client: TestClient) -> None:
    answer = client.get("/cds-services")
    assert answer.status_code == 200
    services = answer.json()["services"]
    assert {s["id"]: s["hook"] for s in services} == {
        "deprivation-context": "patient-view",
        "access-offers": "appointment-book",
    }
    for service in services:
        assert set(service) == {"hook", "title", "description", "id", "prefetch", "usageRequirements"}
        assert service["prefetch"] == {"patient": "Patient/{{context.patientId}}"}
        assert all(service.values())


def test_a_patient_of_the_most_deprived_fifth_has_a_card(client: TestClient) -> None:
    (card,) = cards(client, CONTEXT, deprived(client))
    assert "more deprived than about" in card["summary"]
    assert "What is a typical day like for you" in card["detail"]
    assert "Demonstration data" in card["detail"]
    finding = card["extension"]["urn:imdlens:card"]
    assert finding["core20"] is True
    assert finding["edition"] == "IoD2025"
    assert finding["release"] == client.get("/version").json()["release"]
    assert finding["rules"] == client.get("/version").json()["rules"]
    assert "links" not in card


def test_any_other_decile_has_no_card_by_default(client: TestClient) -> None:
    assert cards(client, CONTEXT) == []


@pytest.mark.parametrize("postcode", ["B1 1BB", "NG1", "ZZ99 3VZ", "ZZ99 3WZ", "ZZZSECUR", "", None, 7, ["NG1 1AA"]])
def test_the_unknown_is_never_answered_by_silence(client: TestClient, postcode: Any) -> None:
    (card,) = cards(client, CONTEXT, postcode)
    assert "deprived" not in card["summary"]
    assert "decile" not in card["extension"]["urn:imdlens:card"]


def test_a_withheld_address_is_answered_as_no_fixed_abode_to_the_byte(client: TestClient) -> None:
    withheld, homeless = (
        UUID.sub("", client.post(CONTEXT, json=request(CONTEXT, postcode)).text)
        for postcode in ("ZZZSECUR", "ZZ99 3VZ")
    )
    assert withheld == homeless


def test_a_card_links_to_its_page_where_browsers_can_reach_it(open_service: TestClient) -> None:
    (card,) = cards(open_service, CONTEXT, deprived(open_service))
    (link,) = card["links"]
    assert link["url"].startswith(f"{PUBLIC}/card/")
    page = open_service.get(link["url"].removeprefix(PUBLIC))
    assert page.status_code == 200
    assert card["summary"] in page.text


def test_the_page_of_a_withheld_address_is_that_of_no_fixed_abode(open_service: TestClient) -> None:
    links = [cards(open_service, CONTEXT, postcode)[0]["links"][0]["url"] for postcode in ("ZZZSECUR", "ZZ99 3VZ")]
    withheld, homeless = (open_service.get(link.removeprefix(PUBLIC)) for link in links)
    assert withheld.status_code == 200
    assert withheld.content == homeless.content
    assert len(links[0]) == len(links[1])


def test_the_linked_page_shows_no_signal_of_the_patient(open_service: TestClient) -> None:
    flagged = [
        {"url": "http://hl7.org/fhir/StructureDefinition/patient-interpreterRequired", "valueBoolean": True},
    ]
    (card,) = cards(open_service, CONTEXT, extension=flagged)
    page = open_service.get(card["links"][0]["url"].removeprefix(PUBLIC))
    assert "nterpreter" not in page.text


def test_every_decile_has_a_quiet_card_where_the_settings_ask_for_it(open_service: TestClient) -> None:
    (card,) = cards(open_service, CONTEXT)
    assert card["extension"]["urn:imdlens:card"]["decile"] == 3
    assert "?" not in card["detail"]


def test_offers_are_the_same_for_every_area_and_for_none(client: TestClient, open_service: TestClient) -> None:
    postcodes = [*starter_data.postcodes()[::40], deprived(client), "ZZ99 3VZ", "ZZZSECUR", None]
    shown = {json.dumps(cards(c, OFFERS, p)[0] | {"uuid": ""}) for p in postcodes for c in (client, open_service)}
    assert len(shown) == 1
    said = shown.pop()
    assert "help with travel" in said
    assert not [word for word in ("deprived", "Core20", "decile", "IoD", "links") if word in said]


def test_offers_are_made_while_no_data_is_loaded(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with calling(Settings(data_dir=empty, counts_dir=tmp_path), raise_server_exceptions=False) as client:
        assert len(cards(client, OFFERS)) == 1
        refused = client.post(CONTEXT, json=request(CONTEXT))
        assert refused.status_code == 503
        assert client.get("/cds-services").status_code == 200


def test_each_card_has_an_id_of_its_own(client: TestClient) -> None:
    assert len({cards(client, OFFERS)[0]["uuid"] for _ in range(5)}) == 5


@pytest.mark.parametrize("path", HOOKS)
@pytest.mark.parametrize(
    "prefetch",
    [
        None,
        {},
        {"patient": None},
        {"patient": MARK},
        {"patient": {}},
        {"patient": {"resourceType": "OperationOutcome", "id": MARK}},
    ],
)
def test_a_patient_that_was_not_prefetched_is_412(client: TestClient, path: str, prefetch: Any) -> None:
    answer = client.post(path, json=request(path) | {"prefetch": prefetch})
    assert answer.status_code == 412
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"] == [{"field": "prefetch.patient", "code": "required"}]
    assert MARK not in answer.text
    without = {name: value for name, value in request(path).items() if name != "prefetch"}
    assert client.post(path, json=without).status_code == 412


@pytest.mark.parametrize("path", HOOKS)
@pytest.mark.parametrize(
    ("change", "errors"),
    [
        ({"hook": MARK}, [{"field": "hook", "code": "not_one_of_the_allowed"}]),
        ({"hook": "order-sign"}, [{"field": "hook", "code": "not_one_of_the_allowed"}]),
        ({"hookInstance": 7}, [{"field": "hookInstance", "code": "not_text"}]),
        ({"context": MARK}, [{"field": "context", "code": "not_an_object"}]),
        ({"prefetch": [MARK]}, [{"field": "prefetch", "code": "not_an_object"}]),
    ],
)
def test_a_request_of_another_structure_is_422(client: TestClient, path: str, change: Any, errors: Any) -> None:
    answer = client.post(path, json=request(path) | change)
    assert answer.status_code == 422
    assert answer.json()["errors"] == errors
    assert MARK not in answer.text


@pytest.mark.parametrize("field", ["hook", "hookInstance", "context"])
def test_what_the_standard_requires_is_required(client: TestClient, field: str) -> None:
    without = {name: value for name, value in request(CONTEXT).items() if name != field}
    answer = client.post(CONTEXT, json=without)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"field": field, "code": "required"}]


@pytest.mark.parametrize("path", [*HOOKS, f"{CONTEXT}/feedback"])
@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b'{"hook": NaN}', "application/json", 400),
        (b'{"hook": "patient-view", "hook": "patient-view"}', "application/json", 400),
        (b"[]", "application/json", 422),
        (b"{}", "text/plain", 415),
        (b"{}", "application/fhir+json", 415),
        pytest.param(b" " * (8 * 2**20 + 1), "application/json", 413, id="long"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(
    client: TestClient, path: str, content: bytes, kind: str, status: int
) -> None:
    answer = client.post(path, content=content, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_patient_with_a_photo_is_not_too_large(client: TestClient) -> None:
    assert cards(client, CONTEXT, "ZZ99 3VZ", photo=[{"data": "QUJD" * 50_000}])


def test_an_unknown_service_is_404(client: TestClient) -> None:
    for path in ("/cds-services/QQ1", "/cds-services/QQ1/feedback"):
        answer = client.post(path, json={"feedback": []})
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
        assert "QQ1" not in answer.text


FEEDBACK = {
    "card": "4e0a3a1e-3283-4575-ab82-028d55fe2719",
    "outcome": "overridden",
    "overrideReason": {"reason": {"code": MARK, "system": "https://example.nhs.uk"}, "userComment": MARK},
    "acceptedSuggestions": [{"id": MARK}],
    "outcomeTimestamp": "2026-11-22T10:05:31Z",
}


@pytest.mark.parametrize("path", HOOKS)
def test_feedback_is_counted_by_month_and_its_words_are_nowhere(starter: Path, tmp_path: Path, path: str) -> None:
    settings = Settings(data_dir=starter, counts_dir=tmp_path)
    with calling(settings) as client:
        for _ in range(2):
            sent = {"feedback": [FEEDBACK, FEEDBACK | {"outcome": "accepted"}, FEEDBACK]}
            answer = client.post(f"{path}/feedback", json=sent)
            assert (answer.status_code, answer.json()) == (200, {})
            assert MARK not in answer.text
        assert client.post(f"{path}/feedback", json={"feedback": []}).status_code == 200
    with opened(database_url(settings)) as engine:
        found = feedback.read(engine)
    service = path.rpartition("/")[2]
    assert [(row["service"], row["outcome"], row["n"]) for row in found] == [
        (service, "accepted", 2),
        (service, "overridden", 4),
    ]
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and MARK.encode() in file.read_bytes()]


def test_feedback_that_cannot_be_counted_is_503(starter: Path, tmp_path: Path) -> None:
    settings = Settings(data_dir=starter, counts_dir=tmp_path)
    with calling(settings) as client:
        with opened(database_url(settings)) as engine, writing(engine) as connection:
            connection.exec_driver_sql("DROP TABLE card_feedback")
        answer = client.post(f"{OFFERS}/feedback", json={"feedback": [FEEDBACK]})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


@pytest.mark.parametrize(
    ("feedback", "field"),
    [
        ([FEEDBACK | {"outcome": MARK}], "feedback[0].outcome"),
        ([FEEDBACK, {"outcome": "accepted"}], "feedback[1].card"),
        ([MARK], "feedback[0]"),
        (FEEDBACK, "feedback"),
        ([{"card": "", "outcome": "accepted"}] * 201, "feedback"),
    ],
)
def test_feedback_of_another_structure_is_422(client: TestClient, feedback: Any, field: str) -> None:
    answer = client.post(f"{CONTEXT}/feedback", json={"feedback": feedback})
    assert answer.status_code == 422
    assert [e["field"] for e in answer.json()["errors"]] == [field]
    assert MARK not in answer.text


def test_hooks_count_nothing(starter: Path, tmp_path: Path) -> None:
    with calling(Settings(data_dir=starter, counts_dir=tmp_path)) as client:
        client.post("/v1/enrich", json={"postcode": "NG1 1AA", "contact": {"specialty": "340"}})
        for _ in range(3):
            client.post(CONTEXT, json=request(CONTEXT, "ZZ99 3VZ"))
            client.post(OFFERS, json=request(OFFERS))
            client.post(f"{CONTEXT}/feedback", json={"feedback": [FEEDBACK]})
    with sqlite3.connect(tmp_path / "counts.sqlite") as store:
        (total,) = store.execute("SELECT sum(n) FROM flow").fetchone()
    assert total == 1


# ------------------------------------------------------------------------------------------------- browsers

PREFLIGHT = {
    "Origin": ORIGIN,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "content-type,authorization",
}


def test_a_page_of_a_listed_origin_may_call_the_hooks_and_nothing_else(open_service: TestClient) -> None:
    asked = open_service.options(CONTEXT, headers=PREFLIGHT)
    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == ORIGIN
    assert set(asked.headers["access-control-allow-methods"].split(", ")) == {"GET", "POST", "OPTIONS"}
    assert "access-control-allow-credentials" not in asked.headers
    listed = open_service.get("/cds-services", headers={"Origin": ORIGIN})
    assert listed.headers["access-control-allow-origin"] == ORIGIN
    refused = open_service.post(CONTEXT, json={}, headers={"Origin": ORIGIN})
    assert refused.status_code == 422
    assert refused.headers["access-control-allow-origin"] == ORIGIN
    for path in ("/v1/enrich", "/card", "/v1/breakdowns", "/cds-services-not"):
        assert "access-control-allow-origin" not in open_service.options(path, headers=PREFLIGHT).headers
        assert "access-control-allow-origin" not in open_service.get(path, headers={"Origin": ORIGIN}).headers


def test_a_page_of_another_origin_may_call_nothing(open_service: TestClient, client: TestClient) -> None:
    for caller, origin in ((open_service, "https://evil.example"), (open_service, "null"), (client, ORIGIN)):
        asked = caller.options(CONTEXT, headers=PREFLIGHT | {"Origin": origin})
        assert asked.status_code in (400, 405)
        assert "access-control-allow-origin" not in asked.headers
        assert "access-control-allow-origin" not in caller.get("/cds-services", headers={"Origin": origin}).headers


@pytest.mark.parametrize(
    "origins", ["*", "null", "https://a.example/", "https://a.example,https://b.example", "a.example"]
)
def test_origins_that_no_browser_sends_are_refused(origins: str) -> None:
    with pytest.raises(ValidationError):
        Settings(cors_origins=origins)


@pytest.mark.parametrize("url", ["lens.example", "https://lens.example/", "ftp://lens.example", "https://a b", ""])
def test_a_public_address_that_links_cannot_begin_with_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        Settings(public_url=url)


def test_a_key_that_shows_groups_shows_none_on_a_hooks_card(starter: Path, tmp_path: Path) -> None:
    settings = Settings(data_dir=starter, counts_dir=tmp_path)
    every = bearer(key_for(settings))
    with calling(settings, "enrich") as client:
        plain = client.post(CONTEXT, json=request(CONTEXT, "ZZ99 3VZ")).json()["cards"][0]
        keyed = client.post(
            CONTEXT,
            json=request(CONTEXT, "ZZ99 3VZ"),
            headers=every,
        ).json()["cards"][0]
    assert plain | {"uuid": ""} == keyed | {"uuid": ""}
