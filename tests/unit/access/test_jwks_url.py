"""Keys at an address: fetched from a real server, renewed in time, and kept while it is away."""

import asyncio
import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from app.access import fetch as fetching
from app.access.fetch import FetchError, fetch
from app.access.jwks import KEEP, PAUSE, PERIOD, KeyUrl
from app.access.tokens import TokenError, TokenReader
from tests.unit.access.signers import (
    FILE,
    NOW,
    access_claims,
    key_set,
    signer,
    write_file,
)

OLD, NEW = signer("ES256", "old", 11), signer("ES256", "new", 12)
WHERE = "access.toml, issuer 1, jwks_url:"


class Server:
    """A server of one answer, which tests change; it counts what it was asked."""

    def __init__(self) -> None:
        self.status, self.body = 200, b""
        self.headers: dict[str, str] = {}
        self.drip = 0.0  # seconds between two bytes
        self.asked: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                self.send_response(server.status)
                for name, value in server.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                with suppress(OSError):
                    if not server.drip:
                        self.wfile.write(server.body)
                    for byte in server.body if server.drip else b"":
                        self.wfile.write(bytes([byte]))
                        time.sleep(server.drip)

            def log_message(self, *arguments: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/certs"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def holds(self, *keys: Any) -> None:
        self.status, self.headers, self.body = 200, {}, key_set(*(key.jwk() for key in keys)).encode()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    server.holds(OLD)
    yield server
    server.close()


@pytest.fixture
def reader(server: Server, tmp_path: Path) -> TokenReader:
    """Before its first refresh."""
    return TokenReader.read(write_file(tmp_path, FILE.replace('jwks_file = "idp.json"', f'jwks_url = "{server.url}"')))


def reason(reader: TokenReader, token: str) -> str:
    with pytest.raises(TokenError) as caught:
        reader.caller(token, NOW)
    return caught.value.reason


def test_nothing_is_fetched_at_the_start_and_nothing_by_a_request(reader: TokenReader, server: Server) -> None:
    assert reason(reader, OLD.token(access_claims())) == "key"
    assert server.asked == []
    reader.refresh(0.0)
    assert server.asked == ["/certs"]
    assert reader.caller(OLD.token(access_claims()), NOW).name == "epr"
    assert reader.problem is None


def test_a_key_that_is_not_known_is_refused_and_fetched_soon(reader: TokenReader, server: Server) -> None:
    reader.refresh(0.0)
    server.holds(OLD, NEW)
    token = NEW.token(access_claims())
    assert reason(reader, token) == "key"
    for now in (1.0, PAUSE - 1):
        reader.refresh(now)
        assert len(server.asked) == 1
    reader.refresh(PAUSE)
    assert len(server.asked) == 2
    assert reader.caller(token, NOW)
    reader.refresh(PAUSE + PERIOD - 1)
    assert len(server.asked) == 2


def test_unknown_keys_in_any_number_lead_to_one_fetch_in_half_a_minute(reader: TokenReader, server: Server) -> None:
    for second in range(300):
        assert reason(reader, NEW.token(access_claims(), kid=f"k{second}")) == "key"
        reader.refresh(float(second))
    assert len(server.asked) == 10


def test_keys_are_renewed_every_ten_minutes_and_those_gone_are_refused(reader: TokenReader, server: Server) -> None:
    reader.refresh(0.0)
    old = OLD.token(access_claims())
    assert reader.caller(old, NOW)
    server.holds(NEW)
    reader.refresh(PERIOD - 1)
    assert reader.caller(old, NOW)
    reader.refresh(PERIOD)
    assert reason(reader, old) == "key"
    assert reader.caller(NEW.token(access_claims()), NOW)


def test_a_fetch_of_the_same_keys_forgets_no_token(reader: TokenReader, server: Server) -> None:
    reader.refresh(0.0)
    first = reader.caller(OLD.token(access_claims()), NOW)
    before = reader._current
    reader.refresh(PERIOD)
    assert len(server.asked) == 2
    assert reader._current is before
    assert list(before.cache.values()) == [first]


GOOD = key_set(NEW.jwk()).encode()
WRONG: list[tuple[int, dict[str, str], bytes, str]] = [
    (500, {}, GOOD, "was not answered with 200"),
    (404, {}, b"", "was not answered with 200"),
    (204, {}, b"", "was not answered with 200"),
    (302, {"Location": "/elsewhere"}, GOOD, "was not answered with 200"),
    (307, {"Location": "http://169.254.169.254/"}, b"", "was not answered with 200"),
    (200, {}, b"", "is not a JWK Set"),
    (200, {}, b"<html>secret</html>", "is not a JWK Set"),
    (200, {}, b"\xff\x00" * 99, "is not a JWK Set"),
    (200, {}, b"[" * 100_000, "is not a JWK Set"),
    (200, {}, b'{"keys": []}', "holds no key that checks signatures"),
    (200, {}, b" " * 300_000, "is larger than 262144 bytes"),
    (200, {}, b" " * 30_000_000, "is larger than 262144 bytes"),
    (200, {"Content-Encoding": "gzip"}, gzip.compress(b" " * 30_000_000), "was answered compressed"),
    (200, {"Content-Length": "9999"}, GOOD, "cannot be fetched (RemoteProtocolError)"),
    (200, {"X": "y" * 200_000}, GOOD, "cannot be fetched (RemoteProtocolError)"),
    (200, {"Transfer-Encoding": "chunked"}, b"zz\r\n", "cannot be fetched (RemoteProtocolError)"),
]


@pytest.mark.parametrize(("status", "headers", "body", "said"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_answer_leaves_the_keys_as_they_were_and_is_told_without_quoting(
    reader: TokenReader,
    server: Server,
    caplog: pytest.LogCaptureFixture,
    status: int,
    headers: dict[str, str],
    body: bytes,
    said: str,
) -> None:
    reader.refresh(0.0)
    server.status, server.headers, server.body = status, headers, body
    reader.refresh(PERIOD)
    assert reader.problem == f"{WHERE} {said}."
    assert reader.caller(OLD.token(access_claims()), NOW)
    assert server.asked == ["/certs", "/certs"]
    assert "secret" not in caplog.text
    assert "127.0.0.1" not in "".join(r.getMessage() for r in caplog.records if r.name == "imdlens")
    server.holds(NEW)
    reader.refresh(PERIOD + PAUSE - 1)
    assert reader.problem
    reader.refresh(PERIOD + PAUSE)
    assert reader.problem is None
    assert reader.caller(NEW.token(access_claims()), NOW)


def test_a_server_that_is_away_costs_nothing_for_a_day_and_then_its_keys(reader: TokenReader, server: Server) -> None:
    reader.refresh(0.0)
    token = OLD.token(access_claims())
    server.close()
    now = 0.0
    while now < KEEP:
        now = min(now + 7200, KEEP)
        reader.refresh(now)
        assert reader.problem == f"{WHERE} cannot be fetched (ConnectError)."
        assert reader.caller(token, NOW)
    reader.refresh(KEEP + 1)
    assert reason(reader, token) == "key"


def test_a_server_that_drips_is_not_waited_for(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "SECONDS", 0.3)
    server.drip = 0.05
    begun = time.monotonic()
    with pytest.raises(FetchError, match="was not answered within"):
        fetch(server.url)
    assert time.monotonic() - begun < 2


def test_keys_fetched_stay_when_the_file_changes(reader: TokenReader, server: Server, tmp_path: Path) -> None:
    reader.refresh(0.0)
    file = (tmp_path / "access.toml").read_text()
    (tmp_path / "access.toml").write_text(
        file.replace('"imdlens/enrich" = "enrich"', '"imdlens/enrich" = "breakdowns"')
    )
    reader.refresh(1.0)
    assert len(server.asked) == 1
    assert reader.caller(OLD.token(access_claims()), NOW).scopes == {"breakdowns"}


def test_a_watch_fetches_at_once_takes_up_changes_and_survives_faults(
    reader: TokenReader, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[float] = []
    real = reader.refresh

    def sometimes(now: float) -> None:
        calls.append(now)
        if len(calls) == 2:
            raise ZeroDivisionError("secret")
        real(now)

    async def watched() -> None:
        task = asyncio.create_task(reader.watch(0.01))
        while len(calls) < 5:
            await asyncio.sleep(0.01)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    reader.refresh = sometimes  # type: ignore[method-assign]
    asyncio.run(watched())
    assert reader.caller(OLD.token(access_claims()), NOW)
    assert "looking for other keys failed: ZeroDivisionError" in caplog.text
    assert "secret" not in caplog.text
    assert calls == sorted(calls)


def test_a_fault_that_nobody_thought_of_hides_no_change_of_another_key_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = TokenReader.read(write_file(tmp_path))
    token = signer("ES256", "idp-ES256").token(access_claims())
    assert reader.caller(token, NOW)
    (tmp_path / "idp.json").write_text(key_set(OLD.jwk()))
    last = list(reader._sources.values())[-1]
    monkeypatch.setattr(last, "refresh", lambda now: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        reader.refresh(0.0)
    assert reason(reader, token) == "key"
    assert reader.caller(OLD.token(access_claims()), NOW)


def test_a_huge_answer_is_not_read_to_its_end(server: Server) -> None:
    server.body = b" " * 30_000_000
    with pytest.raises(FetchError, match=r"^is larger than 262144 bytes$"):
        fetch(server.url)


def test_whatever_befalls_a_fetch_is_one_kind_of_error(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("httpx.AsyncClient.stream", lambda *_, **__: 1 // 0)
    with pytest.raises(FetchError, match=r"^cannot be fetched \(ZeroDivisionError\)$"):
        fetch(server.url)


def test_the_address_asked_is_the_registered_one_and_no_other() -> None:
    asked: list[str] = []

    def get(url: str) -> bytes:
        asked.append(url)
        raise FetchError("was not answered with 200")

    keys = KeyUrl("https://login.example.nhs.uk/certs", WHERE, get)
    assert keys.problem == f"{WHERE} has not been fetched yet."
    assert not keys.refresh(0.0)
    assert asked == ["https://login.example.nhs.uk/certs"]
    assert keys.keys.find(None) is None
