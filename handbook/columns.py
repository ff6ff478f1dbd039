"""The page of columns: what `imdlens enrich` adds to a file, and what published tables hold."""

from typing import Final

from app.batch.columns import AREA_COLUMNS, CORE, DOMAIN_COLUMNS
from app.contract.breakdowns import PublishedRow
from app.contract.enrich import Area, EnrichResponse
from app.counts.published import COLUMNS
from app.counts.tables import TABLES
from handbook.tables import table

_HEAD: Final = """# Columns

## Added to a file by `imdlens enrich`

The names are those of the API. What is empty is unknown, never "not deprived".
[Files](../files.md) says how they are added.

"""
_WORDS: Final = {
    "country": "The nation, where it is known.",
    "imd_quintile": "The published decile as a fifth, 1 the most deprived.",
}
_PUBLISHED: Final = """
## Of a published table

The same in JSON, CSV and Parquet, for every table. What does not apply is empty.
[Counts](../counts.md) says how to read them.

"""
_PLAIN: Final = {
    "period": "The month, quarter or financial year: `2026-10`, `2026-27-Q2`, `2026-27`. In CSV a month is `2026-M10`.",
    "contact_type": "Type of the contact, where the table is by type.",
    "outcome": "Outcome of the contact, where the table is by outcome.",
    "imd_edition": "The edition that deciles and Core20 are of.",
    "core20": "`true`, `false`, or `no_decile`.",
    "rounding_rule": "Name and version of the rule that hid and rounded.",
    "category": "The value of `dimension`.",
    "client": "The system that sent the contacts, in tables of completeness.",
}
_TABLES: Final = """
## Published tables

No other will be published. `value` is what that column holds.

"""


def page() -> str:
    """The page."""
    answer, area = EnrichResponse.model_fields, Area.model_fields
    added = [(f"`{n}`", str(kind), "always", _WORDS.get(n) or answer[n].description or "") for n, kind in CORE.items()]
    added += [
        (f"`{name}`", str(kind), "with `--domains`", f"Decile of the domain {_domain(name)}, 1 the most deprived.")
        for name, kind in DOMAIN_COLUMNS.items()
    ]
    added += [(f"`{n}`", str(kind), "with `--area`", area[n].description or "") for n, kind in AREA_COLUMNS.items()]
    row = PublishedRow.model_fields
    published = [(f"`{name}`", row[name].description or _PLAIN[name]) for name in COLUMNS]
    tables = [(f"`{t.name}`", t.number, t.period, f"{t.shows}. {t.leaves_out}", t.value) for t in TABLES.values()]
    return (
        _HEAD
        + table(("column", "type in Parquet", "when", "what it holds"), added)
        + _PUBLISHED
        + table(("column", "what it holds"), published)
        + _TABLES
        + table(("table", "number", "a row is of a", "what it shows, and leaves out", "`value`"), tables)
    )


def _domain(column: str) -> str:
    return column.removeprefix("imd_").removesuffix("_decile").replace("_", " ")
