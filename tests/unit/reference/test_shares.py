"""Census tables to shares of each area: whole percent, few or unknown, or a refusal that names the place."""

import re
import zipfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.lookup import layout
from app.lookup.index import FEW, Index
from app.reference.build import BuildReport
from app.reference.errors import ReferenceDataError
from app.reference.manifest import CountFact, Manifest, manifest, packaged_data, read_manifest
from app.reference.shares import as_stored
from tests import starter_data
from tests.unit.reference import official
from tests.unit.reference.test_build import ROWS, build_from, official_files, row

COUNTS = {"E01000001": (5, 1449), "E01000005": (400, 1500), "E01000010": (9, 900), "E01000020": (10, 900)}


def built(
    folder: Path, *census: Path, source: Manifest | None = None, rows: list[list[object]] | None = None
) -> tuple[Index, BuildReport]:
    return build_from(folder, *official_files(folder, rows), *census, source=source)


def refused(folder: Path, *census: Path, source: Manifest | None = None) -> str:
    with pytest.raises(ReferenceDataError) as error:
        built(folder, *census, source=source)
    return str(error.value)


def test_each_area_has_its_share_of_each_table_in_the_manifests_order(tmp_path: Path) -> None:
    index, _ = built(
        tmp_path,
        official.overcrowded(tmp_path / "census2021-ts052-lsoa.csv.gz", {"E01000001": (26, 840)}),
        official.no_car(tmp_path / "census2021-ts045-lsoa.csv", {"E01000001": (555, 837)}),
        official.limited_english(tmp_path / "census2021-ts029-lsoa.csv", {"E01000001": (5, 1449)}),
    )
    assert index.measures == tuple(manifest().measures) == ("limited_english", "no_car", "overcrowded")
    assert index.shares(index.one("NG1 1AA").area) == (FEW, 66, 3)


def test_the_numerators_columns_are_added_up(tmp_path: Path) -> None:
    path = official.census(tmp_path / "ts029.csv", official.TS029, {"E01000001": (1000, 500, 500, 100, 100, 210, 90)})
    index, _ = built(tmp_path, path)
    assert index.shares(index.one("NG1 1AA").area) == (30,)


def test_a_table_alone_gives_its_measure_alone(tmp_path: Path) -> None:
    index, report = built(tmp_path, official.no_car(tmp_path / "ts045.csv", COUNTS))
    assert index.measures == ("no_car",)
    assert [m["id"] for m in report.measures] == ["no_car"]


def test_without_a_table_there_is_no_measure(tmp_path: Path) -> None:
    index, report = built(tmp_path)
    assert index.measures == ()
    assert index.shares(index.one("NG1 1AA").area) == ()
    assert report.measures == []


def test_fewer_than_ten_are_few_and_an_area_that_no_table_has_is_unknown(tmp_path: Path) -> None:
    counts = {**COUNTS, "E01000010": (0, 900)}
    rows = [*ROWS[:4], row("NG9 9ZZ", "E01000009", "E01000009")]
    index, _ = built(tmp_path, official.limited_english(tmp_path / "ts029.csv", counts), rows=rows)
    shares = {text: index.shares(index.one(text).area) for text in ("NG1 1AA", "NG1 1AB", "NG1 1AD", "EC1A 1BB")}
    assert shares == {"NG1 1AA": (FEW,), "NG1 1AB": (27,), "NG1 1AD": (1,), "EC1A 1BB": (FEW,)}
    assert index.shares(index.one("NG9 9ZZ").area) == (None,)
    assert index.shares(0) == (None,)


