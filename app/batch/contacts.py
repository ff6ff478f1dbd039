"""The rows of a file as contacts: the same cells that each would add to if it were sent by itself.

Each column is read once for each value that it holds, by the very function that reads a request; rows are then counted
by array operations, and `cells_of` is asked once for each combination that fills a cell of its own.
"""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, Final, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Engine

from app.batch.columns import Answer, Answers, Enricher
from app.context.notices import Notice
from app.counts.cells import Cell, band_of, cells_of
from app.counts.contact import Contact, event_id_of, read_contact
from app.counts.event_keys import hashes_of
from app.counts.loads import LoadError, check_source, edition_of, replace_load, trying
from app.counts.periods import financial_year, first_counted, today
from app.counts.store import Batch, CountStore, Event, Outcome
from app.counts.vocabulary import ABSENT, UNRECOGNISED, vocabulary, wait_band
from app.counts.waiting import WITHHELD, Snapshot, WaitingListError, read_waiting, replace_waiting_counts
from app.lookup.index import Index

Numbers = npt.NDArray[np.int64]

_MOST_VALUES: Final = 50_000  # of one column, remembered between blocks: a column of dates has some hundred
_MOST_PENDING: Final = 1 << 19  # rows, before what they hold in common is counted
_MOST_CELLS: Final = 100_000  # combinations whose cells are remembered while single contacts are counted
_IN_A_BATCH: Final = 10_000  # contacts
_BITS: Final = 12  # for the number of a word within a combination

_WORDS: Final = {  # what of a contact follows from a column
    "date": ("month",),
    "specialty": ("specialty",),
    "type": ("type",),
    "attendance": ("attendance",),
    "outcome": ("outcome",),
    "mode": (),
    "age": ("age_band", "age_five"),
    "sex": ("sex",),
    "ethnic_category": ("ethnic_category",),
}
# The columns that each of the six cells of `cells_of` follows from, beside month, edition, client and the answer.
_CELL_COLUMNS: Final = (
    ("specialty", "type", "attendance", "outcome"),
    ("specialty", "age"),
    ("specialty", "ethnic_category"),
    ("specialty", "sex"),
    ("type", "age", "sex"),
    (),
)
_DISTRICT: Final = len(_CELL_COLUMNS)
_GROUPS: Final = _DISTRICT + 1


@dataclass(frozen=True, slots=True)
class ContactColumns:
    """Which column of a file holds what; None where the file has none. `ethnic_system` is a word, not a column."""

    specialty: str | None = None
    type: str | None = None
    attendance: str | None = None
    outcome: str | None = None
    date: str | None = None
    age: str | None = None
    sex: str | None = None
    ethnic_category: str | None = None
    mode: str | None = None
    event_id: str | None = None
    ethnic_system: str | None = None

    def __post_init__(self) -> None:
        """LoadError where an ethnic category could not be understood: one letter means different things."""
        known = vocabulary().ethnic_systems
        if self.ethnic_category is not None and self.ethnic_system not in known:
            raise LoadError(f"--ethnic-system is one of {', '.join(known)}: the same letter means different things.")

    def named(self) -> dict[str, str]:
        """Columns of the file by what they hold."""
        held = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "ethnic_system"}
        return {what: name for what, name in held.items() if name is not None}


class Loaded(NamedTuple):
    """What became of a file's rows. Every row is in exactly one of the first six."""

    counted: int
    duplicates: int  # counted before, under the same event id
    withheld: int  # the record is restricted: nothing of it is counted
    refused: int  # a value means nothing
    outside: int  # dated outside the period
    sealed: int  # its month is closed; never in a file that replaces another, which is refused whole
    problems: Mapping[tuple[str, str], int]  # rows by field and code; a row may have several
    unrecognised: Mapping[str, int]  # counted or not, rows whose code is not on the list, by field
    replaced: bool  # an earlier file of the same source and period


