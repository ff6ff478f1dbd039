"""The OpenAPI document is complete, and the service does what it says, whatever is sent."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import settings as hypothesis_settings

from app.access.caller import SCOPES
from app.counting import open_store
from app.doors import DOORS, HOOKS
from app.main import create_app
from app.settings import Settings
from tests.sealed_store import YEAR, sealed
from tests.service import bearer, calling, key_for
from tests.starter_data import copy_without_counts

NAMES = {"patient-view": "PatientView", "appointment-book": "AppointmentBook"}
# CDS Hooks has a status of its own for a request whose prefetch is missing, and FHIR for a format that is not JSON;
# too long a list may be over the limit of a body before it is anything else.
REFUSALS = ["400", "401", "403", "404", "405", "406", "412", "413", "415", "422"]
NEGATIVE = {"negative_data_rejection": {"expected-statuses": REFUSALS}}
# No schema can say that a column which the query names must be there, or that of two parameters only one may be; nor
# what is published.
POSITIVE = {"positive_data_acceptance": {"expected-statuses": ["2xx", "422"]}}
PUBLISHED = {"positive_data_acceptance": {"expected-statuses": ["2xx", "404", "422"]}}
CONFIG = {
    "checks": NEGATIVE,
    "operations": [
        {"include-path": "/v1/enrich/stream", "checks": NEGATIVE | POSITIVE},
        *({"include-path": path, "checks": NEGATIVE | PUBLISHED} for path in ("/v1/inequality", "/v1/trend")),
    ],
}


@pytest.fixture(scope="module")
def document(client: TestClient) -> dict[str, Any]:
    return client.get("/openapi.json").json()  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def described(starter: Path) -> Iterator[Any]:
    settings = Settings(data_dir=starter)
    app = create_app(settings)
    with calling(settings, app=app):
        key = {"bearer": key_for(settings)}
        config = schemathesis.Config.from_dict({"auth": {"openapi": {"key": key, "hook": key}}, **CONFIG})
        yield schemathesis.openapi.from_asgi("/openapi.json", app, config=config)


@schemathesis.serializer("application/x-ndjson")
def ndjson(_: schemathesis.SerializationContext, value: Any) -> bytes:
    """Text as it is, a list as one line each, anything else as one line."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    return b"\n".join(json.dumps(v).encode() for v in (value if isinstance(value, list) else [value]))


@schemathesis.serializer("text/csv")
def table(_: schemathesis.SerializationContext, value: Any) -> bytes:
    """Whatever it is, under a heading that names the postcode."""
    text = value if isinstance(value, str) else json.dumps(value)
    return b"postcode\n" + text.encode("utf-8", "surrogatepass")


