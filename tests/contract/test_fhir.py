"""`/fhir/R4` over HTTP: what it writes is FHIR to an outside judge, and says what `POST /v1/enrich` says."""

import importlib
import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.interop.fhir_definitions import CODE_SYSTEMS
from app.interop.patient import ETHNIC_CATEGORY
from app.interop.patient import INTERPRETER as INTERPRETER_REQUIRED
from app.main import create_app
from app.settings import Settings
from tests import starter_data
from tests.service import bearer, calling, key_for

DOOR = "/fhir/R4/$enrich"
FHIR = "application/fhir+json"
MARK = "QQ1 1QQ"
PATIENT = {
    "resourceType": "Patient",
    "birthDate": "1972-03-14",
    "address": [{"use": "home", "postalCode": "NG1 1AA"}],
    "extension": [
        {"url": INTERPRETER_REQUIRED, "valueBoolean": True},
        {
            "url": ETHNIC_CATEGORY,
            "valueCodeableConcept": {
                "coding": [{"system": "https://fhir.hl7.org.uk/CodeSystem/UKCore-EthnicCategoryWales", "code": "B"}]
            },
        },
    ],
}


def judged(resource: Any) -> Any:
    """A resource as fhir.resources reads it in R4B; it raises where the resource is none."""
    kind = resource["resourceType"]
    model = getattr(importlib.import_module(f"fhir.resources.R4B.{kind.lower()}"), kind)
    return model.model_validate_json(json.dumps(resource))


def asking(*sent: Any, postcode: str | None = "NG1 1AA") -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": [{"name": "postcode", "valueString": postcode}, *sent]}


def ask(client: TestClient, body: Any, headers: dict[str, str] | None = None, query: str = "") -> Any:
    answer = client.post(DOOR + query, json=body, headers={"Content-Type": FHIR, **(headers or {})})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == FHIR
    judged(answer.json())
    return answer.json()


def values(answer: Any, name: str) -> list[Any]:
    """What stands under a name, each without it."""
    sent = answer["parameter"] if isinstance(answer, dict) else answer
    return [value for p in sent if p["name"] == name for key, value in p.items() if key != "name"]


def value(answer: Any, name: str) -> Any:
    """The one that stands under a name, None where there is none."""
    found = values(answer, name)
    assert len(found) < 2, name
    return found[0] if found else None


def outcome(answer: Any, status: int) -> Any:
    """The issues of an error, which an outside judge takes for an OperationOutcome."""
    assert answer.status_code == status
    assert answer.headers["content-type"] == FHIR
    assert MARK not in answer.text
    judged(answer.json())
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert answer.headers["x-request-id"]
    return answer.json()["issue"]


@pytest.mark.parametrize(
    "resource",
    [
        {"resourceType": "Parameters", "parameter": [{"valueString": "no name"}]},
        {"resourceType": "Parameters", "parameter": [{"name": "two", "valueString": "a", "valueInteger": 1}]},
        {"resourceType": "Parameters", "parameter": [{"name": "empty", "valueString": ""}]},
        {"resourceType": "Parameters", "parameter": [{"name": "unknown", "valueDecile": 1}]},
        {"resourceType": "Observation", "status": "final"},
        {"resourceType": "OperationOutcome", "issue": [{"severity": "error"}]},
    ],
)
def test_the_outside_judge_refuses_what_is_no_fhir(resource: Any) -> None:
    with pytest.raises(ValidationError):
        judged(resource)


# ---------------------------------------------------------------------------------------------- the answer