class _Column:
    """One column's values as small numbers, each value read once by the function that reads requests."""

    def __init__(self, read: Callable[[str | None], tuple[Any, tuple[Notice, ...]]]) -> None:
        self._read = read
        self.words: list[Any] = []  # by number
        self._number: dict[Any, int] = {}
        self._known: dict[str | None, tuple[int, tuple[Notice, ...]]] = {}

    def numbers(self, column: pa.Array, counted: npt.NDArray[np.bool_], notices: Counter[Notice]) -> Numbers:
        """The number of each row's word, -1 where the value is bad; notices of `counted` rows are added."""
        values, places = _distinct(column)
        if len(self._known) + len(values) > _MOST_VALUES:
            self._known.clear()
        read = [self._known.get(value) or self._learn(value) for value in values]
        rows = np.bincount(places[counted], minlength=len(values))
        for (_, said), n in zip(read, rows.tolist(), strict=True):
            for notice in said:
                notices[notice] += n
        return np.array([number for number, _ in read], np.int64).take(places)

    def marked(self, true: Callable[[Any], bool], numbers: Numbers) -> npt.NDArray[np.bool_]:
        """Of which rows something is true, by their words; of none whose value was bad."""
        return np.array([*map(true, self.words), False]).take(numbers)

    def _learn(self, value: str | None) -> tuple[int, tuple[Notice, ...]]:
        word, notices = self._read(value)
        found = (-1 if word is None else self._number.setdefault(word, len(self.words)), notices)
        if found[0] == len(self.words):
            if len(self.words) >> _BITS:
                raise LoadError("A column holds more different words than there can be.")
            self.words.append(word)
        if len(self._known) < _MOST_VALUES:
            self._known[value] = found
        return found


class _Tally:
    """How often each number came, in memory that grows with different numbers only."""

    def __init__(self) -> None:
        self._pending: list[Numbers] = []
        self._rows = 0
        self._found: Counter[int] = Counter()

    def add(self, numbers: Numbers) -> None:
        """Count some more."""
        self._pending.append(numbers)
        self._rows += len(numbers)
        if self._rows >= _MOST_PENDING:
            self._fold()

    def _fold(self) -> None:
        if self._rows:
            found = pc.value_counts(pa.array(np.concatenate(self._pending)))
            numbers, counts = found.field(0).to_pylist(), found.field(1).to_pylist()
            self._found.update(dict(zip(numbers, counts, strict=True)))
            self._pending, self._rows = [], 0

    def items(self) -> Sequence[tuple[int, int]]:
        """Each number with how often it came."""
        self._fold()
        return list(self._found.items())


class _Reader:
    """Reads blocks of rows: which are counted, and as what."""

    def __init__(self, columns: ContactColumns, enricher: Enricher, since: str | None, day_when_silent: str) -> None:
        self._enricher = enricher
        self.day = today()
        self._since = since or first_counted(self.day)
        self._named = {what: name for what, name in columns.named().items() if what != "event_id"}
        self._system = columns.ethnic_system
        self._silent = day_when_silent
        self.columns = {what: _Column(self._reading(what)) for what in _WORDS}
        self.withheld = self.refused = 0
        self.notices: Counter[Notice] = Counter()

    def _reading(self, what: str) -> Callable[[str | None], tuple[Any, tuple[Notice, ...]]]:
        """How a value of a column is read: as if it came in a request with nothing else."""

        def read(value: str | None) -> tuple[Any, tuple[Notice, ...]]:
            sent: dict[str, Any] = {}
            if what == "ethnic_category":
                if value is not None and value.strip():
                    sent = {what: {"system": self._system, "code": value}}
            elif what == "date":
                # An empty one would be today in a request; in a file it is a row without a date.
                sent = {what: value or ""} if what in self._named else {what: self._silent}
            elif value is not None and value.strip():
                sent = {what: value}
            contact, notices = read_contact(sent, self.day, self._since)
            if contact is None:
                return None, notices
            words = tuple(getattr(contact, name) for name in _WORDS[what])
            if what == "ethnic_category":  # what it says of a group is read from the code as it was sent
                words = (*words, self._groups(sent.get(what)))
            return words, notices

        return read

    def _groups(self, ethnic: Mapping[str, Any] | None) -> tuple[tuple[str, str], ...]:
        return self._enricher.rules.book.inclusion.read("live", None, ethnic).counted

    def withheld_rows(self, answers: Answers) -> npt.NDArray[np.bool_]:
        """Which rows are of restricted records: nothing of them is looked at."""
        known = list(self._enricher.answers)
        return np.array([answer.postcode_status == "withheld" for answer in known], np.bool_).take(answers.number)

    def read(
        self, answers: Answers, column: Callable[[str], pa.Array], bad: npt.NDArray[np.bool_] | None = None
    ) -> tuple[npt.NDArray[np.bool_], dict[str, Numbers]]:
        """Which rows may be counted, and the numbers of every column's words. `bad` rows are refused beside others."""
        withheld = self.withheld_rows(answers)
        open_to_see = ~withheld
        self.withheld += int(withheld.sum())
        numbers, good = {}, open_to_see.copy()
        nothing: pa.Array = pa.nulls(len(withheld), pa.string())
        for what, one in self.columns.items():
            values = column(self._named[what]) if what in self._named else nothing
            numbers[what] = one.numbers(values, open_to_see, self.notices)
            good &= numbers[what] >= 0
        if bad is not None:
            good &= ~bad
        self.refused += int((open_to_see & ~good).sum())
        return good, numbers

    def contact(self, numbers: Mapping[str, int]) -> Contact:
        """The contact with these words, and `absent` for columns that are not named."""
        words: dict[str, Any] = dict.fromkeys(Contact._fields, ABSENT)
        for what, number in numbers.items():
            words.update(zip(_WORDS[what], self.columns[what].words[number], strict=False))
        words["event_id"] = None
        return Contact._make(words.values())

    def groups(self, status: str, ethnic: int) -> tuple[tuple[str, str], ...]:
        """What is counted of a record with this status and ethnic category, by organisation."""
        inclusion = self._enricher.rules.book.inclusion
        said = inclusion.silent[cast("Any", status)].counted
        of_ethnic = self.columns["ethnic_category"].words[ethnic][-1]
        return tuple(dict.fromkeys((*said, *of_ethnic)))


