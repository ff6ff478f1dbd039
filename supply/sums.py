"""The SHA-256 of files, as `sha256sum -c` reads them: `python -m supply.sums FILE ...`."""

import sys
from pathlib import Path

from supply.carried import sha256_of


def main() -> int:
    """Print one line for each file."""
    for path in map(Path, sys.argv[1:]):
        sys.stdout.write(f"{sha256_of(path)}  {path.name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
