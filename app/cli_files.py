"""`imdlens enrich`: a whole file of patients at once."""

import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from app.batch import files
from app.batch.columns import Enricher, Wanted
from app.batch.formats import format_of
from app.batch.plan import FileProblemError, Plan
from app.batch.plan import Progress as Done
from app.batch.summary import Summary
from app.counts.disclosure import Rule
from app.counts.periods import today
from app.current import open_current, read_rules
from app.settings import Settings, read_settings

FORESEEN: Final = (FileProblemError,)

err = Console(stderr=True, soft_wrap=True, highlight=False)

Source = Annotated[Path, typer.Argument(metavar="IN", help="The file; - reads standard input.")]
PostcodeColumn = Annotated[
    str | None,
    typer.Option(help="Name of the column with the postcode, or its number from 1. Found by itself if it can be."),
]
Encoding = Annotated[str | None, typer.Option(help="Such as cp1252 or utf-16-le. Detected by default.")]
Delimiter = Annotated[str | None, typer.Option(help="One character, or `tab`. Detected by default.")]
FileFormat = Annotated[
    str | None,
    typer.Option("--format", help="csv, tsv, ndjson, parquet or excel, where the name of IN does not say it."),
]
Sheet = Annotated[str | None, typer.Option(help="The sheet of a workbook; the first by default.")]
NoHeader = Annotated[bool, typer.Option("--no-header", help="The first line is a patient: columns are told by number.")]

_COUNTING: Final = "Counting"
_Named = Annotated[str | None, typer.Option(metavar="COLUMN", help="Its name or number.", rich_help_panel=_COUNTING)]


def enrich(
    source: Source,
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The answered file; - writes to standard output.")],
    postcode_column: PostcodeColumn = None,
    domains: Annotated[bool, typer.Option("--domains", help="Add the deciles of the seven domains.")] = False,
    area: Annotated[bool, typer.Option("--area", help="Add LSOA, district and integrated care board.")] = False,
    prefix: Annotated[str, typer.Option(help="To stand before the names of the new columns.")] = "",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it is there.")] = False,
    aside: Annotated[
        Path | None,
        typer.Option(help="Put lines with too few or too many fields into this file and answer the others."),
    ] = None,
    summary: Annotated[Path | None, typer.Option(help="Write the summary to this file too.")] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Exact figures in the summary: not to be shared.")] = False,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    no_header: NoHeader = False,
    file_format: FileFormat = None,
    sheet: Sheet = None,
    count: Annotated[
        bool, typer.Option("--count", help="Count each row as a contact.", rich_help_panel=_COUNTING)
    ] = False,
    source_name: Annotated[
        str | None,
        typer.Option(
            "--source", help="Whose contacts they are, as tables of completeness name it.", rich_help_panel=_COUNTING
        ),
    ] = None,
    period: Annotated[
        str | None,
        typer.Option(
            help="The month they are of, YYYY-MM: this file takes the place of the one before it.",
            rich_help_panel=_COUNTING,
        ),
    ] = None,
    event_id_column: _Named = None,
    specialty_column: _Named = None,
    type_column: _Named = None,
    attendance_column: _Named = None,
    outcome_column: _Named = None,
    date_column: _Named = None,
    age_column: _Named = None,
    sex_column: _Named = None,
    ethnic_category_column: _Named = None,
    ethnic_system: Annotated[
        str | None,
        typer.Option(help="england, wales, scotland or northern_ireland.", rich_help_panel=_COUNTING),
    ] = None,
    mode_column: _Named = None,
    waiting_list: Annotated[
        str | None,
        typer.Option(help="Take the file as the whole waiting list at the end of YYYY-MM.", rich_help_panel=_COUNTING),
    ] = None,
    weeks_column: _Named = None,
    expected: Annotated[
        int | None,
        typer.Option(min=0, help="People on the waiting list: else nothing is taken.", rich_help_panel=_COUNTING),
    ] = None,
) -> None:
    """Answer every row of a file: its status, decile, quintile and Core20 in new columns, all else as it is.

    CSV, NDJSON, Parquet and Excel, text also compressed with gzip. The file is never changed. OUT appears only when it
    is whole.
    """
    columns = {
        "specialty": specialty_column,
        "type": type_column,
        "attendance": attendance_column,
        "outcome": outcome_column,
        "date": date_column,
        "age": age_column,
        "sex": sex_column,
        "ethnic_category": ethnic_category_column,
        "mode": mode_column,
        "event_id": event_id_column,
        "ethnic_system": ethnic_system,
    }
    told_of_counting = (*columns.values(), source_name, period, weeks_column, expected)
    if not count and waiting_list is None and any(one is not None for one in told_of_counting):
        raise FileProblemError("These options are for counting: say --count or --waiting-list with them.")
    if count and waiting_list is not None:
        raise FileProblemError("A file holds contacts or a waiting list: give --count or --waiting-list.")
    if summary == files.STREAM:
        raise FileProblemError("The summary stands on the screen already: name a file for it.")
    settings = read_settings()
    enricher = open_enricher(settings)
    told = Summary(enricher)
    plan = Plan(
        enricher,
        Wanted(domains, area, prefix),
        postcode_column=postcode_column,
        encoding=encoding,
        delimiter="\t" if delimiter == "tab" else delimiter,
        has_header=not no_header,
        sheet=sheet,
        observers=[told],
    )
    with ExitStack() as stack:
        run = None
        if count or waiting_list is not None:
            from app import cli_files_counts as counts

            first = _first_line(source, file_format, has_header=not no_header)
            wish = counts.Counting(columns, source_name, period, waiting_list, weeks_column, expected, first)
            run = stack.enter_context(counts.counted(wish, settings, enricher))
            plan.observers = [told, *run.observers]
        stack.enter_context(progress(plan))
        stack.enter_context(ended_cleanly())
        apart = stack.enter_context(files.writing(summary, source, overwrite=overwrite)) if summary else None
        try:
            ragged = files.enrich_file(
                source,
                target,
                plan,
                told=file_format,
                overwrite=overwrite,
                aside=aside,
                before_it_counts=run.commit if run else lambda: None,
            )
        except BaseException:
            if run and run.said:  # it was counted, and only then the file could not be given its name
                counts.tell(run)
                err.print(f"This is counted, though {target} was not made: {counts.AGAIN}", markup=False)
            raise
        text = told.text(Rule(settings.suppress_up_to, settings.least_denominator), today(), exact=exact)
        if apart:
            apart.write(text.encode())
    err.print(f"Rows answered: {plan.rows:,}. That is exact: leave it out of what is shared.", markup=False)
    if ragged.records:
        err.print(f"Lines set aside in {aside}, without an answer: {ragged.records:,}.", markup=False)
    if run:
        counts.tell(run)
    err.print(f"\n{text}", markup=False)


