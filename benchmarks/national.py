"""The national files and index that benchmarks measure on, or a word that they are not here."""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

CACHE = Path(".run") / "bench"


def files() -> Path:
    """The folder of full official files; ends the program where there is none."""
    named = os.environ.get("NATIONAL_FILES")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        print("skipped: no full data (NATIONAL_FILES names the folder of the national files)")
        sys.exit(0)
    return folder


def index(folder: Path) -> Path:
    """The data folder with an index of these files, built where there is none."""
    data = CACHE / "national"
    if not (data / "current").exists():
        build = [sys.executable, "-m", "app.cli", "data", "build", str(folder), "--out", str(data)]
        subprocess.run(build, check=True, capture_output=True)
    return data


def postcodes(folder: Path) -> pa.Array:
    """Every postcode of the national lookup, as it is usually written."""
    path = next(folder.rglob("nspl21_aug2024_postcode_lookup.csv.gz"))
    convert = pa_csv.ConvertOptions(include_columns=["pcds"])
    return pa_csv.read_csv(path, convert_options=convert)["pcds"].combine_chunks()


def untidy(column: pa.Array, random: np.random.Generator | None = None) -> pa.Array:
    """As EPRs send them, a fifth each: as it is, no space, lower case, fixed eight characters, blanks at the end."""
    kind = pa.array((random or np.random.default_rng(7)).integers(0, 5, len(column)))
    bare = pc.replace_substring(column, " ", "")
    outward = pc.utf8_slice_codeunits(bare, 0, -3)
    fixed = pc.binary_join_element_wise(pc.utf8_rpad(outward, 5, " "), pc.utf8_slice_codeunits(bare, -3), "")
    padded = pc.utf8_rpad(column, 10, " ")
    chosen = pc.choose(kind, column, bare, pc.utf8_lower(column), fixed, padded)
    return chosen.combine_chunks() if isinstance(chosen, pa.ChunkedArray) else chosen


def machine(*packages: str) -> str:
    """Where and with what a figure was measured."""
    cpu = next((line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")), platform.machine())
    versions = ", ".join(f"{p} {metadata.version(p)}" for p in packages)
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores of {cpu}, Python {platform.python_version()}, {versions}"
    )


def _cpuinfo() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []


def table(heading: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Rows as Markdown."""
    lines = [heading, tuple("---" for _ in heading), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
