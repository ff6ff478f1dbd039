"""The board paper: what is found, with its certainty, what is asked, and what must not be concluded."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from app import exhibits
from app.counts import periods
from app.counts.parts import Publication
from app.counts.tables import TABLES
from app.findings import words
from app.findings.drawn import months_of
from app.findings.findings import Gap, Ranking, Trend
from app.inequality.trend import LEAST_FOR_VERDICT, LEAST_POINTS
from app.pages.charts import Cell, Column
from app.report.cells import GAP_COLUMNS, limits, of_count, of_gap, of_ratio, of_share
from app.report.document import (
    NOT_SHOWN,
    Block,
    Bullets,
    Callout,
    Document,
    Exhibit,
    Heading,
    KeyFigure,
    KeyFigures,
    Paragraph,
    TableBlock,
)
from app.report.evidence import Evidence, UnitFindings, joined, newest_list, said_of
from app.report.material import case
from app.report.progress import Progress, progress
from app.report.standards import annual, core20plus5, statement

_SENTENCE: Final = re.compile(r"(?<=[.!?]) (?=[A-Z*])")
_MOST_SENTENCES: Final = 5


def board_paper(evidence: Evidence) -> Document:
    """The whole paper as blocks. Every figure in it is a finding's, or a published table's."""
    blocks: list[Block] = [
        Heading("Summary"),
        *summary(evidence),
        Heading("What staff and leaders are told to ask"),
        *_questions(evidence),
        Heading("Missed appointments"),
        *_missed(evidence),
        Heading("Waiting"),
        *_waiting(evidence),
        Heading("Specialties side by side"),
        *_side_by_side(evidence),
        Heading("Who is seen"),
        *_seen(evidence),
        Heading("Targets and what is being done"),
        *_targets(evidence),
        Heading("Core20PLUS5"),
        *core20plus5(evidence),
        Heading("Statement on Information on Health Inequalities"),
        *statement(evidence),
        Heading("For the annual report"),
        annual(evidence),
        Heading("How complete the data are"),
        *_quality(evidence),
        Heading("What must not be concluded"),
        *must_not_be_concluded(),
        Heading("Method and limits"),
        *_method(evidence),
        Heading("Sources and licences"),
        *_sources(evidence),
    ]
    return document_of(evidence, "Health inequalities: board paper", blocks)


def document_of(evidence: Evidence, title: str, blocks: Iterable[Block], *, is_brief: bool = False) -> Document:
    """A document of this evidence: its title page, its date and its marks."""
    unit = evidence.overview.unit
    of = "" if unit.kind == "organisation" else f"{unit.name}, "
    subtitle = of + evidence.period.words.removeprefix("the ") if not of else of + evidence.period.words
    return Document(
        title,
        subtitle[:1].upper() + subtitle[1:],
        evidence.organisation,
        evidence.facts(),
        tuple(blocks),
        evidence.options.suppress_up_to,
        evidence.dated,
        evidence.is_synthetic,
        is_brief,
    )


def sentences(text: str) -> list[str]:
    """The sentences of a finding's words."""
    return _SENTENCE.split(text) if text else []


# ----------------------------------------------------------------------------------------- summary


def summary(evidence: Evidence) -> tuple[Block, ...]:
    """At most five sentences: the largest gap with its certainty, whether it closes, and how complete the data are."""
    found = evidence.overview
    quality = sentences(found.quality.sentence)[:1] if found.quality else []
    closing = closing_of(found.trend)
    first = headline_of(found.headline, _MOST_SENTENCES - len(quality) - len(closing))
    blocks: list[Block] = [Paragraph(" ".join([*first, *closing, *quality]), "lead")]
    if figures := key_figures(found.gaps):
        blocks.append(KeyFigures(figures))
    if evidence.period.asked != evidence.period.quarter:
        blocks.append(
            Paragraph(
                f"Missed appointments by specialty are published by quarter: those here are of"
                f" {periods.in_words(evidence.period.quarter)}, the newest by the end of {evidence.period.words}.",
                "quiet",
            )
        )
    return tuple(blocks)


