"""Counts how rows stand in two editions of the English index: by specialty, decile in one by decile in the other.

An observer of a run over a file: what it keeps is one table of whole numbers, whatever the file's length.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from app.batch.columns import Answer, Answers, Enricher
from app.counts.vocabulary import ABSENT, UNRECOGNISED, vocabulary
from app.lookup.index import STATUSES, Index

Int64s = npt.NDArray[np.int64]

DECILES: Final = 10
CELLS: Final = DECILES * DECILES
"""Cells of the two deciles come first: the decile in the first edition less one, times ten, and so on."""
FIRST_ONLY: Final = "first_edition_only"
SECOND_ONLY: Final = "second_edition_only"
_WITH_AREA: Final = ("live", "terminated")
WITHHELD: Final = "withheld"
REASONS: Final[tuple[str, ...]] = (
    FIRST_ONLY,
    SECOND_ONLY,
    "no_small_area",
    "not_in_england",
    *(status for status in STATUSES if status not in (*_WITH_AREA, WITHHELD)),
)
"""Why a row cannot be compared, in the order of the columns that follow the deciles' cells."""
_COLUMNS: Final = CELLS + len(REASONS)
_LEFT_OUT: Final = _COLUMNS  # a withheld address is in no count, as everywhere


class EditionError(Exception):
    """Two editions cannot be compared; the message says which there are."""


class Editions(NamedTuple):
    """The ids of two editions of England's index: the one that is left and the one that is entered."""

    first: str
    second: str


@dataclass(frozen=True, slots=True)
class Tally:
    """Exact counts of rows. `specialties` names the rows of `counts`; its columns are CELLS, then REASONS."""

    editions: Editions
    specialties: tuple[str, ...]
    counts: Int64s

    def by_specialty(self) -> dict[str, int]:
        """Rows of each specialty that has any."""
        return {s: int(n) for s, n in zip(self.specialties, self.counts.sum(1), strict=True) if n}


def check_editions(index: Index, first: str, second: str) -> Editions:
    """The two editions; EditionError unless the index holds both for England and they differ."""
    english = [e.id for e in index.editions if e.nation == "England"]
    for edition in (first, second):
        if edition not in english:
            raise EditionError(
                f"An edition asked for is not in this release: for England it holds {', '.join(english)}."
            )
    if first == second:
        raise EditionError("The two editions are the same: there is nothing to compare.")
    return Editions(first, second)


class Transitions:
    """The observer: tallies specialty by decile by decile, and by reason where a row cannot be compared."""

    def __init__(self, enricher: Enricher, editions: Editions, specialty_column: str | None = None) -> None:
        """`specialty_column` names the column of treatment function codes; None where there is none."""
        self._enricher, self._editions, self._specialty = enricher, editions, specialty_column
        self._codes = (*vocabulary().specialties, UNRECOGNISED, ABSENT)
        self._set = pa.array(self._codes[:-2], pa.string())
        self._cells = np.zeros(0, np.int64)  # of each answer met
        self._tally = np.zeros(len(self._codes) * (_COLUMNS + 1), np.int64)

    @property
    def columns(self) -> Sequence[str]:
        """The specialty's column, if one was named."""
        return [self._specialty] if self._specialty else []

    def observe(self, answers: Answers, column: Callable[[str], pa.Array]) -> None:
        """Add some rows."""
        new = self._enricher.answers[len(self._cells) :]
        if new:
            self._cells = np.append(self._cells, [cell_of(answer, self._editions) for answer in new]).astype(np.int64)
        key = self._cells.take(answers.number)
        if self._specialty is None:
            key += (len(self._codes) - 1) * (_COLUMNS + 1)
        else:
            key += self._places(column(self._specialty)) * (_COLUMNS + 1)
        self._tally += np.bincount(key, minlength=len(self._tally))

    def _places(self, column: pa.Array) -> Int64s:
        """For each row the place of its specialty in the list: unknown codes together, and empty ones apart."""
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        text = pc.utf8_trim_whitespace(column.cast(pa.string()))
        found = pc.fill_null(pc.index_in(text, value_set=self._set), len(self._set)).to_numpy(zero_copy_only=False)
        empty = pc.fill_null(pc.equal(text, ""), True).to_numpy(zero_copy_only=False)
        return np.where(empty, len(self._set) + 1, found).astype(np.int64)

    def tally(self) -> Tally:
        """What was counted so far. Rows whose address is withheld are in none of it."""
        counts = self._tally.reshape(len(self._codes), _COLUMNS + 1)[:, :_COLUMNS].copy()
        return Tally(self._editions, self._codes, counts)


def cell_of(answer: Answer, editions: Editions) -> int:
    """The column of `Tally.counts` that an answer is counted in; one past the last for a withheld address."""
    if answer.postcode_status == WITHHELD:
        return _LEFT_OUT
    if answer.postcode_status not in _WITH_AREA:
        return CELLS + REASONS.index(answer.postcode_status)
    if answer.country is not None and answer.country != "England":
        return CELLS + REASONS.index("not_in_england")
    first, second = answer.editions.get(editions.first), answer.editions.get(editions.second)
    if answer.country is not None and first and second:
        return (first.decile - 1) * DECILES + second.decile - 1
    reason = "no_small_area" if not (first or second) else FIRST_ONLY if first else SECOND_ONLY
    return CELLS + REASONS.index(reason)
