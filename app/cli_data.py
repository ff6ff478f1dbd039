"""`imdlens data`: the national data, from official files to the release that answers."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from app.cli_gate import show_verdict
from app.current import check_edition
from app.lookup.deprivation import NATIONS
from app.lookup.index import Index
from app.reference.errors import ReferenceDataError
from app.reference.gate import Verdict, check_names, judge
from app.reference.manifest import manifest, packaged_data
from app.reference.releases import INDEX_FILE, current_index, held, named, provenance, provenance_of
from app.reference.releases import prune as remove_old
from app.reference.releases import rollback as roll_back
from app.reference.surprises import LIMITS
from app.settings import read_settings

if TYPE_CHECKING:  # pandas, which only a build needs
    from app.reference.build import BuildReport

data = typer.Typer(help="The national data: build, look at and switch releases.", no_args_is_help=True)

out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True, highlight=False)

REFUSED: Final = 3  # the exit code of an update that the gate refused; faults end with 1

OutDir = Annotated[Path | None, typer.Option("--out", help="Data folder; IMDLENS_DATA_DIR by default.")]
Files = Annotated[list[Path] | None, typer.Argument(help="Official files, or folders that hold them.")]
AllowPart = Annotated[bool, typer.Option("--allow-part", help="Accept fewer postcodes than the whole country has.")]
Product = Annotated[str, typer.Option(help="ONSPD, which carries both censuses' areas, or NSPL.")]
Downloads = Annotated[Path | None, typer.Option(help="Where downloads are kept; by default in the data folder.")]
Mirror = Annotated[str | None, typer.Option(help="Address to ask instead of the publishers', path kept.")]
Proxy = Annotated[str | None, typer.Option(help="Proxy address; HTTPS_PROXY is heeded too.")]
AcceptChanges = Annotated[
    bool, typer.Option("--accept-changes", help="Accept a file whose content changed since it was first fetched.")
]


@data.command()
def build(
    files: Files = None,
    out_dir: OutDir = None,
    starter: Annotated[
        bool, typer.Option("--starter", help="Build the starter data that comes with IMD Lens.")
    ] = False,
    allow_part: AllowPart = False,
) -> None:
    """Build an index from official files as published, check it, and make it current, whatever is current now.

    Each file is recognised by its columns. Nothing is made current when anything is doubtful. To take the place of a
    release that is in use, `update` also compares the two.
    """
    if bool(files) == starter:
        raise ReferenceDataError("Name the official files or folders, or --starter.")
    paths = [packaged_data() / "starter"] if starter else list(files or [])
    folder = out_dir or read_settings().data_dir
    _made_current(_build(paths, folder, allow_part=allow_part or starter, starter=starter), folder)


@data.command()
def fetch(
    out_dir: OutDir = None,
    product: Product = "ONSPD",
    downloads: Downloads = None,
    mirror: Mirror = None,
    proxy: Proxy = None,
    accept_changes: AcceptChanges = False,
    build_after: Annotated[bool, typer.Option("--build/--no-build", help="Build when everything is there.")] = True,
) -> None:
    """Download the newest postcode directory and the indices of deprivation, then build.

    Interrupted downloads go on where they stopped. The first content of an address is recorded, and other content
    under the same address is refused later.
    """
    folder = out_dir or read_settings().data_dir
    paths = _downloaded(folder, product, downloads, mirror, proxy, accept_changes)
    if build_after:
        _made_current(_build(paths, folder), folder)


@data.command()
def update(
    files: Files = None,
    out_dir: OutDir = None,
    also: Annotated[
        list[Path] | None,
        typer.Option(help="Official files besides those that are fetched, such as Census 2021 tables. Repeat it."),
    ] = None,
    accept: Annotated[
        list[str] | None, typer.Option(help="A surprise that is right this time, by its name. Repeat it.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do everything but make it current.")] = False,
    allow_part: AllowPart = False,
    as_json: Annotated[bool, typer.Option("--json", help="What changed, as JSON.")] = False,
    product: Product = "ONSPD",
    downloads: Downloads = None,
    mirror: Mirror = None,
    proxy: Proxy = None,
    accept_changes: AcceptChanges = False,
) -> None:
    """Fetch and build, compare with the release that is current, and take its place where nothing surprises.

    Without FILES the newest are fetched. What is refused stays beside the current release, is not used, and ends the
    command with 3: docs/updating-data.md says what each surprise means.
    """
    check_names(accept or [])
    settings = read_settings()
    folder = out_dir or settings.data_dir
    paths = list(files or _downloaded(folder, product, downloads, mirror, proxy, accept_changes)) + list(also or [])
    verdicts: list[Verdict] = []

    def passes(made: Path) -> bool:
        index = Index(made / INDEX_FILE)  # as a worker asks before it answers from a release
        check_edition(index, settings.core20_edition)
        check_edition(index, settings.counted_edition, "IMDLENS_PUBLICATION_EDITION")
        verdicts.append(judge(folder, made, manifest(), accept or []))
        return not (dry_run or verdicts[0].refused)

    report = _build(paths, folder, allow_part=allow_part, passes=passes)
    err.print(f"Built {report.release} in {report.seconds} s.")
    _tell(verdicts[0], folder, dry_run=dry_run, as_json=as_json)


def _tell(verdict: Verdict, folder: Path, *, dry_run: bool, as_json: bool) -> None:
    """What the gate found and what came of it; ends the command where the release was refused."""
    if as_json:
        current = {"current": named(folder, "current"), "dry_run": dry_run}
        typer.echo(json.dumps(current | verdict.as_json(), indent=1, ensure_ascii=False))
    else:
        show_verdict(verdict, out)
    for surprise in verdict.surprises:
        said = "accepted" if surprise.name in verdict.accepted else "refused"
        err.print(f"[yellow]{said}, {surprise.name}:[/] {escape(surprise.sentence)}")
        err.print(f"    It may mean: {escape(LIMITS[surprise.name].means)}")
    if verdict.refused:
        names = " ".join(f"--accept {name}" for name in dict.fromkeys(s.name for s in verdict.refused))
        err.print(
            f"[bold red]imdlens:[/] {verdict.release} is not made current: it surprises. It is kept in"
            f" {escape(str(folder))}/releases. Where all of it is right, run the same command again with {names}."
        )
        raise typer.Exit(REFUSED)
    if dry_run:
        err.print(f"{verdict.release} would be made current. It is kept beside the current one, and not used.")
    elif verdict.unchanged:
        err.print(f"{verdict.release} is current already: nothing changed.")
    else:
        err.print(f"{verdict.release} is current in {folder}. `imdlens data rollback` goes back.")


def _downloaded(
    folder: Path, product: str, downloads: Path | None, mirror: str | None, proxy: str | None, accept_changes: bool
) -> list[Path]:
    from app.reference.fetch import FetchOptions
    from app.reference.fetch import fetch as download

    options = FetchOptions(
        destination=downloads or folder / "downloads",
        product=product,
        mirror=mirror,
        proxy=proxy,
        accept_changes=accept_changes,
    )
    with _progress() as bar:
        paths = download(
            manifest(),
            options,
            on_progress=lambda name, done, total: bar(name, done, total or 0),
            on_event=lambda sentence: err.print(f"[dim]{escape(sentence)}[/]"),
        )
    for path in paths:
        err.print(f"have {path.name}, {path.stat().st_size / 1e6:,.1f} MB")
    return paths


def _build(
    paths: list[Path],
    folder: Path,
    *,
    allow_part: bool = False,
    starter: bool = False,
    passes: Callable[[Path], bool] = lambda _: True,
) -> "BuildReport":
    from app.reference.build import BuildOptions
    from app.reference.build import build as build_index
    from app.reference.releases import publish

    options = BuildOptions(allow_part=allow_part, starter=starter)
    with _progress() as on_progress:
        report = publish(folder, lambda made: build_index(paths, made, manifest(), options, on_progress), passes)
    for name in report.ignored:
        err.print(f"[dim]not used: {escape(name)}[/]")
    return report


def _made_current(report: "BuildReport", folder: Path) -> None:
    err.print(f"Built {report.release} in {report.seconds} s; it is current in {folder}.")
    _show(provenance(folder))


@data.command()
def show(
    out_dir: OutDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="The whole provenance.")] = False,
) -> None:
    """What is loaded, how fresh it is, how much of each nation it covers, and which other releases are kept."""
    folder = out_dir or read_settings().data_dir
    found = provenance(folder)
    if as_json:
        typer.echo(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        _show(found)
        _show_releases(folder)


@data.command()
def verify(out_dir: OutDir = None) -> None:
    """Check the current index against its checksum, and say which it is."""
    index = Index(current_index(out_dir or read_settings().data_dir))
    out.print(f"{index.release.id} is sound: {index.release.checksum}, {index.release.count:,} postcodes.")


@data.command()
def rollback(out_dir: OutDir = None) -> None:
    """Make the previous release current again; running workers follow within a second."""
    folder = out_dir or read_settings().data_dir
    left = named(folder, "current")
    release = roll_back(folder)
    out.print(f"{release} is current: went back from {left}.")
    out.print("An update does not bring that one again unless told to; a second rollback does.")


@data.command()
def prune(
    keep: Annotated[int, typer.Option(min=2, help="How many releases stay, those that were built last.")],
    out_dir: OutDir = None,
) -> None:
    """Remove old releases; the current and the previous one always stay.

    A worker that still answers from one that is removed goes on: the file lives until the worker lets it go.
    """
    folder = out_dir or read_settings().data_dir
    removed = remove_old(folder, keep)
    for release in removed:
        out.print(f"removed {release}")
    out.print(f"{len(held(folder))} releases are kept in {folder}.")


def _show(found: dict[str, Any]) -> None:
    counts = found["counts"]
    extent = " (starter data)" if found["starter"] else " (a part of the country)" if found["part"] else ""
    out.print(f"[bold]{escape(found['postcodes'])}[/]{extent}, release {found['release']}")
    out.print(f"built {found['built_at']} by {found['tool']}, {found['index_bytes'] / 1e6:.1f} MB")
    out.print(f"{counts['postcodes']:,} postcodes: {counts['live']:,} live, {counts['terminated']:,} terminated\n")
    editions = [e["id"] for e in found["editions"]]
    table = Table(box=None, pad_edge=False)
    table.add_column("Live postcodes")
    table.add_column("", justify="right")
    for edition in editions:
        table.add_column(edition, justify="right")
    for nation in NATIONS:
        shares = found["coverage"].get(nation, {})
        cells = [f"{shares[e]:.1%}" if e in shares else "" for e in editions]
        table.add_row(nation, f"{counts['live_' + nation.lower().replace(' ', '_')]:,}", *cells)
    table.add_row("no nation known", f"{counts['live_nation_unknown']:,}", *[""] * len(editions))
    out.print(table)
    _show_context(found)
    for warning in found["warnings"]:
        out.print(f"[yellow]note:[/] {escape(warning)}")


def _show_context(found: dict[str, Any]) -> None:
    """What is known of areas besides deprivation; a release built before there was any says nothing of it."""
    if "measures" not in found:
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("Area context")
    for heading in ("LSOAs", "of them few", *NATIONS):
        table.add_column(heading, justify="right")
    rows = [(m["id"], m["id"], f"{m['areas']:,}", f"{m['few']:,}") for m in found["measures"]]
    for name, *cells in [*rows, ("rural", "rural or urban", "", "")]:
        shares = [found["coverage"].get(nation, {}).get(name) for nation in NATIONS]
        table.add_row(*cells, *["" if share is None else f"{share:.1%}" for share in shares])
    out.print()
    out.print(table)
    known, until = found["counts"]["introduction_known"], found["introduced_until"]
    out.print(f"introduction known of {known:,} postcodes" + (f", the newest of {until}" if until else ""))


def _show_releases(folder: Path) -> None:
    """Every release that is kept, the one that was built last first."""
    table = Table(box=None, pad_edge=False)
    for heading in ("Release", "built", ""):
        table.add_column(heading)
    links = {named(folder, "previous"): "previous", named(folder, "current"): "current"}
    for release in held(folder):
        try:
            built = provenance_of(folder, release)["built_at"]
        except ReferenceDataError:  # of one release, and the others are to be seen all the same
            built = "not known"
        table.add_row(release, built, links.get(release, ""))
    out.print()
    out.print(table)


@contextmanager
def _progress() -> Iterator[Any]:
    """A progress bar on the error stream, so that output can be piped."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        tasks: dict[str, TaskID] = {}

        def on_progress(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        yield on_progress