def test_every_starter_postcode_is_answered_as_by_the_other_door(client: TestClient) -> None:
    texts = [*starter_data.postcodes(), "ZZ99 3VZ", "ZZ99 3WZ", "ZZZSECUR", "JE1 1AA", "BF1 1AA", "nonsense", ""]
    records = {"records": [{"postcode": text} for text in texts]}
    for text, other in zip(texts, client.post("/v1/enrich/batch", json=records).json()["results"], strict=True):
        answer = client.post(DOOR, json=asking(postcode=text)).json()
        assert value(answer, "postcode-status") == other["postcode_status"]
        assert value(answer, "country") == other["country"]
        assert value(answer, "imd-decile") == other["imd_decile"]
        assert value(answer, "imd-quintile") == other["imd_quintile"]
        assert value(answer, "core20") == other["core20"]
        assert value(answer, "core20-reason") == other["core20_reason"]
        assert value(answer, "summary") == other["summary"]
        assert values(answer, "caution") == other["cautions"]
        editions = {value(e, "id"): value(e, "decile") for e in values(answer, "edition")}
        assert editions == {name: e and e["decile"] for name, e in other["editions"].items()}
        domains = {value(d, "id"): value(d, "decile") for d in values(answer, "domain")}
        assert domains == {name: d for name, d in (other["domains"] or {}).items() if d}
        data = {name: value(value(answer, "data"), name) for name in other["data"]}
        assert data == other["data"]


@pytest.mark.parametrize("postcode", ["NG1 1AA", "ZZ99 3VZ", "ZZZSECUR", "JE1 1AA", "nonsense", None])
@pytest.mark.parametrize("query", ["", "?_output=observation"])
def test_whatever_the_postcode_the_answer_is_fhir(client: TestClient, postcode: str | None, query: str) -> None:
    full = [{"name": "include", "valueCode": c} for c in ("context", "area")]
    answer = ask(client, asking(*full, {"name": "age", "valueInteger": 54}, postcode=postcode), query=query)
    assert answer["resourceType"] == ("Observation" if query else "Parameters")


def test_a_patient_is_answered_alike_by_itself_and_in_parameters(client: TestClient) -> None:
    judged(PATIENT)
    alone = ask(client, PATIENT)
    assert alone == ask(client, {"resourceType": "Parameters", "parameter": [{"name": "patient", "resource": PATIENT}]})
    assert value(alone, "imd-decile") == 3
    assert value(value(alone, "access-need"), "id") == "interpreter"


def test_context_is_for_the_specialty_and_the_age(client: TestClient) -> None:
    sent = [{"name": "include", "valueCode": "context"}, {"name": "specialty", "valueCode": "340"}]
    context = value(ask(client, asking(*sent, {"name": "patient", "resource": PATIENT})), "context")
    assert value(value(context, "clinical-area"), "id") == "chronic_respiratory_disease"
    assert len(values(context, "prompt")) == 8
    assert values(context, "signpost")


def test_groups_are_for_the_scope_that_may_see_them(starter: Path, tmp_path: Path) -> None:
    settings = Settings(data_dir=starter, counts_dir=tmp_path)
    sees = bearer(key_for(settings, "enrich", "inclusion"))
    with calling(settings, "enrich") as client:
        hidden, shown = ask(client, PATIENT), ask(client, PATIENT, sees)
    assert (value(hidden, "inclusion-groups-shown"), value(shown, "inclusion-groups-shown")) == (False, True)
    assert values(hidden, "inclusion-group") == values(hidden, "private-summary") == []
    assert value(value(shown, "inclusion-group"), "id") == "gypsy_roma_traveller"
    assert value(shown, "private-summary")


def test_an_observation_comes_only_when_it_is_asked_for_and_has_no_subject(client: TestClient) -> None:
    assert ask(client, PATIENT, query="?_output=parameters")["resourceType"] == "Parameters"
    observation = ask(client, PATIENT, query="?_output=observation")
    assert "subject" not in observation
    assert observation["code"]["coding"][0]["system"] == "https://imd-lens.example/fhir/CodeSystem/area-measure"


