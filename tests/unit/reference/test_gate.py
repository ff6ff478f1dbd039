"""The gate before a release: what it lets pass, what it keeps aside, and when it has nothing to compare."""

from pathlib import Path

import pytest

from app.reference.build import BuildOptions, build
from app.reference.errors import ReferenceDataError
from app.reference.gate import Verdict, check_names, judge
from app.reference.manifest import manifest, packaged_data
from app.reference.releases import current_index, held, named, provenance, prune, publish, rollback
from tests.unit.reference import quarters
from tests.unit.reference.quarters import MANIFEST, Row
from tests.unit.reference.test_build import AREAS_2025

ROWS = quarters.postcodes()


def update(data: Path, files: Path, *accepted: str) -> Verdict:
    """One update, as the command makes it."""
    verdicts: list[Verdict] = []

    def passes(made: Path) -> bool:
        verdicts.append(judge(data, made, MANIFEST, accepted))
        return not verdicts[0].refused

    quarters.publish_from(data, files, passes)
    return verdicts[0]


def names(verdict: Verdict) -> list[str]:
    return [surprise.name for surprise in verdict.refused]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder whose current release is of May."""
    assert update(tmp_path / "data", quarters.write(tmp_path / "may", ROWS)).comparison is None
    return tmp_path / "data"


def august(tmp_path: Path, rows: list[Row], **changed: dict[str, int]) -> Path:
    return quarters.write(tmp_path / "august", rows, month="AUG", **changed)


def test_a_quiet_quarter_becomes_current(tmp_path: Path, data: Path) -> None:
    may = named(data, "current")
    rows = [row | {"doterm": "202606"} if i < 20 else row for i, row in enumerate(ROWS)]
    verdict = update(data, august(tmp_path, rows))
    assert verdict.surprises == ()
    assert verdict.comparison
    assert verdict.comparison.postcodes.terminated == 20
    assert provenance(data)["postcodes"] == "ONSPD August 2026"
    assert named(data, "previous") == may


def test_a_surprise_leaves_what_is_current_and_is_kept_aside(tmp_path: Path, data: Path) -> None:
    before = current_index(data)
    verdict = update(data, august(tmp_path, ROWS[:3900]))
    assert names(verdict) == ["gone", "nation-size"]
    assert (current_index(data), named(data, "previous")) == (before, None)
    assert set(held(data)) == {before.parent.name, verdict.release}


def test_each_surprise_is_accepted_by_its_own_name(tmp_path: Path, data: Path) -> None:
    files = august(tmp_path, ROWS[:3900])
    assert names(update(data, files, "gone")) == ["nation-size"]
    assert names(update(data, files, "gone", "nation-size")) == []
    assert provenance(data)["postcodes"] == "ONSPD August 2026"


def test_one_area_of_a_published_edition_with_another_rank_is_refused(tmp_path: Path, data: Path) -> None:
    # The smallest change that can be: neighbours of one decile, so that not one decile of a postcode is another.
    verdict = update(data, august(tmp_path, ROWS, ranks=AREAS_2025 | {"E01000003": 4, "E01000004": 3}))
    assert names(verdict) == ["revised-edition"]
    assert verdict.comparison
    assert verdict.comparison.editions["IoD2025"].moved == 0


def test_the_same_files_that_give_other_deciles_are_a_fault_and_not_a_revision(tmp_path: Path, data: Path) -> None:
    # As if the code had changed: the provenance says that the files were those of now.
    files = august(tmp_path, ROWS, ranks=AREAS_2025 | {"E01000003": 18, "E01000018": 3})
    told = current_index(data).with_name("provenance.json")
    was = next(f["sha256"] for f in provenance(data)["files"] if f["edition"] == "IoD2025")
    made = update(data, files).release
    now = (data / "releases" / made / "provenance.json").read_text("utf-8").split('"IoD2025"')[0]
    digest = now.rsplit('"sha256": "', 1)[1][:64]
    told.write_text(told.read_text("utf-8").replace(was, digest), "utf-8")
    assert "changed-deciles" in names(update(data, files))


def test_an_update_does_not_bring_back_what_was_gone_back_from(tmp_path: Path, data: Path) -> None:
    files = august(tmp_path, ROWS[:-1])
    update(data, files)
    may = rollback(data)
    assert names(update(data, files)) == ["gone-back"]
    assert named(data, "current") == may
    assert names(update(data, files, "gone-back")) == []
    assert named(data, "previous") == may


def test_the_same_files_again_change_nothing(tmp_path: Path, data: Path) -> None:
    verdict = update(data, quarters.write(tmp_path / "may", ROWS))
    assert (verdict.unchanged, verdict.surprises, named(data, "previous")) == (True, (), None)


def test_starter_data_is_nothing_to_compare_with(tmp_path: Path) -> None:
    starter = BuildOptions(allow_part=True, starter=True)
    publish(tmp_path / "data", lambda made: build([packaged_data() / "starter"], made, manifest(), starter))
    verdict = update(tmp_path / "data", quarters.write(tmp_path / "may", ROWS))
    assert (verdict.comparison, verdict.surprises) == (None, ())
    assert provenance(tmp_path / "data")["starter"] is False


@pytest.mark.parametrize("fault", ["damaged", "missing"])
def test_without_a_release_to_compare_with_nothing_passes_unless_it_is_accepted(
    tmp_path: Path, data: Path, fault: str
) -> None:
    index = current_index(data)
    if fault == "damaged":
        index.write_bytes(index.read_bytes()[:-1])
    else:
        index.parent.rename(tmp_path / "away")
    files = august(tmp_path, ROWS)
    assert names(update(data, files)) == ["nothing-compared"]
    assert names(update(data, files, "nothing-compared")) == []
    assert provenance(data)["postcodes"] == "ONSPD August 2026"


def test_a_name_that_is_no_surprise_cannot_be_accepted() -> None:
    check_names(["gone", "new"])
    with pytest.raises(ReferenceDataError, match=r"force is not the name of a surprise\. There are: part, older"):
        check_names(["gone", "force"])


def test_pruning_keeps_the_last_and_never_removes_the_current_or_the_previous(tmp_path: Path, data: Path) -> None:
    made = [str(named(data, "current"))]
    made += [update(data, august(tmp_path, ROWS[:-number])).release for number in range(1, 5)]
    assert rollback(data) == made[3]
    assert held(data) == made[::-1]
    assert prune(data, 3) == [made[1], made[0]]
    assert prune(data, 2) == [made[2]]
    assert held(data) == [made[4], made[3]] == [named(data, "previous"), named(data, "current")]
    assert not list((data / "releases").glob(".*"))


def test_pruning_spares_the_oldest_where_it_is_current(tmp_path: Path, data: Path) -> None:
    may = named(data, "current")
    refused = update(data, august(tmp_path, ROWS[:3900])).release
    assert prune(data, 1) == [refused]
    assert held(data) == [may]
