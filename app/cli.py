"""The command `imdlens`."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from app import cli_rules
from app.context.files import RuleFileError
from app.current import open_current, read_rules
from app.enrichment import Enrichment, Question, enrich
from app.lookup.deprivation import NATIONS
from app.lookup.index import Index
from app.lookup.layout import IndexFileError
from app.reference.errors import ReferenceDataError
from app.reference.releases import current_index, provenance
from app.reference.releases import rollback as roll_back
from app.settings import SecretsError, UnknownSettingError, read_settings

app = typer.Typer(
    name="imdlens",
    help="Deprivation context at the point of care: a postcode in, the published IMD decile and Core20 flag out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
data = typer.Typer(help="The national data: build, look at and switch releases.", no_args_is_help=True)
app.add_typer(data, name="data")
app.add_typer(cli_rules.rules, name="rules")
app.add_typer(cli_rules.signposts, name="signposts")

out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True, highlight=False)


_ELSEWHERE: Final = {
    "serve": "app.cli_serve",
    "demo": "app.cli_serve",
    "enrich": "app.cli_files",
    "transition": "app.cli_transition",
    "report": "app.cli_report",
    "keys": "app.cli_access",
    "counts": "app.cli_counts",
    "db": "app.cli_counts",
    "catchment": "app.cli_local",
    "practice": "app.cli_local",
    "targets": "app.cli_local",
}

OutDir = Annotated[Path | None, typer.Option("--out", help="Data folder; IMDLENS_DATA_DIR by default.")]


def main() -> None:
    """Run the command; what can be foreseen ends in one sentence, not in a traceback."""
    _add_commands()
    try:
        app()
    except SystemExit:  # before what is foreseen is asked for, which takes its time
        raise
    except _foreseen() as error:
        _fail(str(error))
    except _of_the_database() as error:  # its message may hold an address or a value
        _fail(f"The database of counts failed: {type(error).__name__}.")
    except BrokenPipeError:
        sys.stderr.close()
    except OSError as error:  # an unwritable folder, a full disk
        _fail(f"{error.filename or 'A file'}: {error.strerror}.")
    except ValidationError as error:
        from app.errors import field_errors

        wrong = error.errors(include_input=False)
        fields = [f"IMDLENS_{e['field'].upper()}" for e in field_errors(wrong)]
        # Of the messages only our own: the others quote patterns and types.
        said = [f" IMDLENS_{str(e['loc'][0]).upper()} {e['msg']}." for e in wrong if e["type"] == "not_a_step"]
        if any(e["type"] == "half_of_tls" for e in wrong):
            _fail("IMDLENS_TLS_CERTIFICATE and IMDLENS_TLS_KEY go together; IMDLENS_TLS_CLIENT_CA needs both.")
        _fail(f"These settings cannot be read: {', '.join(fields)}.{''.join(said)}")
    except KeyboardInterrupt:
        _fail("Stopped.", 130)


def _add_commands() -> None:
    """The commands of other modules: of them only the one that is called, since what they load takes its time."""
    called = next(iter(sys.argv[1:]), "")
    ours = {command.callback.__name__ for command in app.registered_commands if command.callback}
    if called in {*ours, "data", "rules", "signposts"}:
        return
    for name in [called] if called in _ELSEWHERE else _ELSEWHERE:
        found = getattr(import_module(_ELSEWHERE[name]), name)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name, no_args_is_help=True)
        else:
            app.command(name)(found)


# Asked for only when something went wrong, so that nothing more is loaded when all is well.


def _foreseen() -> tuple[type[Exception], ...]:
    from app import cli_access, cli_counts, cli_files, cli_local, cli_report, cli_serve, cli_transition
    from app.access.access_file import AccessFileError
    from app.database import DatabaseError
    from app.tracing import TracingError

    own = (
        AccessFileError,
        *cli_access.FORESEEN,
        *cli_counts.FORESEEN,
        *cli_files.FORESEEN,
        *cli_local.FORESEEN,
        *cli_report.FORESEEN,
        *cli_serve.FORESEEN,
        *cli_transition.FORESEEN,
        TracingError,
    )
    return (ReferenceDataError, IndexFileError, RuleFileError, UnknownSettingError, SecretsError, DatabaseError, *own)


def _of_the_database() -> type[Exception]:
    from sqlalchemy.exc import SQLAlchemyError

    return SQLAlchemyError


def _fail(sentence: str, code: int = 1) -> NoReturn:
    err.print(f"[bold red]imdlens:[/] {escape(sentence)}")
    raise SystemExit(code)


# ----------------------------------------------------------------------------------------- lookup


@app.command()
def lookup(
    postcodes: Annotated[list[str], typer.Argument(help="Postcodes, however written; - reads one a line.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Look up postcodes in the current data. For trying it out: a shell keeps a history of what is typed."""
    settings = read_settings()
    index = open_current(settings)
    rules = read_rules(settings)
    texts = [t.rstrip("\n") for p in postcodes for t in (sys.stdin if p == "-" else [p])]
    answers = [(text, enrich(Question(text, with_area=True), index, rules)) for text in texts]
    if as_json:
        from app.contract.render import render
        from app.counts.intake import NO_CONTACT

        for _, answer in answers:
            print(render(answer, NO_CONTACT, index.release, rules).decode())
        return
    table = Table(box=None, pad_edge=False)
    for heading in (
        "Postcode",
        "Status",
        "Nation",
        f"{settings.core20_edition} decile",
        "Core20",
        "Other editions",
    ):
        table.add_column(heading, no_wrap=True)
    for text, answer in answers:
        table.add_row(*_row(text, answer, settings.core20_edition))
    Console(width=max(out.width, 110)).print(table)
    out.print(
        f"\n{index.release.postcodes}, release {index.release.id}."
        " A decile is about the area: 1 is the most deprived tenth."
    )


