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
_ENGLISH = "Proficiency in English language: Main language is not English (English or Welsh in Wales)"
_BEDROOMS = "Occupancy rating for bedrooms: Occupancy rating of bedrooms"
TS029 = [
    "date",
    "geography",
    "geography code",
    "Proficiency in English language: Total: All usual residents aged 3 years and over",
    "Proficiency in English language: Main language is English (English or Welsh in Wales)",
    _ENGLISH,
    *(
        f"{_ENGLISH}: {how}"
        for how in (
            "Can speak English very well",
            "Can speak English well",
            "Cannot speak English well",
            "Cannot speak English",
        )
    ),
]
TS045 = [
    "date",
    "geography",
    "geography code",
    "Number of cars or vans: Total: All households",
    "Number of cars or vans: No cars or vans in household",
    "Number of cars or vans: 1 car or van in household",
    "Number of cars or vans: 2 cars or vans in household",
    "Number of cars or vans: 3 or more cars or vans in household",
]
TS052 = [
    "date",
    "geography",
    "geography code",
    "Occupancy rating for bedrooms: Total: All households",
    *(f"{_BEDROOMS}: {rating}" for rating in ("+2 or more", "+1", "0", "-1", "-2 or less")),
]
LOOKUP = ["LSOA11CD", "LSOA11NM", "CHGIND", "LSOA21CD", "LSOA21NM", "LAD22CD"]


def small_manifest(shipped: Manifest | None = None, *, areas: int = 20, rows: int | None = None) -> Manifest:
    """The real manifest or a given one, with a nation of few areas and no published facts about them."""
    shipped = shipped or manifest()
    editions = {
        name: replace(e, areas=areas, facts=()) if e.nation == "England" else e for name, e in shipped.editions.items()
    }
    releases = tuple(
        replace(r, rows=rows if r.kind == "deprivation" else None, rows_at_least=3 if r.kind == "postcodes" else None)
        for r in shipped.releases
    )
    measures = {name: replace(m, facts=()) for name, m in shipped.measures.items()}
    return replace(shipped, editions=editions, measures=measures, releases=releases)


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


def census(path: Path, header: Sequence[str], counts: dict[str, Sequence[object]]) -> Path:
    """A Census 2021 table as Nomis publishes it; the counts of each area from the total on."""
    return write(path, header, [(2021, f"{area} name", area, *values) for area, values in counts.items()])


def limited_english(path: Path, counts: dict[str, tuple[int, int]]) -> Path:
    """TS029 of areas with so many of so many residents who cannot speak English well or at all."""
    return census(path, TS029, {a: (all_, all_ - n, n, 0, 0, n - n // 3, n // 3) for a, (n, all_) in counts.items()})


def no_car(path: Path, counts: dict[str, tuple[int, int]]) -> Path:
    """TS045 of areas with so many of so many households that have no car or van."""
    return census(path, TS045, {a: (all_, n, all_ - n, 0, 0) for a, (n, all_) in counts.items()})


def overcrowded(path: Path, counts: dict[str, tuple[int, int]]) -> Path:
    """TS052 of areas with so many of so many households that have fewer bedrooms than they need."""
    return census(path, TS052, {a: (all_, 0, 0, all_ - n, n - n // 4, n // 4) for a, (n, all_) in counts.items()})