class Loading:
    """Counts the rows of a file as contacts of a source. An Observer: nothing is counted before `finish`.

    With `period` the file takes the place of the one before it of the same source and month. With a column of event
    ids each contact counts once, whether it comes in a file or by the API from the client of that name, as long as
    keys are kept: a week. One of the two must be given, since otherwise the same file twice would count twice.
    """

    def __init__(
        self,
        enricher: Enricher,
        columns: ContactColumns,
        store: CountStore,
        source: str,
        *,
        period: str | None = None,
        secrets: Sequence[bytes] = (),
        since: str | None = None,
    ) -> None:
        """`secrets` newest first and `since` as the service has them. LoadError, DatabaseAwayError."""
        check_source(source)
        if (period is None) == (columns.event_id is None):
            raise LoadError(
                "Contacts are counted with --period, where the file takes the place of the one before it, or with"
                " --event-id-column, where each counts once: give one of the two."
            )
        self._named = columns.named()
        if period is not None:
            edition = _checked(edition_of(store, period, since), period, enricher.index)
            reader = _Reader(columns, enricher, since, f"{period}-01")
            self._sink: _Replacing | _Single = _Replacing(reader, enricher, store, source, period, edition)
        else:
            if columns.date is None:
                raise LoadError("With --event-id-column, --date-column is needed too.")
            if not secrets:
                raise LoadError("Event ids cannot be told apart without the secret of the service.")
            self._sink = _Single(
                _Reader(columns, enricher, since, ""), enricher, store, source, secrets, str(columns.event_id)
            )

    @property
    def columns(self) -> list[str]:
        """Columns of the file that are needed."""
        return list(dict.fromkeys(self._named.values()))

    def observe(self, answers: Answers, column: Callable[[str], pa.Array]) -> None:
        """Read some rows."""
        self._sink.observe(answers, column)

    def finish(self) -> Loaded:
        """Count what was read, all of it or nothing with a period; LoadError, DatabaseAwayError.

        With event ids contacts are committed some thousand at a time: run the same file again after an interruption.
        """
        return self._sink.finish()


class _Districts:
    """The district of each area, as a number; 0 for none."""

    def __init__(self, index: Index) -> None:
        codes = [code or "" for code in index.codes("lad")]
        self.codes = ["", *sorted(set(codes) - {""})]
        number = {code: i for i, code in enumerate(self.codes)}
        self._of = np.array([number[code] for code in codes], np.int64)
        self._of[0] = 0  # no area

    def of(self, answers: Answers) -> Numbers:
        """The number of each row's district."""
        return self._of.take(answers.area)


