"""Exact counts, for those who may see them: one month, one dimension, each read on record."""

from typing import Any, Final

from sqlalchemy import Column, Connection, Engine, Select, Table, func, insert, select

from app.counts import periods
from app.counts.schema import (
    age_sex,
    completeness,
    exact_read,
    flow,
    late,
    one_way,
    organisation_total,
    publication,
    waiting_list,
    waiting_list_snapshot,
)
from app.counts.schema import month as month_table
from app.database import writing

# What is counted by, the cells that hold it, their column, and for cells of many dimensions which one.
_BY: Final[dict[str, tuple[Table, str, str | None]]] = {
    "specialty": (flow, "specialty", None),
    "type": (flow, "type", None),
    "attendance": (flow, "attendance", None),
    "outcome": (flow, "outcome", None),
    "band": (flow, "band", None),
    "age_band": (one_way, "value", "age_band"),
    "sex": (one_way, "value", "sex"),
    "ethnic_category": (one_way, "value", "ethnic_category"),
    "five_year_age": (age_sex, "age_band", None),
    "quintile": (age_sex, "quintile", None),
    "inclusion": (organisation_total, "value", "inclusion"),
    "access": (organisation_total, "value", "access"),
    "lad": (organisation_total, "value", "lad"),
    "status": (completeness, "status", None),
    "client": (completeness, "client", None),
    "wait_band": (waiting_list, "wait_band", None),
}
BY: Final = tuple(_BY)


class NotSealedError(Exception):
    """The month is not sealed, or has no counts at all."""


def read_exact(engine: Engine, month: str, by: str, who: str, *, sealed_only: bool) -> dict[str, Any]:
    """`{"month", "by", "state", "imd_edition", "rows": [{"value", "n"}], "total", "late"}`, the read put on record.

    NotSealedError where only sealed months may be read and this is none. `by` is one of BY.
    """
    with writing(engine) as connection:
        found = connection.execute(
            select(month_table.c.state, month_table.c.edition).where(month_table.c.month == month)
        ).first()
        if found is None or (sealed_only and found.state != "sealed"):
            raise NotSealedError
        connection.execute(insert(exact_read).values(at=periods.moment(), who=who, month=month, by=by))
        rows = connection.execute(_statement(month, by)).all()
        too_late = connection.execute(select(func.sum(late.c.n)).where(late.c.month == month)).scalar()
    return {
        "month": month,
        "by": by,
        "state": found.state,
        "imd_edition": found.edition,
        "rows": [{"value": value, "n": int(n)} for value, n in rows],
        "total": sum(int(n) for _, n in rows),
        "late": int(too_late or 0),
    }


def _statement(month: str, by: str) -> Any:
    table, name, dimension = _BY[by]
    column: Column[str] = table.c[name]
    statement = select(column, func.sum(table.c.n)).where(table.c.month == month).group_by(column).order_by(column)
    return statement if dimension is None else statement.where(table.c.dimension == dimension)


def months(engine: Engine, who: str) -> list[dict[str, Any]]:
    """Every month with its state, contacts, people waiting and late contacts, the read put on record."""
    with writing(engine) as connection:
        connection.execute(insert(exact_read).values(at=periods.moment(), who=who, month="all", by="month"))
        contacts = _pairs(connection, select(flow.c.month, func.sum(flow.c.n)).group_by(flow.c.month))
        too_late = _pairs(connection, select(late.c.month, func.sum(late.c.n)).group_by(late.c.month))
        waiting = _pairs(connection, select(waiting_list_snapshot.c.month, waiting_list_snapshot.c.patients))
        sealed = _pairs(connection, select(publication.c.month, publication.c.sealed_at).distinct())
        return [
            {
                "month": row.month,
                "state": row.state,
                "imd_edition": row.edition,
                "contacts": int(contacts.get(row.month, 0)),
                "waiting": int(waiting.get(row.month, 0)),
                "late": int(too_late.get(row.month, 0)),
                "sealed_at": sealed.get(row.month),
            }
            for row in connection.execute(select(month_table).order_by(month_table.c.month))
        ]


def _pairs(connection: Connection, statement: Select[Any]) -> dict[str, Any]:
    return {first: second for first, second in connection.execute(statement)}  # noqa: C416 - a result is no mapping
