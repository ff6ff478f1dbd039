"""Exercises for an audit day: tables to read, what may and must not be concluded, and answers worked out from them.

Always invented data: a store that is not synthetic is refused, so that nobody practises on patients.
"""

from dataclasses import replace

from app import exhibits
from app.counts import periods
from app.findings import words
from app.findings.findings import Fifths, Gap, Share
from app.inequality.trend import LEAST_FOR_VERDICT, LEAST_POINTS
from app.pages.charts import Cell, Column
from app.report.cells import GAP_COLUMNS, limits, of_count, of_gap, of_share
from app.report.content import document_of
from app.report.document import (
    Block,
    Bullets,
    Callout,
    Document,
    Exhibit,
    Heading,
    PageBreak,
    Paragraph,
    TableBlock,
)
from app.report.evidence import Evidence, joined, said_of
from app.report.material import audit_day, case


class NotSyntheticError(Exception):
    """The store holds counts of real contacts."""


def audit_day_pack(evidence: Evidence) -> Document:
    """The exercise sheets and their answers. NotSyntheticError where any table rests on real contacts."""
    if not evidence.pages or not all(page.synthetic for page in evidence.pages):
        raise NotSyntheticError(
            "An audit-day pack is made of invented data alone: run it on a folder made by `imdlens demo`."
        )
    said = audit_day()
    sheets = [sheet for sheet in (_gap_sheet(evidence), _fifths_sheet(evidence), _trend_sheet(evidence)) if sheet]
    sheets.append(_hidden_sheet(evidence))
    blocks: list[Block] = [Heading("How to use this pack"), Bullets(said.how, numbered=True)]
    answers: list[Block] = []
    for number, (title, exercise, questions) in enumerate(sheets, 1):
        asked = tuple(question for question, _ in questions)
        blocks += [PageBreak(), Heading(f"Sheet {number}: {title}"), Bullets(asked, numbered=True), *exercise]
        answers += [
            Heading(f"Answers to sheet {number}", 3),
            Bullets(tuple(answer for _, answer in questions), numbered=True),
        ]
    blocks += [
        PageBreak(),
        Heading("What may, and what must not, be concluded"),
        Callout("May be concluded", said.may),
        Callout("Must not be concluded", case().must_not, is_warning=True),
        Callout("Never for", case().never, is_warning=True),
        Heading("To talk about afterwards"),
        Bullets(said.after),
        PageBreak(),
        Heading("Answers"),
        *answers,
    ]
    return document_of(evidence, "Health inequalities: audit day exercises", blocks)


_Sheet = tuple[str, tuple[Block, ...], tuple[tuple[str, str], ...]]


def _gap_sheet(evidence: Evidence) -> _Sheet:
    rows: tuple[tuple[Cell, ...], ...] = tuple((one.unit.name, *of_gap(one.missed)) for one in evidence.units)
    gaps = [one.missed for one in evidence.units]
    table = TableBlock(
        f"Missed appointments by specialty, {periods.in_words(evidence.period.quarter)}",
        (Column("unit", "Specialty", is_number=False), *GAP_COLUMNS),
        rows,
        said_of(joined(gap.source for gap in gaps)),
        ("A gap is Core20 less the rest of England, in percentage points.",),
    )
    return (
        "a gap and its limits",
        (Paragraph("Core20 is the most deprived fifth of areas in England: deciles 1 and 2."), table),
        (
            ("In which specialties is it certain that there is a gap?", _certain(gaps)),
            ("Which specialty is worst?", "The table cannot say. " + _worst(gaps)),
            ("Why are some cells without a figure?", _reasons(gaps)),
            (
                "Does a gap show that patients in deprived areas care less about their appointments?",
                f"No. {case().must_not[1]}",
            ),
        ),
    )


def _certain(gaps: list[Gap]) -> str:
    sure = [f"{gap.unit.name} ({limits(gap.absolute)})" for gap in gaps if gap.is_certain and gap.absolute]
    if not sure:
        return "In none: where there is a gap, its limits include zero."
    return f"Where the limits leave out zero: {', '.join(sure)}."


def _worst(gaps: list[Gap]) -> str:
    values = [gap for gap in gaps if gap.absolute]
    if len(values) < 2:
        return "Fewer than two have a gap at all."
    return (
        f"{len(values)} gaps are compared at once, so the largest may be large by chance; only a ranking with 99.8%"
        " limits may say that one stands out."
    )


