"""A column of strings as flat arrays, so that NumPy can read it where it lies: in Arrow's memory, or in a file's."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class TextColumn:
    """UTF-8 strings in one piece of memory, in their order: row i is `data[starts[i]:ends[i]]`.

    What stands between two rows belongs to none. A missing value is an empty string: neither says anything of where
    someone lives.
    """

    data: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.integer]
    ends: npt.NDArray[np.integer]

    @classmethod
    def of(cls, strings: Iterable[str | None]) -> Self:
        """From Python strings; lone surrogates are replaced."""
        texts = [s or "" for s in strings]
        data, lengths = "".join(texts).encode("utf-8", "replace"), list(map(len, texts))
        if len(data) != sum(lengths):  # not all of it is ASCII, so characters are not bytes
            lengths = [len(t.encode("utf-8", "replace")) for t in texts]
        offsets = np.zeros(len(texts) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        return cls.end_to_end(np.frombuffer(data, np.uint8), offsets)

    @classmethod
    def end_to_end(cls, data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.integer]) -> Self:
        """From strings without anything between them, as Arrow holds them: one offset more than rows."""
        return cls(data, offsets[:-1], offsets[1:])

    def __len__(self) -> int:
        return len(self.starts)

    def rows(self, start: int, stop: int) -> Self:
        """A run of rows, nothing copied."""
        return type(self)(self.data, self.starts[start:stop], self.ends[start:stop])

    def take(self, rows: npt.NDArray[np.integer], longest: int) -> Self:
        """Some rows as a column of their own, copied, each cut after `longest` bytes."""
        starts = self.starts[rows].astype(np.int64)
        lengths = np.minimum(self.ends[rows] - starts, longest)
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        where = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
        return self.end_to_end(self.data[where], offsets)

    def values(self, rows: npt.NDArray[np.integer]) -> list[bytes]:
        """The bytes of some rows."""
        data = self.data.data
        starts, ends = self.starts[rows].tolist(), self.ends[rows].tolist()
        return [bytes(data[a:b]) for a, b in zip(starts, ends, strict=True)]
