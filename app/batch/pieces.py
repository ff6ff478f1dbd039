"""Lines and CSV rows out of a body that comes in pieces, wherever these are cut. Nothing longer than a limit is held.

Bytes throughout: what separates rows and fields is ASCII, whatever the other columns are written in.
"""

import csv
import re
from typing import Final, Literal

Fault = Literal["too_long", "columns"]
"""Why a row is answered by an error: longer than the limit, or not of as many fields as the heading has columns."""

# A field in quotes may hold line feeds. Without going back: a quote that is never closed costs one look at it.
_FIELD: Final = rb'(?:"(?:[^"]++|"")*+"[^,\n]*+|[^",\n][^,\n]*+)?+'
_ROW: Final = re.compile(_FIELD + rb"(?:," + _FIELD + rb")*+\n")
_QUOTED: Final = re.compile(rb'(?:[^"]++|"")*+')
_END_OR_QUOTE: Final = re.compile(rb'\n|,"')
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class Lines:
    """Lines of a body, without their line feeds; blank ones are left out."""

    def __init__(self, longest: int) -> None:
        """`longest` in bytes: of a longer line only `too_long` is given."""
        self._longest = longest
        self._begun = bytearray()
        self._is_long = self._is_blank = False

    def feed(self, piece: bytes) -> list[bytes | Fault]:
        """The lines that this piece ends."""
        head, *others = piece.split(b"\n")
        self._add(head)
        if not others:
            return []
        lines = self.end()
        lines += [line if len(line) <= self._longest else "too_long" for line in others[:-1] if line.strip()]
        self._add(others[-1])
        return lines

    def end(self) -> list[bytes | Fault]:
        """The line that has begun, as whole as it is, if it is not blank."""
        begun, is_long = bytes(self._begun), self._is_long
        self._begun.clear()
        self._is_long = False
        if is_long:
            return [] if self._is_blank else ["too_long"]
        return [begun] if begun.strip() else []

    def _add(self, part: bytes) -> None:
        if self._is_long:
            self._is_blank = self._is_blank and not part.strip()
            return
        self._begun += part
        if len(self._begun) > self._longest:
            self._is_long, self._is_blank = True, not self._begun.strip()
            self._begun.clear()


class Rows:
    """Rows of a CSV body as they were sent, without their line ends (LF or CRLF). A blank line is a row."""

    def __init__(self, longest: int) -> None:
        """`longest` in bytes: of a longer row only `too_long` is given."""
        self._longest = longest
        self._begun = bytearray()
        self._skip: _Skip | None = None
        self._is_first = True

    def feed(self, piece: bytes) -> list[bytes | Fault]:
        """The rows that this piece ends."""
        rows: list[bytes | Fault] = []
        if self._skip is not None:
            end = self._skip.end(piece)
            if end is None:
                return rows
            rows.append("too_long")
            self._skip, piece = None, piece[end:]
        self._begun += piece
        if self._is_first:
            if len(self._begun) < len(_BYTE_ORDER_MARK):
                return rows
            self._is_first = False
            self._begun = self._begun.removeprefix(_BYTE_ORDER_MARK)
        if b"\n" in self._begun:
            data = bytes(self._begun)
            if b'"' in data:
                at = 0
                while found := _ROW.match(data, at):
                    rows.append(self._row(data[at : found.end() - 1]))
                    at = found.end()
                self._begun = bytearray(data[at:])
            else:
                *whole, rest = data.split(b"\n")
                rows += map(self._row, whole)
                self._begun = bytearray(rest)
        if len(self._begun) > self._longest:
            self._skip = _Skip()
            self._skip.end(bytes(self._begun))
            self._begun.clear()
        return rows

    def end(self) -> list[bytes | Fault]:
        """The row that has begun, as whole as it is; none after a line end. One amid quotes was cut off."""
        if self._skip is not None:
            self._skip = None
            return ["too_long"]
        self._is_first = False
        rows, rest = self.feed(b""), bytes(self._begun)  # a body of one or two bytes was not looked at yet
        self._begun.clear()
        if rest:
            rows.append(self._row(rest) if _ROW.fullmatch(rest + b"\n") else "columns")
        return rows

    def _row(self, row: bytes) -> bytes | Fault:
        return row.removesuffix(b"\r") if len(row) <= self._longest else "too_long"


class _Skip:
    """Finds the end of a row of which nothing is kept."""

    def __init__(self) -> None:
        self._state: Literal["start", "within", "quoted", "closed"] = "start"  # of a field

    def end(self, data: bytes) -> int | None:
        """Where the next row begins; None where it does not begin in these bytes."""
        at = 0
        while at < len(data):
            if self._state == "quoted":
                found = _QUOTED.match(data, at)
                at = found.end() if found else at
                if at < len(data):
                    self._state, at = "closed", at + 1
            elif self._state in ("start", "closed") and data[at : at + 1] == b'"':
                self._state, at = "quoted", at + 1
            else:
                found = _END_OR_QUOTE.search(data, at)
                if found is None:
                    self._state = "start" if data.endswith(b",") else "within"
                    return None
                if found[0] == b"\n":
                    return found.end()
                self._state, at = "quoted", found.end()
        return None


def fields_of(row: bytes) -> list[bytes] | None:
    """The fields of a row, as RFC 4180 has them; None where it cannot be told where they end."""
    if b'"' not in row and b"\r" not in row:
        return row.split(b",")
    try:
        (read,) = csv.reader([row.decode("latin-1")])  # bytes as characters, and back
    except (csv.Error, ValueError):  # a carriage return amid a row
        return None
    return [field.encode("latin-1") for field in read]


def field_of(row: bytes | Fault, place: int, width: int) -> bytes | Fault:
    """One field of a row, which must have `width` of them; else what is wrong with the row."""
    if isinstance(row, str):
        return row
    fields = fields_of(row)
    return "columns" if fields is None or len(fields) != width else fields[place]
