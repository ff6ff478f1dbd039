"""A report as a Word file with real styles: headings, captions, table headers that repeat, alternative text."""

import io
import zipfile
from dataclasses import replace
from typing import Any, Final

from app.report.document import (
    Block,
    Bullets,
    Callout,
    Document,
    Exhibit,
    Heading,
    KeyFigures,
    PageBreak,
    Paragraph,
    TableBlock,
    shown,
    table_of,
)
from app.report.pictures import alternative, png_of

_BLUE: Final = "005EB8"
_GREY: Final = "4C6272"
_FIRST_DAY: Final = (1980, 1, 1, 0, 0, 0)  # of the zip format
_WIDTH: Final = 17.0  # centimetres of text on A4


def write_docx(document: Document) -> bytes:
    """The report as DOCX. Equal documents make equal bytes."""
    return _Writer(document).written()


class _Writer:
    """One file in the making."""

    def __init__(self, document: Document) -> None:
        import docx  # when a report is written, and not when the service starts

        self._document = document
        self._file: Any = docx.Document()
        self._set_up()

    def written(self) -> bytes:
        document = self._document
        if document.is_synthetic:
            self._callout("SYNTHETIC DATA.", ("Everything here is invented for demonstration.",), "FFF9C4")
        self._file.add_paragraph(document.title, style="Title")
        self._file.add_paragraph(document.subtitle, style="Subtitle")
        if document.is_brief:
            self._quiet(". ".join(f"{fact.name}: {fact.value}" for fact in document.facts) + ".")
        else:
            for fact in document.facts:
                line = self._file.add_paragraph()
                line.add_run(f"{fact.name}: ").bold = True
                line.add_run(_text(fact.value))
        for block in document.blocks:
            self._add(block)
        self._quiet(document.key)
        raw = io.BytesIO()
        self._file.save(raw)
        return _undated(raw.getvalue())

    def _set_up(self) -> None:
        from docx.oxml import OxmlElement
        from docx.oxml.ns import qn
        from docx.shared import Cm, Pt, RGBColor

        file, document = self._file, self._document
        section = file.sections[0]
        section.page_width, section.page_height = Cm(21), Cm(29.7)
        section.left_margin = section.right_margin = section.top_margin = section.bottom_margin = Cm(2)
        for name, size in (("Normal", 11), ("Title", 22), ("Heading 1", 16), ("Heading 2", 13), ("Caption", 10)):
            font = file.styles[name].font
            font.name, font.size = "Arial", Pt(size)
            fonts = file.styles[name].element.get_or_add_rPr().get_or_add_rFonts()
            for which in ("w:asciiTheme", "w:hAnsiTheme", "w:eastAsiaTheme", "w:cstheme"):
                fonts.attrib.pop(qn(which), None)
            fonts.set(qn("w:hAnsi"), "Arial")
            if name != "Normal":
                font.color.rgb = RGBColor.from_string(_BLUE if name != "Caption" else "212B32")
        file.styles["Normal"].paragraph_format.space_after = Pt(6)
        language = OxmlElement("w:lang")
        language.set(qn("w:val"), "en-GB")
        run = file.styles["Normal"].element.get_or_add_rPr()
        for old in run.findall(qn("w:lang")):
            run.remove(old)
        run.append(language)
        for default in file.styles.element.iter(qn("w:lang")):
            default.set(qn("w:val"), "en-GB")
        about = file.core_properties
        about.title, about.subject, about.language = _text(document.title), _text(document.subtitle), "en-GB"
        about.author = about.last_modified_by = _text(document.organisation) or "IMD Lens"
        about.comments = "SYNTHETIC DATA, invented for demonstration." if document.is_synthetic else ""
        about.created = about.modified = document.dated.replace(tzinfo=None)
        self._footer(section)

    def _footer(self, section: Any) -> None:
        from docx.oxml import OxmlElement
        from docx.oxml.ns import qn

        mark = "SYNTHETIC DATA. " if self._document.is_synthetic else ""
        line = section.footer.paragraphs[0]
        line.add_run(_text(f"{mark}{self._document.title}. {self._document.subtitle}. Page "))
        field = OxmlElement("w:fldSimple")
        field.set(qn("w:instr"), "PAGE")
        line._p.append(field)  # noqa: SLF001 - python-docx has no fields of its own

    def _add(self, block: Block) -> None:
        if isinstance(block, Heading):
            self._file.add_paragraph(_text(block.text), style=f"Heading {block.level - 1}")
        elif isinstance(block, Paragraph):
            if block.tone == "quiet":
                self._quiet(block.text)
            else:
                self._file.add_paragraph(_text(block.text))
        elif isinstance(block, Bullets):
            for item in block.items:
                self._file.add_paragraph(_text(item), style="List Number" if block.numbered else "List Bullet")
        elif isinstance(block, Callout):
            self._callout(block.title, block.paragraphs, "FFF9C4" if block.is_warning else "F0F4F5")
        elif isinstance(block, KeyFigures):
            for figure in block.figures:
                line = self._file.add_paragraph()
                line.add_run(_text(figure.value)).bold = True
                line.add_run(_text(f" {figure.label}. {figure.note}"))
        elif isinstance(block, TableBlock):
            self._table(block)
        elif isinstance(block, Exhibit):
            self._picture(block)
            self._table(replace(table_of(block.chart), caption=block.chart.axis))
        elif isinstance(block, PageBreak):
            self._file.add_page_break()

    def _quiet(self, text: str) -> None:
        from docx.shared import Pt, RGBColor

        run = self._file.add_paragraph().add_run(_text(text))
        run.font.size, run.font.color.rgb = Pt(9), RGBColor.from_string(_GREY)

    def _callout(self, title: str, paragraphs: tuple[str, ...], fill: str) -> None:
        from docx.oxml import OxmlElement
        from docx.oxml.ns import qn

        for number, text in enumerate((title, *paragraphs)):
            line = self._file.add_paragraph()
            line.add_run(_text(text)).bold = number == 0
            shade = OxmlElement("w:shd")
            for name, value in (("w:val", "clear"), ("w:color", "auto"), ("w:fill", fill)):
                shade.set(qn(name), value)
            line.paragraph_format.element.get_or_add_pPr().append(shade)
            line.paragraph_format.keep_with_next = number < len(paragraphs)

    def _picture(self, block: Exhibit) -> None:
        from docx.shared import Cm

        title = self._file.add_paragraph(_text(block.chart.title), style="Caption")
        title.paragraph_format.keep_with_next = True
        self._file.add_picture(io.BytesIO(png_of(block.chart)), width=Cm(_WIDTH))
        self._file.paragraphs[-1].paragraph_format.keep_with_next = True
        about = self._file.inline_shapes[-1]._inline.docPr  # noqa: SLF001 - python-docx does not set alternative text
        about.set("descr", _text(alternative(block.chart)))
        about.set("title", _text(block.chart.question))

    def _table(self, block: TableBlock) -> None:
        from docx.enum.text import WD_ALIGN_PARAGRAPH
        from docx.oxml import OxmlElement
        from docx.oxml.ns import qn
        from docx.shared import Pt

        caption = self._file.add_paragraph(_text(block.caption), style="Caption")
        caption.paragraph_format.keep_with_next = True
        table = self._file.add_table(rows=1, cols=len(block.columns), style="Light Grid Accent 1")
        size = Pt(8 if len(block.columns) > 6 else 9)
        heads = [column.heading for column in block.columns]
        for row, texts in enumerate([heads, *([shown(cell) for cell in cells] for cells in block.rows)]):
            line = table.rows[0] if row == 0 else table.add_row()
            settings = line._tr.get_or_add_trPr()  # noqa: SLF001 - python-docx has no word for either
            settings.append(OxmlElement("w:cantSplit"))
            if row == 0:
                header = OxmlElement("w:tblHeader")
                header.set(qn("w:val"), "true")
                settings.append(header)
            for place, column, text in zip(line.cells, block.columns, texts, strict=True):
                paragraph = place.paragraphs[0]
                paragraph.paragraph_format.space_after = Pt(0)
                run = paragraph.add_run(_text(text))
                run.font.size, run.bold = size, row == 0
                if column.is_number:
                    paragraph.alignment = WD_ALIGN_PARAGRAPH.RIGHT
        about = OxmlElement("w:tblDescription")
        about.set(qn("w:val"), _text(block.caption))
        table._tbl.tblPr.append(about)  # noqa: SLF001 - as above
        for note in (*block.notes, block.source):
            self._quiet(note)


def _text(text: str) -> str:
    """A text as XML can hold it: without control characters and lone surrogates."""
    return "".join(c if c >= " " and not "\ud800" <= c <= "\udfff" and c not in "\ufffe\uffff" else " " for c in text)


def _undated(raw: bytes) -> bytes:
    """The same archive without the time at which it was packed."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            entry = zipfile.ZipInfo(name, _FIRST_DAY)
            entry.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(entry, old.read(name))
    return packed.getvalue()
