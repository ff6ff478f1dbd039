"""`imdlens rules` and `imdlens signposts`: whether the rules of a folder can be used, and what is due for review."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from app.context.rulebook import Rulebook
from app.counts.periods import today
from app.settings import read_settings

rules = typer.Typer(help="The rules behind groups, questions, cautions and signposts.", no_args_is_help=True)
signposts = typer.Typer(help="The directory of services to tell patients about.", no_args_is_help=True)

out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True, highlight=False)

Folder = Annotated[
    Path | None, typer.Argument(help="Folder of the organisation's own files; IMDLENS_LOCAL_DIR by default.")
]


@rules.command("check")
def check_rules(folder: Folder = None) -> None:
    """Read every rules file as the service would: which are in use, whose they are, and who must sign them off.

    Sourced: taken from a publication. Authored: written for this service, from one or from nothing.
    """
    book = _book(folder)
    table = Table(box=None, pad_edge=False)
    for heading in ("File", "Version", "Status", "Whose"):
        table.add_column(heading, no_wrap=True)
    for file in book.files:
        table.add_row(file.name, file.version, file.status, "yours" if file.local else "shipped")
    out.print(table)
    signatures: dict[str, list[str]] = {}
    for file in book.files:
        signatures.setdefault(file.sign_off, []).append(file.name)
    out.print("\nTo be signed off before use:")
    for who, names in signatures.items():
        out.print(f"  by {who}: {', '.join(names)}", highlight=False)
    out.print(f"\nThe files are complete; their version is {book.version}. Whether anybody signed them is not checked.")
    if not any(lead.name for lead in book.organisation.leads):
        err.print("[yellow]No lead is recorded: fill in organisation.toml.[/]")
    if book.signposts.expired(today()):
        err.print("[yellow]Some signposts are past their review date: imdlens signposts check[/]")


@signposts.command("check")
def check_signposts(folder: Folder = None) -> None:
    """List the directory with its review dates. Ends with 1 when an entry is past its date, and so not shown."""
    directory = _book(folder).signposts
    expired, due = directory.expired(today()), directory.due(today())
    table = Table(box=None, pad_edge=False)
    for heading in ("Id", "Service", "Area", "Reviewed", "Review by", "State"):
        table.add_column(heading)
    for entry in directory.entries:
        state = "[red]not shown[/]" if entry in expired else "[yellow]due[/]" if entry in due else "shown"
        where = " ".join(filter(None, (entry.area, entry.area_code)))
        reviewed = str(entry.reviewed or "never")
        table.add_row(entry.id, entry.name, where, reviewed, str(entry.review_by), state)
    out.print(table)
    if any(entry.reviewed is None for entry in directory.entries):
        err.print("[yellow]Some were never checked here: check each, and write the day into `reviewed`.[/]")
    if expired:
        err.print(f"[red]{len(expired)} past the review date: check each, then write the new dates.[/]")
        raise typer.Exit(1)


def _book(folder: Path | None) -> Rulebook:
    return Rulebook.load(folder or read_settings().local_dir)
