"""`imdlens counts`: what the holder of the database does with counts."""

import csv
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sqlalchemy import delete, insert, select

from app.cli_access import who
from app.counting import open_store, publisher
from app.counts import exact, feedback, periods
from app.counts.loads import LoadError, loads, remove_load
from app.counts.parts import PublishedPages
from app.counts.published import NotPublishedError, PublishedTables, as_csv
from app.counts.schema import host, population
from app.counts.seal import Sealed, SealError, declare_units, months_due, seal
from app.counts.store import CountStore, database_time
from app.counts.tables import QUINTILES, TABLES, own_rows
from app.counts.vocabulary import vocabulary
from app.counts.waiting import Snapshot, Waiting, WaitingListError, read_waiting, replace_waiting_list
from app.current import open_current, read_rules
from app.database import writing
from app.demo import StoreInUseError, fill, own_files
from app.enrichment import Rules
from app.inequality.measures import ESP2013
from app.lookup.index import Index
from app.settings import Settings, read_settings


class InputError(Exception):
    """A file or an argument that cannot be taken as it is; the message names the place, never a value."""


FORESEEN: Final = (SealError, WaitingListError, LoadError, StoreInUseError, InputError)

counts = typer.Typer(
    help="The aggregate counts: look, seal, export. For whoever holds the database.", no_args_is_help=True
)

out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True, highlight=False)

Json = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]


def _month(text: str) -> str:
    if not periods.is_month(text):
        raise InputError("A month is written YYYY-MM.")
    return text


# ------------------------------------------------------------------------------------------- show


@counts.command("feedback")
def show_feedback(as_json: Json = False) -> None:
    """How many CDS Hooks cards were accepted and overridden, by month and service."""
    engine = open_store(read_settings())
    _print(feedback.read(engine), as_json, "CDS Hooks cards, by what clinicians did with them.")
    engine.dispose()


@counts.command()
def show(
    month: Annotated[str | None, typer.Option(help="One month, YYYY-MM; else all months are listed.")] = None,
    by: Annotated[str, typer.Option(help=f"One of {', '.join(exact.BY)}.")] = "specialty",
    as_json: Json = False,
) -> None:
    """Exact counts, the open month included. CONFIDENTIAL: a count of one can be a person. Each read is on record."""
    engine = open_store(read_settings())
    if month is None:
        listed = exact.months(engine, _who())
        _print(listed, as_json, "Months. Exact: not for publication.")
        return
    if by not in exact.BY:
        raise InputError(f"--by is one of {', '.join(exact.BY)}.")
    try:
        found = exact.read_exact(engine, _month(month), by, _who(), sealed_only=False)
    except exact.NotSealedError:
        raise InputError(f"There are no counts of {month}.") from None
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    said = f"{periods.in_words(month)}, {found['state']}, {found['imd_edition']}. Exact: not for publication."
    _print([*found["rows"], {"value": "total", "n": found["total"]}], as_json, said)
    if found["late"]:
        out.print(f"{found['late']:,} more contacts came after the month was closed: they are in no table.")


def _who() -> str:
    """Who asks, for the record: the operating system's user and machine."""
    return f"imdlens counts show: {who()}"[:80]


def _print(rows: list[dict[str, Any]], as_json: bool, said: str) -> None:
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    table = Table(box=None, pad_edge=False)
    for name in rows[0] if rows else ():
        numbers = all(isinstance(row[name], int) for row in rows)
        table.add_column(name, justify="right" if numbers else "left", no_wrap=True)
    for row in rows:
        cells = [f"{v:,}" if isinstance(v, int) else escape(str(v)) if v is not None else "" for v in row.values()]
        table.add_row(*cells)
    Console(width=max(out.width, 110)).print(table)
    out.print(f"\n{said}" if rows else "Nothing has been counted yet.")


@counts.command()
def hosts(as_json: Json = False) -> None:
    """The hosts that write here, and whether any may still hold contacts on its disk."""
    engine = open_store(read_settings())
    with engine.connect() as connection:
        now = database_time(connection)  # by which hosts are seen: this machine's own clock may differ
        rows = [
            {
                "host": row.id,
                "seen": f"{now - row.seen_at} s ago",
                "spooled": row.spooled,
                "state": "stopped" if row.stopped else "running, or lost",
            }
            for row in connection.execute(select(host))
        ]
    _print(rows, as_json, "`spooled`: batches that wait on the host's disk.")


