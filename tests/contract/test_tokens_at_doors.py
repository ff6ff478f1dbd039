"""Tokens open the doors that they should, once where they should, and no others."""

import json
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError

from app.access import spent as spent_module
from app.access.spent import SpentAwayError, SpentTokens
from app.access.tokens import HookToken
from app.doors import DOORS, HOOKS
from app.settings import Settings
from tests.contract.test_access import GUARDED, send
from tests.contract.test_cds_hooks import CONTEXT, OFFERS, request
from tests.databases import eventually, opened
from tests.service import bearer, calling, key_for
from tests.unit.access import signers
from tests.unit.access.signers import BASE, ENGINE_KEY, EPR_KEY, IDP_KEYS, Signer, b64

JKU = signers.JKU


def fresh(claims: dict[str, Any], **more: Any) -> dict[str, Any]:
    now = time.time()
    return claims | {"iat": now - 1, "exp": now + 200} | more


def hook(path: str = CONTEXT, jti: str | None = None, signer: Signer = EPR_KEY, **more: Any) -> str:
    unique = jti or f"{time.time_ns()}"
    return signer.token(fresh(signers.hook_claims(), aud=BASE + path, jti=unique, **more), jku=JKU)


def access(scope: str = "imdlens/enrich", **more: Any) -> str:
    return IDP_KEYS["RS256"].token(fresh(signers.access_claims(), scope=scope, **more))


@pytest.fixture(scope="module")
def settings(starter: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    path = signers.write_file(tmp_path_factory.mktemp("access"))
    return Settings(data_dir=starter, counts_dir=tmp_path_factory.mktemp("counts"), access_file=path)


@pytest.fixture(scope="module")
def service(settings: Settings) -> Iterator[TestClient]:
    with calling(settings, raise_server_exceptions=False) as client:
        del client.headers["Authorization"]
        yield client


def test_an_access_token_opens_what_its_scopes_open_again_and_again(service: TestClient) -> None:
    token = bearer(access())
    for _ in range(3):
        assert service.post("/v1/enrich", json={"postcode": "NG1 1AA"}, headers=token).json()["imd_decile"] == 3
    assert service.get("/v1/breakdowns", headers=token).status_code == 403
    area = {"postcode": "NG1 1AA", "include": ["area"]}
    assert service.post("/v1/enrich", json=area, headers=token).status_code == 403
    assert (
        service.post("/v1/enrich", json=area, headers=bearer(access("imdlens/enrich imdlens/area"))).status_code == 200
    )


def test_a_client_that_signs_for_itself_gets_the_scopes_it_was_registered_with(service: TestClient) -> None:
    token = ENGINE_KEY.token(fresh(signers.client_claims(), scope="admin counts:exact breakdowns"))
    area = {"postcode": "NG1 1AA", "include": ["area"]}
    assert service.post("/v1/enrich", json=area, headers=bearer(token)).status_code == 200
    for path in ("/v1/breakdowns", "/v1/counts?month=2024-04&by=sex"):
        assert service.get(path, headers=bearer(token)).status_code == 403


def test_a_word_of_the_provider_that_nobody_listed_opens_nothing(service: TestClient) -> None:
    for word in ("enrich", "admin", "*", "imdlens/*", "IMDLENS/ENRICH", "imdlens/enrich,admin", ""):
        answer = service.post("/v1/enrich", json={"postcode": "NG1 1AA"}, headers=bearer(access(word)))
        assert answer.status_code == 403, word


@pytest.mark.parametrize("path", [CONTEXT, OFFERS])
def test_an_epr_calls_with_a_token_for_the_one_call(service: TestClient, path: str) -> None:
    token = bearer(hook(path))
    assert service.post(path, json=request(path, "ZZ99 3WZ"), headers=token).status_code == 200
    again = service.post(path, json=request(path, "ZZ99 3WZ"), headers=token)
    assert (again.status_code, again.headers["www-authenticate"]) == (401, "Bearer")


def test_feedback_has_an_address_and_a_token_of_its_own(service: TestClient) -> None:
    feedback = {"feedback": [{"card": "x", "outcome": "accepted"}]}
    assert service.post(f"{OFFERS}/feedback", json=feedback, headers=bearer(hook(OFFERS))).status_code == 401
    token = bearer(hook(f"{OFFERS}/feedback"))
    assert service.post(f"{OFFERS}/feedback", json=feedback, headers=token).status_code == 200


def test_of_twenty_that_send_one_token_at_once_one_is_answered(service: TestClient) -> None:
    token, body = bearer(hook()), request(CONTEXT, "NG1 1AA")
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: service.post(CONTEXT, json=body, headers=token).status_code, range(20)))
    assert sorted(answers) == [200] + [401] * 19