def closing_of(trend: Trend | None) -> list[str]:
    """The verdict of a trend, and that its limits are trial limits where they are."""
    told = sentences(trend.sentence) if trend else []
    return [*told[:1], *(text for text in told[1:] if "trial limits" in text)][:2]


def headline_of(headline: str, most: int) -> list[str]:
    """The first sentences of a headline and always its last, which says of how many gaps it was chosen."""
    told = sentences(headline)
    return told if len(told) <= most else [*told[: most - 1], told[-1]]


def key_figures(gaps: Iterable[Gap]) -> tuple[KeyFigure, ...]:
    """Each gap that was looked at, as one figure; what is not known says why."""
    return tuple(_key_figure(gap) for gap in gaps)


def _key_figure(gap: Gap) -> KeyFigure:
    label = f"{words.label(gap.measure, gap.unit)}: the gap"
    if gap.absolute is None:
        return KeyFigure(NOT_SHOWN, label, gap.sentence)
    value, when = gap.absolute.value, words.when(gap.period, gap.measure)
    if not gap.is_certain:
        return KeyFigure("Not certain", label, f"95% limits {limits(gap.absolute)} points, {when}: they include none.")
    which = "more" if value > 0 else "less"
    return KeyFigure(
        f"{words.points(abs(value))} {which}", label, f"95% limits {limits(gap.absolute)}, {when}: certain."
    )


# --------------------------------------------------------------------------------------- questions


def _questions(evidence: Evidence) -> tuple[Block, ...]:
    said = case()
    rows = tuple((question.text, answer(evidence, question.answer)) for question in said.questions)
    return (
        TableBlock(
            "Questions of the guide, and what is recorded here",
            (Column("question", "Question", is_number=False), Column("answer", "Answer", is_number=False)),
            rows,
            said.citation,
            ("Not recorded here means that this service cannot know: it is worth asking.",),
        ),
    )


def answer(evidence: Evidence, question: str) -> str:
    """What the data, and the organisation's own files, answer to one question of the guide."""
    return _ANSWERS[question](evidence)


def _lead(evidence: Evidence, name: str) -> str:
    found = next((lead for lead in evidence.book.organisation.leads if lead.id == name), None)
    known = found and (found.name or found.role or found.contact)
    return found.sentence if found and known else case().not_recorded


def _collected(evidence: Evidence) -> str:
    quality = evidence.overview.quality
    return f"Yes, by contacts. {quality.sentence if quality else ''}".strip()


def _by_specialty(evidence: Evidence) -> str:
    own = [f.unit for f in evidence.units if f.unit.kind == "specialty"]
    groups = [f.unit for f in evidence.units if f.unit.kind == "rtt_group"]
    parts = [", ".join(unit.name for unit in own)]
    if groups:
        parts.append(f"by group: {', '.join(unit.name for unit in groups)}")
    listed = "; ".join(part for part in parts if part)
    return f"Yes: {listed}. Smaller specialties stand together." if listed else "Not yet: all specialties together."


def _used(evidence: Evidence) -> str:
    targets = evidence.book.targets.each
    if not targets:
        return f"{case().not_recorded} No target is set in targets.csv."
    owners = ", ".join(dict.fromkeys(target.owner for target in targets))
    return f"Targets are set, and owned by: {owners}. Progress is below."


def _published(evidence: Evidence) -> str:
    numbers = {TABLES[page.table].number for page in evidence.pages if page.table in TABLES}
    tables = sorted(numbers, key=lambda number: int(number.removeprefix("T")))
    return (
        f"Within the organisation, as tables {', '.join(tables)}; the newest was sealed {evidence.sealed_at[:10]}."
        " Whether they are in the annual report is not recorded here; a table for it is below."
    )


_ANSWERS: Final[Mapping[str, Callable[[Evidence], str]]] = {
    "lead": lambda evidence: _lead(evidence, "health_inequalities"),
    "inclusion_lead": lambda evidence: _lead(evidence, "inclusion_health"),
    "collected": _collected,
    "by_specialty": _by_specialty,
    "used": _used,
    "published": _published,
    "shared": lambda _: f"{case().not_recorded} Published tables are made to be shared with all teams.",
    "need": lambda evidence: " ".join(sentences(evidence.overview.headline)),
    "discussed": lambda _: f"{case().not_recorded} This paper is made for it.",
}