class _Replacing:
    """Counts all rows of one month together."""

    def __init__(
        self, reader: _Reader, enricher: Enricher, store: CountStore, source: str, month: str, edition: str
    ) -> None:
        self._reader, self._enricher, self._store, self._source = reader, enricher, store, source
        self._month, self._edition = month, edition
        self._tallies = [_Tally() for _ in range(_GROUPS + 1)]
        self._districts = _Districts(enricher.index)
        self._alike: dict[tuple[tuple[str, str], str], int] = {}
        self._answers: list[Answer] = []  # one for all that are counted alike
        self._counted = self._outside = 0

    def observe(self, answers: Answers, column: Callable[[str], pa.Array]) -> None:
        good, numbers = self._reader.read(answers, column)
        inside = self._reader.columns["date"].marked(lambda words: words == (self._month,), numbers["date"])
        self._outside += int((good & ~inside).sum())
        rows = np.flatnonzero(good & inside)
        self._counted += len(rows)
        alike = np.array([self._number(answer) for answer in list(self._enricher.answers)], np.int64)
        standing = alike.take(answers.number[rows])
        of = {what: found[rows] for what, found in numbers.items()}
        for tally, names in zip(self._tallies, _CELL_COLUMNS, strict=False):
            tally.add(_joined(standing, *(of[name] for name in names)))
        district = self._districts.of(answers)[rows]
        self._tallies[_DISTRICT].add(district[district > 0])
        self._tallies[_GROUPS].add(_joined(standing, of["ethnic_category"]))

    def _number(self, answer: Answer) -> int:
        found = self._alike.setdefault((band_of(answer, self._edition), answer.postcode_status), len(self._answers))
        if found == len(self._answers):
            self._answers.append(answer)
        return found

    def finish(self) -> Loaded:
        reader = self._reader
        if reader.refused and not self._counted and not self._outside:
            (notice, _), *_ = _worst(reader.notices)
            raise LoadError(
                f"None of the {reader.refused:,} rows can be counted, most often because of {notice.field}"
                f" ({notice.code}): nothing was changed."
            )
        if (reader.refused or self._outside) and not self._counted:
            raise LoadError(f"No row that can be counted is dated in {self._month}: nothing was changed.")
        replaced = replace_load(self._store, self._source, self._month, self._edition, self._cells(), self._counted)
        return _loaded(reader, counted=self._counted, outside=self._outside, replaced=replaced)

    def _cells(self) -> Counter[Cell]:
        cells: Counter[Cell] = Counter()
        for place, (tally, names) in enumerate(zip(self._tallies, _CELL_COLUMNS, strict=False)):
            for number, n in tally.items():
                standing, *of = _parted(number, 1 + len(names))
                contact = self._reader.contact(dict(zip(names, of, strict=True)))._replace(month=self._month)
                cells[self._cells_of(contact, standing)[place]] += n
        nobody = self._reader.contact({})._replace(month=self._month)
        for district, n in self._tallies[_DISTRICT].items():
            cells[self._cells_of(nobody, 0, lad=self._districts.codes[district])[_DISTRICT]] += n
        for number, n in self._tallies[_GROUPS].items():
            standing, ethnic = _parted(number, 2)
            groups = self._reader.groups(self._answers[standing].postcode_status, ethnic)
            for cell in self._cells_of(nobody, standing, groups)[len(_CELL_COLUMNS) :]:
                cells[cell] += n
        return cells

    def _cells_of(
        self, contact: Contact, standing: int, groups: Sequence[tuple[str, str]] = (), lad: str | None = None
    ) -> Sequence[Cell]:
        return cells_of(contact, self._answers[standing], self._edition, self._source, groups, lad)


