"""The recipes for integration do what they say: with the real parser, the real service, and servers that fail."""

import json
import logging
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from app.contract.enrich import Contact, EnrichRequest, EnrichResponse
from app.counts.periods import today
from app.counts.vocabulary import vocabulary
from app.settings import Settings
from examples import stream
from examples.client import SECONDS, connect, enrich_or_none
from examples.hl7v2 import mapping
from tests.integration.running import free_port, pasted, serving
from tests.service import bearer, calling, key_in
from tests.starter_data import postcodes

ROOT = Path(__file__).parents[2]
SAMPLES = {path.stem: path.read_text("utf-8") for path in (ROOT / "examples" / "hl7v2").glob("*.hl7")}
GUIDE = (ROOT / "docs" / "integration.md").read_text("utf-8")
KEY = b"a secret of the engine"

EXPECTED: dict[str, dict[str, Any]] = {
    "a01_admission": {
        "postcode": "B13 9XB",
        "contact": {
            "specialty": "340",
            "type": "emergency",
            "outcome": "admitted",
            "date": "2026-11-19",
            "event_id": "ebba9a3c92ba16dc608b0a1ef497c0350c866747bf1cd6301198056ed793e665",
            "age": 75,
            "sex": "female",
        },
    },
    "a04_outpatient": {
        "postcode": "BH1 3BE",
        "contact": {
            "specialty": "110",
            "type": "outpatient",
            "outcome": "attended",
            "date": "2026-11-20",
            "event_id": "e3a655511dab71875c18c011fc5cc74a5bdfe1dff3d2479486521fc7e45242bb",
            "age": 40,
            "sex": "male",
        },
    },
    "a04_no_fixed_abode": {
        "postcode": "ZZ99 3VZ",
        "contact": {
            "specialty": "180",
            "type": "emergency_department",
            "outcome": "attended",
            "date": "2026-11-20",
            "event_id": "de12da238fce7dfdaf32c3100d522904e3bbc931c2dda2f3e7c509f6d35b0c4b",
            "sex": "not_known",
        },
    },
    "a04_without_address_or_pv1": {
        "postcode": None,
        "contact": {
            "outcome": "attended",
            "date": "2026-11-20",
            "event_id": "15bbfb1ef078cd1105dcd5e7baab2e21de4d5ffcb757c9f8e64315dba2ca8d3d",
            "age": 6,
        },
    },
    "a08_moved_house": {"postcode": "NG1 1AA"},
    "a31_address_removed": {"postcode": None},
}
STATUSES = {"ZZ99 3VZ": "no_fixed_abode", None: "malformed"}


def request_of(text: str) -> dict[str, Any]:
    return mapping.request_of(mapping.parsed(text), KEY)


