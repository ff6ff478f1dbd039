"""From files as published to an index, or to a refusal that names the place."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from app.lookup.index import Index
from app.reference.build import BuildOptions, BuildReport, build
from app.reference.errors import ReferenceDataError
from app.reference.manifest import Manifest, manifest, packaged_data
from app.reference.releases import INDEX_FILE, PROVENANCE_FILE
from tests.unit.reference import official

AREAS_2025 = {f"E010000{n:02}": n for n in range(1, 21)}
AREAS_2011 = {f"E010000{n:02}": 21 - n for n in range(1, 21)}
ONSPD = [
    "pcd7",
    "pcd8",
    "pcds",
    "dointr",
    "doterm",
    "usrtypind",
    "gridind",
    "ctry25cd",
    "lad25cd",
    "icb23cd",
    "lsoa11cd",
    "lsoa21cd",
    "imd20ind",
    "imd25ind",
]


def row(pcds: str, lsoa11: str = "", lsoa21: str = "", **other: object) -> list[object]:
    compact = pcds.replace(" ", "")
    values = {
        "pcd7": compact[:-3].ljust(4) + compact[-3:],
        "pcd8": compact[:-3].ljust(5) + compact[-3:],
        "pcds": pcds,
        "dointr": "198001",
        "usrtypind": "0",
        "gridind": "1",
        "ctry25cd": "E92000001",
        "lad25cd": "E06000018",
        "icb23cd": "E54000060",
        "lsoa11cd": lsoa11,
        "lsoa21cd": lsoa21,
    } | other
    return [values.get(name, "") for name in ONSPD]


ROWS = [
    row("NG1 1AA", "E01000001", "E01000001", imd20ind=20, imd25ind=1),
    row("NG1 1AB", "E01000005", "E01000005", doterm="201503"),
    row("NG1 1AD", "E01000020", "E01000020", usrtypind="1", gridind="8"),
    row("EC1A 1BB", "E01000010", "E01000010"),
    row("GY1 1AA", ctry25cd="L93000001", lad25cd="L99999999"),
]


def build_from(
    folder: Path, *paths: Path, source: Manifest | None = None, allow_part: bool = False
) -> tuple[Index, BuildReport]:
    made = folder / "made"
    made.mkdir()
    report = build(list(paths), made, source or official.small_manifest(), BuildOptions(allow_part=allow_part))
    return Index(made / INDEX_FILE), report


def official_files(folder: Path, rows: list[list[object]] | None = None) -> list[Path]:
    return [
        official.iod2025(folder / "File_7_IoD2025.csv", AREAS_2025),
        official.iod2019(folder / "File_7_IoD2019.csv", AREAS_2011),
        official.write(folder / "ONSPD_AUG_2026_UK.csv", ONSPD, rows or ROWS),
    ]


def test_a_postcode_gets_the_published_decile_of_each_edition(tmp_path: Path) -> None:
    index, report = build_from(tmp_path, *official_files(tmp_path))
    found = index.one("NG1 1AA")
    assert (found.finding.status, found.finding.country) == ("live", "England")
    assert (index.decile(found.area, "IoD2025"), index.rank(found.area, "IoD2025")) == (1, 1)
    assert (index.decile(found.area, "IoD2019"), index.rank(found.area, "IoD2019")) == (10, 20)
    assert index.code(found.area, "lsoa21") == "E01000001"
    assert (index.code(found.area, "lad"), index.code(found.area, "icb")) == ("E06000018", "E54000060")
    assert report.postcodes == index.release.postcodes == "ONSPD August 2026"


def test_what_the_directory_says_of_a_postcode_is_kept(tmp_path: Path) -> None:
    index, _ = build_from(tmp_path, *official_files(tmp_path))
    assert index.one("NG1 1AB").finding.status == "terminated"
    assert index.one("NG1 1AD").finding.large_user
    assert index.one("NG1 1AD").finding.low_precision
    assert not index.one("NG1 1AA").finding.large_user
    assert index.one("NG1 1AA").introduced == 121  # January 1980
    assert index.one("NG1 1AE").finding.status == "not_found"


def test_crown_dependencies_are_left_to_their_rule(tmp_path: Path) -> None:
    index, report = build_from(tmp_path, *official_files(tmp_path))
    assert index.one("GY1 1AA").finding.status == "crown_dependency"
    assert report.counts["left_out_crown_dependency"] == 1


def test_the_provenance_names_files_digests_editions_and_counts(tmp_path: Path) -> None:
    build_from(tmp_path, *official_files(tmp_path))
    kept = json.loads((tmp_path / "made" / PROVENANCE_FILE).read_text())
    assert {f["release"] for f in kept["files"]} == {"iod2025", "iod2019", "postcodes"}
    assert all(len(f["sha256"]) == 64 and f["licence"] for f in kept["files"])
    assert [e["id"] for e in kept["editions"]] == ["IoD2025", "IoD2019"]
    assert kept["counts"]["postcodes"] == 4
    assert kept["counts"]["terminated"] == 1


def test_the_same_files_give_the_same_index(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    files = official_files(tmp_path)
    a, _ = build_from(tmp_path / "a", *files)
    b, _ = build_from(tmp_path / "b", *reversed(files))
    assert a.release.checksum == b.release.checksum


@pytest.mark.parametrize("name", ["ONSPD_AUG_2026_UK.csv", "ONSPD_AUG_2026_UK.csv.gz", "ONSPD_AUG_2026.zip"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("quoted", [False, True])
def test_files_are_read_however_they_are_packed(
    tmp_path: Path, name: str, bom: bytes, upper: bool, quoted: bool
) -> None:
    header = [h.upper() for h in ONSPD] if upper else ONSPD
    path = official.write(tmp_path / name, header, ROWS, quoted=quoted)
    if bom and path.suffix == ".csv":
        path.write_bytes(bom + path.read_bytes())
    index, _ = build_from(tmp_path, *official_files(tmp_path)[:2], path)
    assert index.decile(index.one("EC1A 1BB").area, "IoD2025") == 5


def test_names_in_another_encoding_do_not_matter(tmp_path: Path) -> None:
    files = official_files(tmp_path)
    files[0].write_bytes(files[0].read_bytes().replace(b"E01000001 name", "Ynys Môn".encode("cp1252")))
    header, rows = [*ONSPD, "name"], [[*r, "Ynys M\xf4n"] for r in ROWS]
    files[2].write_bytes(official.text(header, rows).encode("cp1252"))
    index, _ = build_from(tmp_path, *files)
    assert index.decile(index.one("NG1 1AA").area, "IoD2025") == 1


def test_xlsx_is_read_as_published(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    files = official_files(tmp_path)
    table = pd.read_csv(files[0])
    xlsx = _xlsx(tmp_path / "File_1_IoD2025.xlsx", [list(table.columns[:5]), *table.iloc[:, :5].to_numpy().tolist()])
    index, _ = build_from(tmp_path, xlsx, *files[1:])
    assert index.decile(index.one("EC1A 1BB").area, "IoD2025") == 5
    assert index.domains(index.one("EC1A 1BB").area, "IoD2025") is None


def _xlsx(path: Path, rows: list[list[object]]) -> Path:
    """The smallest workbook: one sheet of inline strings and numbers."""
    import zipfile
    from xml.sax.saxutils import escape

    def cell(value: object) -> str:
        if isinstance(value, str):
            return f'<c t="inlineStr"><is><t>{escape(value)}</t></is></c>'
        return f"<c><v>{value}</v></c>"

    sheet = "".join("<row>" + "".join(map(cell, r)) + "</row>" for r in rows)
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    rel = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    with zipfile.ZipFile(path, "w") as z:
        z.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{package}/content-types"><Default Extension="rels" ContentType='
            '"application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" '
            'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>',
        )
        z.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type="{rel}/officeDocument" '
            'Target="xl/workbook.xml"/></Relationships>',
        )
        z.writestr(
            "xl/workbook.xml",
            f'<workbook {main} xmlns:r="{rel}"><sheets><sheet name="Notes" sheetId="1" r:id="r1"/>'
            '<sheet name="IMD25" sheetId="2" r:id="r2"/></sheets></workbook>',
        )
        z.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{package}/relationships">'
            f'<Relationship Id="r1" Type="{rel}/worksheet" Target="worksheets/sheet1.xml"/>'
            f'<Relationship Id="r2" Type="{rel}/worksheet" Target="worksheets/sheet2.xml"/></Relationships>',
        )
        z.writestr("xl/worksheets/sheet1.xml", f"<worksheet {main}><sheetData/></worksheet>")
        z.writestr("xl/worksheets/sheet2.xml", f"<worksheet {main}><sheetData>{sheet}</sheetData></worksheet>")
    return path


# --------------------------------------------------------------------- releases over each other


def test_a_release_in_one_file_and_in_parts_is_read_once(tmp_path: Path) -> None:
    import zipfile

    files = official_files(tmp_path)[:2]
    with zipfile.ZipFile(tmp_path / "ONSPD_AUG_2026.zip", "w") as archive:
        archive.writestr("Data/ONSPD_AUG_2026_UK.csv", official.text(ONSPD, ROWS))
        archive.writestr("Data/multi_csv/ONSPD_AUG_2026_UK_NG.csv", official.text(ONSPD, ROWS[:3]))
    _, report = build_from(tmp_path, *files, tmp_path / "ONSPD_AUG_2026.zip")
    assert [f["table"] for f in report.files if f["release"] == "postcodes"] == ["Data/ONSPD_AUG_2026_UK.csv"]


def test_parts_alone_make_a_release(tmp_path: Path) -> None:
    files = official_files(tmp_path)[:2]
    parts = [
        official.write(tmp_path / "ONSPD_AUG_2026_UK_NG.csv", ONSPD, ROWS[:3]),
        official.write(tmp_path / "ONSPD_AUG_2026_UK_EC.csv", ONSPD, ROWS[3:]),
    ]
    index, _ = build_from(tmp_path, *files, *parts)
    assert index.one("EC1A 1BB").finding.status == index.one("NG1 1AA").finding.status == "live"


def test_the_newest_release_wins_and_an_older_one_only_fills_gaps(tmp_path: Path) -> None:
    header = ["pcds", "lsoa21cd"]
    newer = official.write(
        tmp_path / "NSPL_AUG_2026_UK.csv", header, [("NG1 1AA", "E01000002"), ("NG1 1AD", ""), ("NG1 1AE", "E01000004")]
    )
    older = official.write(tmp_path / "ONSPD_FEB_2024_UK.csv", ONSPD, ROWS)
    index, report = build_from(tmp_path, *official_files(tmp_path)[:2], newer, older)
    assert report.postcodes == "NSPL August 2026"
    moved = index.one("NG1 1AA")
    assert index.code(moved.area, "lsoa21") == "E01000002"
    assert index.code(moved.area, "lsoa11") is None  # the older release's place is not mixed in
    assert moved.introduced == 121  # what says nothing of the place is filled from it
    assert index.code(index.one("NG1 1AD").area, "lsoa21") == "E01000020"
    assert index.one("EC1A 1BB").finding.status == "live"


def test_rows_known_to_be_wrong_are_reported_and_not_trusted(tmp_path: Path) -> None:
    from app.reference.manifest import KnownDefect

    shipped = official.small_manifest()
    defect = KnownDefect(("pcds", "lsoa21cd"), 4, ("NG1 1AB",), "a test says so")
    changed = tuple(replace(r, known_defects=(defect,)) if r.kind == "postcodes" else r for r in shipped.releases)
    rows = [("NG1 1AA", "E01000001"), ("NG1 1AB", "E01000002"), ("NG1 1AD", "E01000003"), ("NG1 1AE", "E01000004")]
    path = official.write(tmp_path / "NSPL_AUG_2026_UK.csv", ["pcds", "lsoa21cd"], rows)
    index, report = build_from(tmp_path, *official_files(tmp_path)[:2], path, source=replace(shipped, releases=changed))
    assert index.one("NG1 1AB").finding.status == "not_found"
    assert report.untrusted == ["NSPL_AUG_2026_UK.csv: NG1 1AB"]
    assert any("a test says so" in w for w in report.warnings)


# ------------------------------------------------------------------- one geography to the other


def linked(tmp_path: Path, links: list[tuple[str, str, str]], lsoa21: str = "", lsoa11: str = "") -> Index:
    lookup = official.write(
        tmp_path / "lookup.csv", official.LOOKUP, [(a, "", change, b, "", "E06000018") for a, change, b in links]
    )
    rows = [*ROWS[:4], row("NG9 9ZZ", lsoa11, lsoa21)]
    index, _ = build_from(tmp_path, *official_files(tmp_path, rows), lookup)
    return index


_OWN = [(a, "U", a) for a in ("E01000001", "E01000005", "E01000020", "E01000010")]


def test_an_unchanged_area_has_its_value_in_both_editions(tmp_path: Path) -> None:
    index = linked(tmp_path, [*_OWN, ("E01000003", "U", "E01000003")], lsoa21="E01000003")
    area = index.one("NG9 9ZZ").area
    assert (index.decile(area, "IoD2025"), index.decile(area, "IoD2019")) == (2, 9)
    assert index.code(area, "lsoa11") == "E01000003"


def test_a_child_of_a_split_area_has_its_one_parents_value(tmp_path: Path) -> None:
    links = [*_OWN, ("E01000003", "S", "E01000006"), ("E01000003", "S", "E01000007")]
    area = (index := linked(tmp_path, links, lsoa21="E01000007")).one("NG9 9ZZ").area
    assert index.code(area, "lsoa11") == "E01000003"
    assert index.decile(area, "IoD2019") == 9


def test_a_merged_area_has_no_value_unless_its_parents_agree(tmp_path: Path) -> None:
    apart = [*_OWN, ("E01000003", "M", "E01000008"), ("E01000009", "M", "E01000008")]
    area = (index := linked(tmp_path, apart, lsoa21="E01000008")).one("NG9 9ZZ").area
    assert index.decile(area, "IoD2025") == 4
    assert index.decile(area, "IoD2019") is None
    assert index.code(area, "lsoa11") is None


def test_a_merged_area_whose_parents_agree_has_their_decile_and_no_rank(tmp_path: Path) -> None:
    alike = [*_OWN, ("E01000003", "M", "E01000008"), ("E01000004", "M", "E01000008")]  # ranks 18 and 17: decile 9
    area = (index := linked(tmp_path, alike, lsoa21="E01000008")).one("NG9 9ZZ").area
    assert index.decile(area, "IoD2019") == 9
    assert index.rank(area, "IoD2019") is None


def test_an_irregular_change_gives_no_value(tmp_path: Path) -> None:
    area = (index := linked(tmp_path, [*_OWN, ("E01000003", "X", "E01000008")], lsoa21="E01000008")).one("NG9 9ZZ").area
    assert index.decile(area, "IoD2019") is None


def test_a_file_of_2011_areas_gets_2021_the_same_way(tmp_path: Path) -> None:
    links = [*_OWN, ("E01000003", "M", "E01000008"), ("E01000009", "S", "E01000011"), ("E01000009", "S", "E01000016")]
    lookup = official.write(tmp_path / "lookup.csv", official.LOOKUP, [(a, "", c, b, "", "") for a, c, b in links])
    others = [row(f"NG2 {n}A{letter}", "E01000001", "E01000001") for n in range(10) for letter in "ABDEF"]
    rows = [*ROWS[:4], row("NG9 9ZZ", "E01000003"), row("NG9 9ZY", "E01000009"), *others]
    index, _ = build_from(tmp_path, *official_files(tmp_path, rows), lookup)
    merged, split = index.one("NG9 9ZZ").area, index.one("NG9 9ZY").area
    assert index.decile(merged, "IoD2025") == 4
    assert index.decile(split, "IoD2025") is None


def test_without_an_area_of_2011_the_rank_finds_its_published_decile(tmp_path: Path) -> None:
    rows = [*ROWS[:4], row("NG9 9ZZ", "", "E01000003", imd20ind=7)]
    index, _ = build_from(tmp_path, *official_files(tmp_path, rows))
    area = index.one("NG9 9ZZ").area
    assert (index.decile(area, "IoD2019"), index.rank(area, "IoD2019")) == (4, 7)


def test_another_nations_decile_is_computed_from_its_rank_and_labelled(tmp_path: Path) -> None:
    rows = [
        *ROWS[:4],
        row("LD1 5AA", "W01000459", "W01000459", ctry25cd="W92000004", lad25cd="W06000023", imd20ind=191),
        row("EH1 1AA", "S01008677", "", ctry25cd="S92000003", lad25cd="S12000036", imd20ind=699),
        row("BT1 1AA", "95GG01S1", "", ctry25cd="N92000002", imd20ind=890),
    ]
    index, _ = build_from(tmp_path, *official_files(tmp_path, rows))
    for text, nation, edition, expected in (
        ("LD1 5AA", "Wales", "WIMD2019", 1),
        ("EH1 1AA", "Scotland", "SIMD2020v2", 2),
        ("BT1 1AA", "Northern Ireland", "NIMDM2017", 10),
    ):
        found = index.one(text)
        assert found.finding.country == nation
        assert index.decile(found.area, edition) == expected
        assert next(e for e in index.editions if e.id == edition).computed
        assert index.decile(found.area, "IoD2025") is None


# ------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: (f / "File_7_IoD2025.csv").unlink(), "No such file|no such file"),
        (
            lambda f: official.iod2025(f / "File_7_IoD2025.csv", AREAS_2025, areas=40),
            r"row 4, column .*Decile.*20 areas",
        ),
        (
            lambda f: official.iod2025(f / "File_7_IoD2025.csv", AREAS_2025 | {"E01000021": 21}),
            r"row 22, column .*Rank.*between 1 and 20",
        ),
        (lambda f: _replace(f / "File_7_IoD2025.csv", b"E01000002,", b"E01000001,"), r"row 3: this area stands twice"),
        (
            lambda f: _replace(f / "File_7_IoD2025.csv", b",20,10,", b",twenty,10,"),
            r"row 21, column .*Rank.*not a whole number",
        ),
        (
            lambda f: _replace(f / "ONSPD_AUG_2026_UK.csv", b"201503", b"soon"),
            r"row 3, column doterm: not a whole number",
        ),
        (
            lambda f: _replace(f / "ONSPD_AUG_2026_UK.csv", b",NG1 1AB,1980", b",nonsense,1980"),
            r"1 of 5 postcodes cannot be read.*row 3",
        ),
        (
            lambda f: _replace(f / "ONSPD_AUG_2026_UK.csv", b"E01000005,E01000005", b"E01000005,E01999999"),
            "not in IoD2025, first E01999999",
        ),
        (
            lambda f: _replace(f / "ONSPD_AUG_2026_UK.csv", b"E01000001,20,1", b"E01000001,20,2"),
            "another rank than IoD2025",
        ),
        (lambda f: official.write(f / "ONSPD_AUG_2026_UK.csv", ONSPD, ROWS[:2]), "Only 2 postcodes"),
        (
            lambda f: official.write(
                f / "ONSPD_AUG_2026_UK.csv", ONSPD, [*ROWS, row("NG1 1AA", "E01000009", "E01000009")]
            ),
            "stand twice, with different",
        ),
        (
            lambda f: (f / "ONSPD_AUG_2026_UK.csv").write_bytes(official.text(ONSPD, ROWS).encode() + b'"NG1 1AE,x'),
            "cannot be read",
        ),
        (
            lambda f: official.write(f / "ONSPD_AUG_2026_UK.csv", ONSPD, [row(f"NG1 {n}AA") for n in range(9)]),
            "No English index|Only 0.0%",
        ),
        (
            lambda f: (f / "ONSPD_AUG_2026_UK.csv").write_text("<html>not found</html>"),
            "columns of an official release",
        ),
        (lambda f: (f / "ONSPD_AUG_2026_UK.csv").write_bytes(b""), "columns of an official release"),
    ],
)
def test_a_doubtful_file_is_refused_with_file_row_and_column(tmp_path: Path, change: object, says: str) -> None:
    files = official_files(tmp_path)
    change(tmp_path)  # type: ignore[operator]
    with pytest.raises(ReferenceDataError, match=says):
        build_from(tmp_path, *files)


def _replace(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))


def test_a_cut_zip_is_refused(tmp_path: Path) -> None:
    files = official_files(tmp_path)[:2]
    path = official.write(tmp_path / "ONSPD_AUG_2026.zip", ONSPD, ROWS * 1)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ReferenceDataError, match=r"ONSPD_AUG_2026\.zip: it cannot be read"):
        build_from(tmp_path, *files, path)


def test_a_cut_gzip_is_refused(tmp_path: Path) -> None:
    files = official_files(tmp_path)[:2]
    path = official.write(
        tmp_path / "ONSPD_AUG_2026_UK.csv.gz",
        ONSPD,
        [row(f"NG{n} 1AA", "E01000001", "E01000001") for n in range(1, 99)] * 400,
    )
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(ReferenceDataError, match=r"ONSPD_AUG_2026_UK\.csv\.gz: it cannot be read"):
        build_from(tmp_path, *files, path)


def test_two_files_of_one_edition_must_agree(tmp_path: Path) -> None:
    files = official_files(tmp_path)
    swapped = AREAS_2025 | {"E01000001": 2, "E01000002": 1}
    other = official.iod2025(tmp_path / "File_1_IoD2025.csv", swapped)
    with pytest.raises(ReferenceDataError, match=r"rank of 2 areas differs.*E01000001"):
        build_from(tmp_path, *files, other)


def test_iod2015_is_not_taken_for_iod2019(tmp_path: Path) -> None:
    header = [h.replace("(2019)", "(2013)") for h in official.IOD2019]
    path = official.write(tmp_path / "File_7_ID_2015.csv", header, [("E01000001", "", "E06000018", 1, *[1] * 8)])
    assert manifest().recognise(header) is None
    with pytest.raises(ReferenceDataError, match=r"File_7_ID_2015\.csv: none of its tables"):
        build_from(tmp_path, *official_files(tmp_path), path)


def test_a_published_fact_that_does_not_hold_stops_the_build(tmp_path: Path) -> None:
    from app.reference.manifest import Fact

    shipped = official.small_manifest()
    facts = {**shipped.editions, "IoD2025": replace(shipped.editions["IoD2025"], facts=(Fact("E01000001", 2, 1),))}
    with pytest.raises(ReferenceDataError, match="E01000001 has rank 1 and decile 1, where 2 and 1 were published"):
        build_from(tmp_path, *official_files(tmp_path), source=replace(shipped, editions=facts))


def test_the_whole_country_is_asked_for_unless_a_part_is_allowed(tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    starter = [packaged_data() / "starter"]
    with pytest.raises(ReferenceDataError, match=r"Only 492 postcodes.*--allow-part"):
        build(starter, made, manifest(), BuildOptions())
    assert build(starter, made, manifest(), BuildOptions(allow_part=True)).counts["postcodes"] == 492


def test_a_forgotten_part_is_not_taken_for_the_newest_release(tmp_path: Path) -> None:
    older = official.write(tmp_path / "ONSPD_FEB_2024_UK.csv", ONSPD, ROWS)
    part = official.write(tmp_path / "ONSPD_AUG_2026_UK_ZZ.csv", ONSPD, [row("NG9 9ZZ", "E01000001", "E01000001")])
    with pytest.raises(ReferenceDataError, match="Only 1 postcodes in ONSPD August 2026"):
        build_from(tmp_path, *official_files(tmp_path)[:2], older, part)


def test_a_part_is_called_one_in_the_index_and_the_report(tmp_path: Path) -> None:
    path = official.write(tmp_path / "ONSPD_AUG_2026_UK_NG.csv", ONSPD, ROWS[:2])
    index, report = build_from(tmp_path, *official_files(tmp_path)[:2], path, allow_part=True)
    assert index.release.part
    assert report.part
    whole, _ = build_from(_made(tmp_path / "whole"), *official_files(tmp_path / "whole"))
    assert not whole.release.part


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    ("name", "used"), [("NSPL_NOV_2021_UK.csv", True), ("NSPL_MAY_2018_UK.csv", False), ("pcd.csv", False)]
)
def test_ranks_of_an_edition_that_is_not_stated_are_not_used(tmp_path: Path, name: str, used: bool) -> None:
    header = ["pcds", "doterm", "ctry", "lsoa11", "imd"]
    welsh = ("LD1 5AA", "", "W92000004", "W01000459", "191")
    english = [(f"NG1 {n}AA", "", "E92000001", "E01000001", "20") for n in range(5)]
    path = official.write(tmp_path / name, header, [*english, welsh])
    links = official.write(tmp_path / "lookup.csv", official.LOOKUP, [("E01000001", "", "U", "E01000001", "", "")])
    index, report = build_from(tmp_path, *official_files(tmp_path)[:2], path, links)
    assert index.decile(index.one("LD1 5AA").area, "WIMD2019") == (1 if used else None)
    assert any("unknown edition" in w for w in report.warnings) is not used
    assert index.decile(index.one("NG1 1AA").area, "IoD2019") == 10  # by its area, whatever the rank column


def test_postcodes_that_no_code_places_anywhere_stop_the_build(tmp_path: Path) -> None:
    blank = {"ctry25cd": "", "lad25cd": "", "icb23cd": ""}
    rows = [*ROWS[:4], *(row(f"NG2 {n}AA", **blank) for n in range(9))]
    with pytest.raises(ReferenceDataError, match="9 of 12 live postcodes have no code"):
        build_from(tmp_path, *official_files(tmp_path, rows))


def test_two_lookups_of_one_kind_are_refused(tmp_path: Path) -> None:
    lookups = [
        official.write(tmp_path / f"{n}.csv", official.LOOKUP, [("E01000001", "", "U", "E01000001", "", "")])
        for n in "ab"
    ]
    with pytest.raises(ReferenceDataError, match=r"b\.csv: there is another lookup of the same kind"):
        build_from(tmp_path, *official_files(tmp_path), *lookups)


@pytest.mark.parametrize("month", ["202413", "202400", "12", "999999"])
def test_a_month_that_is_none_is_refused(tmp_path: Path, month: str) -> None:
    rows = [*ROWS[:4], row("NG9 9ZZ", "E01000001", "E01000001", doterm=month)]
    with pytest.raises(ReferenceDataError, match="row 6, column doterm: not a month"):
        build_from(tmp_path, *official_files(tmp_path, rows))


def test_what_is_called_xlsx_and_is_not_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "File_1.xlsx"
    path.write_bytes(b"<html>")
    with pytest.raises(ReferenceDataError, match=r"File_1\.xlsx: it cannot be read"):
        build_from(tmp_path, *official_files(tmp_path), path)


def test_a_directory_of_nothing_that_can_be_looked_up_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReferenceDataError, match="no postcode in it"):
        build_from(tmp_path, *official_files(tmp_path, [row("GY1 1AA"), row("IM1 1AA")]), allow_part=True)


@pytest.mark.parametrize("names", [("a.csv", "b.csv"), ("b.csv", "a.csv")])
def test_ranks_from_one_file_and_domains_from_another_are_put_together(tmp_path: Path, names: tuple[str, str]) -> None:
    short, whole = names
    ranked = [(a, "", "E06000018", r, official.decile(r)) for a, r in AREAS_2025.items()]
    official.write(tmp_path / short, official.IOD2025[:5], ranked)
    official.iod2025(tmp_path / whole, AREAS_2025)
    files = official_files(tmp_path)[1:]
    index, _ = build_from(tmp_path, tmp_path / "a.csv", tmp_path / "b.csv", *files)
    area = index.one("EC1A 1BB").area
    assert index.decile(area, "IoD2025") == 5
    assert index.domains(area, "IoD2025") == (5,) * 7


def test_a_postcode_that_stands_twice_alike_is_kept_once_and_noted(tmp_path: Path) -> None:
    index, report = build_from(tmp_path, *official_files(tmp_path, [*ROWS, ROWS[0]]))
    assert report.counts["postcodes"] == 4
    assert any("stand twice, alike" in w for w in report.warnings)
    assert index.one("NG1 1AA").slot


def test_a_lookup_that_lacks_rows_or_a_code_is_refused(tmp_path: Path) -> None:
    lookup = official.write(tmp_path / "lookup.csv", official.LOOKUP, [("E01000001", "", "U", "", "", "")])
    with pytest.raises(ReferenceDataError, match=r"lookup\.csv, row 2: a code is missing"):
        build_from(tmp_path, *official_files(tmp_path), lookup)
    shipped = official.small_manifest()
    counted = tuple(replace(r, rows=35_795) if r.kind == "lsoa_change" else r for r in shipped.releases)
    with pytest.raises(ReferenceDataError, match=r"lookup\.csv: 1 rows, where the release has 35795"):
        build_from(
            _made(tmp_path / "other"), *official_files(tmp_path), lookup, source=replace(shipped, releases=counted)
        )


def test_a_release_that_lacks_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReferenceDataError, match="20 rows, where the release has 33755"):
        build_from(tmp_path, *official_files(tmp_path), source=manifest())


def test_icb_and_district_come_from_lookups_where_the_directory_lacks_them(tmp_path: Path) -> None:
    icb = official.write(tmp_path / "icb.csv", ["LSOA21CD", "ICB24CD"], [(a, "E54000060") for a in AREAS_2025])
    lad = official.write(
        tmp_path / "lad.csv", ["LSOA21CD", "WD24CD", "LAD24CD"], [(a, "E05000001", "E06000018") for a in AREAS_2025]
    )
    rows = [row(str(r[2]), str(r[10]), str(r[11]), lad25cd="", icb23cd="") for r in ROWS[:4]]
    index, _ = build_from(tmp_path, *official_files(tmp_path, rows), icb, lad)
    area = index.one("NG1 1AA").area
    assert (index.code(area, "lad"), index.code(area, "icb")) == ("E06000018", "E54000060")


def test_an_edition_whose_area_has_no_lookup_leaves_the_other_alone(tmp_path: Path) -> None:
    rows = [*ROWS[:4], *(row(f"NG2 {n}AA", "", "E01000007") for n in range(5))]
    index, report = build_from(tmp_path, *official_files(tmp_path, rows))
    area = index.one("NG2 1AA").area
    assert index.decile(area, "IoD2025") == 4
    assert index.decile(area, "IoD2019") is None
    assert report.coverage["England"]["IoD2019"] < 1
