"""Which published figures a measure is drawn from, and the shares and sources that they make."""

from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple

from app.counts import periods
from app.counts.parts import ABSENT, Part, Publication, Published
from app.counts.tables import ATTENDED_OR_NOT, CORE20_PARTS, QUINTILES, TABLES, Figure
from app.findings import words
from app.findings.findings import Measure, MeasureName, Ratio, Refusal, Share, Source, Unit, Whole
from app.findings.options import Options
from app.inequality.measures import Estimate, proportion

Group = Literal["core20", "rest", "1", "2", "3", "4", "5"]
"""The most deprived fifth, all others with a decile, or one fifth."""

_DNA, _ATTENDED, _BY_PROVIDER = "did_not_attend", "attended", "cancelled_by_provider"
_OVER: Final = {"over_18_weeks": "over_18_weeks", "over_52_weeks": "over_52_weeks"}
# Over 52 weeks is part of over 18 weeks: these two are everybody.
_WHOLE_LIST: Final = ("within_18_weeks", "over_18_weeks")


class Drawn(NamedTuple):
    """The figures whose sums are the events and the total of a share; without any, nothing is published of it."""

    events: tuple[Figure, ...] = ()
    total: tuple[Figure, ...] = ()


class Counted(NamedTuple):
    """The two sums of a share, as published."""

    events: Part
    total: Part

    @property
    def mark(self) -> str:
        """Why the share cannot be said; empty where both sums are shown."""
        return self.total.mark or self.events.mark


def months_of(period: str) -> list[str]:
    """The months of a month, a quarter or a financial year."""
    if periods.is_month(period):
        return [period]
    months = periods.months_of_year(int(period[:4]))
    return months[(int(period[-1]) - 1) * 3 :][:3] if "Q" in period else months


def is_year(period: str) -> bool:
    """Whether this is a financial year."""
    return not periods.is_month(period) and "Q" not in period


def choices(published: Published, measure: MeasureName, unit: str, period: str, group: Group) -> list[Drawn]:
    """The ways in which one group's share can be added up, the first to be preferred; none at another grain.

    A month, quarter or year is one to choose from where a table is published by it or by its months.
    """
    if measure in _OVER:
        return [_waiting(published, _OVER[measure], unit, period, group)] if periods.is_month(period) else []
    if measure == "core20_share":
        return [_contacts(published, unit, period)] if group == "core20" else []
    if unit:
        return _of_unit(measure, unit, period, group)
    by_months = _of_organisation(measure, period, group)
    if measure == "missed" and "Q" in period and group in ("core20", "rest"):
        # By specialty fewer figures are small, so they may all be shown where those of a month are not.
        units = published.units("specialty_dna_core20", period)
        return [by_months, _added(_by_core20(measure, u, period, group) for u in units)]
    if is_year(period):
        units = published.units("specialty_dna_quintile", period)
        return [by_months, _added(_by_fifths(measure, u, period, group) for u in units)]
    return [by_months]


def _added(drawn: Iterable[Drawn]) -> Drawn:
    parts = list(drawn)
    return Drawn(tuple(f for d in parts for f in d.events), tuple(f for d in parts for f in d.total))


def _core20(group: Group) -> str:
    return CORE20_PARTS[0] if group == "core20" else CORE20_PARTS[1]


def _fifths(group: Group) -> tuple[str, ...]:
    # Core20 is the most deprived fifth exactly.
    return QUINTILES[:1] if group == "core20" else QUINTILES[1:] if group == "rest" else (group,)


def _waiting(published: Published, wait: str, unit: str, month: str, group: Group) -> Drawn:
    units = [unit] if unit else published.units("waiting_list", month)
    base = Figure("waiting_list", month, core20=_core20(group), dimension="wait")
    return Drawn(
        tuple(base._replace(unit=u, category=wait) for u in units),
        tuple(base._replace(unit=u, category=c) for u in units for c in _WHOLE_LIST),
    )


def _contacts(published: Published, unit: str, period: str) -> Drawn:
    """Contacts from Core20 areas among those with a decile."""
    table = "specialty_core20"
    core20, rest = (
        tuple(
            Figure(table, month, u, core20=part)
            for month in months_of(period)
            for u in ([unit] if unit else published.units(table, month) or [ABSENT])
        )
        for part in CORE20_PARTS[:2]
    )
    return Drawn(core20, core20 + rest)


def _of_unit(measure: MeasureName, unit: str, period: str, group: Group) -> list[Drawn]:
    if is_year(period):
        return [_by_fifths(measure, unit, period, group)]
    if "Q" in period and measure == "missed" and group in ("core20", "rest"):
        return [_by_core20(measure, unit, period, group)]
    return []


def _by_core20(measure: MeasureName, unit: str, quarter: str, group: Group) -> Drawn:
    whole = Figure("specialty_dna_core20", quarter, unit, outcome=ATTENDED_OR_NOT, core20=_core20(group))
    return Drawn((whole._replace(outcome=_DNA),), (whole,))


def _by_fifths(measure: MeasureName, unit: str, year: str, group: Group) -> Drawn:
    base = [Figure("specialty_dna_quintile", year, unit, imd_quintile=q) for q in _fifths(group)]
    held = tuple(b._replace(outcome=ATTENDED_OR_NOT) for b in base)
    if measure == "missed":
        return Drawn(tuple(b._replace(outcome=_DNA) for b in base), held)
    cancelled = tuple(b._replace(outcome=_BY_PROVIDER) for b in base)
    return Drawn(cancelled, cancelled + held)


