"""The headline figures of a benchmark, in a form that `benchmarks.all` puts together."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

HEADING = ("", "goal", "measured", "beside")


class Figure(NamedTuple):
    """One row of the table: what was measured, and in the same run what it is to be compared with."""

    what: str
    measured: str
    beside: str = ""
    goal: str = ""

    def row(self) -> tuple[str, ...]:
        """Cells in the order of HEADING."""
        return (self.what, self.goal, self.measured, self.beside)


def add_option(arguments: argparse.ArgumentParser) -> None:
    """`--json FILE`, where the headline figures are also written to."""
    arguments.add_argument("--json", type=Path, metavar="FILE", help="write the headline figures there as well")


def write(path: Path | None, machine: str, figures: Sequence[Figure]) -> None:
    """Write the figures and what they were measured with; nothing where no file was named."""
    if path is not None:
        rows = [figure._asdict() for figure in figures]
        path.write_text(json.dumps({"machine": machine, "figures": rows}, ensure_ascii=False), "utf-8")


def read(path: Path) -> tuple[str, list[Figure]]:
    """What `write` wrote: the machine, and the figures."""
    held = json.loads(path.read_text("utf-8"))
    return held["machine"], [Figure(**figure) for figure in held["figures"]]
