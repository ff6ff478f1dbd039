"""Backup and restore of an embedded store of a million cells and more, nobody else at work.

    python -m benchmarks.backup [--cells 1 10]

A backup is timed whole: the copy, its check for damage, and the wait for the disk.
"""

import argparse
import tempfile
import time
from pathlib import Path

from app.backup import back_up, restore
from app.counting import open_store
from app.settings import Settings
from benchmarks import national
from benchmarks.tables import fill_cells


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--cells", type=int, nargs="+", default=[1, 10], help="millions")
    options = arguments.parse_args()
    print(f"Measured {national.machine('sqlalchemy')}; SQLite\n")
    rows = []
    for millions in options.cells:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(_measure(Path(folder), millions))
    print(national.table(("cells", "file", "backup", "restore"), rows))


def _measure(folder: Path, millions: int) -> tuple[str, ...]:
    settings = Settings(data_dir=folder, counts_dir=folder / "counts")
    engine = open_store(settings, patient=True)
    fill_cells(engine, millions * 1_000_000)
    engine.dispose()
    store, kept = folder / "counts" / "counts.sqlite", folder / "kept.sqlite"
    started = time.perf_counter()
    size = back_up(store, kept).size
    copied = time.perf_counter()
    restore(kept, store, folder / "counts" / "spool", move_aside=True)
    restored = time.perf_counter()
    return f"{millions} M", f"{size / 1e6:,.0f} MB", f"{copied - started:.1f} s", f"{restored - copied:.1f} s"


if __name__ == "__main__":
    main()