def _of_organisation(measure: MeasureName, period: str, group: Group) -> Drawn:
    base = [
        Figure("organisation_outcome", month, imd_quintile=q) for month in months_of(period) for q in _fifths(group)
    ]
    counted = _DNA if measure == "missed" else _BY_PROVIDER
    others = (_ATTENDED,) if measure == "missed" else (_ATTENDED, _DNA)
    events = tuple(b._replace(outcome=counted) for b in base)
    return Drawn(events, events + tuple(b._replace(outcome=o) for b in base for o in others))


def count(published: Published, drawn: Drawn) -> Counted:
    """The sums; `absent` where there is nothing to add up, since a sum of nothing would be 0."""
    if not drawn.total:
        return Counted(Part(None, ABSENT), Part(None, ABSENT))
    return Counted(published.total(drawn.events), published.total(drawn.total))


def draw(
    published: Published, measure: MeasureName, unit: str, period: str, groups: Sequence[Group]
) -> tuple[list[Drawn], list[Counted]]:
    """The figures of all groups in the first way in which every one of them is shown, else in the first of all."""
    ways = list(zip(*(choices(published, measure, unit, period, group) for group in groups), strict=True))
    ways = ways or [tuple(Drawn() for _ in groups)]
    counted = [[count(published, drawn) for drawn in way] for way in ways]
    shown = next((i for i, sums in enumerate(counted) if not any(c.mark for c in sums)), 0)
    return list(ways[shown]), counted[shown]


def refusal_of(
    counted: Sequence[Counted], measure: Measure, unit: Unit, period: str, options: Options
) -> Refusal | None:
    """Why no share of these can be said; None where all can."""
    marks = [c.mark for c in counted if c.mark]
    if ABSENT in marks:
        return Refusal("not_published", words.not_published(measure, unit, period))
    if marks:
        return Refusal("hidden", words.hidden(marks[0], options.suppress_up_to))
    # As each figure is rounded by itself, there may be more events than contacts: that is no share either.
    if any(_is_few(c, options) for c in counted):
        return Refusal("too_few", words.too_few(measure, options.least_denominator))
    return None


def _is_few(counted: Counted, options: Options) -> bool:
    events, total = counted.events.n or 0, counted.total.n or 0
    return total < options.least_denominator or events > total


NOT_ADDED: Final = Share(None, None, None, ABSENT)
"""In place of a share whose parts are on two editions: such counts are never added."""


def share_of(counted: Counted, options: Options, design_effect: float = 1.0, confidence: float = 0.95) -> Share:
    """A share with its limits; without them where a sum is hidden, or the total is too small."""
    events, total = counted.events.n, counted.total.n
    if events is None or total is None or _is_few(counted, options):
        return Share(events, total, None, counted.mark)
    return Share(events, total, percent(proportion(events, total, confidence, design_effect)))


def design_effect_of(measure: Measure, options: Options) -> float:
    """What limits are widened by. A person is on a waiting list once, but comes often: it is of contacts alone."""
    return 1.0 if measure.is_stock or options.design_effect is None else options.design_effect


def held(published: Published, figures: Iterable[Figure]) -> str:
    """What to add to a finding whose figures are of periods in which counting began; empty where all are whole."""
    pages = dict.fromkeys((f.table, f.period) for f in figures)
    return held_of(p for p in (published.of(*page) for page in pages) if p)


def held_of(pages: Iterable[Publication]) -> str:
    """The same of pages."""
    return "".join(f" {said}" for said in dict.fromkeys(page.held for page in pages) if said)


def percent(estimate: Estimate) -> Whole:
    """A proportion, or a difference of two, in whole percent or points."""
    return Whole(*(round(100 * part) for part in estimate))


def tenths(estimate: Estimate) -> Ratio:
    """A ratio in tenths."""
    return Ratio(*(round(part, 1) for part in estimate))


def nearest_5(events: float) -> int:
    """A number of events as coarse as the counts that it is worked out from."""
    return round(events / 5) * 5


def with_decile(unit: str, month: str) -> tuple[Figure, ...]:
    """Contacts of a unit in a month, with and without a decile: the three parts of T1."""
    return tuple(Figure("specialty_core20", month, unit, core20=part) for part in CORE20_PARTS)


def source_of(published: Published, figures: Iterable[Figure]) -> Source | None:
    """Where figures were published; None where none of them was."""
    pages = dict.fromkeys((f.table, f.period) for f in figures)
    return source_of_pages([p for p in (published.of(*page) for page in pages) if p])


def source_of_pages(pages: Sequence[Publication]) -> Source | None:
    """Where a finding is from, by the pages that it was worked out from; None without any."""
    if not pages:
        return None
    return Source(
        tuple(dict.fromkeys(f"{TABLES[page.table].number} {page.table}" for page in pages)),
        tuple(dict.fromkeys(page.period for page in pages)),
        ", ".join(dict.fromkeys(page.edition for page in pages)),
        max(page.sealed_at for page in pages),
        any(page.synthetic for page in pages),
    )
