"""What others published and the wheel carries: the style sheet and the data, as components of a bill of materials."""

import hashlib
import tomllib
from pathlib import Path
from typing import Any, Final

from supply.pinned import ROOT

STYLES: Final = ROOT / "app" / "pages" / "static"


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def data() -> list[dict[str, str]]:
    """The entries of supply/carried.toml."""
    entries: list[dict[str, str]] = tomllib.loads((ROOT / "supply" / "carried.toml").read_text("utf-8"))["data"]
    return entries


def changed() -> list[str]:
    """The names of the carried files that are not what was taken."""
    return [each["file"] for each in data() if "sha256" in each and each["sha256"] != _now(each)]


def _now(entry: dict[str, str]) -> str:
    return sha256_of(ROOT / entry["file"])


def components() -> list[dict[str, Any]]:
    """Style sheets and data, in CycloneDX's words; ValueError where one is not what was taken."""
    if wrong := changed():
        raise ValueError(f"{', '.join(wrong)}: not what was taken")
    return [*map(_style, sorted(STYLES.glob("*/provenance.toml"))), *map(_dataset, data())]


def _style(provenance: Path) -> dict[str, Any]:
    told = tomllib.loads(provenance.read_text("utf-8"))
    return {
        "type": "library",
        "bom-ref": f"{told['package']}=={told['version']}",
        "name": told["package"],
        "version": told["version"],
        "purl": f"pkg:npm/{told['package']}@{told['version']}",
        "licenses": [{"license": {"id": "MIT"}}],
        "hashes": [{"alg": "SHA-256", "content": sha256_of(provenance.parent / told["file"])}],
        "modified": True,
        "pedigree": {"notes": "; ".join(told["changes"])},
    }


def _dataset(entry: dict[str, str]) -> dict[str, Any]:
    licence = {"id": entry["licence"]} if "licence" in entry else {"name": entry["licence_in_words"]}
    return {
        "type": "data",
        "bom-ref": entry["file"],
        "name": Path(entry["file"]).name,
        "description": entry["title"],
        "publisher": entry["publisher"],
        "licenses": [{"license": licence}],
        "hashes": [{"alg": "SHA-256", "content": _now(entry)}],
        "data": [{"type": "dataset", "name": entry["title"]}],
    }
