"""`imdlens data update`, `rollback` and `prune`, as an operator meets them."""

import csv
import json
import shutil
from pathlib import Path

from app.reference.manifest import packaged_data
from tests.integration import arcgis_server, test_fetch
from tests.integration.running import imdlens


def files(folder: Path, *, without: int) -> None:
    """The starter files, without the last so many postcodes."""
    shutil.copytree(packaged_data() / "starter", folder)
    file = folder / "starter_postcodes.csv"
    with file.open(encoding="utf-8", newline="") as text:
        rows = list(csv.reader(text))
    with file.open("w", encoding="utf-8", newline="") as text:
        csv.writer(text).writerows(rows[: len(rows) - without])


def test_what_surprises_is_refused_until_it_is_accepted_by_name_and_can_be_gone_back_from(tmp_path: Path) -> None:
    files(tmp_path / "may", without=0)
    files(tmp_path / "august", without=5)

    first = imdlens("data", "update", "may", "--allow-part", "--out", "d", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "is none to compare with" in first.stdout
    may = (tmp_path / "d" / "current").readlink().name

    refused = imdlens("data", "update", "august", "--allow-part", "--out", "d", cwd=tmp_path)
    assert refused.returncode == 3
    assert "Postcodes" in refused.stdout
    assert "refused, gone: 5 postcodes are gone" in refused.stderr
    assert "at most 0.10% may be." in refused.stderr
    assert "is not made current" in refused.stderr
    assert "Traceback" not in refused.stderr
    names = refused.stderr.split("run the same command again with ")[1].strip().removesuffix(".").split()
    assert "gone" in names
    assert (tmp_path / "d" / "current").readlink().name == may

    told = imdlens("data", "update", "august", "--allow-part", "--json", *names, "--out", "d", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert found["current"] == found["release"] == (tmp_path / "d" / "current").readlink().name != may
    assert found["comparison"]["postcodes"]["gone"] == 5
    assert all(surprise["accepted"] for surprise in found["surprises"])

    shown = imdlens("data", "show", "--out", "d", cwd=tmp_path).stdout
    assert [line.split()[0] for line in shown.splitlines() if line.rstrip().endswith(("current", "previous"))] == [
        found["release"],
        may,
    ]
    back = imdlens("data", "rollback", "--out", "d", cwd=tmp_path)
    assert f"{may} is current: went back from {found['release']}." in back.stdout
    next((tmp_path / "d").glob(f"releases/{found['release']}/provenance.json")).write_text("{", "utf-8")
    assert "not known" in imdlens("data", "show", "--out", "d", cwd=tmp_path).stdout
    kept = imdlens("data", "prune", "--keep", "2", "--out", "d", cwd=tmp_path)
    assert (kept.returncode, kept.stdout) == (0, "2 releases are kept in d.\n")


def test_what_is_no_surprise_cannot_be_accepted_and_nothing_is_built(tmp_path: Path) -> None:
    refused = imdlens("data", "update", "nowhere", "--accept", "force", "--out", "d", cwd=tmp_path)
    assert refused.returncode == 1
    assert "force is not the name of a surprise. There are: part, older" in refused.stderr
    assert not (tmp_path / "d").exists()


def test_an_edition_that_the_settings_need_is_asked_for_before_a_release_is_current(tmp_path: Path) -> None:
    files(tmp_path / "may", without=0)
    refused = imdlens(
        "data", "update", "may", "--allow-part", "--out", "d", cwd=tmp_path, IMDLENS_CORE20_EDITION="IoD2015"
    )
    assert refused.returncode == 1
    assert "IMDLENS_CORE20_EDITION is IoD2015, but this release holds" in refused.stderr
    assert not (tmp_path / "d" / "current").exists()


def test_without_files_the_newest_are_fetched_and_what_cannot_be_built_changes_nothing(tmp_path: Path) -> None:
    with arcgis_server.running() as server:
        server.files = test_fetch.newest()
        ran = imdlens("data", "update", "--mirror", server.base, "--out", "d", cwd=tmp_path, NO_PROXY="127.0.0.1")
    assert ran.returncode == 1
    assert "have ONSPD_AUG_2026.zip" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not (tmp_path / "d" / "current").exists()
