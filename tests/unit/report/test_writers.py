"""Whatever a report says, each of its four formats says it, as text and as numbers, and adds nothing."""

import io
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import docx
import pypdf
import pytest
from docx.oxml.ns import qn
from python_calamine import CalamineWorkbook

from app.pages.charts import Column
from app.report.document import Document, Exhibit, Heading, Paragraph, TableBlock, shown, table_of
from app.report.docx import write_docx
from app.report.html import write_html
from app.report.pdf import pages_of, write_pdf
from app.report.xlsx import write_xlsx
from tests.unit.report.sample import CHART, DOCUMENT, HOSTILE, REAL

WRITERS: dict[str, Callable[[Document], bytes]] = {
    "html": write_html,
    "pdf": write_pdf,
    "docx": write_docx,
    "xlsx": write_xlsx,
}


def squeezed(text: str) -> str:
    """A text without its spaces, which each format breaks elsewhere."""
    return re.sub(r"\s+", "", text)


def text_of_html(raw: bytes) -> str:
    """What a reader of the page sees, as a browser would take it in."""
    from html.parser import HTMLParser

    found: list[str] = []

    class Reader(HTMLParser):
        ignored = 0

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.ignored += tag in ("style", "svg")

        def handle_endtag(self, tag: str) -> None:
            self.ignored -= tag in ("style", "svg")

        def handle_data(self, data: str) -> None:
            if not self.ignored:
                found.append(data)

    Reader().feed(raw.decode())
    return "".join(found)


def text_of_pdf(raw: bytes) -> str:
    return "".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(raw)).pages)


def text_of_docx(raw: bytes) -> str:
    return "".join(t.text or "" for t in docx.Document(io.BytesIO(raw)).element.body.iter(qn("w:t")))


def sheets_of(raw: bytes) -> dict[str, list[list[object]]]:
    book = CalamineWorkbook.from_filelike(io.BytesIO(raw))
    return {name: book.get_sheet_by_name(name).to_python() for name in book.sheet_names}


def text_of_xlsx(raw: bytes) -> str:
    return "".join(str(cell) for rows in sheets_of(raw).values() for row in rows for cell in row)


TEXTS = {"html": text_of_html, "pdf": text_of_pdf, "docx": text_of_docx, "xlsx": text_of_xlsx}


@pytest.mark.parametrize("name", WRITERS)
def test_a_name_that_looks_like_markup_stays_a_name(name: str) -> None:
    text = squeezed(TEXTS[name](WRITERS[name](DOCUMENT)))
    for hostile in HOSTILE:
        assert text.count(squeezed(hostile)) >= 2, hostile


@pytest.mark.parametrize("name", WRITERS)
def test_a_sealed_document_makes_the_same_bytes_every_time(name: str) -> None:
    assert WRITERS[name](DOCUMENT) == WRITERS[name](replace(DOCUMENT))


@pytest.mark.parametrize("name", WRITERS)
def test_invented_data_says_so_and_real_data_does_not(name: str) -> None:
    assert "SYNTHETIC" in TEXTS[name](WRITERS[name](DOCUMENT))
    real = replace(REAL, blocks=tuple(b for b in REAL.blocks if not isinstance(b, Exhibit)))
    assert "SYNTHETIC" not in TEXTS[name](WRITERS[name](real))


@pytest.mark.parametrize("name", ["html", "pdf", "docx"])
def test_every_paragraph_is_there_once_in_its_order(name: str) -> None:
    text = squeezed(TEXTS[name](WRITERS[name](DOCUMENT)))
    texts = ("The gap is 6 points.", "95% limits 4 to 8", "One.", "Two.", "That a patient is deprived.", "The end.")
    places = [text.index(squeezed(said)) for said in texts]
    assert places == sorted(places)


def test_the_page_holds_no_markup_but_its_own_and_asks_nobody() -> None:
    page = write_html(DOCUMENT).decode()
    assert "<script" not in page
    assert "<b>" not in page
    assert not re.search(r"""(?:src|href)=["'](?!#)""", page)
    assert "{{ 7*7 }} {% raw %}" in page, "a template in a name is not worked out"


def test_headings_of_the_page_follow_each_other() -> None:
    levels = [int(level) for level in re.findall(r"<h([1-6])", write_html(DOCUMENT).decode())]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert levels.count(1) == 1


def test_what_is_hidden_is_told_in_words_to_those_who_listen() -> None:
    page = write_html(DOCUMENT).decode()
    assert '<span aria-hidden="true">*</span><span class="unseen">not shown, a small count</span>' in page
    assert '<span class="unseen">withheld</span>' in page


def test_the_pdf_is_tagged_titled_in_english_and_for_screen_readers() -> None:
    reader = pypdf.PdfReader(io.BytesIO(write_pdf(DOCUMENT)))
    root = reader.trailer["/Root"]
    assert root["/Lang"] == "en-GB"
    assert root["/MarkInfo"]["/Marked"]
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]
    assert reader.metadata is not None
    assert reader.metadata.title == f"{DOCUMENT.title}: {DOCUMENT.subtitle}"
    assert reader.metadata.creation_date == DOCUMENT.dated
    assert b"pdfuaid:part" in root["/Metadata"].get_data()
    assert [o["/Title"] for o in reader.outline if not isinstance(o, list)] or reader.outline


def alternatives(node: object, found: list[str]) -> list[str]:
    """The alternative texts of a structure tree."""
    node = node.get_object() if hasattr(node, "get_object") else node
    if isinstance(node, dict):
        if "/Alt" in node:
            found.append(str(node["/Alt"]))
        if "/K" in node:
            alternatives(node["/K"], found)
    elif isinstance(node, list):
        for child in node:
            alternatives(child, found)
    return found


