"""Nothing that a request carried is found afterwards in what the service wrote, said or kept."""

import json
import random
from pathlib import Path
from typing import Any

import httpx

from app.context.files import RuleFolder
from app.context.inclusion import Inclusion
from tests import starter_data
from tests.integration.running import serving

_REQUESTS = 1000
_KEY = "a key that shows groups"
_HOOKS = (("deprivation-context", "patient-view"), ("access-offers", "appointment-book"))


def test_a_thousand_requests_leave_no_value_behind(starter: Path, tmp_path: Path) -> None:
    """Invented values must not come back at all; real ones must be in no file and no line of the log."""
    rng = random.Random(20261122)  # the same requests each time
    log, counts = tmp_path / "log.txt", tmp_path / "counts"
    environment = {
        "IMDLENS_DATA_DIR": str(starter),
        "IMDLENS_COUNTS_DIR": str(counts),
        "IMDLENS_INCLUSION_KEY": _KEY,
    }
    invented: list[str] = []
    answers: list[str] = []

    def mark() -> str:
        """A value that nothing but a request can hold."""
        invented.append(f"qz{rng.getrandbits(48):012x}")
        return invented[-1]

    with serving(tmp_path, log=log, **environment) as (url, _), httpx.Client(base_url=url) as client:
        for i in range(_REQUESTS):
            record, headers = _record(rng, mark)
            path = ("/v1/enrich", "/v1/enrich/batch", "/card", "/fhir/R4/$enrich")[i % 4]
            body: Any = {"records": [record, mark()]} if path.endswith("batch") else record
            if path.startswith("/fhir"):
                body = _as_fhir(record, mark)
            answer = client.post(path, json=body, headers=headers)
            answers.append(answer.text)
            if answer.status_code == 201:
                answers.append(client.get(f"/{answer.json()['url']}").text)
            if i % 4 == 0:
                service, hook = _HOOKS[i // 4 % 2]
                sent = _hook(hook, record["postcode"], mark)
                for door, body in ((service, sent), (f"{service}/feedback", _feedback(mark))):
                    answered = client.post(f"/cds-services/{door}", json=body, headers=headers)
                    assert answered.status_code == 200
                    answers.append(answered.text)
            if i % 50 == 0:  # what is broken, or sent to the wrong place, must not come back either
                answers.append(client.post(path, content=json.dumps(record)[:-2], headers=headers).text)
                answers.append(client.get(f"/v1/{mark()}?postcode={mark()}").text)
                answers.append(client.get(f"/fhir/R4/Patient/{mark()}?_format={mark()}").text)
                answers.append(client.post("/card", data={"postcode": mark(), "age": mark()}).text)
        answers += [client.get(f"/{page}").text for page in ("readyz", "version", "v1/breakdowns")]

    assert "answering from release" in log.read_text()
    # The first lines show a postcode to try.
    log.write_text("".join(line for line in log.read_text().splitlines(True) if " -d '{" not in line))
    written = {path: path.read_bytes() for path in [log, *counts.rglob("*")] if path.is_file()}
    assert any(path.suffix == ".sqlite" and len(data) > 4096 for path, data in written.items())
    for value in invented:
        assert not any(value in answer for answer in answers), "an answer repeats a value"
        assert not any(value.encode() in data for data in written.values()), "a file holds a value"
    codes = {r.code for r in Inclusion.load(RuleFolder()).rules if r.signal in ("snomed", "accommodation_status")}
    for value in {*codes, *starter_data.postcodes(), *(p.replace(" ", "") for p in starter_data.postcodes())}:
        for path, data in written.items():
            assert value.encode() not in data, f"{path.name} holds the real value {value}"


def _hook(hook: str, postcode: str, mark: Any) -> dict[str, Any]:
    """A hook with a Patient, a token and ids of its own."""
    return {
        "hook": hook,
        "hookInstance": mark(),
        "fhirServer": f"https://{mark()}.example",
        "fhirAuthorization": {"access_token": mark(), "token_type": "Bearer"},
        "context": {"userId": f"Practitioner/{mark()}", "patientId": mark(), mark(): mark()},
        "prefetch": {
            "patient": {
                "resourceType": "Patient",
                "id": mark(),
                "identifier": [{"value": mark()}],
                "name": [{"family": mark()}],
                "birthDate": mark(),
                "address": [{"use": "home", "line": [mark()], "postalCode": postcode}],
                "extension": [{"url": mark(), "valueString": mark()}],
            }
        },
    }


def _feedback(mark: Any) -> dict[str, Any]:
    """Feedback with a comment in somebody's own words."""
    reason = {"reason": {"code": mark()}, "userComment": mark()}
    return {"feedback": [{"card": mark(), "outcome": "overridden", "overrideReason": reason}]}


def _as_fhir(record: dict[str, Any], mark: Any) -> dict[str, Any]:
    """The same of a Patient, with what an EPR sends besides."""
    patient = {
        "resourceType": "Patient",
        "id": mark(),
        "identifier": [{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": mark()}],
        "name": [{"family": mark()}],
        "birthDate": mark(),
        "address": [{"use": "home", "line": [mark()], "postalCode": record["postcode"]}],
    }
    signals = [{"name": "signal-snomed", "valueCode": code} for code in record["signals"]["snomed"]]
    include = [{"name": "include", "valueCode": code} for code in record["include"]]
    known = [
        {"name": "patient", "resource": patient},
        {"name": "specialty", "valueCode": record["contact"]["specialty"]},
    ]
    return {"resourceType": "Parameters", "parameter": [*known, *signals, *include, {"name": mark()}]}


def _record(rng: random.Random, mark: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """One request, of real values and invented ones."""
    codes = [r.code for r in Inclusion.load(RuleFolder()).rules if r.signal == "snomed"]
    either = lambda real: rng.choice([real, mark()])  # noqa: E731
    record: dict[str, Any] = {
        "postcode": either(rng.choice(starter_data.postcodes())),
        "contact": {
            "specialty": either("340"),
            "age": either(54),
            "sex": either("female"),
            "outcome": either("attended"),
            "event_id": mark(),
            "ethnic_category": {"system": either("england"), "code": either("H")},
        },
        "signals": {
            "snomed": [either(rng.choice(codes)) for _ in range(rng.randrange(4))],
            "accommodation_status": either(rng.choice(["HM01", "Rough sleeper/squatting", "MA01"])),
            "ethnic_category": {"system": either("wales"), "code": either("B")},
            "setting_roles": [either("RO175")],
            "interpreter_required": either(True),
        },
        "include": ["context", "area"],
    }
    if rng.random() < 0.1:
        record[mark()] = mark()  # an unknown field: its name may be a value in the wrong place
    headers = {"Idempotency-Key": mark(), "Authorization": rng.choice([f"Bearer {_KEY}", f"Bearer {mark()}"])}
    return record, headers
