"""The licences of what runs with the service, against a list of those that may: `python -m supply.licences`."""

import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution
from typing import Any, Final

from license_expression import ExpressionError, get_spdx_licensing

from supply.pinned import ROOT, needed

DOCUMENT: Final = ROOT / "docs" / "licences.md"
_SPDX: Final = get_spdx_licensing()
_HEAD: Final = """# Licences of what runs with the service

Written by `make licences` from the metadata of the packages that IMD Lens needs to run, each at its version of
`constraints.txt`; a test holds it to them. What may be there, and the reasons for exceptions: `supply/licences.toml`.
How it is checked, and what it does not see: [supply-chain.md](supply-chain.md). It is no legal advice.

| package | version | licence (SPDX) | said by |
|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Licence:
    """A package's licence as an SPDX expression, and who says so; no expression where nobody does."""

    expression: str
    said_by: str


@cache
def policy() -> dict[str, Any]:
    """What supply/licences.toml says."""
    return tomllib.loads((ROOT / "supply" / "licences.toml").read_text("utf-8"))


def licence_of(name: str, one: Distribution) -> Licence:
    """The licence of a distribution: from its metadata where those are SPDX's words, else as it was read."""
    metadata = one.metadata.json
    stated = str(metadata.get("license_expression") or metadata.get("license") or "")
    if is_spdx(stated):
        return Licence(stated, "its metadata")
    for entry in policy()["read"]:
        if entry["package"] == name:
            return Licence(entry["licence"], f"us, from {entry['from']}")
    return Licence("", "nobody")


def is_spdx(expression: str) -> bool:
    """Whether this is an expression of SPDX's licences and nothing else."""
    try:
        return bool(expression.strip()) and not _SPDX.validate(expression).errors
    except ExpressionError:
        return False


def is_allowed(name: str, expression: str) -> bool:
    """Whether a package may have this licence."""
    if not is_spdx(expression):
        return False
    of_package = {entry["licence"] for entry in policy()["exception"] if entry["package"] == name}
    return _holds(_SPDX.parse(expression), {*policy()["allowed"], *of_package})


def _holds(expression: Any, allowed: set[str]) -> bool:
    if isinstance(expression, _SPDX.OR):
        return any(_holds(part, allowed) for part in expression.args)
    if isinstance(expression, _SPDX.AND):
        return all(_holds(part, allowed) for part in expression.args)
    return str(expression) in allowed


def document(found: Mapping[str, Distribution]) -> str:
    """The table of all of them, as docs/licences.md."""
    lines = []
    for name, one in sorted(found.items()):
        licence = licence_of(name, one)
        lines.append(f"| {name} | {one.version} | {licence.expression or '**unknown**'} | {licence.said_by} |\n")
    return _HEAD + "".join(lines)


def refused(found: Mapping[str, Distribution]) -> list[str]:
    """The names of those whose licence is unknown or not allowed."""
    return [name for name, one in sorted(found.items()) if not is_allowed(name, licence_of(name, one).expression)]


def main() -> int:
    """Write the document, show it, and say which packages may not be there."""
    found, missing = needed()
    DOCUMENT.write_text(document(found), "utf-8")
    sys.stdout.write(document(found))
    wrong = [*refused(found), *sorted(missing)]
    if wrong:
        sys.stderr.write(f"Unknown, not allowed or not installed: {', '.join(wrong)}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
