"""A column of postcodes to columns of answers: what `enrich` says of each row, worked out once for all alike.

Rows are found by array operations and grouped by all that an answer's core follows from: status, profile and, for a
special postcode, its country. `enrich` itself then reads one row of each group, some hundred in a national file, so
that no rule is written here a second time.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from app.batch.arrays import of_numbers, of_values
from app.enrichment import Question, Rules, Standing, enrich
from app.lookup import postcode
from app.lookup.deprivation import DOMAINS, Core20Reason, Country, Status
from app.lookup.index import STATUSES, Index
from app.lookup.text import TextColumn

Int32s = npt.NDArray[np.int32]
Areas = npt.NDArray[np.uint32]

CORE: Final = {
    "postcode_status": pa.string(),
    "country": pa.string(),
    "imd_decile": pa.int8(),
    "imd_quintile": pa.int8(),
    "imd_edition": pa.string(),
    "core20": pa.bool_(),
    "core20_reason": pa.string(),
}
"""The columns that every row gets, named as the API names them. Null where there is no answer, never "not deprived"."""
DOMAIN_COLUMNS: Final = {f"imd_{domain}_decile": pa.int8() for domain in DOMAINS}
AREA_COLUMNS: Final = {"lsoa21": pa.string(), "lsoa11": pa.string(), "lad": pa.string(), "icb": pa.string()}

_MOST_SPELLINGS: Final = 10_000  # of special postcodes, remembered
_WITHHELD: Final = STATUSES.index("withheld")


def _naming_a_country() -> npt.NDArray[np.bool_]:
    """Statuses of special postcodes that may name a country: the same status is not yet the same answer."""
    rules = postcode.rules()
    meanings = (*rules.exact.values(), *(meaning for _, meaning in rules.patterns), *rules.areas.values())
    named = {meaning.kind for meaning in meanings if meaning.country is not None}
    return np.array([status in named for status in STATUSES])


_NAMES_A_COUNTRY: Final = _naming_a_country()


class Answer(NamedTuple):
    """The core of an answer: the same for every row of one group."""

    postcode_status: Status
    country: Country | None
    imd_decile: int | None
    imd_quintile: int | None
    imd_edition: str
    core20: bool | None
    core20_reason: Core20Reason | None
    editions: Mapping[str, Standing | None]

    @property
    def core(self) -> tuple[Any, ...]:
        """Values in the order of CORE."""
        return self[: len(CORE)]


class Answers(NamedTuple):
    """Answers of a column: for each row the number of its answer in `Enricher.answers`, and its area, 0 for none."""

    number: Int32s
    area: Areas


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which columns are added, and what stands before their names."""

    domains: bool = False
    area: bool = False
    prefix: str = ""

    def types(self) -> dict[str, pa.DataType]:
        """Names and types of the columns, in their order."""
        types = CORE | (DOMAIN_COLUMNS if self.domains else {}) | (AREA_COLUMNS if self.area else {})
        return {self.prefix + name: kind for name, kind in types.items()}

    def schema(self) -> pa.Schema:
        """The columns as Arrow has them."""
        return pa.schema(list(self.types().items()))