# ---------------------------------------------------------------------------------------- findings


def _missed(evidence: Evidence) -> tuple[Block, ...]:
    found = evidence.overview
    blocks: list[Block] = [Paragraph(gap.sentence) for gap in found.gaps if not gap.measure.is_stock]
    if found.missed and found.cancelled:
        blocks.append(Exhibit(exhibits.missed_by_fifth(found.missed, found.cancelled)))
        blocks += [Paragraph(one.sentence) for one in (found.missed, found.cancelled) if not one.refusal]
    else:
        blocks.append(Paragraph("No financial year is published yet, so there is nothing by fifth of areas."))
    if found.trend and found.trend.points:
        blocks.append(Heading("Is the gap closing?", 3))
        blocks.append(Exhibit(exhibits.gap_trend(found.trend)))
    blocks += [Paragraph(one.sentence, "quiet") for one in found.breaks]
    return tuple(blocks)


def _waiting(evidence: Evidence) -> tuple[Block, ...]:
    waits = evidence.overview.waits
    if waits is None:
        return (Paragraph("No waiting list of the quarter is published: it is shown only where it is complete."),)
    names = ("Most deprived fifth (Core20)", "Rest of England")
    rows = tuple(
        (name, _size(size), of_share(within))
        for name, size, within in zip(names, waits.list_size, waits.within_18, strict=False)
    )
    return (
        Exhibit(exhibits.waits_by_core20(waits)),
        TableBlock(
            f"People waiting at the end of {periods.in_words(waits.month)}",
            (
                Column("group", "Areas", is_number=False),
                Column("size", "People waiting", is_number=True),
                Column("within", "Within 18 weeks in 100", is_number=True),
            ),
            (*rows, ("No decile known", _size(waits.list_size[2]), None)),
            said_of(waits.over_18.source),
            (words.IS_A_STOCK, "Over 52 weeks is part of over 18 weeks."),
        ),
    )


def _size(people: int | None) -> Cell:
    return people if people is not None else "not shown"


def _side_by_side(evidence: Evidence) -> tuple[Block, ...]:
    month = newest_list(evidence.published, evidence.period)
    blocks: list[Block] = [
        Paragraph(
            "Many gaps are looked at here at once, so some will look large by chance. A specialty is said to stand out"
            " only by a ranking with 99.8% limits; where there is none, its reason is given."
        )
    ]
    for found in evidence.rankings:
        if found.measure.name != "core20_share":
            blocks += _ranked(found)
    blocks.append(
        _gap_table(
            f"Missed appointments by specialty, {periods.in_words(evidence.period.quarter)}",
            [(one, one.missed) for one in evidence.units],
        )
    )
    if month:
        waiting = [(one, one.waits.over_18) for one in evidence.units if one.waits]
        blocks.append(
            _gap_table(f"Waiting over 18 weeks by specialty, end of {periods.in_words(month)}", waiting),
        )
    return tuple(blocks)


def _ranked(found: Ranking) -> list[Block]:
    says = Exhibit(exhibits.ranking(found)) if found.rows else Paragraph(found.sentence)
    return [Heading(found.measure.label, 3), says]


def _gap_table(caption: str, gaps: list[tuple[UnitFindings, Gap]]) -> TableBlock:
    rows = tuple((f"{one.unit.name}", *of_gap(gap)) for one, gap in gaps)
    return TableBlock(
        caption,
        (Column("unit", "Specialty", is_number=False), *GAP_COLUMNS),
        rows,
        said_of(joined(gap.source for _, gap in gaps)),
        ("In the order of publication, not of size. Limits are 95% limits.", words.ROUNDED_APART),
    )


