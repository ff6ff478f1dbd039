"""The command, run as a newcomer would."""

import json
import re
from pathlib import Path

import httpx
import pytest

from app.reference.releases import PROVENANCE_FILE, current_index
from tests.integration import arcgis_server, test_fetch
from tests.integration.running import imdlens, serving
from tests.service import bearer, key_in
from tests.starter_data import copy_without_counts
from tests.unit.reference import official
from tests.unit.reference.test_build import AREAS_2011, AREAS_2025


def test_it_lists_what_it_can_do(tmp_path: Path) -> None:
    shown = imdlens("--help", cwd=tmp_path)
    assert shown.returncode == 0
    for command in ("serve", "lookup", "data"):
        assert command in shown.stdout


def test_serve_starts_from_nothing_on_starter_data_and_says_so(tmp_path: Path) -> None:
    with serving(tmp_path) as (url, process):
        assert httpx.get(f"{url}/readyz").json()["starter"] is True
        process.terminate()
        said = process.communicate(timeout=30)[0]
    assert process.returncode in (0, -15)
    assert "starter data: 492 real postcodes" in said
    assert "imdlens data fetch" in said
    assert f"{url}/docs" in said
    assert "NG1 1AA" in said  # the curl to paste


def test_the_first_start_makes_one_key_and_prints_it_once(tmp_path: Path) -> None:
    with serving(tmp_path, log=tmp_path / "first") as (url, _):
        (key,) = set(re.findall(r"imdl_[\w-]{43}", (tmp_path / "first").read_text()))
        answer = httpx.post(f"{url}/v1/enrich", json={"postcode": "NG1 1AA"}, headers=bearer(key))
        assert answer.json()["imd_decile"] == 3
    with serving(tmp_path, log=tmp_path / "second") as (url, _):
        assert "imdl_" not in (tmp_path / "second").read_text()
        assert httpx.get(f"{url}/v1/breakdowns", headers=bearer(key)).status_code == 200
        assert httpx.get(f"{url}/v1/breakdowns").status_code == 401
    files = (path for path in tmp_path.rglob("*") if path.is_file() and path.name != "first")
    assert not [path for path in files if key.encode() in path.read_bytes()]


def test_a_database_that_was_lost_is_not_begun_anew_unseen(tmp_path: Path) -> None:
    key = key_in(tmp_path)
    with serving(tmp_path) as (url, _):
        assert httpx.get(f"{url}/v1/breakdowns", headers=bearer(key)).status_code == 200
    for file in (tmp_path / "imdlens-data" / "counts").glob("counts.sqlite*"):
        file.unlink()
    refused = imdlens("serve", "--port", "0", cwd=tmp_path)
    assert (refused.returncode, "keys.json remembers some" in refused.stderr) == (1, True)
    assert "imdl_" not in refused.stderr


def test_nobody_is_served_beyond_this_machine_before_there_is_a_key(tmp_path: Path, starter: Path) -> None:
    environment = {"IMDLENS_DATA_DIR": str(starter), "IMDLENS_COUNTS_DIR": "counts"}
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.test"):
        refused = imdlens("serve", "--host", host, "--port", "0", cwd=tmp_path, **environment)
        assert (refused.returncode, "imdlens keys create" in refused.stderr) == (1, True), host
    made = imdlens("keys", "create", "--name", "epr", "--scope", "enrich", cwd=tmp_path, **environment)
    key = made.stdout.strip()
    with serving(tmp_path, "--host", "0.0.0.0", **environment) as (url, _):
        answer = httpx.post(f"{url}/v1/enrich", json={"postcode": "NG1 1AA"}, headers=bearer(key))
    assert answer.json()["imd_decile"] == 3


def test_serve_with_two_workers_answers(starter: Path, tmp_path: Path) -> None:
    key = bearer(key_in(tmp_path, IMDLENS_DATA_DIR=str(starter)))
    with serving(tmp_path, "--workers", "2", IMDLENS_DATA_DIR=str(starter)) as (url, _):
        for _ in range(20):
            assert httpx.post(f"{url}/v1/enrich", json={"postcode": "NG7 2UH"}, headers=key).json()["imd_decile"] == 7


def test_serve_on_a_named_folder_without_data_refuses_rather_than_start_on_starter_data(tmp_path: Path) -> None:
    refused = imdlens("serve", cwd=tmp_path, IMDLENS_DATA_DIR=str(tmp_path / "volume"))
    assert refused.returncode == 1
    assert "holds no data yet" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_serve_refuses_an_edition_that_the_data_does_not_hold(starter: Path, tmp_path: Path) -> None:
    refused = imdlens("serve", cwd=tmp_path, IMDLENS_DATA_DIR=str(starter), IMDLENS_CORE20_EDITION="IoD2015")
    assert refused.returncode == 1
    assert "IMDLENS_CORE20_EDITION is IoD2015" in refused.stderr


def test_a_setting_that_cannot_be_read_is_named_without_its_value(tmp_path: Path) -> None:
    refused = imdlens("serve", cwd=tmp_path, IMDLENS_MAX_BODY_BYTES="plenty")
    assert refused.returncode == 1
    assert "IMDLENS_MAX_BODY_BYTES" in refused.stderr
    assert "plenty" not in refused.stderr


def test_a_threshold_that_cuts_into_what_is_rounded_alike_is_refused_with_the_numbers_that_are_not(
    tmp_path: Path,
) -> None:
    refused = imdlens("serve", cwd=tmp_path, IMDLENS_SUPPRESS_UP_TO="9")
    assert refused.returncode == 1
    assert "IMDLENS_SUPPRESS_UP_TO must be 7, 12, 17 and so on" in refused.stderr


