"""The data folder: built releases side by side, and a link that says which one is current.

releases/<id>/index.imdl, provenance.json    never changed once there
current  -> releases/<id>                    replaced by rename, so a reader sees one or the other
previous -> releases/<id>                    what `rollback` goes back to
"""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from app.lookup.index import Index
from app.lookup.layout import IndexFileError
from app.reference.errors import ReferenceDataError

if TYPE_CHECKING:  # the service reads this folder too, and must not load what builds it
    from app.reference.build import BuildReport

INDEX_FILE: Final = "index.imdl"
PROVENANCE_FILE: Final = "provenance.json"


def current_index(folder: Path) -> Path:
    """The index file that is current, named by its release so that a change shows."""
    try:
        return (folder / "current").resolve(strict=True) / INDEX_FILE
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle, before Python 3.13
        raise ReferenceDataError(
            f"{folder} holds no data yet: build it with `imdlens data build`, or `imdlens data build --starter`."
        ) from error


def provenance(folder: Path) -> dict[str, Any]:
    """What the current release was built from."""
    return provenance_of(folder, current_index(folder).parent.name)


def provenance_of(folder: Path, release: str) -> dict[str, Any]:
    """What a release of the folder was built from."""
    path = folder / "releases" / release / PROVENANCE_FILE
    try:
        data: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ReferenceDataError(f"{path} cannot be read: build the release again.") from error
    return data


def publish(
    folder: Path, write: "Callable[[Path], BuildReport]", passes: Callable[[Path], bool] = lambda _: True
) -> "BuildReport":
    """Let `write` build into a new folder, then make it current; nothing changes when it fails.

    A release that does not pass is kept beside the others, and is not current. `passes` is asked while no other build
    or rollback can change what is current.
    """
    with _alone(folder):
        releases = folder / "releases"
        releases.mkdir(exist_ok=True)
        for abandoned in releases.glob(".*"):  # by a build that was killed
            shutil.rmtree(abandoned)
        made = Path(tempfile.mkdtemp(prefix=".building-", dir=releases))
        try:
            report = write(made)
            _open_to_all(made)
            _sync(made)
            _put(made, releases / report.release)
            _sync(releases)
        finally:
            shutil.rmtree(made, ignore_errors=True)
        if passes(releases / report.release):
            _make_current(folder, report.release)
    return report


def _put(made: Path, target: Path) -> None:
    """Give a built release its name. One of that name has the same contents: it stays, if it is sound."""
    if target.exists():
        try:
            Index(target / INDEX_FILE)
        except IndexFileError:
            target.rename(target.with_name(f".damaged-{target.name}"))
        else:
            # It may be in use, so the file stays; only what is told of it is renewed.
            (made / PROVENANCE_FILE).replace(target / PROVENANCE_FILE)
            return
    made.rename(target)


def _open_to_all(made: Path) -> None:
    """Readable by the service's user, whatever the umask of whoever builds."""
    for folder in (made, made.parent, made.parent.parent):
        folder.chmod(folder.stat().st_mode | 0o555)
    for file in made.iterdir():
        file.chmod(0o644)


def named(folder: Path, link: Literal["current", "previous"]) -> str | None:
    """The release that a link names, whether it is there or not; None where there is no link."""
    path = folder / link
    return path.readlink().name if path.is_symlink() else None


def held(folder: Path) -> list[str]:
    """Every release in a folder, the one that was built last first."""
    built = {path.parent.name: path.stat().st_mtime_ns for path in folder.glob(f"releases/[!.]*/{PROVENANCE_FILE}")}
    return sorted(built, key=lambda release: (built[release], release), reverse=True)


def prune(folder: Path, keep: int) -> list[str]:
    """Remove all but the last so many releases, and return the ids of what went; never the current nor the previous.

    A worker that still answers from a release that goes keeps its pages mapped until it lets go: on POSIX a file
    that is removed lives on for whoever has it open.
    """
    with _alone(folder):
        spared = {named(folder, "current"), named(folder, "previous")} - {None}
        others = [release for release in held(folder) if release not in spared]
        removed = others[max(keep - len(spared), 0) :]
        for release in removed:
            # Under a hidden name first: a release that is half removed must not look like one.
            going = folder / "releases" / f".removing-{release}"
            (folder / "releases" / release).rename(going)
            shutil.rmtree(going)
        if removed:
            _sync(folder / "releases")
    return removed


def rollback(folder: Path) -> str:
    """Make the previous release current again, and return its id; a second rollback undoes the first."""
    with _alone(folder):
        link = folder / "previous"
        if not link.exists():
            raise ReferenceDataError(f"{folder} holds no previous release to go back to.")
        release = link.resolve().name
        Index(link / INDEX_FILE)  # IndexFileError where going back would leave nothing to answer from
        _make_current(folder, release)
    return release


def _make_current(folder: Path, release: str) -> None:
    current = folder / "current"
    before = named(folder, "current")
    if before == release:
        return
    if before is not None:
        _link(folder / "previous", before)
    _link(current, release)
    _sync(folder)


def _link(link: Path, release: str) -> None:
    made = link.with_name(f".{link.name}.new")
    made.unlink(missing_ok=True)
    made.symlink_to(Path("releases") / release)
    made.replace(link)


def _sync(folder: Path) -> None:
    for path in (*folder.glob("*"), folder):
        if path.is_file() or path == folder:
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One build or rollback at a time in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ReferenceDataError(f"Another build is at work in {folder}.") from error
        yield
