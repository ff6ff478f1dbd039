"""The command `imdlens-spark`, which spark-submit runs too: a folder of rows in, the same with answers out."""

import os
import re
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from app.batch.plan import FileProblemError
from app.batch.spark import ExecutorError, enrich_dataframe
from app.context.files import RuleFileError
from app.lookup.layout import IndexFileError
from app.reference.errors import ReferenceDataError
from app.settings import SecretsError, UnknownSettingError

if TYPE_CHECKING:  # Spark may not be installed
    from pyspark.sql import DataFrame, SparkSession

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)

_FORESEEN: Final = (
    FileProblemError,
    IndexFileError,
    ReferenceDataError,
    RuleFileError,
    UnknownSettingError,
    SecretsError,
)
_RAGGED: Final = "A row of the CSV has more or fewer fields than its heading."
_CORRUPT: Final = "_imdlens_whole_row"
# Of what Spark says only these: its other messages may quote a row.
_SENTENCES: Final = {
    "PATH_NOT_FOUND": "IN was not found.",
    "PATH_ALREADY_EXISTS": "OUT exists already: name another, or say --overwrite.",
    "JAVA_GATEWAY_EXITED": "Spark could not start: it needs Java 17 or newer.",
    "DATA_SOURCE_NOT_FOUND": "This Spark knows no such --format.",
}


def main() -> None:
    """Run the command; what can be foreseen ends in one sentence, not in a traceback."""
    try:
        app()
    except _FORESEEN as error:
        _fail(str(error))
    except ValidationError:
        _fail("The settings of IMD Lens in the environment cannot be read: imdlens lookup says which.")


@app.command()
def enrich(
    source: Annotated[str, typer.Argument(metavar="IN", help="What to read, as Spark names it.")],
    target: Annotated[str, typer.Argument(metavar="OUT", help="A folder of Parquet files to be made.")],
    postcode_column: Annotated[str | None, typer.Option(help="Its name; found by the usual names otherwise.")] = None,
    form: Annotated[str, typer.Option("--format", help="parquet, csv, or another that the cluster knows.")] = "parquet",
    option: Annotated[list[str] | None, typer.Option(help="KEY=VALUE for Spark's reader; may be repeated.")] = None,
    index: Annotated[Path | None, typer.Option(help="Index file or data folder; IMDLENS_DATA_DIR by default.")] = None,
    ship: Annotated[bool, typer.Option(help="Send the index to the executors, or find it there by its path.")] = True,
    domains: Annotated[bool, typer.Option("--domains", help="Add the seven domain deciles.")] = False,
    area: Annotated[bool, typer.Option("--area", help="Add LSOA, district and ICB.")] = False,
    prefix: Annotated[str, typer.Option(help="What stands before the new names.")] = "",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it exists.")] = False,
) -> None:
    """Write the rows of IN to OUT with the published IMD decile and the Core20 flag beside them.

    A CSV has a heading and is read as text, so that nothing loses its zeros. Rules are those of IMDLENS_LOCAL_DIR.
    """
    options = dict(_pair(text) for text in option or ())
    if f"{_place(source)}/".startswith(f"{_place(target)}/"):
        _fail("IN is OUT, or lies in it: what is read would be replaced.")
    try:
        from pyspark.sql import Observation, SparkSession, functions
    except ImportError:
        _fail("Spark is not installed here: pip install 'imd-lens[spark]', or run this by spark-submit.")
    warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas")  # which has no part in this
    session, is_ours = SparkSession.getActiveSession(), False
    try:
        if session is None:
            session, is_ours = SparkSession.builder.appName("imdlens").getOrCreate(), True
            session.sparkContext.setLogLevel("ERROR")
        if session.sparkContext.master.startswith("local") and "PYSPARK_PYTHON" not in os.environ:
            session.sparkContext.pythonExec = sys.executable  # the machine's own Python need not have this package
        rows = _read_csv(session, source, options) if form == "csv" else _read(session, form, source, options)
        answered = enrich_dataframe(
            rows, postcode_column, index=index, domains=domains, area=area, prefix=prefix, ship=ship
        )
        seen = Observation()
        counted = answered.observe(seen, functions.count(functions.lit(1)).alias("rows"))
        counted.write.mode("overwrite" if overwrite else "errorifexists").parquet(target)
        err.print(f"{seen.get['rows']:,} rows answered; {target} has them as Parquet.", markup=False)
    except _FORESEEN:
        raise
    except Exception as error:  # noqa: BLE001 - Spark's messages may quote a row
        _fail(_sentence(error))
    finally:
        if session is not None and is_ours:  # a notebook's goes on
            session.stop()


def _read(session: "SparkSession", form: str, source: str, options: dict[str, str]) -> "DataFrame":
    return session.read.format(form).options(**options).load(source)


def _read_csv(session: "SparkSession", source: str, options: dict[str, str]) -> "DataFrame":
    """A CSV with a heading, all of it text, quotes doubled. It fails at a row of another length, whose fields moved."""
    from pyspark.sql import functions
    from pyspark.sql.types import StringType, StructField, StructType

    told = {"header": "true", "inferSchema": "false", "escape": '"'} | options
    heading = session.read.options(**told).csv(source).schema
    fields = [*heading.fields, StructField(_CORRUPT, StringType())]
    rows = session.read.options(**told, columnNameOfCorruptRecord=_CORRUPT).schema(StructType(fields)).csv(source)
    first = heading.fields[0].name
    quoted = functions.col(f"`{first.replace('`', '``')}`")
    whole = functions.when(functions.col(_CORRUPT).isNull(), quoted)
    checked = whole.otherwise(functions.raise_error(functions.lit(_RAGGED)).cast("string"))
    return rows.withColumn(first, checked).drop(_CORRUPT)


def _pair(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not (key and sign):
        _fail("--option is written KEY=VALUE.")
    return key, value


def _place(name: str) -> str:
    """One folder under one name; what Spark finds elsewhere than on a disk stays as it is written."""
    local = name.removeprefix("file:")
    return name.rstrip("/") if ":" in local else os.path.realpath(local)


def _sentence(error: Any) -> str:
    """What may be told of an error of Spark's: our own sentence in it, or of which kind it is."""
    text = str(error)
    if own := re.search(rf"{ExecutorError.__name__}: (.+)", text):
        return own[1]
    if _RAGGED in text:
        return _RAGGED
    for known, sentence in _SENTENCES.items():
        if f"[{known}]" in text:
            return sentence
    condition = error.getCondition() if hasattr(error, "getCondition") else None
    return f"Spark failed: {condition or type(error).__name__}."


def _fail(sentence: str) -> NoReturn:
    err.print(f"[bold red]imdlens-spark:[/] {escape(sentence)}")
    raise SystemExit(1)


if __name__ == "__main__":
    main()
