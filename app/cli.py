"""The command `imdlens`."""

import sys
from importlib import import_module
from typing import Annotated, Final, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app import cli_rules
from app.context.files import RuleFileError
from app.current import open_current, read_rules
from app.enrichment import Enrichment, Question, enrich
from app.lookup.layout import IndexFileError
from app.reference.errors import ReferenceDataError
from app.settings import SecretsError, UnknownSettingError, read_settings

app = typer.Typer(
    name="imdlens",
    help="Deprivation context at the point of care: a postcode in, the published IMD decile and Core20 flag out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(cli_rules.rules, name="rules")
app.add_typer(cli_rules.signposts, name="signposts")

out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True, highlight=False)


ELSEWHERE: Final = {
    "data": "app.cli_data",
    "serve": "app.cli_serve",
    "demo": "app.cli_serve",
    "enrich": "app.cli_files",
    "transition": "app.cli_transition",
    "report": "app.cli_report",
    "keys": "app.cli_access",
    "counts": "app.cli_counts",
    "db": "app.cli_database",
    "doctor": "app.cli_doctor",
    "catchment": "app.cli_local",
    "practice": "app.cli_local",
    "targets": "app.cli_local",
}


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
    if called in {*ours, "rules", "signposts"}:
        return
    for name in [called] if called in ELSEWHERE else ELSEWHERE:
        found = getattr(import_module(ELSEWHERE[name]), name)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name, no_args_is_help=True)
        else:
            app.command(name)(found)


# Asked for only when something went wrong, so that nothing more is loaded when all is well.


def _foreseen() -> tuple[type[Exception], ...]:
    from app import cli_access, cli_counts, cli_database, cli_files, cli_local, cli_report, cli_serve, cli_transition
    from app.access.access_file import AccessFileError
    from app.database import DatabaseError
    from app.tracing import TracingError

    own = (
        AccessFileError,
        *cli_access.FORESEEN,
        *cli_counts.FORESEEN,
        *cli_database.FORESEEN,
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


if __name__ == "__main__":
    main()
