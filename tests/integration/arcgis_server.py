"""A web server on 127.0.0.1 that serves files as ArcGIS and gov.uk do, and fails when it is told to."""

import re
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseServer
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Served:
    """A file as the server has it."""

    body: bytes
    etag: str | None = '"v1"'
    modified: str | None = None
    ranges: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)

    def validates(self, if_range: str | None) -> bool:
        return if_range in (None, self.etag, self.modified)


@dataclass(frozen=True)
class Asked:
    """A request that came in, and the status it was given."""

    target: str
    headers: Message
    status: list[int]


class Handler(BaseHTTPRequestHandler):
    """Answers from `server.files`, after the faults queued for the path."""

    protocol_version = "HTTP/1.1"
    timeout = 10
    disable_nagle_algorithm = True
    server: "ArcgisServer"

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.asked = Asked(self.path, self.headers, [])
        self.server.asked.append(self.asked)
        if self.server.faults[path]:
            self.server.faults[path].popleft()(self)
        elif path in self.server.files:
            self.serve(self.server.files[path])
        else:
            self.answer(404, b"not here")

    def answer(self, status: int, body: bytes = b"", **headers: str | None) -> None:
        """One whole answer; None leaves a header out, and `_` stands for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.asked.status.append(status)
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | named).items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def serve(self, file: Served, sent: int | None = None) -> None:
        """The file, or the range of it that is asked for; `sent` cuts the body and the connection."""
        size, start, status = len(file.body), 0, 200
        headers = {"ETag": file.etag, "Last-Modified": file.modified, **file.headers}
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if wanted and file.ranges and file.validates(self.headers.get("If-Range")):
            start, status = int(wanted[1]), 206
            if start >= size:
                self.answer(416, b"", **{"Content-Range": f"bytes */{size}"})
                return
            headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        body = file.body[start:]
        headers = {"Content-Length": str(len(body))} | headers
        self.answer(status, body[:sent], **headers)
        self.close_connection = sent is not None or self.close_connection

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


class ArcgisServer(ThreadingHTTPServer):
    """Files by path, faults by path, and what was asked."""

    daemon_threads = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server_port}"
        self.files: dict[str, Served] = {}
        self.faults: defaultdict[str, deque[Callable[[Handler], None]]] = defaultdict(deque)
        self.asked: list[Asked] = []
        self.ending = threading.Event()

    def asked_of(self, path: str) -> list[Asked]:
        return [asked for asked in self.asked if urlsplit(asked.target).path == path]

    def handle_error(self: BaseServer, request: Any, client_address: Any) -> None:
        """A client that leaves in the middle is what these tests are about."""


@contextmanager
def running() -> Iterator[ArcgisServer]:
    with ArcgisServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.ending.set()
            server.shutdown()
            thread.join()


def answers(status: int, body: bytes = b"", **headers: str | None) -> Callable[[Handler], None]:
    return lambda handler: handler.answer(status, body, **headers)


def cuts(sent: int) -> Callable[[Handler], None]:
    """The first bytes of the file that stands there, and then the connection closes."""
    return lambda handler: handler.serve(handler.server.files[urlsplit(handler.path).path], sent)


def stalls(handler: Handler) -> None:
    """Half of the file, and then nothing more while the connection stays open."""
    file = handler.server.files[urlsplit(handler.path).path]
    handler.serve(file, len(file.body) // 2)
    handler.wfile.flush()
    handler.server.ending.wait(5)


def pours(handler: Handler) -> None:
    """A body without an end and without a length."""
    handler.answer(200, b"", Content_Length=None, Connection="close")
    with suppress(OSError):
        while not handler.server.ending.is_set():
            handler.wfile.write(b"more," * 4096)
