"""Whether a postcode's area is rural or urban: read from the directory's indicator, part of what an area is."""

from pathlib import Path

import pytest

from app.lookup.index import Index
from app.reference.build import BuildReport
from app.reference.manifest import manifest
from tests.unit.reference import official
from tests.unit.reference.test_build import AREAS_2025, ONSPD, ROWS, build_from, official_files, row

CODES_2011 = {
    **dict.fromkeys(["A1", "B1", "C1", "C2", "1", "2"], False),
    **dict.fromkeys(["D1", "D2", "E1", "E2", "F1", "F2", "6", "7", "8"], True),
    **dict.fromkeys(["3", "4", "5", "Z9", "", "E99999999"], None),
}
CODES_2021 = {
    **dict.fromkeys(["UN1", "UF1"], False),
    **dict.fromkeys(["RLN1", "RLF1", "RSN1", "RSF1"], True),
    **dict.fromkeys(["", "Z9", "S99999999"], None),
}


def with_codes(folder: Path, **columns: list[str]) -> tuple[Index, BuildReport]:
    """An index of one postcode for each code, all in one LSOA, beside the usual ones."""
    length = len(next(iter(columns.values())))
    assert length <= 20
    new = [row(f"NG9 {n // 10}{'ABDEFGHJLN'[n % 10]}A", "E01000003", "E01000003") for n in range(length)]
    blank = [""] * len(columns)
    rows = [*([*r, *blank] for r in ROWS), *([*r, *codes] for r, *codes in zip(new, *columns.values(), strict=True))]
    files = official_files(folder)[:2]
    return build_from(folder, *files, official.write(folder / "ONSPD_AUG_2026_UK.csv", [*ONSPD, *columns], rows))


def rural(index: Index, length: int) -> list[bool | None]:
    names = [f"NG9 {n // 10}{'ABDEFGHJLN'[n % 10]}A" for n in range(length)]
    return [index.rural(index.one(name).area) for name in names]


@pytest.mark.parametrize(
    ("column", "codes"),
    [("ru11ind", CODES_2011), ("ruc11ind", CODES_2011), ("RU11IND", CODES_2011), ("ruc21ind", CODES_2021)],
)
def test_each_code_says_rural_urban_or_nothing(tmp_path: Path, column: str, codes: dict[str, bool | None]) -> None:
    for start in range(0, len(codes), 20):
        folder = tmp_path / str(start)
        folder.mkdir()
        part = list(codes)[start : start + 20]
        index, report = with_codes(folder, **{column: part})
        assert rural(index, len(part)) == [codes[code] for code in part]
        assert not [w for w in report.warnings if "not known here" in w]


def test_every_code_of_the_manifest_is_tested_here() -> None:
    release = next(r for r in manifest().releases if r.kind == "postcodes")
    assert set(release.rural_codes) == {c for c in release.columns if c.startswith("rural_")}
    assert {*release.rural_codes["rural_2011"]} <= {*CODES_2011}
    assert {*release.rural_codes["rural_2021"]} <= {*CODES_2021}


def test_the_newer_classification_decides_and_the_older_serves_where_it_is_silent(tmp_path: Path) -> None:
    index, _ = with_codes(tmp_path, ruc11ind=["A1", "F1", "8", "", "A1"], ruc21ind=["RSN1", "UN1", "", "UF1", "Z9"])
    assert rural(index, 5) == [True, False, True, False, False]


def test_a_code_that_is_not_known_is_reported_and_says_nothing(tmp_path: Path) -> None:
    index, report = with_codes(tmp_path, ruc21ind=["UN1", "X7", "X7"], ruc11ind=["", "A1", ""])
    assert rural(index, 3) == [False, False, None]
    said = [w for w in report.warnings if "not known here" in w]
    assert len(said) == 1
    assert said[0].startswith("ONSPD_AUG_2026_UK.csv, column ruc21ind: 2 postcodes have a code")


def test_one_lsoa_may_hold_rural_and_urban_postcodes_with_the_same_deciles(tmp_path: Path) -> None:
    index, _ = with_codes(tmp_path, ruc21ind=["UN1", "RSN1"])
    town, village = index.one("NG9 0AA").area, index.one("NG9 0BA").area
    assert town != village
    assert index.code(town, "lsoa21") == index.code(village, "lsoa21") == "E01000003"
    assert index.decile(town, "IoD2025") == index.decile(village, "IoD2025") == 2
    assert (index.rural(town), index.rural(village)) == (False, True)


def test_a_directory_without_the_indicator_leaves_it_unknown(tmp_path: Path) -> None:
    index, report = build_from(tmp_path, *official_files(tmp_path))
    assert index.rural(index.one("NG1 1AA").area) is None
    assert index.rural(0) is None
    assert "rural" not in report.coverage["England"]


def test_rurality_is_taken_from_the_row_that_the_area_is_taken_from(tmp_path: Path) -> None:
    newer = official.write(tmp_path / "NSPL_AUG_2026_UK.csv", ["pcds", "lsoa21cd"], [("NG1 1AA", "E01000002")])
    rows = [[*r, "F1"] for r in ROWS]
    older = official.write(tmp_path / "ONSPD_FEB_2024_UK.csv", [*ONSPD, "ru11ind"], rows)
    files = [official.iod2025(tmp_path / "iod.csv", AREAS_2025), newer, older]
    index, _ = build_from(tmp_path, *files, allow_part=True)
    assert index.rural(index.one("NG1 1AA").area) is None
    assert index.rural(index.one("EC1A 1BB").area) is True


def test_the_provenance_tells_how_many_live_postcodes_are_known_to_be_rural_or_urban(tmp_path: Path) -> None:
    _, report = with_codes(tmp_path, ruc21ind=["UN1", "RSN1", ""])
    assert report.coverage["England"]["rural"] == pytest.approx(2 / 6, abs=1e-5)


def test_the_provenance_tells_up_to_when_introductions_are_known(tmp_path: Path) -> None:
    new = row("NG9 9ZZ", "E01000003", "E01000003", dointr="202607")
    rows = [*ROWS[:4], new, row("NG9 9ZY", "E01000003", "E01000003", dointr="")]
    _, report = build_from(tmp_path, *official_files(tmp_path, rows))
    assert (report.introduced_until, report.counts["introduction_known"]) == ("2026-07", 5)
    silent = [row(str(r[2]), str(r[10]), str(r[11]), dointr="") for r in ROWS[:4]]
    (tmp_path / "silent").mkdir()
    _, report = build_from(tmp_path / "silent", *official_files(tmp_path / "silent", silent))
    assert report.introduced_until is None
