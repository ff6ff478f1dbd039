"""Requests that carry something to be found in every place where a request can hold it, through every door."""

import json
import random
import socket
import struct
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

import httpx

from app.context.files import RuleFolder
from app.context.inclusion import Inclusion
from app.doors import DOORS, HOOKS, Door
from app.pages import token as card_token
from tests import starter_data
from tests.integration.searching import Search
from tests.service import bearer
from tests.unit.access import signers

FORM: Final = "application/x-www-form-urlencoded"
IDENTITY: Final = "X-Remote-User"
MOST_BYTES: Final = 16_384
BY_NAME: Final = {door.name: door for door in DOORS}
GUARDED: Final = [door for door in DOORS if door.scope is not None]
POSTED: Final = [door for door in DOORS if door.method == "POST"]
JSON: Final = [door for door in POSTED if door.name not in ("sign_in", "sign_out", "stream")]
ECHOED: Final = frozenset({"x-request-id", "x-correlation-id"})
"""What comes back by contract."""

_STRICT: Final = frozenset({"table", "inequality", "trend", "exact_counts"})
"""Doors that refuse a query which they do not know."""


class Carried(NamedTuple):
    """A request for a door."""

    path: str
    json: Any = None
    form: Mapping[str, str] | None = None
    content: bytes | None = None
    headers: Mapping[str, str] = {}
    expected: frozenset[int] = frozenset({200})


