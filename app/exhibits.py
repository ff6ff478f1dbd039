"""Findings as exhibits: a chart with its finding as title, its table, and what both are from."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import accumulate
from typing import Final

from app.counts import periods
from app.counts.cells import NO_DECILE
from app.counts.parts import Part
from app.counts.tables import DECILES, QUINTILES, STANDARDISED_TYPES
from app.findings import words
from app.findings.findings import (
    Comparison,
    Fifths,
    Gap,
    Measure,
    Phase,
    Ranking,
    Refusal,
    Share,
    Source,
    Trend,
    TrendPoint,
    Unit,
    Waits,
)
from app.findings.quality import Completeness, Inclusion
from app.pages.charts import Cell, Chart, Column

Row = Mapping[str, Cell]

FIFTHS: Final = ("Most deprived fifth (Core20)", "Second fifth", "Third fifth", "Fourth fifth", "Least deprived fifth")
_SHORT_FIFTHS: Final = ("Most deprived", "Second fifth", "Third fifth", "Fourth fifth", "Least deprived")
_GROUPS: Final = {"true": "Most deprived fifth (Core20)", "false": "Rest of England"}
_TYPES: Final = {"elective": "Elective", "emergency": "Emergency", "outpatient": "Outpatient"}
_GROUP_NAMES: Final = {
    "homelessness": "Homelessness",
    "drugs_and_alcohol": "Drugs and alcohol",
    "vulnerable_migrant": "Vulnerable migrants",
    "gypsy_roma_traveller": "Gypsy, Roma or Traveller",
    "justice": "Contact with the justice system",
    "interpreter": "Interpreter needed",
}
_MARKS: Final = {"not_published": "absent", "hidden": "*", "too_few": "few"}

_OF: Final = (
    Column("period", "Period", is_number=False, place="twins"),
    Column("specialty", "Specialty code", is_number=False, place="twins"),
    Column("specialty_name", "Specialty", is_number=False, place="twins"),
    Column("measure", "Measure", is_number=False, place="twins"),
)
_SERIES: Final = Column("series", "What", is_number=False)
_SUPPRESSED: Final = Column("suppressed", "Why not shown", is_number=False, place="twins")


def missed_by_fifth(missed: Fifths, cancelled: Fifths) -> Chart:
    """Are more appointments missed in more deprived areas, and how many does the hospital cancel there?"""
    first, last = missed.shares[0], missed.shares[-1]
    title = missed.sentence
    if first.percent:
        said = words.shares(missed.measure, missed.unit, first, last)
        said = said.replace("in other areas", "in the least deprived fifth")
        if last.percent is None:  # above bars that are shown, "not shown" would be said of them
            said = f"{said.partition(';')[0]}; the least deprived fifth is not shown"
        title = f"{said}, {words.when(missed.period, missed.measure)}."
    elif any(share.percent for share in missed.shares):
        title = f"The most deprived fifth of areas is not shown, {words.when(missed.period, missed.measure)}."
    return Chart(
        id="missed-by-fifth",
        kind="bars",
        question="Are more appointments missed in more deprived areas, and how many does the hospital cancel there?",
        title=title,
        axis="In 100 appointments",
        columns=(
            _SERIES,
            Column("group", "Areas", is_number=False),
            *_share_columns("Appointments", "In 100 appointments"),
            *_OF,
            Column("imd_quintile", "IMD quintile", is_number=False, place="twins"),
        ),
        rows=tuple(row for one in (missed, cancelled) for row in _fifth_rows(one, FIFTHS)),
        source=_source(missed.source, cancelled.source),
        notes=_notes(
            words.CHILDREN if missed.unit.is_for_children else "",
            "A missed appointment is one that the patient did not attend, of those attended or not attended; a"
            " cancelled one is of all three.",
            *(
                f"{words.label(one.measure, one.unit)}: {one.refusal.sentence}"
                for one in (missed, cancelled)
                if one.refusal
            ),
            words.CONTACTS_WEIGH,
            words.ABOUT_AREAS,
        ),
        is_synthetic=_is_synthetic(missed.source, cancelled.source),
    )


def gap_trend(trend: Trend) -> Chart:
    """Is the gap closing, or is it chance?"""
    title, *more = _sentences(trend.sentence)
    what = _axis(trend.measure, trend.unit)
    axis = f"{what}: points more in the most deprived fifth of areas than in the rest of England"
    if trend.of == "share":
        is_of_fifth = trend.measure.name != "core20_share"
        axis = f"{what}, in the most deprived fifth of areas" if is_of_fifth else what
    return Chart(
        id=f"{trend.of}-trend-{_slug(trend.measure.name)}",
        kind="trend",
        question="Is the gap closing, or is it chance?"
        if trend.of == "gap"
        else "Is the share changing, or is it chance?",
        title=title,
        axis=axis,
        columns=(
            Column("when", "Period", is_number=False, place="page"),
            Column("value", "Points" if trend.of == "gap" else "In 100", is_number=True),
            Column("mean", "Mean", is_number=True),
            Column("lower_limit", "Lower limit", is_number=True),
            Column("upper_limit", "Upper limit", is_number=True),
            Column("flag_words", "Sign of change", is_number=False),
            *_OF,
            Column("imd_edition", "Edition", is_number=False, place="twins"),
            Column("flag", "Flag", is_number=False, place="twins"),
            _SUPPRESSED,
        ),
        rows=tuple(_trend_rows(trend)),
        source=_source(trend.source),
        notes=_notes(
            *more,
            words.stock_trend() if trend.measure.is_stock else "",
            "Limits are trial limits: there are fewer than 12 points."
            if any(p.is_trial for p in trend.phases) and not any("trial limits" in sentence for sentence in more)
            else "",
            words.ABOUT_AREAS,
        ),
        is_synthetic=_is_synthetic(trend.source),
    )


def waits_by_core20(waits: Waits) -> Chart:
    """Do people from the most deprived fifth of areas wait longer?"""
    gaps = (waits.over_18, waits.over_52)
    title, *more = _sentences(waits.over_18.sentence)
    sizes = ("the most deprived fifth", "the rest of England", "no decile")
    listed = [f"{_shown(size)} ({name})" for name, size in zip(sizes, waits.list_size, strict=True)]
    return Chart(
        id="waits-by-core20",
        kind="bars",
        question="Do people from the most deprived fifth of areas wait longer?",
        title=title,
        axis="In 100 people waiting",
        columns=(
            _SERIES,
            Column("group", "Areas", is_number=False),
            *_share_columns("People waiting", "In 100 people waiting"),
            *_OF,
            Column("core20", "Core20", is_number=False, place="twins"),
        ),
        rows=tuple(row for gap in gaps for row in _gap_rows(gap)),
        source=_source(*(gap.source for gap in gaps)),
        notes=_notes(
            *more,
            *(_sentences(waits.over_52.sentence)),
            f"On the list: {', '.join(listed)}.",
            "Over 52 weeks is part of over 18 weeks.",
            words.IS_A_STOCK,
        ),
        is_synthetic=_is_synthetic(*(gap.source for gap in gaps)),
    )


def whom_we_see(comparisons: Sequence[Comparison]) -> Chart:
    """Do people from the most deprived fifth of areas come as often as is to be expected? Needs one comparison."""
    if not comparisons:
        raise ValueError("comparisons are empty")
    first = comparisons[0]
    said = next((one for one in reversed(comparisons) if not one.refusal), first)
    title, *more = _sentences(said.sentence)
    rows = [_compared(first, first.unit.name, "unit", first.share, first.refusal)]
    for one in comparisons:
        name = _reference_name(one)
        if name:
            known = one.reference.share if one.reference else None
            share = Share(None, None, known, "" if known else "none")
            kind = one.reference.kind if one.reference else "none"
            rows.append(_compared(one, name, kind, share, one.refusal))
    return Chart(
        id="whom-we-see",
        kind="bars",
        question="Do people from the most deprived fifth of areas come as often as is to be expected?",
        title=title,
        axis="From the most deprived fifth of areas (Core20), in 100",
        columns=(
            Column("group", "Who", is_number=False),
            *_share_columns("Contacts", "From Core20, in 100"),
            *_OF,
            Column("compared", "Compared", is_number=False, place="twins"),
        ),
        rows=tuple(rows),
        source=_source(*(one.source for one in comparisons)),
        notes=_notes(
            *more,
            *(one.sentence for one in comparisons if one is not said),
            *(
                f"{_reference_name(one)}: {one.reference.source}, {_day(one.reference.date)}."
                for one in comparisons
                if one.reference
            ),
        ),
        is_synthetic=_is_synthetic(*(one.source for one in comparisons)),
    )


def slope(fifths: Fifths) -> Chart:
    """How steadily does it change from the most to the least deprived areas?"""
    title, *more = _sentences(fifths.sentence)
    places = _positions([share.total for share in fifths.shares])
    fitted: Sequence[int | None] = fifths.fitted or [None] * len(fifths.shares)
    rows = [
        {**row, "position": place, "fitted": fit}
        for row, place, fit in zip(_fifth_rows(fifths, _SHORT_FIFTHS), places, fitted, strict=True)
    ]
    ratio = fifths.rii
    return Chart(
        id=f"slope-{_slug(fifths.measure.name)}",
        kind="slope",
        question="How steadily does it change from the most to the least deprived areas?",
        title=title,
        axis=_axis(fifths.measure, fifths.unit),
        columns=(
            Column("group", "Areas", is_number=False),
            *_share_columns("Appointments", "In 100 appointments"),
            Column("fitted", "Fitted", is_number=True),
            *_OF,
            Column("imd_quintile", "IMD quintile", is_number=False, place="twins"),
            Column("position", "Place on the scale of appointments, 0 to 100", is_number=True, place="twins"),
        ),
        rows=tuple(rows),
        source=_source(fifths.source),
        notes=_notes(
            *more,
            f"At the most deprived end it is {ratio.value} times that at the least deprived end ({ratio.lower} to"
            f" {ratio.upper})."
            if ratio
            else "",
            words.CONTACTS_WEIGH,
            words.ABOUT_AREAS,
        ),
        is_synthetic=_is_synthetic(fifths.source),
    )


def ranking(ranking: Ranking) -> Chart:
    """Where is it largest, and where is that more than chance?"""
    return _ranked(ranking, "ranking", "Where is it largest, and where is that more than chance?")


def funnel(ranking: Ranking) -> Chart:
    """Which units stand out once their size is allowed for?"""
    return _ranked(ranking, "funnel", "Which units stand out once their size is allowed for?")


def deciles(unit: Unit, year: str, parts: Mapping[str, Part], source: Source | None, held: str = "") -> Chart:
    """From which areas do contacts come? `parts` are by decile, `1` to `10`, and `no_decile` (T3).

    `held` says which months are held of a year in which counting began.
    """
    shown = [(d, parts.get(d, Part(None, "absent"))) for d in DECILES]
    apart = parts.get(NO_DECILE, Part(None, "absent"))
    rows = [_count_row("By decile", _decile(d), part, {"imd_decile": d}, is_subject=int(d) <= 2) for d, part in shown]
    rows.append(_count_row("Apart", "No decile", apart, {"imd_decile": NO_DECILE}))
    known = [part.n for _, part in shown if part.n is not None]
    title = f"Where contacts{words.in_unit(unit)} come from, {_in(year)}."
    first, second = shown[0][1].n, shown[1][1].n
    if len(known) == len(DECILES) and first is not None and second is not None and sum(known) >= 100:
        share = round(100 * (first + second) / sum(known))
        which = f"contacts{words.in_unit(unit)} with a decile"
        title = f"{share} in 100 {which} come from the most deprived fifth of areas, {_in(year)}."
    return Chart(
        id="deciles",
        kind="bars",
        question="From which areas do contacts come?",
        title=title,
        axis="Contacts",
        columns=(
            Column("group", "Areas", is_number=False),
            Column("value", "Contacts", is_number=True),
            *_OF,
            Column("imd_decile", "IMD decile", is_number=False, place="twins"),
            _SUPPRESSED,
        ),
        rows=tuple({**row, **_of(unit, year, "contacts")} for row in rows),
        source=_source(source),
        notes=_notes(
            held.strip(),
            "Contacts are counted, not people.",
            "Contacts without a decile (no postcode, no fixed abode, outside England) stand apart and are in no share.",
            "Not known is not 'not deprived'.",
            "More contacts from an area may be more need, more people or better access: the chart does not say which.",
        ),
        is_synthetic=_is_synthetic(source),
    )


def completeness(clients: Sequence[Completeness]) -> Chart:
    """Which sending systems send postcodes that can be found? The least complete first (T11)."""
    least = sorted(clients, key=lambda one: (one.found.percent is None, one.found.percent or (0,), one.client))
    month = clients[0].month if clients else ""
    source = clients[0].source if clients else None
    worst = next((one for one in least if one.found.percent), None)
    title = "Nothing is published of the postcodes that were sent."
    if worst:
        title = f"{worst.client} sends the fewest postcodes that can be found: {words.in_100(worst.found)} contacts."
        if len(least) == 1:
            title = f"{worst.client} sends a postcode that can be found with {words.in_100(worst.found)} contacts."
    elif clients:
        title = "No client's postcodes can be shown."
    rows = []
    for one in least:
        row = _share_row(one.found)
        row |= {
            "series": "",
            "group": one.client,
            "client": one.client,
            "period": one.month,
            "measure": "postcode_found",
        }
        rows.append(row)
    return Chart(
        id="completeness",
        kind="bars",
        question="Which sending systems send postcodes that can be found?",
        title=title,
        axis="Contacts with a postcode that was found, in 100",
        columns=(
            Column("group", "Sending system", is_number=False),
            *_share_columns("Contacts", "Found, in 100"),
            Column("period", "Period", is_number=False, place="twins"),
            Column("client", "Client", is_number=False, place="twins"),
            Column("measure", "Measure", is_number=False, place="twins"),
        ),
        rows=tuple(rows),
        source=_source(source),
        notes=_notes(
            f"In {_in(month).removeprefix('in ')}." if month else "",
            "Terminated postcodes count as found. No fixed abode and overseas are an answer, not a fault, and are not"
            " found.",
            "Contacts that could not be counted are not here.",
        ),
        is_synthetic=_is_synthetic(source),
    )


def inclusion(found: Inclusion) -> Chart:
    """How often do records name a group whose access is worst? (T9)"""
    rows = [
        _count_row(series, _group_name(code), part, {"category": code})
        for series, parts in (("Inclusion-health groups", found.groups), ("Access needs", found.needs))
        for code, part in parts
    ]
    title, *more = _sentences(found.sentence)
    known = [(part.n, code) for code, part in found.groups if part.n]
    if known:
        most, code = max(known)
        name = _group_name(code)
        more = [title, *more]
        title = f"Of these groups records name {name} most often: {most:,} contacts, {_in(found.year)}."
    return Chart(
        id="inclusion",
        kind="bars",
        question="How often do records name a group whose access is worst?",
        title=title,
        axis="Contacts",
        columns=(
            _SERIES,
            Column("group", "Group or need", is_number=False),
            Column("value", "Contacts", is_number=True),
            Column("period", "Period", is_number=False, place="twins"),
            Column("category", "Category", is_number=False, place="twins"),
            _SUPPRESSED,
        ),
        rows=tuple({**row, "period": found.year} for row in rows),
        source=_source(found.source),
        notes=_notes(*more, "Only what records say is counted: most people in these groups are not recorded as such."),
        is_synthetic=_is_synthetic(found.source),
    )


def standardised(year: str, rates: Mapping[tuple[str, str], Part], source: Source | None) -> Chart:
    """How much care is given for each resident, age for age, by deprivation? `rates` by type and quintile (T7)."""
    rows = []
    for kind in STANDARDISED_TYPES:
        for quintile, name in zip(QUINTILES, FIFTHS, strict=True):
            part = rates.get((kind, quintile), Part(None, "absent"))
            mark = "" if part.value is not None else part.mark or "absent"
            row = _count_row(
                _TYPES[kind], name, Part(part.value, mark), {"contact_type": kind}, is_subject=quintile == "1"
            )
            rows.append({**row, "imd_quintile": quintile, "period": year})
    said = []
    for kind in STANDARDISED_TYPES:
        most, least = (rates.get((kind, q), Part(None)).value for q in (QUINTILES[0], QUINTILES[-1]))
        if most is not None and least is not None:
            said.append(f"{_TYPES[kind].lower()} {most:,} against {least:,}")
    title = "No standardised rate can be shown."
    if said:
        title = (
            f"Contacts per 1,000 residents in the most against the least deprived fifth, {_in(year)}:"
            f" {'; '.join(said)}."
        )
    return Chart(
        id="standardised",
        kind="bars",
        question="How much care is given for each resident, age for age, by deprivation?",
        title=title,
        axis="Contacts per 1,000 residents, standardised for age",
        columns=(
            Column("series", "Type", is_number=False),
            Column("group", "Areas", is_number=False),
            Column("value", "Per 1,000 residents", is_number=True),
            Column("period", "Period", is_number=False, place="twins"),
            Column("contact_type", "Contact type", is_number=False, place="twins"),
            Column("imd_quintile", "IMD quintile", is_number=False, place="twins"),
            _SUPPRESSED,
        ),
        rows=tuple(rows),
        source=_source(source),
        notes=(words.WHAT_IS_STANDARDISED, words.NO_CRUDE_RATE),
        is_synthetic=_is_synthetic(source),
    )


# ------------------------------------------------------------------------------------------- rows


def _share_columns(of: str, value: str) -> tuple[Column, ...]:
    return (
        Column("value", value, is_number=True),
        Column("lower_ci", "Lower limit", is_number=True),
        Column("upper_ci", "Upper limit", is_number=True),
        Column("n", "Of them", is_number=True),
        Column("total", of, is_number=True),
        _SUPPRESSED,
    )


def _share_row(share: Share, refusal: Refusal | None = None) -> dict[str, Cell]:
    """What a share is drawn from, and the same under the keys of the twins."""
    percent = share.percent
    # A total that is shown, and too small for a share, is not hidden: there is too little to say.
    mark = "" if percent else share.mark or (_MARKS.get(refusal.code, "none") if refusal else "few")
    value, lower, upper = percent or (None, None, None)
    drawn: dict[str, Cell] = {"value": value, "lower": lower, "upper": upper, "mark": mark}
    return drawn | {
        "lower_ci": lower,
        "upper_ci": upper,
        "n": share.n,
        "total": share.total,
        "suppressed": mark or None,
    }


def _count_row(
    series: str, group: str, part: Part, codes: Mapping[str, Cell], *, is_subject: bool = False
) -> dict[str, Cell]:
    mark = "" if part.n is not None else part.mark or "absent"
    row: dict[str, Cell] = {"series": series, "group": group, "value": part.n, "lower": None, "upper": None}
    return row | {"mark": mark, "suppressed": mark or None, "is_subject": "yes" if is_subject else "no", **codes}


def _of(unit: Unit, period: str, measure: str) -> dict[str, Cell]:
    return {"period": period, "specialty": unit.code or None, "specialty_name": unit.name, "measure": measure}


def _fifth_rows(fifths: Fifths, names: Sequence[str]) -> list[dict[str, Cell]]:
    of: dict[str, Cell] = {"series": words.label(fifths.measure, fifths.unit)}
    of |= _of(fifths.unit, fifths.period, fifths.measure.name)
    return [
        {**of, "group": name, **_share_row(share), "imd_quintile": q, "is_subject": "yes" if q == "1" else "no"}
        for q, name, share in zip(QUINTILES, names, fifths.shares, strict=True)
    ]


def _gap_rows(gap: Gap) -> list[dict[str, Cell]]:
    of = _of(gap.unit, gap.period, gap.measure.name) | {"series": gap.measure.label}
    return [
        {**of, "group": _GROUPS[core20], **_share_row(share), "core20": core20, "is_subject": _yes(core20 == "true")}
        for core20, share in (("true", gap.core20), ("false", gap.rest))
    ]


def _compared(one: Comparison, name: str, kind: str, share: Share, refusal: Refusal | None) -> dict[str, Cell]:
    row = _share_row(share, refusal)
    if row["lower"] == row["upper"]:  # known without error: no limits are drawn
        row |= {"lower": None, "upper": None}
    row |= {"series": "", "group": name, "compared": kind, "is_subject": _yes(kind == "unit")}
    return row | _of(one.unit, one.period, "core20_share")


def _reference_name(one: Comparison) -> str:
    if one.reference is None:
        return ""
    name = one.reference.name[:1].upper() + one.reference.name[1:]
    if one.reference.kind == "others":
        return name
    return f"Residents of {one.reference.name}" + (", at the same ages" if one.reference.is_age_matched else "")


def _trend_rows(trend: Trend) -> Iterable[Row]:
    for i, point in enumerate(trend.points):
        place, phase = next(
            ((n, p) for n, p in enumerate(trend.phases) if p.start <= i < p.stop), (len(trend.phases), None)
        )
        flag = _flag(trend, i, phase)
        limits: dict[str, Cell] = {"mean": None, "lower": None, "upper": None}
        if phase:
            limits = {"mean": phase.mean, "lower": phase.lower, "upper": phase.upper}
        mark = "" if point.value is not None else point.mark or "none"
        yield {
            **_of(trend.unit, point.period, trend.measure.name),
            "when": _capital(periods.in_words(point.period)),
            "value": point.value,
            **limits,
            "lower_limit": limits["lower"],
            "upper_limit": limits["upper"],
            "phase": place,
            # One edition all along is in the source, and needs no label in the chart.
            "edition": phase.edition if phase and len({p.edition for p in trend.phases}) > 1 else "",
            "imd_edition": phase.edition if phase else trend.source.edition if trend.source else None,
            "flag": flag,
            "flag_words": ", ".join(_RULES.get(rule, rule) for rule in point.flags) or None,
            "mark": mark,
            "suppressed": mark or None,
        }


_RULES: Final = {
    "outside_limits": "outside the limits",
    "shift": "a run on one side of the mean",
    "trend": "a run in one direction",
    "near_limit": "two of three near a limit",
}


def _flag(trend: Trend, i: int, phase: Phase | None) -> str:
    """Empty, or which way a flagged point goes."""
    point = trend.points[i]
    if not point.flags or point.value is None:
        return ""
    if trend.measure.better is None:
        return "changed"
    mean = phase.mean if phase else None
    # As the verdict has it: a gap about zero, or one that turned round, is neither better nor worse.
    if trend.of == "gap" and (not mean or mean * point.value < 0):
        return "changed"
    against = mean
    if set(point.flags) == {"trend"}:
        against = _before(trend.points[phase.start if phase else 0 : i], point.value)
    if against is None or against == point.value:
        return "changed"
    is_other_way = trend.of == "gap" and (mean or 0) < 0
    return "better" if (point.value < against) != is_other_way else "worse"


def _before(points: Sequence[TrendPoint], value: int) -> int | None:
    """The newest earlier value that differs: rounded, a run in one direction may stand still for a while."""
    return next((p.value for p in reversed(points) if p.value is not None and p.value != value), None)


def _ranked(found: Ranking, kind: str, question: str) -> Chart:
    title, *more = _sentences(found.sentence)
    is_gap = found.measure.name != "core20_share"
    axis = found.measure.axis
    if is_gap:
        axis = f"{axis}: points more in the most deprived fifth of areas than in the rest of England"
    unit_of_value = "Points" if is_gap else "In 100"
    centre = "" if found.centre is None else f"All together {words.signed(found.centre)}"
    rows: list[Row] = [
        {
            **_of(row.unit, found.period, found.measure.name),
            "name": row.unit.name,
            "value": row.value.value,
            "lower": row.value.lower,
            "upper": row.value.upper,
            "lower_ci": row.value.lower,
            "upper_ci": row.value.upper,
            "size": row.size,
            "stands_out": _yes(row.stands_out),
            "mark": "",
        }
        for row in found.rows
    ]
    return Chart(
        id=f"{kind}-{_slug(found.measure.name)}",
        kind="funnel" if kind == "funnel" else "ranking",
        question=question,
        title=title,
        axis=axis,
        columns=(
            Column("name", "Unit", is_number=False),
            Column("value", unit_of_value, is_number=True),
            Column("lower_ci", "Lower 99.8% limit", is_number=True),
            Column("upper_ci", "Upper 99.8% limit", is_number=True),
            Column("size", "Effective number" if is_gap else "Contacts", is_number=True),
            Column("stands_out", "Stands out", is_number=False),
            *_OF,
        ),
        rows=tuple(rows),
        source=_source(found.source),
        notes=_notes(*more, *(f"{unit.name}: {why.sentence}" for unit, why in found.refused)),
        centre=found.centre,
        centre_label=centre,
        limits=tuple(
            {
                "size": one.size,
                "lower95": one.lower95,
                "upper95": one.upper95,
                "lower998": one.lower998,
                "upper998": one.upper998,
            }
            for one in (found.funnel if kind == "funnel" else ())
        ),
        is_synthetic=_is_synthetic(found.source),
    )


def _positions(totals: Sequence[int | None]) -> list[int]:
    """The middle of each fifth on the scale of all appointments, 0 to 100; even steps where a total is hidden."""
    known = [total for total in totals if total is not None]
    whole = sum(known)
    if len(known) < len(totals) or not whole:
        return [round(100 * (i + 0.5) / len(totals)) for i in range(len(totals))]
    return [round(100 * (end - total / 2) / whole) for end, total in zip(accumulate(known), known, strict=True)]


# ------------------------------------------------------------------------------------------ words


def _axis(measure: Measure, unit: Unit) -> str:
    if measure.name == "missed" and unit.is_for_children:
        return "Was not brought in 100 appointments"
    return measure.axis


def _group_name(code: str) -> str:
    return _GROUP_NAMES.get(code, code.replace("_", " ").capitalize())


def _decile(decile: str) -> str:
    ends = {"1": "1 (most deprived)", "10": "10 (least deprived)"}
    return f"Decile {ends.get(decile, decile)}"


def _in(period: str) -> str:
    """`in November 2026`, `in the financial year 2026/27`."""
    return f"in {periods.in_words(period)}"


def _shown(count: int | None) -> str:
    return "not shown" if count is None else f"{count:,}"


def _yes(is_so: bool) -> str:
    return "yes" if is_so else "no"


def _slug(name: str) -> str:
    return name.replace("_", "-")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _sentences(text: str) -> list[str]:
    """The sentences of a text, the first of which is a title."""
    return re.split(r"(?<=[.?!]) (?=[A-Z0-9])", text) or [""]


def _notes(*notes: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(note for note in notes if note))


def _day(text: str) -> str:
    """`3 April 2026`, of a date or a moment; anything else as it is."""
    try:
        day = date.fromisoformat(text[:10])
    except ValueError:
        return text
    return f"{day.day} {periods.in_words(text[:7])}"


def _source(*sources: Source | None) -> str:
    """`Table T4, financial year 2025/26, IoD2025, published 3 April 2026.`"""
    found = [one for one in sources if one]
    if not found:
        return "Nothing is published of this."
    tables = sorted({t.split(" ")[0] for one in found for t in one.tables}, key=lambda t: (len(t), t))
    times = sorted({p for one in found for p in one.periods})
    when = periods.in_words(times[0]).removeprefix("the ")
    if len(times) > 1:
        when += f" to {periods.in_words(times[-1]).removeprefix('the ')}"
    editions = ", ".join(dict.fromkeys(one.edition for one in found))
    one_or_more = "Table" if len(tables) == 1 else "Tables"
    day = _day(max(one.sealed_at for one in found))
    return f"{one_or_more} {' and '.join(tables)}, {when}, {editions}, published {day}."


def _is_synthetic(*sources: Source | None) -> bool:
    return any(one.synthetic for one in sources if one)
