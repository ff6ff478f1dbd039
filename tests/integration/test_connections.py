"""Connections of a real server: what is refused on them, what is closed, and what neither of it touches."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from app.connections import STATE, Bounds, Connection, allow_connections
from app.exchange import WHOLE
from app.limits import WAITED, Shedding
from app.metrics import Metrics
from app.overload import Overload
from app.request_log import RequestLog
from app.telemetry import RequestContext
from app.tracing import Tracing


def around(application: ASGIApp) -> RequestContext:
    return RequestContext(application, Metrics(), RequestLog(), Tracing(None))


class Server:
    """uvicorn with our connections, in a thread of this process, before an application that says what it read."""

    def __init__(self, most: int = 100, head_seconds: float = 30) -> None:
        self.overload = Overload(128)
        self.bounds = Bounds(self.overload, most, head_seconds)
        self.served: list[int] = []
        self.whole: list[bool] = []
        self.hold = 0.0
        self.answer = b"{}"
        self.reads = True
        self.headers: list[tuple[bytes, bytes]] = []
        self._app = around(Shedding(self._answer, self.overload))
        config = uvicorn.Config(self, http=Connection, port=0, log_level="critical", lifespan="on", ws="none")
        self.uvicorn = uvicorn.Server(config)
        self._thread = threading.Thread(target=self.uvicorn.run)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            scope["state"][STATE] = self.bounds
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        await self._app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert WAITED not in scope
        self.whole.append(WHOLE in scope)
        read, more = 0, self.reads
        while more:
            message = await receive()
            read, more = read + len(message.get("body", b"")), message.get("more_body", False)
        self.served.append(read)
        self.headers = scope["headers"]
        await asyncio.sleep(self.hold)
        length = b"%d" % len(self.answer)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        for place in range(0, len(self.answer), 65_536):  # as files are sent
            part, more = self.answer[place : place + 65_536], place + 65_536 < len(self.answer)
            await send({"type": "http.response.body", "body": part, "more_body": more})

    def __enter__(self) -> "Server":
        self._thread.start()
        until(lambda: self.uvicorn.started)
        self.port = self.uvicorn.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    def __exit__(self, *_: object) -> None:
        self.uvicorn.should_exit = True
        self._thread.join()
        assert self.overload.waiting == self.overload.in_flight == 0

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def open(self) -> int:
        return len(self.uvicorn.server_state.connections)


def until(holds: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@contextmanager
def overloaded(server: Server) -> Iterator[None]:
    server.overload.room = 0  # a tick of the loop would give it back; there is none here
    yield
    server.overload.room = server.overload.most


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


def is_hung_up(connection: socket.socket, sent: bytes = b"x") -> bool:
    try:
        connection.sendall(sent)
    except OSError:
        return True
    return False


def read_answers(connection: socket.socket, number: int) -> list[tuple[int, bytes]]:
    """So many answers, each its status and body; fewer where the connection ends before."""
    answers: list[tuple[int, bytes]] = []
    stream = connection.makefile("rb")
    while len(answers) < number and (line := stream.readline()):
        length = 0
        while (header := stream.readline().strip().lower()) != b"":
            if header.startswith(b"content-length:"):
                length = int(header.split(b":")[1])
        answers.append((int(line.split()[1]), stream.read(length)))
    return answers


REQUEST = b"POST /v1/enrich HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"


def test_a_refusal_looks_like_any_other_problem_and_the_connection_is_good_for_more(server: Server) -> None:
    before = len(server.served)
    with httpx.Client(base_url=server.url) as client:
        with overloaded(server):
            refused = client.post("/v1/enrich", content=b"x" * 3_000_000, headers={"X-Correlation-ID": "0123456789"})
            fhir = client.post("/fhir/R4/$enrich", content=b"{}")
            head = client.head("/v1/breakdowns")
        assert len(server.served) == before
        assert client.post("/v1/enrich", content=b"{}").status_code == 200
    assert {refused.status_code, fhir.status_code, head.status_code} == {503}
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["cache-control"] == "no-store"
    assert refused.headers["x-correlation-id"] == "0123456789"
    assert len(refused.headers["x-request-id"]) == 32
    assert {answer.headers["retry-after"] for answer in (refused, fhir, head)} == {"1", "2", "3"}
    assert refused.json()["type"] == "urn:imdlens:problem:not-ready"
    assert fhir.json()["issue"][0]["code"] == "transient"
    assert head.content == b""
    assert "connection" not in refused.headers


def test_early_and_late_refusals_are_the_same(server: Server) -> None:
    late: dict[str, str] = {}

    async def send(message: Any) -> None:
        late.update({k.decode().title(): v.decode() for k, v in message.get("headers", ())})

    async def receive() -> Any:
        raise AssertionError

    full = Overload(1)
    full.in_flight = 1
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/v1/breakdowns",
        "headers": [],
        "query_string": b"",
        "scheme": "http",
    }
    asyncio.run(around(Shedding(server._answer, full))(scope, receive, send))
    with overloaded(server):
        early = httpx.get(f"{server.url}/v1/breakdowns").headers
    changing = {"X-Request-Id", "Retry-After"}
    told = {k.title(): v for k, v in early.items()}
    assert set(told) == set(late)
    assert {k: v for k, v in told.items() if k not in changing} == {k: v for k, v in late.items() if k not in changing}


@pytest.mark.parametrize(
    ("sent", "kept"), [("abcd-1234", True), ("short", False), ("a b c d e f", False), ("é" * 10, False)]
)
def test_an_id_comes_back_if_it_is_safe(server: Server, sent: str, *, kept: bool) -> None:
    with overloaded(server):
        answer = httpx.get(server.url, headers={b"X-Request-ID": sent.encode()})
    assert (answer.headers["x-request-id"] == sent) is kept


def test_probes_are_answered_whatever_the_load(server: Server) -> None:
    with overloaded(server):
        assert httpx.get(f"{server.url}/livez").status_code == 200
        assert httpx.get(f"{server.url}/readyz?from=balancer").status_code == 200
        assert httpx.get(f"{server.url}/livezz").status_code == 503


def test_requests_in_one_packet_are_each_refused(server: Server) -> None:
    with overloaded(server), server.connect() as connection:
        connection.sendall(REQUEST * 3)
        assert [status for status, _ in read_answers(connection, 3)] == [503] * 3


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n",
    ],
)
def test_a_refused_client_that_would_not_know_how_to_go_on_is_hung_up_on(server: Server, head: bytes) -> None:
    with overloaded(server), server.connect() as connection:
        connection.sendall(head)
        assert [status for status, _ in read_answers(connection, 2)] == [503]


def test_a_request_that_a_client_breaks_off_while_it_is_refused_harms_nobody(server: Server) -> None:
    with overloaded(server), server.connect() as connection:
        connection.sendall(REQUEST[:-2])
        assert read_answers(connection, 1)[0][0] == 503
    assert httpx.get(server.url).status_code == 200


def test_a_client_that_asks_and_does_not_read_is_cut_off(server: Server) -> None:
    with overloaded(server), server.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        until(lambda: is_hung_up(connection, REQUEST * 1000))


def connect_without_reading(server: Server) -> socket.socket:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    connection.connect(("127.0.0.1", server.port))
    connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    return connection


def test_clients_that_do_not_read_their_answers_take_no_place_from_others() -> None:
    with Server(most=1000, head_seconds=1) as server:
        server.answer = bytes(8_000_000)
        held = [connect_without_reading(server) for _ in range(130)]
        until(lambda: len(server.served) == 130 and server.overload.in_flight == 0)
        server.answer = b"{}"
        assert httpx.get(server.url).status_code == 200
        until(lambda: server.open() == 0)  # nor are they kept for ever
        for connection in held:
            connection.close()


@pytest.mark.parametrize("close", [b"", b"Connection: close\r\n"])
def test_a_client_that_reads_slowly_but_does_read_gets_its_whole_answer(close: bytes) -> None:
    with Server(head_seconds=0.2) as server, server.connect() as connection:
        server.answer = bytes(6_000_000)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n" + close + b"\r\n")
        read = 0
        while read < len(server.answer) and (some := connection.recv(60_000)):
            read += len(some)
            time.sleep(0.02)
        assert read > len(server.answer)


@pytest.mark.parametrize("begun", [b"GET / HTTP/1.1\r\nX: ", b"GET /", REQUEST + b"GET / HTTP/1.1\r\nX: "])
def test_a_head_without_end_is_refused_long_before_it_is_kept(server: Server, begun: bytes) -> None:
    with server.connect() as connection:
        connection.sendall(begun)
        time.sleep(0.05)
        connection.sendall(b"a" * 60_000)
        time.sleep(0.05)
        connection.sendall(b"a" * 10_000)
        status, body = read_answers(connection, 2)[-1]
    assert status == 431
    assert b"head-too-large" in body


@pytest.mark.parametrize(("headers", "bytes_each"), [(1, 70_000), (70, 1_000)])
def test_a_long_head_that_comes_all_at_once_is_refused_too(server: Server, headers: int, bytes_each: int) -> None:
    """With its end in the same piece it is whole before anybody counted what came of it."""
    more = "\r\n".join(f"X-{number}: {'a' * bytes_each}" for number in range(headers))
    before = len(server.served)
    with server.connect() as connection:
        connection.sendall(f"GET / HTTP/1.1\r\nHost: x\r\n{more}\r\n\r\n".encode())
        status, body = read_answers(connection, 1)[-1]
    assert status == 431
    assert b"head-too-large" in body
    assert len(server.served) == before


def test_a_long_address_counts_with_the_head(server: Server) -> None:
    before = len(server.served)
    with server.connect() as connection:
        connection.sendall(b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert read_answers(connection, 1)[-1][0] == 431
    assert len(server.served) == before


def test_headers_without_end_after_a_body_are_refused_too(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ")
        until(lambda: is_hung_up(connection, b"a" * 10_000))


def test_a_long_head_and_a_long_body_are_read(server: Server) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 30_000 + b"\r\nContent-Length: 900000\r\n\r\n"
    with server.connect() as connection:
        connection.sendall(head + b"b" * 900_000)
        assert read_answers(connection, 1)[0][0] == 200
    assert server.served[-1] == 900_000


def test_headers_after_the_body_are_none(server: Server) -> None:
    """A proxy replaces the header that names its user in the head; what comes after the body it may pass on."""
    with server.connect() as connection:
        connection.sendall(
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nb\r\n0\r\n"
            b"X-Remote-User: chief\r\nAuthorization: Bearer imdl_\r\n\r\n"
        )
        assert read_answers(connection, 1)[0][0] == 200
    assert {name for name, _ in server.headers} == {b"host", b"transfer-encoding"}


UPGRADES = [
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
    b"Connection: upgrade\r\nUpgrade: websocket\r\n",
]


@pytest.mark.parametrize("upgrade", UPGRADES)
@pytest.mark.parametrize("at_once", [True, False])
def test_a_body_is_read_although_another_protocol_is_asked_for(
    server: Server, upgrade: bytes, *, at_once: bool
) -> None:
    """Java's own client asks for h2c with each first request of a connection."""
    before = len(server.served)
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 35\r\n" + upgrade + b"\r\n"
    body = b"GET /looks-like-one HTTP/1.1\r\nHo: x\r\n\r\n"[:35]
    with server.connect() as connection:
        connection.sendall(head + body + REQUEST if at_once else head)
        if not at_once:
            time.sleep(0.05)
            connection.sendall(body)
            time.sleep(0.05)
            connection.sendall(REQUEST)
        assert [status for status, _ in read_answers(connection, 2)] == [200, 200]
    assert server.served[before:] == [35, 4]


