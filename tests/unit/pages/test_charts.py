"""Charts are accessible, depend on nothing but their rows, and give nothing away that a row hides."""

import csv
import io
import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest

from app.pages import vega
from app.pages.charts import Cell, Chart, Column, as_csv, as_json, png, svg

SVG = "{http://www.w3.org/2000/svg}"
WEIRD = (
    "Emergency <ED> & \"Minor\" 'injuries'",
    "مستشفى الملكة",
    "=HYPERLINK(1)",
    "a\x00b\x1b]c",
    "😀" * 40,
    "",
    "</svg>",
)


def row(**cells: Cell) -> dict[str, Cell]:
    return cells


def bars(*values: int | None, mark: str = "*") -> Chart:
    rows = tuple(
        row(
            group=f"Fifth {i + 1}",
            series="Missed",
            value=value,
            lower=None if value is None else max(value - 2, 0),
            upper=None if value is None else value + 3,
            mark=mark if value is None else "",
            is_subject="yes" if i == 0 else "no",
            period="2026-10",
        )
        for i, value in enumerate(values)
    )
    return chart("bars", rows)


def chart(kind: Any, rows: tuple[dict[str, Cell], ...], **more: Any) -> Chart:
    columns = (
        Column("group", "Areas", is_number=False),
        Column("value", "In 100", is_number=True),
        Column("size", "Contacts", is_number=True),
        Column("period", "Period", is_number=False, place="twins"),
        Column("when", "Period", is_number=False, place="page"),
    )
    whole: dict[str, Any] = {
        "id": f"a-{kind}",
        "kind": kind,
        "question": "Are more appointments missed?",
        "title": "14 in 100 were missed.",
        "axis": "Missed in 100 appointments",
        "columns": columns,
        "rows": rows,
        "source": "Table T4.",
    }
    return Chart(**{**whole, **more})


def trend(*values: int | None, flag: str = "", mark: str = "*") -> Chart:
    rows = tuple(
        row(
            period=f"{2024 + i // 12}-{i % 12 + 1:02d}",
            value=value,
            mean=6,
            lower=2,
            upper=10,
            phase=i // 6,
            flag=flag if value is not None and i % 3 == 0 else "",
            mark="" if value is not None else mark,
            edition=f"IoD{2019 + i // 6 * 6}",
        )
        for i, value in enumerate(values)
    )
    return chart("trend", rows)


def ranking(count: int, name: str = "Service") -> Chart:
    rows = tuple(
        row(name=f"{name} {i}", value=12 - i, lower=9 - i, upper=15 - i, stands_out="yes" if i < 2 else "no")
        for i in range(count)
    )
    return chart("ranking", rows, centre=5, centre_label="All together 5")


def funnel(name: str = "Service") -> Chart:
    rows = tuple(
        row(name=f"{name} {i}", size=200 + 300 * i, value=5 + i % 4, stands_out="yes" if i == 3 else "no")
        for i in range(9)
    )
    limits = tuple(
        row(size=s, lower95=9 - w, upper95=9 + w, lower998=9 - 2 * w, upper998=9 + 2 * w)
        for s, w in ((100, 4), (1000, 2), (3000, 1))
    )
    return chart("funnel", rows, centre=9, limits=limits)


def slope(*values: int | None) -> Chart:
    rows = tuple(
        row(
            group=f"Fifth {i + 1}",
            position=10 + 20 * i,
            value=value,
            lower=None if value is None else value - 2,
            upper=None if value is None else value + 2,
            fitted=15 - 2 * i,
            mark="*" if value is None else "",
        )
        for i, value in enumerate(values)
    )
    return chart("slope", rows)


EVERY = [
    bars(14, 12, None, 9, 0),
    trend(5, 7, None, 6, 9, 1, 2, flag="worse"),
    ranking(14),
    funnel(),
    slope(15, 12, None, 9, 7),
]


def parsed(drawn: str) -> ElementTree.Element:
    """What was drawn here, which is no stranger's XML."""
    return ElementTree.fromstring(drawn)  # noqa: S314


