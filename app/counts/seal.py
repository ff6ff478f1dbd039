"""Seals a month: closes it to writers, audits what is about to be published, and publishes it, once and for ever."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, Engine, insert, select, text, update

from app.counts import periods, tables
from app.counts.disclosure import ROUNDED_TO, SUPPRESSED, WITHHELD, Rule, audit
from app.counts.figures import Figures, Span, read
from app.counts.parts import figure_of
from app.counts.schema import (
    financial_year,
    host,
    population,
    publication,
    published_row,
    reporting_unit,
    store_fact,
)
from app.counts.schema import month as month_table
from app.counts.shares import Share, share
from app.counts.standardised import StandardisedRates
from app.counts.store import database_time, open_month
from app.counts.tables import TABLES, Figure, Units, own_rows
from app.database import writing

_SILENT_SECONDS: Final = 20  # hosts speak every five
STANDARDISED: Final = "organisation_standardised"


class SealError(Exception):
    """A month cannot be sealed now; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Publisher:
    """What a deployment decides about its publications."""

    rule: Rule = field(default_factory=Rule)
    least_specialty: int = 1000
    organisation: str = ""
    release: str = ""
    edition: str = "IoD2025"
    without_rates: bool = False  # close a year although no population is loaded


@dataclass(slots=True)
class Sealed:
    """What one sealing published: figures by table, and how many of them are hidden or withheld."""

    month: str
    published: Counter[str] = field(default_factory=Counter)
    suppressed: Counter[str] = field(default_factory=Counter)
    withheld: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


def months_due(engine: Engine) -> list[str]:
    """The months that are over and not sealed, oldest first; months without any contact between others included."""
    with engine.connect() as connection:
        states = _states(connection)
    if not states:
        return []
    due, month, this_month = [], min(states), periods.month_of(periods.today())
    while month < this_month:
        if states.get(month) != "sealed":
            due.append(month)
        month = periods.next_month(month)
    return due


def seal(engine: Engine, month: str, publisher: Publisher, *, without: Sequence[str] = ()) -> Sealed | None:
    """Seal one month; None where it is sealed already. Safe to run again after any interruption.

    `without` names hosts whose spools are given up. SealError where the month is not over, an earlier one is not
    sealed, or a host may still deliver.
    """
    started = time.monotonic()
    if month >= periods.month_of(periods.today()):
        raise SealError(f"{month} is not over: only what is finished is published.")
    with engine.connect() as connection:
        states = _states(connection)
    if states.get(month) == "sealed":
        return None
    due = months_due(engine)
    if month not in due:
        raise SealError(f"{month} is not due: nothing was counted by then, or a later month is sealed already.")
    if month != due[0]:
        raise SealError(f"{due[0]} comes first: months are sealed in order.")
    with engine.connect() as connection:
        _check_rule(connection, month, publisher.rule)
        _check_population(connection, month, publisher)
    _close(engine, month, publisher, without)
    sealed = Sealed(month)
    with engine.connect() as connection:
        first = min(_states(connection))
        known = _facts(connection)
        units = Units(_units(connection, month))
        try:
            pages = _pages(connection, month, first, units, publisher, sealed)
        except RuntimeError as error:
            raise SealError(f"{month} is closed to contacts and not published: {error}.") from error
    _publish(engine, month, pages, publisher, known)
    sealed.seconds = time.monotonic() - started
    return sealed


def _states(connection: Connection) -> dict[str, str]:
    return {row.month: row.state for row in connection.execute(select(month_table.c.month, month_table.c.state))}


def _facts(connection: Connection) -> dict[str, str]:
    return {row.name: row.value for row in connection.execute(select(store_fact))}


# ---------------------------------------------------------------------------------------- closing


def _close(engine: Engine, month: str, publisher: Publisher, without: Sequence[str]) -> None:
    """From here on nobody writes into the month: writers before hold it shared, this takes it alone."""
    with writing(engine) as connection:
        _check_hosts(connection, without)
        statement = select(month_table.c.state).where(month_table.c.month == month).with_for_update()
        state = connection.execute(statement).scalar()
        if state is None:  # a month without any contact, between others
            open_month(connection, month, publisher.edition)
        elif state != "open":
            return
        _fix_units(connection, month, publisher)
        connection.execute(
            update(month_table).where(month_table.c.month == month).values(state="closed", closed_at=periods.moment())
        )


