"""`imdlens report`: a board paper, a brief or an audit-day pack from published tables alone."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from app import counting
from app.batch import files
from app.counts.parts import PublishedPages
from app.current import read_rules
from app.report.audit_day import NotSyntheticError, audit_day_pack
from app.report.brief import brief
from app.report.content import board_paper
from app.report.document import Document
from app.report.evidence import Evidence, ReportUnitError, gather
from app.report.period import ReportPeriodError
from app.report.writers import FORMATS, write
from app.settings import read_settings


class ReportFileError(Exception):
    """A file that cannot be written as it was asked for."""


FORESEEN: Final = (ReportFileError, ReportPeriodError, ReportUnitError, NotSyntheticError)

err = Console(stderr=True, soft_wrap=True, highlight=False)


class Pack(StrEnum):
    """What is written."""

    BOARD = "board"
    BRIEF = "brief"
    AUDIT_DAY = "audit-day"


def report(
    period: Annotated[
        str,
        typer.Option(
            help="A quarter (2026-27-Q3; 2026-Q3 is the same, by the year it begins in), a month (2026-10) or a"
            " financial year (2026-27)."
        ),
    ],
    out: Annotated[
        list[Path], typer.Option(help="The file: .html, .pdf, .docx or .xlsx. May be repeated for several formats.")
    ],
    specialty: Annotated[
        str, typer.Option(help="A treatment function code with rows of its own; else the whole organisation.")
    ] = "",
    pack: Annotated[Pack, typer.Option(help="The board paper, one page to make a case, or exercises.")] = Pack.BOARD,
    overwrite: Annotated[bool, typer.Option("--overwrite", "--force", help="Replace files that are there.")] = False,
) -> None:
    """A report of what was published of a period, to be shared: no figure in it is finer than a published table.

    The same tables make the same file, byte for byte. An audit-day pack is made of a demonstration alone.
    """
    check_files(out, overwrite=overwrite)
    settings = read_settings()
    rules = read_rules(settings)
    engine = counting.open_store(settings)
    try:
        published = PublishedPages(engine).now()
        evidence = gather(published, rules.book, counting.options(settings), period, specialty)
    finally:
        engine.dispose()
    document = made_of(evidence, pack)
    written = [(target, write(document, target.suffix)) for target in out]
    for target, content in written:
        with files.writing(target, files.STREAM, overwrite=overwrite) as file:
            file.write(content)
        err.print(f"{target}: {document.title}, {evidence.period.words}, {len(content):,} bytes.", markup=False)


def made_of(evidence: Evidence, pack: Pack) -> Document:
    """The document of a pack."""
    return {Pack.BOARD: board_paper, Pack.BRIEF: brief, Pack.AUDIT_DAY: audit_day_pack}[pack](evidence)


def check_files(targets: list[Path], *, overwrite: bool) -> None:
    """ReportFileError for a file that is no report's, or is named twice; FileProblemError for one that may not be
    written. Before anything is worked out, so that not some of the files are there and others are not."""
    for target in targets:
        if target.suffix.lower() not in FORMATS:
            raise ReportFileError(f"--out {target}: a report is {', '.join(FORMATS)}; its name says which.")
    if len({target.resolve() for target in targets}) < len(targets):
        raise ReportFileError("--out: a file is named twice.")
    for target in targets:
        files.check_target(target, files.STREAM, overwrite=overwrite)