def test_fhir_counts_nothing(starter: Path, tmp_path: Path) -> None:
    with calling(Settings(data_dir=starter, counts_dir=tmp_path)) as client:
        contact = {"name": "contact", "part": [{"name": "specialty", "valueCode": "340"}]}
        ask(client, asking({"name": "specialty", "valueCode": "340"}, contact), {"Idempotency-Key": "one"})
        assert client.get("/readyz").json()["counting"] == "on"
    with sqlite3.connect(tmp_path / "counts.sqlite") as store:
        tables = [name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        counted = [t for t in tables if t.startswith(("flow", "organisation", "specialty", "batch", "event"))]
        assert counted
        assert all(store.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,) for table in counted)


@pytest.mark.parametrize("kind", [FHIR, "application/json", f"{FHIR}; charset=utf-8", f"{FHIR}; fhirVersion=4.0"])
def test_both_media_types_are_read(client: TestClient, kind: str) -> None:
    assert value(ask(client, PATIENT, {"Content-Type": kind}), "imd-decile") == 3


@pytest.mark.parametrize("path", [DOOR, "/fhir/R4/%24enrich"])
def test_the_dollar_sign_may_be_encoded(client: TestClient, path: str) -> None:
    assert client.post(path, json=PATIENT).status_code == 200


# ------------------------------------------------------------------------------------------- definitions


@pytest.mark.parametrize(
    "path", ["metadata", "OperationDefinition/enrich", *(f"CodeSystem/{name}" for name in CODE_SYSTEMS)]
)
def test_definitions_are_fhir(client: TestClient, path: str) -> None:
    answer = client.get(f"/fhir/R4/{path}")
    assert answer.headers["content-type"] == FHIR
    assert judged(answer.json()).url.startswith("https://imd-lens.example/fhir/")


def test_what_the_capability_statement_names_can_be_read(starter: Path) -> None:
    base = "https://fhir.trust.example/imd"
    app = create_app(Settings(data_dir=starter, fhir_base=base))
    client = TestClient(app)  # never started: definitions need no data
    (rest,) = client.get("/fhir/R4/metadata").json()["rest"]
    (operation,) = rest["operation"]
    path = operation["definition"].removeprefix(base)
    definition = client.get(f"/fhir/R4{path}").json()
    assert definition["url"] == operation["definition"]
    assert definition["code"] == operation["name"]
    assert definition["version"] == app.version


@pytest.mark.parametrize("base", ["fhir", "ftp://a.example", "https://a.example/", "https://a.example/x y", ""])
def test_a_base_that_addresses_could_not_begin_with_is_refused(base: str) -> None:
    with pytest.raises(ValidationError):
        Settings(fhir_base=base)


def test_the_guide_names_every_parameter_and_code_system(client: TestClient) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "fhir.md").read_text("utf-8")
    named = set(re.findall(r"`([\w-]+)`", guide))
    definition = client.get("/fhir/R4/OperationDefinition/enrich").json()
    assert {p["name"] for p in definition["parameter"]} <= named
    assert set(CODE_SYSTEMS) <= named


# ------------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize("body", [b"", b"{", b'{"a": NaN}', b'{"a": 1, "a": 2}', b"\xff", b"[" * 20_000, MARK.encode()])
def test_what_is_not_json_is_400(client: TestClient, body: bytes) -> None:
    (issue,) = outcome(client.post(DOOR, content=body, headers={"Content-Type": FHIR}), 400)
    assert (issue["severity"], issue["code"]) == ("error", "structure")


@pytest.mark.parametrize(
    ("body", "code", "expression"),
    [
        ({}, "invalid", "resourceType"),
        ([MARK], "invalid", "Parameters"),
        ({"resourceType": MARK}, "invalid", "resourceType"),
        ({"resourceType": "Parameters"}, "required", "Parameters.parameter"),
        ({"resourceType": "Parameters", "parameter": [{"name": MARK}]}, "required", "Parameters.parameter"),
        (asking({"name": "postcode", "valueString": MARK}), "invalid", "Parameters.parameter[1]"),
    ],
)
def test_a_body_that_asks_nothing_is_422_and_told_where(
    client: TestClient, body: Any, code: str, expression: str
) -> None:
    (issue,) = outcome(client.post(DOOR, json=body), 422)
    assert issue["code"] == code
    assert issue["expression"] == [expression]
    assert issue["details"]["text"].startswith("The request does not have the expected structure")