class Enricher:
    """Answers columns from one release and one set of rules. Safe to share between threads."""

    def __init__(self, index: Index, rules: Rules) -> None:
        self.index, self.rules = index, rules
        self.answers: list[Answer] = []
        """Every answer given so far, by number; it only grows."""
        self._number = np.full(len(STATUSES) * index.profile_count, -1, np.int32)  # by status and profile
        self._spelling: dict[bytes, int] = {}  # of special postcodes that may name a country
        self._countries: dict[tuple[str, str | None], int] = {}
        self._same: dict[tuple[Any, ...], int] = {}
        self._growing = threading.Lock()
        self._codes: dict[str, pa.Array] = {}
        protected = rules.book.cautions.protected
        self._protected = np.array([sector * postcode.UNITS + unit for sector, unit in protected], np.int64)

    def read(self, column: TextColumn) -> Answers:
        """What `enrich` says of every row's text, where an empty one stands for none."""
        found = self.index.many(column)
        status, area = found.status, found.area
        if len(self._protected):
            self._withhold(column, status, area)
        key = status.astype(np.int32) * self.index.profile_count + self.index.profile_numbers(area)
        number = self._number.take(key)
        if (number < 0).any():
            self._learn(column, key)
            number = self._number.take(key)
        if len(special := np.flatnonzero(_NAMES_A_COUNTRY.take(status))):
            number[special] = self._specials(column, special)
        return Answers(number, area)

    def _withhold(self, column: TextColumn, status: npt.NDArray[np.uint8], area: Areas) -> None:
        """Answer a protected place as a withheld address, however it was written."""
        read = postcode.parse_column(column)
        where = np.where(read.sector < 0, -1, read.sector.astype(np.int64) * postcode.UNITS + read.unit)
        protected = np.isin(where, self._protected)
        status[protected], area[protected] = _WITHHELD, 0

    def _learn(self, column: TextColumn, key: Int32s) -> None:
        """Ask for one row of each group that was not met before."""
        groups, rows = np.unique(key, return_index=True)
        with self._growing:
            for group, row in zip(groups.tolist(), rows, strict=True):
                if self._number[group] < 0:
                    self._number[group] = self._ask(column, row)

    def _specials(self, column: TextColumn, rows: npt.NDArray[np.intp]) -> list[int]:
        """Numbers of special postcodes, each spelling asked for once."""
        known, texts = self._spelling, column.values(rows)
        if new := {text: row for text, row in zip(texts, rows, strict=True) if text not in known}:
            with self._growing:
                learnt = {text: self._of_country(column, text, row) for text, row in new.items()}
                # Made anew rather than added to: another thread may be reading it.
                kept = self._spelling if len(self._spelling) + len(learnt) <= _MOST_SPELLINGS else {}
                self._spelling = kept | learnt
            known = known | learnt
        return [known[text] for text in texts]

    def _of_country(self, column: TextColumn, text: bytes, row: np.intp) -> int:
        """The number of a special postcode's answer, which follows from its kind and its country."""
        read = postcode.parse(text.decode("utf-8", "replace"))
        if (read.kind, read.country) not in self._countries:
            self._countries[read.kind, read.country] = self._ask(column, row)
        return self._countries[read.kind, read.country]

    def _ask(self, column: TextColumn, row: np.intp) -> int:
        """The number of what `enrich` answers for a row."""
        (text,) = column.values(np.array([row]))
        reading = enrich(Question(text.decode("utf-8", "replace")), self.index, self.rules).reading
        answer = Answer(
            reading.postcode_status,
            reading.country,
            reading.imd_decile,
            reading.imd_quintile,
            reading.imd_edition,
            reading.core20,
            reading.core20_reason,
            reading.editions,
        )
        same = (*answer.core, *reading.editions.items())
        if same not in self._same:
            self.answers.append(answer)
            self._same[same] = len(self.answers) - 1
        return self._same[same]

    # ------------------------------------------------------------------------------------ writing

    def columns(self, answers: Answers, wanted: Wanted) -> pa.RecordBatch:
        """Answers as the columns of `wanted.schema()`, a row for each."""
        number, area = of_numbers(answers.number), answers.area
        known = list(self.answers)  # other threads may add to it
        arrays = [of_values([answer[i] for answer in known], kind).take(number) for i, kind in enumerate(CORE.values())]
        if wanted.domains:
            rows = self.index.domain_rows(area, self.rules.core20_edition)
            arrays += [of_numbers(rows[:, i].astype(np.int8), rows[:, i] != 0) for i in range(len(DOMAINS))]
        if wanted.area:
            arrays += [self._code(kind).take(of_numbers(area)) for kind in AREA_COLUMNS]
        return pa.RecordBatch.from_arrays(arrays, schema=wanted.schema())

    def area_columns(self, wanted: Wanted) -> list[list[Any]]:
        """The columns of `wanted` that follow from the area alone, by the area's number."""
        area = np.arange(self.index.release.areas + 1, dtype=np.uint32)
        columns: list[list[Any]] = []
        if wanted.domains:
            rows = self.index.domain_rows(area, self.rules.core20_edition).tolist()
            columns += [[row[i] or None for row in rows] for i in range(len(DOMAINS))]
        if wanted.area:
            columns += [self.index.codes(kind) for kind in AREA_COLUMNS]
        return columns

    def _code(self, kind: str) -> pa.Array:
        if kind not in self._codes:
            self._codes[kind] = of_values(self.index.codes(kind), pa.string())
        return self._codes[kind]


def written(value: Any) -> bytes:
    """A value of an answer as delimited text has it: nothing for what is not known, else `true`, `false` or itself."""
    if value is None:
        return b""
    return str(value).lower().encode() if isinstance(value, bool) else str(value).encode()


def text_column(column: pa.Array | pa.ChunkedArray) -> TextColumn:
    """A column of Arrow's as text, nothing copied where it is text already. A number stands for its digits."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        column = column.cast(pa.string())
    if column.null_count:
        column = column.fill_null("")
    width: type[np.integer[Any]] = np.int64 if pa.types.is_large_string(column.type) else np.int32
    _, offsets, data = column.buffers()
    if offsets is None:
        return TextColumn.end_to_end(np.zeros(0, np.uint8), np.zeros(len(column) + 1, np.int64))
    start = column.offset
    return TextColumn.end_to_end(
        np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8),
        np.frombuffer(offsets, width)[start : start + len(column) + 1],
    )
