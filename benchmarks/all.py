"""Every benchmark in turn, each beside its peers, and one table of their headline figures.

    python -m benchmarks.all [--quick] [--only PART…]

The table is printed, and a run of everything is also kept in the marked section of benchmarks/RESULTS.md. What each
part printed by itself is kept in .run/bench/told. A part that fails, or for which something is missing, is said, and
does not stop the others. `--quick` is for seeing that everything runs: its figures mean little.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks import national, report

RESULTS: Final = Path(__file__).with_name("RESULTS.md")
BEGIN, END = "<!-- make bench: begin -->", "<!-- make bench: end -->"
_SPARK: Final = Path(".venv-spark") / "bin" / "python"
_LONGEST: Final = 3600  # seconds that a part may take
_TOLD: Final = 200  # characters of what a part that failed said last


class Part(NamedTuple):
    """One benchmark: what it measures, its module, and what it is told, at length and in haste."""

    name: str
    what: str
    module: str
    arguments: tuple[str, ...] = ()
    quick: tuple[str, ...] = ()
    python: Path = Path(sys.executable)
    without: str = ""
    """What is said where its Python is not there."""


PARTS: Final = (
    Part("lookup", "lookup", "benchmarks.lookup", ("--onspd",), ("--rows", "200000")),
    Part("http", "HTTP", "benchmarks.http", ("--seconds", "3", "--rounds", "5"), ("--seconds", "1", "--rounds", "1")),
    Part(
        "counting",
        "counting",
        "benchmarks.ledger",
        ("--seconds", "2", "--rounds", "3", "--rate-seconds", "3", "--workers", "1"),
        ("--seconds", "1", "--rounds", "1", "--rate-seconds", "0", "--workers", "1", "--stores", "SQLite"),
    ),
    Part("file", "files", "benchmarks.files", (), ("--rows", "200000", "--rounds", "1")),
    Part("parquet", "Parquet", "benchmarks.files", ("--parquet",), ("--parquet", "--rows", "200000", "--rounds", "1")),
    Part("stream", "a stream", "benchmarks.stream", (), ("--rows", "100000")),
    Part("dashboard", "pages of the dashboard", "benchmarks.dashboard", (), ("--cells", "1", "--requests", "60")),
    Part("breakdown", "published tables", "benchmarks.tables", (), ("--cells", "1", "--requests", "60")),
    Part("overload", "overload", "benchmarks.overload", ("--seconds", "30"), ("--seconds", "2", "--quiet", "1")),
    Part("guesses", "guesses of a key", "benchmarks.guesses", (), ("--guesses", "2000")),
    Part(
        "spark",
        "Spark",
        "benchmarks.spark",
        (),
        ("--rows", "200000"),
        _SPARK,
        "skipped: no Spark environment (make test-spark makes it)",
    ),
)


class Told(NamedTuple):
    """What a part measured, or why it did not."""

    part: Part
    machine: str
    figures: Sequence[report.Figure]
    why_not: str = ""


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true")
    arguments.add_argument("--only", nargs="+", choices=[part.name for part in PARTS], metavar="PART")
    options = arguments.parse_args()
    told = []
    for part in PARTS:
        if not options.only or part.name in options.only:
            began = time.monotonic()
            told.append(run(part, part.quick if options.quick else part.arguments))
            said = told[-1].why_not or f"{time.monotonic() - began:.0f} s"
            print(f"{part.name}: {said}", file=sys.stderr, flush=True)
    measured = section(told)
    print(measured)
    if not (options.quick or options.only):
        RESULTS.write_text(recorded(RESULTS.read_text("utf-8"), measured), "utf-8")
    return 1 if any(one.why_not.startswith("failed") for one in told) else 0


def run(part: Part, arguments: Sequence[str]) -> Told:
    """Run a part in a process of its own, and keep what it prints."""
    if not part.python.exists():
        return Told(part, "", (), part.without)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "figures.json"
        command = [str(part.python), "-m", part.module, *arguments, "--json", str(path)]
        pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
        with subprocess.Popen(command, stdin=nothing, stdout=pipe, stderr=pipe, text=True) as process:
            try:
                shown, said = process.communicate(timeout=_LONGEST)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGINT)  # so that it ends the servers that it started
                process.communicate()
                return Told(part, "", (), f"failed: not done in {_LONGEST} s")
        kept = national.CACHE / "told" / f"{part.name}.md"
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(f"## `{' '.join(('python -m', part.module, *arguments))}`\n\n{shown}", "utf-8")
        if process.returncode:
            return Told(part, "", (), f"failed: {_last(said)}")
        if not path.exists():
            return Told(part, "", (), _last(shown) or "failed: it gave no figures")
        machine, figures = report.read(path)
        return Told(part, machine, figures)


def section(told: Sequence[Told]) -> str:
    """All figures as one table, and what each part was measured with."""
    rows = [figure.row() for one in told for figure in (one.figures or [report.Figure(one.part.what, one.why_not)])]
    cells = [tuple(cell.replace("|", "\\|") for cell in row) for row in rows]
    machines = [f"- {one.part.name}: {one.machine}" for one in told if one.machine]
    return "\n".join([national.table(report.HEADING, cells), "", *machines])


def recorded(results: str, measured: str) -> str:
    """The results with this in the marked section; ValueError where nothing is marked."""
    before, begin, rest = results.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError("The results have no marked section.")
    return f"{before}{BEGIN}\n\n{measured}\n\n{END}{after}"


def _last(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1][-_TOLD:] if lines else ""


if __name__ == "__main__":
    sys.exit(main())
