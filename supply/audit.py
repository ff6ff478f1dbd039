"""Asks an advisory service for known faults of every pinned version: `python -m supply.audit`.

pip-audit ends with 1 for a fault that was found and for a service that was not reached, and with 0 and "No known
vulnerabilities found" where the service knew none of the packages. Here each of them is told as what it is.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from supply.pinned import PINS, pins

_SECONDS: Final = 120
# What pip-audit's error ends with where no service answered, or something on the way answered in its place.
_UNREACHED: Final = re.compile(
    r"ConnectionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError|HTTPError|ServiceError|TooManyRedirects"
    r"|JSONDecodeError|vulnerability feed|PyPI is not redirecting"
)


class Outcome(StrEnum):
    """What became of an audit."""

    CLEAN = "no known fault"
    FAULTS = "known faults"
    UNREACHED = "not checked: no advisory service could be reached"
    BROKEN = "not checked: pip-audit failed"


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found: how many versions were looked up, which were not, and the faults in words."""

    outcome: Outcome
    checked: int = 0
    unknown: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    error: str = ""

    @property
    def passes(self) -> bool:
        """Whether a check may go on: with nothing found, and where nobody could be asked."""
        return self.outcome in (Outcome.CLEAN, Outcome.UNREACHED)

    def words(self) -> str:
        """What is printed."""
        if self.outcome is Outcome.BROKEN:
            return f"{self.outcome}: {self.error}"
        if self.outcome is Outcome.UNREACHED:
            return self.outcome
        lines = [f"{self.outcome} in {self.checked} pinned versions", *self.faults]
        if self.unknown:
            lines.append(f"not checked: the advisory service does not know {', '.join(self.unknown)}")
        return "\n".join(lines)


def audit(constraints: Path, *, osv_url: str = "") -> Audit:
    """Ask about every version of a file of pins: PyPI, or a service that speaks OSV's language at an address."""
    service = ["--vulnerability-service", "osv", "--osv-url", osv_url] if osv_url else []
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder, "told.json")
        command = [
            *(sys.executable, "-m", "pip_audit", "--requirement", str(constraints), "--no-deps", "--disable-pip"),
            *("--format", "json", "--output", str(told), "--progress-spinner", "off", "--timeout", "10"),
            *("--cache-dir", folder, *service),
        ]
        try:
            run = subprocess.run(  # noqa: S603 - fixed words and our own files
                command, capture_output=True, text=True, check=False, timeout=_SECONDS
            )
        except subprocess.TimeoutExpired:
            return Audit(Outcome.UNREACHED)
        if told.is_file():
            return read(json.loads(told.read_text("utf-8")))
    last = run.stderr.strip().splitlines()[-1:] or [f"it ended with {run.returncode} and no word"]
    if _UNREACHED.search(last[0]):
        return Audit(Outcome.UNREACHED)
    return Audit(Outcome.BROKEN, error=last[0])


def read(told: dict[str, Any]) -> Audit:
    """What pip-audit's report says. Where every version was unknown to the service, nothing was checked."""
    unknown = tuple(sorted(each["name"] for each in told["dependencies"] if "skip_reason" in each))
    known = [each for each in told["dependencies"] if "skip_reason" not in each]
    faults = tuple(
        f"  {each['name']} {each['version']}: {fault['id']}, {_mended(fault['fix_versions'])}"
        for each in known
        for fault in each["vulns"]
    )
    if not known:
        return Audit(Outcome.UNREACHED)
    return Audit(Outcome.FAULTS if faults else Outcome.CLEAN, len(known), unknown, faults)


def _mended(versions: list[str]) -> str:
    return f"mended in {', '.join(versions)}" if versions else "not mended yet"


def main() -> int:
    """Audit constraints.txt; 1 for a fault or a broken tool. OSV_URL names a service of one's own."""
    pins(PINS.read_text("utf-8"))
    found = audit(PINS, osv_url=os.environ.get("OSV_URL", ""))
    sys.stdout.write(f"Advisories: {found.words()}\n")
    return 0 if found.passes else 1


if __name__ == "__main__":
    sys.exit(main())