def _first_line(source: Path, told: str | None, *, has_header: bool) -> int:
    """The line of the first row, as an editor numbers them; of Parquet the number of the row."""
    found = format_of("-.csv" if source == files.STREAM else source, told)
    return 2 if has_header and found.name not in ("ndjson", "parquet") else 1


def open_enricher(settings: Settings) -> Enricher:
    """What answers columns, from the current release and the deployment's rules."""
    index = open_current(settings)
    if index.release.starter:
        err.print(f"[yellow]This is starter data: {index.release.count} postcodes. Any other is `not_found`.[/]")
    return Enricher(index, read_rules(settings))


@contextmanager
def ended_cleanly() -> Iterator[None]:
    """Let the end that an operator, a scheduler or a closed terminal asks for remove what was half written."""

    def stop(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    # A hang-up that `nohup` has told us to ignore stays ignored.
    asked = [s for s in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(s) != signal.SIG_IGN]
    before = {sent: signal.signal(sent, stop) for sent in asked}
    try:
        yield
    finally:
        for sent, handler in before.items():
            signal.signal(sent, handler)


@contextmanager
def progress(plan: Plan) -> Iterator[None]:
    """A bar with rows, rows a second and the time left, where somebody looks at it."""
    columns: tuple[Any, ...] = (
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[rows]:,} rows"),
        TextColumn("{task.fields[rate]:,.0f} a second"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("", total=None, rows=0, rate=0.0)

        def tell(done: Done) -> None:
            seconds = bar.tasks[0].elapsed or 0
            rate = done.rows / seconds if seconds else 0.0
            bar.update(task, total=done.whole or None, completed=done.done, rows=done.rows, rate=rate)

        plan.tell = tell
        yield