def texts(drawn: str) -> list[str]:
    """Each text of a drawing, lines joined, halos once."""
    found = ["".join(text.itertext()) for text in parsed(drawn).iter(f"{SVG}text")]
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("width", [640, 320])
@pytest.mark.parametrize("one", EVERY, ids=lambda c: c.kind)
def test_every_kind_is_one_named_and_described_image_with_nothing_inside_that_is_spoken(one: Chart, width: int) -> None:
    root = parsed(svg(one, width))
    assert root.get("role") == "img"
    assert root.get("viewBox", "").startswith(f"0 0 {width} ")
    title, desc, inside = list(root)
    assert (title.tag, title.text) == (f"{SVG}title", one.title)
    assert desc.tag == f"{SVG}desc"
    assert desc.text is not None
    assert one.question in desc.text
    assert "The table beneath holds the numbers." in desc.text
    assert root.get("aria-labelledby") == title.get("id")
    assert root.get("aria-describedby") == desc.get("id")
    assert inside.get("aria-hidden") == "true"
    for element in inside.iter():
        assert not [name for name in element.attrib if name.startswith("aria-") or name in ("role", "tabindex")] or (
            element is inside
        )


@pytest.mark.parametrize("width", [640, 320])
@pytest.mark.parametrize("one", EVERY, ids=lambda c: c.kind)
def test_no_chart_holds_what_the_content_policy_of_a_page_forbids(one: Chart, width: int) -> None:
    for element in parsed(svg(replace(one, is_synthetic=True), width)).iter():
        assert element.tag.removeprefix(SVG) in {"svg", "title", "desc", "g", "path", "line", "text", "tspan", "rect"}
        for name, value in element.attrib.items():
            assert name.rpartition("}")[2] not in {"style", "href", "src"}
            assert not name.startswith("on")
            assert "url(" not in value
            assert "://" not in value


@pytest.mark.parametrize("one", EVERY, ids=lambda c: c.kind)
def test_two_widths_of_a_chart_may_stand_on_one_page(one: Chart) -> None:
    found = [e.get("id") for width in (640, 320) for e in parsed(svg(one, width)).iter() if e.get("id")]
    assert len(found) == len(set(found)) == 6
    assert all(str(name).startswith(f"{one.id}-") for name in found)


@pytest.mark.parametrize("width", [640, 320])
@pytest.mark.parametrize("one", EVERY, ids=lambda c: c.kind)
def test_no_text_is_smaller_than_12_pixels(one: Chart, width: int) -> None:
    sizes = [float(size) for size in re.findall(r'font-size="([0-9.]+)px"', svg(one, width))]
    assert sizes
    assert min(sizes) >= 12


@pytest.mark.parametrize("one", EVERY, ids=lambda c: c.kind)
def test_a_chart_depends_on_its_rows_and_words_alone_and_is_the_same_in_another_process(one: Chart) -> None:
    other = replace(
        one, source="Another table.", notes=("Another note.",), rows=tuple(dict(r, n=123) for r in one.rows)
    )
    assert svg(other) == svg(one)
    program = (
        "import sys; from tests.unit.pages.test_charts import EVERY, svg;"
        "print(next(ascii(svg(c)) for c in EVERY if c.kind == sys.argv[1]))"
    )
    again = subprocess.run([sys.executable, "-c", program, one.kind], capture_output=True, text=True, check=True)
    assert again.stdout.strip() == ascii(svg(one))


@pytest.mark.parametrize("kind", ["bars", "trend", "slope", "ranking"])
def test_a_hidden_row_is_drawn_as_its_mark_whatever_stands_in_it(kind: str) -> None:
    def of(value: int | None, lower: int | None, upper: int | None) -> Chart:
        one = next(c for c in EVERY if c.kind == kind)
        hidden = {**one.rows[2], "mark": "*", "value": value, "flag": ""}
        # In a trend lower and upper are the limits of the phase, which every row of it says.
        hidden |= {} if kind == "trend" else {"lower": lower, "upper": upper, "fitted": None}
        return replace(one, rows=(*one.rows[:2], hidden, *one.rows[3:]))

    assert svg(of(None, None, None)) == svg(of(99, 90, 100)) == svg(of(0, 0, 1))
    assert any(text.startswith("*") for text in texts(svg(of(3, 2, 4))))


@pytest.mark.parametrize(("mark", "words"), list(vega.MARKS.items()))
def test_a_hidden_bar_says_in_words_why_and_has_no_bar(mark: str, words: str) -> None:
    shown, hidden = svg(bars(14, 0)), svg(bars(14, None, mark=mark))
    assert words in texts(hidden)
    assert "0" in texts(shown)
    fills = [svg(c).count(f'fill="{vega.OTHER}"') for c in (bars(14, 3), bars(14, None, mark=mark))]
    assert fills == [1, 0]


