"""The one composition: a postcode and an index to what may be said."""

import pytest

from app.context.rulebook import Rulebook
from app.enrichment import Question, Rules, enrich
from app.lookup.index import Index
from tests.starter_data import rows


def test_a_live_postcode_has_the_published_decile_of_the_stated_edition(index: Index, rules: Rules) -> None:
    answer = enrich(Question("NG1 1AA"), index, rules)
    reading = answer.reading
    assert (reading.postcode_status, reading.country) == ("live", "England")
    assert (reading.imd_decile, reading.imd_quintile, reading.imd_edition, reading.core20) == (3, 2, "IoD2025", False)
    assert reading.core20_reason is None
    assert answer.domains == (4, 5, 2, 1, 1, 7, 2)
    assert answer.area is None


@pytest.mark.parametrize(("text", "decile"), [("NG1 1AA", 3), ("NG5 1PB", 3), ("NG7 2UH", 7)])
def test_known_facts_of_nottingham_hold(index: Index, rules: Rules, text: str, decile: int) -> None:
    assert enrich(Question(text), index, rules).reading.imd_decile == decile


def test_the_edition_of_core20_is_the_deployments_choice(index: Index) -> None:
    older = Rules("IoD2019", Rulebook.load())
    differing = 0
    for text in _english():
        new, old = (
            enrich(Question(text), index, Rules("IoD2025", older.book)).reading,
            enrich(Question(text), index, older).reading,
        )
        for reading, edition in ((new, "IoD2025"), (old, "IoD2019")):
            standing = reading.editions[edition]
            assert reading.imd_edition == edition
            assert reading.imd_decile == (standing.decile if standing else None)
            assert reading.core20 == (standing.core20 if standing else None)
        differing += new.core20 != old.core20
    assert differing > 0


def _english() -> list[str]:
    return [row["pcds"] for row in rows("postcodes") if row["ctry25cd"] == "E92000001"]


def test_every_starter_postcode_has_the_deciles_of_the_published_tables(index: Index, rules: Rules) -> None:
    published = {r["lsoa21cd"]: r for r in rows("lsoa21")}
    older = {r["lsoa11cd"]: r for r in rows("lsoa11")}
    compared = 0
    for row in rows("postcodes"):
        reading = enrich(Question(row["pcds"]), index, rules).reading
        if row["lsoa21cd"] in published:
            decile = int(published[row["lsoa21cd"]]["imd25_decile"])
            assert (reading.imd_decile, reading.core20) == (decile, decile <= 2)
            compared += 1
        if row["lsoa11cd"] in older:
            standing = reading.editions["IoD2019"]
            assert standing is not None
            assert standing.decile == int(older[row["lsoa11cd"]]["imd19_decile"])
    assert compared > 400


@pytest.mark.parametrize(
    ("text", "status", "reason"),
    [
        (None, "malformed", "malformed"),
        ("NG1", "malformed", "malformed"),
        ("NG1 1ZZ", "not_found", "not_found"),
        ("ZZ99 3VZ", "no_fixed_abode", "no_fixed_abode"),
        ("ZZ99 3WZ", "address_not_known", "address_not_known"),
        ("ZZ99 3CZ", "country_only", "country_only"),
        ("ZZ99 4GZ", "overseas", "overseas"),
        ("BF1 1AA", "forces", "forces"),
        ("IM1 1AD", "crown_dependency", "crown_dependency"),
        ("ZZZSECUR", "withheld", "withheld"),
        ("DG1 4QU", "live", "not_in_england"),
        ("HX1 2JZ", "live", "edition_unknown"),
    ],
)
def test_unknown_is_null_with_a_reason_and_never_false(
    index: Index, rules: Rules, text: str | None, status: str, reason: str
) -> None:
    reading = enrich(Question(text), index, rules).reading
    assert reading.postcode_status == status
    assert reading.core20 is None
    assert reading.core20_reason == reason
    assert reading.imd_decile is None
    assert reading.imd_edition == "IoD2025"
    assert reading.summary


def test_core20_is_null_exactly_when_there_is_a_reason(index: Index, rules: Rules) -> None:
    for text in [*_english(), "DG1 4QU", "LD7 1LG", "ZZ99 3VZ", "NG1", None]:
        reading = enrich(Question(text), index, rules).reading
        assert (reading.core20 is None) == (reading.core20_reason is not None) == (reading.imd_decile is None)


def test_an_english_postcode_without_the_core20_edition_is_not_described_by_another(index: Index, rules: Rules) -> None:
    reading = enrich(Question("HX1 2JZ"), index, rules).reading
    assert reading.editions["IoD2019"] is not None
    assert reading.editions["IoD2025"] is None
    assert "deprived" not in reading.summary


def test_a_welsh_postcode_has_its_nations_decile_labelled_computed(index: Index, rules: Rules) -> None:
    reading = enrich(Question("LD7 1LG"), index, rules).reading
    assert reading.country == "Wales"
    standing = reading.editions["WIMD2019"]
    assert standing is not None
    assert standing.computed
    assert standing.core20 is None
    assert "in Wales. Core20 is for England only." in reading.summary


def test_cautions_stand_beside_the_published_decile(index: Index, rules: Rules) -> None:
    old = enrich(Question("SR2 0QW"), index, rules).reading
    assert old.postcode_status == "terminated"
    assert old.cautions == ("terminated",)
    assert old.imd_decile is not None
    assert old.summary.startswith("This is an old postcode")
    assert "large_user" in enrich(Question("HX1 2JZ"), index, rules).reading.cautions


def test_a_repair_is_said(index: Index, rules: Rules) -> None:
    reading = enrich(Question("NG1 IAA"), index, rules).reading
    assert reading.repaired
    assert ("postcode", "repaired") in reading.warnings
    assert reading.imd_decile == 3


def test_on_starter_data_not_found_says_why(index: Index, rules: Rules) -> None:
    assert ("postcode", "starter_data_only") in enrich(Question("B1 1BB"), index, rules).reading.warnings


def test_core20_of_another_nations_edition_is_never_read(index: Index) -> None:
    reading = enrich(Question("LD7 1LG"), index, Rules("WIMD2019", Rulebook.load())).reading
    assert (reading.imd_decile, reading.core20, reading.core20_reason) == (None, None, "not_in_england")


def test_codes_and_ranks_are_given_only_when_asked_for(index: Index, rules: Rules) -> None:
    area = enrich(Question("NG1 1AA", with_area=True), index, rules).area
    assert area is not None
    assert (area.lsoa21, area.lad, area.ranks["IoD2025"]) == ("E01035500", "E06000018", 7420)
    assert enrich(Question("ZZ99 3VZ", with_area=True), index, rules).area is None
