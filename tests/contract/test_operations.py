"""The doors for those who run the service, and what every answer and every line has."""

import json
import os
import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from app import logs
from app.contract.platform import Status
from app.main import create_app
from app.metrics import TABLE
from app.request_log import FIELDS
from app.settings import Settings
from tests.service import bearer, calling, key_for

MARK = "QZ9 9ZZ"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def settings(starter: Path, tmp_path: Path) -> Settings:
    return Settings(data_dir=starter, counts_dir=tmp_path / "counts", audit_file=tmp_path / "audit.jsonl")


@pytest.fixture
def lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """What goes to the error stream."""
    path = tmp_path / "lines.jsonl"
    monkeypatch.setattr(logs, "_stream", os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND))
    yield path
    os.close(logs._stream)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def series(client: TestClient, key: str | None = None) -> dict[str, Counter[str]]:
    """How many series each metric has."""
    answer = client.get("/metrics", headers=bearer(key) if key else None)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found: dict[str, Counter[str]] = {}
    for family in text_string_to_metric_families(answer.text):
        name = family.name + ("_total" if family.type == "counter" else "")
        found[name] = Counter(sample.name for sample in family.samples)
    return found


@pytest.mark.parametrize("path", ["/metrics", "/_status"])
def test_who_runs_the_service_needs_a_key_of_its_own(settings: Settings, path: str) -> None:
    admin = key_for(settings, "admin")
    with calling(settings, "enrich", "area", "inclusion", "breakdowns", "counts:exact") as client:
        assert client.get(path).status_code == 403
        assert client.get(path, headers={"Authorization": ""}).status_code == 401
        assert client.get(path, headers=bearer(admin)).status_code == 200


def test_ping_and_status_have_the_shape_of_nhs_apis(settings: Settings) -> None:
    settings = settings.model_copy(update={"commit": "77afc9a"})
    with calling(settings, "admin") as client:
        ping = client.get("/_ping", headers={"Authorization": ""})
        answer = client.get("/_status")
    assert ping.headers["content-type"] == answer.headers["content-type"] == "application/health+json"
    assert ping.json()["status"] == "pass"
    found = answer.json()
    Status.model_validate(found)
    assert found["status"] == "warn"  # starter data
    assert found["commitId"] == "77afc9a"
    assert found["checks"]["imdlens:index"][0]["status"] == "warn"
    assert {name: check["status"] for name, (check,) in found["checks"].items() if name != "imdlens:index"} == {
        f"imdlens:{part}": "pass" for part in ("keys", "database", "spool", "signposts", "audit")
    }


def test_series_stay_within_what_the_table_declares(settings: Settings) -> None:
    chance = random.Random(20261122)
    admin = key_for(settings, "admin", name="prometheus")
    clients = [bearer(key_for(settings, "enrich", name=f"client-{n}")) for n in range(70)]
    with calling(settings) as client:
        for number in range(10_000):
            client.get(f"/{chance.getrandbits(64):x}")
            if number % 100 == 0:
                client.request(f"M{chance.getrandbits(40)}", "/v1/enrich")
                client.post(f"/cds-services/{chance.getrandbits(40)}/feedback", json={"feedback": []})
        for headers in clients:
            client.post("/v1/enrich", json={"postcode": "NG1 1AA"}, headers=headers)
        for card in ("accepted", "overridden"):
            for service in ("access-offers", "deprivation-context"):
                sent = {"feedback": [{"card": MARK, "outcome": card, "userComment": MARK}]}
                assert client.post(f"/cds-services/{service}/feedback", json=sent).status_code == 200
        found = series(client, admin)
        text = client.get("/metrics", headers=bearer(admin)).text
    bounds = {measure.name: measure.bound for measure in TABLE}
    assert set(found) <= set(bounds)
    # Contacts came not at all, and the other names of the table have series whatever is asked.
    assert set(bounds) - set(found) == set()
    for name, counted in found.items():
        assert sum(counted.values()) <= bounds[name], name
    assert sum(found["imdlens_client_requests_total"].values()) == 65
    declared = {label.name: set(label.values) for measure in TABLE for label in measure.labels if label.values}
    for name, value in re.findall(r'([a-z]+)="([^"]*)"', text):
        if name in declared and name != "outcome":
            assert value in declared[name], (name, value)
    assert MARK not in text