def test_it_is_refused_at_overload_like_any_other(server: Server) -> None:
    with overloaded(server), server.connect() as connection:
        connection.sendall(REQUEST.replace(b"Host", UPGRADES[0] + b"Host") + REQUEST)
        assert [status for status, _ in read_answers(connection, 2)] == [503, 503]


@pytest.mark.parametrize("target", [b"CONNECT a:80", b"GET http://x", b"GET *", b"OPTIONS *"])
def test_odd_targets_harm_nobody(server: Server, target: bytes) -> None:
    with server.connect() as connection:
        connection.sendall(target + b" HTTP/1.1\r\nHost: x\r\n" + UPGRADES[1] + b"\r\n")
        assert read_answers(connection, 1)[0][0] in (200, 400)


def test_who_is_answered_without_having_been_told_to_send_the_body_is_hung_up_on(server: Server) -> None:
    """It may send its next request where the body of this one would be read."""
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
    server.reads = False
    with server.connect() as connection:
        connection.sendall(head)
        assert [status for status, _ in read_answers(connection, 2)] == [200]
    server.reads = True
    with server.connect() as connection:
        connection.sendall(head)
        assert read_answers(connection, 1)[0][0] == 100
        connection.sendall(b"body" + REQUEST)
        assert [status for status, _ in read_answers(connection, 2)] == [200, 200]


