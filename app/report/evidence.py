"""All findings that a report is made of: worked out once, from published tables alone, for one period."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from app.context.rulebook import Rulebook
from app.counts.parts import Publication, Published
from app.findings import drawn
from app.findings.drawn import months_of
from app.findings.findings import Comparison, Gap, Quality, Ranking, Share, Source, Unit, Waits
from app.findings.gaps import gap
from app.findings.options import Options
from app.findings.overview import Overview, overview, units
from app.findings.quality import Completeness, Inclusion, completeness, inclusion, quality
from app.findings.ranking import ranking
from app.findings.representation import comparisons
from app.findings.waits import waits
from app.report.document import Fact
from app.report.period import ReportPeriod, ReportPeriodError, read_period


class ReportUnitError(Exception):
    """A specialty without rows of its own; the message lists those that have."""


@dataclass(frozen=True, slots=True)
class UnitFindings:
    """What stands side by side for each specialty."""

    unit: Unit
    missed: Gap
    waits: Waits | None
    comparisons: tuple[Comparison, ...]
    quality: Quality
    contacts: Share  # from the most deprived fifth, of contacts with a decile
    contacts_source: Source | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything a report may say a number of."""

    published: Published
    book: Rulebook
    options: Options
    period: ReportPeriod
    overview: Overview  # of the unit that the report is about
    units: tuple[UnitFindings, ...]  # all specialties with rows of their own
    rankings: tuple[Ranking, ...]
    completeness: tuple[Completeness, ...]
    inclusion: Inclusion | None
    pages: tuple[Publication, ...]  # all that was published by the period's end

    @property
    def is_synthetic(self) -> bool:
        """Whether any of it is invented."""
        return any(page.synthetic for page in self.pages)

    @property
    def organisation(self) -> str:
        """The ODS code that the newest table bears; empty where none was configured."""
        return self.pages[-1].organisation if self.pages else ""

    @property
    def editions(self) -> tuple[str, ...]:
        """The editions of the index that tables of the period are on."""
        months = set(months_of(self.period.asked))
        return tuple(dict.fromkeys(page.edition for page in self.pages if page.month in months))

    @property
    def sealed_at(self) -> str:
        """When the newest table was sealed: the report is dated by it."""
        return max((page.sealed_at for page in self.pages), default="1980-01-01T00:00:00+00:00")

    @property
    def dated(self) -> datetime:
        """The same as a moment."""
        read = datetime.fromisoformat(self.sealed_at)
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).replace(microsecond=0)

    def facts(self) -> tuple[Fact, ...]:
        """What a title page says."""
        named = {
            "Organisation": self.organisation or "not configured (IMDLENS_ORGANISATION)",
            "Whose contacts": self.overview.unit.name,
            "Period": self.period.words,
            "Edition": ", ".join(self.editions),
            "Newest table sealed": self.sealed_at[:10],
            "Data": "SYNTHETIC: invented for demonstration" if self.is_synthetic else "published tables only",
        }
        return tuple(Fact(name, value) for name, value in named.items())


def gather(published: Published, book: Rulebook, options: Options, period: str, unit_code: str = "") -> Evidence:
    """All findings of a period as it was asked for. ReportPeriodError, ReportUnitError."""
    asked = read_period(published, period)
    if not asked.quarter:
        raise ReportPeriodError(
            f"By the end of {asked.words} no quarter of missed appointments is published, and a report rests on one."
        )
    known = units(published, asked.quarter)
    if unit_code and unit_code not in {unit.code for unit in known}:
        raise ReportUnitError(
            f"--specialty: no rows of its own in {asked.quarter}. There are: {', '.join(u.code for u in known)}."
        )
    year = asked.year or None
    each = tuple(_of_unit(published, book, options, asked, unit) for unit in known)
    return Evidence(
        published,
        book,
        options,
        asked,
        overview(
            published,
            unit_code,
            asked.quarter,
            options,
            comparisons(published, unit_code, year, book.catchment, options) if year else (),
        ),
        each,
        tuple(_rankings(published, options, asked)),
        completeness(published, asked.month, options),
        inclusion(published, year) if year else None,
        tuple(p for p in published.publications if p.month <= months_of(asked.asked)[-1]),
    )


def _of_unit(published: Published, book: Rulebook, options: Options, asked: ReportPeriod, unit: Unit) -> UnitFindings:
    found = comparisons(published, unit.code, asked.year, book.catchment, options) if asked.year else ()
    ways, counted = drawn.draw(published, "core20_share", unit.code, asked.quarter, ("core20",))
    return UnitFindings(
        unit,
        gap(published, "missed", unit.code, asked.quarter, options),
        _waiting(published, unit.code, asked, options),
        found,
        quality(published, unit.code, asked.quarter, options),
        drawn.share_of(counted[0], options),
        drawn.source_of(published, ways[0].total),
    )


def _waiting(published: Published, code: str, asked: ReportPeriod, options: Options) -> Waits | None:
    month = newest_list(published, asked)
    return waits(published, code, month, options) if month else None


def newest_list(published: Published, asked: ReportPeriod) -> str:
    """The newest month of the period whose waiting list is published; empty where there is none."""
    return max((m for m in months_of(asked.asked) if published.of("waiting_list", m)), default="")


def _rankings(published: Published, options: Options, asked: ReportPeriod) -> Iterable[Ranking]:
    yield ranking(published, "missed", asked.quarter, options)
    if month := newest_list(published, asked):
        yield ranking(published, "over_18_weeks", month, options)
    if asked.year:
        yield ranking(published, "core20_share", asked.year, options)


def said_of(source: Source | None) -> str:
    """Where a finding is from, in one sentence."""
    if source is None:
        return "Nothing is published of this."
    periods = source.periods
    span = ", ".join(periods) if len(periods) <= 4 else f"{periods[0]} to {periods[-1]}"
    mark = "SYNTHETIC. " if source.synthetic else ""
    return f"{mark}Source: {', '.join(source.tables)}; {span}; {source.edition}; sealed {source.sealed_at[:10]}."


def joined(sources: Iterable[Source | None]) -> Source | None:
    """The sources of several findings as one; None where none has any."""
    found = [source for source in sources if source]
    if not found:
        return None
    return Source(
        tuple(dict.fromkeys(table for source in found for table in source.tables)),
        tuple(dict.fromkeys(period for source in found for period in source.periods)),
        ", ".join(dict.fromkeys(source.edition for source in found)),
        max(source.sealed_at for source in found),
        any(source.synthetic for source in found),
    )