def test_a_hidden_period_is_a_gap_in_the_line() -> None:
    def lines(one: Chart) -> int:
        return len(re.findall(rf'<path d="M[^"]*L[^"]*" stroke="{vega.QUIET}" stroke-width="2"', svg(one)))

    assert lines(trend(5, 6, 7, 6, 5)) == 1
    assert lines(trend(5, 6, None, 6, 5)) == 2


def test_a_line_ends_where_a_phase_does_and_each_phase_names_its_edition() -> None:
    whole, broken = trend(5, 6, 7, 6, 5, 4), trend(5, 6, 7, 6, 5, 4, 3, 3)
    pattern = rf'<path d="M[^"]*L[^"]*" stroke="{vega.QUIET}" stroke-width="2"'
    assert [len(re.findall(pattern, svg(c))) for c in (whole, broken)] == [1, 2]
    assert {"IoD2019", "IoD2025"} <= set(texts(svg(broken)))


@pytest.mark.parametrize(
    ("flag", "words"), [("better", "Better than"), ("worse", "Worse than"), ("changed", "Changed by")]
)
def test_a_flagged_point_is_told_in_words_too(flag: str, words: str) -> None:
    assert any(text.startswith(words) for text in texts(svg(trend(5, 6, 7, 6, flag=flag))))
    assert not any(text.startswith(words) for text in texts(svg(trend(5, 6, 7, 6))))


def test_bars_say_their_values_and_begin_at_zero() -> None:
    said = texts(svg(bars(14, 12, 9)))
    assert {"14", "12", "9", "0"} <= set(said)
    assert "12,345" in texts(svg(bars(12345)))


def test_a_ranking_of_178_rows_names_each_and_gives_each_room() -> None:
    drawn = svg(ranking(178))
    said = texts(drawn)
    assert all(f"Service {i}" in said for i in range(178))
    places = sorted({float(y) for y in re.findall(r'translate\([-0-9.]+,([0-9.]+)\)"[^>]*>Service', drawn)})
    assert min(b - a for a, b in pairwise(places)) >= 20
    assert "−165" in said


def test_only_what_stands_out_is_named_in_a_funnel() -> None:
    assert [text for text in texts(svg(funnel())) if text.startswith("Service")] == ["Service 3"]


@pytest.mark.parametrize("width", [640, 320])
@pytest.mark.parametrize("kind", ["bars", "trend", "ranking", "funnel", "slope"])
def test_a_chart_without_rows_says_so(kind: str, width: int) -> None:
    assert vega.NOTHING in texts(svg(chart(kind, ()), width))


@pytest.mark.parametrize("kind", ["bars", "trend", "ranking", "funnel", "slope"])
def test_a_chart_of_hidden_rows_alone_can_be_drawn(kind: str) -> None:
    one = next(c for c in EVERY if c.kind == kind)
    drawn = svg(replace(one, rows=tuple({**r, "mark": "w"} for r in one.rows)))
    assert any(text.startswith("w") or text == vega.NOTHING for text in texts(drawn))


@pytest.mark.parametrize("width", [640, 320])
@pytest.mark.parametrize("name", WEIRD, ids=ascii)
def test_a_name_stays_text_whatever_it_holds(name: str, width: int) -> None:
    for one in (bars(14, 12), ranking(3, name), funnel(name), slope(14, 9)):
        rows = tuple(dict(r, group=name) if "group" in r else r for r in one.rows)
        root = parsed(svg(replace(one, rows=rows, title=f"{name} stands out"), width))
        assert len(root) == 3
        title = root[0].text or ""
        assert title == "".join(sign for sign in f"{name} stands out" if sign.isprintable())


def test_a_synthetic_chart_is_marked_in_the_picture_and_in_words() -> None:
    real, made_up = bars(14, 12), replace(bars(14, 12), is_synthetic=True)
    assert "SYNTHETIC" in texts(svg(made_up))
    assert "SYNTHETIC" not in texts(svg(real))
    assert "The data are synthetic." in svg(made_up)
    assert "The data are synthetic." not in svg(real)