def _seen(evidence: Evidence) -> tuple[Block, ...]:
    found = evidence.overview.comparisons
    if not found:
        return (Paragraph("No financial year is published yet, so nobody's share can be compared."),)
    blocks: list[Block] = [Paragraph(one.sentence) for one in found]
    if any(not one.refusal for one in found):
        blocks.append(Exhibit(exhibits.whom_we_see(found)))
    for ranking in evidence.rankings:
        if ranking.measure.name == "core20_share" and ranking.rows:
            blocks += _ranked(ranking)
    if all(one.refusal for unit in evidence.units for one in unit.comparisons):
        return tuple(blocks)
    rows = tuple(
        (
            one.unit.name,
            compared.reference.name if compared.reference else "others" if place == 0 else "the catchment",
            of_share(compared.share) if not compared.refusal or compared.share.percent else NOT_SHOWN,
            compared.reference.share.value if compared.reference else None,
            *of_ratio(compared.ratio, compared.refusal),
        )
        for one in evidence.units
        for place, compared in enumerate(one.comparisons)
        if not (compared.refusal and compared.refusal.code == "no_reference")  # said once, above
    )
    blocks.append(
        TableBlock(
            "First contacts from the most deprived fifth of areas, compared",
            (
                Column("unit", "Specialty", is_number=False),
                Column("with", "Compared with", is_number=False),
                Column("share", "Core20 in 100", is_number=True),
                Column("reference", "There in 100", is_number=True),
                Column("ratio", "Times the share", is_number=True),
                Column("lower", "Lower limit", is_number=True),
                Column("upper", "Upper limit", is_number=True),
            ),
            rows,
            said_of(joined(one.source for unit in evidence.units for one in unit.comparisons)),
            (words.NOT_YET_FAIR,),
        )
    )
    return tuple(blocks)


# ----------------------------------------------------------------------------------------- targets


def _targets(evidence: Evidence) -> tuple[Block, ...]:
    blocks: list[Block] = []
    today = evidence.dated.date()
    made = [
        progress(evidence.published, target, evidence.period.asked, today, evidence.options)
        for target in evidence.book.targets.each
    ]
    if made:
        blocks.append(_target_table(made))
    else:
        blocks.append(Paragraph("No target is recorded here: targets.csv in the organisation's own rules is empty."))
    initiatives = evidence.book.practice.initiatives
    if initiatives:
        blocks.append(
            TableBlock(
                "What is being done",
                (
                    Column("title", "Initiative", is_number=False),
                    Column("for", "For", is_number=False),
                    Column("outcome", "What came of it", is_number=False),
                    Column("ask", "Whom to ask", is_number=False),
                    Column("since", "Told since", is_number=False),
                ),
                tuple(
                    (i.title, i.specialty, i.outcome, f"{i.who_to_ask}, {i.organisation}", i.date.isoformat())
                    for i in initiatives
                ),
                "The organisation's own bank of good practice.",
                ("What came of it is told by those who did it, and is no finding of these tables.",),
            )
        )
    else:
        blocks.append(Paragraph("No initiative is recorded here: good_practice.csv is empty."))
    return tuple(blocks)


def _target_table(made: list[Progress]) -> TableBlock:
    return TableBlock(
        "Targets: baseline, latest and aim",
        (
            Column("what", "Measure", is_number=False),
            Column("unit", "Where", is_number=False),
            Column("baseline", "Baseline", is_number=True),
            Column("of", "Baseline of", is_number=False),
            Column("latest", "Latest", is_number=True),
            Column("lower", "Lower limit", is_number=True),
            Column("upper", "Upper limit", is_number=True),
            Column("latest_of", "Latest of", is_number=False),
            Column("target", "Target", is_number=True),
            Column("by", "By", is_number=False),
            Column("owner", "Owner", is_number=False),
            Column("said", "Where it stands", is_number=False),
        ),
        tuple(
            (
                p.label,
                p.unit.name,
                p.target.baseline,
                p.target.baseline_period,
                *((p.latest.value, p.latest.lower, p.latest.upper) if p.latest else (None, None, None)),
                p.latest_period or None,
                p.target.target,
                p.target.by.isoformat(),
                p.target.owner,
                p.sentence,
            )
            for p in made
        ),
        "Baselines and targets: the organisation's own file. Latest: published tables.",
        (
            "Gaps are in percentage points, Core20 less the rest; shares in 100 contacts.",
            "A baseline and a latest value are two points: neither an improvement nor a decline by themselves.",
        ),
    )


