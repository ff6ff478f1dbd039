"""A Spark DataFrame with the answers beside its rows: Arrow batches in and out, the index on every node.

Rows never leave the node that they are on. What travels is the index file, once to each executor, and the rules, with
each task. Executors need Python, NumPy, PyArrow and this package, of the driver's version.
"""

import pickle
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from app.batch.columns import Enricher, Wanted, text_column
from app.batch.plan import FileProblemError, check_new_names, find_column, find_postcode
from app.enrichment import Rules
from app.lookup.index import Index
from app.lookup.layout import IndexFileError

if TYPE_CHECKING:  # the module is loaded without Spark too: by its command, to say that Spark is missing
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import DataType, StructType

_SHIPPING: Final = threading.Lock()
_MOST_OPEN: Final = 4  # indexes, in one Python worker that outlives tasks


class ExecutorError(Exception):
    """An executor cannot answer; the message says why in one sentence, and holds no value of a row."""


@dataclass(frozen=True, slots=True)
class _Task:
    """What every task is sent, besides its rows."""

    file: str  # a name among the session's files, or a path that every node can read
    is_shipped: bool
    checksum: str
    rules: bytes  # pickled: read once in a worker, not once a task
    rules_version: str
    wanted: Wanted
    column: int


def enrich_dataframe(
    df: "DataFrame",
    postcode_col: str | None = None,
    *,
    index: Path | str | None = None,
    rules: Rules | None = None,
    core20_edition: str | None = None,
    domains: bool = False,
    area: bool = False,
    prefix: str = "",
    ship: bool = True,
) -> "DataFrame":
    """Every column of `df` as it is, and the answers after them; nothing is read before Spark is asked to.

    `postcode_col` is a column of strings or whole numbers, by its name; None finds it by the usual names. `index` is
    an index file or a data folder on the driver; None is the current one of IMDLENS_DATA_DIR. It is shipped to the
    executors; with `ship=False` it is opened under the same path on every node, for sessions that cannot ship files.
    `rules` are a deployment's, protected places included; None reads them as the service does, by IMDLENS_LOCAL_DIR.
    `core20_edition` is read in place of the rules' own.

    FileProblemError where a column is missing, of another kind, or in the way of a new one; IndexFileError,
    ReferenceDataError and RuleFileError as for the service. Executors fail with an ExecutorError.
    """
    wanted = Wanted(domains=domains, area=area, prefix=prefix)
    column = _place_of_postcode(df, postcode_col)
    _check_names(df.columns, wanted)
    path = _index_file(index)
    opened = Index(path)
    agreed = _rules(rules, core20_edition)
    _check_edition(opened, agreed)
    checksum = opened.release.checksum
    task = _Task(
        file=_shipped(df.sparkSession, path, checksum) if ship else str(path),
        is_shipped=ship,
        checksum=checksum,
        rules=pickle.dumps(agreed, pickle.HIGHEST_PROTOCOL),
        rules_version=agreed.version,
        wanted=wanted,
        column=column,
    )

    def answered(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from _answered(task, batches)

    return df.mapInArrow(answered, _schema(df.schema, wanted))


# -------------------------------------------------------------------------------------- on the driver


def _place_of_postcode(df: "DataFrame", told: str | None) -> int:
    from pyspark.sql.types import ByteType, IntegerType, LongType, NullType, ShortType, StringType

    names = df.columns
    try:
        place = find_postcode(names, None) if told is None else find_column(names, told)
    except FileProblemError as error:
        if told is not None:
            raise
        raise FileProblemError(
            f"It is not plain which of the {len(names):,} columns holds the postcode: name it as postcode_col"
            " (--postcode-column)."
        ) from error
    kind: DataType = df.schema.fields[place].dataType
    if not isinstance(kind, (StringType, ByteType, ShortType, IntegerType, LongType, NullType)):
        raise FileProblemError(f"Column {names[place]} is of type {kind.simpleString()}: a postcode is text.")
    return place


def _check_names(names: list[str], wanted: Wanted) -> None:
    """FileProblemError where a new name is taken, as Spark has it: whatever the case of its letters."""
    if twice := next((name for i, name in enumerate(names) if name in names[:i]), None):
        raise FileProblemError(f"Two columns are called {twice}, which Spark cannot hand on: rename one.")
    check_new_names(names, wanted)
    taken = {name.casefold() for name in names}
    for name in wanted.types():
        if name.casefold() in taken:
            raise FileProblemError(
                f"There is a column called {name} already, in other letters, which Spark takes for the same: put"
                " something before the new names with prefix (--prefix)."
            )


def _index_file(index: Path | str | None) -> Path:
    from app.reference.releases import current_index

    if index is None:
        from app.settings import read_settings

        return current_index(read_settings().data_dir)
    path = Path(index)
    return current_index(path) if path.is_dir() else path.absolute()


def _rules(rules: Rules | None, edition: str | None) -> Rules:
    if rules is None:
        from app.current import read_rules
        from app.settings import read_settings

        rules = read_rules(read_settings())
    return Rules(edition, rules.book) if edition is not None else rules


def _check_edition(index: Index, rules: Rules) -> None:
    from app.current import check_edition

    check_edition(index, rules.core20_edition, "The edition of Core20")


def _shipped(session: "SparkSession", path: Path, checksum: str) -> str:
    """Add the index to the session's files, once, and return its name among them.

    The name holds the checksum: two releases in one session would otherwise be one file.
    """
    from pyspark import SparkFiles

    context = getattr(session, "sparkContext", None)
    if context is None:
        raise FileProblemError(
            "This session has no SparkContext to ship the index with: put the file where every node can read it, and"
            " say ship=False (--no-ship)."
        )
    name = f"imdlens-{checksum.removeprefix('sha256:')}.imdl"
    folder = Path(SparkFiles.getRootDirectory()) / "imdlens"  # ends with the session
    with _SHIPPING:
        if not (folder / name).exists():
            folder.mkdir(exist_ok=True)
            made = folder / f".{name}"
            shutil.copyfile(path, made)
            made.replace(folder / name)
            context.addFile((folder / name).as_uri())
    return name


def _schema(schema: "StructType", wanted: Wanted) -> "StructType":
    from pyspark.sql.types import BooleanType, ByteType, StringType, StructField, StructType

    kinds = {pa.string(): StringType, pa.int8(): ByteType, pa.bool_(): BooleanType}
    added = [StructField(name, kinds[kind]()) for name, kind in wanted.types().items()]
    return StructType([*schema.fields, *added])


# ----------------------------------------------------------------------------------- on the executors


def _answered(task: _Task, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Every batch with its answers. ExecutorError, without a value, where it cannot be."""
    enricher: Enricher | None = None
    for batch in batches:
        enricher = enricher or _enricher_of(task)  # not before there is a row to answer
        try:
            answers = enricher.columns(enricher.read(text_column(batch.column(task.column))), task.wanted)
            whole = pa.RecordBatch.from_arrays(
                [*batch.columns, *answers.columns], schema=pa.schema([*batch.schema, *answers.schema])
            )
        except Exception as error:  # noqa: BLE001 - any message may quote a row
            raise ExecutorError(f"A batch of {len(batch):,} rows failed: {type(error).__name__}.") from None
        yield whole


def _enricher_of(task: _Task) -> Enricher:
    if task.is_shipped:
        from pyspark import SparkFiles

        return _enricher(SparkFiles.get(task.file), task.checksum, task.rules, task.rules_version)
    return _enricher(task.file, task.checksum, task.rules, task.rules_version)


@lru_cache(maxsize=_MOST_OPEN)
def _enricher(file: str, checksum: str, rules: bytes, rules_version: str) -> Enricher:
    """The same for every task that this Python worker runs: what it opened and learnt stays."""
    try:
        index = Index(Path(file))
    except IndexFileError as error:
        raise ExecutorError(f"An executor has no index: {error}") from None
    if index.release.checksum != checksum:
        raise ExecutorError(
            f"{file} on an executor is {index.release.checksum}, but on the driver {checksum}: every node must have"
            " the same file."
        )
    try:
        agreed: Any = pickle.loads(rules)  # noqa: S301 - the driver's own, by the channel that its code came by
        same = agreed.version == rules_version
    except Exception:  # noqa: BLE001 - another version's classes may fail in any way
        same = False
    if not same:
        raise ExecutorError("An executor has another version of IMD Lens than the driver: install one on every node.")
    return Enricher(index, agreed)
