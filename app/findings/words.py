"""Every sentence of the findings, in one place: about areas and services, never about anybody's fault.

Shares are said as "14 in 100", so that nobody must know what a percentage point of which percentage is.
"""

from collections.abc import Sequence
from typing import Final

from app.counts import periods
from app.findings.findings import Gap, Measure, Share, Unit, Verdict, Whole

CONTACTS_ARE_NOT_PEOPLE: Final = (
    "Contacts are counted, not people: one person who comes often weighs often, and the limits, which take contacts for"
    " independent, are then too narrow."
)
CONTACTS_WEIGH: Final = (
    "Contacts are counted, not people: one person who comes often weighs often, and limits are too narrow where no"
    " design effect is set."
)
DESIGN_EFFECT: Final = "Contacts are counted, not people: the limits are widened by the design effect that is set."
FIRST_CONTACTS: Final = (
    "First contacts are counted, nearly people: the limits take them for independent, and no design effect is used."
)
LIMITS_OVER_TIME: Final = (
    "Contacts are counted, not people. The limits come from how much neighbouring points differ: no design effect is in"
    " them."
)
ROUNDED_APART: Final = (
    "Worked out from counts that were rounded to the nearest 5 before they were published, and each figure is rounded"
    " by itself: a gap may differ by a point from the difference of the shares beside it."
)
NOT_KNOWN_IS_APART: Final = "Contacts without a decile are in neither part: not known is not 'not deprived'."
IS_A_STOCK: Final = "People waiting at the end of a month are a stock: never to be added over months."
NOT_YET_FAIR: Final = "An equal share is not yet a fair share: where areas are more deprived, need is often greater."
ABOUT_AREAS: Final = (
    "Deprivation is of areas: it says nothing of any one person, and a gap does not say what causes it."
)
CHILDREN: Final = "Under 16 it is 'was not brought'."
BESIDE_CANCELLATIONS: Final = (
    "Read missed appointments beside those that the hospital cancelled (measure `cancelled_by_provider`)."
)
NO_CRUDE_RATE: Final = (
    "No crude rate stands beside these: it would need contacts by type and the residents of each fifth, and neither is"
    " published."
)
WHAT_IS_STANDARDISED: Final = (
    "Contacts per 1,000 residents of the catchment, standardised for age (European Standard Population 2013). A rate"
    " says how much care was given, not how much was needed."
)

_MINUS: Final = "\N{MINUS SIGN}"


def appointments(unit: Unit, what: str = "appointments") -> str:
    """Whose they are: "Respiratory Medicine appointments"; nothing is added for the whole organisation."""
    return {
        "organisation": what,
        "all_other": f"{what} in all other specialties",
        "specialty": f"{_short(unit.name)} {what}",
        "rtt_group": f"{what} in the group {_short(unit.name)}",
    }[unit.kind]


def label(measure: Measure, unit: Unit) -> str:
    """What a measure is called in a unit: of a service for children never that anything was missed."""
    return "Was not brought" if measure.name == "missed" and unit.is_for_children else measure.label


def in_unit(unit: Unit) -> str:
    """Goes on after what is counted: " in Respiratory Medicine"; nothing for the whole organisation."""
    return {
        "organisation": "",
        "all_other": " in all other specialties",
        "specialty": f" in the {unit.name}",
        "rtt_group": f" in the group {_short(unit.name)}",
    }[unit.kind]


def _short(name: str) -> str:
    return name.removesuffix(" Services").removesuffix(" Service").replace("Other - ", "Other ")


def when(period: str, measure: Measure) -> str:
    """Goes on at the end of a sentence: "in July 2026", "at the end of July 2026"."""
    return f"{'at the end of' if measure.is_stock else 'in'} {periods.in_words(period)}"


def in_100(share: Share) -> str:
    """`14 in 100`; a share that rounds to nothing, or to all, is said not to be that."""
    if share.percent is None:
        return "not shown"
    value = share.percent.value
    if value == 0 and share.n:
        return "fewer than 1 in 100"
    if value == 100 and share.n != share.total:
        return "more than 99 in 100"
    return f"{value} in 100"


def points(value: int) -> str:
    """`1 point`, `6 points`."""
    return f"{value} point{'' if value == 1 else 's'}"