def test_what_waits_is_counted_until_it_begins(server: Server) -> None:
    assert [httpx.post(server.url, content=b"1").status_code for _ in range(5)] == [200] * 5
    assert server.overload.waiting == server.overload.in_flight == 0


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"POST / HTTP/1.1\r\nContent-Length: 5\r\n", REQUEST + b"GE"])
def test_a_connection_that_sends_no_whole_head_in_time_is_closed(sent: bytes) -> None:
    with Server(head_seconds=0.2) as server, server.connect() as connection:
        connection.sendall(sent)
        try:
            while connection.recv(1000):
                pass
        except ConnectionResetError:
            pass
        until(lambda: server.open() == 0)


def test_a_refused_body_that_drips_is_closed_too() -> None:
    with Server(head_seconds=0.2) as server, overloaded(server), server.connect() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
        until(lambda: is_hung_up(connection))


def test_a_request_in_work_is_not_cut_off_for_taking_long() -> None:
    with Server(head_seconds=0.05) as server:
        server.hold = 0.4
        assert httpx.post(server.url, content=b"1", timeout=30).status_code == 200


def test_five_hundred_silent_connections_keep_nobody_from_an_answer_and_are_closed() -> None:
    with Server(most=1000, head_seconds=2) as server:
        silent = [server.connect() for _ in range(500)]
        for connection in silent[::2]:
            is_hung_up(connection, b"POST /v1/enrich HTTP/1.1\r\nHost:")  # on a slow machine the first may be
        assert httpx.get(server.url).status_code == 200
        until(lambda: server.open() == 0)
        for connection in silent:
            connection.close()


