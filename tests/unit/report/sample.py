"""A document with every kind of block, and names that try to be markup in each of the four formats."""

from dataclasses import replace
from datetime import UTC, datetime

from app.pages.charts import Chart, Column
from app.report.document import (
    Bullets,
    Callout,
    Document,
    Exhibit,
    Fact,
    Heading,
    KeyFigure,
    KeyFigures,
    PageBreak,
    Paragraph,
    TableBlock,
)

HOSTILE = (
    "<b>bold</b><script>alert(1)</script>",
    '#text(red)[x] *star* _low_ $x$ = head \\ " // /* `raw` @ref <label>',
    '=HYPERLINK("http://example.com","x")',
    "+1+1",
    "@SUM(1)",
    "{=1+1}",
    "http://example.com/a",
    "-2+3|cmd",
    "&amp; {{ 7*7 }} {% raw %}",
    "w:t ]]> tab\tend",
)

CHART = Chart(
    "missed-fifths",
    "bars",
    "Where are appointments missed most?",
    "In the most deprived fifth of areas 14 in 100 appointments were missed; in the least deprived 8 in 100.",
    "Missed in 100 appointments",
    (
        Column("group", "Fifth of areas", False),
        Column("value", "Missed in 100", True),
        Column("lower", "Lower limit", True),
        Column("upper", "Upper limit", True),
        Column("n", "Missed", True),
    ),
    (
        {"group": "1 most deprived", "series": "", "value": 14, "lower": 13, "upper": 15, "n": 1240, "mark": ""},
        {"group": "2", "series": "", "value": 12, "lower": 11, "upper": 13, "n": 1010, "mark": ""},
        {"group": "3", "series": "", "value": None, "lower": None, "upper": None, "n": None, "mark": "*"},
        {"group": "4", "series": "", "value": None, "lower": None, "upper": None, "n": None, "mark": "w"},
        {"group": "5 least deprived", "series": "", "value": 8, "lower": 7, "upper": 9, "n": 640, "mark": ""},
    ),
    "T4, 2025-26, IoD2025, sealed 2026-05-10.",
    ("Contacts are counted, not people.",),
    is_synthetic=True,
)

DOCUMENT = Document(
    "Health inequalities: board paper",
    "the quarter July to September 2026",
    "RX1",
    (Fact("Organisation", "RX1"), Fact("Period", "the quarter July to September 2026"), Fact("Edition", "IoD2025")),
    (
        Heading("Summary"),
        Paragraph("The gap is 6 points.", "lead"),
        KeyFigures(
            (
                KeyFigure("6 points", "more missed in the most deprived fifth", "95% limits 4 to 8"),
                KeyFigure("1.8", "times as often", "95% limits 1.4 to 2.2"),
            )
        ),
        Bullets(("One.", "Two.")),
        Callout("What must not be concluded", ("That a patient is deprived.",), is_warning=True),
        Heading("Missed appointments"),
        Exhibit(CHART),
        Heading("Names", 3),
        TableBlock(
            "Initiatives and owners",
            (
                Column("name", "Initiative", False),
                Column("owner", "Owner", False),
                Column("from", "Baseline", True),
                Column("latest", "Latest", True),
            ),
            (
                *((name, name, 14, 12) for name in HOSTILE),
                ("Hidden", "Nobody", "*", "w"),
                ("Not set", "Somebody", None, 1.4),
            ),
            "The organisation's own targets.",
            ("A target is the organisation's own.",),
        ),
        PageBreak(),
        Paragraph("The end.", "quiet"),
    ),
    7,
    datetime(2026, 10, 9, 8, 30, tzinfo=UTC),
    is_synthetic=True,
)

REAL = replace(DOCUMENT, is_synthetic=False)
