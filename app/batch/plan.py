"""What is to be done with a file, whatever its format: what each format's module is given, and what it reports."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

import pyarrow as pa

from app.batch.columns import Answers, Enricher, Wanted

# Names under which extracts of patient systems hold the usual address's postcode, without case, spaces and signs. The
# first four are of the NHS Data Dictionary's POSTCODE OF USUAL ADDRESS and its short forms; the rest are authored.
_POSTCODE_NAMES: Final = (
    "postcodeofusualaddress",
    "postcode",
    "homepostcode",
    "patientpostcode",
    "usualaddresspostcode",
    "personpostcode",
    "postcodeusualaddress",
    "currentpostcode",
    "pcode",
    "postalcode",
    "postcodepatient",
    "pcds",
    "pcd",
)
_SIGNS: Final = re.compile(r"[\W_]+")


class FileProblemError(Exception):
    """A file cannot be taken as it is; the message says where and what to do, and holds no value of a row."""


class Observer(Protocol):
    """Looks at the answers as they are made: a summary, counting, a comparison of editions."""

    @property
    def columns(self) -> Sequence[str]:
        """Names of the columns of the file that it needs beside the answers."""

    def observe(self, answers: Answers, column: Callable[[str], pa.Array]) -> None:
        """Some rows, in the file's order; `column` gives one of `columns` as strings, null where nothing stands.

        Called by one thread at a time, for every row once.
        """


class Progress(NamedTuple):
    """How far it is. `done` and `whole` in bytes of the file as it lies on the disk; `whole` is 0 for a stream."""

    rows: int
    done: int
    whole: int


@dataclass(slots=True)
class Plan:
    """One run over one file."""

    enricher: Enricher
    wanted: Wanted = field(default_factory=Wanted)
    postcode_column: str | None = None  # a name, or a number from 1; None to find it
    encoding: str | None = None  # None to detect it
    delimiter: str | None = None  # None to detect it
    has_header: bool = True
    sheet: str | None = None
    observers: Sequence[Observer] = ()
    tell: Callable[[Progress], None] = lambda _: None
    whole: int = 0
    position: Callable[[], int] = lambda: 0
    rows: int = 0

    def seen(self, answers: Answers, column: Callable[[str], pa.Array]) -> None:
        """Let every observer look at some rows. To be called in the file's order, by one thread at a time."""
        self.rows += len(answers.number)
        for observer in self.observers:
            observer.observe(answers, column)
        self.tell(Progress(self.rows, self.position(), self.whole))

    def needed(self) -> list[str]:
        """Columns that observers need, each once."""
        return list(dict.fromkeys(name for observer in self.observers for name in observer.columns))

    def places(self, names: Sequence[str]) -> tuple[int, dict[str, int]]:
        """Where the postcode stands among columns, and where each needed column does; FileProblemError otherwise."""
        check_new_names(names, self.wanted)
        return find_postcode(names, self.postcode_column), {n: find_column(names, n) for n in self.needed()}


def find_postcode(names: Sequence[str], told: str | None) -> int:
    """Which column holds the postcode; FileProblemError where that must be said."""
    if told is not None:
        return find_column(names, told)
    plain = [_SIGNS.sub("", name).casefold() for name in names]
    for known in _POSTCODE_NAMES:
        if plain.count(known) == 1:
            return plain.index(known)
    if not (found := [i for i, name in enumerate(plain) if "postcode" in name or name in _POSTCODE_NAMES]):
        raise FileProblemError(
            f"None of the {len(names):,} columns is called postcode: say which it is with --postcode-column, by name"
            " or by number; a file without a heading needs --no-header."
        )
    if len(found) == 1:
        return found[0]
    listed = ", ".join(names[i] for i in found[:5])
    raise FileProblemError(f"Several columns may hold the postcode ({listed}): say which with --postcode-column.")


def find_column(names: Sequence[str], told: str) -> int:
    """The place of a column by its name or, where none has it, by its number from 1; FileProblemError otherwise."""
    found = [i for i, name in enumerate(names) if name == told]
    if len(found) > 1:
        raise FileProblemError(
            f"Columns {' and '.join(str(i + 1) for i in found[:2])} are both called {told}: say which by its number."
        )
    if found:
        return found[0]
    if told.isascii() and told.isdigit() and 1 <= int(told) <= len(names):
        return int(told) - 1
    raise FileProblemError(f"There is no column {told} among the {len(names):,}.")


def check_new_names(names: Iterable[str], wanted: Wanted) -> None:
    """FileProblemError where a column that would be added is there already."""
    if taken := sorted(set(names) & set(wanted.types())):
        raise FileProblemError(
            f"The file has a column called {taken[0]} already: put something before the new names with --prefix."
        )
