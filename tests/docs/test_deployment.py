"""What is shipped to deploy with is of one piece with the code: manifests, units, compose file, Dockerfile, proxy."""

import inspect
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from copy import deepcopy
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from compose_spec import PyCompose

from app import cli_serve
from app.cli_serve import serve
from app.doors import DOORS
from app.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
DRAIN = int(re.findall(r"timeout_graceful_shutdown=(\d+)", inspect.getsource(cli_serve))[0])
VERSIONS = ("1.30", "1.34", "1.37")  # the oldest that has what is used, and newer ones


@cache
def manifests() -> list[tuple[str, dict[str, Any]]]:
    return [
        (path.name, document)
        for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
        if path.name != "kustomization.yaml"
        for document in yaml.safe_load_all(path.read_text("utf-8"))
    ]


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    """The pod of each workload."""
    for _, manifest in manifests():
        spec = manifest.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "template" in spec:
            yield f"{manifest['kind']} {manifest['metadata']['name']}", spec["template"]["spec"]


def named(kind: str, name: str) -> dict[str, Any]:
    (found,) = (m for _, m in manifests() if (m["kind"], m["metadata"]["name"]) == (kind, name))
    return found


def settings_of_units() -> list[str]:
    text = "".join(unit.read_text("utf-8") for unit in UNITS)
    return re.findall(r"^(?:Environment|LoadCredential)=(imdlens_\w+|IMDLENS_\w+)[=:]", text, re.MULTILINE)


# ---------------------------------------------------------------------------------------------- Kubernetes


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_is_what_kubernetes_takes_and_has_no_field_that_it_does_not_know(version: str) -> None:
    found = manifests()
    assert len(found) == 14
    for name, manifest in found:
        assert kubernetes_validate.validate(manifest, version, strict=True), name


def test_a_misspelt_field_of_a_manifest_is_noticed() -> None:
    manifest = deepcopy(named("StatefulSet", "imdlens"))
    manifest["spec"]["template"]["spec"]["enableServiceLink"] = False
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, VERSIONS[0], strict=True)


def test_the_kustomization_lists_every_manifest_but_the_secret_and_no_other() -> None:
    listed = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text("utf-8"))["resources"]
    assert {*listed, "secret.example.yaml"} == {name for name, _ in manifests()}
    assert not any(named("Secret", "imdlens")["stringData"].values())


