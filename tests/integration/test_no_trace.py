"""Nothing that a request carried is found afterwards in what the service wrote, said or kept.

Marks go into every place of a request, through every door and every way to fail, while the service breaks and dies.
Then every file that it wrote is searched, and every answer.
"""

import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from sqlalchemy import text

from app.access import key_store
from app.access.caller import SCOPES
from app.counting import key_hasher, open_store
from app.doors import DOORS, HOOKS
from app.settings import Settings
from tests.databases import Postgres, eventually, opened
from tests.integration import carrying
from tests.integration.carrying import BY_NAME, GUARDED, JSON, MOST_BYTES, POSTED, Carried, Carrier
from tests.integration.running import free_port
from tests.integration.searching import Found, Search, files_below, forms_of
from tests.integration.test_operations import command_of
from tests.unit.access import signers

SECRET = "qzsecretqz-of-the-deployment-and-nobody-else"
WORD = "breakme"  # with this in a question, a door of the broken service fails from within
BODY_SECONDS = 1.5
MOST_IN_FLIGHT, CLIENT_IN_FLIGHT, ROWS = 16, 4, 120
CROWD = tuple(f"crowd-{number}" for number in range(2 * MOST_IN_FLIGHT // CLIENT_IN_FLIGHT))
"""Clients that together ask for more than a worker takes on, though none is over its own allowance in both."""
EVERY_STATUS = {200, 201, 303, 400, 401, 403, 404, 405, 406, 408, 410, 412, 413, 415, 422, 429, 500, 503}


class Collector:
    """Takes what is sent to a collector of traces, byte by byte."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        received = self.received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert "Content-Encoding" not in self.headers, "what is compressed cannot be searched"
                received.append(str(self.headers).encode() + self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


class Loud:
    """`imdlens serve` with everything on, every logger at its loudest, and a way to break it from outside."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        for name in ("cwd", "home", "tmp", "counts"):
            (folder / name).mkdir(parents=True)
        self.log, self.audit = folder / "log", folder / "audit.jsonl"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        root = str(Path(__file__).parents[2])
        broken = str(Path(__file__).parent / "broken_service")
        outside = {name: value for name, value in os.environ.items() if not name.startswith(("IMDLENS_", "XDG_"))}
        self.environment = outside | {
            "PYTHONPATH": os.pathsep.join(filter(None, [broken, root, os.environ.get("PYTHONPATH", "")])),
            "PYTHONASYNCIODEBUG": "1",
            "PYTHONWARNINGS": "always",
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder / "tmp"),
            "IMDLENS_COUNTS_DIR": str(folder / "counts"),
            "IMDLENS_AUDIT_FILE": str(self.audit),
            "IMDLENS_SECRET": SECRET,
            "IMDLENS_PROXIES": "127.0.0.1",
            "IMDLENS_IDENTITY_HEADER": carrying.IDENTITY,
            "IMDLENS_PUBLIC_URL": "https://lens.example.nhs.uk/imd",
            "IMDLENS_CORS_ORIGINS": "https://epr.example.nhs.uk",
            "IMDLENS_CDS_EVERY_DECILE": "true",
            "IMDLENS_BODY_SECONDS": str(BODY_SECONDS),
            "IMDLENS_MAX_IN_FLIGHT": str(MOST_IN_FLIGHT),
            "IMDLENS_CLIENT_IN_FLIGHT": str(CLIENT_IN_FLIGHT),
            "IMDLENS_CLIENT_ROWS_PER_MINUTE": str(ROWS),
            "IMDLENS_MAX_BODY_BYTES": str(MOST_BYTES),
            "IMDLENS_MAX_BATCH_BYTES": str(2 * MOST_BYTES),
            **environment,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.settings = Settings(
            **{  # type: ignore[arg-type]
                name.removeprefix("IMDLENS_").lower(): value
                for name, value in self.environment.items()
                if name.startswith("IMDLENS_")
            }
        )

    def start(self) -> None:
        ready = self.said("a worker is ready")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app.cli", "serve", "--workers", "2", "--port", str(self.port)],
                cwd=self.folder / "cwd",
                env=self.environment,
                stdout=log,
                stderr=log,
                preexec_fn=_allow_cores,
            )
        eventually(lambda: self.said("a worker is ready") == ready + 2 or self.process.poll() is not None, 60)  # type: ignore[union-attr]
        assert self.process.poll() is None, self.log.read_text()[-3000:]

    def said(self, what: str) -> int:
        return self.log.read_text("utf-8", "replace").count(what) if self.log.exists() else 0

    def workers(self) -> list[psutil.Process]:
        assert self.process
        return [p for p in psutil.Process(self.process.pid).children() if "spawn_main" in command_of(p)]

    def stop(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def kill(self) -> None:
        """Everything dies at once."""
        if self.process is None or self.process.poll() is not None:
            return
        children = psutil.Process(self.process.pid).children(recursive=True)
        self.process.kill()
        for child in children:
            child.kill()
        self.process.wait(30)
        psutil.wait_procs(children, 30)


def _allow_cores() -> None:
    """As a machine whose administrator lets processes leave their memory behind."""
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    if os.geteuid() == 0:
        hard = resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


class SqliteAway:
    """The embedded database, as if it had lost its tables."""

    def __init__(self, service: Loud) -> None:
        self.file = service.folder / "counts" / "counts.sqlite"
        self.folders: list[Path] = []

    @contextmanager
    def away(self) -> Iterator[None]:
        """Every table but those of keys has another name, so that each statement fails at once, its values in hand."""
        self._rename("", "away_")
        try:
            yield
        finally:
            self._rename("away_", "")

    def _rename(self, before: str, after: str) -> None:
        with closing(sqlite3.connect(self.file, isolation_level=None, timeout=30)) as store:
            listed = store.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (name,) in listed:
                if not name.startswith(("sqlite_", "api_key", "key_version")) and name.startswith(before):
                    store.execute(f"ALTER TABLE {name} RENAME TO {after}{name.removeprefix(before)}")


class PostgresAway:
    """A server that is stopped at once, as by a crash."""

    def __init__(self, postgres: Postgres, url: str) -> None:
        self.postgres = postgres
        self.folders = [Path(postgres._server.pgdata)]
        with opened(url) as engine, engine.connect() as connection:
            number = connection.execute(text("SELECT oid FROM pg_database WHERE datname = current_database()")).scalar()
        self.own = self.folders[0] / "base" / str(number)

    @contextmanager
    def away(self) -> Iterator[None]:
        self.postgres.take_away()
        try:
            yield
        finally:
            self.postgres.bring_back()


def keys_of(settings: Settings) -> dict[str, str]:
    """Keys of every kind that a client may hold, of the deployment."""
    every = tuple(SCOPES)
    wanted: dict[str, tuple[str, ...]] = dict.fromkeys(("all", "busy", "rows", "revoked", "session", *CROWD), every)
    wanted |= {f"without.{scope.replace(':', '.')}": tuple(s for s in every if s != scope) for scope in every}
    engine, hasher = open_store(settings), key_hasher(settings)
    made = {name: key_store.create(engine, hasher, name, scopes, by="tests") for name, scopes in wanted.items()}
    assert key_store.revoke(engine, "revoked", by="tests") == 1
    engine.dispose()
    return made


# ------------------------------------------------------------------------------------------ what is done to it


def sign_in(c: Carrier) -> None:
    answer = c.send("good", BY_NAME["sign_in"], c.good(BY_NAME["sign_in"]))
    ((name, morsel),) = SimpleCookie(answer.headers["set-cookie"]).items()
    c.session = f"{name}={c.gave_out(morsel.value)}"
    page = c.client.get("/", headers={"Cookie": c.session}).text
    c.form_token = c.gave_out(page.partition('name="form_token" value="')[2][:64])
    assert len(c.form_token) == 64
    c.client.cookies.clear()


def ask_everything(c: Carrier) -> None:
    for door in DOORS:
        for _ in range(12 if door in POSTED else 2):
            c.send("good", door, c.good(door))
    c.client.cookies.clear()


def be_nobody(c: Carrier) -> None:
    for door in GUARDED:
        refused = frozenset({401, 303} if door.kind == "page" and door.method == "GET" else {401})
        for proof in c.proofs_of_nobody(door):
            headers = {"Cookie": c.mark(), **proof}
            if not proof and door.name == "ask":
                headers = {"Cookie": f"__Host-imdlens={c.mark()}"}
            c.send("401", door, c.good(door)._replace(headers=headers, expected=refused))
        made = c.good(door)
        path = f"{made.path.partition('?')[0]}?access_token={c.keys['all']}"
        c.send("401", door, made._replace(path=path, expected=refused))
        without = c.key(f"without.{str(door.scope).replace(':', '.')}")
        c.send("403", door, made._replace(headers={**made.headers, **without, "Cookie": ""}, expected=frozenset({403})))
    form = {"postcode": c.postcode(), "form_token": c.mark()}
    here = {"Sec-Fetch-Site": "same-origin"}
    for headers, status in (({"Cookie": c.session}, 403), ({carrying.IDENTITY: c.name()}, 403), ({}, 401)):
        carried = Carried("/card", form=form, headers={"Cookie": "", **here, **headers}, expected=frozenset({status}))
        c.send("401", BY_NAME["card_make"], carried)
    wrong = [(c.wrong_key(), here, 401), (c.mark(), here, 401), (c.keys["revoked"], here, 401)]
    wrong += [
        (c.keys["all"], {"Sec-Fetch-Site": "cross-site"}, 403),
        (c.keys["all"], {"Sec-Fetch-Site": c.mark()}, 403),
    ]
    for key, headers, status in wrong:
        form = {"key": key, "to": c.mark(), "name": c.name()}
        c.send("401", BY_NAME["sign_in"], Carried("/sign-in", form=form, headers=headers, expected=frozenset({status})))
    signed_out = c.good(BY_NAME["sign_out"])._replace(form={"form_token": c.mark()}, expected=frozenset({403}))
    c.send("401", BY_NAME["sign_out"], signed_out)


def ask_wrongly(c: Carrier) -> None:
    for door in DOORS:
        made = c.good(door)
        if door.name in HOOKS:  # a token of theirs would be good for the first of these
            made = made._replace(headers=c.key())
        lost = made._replace(path=carrying.somewhere_else(c, door), expected=frozenset({404}))
        c.send("404", door, lost)
        c.send("405", door, made._replace(json={c.mark(): c.postcode()}, expected=frozenset({405})), "DELETE")
        c.send("HEAD", door, made._replace(expected=frozenset({200, 303, 401, 404, 405, 422})), "HEAD")
        c.send("OPTIONS", door, made._replace(expected=frozenset({400, 405})), "OPTIONS")
        c.send("500", door, made._replace(headers={**made.headers, "X-Break": "trouble"}, expected=frozenset({500})))
        c.send("500", door, made._replace(headers={**made.headers, "X-Break": "panic"}, expected=frozenset({500})))
    proof = {"X-Unused": c.mark(), **c.key()}
    fhir = [door for door in DOORS if door.path.startswith("/fhir/")]
    for door in fhir:
        made = c.good(door)
        refused = made._replace(expected=frozenset({406}))
        c.send("406", door, refused._replace(path=f"{made.path}?_format={c.mark()}"))
        c.send("406", door, refused._replace(headers={**made.headers, "Accept": f"text/{c.mark()}"}))
    for door in POSTED:
        made = c.good(door)
        kind = "application/json" if door in JSON else "text/csv" if door.name == "stream" else carrying.FORM
        headers = {**made.headers, "Content-Type": kind, **(proof if door in GUARDED else {})}
        text = json.dumps(made.json or {c.mark(): c.postcode()})
        filling = (5 if door.name == "stream" else 1) * 2500  # of a stream only a record may be too large
        odd = made._replace(json=None, form=None, content=None, headers=headers)
        strange = {**headers, "Content-Type": f"application/{c.mark()}; {c.mark()}={c.mark()}"}
        c.send("415", door, odd._replace(content=text.encode(), headers=strange, expected=frozenset({415})))
        large = (text + c.mark() * filling).encode()
        c.send("413", door, odd._replace(content=large, expected=frozenset({413})))
        chunked = c.client.post(made.path, content=_chunks(large), headers={**c.headers(), **headers})
        assert chunked.status_code in (413, 503), (door.name, chunked.status_code)
        c.keep(chunked)
        if door.name == "stream":
            for content in (f"{c.name()},{c.postcode()}\n{c.mark()}".encode(), text.encode()):
                c.send("422", door, odd._replace(content=content, expected=frozenset({422})))
            wanted = made._replace(path=f"{made.path}?include={c.mark()}&postcode_column={c.mark()}")
            c.send("422", door, wanted._replace(expected=frozenset({422})))
        if door in JSON:
            for broken in (
                text[:-2],
                c.mark(),
                f'{{"postcode": "{c.postcode()}", "postcode": NaN',
                f'"{c.mark()}\udcff',
            ):
                content = broken.encode("utf-8", "surrogateescape")
                c.send("400", door, odd._replace(content=content, expected=frozenset({400})))
            values: list[Any] = [{c.mark(): c.mark()}, [c.mark()], c.mark(), {"postcode": {c.mark(): c.postcode()}}]
            values += [
                {"records": c.mark()},
                {"hook": c.mark(), "prefetch": c.mark()},
                {"feedback": [{"card": [c.mark()]}]},
            ]
            values += [{"resourceType": c.mark()}, {"resourceType": "Parameters", "parameter": c.mark()}]
            for value in values:
                c.send("422", door, odd._replace(json=value, expected=frozenset({412, 422})))
        if door.name in ("cds_context", "cds_offers"):
            refused = odd._replace(json=c.hook(door, prefetch={c.mark(): c.patient()}), expected=frozenset({412}))
            c.send("412", door, refused)
    expired = Carried(f"/card/{c.sealed(3600)}", expected=frozenset({410}))
    c.send("410", BY_NAME["card"], expired)
    for query in (f"month={c.mark()}&by={c.mark()}", f"month=2024-04&by={c.postcode()}"):
        asked = Carried(f"/v1/counts?{query}", headers=c.key(), expected=frozenset({422}))
        c.send("422", BY_NAME["exact_counts"], asked)
    asked = Carried(
        f"/v1/breakdowns/specialty_core20?period={c.mark()}", headers=c.key(), expected=frozenset({404, 422})
    )
    c.send("422", BY_NAME["table"], asked)
    for name in ("inequality", "trend"):
        for query in (f"specialty={c.mark()}", f"rtt_group={c.mark()}", f"measure={c.mark()}", f"period={c.mark()}"):
            asked = Carried(f"/v1/{name}?{query}", headers=c.key(), expected=frozenset({404, 422}))
            c.send("422", BY_NAME[name], asked)
    for path in (f"specialties/{c.mark()}", f"specialties/{c.mark()}/brief", f"figures/{c.mark()}?unit={c.mark()}"):
        asked = Carried(f"/dashboard/{path}", headers=c.key(), expected=frozenset({404}))
        c.send("404", BY_NAME["dashboard"], asked)
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": c.mark()}
    for origin in (f"https://{c.mark()}.example", "https://epr.example.nhs.uk"):
        asked = Carried(f"/cds-services/{c.mark()}", headers={**preflight, "Origin": origin}, expected=frozenset({400}))
        c.send("CORS", None, asked, "OPTIONS")


def _chunks(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), 8192):
        yield data[start : start + 8192]


def break_within(c: Carrier) -> None:
    """Doors fail from within, with the question in the message."""
    failed = frozenset({500})
    sick = f"{WORD} {c.postcode()} {c.mark()}"
    bodies: dict[str, Any] = {
        "enrich": {**c.record(), "postcode": sick},
        "batch": {"records": [{"postcode": sick}, c.record()]},
        "stream": None,
        "card_make": {**c.record(), "postcode": sick},
        "fhir_enrich": c.as_fhir(sick),
        "cds_context": c.hook(BY_NAME["cds_context"], prefetch={"patient": c.patient(sick)}),
    }
    for name, body in bodies.items():
        content, headers = None, c.key()
        if name == "stream":
            content, headers = (
                json.dumps({"postcode": sick}).encode(),
                {**headers, "Content-Type": "application/x-ndjson"},
            )
        c.send("500", BY_NAME[name], Carried(BY_NAME[name].path, body, None, content, headers, failed))
    break_a_stream(c, sick)
    asked = Carried(f"/v1/breakdowns/{WORD}-{c.mark()}", headers=c.key(), expected=failed)
    c.send("500", BY_NAME["table"], asked)


def break_a_stream(c: Carrier, sick: str) -> None:
    """A stream that fails when some of its answers were sent: they come, and the end does not."""
    door = BY_NAME["stream"]
    for kind, sound in (("application/x-ndjson", json.dumps(c.contact())), ("text/csv", f"postcode\n{c.postcode()}")):
        broken = json.dumps({"postcode": sick}) if sound[0] == "{" else sick
        said = {**c.headers(), **c.key(), "Content-Type": kind, "Transfer-Encoding": "chunked"}
        for _ in range(20):
            with _connected(c) as connection:
                head = c.head(door, door.path, said, 0).replace(b"Content-Length: 0\r\n", b"")
                connection.sendall(head + _chunk(f"{sound}\n"))
                came = connection.recv(65536)
                if came[9:12] != b"200":
                    c.answers.append(came.partition(b"\r\n\r\n")[2])
                    continue
                with suppress(OSError):
                    connection.sendall(_chunk(f"{broken}\n" * 3))
                    while some := connection.recv(65536):
                        came += some
            assert b"\r\n0\r\n" not in came, "an answer that broke off looked whole"
            c.answers.append(came.partition(b"\r\n\r\n")[2])
            c.driven["cut"].add(kind)
            break
    assert len(c.driven["cut"]) == 2


def _chunk(text: str) -> bytes:
    return b"%x\r\n%s\r\n" % (len(text.encode()), text.encode())


def speak_no_http(c: Carrier) -> None:
    upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13"
    for said in (
        f"{c.mark()} /{c.mark()} HTTP/1.1\r\n\r\n",
        f"GET /{c.mark()} {c.mark()}\r\nX: {c.mark()}\r\n\r\n",
        f"GET /?{c.mark()} HTTP/1.1\r\nContent-Length: {c.mark()}\r\nHost: {c.mark()}\r\n\r\n",
        f"POST /v1/enrich HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{c.mark()}\r\n",
        f"GET / HTTP/1.1\r\nHost: {c.mark()}\r\n{c.mark()}\0: {c.mark()}\r\n\r\n",
        f"GET /v1/enrich HTTP/1.1\r\nHost: x\r\n{upgrade}\r\nSec-WebSocket-Key: {c.mark()}\r\n\r\n",
        f"GET /%zz%00{c.mark()}%ff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ):
        with _connected(c) as connection:
            connection.settimeout(0.5)
            connection.sendall(said.encode())
            c.answer_to(connection)


@contextmanager
def _connected(c: Carrier) -> Iterator[Any]:
    import socket

    with socket.create_connection((c.host, c.port), timeout=10) as connection:
        yield connection


def be_slow(c: Carrier) -> None:
    """Bodies that do not come to their end: 408. And clients that leave amid one."""
    for _ in range(5):
        held = [(door, c.begin(door, proof)) for door, proof in _shared_out(c)]
        for door, connection in held:
            status = c.answer_to(connection)
            connection.close()
            assert status in (408, 503), (door.name, status)
            if status == 408:
                c.seen[door.name].add(408)
                c.driven["408"].add(door.name)
        if c.driven["408"] >= {door.name for door in POSTED}:
            break
    for door, proof in _shared_out(c):
        for rudely in (True, False):
            c.hang_up(c.begin(door, proof), rudely=rudely)


def _shared_out(c: Carrier) -> Iterator[tuple[carrying.Door, dict[str, str]]]:
    """Doors that take a body, each with a key, no key so often that it is over its limit."""
    for number, door in enumerate(POSTED):
        proof = c.key(("all", "session", "busy", "rows")[number % 4]) if door in GUARDED else {}
        yield door, {"Cookie": "", **proof}


def ask_too_much(c: Carrier) -> None:
    """One client over its allowances, and all of them over what two workers take on."""
    busy, wanted = c.key("busy"), {door.name for door in GUARDED}
    held_at = BY_NAME["enrich"]
    for _ in range(20):
        if c.driven["429"] >= wanted:
            break
        with c.holding(held_at, 16 * CLIENT_IN_FLIGHT, busy):
            for door in (door for door in GUARDED if door.name not in c.driven["429"]):
                content = json.dumps({"postcode": c.postcode()}) if door.method == "POST" else None
                headers = {**busy, "Cookie": c.mark(), "Content-Type": "application/json"}
                if _asked_anew(c, door, c.good(door).path, headers, content) == 429:
                    c.driven["429"].add(door.name)
    for _ in range(10):
        records = {"records": [{"postcode": c.postcode()} for _ in range(ROWS * 3 // 4)]}
        carried = Carried("/v1/enrich/batch", records, headers=c.key("rows"), expected=frozenset({200, 429}))
        if c.send("rows", BY_NAME["batch"], carried).status_code == 429:
            break
    else:
        pytest.fail("no batch was refused")
    many = {"records": [c.mark()] * (ROWS + 1)}
    c.send("413", BY_NAME["batch"], Carried("/v1/enrich/batch", many, headers=c.key(), expected=frozenset({413})))

    shed = {door.name for door in DOORS if door.kind != "probe"}
    for _ in range(20):
        if c.driven["shed"] >= shed:
            break
        with ExitStack() as stack:
            for name in CROWD:  # more than each may: connections do not share themselves out evenly over workers
                stack.enter_context(c.holding(held_at, 3 * CLIENT_IN_FLIGHT, c.key(name)))
            for door in (door for door in DOORS if door.name not in c.driven["shed"]):
                path = carrying.somewhere_else(c, door) if "{" in door.path else door.path
                content = json.dumps(c.record()) if door.method == "POST" else None
                headers = {**c.key(), "Content-Type": "application/json"}
                if _asked_anew(c, door, f"{path}?{c.query()}", headers, content) == 503:
                    c.driven["shed"].add(door.name)


def _asked_anew(c: Carrier, door: carrying.Door, path: str, headers: dict[str, str], content: str | None) -> int:
    """The status of a request on a connection of its own: it may meet either worker."""
    with httpx.Client(base_url=c.url, timeout=30) as client:
        answer = client.request(door.method, path, headers={**c.headers(), **headers}, content=content)
    c.keep(answer)
    c.seen[door.name].add(answer.status_code)
    return answer.status_code


def ask_without_database(c: Carrier, service: Loud) -> None:
    """What must be counted waits on this host's disk; what cannot be known is refused."""

    def spooled() -> int:
        with sqlite3.connect(f"file:{service.folder / 'counts' / 'spool' / 'spool.sqlite'}?mode=ro", uri=True) as spool:
            return int(spool.execute("SELECT count(*) FROM entry").fetchone()[0])

    contacts = [Carried("/v1/enrich", c.contact(), headers=c.key()) for _ in range(12)]
    contacts += [Carried("/v1/enrich", {**c.record(), "postcode": c.rng.choice(c.postcodes)}, headers=c.key())] * 4
    patience = frozenset({200, 401, 503})
    waiting = [(door, c.good(door)) for door in DOORS if door.name in HOOKS]
    waiting = [
        (door, made._replace(headers={"Authorization": f"Bearer {c.hook_token(made.path)}"}, expected=patience))
        for door, made in waiting
    ]
    for carried in contacts:
        c.send("away", BY_NAME["enrich"], carried)
    with ThreadPoolExecutor(len(waiting)) as pool:  # each waits for the database until it gives up
        sent = [pool.submit(_plainly, c.url, carried, c.headers()) for _, carried in waiting]
        for (door, _), future in zip(waiting, sent, strict=True):
            answer = future.result()
            assert answer.status_code == 503, (door.name, answer.status_code)
            c.keep(answer)
            c.driven["away"].add(door.name)
    eventually(lambda: spooled() > 0, 20)


def _plainly(url: str, carried: Carried, headers: dict[str, str]) -> httpx.Response:
    return httpx.post(url + carried.path, json=carried.json, headers={**headers, **carried.headers}, timeout=30)


def crash(c: Carrier, service: Loud) -> None:
    """The interpreter of a worker crashes amid requests."""
    with c.holding(BY_NAME["enrich"], 6, c.key()), c.holding(BY_NAME["batch"], 4, c.key("session")):
        ready = service.said("a worker is ready")
        victim = service.workers()[0]
        victim.send_signal(signal.SIGABRT)
        eventually(lambda: service.said("a worker is ready") == ready + 1, 60)
    assert service.said("Fatal Python error: Aborted") == 1
    assert service.said("a worker ended unasked") == 1


def count_in_both(c: Carrier, service: Loud) -> None:
    """Each worker counts a contact: only one that knows the year can keep another while the database is away."""
    before, wanted = service.log.stat().st_size, {process.pid for process in service.workers()}
    door, asked = BY_NAME["enrich"], set[int]()
    while not asked >= wanted:
        with ThreadPoolExecutor(4) as pool:
            sent = [Carried(door.path, c.contact(), headers=c.key()) for _ in range(8)]
            for answer in pool.map(_plainly, [c.url] * 8, sent, [c.headers() for _ in sent]):
                assert answer.status_code in (200, 429, 503)
                c.keep(answer)
        lines = service.log.read_bytes()[before:].splitlines()
        found = [json.loads(line) for line in lines if b'"door":"enrich"' in line and line.endswith(b"}")]
        asked = {line["pid"] for line in found if line["status"] == 200}
        assert len(lines) < 2000, "one worker gets everything"


# ------------------------------------------------------------------------------------------ where it is looked for


def written_by(service: Loud, folders: list[Path]) -> dict[Path, bytes]:
    """Every file that the service or its database wrote."""
    return {path: path.read_bytes() for path in files_below(service.folder, *folders)}


def without_the_first_lines(log: bytes) -> bytes:
    """The lines; the sentences before them show a postcode to try, and only that is taken out."""
    return b"".join(line for line in log.splitlines(keepends=True) if b'-d \'{"postcode": "NG1 1AA"}\'' not in line)


def leaks(service: Loud, c: Carrier, traces: Collector, away: SqliteAway | PostgresAway) -> list[str]:
    found: list[str] = []

    def look(where: str, data: bytes, *searches: Search) -> None:
        for search in searches:
            found.extend(f"{where}: {value} as {form} at {at}" for value, form, at in search.find(data))

    for path, data in written_by(service, []).items():
        kept = without_the_first_lines(data) if path == service.log else data
        look(str(path.relative_to(service.folder)), kept, c.invented, c.real, c.issued)
    for path in files_below(*away.folders):
        # Other databases of the same server hold what others put there.
        own = isinstance(away, PostgresAway) and path.is_relative_to(away.own)
        look(str(path.name), path.read_bytes(), *([c.invented, c.real, c.issued] if own else [c.invented, c.issued]))
    look("traces", b"\n".join(traces.received), c.invented, c.real, c.issued)
    look("answers", b"\n".join(c.answers), c.invented)
    return found


def check_that_it_was_looked_for(service: Loud, c: Carrier, traces: Collector) -> None:
    """Everything that should have been written was: nothing is found in what is empty."""
    files = {path.relative_to(service.folder).as_posix(): path for path in files_below(service.folder)}
    for name in ("log", "audit.jsonl", "counts/keys.json", "counts/spool/spool.sqlite"):
        assert files[name].stat().st_size > 100, name
    assert [name for name in files if name.startswith("tmp/imdlens-metrics-") and name.endswith(".db")]
    assert sum(map(len, traces.received)) > 10_000
    audited = [json.loads(line) for line in service.audit.read_bytes().splitlines() if line]
    assert {line["proof"] for line in audited} >= {"key", "token", "hook", "session", "proxy"}
    assert any(line["user"] for line in audited)
    log = service.log.read_text("utf-8", "replace")
    for told in ("unhandled KeyError at ", "unhandled _PanicError at ", "in a thread", "in the event loop",
                 "could not be raised", "Fatal Python error", '"event":"library"', "py.warnings",
                 "something came that is not HTTP", "unhandled ValueError at "):  # fmt: skip
        assert told in log, told
    # A search that finds nothing must be one that would: each file, with one more value in its middle, is caught.
    planted = c.mark()
    forms = [needle for _, needle in forms_of(planted, hashed=False)]
    c.invented.add(planted)
    for number, (path, data) in enumerate(written_by(service, []).items()):
        half, form = len(data) // 2, forms[number % len(forms)]
        assert planted in {f.value for f in c.invented.find(data[:half] + form + data[half:])}, path


def check_that_every_door_was_driven(c: Carrier) -> None:
    everywhere = {door.name for door in DOORS}
    for tried in ("good", "404", "405", "HEAD", "OPTIONS", "500"):
        assert c.driven[tried] >= everywhere, (tried, everywhere - c.driven[tried])
    for tried in ("401", "403", "429"):
        assert c.driven[tried] >= {door.name for door in GUARDED}, tried
    for tried in ("408", "413", "415"):
        assert c.driven[tried] >= {door.name for door in POSTED}, (tried, c.driven[tried])
    for tried in ("400", "422"):
        assert c.driven[tried] >= {door.name for door in JSON}, tried
    assert c.driven["shed"] >= {door.name for door in DOORS if door.kind != "probe"}
    assert c.driven["away"] >= {"enrich", *HOOKS}
    assert set().union(*c.seen.values()) | {503} >= EVERY_STATUS


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_nothing_of_any_request_is_left_behind(
    database: str, request: pytest.FixtureRequest, starter: Path, tmp_path: Path
) -> None:
    """Invented values must come back in no answer and be in no file; real ones must be in no file."""
    traces = Collector()
    (tmp_path / "access").mkdir()
    environment = {
        "IMDLENS_DATA_DIR": str(starter),
        "IMDLENS_ACCESS_FILE": str(signers.write_file(tmp_path / "access")),
        "IMDLENS_OTLP_ENDPOINT": traces.url,
    }
    if database == "postgresql":
        environment["IMDLENS_DATABASE_URL"] = request.getfixturevalue("postgres_url")
    service = Loud(tmp_path / "service", environment)
    away: SqliteAway | PostgresAway = SqliteAway(service)
    if database == "postgresql":
        away = PostgresAway(request.getfixturevalue("postgres"), environment["IMDLENS_DATABASE_URL"])
    c = Carrier(service.url, keys_of(service.settings), SECRET)
    steps: list[Callable[[Carrier], None]] = [sign_in, ask_everything, be_nobody, ask_wrongly, break_within]
    steps += [speak_no_http, be_slow, ask_too_much]
    try:
        service.start()
        for step in steps:
            step(c)
        crash(c, service)
        c.send("good", BY_NAME["metrics"], c.good(BY_NAME["metrics"]))
        count_in_both(c, service)
        with away.away():
            ask_without_database(c, service)
            with c.holding(BY_NAME["enrich"], 4, c.key()), c.holding(BY_NAME["batch"], 4, c.key("session")):
                service.kill()
            assert not leaks(service, c, traces, away)
        check_that_it_was_looked_for(service, c, traces)
        check_that_every_door_was_driven(c)
        service.start()  # what waited on the disk is counted now
        c.send("good", BY_NAME["enrich"], Carried("/v1/enrich", c.contact(), headers=c.key()))
        service.stop()
        assert not leaks(service, c, traces, away)
        assert not [path for path in files_below(service.folder) if path.name.startswith("core")]
    finally:
        c.client.close()
        service.kill()
        traces.close()


def test_every_door_has_a_request_that_carries_marks() -> None:
    assert not carrying.doors_without_a_request()


PLACES = ("log", "audit", "database", "write-ahead log", "spool", "keys", "metrics", "traces", "core", "answer")


@pytest.mark.parametrize("place", PLACES)
def test_the_search_finds_what_was_put_into_any_kind_of_place(place: str, tmp_path: Path) -> None:
    search = Search()
    values = {"qz0123456789abcd": False, "QX1Z 4AB": True, "9991234567": True, "97123456789012345": False}
    for value, hashed in values.items():
        search.add(value, hashed=hashed)
    clean = _held(place, tmp_path / "clean", b"nothing of interest")
    assert not search.find(clean)
    for value, hashed in values.items():
        for number, (form, needle) in enumerate(forms_of(value, hashed=hashed)):
            data = _held(place, tmp_path / f"{value[:4]}{number}", needle)
            assert Found(value, form, 0)[:2] in {f[:2] for f in search.find(data)}, (place, value, form)


def _held(place: str, folder: Path, value: bytes) -> bytes:
    """What a place of this kind looks like with a value in it, as it is read back."""
    folder.mkdir()
    if place in ("database", "write-ahead log", "spool"):
        file = folder / "db.sqlite"
        store = sqlite3.connect(file, isolation_level=None)
        if place == "write-ahead log":
            store.execute("PRAGMA journal_mode = WAL")
        store.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, what TEXT)")
        store.execute("INSERT INTO t (what) VALUES (CAST(? AS TEXT))", (b"[" + value + b"]",))
        data = (folder / "db.sqlite-wal" if place == "write-ahead log" else file).read_bytes()
        store.close()
        return data
    if place == "metrics":
        import mmap

        file = folder / "counter.db"
        file.write_bytes(bytes(2**16))
        with file.open("r+b") as opened_file, mmap.mmap(opened_file.fileno(), 2**16) as mapped:
            mapped[5000 : 5000 + len(value)] = value
        return file.read_bytes()
    if place == "core":
        return os.urandom(2**18) + value + os.urandom(1000)
    if place == "traces":
        return b"\x0a\x10" + bytes([len(value)]) + value + b"\x12\x02ok"
    file = folder / place
    file.write_bytes(b'{"event":"' + value + b'"}\n')
    return file.read_bytes()


@pytest.mark.parametrize("shift", range(3))
def test_the_search_finds_a_value_in_the_middle_of_base64(shift: int) -> None:
    import base64

    search = Search()
    search.add("QX1Z 4AB", "qz0123456789abcd")
    for value in search.values:
        for spelled in (value, value.lower(), value.upper(), value.replace(" ", "")):
            whole = base64.urlsafe_b64encode(b"x" * shift + spelled.encode() + b"and more")
            assert value in {found.value for found in search.find(b"{" + whole + b"}")}


def test_a_number_within_another_number_is_not_found_but_alone_it_is() -> None:
    search = Search()
    search.add("32911000")
    assert not search.find(b"id 9f32911000ab")
    assert search.find(b'{"snomed":["32911000"]}')
