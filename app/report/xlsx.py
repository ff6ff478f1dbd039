"""A report as a workbook: a sheet for each table, with what it is from; numbers as numbers, `*` and `w` as text.

No cell is a formula: a name that begins with `=` stays a name.
"""

import io
import re
from typing import Any, Final

from app.pages.charts import Cell
from app.report.document import Callout, Document, Exhibit, Heading, TableBlock, shown

_NOT_IN_A_NAME: Final = re.compile(r"[\[\]:*?/\\'\x00-\x1f]")
_LONGEST_NAME: Final = 31
_WIDEST: Final = 60


def write_xlsx(document: Document) -> bytes:
    """The report's tables as XLSX. Equal documents make equal bytes."""
    import xlsxwriter  # when a report is written, and not when the service starts

    raw = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    book = xlsxwriter.Workbook(raw, options)
    book.set_properties(
        {
            "title": document.title,
            "subject": document.subtitle,
            "author": document.organisation or "IMD Lens",
            "created": document.dated.replace(tzinfo=None),
            "comments": "SYNTHETIC DATA, invented for demonstration." if document.is_synthetic else "",
        }
    )
    _Writer(book, document).write()
    book.close()
    return raw.getvalue()


class _Writer:
    """One workbook in the making."""

    def __init__(self, book: Any, document: Document) -> None:
        self._book, self._document = book, document
        self._bold = book.add_format({"bold": True, "text_wrap": True, "valign": "top"})
        self._head = book.add_format(
            {"bold": True, "text_wrap": True, "valign": "bottom", "bottom": 2, "bg_color": "#E8EDEE"}
        )
        self._text = book.add_format({"text_wrap": True, "valign": "top"})
        self._right = book.add_format({"align": "right", "valign": "top"})
        self._whole = book.add_format({"num_format": "#,##0", "valign": "top"})
        self._tenths = book.add_format({"num_format": "0.0", "valign": "top"})

    def write(self) -> None:
        document = self._document
        about = self._book.add_worksheet("About")
        tables = [(name, table) for name, table in _named(document)]
        lines: list[tuple[str, str]] = [(document.title, document.subtitle)]
        if document.is_synthetic:
            lines.append(("SYNTHETIC DATA", "Everything here is invented for demonstration."))
        lines += [(fact.name, fact.value) for fact in document.facts]
        lines.append(("Key", document.key))
        for block in document.blocks:
            if isinstance(block, Callout) and block.is_warning:
                lines += [(block.title, text) for text in block.paragraphs]
        for row, (name, value) in enumerate(lines):
            about.write_string(row, 0, name, self._bold)
            about.write_string(row, 1, value, self._text)
        about.set_column(0, 0, 28)
        about.set_column(1, 1, 90)
        row = len(lines) + 1
        about.write_string(row, 0, "Sheet", self._head)
        about.write_string(row, 1, "Table", self._head)
        for number, (name, table) in enumerate(tables, row + 1):
            about.write_string(number, 0, name, self._text)
            about.write_string(number, 1, table.caption, self._text)
        for name, table in tables:
            self._sheet(name, table)

    def _sheet(self, name: str, table: TableBlock) -> None:
        sheet = self._book.add_worksheet(name)
        above = [table.caption, table.source, *table.notes, self._document.key]
        if self._document.is_synthetic:
            above.insert(0, "SYNTHETIC DATA, invented for demonstration.")
        for row, line in enumerate(above):
            sheet.write_string(row, 0, line, self._bold if line == table.caption else None)
        first = len(above) + 1
        for place, column in enumerate(table.columns):
            sheet.write_string(first, place, column.heading, self._head)
            longest = max([len(column.heading) // 2, *(len(shown(row[place])) for row in table.rows)])
            sheet.set_column(place, place, min(_WIDEST, max(10, longest + 2)))
        for down, cells in enumerate(table.rows, first + 1):
            for place, cell in enumerate(cells):
                self._cell(sheet, down, place, cell, is_number=table.columns[place].is_number)
        if table.rows:
            sheet.autofilter(first, 0, first + len(table.rows), len(table.columns) - 1)
        sheet.freeze_panes(first + 1, 1)
        sheet.repeat_rows(first)
        sheet.fit_to_pages(1, 0)
        sheet.set_paper(9)  # A4

    def _cell(self, sheet: Any, down: int, place: int, cell: Cell, *, is_number: bool) -> None:
        if isinstance(cell, (int, float)) and not isinstance(cell, bool):
            sheet.write_number(down, place, cell, self._whole if isinstance(cell, int) else self._tenths)
        elif cell is None:
            sheet.write_blank(down, place, None)
        else:
            sheet.write_string(down, place, shown(cell), self._right if is_number else self._text)


def _named(document: Document) -> list[tuple[str, TableBlock]]:
    """Each table with the name of its sheet: its number and the section that it stands in."""
    named: list[tuple[str, TableBlock]] = []
    section = document.title
    tables = document.tables()
    for block in document.blocks:
        if isinstance(block, Heading) and block.level == 2:
            section = block.text
        elif isinstance(block, (TableBlock, Exhibit)):
            name = _NOT_IN_A_NAME.sub(" ", f"{len(named) + 1} {section}")[:_LONGEST_NAME].strip()
            named.append((name, next(tables)))
    return named