class _Single:
    """Counts each row by itself, once, by its event id. Rows wait in a file without a name until all are read."""

    def __init__(
        self, reader: _Reader, enricher: Enricher, store: CountStore, source: str, secrets: Sequence[bytes], name: str
    ) -> None:
        self._reader, self._enricher, self._store, self._source = reader, enricher, store, source
        self._secrets = secrets
        self._districts = _Districts(enricher.index)
        self._name = name
        # Words by number, the answer and the district, then a keyed hash for each secret: no id, no day, no postcode.
        self._row = np.dtype([("what", "<i4", len(_WORDS) + 2), ("hashes", f"S{32 * len(secrets)}")])
        self._waiting = tempfile.TemporaryFile()  # noqa: SIM115 - it is filled block by block
        self._cells: dict[bytes, Sequence[Cell]] = {}
        self._editions: dict[int, str] = {}

    def observe(self, answers: Answers, column: Callable[[str], pa.Array]) -> None:
        reader = self._reader
        withheld = reader.withheld_rows(answers)
        ids = self._ids(_strings(column(self._name)), withheld)
        bad = np.array([one is None for one in ids], np.bool_) & ~withheld
        good, numbers = reader.read(answers, column, bad)
        rows = np.flatnonzero(good)
        made = np.zeros(len(rows), self._row)
        for place, what in enumerate(_WORDS):
            made["what"][:, place] = numbers[what][rows]
        made["what"][:, -2] = answers.number[rows]
        made["what"][:, -1] = self._districts.of(answers)[rows]
        made["hashes"] = ["".join(hashes_of(self._secrets, self._source, ids[row])).encode() for row in rows.tolist()]
        try:
            self._waiting.write(made.tobytes())
        except OSError:
            raise LoadError("There is no room for temporary files: nothing was counted.") from None

    def _ids(self, texts: pa.Array, withheld: npt.NDArray[np.bool_]) -> list[str | None]:
        """Each row's event id as a request's is read, None where there is none that could tell it from others."""
        ids: list[str | None] = []
        notices: list[Notice] = []
        for text, hidden in zip(texts.to_pylist(), withheld.tolist(), strict=True):
            # An empty one is bad, as in a request: run again, its row would count again.
            ids.append(None if hidden else event_id_of(text or "", notices))
        self._reader.notices.update(notices)
        return ids

    def finish(self) -> Loaded:
        became: Counter[Outcome] = Counter()
        self._waiting.seek(0)
        while block := self._waiting.read(self._row.itemsize * _IN_A_BATCH):
            events = list(self._events(np.frombuffer(block, self._row)))
            batch = Batch.of(events)
            committed = trying(partial(self._store.commit, batch))
            seen = set[str]()
            became.update(committed.outcome(event, seen) for event in events)
        self._waiting.close()
        trying(self._store.forget_old_keys)
        return _loaded(
            self._reader,
            counted=became["counted"],
            duplicates=became["duplicate"],
            sealed=became.total() - became["counted"] - became["duplicate"],
        )

    def __del__(self) -> None:
        """A run that was given up counts nothing, and leaves nothing."""
        self._waiting.close()

    def _events(self, rows: npt.NDArray[Any]) -> Iterator[Event]:
        for what, hashes in zip(rows["what"], rows["hashes"].tolist(), strict=True):
            alike = what.tobytes()
            cells = self._cells.get(alike)
            if cells is None:
                if len(self._cells) >= _MOST_CELLS:
                    self._cells.clear()
                cells = self._cells[alike] = self._cells_of(what.tolist())
            text = hashes.decode()
            yield Event(cells, tuple(text[i : i + 32] for i in range(0, len(text), 32)))

    def _cells_of(self, what: list[int]) -> Sequence[Cell]:
        *words, number, district = what
        numbers = dict(zip(_WORDS, words, strict=True))
        contact, answer = self._reader.contact(numbers), self._enricher.answers[number]
        groups = self._reader.groups(answer.postcode_status, numbers["ethnic_category"])
        lad = self._districts.codes[district] or None
        return cells_of(contact, answer, self._edition_of(contact.month), self._source, groups, lad)

    def _edition_of(self, month: str) -> str:
        if (year := financial_year(month)) not in self._editions:
            edition = trying(lambda: self._store.edition_of(month))
            self._editions[year] = _checked(edition, month, self._enricher.index)
        return self._editions[year]


