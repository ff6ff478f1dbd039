"""The transition report's page in a real browser: for everyone, at any width, from one file that asks nobody."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from app.batch.transition import CELLS
from app.batch.transition_figures import shareable_report
from app.batch.transition_report import Run, view_of
from app.counts.disclosure import Rule
from app.lookup.index import Index
from app.pages.transition import render_transition
from tests.browser.test_card_pages import AXE, SPACED, Watch, overflow
from tests.transition_attacker import CODES, drawn, tally_of

WIDTHS = (320, 390, 768, 1280)
# Every move and every reason, many specialties, and the longest names; and a file of which little can be shown.
FULL = {
    (code, column): 12_345 + 7 * column
    for code in CODES[::4]
    for column in (0, 1, 9, 10, 11, 12, 22, 33, 98, 99, CELLS, CELLS + 1, CELLS + 3, CELLS + 4)
}
FILES = {"full": FULL, "drawn": drawn(3), "one row moves": {("340", 0): 102, ("340", 10): 1}}


@pytest.fixture(scope="module")
def files(index: Index, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    made = {}
    for name, rows in FILES.items():
        view = view_of(shareable_report(tally_of(rows), Rule()), Run("patients", index.release, date(2026, 11, 23)))
        made[name] = folder / f"{len(made)}.html"
        made[name].write_bytes(render_transition(view))
    return made


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    yield page
    page.close()


@pytest.mark.parametrize("name", FILES)
def test_every_page_is_for_everyone_at_every_width(page: Page, files: dict[str, Path], name: str) -> None:
    watch = Watch(page)
    page.goto(files[name].as_uri())
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        assert overflow(page) == 0, width
        found = Axe().run(page, options=AXE)
        assert not found.response["violations"], found.generate_report()
    assert watch.asked == {""}, "a file alone"
    assert not watch.complaints


def test_wide_tables_are_scrolled_by_keyboard(page: Page, files: dict[str, Path]) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(files["full"].as_uri())
    for region in page.get_by_role("region").locator("xpath=self::div").all():
        assert region.get_attribute("tabindex") == "0"
        region.focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_function("e => e.scrollLeft > 0", arg=region.element_handle())


def test_readers_who_space_out_text_lose_nothing(page: Page, files: dict[str, Path]) -> None:
    page.set_viewport_size({"width": 320, "height": 800})
    page.goto(files["full"].as_uri())
    page.add_style_tag(content=SPACED)
    assert overflow(page) == 0


def test_what_is_hidden_is_told_in_words_too(page: Page, files: dict[str, Path]) -> None:
    page.goto(files["one row moves"].as_uri())
    row = page.get_by_role("row", name="Enter Core20 under IoD2025")
    expect(row).to_contain_text("0")
    assert page.get_by_text("1 to 7", exact=True).count() + page.get_by_text("withheld", exact=True).count() > 0


def test_the_whole_page_prints_without_being_cut_off(page: Page, files: dict[str, Path]) -> None:
    page.set_viewport_size({"width": 718, "height": 1000})  # A4 within margins
    page.goto(files["full"].as_uri())
    page.emulate_media(media="print")
    try:
        for selector in (".flow", ".specialties", ".bars"):
            assert page.locator(selector).first.evaluate("e => e.getBoundingClientRect().right") <= 718
        assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    finally:
        page.emulate_media(media="screen")