def test_a_token_used_on_one_host_is_used_on_all(settings: Settings, service: TestClient) -> None:
    token, body = bearer(hook()), request(CONTEXT, "NG1 1AA")
    assert service.post(CONTEXT, json=body, headers=token).status_code == 200
    with calling(settings) as other:
        assert other.post(CONTEXT, json=body, headers=token).status_code == 401


@pytest.mark.parametrize("door", [d for d in GUARDED if d.name not in HOOKS], ids=lambda door: door.name)
def test_a_token_of_an_epr_opens_no_other_door(service: TestClient, door: Any) -> None:
    assert send(service, door, headers=bearer(hook(door.path))).status_code == 401


def test_access_tokens_and_keys_open_the_hooks_too(service: TestClient, settings: Settings) -> None:
    for proof in (access(), key_for(settings)):
        assert service.post(CONTEXT, json=request(CONTEXT, "NG1 1AA"), headers=bearer(proof)).status_code == 200


def none(claims: dict[str, Any], algorithm: str = "none") -> str:
    head = b64(json.dumps({"alg": algorithm, "typ": "JWT", "kid": "epr"}).encode())
    return f"{head}.{b64(json.dumps(claims).encode())}."


@pytest.mark.parametrize("at", [CONTEXT, "/v1/enrich"])
def test_forged_tokens_open_nothing_and_all_are_told_the_same(service: TestClient, at: str) -> None:
    """The attacks one by one are in tests/unit/access; here, that the doors refuse what the reader refuses."""
    good = fresh(signers.hook_claims(), aud=BASE + at, jti="once") if at == CONTEXT else fresh(signers.access_claims())
    key = EPR_KEY if at == CONTEXT else IDP_KEYS["RS256"]
    jku: dict[str, Any] = {"jku": JKU} if at == CONTEXT else {}
    stranger = signers.signer(key.algorithm, key.kid, 7)
    whole = key.token(good, **jku)
    forged = [
        none(good),
        none(good, "None"),
        stranger.token(good, **jku),
        key.token(good | {"exp": time.time() - 1}, **jku),
        key.token(good | {"nbf": time.time() + 900}, **jku),
        key.token(good | {"aud": BASE}, **jku) if at == CONTEXT else key.token(good | {"aud": "other"}),
        key.token(good, **{**jku, "kid": "elsewhere"}),
        key.token(good | {"iss": "https://evil.example"}, **jku),
        whole[:-4],
        whole + "A",
        whole.replace(".", "..", 1),
    ]
    if at == CONTEXT:
        forged.append(key.token(good, jku="https://evil.example/jwks.json"))
    body = request(CONTEXT, "NG1 1AA") if at == CONTEXT else {"postcode": "NG1 1AA"}
    answers = [service.post(at, json=body, headers=bearer(token)) for token in forged]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    assert service.post(at, json=body, headers=bearer(whole)).status_code == 200


def test_a_token_does_not_spend_another_by_being_refused(service: TestClient) -> None:
    """Or whoever can guess an id could shut an EPR out."""
    stranger = signers.signer("ES384", "epr", 9)
    body = request(CONTEXT, "NG1 1AA")
    assert service.post(CONTEXT, json=body, headers=bearer(hook(jti="fixed", signer=stranger))).status_code == 401
    assert service.post(CONTEXT, json=body, headers=bearer(hook(jti="fixed"))).status_code == 200


def test_neither_token_nor_id_is_kept(service: TestClient, settings: Settings) -> None:
    token = hook(jti="an-id-that-can-be-searched-for")
    assert service.post(CONTEXT, json=request(CONTEXT, "NG1 1AA"), headers=bearer(token)).status_code == 200
    for file in settings.counts_folder.rglob("*"):
        if file.is_file():
            # In a process of its own: one that closes a file of SQLite's gives up the locks it holds on it.
            content = subprocess.run(["cat", file], capture_output=True, check=True).stdout
            assert b"an-id-that-can" not in content
            assert token[-40:].encode() not in content


