"""Reads what was published, and nothing else: the one way from a door to the tables.

Filters choose among published rows; no figure is computed here.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Engine, RowMapping, select

from app.counts import periods
from app.counts.schema import publication, published_row
from app.counts.tables import TABLES, Table
from app.counts.vocabulary import vocabulary

COLUMNS: Final = (
    "period",
    "organisation",
    "specialty",
    "rtt_group",
    "contact_type",
    "outcome",
    "imd_edition",
    "imd_decile",
    "imd_quintile",
    "core20",
    "n",
    "value",
    "lower_ci",
    "upper_ci",
    "suppressed",
    "rounding_rule",
    "dimension",
    "category",
    "client",
    "synthetic",
    "specialty_name",
)
"""The columns of every table, in JSON and in CSV. New ones are only ever added at the end."""

_OF_ROW: Final = tuple(c.name for c in published_row.columns if c.name in COLUMNS and c.name != "period")


_WORDS: Final = {
    "rtt_group": "RTT group",
    "core20": "Core20",
    "imd_decile": "IMD decile",
    "imd_quintile": "IMD quintile",
    "contact_type": "type",
}


class NotPublishedError(Exception):
    """There is no such table or period; `field` says which, and `known` what there is, the first choice first."""

    def __init__(self, field: str, known: Sequence[str] = ()) -> None:
        super().__init__(field)
        self.field, self.known = field, tuple(known)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Published rows, and what was said of the tables they are from, oldest period first."""

    table: Table
    publications: Sequence[Any]
    rows: Sequence[Mapping[str, Any]]
    filters: Mapping[str, str]

    @property
    def sentence(self) -> str:
        """What is shown and what is left out, in English, the filters included."""
        said = str(self.publications[-1].sentence)
        before = len(self.publications) - 1
        if before:
            first = periods.in_words(self.publications[0].period)
            said += f" With the {before} {'period' if before == 1 else 'periods'} before it, from {first} on."
        if self.rows and self.filters:
            # Only of rows that exist: a sentence must not repeat whatever a caller writes into an address.
            chosen = [f"{_WORDS.get(k, k)} {v}{_named(v)}" for k, v in self.filters.items()]
            said += f" Only the rows for {', '.join(chosen)}."
        elif self.filters:
            said += " No row of this table is for what was chosen; a specialty without rows of its own is in all_other."
        return said

    @property
    def breaks(self) -> list[dict[str, str]]:
        """Where the edition changes: figures before and after must not be compared."""
        found = []
        for before, after in zip(self.publications, self.publications[1:], strict=False):
            if before.edition != after.edition:
                words = periods.in_words(after.period)
                found.append(
                    {
                        "period": after.period,
                        "sentence": f"From {words} on areas are ranked by {after.edition}, before by {before.edition}:"
                        " figures before and after must not be compared or added.",
                    }
                )
        return found


class PublishedTables:
    """The published tables of one store. Methods may raise SQLAlchemy's errors when the database is away."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def listed(self) -> list[dict[str, Any]]:
        """Every table of the closed list, with the periods that are published."""
        with self._engine.connect() as connection:
            found = connection.execute(
                select(publication.c.name, publication.c.period, publication.c.sealed_at).order_by(publication.c.period)
            ).all()
        return [
            {
                "table": table.name,
                "number": table.number,
                "period": table.period,
                "shows": f"{table.shows}.",
                "leaves_out": table.leaves_out,
                "value": table.value,
                "periods": [row.period for row in found if row.name == table.name],
            }
            for table in TABLES.values()
        ]

    def choose(self, table: str, period: str | None = None, **filters: str | None) -> Chosen:
        """Rows of one period, the newest by default, or of `all`. NotPublishedError where there is none."""
        if table not in TABLES:
            raise NotPublishedError("table")
        with self._engine.connect() as connection:
            statement = select(publication).where(publication.c.name == table).order_by(publication.c.month)
            publications = connection.execute(statement).all()
            if period is None:
                publications = publications[-1:]
            elif period != "all":
                publications = [p for p in publications if p.period == period.replace("-M", "-")]
            if not publications:
                raise NotPublishedError("period")
            rows = connection.execute(self._statement(table, publications, filters)).mappings()
            said = {p.period: p for p in publications}
            chosen = [_row(row, said[row["period"]]) for row in rows]
            wanted = {name: value for name, value in filters.items() if value is not None}
            return Chosen(TABLES[table], publications, chosen, wanted)

    @staticmethod
    def _statement(table: str, publications: Sequence[Any], filters: Mapping[str, str | None]) -> Any:
        statement = select(published_row).where(published_row.c.name == table)
        if len(publications) == 1:
            statement = statement.where(published_row.c.period == publications[0].period)
        for name, value in filters.items():
            if value is not None:
                statement = statement.where(published_row.c[name] == value)
        return statement.order_by(published_row.c.period, published_row.c.position)


def _named(code: str) -> str:
    name = name_of(code)
    return f" ({name})" if name else ""


def _row(row: RowMapping, said: Any) -> dict[str, Any]:
    """A published row with all of COLUMNS; what does not apply is None."""
    found = {name: row[name] if row[name] != "" else None for name in _OF_ROW}
    whole = {
        **found,
        "period": row["period"],
        "organisation": said.organisation or None,
        "imd_edition": said.edition,
        "rounding_rule": said.rule,
        "synthetic": said.synthetic,
        "specialty_name": name_of(row["specialty"] or row["rtt_group"]),
    }
    return {name: whole[name] for name in COLUMNS}


def name_of(unit: str) -> str | None:
    """The name of a treatment function or an RTT group, by its code; None where there is none."""
    words = vocabulary()
    known = words.specialties.get(unit)
    return known.name if known else words.rtt_groups.get(unit)


def as_csv(chosen: Chosen) -> Iterator[str]:
    """The rows as CSV that Excel reads rightly: a byte order mark, and months that it does not take for dates."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    buffer.write("\ufeff")
    writer.writerow(COLUMNS)
    for row in chosen.rows:
        period = row["period"]
        shown = period.replace("-", "-M") if periods.is_month(period) else period
        values = [shown, *(row[name] for name in COLUMNS[1:])]
        writer.writerow(["" if v is None else str(v).lower() if isinstance(v, bool) else v for v in values])
        if buffer.tell() > 2**16:  # characters at a time
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()