def _strings(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A column as one array of plain strings."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column if pa.types.is_string(column.type) else column.cast(pa.string())


def _joined(first: Numbers, *others: Numbers) -> Numbers:
    """Several numbers of each row as one."""
    for other in others:
        first = (first << _BITS) | other
    return first


def _parted(number: int, parts: int) -> list[int]:
    """What `_joined` made one of."""
    return [(number >> (_BITS * place)) & ((1 << _BITS) - 1) for place in reversed(range(parts))]


def _checked(edition: str, month: str, index: Index) -> str:
    """The edition that a month is counted on, which the loaded data must hold; LoadError otherwise."""
    if not any(e.id == edition and e.nation == "England" for e in index.editions):
        raise LoadError(f"{month} is counted on {edition}, which is not in the loaded data: build with it.")
    return edition


def _worst(notices: Counter[Notice]) -> list[tuple[Notice, int]]:
    return [(notice, n) for notice, n in notices.most_common() if n and notice.code != UNRECOGNISED]


def _loaded(
    reader: _Reader,
    *,
    counted: int,
    duplicates: int = 0,
    outside: int = 0,
    sealed: int = 0,
    replaced: bool = False,
) -> Loaded:
    problems = {(notice.field, notice.code): n for notice, n in _worst(reader.notices)}
    unrecognised = {notice.field: n for notice, n in reader.notices.items() if n and notice.code == UNRECOGNISED}
    return Loaded(
        counted,
        duplicates,
        reader.withheld,
        reader.refused,
        outside,
        sealed,
        problems,
        unrecognised,
        replaced,
    )


# ------------------------------------------------------------------------------- people who wait


class WaitingListObserver:
    """Builds a month's waiting list from a file's columns: every row, or none. An Observer."""

    def __init__(self, enricher: Enricher, specialty_column: str, weeks_column: str, *, first_line: int = 2) -> None:
        """`first_line` is the line of the first row: 2 below a heading. A row is taken for one line."""
        self._enricher = enricher
        self._names = {"specialty": specialty_column, "weeks": weeks_column}
        self._line = first_line
        self._specialties: dict[str, int] = {}
        self._waits: dict[str, int] = {}
        self._tally = _Tally()

    @property
    def columns(self) -> list[str]:
        """Columns of the file that are needed."""
        return list(dict.fromkeys(self._names.values()))

    def observe(self, answers: Answers, column: Callable[[str], pa.Array]) -> None:
        """Read some rows; WaitingListError at the first that cannot be read, since a stock must be complete."""
        specialties = _distinct(column(self._names["specialty"]))
        weeks = _distinct(column(self._names["weeks"]))
        problems: list[tuple[int, WaitingListError]] = []
        of_specialty = self._numbers(specialties, self._specialty, problems)
        of_wait = self._numbers(weeks, self._wait, problems)
        if problems:
            raise min(problems, key=lambda problem: problem[0])[1]
        self._tally.add(_joined(answers.number.astype(np.int64), of_specialty, of_wait))
        self._line += len(answers.number)

    def _numbers(
        self,
        column: tuple[list[str | None], Numbers],
        read: Callable[[int, str | None], int],
        problems: list[tuple[int, WaitingListError]],
    ) -> Numbers:
        """Each row's word as a number; the first row that has none is put among the problems."""
        values, places = column
        first = np.zeros(len(values), np.int64)
        first[places[::-1]] = np.arange(len(places))[::-1]
        numbers = np.zeros(len(values), np.int64)
        for place in np.argsort(first).tolist():
            try:
                numbers[place] = read(self._line + int(first[place]), values[place])
            except WaitingListError as error:
                problems.append((int(first[place]), error))
                break
        return numbers.take(places)

    def _specialty(self, line: int, value: str | None) -> int:
        read = read_waiting(line, {"specialty": value, "weeks": "0"}, self._names)
        return self._specialties.setdefault(read.specialty, len(self._specialties))

    def _wait(self, line: int, value: str | None) -> int:
        read = read_waiting(line, {"weeks": value}, self._names)
        return self._waits.setdefault(wait_band(read.weeks), len(self._waits))

    def finish(self, engine: Engine, snapshot: Snapshot, *, expected: int, since: str | None = None) -> int:
        """Replace the month's list by this one, as `replace_waiting_list`; how many people are counted."""
        return replace_waiting_counts(engine, snapshot, self._counted, expected=expected, since=since)

    def _counted(self, edition: str) -> Counter[tuple[str, str, str]]:
        specialties, waits = list(self._specialties), list(self._waits)
        counts: Counter[tuple[str, str, str]] = Counter()
        for number, n in self._tally.items():
            which, specialty, wait = _parted(number, 3)
            answer = self._enricher.answers[which]
            if answer.postcode_status == "withheld":
                counts[WITHHELD] += n
            else:
                counts[specialties[specialty], waits[wait], band_of(answer, edition)[0]] += n
        return counts


def _distinct(column: pa.Array) -> tuple[list[str | None], Numbers]:
    """The different values of a column, and for each row the place of its own among them."""
    encoded = _strings(column).dictionary_encode(null_encoding="encode")
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