def test_many_threads_get_the_same_charts() -> None:
    wanted = [replace(one, id=f"threads-{n}") for n in range(3) for one in EVERY]
    with ThreadPoolExecutor(8) as pool:
        drawn = list(pool.map(svg, wanted * 2))
        pictures = list(pool.map(lambda c: png(c, scale=1), wanted[:8]))
    assert drawn[: len(wanted)] == drawn[len(wanted) :]
    assert len(set(drawn)) == len(wanted)
    assert all(picture.startswith(b"\x89PNG") for picture in pictures)


def test_a_picture_has_the_pixels_that_were_asked_for() -> None:
    picture = png(bars(14, 12), 640, 2)
    assert int.from_bytes(picture[16:20], "big") == 1280


@pytest.mark.parametrize("wrong", ["", "a b", "a/b", "-a", "a\n", '"'])
def test_an_id_that_could_not_be_in_an_address_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="id"):
        svg(replace(bars(14), id=wrong))


def test_a_chart_narrower_than_240_pixels_is_refused() -> None:
    with pytest.raises(ValueError, match="240"):
        svg(bars(14), 239)


@pytest.mark.parametrize(
    ("colour", "least"),
    [(vega.INK, 4.5), (vega.QUIET, 4.5), (vega.BLUE, 3), (vega.OTHER, 3), (vega.WORSE, 3), (vega.CHANGED, 3)],
)
def test_what_is_drawn_can_be_told_from_white(colour: str, least: float) -> None:
    assert contrast(colour, "#ffffff") >= least


def test_what_a_chart_is_about_differs_from_the_others_in_lightness() -> None:
    assert contrast(vega.BLUE, vega.OTHER) >= 1.5


def contrast(one: str, other: str) -> float:
    """As WCAG 2 defines it."""

    def light(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    lights = sorted((light(one), light(other)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def test_the_specification_asks_for_nothing_from_anywhere() -> None:
    for one in EVERY:
        said = json.dumps({k: v for k, v in vega.layout(one, 640).spec.items() if k != "$schema"})
        assert "http" not in said
        assert '"url"' not in said
        assert '"href"' not in said


def test_nothing_that_draws_is_loaded_where_requests_are_answered() -> None:
    program = (
        "import sys; from app.pages.charts import svg; from tests.unit.pages.test_charts import EVERY;"
        " svg(EVERY[0]); print('vl_convert' in sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "False"


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 16), (-7, 15), (0, 12345), (-3, 0), (0, 99)])
def test_ticks_are_few_even_whole_and_hold_both_ends(low: int, high: int) -> None:
    found = vega.ticks(low, high)
    assert found[0] <= low
    assert found[-1] >= high
    assert len({b - a for a, b in pairwise(found)}) == 1
    assert len(found) <= 8
    assert 0 in found


# ------------------------------------------------------------------------------------------ twins


def test_the_csv_is_for_a_spreadsheet_and_has_stable_headings() -> None:
    text = as_csv(bars(14, None))
    assert text.startswith("\ufeff")
    found = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))
    assert found == [
        ["group", "value", "size", "period", "source", "synthetic"],
        ["Fifth 1", "14", "", "2026-M10", "Table T4.", "false"],
        ["Fifth 2", "", "", "2026-M10", "Table T4.", "false"],
    ]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1", " =1", "−1"])
def test_no_name_is_run_by_a_spreadsheet(name: str) -> None:
    text = as_csv(chart("bars", (row(group=name, value=-3),)))
    cells = next(iter(list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))[1:]))
    assert cells[0] == f"'{name}"
    assert cells[1] == "-3"


def test_the_json_says_what_the_csv_says_and_keeps_months_and_names_as_they_are() -> None:
    one = chart("bars", (row(group="=1+1", value=None, period="2026-10", mark="*", secret=3),))
    said = as_json(one)
    assert said["rows"] == [{"group": "=1+1", "value": None, "size": None, "period": "2026-10"}]
    assert said["source"] == "Table T4."
    assert said["question"] == one.question
    assert json.loads(json.dumps(said)) == said


def test_a_page_shows_words_and_the_twins_codes() -> None:
    one = bars(14)
    assert [c.key for c in one.shown_columns] == ["group", "value", "size", "when"]
    assert [c.key for c in one.twin_columns] == ["group", "value", "size", "period"]