def shares(measure: Measure, unit: Unit, core20: Share, rest: Share) -> str:
    """Both shares in one sentence without its full stop: the most deprived fifth, then the others."""
    most, others, which = in_100(core20), in_100(rest), appointments(unit)
    if measure.name == "missed" and unit.is_for_children:
        return (
            f"In the most deprived fifth of areas, children were not brought to {most} {which};"
            f" in other areas, to {others}"
        )
    if measure.name == "missed":
        return f"In the most deprived fifth of areas, {most} {which} were missed; in other areas, {others}"
    if measure.name == "cancelled_by_provider":
        return f"In the most deprived fifth of areas, the hospital cancelled {most} {which}; in other areas, {others}"
    weeks = "52" if measure.name == "over_52_weeks" else "18"
    return (
        f"Of people waiting{in_unit(unit)} who live in the most deprived fifth of areas, {most} had waited over"
        f" {weeks} weeks; in other areas, {others}"
    )


def gap(
    measure: Measure, unit: Unit, period: str, core20: Share, rest: Share, absolute: Whole, fewer: int | None
) -> str:
    """Both shares, the direction of the gap with its limits, and the period."""
    said = f"{shares(measure, unit, core20, rest)}; {_direction(absolute)}, {when(period, measure)}."
    return f"{said} {_fewer(measure, unit, fewer)}" if fewer else said


def _direction(gap: Whole) -> str:
    if gap.lower > 0:
        return f"the gap is {points(gap.value)} ({gap.lower} to {gap.upper})"
    if gap.upper < 0:
        return (
            f"the gap is {points(-gap.value)} the other way ({-gap.upper} to {-gap.lower}):"
            " less in the most deprived fifth"
        )
    return f"whether there is a gap is not certain ({_limits(gap)})"


def _limits(gap: Whole, what: str = "gap", where: str = " in the most deprived fifth") -> str:
    less, more = -gap.lower, gap.upper
    if not less and not more:
        return "about 0 points"
    if not less or not more:
        which = "more" if more else "less"
        return f"from no {what} to {points(more or less)} {which}{where}"
    return f"from {points(less)} less to {more} more{where}"


def _fewer(measure: Measure, unit: Unit, fewer: int) -> str:
    what = {
        "missed": "appointments without the child" if unit.is_for_children else "missed appointments",
        "cancelled_by_provider": "cancelled appointments",
        "over_18_weeks": "people waiting over 18 weeks",
        "over_52_weeks": "people waiting over 52 weeks",
    }[measure.name]
    return f"At the rate of other areas there would have been about {fewer:,} fewer {what} in the most deprived fifth."


def slope(measure: Measure, unit: Unit, period: str, ends: tuple[int, int], sii: Whole) -> str:
    """The slope index with its direction: from the most to the least deprived end of the areas."""
    which = appointments(unit)
    what = {
        "missed": f"{which} to which children were not brought" if unit.is_for_children else f"missed {which}",
        "cancelled_by_provider": f"{which} that the hospital cancelled",
    }[measure.name]
    most, least = ends
    said = (
        f"On the line fitted through all fifths of areas, {what} go from {most} in 100 at the most deprived end to"
        f" {least} at the least"
    )
    if sii.lower > 0:
        found = f"a slope of {points(sii.value)} ({sii.lower} to {sii.upper}), with more in deprived areas"
    elif sii.upper < 0:
        found = f"a slope of {points(-sii.value)} ({-sii.upper} to {-sii.lower}), with fewer in deprived areas"
    else:
        found = f"whether there is a slope is not certain ({_limits(sii, 'slope', ' in the most deprived areas')})"
    return f"{said}: {found}, {when(period, measure)}."


def core20_share(measure: Measure, unit: Unit, period: str, share: Share) -> str:
    """The share of contacts, and what to compare it with."""
    said = f"{in_100(share)} contacts{in_unit(unit)} with a decile came from the most deprived fifth of areas"
    return (
        f"{said[0].upper()}{said[1:]}, {when(period, measure)}. Compare it with other units and with the catchment,"
        " never with 20 in 100."
    )


# ---------------------------------------------------------------- why there is no figure


def not_published(measure: Measure, unit: Unit, period: str) -> str:
    """Nothing of that unit and period is in a published table."""
    return f"Nothing is published of this{in_unit(unit)} for {periods.in_words(period)}."


def nothing_published() -> str:
    """The store has no publication at all."""
    return "Nothing is published yet: the first month is sealed when it is over."


def quarter_not_published(quarter: str) -> str:
    """The quarter was not sealed, or is not over."""
    return f"Nothing is published for {periods.in_words(quarter)}."


