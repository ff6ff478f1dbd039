"""The index file: one header, aligned sections, one checksum. Written once, then only mapped.

8 bytes   magic
4 bytes   format version, little-endian
4 bytes   length of the header
32 bytes  SHA-256 of all that follows
header    JSON: what the file is about, and where its sections lie
sections  arrays, each aligned to 64 bytes
"""

import hashlib
import json
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

MAGIC: Final = b"IMDLENS\n"
FORMAT: Final = 1
_PREFIX: Final = struct.Struct("<8sII32s")
_ALIGN: Final = 64

# A slot is one postcode: which area it lies in (0: no such postcode), and what else is known of it.
AREA_BITS: Final = 18
AREA: Final = (1 << AREA_BITS) - 1
TERMINATED: Final = 1 << 18
LARGE_USER: Final = 1 << 19
LOW_PRECISION: Final = 1 << 20
INTRODUCED_SHIFT: Final = 21  # months since December 1969, 11 bits; 0 not known

# Types that sections are held as. No other name is handed to numpy, whose reader of names raises what nobody promises.
_TYPES: Final = {name: np.dtype(name) for name in ("|u1", "<u2", "<u4", "<i4", "|S9")}

# What the sections `share` and `rural` hold of an area.
SHARE_MOST: Final = 100  # whole percent up to here
SHARE_FEW: Final = 254  # the share is of so few that it is not told
SHARE_UNKNOWN: Final = 255
RURAL_UNKNOWN: Final = 0
URBAN: Final = 1
RURAL: Final = 2


class IndexFileError(Exception):
    """A file that is not a sound index of this format, in one sentence."""


@dataclass(frozen=True, slots=True)
class IndexFile:
    """A checked index file, its sections still on disk."""

    header: Mapping[str, Any]
    sections: Mapping[str, npt.NDArray[Any]]
    checksum: str  # SHA-256 of header and sections, hexadecimal
    size: int  # bytes


def write_index(path: Path, header: Mapping[str, Any], sections: Mapping[str, npt.NDArray[Any]]) -> str:
    """Write an index file and return its checksum. The same contents give the same bytes."""
    table: dict[str, dict[str, Any]] = {}
    offset = 0
    for name, array in sections.items():
        table[name] = {"dtype": array.dtype.str, "shape": list(array.shape), "offset": offset}
        offset += _padded(array.nbytes)
    text = json.dumps({**header, "sections": table}, ensure_ascii=False, sort_keys=True).encode()
    text = text.ljust(_padded(_PREFIX.size + len(text)) - _PREFIX.size)
    digest = hashlib.sha256(text)
    with path.open("wb") as file:
        file.write(_PREFIX.pack(MAGIC, FORMAT, len(text), bytes(32)))
        file.write(text)
        for array in sections.values():
            data = np.ascontiguousarray(array).tobytes()
            data = data.ljust(_padded(len(data)), b"\0")
            digest.update(data)
            file.write(data)
        file.seek(0)
        file.write(_PREFIX.pack(MAGIC, FORMAT, len(text), digest.digest()))
    return digest.hexdigest()


def read_index(path: Path) -> IndexFile:
    """Map an index file and check it whole. IndexFileError, in one sentence, when it is not sound."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            if size < _PREFIX.size:
                raise IndexFileError(f"{path} is not an IMD Lens index: it is only {size} bytes long.")
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise IndexFileError(f"{path} cannot be opened: {error.strerror}.") from error
    magic, version, length, digest = _PREFIX.unpack_from(mapped)
    if magic != MAGIC:
        raise IndexFileError(f"{path} is not an IMD Lens index.")
    if version != FORMAT:
        age = "newer" if version > FORMAT else "older"
        raise IndexFileError(
            f"{path} has index format {version}, {age} than the {FORMAT} that this version reads: "
            f"{'upgrade IMD Lens' if version > FORMAT else 'build it again with `imdlens data build`'}."
        )
    if hashlib.sha256(memoryview(mapped)[_PREFIX.size :]).digest() != digest:
        raise IndexFileError(f"{path} is damaged: its checksum does not match, so it was cut short or changed.")
    try:
        header = json.loads(mapped[_PREFIX.size : _PREFIX.size + length])
        start = _PREFIX.size + length
        sections = {
            name: np.frombuffer(mapped, _TYPES[s["dtype"]], int(np.prod(s["shape"])), start + s["offset"]).reshape(
                s["shape"]
            )
            for name, s in header.pop("sections").items()
        }
    # A recursion: a header of brackets within brackets.
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise IndexFileError(f"{path} is not a well-formed index.") from error
    if not all(array.flags.aligned for array in sections.values()):  # one value at a time could not be read
        raise IndexFileError(f"{path} is not a well-formed index: a section begins between two values.")
    return IndexFile(header, sections, digest.hex(), size)


def _padded(n: int) -> int:
    return -(-n // _ALIGN) * _ALIGN
