"""A column of strings as two flat arrays, the way Arrow holds it, so that NumPy can read it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class TextColumn:
    """UTF-8 strings end to end: row i is `data[offsets[i]:offsets[i + 1]]`.

    A missing value is an empty string: neither says anything of where someone lives.
    """

    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.integer]

    @classmethod
    def of(cls, strings: Iterable[str | None]) -> Self:
        """From Python strings; lone surrogates are replaced."""
        texts = [s or "" for s in strings]
        data, lengths = "".join(texts).encode("utf-8", "replace"), list(map(len, texts))
        if len(data) != sum(lengths):  # not all of it is ASCII, so characters are not bytes
            lengths = [len(t.encode("utf-8", "replace")) for t in texts]
        offsets = np.zeros(len(texts) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        return cls(np.frombuffer(data, np.uint8), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def rows(self, start: int, stop: int) -> Self:
        """A run of rows, nothing copied."""
        return type(self)(self.data, self.offsets[start : stop + 1])

    def take(self, rows: npt.NDArray[np.integer], longest: int) -> Self:
        """Some rows as a column of their own, copied, each cut after `longest` bytes."""
        starts = self.offsets[rows].astype(np.int64)
        lengths = np.minimum(self.offsets[rows + 1] - starts, longest)
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        where = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
        return type(self)(self.data[where], offsets)

    def values(self, rows: npt.NDArray[np.integer]) -> list[bytes]:
        """The bytes of some rows."""
        data = self.data.data
        starts, stops = self.offsets[rows].tolist(), self.offsets[rows + 1].tolist()
        return [bytes(data[a:b]) for a, b in zip(starts, stops, strict=True)]
