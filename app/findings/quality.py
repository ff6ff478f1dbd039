"""What is not known: contacts without a decile, what postcodes were, and what else is published of a whole year."""

from dataclasses import dataclass
from typing import Final

from app.counts.cells import NO_DECILE
from app.counts.parts import Part, Published
from app.counts.tables import STATUSES, Figure
from app.findings import drawn, words
from app.findings.findings import Quality, Refusal, Share, Source
from app.findings.kinds import MEASURES, unit_of
from app.findings.options import Options

_FOUND: Final = ("live", "terminated")


@dataclass(frozen=True, slots=True)
class Completeness:
    """What the postcodes of one sending client were in a month. `found` is the share with a place on the map."""

    month: str
    client: str
    statuses: tuple[tuple[str, Part], ...]
    found: Share
    source: Source | None


@dataclass(frozen=True, slots=True)
class Inclusion:
    """Contacts of the whole organisation by inclusion-health group and access need: only what records say."""

    year: str
    groups: tuple[tuple[str, Part], ...]
    needs: tuple[tuple[str, Part], ...]
    sentence: str
    refusal: Refusal | None
    source: Source | None


def quality(published: Published, unit_code: str, quarter: str, options: Options) -> Quality:
    """Contacts without a decile among all contacts of a quarter, a month or a year."""
    unit, measure = unit_of(unit_code), MEASURES["core20_share"]
    ways = [_by_contacts(published, unit_code, quarter)]
    if not unit_code:
        ways.insert(0, _by_outcomes(published, quarter))
    counted = [drawn.count(published, way) for way in ways]
    chosen = next((c for c in counted if not c.mark), counted[0])
    share = drawn.share_of(chosen, options)
    if share.percent is None:
        refusal = drawn.refusal_of([chosen], measure, unit, quarter, options)
        return Quality(unit, quarter, share, False, words.quality_not_known(refusal.sentence if refusal else ""))
    over = share.percent.value > options.unknown_limit
    return Quality(unit, quarter, share, over, words.quality(unit, quarter, share, options.unknown_limit, over=over))


def _by_contacts(published: Published, unit_code: str, period: str) -> drawn.Drawn:
    months = drawn.months_of(period)
    everything = [
        figure
        for month in months
        for unit in ([unit_code] if unit_code else published.units("specialty_core20", month))
        for figure in drawn.with_decile(unit, month)
    ]
    return _of_whole(
        published, "specialty_core20", months, everything, [f for f in everything if f.core20 == NO_DECILE]
    )


def _by_outcomes(published: Published, period: str) -> drawn.Drawn:
    months = drawn.months_of(period)
    everything = [f for month in months for f in published.figures("organisation_outcome", month)]
    unknown = [f for f in everything if f.imd_quintile == NO_DECILE]
    return _of_whole(published, "organisation_outcome", months, everything, unknown)


def _of_whole(
    published: Published, table: str, months: list[str], everything: list[Figure], unknown: list[Figure]
) -> drawn.Drawn:
    """Nothing where a month is missing: a part of a quarter is not the quarter."""
    if not unknown or any(published.of(table, month) is None for month in months):
        return drawn.Drawn()
    return drawn.Drawn(tuple(unknown), tuple(everything))


def completeness(published: Published, month: str, options: Options) -> tuple[Completeness, ...]:
    """Each sending client's postcodes; none where the month is not published."""
    figures = published.figures("completeness", month)
    found = []
    for client in dict.fromkeys(f.client for f in figures):
        of_client = {f.category: f for f in figures if f.client == client}
        usable = tuple(of_client[status] for status in _FOUND if status in of_client)
        counted = drawn.count(published, drawn.Drawn(usable, tuple(of_client.values())))
        statuses = tuple((s, figures[of_client[s]]) for s in STATUSES if s in of_client)
        source = drawn.source_of(published, of_client.values())
        found.append(Completeness(month, client, statuses, drawn.share_of(counted, options), source))
    return tuple(found)


def inclusion(published: Published, year: str) -> Inclusion:
    """Counts of the whole organisation in a financial year, each as published."""
    groups = published.figures("organisation_inclusion", year)
    needs = published.figures("organisation_access", year)
    source = drawn.source_of(published, [*groups, *needs])
    refusal = None if source else Refusal("not_published", words.inclusion_not_published(year))
    return Inclusion(
        year,
        tuple((figure.category, part) for figure, part in groups.items()),
        tuple((figure.category, part) for figure, part in needs.items()),
        refusal.sentence if refusal else words.inclusion(year) + drawn.held(published, [*groups, *needs]),
        refusal,
        source,
    )
