"""Whether the host is fit: its clock, its disks, who may read what, and who runs the service."""

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from app.counting import database_url
from app.database import embedded_file
from app.doctor.data import built_at
from app.doctor.finding import Finding, doubtful, well, wrong
from app.reference.errors import ReferenceDataError
from app.settings import Settings

_NO_ROOM: Final = 100 * 10**6
_LITTLE_ROOM: Final = 10**9
_TOLERATED: Final = timedelta(minutes=1)
_SYNC: Final = "set the clock: timedatectl set-ntp true"


def clock(settings: Settings) -> Iterator[Finding]:
    """The clock is not before what was made on it, and knows when it is summer in London."""
    now = datetime.now(UTC)
    made = [("this version was installed", datetime.fromtimestamp(Path(__file__).stat().st_mtime, UTC))]
    with suppress(ReferenceDataError):  # said by the index's own check
        made.append(("the index was built", built_at(settings)))
    found = False
    for what, moment in made:
        if moment > now + _TOLERATED:
            found = True
            said = f"The clock says {now:%Y-%m-%d %H:%M} UTC, and {what} on {moment:%Y-%m-%d %H:%M}."
            yield wrong("clock", said, _SYNC)
    london = ZoneInfo("Europe/London")
    summer = datetime(2026, 7, 1, tzinfo=london).utcoffset(), datetime(2026, 1, 1, tzinfo=london).utcoffset()
    if summer != (timedelta(hours=1), timedelta(0)):
        found = True
        yield wrong("clock", "The zone Europe/London is not what it is.", "install tzdata: pip install -U tzdata")
    if not found:
        yield well("clock", f"{now:%Y-%m-%d %H:%M} UTC, after all that was made here.")


def space(settings: Settings) -> Iterator[Finding]:
    """Room on each disk that is written to."""
    disks: dict[int, tuple[Path, list[str]]] = {}
    for what, folder in _written(settings):
        there = _nearest(folder)
        disks.setdefault(there.stat().st_dev, (there, []))[1].append(what)
    for there, names in disks.values():
        free, used_for = shutil.disk_usage(there).free, ", ".join(names)
        said = f"{free / 1e9:,.1f} GB are free for {used_for}."
        if free < _NO_ROOM:
            yield wrong("disk", said, f"make room (docs/runbook.md, 9): du -xh {there} | sort -h | tail")
        elif free < _LITTLE_ROOM:
            yield doubtful("disk", said, f"make room (docs/runbook.md, 9): du -xh {there} | sort -h | tail")
        else:
            yield well("disk", said)


def _written(settings: Settings) -> Iterator[tuple[str, Path]]:
    yield "data", settings.data_dir
    yield "counts", settings.counts_folder
    yield "spool", settings.counts_folder / "spool"
    if settings.audit_file:
        yield "the audit file", settings.audit_file.parent
    yield "temporary files", Path(tempfile.gettempdir())


def _nearest(folder: Path) -> Path:
    folder = folder.absolute()
    return next(there for there in (folder, *folder.parents) if there.exists())


def permissions(settings: Settings) -> Iterator[Finding]:
    """What only the service's user may read, and what that user must be able to read or write."""
    found = [*_too_open(settings), *_closed_to_us(settings)]
    yield from found
    if os.geteuid() == 0:
        said = "You are root, who may do everything: what the service's user may is not known."
        yield doubtful(
            "permissions", said, "run doctor and service as a user of their own: sudo -u USER imdlens doctor"
        )
    elif not found:
        yield well("permissions", "What is confidential can be read by this user alone.")


def _too_open(settings: Settings) -> Iterator[Finding]:
    for file in _private(settings):
        if not _is_there(file):
            continue
        mode = stat.S_IMODE(file.stat().st_mode)
        by, way = ("anybody", wrong) if mode & 0o007 else ("its group", doubtful)
        if file.is_dir():
            way = doubtful  # what is in it is looked at by itself
        if mode & 0o077:
            said = f"{file} is open to {by} on this host (mode {mode:04o})."
            yield way("permissions", said, f"chmod {'700' if file.is_dir() else '600'} {file}")


def _is_there(path: Path) -> bool:
    """Whether it is there; of what lies in a folder that is closed to us nobody can say."""
    with suppress(OSError):
        return path.exists()
    return False


def _private(settings: Settings) -> Iterator[Path]:
    folder = settings.counts_folder
    yield from (folder, folder / "secret", settings.keys_copy, folder / "spool")
    stores = [folder / "spool" / "spool.sqlite", folder / "counts.sqlite", embedded_file(database_url(settings))]
    for file in sorted({file for file in stores if file}):
        yield from (Path(f"{file}{side}") for side in ("", "-wal", "-shm"))
    yield from (file for file in (settings.tls_key, settings.audit_file) if file)


def _closed_to_us(settings: Settings) -> Iterator[Finding]:
    store = embedded_file(database_url(settings))
    needed = [
        (settings.data_dir, os.R_OK | os.X_OK, "read"),
        (settings.counts_folder, os.R_OK | os.W_OK | os.X_OK, "written"),
        (settings.counts_folder / "spool", os.R_OK | os.W_OK | os.X_OK, "written"),
        (settings.counts_folder / "spool" / "spool.sqlite", os.R_OK | os.W_OK, "written"),
        *([(store, os.R_OK | os.W_OK, "written")] if store else []),
        (Path(tempfile.gettempdir()), os.W_OK | os.X_OK, "written"),
    ]
    for path, how, said in needed:
        if _is_there(path) and not os.access(path, how, effective_ids=True):
            yield wrong("permissions", f"{path} cannot be {said} by this user.", f"chown USER {path}")


def audit(settings: Settings) -> Iterator[Finding]:
    """The audit file, if there shall be one."""
    file = settings.audit_file
    if file is None:
        yield well("audit", "No audit file is asked for: lines go to the error stream.")
    elif file.exists() and not file.is_file():
        yield wrong("audit", f"{file} is not a file.", "name a file in IMDLENS_AUDIT_FILE")
    elif not os.access(file if file.exists() else file.parent, os.W_OK, effective_ids=True):
        said = f"{file} cannot be written: the service does not start, or lines are missing."
        yield wrong("audit", said, f"mend its folder or owner: ls -ld {file.parent}")
    else:
        age = f", last written {_ago(file.stat().st_mtime)}" if file.exists() else ", made at the next start"
        yield well("audit", f"{file} can be written{age}.")


def _ago(moment: float) -> str:
    hours = max(0.0, time.time() - moment) / 3600
    return f"{hours:.0f} hours ago" if hours >= 1 else "within the hour"
