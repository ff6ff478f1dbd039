"""What the gate before a release found, as tables for whoever updates the data."""

from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.reference.comparison import Change, Comparison
from app.reference.gate import Verdict

_WIDTH: Final = 110
_WHAT: Final = {"lsoa21": "in another LSOA 2021", "lsoa11": "in another LSOA 2011", "lad": "in another district"}


def show_verdict(verdict: Verdict, out: Console) -> None:
    """The comparison with the release that is current, or that there was none."""
    found = verdict.comparison
    if found is None:
        why = "cannot be compared with" if verdict.surprises else "is none to compare with"
        out.print(f"{verdict.release}: the current release {why}. What a build checks by itself was checked.")
        return
    before, after = found.directories
    wide = Console(file=out.file, width=max(out.width, _WIDTH), soft_wrap=True)  # a file has no width of its own
    out.print(f"[bold]{escape(before)}[/], {found.before}\n[bold]{escape(after)}[/], {found.after}\n")
    for table in (_postcodes(found), _moves(found), _editions(found), _context(found)):
        wide.print(table)
        wide.print()


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if place else "left", no_wrap=True)
    return table


def _of(change: Change) -> tuple[str, str]:
    return f"{change.before:,}", f"{change.after:,}"


def _postcodes(found: Comparison) -> Table:
    table = _table("Postcodes", "live before", "after", "terminated before", "after")
    for nation, place in found.places.items():
        table.add_row(nation, *_of(place["live"]), *_of(place["terminated"]))
    return table


def _moves(found: Comparison) -> Table:
    """What became of postcodes, and of the codes of their areas."""
    changes = found.postcodes
    table = _table("What changed", "postcodes", "codes before", "after", "new", "gone")
    table.add_row("new", f"{changes.new:,}")
    table.add_row("gone", f"{changes.gone:,}")
    table.add_row("newly terminated", f"{changes.terminated:,}")
    table.add_row("live again", f"{changes.revived:,}")
    table.add_row("in another nation", f"{changes.moved_nation:,}")
    for kind, code in found.codes.items():
        what = _WHAT.get(kind, "in another board")
        table.add_row(what, f"{code.moved:,}", *_of(code.codes), f"{code.new:,}", f"{code.gone:,}")
    return table


def _editions(found: Comparison) -> Table:
    headings = ("areas", "changed", "covered before", "after", "other decile", "lost", "into Core20", "out of it")
    table = _table("Edition", *headings)
    for name, edition in found.editions.items():
        live, covered = edition.live, edition.covered
        shares = [f"{c / n:.2%}" if n else "" for c, n in ((covered.before, live.before), (covered.after, live.after))]
        core20 = (f"{edition.into_core20:,}", f"{edition.out_of_core20:,}") if edition.core20 else ("", "")
        areas = (f"{edition.compared:,}", f"{edition.deciles_changed + edition.domains_changed:,}")
        table.add_row(name, *areas, *shares, f"{edition.moved:,}", f"{edition.lost:,}", *core20)
    return table


def _context(found: Comparison) -> Table:
    table = _table("Known of live postcodes", "before", "after")
    for name, change in found.context.items():
        table.add_row("rural or urban" if name == "rural" else name, *_of(change))
    return table