@pytest.mark.parametrize(
    "query", ["_output=xml", "_output=", f"_output={MARK}", "_output=observation&_output=parameters"]
)
def test_an_output_that_there_is_not_is_422(client: TestClient, query: str) -> None:
    (issue,) = outcome(client.post(f"{DOOR}?{query}", json=PATIENT), 422)
    assert issue["expression"] == ["http._output"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/fhir", 404, "not-found"),
        ("GET", "/fhir/R4/Patient/QQ1 1QQ", 404, "not-found"),
        ("GET", "/fhir/R4/CodeSystem/QQ1 1QQ", 404, "not-found"),
        ("POST", "/fhir/R4/$enrich/", 404, "not-found"),
        ("GET", f"{DOOR}?postcode=QQ1 1QQ", 405, "not-supported"),
        ("POST", "/fhir/R4/metadata", 405, "not-supported"),
    ],
)
def test_a_wrong_address_or_method_is_an_outcome_too(
    client: TestClient, method: str, path: str, status: int, code: str
) -> None:
    (issue,) = outcome(client.request(method, path), status)
    assert issue["code"] == code


def test_only_what_is_under_fhir_is_answered_so(client: TestClient) -> None:
    for path in ("/fhirs", "/v1/fhir", "/FHIR/R4/metadata"):
        assert client.get(path).headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("kind", ["text/plain", "application/fhir+xml", "json", ""])
def test_another_media_type_is_415(client: TestClient, kind: str) -> None:
    (issue,) = outcome(client.post(DOOR, content=json.dumps(PATIENT), headers={"Content-Type": kind}), 415)
    assert issue["code"] == "not-supported"


@pytest.mark.parametrize(
    ("accept", "query", "status"),
    [
        (FHIR, "", 200),
        ("application/json", "", 200),
        ("application/*", "", 200),
        ("*/*", "", 200),
        ("text/html, application/xml;q=0.9, */*;q=0.8", "", 200),
        ("", "", 200),
        ("application/fhir+json; fhirVersion=4.0", "", 200),
        ("application/fhir+json;q=nonsense", "", 200),
        ("application/fhir+xml", "", 406),
        ("text/html", "", 406),
        ("application/fhir+json;q=0, application/json;q=0, */*", "", 406),
        ("application/*;q=0, */*", "", 406),
        ("application/fhir+xml", "?_format=json", 200),
        (FHIR, "?_format=xml", 406),
        (FHIR, "?_format=application/fhir+json", 200),
        (FHIR, "?_format=application/fhir%2Bjson", 200),
        (FHIR, "?_format=json&_format=xml", 406),
        (FHIR, "?_format=QQ1 1QQ", 406),
    ],
)
def test_what_leaves_json_out_is_406(client: TestClient, accept: str, query: str, status: int) -> None:
    for answer in (
        client.post(DOOR + query, json=PATIENT, headers={"Accept": accept}),
        client.get(f"/fhir/R4/metadata{query}", headers={"Accept": accept}),
    ):
        assert answer.status_code == status
        if status == 406:
            (issue,) = outcome(answer, 406)
            assert issue["code"] == "not-supported"


def test_a_body_over_the_limit_is_413(starter: Path) -> None:
    with calling(Settings(data_dir=starter, max_body_bytes=1_000)) as client:
        for content in (b" " * 1_001, (b" " * 300 for _ in range(4))):  # announced, and not
            (issue,) = outcome(client.post(DOOR, content=content, headers={"Content-Type": FHIR}), 413)
            assert issue["code"] == "too-long"


