"""One page to make a case: what is found, why it matters by law, morals and money, and what is asked for."""

from app.context.rulebook import Rulebook
from app.counts.parts import Published
from app.findings import words
from app.findings.options import Options
from app.findings.overview import Overview
from app.pages.charts import Column
from app.report.cells import GAP_COLUMNS, of_gap
from app.report.content import closing_of, document_of, headline_of, key_figures, sentences
from app.report.document import Block, Bullets, Callout, Document, Heading, KeyFigures, Paragraph, TableBlock
from app.report.evidence import Evidence, gather, joined, said_of
from app.report.material import case

_ASKS = 3


def brief(evidence: Evidence) -> Document:
    """The brief of the organisation, or of the specialty that the evidence is about. Fits one page of A4."""
    found, said = evidence.overview, case()
    finding = headline_of(found.headline, 3)
    closing = closing_of(found.trend)
    blocks: list[Block] = [
        Heading("What is found"),
        Paragraph(" ".join([*finding, *closing])),
    ]
    if any(gap.absolute for gap in found.gaps):
        blocks.append(KeyFigures(key_figures(gap for gap in found.gaps if gap.absolute)))
        blocks.append(_gaps(found))
    if found.quality and (found.quality.is_over_limit or found.quality.unknown.percent is None):
        said_of_it = found.quality.sentence
        blocks.append(Paragraph(said_of_it if found.quality.is_over_limit else sentences(said_of_it)[0], "quiet"))
    blocks += [
        Heading("Why it matters"),
        *(Paragraph(f"{reason.kind}. {reason.text}") for reason in said.reasons),
        Heading("What is asked for"),
        Bullets(asks(evidence)),
        Callout(
            "What must not be concluded",
            (f"{said.must_not[0]} {words.ABOUT_AREAS}",),
            is_warning=True,
        ),
        Paragraph(f"Reasons after: {said.citation} {said.attribution[3]}", "quiet"),
    ]
    return document_of(evidence, "Health inequalities: the case in brief", blocks, is_brief=True)


def _gaps(found: Overview) -> TableBlock:
    return TableBlock(
        "The most deprived fifth of areas (Core20) and the rest of England",
        (Column("measure", "Measure", is_number=False), *GAP_COLUMNS),
        tuple((words.label(gap.measure, gap.unit), *of_gap(gap)) for gap in found.gaps),
        said_of(joined(gap.source for gap in found.gaps)),
    )


def brief_pdf(published: Published, book: Rulebook, options: Options, period: str, unit_code: str = "") -> bytes:
    """The brief of a unit as PDF. ReportPeriodError and ReportUnitError where it cannot be made."""
    from app.report.pdf import write_pdf

    return write_pdf(brief(gather(published, book, options, period, unit_code)))


def asks(evidence: Evidence) -> tuple[str, ...]:
    """What the reader is asked to do, by what is recorded and what is not."""
    found = evidence.overview
    unit = found.unit
    targets = [t for t in evidence.book.targets.each if t.unit == unit.code]
    leads = {lead.id: lead for lead in evidence.book.organisation.leads}
    lead = leads["health_inequalities"]
    where = "for the organisation" if unit.kind == "organisation" else f"for {unit.name}"
    told: list[str] = []
    if not (lead.name or lead.role):
        told.append("Say who leads on health inequalities: no lead is recorded here.")
    told.append(
        f"Ask at each board meeting how far the target {where} is, and its owner: {targets[0].owner}."
        if targets
        else f"Set a target {where} with an owner and a date: none is recorded here."
    )
    told.append(_next_step(found))
    told.append("Share these tables with every team, and speak with patients from these areas before anything changes.")
    return tuple(told[:_ASKS] if len(told) > _ASKS + 1 else told)


def _next_step(found: Overview) -> str:
    if found.behind is None:
        return "Improve what is recorded: a gap that is not certain, or not shown, is not the same as no gap."
    if found.behind.measure.is_stock:
        return "Look at who waits longest and why, and offer help to attend to those who have waited."
    return "Look at letters, times, travel and our own cancellations with those who could not come."