def _check_hosts(connection: Connection, without: Sequence[str]) -> None:
    now = database_time(connection)
    given_up = host.c.id.in_(without)
    connection.execute(update(host).where(given_up).values(stopped=True, spooled=0, oldest=None))
    for row in connection.execute(select(host)):
        if row.spooled:
            raise SealError(f"Host {row.id} still holds {row.spooled} batches on its disk: start it and wait.")
        if not row.stopped and now - row.seen_at > _SILENT_SECONDS:
            raise SealError(
                f"Host {row.id} has been silent for {now - row.seen_at} seconds and may hold contacts on its disk:"
                f" start it, or give its contacts up with --without {row.id}."
            )


def _fix_units(connection: Connection, month: str, publisher: Publisher) -> None:
    """Before a year's first month is published: which specialties have rows of their own, from the year before."""
    year = periods.financial_year(month)
    if connection.execute(select(reporting_unit.c.year).where(reporting_unit.c.year == year).limit(1)).first():
        return
    before = periods.months_of_year(year - 1)
    statement = text("SELECT specialty, sum(n) FROM flow WHERE month BETWEEN :first AND :last GROUP BY 1")
    contacts = {s: int(n) for s, n in connection.execute(statement, {"first": before[0], "last": before[-1]})}
    declare_units(connection, year, own_rows(contacts, publisher.least_specialty), "counted")


def declare_units(connection: Connection, year: int, own: Sequence[str], basis: str) -> None:
    """Fix the specialties and RTT groups with rows of their own in a year that is not published yet."""
    sealed = select(month_table).where(month_table.c.year == year, month_table.c.state == "sealed").limit(1)
    if connection.execute(sealed).first():
        raise SealError(f"{periods.year_name(year)} is published already: its specialties are settled.")
    connection.execute(reporting_unit.delete().where(reporting_unit.c.year == year))
    # `all_other` always has a row: it also says that the year is settled when no specialty is large enough.
    rows = [{"year": year, "specialty": s, "basis": basis} for s in (*own, tables.ALL_OTHER)]
    connection.execute(insert(reporting_unit), rows)


def _units(connection: Connection, month: str) -> list[str]:
    year = periods.financial_year(month)
    found = connection.execute(select(reporting_unit.c.specialty).where(reporting_unit.c.year == year)).scalars()
    return [s for s in found if s != tables.ALL_OTHER]


# --------------------------------------------------------------------------------------- auditing


@dataclass(slots=True)
class _Page:
    """One table of one period, ready to be published."""

    table: str
    period: str
    months: Sequence[str]  # those that are counted: fewer than the period's when counting began within it
    rows: list[tuple[Figure, int | None, str, Share]]


def _pages(
    connection: Connection, month: str, first: str, units: Units, publisher: Publisher, sealed: Sealed
) -> list[_Page]:
    """Everything that a month's sealing publishes: the month's tables, then the quarter's and the year's it ends."""
    rates = StandardisedRates(connection, publisher.rule)
    year = periods.financial_year(month)
    since = [m for m in periods.months_of_year(year) if first <= m <= month]
    published = _published(connection, since)
    withheld = {figure for figure, (_, mark) in published.items() if mark == WITHHELD}
    new = {(t.name, month) for t in TABLES.values() if t.period == "month"}
    steps = [(Span([month]), new)]
    if periods.ends_quarter(month):
        months = [m for m in periods.months_of_quarter(month) if m >= first]
        quarter = periods.quarter_name(month)
        steps.append((Span(months, [quarter]), {(t.name, quarter) for t in TABLES.values() if t.period == "quarter"}))
    if periods.ends_year(month):
        name = periods.year_name(year)
        quarters = sorted({periods.quarter_name(m) for m in since})
        steps.append((Span(since, quarters, name), {(t.name, name) for t in TABLES.values() if t.period == "year"}))
    pages = []
    for span, published_now in steps:
        figures = read(connection, span, units)
        _check_published(figures, published, publisher.rule)
        withheld |= _audit(figures, published_now, withheld, publisher.rule)
        pages += _written(figures, span, published_now, withheld, publisher.rule, sealed)
        published |= {figure: (n, mark) for page in pages for figure, n, mark, _ in page.rows}
        if span.year and not publisher.without_rates:
            pages.append(_rates_page(rates.read(span.months, span.year), span, sealed))
    return pages


