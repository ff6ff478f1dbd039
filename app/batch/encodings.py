"""Files in an encoding whose bytes cannot be searched for separators: read as UTF-8, and written as they were."""

import codecs
from typing import BinaryIO, Final, cast

import pyarrow as pa

from app.batch.plan import FileProblemError

_WIDE: Final = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LONGEST_MARK: Final = 4
_STATEFUL: Final = ("utf-7", "hz", "iso2022", "punycode", "unicode-escape", "raw-unicode-escape")


def widened(source: BinaryIO, told: str | None) -> tuple[BinaryIO, str | None, str | None]:
    """The source as bytes in which an ASCII letter is one byte and no part of another.

    Beside it the encoding that it was put from into UTF-8, None where it is as it was; and the one it is in, None where
    that is to be found out. FileProblemError where the one that was told is none.
    """
    start = b""
    while len(start) < _LONGEST_MARK and (part := source.read(_LONGEST_MARK - len(start))):
        start += part
    wide = next((name for mark, name in _WIDE if start.startswith(mark)), None)
    if told is not None:
        try:
            told = codecs.lookup(told).name
            # A letter of the first is not the same bytes everywhere; what fails in other ways encodes no text.
            is_text = not told.startswith(_STATEFUL) and "a".encode(told, "replace").decode(told, "replace") == "a"
        except (LookupError, ValueError):
            is_text = False
        if not is_text:
            raise FileProblemError("The encoding is not known: say utf-8, cp1252, utf-16-le or another.")
    if told in ("utf-16", "utf-32"):  # these begin with a mark, or are as Windows writes them
        told = wide or f"{told}-le"
    if told == "utf-8-sig":
        told = "utf-8"
    encoding = wide or told
    pushed = cast("BinaryIO", _Pushed(start, source))
    if encoding is None or _is_transparent(encoding):
        return pushed, None, encoding
    return cast("BinaryIO", _Recoding(pushed, encoding)), encoding, "utf-8"


def encoded(sink: BinaryIO | None, encoding: str) -> BinaryIO | None:
    """A sink that is written to as UTF-8 and holds another encoding; None for none."""
    return None if sink is None else cast("BinaryIO", _Encoding(sink, encoding))


def _is_transparent(encoding: str) -> bool:
    """Whether separators can be found among the bytes as they are."""
    if encoding == "utf-8":
        return True
    ascii_bytes = bytes(range(128))
    return ascii_bytes.decode(encoding, "replace") == ascii_bytes.decode("ascii") and all(
        len(bytes([high, 65]).decode(encoding, "replace")) == 2 for high in range(128, 256)
    )


class _Pushed:
    """A source whose beginning was read already."""

    def __init__(self, start: bytes, source: BinaryIO) -> None:
        self._start, self._source = start, source

    def read(self, size: int) -> bytes:
        if self._start:
            start, self._start = self._start, b""
            return start + self._source.read(max(size - len(start), 0))
        return self._source.read(size)

    def readinto(self, room: memoryview) -> int:
        if self._start or not hasattr(self._source, "readinto"):
            part = self.read(len(room))
            room[: len(part)] = part
            return len(part)
        return self._source.readinto(room) or 0


class _Recoding:
    """A source in another encoding, read as UTF-8."""

    def __init__(self, source: BinaryIO, encoding: str) -> None:
        self._source, self._encoding = source, encoding
        self._decoder = codecs.getincrementaldecoder(encoding)("strict")
        self._rest = b""

    def read(self, size: int) -> bytes:
        # UTF-8 may be longer than what it was read from.
        held = self._rest or self._decoded(size)
        self._rest = held[size:]
        return held[:size]

    def _decoded(self, size: int) -> bytes:
        text = ""
        while not text:
            held = self._decoder.getstate()[0]
            raw = self._source.read(size)
            try:
                text = self._decoder.decode(raw, final=not raw)
                again = text.encode(self._encoding)
            except UnicodeError:
                raise FileProblemError(f"The file is not in {self._encoding}: say which it is by --encoding.") from None
            if again + self._decoder.getstate()[0] != held + raw:  # two ways to write a letter: one would be lost
                raise FileProblemError(f"The file cannot be kept as it is in {self._encoding}: save it as UTF-8.")
            if not raw:
                break
        return text.encode()


class _Encoding:
    """A sink in another encoding, written to as UTF-8."""

    def __init__(self, sink: BinaryIO, encoding: str) -> None:
        self._sink, self._encoding = sink, encoding

    def write(self, data: pa.Buffer | bytes) -> int:
        return self._sink.write(bytes(data).decode().encode(self._encoding))
