"""The gate before a release on real directories: how long it takes, in how much memory, and what it says.

    python -m benchmarks.gate

Also counts, by the dates that NSPL gives of each postcode, how many are introduced and end in a quarter: what the
limits of app/reference/surprises.py are set by.
"""

import argparse
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import pandas as pd

from app.reference.comparison import Comparison, compare
from app.reference.manifest import manifest
from app.reference.releases import current_index
from app.reference.surprises import surprises
from benchmarks import national, report

DIRECTORIES = {
    "NSPL August 2024": ("postcodes/nspl21_aug2024_postcode_lookup.csv.gz",),
    "NSPL August 2022, 2 areas": ("postcodes/nspl21_aug2022_raw",),
    "NSPL November 2021, 13 areas": ("postcodes/nspl_nov2021_raw",),
    "August 2024 over both": ("postcodes",),
}
BESIDES = ("imd", "lookups", "census2021")
PAIRS = (
    ("NSPL August 2024", "NSPL August 2024"),
    ("NSPL August 2024", "August 2024 over both"),
    ("August 2024 over both", "NSPL August 2024"),
    ("NSPL August 2022, 2 areas", "NSPL August 2024"),
    ("NSPL November 2021, 13 areas", "NSPL August 2024"),
)
SINCE = 2010


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    report.add_option(arguments)
    arguments.add_argument("--pair", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.pair:
        _measure(*options.pair)
        return
    files = national.files()
    machine = national.machine("numpy")
    print(f"Measured {machine}\n")
    built = {name: _built(files, name, parts) for name, parts in DIRECTORIES.items()}
    rows, told = [], []
    for before, after in PAIRS:
        command = [sys.executable, "-m", "benchmarks.gate", "--pair", str(built[before]), str(built[after])]
        wall, cpu, peak = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        rows.append((before, after, f"{wall} s", f"{cpu} s", f"{peak} MB"))
        found = compare(built[before], built[after], manifest())
        told += [(f"{before} → {after}", s.name, s.sentence) for s in surprises(found, None)]
        rows[-1] += _moved(found)
    heading = ("current", "new", "time", "processor", "peak memory", "another LSOA 2021", "another decile", "Core20")
    print(national.table(heading, rows) + "\n")
    print(national.table(("current → new", "surprise", "what the gate says"), told) + "\n")
    print(national.table(("of all postcodes, in a quarter", "middle", "most", "in"), _history(files)))
    whole = rows[1]
    what = "the gate, two national releases compared"
    report.write(options.json, machine, [report.Figure(what, f"{whole[2]}, {whole[4]} at its peak", goal="≤ 2 s")])


def _built(files: Path, name: str, parts: Sequence[str]) -> Path:
    """The folder of a release that is built from these files, made where there is none."""
    data = national.CACHE / "gate" / name.replace(" ", "-").replace(",", "").lower()
    if not (data / "current").exists():
        named = [str(files / part) for part in (*parts, *BESIDES)]
        build = [sys.executable, "-m", "app.cli", "data", "build", *named, "--allow-part", "--out", str(data)]
        subprocess.run(build, check=True, capture_output=True)
    return current_index(data).parent


def _measure(before: Path, after: Path) -> None:
    """Median time of five, and the peak of this process."""
    import resource

    walls, cpus = [], []
    for _ in range(5):
        wall, cpu = time.perf_counter(), time.process_time()
        surprises(compare(before, after, manifest()), None)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{median(walls):.2f} {median(cpus):.2f} {peak:.0f}")


def _moved(found: Comparison) -> tuple[str, str, str]:
    """Of postcodes in both: the share in another LSOA 2021, with another IoD2025 decile, and with another flag."""
    edition = found.editions["IoD2025"]
    lsoa = found.codes["lsoa21"].moved / found.postcodes.both
    flag = (edition.into_core20 + edition.out_of_core20) / edition.both
    return f"{lsoa:.2%}", f"{edition.moved / edition.both:.2%}", f"{flag:.2%}"


def _history(files: Path) -> list[tuple[str, ...]]:
    raw = [p for folder in ("nspl_nov2021_raw", "nspl21_aug2022_raw") for p in files.rglob(f"{folder}/*.csv.gz")]
    dates = pd.concat([pd.read_csv(path, usecols=["dointr", "doterm"]) for path in sorted(raw)])
    rows = []
    for column, what in (("dointr", "introduced"), ("doterm", "ended")):
        months = dates[column].dropna().astype(int)
        quarters = Counter((months // 100 * 4 + (months % 100 - 1) // 3).tolist())
        last = max(quarters)  # which is cut off
        counted = {q: quarters[q] for q in range(SINCE * 4, last)}
        most = max(counted, key=counted.__getitem__)
        middle = median(counted.values()) / len(dates)
        rows.append((what, f"{middle:.2%}", f"{counted[most] / len(dates):.2%}", f"{most // 4} Q{most % 4 + 1}"))
    return rows


if __name__ == "__main__":
    main()