@given(st.integers(0, 4000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_share_is_the_exact_percent_a_half_rounded_up(counts: tuple[int, int]) -> None:
    numerator, denominator = counts
    stored = as_stored(pd.DataFrame({"numerator": [numerator], "denominator": [denominator]})).item()
    if denominator == 0:
        assert stored == layout.SHARE_UNKNOWN
    elif numerator < 10:
        assert stored == layout.SHARE_FEW
    else:
        exact = Fraction(100 * numerator, denominator)
        assert stored - Fraction(1, 2) <= exact < stored + Fraction(1, 2)


def test_the_provenance_tells_measures_their_areas_and_how_much_of_each_nation_has_them(tmp_path: Path) -> None:
    counts = {a: n for a, n in COUNTS.items() if a != "E01000020"}
    _, report = built(tmp_path, official.limited_english(tmp_path / "ts029.csv", counts))
    told = report.measures[0]
    assert (told["areas"], told["few"]) == (3, 2)
    assert told["source"] == "Census 2021, TS029"
    assert told["publisher"] == "Office for National Statistics"
    assert told["licence"] == "Open Government Licence v3.0"
    assert report.coverage["England"]["limited_english"] == pytest.approx(2 / 3, abs=1e-5)  # of three live postcodes
    assert [f["measures"] for f in report.files if f["release"] == "census2021-ts029"] == [["limited_english"]]


# ------------------------------------------------------------------------------------ the starter data


def test_the_starter_table_gives_deciles_and_shares_from_one_file(index: Index) -> None:
    published = {r["lsoa21cd"]: r for r in starter_data.rows("lsoa21")}
    columns = (
        ("cannot_speak_english_well_or_at_all", "residents_aged_3_plus"),
        ("households_no_car_or_van", "households"),
        ("households_overcrowded", "households"),
    )
    seen = set()
    for text in starter_data.postcodes():
        area = index.one(text).area
        counted = published.get(index.code(area, "lsoa21") or "")
        if counted is None:
            assert index.shares(area) == (None, None, None)
            continue
        expected = []
        for numerator, denominator in columns:
            n, of = int(counted[numerator]), int(counted[denominator])
            expected.append(FEW if n < 10 else int(Fraction(100 * n, of) + Fraction(1, 2)))
        assert index.shares(area) == tuple(expected)
        assert index.decile(area, "IoD2025") == int(counted["imd25_decile"])
        seen.add(counted["lsoa21cd"])
    assert seen == set(published)


def test_the_starter_table_and_a_census_table_must_agree(tmp_path: Path) -> None:
    first = starter_data.rows("lsoa21")[0]
    n, of = int(first["households_no_car_or_van"]), int(first["households"])
    starter = packaged_data() / "starter" / "starter_lsoa21.csv"
    known = replace(official.small_manifest(), editions=manifest().editions)
    for name, extra in (("same", 0), ("other", 1)):
        folder = tmp_path / name
        folder.mkdir()
        census = official.no_car(folder / "ts045.csv", {first["lsoa21cd"]: (n + extra, of)})
        files = [packaged_data() / "starter" / f"starter_{table}.csv" for table in ("postcodes", "lsoa11")]
        if extra:
            with pytest.raises(ReferenceDataError, match=f"no_car of 1 areas differs.*{first['lsoa21cd']}"):
                build_from(folder, *files, starter, census, source=known)
        else:
            index, _ = build_from(folder, *files, starter, census, source=known)
            assert index.measures == ("limited_english", "no_car", "overcrowded")


# ------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        ((837, "many", 243, 29, 10), r"row 3, column .*No cars or vans in household: not a whole number from 0 up"),
        ((837, -1, 243, 29, 10), r"row 3, column .*No cars or vans in household: not a whole number from 0 up"),
        ((837, 5.5, 243, 29, 10), r"row 3, column .*No cars or vans in household: not a whole number from 0 up"),
        (("", 5, 243, 29, 10), r"row 3, column .*All households: not a whole number from 0 up"),
        ((837, 838, 243, 29, 10), r"row 3, column .*No cars or vans in household: more than all in column .*All house"),
    ],
)
def test_a_doubtful_count_is_refused_with_file_row_and_column_and_never_its_value(
    tmp_path: Path, counts: tuple[object, ...], says: str
) -> None:
    path = official.census(
        tmp_path / "ts045.csv", official.TS045, {"E01000001": (837, 555, 1, 1, 1), "E01000002": counts}
    )
    sentence = refused(tmp_path, path)
    assert sentence.startswith("ts045.csv, ")
    assert re.search(says, sentence)
    assert "many" not in sentence
    assert "838" not in sentence


def test_an_area_that_stands_twice_is_refused(tmp_path: Path) -> None:
    line = (2021, "", "E01000001", 837, 555, 1, 1, 1)
    path = official.write(tmp_path / "ts045.csv", official.TS045, [line, line])
    assert refused(tmp_path, path) == "ts045.csv, row 3: this area stands twice."


def test_a_row_without_its_area_is_refused(tmp_path: Path) -> None:
    lines = [(2021, "", code, 837, 555, 1, 1, 1) for code in ("E01000001", "")]
    path = official.write(tmp_path / "ts045.csv", official.TS045, lines)
    assert refused(tmp_path, path) == "ts045.csv, row 3, column geography code: a code is missing."


def test_a_table_that_lacks_areas_is_refused(tmp_path: Path) -> None:
    shipped = official.small_manifest()
    counted = tuple(replace(r, rows=35_672) if r.kind == "census" else r for r in shipped.releases)
    path = official.no_car(tmp_path / "ts045.csv", COUNTS)
    assert "4 rows, where the release has 35672" in refused(tmp_path, path, source=replace(shipped, releases=counted))


@pytest.mark.parametrize(
    ("area", "says"), [("E01000005", "no_car: E01000005 has 400 of 1500, where 555"), ("E01999999", "is missing")]
)
def test_a_published_count_that_does_not_hold_stops_the_build(tmp_path: Path, area: str, says: str) -> None:
    shipped = official.small_manifest()
    facts = {**shipped.measures, "no_car": replace(shipped.measures["no_car"], facts=(CountFact(area, 555, 1500),))}
    path = official.no_car(tmp_path / "ts045.csv", COUNTS)
    assert says in refused(tmp_path, path, source=replace(shipped, measures=facts))


