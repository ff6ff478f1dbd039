"""How many contacts came from the most deprived fifth of areas, and how many came per resident of each fifth."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from app.counts.parts import Part, Published
from app.findings import drawn, words
from app.findings.findings import Comparison, Refusal, Source
from app.findings.kinds import MEASURES, unit_of
from app.findings.options import Options

_RATES: Final = "organisation_standardised"


class Rate(NamedTuple):
    """Contacts of one type per 1,000 residents of one fifth, standardised for age, as published."""

    contact_type: str
    quintile: str
    rate: Part  # its `value`


@dataclass(frozen=True, slots=True)
class Standardised:
    """Rates of a financial year. No crude rate can stand beside them: `words.NO_CRUDE_RATE` says why."""

    year: str
    rates: Sequence[Rate]
    what: str  # of a year in which counting began it says so: such rates are of fewer months than twelve
    source: Source | None


def core20_share(published: Published, unit_code: str, period: str, options: Options) -> Comparison:
    """The Core20 share of a unit's contacts with a decile, not compared with anything: `reference` is None."""
    measure, unit = MEASURES["core20_share"], unit_of(unit_code)
    ways, counted = drawn.draw(published, measure.name, unit_code, period, ("core20",))
    share = drawn.share_of(counted[0], options, drawn.design_effect_of(measure, options))
    source = drawn.source_of(published, (f for way in ways for f in way.total))
    refusal = drawn.refusal_of(counted, measure, unit, period, options)
    if source and ", " in source.edition:
        refusal = Refusal("other_edition", words.two_editions())
        share = drawn.NOT_ADDED
    sentence = refusal.sentence if refusal else words.core20_share(measure, unit, period, share)
    return Comparison(unit, period, share, None, None, sentence, refusal, source)


def standardised(published: Published, year: str) -> Standardised | None:
    """The published rates of a year; None where there are none."""
    figures = published.figures(_RATES, year)
    if not figures:
        return None
    rates = [Rate(figure.contact_type, figure.imd_quintile, part) for figure, part in figures.items()]
    what = words.WHAT_IS_STANDARDISED + drawn.held(published, figures)
    return Standardised(year, rates, what, drawn.source_of(published, figures))
