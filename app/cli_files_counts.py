"""What `imdlens enrich` does with its options for counting; loaded only when one is given, since databases are too."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from rich.console import Console

from app.batch.columns import Enricher
from app.batch.contacts import ContactColumns, Loaded, Loading, WaitingListObserver
from app.batch.plan import FileProblemError, Observer
from app.counting import open_store, secrets_of
from app.counts import periods
from app.counts.store import CountStore
from app.counts.waiting import Snapshot
from app.settings import Settings

err: Final = Console(stderr=True, soft_wrap=True, highlight=False)


AGAIN: Final = "run it again, as it was, within seven days; nothing is counted twice."


@dataclass(frozen=True, slots=True)
class Counting:
    """How a file is to be counted, as it was told."""

    columns: dict[str, str | None] = field(default_factory=dict)
    """As of `ContactColumns`."""
    source: str | None = None
    period: str | None = None
    waiting_list: str | None = None
    weeks_column: str | None = None
    expected: int | None = None
    first_line: int = 2
    """The line of the first row."""


class Counted:
    """The observers of one run, what completes it, and what is said of it at the end."""

    def __init__(self) -> None:
        self.observers: list[Observer] = []
        self.commit: Callable[[], None] = lambda: None
        self.said: list[str] = []


@contextmanager
def counted(wish: Counting, settings: Settings, enricher: Enricher) -> Iterator[Counted]:
    """Open the store for one run. FileProblemError or LoadError where the options do not fit each other."""
    _check_options(wish)
    for month in (wish.period, wish.waiting_list):
        if month is not None and not periods.is_month(month):
            raise FileProblemError("A month is written YYYY-MM.")
    run = Counted()
    engine = open_store(settings, patient=True)
    try:
        if wish.waiting_list is not None:
            waiting = _waiting(wish, enricher)
            snapshot = Snapshot((wish.source or "imdlens enrich")[:64], wish.waiting_list, settings.counted_edition)

            def commit_list() -> None:
                total = waiting.finish(engine, snapshot, expected=wish.expected or 0, since=settings.counts_since)
                when = periods.in_words(snapshot.month)
                run.said = [f"Waiting at the end of {when}: {total:,} people; the list is complete."]

            run.observers, run.commit = [waiting], commit_list
        else:
            store = CountStore(engine, settings.counted_edition)
            loading = Loading(
                enricher,
                ContactColumns(**wish.columns),
                store,
                wish.source or "",
                period=wish.period,
                secrets=secrets_of(settings),
                since=settings.counts_since,
            )

            def commit() -> None:
                run.said = list(_in_words(loading.finish(), wish))

            run.observers, run.commit = [loading], commit
        yield run
    finally:
        engine.dispose()


def _check_options(wish: Counting) -> None:
    """FileProblemError where an option would be passed over in silence."""
    if wish.waiting_list is None:
        if wish.weeks_column is not None or wish.expected is not None:
            raise FileProblemError("--weeks-column and --expected are for --waiting-list.")
        if wish.source is None:
            raise FileProblemError("Say with --source whose contacts they are: files of one source replace each other.")
        return
    others = [name for what, name in wish.columns.items() if what != "specialty"]
    if any(name is not None for name in (*others, wish.period)):
        raise FileProblemError(
            "Of a waiting list only --specialty-column and --weeks-column are read, and its month is told with"
            " --waiting-list: leave the others out."
        )


def _waiting(wish: Counting, enricher: Enricher) -> WaitingListObserver:
    specialty = wish.columns.get("specialty")
    if wish.weeks_column is None or specialty is None or wish.expected is None:
        raise FileProblemError(
            "A waiting list needs --specialty-column, --weeks-column, and --expected with the number of people on it."
        )
    return WaitingListObserver(enricher, specialty, wish.weeks_column, first_line=wish.first_line)


def _in_words(loaded: Loaded, wish: Counting) -> Iterator[str]:
    again = ", in the place of an earlier file" if loaded.replaced else ""
    yield f"Contacts counted: {loaded.counted:,}{again}."
    for n, what in (
        (loaded.duplicates, "counted before, under the same event id"),
        (loaded.withheld, "with a restricted record"),
        (loaded.outside, f"dated outside {wish.period}"),
        (loaded.sealed, "of a month that is closed"),
        (loaded.refused, "with a value that means nothing"),
    ):
        if n:
            yield f"Not counted, {what}: {n:,}."
    for (name, code), n in sorted(loaded.problems.items()):
        yield f"  {name}, {code}: {n:,}."
    for name, n in sorted(loaded.unrecognised.items()):
        if n:
            yield f"Rows with a code of {name} that is not on the list: {n:,}."


def tell(run: Counted) -> None:
    """Say what was counted. These are exact figures for whoever holds the store."""
    for sentence in run.said:
        err.print(sentence, markup=False)