def _check_rule(connection: Connection, month: str, rule: Rule) -> None:
    months = periods.months_of_year(periods.financial_year(month))
    statement = select(publication.c.rule).where(publication.c.month.between(months[0], months[-1])).distinct()
    if set(connection.execute(statement).scalars()) - {rule.id}:
        raise SealError(
            f"This financial year is published under another rule than {rule.id!r}: IMDLENS_SUPPRESS_UP_TO and"
            " IMDLENS_LEAST_DENOMINATOR change with a financial year only."
        )


def _check_population(connection: Connection, month: str, publisher: Publisher) -> None:
    """Rates once published as absent stay absent, so a year is not closed without its denominators by oversight."""
    if not periods.ends_year(month) or publisher.without_rates:
        return
    year = periods.financial_year(month)
    edition = connection.execute(select(financial_year.c.edition).where(financial_year.c.year == year)).scalar()
    if not connection.execute(select(population).where(population.c.edition == edition).limit(1)).first():
        raise SealError(
            f"The year ends with {month}, and no population on {edition} is loaded for its standardised rates:"
            " `imdlens counts population FILE`, or seal --without-rates."
        )


def _check_published(figures: Figures, published: Mapping[Figure, tuple[int | None, str]], rule: Rule) -> None:
    """The audit argues from what readers have: every figure published before must be what the cells say today."""
    periods_known = {(figure.table, figure.period) for figure in published}
    for figure, n in figures.counts.items():
        if (figure.table, figure.period) not in periods_known:
            continue
        shown, mark = published.get(figure, (None, "missing"))
        if mark != WITHHELD and (shown, mark) != (
            rule.published(n),
            "" if rule.published(n) is not None else SUPPRESSED,
        ):
            raise RuntimeError(f"what {figure.table} says of {figure.period} is not what the cells say")


def _published(connection: Connection, months: Sequence[str]) -> dict[Figure, tuple[int | None, str]]:
    """Every figure published of these months and of their quarters, with its mark."""
    statement = (
        select(published_row)
        .join(
            publication, (publication.c.name == published_row.c.name) & (publication.c.period == published_row.c.period)
        )
        .where(publication.c.month.in_(months), publication.c.name != STANDARDISED)
    )
    return {figure_of(row): (row.n, row.suppressed) for row in connection.execute(statement)}


def _audit(figures: Figures, new: set[tuple[str, str]], withheld: set[Figure], rule: Rule) -> set[Figure]:
    """The figures among the new ones that must be withheld."""
    structure, slots = figures.structure, figures.slots
    low, high = np.zeros(len(slots)), np.full(len(slots), np.inf)
    targets, candidates = [], set()
    for i, figure in enumerate(slots):
        n = int(structure.truth[i])
        if figure in figures.counts and figure not in withheld:
            low[i], high[i] = rule.bounds(n)
        low[i] = max(low[i], structure.floors.get(i, 0))
        if (figure.table, figure.period) in new:
            candidates.add(i)
        if rule.is_small(n) and not figure.table.startswith("hidden_joint"):
            targets.append(i)
    return {slots[i] for i in audit(structure, targets, low, high, candidates)}


def _written(
    figures: Figures, span: Span, new: set[tuple[str, str]], withheld: set[Figure], rule: Rule, sealed: Sealed
) -> list[_Page]:
    """The new tables' rows as published, with shares from published parts. The one place where counts are rounded."""
    shown = {f: None if f in withheld else rule.published(n) for f, n in figures.counts.items()}
    pages: dict[tuple[str, str], _Page] = {}
    for figure, n in shown.items():
        key = (figure.table, figure.period)
        if key not in new:
            continue
        mark = WITHHELD if figure in withheld else SUPPRESSED if n is None else ""
        pages.setdefault(key, _Page(*key, span.months, [])).rows.append((figure, n, mark, share(figure, shown, rule)))
        _count(sealed, figure.table, mark)
    return list(pages.values())