def test_what_nobody_foresaw_is_a_fatal_issue_without_a_word_of_it(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(f"about {MARK}")

    monkeypatch.setattr("app.routers.fhir.enrich", fail)
    (issue,) = outcome(client.post(DOOR, json=asking(postcode=MARK)), 500)
    assert (issue["severity"], issue["code"]) == ("fatal", "exception")
    assert MARK not in caplog.text


def test_without_data_it_is_503(tmp_path: Path) -> None:
    with calling(Settings(data_dir=tmp_path / "none")) as client:
        answer = client.post(DOOR, json=PATIENT)
        assert outcome(answer, 503)[0]["code"] == "transient"
        assert answer.headers["retry-after"]
        assert client.get("/fhir/R4/metadata").status_code == 200


# ------------------------------------------------------------------------------------- whatever is sent

_MARKED = st.just("qzq7qzq")
_JSON = st.recursive(
    st.one_of(_MARKED, st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_MARKED, inner, max_size=2)),
    max_leaves=8,
)
_ADDRESS = st.fixed_dictionaries(
    {},
    optional={
        "use": st.one_of(st.sampled_from(["home", "temp", "old"]), _JSON),
        "type": _JSON,
        "period": st.one_of(st.fixed_dictionaries({}, optional={"start": _JSON, "end": _JSON}), _JSON),
        "postalCode": _JSON,
    },
)
_EXTENSION = st.fixed_dictionaries(
    {"url": st.one_of(st.sampled_from([ETHNIC_CATEGORY, INTERPRETER_REQUIRED]), _JSON)},
    optional={
        "valueBoolean": _JSON,
        "valueCodeableConcept": st.one_of(
            _JSON,
            st.fixed_dictionaries(
                {
                    "coding": st.lists(
                        st.one_of(
                            _JSON,
                            st.fixed_dictionaries(
                                {
                                    "system": st.one_of(
                                        st.just("https://fhir.hl7.org.uk/CodeSystem/UKCore-EthnicCategory"), _JSON
                                    ),
                                    "code": _JSON,
                                }
                            ),
                        ),
                        max_size=2,
                    )
                }
            ),
        ),
    },
)
_PATIENTS = st.fixed_dictionaries(
    {"resourceType": st.just("Patient")},
    optional={
        "address": st.one_of(_JSON, st.lists(st.one_of(_ADDRESS, _JSON), max_size=3)),
        "birthDate": st.one_of(_JSON, st.dates().map(str)),
        "extension": st.one_of(_JSON, st.lists(st.one_of(_EXTENSION, _JSON), max_size=3)),
        "qzq7qzq": _JSON,
    },
)
_PARAMETER = st.fixed_dictionaries(
    {
        "name": st.one_of(
            st.sampled_from(["postcode", "patient", "specialty", "age", "include", "signal-snomed"]), _JSON
        )
    },
    optional={
        "valueString": _JSON,
        "valueCode": st.one_of(st.sampled_from(["context", "area"]), _JSON),
        "valueInteger": _JSON,
        "resource": st.one_of(_PATIENTS, _JSON),
        "part": _JSON,
    },
)
_BODIES = st.one_of(
    _PATIENTS,
    st.fixed_dictionaries(
        {"resourceType": st.just("Parameters")},
        optional={"parameter": st.one_of(_JSON, st.lists(st.one_of(_PARAMETER, _JSON), max_size=6))},
    ),
    st.fixed_dictionaries({"resourceType": _JSON}),
    _JSON,
)


def test_arbitrary_json_is_answered_and_not_repeated(client: TestClient) -> None:
    @given(_BODIES, st.sampled_from(["", "?_output=observation"]))
    def check(body: Any, query: str) -> None:
        answer = client.post(DOOR + query, content=json.dumps(body), headers={"Content-Type": FHIR})
        assert answer.status_code in (200, 422)
        assert "qzq" not in answer.text
        judged(answer.json())

    check()
