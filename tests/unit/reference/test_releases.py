"""The data folder: what is current, what was before, and that a failure changes nothing."""

import fcntl
from pathlib import Path

import pytest

from app.lookup.index import Index
from app.reference.build import BuildOptions, BuildReport, build
from app.reference.errors import ReferenceDataError
from app.reference.manifest import manifest, packaged_data
from app.reference.releases import current_index, provenance, publish, rollback


def write_starter(made: Path, starter: bool = True) -> BuildReport:
    return build([packaged_data() / "starter"], made, manifest(), BuildOptions(allow_part=True, starter=starter))


def test_a_published_release_is_current_and_tells_where_it_is_from(tmp_path: Path) -> None:
    report = publish(tmp_path, write_starter)
    assert Index(current_index(tmp_path)).release.id == report.release == provenance(tmp_path)["release"]
    assert (tmp_path / "current").readlink() == Path("releases") / report.release


def test_a_failed_build_leaves_the_current_release_and_no_rubbish(tmp_path: Path) -> None:
    first = publish(tmp_path, write_starter).release

    def fail(made: Path) -> BuildReport:
        write_starter(made)
        raise ReferenceDataError("doubtful")

    with pytest.raises(ReferenceDataError, match="doubtful"):
        publish(tmp_path, fail)
    assert current_index(tmp_path).parent.name == first
    assert [p.name for p in (tmp_path / "releases").iterdir()] == [first]


def test_rollback_goes_back_and_a_second_one_forward_again(tmp_path: Path) -> None:
    first = publish(tmp_path, write_starter).release
    second = publish(tmp_path, lambda made: write_starter(made, starter=False)).release
    assert first != second
    assert rollback(tmp_path) == first
    assert current_index(tmp_path).parent.name == first
    assert rollback(tmp_path) == second


def test_without_a_previous_release_rollback_is_refused(tmp_path: Path) -> None:
    publish(tmp_path, write_starter)
    with pytest.raises(ReferenceDataError, match="no previous release"):
        rollback(tmp_path)


def test_building_the_same_contents_again_keeps_the_previous_release(tmp_path: Path) -> None:
    publish(tmp_path, write_starter)
    publish(tmp_path, lambda made: write_starter(made, starter=False))
    publish(tmp_path, lambda made: write_starter(made, starter=False))
    assert (tmp_path / "previous").resolve() != (tmp_path / "current").resolve()


def test_an_empty_folder_says_how_to_fill_it(tmp_path: Path) -> None:
    with pytest.raises(ReferenceDataError, match="imdlens data build"):
        current_index(tmp_path / "none")


def test_two_builds_do_not_run_at_once(tmp_path: Path) -> None:
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ReferenceDataError, match="Another build"):
            publish(tmp_path, write_starter)


def test_an_open_index_survives_that_its_release_is_removed(tmp_path: Path) -> None:
    import shutil

    publish(tmp_path, write_starter)
    index = Index(current_index(tmp_path))
    shutil.rmtree(tmp_path / "releases")
    assert index.decile(index.one("NG1 1AA").area, "IoD2025") == 3


def test_building_what_is_current_again_never_takes_it_away(tmp_path: Path) -> None:
    publish(tmp_path, write_starter)
    path = current_index(tmp_path)
    before = path.stat().st_ino
    publish(tmp_path, write_starter)
    assert path.stat().st_ino == before


def test_building_what_is_current_and_damaged_mends_it(tmp_path: Path) -> None:
    publish(tmp_path, write_starter)
    path = current_index(tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    publish(tmp_path, write_starter)
    assert Index(current_index(tmp_path)).one("NG1 1AA").slot


def test_what_a_killed_build_left_is_swept_away_by_the_next(tmp_path: Path) -> None:
    (tmp_path / "releases" / ".building-killed").mkdir(parents=True)
    publish(tmp_path, write_starter)
    assert not list((tmp_path / "releases").glob(".*"))


def test_a_release_can_be_read_by_others_whatever_the_umask(tmp_path: Path) -> None:
    import os

    before = os.umask(0o077)
    try:
        publish(tmp_path / "data", write_starter)
    finally:
        os.umask(before)
    for path in (tmp_path / "data", *(tmp_path / "data" / "releases").rglob("*"), tmp_path / "data" / "releases"):
        assert path.stat().st_mode & 0o004, path
        assert path.is_file() or path.stat().st_mode & 0o001, path


def test_rollback_to_a_damaged_release_is_refused(tmp_path: Path) -> None:
    from app.lookup.layout import IndexFileError

    publish(tmp_path, write_starter)
    second = publish(tmp_path, lambda made: write_starter(made, starter=False)).release
    damaged = (tmp_path / "previous").resolve() / "index.imdl"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.raises(IndexFileError, match="damaged"):
        rollback(tmp_path)
    assert current_index(tmp_path).parent.name == second


def test_links_in_a_circle_are_no_data(tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to("current")
    with pytest.raises(ReferenceDataError, match="holds no data yet"):
        current_index(tmp_path)


def test_a_provenance_that_cannot_be_read_is_told_in_a_sentence(tmp_path: Path) -> None:
    publish(tmp_path, write_starter)
    current_index(tmp_path).with_name("provenance.json").write_text("{")
    with pytest.raises(ReferenceDataError, match="cannot be read"):
        provenance(tmp_path)