# ------------------------------------------------------------------------------------------ loads


@counts.command("loads")
def list_loads(as_json: Json = False) -> None:
    """Files of contacts by source and month. CONFIDENTIAL: their sizes are exact. Each read is on record."""
    engine = open_store(read_settings())
    found = loads(engine, f"imdlens counts loads: {who()}"[:80])
    _print(found, as_json, "Files that were counted. Exact: not for publication.")
    engine.dispose()


@counts.command("load-remove")
def remove_loaded(
    source: Annotated[str, typer.Argument(help="The source, as `imdlens counts loads` lists it.")],
    month: Annotated[str, typer.Argument(help="The month, YYYY-MM.")],
) -> None:
    """Take back a file that was counted by mistake, exactly. Refused once its month is closed."""
    settings = read_settings()
    store = CountStore(open_store(settings, patient=True), settings.counted_edition)
    removed = remove_load(store, source, _month(month))
    store.close()
    out.print(f"{removed:,} contacts of {escape(source)} in {periods.in_words(month)} are counted no more.")


# ------------------------------------------------------------------------------------------- seal


@counts.command("seal")
def seal_months(
    month: Annotated[str | None, typer.Argument(help="A month, YYYY-MM; all that are due by default.")] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="A host that is gone, whose contacts on its disk are given up.")
    ] = None,
    without_rates: Annotated[
        bool, typer.Option("--without-rates", help="Close a year although no population is loaded.")
    ] = False,
) -> None:
    """Close months that are over, audit their tables, and publish them. For ever: what is sealed never changes.

    Load the month's waiting list first. Refused while a host may still deliver contacts. Safe to run again.
    """
    settings = read_settings()
    engine = open_store(settings, patient=True)
    by = replace(publisher(settings, open_current(settings).release.id), without_rates=without_rates)
    due = [_month(month)] if month else months_due(engine)
    for one in due:
        sealed = seal(engine, one, by, without=without or ())
        out.print(_said(sealed) if sealed else f"{one} is sealed already.")
    if not due:
        out.print("No month is due.")


def _said(sealed: Sealed) -> str:
    published, hidden = sum(sealed.published.values()), sum(sealed.suppressed.values())
    held = ", ".join(f"{n} in {name}" for name, n in sealed.withheld.items() if n) or "none"
    return (
        f"{sealed.month} sealed in {sealed.seconds:.1f} s: {published:,} figures, {hidden:,} suppressed (*),"
        f" withheld (w): {held}."
    )


# ----------------------------------------------------------------------------------------- export


@counts.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Where the files go, one a table.")],
    table: Annotated[list[str] | None, typer.Option(help="A table; all by default. May be repeated.")] = None,
    parquet: Annotated[bool, typer.Option("--parquet", help="Parquet instead of CSV.")] = False,
) -> None:
    """Write the published tables, all periods. Only what is published: these files may be shared."""
    tables = PublishedTables(open_store(read_settings()))
    unknown = [name for name in table or () if name not in TABLES]
    if unknown:
        raise InputError(f"A table is one of {', '.join(TABLES)}.")
    folder.mkdir(parents=True, exist_ok=True)
    for name in table or TABLES:
        try:
            chosen = tables.choose(name, "all")
        except NotPublishedError:
            err.print(f"[dim]{name}: nothing is published yet[/]")
            continue
        path = folder / f"{name}.{'parquet' if parquet else 'csv'}"
        if parquet:
            from app.counts.export import write_parquet

            write_parquet(path, chosen)
        else:
            with path.open("w", encoding="utf-8", newline="") as file:
                file.writelines(as_csv(chosen))
        out.print(f"{path}: {len(chosen.rows):,} rows")


# ------------------------------------------------------------------------------- what is told to it


@counts.command()
def specialties(
    year: Annotated[int, typer.Argument(help="The year in which the financial year begins: 2026 for 2026/27.")],
    file: Annotated[Path, typer.Argument(help="CSV with `specialty` and `contacts`: the year before's activity.")],
) -> None:
    """Declare which specialties have rows of their own in a year, from last year's activity.

    For a first year, of which the store knows nothing yet. Refused once a month of that year is published.
    """
    if not 2000 <= year <= 2100:
        raise InputError("The year is written with four digits: 2026 for 2026/27.")
    settings = read_settings()
    contacts: dict[str, int] = {}
    for line, row in _rows(file, ("specialty", "contacts")):
        number = row["contacts"]
        if row["specialty"] not in vocabulary().specialties or not _is_number(number):
            raise InputError(f"Line {line}: a treatment function code and a whole number of contacts are needed.")
        contacts[row["specialty"]] = int(number)
    own = own_rows(contacts, settings.least_specialty)
    engine = open_store(settings)
    with writing(engine) as connection:
        declare_units(connection, year, own, "declared")
    out.print(f"Rows of their own in {periods.year_name(year)}: {', '.join(own) or 'none'}. All others together.")