@pytest.fixture(scope="module")
def linked(starter: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The document of a service that has published something, so that links have somewhere to lead."""
    folder = tmp_path_factory.mktemp("linked") / "data"
    copy_without_counts(starter, folder)
    settings = Settings(data_dir=folder)
    engine = open_store(settings)
    sealed(engine, YEAR[:3], 100)
    engine.dispose()
    app = create_app(settings)
    with calling(settings, app=app):
        key = {"bearer": key_for(settings)}
        # What a chance step does is the other tests' part; here links alone lead from one door to the next.
        phases = {"stateful": {"enabled": True, "inference": {"algorithms": []}}}
        config = schemathesis.Config.from_dict(
            {"auth": {"openapi": {"key": key, "hook": key}}, "phases": phases, **CONFIG}
        )
        yield schemathesis.openapi.from_asgi("/openapi.json", app, config=config)


schema = schemathesis.pytest.from_fixture("described")


@schema.parametrize()
@hypothesis_settings(max_examples=60)
def test_every_operation_keeps_its_word(case: schemathesis.Case) -> None:
    case.call_and_validate()


def test_what_links_lead_to_keeps_its_word_too(linked: Any) -> None:
    followed: dict[str, set[int]] = {}

    class Following(linked.as_state_machine()):  # type: ignore[misc]
        def validate_response(self, response: Any, case: schemathesis.Case, **named: Any) -> None:
            followed.setdefault(case.operation.label, set()).add(response.status_code)
            super().validate_response(response, case, **named)

    Following.run(settings=hypothesis_settings(max_examples=15, stateful_step_count=4, deadline=None))
    assert 200 in followed["GET /v1/breakdowns/{table}"]
    assert "POST /cds-services/{service_id}/feedback" in followed


def test_every_link_leads_to_an_operation_and_names_its_parameters(document: dict[str, Any]) -> None:
    operations = {o["operationId"]: o for methods in document["paths"].values() for o in methods.values()}
    links = [
        link
        for operation in operations.values()
        for answer in operation["responses"].values()
        for link in answer.get("links", {}).values()
    ]
    assert len(links) >= 2
    for link in links:
        named = {parameter["name"] for parameter in operations[link["operationId"]]["parameters"]}
        assert link["description"]
        assert set(link["parameters"]) <= named


def test_every_model_has_an_example_and_every_field_is_described_or_plain(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for door in ("EnrichRequest", "EnrichResponse", "BatchRequest", "ProblemDetails", "Alive", "Ready", "Version"):
        assert schemas[door]["examples"], door
    for name, model in schemas.items():
        assert model.get("description"), name
    request = schemas["EnrichRequest"]["properties"] | schemas["Contact"]["properties"]
    for name in set(request) - {"contact", "signals", "ethnic_category"}:
        assert request[name].get("description"), name


def test_every_operation_has_a_summary_and_its_errors(document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], (path, method)
            assert operation["description"], (path, method)
            if method == "post":
                assert {"413", "422", "503"} <= set(operation["responses"]), path
                # A stream whose lines are no JSON is answered, line by line.
                assert ("400" in operation["responses"]) == (path != "/v1/enrich/stream")
                assert operation["requestBody"]["content"]
            for status, answer in operation["responses"].items():
                if status[0] in "45":
                    shape = "application/fhir+json" if path.startswith("/fhir/") else "application/problem+json"
                    assert set(answer["content"]) == {shape}, (path, status)


def test_the_document_says_of_every_operation_who_may_call_it(document: dict[str, Any]) -> None:
    for door in DOORS:
        operation = document["paths"].get(door.path, {}).get(door.method.lower())
        if operation is None:
            assert door.kind in ("page", "open"), door.name
        elif door.scope is None:
            assert operation["security"] == []
        else:
            assert {"key": []} in operation["security"]
            assert ({"hook": []} in operation["security"]) == (door.name in HOOKS)
            assert f"Scope: `{door.scope}`." in operation["description"]
            assert {"401", "403"} <= set(operation["responses"])
    scheme = document["components"]["securitySchemes"]["key"]
    assert all(f"`{scope}`" in scheme["description"] for scope in SCOPES)


def test_the_examples_of_requests_are_answered(client: TestClient, document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for example in schemas["EnrichRequest"]["examples"]:
        assert client.post("/v1/enrich", json=example).status_code == 200
    for hook in ("PatientViewRequest", "AppointmentBookRequest"):
        (service,) = [s for s in client.get("/cds-services").json()["services"] if hook.startswith(NAMES[s["hook"]])]
        for example in schemas[hook]["examples"]:
            assert client.post(f"/cds-services/{service['id']}", json=example).status_code == 200
    for example in schemas["CdsFeedback"]["examples"]:
        assert client.post("/cds-services/access-offers/feedback", json=example).json() == {}
    for example in schemas["BatchRequest"]["examples"]:
        assert client.post("/v1/enrich/batch", json=example).status_code == 200
    streamed = document["paths"]["/v1/enrich/stream"]["post"]
    for kind, described in streamed["requestBody"]["content"].items():
        answer = client.post("/v1/enrich/stream", content=described["example"], headers={"Content-Type": kind})
        shown = streamed["responses"]["200"]["content"][kind].get("example", answer.text)
        assert (answer.status_code, answer.text) == (200, shown)
    plain = bearer(key_for(client.app.state.settings, "enrich"))  # type: ignore[attr-defined]
    answer = client.post("/v1/enrich", json={"postcode": "NG1 1AA"}, headers=plain).json()
    example = schemas["EnrichResponse"]["examples"][0]
    assert answer | {"data": None} == example | {"data": None}


def test_the_examples_of_the_fhir_operation_are_answered_as_documented(
    client: TestClient, document: dict[str, Any]
) -> None:
    operation = document["paths"]["/fhir/R4/$enrich"]["post"]
    answers = []
    for media_type, described in operation["requestBody"]["content"].items():
        for example in described["examples"].values():
            body = json.dumps(example["value"])
            answers.append(client.post("/fhir/R4/$enrich", content=body, headers={"Content-Type": media_type}))
    assert {answer.status_code for answer in answers} == {200}
    shown = operation["responses"]["200"]["content"]["application/fhir+json"]["example"]["parameter"]
    assert answers[0].json()["parameter"][: len(shown)] == shown


def test_every_reference_in_the_document_leads_somewhere(document: dict[str, Any]) -> None:
    def references(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            for key, value in node.items():
                if key == "$ref":
                    yield value
                else:
                    yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    for reference in references(document):
        node: Any = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
