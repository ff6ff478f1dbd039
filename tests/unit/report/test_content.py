"""The board paper, the brief and the audit-day pack: what they say, and that every figure is a finding's."""

import dataclasses
import io
import re
from collections.abc import Iterator
from typing import Any

import pypdf
import pytest

from app.counts.parts import Published
from app.counts.tables import TABLES
from app.counts.vocabulary import vocabulary
from app.report.audit_day import NotSyntheticError, audit_day_pack
from app.report.brief import brief, brief_pdf
from app.report.content import answer, board_paper, closing_of, headline_of, sentences
from app.report.document import Callout, Document, Exhibit, Heading, KeyFigures, Paragraph, TableBlock
from app.report.evidence import Evidence, ReportUnitError, gather
from app.report.material import case, indicators
from app.report.pdf import write_pdf
from app.report.period import ReportPeriodError
from tests.unit.report.year import OPTIONS, book, evidence, initiative, tables, target

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
# Words of method: confidence, waiting times, points of a chart, percent, per 1,000, under 18s, editions of standards.
_OF_METHOD = {"8", "95", "99.8", "12", "18", "52", "65", "100", "1000", "2013", "20", "5", "13", "2006", "10", "11"}


def walked(value: Any) -> Iterator[str]:
    """Every number in findings: fields, rows and sentences; not the tables themselves."""
    if isinstance(value, Published):
        return
    if isinstance(value, bool) or value is None:
        return
    if isinstance(value, (int, float)):
        yield str(abs(value))
        yield str(round(abs(value)))
    elif isinstance(value, str):
        yield from _NUMBER.findall(value.replace(",", ""))
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from walked(key)
            yield from walked(one)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for one in value:
            yield from walked(one)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from walked(getattr(value, field.name))


def said(document: Document) -> Iterator[str]:
    """Every text and cell of a document."""
    for block in document.blocks:
        if isinstance(block, (Heading, Paragraph)):
            yield block.text
        elif isinstance(block, Callout):
            yield from block.paragraphs
        elif isinstance(block, KeyFigures):
            for figure in block.figures:
                yield from figure
        elif not isinstance(block, (TableBlock, Exhibit)):
            yield from getattr(block, "items", ())
    for table in document.tables():
        for row in table.rows:
            yield from (str(cell) for cell in row)


def known(found: Evidence) -> set[str]:
    """Every number that the report may say: of its findings, of published tables, of its sources, and of method."""
    published = [
        part
        for page in found.published.publications
        for part in found.published.figures(page.table, page.period).values()
    ]
    names = [*TABLES, *(f"{t.number} {t.shows} {t.leaves_out}" for t in TABLES.values()), *vocabulary().specialties]
    material = [case(), indicators(), found.book.targets.each, found.book.practice.initiatives]
    areas = [area for code in vocabulary().specialties for area in found.book.core20plus5.areas(code, 40)]
    dates = [(p.period, p.sealed_at, p.edition) for p in found.pages]
    return set(walked([found, published, names, material, areas, dates])) | _OF_METHOD


@pytest.mark.parametrize("period", ["2025-Q4", "2025-26", "2025-11"])
def test_no_number_is_in_the_paper_that_is_not_in_the_findings(period: str) -> None:
    rules = book((target(),), (initiative(),), "Dr A")
    found = evidence(period, rules=rules)
    paper = board_paper(found)
    allowed = known(found)
    # The gaps of earlier years and of targets are findings too; they are worked out by the same functions.
    apart = {"For the annual report", "Targets and what is being done"}
    section = ""
    for block in paper.blocks:
        section = block.text if isinstance(block, Heading) and block.level == 2 else section
        if section in apart or isinstance(block, Exhibit):
            continue
        alone = dataclasses.replace(paper, blocks=(block,))
        for text in said(alone):
            for number in _NUMBER.findall(text.replace(",", "")):
                assert number in allowed, f"{section}: {number} in {text}"


