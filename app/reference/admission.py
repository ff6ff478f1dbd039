"""What a download must be before it gets its name: the table, or the sound archive of tables, it was fetched for."""

import re
import stat
import zipfile
import zlib
from pathlib import Path
from typing import Final

from app.reference.manifest import Manifest, Release
from app.reference.sources import header_row

LONGEST_HEADER: Final = 2**16
BOMB_RATIO: Final = 200  # a column of equal values reaches about 1000, so small members may
BOMB_SIZE: Final = 100 * 2**20
TABLE: Final = re.compile(r"data/(multi_csv/)?[^/]+\.csv", re.IGNORECASE)


class RefusedError(Exception):
    """Why a whole download is not used."""


def check_csv(path: Path, manifest: Manifest, release: Release) -> None:
    """Refuse a table that is not the one it was fetched for, such as a web page in its place."""
    with path.open("rb") as file:
        found = manifest.recognise(header_row(file.read(LONGEST_HEADER)))
    if found is None or found[0].id != release.id:
        raise RefusedError(f"its columns are not those of {release.title}; it begins {_start(path)!r}")


def check_zip(path: Path, manifest: Manifest, release: Release, largest_unpacked: int) -> None:
    """Refuse an archive that is broken, hostile, or without a table of the release."""
    if not zipfile.is_zipfile(path):
        raise RefusedError(f"it is not a zip file; it begins {_start(path)!r}")
    broken = (zipfile.BadZipFile, EOFError, OSError, RuntimeError, ValueError, OverflowError, zlib.error)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            for member in members:
                _check_member(member)
            if sum(member.file_size for member in members) > largest_unpacked:
                raise RefusedError(f"it unpacks to more than {largest_unpacked:,} bytes")
            for member in members:
                # Reads the member's own header; RuntimeError where it is encrypted.
                archive.open(member).close()
            tables = [member for member in members if TABLE.fullmatch(member.filename)]
            for table in tables:
                with archive.open(table) as file:
                    found = manifest.recognise(header_row(file.read(LONGEST_HEADER)))
                if found is not None and found[0].kind == release.kind:
                    return
    except broken as error:
        raise RefusedError(f"it is not a sound zip file ({error})") from error
    raise RefusedError(f"none of its {len(tables)} tables in Data has the columns of {release.title}")


def _check_member(member: zipfile.ZipInfo) -> None:
    kind = stat.S_IFMT(member.external_attr >> 16)
    for name in (member.filename, member.orig_filename):
        if "\\" in name or "\0" in name or ".." in name.split("/") or re.match("/|[A-Za-z]:", name):
            raise RefusedError(f"its member {name!r} has a path that leaves the archive")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise RefusedError(f"its member {member.filename!r} is a link or a device")
    if member.file_size > max(BOMB_SIZE, BOMB_RATIO * member.compress_size):
        raise RefusedError(f"its member {member.filename!r} unpacks to {member.file_size:,} bytes")


def _start(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(60).decode("utf-8", errors="replace")