def _rates_page(rates: Mapping[Figure, int | None], span: Span, sealed: Sealed) -> _Page:
    page = _Page(STANDARDISED, span.year or "", span.months, [])
    for figure, rate in rates.items():
        mark = WITHHELD if rate is None else ""
        page.rows.append((figure, None, mark, Share(rate)))
        _count(sealed, STANDARDISED, mark)
    return page


def _count(sealed: Sealed, table: str, mark: str) -> None:
    sealed.published[table] += 1
    sealed.suppressed[table] += mark == SUPPRESSED
    sealed.withheld[table] += mark == WITHHELD


# ------------------------------------------------------------------------------------- publishing


def _publish(
    engine: Engine, month: str, pages: Sequence[_Page], publisher: Publisher, facts: Mapping[str, str]
) -> None:
    """Write everything and mark the month sealed, or nothing."""
    with writing(engine) as connection:
        statement = (
            select(month_table.c.state, month_table.c.edition).where(month_table.c.month == month).with_for_update()
        )
        state, edition = connection.execute(statement).one()
        if state == "sealed":
            return  # another sealing was faster, and published the same
        now = periods.moment()
        for page in pages:
            connection.execute(
                insert(publication).values(
                    name=page.table,
                    period=page.period,
                    month=month,
                    sealed_at=now,
                    rule=publisher.rule.id,
                    edition=edition,
                    release=publisher.release,
                    organisation=publisher.organisation,
                    sentence=_sentence(page, edition, publisher.rule, synthetic="synthetic" in facts),
                    synthetic="synthetic" in facts,
                )
            )
            if page.rows:
                connection.execute(insert(published_row), [_row(page, i, *row) for i, row in enumerate(page.rows)])
        connection.execute(update(month_table).where(month_table.c.month == month).values(state="sealed"))


def _row(page: _Page, position: int, figure: Figure, n: int | None, mark: str, shown: Share) -> dict[str, Any]:
    unit_is_code = len(figure.unit) == 3 and figure.unit.isdigit()
    return {
        "name": page.table,
        "period": page.period,
        "position": position,
        "specialty": figure.unit if unit_is_code or figure.unit == tables.ALL_OTHER else "",
        "rtt_group": figure.unit if not unit_is_code and figure.unit != tables.ALL_OTHER else "",
        "contact_type": figure.contact_type,
        "outcome": figure.outcome,
        "imd_decile": figure.imd_decile,
        "imd_quintile": figure.imd_quintile,
        "core20": figure.core20,
        "dimension": figure.dimension,
        "category": figure.category,
        "client": figure.client,
        "n": n,
        "value": shown.value,
        "lower_ci": shown.lower,
        "upper_ci": shown.upper,
        "suppressed": mark,
    }


def _sentence(page: _Page, edition: str, rule: Rule, *, synthetic: bool) -> str:
    table = TABLES[page.table]
    marks = Counter(mark for _, _, mark, _ in page.rows)
    hidden = f"Counts from 1 to {rule.suppress_up_to} are shown as *, all others to the nearest {ROUNDED_TO}."
    if marks[WITHHELD]:
        hidden += f" {marks[WITHHELD]} more {'figure is' if marks[WITHHELD] == 1 else 'figures are'} withheld (w),"
        hidden += " because others would give a small count away."
    whole = {"month": 1, "quarter": 3, "year": 12}[table.period]
    if len(page.months) < whole:
        first, last = periods.in_words(page.months[0]), periods.in_words(page.months[-1])
        held = first if first == last else f"{first} to {last}"
        hidden = f"Counting began within this period: it holds {held} only. {hidden}"
    invented = "SYNTHETIC DATA, invented for demonstration. " if synthetic else ""
    return f"{invented}{table.shows}, {edition}, {periods.in_words(page.period)}. {table.leaves_out} {hidden}"
