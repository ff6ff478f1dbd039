"""What is counted of two releases is what a slow look at each postcode counts."""

import random
from pathlib import Path
from typing import Any

import pytest

from app.lookup.index import Index
from app.lookup.layout import IndexFileError
from app.reference.comparison import Change, Comparison, compare
from app.reference.releases import INDEX_FILE, current_index
from tests.unit.reference import quarters
from tests.unit.reference.quarters import MANIFEST, Row
from tests.unit.reference.test_build import AREAS_2025

ADDED = ("NG2 1AA", "NG2 1AB", "NG9 9ZZ")


def changed(rows: list[Row]) -> list[Row]:
    """The quarter after: some of everything that can become of a postcode."""
    chance = random.Random(2026)
    kept = []
    for row in rows:
        now: Row = dict(row)
        drawn = chance.random()
        if drawn < 0.05:
            continue
        if drawn < 0.15:
            code = f"E010000{chance.randint(1, 20):02}"
            now |= {"lsoa21cd": code, "lsoa11cd": code}
        elif drawn < 0.2:
            now["doterm"] = "" if now["doterm"] else "202605"
        elif drawn < 0.25:
            now["lad25cd"] = "E06000019"
        elif drawn < 0.3:
            now["icb23cd"] = "E54000061"
        kept.append(now)
    return kept + [dict(rows[0]) | {"pcd7": p.replace(" ", ""), "pcd8": p, "pcds": p} for p in ADDED]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[str]]:
    folder = tmp_path_factory.mktemp("quarters")
    rows = quarters.postcodes()
    # Two areas have changed places in the edition of 2025, which no publisher does.
    ranks = AREAS_2025 | {"E01000003": 18, "E01000018": 3}
    folders = []
    for month, these, said in (("MAY", rows, AREAS_2025), ("AUG", changed(rows), ranks)):
        files = quarters.write(folder / month, these, month=month, ranks=said)
        quarters.publish_from(folder / f"data-{month}", files)
        folders.append(current_index(folder / f"data-{month}").parent)
    return folders[0], folders[1], [str(row["pcds"]) for row in rows] + list(ADDED)


@pytest.fixture(scope="module")
def found(two: tuple[Path, Path, list[str]]) -> Comparison:
    return compare(two[0], two[1], MANIFEST)


@pytest.fixture(scope="module")
def looked_up(two: tuple[Path, Path, list[str]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each postcode in both releases, one after the other."""
    before, after = (Index(folder / INDEX_FILE) for folder in two[:2])
    return [(said(before, postcode), said(after, postcode)) for postcode in two[2]]


def said(index: Index, postcode: str) -> dict[str, Any]:
    answer = index.one(postcode)
    codes = {kind: index.code(answer.area, kind) for kind in ("lsoa21", "lsoa11", "lad", "icb")}
    deciles = {e.id: index.decile(answer.area, e.id) for e in index.editions}
    return {"status": answer.finding.status, "country": answer.finding.country} | codes | deciles


def test_every_postcode_is_counted_under_what_became_of_it(
    found: Comparison, looked_up: list[tuple[dict[str, Any], dict[str, Any]]]
) -> None:
    became = [(was["status"], now["status"]) for was, now in looked_up]
    changes = found.postcodes
    assert changes.total == Change(sum(w != "not_found" for w, _ in became), sum(n != "not_found" for _, n in became))
    assert changes.new == sum(w == "not_found" != n for w, n in became) == len(ADDED)
    assert changes.gone == sum(n == "not_found" != w for w, n in became) > 100
    assert changes.terminated == became.count(("live", "terminated")) > 100
    assert changes.revived == became.count(("terminated", "live")) > 0
    live = Change(sum(w == "live" for w, _ in became), sum(n == "live" for _, n in became))
    assert found.places["England"]["live"] == live
    assert found.places["Scotland"]["live"] == Change(0, 0)


@pytest.mark.parametrize("kind", ["lsoa21", "lsoa11", "lad", "icb"])
def test_a_postcode_that_lies_elsewhere_is_counted_by_each_code(
    found: Comparison, looked_up: list[tuple[dict[str, Any], dict[str, Any]]], kind: str
) -> None:
    codes = [(was[kind], now[kind]) for was, now in looked_up]
    assert found.codes[kind].moved == sum(bool(w and n) and w != n for w, n in codes) > 100
    before, after = ({c for c in side if c} for side in zip(*codes, strict=True))
    assert found.codes[kind].codes == Change(len(before), len(after))
    assert (found.codes[kind].new, found.codes[kind].gone) == (len(after - before), len(before - after))


@pytest.mark.parametrize("edition", ["IoD2025", "IoD2019"])
def test_deciles_and_core20_that_change_are_counted_by_edition(
    found: Comparison, looked_up: list[tuple[dict[str, Any], dict[str, Any]]], edition: str
) -> None:
    deciles = [(w[edition], n[edition]) for w, n in looked_up if "not_found" not in (w["status"], n["status"])]
    of = found.editions[edition]
    assert of.both == sum(bool(w and n) for w, n in deciles)
    assert of.moved == sum(w != n for w, n in deciles) > 100
    assert of.into_core20 == sum(w > 2 >= n for w, n in deciles) > 0
    assert of.out_of_core20 == sum(w <= 2 < n for w, n in deciles) > 0
    live = Change(*(sum(each[i][edition] <= 2 for each in looked_up if each[i]["status"] == "live") for i in (0, 1)))
    assert of.core20 == live


def test_areas_of_a_published_edition_that_say_something_else_are_counted(found: Comparison) -> None:
    assert (found.editions["IoD2025"].compared, found.editions["IoD2025"].deciles_changed) == (20, 2)
    assert (found.editions["IoD2019"].compared, found.editions["IoD2019"].deciles_changed) == (20, 0)
    assert (found.editions["IoD2025"].same_files, found.editions["IoD2019"].same_files) == (False, True)


def test_a_release_compared_with_itself_has_not_changed(two: tuple[Path, Path, list[str]]) -> None:
    same = compare(two[1], two[1], MANIFEST)
    assert same.before == same.after
    changes, held = same.postcodes, Index(two[1] / INDEX_FILE).release.count
    assert (changes.new, changes.gone, changes.terminated, changes.revived, changes.both - held) == (0, 0, 0, 0, 0)
    assert not any(c.moved or c.lost or c.new or c.gone for c in same.codes.values())
    assert not any(e.moved or e.lost or e.deciles_changed or e.domains_changed for e in same.editions.values())


def test_a_damaged_release_is_not_compared(two: tuple[Path, Path, list[str]], tmp_path: Path) -> None:
    (tmp_path / INDEX_FILE).write_bytes((two[0] / INDEX_FILE).read_bytes()[:-1])
    with pytest.raises(IndexFileError, match="damaged"):
        compare(tmp_path, two[1], MANIFEST)