def test_the_summary_has_at_most_five_sentences_with_the_largest_gap_its_limits_and_the_quality() -> None:
    found = evidence()
    lead = next(b for b in board_paper(found).blocks if isinstance(b, Paragraph) and b.tone == "lead")
    assert 3 <= len(sentences(lead.text)) <= 5
    assert lead.text.startswith(sentences(found.overview.headline)[0])
    assert found.overview.quality is not None
    assert sentences(found.overview.quality.sentence)[0] in lead.text
    assert found.overview.trend is not None
    assert sentences(found.overview.trend.sentence)[0] in lead.text


def test_a_verdict_on_trial_limits_says_so_wherever_it_is_said_briefly() -> None:
    trend = evidence().overview.trend
    assert trend is not None
    trial = dataclasses.replace(trend, sentence="The gap has narrowed. Why is not known. These are trial limits, on 9.")
    assert closing_of(trial) == ["The gap has narrowed.", "These are trial limits, on 9."]
    assert closing_of(None) == []


def test_a_headline_cut_short_still_says_of_how_many_gaps_it_was_chosen() -> None:
    headline = "One gap. About 5 fewer. Of 3 gaps looked at it is the only certain one."
    assert headline_of(headline, 2) == ["One gap.", "Of 3 gaps looked at it is the only certain one."]
    assert len(headline_of(headline, 3)) == 3


def test_the_questions_of_the_guide_are_answered_with_what_is_recorded() -> None:
    bare = evidence()
    assert answer(bare, "lead") == case().not_recorded
    assert answer(bare, "used").startswith(case().not_recorded)
    assert "Respiratory Medicine" in answer(bare, "by_specialty")
    filled = evidence(rules=book((target(),), lead="Dr A"))
    assert answer(filled, "lead").startswith("Dr A")
    assert "Clinical lead" in answer(filled, "used")
    for question in case().questions:
        assert answer(filled, question.answer).strip()


def test_every_indicator_of_the_statement_is_there_supported_or_not() -> None:
    table = next(t for t in board_paper(evidence()).tables() if t.caption.startswith("Indicators of the Statement"))
    assert len(table.rows) == len(indicators()) == 13
    supported = {row[1]: row[2] for row in table.rows}
    assert set(supported.values()) == {"Partly", "Not supported"}
    assert [row[4] for row in table.rows if row[2] == "Not supported"] == [""] * 10


def test_what_is_hidden_stays_a_mark_in_every_table() -> None:
    paper = board_paper(evidence())
    under18 = next(t for t in paper.tables() if t.caption.startswith("Emergency contacts"))
    assert [row[1] for row in under18.rows] == [310, 220, "*", "w", 90, 15]
    missed = next(t for t in paper.tables() if t.caption.startswith("Missed appointments by specialty"))
    surgery = next(row for row in missed.rows if "Orthopaedic" in str(row[0]))
    assert surgery[1:] == ("*", "w", "hidden", None, None)


def test_a_specialty_without_rows_of_its_own_is_refused_with_those_that_have() -> None:
    with pytest.raises(ReportUnitError, match="340, 110, all_other"):
        evidence(unit="999")


def test_a_period_before_the_first_quarter_is_refused() -> None:
    with pytest.raises(ReportPeriodError, match="no quarter"):
        evidence("2025-05")


def test_a_paper_of_one_specialty_is_of_its_own_gap() -> None:
    found = evidence(unit="340")
    paper = board_paper(found)
    assert "Respiratory Medicine Service" in paper.subtitle
    assert found.overview.gaps[0].unit.code == "340"


def test_a_table_of_targets_is_there_where_targets_are_and_said_to_be_missing_where_none_are() -> None:
    with_targets = board_paper(evidence(rules=book((target(),), (initiative(),))))
    captions = [t.caption for t in with_targets.tables()]
    assert "Targets: baseline, latest and aim" in captions
    assert "What is being done" in captions
    without = " ".join(b.text for b in board_paper(evidence()).blocks if isinstance(b, Paragraph))
    assert "No target is recorded here" in without
    assert "No initiative is recorded here" in without


