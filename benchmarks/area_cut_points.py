"""What is usual of an LSOA in England: each measure's share of all, and its nine decile cut points.

    python -m benchmarks.area_cut_points [FILE_OR_FOLDER…]

Files are the Census tables that a build reads; without any, those of NATIONAL_FILES. The share of all is the sum of the
numerators over the sum of the denominators. A cut point is a quantile of the LSOAs' own shares, unrounded and each LSOA
counted once, interpolated linearly between neighbours (numpy's default, Hyndman and Fan's type 7).
"""

import argparse
from pathlib import Path

import numpy as np

from app.reference.manifest import manifest
from app.reference.shares import FEWEST, read_measures
from app.reference.sources import discover
from benchmarks import national

LEVELS = np.arange(1, 10) / 10


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("files", nargs="*", type=Path)
    sources, _ = discover(arguments.parse_args().files or [national.files()], manifest())
    rows = []
    for name, everywhere in read_measures(sources, manifest()).items():
        counts = everywhere[everywhere.index.str.startswith("E")]
        numerator, denominator = counts["numerator"], counts["denominator"]
        cuts = np.quantile(100 * numerator / denominator, LEVELS)
        rows.append(
            (
                name,
                f"{len(counts):,}",
                f"{(numerator < FEWEST).sum():,}",
                f"{numerator.sum():,} / {denominator.sum():,}",
                f"{100 * numerator.sum() / denominator.sum():.1f}",
                *(f"{cut:.2f}" for cut in cuts),
            )
        )
    heading = ("measure", "LSOAs", "few", "counts", "England %", *(f"{level:.0%}" for level in LEVELS))
    print(national.table(heading, rows))


if __name__ == "__main__":
    main()