def test_each_chart_of_the_pdf_and_of_word_has_an_alternative_text() -> None:
    reader = pypdf.PdfReader(io.BytesIO(write_pdf(DOCUMENT)))
    told = alternatives(reader.trailer["/Root"]["/StructTreeRoot"], [])
    assert any(CHART.title in text for text in told)
    pictures = docx.Document(io.BytesIO(write_docx(DOCUMENT))).inline_shapes
    assert [CHART.title in p._inline.docPr.get("descr", "") for p in pictures] == [True]


def test_the_pdf_needs_no_font_of_the_machine() -> None:
    fonts = {
        str(font.get_object()["/BaseFont"])
        for page in pypdf.PdfReader(io.BytesIO(write_pdf(DOCUMENT))).pages
        for font in page["/Resources"]["/Font"].values()
    }
    assert fonts
    assert all("+Libertinus" in font or "+DejaVuSansMono" in font for font in fonts), fonts


@pytest.mark.parametrize("sign", ["\U0001f600", "\ufffe", "\u4e2d", "\u0627", "\u061c"], ids=ascii)
def test_a_sign_that_the_font_of_the_pdf_lacks_does_not_hinder_the_report(sign: str) -> None:
    """A name in a local file may hold any: the report is made, and the rest of the name is there."""
    told = replace(DOCUMENT, blocks=(Heading("A"), Paragraph(f"Owner: Zo\u00eb{sign}Quill"), *DOCUMENT.blocks))
    text = "".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(write_pdf(told))).pages)
    assert "Owner: Zo\u00eb" in text
    assert "Quill" in text
    assert write_pdf(told) == write_pdf(told)


def test_pages_of_the_pdf_can_be_looked_at() -> None:
    pages = pages_of(DOCUMENT, 20)
    assert len(pages) == len(pypdf.PdfReader(io.BytesIO(write_pdf(DOCUMENT))).pages)
    assert all(page.startswith(b"\x89PNG") for page in pages)


def test_a_long_table_of_the_pdf_repeats_its_head_on_each_page() -> None:
    long = TableBlock(
        "Many",
        (Column("a", "Repeated heading", False), Column("n", "Number", True)),
        tuple((f"row {n}", n) for n in range(150)),
        "Invented.",
    )
    reader = pypdf.PdfReader(io.BytesIO(write_pdf(replace(DOCUMENT, blocks=(Heading("A"), long)))))
    holding = [page.extract_text() for page in reader.pages if "row " in page.extract_text()]
    assert len(holding) > 2
    assert all("Repeated heading" in text for text in holding)


def test_word_has_real_headings_captions_repeated_heads_and_a_language() -> None:
    file = docx.Document(io.BytesIO(write_docx(DOCUMENT)))
    styles = [(p.style.name, p.text) for p in file.paragraphs if p.style is not None]
    assert ("Title", DOCUMENT.title) in styles
    assert ("Heading 1", "Summary") in styles
    assert ("Heading 2", "Names") in styles
    assert ("Caption", "Initiatives and owners") in styles
    assert file.core_properties.language == "en-GB"
    for table in file.tables:
        assert table.rows[0]._tr.xpath("./w:trPr/w:tblHeader")
    assert {lang.get(qn("w:val")) for lang in file.styles.element.iter(qn("w:lang"))} == {"en-GB"}


def test_a_workbook_has_a_sheet_for_each_table_with_its_source() -> None:
    sheets = sheets_of(write_xlsx(DOCUMENT))
    assert list(sheets) == ["About", "1 Missed appointments", "2 Missed appointments"]
    for sheet, table in zip(list(sheets)[1:], DOCUMENT.tables(), strict=True):
        told = [row[0] for row in sheets[sheet]]
        assert {table.caption, table.source, *table.notes, DOCUMENT.key} <= set(told)


def test_a_workbook_holds_numbers_as_numbers_and_marks_as_text() -> None:
    rows = sheets_of(write_xlsx(DOCUMENT))["2 Missed appointments"]
    assert ["Hidden", "Nobody", "*", "w"] in rows
    assert ["Not set", "Somebody", "", 1.4] in rows
    assert [HOSTILE[0], HOSTILE[0], 14.0, 12.0] in rows
    chart = sheets_of(write_xlsx(DOCUMENT))["1 Missed appointments"]
    assert ["1 most deprived", 14.0, 13.0, 15.0, 1240.0] in chart
    assert ["3", "*", "*", "*", "*"] in chart


def test_no_cell_of_a_workbook_is_a_formula_or_a_link() -> None:
    with zipfile.ZipFile(io.BytesIO(write_xlsx(DOCUMENT))) as book:
        for name in book.namelist():
            content = book.read(name)
            assert b"<f>" not in content, name
            assert b"<hyperlink" not in content, name
            assert b"relationships/hyperlink" not in content, name


def test_a_table_whose_rows_do_not_fit_its_columns_is_refused() -> None:
    with pytest.raises(ValueError, match="cells"):
        TableBlock("x", (Column("a", "A", False),), (("1", "2"),), "")


@pytest.mark.parametrize(
    ("cell", "text"),
    [(None, "–"), ("", "–"), (1240, "1,240"), (-3, "−3"), (1.4, "1.4"), ("*", "*"), ("w", "w"), (0, "0")],
)
def test_a_cell_is_shown_as_people_read_it(cell: str | float | None, text: str) -> None:
    assert shown(cell) == text


def test_a_hidden_value_of_a_chart_is_its_mark_and_never_empty() -> None:
    rows = {row[0]: row[1:] for row in table_of(CHART).rows}
    assert rows["3"] == ("*",) * 4
    assert rows["4"] == ("w",) * 4
