"""Directories of two quarters, made for a test: some thousand postcodes in twenty areas, and what was changed."""

from collections.abc import Callable
from pathlib import Path

from app.lookup.postcode import unit_names
from app.reference.build import BuildOptions, BuildReport, build
from app.reference.releases import publish
from tests.unit.reference import official
from tests.unit.reference.test_build import AREAS_2011, AREAS_2025, ONSPD, row

MANIFEST = official.small_manifest()
Row = dict[str, object]


def postcodes() -> list[Row]:
    """4,000 live postcodes, spread evenly over the areas; every fortieth ended long ago."""
    rows = []
    for sector in range(10):
        for place, unit in enumerate(unit_names()):
            code = f"E010000{place % 20 + 1:02}"
            ended = {"doterm": "201503"} if place % 40 == 39 else {}
            rows.append(dict(zip(ONSPD, row(f"NG1 {sector}{unit}", code, code, **ended), strict=True)))
    return rows


def write(folder: Path, rows: list[Row], *, month: str = "MAY", ranks: dict[str, int] = AREAS_2025) -> Path:
    """A folder of official-looking files: a directory of 2026 and both English indices."""
    folder.mkdir(parents=True, exist_ok=True)
    official.write(folder / f"ONSPD_{month}_2026_UK.csv", ONSPD, [[r[name] for name in ONSPD] for r in rows])
    official.iod2025(folder / "iod2025.csv", ranks)
    official.iod2019(folder / "iod2019.csv", AREAS_2011)
    return folder


def publish_from(data: Path, files: Path, passes: Callable[[Path], bool] = lambda _: True) -> BuildReport:
    """Build these files into a data folder, and make them current where they pass."""
    return publish(data, lambda made: build([files], made, MANIFEST, BuildOptions()), passes)