@pytest.mark.parametrize(("name", "pod"), list(pods()), ids=[name for name, _ in pods()])
def test_every_pod_is_as_restricted_as_its_namespace_demands(name: str, pod: dict[str, Any]) -> None:
    assert named("Namespace", "imdlens")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    user = re.search(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE)
    assert user
    who = pod["securityContext"]
    assert (str(who["runAsUser"]), str(who["runAsGroup"])) == user.groups()
    assert who["runAsNonRoot"]
    assert who["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]
        assert {mount["name"] for mount in container["volumeMounts"]} <= {v["name"] for v in pod["volumes"]} | {
            "counts"
        }


@pytest.mark.parametrize(("name", "pod"), list(pods()), ids=[name for name, _ in pods()])
def test_no_variable_reaches_a_pod_that_would_stop_its_start(name: str, pod: dict[str, Any]) -> None:
    """A Service `imdlens` makes variables `IMDLENS_SERVICE_HOST` in each pod that does not refuse them."""
    assert pod["enableServiceLinks"] is False


def test_probes_ask_doors_that_anybody_may_ask_at_the_port_that_is_served() -> None:
    (container,) = named("StatefulSet", "imdlens")["spec"]["template"]["spec"]["containers"]
    open_doors = {door.path for door in DOORS if door.kind == "probe" and door.method == "GET"}
    paths = {kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")}
    assert set(paths.values()) <= open_doors
    assert paths["liveness"] == "/livez"  # overload or a database that is away is no reason to be killed
    (port,) = (port["containerPort"] for port in container["ports"])
    assert f"EXPOSE {port}\n" in DOCKERFILE
    assert str(port) in container["args"]
    for service in ("imdlens", "imdlens-pods"):
        assert named("Service", service)["spec"]["ports"][0]["port"] == port
    assert named("NetworkPolicy", "imdlens")["spec"]["ingress"][0]["ports"][0]["port"] == port


def test_whoever_stops_it_waits_for_longer_than_requests_in_flight_may_take() -> None:
    pod = named("StatefulSet", "imdlens")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["terminationGracePeriodSeconds"] > container["lifecycle"]["preStop"]["sleep"]["seconds"] + DRAIN
    assert int(COMPOSE["services"]["imdlens"]["stop_grace_period"].removesuffix("s")) > DRAIN
    (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)$", (DEPLOY / "systemd/imdlens.service").read_text(), re.MULTILINE)
    assert int(seconds) > DRAIN


def test_what_waits_for_the_database_outlives_its_pod() -> None:
    service = named("StatefulSet", "imdlens")["spec"]
    (claim,) = service["volumeClaimTemplates"]
    (container,) = service["template"]["spec"]["containers"]
    kept = {mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == claim["metadata"]["name"]}
    assert kept == {named("ConfigMap", "imdlens-settings")["data"]["IMDLENS_COUNTS_DIR"]}
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert set(service["persistentVolumeClaimRetentionPolicy"].values()) == {"Retain"}
    assert named("PodDisruptionBudget", "imdlens")["spec"]["minAvailable"] < service["replicas"]


def test_every_workload_is_chosen_by_what_is_meant_for_it_and_by_nothing_else() -> None:
    labels = named("StatefulSet", "imdlens")["spec"]["template"]["metadata"]["labels"]
    for kind, name in (("Service", "imdlens"), ("Service", "imdlens-pods")):
        assert named(kind, name)["spec"]["selector"] == labels
    assert named("PodDisruptionBudget", "imdlens")["spec"]["selector"]["matchLabels"] == labels
    others = [p["labels"] for p in (named("Deployment", "imdlens-prompt")["spec"]["template"]["metadata"],)]
    assert all(other != labels for other in others)


# ------------------------------------------------------------------------------------- settings everywhere


def test_every_setting_that_is_set_somewhere_exists() -> None:
    compose = COMPOSE["x-imdlens"]
    secrets = [*named("Secret", "imdlens")["stringData"], *compose["secrets"]]
    found = {*named("ConfigMap", "imdlens-settings")["data"], *compose["environment"], *secrets, *settings_of_units()}
    found |= set(re.findall(r"\bIMDLENS_\w+(?==)", DOCKERFILE))
    found |= set(re.findall(r"IMDLENS_[A-Z_]+", (DEPLOY / "nginx/imdlens.conf").read_text()))
    assert len(found) > 8
    assert {name.upper().removeprefix("IMDLENS_").lower() for name in found} <= set(Settings.model_fields)


def test_no_secret_is_in_an_environment() -> None:
    for text in (COMPOSE["x-imdlens"]["environment"], named("ConfigMap", "imdlens-settings")["data"]):
        assert not {"IMDLENS_SECRET", "IMDLENS_DATABASE_URL"} & set(text)
    for unit in UNITS:
        assert not re.search(r"^Environment=IMDLENS_(SECRET|DATABASE_URL)=", unit.read_text(), re.MULTILINE)


# -------------------------------------------------------------------------------------------------- image


def test_whatever_the_image_is_made_of_is_sent_to_where_it_is_built() -> None:
    """An engine leaves out what .dockerignore names: here everything, but what is named again."""
    rules = (ROOT / ".dockerignore").read_text("utf-8").split()
    assert rules[0] == "*"
    sent = [rule.removeprefix("!") for rule in rules if rule.startswith("!")]
    for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert any(source == one or fnmatch(source, f"{one}/*") for one in sent), source


def test_places_of_the_image_are_those_that_are_mounted() -> None:
    volumes = set(re.findall(r"^VOLUME (.*)$", DOCKERFILE, re.MULTILINE)[0].split())
    assert volumes == {volume.split(":")[1] for volume in COMPOSE["x-imdlens"]["volumes"]}
    (container,) = named("StatefulSet", "imdlens")["spec"]["template"]["spec"]["containers"]
    assert volumes <= {mount["mountPath"] for mount in container["volumeMounts"]}
    assert "\nSTOPSIGNAL SIGTERM\n" in DOCKERFILE
    assert 'CMD ["python", "-c"' in DOCKERFILE  # no shell is needed to know how it is
    parameters = inspect.signature(serve).parameters
    for option in re.findall(r'"--(\w+)"', DOCKERFILE.split("\nCMD ", 1)[1]):
        assert option in parameters


# ------------------------------------------------------------------------------------------------- compose


def test_the_compose_file_is_one_and_a_misspelt_field_is_noticed() -> None:
    read = PyCompose.from_json(json.dumps(COMPOSE))  # with what is written once already put in its places
    assert set(read.service_names()) == {"imdlens", "upgrade", "database"}
    wrong = {**COMPOSE, "services": {"imdlens": {**COMPOSE["services"]["imdlens"], "stop_grace": "30s"}}}
    with pytest.raises(ValueError, match="stop_grace"):
        PyCompose.from_json(json.dumps(wrong))


def test_services_of_the_compose_file_are_shut_in() -> None:
    for name, service in COMPOSE["services"].items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
    assert COMPOSE["services"]["imdlens"]["depends_on"] == {"upgrade": {"condition": "service_completed_successfully"}}
    assert COMPOSE["services"]["imdlens"]["ports"] == ["127.0.0.1:8080:8080"]
    assert "ports" not in COMPOSE["services"]["database"]
    assert COMPOSE["networks"]["inside"] == {"internal": True}


# ------------------------------------------------------------------------------------------------- systemd


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd")
def test_systemd_takes_every_unit_without_a_word(tmp_path: Path) -> None:
    copies = []
    for unit in (DEPLOY / "systemd").iterdir():
        copies.append(tmp_path / unit.name)
        copies[-1].write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text(), flags=re.MULTILINE))
    found = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *copies], capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_every_unit_is_shut_in(unit: Path) -> None:
    lines = set(unit.read_text("utf-8").splitlines())
    assert lines >= {
        "User=imdlens",
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "PrivateTmp=yes",
        "PrivateDevices=yes",
        "RestrictNamespaces=yes",
        "SystemCallFilter=@system-service",
        "LimitCORE=0",
        "UMask=0077",
    }
    assert any(line.startswith("MemoryMax=") for line in lines)