@pytest.fixture
def service(starter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """The service with a store of its own, two days after the sample messages."""
    monkeypatch.setattr("app.counts.intake.today", lambda: date(2026, 11, 22))
    with calling(Settings(data_dir=starter, counts_dir=tmp_path)) as service:
        yield service


@pytest.fixture(scope="module")
def running(starter: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The address of the service in a process of its own, and a key to it."""
    counts = tmp_path_factory.mktemp("counts")
    environment = {"IMDLENS_DATA_DIR": str(starter), "IMDLENS_COUNTS_DIR": str(counts)}
    key = key_in(counts, **environment)
    with serving(counts, **environment) as (url, _):
        yield url, key


# ------------------------------------------------------------------------------------------------ HL7 v2


def test_each_sample_message_becomes_the_request_that_is_written_here() -> None:
    assert {name: request_of(text) for name, text in SAMPLES.items()} == EXPECTED


@pytest.mark.parametrize("name", EXPECTED)
def test_the_service_takes_each_request_and_counts_each_contact_once(service: TestClient, name: str) -> None:
    body = request_of(SAMPLES[name])
    first, again = (service.post("/v1/enrich", json=body) for _ in range(2))
    assert first.status_code == again.status_code == 200
    answer, contact = first.json(), "contact" in body
    assert answer["postcode_status"] == STATUSES.get(body["postcode"], "live")
    assert (answer["counted"], answer["counted_reason"]) == ((True, None) if contact else (False, "no_contact"))
    assert again.json()["counted_reason"] == ("duplicate" if contact else "no_contact")
    assert [w["code"] for w in answer["warnings"]] == ([] if body["postcode"] else ["empty"])


def test_a_message_that_is_sent_anew_under_another_message_id_has_the_same_event_id() -> None:
    text = SAMPLES["a01_admission"]
    anew = text.replace("MSG00001", "MSG99999").replace("20261120143000", "20261121080000")
    assert request_of(anew) == request_of(text)


def test_another_visit_another_day_another_event_and_another_secret_have_another_event_id() -> None:
    text = SAMPLES["a04_outpatient"]
    others = [
        text.replace("V000002", "V000007"),
        text.replace("20261120", "20261119"),
        text.replace("ADT^A04", "ADT^A01"),
        text.replace("RXX01|ENGINE", "RXX02|ENGINE"),
    ]
    ids = {request_of(other)["contact"]["event_id"] for other in (text, *others)}
    ids.add(mapping.request_of(mapping.parsed(text), b"another")["contact"]["event_id"])
    assert len(ids) == 6


def test_a_message_without_visit_and_message_id_has_no_event_id_rather_than_that_of_others() -> None:
    text = SAMPLES["a04_without_address_or_pv1"].replace("MSG00004", "")
    assert "event_id" not in request_of(text)["contact"]


@pytest.mark.parametrize("name", EXPECTED)
def test_nothing_that_names_a_patient_or_a_visit_is_in_a_request(name: str) -> None:
    body = json.dumps(request_of(SAMPLES[name]))
    identifying = re.findall(r"\b(?:T0\d+|V0\d+|MSG\d+|[A-Z]{2,}(?=\^[A-Z]{2,}))", SAMPLES[name])
    assert len(identifying) >= 3
    assert not [text for text in identifying if text in body]


@pytest.mark.parametrize(
    ("addresses", "postcode"),
    [
        ("^^^^NG1 1AA^^H~^^^^BH1 3BE^^C", "NG1 1AA"),
        ("^^^^BH1 3BE^^C~^^^^NG1 1AA^^H", "NG1 1AA"),
        ("^^^^BH1 3BE~^^^^NG1 1AA^^C", "NG1 1AA"),
        ("^^^^NG1 1AA^^H~^^^^BH1 3BE^^H", "NG1 1AA"),
        ("^^^^BH1 3BE^^BA~^^^^NG1 1AA", "NG1 1AA"),
        ("^^^^NG1 1AA^^BA~^^^^NG1 1AA^^M~^^^^NG1 1AA^^TM~^^^^NG1 1AA^^B", None),
        ("1 Some Street^^Poole^^^^H~^^^^BH1 3BE^^C", None),
        ("^^^^BH1 3BE^^H^^^^^^^20200101~^^^^NG1 1AA^^C", "NG1 1AA"),
        ("^^^^NG1 1AA^^H^^^^^^^20991231", "NG1 1AA"),
        ("^^^^NG1 1AA&extra^^H", "NG1 1AA"),
        ("1 Some Street", None),
        ('""', None),
        ("", None),
    ],
)
def test_the_home_address_is_chosen_among_the_repeats(addresses: str, postcode: str | None) -> None:
    text = f"MSH|^~\\&|PAS|RXX01|||20261120||ADT^A31|1|P|2.5\nPID|1||T1||A^B||19800101|F|||{addresses}|\n"
    assert request_of(text) == {"postcode": postcode}


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_lines_may_end_as_the_standard_has_it_or_as_editors_do(end: str) -> None:
    assert request_of(SAMPLES["a01_admission"].replace("\n", end)) == EXPECTED["a01_admission"]


def test_other_separators_are_read_as_the_message_declares_them() -> None:
    text = SAMPLES["a01_admission"].translate(str.maketrans("^~", "$%"))
    assert request_of(text) == EXPECTED["a01_admission"]


def test_the_samples_hold_postcodes_of_the_starter_data_and_pseudo_postcodes_only() -> None:
    found = re.findall(r"\b[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}\b", "".join(SAMPLES.values()))
    assert len(found) >= 8
    assert set(found) <= {*postcodes(), "ZZ99 3VZ"}


def test_the_tables_of_the_example_hold_words_that_are_counted() -> None:
    words = vocabulary()
    assert set(mapping.SPECIALTIES.values()) <= set(words.specialties)
    assert set(mapping.TYPES.values()) <= set(words.contact_types)
    assert set(mapping.SEXES.values()) <= set(words.sexes)
    assert set(mapping.OUTCOMES.values()) <= set(words.outcomes)


# ------------------------------------------------------------------------------------------------ the guide


def table(heading: str) -> list[list[str]]:
    """The cells of a table's rows, below its heading's first line."""
    after = GUIDE.split(f"\n{heading}\n", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in after.splitlines()[1:]]


def test_the_mapping_table_names_fields_of_the_contract_and_all_that_the_example_sends() -> None:
    named = {row[1].strip("`") for row in table("| HL7 v2 | to | how |")}
    contact = {f"contact.{field}" for field in Contact.__annotations__}
    assert named <= {*EnrichRequest.__annotations__, *contact}
    sent = {f"contact.{field}" for body in EXPECTED.values() for field in body.get("contact", ())}
    assert sent | {"postcode"} == named


def test_the_codes_of_the_mapping_table_are_those_of_the_example() -> None:
    pairs = {row[1].strip("`"): re.findall(r"`(\w+)` `(\w+)`", row[2]) for row in table("| HL7 v2 | to | how |")}
    assert dict(pairs["contact.sex"]) == mapping.SEXES
    assert dict(pairs["contact.outcome"]) == mapping.OUTCOMES
    assert set(pairs["contact.type"]) == {(c, t) for c, t in mapping.TYPES.items() if len(c) == 1}


def test_what_is_to_be_written_back_is_in_every_answer() -> None:
    named = {row[0].strip("`") for row in table("| field of the answer | in the record |")}
    assert named == {"imd_decile", "core20", "imd_edition", "core20_reason"}
    assert named <= set(EnrichResponse.model_fields)


def test_the_commands_for_a_nightly_file_answer_each_row_and_count_each_contact_once(
    starter: Path, tmp_path: Path
) -> None:
    alone, counted = re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)[:2]
    rows = [f"NG1 1AA,night {i},{today()},340,attended" for i in range(3)]
    heading = "home_postcode,contact_id,contact_date,treatment_function_code,outcome"
    (tmp_path / "extract.csv").write_text("\n".join([heading, *rows, ""]), "utf-8")
    environment = {"IMDLENS_DATA_DIR": str(starter), "IMDLENS_COUNTS_DIR": str(tmp_path / "counts")}
    nights = [pasted(commands, cwd=tmp_path, **environment) for commands in (alone, counted, counted)]
    assert [night.returncode for night in nights] == [0, 0, 0], [night.stderr for night in nights]
    said = [re.findall(r"Contacts counted: (\d)", night.stderr) for night in nights]
    assert said == [[], ["3"], ["0"]]
    answered = (tmp_path / "answered.csv").read_text("utf-8").splitlines()[1:]
    assert answered == [f"{row},live,England,3,2,IoD2025,false," for row in rows]
    (tmp_path / "extract.csv").write_text(f"{heading}\nNG1 1AA\n", "utf-8")
    assert pasted(f"{alone}echo loaded", cwd=tmp_path, **environment).stdout == ""
    assert (tmp_path / "answered.csv").read_text("utf-8").splitlines()[1:] == answered


@pytest.mark.parametrize("kind", ["ndjson", "csv"])
def test_the_commands_for_a_large_file_answer_all_of_it_or_leave_nothing(
    running: tuple[str, str], tmp_path: Path, kind: str
) -> None:
    (commands,) = [
        c for c in re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL) if f"> answers.{kind}" in c and "-T -" in c
    ]
    commands = commands.replace("http://127.0.0.1:8080", running[0]).replace("/etc/imdlens/key.header", "key.header")
    (tmp_path / "key.header").write_text(f"Authorization: {bearer(running[1])['Authorization']}\n")
    line = '{"postcode": "NG1 1AA"}\n' if kind == "ndjson" else "1,NG1 1AA\n"
    heading = "" if kind == "ndjson" else "id,postcode\n"
    (tmp_path / f"extract.{kind}").write_text(heading + line * 50_000)
    subprocess.run(["sh", "-c", commands], cwd=tmp_path, check=True)
    answers = (tmp_path / f"answers.{kind}").read_text().splitlines()
    assert len(answers) == 50_000 + bool(heading)
    assert len(set(answers)) == 1 + bool(heading)
    (tmp_path / "key.header").write_text("Authorization: Bearer imdl_" + "A" * 43)
    subprocess.run(["sh", "-c", commands], cwd=tmp_path, check=True, capture_output=True)
    assert not (tmp_path / f"answers.{kind}").exists()


def test_the_program_for_a_large_file_reads_while_it_sends(running: tuple[str, str], tmp_path: Path) -> None:
    (program,) = [p for p in re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL) if "examples.stream" in p]
    program = program.replace("http://127.0.0.1:8080", running[0])
    (tmp_path / "extract.ndjson").write_bytes(b'{"postcode": "NG1 1AA"}\n' * 50_000)  # far more than any buffer holds
    program = f"import os\nos.chdir({str(tmp_path)!r})\nkey = {running[1]!r}\n{program}"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=120)
    assert (tmp_path / "answers.ndjson").read_bytes().count(b'"imd_decile":3') == 50_000


def test_the_program_for_a_large_file_raises_where_it_is_refused_and_where_either_side_breaks_off(
    running: tuple[str, str],
) -> None:
    def breaks_off() -> Iterator[bytes]:
        yield b'{"postcode": "NG1 1AA"}\n'
        raise KeyError

    with pytest.raises(stream.RefusedError, match="A key is needed"):
        list(stream.answers(running[0], "imdl_" + "A" * 43, [b"{}"]))
    with pytest.raises(KeyError):
        list(stream.answers(running[0], running[1], breaks_off()))
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{}\n\r\n"
    for said in (head, head + b"3\r\n{}"):
        with socket.create_server(("127.0.0.1", 0)) as server:
            answering_so = threading.Thread(target=_answer_once, args=(server, said))
            answering_so.start()
            with pytest.raises((HTTPException, OSError)):
                list(stream.answers(f"http://127.0.0.1:{server.getsockname()[1]}", "key", [b"{}\n"]))
            answering_so.join()


def _answer_once(server: socket.socket, said: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        asked = b""
        while not asked.endswith(b"0\r\n\r\n"):
            asked += connection.recv(65536)
        connection.sendall(said)


# ------------------------------------------------------------------------------------------------ the client


@contextmanager
def answering(*answers: Any) -> Iterator[tuple[str, list[Any]]]:
    """A server on 127.0.0.1 with one answer for each request, and the requests: a status, headers and body; a function
    of the request that gives them; or None, which breaks the connection off."""
    seen: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.append((body, self.headers["Idempotency-Key"]))
            answer = answers[len(seen) - 1]
            answer = answer(*seen[-1]) if callable(answer) else answer
            self.close_connection = True
            if answer is not None:
                status, headers, text = answer
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(text))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def patient_client(url: str, key: str = "a key") -> Iterator[httpx.Client]:
    """The example's client, given time: where an answer is expected, a slow machine is no fault."""
    with connect(url, key) as client:
        client.timeout = httpx.Timeout(30)
        yield client


def test_the_client_allows_300_milliseconds_and_asks_no_proxy() -> None:
    with connect("http://127.0.0.1", "a key") as client:
        assert client.timeout == httpx.Timeout(0.3) == httpx.Timeout(SECONDS)
        assert not client.trust_env


def test_the_client_gives_the_answer_of_the_running_service_and_a_second_call_is_not_counted(
    running: tuple[str, str],
) -> None:
    with patient_client(*running) as client:
        first, again = (enrich_or_none(client, "NG1 1AA", {"specialty": "340"}, "twice") for _ in range(2))
        plain = enrich_or_none(client, None, None, "no contact")
    assert first is not None
    assert again is not None
    assert plain is not None
    assert (first["imd_decile"], first["counted"], again["counted_reason"]) == (3, True, "duplicate")
    assert (plain["postcode_status"], plain["counted_reason"]) == ("malformed", "no_contact")


def test_a_retry_after_a_lost_answer_is_counted_once(running: tuple[str, str]) -> None:
    told: list[tuple[bool, str | None]] = []
    url, proof = running[0], bearer(running[1])

    def relay(body: Any, key: str) -> tuple[int, dict[str, str], bytes]:
        answer = httpx.post(f"{url}/v1/enrich", json=body, headers={"Idempotency-Key": key, **proof}, timeout=30)
        told.append((answer.json()["counted"], answer.json()["counted_reason"]))
        return answer.status_code, {}, answer.content

    def lose(body: Any, key: str) -> None:
        relay(body, key)

    with answering(lose, relay) as (relayed, _), patient_client(relayed) as client:
        answer = enrich_or_none(client, "NG1 1AA", {"specialty": "320"}, "lost once")
    assert answer is not None
    assert answer["imd_decile"] == 3
    assert told == [(True, None), (False, "duplicate")]


def test_where_nobody_listens_there_is_none_within_a_second() -> None:
    with connect(f"http://127.0.0.1:{free_port()}", "a key") as client:
        start = monotonic()
        assert enrich_or_none(client, "NG1 1AA", None, "nobody") is None
        assert monotonic() - start < 1


def test_a_server_that_never_answers_gives_none_and_is_not_asked_again() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        connect(f"http://127.0.0.1:{silent.getsockname()[1]}", "a key") as client,
    ):
        assert enrich_or_none(client, "NG1 1AA", None, "silent") is None
        silent.accept()[0].close()
        silent.setblocking(False)
        with pytest.raises(BlockingIOError):
            silent.accept()


OK = (200, {}, b'{"imd_decile": 3}')
BUSY = (503, {"Retry-After": "5"}, b"{}")


@pytest.mark.parametrize(
    ("answers", "patience", "given", "requests", "waits"),
    [
        ([BUSY, OK], 5, {"imd_decile": 3}, 2, [5]),
        ([BUSY, OK], 0, None, 1, []),
        ([(503, {"Retry-After": "0"}, b""), OK], 0, {"imd_decile": 3}, 2, [0]),
        ([(503, {}, b""), OK], 60, None, 1, []),
        ([(429, {"Retry-After": "2"}, b""), OK], 60, {"imd_decile": 3}, 2, [2]),
        ([(429, {"Retry-After": "2"}, b""), OK], 0, None, 1, []),
        ([(401, {}, b""), OK], 60, None, 1, []),
        ([(403, {"Retry-After": "0"}, b""), OK], 60, None, 1, []),
        ([(503, {"Retry-After": "Mon, 23 Nov 2026 10:00:00 GMT"}, b""), OK], 60, None, 1, []),
        ([BUSY, BUSY, OK], 60, None, 2, [5]),
        ([None, OK], 0, {"imd_decile": 3}, 2, []),
        ([None, None, OK], 60, None, 2, []),
        ([(422, {"Retry-After": "0"}, b"{}"), OK], 60, None, 1, []),
        ([(500, {}, b"a page"), OK], 60, None, 1, []),
        ([(200, {}, b"a page"), OK], 60, None, 1, []),
        ([(200, {}, b"[]"), OK], 60, None, 1, []),
    ],
)
def test_the_client_tries_again_once_with_the_same_key_and_only_where_that_can_help(
    answers: list[Any],
    patience: float,
    given: object,
    requests: int,
    waits: list[int],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    waited: list[int] = []
    monkeypatch.setattr("examples.client.time.sleep", waited.append)
    caplog.set_level(logging.DEBUG)
    with answering(*answers) as (url, seen), patient_client(url) as client:
        assert enrich_or_none(client, "NG1 1AA", {"age": 54}, "the key", patience) == given
    assert seen == [({"postcode": "NG1 1AA", "contact": {"age": 54}}, "the key")] * requests
    assert waited == waits
    assert "NG1" not in caplog.text
