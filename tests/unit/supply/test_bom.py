"""The bill of materials holds all that is shipped and nothing else, and is the same each time."""

import json
import re
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from supply.bom import Table, bill, installed, received, requirements, text_of, wrong
from supply.carried import data
from supply.pinned import needed, versions

HASHES = dict.fromkeys(needed()[0], "ab" * 32)  # as though this had been received


@cache
def told() -> str:
    """What the tool says of the environment that runs this: the service's packages, and those of its tests."""
    return json.dumps(installed(Path(sys.executable)))


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "imd_lens-0.1.0-py3-none-any.whl"
    path.write_bytes(b"a wheel")
    return path


def written(wheel: Path) -> Table:
    return bill(json.loads(told()), HASHES, wheel)


def test_it_keeps_the_schema_and_is_the_same_each_time(wheel: Path) -> None:
    text = text_of(written(wheel))
    assert not wrong(text)
    assert text == text_of(written(wheel))
    assert "timestamp" not in text
    assert wrong(text.replace('"type": "data"', '"type": "datum"'))


def test_another_wheel_is_another_bill(wheel: Path) -> None:
    before = written(wheel)
    wheel.write_bytes(b"another wheel")
    assert written(wheel)["serialNumber"] != before["serialNumber"]


def test_it_holds_what_runs_with_the_service_at_its_versions_and_nothing_of_the_tests(wheel: Path) -> None:
    libraries = {c["name"]: c["version"] for c in written(wheel)["components"] if c["type"] == "library"}
    assert libraries == versions(needed()[0]) | {"nhsuk-frontend": "10.6.1"}
    assert "pytest" in {canonicalize_name(c["name"]) for c in json.loads(told())["components"]}


def test_every_component_has_a_licence_and_a_checksum(wheel: Path) -> None:
    for component in written(wheel)["components"]:
        (licence,) = component["licenses"]
        assert licence.get("expression") or licence["license"]["id" if "id" in licence["license"] else "name"]
        assert re.fullmatch("[0-9a-f]{64}", component["hashes"][0]["content"])


def test_the_data_inside_the_wheel_are_components_under_their_own_licence(wheel: Path) -> None:
    sets = {c["bom-ref"]: c for c in written(wheel)["components"] if c["type"] == "data"}
    assert sets.keys() == {entry["file"] for entry in data()}
    assert sets["data/imd/starter/starter_lsoa21.csv"]["licenses"] == [{"license": {"id": "OGL-UK-3.0"}}]


def test_it_names_no_address_but_that_of_its_schema(wheel: Path) -> None:
    assert re.findall(r"\w+://[^\"\s]*", text_of(written(wheel))) == ["http://cyclonedx.org/schema/bom-1.6.schema.json"]


def test_an_environment_with_another_version_or_without_a_checksum_gets_no_bill(wheel: Path) -> None:
    other = json.loads(told())
    next(c for c in other["components"] if c["name"] == "httpx")["version"] = "0.28.0"
    with pytest.raises(ValueError, match="httpx is not here at its pinned version"):
        bill(other, HASHES, wheel)
    with pytest.raises(ValueError, match="nobody said what was received as httpx"):
        bill(json.loads(told()), {name: sha for name, sha in HASHES.items() if name != "httpx"}, wheel)


def test_pip_refuses_a_file_that_is_not_the_one_that_was_received(tmp_path: Path) -> None:
    """`idna` stands for a package: one is recorded, another of the same name and version is offered later."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--ignore-installed"]
    pip += ["--find-links", str(tmp_path), "--target", str(tmp_path / "there")]
    pip += ["--disable-pip-version-check", "--isolated"]
    report = tmp_path / "report.json"
    _package(tmp_path, "first")
    subprocess.run([*pip, "--dry-run", "--report", str(report), "idna==3.20"], check=True, capture_output=True)
    wanted = tmp_path / "requirements.txt"
    wanted.write_text(requirements(received(json.loads(report.read_text("utf-8")))), "utf-8")
    again = [*pip, "--dry-run", "--require-hashes", "--requirement", str(wanted)]
    subprocess.run(again, check=True, capture_output=True)
    _package(tmp_path, "second")
    refused = subprocess.run(again, check=False, capture_output=True, text=True)
    assert refused.returncode == 1
    assert "DO NOT MATCH THE HASHES" in refused.stderr


def _package(folder: Path, content: str) -> None:
    about = "idna-3.20.dist-info"
    with zipfile.ZipFile(folder / "idna-3.20-py3-none-any.whl", "w") as wheel:
        wheel.writestr("idna.py", f"it = '{content}'\n")
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: idna\nVersion: 3.20\n")
        wheel.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{about}/RECORD", "")