def test_while_the_database_is_away_no_hook_is_answered_that_might_be_a_replay(
    starter: Path, tmp_path: Path, settings: Settings
) -> None:
    alone = Settings(data_dir=starter, counts_dir=tmp_path, access_file=settings.access_file)
    with calling(alone, raise_server_exceptions=False) as client:
        with sqlite3.connect(tmp_path / "counts.sqlite") as store:
            store.execute("DROP TABLE spent_token")
        answer = client.post(CONTEXT, json=request(CONTEXT, "NG1 1AA"), headers=bearer(hook()))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


def test_spent_tokens_are_forgotten_when_they_have_expired(store_url: str) -> None:
    with opened(store_url) as engine:
        spent = SpentTokens(lambda: engine)
        assert spent.spend(token("old", time.time() - 4_000))
        assert not spent.spend(token("old", time.time() - 4_000))
        spent._cleared -= 10_000
        assert spent.spend(token("new", time.time() + 60))
        assert spent.spend(token("old", time.time() - 4_000))
        assert not spent.spend(token("new", time.time() + 60))
        with pytest.raises(SpentAwayError):
            SpentTokens(_away).spend(token("x", 0))


def test_what_cannot_be_forgotten_now_costs_no_token(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(*_: Any) -> Any:
        raise OperationalError("", None, Exception())

    with opened(store_url) as engine:
        spent = SpentTokens(lambda: engine)
        spent._cleared -= 10_000
        monkeypatch.setattr(spent_module, "delete", locked)
        assert spent.spend(token("once", time.time() + 60))
        assert not spent.spend(token("once", time.time() + 60))


def token(jti: str, expires: float) -> HookToken:
    from app.access.caller import Caller

    return HookToken(Caller("epr", frozenset({"enrich"}), "hook", expires), jti, expires)


def _away() -> Any:
    raise OSError


def test_every_door_of_hooks_is_one() -> None:
    assert {d.name for d in DOORS if d.path.startswith("/cds-services/")} == HOOKS


def test_the_line_of_a_refused_request_says_why_and_the_caller_is_not_told(
    starter: Path, tmp_path: Path, settings: Settings
) -> None:
    audit = tmp_path / "audit"
    audited = Settings(
        data_dir=starter, counts_dir=tmp_path / "counts", access_file=settings.access_file, audit_file=audit
    )
    body, once = {"postcode": "NG1 1AA"}, hook()
    late = IDP_KEYS["RS256"].token(fresh(signers.access_claims(), exp=time.time() - 1))
    with calling(audited) as client:
        key = client.headers.pop("Authorization").removeprefix("Bearer ")
        assert client.post(CONTEXT, json=request(CONTEXT, "NG1 1AA"), headers=bearer(once)).status_code == 200
        answers = [
            client.post("/v1/enrich", json=body),
            client.post("/v1/enrich", json=body, headers=bearer("imdl_" + "A" * 43)),
            client.post(f"/v1/enrich?key={key}", json=body),
            client.post("/v1/enrich", json=body, headers=bearer(late)),
            client.post(CONTEXT, json=request(CONTEXT, "NG1 1AA"), headers=bearer(once)),
        ]
    words = [json.loads(line)["refused"] for line in audit.read_text().splitlines()]
    assert words == [None, "credential", "key", "address", "token_expired", "token_spent"]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1


def test_an_access_file_that_was_broken_keeps_its_word_and_the_status_says_so(starter: Path, tmp_path: Path) -> None:
    path = signers.write_file(tmp_path)
    settings = Settings(data_dir=starter, counts_dir=tmp_path / "counts", access_file=path)
    with calling(settings) as client:

        def status() -> str:
            (check,) = client.get("/_status").json()["checks"]["imdlens:tokens"]
            return str(check["status"])

        assert status() == "pass"
        path.write_text("[[issuer]]")
        eventually(lambda: status() == "warn")
        assert client.post("/v1/enrich", json={"postcode": "NG1 1AA"}, headers=bearer(access())).status_code == 200