@counts.command("population")
def load_population(
    file: Annotated[Path, typer.Argument(help="CSV with `edition`, `quintile`, `age_band`, `persons`, `source`.")],
) -> None:
    """Load the residents of the catchment by quintile and age: the denominators of standardised rates."""
    rows = []
    for line, row in _rows(file, ("edition", "quintile", "age_band", "persons", "source")):
        if row["quintile"] not in QUINTILES or row["age_band"] not in ESP2013 or not _is_number(row["persons"]):
            raise InputError(f"Line {line}: quintile 1 to 5, one of the five-year age bands, and persons are needed.")
        rows.append({**row, "persons": int(row["persons"])})
    for edition in {row["edition"] for row in rows} or {""}:
        found = [(row["quintile"], row["age_band"]) for row in rows if row["edition"] == edition]
        if sorted(found) != sorted((quintile, band) for quintile in QUINTILES for band in ESP2013):
            raise InputError("Each edition needs every quintile and age band once: 5 times 20 rows.")
    engine = open_store(read_settings())
    with writing(engine) as connection:
        connection.execute(delete(population))
        connection.execute(insert(population), rows)
    out.print(f"{len(rows)} rows of population replace what was there.")


@counts.command("waiting-list")
def load_waiting_list(
    file: Annotated[Path, typer.Argument(help="CSV with `postcode`, `specialty`, `weeks`: one person a line.")],
    month: Annotated[str, typer.Option(help="The month at whose end they wait, YYYY-MM.")],
    people: Annotated[int, typer.Option(min=0, help="How many people are on it: else nothing is taken.")],
    snapshot: Annotated[str, typer.Option("--id", help="Your own name of this list.")] = "",
) -> None:
    """Replace a month's waiting list, whole. Only counts are kept: no postcode and no person is stored."""
    settings = read_settings()
    rules = read_rules(settings)
    index = open_current(settings)
    total = replace_waiting_list(
        open_store(settings, patient=True),
        Snapshot((snapshot or file.name)[:64], _month(month), settings.counted_edition),
        _people(file),
        index,
        rules,
        expected=people,
        since=settings.counts_since,
    )
    out.print(f"{total:,} people wait at the end of {periods.in_words(month)}; the list is complete.")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 12


def _people(file: Path) -> Iterator[Waiting]:
    for line, row in _rows(file, ("postcode", "specialty", "weeks")):
        yield read_waiting(line, row)


def _rows(file: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Lines of a CSV with these columns, each with its number; `-` reads standard input."""
    opened = sys.stdin if str(file) == "-" else file.open(encoding="utf-8-sig", newline="")
    with opened:
        reader = csv.DictReader(opened)
        missing = [c for c in columns if c not in (reader.fieldnames or ())]
        if missing:
            raise InputError(f"The file lacks the columns {', '.join(missing)}.")
        try:
            for row in reader:
                yield reader.line_num, {c: (row[c] or "").strip() for c in columns}
        except (csv.Error, UnicodeDecodeError):
            raise InputError(f"Line {reader.line_num + 1} cannot be read as CSV in UTF-8.") from None


# ------------------------------------------------------------------------------------------- demo


def fill_demo(settings: Settings, index: Index, rules: Rules) -> None:
    """Fill the store of a data folder with synthetic contacts, telling how it goes."""
    engine = open_store(settings, patient=True)
    err.print("Inventing contacts and sealing 24 months (some 20 seconds) ...")
    first, last = fill(
        engine,
        index,
        rules,
        publisher(settings, index.release.id),
        lambda sealed: err.print(f"[dim]{_said(sealed)}[/]"),
    )
    local = settings.data_dir / "local"
    local.mkdir(exist_ok=True)
    for name, text in own_files(PublishedPages(engine).now(), settings.counted_edition).items():
        (local / name).write_text(text, "utf-8")
    err.print(f"{periods.in_words(first)} to {periods.in_words(last)}: SYNTHETIC, and so are the files in {local}.")