def test_a_misspelt_setting_is_refused_and_named(starter: Path, tmp_path: Path) -> None:
    refused = imdlens("lookup", "NG1 1AA", cwd=tmp_path, IMDLENS_DATA_DIR=str(starter), IMDLENS_CORE20_EDTION="IoD2019")
    assert refused.returncode == 1
    assert "There is no setting IMDLENS_CORE20_EDTION" in refused.stderr


def test_lookup_asks_for_an_english_edition_too(starter: Path, tmp_path: Path) -> None:
    refused = imdlens("lookup", "x", cwd=tmp_path, IMDLENS_DATA_DIR=str(starter), IMDLENS_CORE20_EDITION="WIMD2019")
    assert "IMDLENS_CORE20_EDITION is WIMD2019" in refused.stderr


def test_what_looks_like_markup_is_shown_as_it_is(starter: Path, tmp_path: Path) -> None:
    shown = imdlens("lookup", "[/]", cwd=tmp_path, IMDLENS_DATA_DIR=str(starter))
    assert shown.returncode == 0
    assert "[/]" in shown.stdout


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused = imdlens("data", "build", "--starter", "--out", str(tmp_path / "file" / "data"), cwd=tmp_path)
    assert refused.returncode == 1
    assert "Not a directory" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_lookup_shows_a_table_and_json(starter: Path, tmp_path: Path) -> None:
    shown = imdlens("lookup", "NG1 1AA", "zz993vz", "DG1 4QU", cwd=tmp_path, IMDLENS_DATA_DIR=str(starter))
    lines = shown.stdout.splitlines()
    assert "IoD2025 decile" in lines[0]
    assert lines[1].split()[2:] == ["live", "England", "3", "no"]
    assert "no_fixed_abode" in lines[2]
    assert "SIMD2020v2 6" in lines[3]
    answers = imdlens("lookup", "NG1 1AA", "NG1", "--json", cwd=tmp_path, IMDLENS_DATA_DIR=str(starter)).stdout
    assert [json.loads(line)["postcode_status"] for line in answers.splitlines()] == ["live", "malformed"]


def test_data_show_tells_what_is_loaded_and_how_much_it_covers(starter: Path, tmp_path: Path) -> None:
    shown = imdlens("data", "show", "--out", str(starter), cwd=tmp_path).stdout
    assert "starter data" in shown
    assert "492 postcodes" in shown
    assert "Wales" in shown
    context = next(line.split() for line in shown.splitlines() if line.startswith("no_car"))
    assert context[:3] == ["no_car", "277", "0"]
    assert "introduction known of 0 postcodes" in shown
    kept = json.loads(imdlens("data", "show", "--json", "--out", str(starter), cwd=tmp_path).stdout)
    assert kept["counts"]["postcodes"] == 492


def test_data_show_tells_of_a_release_that_was_built_before_there_was_area_context(
    starter: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    copy_without_counts(starter, folder)
    path = current_index(folder).with_name(PROVENANCE_FILE)
    kept = json.loads(path.read_text("utf-8"))
    del kept["measures"], kept["introduced_until"], kept["counts"]["introduction_known"]
    path.write_text(json.dumps(kept), "utf-8")
    shown = imdlens("data", "show", "--out", str(folder), cwd=tmp_path).stdout
    assert "492 postcodes" in shown
    assert "no_car" not in shown


def test_data_build_says_what_is_wrong_and_where_and_publishes_nothing(tmp_path: Path) -> None:
    files = [official.iod2025(tmp_path / "iod.csv", AREAS_2025), official.iod2019(tmp_path / "old.csv", AREAS_2011)]
    refused = imdlens("data", "build", *map(str, files), "--out", str(tmp_path / "data"), cwd=tmp_path)
    assert refused.returncode == 1
    assert "postcode directory" in refused.stderr
    assert not (tmp_path / "data" / "current").exists()


@pytest.mark.parametrize("arguments", [(), ("--starter", "somewhere")])
def test_data_build_wants_files_or_the_starter_data(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    refused = imdlens("data", "build", *arguments, cwd=tmp_path)
    assert refused.returncode == 1
    assert "--starter" in refused.stderr


def test_verify_and_rollback_say_what_they_did(tmp_path: Path) -> None:
    assert imdlens("data", "build", "--starter", "--out", "d", cwd=tmp_path).returncode == 0
    assert "is sound" in imdlens("data", "verify", "--out", "d", cwd=tmp_path).stdout
    refused = imdlens("data", "rollback", "--out", "d", cwd=tmp_path)
    assert refused.returncode == 1
    assert "no previous release" in refused.stderr
    index = next((tmp_path / "d").glob("releases/*/index.imdl"))
    index.write_bytes(index.read_bytes()[:-9])
    damaged = imdlens("data", "verify", "--out", "d", cwd=tmp_path)
    assert damaged.returncode == 1
    assert "damaged" in damaged.stderr


def test_data_fetch_downloads_through_a_mirror_and_then_builds(tmp_path: Path) -> None:
    with arcgis_server.running() as server:
        server.files = test_fetch.newest()
        fetched = imdlens(
            "data", "fetch", "--mirror", server.base, "--no-build", "--out", "d", cwd=tmp_path, NO_PROXY="127.0.0.1"
        )
        assert fetched.returncode == 0, fetched.stderr
        assert "have ONSPD_AUG_2026.zip" in fetched.stderr
        again = imdlens("data", "fetch", "--mirror", server.base, "--out", "d", cwd=tmp_path, NO_PROXY="127.0.0.1")
    assert "already here" in again.stderr
    assert again.returncode == 1  # three tables of one row each are no release
    assert "1 rows, where the release has" in again.stderr
    assert not (tmp_path / "d" / "current").exists()