def _reasons(gaps: list[Gap]) -> str:
    told = list(dict.fromkeys(gap.refusal.sentence for gap in gaps if gap.refusal))
    return " ".join(told) if told else "All cells have one."


def _fifths_sheet(evidence: Evidence) -> _Sheet | None:
    found = evidence.overview.missed
    if found is None:
        return None
    names = ("1, most deprived", "2", "3", "4", "5, least deprived")
    rows = tuple((name, *_share_cells(share)) for name, share in zip(names, found.shares, strict=True))
    table = TableBlock(
        f"Missed appointments by fifth of areas, {periods.in_words(found.period)}, {found.unit.name.lower()}",
        (
            Column("fifth", "Fifth of areas", is_number=False),
            Column("n", "Missed", is_number=True),
            Column("total", "Attended or missed", is_number=True),
            Column("share", "Missed in 100", is_number=True),
        ),
        rows,
        said_of(found.source),
        (words.CONTACTS_WEIGH,),
    )
    return (
        "five fifths of areas",
        (table,),
        (
            ("In one sentence: what happens from the most to the least deprived areas?", found.sentence),
            (
                "How many appointments fewer would be missed if all fifths had the least deprived one's rate?",
                _fewer(found),
            ),
            (
                "Do the figures say that deprivation causes missed appointments?",
                f"No. {case().must_not[2]}",
            ),
        ),
    )


def _share_cells(share: Share) -> tuple[Cell, ...]:
    return of_count(share.n, share.mark), of_count(share.total, share.mark), of_share(share)


def _fewer(found: Fifths) -> str:
    if found.fewer is None:
        return "That is not said: there is no certain slope."
    return f"About {found.fewer:,}, to the nearest 5. It is a way to size a gap, not a forecast."


def _trend_sheet(evidence: Evidence) -> _Sheet | None:
    found = evidence.overview.trend
    if found is None or not found.points:
        return None
    shown = [point for point in found.points if point.value is not None]
    last = (
        f"The gap was {shown[-2].value} in {periods.in_words(shown[-2].period)} and {shown[-1].value} in"
        f" {periods.in_words(shown[-1].period)}. Has it changed?"
        if len(shown) > 1
        else "Has the gap changed?"
    )
    return (
        "change or chance",
        # The chart's own title is the verdict, which is what is asked for here.
        (Exhibit(replace(exhibits.gap_trend(found), title="The gap over time, with its process limits.", notes=())),),
        (
            (last, f"Two points say nothing. {found.sentence}"),
            ("How many points does a verdict need?", _points()),
            ("What does the chart say about the cause?", "Nothing: it says where to ask."),
        ),
    )


def _points() -> str:
    return f"At least {LEAST_FOR_VERDICT}; with fewer than {LEAST_POINTS} its limits are trial limits."


def _hidden_sheet(evidence: Evidence) -> _Sheet:
    rows = tuple((one.unit.name, *_share_cells(one.quality.unknown)) for one in evidence.units)
    table = TableBlock(
        f"Contacts without a decile, {periods.in_words(evidence.period.quarter)}",
        (
            Column("unit", "Specialty", is_number=False),
            Column("n", "Without a decile", is_number=True),
            Column("total", "Contacts", is_number=True),
            Column("share", "In 100", is_number=True),
        ),
        rows,
        "SYNTHETIC. Source: T1 specialty_core20, months of the quarter.",
    )
    most = evidence.options.suppress_up_to
    return (
        "what is not known",
        (table,),
        (
            ("What does * mean, and may it be read as zero?", f"It is from 1 to {most}, never zero."),
            ("What does w mean?", "Withheld, so that no * can be worked out from the others."),
            (
                "Are people without a decile 'not deprived'?",
                f"No. {words.NOT_KNOWN_IS_APART}",
            ),
            (
                "Which specialties should look at how they record postcodes?",
                _over(evidence),
            ),
        ),
    )


def _over(evidence: Evidence) -> str:
    over = [one.unit.name for one in evidence.units if one.quality.is_over_limit]
    limit = evidence.options.unknown_limit
    return f"Those with over {limit} in 100: {', '.join(over)}." if over else f"None has over {limit} in 100."
