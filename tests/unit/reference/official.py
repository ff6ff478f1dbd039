"""Small official-looking files, made for a test: a few rows under the headers that publishers use."""

import csv
import gzip
import io
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from app.reference.manifest import Manifest, manifest

IOD2025 = [
    "LSOA code (2021)",
    "LSOA name (2021)",
    "Local Authority District code (2024)",
    "Index of Multiple Deprivation (IMD) Rank (where 1 is most deprived)",
    "Index of Multiple Deprivation (IMD) Decile (where 1 is most deprived 10% of LSOAs)",
    *(
        f"{name} Decile (where 1 is most deprived 10% of LSOAs)"
        for name in (
            "Income",
            "Employment",
            "Education, Skills and Training",
            "Health Deprivation and Disability",
            "Crime",
            "Barriers to Housing and Services",
            "Living Environment",
        )
    ),
]
IOD2019 = [h.replace("2021", "2011").replace("2024", "2019") for h in IOD2025]
LOOKUP = ["LSOA11CD", "LSOA11NM", "CHGIND", "LSOA21CD", "LSOA21NM", "LAD22CD"]


def small_manifest(areas: int = 20, *, rows: int | None = None) -> Manifest:
    """The real manifest, with a nation of few areas and no published facts about them."""
    shipped = manifest()
    editions = {
        name: replace(e, areas=areas, facts=()) if e.nation == "England" else e for name, e in shipped.editions.items()
    }
    releases = tuple(
        replace(r, rows=rows if r.kind == "deprivation" else None, rows_at_least=3 if r.kind == "postcodes" else None)
        for r in shipped.releases
    )
    return replace(shipped, editions=editions, releases=releases)


def text(header: Sequence[str], rows: Iterable[Sequence[object]], *, quoted: bool = False) -> str:
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL)
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()


def write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]], *, quoted: bool = False) -> Path:
    """A CSV, or a CSV.gz or a zip of one by the name's suffix."""
    content = text(header, rows, quoted=quoted).encode()
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(content))
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"Data/{path.stem}_UK.csv", content)
            archive.writestr("Documents/about.csv", "nothing,of,use\n1,2,3\n")
            archive.writestr("User Guide/guide.pdf", b"%PDF")
    else:
        path.write_bytes(content)
    return path


def decile(rank: int, areas: int = 20) -> int:
    return -(-10 * rank // areas)


def iod2025(path: Path, ranks: dict[str, int], areas: int = 20) -> Path:
    return write(path, IOD2025, [(a, f"{a} name", "E06000018", r, *[decile(r, areas)] * 8) for a, r in ranks.items()])


def iod2019(path: Path, ranks: dict[str, int], areas: int = 20) -> Path:
    return write(path, IOD2019, [(a, f"{a} name", "E06000018", r, *[decile(r, areas)] * 8) for a, r in ranks.items()])