# ----------------------------------------------------------------------------------------- quality


def _quality(evidence: Evidence) -> tuple[Block, ...]:
    found = evidence.overview
    blocks: list[Block] = [Paragraph(found.quality.sentence)] if found.quality else []
    blocks.append(
        TableBlock(
            f"Contacts without a decile, {periods.in_words(evidence.period.quarter)}",
            (
                Column("unit", "Specialty", is_number=False),
                Column("n", "Without a decile", is_number=True),
                Column("total", "Contacts", is_number=True),
                Column("share", "In 100", is_number=True),
                Column("over", f"Over {evidence.options.unknown_limit} in 100", is_number=False),
            ),
            tuple(
                (
                    one.unit.name,
                    of_count(one.quality.unknown.n, one.quality.unknown.mark),
                    of_count(one.quality.unknown.total, one.quality.unknown.mark),
                    of_share(one.quality.unknown),
                    "yes" if one.quality.is_over_limit else "no" if one.quality.unknown.percent else "not known",
                )
                for one in evidence.units
            ),
            "Source: T1 specialty_core20, months of the quarter.",
            (words.NOT_KNOWN_IS_APART,),
        )
    )
    if evidence.completeness:
        blocks.append(Exhibit(exhibits.completeness(evidence.completeness)))
    if evidence.inclusion and not evidence.inclusion.refusal:
        blocks += [Heading("Inclusion health", 3), Exhibit(exhibits.inclusion(evidence.inclusion))]
    return tuple(blocks)


# ------------------------------------------------------------------------------ method and sources


def must_not_be_concluded() -> tuple[Block, ...]:
    """What the paper must not be read as, and what its data may never be used for."""
    said = case()
    return (
        Callout("What must not be concluded", said.must_not, is_warning=True),
        Callout("Never for", said.never, is_warning=True),
    )


def _method(evidence: Evidence) -> tuple[Block, ...]:
    effect = evidence.options.design_effect
    return (
        Bullets(
            (
                "Every figure is worked out from published tables alone. No cell below them is read.",
                f"The rule for small numbers: {evidence.overview.rule}.",
                (
                    f"Shares are of {evidence.options.least_denominator} or more, in whole percent; gaps are in whole"
                    " percentage points, with 95% limits after Newcombe; slopes are fitted on the logit scale."
                ),
                "A gap is called certain where its limits leave out zero.",
                words.DESIGN_EFFECT if effect else words.CONTACTS_ARE_NOT_PEOPLE,
                words.ROUNDED_APART,
                f"Change is judged by process charts (XmR) of at least {LEAST_FOR_VERDICT} points, never by two.",
                f"With fewer than {LEAST_POINTS} points the limits of such a chart are trial limits.",
                words.NOT_KNOWN_IS_APART,
                words.IS_A_STOCK,
                words.ABOUT_AREAS,
            )
        ),
    )


def _sources(evidence: Evidence) -> tuple[Block, ...]:
    said = case()
    wanted = {evidence.period.quarter, evidence.period.year, *months_of(evidence.period.asked)}
    wanted |= {*months_of(evidence.period.quarter)}
    pages: dict[tuple[str, str], list[Publication]] = {}
    for page in evidence.pages:
        if page.period in wanted and page.table in TABLES:
            pages.setdefault((page.table, page.edition), []).append(page)
    return (
        TableBlock(
            "Published tables of the period",
            (
                Column("number", "Number", is_number=False),
                Column("table", "Table", is_number=False),
                Column("period", "Periods", is_number=False),
                Column("edition", "Edition", is_number=False),
                Column("sealed", "Newest sealed", is_number=False),
            ),
            tuple(
                (
                    TABLES[table].number,
                    table,
                    ", ".join(page.period for page in found),
                    edition,
                    max(page.sealed_at for page in found)[:10],
                )
                for (table, edition), found in sorted(pages.items())
            ),
            "Trends also rest on the periods that their charts show.",
        ),
        Bullets((*said.attribution, said.citation)),
    )
