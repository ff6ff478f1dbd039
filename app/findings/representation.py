"""Whether people from the most deprived fifth of areas come as often as is to be expected.

A unit's first contacts are compared with those of all other units, and with the residents of the catchment at the
unit's own ages. Never with 20%, which is England's share, and no hospital's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.context.catchment import Catchment, Catchments
from app.counts import periods
from app.counts.parts import ABSENT, Part, Publication, Published
from app.counts.tables import ALL_OTHER, CORE20_PARTS, FIRST, Figure
from app.findings import words
from app.findings.drawn import held_of, percent, source_of_pages, tenths
from app.findings.findings import (
    Comparison,
    Ratio,
    Reference,
    Refusal,
    RefusalCode,
    Share,
    Unit,
    Whole,
)
from app.findings.kinds import unit_of
from app.findings.options import Options
from app.inequality.measures import proportion, relative_gap, representation_ratio
from app.inequality.references import age_matched_share, resident_share

FIRST_CONTACTS: Final = "specialty_new_core20"  # T12
ALL_CONTACTS: Final = "specialty_core20"  # T1
AGES: Final = "specialty_age"  # T5
_NO_AGE: Final = "absent"
_LEFT_OUT: Final = 0.01  # of the ages: bands that are `*` may be so many and still be left out


@dataclass(frozen=True, slots=True)
class Core20Parts:
    """Contacts of each unit in one financial year, Core20 and the rest, as published; or why there are none."""

    year: str
    parts: Mapping[str, tuple[Part, Part]]  # unit: Core20, the rest of England
    publications: tuple[Publication, ...]
    are_first: bool  # first contacts, else all contacts
    design_effect: float
    refusal: Refusal | None


def comparisons(
    published: Published, unit_code: str, year: str | None, catchment: Catchments, options: Options
) -> tuple[Comparison, ...]:
    """A unit against all others but itself, then against the catchment; the organisation against the catchment alone.

    `year` is a financial year as published, `2026-27`; None is the newest. Each comparison has a figure or a refusal.
    """
    found = core20_parts(published, year, options)
    made = () if not unit_code else (_with_others(found, unit_code, options),)
    return (*made, _with_catchment(published, found, unit_code, catchment, options))


def core20_parts(published: Published, year: str | None, options: Options) -> Core20Parts:
    """First contacts of a year by unit; else all contacts of its twelve months, if a design effect is configured."""
    chosen = year or max(published.periods(FIRST_CONTACTS), default=None) or _whole_year(published)
    if chosen is None:
        return _none("", "not_published", "No financial year is published yet.")
    if publication := published.of(FIRST_CONTACTS, chosen):
        return Core20Parts(
            chosen,
            {
                unit: _pair(published, FIRST_CONTACTS, [chosen], unit)
                for unit in published.units(FIRST_CONTACTS, chosen)
            },
            (publication,),
            are_first=True,
            design_effect=1.0,
            refusal=None,
        )
    months = periods.months_of_year(int(chosen[:4]))
    pages = [page for month in months if (page := published.of(ALL_CONTACTS, month))]
    if len(pages) < len(months):
        return _none(chosen, "not_published", f"First contacts of {periods.in_words(chosen)} are not published.")
    if options.design_effect is None:
        return _none(
            chosen,
            "no_design_effect",
            f"First contacts of {periods.in_words(chosen)} are not published. In all contacts the same people come"
            " again and again, and how often is not configured, so there is no comparison.",
        )
    if len({page.edition for page in pages}) > 1:
        return _none(
            chosen,
            "other_edition",
            words.two_editions(),
        )
    units = dict.fromkeys(unit for month in months for unit in published.units(ALL_CONTACTS, month))
    return Core20Parts(
        chosen,
        {unit: _pair(published, ALL_CONTACTS, months, unit) for unit in units},
        tuple(pages),
        are_first=False,
        design_effect=options.design_effect,
        refusal=None,
    )


# ------------------------------------------------------------------------------- others but itself


def _with_others(found: Core20Parts, code: str, options: Options) -> Comparison:
    unit, source = unit_of(code), source_of_pages(found.publications)
    share, refusal = share_of_units(found, [code], options)
    # A hidden unit is left out whole, of both parts, and said: a share of the others may be, a sum may not.
    others = [other for other in found.parts if other != code]
    shown = [other for other in others if _is_shown(found.parts[other])]
    reference, ratio = None, None
    if refusal is None:
        rest, refused = share_of_units(found, shown, options)
        if rest.percent is None or rest.n is None or rest.total is None:
            refusal = refused
        else:
            missing = len(others) - len(shown)
            name = "the specialties with rows of their own" if code == ALL_OTHER else "all other specialties"
            name += f" ({missing} of {len(others)} are not shown)" if missing else ""
            date = found.publications[-1].sealed_at[:10]
            reference = Reference("others", name, "published tables", date, False, rest.percent)
            try:
                ratio = tenths(
                    relative_gap(share.n or 0, share.total or 0, rest.n, rest.total, design_effect=found.design_effect)
                )
            except ValueError:
                refusal = Refusal("no_events", "A ratio needs contacts from both kinds of area on both sides.")
    says = refusal.sentence if refusal else _said(found, unit, share, reference, ratio, "in {name}, {percent} in 100")
    return Comparison(unit, found.year, share, reference, ratio, says, refusal, source)


# ------------------------------------------------------------------------------------- a catchment


def _with_catchment(
    published: Published, found: Core20Parts, code: str, catchment: Catchments, options: Options
) -> Comparison:
    unit, pages = unit_of(code), found.publications
    codes = [code] if code else list(found.parts)
    share, refusal = share_of_units(found, codes, options)
    reference, ratio, why = None, None, ""
    if refusal is None:
        residents = catchment.of(pages[-1].edition)
        if residents is None:
            refusal = _no_residents(catchment, pages[-1].edition)
        else:
            expected, matched, why = _expected(published, found.year, codes, residents, options)
            reference = Reference(
                "catchment",
                residents.area,
                residents.source,
                residents.date.isoformat(),
                matched,
                Whole(*(round(100 * expected),) * 3),
            )
            if matched and (page := published.of(AGES, found.year)):
                pages = (*pages, page)
            if expected <= 0:
                refusal = Refusal(
                    "no_events", "No resident of the catchment lives in the most deprived fifth of areas."
                )
            else:
                ratio = tenths(
                    representation_ratio(share.n or 0, share.total or 0, expected, design_effect=found.design_effect)
                )
    against = "of the residents of {name}, {percent} in 100 live there" + (
        ", at the ages that came here" if reference and reference.is_age_matched else ""
    )
    says = refusal.sentence if refusal else f"{_said(found, unit, share, reference, ratio, against)}{why}"
    return Comparison(unit, found.year, share, reference, ratio, says, refusal, source_of_pages(pages))


def _no_residents(catchment: Catchments, edition: str) -> Refusal:
    if not catchment.each:
        return Refusal("no_reference", "No catchment is loaded: catchment.csv says who lives in the area served.")
    return Refusal(
        "other_edition",
        f"The catchment is on another edition of the index than the contacts, which are on {edition}: the two are"
        " never compared.",
    )


def _expected(
    published: Published, year: str, codes: Sequence[str], residents: Catchment, options: Options
) -> tuple[float, bool, str]:
    """The share of residents, whether it is matched for age, and if it is not, a sentence that says why."""
    crude = resident_share(residents.core20, residents.persons)
    if not residents.by_age:
        return crude, False, " Not matched for age: the catchment has no ages."
    page = published.of(AGES, year)
    if page is None:
        return crude, False, f" Not matched for age: ages of {periods.in_words(year)} are not published."
    ages, hidden, no_age = dict.fromkeys(residents.by_age, 0), 0, 0
    for code in codes:
        for band in ages:
            part = published.part(Figure(AGES, year, code, dimension="age_band", category=band))
            if part.n is None and part.mark != "*":
                return crude, False, " Not matched for age: the ages of those who came are not shown."
            ages[band] += part.n or 0
            hidden += options.suppress_up_to if part.n is None else 0
        no_age += published.part(Figure(AGES, year, code, dimension="age_band", category=_NO_AGE)).n or 0
    if 100 * no_age > options.unknown_limit * (sum(ages.values()) + no_age):
        return crude, False, " Not matched for age: too many of those who came have no age on record."
    if hidden > _LEFT_OUT * sum(ages.values()):
        return crude, False, " Not matched for age: too many of the ages of those who came are not shown."
    try:
        return age_matched_share(ages, residents.by_age), True, ""
    except ValueError:
        return crude, False, " Not matched for age: the catchment has nobody at some of these ages."


# ------------------------------------------------------------------------------------ shared parts


def _pair(published: Published, table: str, of: Sequence[str], unit: str) -> tuple[Part, Part]:
    core20, rest = (published.total(_figure(table, period, unit, part) for period in of) for part in CORE20_PARTS[:2])
    return core20, rest


def _figure(table: str, period: str, unit: str, core20: str) -> Figure:
    figure = Figure(table, period, unit, core20=core20)
    return figure._replace(dimension="attendance", category=FIRST) if table == FIRST_CONTACTS else figure


def _is_shown(pair: tuple[Part, Part]) -> bool:
    return all(part.n is not None for part in pair)


def share_of_units(found: Core20Parts, codes: Sequence[str], options: Options) -> tuple[Share, Refusal | None]:
    """The Core20 share of these units together; hidden where any part of any is."""
    if found.refusal:
        return Share(None, None, None, ABSENT), found.refusal
    pairs = [found.parts.get(code, (Part(None, ABSENT), Part(None, ABSENT))) for code in codes]
    hidden = next((part for pair in pairs for part in pair if part.n is None), None)
    if not pairs or (hidden and hidden.mark == ABSENT):
        return Share(None, None, None, ABSENT), Refusal(
            "not_published", f"Nothing is published of this in {periods.in_words(found.year)}."
        )
    if hidden:
        return Share(None, None, None, hidden.mark), Refusal(
            "hidden", words.hidden(hidden.mark, options.suppress_up_to)
        )
    n = sum(core20.n or 0 for core20, _ in pairs)
    total = n + sum(rest.n or 0 for _, rest in pairs)
    if total < options.least_denominator:
        return Share(n, total, None), Refusal(
            "too_few", f"Fewer than {options.least_denominator} contacts, too few for a share."
        )
    return Share(n, total, percent(proportion(n, total, design_effect=found.design_effect))), None


def _said(
    found: Core20Parts, unit: Unit, share: Share, reference: Reference | None, ratio: Ratio | None, against: str
) -> str:
    if share.percent is None or reference is None or ratio is None:
        return ""
    contacts = "first contacts" if found.are_first else "contacts"
    times = "about the same share" if ratio.value == 1 else f"{ratio.value} times the share"
    certain = " Whether the shares differ is not certain." if ratio.lower <= 1 <= ratio.upper else ""
    other = against.format(name=reference.name, percent=reference.share.value)
    return (
        f"In {periods.in_words(found.year)}, {words.in_100(share)} {contacts}{words.in_unit(unit)} were with people"
        f" from the most deprived fifth of areas; {other}. That is {times} (95% limits {ratio.lower} to"
        f" {ratio.upper} times).{certain} {words.NOT_YET_FAIR}{held_of(found.publications)}"
    )


def _whole_year(published: Published) -> str | None:
    months = set(published.periods(ALL_CONTACTS))
    years = {periods.financial_year(month) for month in months}
    ended = [year for year in years if months.issuperset(periods.months_of_year(year))]
    return periods.year_name(max(ended)) if ended else None


def _none(year: str, code: RefusalCode, sentence: str) -> Core20Parts:
    refusal = Refusal(code, sentence)
    return Core20Parts(year, {}, (), are_first=True, design_effect=1.0, refusal=refusal)