def nothing_over_time(unit: Unit) -> str:
    """No period of the table is published."""
    return f"Nothing is published of this{in_unit(unit)} yet."


def not_published_over_time() -> str:
    """By the year alone."""
    return "For a specialty this is published by the year alone, which is too seldom to follow over time."


def hidden(mark: str, suppress_up_to: int) -> str:
    """A part is `*` or `w`."""
    if mark == "*":
        return (
            f"Not shown: a count that this rests on is from 1 to {suppress_up_to}, so few that a person could be known."
        )
    return "Not shown: a count that this rests on is withheld, because it would give a small count away."


def too_few(measure: Measure, least: int) -> str:
    """A total is under the least that a share may have."""
    of = {"missed": "appointments", "cancelled_by_provider": "appointments", "core20_share": "contacts"}
    return f"Too few to say: each part needs at least {least:,} {of.get(measure.name, 'people waiting')}, as published."


def no_slope(measure: Measure) -> str:
    """A fifth has no events, or nothing else: the scale of the fit cannot hold it."""
    return "A fifth of areas has no such events at all, or nothing else: no slope can be fitted through that."


def two_editions() -> str:
    """Parts of one figure are on two editions of the index."""
    return "Areas are ranked by two editions of the index in this period, and counts on two editions are never added."


def no_gap_of_share() -> str:
    """The Core20 share has no two groups to compare."""
    return "The share of contacts from the most deprived fifth is compared with others, and has no gap within itself."


# ---------------------------------------------------------------- over time

_UNITS_OF_TIME: Final = {"month": "months", "quarter": "quarters", "year": "years"}


def time_words(period: str) -> tuple[str, str]:
    """One and several: `month`, `months`."""
    one = "month" if periods.is_month(period) else "quarter" if "Q" in period else "year"
    return one, _UNITS_OF_TIME[one]


def stock_trend() -> str:
    """In place of a verdict on a stock."""
    return (
        "No limits are drawn and no change is called: people waiting at the end of a month are a stock, and each month"
        " holds most of the one before."
    )


def signed(value: int) -> str:
    """A number with a minus sign that is not a hyphen."""
    return f"{_MINUS}{-value}" if value < 0 else str(value)


def followed(measure: Measure, unit: Unit, of: str) -> str:
    """What a trend is of, so that no verdict is taken for that of another gap beside it."""
    what = {
        "missed": "appointments to which children were not brought" if unit.is_for_children else "missed appointments",
        "cancelled_by_provider": "cancellations by the hospital",
    }.get(measure.name, "contacts")
    return f"the gap in {what}" if of == "gap" else f"the share of {what} from the most deprived fifth of areas"


def trend(
    verdict: Verdict,
    of: str,
    what: str,
    mean: int | None,
    limits: tuple[int, int] | None,
    cause: tuple[str, str] | None,
    run: int,
    shown: int,
    times: tuple[str, str],
    least: int,
    firm: int,
    *,
    ends_hidden: bool = False,
) -> str:
    """The verdict in words, of `what` is followed.

    `cause` is a rule and its direction, which the last `run` points follow; `shown` are there since the last break:
    with fewer than `least` there is no verdict, with fewer than `firm` it rests on trial limits.
    `ends_hidden`: the last of them is not the last period.
    """
    one, several = times
    if verdict == "too_few":
        if shown >= least:
            return f"Too few to judge change: no two {several} that follow each other are shown and differ."
        have = f"{shown} {one if shown == 1 else several}"
        said = f"Too few to judge change: {have} of the {least} that a verdict needs."
        return said if limits is None else f"{said} The limits drawn are trial limits."
    around = f"around {signed(mean or 0)} in 100" if of == "share" else f"around {_mean_points(mean or 0)}"
    if verdict == "common_cause":
        between = f", between {signed(limits[0])} and {signed(limits[1])}" if limits else ""
        return f"No sign of change: {what} has moved {around}{between}.{_trial(shown, firm, several)}"
    said = {
        "improving": "has narrowed" if of == "gap" else "has fallen",
        "worsening": "has widened" if of == "gap" else "has risen",
        "changed": "has changed",
    }[verdict]
    if ends_hidden:
        times = (f"{one} that is shown", f"{several} that are shown")
    evidence = _evidence(*cause, run, times, around) if cause else ""
    return f"{what[0].upper()}{what[1:]} {said}: {evidence}. The chart does not say why.{_trial(shown, firm, several)}"


