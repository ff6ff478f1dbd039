"""What national programmes ask about, and what the published tables can say of it: plainly, where they cannot too."""

from collections.abc import Iterable
from typing import Final

from app.context.core20plus5 import PROGRAMMES, ClinicalArea
from app.counts.tables import QUINTILES, STANDARDISED_TYPES, TABLES, Figure
from app.counts.vocabulary import vocabulary
from app.findings import drawn
from app.findings.drawn import is_year, months_of
from app.findings.findings import Gap, Source
from app.findings.gaps import gap
from app.findings.kinds import MEASURES, ORGANISATION
from app.pages.charts import Cell, Column
from app.report.cells import GAP_COLUMNS, of_count, of_gap, of_part, of_share
from app.report.document import Block, Paragraph, TableBlock
from app.report.evidence import Evidence, joined, newest_list, said_of
from app.report.material import SUPPORT, indicators

_FIFTHS: Final = ("1, most deprived", "2", "3", "4", "5, least deprived")
_TYPES: Final = {"elective": "Planned admissions", "emergency": "Emergency admissions", "outpatient": "Outpatients"}
_PROGRAMMES: Final = {"adult": "Adults", "cyp": "Children and young people"}
# Ages at which every clinical area of a programme is met: a mother of 40, a child of 8.
_AGES: Final = {"adult": 40, "cyp": 8}
_BREAKDOWNS: Final = (
    ("Deprivation", "specialty_decile"),
    ("Ethnicity, by fifth of areas", "organisation_ethnicity"),
    ("Age", "specialty_age"),
    ("Sex", "specialty_sex"),
)


def statement(evidence: Evidence) -> tuple[Block, ...]:
    """The indicators of the Statement, the breakdowns that it asks for, and the figures that there are."""
    rows = tuple(
        (i.domain, i.indicator, SUPPORT[i.support], i.what, _value(evidence, i.value), i.wording) for i in indicators()
    )
    columns = ("Domain", "Indicator", "Supported here", "What this data can say", "Value", "Wording of the indicator")
    blocks: list[Block] = [
        TableBlock(
            "Indicators of the Statement on Information on Health Inequalities",
            tuple(Column(heading, heading, is_number=False) for heading in columns),
            rows,
            "After NHS England, Statement on Information on Health Inequalities (NHS Act 2006, section 13SA).",
            (
                "Wording that is not sourced is from knowledge: check it against the Statement before it is quoted.",
                "Not supported means that other sources are needed, never that there is no inequality.",
            ),
        ),
        _breakdowns(evidence),
    ]
    year = evidence.period.year
    if year and evidence.published.of("organisation_standardised", year):
        blocks.append(_rates(evidence, year))
    if year and evidence.published.of("organisation_under18_emergency", year):
        blocks.append(_under_18(evidence, year))
    return tuple(blocks)


def _value(evidence: Evidence, value: str) -> str:
    year = evidence.period.year
    if value == "waits":
        month = newest_list(evidence.published, evidence.period)
        if not month:
            return "No waiting list of the period is published."
        return gap(evidence.published, "over_18_weeks", ORGANISATION, month, evidence.options).sentence
    table = {"rates": "organisation_standardised", "under18": "organisation_under18_emergency"}.get(value)
    if table is None:
        return ""
    if year and evidence.published.of(table, year):
        return f"In the table of {TABLES[table].number} below, {year}."
    return "No financial year of it is published."


def _breakdowns(evidence: Evidence) -> TableBlock:
    year = evidence.period.year
    rows = []
    for what, table in _BREAKDOWNS:
        page = evidence.published.of(table, year) if year else None
        shown = f"published, sealed {page.sealed_at[:10]}" if page else "not published yet"
        rows.append((what, f"{TABLES[table].number} {table}", year or None, shown))
    return TableBlock(
        "Breakdowns that the Statement asks for at least",
        (
            Column("what", "By", is_number=False),
            Column("table", "Table", is_number=False),
            Column("year", "Financial year", is_number=False),
            Column("shown", "Here", is_number=False),
        ),
        tuple(rows),
        "The list of published tables of this store.",
        ("Not stated, not known and not sent are kept apart and never counted as a group.",),
    )


def _source(evidence: Evidence, figures: Iterable[Figure]) -> Source | None:
    return drawn.source_of(evidence.published, figures)


def _rates(evidence: Evidence, year: str) -> TableBlock:
    base = Figure("organisation_standardised", year)
    figures = [
        base._replace(contact_type=kind, imd_quintile=quintile) for kind in STANDARDISED_TYPES for quintile in QUINTILES
    ]
    shown = {figure: evidence.published.part(figure) for figure in figures}
    rows: list[tuple[Cell, ...]] = []
    for kind in STANDARDISED_TYPES:
        cells = [shown[base._replace(contact_type=kind, imd_quintile=quintile)] for quintile in QUINTILES]
        rows.append((_TYPES[kind], *(part.value if part.value is not None else of_part(part) for part in cells)))
    return TableBlock(
        "Contacts per 1,000 residents, standardised for age, by fifth of areas",
        (
            Column("kind", "Type", is_number=False),
            *(Column(q, f"Fifth {name}", is_number=True) for q, name in zip(QUINTILES, _FIFTHS, strict=True)),
        ),
        tuple(rows),
        said_of(_source(evidence, figures)),
        (TABLES["organisation_standardised"].leaves_out,),
    )


