"""The bill of materials of a release, CycloneDX 1.6: `python -m supply.bom`, from an environment with the wheel in it.

The tool cyclonedx-py tells what is installed there. Added here is what it cannot know: the checksums of what was
received, licences as they were read, style sheet and data inside the wheel.
Left out are addresses, and all that depends on the hour.
"""

import argparse
import json
import subprocess
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.utils import canonicalize_name

from supply.carried import components, sha256_of
from supply.licences import licence_of
from supply.pinned import PINS, ROOT, needed, pins

Table = dict[str, Any]
_NAMES: Final = uuid.UUID("5b0d3a4e-9a51-4f0e-8c3c-1f6f0c1f7a25")


def installed(python: Path) -> Table:
    """What cyclonedx-py says of an environment."""
    command = [
        *(sys.executable, "-m", "cyclonedx_py", "environment", "--pyproject", str(ROOT / "pyproject.toml")),
        *("--output-reproducible", "--spec-version", "1.6", "--output-format", "JSON", "--no-validate", str(python)),
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - fixed words
    told: Table = json.loads(run.stdout)
    return told


def received(report: Mapping[str, Any]) -> dict[str, str]:
    """The SHA-256 of each file that pip took, by normalised name, from its report. No address is kept."""
    return {
        canonicalize_name(each["metadata"]["name"]): each["download_info"]["archive_info"]["hashes"]["sha256"]
        for each in report["install"]
    }


def bill(told: Table, hashes: Mapping[str, str], wheel: Path) -> Table:
    """The whole bill; ValueError where the environment is not what is pinned, or a checksum is not known."""
    found, missing = needed()
    libraries = {str(canonicalize_name(each["name"])): each for each in told["components"]}
    pinned = pins(PINS.read_text("utf-8"))
    for name in sorted(missing | found.keys()):
        if name not in libraries or libraries[name]["version"] != pinned.get(name) or name in missing:
            raise ValueError(f"{name} is not here at its pinned version")
        if name not in hashes:
            raise ValueError(f"nobody said what was received as {name}")
    kept = {name: _library(libraries[name], name, hashes[name]) for name in sorted(found)}
    for name, one in found.items():
        kept[name]["licenses"] = [{"expression": licence_of(name, one).expression, "acknowledgement": "declared"}]
    root = _without_addresses(told["metadata"]["component"]) | {"hashes": _hashes(sha256_of(wheel))}
    carried = components()
    refs = [root["bom-ref"], *(each["bom-ref"] for each in kept.values())]
    written: Table = {
        "$schema": told["$schema"],
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": _without_addresses(told["metadata"]) | {"component": root},
        "components": [*kept.values(), *carried],
        "dependencies": _dependencies(told["dependencies"], refs, carried),
        # Wheels with compiled parts hold libraries of their own, which nobody lists.
        "compositions": [{"aggregate": "incomplete", "assemblies": refs[1:]}],
    }
    return written | {"serialNumber": f"urn:uuid:{uuid.uuid5(_NAMES, text_of(written))}"}


def _library(one: Table, name: str, sha256: str) -> Table:
    return _without_addresses(one) | {"name": name, "hashes": _hashes(sha256)}


def _hashes(sha256: str) -> list[Table]:
    return [{"alg": "SHA-256", "content": sha256}]


def _without_addresses(table: Table) -> Table:
    return {key: _values(value) for key, value in table.items() if key != "externalReferences"}


def _values(value: Any) -> Any:
    if isinstance(value, list):
        return [_values(each) for each in value]
    return _without_addresses(value) if isinstance(value, dict) else value


def _dependencies(told: list[Table], refs: list[str], carried: list[Table]) -> list[Table]:
    inside = {each["ref"]: [ref for ref in each.get("dependsOn", []) if ref in refs] for each in told}
    inside[refs[0]] = [*inside[refs[0]], *(each["bom-ref"] for each in carried)]
    return [{"ref": ref, "dependsOn": sorted(set(inside.get(ref, [])))} for ref in refs]


def text_of(written: Table) -> str:
    """The bill as it is written: the same for the same content."""
    return json.dumps(written, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def wrong(text: str) -> str:
    """What the schema of CycloneDX 1.6 says against this; nothing where it holds."""
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    return str(error) if error else ""


def requirements(hashes: Mapping[str, str]) -> str:
    """What was received, for `pip install --require-hashes`: names, versions and checksums of one platform."""
    pinned = pins(PINS.read_text("utf-8"))
    lines = [f"{name}=={pinned[name]} --hash=sha256:{hashes[name]}\n" for name in sorted(hashes)]
    return "# For one platform and one version of Python: those on which it was written.\n" + "".join(lines)


def main() -> int:
    """Write bill and requirements into a folder; 1 where the bill does not hold."""
    parser = argparse.ArgumentParser(prog="python -m supply.bom")
    for name in ("python", "report", "wheel", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    given = parser.parse_args()
    hashes = received(json.loads(given.report.read_text("utf-8")))
    hashes.pop("imd-lens")
    text = text_of(bill(installed(given.python), hashes, given.wheel))
    if fault := wrong(text):
        sys.stderr.write(f"The bill of materials does not hold: {fault}\n")
        return 1
    (given.out / "imd-lens.cdx.json").write_text(text, "utf-8")
    (given.out / "requirements.txt").write_text(requirements(hashes), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