def test_over_the_limit_of_connections_probes_are_answered_and_others_are_told() -> None:
    with Server(most=5) as server:
        held = [server.connect() for _ in range(5)]
        until(lambda: server.open() == 5)
        refused, probe = httpx.get(server.url), httpx.get(f"{server.url}/livez")
        assert (refused.status_code, refused.headers["connection"]) == (503, "close")
        assert probe.status_code == 200
        for connection in held:
            connection.close()
        until(lambda: server.open() == 0)
        assert httpx.get(server.url).status_code == 200


def test_far_over_the_limit_connections_are_closed_at_once() -> None:
    with Server(most=5) as server:
        held = [server.connect() for _ in range(69)]
        until(lambda: server.open() == 69)
        with server.connect() as connection:
            until(lambda: is_hung_up(connection))
        for connection in held:
            connection.close()


def test_the_limit_of_open_files_is_raised_as_far_as_it_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))
    for limits in ((256, 1024), (256, resource.RLIM_INFINITY), (4096, 4096), (1024, 1024)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, limits=limits: limits)
        allow_connections(1000)
    assert asked == [(1024, 1024), (1192, resource.RLIM_INFINITY), (1024, 1024)]


def test_a_body_is_said_to_be_there_only_when_all_of_it_is(server: Server) -> None:
    head = b"POST /v1/enrich HTTP/1.1\r\nHost: x\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        for sent, later, whole in (
            (REQUEST, b"", True),
            (REQUEST[:-2], REQUEST[-2:], False),
            (REQUEST[:-4], REQUEST[-4:], False),
            (head + b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n", b"0\r\n\r\n", False),
            (head + b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", b"", True),
        ):
            before = len(server.whole)
            connection.sendall(sent)
            until(lambda before=before: len(server.whole) > before)
            connection.sendall(later)
            assert read_answers(connection, 1) == [(200, b"{}")]
            assert server.whole[before:] == [whole], sent
