"""A file of the size and layout of a whole ONSPD, made from the national files: for measuring the build.

Postcodes, areas and ranks are the real ones; rural and urban are invented, and the columns that the build does not
read are filled in.
"""

import csv
import gzip
from pathlib import Path

from benchmarks import national

COLUMNS = [
    "pcd7",
    "pcd8",
    "pcds",
    "dointr",
    "doterm",
    "cty25cd",
    "ced25cd",
    "lad25cd",
    "wd25cd",
    "parncp26cd",
    "usrtypind",
    "east1m",
    "north1m",
    "gridind",
    "hlth19cd",
    "nhser24cd",
    "ctry25cd",
    "rgn25cd",
    "ssr95cd",
    "pcon24cd",
    "eer20cd",
    "educ23cd",
    "ttwa15cd",
    "pct19cd",
    "itl25cd",
    "statsward95",
    "oa01cd",
    "casward01",
    "npark16cd",
    "lsoa01cd",
    "msoa01cd",
    "ur01ind",
    "oac01ind",
    "oa11cd",
    "lsoa11cd",
    "msoa11cd",
    "wz11cd",
    "sicbl26cd",
    "bua24cd",
    "ruc11ind",
    "oac11ind",
    "lat",
    "long",
    "lep21cd1",
    "lep21cd2",
    "pfa23cd",
    "imd20ind",
    "cal26cd",
    "icb23cd",
    "oa21cd",
    "lsoa21cd",
    "msoa21cd",
    "ruc21ind",
    "oac21ind",
    "imd25ind",
]
CENSUS = ("census2021-ts029-lsoa*", "census2021-ts045-lsoa*", "census2021-ts052-lsoa*")
COUNTRY = {"E": "E92000001", "W": "W92000004", "S": "S92000003", "L": "L93000001", "M": "M83000003"}  # GSS


def made_from(folder: Path) -> Path:
    """Write the file once, beside links to the two English indices, and return their folder."""
    out = national.CACHE / "onspd-files"
    target = out / "ONSPD_AUG_2026_UK.csv"
    if target.exists():
        return out
    out.mkdir(parents=True, exist_ok=True)
    for pattern in ("imd2025_england_lsoa21*", "File_2_-_IoD2019*", "lookup_lsoa11_lsoa21*", *CENSUS):
        source = next(folder.rglob(pattern)).resolve()
        link = out / source.name
        link.unlink(missing_ok=True)
        link.symlink_to(source)
    parent = {
        r["lsoa21_code"]: r["lsoa11_code"]
        for r in _rows(next(folder.rglob("lookup_lsoa11_lsoa21*")))
        if r["change_code"] in "US"
    }
    made = target.with_suffix(".part")
    with made.open("w", newline="") as file:
        write = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC)
        write.writerow(COLUMNS)
        bad = {"E18 9EG", "E98 1YD", "NW11 9ZX", "SW19 9SJ", "W14 9ZZ"}
        for r in _rows(next(folder.rglob("nspl21_aug2024_postcode_lookup*"))):
            if r["pcds"] not in bad and r["laua"][:1] in COUNTRY:
                write.writerow(_row(r, parent))
    made.rename(target)
    return out


def _rows(path: Path) -> csv.DictReader:
    return csv.DictReader(gzip.open(path, "rt", encoding="utf-8-sig"))


def _row(r: dict[str, str], parent: dict[str, str]) -> list[object]:
    outward, inward = r["pcds"].split(" ")
    nation = r["laua"][:1]
    values = {
        "pcd7": outward.ljust(4) + inward,
        "pcd8": outward.ljust(5) + inward,
        "pcds": r["pcds"],
        "dointr": "198001",
        "doterm": "",
        "usrtypind": "0",
        "gridind": "1",
        "ctry25cd": COUNTRY[nation],
        "lad25cd": r["laua"],
        "icb23cd": "E54000060" if nation == "E" else f"{nation}99999999",
        "lsoa21cd": r["lsoa21"] or f"{nation}99999999",
        "lsoa11cd": parent.get(r["lsoa21"], f"{nation}99999999"),
        "lat": 52.954783,
        "long": -1.158109,
        # The postcode's own unit decides, so that LSOAs hold both: the most areas that there can be.
        "ruc21ind": ("RSN1" if inward[-1] < "N" else "UN1") if nation in "EW" else f"{nation}99999999",
        "imd20ind": "",
        "imd25ind": "",
        "doterm_": "",
    }
    return [values.get(name, f"{nation}99999999") for name in COLUMNS]


if __name__ == "__main__":
    print(made_from(national.files()))
