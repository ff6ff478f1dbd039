"""Published figures as parts that may be added: what is hidden stays hidden, and hides every sum that it is in.

What was published never changes, so a page of it is read from the store once.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from re import compile as pattern
from typing import Any, Final, NamedTuple, Protocol

from sqlalchemy import Engine, select

from app.counts.schema import publication, published_row
from app.counts.tables import Figure

ABSENT: Final = "absent"
"""The mark of a figure that is in no publication."""

_HELD: Final = pattern(r"Counting began within this period: it holds [^.]+\.")

_KEPT: Final = 1024  # pages: two years of every table are some 150


class Part(NamedTuple):
    """A published count, or why it is not shown: `*`, `w` or `absent`. `value` is the table's share or rate."""

    n: int | None
    mark: str = ""
    value: int | None = None


class Publication(NamedTuple):
    """One sealing of one table."""

    table: str
    period: str
    month: str  # whose sealing published it
    sealed_at: str
    edition: str
    release: str
    rule: str
    organisation: str
    sentence: str
    synthetic: bool

    @property
    def held(self) -> str:
        """Which months it holds, in a sentence, where counting began within its period; else empty."""
        found = _HELD.search(self.sentence)
        return found[0] if found else ""


class Pages(Protocol):
    """Where published pages are read."""

    def figures(self, table: str, period: str) -> Mapping[Figure, Part]:
        """The figures of one table in one period, in the order of its rows."""


class Published:
    """All that was published up to one moment. A finding is worked out from one of these, so its parts agree."""

    def __init__(self, pages: Pages, publications: Sequence[Publication]) -> None:
        self.pages, self.publications = pages, publications  # oldest first
        self._of = {(p.table, p.period): p for p in publications}

    @property
    def version(self) -> str:
        """Changes whenever something is published, and never else."""
        return f"{len(self.publications)}:{max((p.sealed_at for p in self.publications), default='')}"

    def periods(self, table: str) -> list[str]:
        """The periods that are published of a table, oldest first."""
        return [p.period for p in self.publications if p.table == table]

    def of(self, table: str, period: str) -> Publication | None:
        """One publication; None where there is none."""
        return self._of.get((table, period))

    def figures(self, table: str, period: str) -> Mapping[Figure, Part]:
        """The figures of one page; none where it is not published."""
        return self.pages.figures(table, period) if self.of(table, period) else {}

    def part(self, figure: Figure) -> Part:
        """A figure as published."""
        return self.figures(figure.table, figure.period).get(figure, Part(None, ABSENT))

    def units(self, table: str, period: str) -> list[str]:
        """The units with rows on a page, in the order of its rows."""
        return list(dict.fromkeys(figure.unit for figure in self.figures(table, period)))

    def total(self, figures: Iterable[Figure]) -> Part:
        """The sum of published parts; hidden where any of them is, with the mark of the first that is."""
        parts = [self.part(figure) for figure in figures]
        hidden = next((part for part in parts if part.n is None), None)
        return hidden or Part(sum(part.n or 0 for part in parts))


class PublishedPages:
    """The pages of one store. Methods may raise SQLAlchemy's errors when the database is away."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._read = lru_cache(_KEPT)(self._page)

    def now(self) -> Published:
        """What is published at this moment."""
        with self._engine.connect() as connection:
            found = connection.execute(select(publication).order_by(publication.c.month, publication.c.name)).all()
        return Published(
            self,
            [
                Publication(
                    row.name,
                    row.period,
                    row.month,
                    row.sealed_at,
                    row.edition,
                    row.release,
                    row.rule,
                    row.organisation,
                    row.sentence,
                    row.synthetic,
                )
                for row in found
            ],
        )

    def figures(self, table: str, period: str) -> Mapping[Figure, Part]:
        """The figures of one table in one period, in the order of its rows."""
        return self._read(table, period)

    def _page(self, table: str, period: str) -> Mapping[Figure, Part]:
        chosen = select(published_row).where(published_row.c.name == table, published_row.c.period == period)
        with self._engine.connect() as connection:
            rows = connection.execute(chosen.order_by(published_row.c.position)).all()
        return {figure_of(row): Part(row.n, row.suppressed, row.value) for row in rows}


def figure_of(row: Any) -> Figure:
    """The figure that a published row is of."""
    return Figure(
        row.name,
        row.period,
        row.specialty or row.rtt_group,
        row.contact_type,
        row.outcome,
        row.imd_decile,
        row.imd_quintile,
        row.core20,
        row.dimension,
        row.category,
        row.client,
    )