def _under_18(evidence: Evidence, year: str) -> TableBlock:
    base = Figure(
        "organisation_under18_emergency", year, contact_type="emergency", dimension="age_band", category="0-17"
    )
    bands = (*zip(QUINTILES, _FIFTHS, strict=True), ("no_decile", "No decile"))
    figures = [base._replace(imd_quintile=band) for band, _ in bands]
    rows = tuple(
        (name, of_part(evidence.published.part(figure))) for (_, name), figure in zip(bands, figures, strict=True)
    )
    return TableBlock(
        "Emergency contacts of under-18s by fifth of areas",
        (Column("fifth", "Fifth of areas", is_number=False), Column("n", "Contacts", is_number=True)),
        rows,
        said_of(_source(evidence, figures)),
        (TABLES["organisation_under18_emergency"].leaves_out, "Counts, not rates: fifths differ in residents."),
    )


def core20plus5(evidence: Evidence) -> tuple[Block, ...]:
    """The clinical areas of Core20PLUS5, and the Core20 share of the contacts of each specialty that leads to one."""
    rows: list[tuple[Cell, ...]] = []
    own = {found.unit.code: found for found in evidence.units}
    used: list[Source | None] = []
    for programme in PROGRAMMES:
        for area in _areas(evidence, programme):
            direct = [
                code for code in vocabulary().specialties if _leads(evidence, code, programme, area.id) == "direct"
            ]
            shown = [code for code in direct if code in own]
            apart = len(direct) - len(shown)
            if not shown:
                rows.append((_PROGRAMMES[programme], area.name, _none_shown(apart), None, None, None))
            for code in shown:
                share = own[code].contacts
                used.append(own[code].contacts_source)
                rows.append(
                    (
                        _PROGRAMMES[programme],
                        area.name,
                        f"{own[code].unit.name} ({code})",
                        of_count(share.n, share.mark),
                        of_count(share.total, share.mark),
                        of_share(share),
                    )
                )
    return (
        Paragraph(
            "Core20PLUS5 is NHS England's approach to where inequalities in care should narrow first: the most deprived"
            " fifth of areas (Core20), groups that are chosen locally (PLUS), and five clinical areas for adults and"
            " five for children and young people. These are contacts of the specialties that lead to each area; they"
            " say nothing of diagnosis or outcome."
        ),
        TableBlock(
            "Core20PLUS5 areas: contacts of the specialties that lead to them",
            (
                Column("programme", "Programme", is_number=False),
                Column("area", "Clinical area", is_number=False),
                Column("specialty", "Specialty", is_number=False),
                Column("core20", "Contacts from Core20", is_number=True),
                Column("total", "Contacts with a decile", is_number=True),
                Column("share", "Core20 in 100", is_number=True),
            ),
            tuple(rows),
            said_of(joined(used)),
            (
                (
                    "Which specialty leads to which area is authored and needs clinical sign-off; only direct ones are"
                    " listed."
                ),
                "Counts only where a specialty has rows of its own; others stand together and are not told apart.",
            ),
        ),
    )


def _areas(evidence: Evidence, programme: str) -> list[ClinicalArea]:
    found = {
        area.id: area
        for code in vocabulary().specialties
        for area in evidence.book.core20plus5.areas(code, _AGES[programme])
        if area.programme == programme
    }
    return list(found.values())


def _leads(evidence: Evidence, code: str, programme: str, area: str) -> str:
    met = evidence.book.core20plus5.areas(code, _AGES[programme])
    return next((m.strength for m in met if (m.programme, m.id) == (programme, area)), "")


def _none_shown(apart: int) -> str:
    return f"none of {apart} has rows of its own" if apart else "none leads there directly"


def annual(evidence: Evidence) -> TableBlock:
    """For an annual report: the organisation's gaps, year by year, each on its own edition."""
    published = evidence.published
    end = months_of(evidence.period.asked)[-1]
    years = [y for y in published.periods("specialty_dna_quintile") if is_year(y) and months_of(y)[-1] <= end]
    rows: list[tuple[Cell, ...]] = []
    sources: list[Source] = []
    for year in sorted(years):
        for measure in MEASURES.values():
            if measure.name == "core20_share":
                continue
            period = months_of(year)[-1] if measure.is_stock else year
            found: Gap = gap(published, measure.name, ORGANISATION, period, evidence.options)
            page = published.of("waiting_list" if measure.is_stock else "specialty_dna_quintile", period)
            sources += [found.source] if found.source else []
            rows.append(
                (
                    year,
                    page.edition if page else None,
                    f"{measure.label}{' (end of March)' if measure.is_stock else ''}",
                    *of_gap(found),
                )
            )
    return TableBlock(
        "Gaps by financial year, the whole organisation",
        (
            Column("year", "Financial year", is_number=False),
            Column("edition", "Edition", is_number=False),
            Column("measure", "Measure", is_number=False),
            *GAP_COLUMNS,
        ),
        tuple(rows),
        said_of(joined(sources)),
        (
            "Years on different editions of the index must not be compared: areas are ranked anew.",
            "Two years make no trend: only a process chart says whether something changed.",
        ),
    )
