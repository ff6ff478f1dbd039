"""The service behind a real nginx, with the configuration of deploy/nginx: who gets through, and what."""

import json
import ssl
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import httpx
import pytest

from app.contract.fhir import OperationOutcome
from app.errors import Problem
from app.settings import Settings
from tests.databases import eventually
from tests.integration.proxied import (
    API,
    NGINX,
    PAGES,
    PROXY,
    SHIPPED,
    USER_HEADER,
    Behind,
    behind,
    certificates,
    hanging_up,
    nginx,
)
from tests.integration.running import free_port

pytestmark = pytest.mark.skipif(not NGINX, reason="no nginx")

QUICK = tuple(
    (f"{name} {seconds}s;", f"{name} 1s;")
    for name, seconds in (("client_header_timeout", 10), ("client_body_timeout", 30), ("keepalive_timeout", 60))
)


@pytest.fixture(scope="module")
def proxied(starter: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    with behind(tmp_path_factory.mktemp("proxied"), starter, *QUICK) as found:
        yield found


@pytest.fixture
def key(proxied: Behind) -> str:
    return proxied.key


def client(proxied: Behind, certificate: str | None = "engine") -> httpx.Client:
    return httpx.Client(base_url=f"https://127.0.0.1:{proxied.port}", verify=proxied.context(certificate), timeout=30)


def asked(proxied: Behind, method: str, path: str, name: str = API, **named: object) -> httpx.Response:
    """One request to one of its names."""
    headers = {"Host": name, **named.pop("headers", {})}  # type: ignore[dict-item]
    with client(proxied, "engine" if name == API else None) as caller:
        extensions = {"sni_hostname": name}
        return caller.request(method, path, headers=headers, extensions=extensions, **named)  # type: ignore[arg-type]


def head(method: str, path: str, *lines: str, name: str = API) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {name}", *lines, "", ""]).encode()


def settled(proxied: Behind) -> int:
    """How many lines the service has written, when those of all that came before are there."""
    known = len(proxied.lines())
    asked(proxied, "GET", "/metrics")
    eventually(lambda: any(line["door"] == "metrics" for line in proxied.lines()[known:]))
    return len(proxied.lines())


def lines_after(proxied: Behind, known: int) -> list[dict[str, object]]:
    """The service's lines since there were so many."""
    return [line for line in proxied.lines()[known : settled(proxied)] if line["door"] != "metrics"]


# ------------------------------------------------------------------------------------------------ TLS


def test_a_system_with_a_certificate_and_a_key_is_answered_over_tls(proxied: Behind, key: str) -> None:
    answer = asked(
        proxied, "POST", "/v1/enrich", json={"postcode": "NG1 1AA"}, headers={"Authorization": f"Bearer {key}"}
    )
    assert answer.json()["imd_decile"] == 3
    assert answer.headers.get_list("strict-transport-security") == ["max-age=31536000"]
    assert answer.headers["server"] == "nginx"
    assert asked(proxied, "GET", "/cds-services").status_code == 200


def test_a_certificate_opens_the_connection_and_no_door(proxied: Behind) -> None:
    assert asked(proxied, "POST", "/v1/enrich", json={"postcode": "NG1 1AA"}).status_code == 401


@pytest.mark.parametrize("certificate", [None, "stranger"])
def test_without_a_certificate_of_the_listed_authority_nothing_reaches_the_service(
    proxied: Behind, key: str, certificate: str | None
) -> None:
    known = settled(proxied)
    said = head("POST", "/v1/enrich", f"Authorization: Bearer {key}", "Content-Length: 2", "Connection: close") + b"{}"
    assert b" 400 " in proxied.say(said, client=certificate).partition(b"\r\n")[0]
    assert lines_after(proxied, known) == []


def test_the_name_of_pages_is_no_way_round_the_certificate(proxied: Behind, key: str) -> None:
    known = settled(proxied)
    said = head("POST", "/v1/enrich", f"Authorization: Bearer {key}", "Content-Length: 2", "Connection: close") + b"{}"
    assert b" 421 " in proxied.say(said, name=PAGES, client=None).partition(b"\r\n")[0]
    assert asked(proxied, "POST", "/v1/enrich", name=PAGES, json={}).status_code == 404
    assert lines_after(proxied, known) == []


def test_another_name_and_an_old_version_of_tls_are_no_handshake(proxied: Behind) -> None:
    unchecked = proxied.context()
    unchecked.check_hostname = False
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"), proxied.connect("elsewhere.example"):
        pass
    old = proxied.context()
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(httpx.ConnectError), httpx.Client(verify=old) as caller:
        caller.get(f"https://127.0.0.1:{proxied.port}/livez", extensions={"sni_hostname": API})


# ---------------------------------------------------------------------------------------- who is believed


def test_a_user_that_somebody_outside_names_is_nobody(proxied: Behind) -> None:
    for name in (USER_HEADER, USER_HEADER.lower(), "X_Remote_User"):
        answer = asked(proxied, "GET", "/dashboard", name=PAGES, headers={name: "director"})
        assert answer.status_code == 303, name
        assert "sign-in" in answer.headers["location"]


def test_a_user_that_a_direct_caller_names_is_nobody_and_the_proxy_s_own_word_is_taken(proxied: Behind) -> None:
    url = f"http://127.0.0.1:{proxied.service}/dashboard"
    said = {USER_HEADER: "director", "X-Forwarded-Proto": "https", "X-Forwarded-For": PROXY}
    assert httpx.get(url, headers=said).status_code == 303
    with httpx.Client(transport=httpx.HTTPTransport(local_address=PROXY)) as from_the_proxy:
        assert from_the_proxy.get(url, headers=said).status_code == 200


def test_with_a_sign_in_of_the_proxy_its_user_counts_and_not_the_one_that_was_sent(
    proxied: Behind, tmp_path: Path
) -> None:
    for file in proxied.folder.glob("*.pem"):
        for path in (file, file.with_suffix(".key")):
            (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "users").write_text("nurse:{PLAIN}invented\n")
    place = "location ~ ^/($|card|dashboard|sign-in$|sign-out$|static/) {\n"
    told = ("Host $host", 'Connection ""', "X-Forwarded-Proto https", f"{USER_HEADER} $remote_user", 'Authorization ""')
    signed_in = f"{place}auth_basic pages; auth_basic_user_file {tmp_path}/users;\n"
    signed_in += "".join(f"proxy_set_header {one};\n" for one in told)
    known = settled(proxied)
    with nginx(tmp_path, proxied.service, (place, signed_in)) as port:
        there = proxied._replace(port=port)
        assert asked(there, "GET", "/dashboard", name=PAGES).status_code == 401
        for extra in ({}, {USER_HEADER: "director"}):
            with client(there, None) as browser:
                answer = browser.get(
                    "/dashboard",
                    auth=("nurse", "invented"),
                    headers={"Host": PAGES, **extra},
                    extensions={"sni_hostname": PAGES},
                )
            assert answer.status_code == 200
    lines = [line for line in lines_after(proxied, known) if line["door"] == "dashboard"]
    assert [line["proof"] for line in lines] == ["proxy", "proxy"]
    assert len({str(line["user"]) for line in lines}) == 1


def test_by_the_word_of_the_proxy_a_browser_may_sign_in_with_a_key(proxied: Behind, key: str) -> None:
    page = asked(proxied, "GET", "/sign-in", name=PAGES)
    assert 'type="password"' in page.text
    form = {"key": key, "to": "dashboard"}
    signed = asked(proxied, "POST", "/sign-in", name=PAGES, data=form, headers={"Sec-Fetch-Site": "same-origin"})
    assert signed.headers["set-cookie"].startswith("__Host-imdlens=")


# ------------------------------------------------------------------------------------ bodies and streams


def test_a_stream_of_20000_lines_is_answered_while_it_is_sent(proxied: Behind, key: str) -> None:
    half = b'{"postcode":"NG1 1AA"}\n' * 10_000
    answered = threading.Event()

    def body() -> Iterator[bytes]:
        yield half
        if answered.wait(60):  # nothing more is sent before something came back
            yield half

    connection = HTTPConnection(API)
    with proxied.connect() as connection.sock:
        connection.putrequest("POST", "/v1/enrich/stream")
        for name, value in (
            ("Authorization", f"Bearer {key}"),
            ("Content-Type", "application/x-ndjson"),
            ("Transfer-Encoding", "chunked"),
        ):
            connection.putheader(name, value)
        connection.endheaders()

        def send() -> None:
            for piece in body():
                connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            connection.send(b"0\r\n\r\n")

        sender = threading.Thread(target=send)
        sender.start()
        response, pieces = connection.getresponse(), []
        while piece := response.read1(65_536):
            pieces.append(piece)
            answered.set()
        sender.join()
    assert response.status == 200
    assert b"".join(pieces).count(b'"postcode_status":"live"') == 20_000


def test_a_batch_of_8_mib_passes_and_one_byte_more_is_413_before_the_service_hears_of_it(
    proxied: Behind, key: str
) -> None:
    whole = b'{"postcode":"NG1 1AA"}\n'.rjust(2048) * 4096
    said = {"Authorization": f"Bearer {key}", "Content-Type": "application/x-ndjson"}
    assert asked(proxied, "POST", "/v1/enrich/batch", content=whole, headers=said).status_code == 200
    known = settled(proxied)
    for path, body in (("/v1/enrich/batch", whole + b"\n"), ("/v1/enrich", b" " * (2**16 + 1))):
        refused = asked(proxied, "POST", path, content=body, headers=said)
        assert refused.status_code == 413
        assert refused.json()["type"] == "urn:imdlens:problem:too-large"
        assert refused.headers["content-type"] == "application/problem+json"
    fhir = asked(proxied, "POST", "/fhir/R4/$enrich", content=b" " * (2**16 + 1), headers=said)
    assert fhir.status_code == 413
    assert fhir.headers["content-type"] == "application/fhir+json"
    assert OperationOutcome.model_validate(fhir.json()).issue[0].code == Problem(413).outcome()["issue"][0]["code"]
    assert lines_after(proxied, known) == []


def test_limits_of_the_proxy_are_those_of_the_service() -> None:
    settings = Settings()
    assert f"client_max_body_size {settings.max_body_bytes // 2**10}k;" in SHIPPED
    assert SHIPPED.count(f"client_max_body_size {settings.max_batch_bytes // 2**20}m;") == 2
    assert f"client_header_timeout {settings.head_seconds:.0f}s;" in SHIPPED
    assert f"client_body_timeout {settings.body_seconds:.0f}s;" in SHIPPED


def test_nothing_of_a_request_is_in_a_file_of_the_proxy(proxied: Behind, key: str) -> None:
    """Not in its logs as shipped, and no body is put into a file however large: nginx would say so on `warn`."""
    marker = "ZE99ZZ9"
    said = {"Authorization": f"Bearer {key}", "Content-Type": "application/x-ndjson", "X-Mark": marker}
    rows = b'{"postcode":"%s"}\n' % marker.encode() * 300_000
    asked(proxied, "POST", "/v1/enrich/batch", content=rows[: 8 * 2**20 - 100], headers=said)
    chunked = (piece for piece in (rows[:100_000], rows[:100_000]))
    asked(proxied, "POST", "/v1/enrich/batch", content=chunked, headers=said)
    for path in (f"/{marker}", f"/v1/enrich?postcode={marker}", f"/card/{marker}", f"/static/../{marker}%zz"):
        asked(proxied, "GET", path, headers=said)
        asked(proxied, "GET", path, name=PAGES, headers=said)
    asked(proxied, "POST", f"/v1/enrich?postcode={marker}", content=b" " * 70_000, headers=said)
    proxied.say(head(marker, "/", "Connection: close"))
    proxied.say(head("GET", f"/{marker} {marker}", f"{marker}"))
    files = [proxied.folder / "imdlens.log", proxied.folder / "imdlens-error.log"]
    files += [path for place in ("body", "answers") for path in (proxied.folder / place).rglob("*") if path.is_file()]
    for path in files:
        assert marker.encode() not in path.read_bytes(), path
    everything = (proxied.folder / "everything.log").read_text()
    assert marker in everything  # the same was looked for where nginx does write it: below `crit`
    assert "buffered to a temporary file" not in everything
    lines = [json.loads(line) for line in files[0].read_text().splitlines()]
    assert {line["door"] for line in lines} >= {"batch", "enrich", "card", "other"}
    assert {line["method"] for line in lines} >= {"GET", "POST", "other"}


# ----------------------------------------------------------------------------------- hidden requests


def lines_of_nginx(proxied: Behind) -> list[dict[str, str]]:
    """The lines of nginx so far."""
    return [json.loads(line) for line in (proxied.folder / "imdlens.log").read_text().splitlines()]


INSIDE = head("GET", "/version", "Connection: close")
ENDED = b"0\r\n\r\n" + INSIDE
LENGTH = f"Content-Length: {len(ENDED)}"


def smuggling() -> dict[str, bytes]:
    """Requests with another inside, which two readers might cut at different places."""
    ended, chunked = ENDED, "Transfer-Encoding: chunked"
    short = b"%x\r\n%s\r\n0\r\n\r\n" % (len(INSIDE), INSIDE)

    def post(*lines: str) -> bytes:
        return head("POST", "/v1/enrich", "Content-Type: application/json", *lines)

    return {
        "CL.TE": post(LENGTH, chunked) + ended,
        "TE.CL": post(chunked, "Content-Length: 4") + short,
        "TE.TE": post(chunked, "Transfer-Encoding: identity") + ended,
        "TE.TE, the second odd": post(chunked, "Transfer-encoding: x") + ended,
        "TE with a tab": post(LENGTH, "Transfer-Encoding:\tchunked") + ended,
        "TE with a vertical tab": post(LENGTH, "Transfer-Encoding:\x0bchunked") + ended,
        "TE with a space before the colon": post(LENGTH, "Transfer-Encoding : chunked") + ended,
        "TE unknown": post(LENGTH, "Transfer-Encoding: xchunked") + ended,
        "TE twice in one": post(LENGTH, "Transfer-Encoding: gzip, chunked") + ended,
        "TE on a folded line": post(LENGTH, "X: y", " Transfer-Encoding: chunked") + ended,
        "TE after a bare LF": post(LENGTH, "X: y\nTransfer-Encoding: chunked") + ended,
        "TE after a bare CR": post(LENGTH, "X: y\rTransfer-Encoding: chunked") + ended,
        "TE by underscore": post(LENGTH, "Transfer_Encoding: chunked") + ended,
        "TE of HTTP/1.0": post(LENGTH, chunked).replace(b"HTTP/1.1", b"HTTP/1.0") + ended,
        "two lengths": post("Content-Length: 0", LENGTH) + ended,
        "two lengths alike": post("Content-Length: 5", "Content-Length: 5") + b'{"a":' + INSIDE,
        "a length of two": post(f"Content-Length: 0, {len(ended)}") + ended,
        "a length with a sign": post(f"Content-Length: +{len(ended)}") + ended,
        "a negative length": post("Content-Length: -1") + ended,
        "a length in hexadecimal": post("Content-Length: 0x5") + ended,
        "a length with a space in it": post("Content-Length: 5 0") + ended,
        "a chunk with a bare LF": post(chunked) + b"0\n\n" + INSIDE,
        "a chunk's size too large": post(chunked) + b"fffffffffffffffff\r\n" + INSIDE,
        "a chunk's size with a sign": post(chunked) + b"-1\r\n" + INSIDE,
        "a chunk's extension with a line in it": post(chunked) + b"5;x=\n0\r\n\r\n" + INSIDE,
        "a trailer": post(chunked) + b"0\r\nX: y\r\nContent-Length: 40\r\n\r\n" + INSIDE,
        "a request in the target": head("GET", "/livez HTTP/1.1\r\n\r\nGET /version"),
        "a request in the target, encoded": head(
            "GET", "/livez%20HTTP/1.1%0d%0a%0d%0aGET%20/version", "Connection: close"
        ),
        "a request in a header, after a bare LF": head("GET", "/livez", f"X: y\n\nGET /version HTTP/1.1\nHost: {API}"),
        "a body of a GET": head("GET", "/livez", LENGTH) + ENDED,
        "an upgrade": head("GET", "/livez", "Connection: Upgrade", "Upgrade: h2c", LENGTH) + ENDED,
        "a length taken out by Connection": post("Connection: Content-Length", LENGTH) + ended,
        "a body that is awaited": post("Expect: 100-continue", LENGTH) + ended,
        "HTTP/0.9": b"GET /version\r\n" + INSIDE,
        "HTTP/2 without being asked": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + INSIDE,
        "a header of 70,000 bytes": head("GET", "/version", f"X: {'y' * 70_000}") + INSIDE,
        "headers of 70,000 bytes together": head("GET", "/version", *(["X: yyyyyyyyyy"] * 5000)) + INSIDE,
    }


ONE = {  # what nginx takes for one good request, and passes on as that
    "TE by underscore",
    "a request in the target, encoded",
    "a body of a GET",
    "an upgrade",
    "a length taken out by Connection",
    "a body that is awaited",
    "HTTP/0.9",
}
TWO = {  # and for two, one after the other: the second is the same caller's own, and has a line of nginx of its own
    "a chunk with a bare LF",
    "a trailer",
    "a request in a header, after a bare LF",
}


@pytest.mark.parametrize("attack", smuggling())
def test_a_request_inside_another_is_never_answered_as_one_of_its_own_behind_the_proxy(
    proxied: Behind, attack: str
) -> None:
    """One line of the service for each request that nginx knows of, with the same status, and no other."""
    known, seen = settled(proxied), len(lines_of_nginx(proxied))
    first = proxied.say(smuggling()[attack]).partition(b"\r\n")[0]

    def both() -> tuple[list[str], list[str]]:
        told = [line for line in lines_of_nginx(proxied)[seen:] if line["door"] not in ("probe", "operations")]
        reached = lines_after(proxied, known)
        return sorted(str(line["status"]) for line in reached), sorted(
            line["upstream"] for line in told if line["upstream"]
        )

    eventually(lambda: both()[0] == both()[1], seconds=10)
    if attack in ONE | TWO:
        assert len(both()[0]) <= (2 if attack in TWO else 1)
    else:
        assert any(status in first for status in (b" 400 ", b" 501 ")), first
        assert both()[0] == []


# ---------------------------------------------------------------------------------- slow, and away


@pytest.mark.parametrize("begun", [b"GET /version HTT", head("POST", "/v1/enrich", "Content-Length: 9") + b"{"])
def test_a_client_that_stops_in_the_middle_is_hung_up_on_and_the_service_never_hears_of_it(
    proxied: Behind, begun: bytes
) -> None:
    known = settled(proxied)
    proxied.say(begun)
    assert lines_after(proxied, known) == []


def test_what_may_have_been_counted_is_sent_to_no_second_host(proxied: Behind, key: str, tmp_path: Path) -> None:
    certificates(tmp_path)
    known = settled(proxied)
    with hanging_up() as (dying, took):
        hosts = f"server 127.0.0.1:{dying};", f"server 127.0.0.1:{dying}; server 127.0.0.1:{proxied.service} backup;"
        with nginx(tmp_path, dying, hosts) as port:
            there = proxied._replace(port=port, folder=tmp_path)
            said = {"Authorization": f"Bearer {key}"}
            answer = asked(there, "POST", "/v1/enrich", json={"postcode": "NG1 1AA"}, headers=said)
    assert answer.status_code == 502
    assert answer.json()["type"] == "urn:imdlens:problem:away"
    assert len(took) == 1
    assert lines_after(proxied, known) == []


def test_a_client_of_fhir_hears_that_the_service_is_away_as_an_operation_outcome(
    proxied: Behind, tmp_path: Path
) -> None:
    certificates(tmp_path)
    with nginx(tmp_path, free_port()) as port:
        there = proxied._replace(port=port, folder=tmp_path)
        answer = asked(there, "POST", "/fhir/R4/$enrich", json={"resourceType": "Patient"})
    assert answer.status_code == 502
    assert answer.headers["content-type"] == "application/fhir+json"
    assert OperationOutcome.model_validate(answer.json()).issue[0].code == "transient"
