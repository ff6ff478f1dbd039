"""All specialties side by side in one measure, or the reason why they are not."""

from typing import Final

from app import exhibits
from app.counts import periods
from app.dashboard import words
from app.dashboard.context import Context
from app.dashboard.frame import Frame, NoSuchPageError, in_words
from app.findings.findings import MeasureName, Ranking
from app.findings.kinds import MEASURES
from app.findings.overview import year_by
from app.findings.ranking import LEAST_UNITS, ranking
from app.pages.dashboard import Chooser, Grid, Link, Screen, Section

_FIRST: Final[MeasureName] = "core20_share"


def screen(context: Context, frame: Frame, measure: str | None) -> Screen:
    """The ranking in one measure. NoSuchPageError for a measure that is none."""
    name = next((each for each in MEASURES if each == (measure or _FIRST)), None)
    if name is None:
        raise NoSuchPageError
    if frame.quarter is None:
        return frame.screen("ranking", "Ranking", words.nothing_sealed(frame))
    period = _period(frame, name)
    sections: list[Section] = []
    what = MEASURES[name]
    if period is None:
        said = (
            "No waiting list is published of this quarter."
            if what.is_stock
            else "No whole financial year is published yet."
        )
        sections.append(Section("none", "There is no ranking of this yet", (said,), look="empty"))
        return _framed(frame, f"{what.label}: no ranking", sections, name)
    found = ranking(frame.published, name, period, context.options)
    if found.refusal:
        items: tuple[str, ...] = ()
        if found.refusal.code == "no_design_effect":
            items = (
                "Work out from your own records how many contacts each person has, and set IMDLENS_DESIGN_EFFECT.",
                "Rank people waiting or first contacts instead: nobody is counted twice there.",
            )
        sections.append(
            Section("none", "Why there is no ranking", (found.refusal.sentence,), items=items, look="empty")
        )
        return _framed(frame, f"{what.label}: no ranking", sections, name)
    sections.append(
        Section("ranking", "Side by side", exhibits=frame.exhibits([exhibits.ranking(found)], measure=name))
    )
    if found.funnel:
        sections.append(
            Section(
                "funnel",
                "The same, by size",
                ("Small specialties vary more by chance: the curves widen to the left.",),
                exhibits=frame.exhibits([exhibits.funnel(found)], measure=name),
            )
        )
    if found.refused:
        rows = tuple((unit.name, refusal.sentence) for unit, refusal in found.refused)
        sections.append(
            Section(
                "refused",
                "Not in the ranking, and why",
                grid=Grid("Specialties without a figure", ("Specialty", "Why"), rows),
            )
        )
    return _framed(frame, heading(found), sections, name, lead=_after_first(found.sentence), over=in_words(period))


def heading(found: Ranking) -> str:
    """How many stand out; of too few units, that it cannot be told."""
    out, many = sum(row.stands_out for row in found.rows), len(found.rows)
    if many < LEAST_UNITS:
        return f"{found.measure.label}: too few services to tell whether one stands out"
    stand = "stands" if out < 2 else "stand"
    return f"{found.measure.label}: {out or 'none'} of {many} {stand} out by more than chance"


def _after_first(text: str) -> tuple[str, ...]:
    """The first sentence is the title of the chart right beneath."""
    return tuple(filter(None, (text.partition(". ")[2],)))


def _period(frame: Frame, measure: MeasureName) -> str | None:
    """What the measure is published by: a list's month end, the year of shares and cancellations, else the quarter."""
    quarter = frame.quarter or ""
    if MEASURES[measure].is_stock:
        last = [m for m in frame.published.periods("waiting_list") if periods.quarter_name(m) == quarter]
        return max(last, default=None)
    return quarter if measure == "missed" else year_by(frame.published, quarter)


def _framed(
    frame: Frame,
    heading: str,
    sections: list[Section],
    measure: MeasureName,
    *,
    lead: tuple[str, ...] = (),
    over: str = "",
) -> Screen:
    links = tuple(
        Link(
            each.label,
            frame.to("dashboard/ranking", measure=each.name, period=frame.kept),
            is_current=each.name == measure,
        )
        for each in MEASURES.values()
    )
    return frame.screen(
        "ranking",
        heading,
        sections,
        title=f"Ranking: {MEASURES[measure].label}, {frame.words}",
        over=f"{frame.organisation}, {over or frame.words}",
        lead=lead,
        choosers=(Chooser("Measure", links), frame.chooser("dashboard/ranking", measure=measure)),
    )
