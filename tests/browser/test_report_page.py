"""A report's page in a real browser: for everyone, at any width and in print, from one file that asks nobody."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from app.report.audit_day import audit_day_pack
from app.report.brief import brief
from app.report.content import board_paper
from app.report.html import write_html
from tests.browser.test_card_pages import AXE, SPACED, Watch, overflow
from tests.unit.report.sample import DOCUMENT, HOSTILE
from tests.unit.report.year import book, evidence, initiative, target

WIDTHS = (320, 360, 768, 1440)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("reports")
    rules = book((target(),), tuple(initiative(title, title) for title in HOSTILE), "Dr A")
    documents = {
        "sample": DOCUMENT,
        "board": board_paper(evidence(rules=rules)),
        "brief": brief(evidence(unit="340")),
        "audit-day": audit_day_pack(evidence(synthetic=True)),
    }
    made = {name: folder / f"{name}.html" for name in documents}
    for name, document in documents.items():
        made[name].write_bytes(write_html(document))
    return made


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    yield page
    page.close()


@pytest.mark.parametrize("name", ["sample", "board", "brief", "audit-day"])
def test_every_report_is_for_everyone_at_every_width(page: Page, files: dict[str, Path], name: str) -> None:
    watch = Watch(page)
    page.goto(files[name].as_uri())
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert overflow(page) == 0, width
        found = Axe().run(page, options=AXE)
        assert not found.response["violations"], found.generate_report()
    assert watch.asked == {""}, "a file alone"
    assert not watch.complaints


def test_one_picture_of_each_chart_is_shown_and_it_fits(page: Page, files: dict[str, Path]) -> None:
    page.goto(files["board"].as_uri())
    charts = page.locator("figure").count()
    assert charts > 2
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        shown = page.locator("figure svg:visible")
        assert shown.count() == charts
        for i in range(charts):
            box = shown.nth(i).bounding_box()
            assert box is not None
            assert box["x"] + box["width"] <= width


def test_names_that_look_like_markup_run_nothing(page: Page, files: dict[str, Path]) -> None:
    said: list[str] = []
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.goto(files["board"].as_uri())
    expect(page.get_by_role("cell", name="<b>bold</b>").first).to_be_visible()
    assert not said


def test_readers_who_space_out_text_lose_nothing(page: Page, files: dict[str, Path]) -> None:
    page.set_viewport_size({"width": 320, "height": 900})
    page.goto(files["board"].as_uri())
    page.add_style_tag(content=SPACED)
    assert overflow(page) == 0


def test_the_whole_report_prints_without_being_cut_off(page: Page, files: dict[str, Path]) -> None:
    page.set_viewport_size({"width": 680, "height": 1000})  # A4 within margins
    page.goto(files["board"].as_uri())
    page.emulate_media(media="print")
    try:
        rights = page.locator("table, svg:visible").evaluate_all("all => all.map(e => e.getBoundingClientRect().right)")
        assert max(rights) <= 681
        assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    finally:
        page.emulate_media(media="screen")
