"""All findings of one unit in one quarter, and the one that is said first."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from app.counts.parts import Publication, Published
from app.findings import drawn, words
from app.findings.fifths import fifths
from app.findings.findings import Comparison, Fifths, Gap, MeasureName, Quality, Refusal, Trend, Unit, Waits
from app.findings.gaps import gap
from app.findings.kinds import unit_of
from app.findings.options import Options
from app.findings.quality import quality
from app.findings.trends import MOST_POINTS, sequence, trend
from app.findings.waits import waits

_APPOINTMENTS: Final = "specialty_dna_core20"
_BY_FIFTHS: Final = "specialty_dna_quintile"
_MONTHLY: Final = "organisation_outcome"
_STOCKS: Final[tuple[MeasureName, MeasureName]] = ("over_18_weeks", "over_52_weeks")


@dataclass(frozen=True, slots=True)
class Break:
    """Where the edition changes."""

    period: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Overview:
    """What one unit's published tables say of a quarter. Without a publication there is a refusal and nothing else."""

    unit: Unit
    quarter: str | None
    quarters: tuple[str, ...]  # to choose from, the newest first
    gaps: tuple[Gap, ...]  # all that were looked at, those with a refusal too
    headline: str
    behind: Gap | None  # the gap that the headline is of
    trend: Trend | None  # of missed appointments, up to the quarter
    missed: Fifths | None  # of the newest financial year that is over
    cancelled: Fifths | None
    waits: Waits | None  # at the newest month's end of the quarter that has a list
    comparisons: tuple[Comparison, ...]
    quality: Quality | None
    breaks: tuple[Break, ...]  # in the 24 months up to the quarter's end
    is_synthetic: bool
    organisation: str
    rule: str
    sealed_at: str
    refusal: Refusal | None


def quarters(published: Published) -> tuple[str, ...]:
    """The quarters that are published, the newest first."""
    return tuple(sorted(published.periods(_APPOINTMENTS), reverse=True))


def year_by(published: Published, quarter: str) -> str | None:
    """The newest published financial year that was over when the quarter was."""
    end = drawn.months_of(quarter)[-1]
    years = [y for y in published.periods(_BY_FIFTHS) if drawn.months_of(y)[-1] <= end]
    return max(years, default=None)


def units(published: Published, quarter: str) -> tuple[Unit, ...]:
    """The units with rows of their own in a quarter, in the order of publication; the organisation is none of them."""
    codes = [*published.units(_APPOINTMENTS, quarter)]
    for month in drawn.months_of(quarter):
        codes += published.units("specialty_core20", month)
    return tuple(unit_of(code) for code in dict.fromkeys(codes))


def overview(
    published: Published,
    unit_code: str,
    quarter: str | None = None,
    options: Options | None = None,
    comparisons: Sequence[Comparison] = (),
) -> Overview:
    """Of the newest quarter by default. A quarter that is not published has a refusal, and so has an empty store."""
    options = options or Options()
    unit, known = unit_of(unit_code), quarters(published)
    quarter = quarter or next(iter(known), None)
    if quarter is None or quarter not in known:
        sentence = words.nothing_published() if quarter is None else words.quarter_not_published(quarter)
        return _nothing(published, unit, known, quarter, sentence)
    months = drawn.months_of(quarter)
    listed = [m for m in months if published.of("waiting_list", m)]
    waiting = waits(published, unit_code, listed[-1], options) if listed else None
    looked_at = [gap(published, "missed", unit_code, quarter, options)]
    if waiting:
        looked_at += [waiting.over_18, waiting.over_52]
    else:
        looked_at += [gap(published, stock, unit_code, months[-1], options) for stock in _STOCKS]
    sentence, behind = headline(looked_at)
    year = year_by(published, quarter)
    # What is said of a quarter is of what was published by its end.
    until = [p for p in published.publications if p.month <= months[-1]]
    return Overview(
        unit,
        quarter,
        known,
        tuple(looked_at),
        sentence,
        behind,
        trend(published, "missed", unit_code, options, until=quarter),
        fifths(published, "missed", unit_code, year, options) if year else None,
        fifths(published, "cancelled_by_provider", unit_code, year, options) if year else None,
        waiting,
        tuple(comparisons),
        quality(published, unit_code, quarter, options),
        breaks(published, quarter),
        any(p.synthetic for p in until),
        _newest(until).organisation,
        _newest(until).rule,
        _newest(until).sealed_at,
        None,
    )


def headline(looked_at: Sequence[Gap]) -> tuple[str, Gap | None]:
    """The largest certain gap in a sentence that says of how many it is; where none is certain, that.

    Gaps with more in the most deprived fifth come before gaps the other way.
    """
    known = [(g, g.absolute.value) for g in looked_at if g.absolute is not None]
    if not known:
        return words.nothing_to_say(looked_at[0].sentence if looked_at else words.nothing_published()), None
    certain = [(g, value) for g, value in known if g.is_certain]
    if not certain:
        return words.no_certain_gap([g for g, _ in known]), None
    behind, most = max(certain, key=lambda found: (found[1] > 0, abs(found[1])))
    alike = sum(value == most for _, value in certain) > 1
    return words.headline(behind, len(certain), len(known), alike=alike), behind


def breaks(published: Published, quarter: str) -> tuple[Break, ...]:
    """Where the edition changes in the 24 months up to a quarter's end."""
    months = sequence(published, _MONTHLY, quarter)[-MOST_POINTS:]
    editions = [(m, page.edition) for m in months if (page := published.of(_MONTHLY, m))]
    return tuple(
        Break(month, words.edition_break(month, after, before))
        for (_, before), (month, after) in pairwise(editions)
        if before != after
    )


def _newest(publications: Sequence[Publication]) -> Publication:
    return max(publications, key=lambda p: (p.month, p.sealed_at))


def _nothing(published: Published, unit: Unit, known: tuple[str, ...], quarter: str | None, sentence: str) -> Overview:
    everything = list(published.publications)
    newest = _newest(everything) if everything else None
    return Overview(
        unit,
        quarter,
        known,
        (),
        sentence,
        None,
        None,
        None,
        None,
        None,
        (),
        None,
        (),
        any(p.synthetic for p in everything),
        newest.organisation if newest else "",
        newest.rule if newest else "",
        newest.sealed_at if newest else "",
        Refusal("not_published", sentence),
    )
