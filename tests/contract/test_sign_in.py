"""How browsers get in, over HTTP: what opens a page opens nothing else, and nothing gets in by itself."""

import base64
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import SecretStr

from app.access import key_store
from app.access.access import Proof
from app.access.sessions import LIFE_SECONDS
from app.counting import engine_of, key_hasher, open_store
from app.doors import DOORS
from app.exchange import exchange_of
from app.main import create_app
from app.page_doors import DESTINATIONS
from app.routers import forms
from app.settings import Settings
from tests.integration.running import serving
from tests.service import bearer, key_for

HTTPS, LOCAL = "https://lens.example.nhs.uk", "http://127.0.0.1:8080"
OWN = {"Sec-Fetch-Site": "same-origin"}
TOKEN = re.compile(r'name="form_token" value="([0-9a-f]{64})"')
FORM = "application/x-www-form-urlencoded"


@contextmanager
def browser(settings: Settings, address: str = HTTPS, peer: str = "203.0.113.9") -> Iterator[TestClient]:
    """A browser that follows nothing by itself."""
    app = create_app(settings)
    with TestClient(app, base_url=address, follow_redirects=False, client=(peer, 50_000)) as client:
        yield client


@pytest.fixture(scope="module")
def settings(starter: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(data_dir=starter, counts_dir=tmp_path_factory.mktemp("counts"))


@pytest.fixture(scope="module")
def running(settings: Settings) -> Iterator[TestClient]:
    key_for(settings)
    with browser(settings) as client:
        yield client


@pytest.fixture
def client(running: TestClient) -> TestClient:
    """A browser without a session."""
    running.cookies.clear()
    return running


def key_of(client: TestClient, *scopes: str, name: str = "clinic") -> str:
    """A key that this service knows at once."""
    key = key_for(client.app.state.settings, *scopes, name=name)  # type: ignore[attr-defined]
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if isinstance(client.app.state.access.bearer(key.encode()), Proof):  # type: ignore[attr-defined]
            return key
        time.sleep(0.02)
    raise AssertionError("the key did not arrive")


def show_key(client: TestClient, key: str, headers: dict[str, str] | None = None, **more: str) -> Response:
    return client.post("/sign-in", data={"key": key, **more}, headers=OWN if headers is None else headers)


def sign_in(client: TestClient, *scopes: str) -> str:
    """A session, and the token that its forms hold."""
    assert show_key(client, key_of(client, *(scopes or ("enrich",)))).status_code == 303
    found = TOKEN.search(client.get("/").text)
    return found[1] if found else ""


def is_page(answer: Response, status: int, heading: str = "") -> bool:
    """Whether this is a page of that status, safe in every header, with that heading."""
    assert answer.headers["content-type"] == "text/html; charset=utf-8", answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert "Cookie" in answer.headers["vary"]
    assert "form-action 'self'" in answer.headers["content-security-policy"]
    assert heading in answer.text
    return answer.status_code == status


# ---------------------------------------------------------------------------------------------- sign-in


def test_a_key_opens_pages_by_a_cookie_that_no_script_and_no_other_site_can_use(client: TestClient) -> None:
    answer = show_key(client, key_of(client, "enrich"))
    assert (answer.status_code, answer.headers["location"]) == (303, "./")
    cookie = answer.headers["set-cookie"]
    assert re.fullmatch(r"__Host-imdlens=[\w-]{60,}; Path=/; Secure; HttpOnly; SameSite=Strict", cookie)
    page = client.get("/")
    assert is_page(page, 200, "See the card for a postcode")
    assert "Signed in as clinic" in page.text
    made = client.post("/card", data={"postcode": "NG1 1AA", "form_token": TOKEN.search(page.text)[1]})  # type: ignore[index]
    assert made.status_code == 303
    card = client.get(f"/{made.headers['location']}")
    assert "more deprived than about 7 in 10" in card.text
    assert "Signed in" not in card.text


def test_within_this_machine_a_plain_cookie_is_enough_to_try(settings: Settings) -> None:
    with browser(settings, LOCAL) as client:
        cookie = show_key(client, key_of(client, "enrich")).headers["set-cookie"]
        assert re.fullmatch(r"imdlens=[\w-]{60,}; Path=/; HttpOnly; SameSite=Strict", cookie)
        assert client.get("/").status_code == 200


def test_in_the_clear_no_key_is_asked_for_and_none_is_taken(settings: Settings) -> None:
    with browser(settings, "http://lens.example.nhs.uk") as client:
        key = key_of(client, "enrich")
        page = client.get("/sign-in")
        assert is_page(page, 403, "You need a secure connection to sign in")
        assert "<form" not in page.text
        answer = show_key(client, key)
        assert is_page(answer, 403, "You need a secure connection")
        assert "set-cookie" not in answer.headers
        assert "set-cookie" not in show_key(client, key, OWN | {"X-Forwarded-Proto": "https"}).headers


@pytest.mark.parametrize("change", ["another", "cut", "long", "empty", "odd", "twice", "hash"])
def test_a_wrong_key_meets_the_same_page_again_and_is_not_repeated(client: TestClient, change: str) -> None:
    key = key_of(client, "enrich")
    wrong = {
        "another": key[:-1] + ("A" if key[-1] != "A" else "B"),
        "cut": key[:-1],
        "long": key * 3,
        "empty": "  ",
        "odd": "\udcff<script>".encode("utf-8", "surrogatepass"),
        "twice": [key, key],
        "hash": key_hasher(client.app.state.settings).newest(key.encode()),  # type: ignore[attr-defined]
    }[change]
    answer = client.post("/sign-in", data={"key": wrong, "to": "ask"}, headers=OWN)
    assert is_page(answer, 401, "Sign in")
    assert "There is a problem" in answer.text
    assert "set-cookie" not in answer.headers
    assert "imdl_" not in answer.text.replace("starts with imdl_.", "")
    assert "<script" not in answer.text
    assert 'type="password"' in answer.text
    assert "value=" not in answer.text.replace('value="ask"', "")


def test_a_revoked_and_an_expired_key_are_wrong_and_end_their_sessions(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_store(settings)
    revoked = key_store.create(engine, key_hasher(settings), "to-be-revoked", ["enrich"])
    short = key_store.create(engine, key_hasher(settings), "short", ["enrich"], days=1)
    with browser(settings) as client:
        show_key(client, revoked)
        assert client.get("/").status_code == 200
        token = TOKEN.search(client.get("/").text)[1]  # type: ignore[index]
        key_store.revoke(engine, "to-be-revoked")
        began = time.monotonic()
        while client.get("/").status_code == 200:
            assert time.monotonic() - began < 1
        assert client.get("/").headers["location"] == "sign-in?to=ask"
        assert client.post("/card", data={"postcode": "NG1 1AA", "form_token": token}).status_code == 401
        assert show_key(client, revoked).status_code == 401
        # A key that expires sooner than a session would.
        now = time.time()
        monkeypatch.setattr("app.access.browsers.time.time", lambda: now + 86_400 - 60)
        assert show_key(client, short).status_code == 303
        assert client.get("/").status_code == 200
        monkeypatch.setattr("app.access.browsers.time.time", lambda: now + 86_400 + 1)
        assert client.get("/").status_code == 303
        assert show_key(client, short).status_code == 401
    engine.dispose()


def test_a_session_is_over_after_eight_hours(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(client)
    now = time.time()
    monkeypatch.setattr("app.access.browsers.time.time", lambda: now + LIFE_SECONDS - 60)
    assert client.get("/").status_code == 200
    monkeypatch.setattr("app.access.browsers.time.time", lambda: now + LIFE_SECONDS + 1)
    assert client.get("/").headers["location"] == "sign-in?to=ask"


def test_each_sign_in_begins_another_session_whatever_was_there_before(client: TestClient) -> None:
    key = key_of(client, "enrich")
    first = show_key(client, key).headers["set-cookie"]
    before = TOKEN.search(client.get("/").text)[1]  # type: ignore[index]
    second = show_key(client, key).headers["set-cookie"]
    assert first != second
    after = TOKEN.search(client.get("/").text)[1]  # type: ignore[index]
    assert before != after
    assert is_page(client.post("/card", data={"postcode": "NG1 1AA", "form_token": before}), 403, "could not be used")
    planted = {"Cookie": "__Host-imdlens=planted"}
    assert "planted" not in client.post("/sign-in", data={"key": key}, headers=OWN | planted).headers["set-cookie"]


def with_cookie(client: TestClient, value: str, name: str = "__Host-imdlens") -> Response:
    client.cookies.clear()
    return client.get("/", headers={"Cookie": f"{name}={value}"})


def test_a_cookie_with_any_byte_changed_is_no_session(client: TestClient) -> None:
    cookie: SimpleCookie = SimpleCookie(show_key(client, key_of(client, "enrich")).headers["set-cookie"])
    value = cookie["__Host-imdlens"].value
    assert with_cookie(client, value).status_code == 200
    assert with_cookie(client, value, "imdlens").status_code == 303
    sealed = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        assert with_cookie(client, base64.urlsafe_b64encode(changed).rstrip(b"=").decode()).status_code == 303
    for other in ("", '"', "a" * 5000, value[:-1], value + "A", f'"{value}"'):
        assert with_cookie(client, other).status_code == 303
    assert client.get("/", headers={"Cookie": f"__Host-imdlens={value}; __Host-imdlens=x"}).status_code == 303


def test_a_cookie_of_another_deployment_is_no_session_here(starter: Path, tmp_path: Path) -> None:
    cookies = []
    for place, secret in (("a", "the secret of one service"), ("b", "the secret of another")):
        settings = Settings(data_dir=starter, counts_dir=tmp_path / place, secret=SecretStr(secret))
        key = key_for(settings, "enrich")
        with browser(settings) as client:
            for cookie in cookies:
                assert client.get("/", headers={"Cookie": cookie}).status_code == 303
            cookies.append(show_key(client, key).headers["set-cookie"].split(";")[0])


# --------------------------------------------------------------------------------------- where it leads


@pytest.mark.parametrize(
    "to",
    [
        *("//evil.example", "/\\evil.example", "https:evil.example", "https://evil.example", "javascript:alert(1)"),
        *("/%2F/evil.example", "\t//evil.example", "ask\r\nSet-Cookie: a=b", "../../evil", "docs", "/v1/enrich", ""),
        *("card", "sign_in_page", "ask/", "ASK", "'\"><script>"),
    ],
)
def test_a_sign_in_leads_to_a_page_of_ours_whatever_is_asked_for(client: TestClient, to: str) -> None:
    page = client.get("/sign-in", params={"to": to})
    assert is_page(page, 200, 'name="to" value="ask"')
    answer = show_key(client, key_of(client, "enrich"), to=to)
    assert (answer.status_code, answer.headers["location"]) == (303, "./")


@given(st.text(max_size=60))
@hypothesis_settings(max_examples=60)
def test_no_text_leads_anywhere_else(running: TestClient, to: str) -> None:
    answer = show_key(running, key_of(running, "enrich"), to=to.encode("utf-8", "replace").decode())
    assert answer.headers["location"] == f"./{DESTINATIONS.get(to, '/')[1:]}"


def test_only_pages_that_are_opened_by_name_are_led_to() -> None:
    assert DESTINATIONS
    for name, path in DESTINATIONS.items():
        (door,) = [door for door in DOORS if door.name == name]
        assert (door.method, door.path, door.kind) == ("GET", path, "page")
        assert door.scope is not None
        assert re.fullmatch(r"/[a-z/-]*", path)


# ------------------------------------------------------------------------------------------- what opens


def path_of(path: str) -> str:
    return re.sub(r"\{[^}]+\}", "x", path)


GUARDED = [door for door in DOORS if door.kind != "page" and door.scope is not None]


@pytest.mark.parametrize("door", GUARDED, ids=lambda door: door.name)
def test_neither_a_session_nor_a_proxy_opens_any_door_that_is_no_page(
    starter: Path, client: TestClient, door: Any
) -> None:
    token = sign_in(client, "enrich", "area", "inclusion", "breakdowns", "counts:exact", "admin")
    for headers in ({}, {"Content-Type": FORM}, {"X-Remote-User": "jo"}, {"Sec-Fetch-Site": "same-origin"}):
        answer = client.request(door.method, path_of(door.path), headers=headers, params={"form_token": token})
        assert answer.status_code == 401, door
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert "json" in answer.headers["content-type"]


def test_a_record_as_json_needs_a_key_with_it_even_at_the_door_of_cards(client: TestClient) -> None:
    sign_in(client)
    for kind in ("application/json", "text/plain", f"{FORM}x", ""):
        answer = client.post("/card", content=b'{"postcode": "NG1 1AA"}', headers={"Content-Type": kind})
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
    key = key_of(client, "enrich")
    assert client.post("/card", json={"postcode": "NG1 1AA"}, headers=bearer(key)).status_code == 201
    # A key that is sent is what counts: a session beside it does not make a wrong one good.
    wrong = bearer("imdl_" + "A" * 43)
    assert client.get("/", headers=wrong).status_code == 401
    both = [("Authorization", f"Bearer {key}"), ("Authorization", "Basic eDp5")]
    assert client.get("/", headers=both).status_code == 401  # type: ignore[arg-type]
    assert client.get("/", headers={"Authorization": "Negotiate abc"}).status_code == 200


def test_a_key_without_the_scope_meets_a_page_that_says_so(client: TestClient) -> None:
    sign_in(client, "breakdowns")
    page = client.get("/")
    assert is_page(page, 403, "You do not have access to this page")
    assert 'href="sign-in"' in page.text
    assert client.get("/", headers=bearer(key_of(client, "breakdowns"))).json()["status"] == 403


def test_without_a_session_one_is_led_to_the_sign_in_and_a_form_is_put_into_no_address(client: TestClient) -> None:
    answer = client.get("/?problem=age")
    assert (answer.status_code, answer.headers["location"]) == (303, "sign-in?to=ask")
    posted = client.post("/card", data={"postcode": "QQ1 1QQ"})
    assert is_page(posted, 401, "what you typed was not used or kept")
    assert "QQ1" not in posted.text + str(posted.headers)
    assert client.get("/card/nonsense").status_code == 404


def test_no_page_of_signing_in_may_stand_in_a_frame(starter: Path, tmp_path: Path) -> None:
    settings = Settings(data_dir=starter, counts_dir=tmp_path, card_frame_ancestors="https://epr.example.nhs.uk")
    with browser(settings) as client:
        for page in (client.get("/sign-in"), client.post("/card", data={"age": "5"}), show_key(client, "x", {})):
            assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        sign_in(client)
        assert "https://epr.example.nhs.uk" in client.get("/").headers["content-security-policy"]


def test_with_the_database_away_for_long_a_page_says_so_and_one_can_still_sign_out(client: TestClient) -> None:
    token = sign_in(client)
    ring = client.app.state.access.ring  # type: ignore[attr-defined]
    good, ring._check_age = ring._check_age, lambda seen: type(ring)._check_age(ring, seen + 3600)
    try:
        for answer in (client.get("/"), client.post("/card", data={"age": "5"}), show_key(client, key_of_any())):
            assert is_page(answer, 503, "Sorry, there is a problem with the service")
            assert answer.headers["retry-after"] == "5"
        assert client.post("/sign-out", data={"form_token": token}).status_code == 303
    finally:
        ring._check_age = good


def key_of_any() -> str:
    return "imdl_" + "A" * 43


# ------------------------------------------------------------------------------------------ whose form


FORMS = [door for door in DOORS if door.kind == "page" and door.method == "POST" and door.name != "sign_in"]


@pytest.mark.parametrize("door", FORMS, ids=lambda door: door.name)
def test_a_form_of_a_session_needs_the_token_of_that_session(client: TestClient, door: Any) -> None:
    other = sign_in(client)
    token = sign_in(client)
    assert other != token
    for wrong in (
        {},
        {"form_token": ""},
        {"form_token": other},
        {"form_token": token[:-1]},
        {"form_token": [token] * 2},
    ):
        answer = client.post(path_of(door.path), data={"postcode": "NG1 1AA", **wrong})  # type: ignore[dict-item]
        assert is_page(answer, 403, "This form could not be used"), wrong
        assert "set-cookie" not in answer.headers
    for site in ("cross-site", "same-site"):
        answer = client.post(path_of(door.path), data={"form_token": token}, headers={"Sec-Fetch-Site": site})
        assert answer.status_code == 403
    assert client.get("/").status_code == 200
    assert client.post(path_of(door.path), data={"postcode": "NG1 1AA", "form_token": token}).status_code == 303


def test_a_caller_with_a_key_needs_no_token_in_its_form(client: TestClient) -> None:
    answer = client.post("/card", data={"postcode": "NG1 1AA"}, headers=bearer(key_of(client, "enrich")))
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("card/")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://lens.example.nhs.uk"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": HTTPS},
    ],
)
def test_another_sites_form_signs_nobody_in(client: TestClient, headers: dict[str, str]) -> None:
    answer = show_key(client, key_of(client, "enrich"), headers)
    assert is_page(answer, 403, "This form could not be used")
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("headers", [OWN, {"Sec-Fetch-Site": "none"}, {"Origin": HTTPS}])
def test_our_own_form_signs_in(client: TestClient, headers: dict[str, str]) -> None:
    assert show_key(client, key_of(client, "enrich"), headers).status_code == 303


def test_signing_out_takes_the_session_from_its_browser_and_from_no_other(client: TestClient) -> None:
    token = sign_in(client)
    answer = client.post("/sign-out", data={"form_token": token})
    assert (answer.status_code, answer.headers["location"]) == (303, "sign-in?out")
    gone = "__Host-imdlens=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0"
    assert answer.headers["set-cookie"] == gone
    assert "clear-site-data" not in answer.headers
    client.cookies.clear()
    assert is_page(client.get("/sign-in?out"), 200, "You are signed out.")
    # Another site's form comes without the session, and must not take it away.
    assert "set-cookie" not in client.post("/sign-out", data={"form_token": ""}).headers


@pytest.mark.parametrize("path", ["/sign-in", "/sign-out"])
def test_only_forms_sign_in_and_out(client: TestClient, path: str) -> None:
    assert client.post(path, json={"key": "x"}, headers=OWN).status_code == 415
    assert client.get("/sign-out").status_code == 405
    assert client.post(path, content=b"key=" + b"a" * 70_000, headers=OWN | {"Content-Type": FORM}).status_code == 413


# ---------------------------------------------------------------------------------------------- proxies


@pytest.fixture(scope="module")
def behind(starter: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        data_dir=starter,
        counts_dir=tmp_path_factory.mktemp("behind"),
        proxies="10.0.0.0/24",
        identity_header="X-Remote-User",
    )


def test_the_user_of_a_listed_proxy_opens_pages_and_is_named_nowhere(
    behind: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    jo = {"X-Remote-User": "TRUST\\jo.bloggs", "X-Forwarded-Proto": "https"}
    with browser(behind, "http://lens.example.nhs.uk", peer="10.0.0.7") as client:
        page = client.get("/", headers=jo)
        assert is_page(page, 200, "Signed in by your organisation")
        assert "X-Remote-User" in page.headers["vary"]
        assert "bloggs" not in page.text + str(page.headers)
        assert "sign-out" not in page.text
        token = TOKEN.search(page.text)[1]  # type: ignore[index]
        form = {"postcode": "NG1 1AA", "form_token": token}
        assert client.post("/card", data=form, headers=jo).status_code == 303
        assert client.post("/card", data={"postcode": "NG1 1AA"}, headers=jo).status_code == 403
        sam = {"X-Remote-User": "TRUST\\sam.bloggs"}
        assert client.post("/card", data=form, headers=sam).status_code == 403
        assert client.post("/sign-out", data={"form_token": ""}, headers=jo).status_code == 403
        for door in GUARDED:
            assert client.request(door.method, path_of(door.path), headers=jo).status_code == 401, door
        assert client.post("/card", json={"postcode": "NG1 1AA"}, headers=jo).status_code == 401
        for nobody in ({}, {"X-Remote-User": ""}, {"X-Remote-User": "jo, sam"}):
            assert client.get("/", headers=nobody).status_code == 303
        twice = [("X-Remote-User", "jo"), ("X-Remote-User", "jo")]
        assert client.get("/", headers=twice).status_code == 303  # type: ignore[arg-type]
    assert "bloggs" not in caplog.text


def test_a_request_of_a_proxys_user_notes_a_keyed_hash_and_one_of_a_session_its_key(
    behind: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = []
    monkeypatch.setattr(forms, "exchange_of", lambda scope: noted.append(exchange_of(scope)) or noted[-1])
    with browser(behind, peer="10.0.0.7") as client:
        for name in ("jo", "jo", "sam"):
            client.get("/", headers={"X-Remote-User": name})
        sign_in(client)
    jo, again, sam, session = noted
    assert re.fullmatch(r"[0-9a-f]{16}", jo.user)
    assert jo.user == again.user != sam.user
    assert (jo.caller.name, jo.caller.proof, jo.key_id) == ("proxy", "proxy", None)
    assert (session.caller.name, session.caller.proof, session.user) == ("clinic", "session", None)
    assert re.fullmatch(r"[0-9a-f]{8}", session.key_id)


@pytest.mark.parametrize("peer", ["203.0.113.9", "10.0.1.7", "::1", "testclient"])
def test_anybody_else_who_says_so_is_not_believed(behind: Settings, peer: str) -> None:
    with browser(behind, "http://lens.example.nhs.uk", peer=peer) as client:
        said = {"X-Remote-User": "jo", "X-Forwarded-For": "10.0.0.7", "X-Forwarded-Proto": "https"}
        assert client.get("/", headers=said).status_code == 303
        assert is_page(client.get("/sign-in", headers=said), 403, "You need a secure connection")


def test_behind_a_listed_proxy_the_cookie_is_one_of_https(behind: Settings) -> None:
    with browser(behind, "http://lens.example.nhs.uk", peer="::ffff:10.0.0.7") as client:
        key = key_of(client, "enrich")
        cookie = show_key(client, key, OWN | {"X-Forwarded-Proto": "https"}).headers["set-cookie"]
        assert cookie.startswith("__Host-imdlens=")
        assert "; Secure;" in cookie
        assert show_key(client, key, OWN | {"X-Forwarded-Proto": "http"}).status_code == 403


def test_below_a_path_of_a_proxy_every_way_is_relative(client: TestClient) -> None:
    sign_in(client)
    for page in (client.get("/"), client.get("/sign-in"), client.get("/card/x")):
        assert not re.findall(r'(?:href|action)="/', page.text)
    client.cookies.clear()
    for path in ("/", f"/?to={quote('//evil')}"):
        assert not client.get(path).headers["location"].startswith("/")


def test_the_peer_stays_who_it_is_whatever_is_said_on_a_real_socket(starter: Path, tmp_path: Path) -> None:
    # Servers like ours believe this machine's proxies by default, and then take the address that they were told.
    said = {"X-Forwarded-For": "203.0.113.7", "X-Remote-User": "jo"}
    names = {"IMDLENS_DATA_DIR": str(starter), "IMDLENS_IDENTITY_HEADER": "X-Remote-User"}
    names["IMDLENS_COUNTS_DIR"] = str(tmp_path / "counts")
    with serving(tmp_path, **names, IMDLENS_PROXIES="203.0.113.7") as (url, _):
        assert httpx.get(url, headers=said).status_code == 303
    with serving(tmp_path, **names, IMDLENS_PROXIES="127.0.0.1") as (url, _):
        assert httpx.get(url, headers=said).status_code == 200


def test_pages_of_signing_in_are_not_in_the_document_of_the_api(client: TestClient) -> None:
    assert not {"/sign-in", "/sign-out", "/"} & set(client.get("/openapi.json").json()["paths"])


def test_nothing_of_a_store_is_needed_to_make_a_session(settings: Settings) -> None:
    engine = engine_of(settings)
    before = key_store.version(engine)
    with browser(settings) as client:
        sign_in(client)
    assert key_store.version(engine) == before
    engine.dispose()