@pytest.mark.parametrize("unit", ["", "340", "110", "all_other"])
@pytest.mark.parametrize("rules", [book(), book((target(), target(unit="")), (), "Professor A. B. Longer-Name")])
def test_a_brief_fits_one_page_and_gives_the_three_reasons(unit: str, rules: Any) -> None:
    document = brief(evidence(unit=unit, rules=rules))
    reader = pypdf.PdfReader(io.BytesIO(write_pdf(document)))
    assert len(reader.pages) == 1
    text = reader.pages[0].extract_text()
    for part in ("Legal.", "Moral.", "Financial.", "Royal College of Physicians", "What is asked for"):
        assert part in text


def test_the_longest_name_of_a_specialty_still_gives_a_brief_of_one_page() -> None:
    longest = max(vocabulary().specialties.values(), key=lambda s: len(s.name)).code
    from tests.unit.findings.plain import Plain

    plain = Plain().missed("2025-26-Q4", longest, (180, 1200), (160, 2000))
    found = gather(plain.published(), book(), OPTIONS, "2025-Q4", longest)
    assert len(pypdf.PdfReader(io.BytesIO(write_pdf(brief(found)))).pages) == 1


def test_a_brief_as_pdf_is_made_from_published_tables_in_one_call() -> None:
    made = brief_pdf(tables(), book(), OPTIONS, "2025-Q4", "340")
    assert made == write_pdf(brief(evidence(unit="340")))


def test_reasons_and_questions_bear_their_source() -> None:
    assert "Royal College of Physicians" in case().citation
    assert [reason.kind for reason in case().reasons] == ["Legal", "Moral", "Financial"]


def test_an_audit_day_is_held_on_invented_data_alone() -> None:
    with pytest.raises(NotSyntheticError):
        audit_day_pack(evidence())
    pages = [p._replace(synthetic=i > 0) for i, p in enumerate(tables().publications)]
    mixed = gather(Published(tables().pages, pages), book(), OPTIONS, "2025-Q4")
    with pytest.raises(NotSyntheticError):
        audit_day_pack(mixed)


def test_an_audit_day_has_sheets_with_questions_and_an_answer_to_each() -> None:
    pack = audit_day_pack(evidence(synthetic=True))
    headings = [b.text for b in pack.blocks if isinstance(b, Heading)]
    sheets = [h for h in headings if h.startswith("Sheet ")]
    assert len(sheets) == 4
    assert len([h for h in headings if h.startswith("Answers to sheet ")]) == len(sheets)
    assert pack.is_synthetic
    text = " ".join(said(pack))
    assert "Respiratory Medicine Service (5 to 9)" in text
    assert "never zero" in text


def test_no_sheet_of_an_audit_day_gives_its_answer_away() -> None:
    found = evidence(synthetic=True)
    pack = audit_day_pack(found)
    at = next(i for i, b in enumerate(pack.blocks) if isinstance(b, Heading) and b.text == "Answers")
    sheets = " ".join(said(dataclasses.replace(pack, blocks=pack.blocks[:at])))
    charts = [b.chart for b in pack.blocks[:at] if isinstance(b, Exhibit)]
    assert found.overview.trend is not None
    verdict = sentences(found.overview.trend.sentence)[0]
    assert charts
    assert all(verdict not in f"{sheets} {chart.title} {chart.notes}" for chart in charts)
    assert verdict in " ".join(said(pack))


def test_the_same_tables_make_the_same_paper_whatever_the_day() -> None:
    assert write_pdf(board_paper(evidence())) == write_pdf(board_paper(evidence()))
    assert board_paper(evidence()).dated.isoformat() == "2026-03-28T00:00:00+00:00"
