"""Which distributions IMD Lens needs, whichever of them are found here, and at which versions they are pinned."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).parents[1]
PINS: Final = ROOT / "constraints.txt"
_WITH_PYTHON: Final = {"pip", "setuptools"}  # come with an environment, and install the rest
_PIN: Final = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[A-Za-z0-9.!+_-]+)")


def project() -> dict[str, Any]:
    """The table `project` of pyproject.toml."""
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return table


def pins(text: str) -> dict[str, str]:
    """The versions that a file of constraints gives, by normalised name; ValueError for any other line."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line or line.startswith("#"):
            continue
        pin = _PIN.fullmatch(line)
        if pin is None:
            raise ValueError(f"line {number} is no name and one version")
        name = canonicalize_name(pin["name"])
        if name in found:
            raise ValueError(f"line {number} pins {name} again")
        found[name] = pin["version"]
    return found


def needed(extras: Iterable[str] = ()) -> tuple[dict[str, Distribution], set[str]]:
    """What is installed here of all that IMD Lens with these extras needs, and the names of what is not."""
    of_project = project()
    direct = [*of_project["dependencies"]]
    for extra in extras:
        direct += of_project["optional-dependencies"][extra]
    return _closure([Requirement(line) for line in direct])


def _closure(waiting: list[Requirement]) -> tuple[dict[str, Distribution], set[str]]:
    found: dict[str, Distribution] = {}
    missing: set[str] = set()
    followed: set[tuple[str, str]] = set()
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if name in _WITH_PYTHON:
            continue
        try:
            found[name] = distribution(wanted.name)
        except PackageNotFoundError:
            missing.add(name)
            continue
        for extra in {"", *wanted.extras}:
            if (name, extra) not in followed:
                followed.add((name, extra))
                waiting += _asked_by(found[name], extra)
    return found, missing


def _asked_by(one: Distribution, extra: str) -> list[Requirement]:
    asked = [Requirement(line) for line in one.requires or ()]
    return [each for each in asked if each.marker is None or each.marker.evaluate({"extra": extra})]


def versions(found: Mapping[str, Distribution]) -> dict[str, str]:
    """The installed version of each."""
    return {name: one.version for name, one in found.items()}
