"""Finds values in bytes, whatever form they were written in: many values, many forms, in one pass."""

import base64
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

_KEY = 5  # bytes of a needle's beginning, by which it is looked for
_BITS = 22
_CHUNK = 2**22
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_LEAST = 7  # shorter forms are found by chance
_HEX = frozenset(b"0123456789abcdef")
_LETTERS = frozenset(b"0123456789abcdefghijklmnopqrstuvwxyz")
_SHORT, _SHORT_NUMBER = 6, 10


class Found(NamedTuple):
    """A value, and the form in which it stands in some bytes."""

    value: str
    form: str
    place: int


class Search:
    """Values to be looked for. Case does not matter in any form."""

    def __init__(self) -> None:
        self._needles: dict[bytes, list[tuple[bytes, str, str, bool]]] = {}
        self._table = np.zeros(2**_BITS, dtype=bool)
        self.values: set[str] = set()

    def add(self, *values: str, hashed: bool = False) -> None:
        """Look for these; `hashed`: for their unkeyed hashes too, which whoever knows all values can reverse."""
        for value in values:
            if value not in self.values:
                self.values.add(value)
                for form, needle in forms_of(value, hashed=hashed):
                    self._add(needle.lower(), value, form)

    def _add(self, needle: bytes, value: str, form: str) -> None:
        assert len(needle) >= _KEY, (value, form)
        # Short ones stand in random letters by chance, short numbers in random numbers: these must stand alone.
        alone = len(needle) <= _SHORT or (len(needle) < _SHORT_NUMBER and set(needle) <= _HEX)
        self._needles.setdefault(needle[:_KEY], []).append((needle, value, form, alone))
        self._table[_hashes(np.frombuffer(needle[:_KEY], np.uint8))] = True

    def find(self, data: bytes) -> list[Found]:
        """Every value that stands in these bytes, once for each form."""
        lowered = data.lower()
        array = np.frombuffer(lowered, np.uint8)
        found: dict[tuple[str, str], int] = {}
        for start in range(0, len(array), _CHUNK):
            chunk = array[start : start + _CHUNK + _KEY - 1]
            if len(chunk) < _KEY:
                break
            for place in (np.nonzero(self._table[_hashes(chunk)])[0] + start).tolist():
                for needle, value, form, alone in self._needles.get(lowered[place : place + _KEY], ()):
                    if lowered.startswith(needle, place) and not (alone and _has_neighbours(lowered, place, needle)):
                        found.setdefault((value, form), place)
        return [Found(value, form, place) for (value, form), place in found.items()]


def _has_neighbours(data: bytes, place: int, needle: bytes) -> bool:
    around = data[max(0, place - 1) : place] + data[place + len(needle) : place + len(needle) + 1]
    return any(byte in (_LETTERS if len(needle) <= _SHORT else _HEX) for byte in around)


def _hashes(data: Any) -> Any:
    count = len(data) - _KEY + 1
    words = np.zeros(count, dtype=np.uint64)
    for place in range(_KEY):
        words |= data[place : place + count].astype(np.uint64) << np.uint64(8 * place)
    return (words * _FACTOR) >> np.uint64(64 - _BITS)


def forms_of(value: str, *, hashed: bool) -> Iterator[tuple[str, bytes]]:
    """A value in every form in which it might be written down. Letters' case is left to who looks."""
    together = value.replace(" ", "")
    spellings = {value.encode(): "", together.encode(): " without space"}
    for raw, how in spellings.items():
        yield f"plain{how}", raw
        yield f"hexadecimal{how}", raw.hex().encode()
        yield f"percent{how}", "".join(f"%{byte:02x}" for byte in raw).encode()
        yield f"json escapes{how}", "".join(f"\\u{byte:04x}" for byte in raw).encode()
        yield f"utf-16{how}", raw.decode().encode("utf-16-le")[:-1]
        for cased in {raw, raw.upper(), raw.lower()}:
            for needle in _in_base64(cased):
                yield f"base64{how}", needle
            if hashed:
                yield from _hashed(cased, how)
    if " " in value:
        for space in ("%20", "+", "_", "-", "\\u0020"):
            yield f"with {space}", value.replace(" ", space).encode()


def _in_base64(raw: bytes) -> Iterator[bytes]:
    """What is sure to stand in base64 of a text with this in it, wherever in the text it begins."""
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + raw)
        needle = encoded[-(-shift * 8 // 6) : (shift + len(raw)) * 8 // 6]
        if len(needle) >= _LEAST:
            yield needle
            if needle != (other := needle.translate(bytes.maketrans(b"+/", b"-_"))):
                yield other


def _hashed(raw: bytes, how: str) -> Iterator[tuple[str, bytes]]:
    for name in ("md5", "sha1", "sha256"):
        digest = hashlib.new(name, raw, usedforsecurity=False).digest()
        yield f"{name}{how}", digest[:8].hex().encode()
        yield f"raw {name}{how}", digest[:8]
        yield f"{name} in base64{how}", base64.b64encode(digest)[:10]


def files_below(*folders: Path) -> Iterable[Path]:
    """Every file in some folders."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                yield path