def test_each_request_has_a_line_that_holds_what_is_listed_and_no_more(settings: Settings, lines: Path) -> None:
    headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "tracestate": MARK, "baggage": MARK}
    with calling(settings, name="epr", raise_server_exceptions=False) as client:
        client.post("/v1/enrich", json={"postcode": "NG1 1AA"}, headers=headers)
        client.post("/v1/enrich/batch", json={"records": [{"postcode": MARK}] * 3}, headers={"X-Request-ID": "x" * 9})
        client.get(f"/v1/{MARK}?postcode={MARK}", headers={"traceparent": MARK})
        client.get("/v1/breakdowns", headers={"Authorization": f"Bearer imdl_{MARK}"})
        client.head("/version")
        client.get("/livez")
        made = client.post("/card", json={"postcode": "NG1 1AA"}).json()["url"]
        client.get(f"/{made}")
        assert client.get("/readyz").json()["audit"] == "on"
    found = read(lines)
    assert all(list(line) == list(FIELDS) for line in found)
    shown = [(line["door"], line["method"], line["status"], line["records"], line["client"]) for line in found]
    assert shown == [
        ("enrich", "POST", 200, 1, "epr"),
        ("batch", "POST", 200, 3, "epr"),
        ("none", "GET", 404, 0, None),
        ("tables", "GET", 401, 0, None),
        ("version", "HEAD", 200, 0, None),
        ("card_make", "POST", 201, 1, "epr"),
        ("card", "GET", 200, 1, None),
    ]
    assert [line["trace_id"] for line in found[:3]] == [TRACE, None, None]
    assert found[1]["request_id"] == "of the caller's own"
    assert [line["scope"] for line in found] == ["enrich", "enrich", None, "breakdowns", None, "enrich", None]
    kept = read(settings.audit_file or Path())
    assert kept == [line for line in found if line["door"] not in ("none", "version")]
    written = lines.read_text() + (settings.audit_file or Path()).read_text()
    for value in (MARK, "NG1", made.removeprefix("card/"), "imdl_", "/v1"):
        assert value not in written


def test_a_crash_is_told_by_type_and_place_alone(
    settings: Settings, lines: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Panic(BaseException):
        """As Rust's are in Python: no Exception."""

    for kind in (ValueError, Panic):
        monkeypatch.setattr("app.routers.enrich.enrich", lambda *_, kind=kind: (_ for _ in ()).throw(kind(MARK)))
        with calling(settings, raise_server_exceptions=False) as client:
            answer = client.post("/v1/enrich", json={"postcode": MARK})
        assert answer.status_code == 500
        assert MARK not in answer.text
        assert [r.getMessage() for r in caplog.records if "unhandled" in r.getMessage()][-1].startswith(
            f"unhandled {kind.__name__} at routers/enrich.py:"
        )
    assert {(line["status"], line["level"]) for line in read(lines)} == {(500, "error")}
    assert MARK not in caplog.text + lines.read_text() + (settings.audit_file or Path()).read_text()


def test_an_audit_file_that_cannot_be_written_fails_no_answer(settings: Settings, tmp_path: Path) -> None:
    settings = settings.model_copy(update={"audit_file": tmp_path / "away" / "audit"})
    with calling(settings) as client:
        assert client.post("/v1/enrich", json={"postcode": "NG1 1AA"}).status_code == 200
        assert client.get("/readyz").json()["audit"] == "failing"
        assert client.get("/_status").json()["checks"]["imdlens:audit"][0]["status"] == "warn"
        assert "imdlens_audit_failing 1.0" in client.get("/metrics").text


ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}


@pytest.mark.parametrize(
    ("path", "status"), [("/livez", 200), ("/version", 200), ("/nothing", 404), ("/metrics", 200), ("/fhir/x", 404)]
)
def test_every_answer_has_the_headers_that_browsers_heed(client: TestClient, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert ALWAYS.items() <= answer.headers.items()
    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["cache-control"] == "no-store"
    assert "strict-transport-security" not in answer.headers
    assert "permissions-policy" not in answer.headers


def test_pages_have_policies_of_their_own_and_style_sheets_may_be_used_in_frames(client: TestClient) -> None:
    docs, page = client.get("/docs"), client.get("/")
    assert "script-src 'self' 'sha256-" in docs.headers["content-security-policy"]
    assert docs.headers.get_list("content-security-policy")[1:] == []
    assert "style-src 'self'" in page.headers["content-security-policy"]
    assert docs.headers["permissions-policy"] == page.headers["permissions-policy"]
    (sheet,) = re.findall(r'href="(static/[^"]+\.css)"', page.text)[:1]
    style = client.get(f"/{sheet}")
    assert style.status_code == 200
    assert "cross-origin-resource-policy" not in style.headers
    assert style.headers["cache-control"] == "public, max-age=86400"


def test_over_https_a_browser_is_told_to_stay_there(starter: Path) -> None:
    with TestClient(create_app(Settings(data_dir=starter)), base_url="https://testserver") as client:
        assert client.get("/livez").headers["strict-transport-security"] == "max-age=31536000"
