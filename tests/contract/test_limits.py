"""Refusals for want of room: their shapes, and that every place is given back."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from app.access.caller import Caller
from app.allowances import Allowances
from app.doors import DOORS
from app.errors import Problem
from app.exchange import KEY, Exchange
from app.limits import WAITED, BodyLimit, ClientLimits, Shedding
from app.main import create_app
from app.overload import Overload
from app.settings import Settings
from tests.service import calling

FULL = 10**9


@pytest.fixture(scope="module")
def app(starter: Path) -> FastAPI:
    return create_app(Settings(data_dir=starter, client_in_flight=3, client_rows_per_minute=50))


@pytest.fixture(scope="module")
def limited(app: FastAPI) -> Iterator[TestClient]:
    with calling(app.state.settings, app=app, name="limits", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def overloaded(app: FastAPI, limited: TestClient) -> Iterator[TestClient]:
    app.state.overload.in_flight += FULL
    yield limited
    app.state.overload.in_flight -= FULL
    assert app.state.overload.in_flight == 0


@pytest.fixture(autouse=True)
def _fresh_rows(app: FastAPI) -> None:
    app.state.allowances._clients.clear()


# ---------------------------------------------------------------------------------------------- overload


def test_an_overloaded_worker_answers_503_and_when_to_come_again(overloaded: TestClient) -> None:
    answers = [overloaded.post("/v1/enrich", json={"postcode": "NG1 1AA"}) for _ in range(3)]
    assert {a.status_code for a in answers} == {503}
    assert sorted(a.headers["retry-after"] for a in answers) == ["1", "2", "3"]
    assert answers[0].headers["content-type"] == "application/problem+json"
    assert answers[0].headers["cache-control"] == "no-store"
    assert answers[0].headers["x-request-id"]
    assert answers[0].json()["type"] == "urn:imdlens:problem:not-ready"
    assert "NG1" not in answers[0].text


def test_an_overload_is_told_to_fhir_clients_in_their_shape(overloaded: TestClient) -> None:
    answer = overloaded.post("/fhir/R4/$enrich", json={})
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/fhir+json")
    assert answer.json()["issue"][0]["code"] == "transient"


def test_nobody_is_asked_who_they_are_before_they_are_turned_away(overloaded: TestClient) -> None:
    assert overloaded.post("/v1/enrich", headers={"Authorization": "Bearer no"}).status_code == 503


@pytest.mark.parametrize("path", [door.path for door in DOORS if door.kind == "probe"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_probes_are_answered_while_all_else_is_turned_away(overloaded: TestClient, path: str, method: str) -> None:
    assert overloaded.request(method, path).status_code == 200


@pytest.mark.parametrize("door", [d for d in DOORS if d.kind != "probe"], ids=lambda d: d.name)
def test_all_else_is_turned_away(overloaded: TestClient, door: Any) -> None:
    path = door.path.replace("{path:path}", "x").replace("{", "").replace("}", "")
    assert overloaded.request(door.method, path).status_code == 503


def test_what_was_let_in_before_is_served_unless_all_that_may_begin_has_begun() -> None:
    overload = Overload(10)
    asked = Asked(Shedding(answered, overload))
    overload.behind, overload.waiting = True, 2
    assert asked(**{WAITED: True}) == 200
    overload.in_flight = 10
    assert asked(**{WAITED: True}) == 503
    assert (overload.waiting, overload.in_flight, overload.shed) == (0, 10, 1)


def test_a_large_body_weighs_once_it_is_there_and_only_takes_a_place_while_it_comes() -> None:
    seen = []

    async def reads(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(overload.in_flight)
        for _ in range(3):
            await receive()
            seen.append(overload.in_flight)

    messages = iter([True, False, False])

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": next(messages)}

    overload = Overload(100)
    Asked(Shedding(reads, overload), receive)(headers=[(b"content-length", b"300000")])
    assert seen == [1, 1, 32, 32]
    assert overload.in_flight == 0


def test_a_stream_takes_a_place_until_its_body_comes_and_is_never_turned_away_after() -> None:
    seen = []

    async def reads(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(overload.in_flight)
        for _ in range(3):
            await receive()
            seen.append(overload.in_flight)
            overload.in_flight = overload.most

    messages = iter([True, True, False])

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": next(messages)}

    overload = Overload(10)
    for head in ((b"transfer-encoding", b"chunked"), (b"content-length", b"300000")):
        messages = iter([True, True, False])
        overload.in_flight = 0
        Asked(Shedding(reads, overload), receive)(path="/v1/enrich/stream", headers=[head])
        assert seen == [1, 0, 10, 10]
        seen.clear()
    assert overload.in_flight == 10
    assert Asked(Shedding(reads, overload), receive)(path="/v1/enrich/stream") == 503


def test_a_large_body_that_comes_when_others_have_taken_everything_up_is_turned_away() -> None:
    async def reads(scope: Scope, receive: Receive, send: Send) -> None:
        overload.in_flight += 10
        await receive()

    overload = Overload(10)
    with pytest.raises(HTTPException) as raised:
        Asked(Shedding(reads, overload))(headers=[(b"transfer-encoding", b"chunked")])
    assert raised.value.status_code == 503
    assert raised.value.headers == {"Retry-After": "1"}
    assert (overload.in_flight, overload.shed) == (10, 1)


# ---------------------------------------------------------------------------------------------- places


def test_one_request_of_a_client_too_many_is_429(app: FastAPI, limited: TestClient) -> None:
    client = app.state.allowances.client("limits")
    client.in_flight = 3
    answer = limited.post("/v1/enrich", json={"postcode": "NG1 1AA"})
    fhir = limited.post("/fhir/R4/$enrich", json={})
    client.in_flight = 2
    assert limited.post("/v1/enrich", json={"postcode": "NG1 1AA"}).status_code == 200
    assert client.in_flight == 2
    assert answer.status_code == fhir.status_code == 429
    assert answer.json() == {
        "type": "urn:imdlens:problem:throttled",
        "title": "This client asks too much at once",
        "status": 429,
        "detail": "At most 3 requests of one client at once.",
    }
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["ratelimit-policy"] == '"in-flight";q=3;qu="concurrent-requests"'
    assert answer.headers["ratelimit"] == '"in-flight";r=0;t=1'
    assert fhir.json()["issue"][0]["code"] == "throttled"


def test_a_client_over_its_limit_can_still_ask_what_is_open_to_all(app: FastAPI, limited: TestClient) -> None:
    client = app.state.allowances.client("limits")
    client.in_flight = 3
    assert limited.get("/version").status_code == 200
    client.in_flight = 0


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/enrich", b"{"),
        ("POST", "/v1/enrich", b"{}"),
        ("POST", "/v1/enrich", b"x" * 70_000),
        ("POST", "/v1/enrich/batch", b'{"records": [{"postcode": "NG1 1AA"}]}'),
        ("POST", "/nowhere", b""),
        ("DELETE", "/v1/enrich", b""),
        ("GET", "/v1/breakdowns/none", b""),
        ("GET", "/livez", b""),
    ],
)
def test_every_answer_gives_its_places_back(
    app: FastAPI, limited: TestClient, method: str, path: str, body: bytes
) -> None:
    limited.request(method, path, content=body, headers={"Content-Type": "application/json"})
    assert (app.state.overload.in_flight, app.state.overload.waiting) == (0, 0)
    assert app.state.allowances.client("limits").in_flight == 0


@pytest.mark.parametrize("error", [RuntimeError, asyncio.CancelledError, Problem(503), HTTPException(401)])
def test_whatever_is_raised_gives_the_places_back(error: Any) -> None:
    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        assert (overload.in_flight, allowances.client("tests").in_flight) == (1, 1)
        raise error

    overload, allowances = Overload(10), Allowances(3, 0)
    with pytest.raises(type(error) if isinstance(error, Exception) else error):
        Asked(Shedding(ClientLimits(fails, allowances), overload))()
    assert (overload.in_flight, allowances.client("tests").in_flight) == (0, 0)


def test_a_client_that_hangs_up_while_it_sends_gives_its_places_back(app: FastAPI, limited: TestClient) -> None:
    messages: Iterator[Message] = iter(
        [{"type": "http.request", "body": b'{"postcode"', "more_body": True}, {"type": "http.disconnect"}]
    )
    headers = [(b"authorization", limited.headers["authorization"].encode()), (b"content-type", b"application/json")]

    async def receive() -> Message:
        return next(messages)

    assert Asked(app, receive, app=app)(path="/v1/enrich", headers=headers) is None  # and nobody is answered
    assert app.state.overload.in_flight == app.state.allowances.client("limits").in_flight == 0


# ---------------------------------------------------------------------------------------------- rows


def batch(client: TestClient, rows: int, *, lines: bool = False) -> Any:
    if lines:
        content = b'{"postcode": "NG1 1AA"}\n' * rows
        return client.post("/v1/enrich/batch", content=content, headers={"Content-Type": "application/x-ndjson"})
    return client.post("/v1/enrich/batch", json={"records": [{"postcode": "NG1 1AA"}] * rows})


@pytest.mark.parametrize("lines", [False, True])
def test_rows_over_a_minutes_allowance_are_429_and_the_answer_says_when(limited: TestClient, *, lines: bool) -> None:
    first, second = batch(limited, 30, lines=lines), batch(limited, 30, lines=lines)
    assert first.status_code == 200
    assert first.headers["ratelimit-policy"] == '"rows";q=50;w=60;qu="imdlens-rows"'
    assert first.headers["ratelimit"] == '"rows";r=20;t=36'
    assert second.status_code == 429
    assert second.json()["type"] == "urn:imdlens:problem:throttled"
    assert 1 <= int(second.headers["retry-after"]) <= 12
    assert second.headers["ratelimit"].startswith('"rows";r=2')
    assert batch(limited, 20, lines=lines).status_code == 200


@pytest.mark.parametrize("lines", [False, True])
def test_a_batch_that_no_minute_allows_is_told_so_for_good(limited: TestClient, *, lines: bool) -> None:
    answer = batch(limited, 51, lines=lines)
    assert answer.status_code == 413
    assert answer.json()["errors"] == [{"field": "records", "code": "too_many"}]
    assert "retry-after" not in answer.headers
    assert batch(limited, 50, lines=lines).status_code == 200


def test_a_batch_that_is_refused_counts_no_contact(app: FastAPI, limited: TestClient) -> None:
    assert batch(limited, 50).status_code == 200
    contact = {"postcode": "NG1 1AA", "contact": {"specialty": "340", "event_id": "once"}}
    assert limited.post("/v1/enrich/batch", json={"records": [contact]}).status_code == 429
    app.state.allowances._clients.clear()
    answer = limited.post("/v1/enrich/batch", json={"records": [contact]}).json()
    assert answer["results"][0]["counted_reason"] != "duplicate"


def test_without_a_limit_of_rows_no_header_speaks_of_one(starter: Path) -> None:
    with calling(Settings(data_dir=starter, client_rows_per_minute=0)) as client:
        answer = batch(client, 1000)
    assert answer.status_code == 200
    assert "ratelimit" not in answer.headers


# ---------------------------------------------------------------------------------------------- slow bodies


def test_a_body_that_does_not_end_in_time_is_408_and_its_connection_closed() -> None:
    async def never() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def reads(scope: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(HTTPException) as caught:
            await receive()
        raise caught.value

    with pytest.raises(HTTPException) as raised:
        Asked(BodyLimit(reads, {"record": 100, "batch": 100}, seconds=0.001), never)()
    assert raised.value.status_code == 408
    assert raised.value.headers == {"Connection": "close"}


def test_the_time_is_for_the_whole_body_and_what_comes_after_it_has_none() -> None:
    pieces = [True] * 1000

    async def drips() -> Message:
        if not pieces:
            await asyncio.sleep(0.1)
            return {"type": "http.disconnect"}
        await asyncio.sleep(0.005)
        return {"type": "http.request", "body": b"", "more_body": pieces.pop()}

    async def reads(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    limit = BodyLimit(reads, {"record": 100, "batch": 100}, seconds=0.05)
    with pytest.raises(HTTPException):
        Asked(limit, drips)()
    pieces[:] = [False]
    assert Asked(limit, drips)() is None


def test_of_a_stream_each_piece_has_its_time_and_the_whole_has_none_and_no_length() -> None:
    pieces = [True] * 30

    async def drips() -> Message:
        if not pieces:
            await asyncio.Event().wait()
        await asyncio.sleep(0.005)
        return {"type": "http.request", "body": b"x" * 100, "more_body": pieces.pop()}

    async def reads(scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            await receive()

    exchange = Exchange()
    exchange.door = next(door for door in DOORS if door.name == "stream")
    limit = BodyLimit(reads, {"record": 100, "batch": 100}, seconds=0.1)
    with pytest.raises(HTTPException) as raised:
        Asked(limit, drips)(**{KEY: exchange, "headers": [(b"content-length", b"1000000000")]})
    assert (raised.value.status_code, pieces) == (408, [])


async def answered(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


class Asked:
    """One request to an ASGI application; the status of its answer, None where there is none."""

    def __init__(
        self,
        application: Callable[..., Awaitable[None]],
        receive: Receive | None = None,
        *,
        app: FastAPI | None = None,
    ) -> None:
        self.application, self.receive, self.app = application, receive, app

    def __call__(self, **more: Any) -> int | None:
        statuses = []

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        exchange = Exchange()
        exchange.caller = Caller("tests", frozenset({"enrich"}), "key", 2**40)
        scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "query_string": b"", KEY: exchange}
        if self.app is not None:
            scope["app"] = self.app
        asyncio.run(self.application(scope | more, self.receive or receive, send))  # type: ignore[arg-type]
        return statuses[0] if statuses else None


# ------------------------------------------------------------------------------------- bodies of anybody at all


async def _never() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


def _form_scope(path: str) -> Scope:
    headers = [
        (b"host", b"localhost"),
        (b"content-type", b"application/x-www-form-urlencoded"),
        (b"content-length", b"100"),
        (b"sec-fetch-site", b"same-origin"),
    ]
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "scheme": "http",
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }


def test_forms_of_anybody_that_drip_take_no_place_from_those_who_may_ask(app: FastAPI, limited: TestClient) -> None:
    async def drip() -> list[int]:
        some = [asyncio.create_task(app(_form_scope(path), _never, _nowhere)) for path in ("/sign-in", "/sign-out")]
        await asyncio.sleep(0.2)
        taken = [app.state.overload.in_flight]
        for one in some:
            one.cancel()
        await asyncio.gather(*some, return_exceptions=True)
        return [*taken, app.state.overload.in_flight]

    async def _nowhere(_: Message) -> None:
        raise AssertionError

    portal = limited.portal
    assert portal is not None
    assert portal.call(drip) == [0, 0]


def test_a_form_whose_body_is_there_takes_its_place() -> None:
    overload, seen = Overload(1), list[int]()

    async def reads(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        seen.append(overload.in_flight)

    async def whole() -> Message:
        return {"type": "http.request", "body": b"x", "more_body": False}

    async def nowhere(_: Message) -> None:
        raise AssertionError

    asyncio.run(Shedding(reads, overload)(_form_scope("/sign-in"), whole, nowhere))
    assert (seen, overload.in_flight) == ([1], 0)
    overload.in_flight = 0

    async def taken_meanwhile() -> Message:
        overload.in_flight = 1
        return {"type": "http.request", "body": b"x", "more_body": False}

    with pytest.raises(HTTPException) as refused:
        asyncio.run(Shedding(reads, overload)(_form_scope("/sign-in"), taken_meanwhile, nowhere))
    assert (refused.value.status_code, overload.in_flight) == (503, 1)


def test_a_form_that_comes_too_slowly_meets_a_page_and_is_hung_up_on(starter: Path, tmp_path: Path) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    with calling(Settings(data_dir=starter, counts_dir=tmp_path, body_seconds=0.01)) as client:
        assert client.portal is not None
        client.portal.call(client.app, _form_scope("/sign-in"), _never, send)
    headers = dict(sent[0]["headers"])
    assert (sent[0]["status"], headers[b"connection"]) == (408, b"close")
    assert headers[b"content-type"].startswith(b"text/html")
