"""The starter tables as published, for tests that compare with them, and copies of the folder built from them."""

import csv
import shutil
from pathlib import Path

from app.reference.manifest import packaged_data


def rows(name: str) -> list[dict[str, str]]:
    """`postcodes`, `lsoa21` or `lsoa11`, a dict for each row."""
    text = (packaged_data() / "starter" / f"starter_{name}.csv").read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))


def postcodes() -> list[str]:
    """Every starter postcode."""
    return [row["pcds"] for row in rows("postcodes")]


def copy_without_counts(starter: Path, folder: Path) -> Path:
    """A copy of the data folder that tests share, without its store.

    This process may hold that store open, and closing any other handle of its file gives up SQLite's locks on it:
    a service in another process would then remove the write-ahead log, and the next write is a disk I/O error.
    """
    shutil.copytree(starter, folder, symlinks=True, ignore=shutil.ignore_patterns("counts"))
    return folder
