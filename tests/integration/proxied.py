"""The service behind a real nginx with the configuration that is shipped, and raw connections to it."""

import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.integration.running import free_port, serving
from tests.integration.test_tls import issue, write
from tests.service import key_in

ROOT = Path(__file__).parents[2]
SHIPPED = (ROOT / "deploy" / "nginx" / "imdlens.conf").read_text("utf-8")
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
API, PAGES = "api.imdlens.example", "imdlens.example"
PROXY = "127.0.0.2"  # the service sees nginx come from here, and everybody else from 127.0.0.1
USER_HEADER = "X-Remote-User"
_WHOLE = """
daemon off;
pid {folder}/nginx.pid;
user {user};
worker_processes 1;
error_log {folder}/start.log warn;
events {{ worker_connections 256; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/answers;
    fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u;
    scgi_temp_path {folder}/s;
    proxy_bind {proxy};
    error_log {folder}/everything.log info;
    include {folder}/imdlens.conf;
}}
"""


class Behind(NamedTuple):
    """An nginx that runs: its port, that of the service behind it, its folder, the service's log, a caller's key."""

    port: int
    service: int
    folder: Path
    log: Path
    key: str

    def lines(self) -> list[dict[str, object]]:
        """The service's lines of requests so far."""
        found = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in found if line["event"] == "request"]

    def context(self, client: str | None = "engine", authority: str = "authority") -> ssl.SSLContext:
        """What a client believes, and which certificate it shows."""
        found = ssl.create_default_context(cafile=str(self.folder / f"{authority}.pem"))
        if client:
            found.load_cert_chain(self.folder / f"{client}.pem", self.folder / f"{client}.key")
        return found

    def connect(self, name: str = API, client: str | None = "engine") -> ssl.SSLSocket:
        """A connection to one of its names."""
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        return self.context(client).wrap_socket(plain, server_hostname=name)

    def say(self, *pieces: bytes, name: str = API, client: str | None = "engine") -> bytes:
        """Send bytes as they are, and read until the other side hangs up."""
        with self.connect(name, client) as connection:
            try:
                for piece in pieces:
                    connection.sendall(piece)
            except OSError:
                pass  # hung up on while still speaking: what was answered is read all the same
            return rest_of(connection)


def rest_of(connection: ssl.SSLSocket) -> bytes:
    """Everything until the other side hangs up."""
    read = b""
    try:
        while piece := connection.recv(65_536):
            read += piece
    except (ConnectionError, ssl.SSLError):
        pass
    return read


def certificates(folder: Path) -> None:
    """A server's certificate for both names, a client's, and one of an authority that nobody listed."""
    authority, stranger = issue("authority"), issue("stranger")
    client = ExtendedKeyUsageOID.CLIENT_AUTH
    write(folder, "authority", authority)
    write(folder, "server", issue("server", authority, ExtendedKeyUsageOID.SERVER_AUTH, (API, PAGES)))
    write(folder, "engine", issue("engine", authority, client))
    write(folder, "stranger", issue("engine", stranger, client))


def changed(text: str, *changes: tuple[str, str]) -> str:
    """The configuration with what belongs to a deployment put in; each must be there to be changed."""
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


@contextmanager
def nginx(folder: Path, service: int, *changes: tuple[str, str]) -> Iterator[int]:
    """The shipped configuration before a port, with changes; its own port."""
    assert NGINX
    port = free_port()
    own = changed(
        SHIPPED,
        ("server 127.0.0.1:8080;", f"server 127.0.0.1:{service};"),
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("/etc/imdlens/tls/server", f"{folder}/server"),
        ("/etc/imdlens/tls/clients.pem", f"{folder}/authority.pem"),
        ("/var/log/nginx", str(folder)),
        *changes,
    )
    (folder / "imdlens.conf").write_text(own)
    import pwd

    user = pwd.getpwuid(os.geteuid()).pw_name
    (folder / "nginx.conf").write_text(_WHOLE.format(folder=folder, user=user, proxy=PROXY))
    with (folder / "start.log").open("a") as log:
        process = subprocess.Popen([NGINX, "-p", str(folder), "-c", "nginx.conf"], cwd=folder, stderr=log)
    try:
        end = time.monotonic() + 30
        while time.monotonic() < end and process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.02)
        else:
            raise AssertionError((folder / "start.log").read_text())
        yield port
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def behind(folder: Path, starter: Path, *changes: tuple[str, str]) -> Iterator[Behind]:
    """The service, and nginx before it."""
    certificates(folder)
    log = folder / "service.log"
    named = {
        "IMDLENS_DATA_DIR": str(starter),
        "IMDLENS_COUNTS_DIR": str(folder / "counts"),
        "IMDLENS_PROXIES": PROXY,
        "IMDLENS_IDENTITY_HEADER": USER_HEADER,
    }
    key = key_in(folder, "enrich", "breakdowns", **named)
    with serving(folder, log=log, **named) as (url, _):
        service = int(url.rsplit(":", 1)[1])
        with nginx(folder, service, *changes) as port:
            yield Behind(port, service, folder, log, key)


@contextmanager
def hanging_up() -> Iterator[tuple[int, list[bytes]]]:
    """A host that takes requests and dies before it answers any: its port, and what it was sent."""
    took: list[bytes] = []
    listening = socket.create_server(("127.0.0.1", 0))

    def take() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                took.append(connection.recv(65_536))

    thread = threading.Thread(target=take)
    thread.start()
    try:
        yield listening.getsockname()[1], took
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()
