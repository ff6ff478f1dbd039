"""Published tables as Parquet. Apart, because the running service never loads Arrow."""

from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet

from app.counts.published import COLUMNS, Chosen

_NUMBERS: Final = {"n", "value", "lower_ci", "upper_ci"}


def write_parquet(path: Path, chosen: Chosen) -> None:
    """Write the rows with the columns of COLUMNS: text, 64-bit integers, and whether they are synthetic."""
    types = {name: pa.int64() if name in _NUMBERS else pa.string() for name in COLUMNS} | {"synthetic": pa.bool_()}
    columns = {name: pa.array([row[name] for row in chosen.rows], types[name]) for name in COLUMNS}
    table = pa.table(columns).replace_schema_metadata(
        {"sentence": chosen.sentence, "rule": chosen.publications[-1].rule}
    )
    pyarrow.parquet.write_table(table, path)
