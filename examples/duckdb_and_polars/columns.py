"""The same columns beside a query of DuckDB's or a frame of Polars', in one process and without a service.

To copy: both hand over Arrow, and an Enricher answers Arrow. What DuckDB gives is answered batch by batch as it comes,
so that a table larger than memory is no matter.
"""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa

from app.batch.columns import Enricher, Wanted, text_column
from app.context.rulebook import Rulebook
from app.enrichment import Rules
from app.lookup.index import Index
from app.reference.releases import current_index


def open_enricher(data: Path, local_rules: Path | None = None, edition: str = "IoD2025") -> Enricher:
    """To open once: the index of a data folder, and an organisation's own rules where it has some."""
    return Enricher(Index(current_index(data)), Rules(edition, Rulebook.load(local_rules)))


def with_answers(batch: pa.RecordBatch, postcode: str, enricher: Enricher, wanted: Wanted) -> pa.RecordBatch:
    """A batch with the answers after its own columns."""
    answers = enricher.columns(enricher.read(text_column(batch[postcode])), wanted)
    names = [*batch.schema.names, *answers.schema.names]
    return pa.RecordBatch.from_arrays([*batch.columns, *answers.columns], names)


def from_duckdb(
    query: duckdb.DuckDBPyRelation, postcode: str, enricher: Enricher, wanted: Wanted
) -> pa.RecordBatchReader:
    """A query's rows with the answers, batch by batch: DuckDB reads it again as a table, or writes it to Parquet."""
    reader = query.to_arrow_reader(100_000)
    first = pa.RecordBatch.from_pylist([], schema=reader.schema)
    schema = with_answers(first, postcode, enricher, wanted).schema

    def answered() -> Iterator[pa.RecordBatch]:
        for batch in reader:
            yield with_answers(batch, postcode, enricher, wanted)

    return pa.RecordBatchReader.from_batches(schema, answered())


def from_polars(frame: pl.DataFrame, postcode: str, enricher: Enricher, wanted: Wanted) -> pl.DataFrame:
    """A frame with the answers after its own columns."""
    column = text_column(frame[postcode].to_arrow())
    answers = enricher.columns(enricher.read(column), wanted)
    return frame.hstack(pl.DataFrame(answers).get_columns())
