"""Streams over real sockets: answers before the end of the body, bounded memory, and cuts that nobody can overlook."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.access import key_store
from app.counting import engine_of, key_hasher, open_store
from app.settings import Settings
from tests.databases import eventually
from tests.integration.running import serving
from tests.service import bearer

NDJSON, CSV = "application/x-ndjson", "text/csv"
LINE = b'{"postcode": "NG1 1AA"}\n'
BODY_SECONDS, HEAD_SECONDS = 2.0, 1.0
LAST_CHUNK = b"0\r\n\r\n"
MIB = 2**20


class Service:
    """One worker of `imdlens serve`, and what it wrote."""

    def __init__(self, url: str, process: subprocess.Popen[str], folder: Path, settings: Settings) -> None:
        self.host, _, port = url.removeprefix("http://").partition(":")
        self.port, self.process, self.folder, self.settings = int(port), process, folder, settings

    def key(self, name: str) -> str:
        engine = open_store(self.settings)
        try:
            made = key_store.create(engine, key_hasher(self.settings), name, ("enrich",), by="tests")
        finally:
            engine.dispose()
        eventually(lambda: Upload(self, made).begin().startswith(b"HTTP/1.1 200"), 5)
        return made

    def revoke(self, name: str) -> None:
        engine = engine_of(self.settings)
        try:
            assert key_store.revoke(engine, name, by="tests") == 1
        finally:
            engine.dispose()

    def lines(self) -> list[dict[str, Any]]:
        """The lines of requests to the door."""
        found = [json.loads(line) for line in (self.folder / "log").read_text().splitlines() if line[:1] == "{"]
        return [line for line in found if line["event"] == "request" and line["door"] == "stream"]

    def cuts(self, client: str) -> list[str | None]:
        return [line["cut"] for line in self.lines() if line["client"] == client]

    def memory(self) -> int:
        return int(psutil.Process(self.process.pid).memory_info().rss)


class Upload:
    """A chunked upload on a connection of its own."""

    def __init__(self, service: Service, key: str, kind: str = NDJSON, *, receive_buffer: int = 0) -> None:
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(20)
        self.socket.connect((service.host, service.port))
        self.came = b""
        lines = [f"POST /v1/enrich/stream HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked"]
        lines += [f"{name}: {value}" for name, value in bearer(key).items()]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())

    def send(self, data: bytes) -> None:
        self.socket.sendall(b"%x\r\n%s\r\n" % (len(data), data))

    def end(self) -> None:
        self.socket.sendall(LAST_CHUNK)

    def read_until(self, done: Callable[[bytes], bool]) -> bytes:
        while not done(self.came):
            some = self.socket.recv(65536)
            assert some, self.came[-300:]
            self.came += some
        return self.came

    def read_all(self) -> bytes:
        """Everything until the service closes, which it need not do politely."""
        try:
            while some := self.socket.recv(65536):
                self.came += some
        except ConnectionError:
            pass
        return self.came

    def begin(self) -> bytes:
        """Send a record and wait for its answer, then end."""
        with self.socket:
            self.send(LINE)
            self.end()
            return self.read_until(lambda came: b"\r\n\r\n" in came)


@pytest.fixture(scope="module")
def service(starter: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("streams")
    named = {"data_dir": str(starter), "counts_dir": str(folder / "counts"), "client_rows_per_minute": "2000000"}
    named |= {"body_seconds": str(BODY_SECONDS), "head_seconds": str(HEAD_SECONDS)}
    environment = {f"IMDLENS_{name.upper()}": value for name, value in named.items()}
    open_store(Settings(**named)).dispose()  # type: ignore[arg-type]
    with serving(folder, log=folder / "log", **environment) as (url, process):
        yield Service(url, process, folder, Settings(**named))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def key(service: Service) -> str:
    return service.key("nightly")


def answered(kind: str, came: bytes) -> int:
    """How many records are answered in what came."""
    return came.count(b'"postcode_status"') if kind == NDJSON else came.count(b"\nlive,")


def sent(kind: str) -> bytes:
    return LINE if kind == NDJSON else b"NG1 1AA\n"


@contextmanager
def uploading(service: Service, key: str, kind: str) -> Iterator[Upload]:
    """An upload of which some is answered, and that has not ended."""
    upload = Upload(service, key, kind)
    with upload.socket:
        upload.send((b"postcode\n" if kind == CSV else b"") + sent(kind) * 3)
        upload.read_until(lambda came: answered(kind, came) == 3)
        yield upload


@pytest.mark.parametrize("kind", [NDJSON, CSV])
def test_answers_come_before_the_upload_ends_and_the_end_after_it(service: Service, key: str, kind: str) -> None:
    with uploading(service, key, kind) as upload:
        for done in range(4, 8):
            upload.send(sent(kind)[:5])
            upload.send(sent(kind)[5:])
            upload.read_until(lambda came, done=done: answered(kind, came) == done)  # type: ignore[misc]
        assert not upload.came.endswith(LAST_CHUNK)
        upload.end()
        upload.read_until(lambda came: came.endswith(LAST_CHUNK))
        assert upload.came.count(b"transfer-encoding: chunked") == 1


@pytest.mark.parametrize("kind", [NDJSON, CSV])
@pytest.mark.parametrize("idle", [True, False])
def test_a_stream_whose_key_is_revoked_is_cut_off_within_a_second(service: Service, kind: str, *, idle: bool) -> None:
    late = 0.0
    for attempt in range(3):  # where the machine was busy with something else
        name = f"leaked-{kind[-3:]}-{idle}-{attempt}".lower()
        with uploading(service, service.key(name), kind) as upload:
            ends = threading.Event()
            sender = threading.Thread(target=_keep_sending, args=(upload, kind, ends))
            if not idle:
                sender.start()
            service.revoke(name)
            revoked = time.monotonic()
            came = upload.read_all()
            late = time.monotonic() - revoked
            ends.set()
            if not idle:
                sender.join()
        assert LAST_CHUNK not in came, "what was cut off looks whole"
        eventually(lambda name=name: "proof" in service.cuts(name), 5)  # type: ignore[misc]
        if late <= 1.0:
            return
    pytest.fail(f"cut off after {late:.2f} s")


def _keep_sending(upload: Upload, kind: str, ends: threading.Event) -> None:
    try:
        while not ends.is_set():
            upload.send(sent(kind) * 10)
            time.sleep(0.01)
    except OSError:
        pass


def test_a_stream_of_which_no_more_comes_is_cut_off_and_one_that_drips_is_not(service: Service) -> None:
    slow = service.key("slow")
    with uploading(service, slow, NDJSON) as upload:
        for byte in LINE:  # longer than the whole of another body may take
            upload.send(bytes([byte]))
            time.sleep(1.5 * BODY_SECONDS / len(LINE))
        upload.read_until(lambda came: answered(NDJSON, came) == 4)
        came = upload.read_all()
    assert LAST_CHUNK not in came
    eventually(lambda: "slow" in service.cuts("slow"), 5)


def test_a_client_that_leaves_ends_the_work(service: Service) -> None:
    key = service.key("leaver")
    with uploading(service, key, NDJSON) as upload:
        upload.send(LINE * 1000)
    eventually(lambda: "left" in service.cuts("leaver"), 5)


def test_a_heading_that_does_not_come_is_408(service: Service, key: str) -> None:
    upload = Upload(service, key, CSV)
    with upload.socket:
        upload.send(b"postc")
        assert upload.read_all().startswith(b"HTTP/1.1 408")


def test_http_1_0_is_refused_since_the_sizes_of_chunks_would_be_read_as_rows(service: Service, key: str) -> None:
    table = b"postcode\nNG1 1AA\n"
    for version, status in ((b"1.0", b"505"), (b"1.1", b"200")):
        with socket.create_connection((service.host, service.port), 20) as connection:
            head = f"Host: x\r\nContent-Type: {CSV}\r\nContent-Length: {len(table)}\r\nAuthorization: Bearer {key}"
            connection.sendall(
                b"POST /v1/enrich/stream HTTP/" + version + b"\r\n" + head.encode() + b"\r\n\r\n" + table
            )
            assert connection.recv(1000).split()[1] == status


def test_who_may_not_ask_is_told_before_anything_is_read(service: Service) -> None:
    upload = Upload(service, "imdl_" + "A" * 43)
    with upload.socket:
        assert upload.read_until(lambda came: b"\r\n\r\n" in came).startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize("kind", [NDJSON, CSV])
def test_a_client_that_sends_and_does_not_read_stops_being_read_and_the_service_does_not_grow(
    service: Service, key: str, kind: str
) -> None:
    piece = sent(kind) * (MIB // len(sent(kind)))
    most = 64
    with uploading(service, key, kind) as warm:
        warm.send(sent(kind) * 3000)
        warm.read_until(lambda came: answered(kind, came) == 3003)
    before, peak, taken = service.memory(), 0, 0
    upload = Upload(service, key, kind, receive_buffer=4096)
    with upload.socket:
        try:
            upload.send(b"postcode\n" if kind == CSV else b"\n")
            upload.socket.settimeout(3 * HEAD_SECONDS)
            for _ in range(most):
                upload.send(piece)
                taken += 1
                peak = max(peak, service.memory())
        except OSError:  # it is no longer read, or closed
            pass
        peak = max(peak, service.memory())
    assert taken < most, "all of it was read"
    assert peak - before < 24 * MIB, f"{(peak - before) / MIB:.0f} MiB more"


def test_curl_streams_a_file_and_notices_a_cut(service: Service, key: str, tmp_path: Path) -> None:
    asked, answers = tmp_path / "asked.ndjson", tmp_path / "answers.ndjson"
    asked.write_bytes(LINE * 30_000)
    command = ["curl", "-sS", "--fail", "--no-buffer", "-X", "POST", "-T", "-", "-o", str(answers)]
    command += ["-H", f"Authorization: Bearer {key}", "-H", f"Content-Type: {NDJSON}"]
    command.append(f"http://{service.host}:{service.port}/v1/enrich/stream")
    with asked.open("rb") as body:
        assert subprocess.run(command, stdin=body, check=False, timeout=60).returncode == 0
    assert answers.read_bytes().count(b"\n") == 30_000
    name = "leaked-curl"
    command[command.index("-H") + 1] = f"Authorization: Bearer {service.key(name)}"
    feeder = f"import sys, time\nwhile True:\n sys.stdout.buffer.write({LINE!r}); sys.stdout.flush(); time.sleep(0.05)"
    with subprocess.Popen([sys.executable, "-c", feeder], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as fed:
        curl = subprocess.Popen(command, stdin=fed.stdout, stderr=subprocess.DEVNULL)
        eventually(lambda: answers.stat().st_size > 0, 10)
        service.revoke(name)
        try:
            assert curl.wait(10) != 0
        finally:
            fed.kill()