def _trial(shown: int, firm: int, several: str) -> str:
    """Of a verdict on few points: goes on after it."""
    return f" These are trial limits, on {shown} {several}: firm ones need {firm}." if shown < firm else ""


def _mean_points(mean: int) -> str:
    return f"{signed(mean)} point{'' if abs(mean) == 1 else 's'}"


def _evidence(rule: str, direction: str, run: int, times: tuple[str, str], around: str) -> str:
    one, several = times
    is_high, mean = direction == "high", around.removeprefix("around ")
    return {
        "outside_limits": f"the last {one} is {'above the upper' if is_high else 'below the lower'} limit",
        "shift": f"the last {run} {several} are {'above' if is_high else 'below'} the mean of {mean}",
        "trend": f"the last {run} {several} {'rose' if is_high else 'fell'} each time",
        "near_limit": f"at least 2 of the last 3 {several} are near the {'upper' if is_high else 'lower'} limit",
    }[rule]


def not_shown(hidden: int, all_points: int, times: tuple[str, str]) -> str:
    """How many points are missing."""
    return f"{hidden} of {all_points} {times[1]} cannot be shown."


def edition_break(period: str, after: str, before: str) -> str:
    """Where the edition changes."""
    return (
        f"From {periods.in_words(period)} on areas are ranked by {after}, before by {before}: figures before and after"
        " must not be compared."
    )


# ---------------------------------------------------------------- what is not known


def quality(unit: Unit, period: str, unknown: Share, limit: int, *, over: bool) -> str:
    """How many contacts have no decile, and whether to mind."""
    said = (
        f"Of contacts{in_unit(unit)} in {periods.in_words(period)}, {in_100(unknown)} have no decile (no usable"
        " postcode, no fixed abode, or outside England) and are in no share"
    )
    if over:
        over_limit = f"That is over the limit of {limit} in 100"
        return f"{said}. {over_limit}: mind what is missing before anything here is believed."
    return f"{said}."


def quality_not_known(reason: str) -> str:
    """How many contacts have no decile cannot be said; that is not to say that there are none."""
    return f"How many contacts have no decile cannot be said, which does not mean none. {reason}"


def inclusion(year: str) -> str:
    """What the counts of groups and needs are, and are not."""
    return (
        f"Contacts in {periods.in_words(year)} whose record says so. Most people in these groups are not recorded as"
        " such, and contacts are not people: never take a small count for a small need."
    )


def inclusion_not_published(year: str) -> str:
    """No table of groups in that year."""
    return f"Nothing is published of inclusion-health groups for {periods.in_words(year)}."


# ---------------------------------------------------------------- the headline


def headline(found: Gap, certain: int, looked_at: int, *, alike: bool = False) -> str:
    """The gap that is shown first, and of how many it was chosen; `alike`: another one is as large in points."""
    if found.absolute is None:
        return found.sentence
    said = gap(found.measure, found.unit, found.period, found.core20, found.rest, found.absolute, None)
    began = found.sentence.find(" Counting began")
    said += found.sentence[began:] if began >= 0 else ""
    if looked_at == 1:
        return f"{said} It is the only gap that could be looked at."
    others = "the only certain one" if certain == 1 else f"one of {certain} certain ones"
    way = "with more in the most deprived fifth" if found.absolute.value > 0 else ""
    largest = f", and the largest in points {way}".rstrip()
    if alike:
        largest = f", and none {f'of those {way} ' if way else ''}is larger in points"
    largest = "" if certain == 1 else largest
    return f"{said} Of {looked_at} gaps looked at it is {others}{largest}."


def no_certain_gap(looked_at: Sequence[Gap]) -> str:
    """All gaps that could be worked out are uncertain."""
    which = "; ".join(f"{_label(g)} {_limits(g.absolute, where='')}" for g in looked_at if g.absolute)
    one = len(looked_at) == 1
    said = "The one gap that could be looked at is not certain" if one else f"None of {len(looked_at)} gaps is certain"
    return f"{said}. In the most deprived fifth of areas: {which}."


def _label(gap: Gap) -> str:
    if gap.measure.name == "missed" and gap.unit.is_for_children:
        return "appointments to which children were not brought"
    return gap.measure.label.lower()


def nothing_to_say(reason: str) -> str:
    """No gap can be worked out."""
    return reason if reason.startswith("Too few to say") else f"Too few to say anything. {reason}"
