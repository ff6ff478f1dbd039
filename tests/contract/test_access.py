"""Each door opens to the scopes that the table names, and to nothing and nobody else."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastapi.testclient import TestClient
from starlette.routing import Mount, Route

from app.access import key_store
from app.access.caller import SCOPES
from app.counting import key_hasher, open_store
from app.doors import DOORS, Door, Doors
from app.main import create_app
from app.page_doors import destination
from app.settings import Settings
from tests.databases import eventually
from tests.service import EVERY, bearer, calling, key_for

HOLES = {
    "{table}": "specialty_core20",
    "{sealed}": "x" * 720,
    "{service_id}": "access-offers",
    "{name}": "caution",
    "{unit}": "340",
    "{chart}": "deciles",
    "{path:path}": "nhsuk.css",
}
BODIES: dict[str, Any] = {
    "enrich": {"postcode": "NG1 1AA"},
    "batch": {"records": [{"postcode": "NG1 1AA"}]},
    "card_make": {"postcode": "NG1 1AA"},
    "fhir_enrich": {"resourceType": "Patient", "address": [{"use": "home", "postalCode": "NG1 1AA"}]},
}
GUARDED = [door for door in DOORS if door.scope is not None]
OPEN = [door for door in DOORS if door.scope is None]


def path_of(door: Door) -> str:
    path = door.path
    for hole, value in HOLES.items():
        path = path.replace(hole, value)
    assert "{" not in path, path
    return path


def send(client: TestClient, door: Door, **options: Any) -> Any:
    body = {"json": BODIES.get(door.name, {})} if door.method == "POST" else {}
    return client.request(door.method, path_of(door), follow_redirects=False, **{**body, **options})


@pytest.fixture(scope="module")
def settings(starter: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = Settings(data_dir=starter, counts_dir=tmp_path_factory.mktemp("counts"))
    for scope in SCOPES:
        key_for(settings, scope)
        key_for(settings, *(other for other in SCOPES if other != scope))
    return settings


@pytest.fixture(scope="module")
def service(settings: Settings) -> Iterator[TestClient]:
    """The service, its client without a key."""
    with calling(settings, raise_server_exceptions=False) as client:
        del client.headers["Authorization"]
        yield client


def test_the_table_of_doors_is_every_route_there_is_and_no_other(starter: Path) -> None:
    def walk(routes: Any) -> Iterator[tuple[str, str]]:
        for route in routes:
            if isinstance(route, Mount):
                yield ("GET", "/static/{path:path}")
            elif isinstance(route, Route):
                for method in sorted((route.methods or set()) - {"HEAD"}):
                    yield (method, route.path)
            else:
                yield from walk(route.original_router.routes)

    app = create_app(Settings(data_dir=starter))
    found = set(walk(app.routes)) | {
        (method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods
    }
    assert {(door.method, door.path) for door in DOORS} == found


def test_no_two_doors_have_one_name_and_no_scope_is_unknown() -> None:
    assert len({door.name for door in DOORS}) == len(DOORS)
    assert {door.scope for door in GUARDED} <= SCOPES.keys()


def test_what_is_open_holds_nothing_of_patients_or_counts() -> None:
    """Whoever adds a door here has to change this list, and to think."""
    assert {door.name for door in OPEN} == {
        "card",
        "cds_discovery",
        "fhir_metadata",
        "fhir_operation",
        "fhir_codes",
        "livez",
        "ping",
        "readyz",
        "version",
        "openapi",
        "docs",
        "static",
        "sign_in_page",
        "sign_in",
        "sign_out",
    }


@pytest.mark.parametrize("door", GUARDED, ids=lambda door: door.name)
def test_a_door_opens_to_its_scope_alone(service: TestClient, settings: Settings, door: Door) -> None:
    others = [scope for scope in SCOPES if scope != door.scope]
    assert send(service, door, headers=bearer(key_for(settings, str(door.scope)))).status_code not in (401, 403)
    for key in (key_for(settings, *others), *(key_for(settings, other) for other in others)):
        refused = send(service, door, headers=bearer(key))
        assert refused.status_code == 403
        assert "scope" not in refused.text


@pytest.mark.parametrize("door", GUARDED, ids=lambda door: door.name)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer imdl_"},
        {"Authorization": "Bearer imdl_" + "A" * 43},
        {"Authorization": "Basic {key}"},
        {"Authorization": "Basic OntrZXl9"},
        {"Authorization": "{key}"},
        {"Authorization": "Bearer,{key}"},
        {"Authorization": "Bearer {key} {key}"},
        {"Authorization": "Bearer {key}, Bearer {key}"},
        {"Authorization": 'Bearer "{key}"'},
        {"Authorization": "Bearer {key}\u00e9"},
        {"Proxy-Authorization": "Bearer {key}"},
        {"X-API-Key": "{key}"},
        {"Cookie": "imdlens={key}; Authorization=Bearer {key}"},
        {"X-Forwarded-For": "127.0.0.1", "X-Remote-User": "admin"},
    ],
)
def test_nobody_passes_without_a_key_in_its_place(
    service: TestClient, settings: Settings, door: Door, headers: dict[str, str]
) -> None:
    sent = [(n.encode(), v.replace("{key}", key_for(settings)).encode("latin-1")) for n, v in headers.items()]
    refused = send(service, door, headers=sent)
    if refused.status_code == 303:  # a browser at a page is told where to sign in, and nothing else
        above = "../" * (path_of(door).count("/") - 1)
        assert (door.kind, door.method, refused.text) == ("page", "GET", "")
        assert refused.headers["location"] == f"{above}sign-in?to={destination(door.name)}"
        return
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("door", GUARDED, ids=lambda door: door.name)
def test_a_key_in_an_address_is_refused_even_beside_a_good_one(
    service: TestClient, settings: Settings, door: Door
) -> None:
    key = key_for(settings)
    for name in ("key", "access_token", "api_key", key):
        for value in (key, key.replace("_", "%5f", 1), "%69mdl_" + key[5:]):
            refused = service.request(door.method, f"{path_of(door)}?{name}={value}", headers=bearer(key))
            assert refused.status_code == 401, name
            assert key not in refused.text


def test_two_proofs_in_one_request_are_none(service: TestClient, settings: Settings) -> None:
    """Another reader before this one may have believed the other."""
    key = f"Bearer {key_for(settings)}".encode()
    for two in ([key, key], [key, b"Bearer x"], [b"Bearer x", key], [b"", key]):
        headers = [(b"Authorization", value) for value in two]
        assert service.post("/v1/enrich", json=BODIES["enrich"], headers=headers).status_code == 401


def test_the_scheme_is_read_in_any_case_and_a_key_is_not(service: TestClient, settings: Settings) -> None:
    key = key_for(settings)
    for scheme in ("bearer", "BEARER", "Bearer  "):
        answer = service.post("/v1/enrich", json=BODIES["enrich"], headers={"Authorization": f"{scheme} {key}"})
        assert answer.status_code == 200
    answer = service.post("/v1/enrich", json=BODIES["enrich"], headers=bearer(key.swapcase()))
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/v1/enrich%0a",
        "/v1/enrich%00",
        "/v1/enrich;x=1",
        "//v1/enrich",
        "/v1//enrich",
        "/v1/./enrich",
        "/V1/enrich",
        "/v1/enrich/",
        "/x/../v1/enrich",
        "/v1/enrich%2fbatch",
        "/static/../v1/enrich",
    ],
)
def test_no_other_spelling_of_a_path_leads_past_the_guard(service: TestClient, path: str) -> None:
    answer = service.post(path, json=BODIES["enrich"])
    assert answer.status_code in (401, 404, 405)
    assert "imd_decile" not in answer.text


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "post", "GET "])
def test_no_other_method_leads_past_the_guard(service: TestClient, method: str) -> None:
    try:
        answer = service.request(method, "/v1/enrich", json=BODIES["enrich"])
    except Exception:
        return
    assert answer.status_code in (401, 405)


def test_a_refusal_says_nothing_more_than_that(service: TestClient, settings: Settings) -> None:
    engine = open_store(settings)
    revoked = key_store.create(engine, key_hasher(settings), "gone", ("enrich",))
    key_store.revoke(engine, "gone")
    engine.dispose()
    refused = [
        service.post("/v1/enrich", json=BODIES["enrich"], headers=headers)
        for headers in ({}, bearer("imdl_" + "A" * 43), bearer(revoked), bearer("a.b.c"))
    ]
    assert {answer.status_code for answer in refused} == {401}
    assert len({answer.text for answer in refused}) == 1
    assert len({tuple(sorted(set(answer.headers) - {"x-request-id"})) for answer in refused}) == 1


def test_a_body_is_not_read_before_its_sender_is_known(service: TestClient) -> None:
    async def receive() -> dict[str, Any]:
        raise AssertionError("read")

    sent: list[Any] = []

    async def send_it(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/enrich/batch",
        "query_string": b"",
        "headers": [(b"content-length", b"8000000")],
        "http_version": "1.1",
        "scheme": "http",
        "root_path": "",
    }
    anyio.run(service.app, scope, receive, send_it)
    assert sent[0]["status"] == 401


def test_area_codes_are_for_their_scope_and_nothing_is_counted_without_it(
    service: TestClient, settings: Settings
) -> None:
    record = {"postcode": "NG1 1AA", "include": ["area"], "contact": {"specialty": "340"}}
    plain = bearer(key_for(settings, "enrich"))
    other = [record, {"postcode": "NG1 1AA", "contact": {"specialty": "340"}}]
    refused = service.post("/v1/enrich", json=record, headers=plain)
    assert refused.status_code == 403
    first, second = service.post("/v1/enrich/batch", json={"records": other}, headers=plain).json()["results"]
    assert first["error"]["status"] == 403
    assert (second["imd_decile"], second["counted"], second["area"]) == (3, True, None)
    asked = {
        "resourceType": "Parameters",
        "parameter": [{"name": "postcode", "valueString": "NG1 1AA"}, {"name": "include", "valueCode": "area"}],
    }
    assert service.post("/fhir/R4/$enrich", json=asked, headers=plain).status_code == 403
    full = service.post("/v1/enrich", json=record, headers=bearer(key_for(settings)))
    assert full.json()["area"]["lsoa21"]


def test_a_client_is_counted_under_its_name(settings: Settings) -> None:
    with calling(settings, *EVERY, name="integration-engine") as client:
        answer = client.post("/v1/enrich", json={"postcode": "NG1 1AA", "contact": {"specialty": "340"}})
        assert answer.json()["counted"] is True

        def names() -> set[str]:
            engine = open_store(settings)
            with engine.connect() as connection:
                found = {row[0] for row in connection.exec_driver_sql("SELECT client FROM completeness")}
            engine.dispose()
            return found

        eventually(lambda: "integration-engine" in names())


def test_a_key_revoked_while_a_batch_comes_gets_no_answer(settings: Settings) -> None:
    engine = open_store(settings)
    key = key_store.create(engine, key_hasher(settings), "slow", ("enrich",))
    with calling(settings) as client:
        ring = client.app.state.access.ring  # type: ignore[attr-defined]

        def body() -> Iterator[bytes]:
            yield b'{"records": ['
            key_store.revoke(engine, "slow")
            hashed = key_hasher(settings).newest(key.encode())
            eventually(lambda: hashed not in ring._keys)
            yield b'{"postcode": "NG1 1AA"}]}'

        headers = {**bearer(key), "Content-Type": "application/json"}
        assert client.post("/v1/enrich/batch", content=body(), headers=headers).status_code == 401
    engine.dispose()


def test_paths_with_holes_match_whole_segments_and_nothing_more() -> None:
    doors = Doors(DOORS)
    assert doors.at("/card/abc")["GET"].name == "card"
    for path in ("/card/", "/card/a/b", "/card", "/cardx", "/card/a\n/b"):
        assert doors.at(path).get("GET") is None or doors.at(path)["GET"].name != "card"
    assert doors.at("/v1/breakdowns")["GET"].name == "tables"
    assert doors.at("/v1/breakdowns/x")["GET"].name == "table"
    assert doors.at("/fhir/R4/$enrich")["POST"].name == "fhir_enrich"
    assert doors.at("/fhir/R4/xenrich") == {}
