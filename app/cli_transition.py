"""`imdlens transition`: what changes for the rows of a file between two editions of the index."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from app.batch.columns import Enricher, Wanted
from app.batch.files import STREAM, enrich_file
from app.batch.plan import FileProblemError, Plan
from app.batch.transition import EditionError, Transitions, check_editions
from app.batch.transition_figures import TooFewRowsError, exact_report, shareable_report
from app.batch.transition_report import Run, as_csv, as_json, as_text, view_of
from app.cli_files import (
    Delimiter,
    Encoding,
    FileFormat,
    NoHeader,
    PostcodeColumn,
    Sheet,
    ended_cleanly,
    progress,
)
from app.counts.disclosure import Rule
from app.counts.periods import today
from app.current import read_rules
from app.enrichment import Rules
from app.lookup.index import Index
from app.pages.transition import render_transition
from app.reference.releases import current_index
from app.settings import Settings, read_settings

FORESEEN: Final = (EditionError, TooFewRowsError, FileProblemError)

# Nothing is written beside the rows, so a file that has the usual columns already is taken too.
_NOTHING_ADDED: Final = Wanted(prefix="not written: ")


class RowsAre(StrEnum):
    """What one row of the file is."""

    ROWS = "rows"
    PATIENTS = "patients"
    CONTACTS = "contacts"


class Format(StrEnum):
    """How the report is written."""

    TEXT = "text"
    CSV = "csv"
    JSON = "json"


_WRITERS: Final = {Format.TEXT: as_text, Format.CSV: as_csv, Format.JSON: as_json}


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for, beside the file and how it is read."""

    first: str = "IoD2019"
    second: str = "IoD2025"
    specialty_column: str | None = None
    rows_are: RowsAre = RowsAre.ROWS
    format: Format = Format.TEXT
    html: bool = False
    exact: bool = False


def transition(
    source: Annotated[Path, typer.Argument(metavar="IN", help="The file; - reads standard input.")],
    postcode_column: PostcodeColumn = None,
    specialty_column: Annotated[
        str | None, typer.Option(help="Name or number of a column of treatment function codes.")
    ] = None,
    first: Annotated[str, typer.Option("--from", help="The edition that is left.")] = "IoD2019",
    second: Annotated[str, typer.Option("--to", help="The edition that is entered.")] = "IoD2025",
    rows_are: Annotated[RowsAre, typer.Option(help="What one row is: the report's word for it.")] = RowsAre.ROWS,
    output: Annotated[Format, typer.Option("--as", help="How the report is written.")] = Format.TEXT,
    out: Annotated[Path | None, typer.Option(help="Write the report here, not to the screen.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the report's page here too, one file by itself.")] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Exact counts, for your own eyes: not to be shared.")] = False,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    no_header: NoHeader = False,
    file_format: FileFormat = None,
    sheet: Sheet = None,
) -> None:
    """Which share of a file's patients changes decile or Core20 between two editions; safe to share, once.

    Small counts are hidden, others rounded, and all audited against each other. Agree on one file and one report of it.
    """
    _check_apart(out, source, html)
    _check_apart(html, source)
    wish = Wish(first, second, specialty_column, rows_are, output, html is not None, exact)
    settings = read_settings()
    rules = read_rules(settings)
    index = Index(current_index(settings.data_dir))

    def read(observer: Transitions, enricher: Enricher) -> None:
        run_plan(
            source,
            Plan(
                enricher,
                _NOTHING_ADDED,
                postcode_column=postcode_column,
                encoding=encoding,
                delimiter="\t" if delimiter == "tab" else delimiter,
                has_header=not no_header,
                sheet=sheet,
                observers=[observer],
            ),
            file_format,
        )

    text, page = make_report(read, index, rules, settings, wish)
    if html is not None and page is not None:
        html.write_bytes(page)
    if out is not None:
        out.write_text(text, "utf-8", newline="")
    else:
        typer.echo(text, nl=False)


def _check_apart(report: Path | None, *others: Path | None) -> None:
    """FileProblemError where a report would replace one of the files that it is about, or that are made beside it."""
    for other in others:
        if report is None or other is None or STREAM in (report, other):
            continue
        if report.resolve() == other.resolve() or (report.exists() and other.exists() and report.samefile(other)):
            raise FileProblemError(f"{report} would be written over {other}: give it another name.")


def run_plan(source: Path, plan: Plan, told: str | None = None) -> None:
    """Show every row of a file to the plan's observers, block by block. FileProblemError where it cannot be read."""
    with progress(plan), ended_cleanly():
        enrich_file(source, None, plan, told=told)


def make_report(
    read: Callable[[Transitions, Enricher], None], index: Index, rules: Rules, settings: Settings, wish: Wish
) -> tuple[str, bytes | None]:
    """The report as text, and its page if it was wished for. `read` shows all rows to the observer.

    EditionError, TooFewRowsError, and what `read` raises; FileProblemError where a page is to be exact.
    """
    if wish.exact and wish.html:
        raise FileProblemError("A page is made to be passed on, so it is never exact: leave out --exact or --html.")
    editions = check_editions(index, wish.first, wish.second)
    enricher = Enricher(index, rules)
    observer = Transitions(enricher, editions, wish.specialty_column)
    read(observer, enricher)
    rule = Rule(settings.suppress_up_to, settings.least_denominator)
    tally = observer.tally()
    report = exact_report(tally, rule) if wish.exact else shareable_report(tally, rule, settings.least_specialty)
    run = Run(wish.rows_are.value, index.release, today())
    page = render_transition(view_of(report, run)) if wish.html else None
    return _WRITERS[wish.format](report, run), page