def _row(text: str, answer: Enrichment, edition: str) -> tuple[str, ...]:
    reading = answer.reading
    others = [f"{name} {s.decile}" for name, s in reading.editions.items() if s and name != edition]
    known = reading.country == "England"
    return (
        escape(text[:12]) + (" (repaired)" if reading.repaired else ""),
        reading.postcode_status,
        reading.country or "",
        str(reading.imd_decile or ("unknown" if known else "")),
        {True: "yes", False: "no", None: "unknown" if known else ""}[reading.core20],
        ", ".join(others),
    )


# ------------------------------------------------------------------------------------------- data


@data.command()
def build(
    files: Annotated[list[Path] | None, typer.Argument(help="Official files, or folders that hold them.")] = None,
    out_dir: OutDir = None,
    starter: Annotated[
        bool, typer.Option("--starter", help="Build the starter data that comes with IMD Lens.")
    ] = False,
    allow_part: Annotated[
        bool, typer.Option("--allow-part", help="Accept fewer postcodes than the whole country has.")
    ] = False,
) -> None:
    """Build an index from official files as published, check it, and make it current.

    Each file is recognised by its columns. Nothing is made current when anything is doubtful.
    """
    from app.reference.manifest import packaged_data

    if bool(files) == starter:
        _fail("Name the official files or folders, or --starter.")
    paths = [packaged_data() / "starter"] if starter else list(files or [])
    _build(paths, out_dir or read_settings().data_dir, allow_part=allow_part or starter, starter=starter)


@data.command()
def fetch(
    out_dir: OutDir = None,
    product: Annotated[str, typer.Option(help="ONSPD, which carries both censuses' areas, or NSPL.")] = "ONSPD",
    downloads: Annotated[
        Path | None, typer.Option(help="Where downloads are kept; by default in the data folder.")
    ] = None,
    mirror: Annotated[str | None, typer.Option(help="Address to ask instead of the publishers', path kept.")] = None,
    proxy: Annotated[str | None, typer.Option(help="Proxy address; HTTPS_PROXY is heeded too.")] = None,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="Accept a file whose content changed since it was first fetched.")
    ] = False,
    build_after: Annotated[bool, typer.Option("--build/--no-build", help="Build when everything is there.")] = True,
) -> None:
    """Download the newest postcode directory and the indices of deprivation, then build.

    Interrupted downloads go on where they stopped. The first content of an address is recorded, and other content
    under the same address is refused later.
    """
    from app.reference.fetch import FetchOptions
    from app.reference.fetch import fetch as download
    from app.reference.manifest import manifest

    folder = out_dir or read_settings().data_dir
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
    if build_after:
        _build(paths, folder)


def _build(paths: list[Path], folder: Path, *, allow_part: bool = False, starter: bool = False) -> None:
    from app.reference.build import BuildOptions
    from app.reference.build import build as build_index
    from app.reference.manifest import manifest
    from app.reference.releases import publish

    options = BuildOptions(allow_part=allow_part, starter=starter)
    with _progress() as on_progress:
        report = publish(folder, lambda made: build_index(paths, made, manifest(), options, on_progress))
    for name in report.ignored:
        err.print(f"[dim]not used: {escape(name)}[/]")
    err.print(f"Built {report.release} in {report.seconds} s; it is current in {folder}.")
    _show(provenance(folder))


@data.command()
def show(
    out_dir: OutDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="The whole provenance.")] = False,
) -> None:
    """What is loaded, how fresh it is, and how much of each nation it covers."""
    found = provenance(out_dir or read_settings().data_dir)
    if as_json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        _show(found)


@data.command()
def verify(out_dir: OutDir = None) -> None:
    """Check the current index against its checksum, and say which it is."""
    index = Index(current_index(out_dir or read_settings().data_dir))
    out.print(f"{index.release.id} is sound: {index.release.checksum}, {index.release.count:,} postcodes.")


@data.command()
def rollback(out_dir: OutDir = None) -> None:
    """Make the previous release current again; running workers follow within a second."""
    release = roll_back(out_dir or read_settings().data_dir)
    out.print(f"{release} is current.")


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


if __name__ == "__main__":
    main()