def test_two_tables_of_one_measure_must_agree(tmp_path: Path) -> None:
    one = official.no_car(tmp_path / "a.csv", COUNTS)
    other = official.no_car(tmp_path / "b.csv", COUNTS | {"E01000005": (401, 1500)})
    assert "b.csv: no_car of 1 areas differs" in refused(tmp_path, one, other)


# --------------------------------------------------------------------------------------- recognition


@pytest.mark.parametrize(
    ("header", "release"),
    [
        (official.TS029, "census2021-ts029"),
        (official.TS045, "census2021-ts045"),
        (official.TS052, "census2021-ts052"),
    ],
)
@pytest.mark.parametrize("upper", [False, True])
def test_a_census_table_is_recognised_by_its_columns(header: list[str], release: str, upper: bool) -> None:
    hit = manifest().recognise([name.upper() for name in header] if upper else header)
    assert hit is not None
    assert (hit[0].id, hit[0].kind) == (release, "census")


def test_who_cannot_speak_english_at_all_is_not_taken_for_who_cannot_speak_it_well() -> None:
    hit = manifest().recognise(official.TS029)
    assert hit is not None
    assert hit[1]["not_well"].endswith(": Cannot speak English well")
    assert hit[1]["not_at_all"].endswith(": Cannot speak English")


@pytest.mark.parametrize("code", ["E02000001", "E00000001", "E09000001", "K04000001"])
def test_the_same_table_of_other_areas_is_left_aside(tmp_path: Path, code: str) -> None:
    nomis = tmp_path / "nomis"
    nomis.mkdir()
    official.no_car(nomis / "other.csv", {code: (100, 1000)})
    official.no_car(nomis / "lsoa.csv", COUNTS)
    index, report = built(tmp_path, nomis)
    assert index.shares(index.one("NG1 1AB").area) == (27,)
    assert report.ignored == ["other.csv"]


def test_the_archive_of_all_geographies_is_read_for_its_lsoas(tmp_path: Path) -> None:
    tables = {"ctry": "E92000001", "ltla": "E06000018", "msoa": "E02000001", "lsoa": "E01000005"}
    with zipfile.ZipFile(tmp_path / "census2021-ts045.zip", "w") as archive:
        for geography, code in tables.items():
            text = official.text(official.TS045, [(2021, "", code, 1500, 400, 1100, 0, 0)])
            archive.writestr(f"census2021-ts045-{geography}.csv", text)
    index, report = built(tmp_path, tmp_path / "census2021-ts045.zip")
    assert index.shares(index.one("NG1 1AB").area) == (27,)
    assert [f["table"] for f in report.files if f["measures"]] == ["census2021-ts045-lsoa.csv"]


def test_a_further_measure_is_an_entry_of_the_manifest(tmp_path: Path) -> None:
    entry = """[[measure]]
id = "three_cars"
title = "households with three or more cars or vans"
source = "Census 2021, TS045"
publisher = "Office for National Statistics"
licence = "Open Government Licence v3.0"
facts = []

"""
    shipped = (packaged_data() / "manifest.toml").read_text("utf-8")
    changed = (
        shipped.replace('[[release]]\nid = "postcodes"', f'{entry}[[release]]\nid = "postcodes"')
        .replace('required = ["area", "households", "none"]', 'required = ["area", "households", "none", "three"]')
        .replace('none = ["Number', 'three = ["Number of cars or vans: 3 or more.*"]\nnone = ["Number')
        .replace(
            'no_car = { numerator = ["none"]',
            'three_cars = { numerator = ["three"], denominator = "households" }\nno_car = { numerator = ["none"]',
        )
    )
    (tmp_path / "manifest.toml").write_text(changed, "utf-8")
    known = official.small_manifest(read_manifest(tmp_path / "manifest.toml"))
    path = official.census(tmp_path / "ts045.csv", official.TS045, {"E01000001": (200, 100, 20, 30, 50)})
    index, _ = built(tmp_path, path, source=known)
    assert dict(zip(index.measures, index.shares(index.one("NG1 1AA").area), strict=True)) == {
        "no_car": 50,
        "three_cars": 25,
    }


@pytest.mark.parametrize(
    ("old", "new"),
    [("no_car = { numerator", "not_a_measure = { numerator"), ('numerator = ["none"]', 'numerator = ["never_read"]')],
)
def test_a_manifest_that_counts_what_it_does_not_define_is_refused(tmp_path: Path, old: str, new: str) -> None:
    text = (packaged_data() / "manifest.toml").read_text("utf-8")
    assert old in text
    (tmp_path / "manifest.toml").write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(KeyError):
        read_manifest(tmp_path / "manifest.toml")


def test_what_the_census_counts_is_attributed() -> None:
    attribution = (packaged_data() / "ATTRIBUTION.md").read_text("utf-8")
    for measure in manifest().measures.values():
        assert measure.source.removeprefix("Census 2021, ") in attribution
        assert measure.publisher in attribution
        assert measure.licence in attribution