class Carrier:
    """Sends requests full of marks, and keeps what came back."""

    def __init__(self, url: str, keys: Mapping[str, str], secret: str, seed: int = 20261122) -> None:
        self.url, self.keys, self.secret = url, keys, secret
        self.rng = random.Random(seed)
        self.invented, self.real, self.issued = Search(), Search(), Search()
        """What no answer and no file may hold; and what no file may: what is public, and what the service gave out."""
        self.answers: list[bytes] = []
        self.seen: dict[str, set[int]] = defaultdict(set)
        """Statuses by door."""
        self.driven: dict[str, set[str]] = defaultdict(set)
        """Doors by what was tried with them."""
        self.codes = [r.code for r in Inclusion.load(RuleFolder()).rules if r.signal == "snomed"]
        self.postcodes = starter_data.postcodes()
        self.real.add(*self.postcodes, hashed=True)
        self.real.add(*(code for code in self.codes if len(code) >= 6))
        self.invented.add(secret, *keys.values())
        self.client = httpx.Client(base_url=url, timeout=30, follow_redirects=False)
        self.session = ""
        self.form_token = ""
        self.host, _, port = url.removeprefix("http://").partition(":")
        self.port = int(port)

    # ------------------------------------------------------------------------------------- marks

    def mark(self) -> str:
        """A word that nothing but a request can hold."""
        return self._marked(f"qz{self.rng.getrandbits(56):014x}")

    def name(self) -> str:
        """A person's name."""
        return self._marked("Qz" + "".join(self.rng.choices("bcdfghjklmnpqrstvwxz", k=10)))

    def digits(self) -> str:
        """A code that could be SNOMED's."""
        return self._marked("97" + "".join(self.rng.choices("0123456789", k=14)))

    def nhs_number(self) -> str:
        """A number of the range that is given to nobody."""
        while True:
            nine = "999" + "".join(self.rng.choices("0123456789", k=6))
            check = 11 - sum(int(d) * (10 - i) for i, d in enumerate(nine)) % 11
            if check != 10:
                return self._marked(f"{nine}{check % 11}", hashed=True)

    def postcode(self) -> str:
        """A postcode of an area that there is not."""
        letters = self.rng.choices("ABDEFGHJLNPQRSTUWXYZ", k=4)
        return self._marked(
            f"Q{letters[0]}{self.rng.randrange(10)}{letters[1]} {self.rng.randrange(10)}{letters[2]}{letters[3]}",
            hashed=True,
        )

    def _marked(self, value: str, *, hashed: bool = False) -> str:
        self.invented.add(value, hashed=hashed)
        return value

    def gave_out(self, value: str) -> str:
        """Remember what the service made for this caller alone."""
        self.issued.add(value)
        return value

    def either(self, real: Any) -> Any:
        """Something real, or a mark."""
        return self.rng.choice([real, self.mark()])

    # ------------------------------------------------------------------------------------- proofs

    def key(self, name: str = "all") -> dict[str, str]:
        return bearer(self.keys[name])

    def wrong_key(self) -> str:
        return self._marked("imdl_" + "".join(self.rng.choices("ABCDEFGHJKMNPQRSTUVWXYZabcdefghjkmnp23456789", k=43)))

    def _token(self, signer: signers.Signer, claims: dict[str, Any], **header: Any) -> str:
        now = time.time()
        token = signer.token(claims | {"iat": now - 1, "exp": now + 200, self.mark(): self.mark()}, **header)
        return self._marked(token)

    def access_token(self, signer: signers.Signer = signers.IDP_KEYS["RS256"], **claims: Any) -> str:
        more = {"sub": self.mark(), "jti": self.mark(), "name": self.name()} | claims
        return self._token(signer, signers.access_claims(**more))

    def hook_token(self, path: str, signer: signers.Signer = signers.EPR_KEY, **claims: Any) -> str:
        more = {"aud": signers.BASE + path, "jti": self.mark(), "sub": self.mark()} | claims
        return self._token(signer, signers.hook_claims(**more), jku=signers.JKU)

    def proofs_of_nobody(self, door: Door) -> Iterator[dict[str, str]]:
        """Everything that opens nothing: missing, wrong, revoked, forged, of another kind."""
        stranger = signers.signer("RS256", "idp-RS256", 7)
        yield {}
        yield bearer(self.wrong_key())
        yield self.key("revoked")
        yield bearer(self.mark())
        yield {"Authorization": f"Basic {self.mark()}"}
        yield {"Authorization": f"{self.mark()} {self.keys['all']}"}
        yield bearer(self.access_token(stranger))
        yield bearer(self.access_token(azp=self.mark()))
        yield bearer(self.access_token(aud=self.mark(), iss=self.mark()))
        yield bearer(self.hook_token(door.path, signers.signer("ES384", "epr", 9)))
        yield bearer(self.hook_token(f"/{self.mark()}"))
        yield {"Cookie": f"__Host-imdlens={self.mark()}"}

    # ------------------------------------------------------------------------------------- what is sent

    def record(self) -> dict[str, Any]:
        """One question, of real values and invented ones."""
        either, rng = self.either, self.rng
        return {
            "postcode": rng.choice([rng.choice(self.postcodes), self.postcode(), self.mark(), self.nhs_number()]),
            "contact": {
                "specialty": either("340"),
                "type": "outpatient",
                "age": either(54),
                "sex": either("female"),
                "outcome": either("attended"),
                "event_id": rng.choice([self.mark(), self.nhs_number()]),
                "ethnic_category": {"system": either("england"), "code": either("H")},
            },
            "signals": {
                "snomed": [rng.choice([rng.choice(self.codes), self.digits()]) for _ in range(rng.randrange(4))],
                "accommodation_status": either(rng.choice(["HM01", "Rough sleeper/squatting", "MA01"])),
                "ethnic_category": {"system": either("wales"), "code": either("B")},
                "setting_roles": [either("RO175")],
                "interpreter_required": either(True),
            },
            "include": ["context", "area"],
        }

    def contact(self) -> dict[str, Any]:
        """A question whose contact is counted."""
        contact = {"specialty": "340", "type": "outpatient", "age": 54, "sex": "female", "event_id": self.mark()}
        return {"postcode": self.rng.choice(self.postcodes), "contact": contact}

    def patient(self, postcode: str | None = None) -> dict[str, Any]:
        """A Patient as an EPR holds it."""
        home = postcode or self.rng.choice([*self.rng.choices(self.postcodes, k=2), self.postcode()])
        return {
            "resourceType": "Patient",
            "id": self.mark(),
            "identifier": [{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": self.nhs_number()}],
            "name": [{"family": self.name(), "given": [self.name()]}],
            "telecom": [{"system": "phone", "value": self.digits()}],
            "birthDate": self.mark(),
            "address": [{"use": "home", "line": [self.mark()], "city": self.name(), "postalCode": home}],
            "extension": [{"url": self.mark(), "valueString": self.mark()}],
            "photo": [{"contentType": self.mark(), "data": self.mark()}],
        }

    def hook(self, door: Door, **more: Any) -> dict[str, Any]:
        """A hook with a Patient, a token of the EPR's and ids of its own."""
        return {
            "hook": "patient-view" if door.name == "cds_context" else "appointment-book",
            "hookInstance": self.mark(),
            "fhirServer": f"https://{self.mark()}.example",
            "fhirAuthorization": {
                "access_token": self.mark(),
                "token_type": "Bearer",
                "expires_in": 300,
                "scope": self.mark(),
                "subject": self.mark(),
            },
            "context": {"userId": f"Practitioner/{self.mark()}", "patientId": self.mark(), self.mark(): self.mark()},
            "prefetch": {"patient": self.patient(), self.mark(): self.mark()},
            "extension": {self.mark(): self.mark()},
        } | more

    def feedback(self) -> dict[str, Any]:
        """Feedback with a comment in somebody's own words."""
        reason = {
            "reason": {"code": self.mark(), "display": self.mark()},
            "userComment": f"{self.name()} {self.mark()}",
        }
        return {"feedback": [{"card": self.mark(), "outcome": "overridden", "overrideReason": reason}]}

    def as_fhir(self, postcode: str | None = None) -> dict[str, Any]:
        """A question as FHIR, with what an EPR sends besides."""
        codes = [self.rng.choice(self.codes), self.digits()]
        named = [{"name": "signal-snomed", "valueCode": code} for code in codes]
        known = [{"name": "patient", "resource": self.patient(postcode)}, {"name": "specialty", "valueCode": "340"}]
        return {
            "resourceType": "Parameters",
            "id": self.mark(),
            "parameter": [*known, *named, {"name": self.mark(), "valueString": self.mark()}],
        }

    def sealed(self, age: float = 0) -> str:
        """A card's sealed content that cannot be a card's, made so long ago."""
        return self._marked(card_token.seal(self.mark().encode(), [self.secret.encode()], time.time() - age))

    def headers(self) -> dict[str, str]:
        """What a caller may write into the head of any request."""
        return {
            "User-Agent": f"{self.mark()}/1.0 ({self.name()})",
            "Referer": f"https://{self.mark()}.example/{self.mark()}?nhs={self.nhs_number()}",
            "Origin": f"https://{self.mark()}.example",
            "Cookie": f"{self.mark()}={self.mark()}; imdlens={self.mark()}; __Host-imdlens={self.mark()}",
            "X-Request-ID": self.mark(),
            "X-Correlation-ID": self.nhs_number(),
            "traceparent": f"00-{self.rng.getrandbits(128) | 1:032x}-{self.rng.getrandbits(64) | 1:016x}-01",
            "tracestate": f"{self.mark()}={self.mark()}",
            "baggage": f"patient={self.mark()},{self.mark()}={self.nhs_number()}",
            "Idempotency-Key": self.mark(),
            "X-Forwarded-For": self.mark(),
            "Forwarded": f"for={self.mark()};host={self.mark()}",
            "Accept-Language": self.mark(),
            "If-None-Match": f'"{self.mark()}"',
            f"X-{self.mark()}": self.mark(),
        }

    def query(self) -> str:
        return urlencode({"postcode": self.postcode(), self.mark(): self.mark(), "q": self.name()})

    # ------------------------------------------------------------------------------------- doors

    def good(self, door: Door) -> Carried:
        """A request that the door answers."""
        made: Carried = _GOOD[door.name](self)
        if door.scope is not None and "Authorization" not in made.headers and "Cookie" not in made.headers:
            made = made._replace(headers={**made.headers, **self.key()})
        return made

    def send(self, tried: str, door: Door | None, carried: Carried, method: str | None = None) -> httpx.Response:
        """Send, with marks all around; what came back is kept, and must be what is expected.

        A machine that has other work may be called overloaded: then once more, as any client would.
        """
        named = door.name if door else "none"
        for _ in range(40):
            headers = {**self.headers(), **carried.headers}
            target = carried.path
            if not (named in _STRICT and tried in ("good", "404", "500")):
                target += ("&" if "?" in target else "?") + self.query()
            content = carried.content
            if carried.form is not None:
                content = urlencode(carried.form).encode()
                headers.setdefault("Content-Type", FORM)
            elif content is None and carried.json is not None:
                content = json.dumps(carried.json).encode()
                headers.setdefault("Content-Type", "application/json")
            verb = method or (door.method if door else "GET")
            try:
                answer = self.client.request(verb, target, content=content, headers=headers)
            except httpx.RemoteProtocolError:  # closed while it was idle
                continue
            self.keep(answer)
            if answer.status_code != 503 or 503 in carried.expected:
                break
            time.sleep(0.1)
        assert answer.status_code in carried.expected, (tried, named, answer.status_code, answer.text[:300])
        self.seen[named].add(answer.status_code)
        self.driven[tried].add(named)
        return answer

    def keep(self, answer: httpx.Response) -> None:
        """What came back, but for what is mirrored by contract."""
        shown = [f"{name}: {value}" for name, value in answer.headers.items() if name.lower() not in ECHOED]
        self.answers.append("\n".join(shown).encode() + b"\n\n" + answer.content)

    def head(self, door: Door, path: str, headers: Mapping[str, str], length: int) -> bytes:
        """The head of a request, for those who send its body by hand."""
        lines = [f"{door.method} {path}?{self.query()} HTTP/1.1", f"Host: {self.host}", f"Content-Length: {length}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    @contextmanager
    def holding(self, door: Door, many: int, headers: Mapping[str, str]) -> Iterator[list[socket.socket]]:
        """Many requests whose bodies do not come to their end."""
        opened: list[socket.socket] = []
        try:
            said = self.begun(door, headers)  # made once: all must be there before the first is given up
            while len(opened) < many:
                opened.append(self._connected(said))
            yield opened
        finally:
            for connection in opened:
                connection.close()

    def begin(self, door: Door, headers: Mapping[str, str]) -> socket.socket:
        """A request with half of its body, on a connection of its own."""
        return self._connected(self.begun(door, headers))

    def _connected(self, said: bytes) -> socket.socket:
        connection = socket.create_connection((self.host, self.port), timeout=30)
        connection.sendall(said)
        return connection

    def begun(self, door: Door, headers: Mapping[str, str]) -> bytes:
        """A request without the last byte of its body."""
        made = self.good(door)
        said = {**self.headers(), **made.headers, **headers}
        if door.name == "stream":  # a heading that does not end: an answer must not have begun
            body, said["Content-Type"] = f"{self.mark()},{self.postcode()}".encode(), "text/csv"
        else:
            body = urlencode(made.form).encode() if made.form is not None else json.dumps(made.json).encode()
            said["Content-Type"] = FORM if made.form is not None else "application/json"
        return self.head(door, made.path, said, len(body) + 1) + body

    def answer_to(self, connection: socket.socket) -> int:
        """The status of the one answer on a connection, which is kept; 0 where there is none."""
        came = b""
        try:
            while some := connection.recv(65536):
                came += some
                head, found, body = came.partition(b"\r\n\r\n")
                length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                if found and length and len(body) >= int(length[0][15:]):
                    break
        except OSError:
            pass
        head, _, body = came.partition(b"\r\n\r\n")
        kept = [line for line in head.split(b"\r\n") if line.partition(b":")[0].lower().decode() not in ECHOED]
        self.answers.append(b"\n".join(kept) + body)
        return int(came[9:12]) if came[:5] == b"HTTP/" else 0

    @staticmethod
    def hang_up(connection: socket.socket, *, rudely: bool) -> None:
        """Leave; rudely: by a reset."""
        if rudely:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()


def _hook(name: str) -> Callable[[Carrier], Carried]:
    door = BY_NAME[name]

    def made(c: Carrier) -> Carried:
        proof = c.rng.choice([bearer(c.hook_token(door.path)), bearer(c.access_token()), c.key()])
        return Carried(door.path, c.hook(door), headers=proof)

    return made


def _feedback(c: Carrier) -> Carried:
    path = f"/cds-services/{c.rng.choice(['access-offers', 'deprivation-context'])}/feedback"
    return Carried(path, c.feedback(), headers=bearer(c.hook_token(path)))


def _batch(c: Carrier) -> Carried:
    records = [c.record(), c.mark(), {c.mark(): c.mark()}, c.contact()]
    if c.rng.random() < 0.5:
        return Carried("/v1/enrich/batch", {"records": records})
    lines = [json.dumps(r) for r in records] + [f'{{"postcode": "{c.postcode()}', c.mark()]
    content = "\n".join(lines).encode()
    return Carried("/v1/enrich/batch", content=content, headers={"Content-Type": "application/x-ndjson"})


def _stream(c: Carrier) -> Carried:
    if c.rng.random() < 0.5:
        lines = [json.dumps(r) for r in (c.record(), {c.mark(): c.mark()}, c.contact())]
        lines += [f'{{"postcode": "{c.postcode()}', c.mark(), json.dumps(c.mark() * 5000)]
        headers = {"Content-Type": "application/x-ndjson"}
    else:
        lines = [f"{c.mark()},postcode,{c.name()}"]
        lines += [f"{c.nhs_number()},{p},{c.name()}" for p in (c.postcode(), c.rng.choice(c.postcodes), c.mark())]
        lines += [c.mark(), c.mark() * 5000, f'"{c.name()}\n{c.mark()}",{c.postcode()}']
        headers = {"Content-Type": c.rng.choice(["text/csv", f'text/csv; charset="utf-8"; {c.mark()}={c.mark()}'])}
    return Carried("/v1/enrich/stream", content="\n".join(lines).encode(), headers=headers)


def _card_make(c: Carrier) -> Carried:
    if c.session and c.rng.random() < 0.5:
        form = {"postcode": c.rng.choice([c.postcode(), c.rng.choice(c.postcodes)]), "form_token": c.form_token}
        form |= c.rng.choice([{}, {"specialty": c.mark()}, {"age": c.mark()}])
        headers = {"Cookie": c.session, "Sec-Fetch-Site": "same-origin"}
        return Carried("/card", form=form, headers=headers, expected=frozenset({303}))
    return Carried("/card", c.record(), expected=frozenset({201}))


def _card(c: Carrier) -> Carried:
    made = c.send("good", BY_NAME["card_make"], Carried("/card", c.record(), None, None, c.key(), frozenset({201})))
    return Carried(f"/card/{c.gave_out(made.json()['url'].rsplit('/', 1)[1])}")


def _ask(c: Carrier) -> Carried:
    if c.rng.random() < 0.5:
        return Carried(f"/?problem={c.mark()}", headers={IDENTITY: c.name(), "Cookie": c.mark()})
    return Carried(f"/?problem={c.mark()}", headers={"Cookie": c.session})


def _sign_in(c: Carrier) -> Carried:
    form = {"key": c.keys["all"], "to": c.mark(), c.mark(): c.mark()}
    return Carried("/sign-in", form=form, headers={"Sec-Fetch-Site": "same-origin"}, expected=frozenset({303}))


def _sign_out(c: Carrier) -> Carried:
    form = {"form_token": c.form_token, c.mark(): c.mark()}
    headers = {"Cookie": c.session, "Sec-Fetch-Site": "same-origin"}
    return Carried("/sign-out", form=form, headers=headers, expected=frozenset({303}))


def _get(path: str, *expected: int) -> Callable[[Carrier], Carried]:
    return lambda _: Carried(path, expected=frozenset(expected or {200}))


_NOTHING_SEALED: Final = 404
_GOOD: Final[dict[str, Callable[[Carrier], Carried]]] = {
    "enrich": lambda c: Carried("/v1/enrich", c.rng.choice([c.record(), c.contact()])),
    "batch": _batch,
    "stream": _stream,
    "tables": _get("/v1/breakdowns"),
    "table": _get("/v1/breakdowns/specialty_core20", 200, 422, _NOTHING_SEALED),
    "inequality": _get("/v1/inequality?measure=missed", 200, 422, _NOTHING_SEALED),
    "trend": _get("/v1/trend?measure=missed", 200, 422, _NOTHING_SEALED),
    "exact_counts": _get("/v1/counts?month=2024-04&by=sex", 200, 422, _NOTHING_SEALED),
    "dashboard": _get("/dashboard"),
    "dashboard_specialty": _get("/dashboard/specialties/340", 200, _NOTHING_SEALED),
    "dashboard_detail": _get("/dashboard/specialties/340/detail", 200, _NOTHING_SEALED),
    "dashboard_brief": _get("/dashboard/specialties/340/brief", 200, _NOTHING_SEALED),
    "dashboard_ranking": _get("/dashboard/ranking"),
    "dashboard_completeness": _get("/dashboard/completeness"),
    "dashboard_inclusion": _get("/dashboard/inclusion-health"),
    "dashboard_editions": _get("/dashboard/editions"),
    "dashboard_practice": _get("/dashboard/practice"),
    "dashboard_help": _get("/dashboard/help"),
    "dashboard_figure": _get("/dashboard/figures/deciles?unit=340", 200, _NOTHING_SEALED),
    "card_make": _card_make,
    "card": _card,
    "ask": _ask,
    "sign_in_page": lambda c: Carried(f"/sign-in?to={c.mark()}"),
    "sign_in": _sign_in,
    "sign_out": _sign_out,
    "cds_discovery": _get("/cds-services"),
    "cds_context": _hook("cds_context"),
    "cds_offers": _hook("cds_offers"),
    "cds_feedback": _feedback,
    "fhir_enrich": lambda c: Carried("/fhir/R4/$enrich", c.as_fhir()),
    "fhir_metadata": _get("/fhir/R4/metadata"),
    "fhir_operation": _get("/fhir/R4/OperationDefinition/enrich"),
    "fhir_codes": _get("/fhir/R4/CodeSystem/caution"),
    "livez": _get("/livez"),
    "readyz": _get("/readyz"),
    "version": _get("/version"),
    "ping": _get("/_ping"),
    "status": _get("/_status"),
    "metrics": _get("/metrics"),
    "openapi": _get("/openapi.json"),
    "docs": _get("/docs"),
    "static": _get("/static/card.css"),
}
assert _GOOD.keys() >= HOOKS


def doors_without_a_request() -> set[str]:
    """Doors that nobody wrote a request for: each new one has to be added here."""
    return {door.name for door in DOORS} ^ _GOOD.keys()


def somewhere_else(c: Carrier, door: Door) -> str:
    """An address below or beside a door's, where there is nothing."""
    head, hole, _ = door.path.partition("{")
    if not hole:
        return f"{door.path.rstrip('/')}/{c.mark()}/{quote(c.postcode())}"
    return head + c.mark() + ("/feedback" if door.name == "cds_feedback" else "")
