"""The FHIR doors, judged by two validators: `fhir.resources` as `healthchain` pins it, and npm's `fhir`."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from healthchain.fhir.r4b import Patient
from healthchain.fhir.version import get_fhir_resource
from pydantic import ValidationError

from outside.conftest import Deployment

NPM_PACKAGE = "fhir@4.12.0"
FHIR = "application/fhir+json"
ENRICH = "/fhir/R4/$enrich"
DEFINITIONS = [
    "metadata",
    "OperationDefinition/enrich",
    *(f"CodeSystem/{name}" for name in ("postcode-status", "core20-reason", "caution", "area-measure")),
]
POSTCODES = ["NG1 1AA", "ZZ99 3VZ", "ZZ99 3WZ", "ZZZSECUR", "JE1 1AA", "B1 1BB", "nonsense", None]
NOBODY = {"resourceType": "Patient", "id": "nobody"}
WRONG = [
    {"resourceType": "Parameters", "parameter": [{"valueString": "no name"}]},
    {"resourceType": "Parameters", "parameter": [{"name": "unknown", "valueDecile": 1}]},
    {"resourceType": "Parameters", "parameter": [{"name": "a", "part": [{"name": "b", "valueDecile": 1}]}]},
    {"resourceType": "Observation", "status": "final"},
    {"resourceType": "OperationOutcome", "issue": [{"severity": "error"}]},
]

Judge = Callable[[list[Any]], list[Any]]


def asking(postcode: str | None) -> dict[str, Any]:
    """The operation with everything included."""
    asked = [{"name": "include", "valueCode": code} for code in ("context", "area")]
    whom = {"name": "postcode", "valueString": postcode} if postcode else {"name": "patient", "resource": NOBODY}
    return {"resourceType": "Parameters", "parameter": [*asked, {"name": "age", "valueInteger": 54}, whom]}


@pytest.fixture(scope="module")
def answered(deployment: Deployment) -> dict[str, list[Any]]:
    """Everything that the doors write, by the kind of resource."""
    found: dict[str, list[Any]] = {}

    def keep(answer: httpx.Response, status: int = 200) -> None:
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == FHIR
        found.setdefault(answer.json()["resourceType"], []).append(answer.json())

    with httpx.Client(base_url=deployment.relay.url, headers={"Content-Type": FHIR}) as client:
        for path in DEFINITIONS:
            keep(httpx.get(f"{deployment.url}/fhir/R4/{path}"))
        for postcode in POSTCODES:
            for query in ("", "?_output=observation"):
                keep(client.post(ENRICH + query, json=asking(postcode)))
        home = Patient(birthDate="1972-03-04", address=[{"use": "home", "postalCode": "NG1 1AA"}])
        keep(client.post(ENRICH, content=home.model_dump_json()))
        for body, status in ((b"{", 400), (b"{}", 422), (b'{"resourceType": "Parameters"}', 422)):
            keep(client.post(ENRICH, content=body), status)
        keep(client.get("/fhir/R4/Patient/1"), 404)
        keep(httpx.post(deployment.url + ENRICH, json={}), 401)
    return found


def unfolded(resource: Any) -> list[Any]:
    """A resource, and one like it for each parameter's parts: the second validator does not look into parts."""
    found, parameters = [resource], resource.get("parameter", [])
    for parts in filter(None, (parameter.get("part") for parameter in parameters)):
        found += unfolded(resource | {"parameter": parts})
    return found


@pytest.fixture(scope="module")
def in_node(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    """What npm's `fhir` finds in each of some resources, in a process of Node."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if not (npm and node):
        pytest.skip("There is no npm on this machine, so the second validator, npm's fhir, was not asked.")
    folder = tmp_path_factory.mktemp("node")
    quietly = ["--no-save", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"]
    install = [npm, "install", *quietly, "--prefix", folder, NPM_PACKAGE]
    subprocess.run(install, cwd=folder, capture_output=True, check=True, timeout=300)

    def judge(resources: list[Any]) -> list[Any]:
        program = [node, Path(__file__).with_name("validate.cjs"), folder]
        said = subprocess.run(
            program, input=json.dumps(resources), stdout=subprocess.PIPE, text=True, check=True, timeout=120
        )
        return json.loads(said.stdout)  # type: ignore[no-any-return]

    return judge


def test_every_kind_that_the_doors_write_is_judged(answered: dict[str, list[Any]]) -> None:
    assert {kind: len(each) for kind, each in answered.items()} == {
        "CapabilityStatement": 1,
        "OperationDefinition": 1,
        "CodeSystem": 4,
        "Parameters": len(POSTCODES) + 1,
        "Observation": len(POSTCODES),
        "OperationOutcome": 5,
    }


@pytest.mark.parametrize("resource", WRONG)
def test_the_first_validator_refuses_what_is_no_fhir(resource: Any) -> None:
    with pytest.raises(ValidationError):
        get_fhir_resource(resource["resourceType"], "R4B").model_validate_json(json.dumps(resource))


def test_the_first_validator_reads_every_resource_and_loses_nothing(answered: dict[str, list[Any]]) -> None:
    for kind, each in answered.items():
        model = get_fhir_resource(kind, "R4B")
        for resource in each:
            assert json.loads(model.model_validate_json(json.dumps(resource)).model_dump_json()) == resource


def test_the_second_validator_refuses_what_is_no_fhir(in_node: Judge) -> None:
    for resource in WRONG:
        assert not all(found["valid"] for found in in_node(unfolded(resource))), resource


def test_the_second_validator_finds_no_error_in_any_resource(in_node: Judge, answered: dict[str, list[Any]]) -> None:
    resources = [level for each in answered.values() for resource in each for level in unfolded(resource)]
    assert len(resources) > 2 * sum(map(len, answered.values()))
    for resource, found in zip(resources, in_node(resources), strict=True):
        assert found["valid"], (resource, found["messages"])
        for message in found["messages"]:  # lists of codes that it does not have, and codes of ours that are in none
            assert message["severity"] in ("info", "warning")
            assert "alue set" in message["message"], (resource, message)
