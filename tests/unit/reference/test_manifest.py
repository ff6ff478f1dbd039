"""Files are recognised by their columns, whatever they are called."""

import pytest

from app.reference.manifest import manifest, packaged_data

# Headers of the releases named, as their publishers wrote them.
NSPL_TO_MAY_2025 = (
    "pcd,pcd2,pcds,dointr,doterm,usertype,oseast1m,osnrth1m,osgrdind,oa21,cty,ced,laua,ward,nhser,ctry,rgn,pcon,ttwa,"
    "itl,park,lsoa21,msoa21,wz11,sicbl,bua24,ru11ind,oac11,lat,long,lep1,lep2,pfa,imd,icb"
)
NSPL_2025 = (
    "pcd7,pcd8,pcds,dointr,doterm,usrtypind,east1m,north1m,gridind,oa21cd,cty25cd,ced25cd,lad25cd,wd25cd,nhser24cd,"
    "ctry25cd,rgn25cd,pcon24cd,ttwa15cd,itl25cd,npark16cd,lsoa21cd,msoa21cd,wz11cd,sicbl24cd,bua24cd,ruc21ind,oac11ind,"
    "lat,long,lep21cd1,lep21cd2,pfa23cd,imd20ind,icb23cd"
)
NSPL_AUGUST_2026 = (
    "pcd7,pcd8,pcds,dointr,doterm,usrtypind,east1m,north1m,gridind,oa21cd,cty26cd,ced25cd,lad26cd,wd26cd,nhser24cd,"
    "ctry26cd,rgn26cd,pcon24cd,ttwa15cd,itl25cd,npark16cd,lsoa21cd,msoa21cd,wz11cd,sicbl26cd,bua24cd,ruc21ind,oac21ind,"
    "lat,long,lep21cd1,lep21cd2,pfa23cd,imd25ind,icb26cd"
)
NSPL_2021 = (
    "pcd,pcd2,pcds,dointr,doterm,usertype,oseast1m,osnrth1m,osgrdind,oa11,cty,ced,laua,ward,hlthau,nhser,ctry,rgn,pcon,"
    "eer,teclec,ttwa,pct,itl,park,lsoa11,msoa11,wz11,ccg,bua11,buasd11,ru11ind,oac11,lat,long,lep1,lep2,pfa,imd,calncv,stp"
)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            NSPL_TO_MAY_2025,
            {"postcode": "pcds", "lsoa21": "lsoa21", "lad": "laua", "icb": "icb", "rank_2019_era": "imd"},
        ),
        (
            NSPL_2025,
            {"postcode": "pcds", "lsoa21": "lsoa21cd", "lad": "lad25cd", "icb": "icb23cd", "rank_2019_era": "imd20ind"},
        ),
        (
            NSPL_AUGUST_2026,
            {"lsoa21": "lsoa21cd", "icb": "icb26cd", "rank_2025_era": "imd25ind", "user_type": "usrtypind"},
        ),
        (NSPL_2021, {"lsoa11": "lsoa11", "lad": "laua", "positional_quality": "osgrdind", "terminated": "doterm"}),
    ],
)
@pytest.mark.parametrize("upper", [False, True])
def test_every_era_of_postcode_directory_is_recognised(header: str, expected: dict[str, str], upper: bool) -> None:
    columns = (header.upper() if upper else header).split(",")
    hit = manifest().recognise(columns)
    assert hit is not None
    assert hit[0].kind == "postcodes"
    found = {concept: name.lower() for concept, name in hit[1].items()}
    assert found.items() >= expected.items()


@pytest.mark.parametrize(
    ("header", "release"),
    [
        (["lsoa21_code", "IMD_decile", "Income_decile", "IMD_rank"], "iod2025"),
        (["LSOA code", "LSOA name (Eng)", "Local Authority name (Eng)", "WIMD 2019 ", "Income "], "wimd2019"),
        (["LSOA code", "LSOA name (Eng)", "WIMD 2025 ", "Income "], "wimd2025"),
        (["Data_Zone", "Intermediate_Zone", "SIMD2020v2_Rank"], "simd2020v2"),
        (["SOA2001", "Multiple Deprivation Measure Rank \n(where 1 is most deprived)"], "nimdm2017"),
        (["LSOA11CD", "LSOA11NM", "CHGIND", "LSOA21CD", "LSOA21NM", "LAD22CD"], "lsoa11-lsoa21"),
        (["LSOA21CD", "LSOA21NM", "SICBL24CD", "ICB24CD", "ICB24NM", "LAD24CD"], "lsoa21-icb"),
        (["LSOA21CD", "LSOA21NM", "WD24CD", "WD24NM", "LAD24CD", "LAD24NM"], "lsoa21-lad"),
    ],
)
def test_each_release_is_told_from_the_others(header: list[str], release: str) -> None:
    hit = manifest().recognise(header)
    assert hit is not None
    assert hit[0].id == release


@pytest.mark.parametrize("header", [[], ["a", "b"], ["pcds"], ["ltla24_name", "ltla24_code", "region24_code"]])
def test_any_other_table_is_not_recognised(header: list[str]) -> None:
    assert manifest().recognise(header) is None


def test_every_release_states_publisher_and_licence() -> None:
    for release in manifest().releases:
        assert release.publisher
        assert release.licence


def test_englands_editions_hold_facts_on_either_side_of_core20() -> None:
    for name in ("IoD2025", "IoD2019"):
        deciles = {f.rank: f.decile for f in manifest().editions[name].facts}
        boundary = max(rank for rank, decile in deciles.items() if decile == 2)
        assert deciles[boundary + 1] == 3


def test_the_starter_data_is_attributed_and_has_no_northern_irish_postcode() -> None:
    folder = packaged_data()
    attribution = (folder / "ATTRIBUTION.md").read_text("utf-8")
    for owner in ("Office for National Statistics", "Royal Mail", "OS data", "Ministry of Housing"):
        assert owner in attribution
    rows = (folder / "starter" / "starter_postcodes.csv").read_text("utf-8").splitlines()
    assert not [r for r in rows if r.startswith("BT")]
