"""The dashboard in a real browser: for everyone, at any width, on paper, by links that can be sent to others."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pypdf
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from app.settings import Settings
from tests.browser.test_card_pages import AXE, SPACED, Watch, overflow
from tests.integration.running import serving
from tests.service import bearer, key_for

UNIT = "dashboard/specialties/340"
PAGES = (
    "dashboard",
    UNIT,
    "dashboard/specialties/420",
    f"{UNIT}/detail",
    "dashboard/ranking?measure=over_18_weeks",
    "dashboard/ranking?measure=missed",
    "dashboard/completeness",
    "dashboard/inclusion-health",
    "dashboard/editions",
    "dashboard/practice",
    "dashboard/help",
)
WIDTHS = (320, 360, 768, 1440)


@pytest.fixture(scope="module")
def key(demonstration: Path) -> str:
    """A key that opens the dashboard."""
    return key_for(Settings(data_dir=demonstration), "breakdowns", name="dashboard-tests")


@pytest.fixture(scope="module")
def service(key: str, demonstration: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running service on the demonstration, which knows the key; it warns of few unknowns."""
    assert key
    folder = tmp_path_factory.mktemp("service")
    with serving(folder, IMDLENS_DATA_DIR=str(demonstration), IMDLENS_UNKNOWN_LIMIT="2") as (url, _):
        yield url


@pytest.fixture(scope="module")
def page(browser: Browser, service: str, key: str) -> Iterator[Page]:
    """A window in which somebody signed in."""
    page = browser.new_page()
    page.goto(f"{service}/dashboard")
    page.get_by_label("Key").fill(key)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{service}/dashboard")
    yield page
    page.close()


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_for_everyone_at_every_width_and_asks_nobody_else(page: Page, service: str, path: str) -> None:
    watch = Watch(page)
    page.goto(f"{service}/{path}")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert overflow(page) == 0, width
        if width in (360, 1440):
            found = Axe().run(page, options=AXE)
            assert not found.response["violations"], found.generate_report()
    assert watch.asked == {urlsplit(service).netloc}
    assert not watch.complaints
    expect(page.get_by_role("complementary")).to_contain_text("Synthetic data, invented for demonstration.")


def test_open_tables_are_for_everyone_too(page: Page, service: str) -> None:
    page.set_viewport_size({"width": 360, "height": 900})
    page.goto(f"{service}/{UNIT}")
    for summary in page.locator("summary").all():
        summary.press("Enter")
    assert page.locator("details[open]").count() == page.locator("summary").count() > 2
    assert overflow(page) == 0
    found = Axe().run(page, options=AXE)
    assert not found.response["violations"], found.generate_report()


def test_readers_who_space_out_text_lose_nothing(page: Page, service: str) -> None:
    page.set_viewport_size({"width": 320, "height": 900})
    page.goto(f"{service}/{UNIT}")
    page.evaluate(  # a style tag is refused here
        "css => { const sheet = new CSSStyleSheet(); sheet.replaceSync(css); document.adoptedStyleSheets = [sheet]; }",
        SPACED,
    )
    assert overflow(page) == 0


def test_the_five_minutes_are_in_their_order(page: Page, service: str) -> None:
    page.goto(f"{service}/{UNIT}")
    headings = page.get_by_role("heading", level=2).all_inner_texts()
    asked = [
        "Is it closing?",
        "Missed, beside what the hospital cancelled",
        "Who waits long",
        "Whom we see",
        "What to do next",
    ]
    assert [heading for heading in headings if heading in asked] == asked
    page.goto(f"{service}/dashboard/specialties/420")
    expect(page.get_by_role("heading", level=2, name="Was not brought")).to_be_visible()


def test_from_the_organisation_to_a_specialty_and_another_quarter_by_keyboard(page: Page, service: str) -> None:
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto(f"{service}/dashboard")
    page.get_by_role("link", name="Find a specialty").press("Enter")
    assert page.url.endswith("#specialties")
    page.get_by_role("link", name="Respiratory Medicine Service").press("Enter")
    page.wait_for_url(f"{service}/{UNIT}")
    chosen = page.get_by_role("navigation", name="Period").get_by_role("link").nth(1)
    name = chosen.inner_text()
    chosen.press("Enter")
    page.wait_for_url(f"{service}/{UNIT}?period=*")
    current = page.get_by_role("navigation", name="Period").locator("[aria-current]")
    expect(current).to_have_text(name)
    page.get_by_role("link", name="What lies behind").press("Enter")
    page.wait_for_url(f"{service}/{UNIT}/detail?period=*")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Behind the figures")
    page.get_by_role("navigation", name="Breadcrumb").get_by_role("link", name="Organisation").press("Enter")
    page.wait_for_url(f"{service}/dashboard?period=*")


def test_a_downloaded_table_holds_the_number_that_the_api_answers(page: Page, service: str, key: str) -> None:
    page.goto(f"{service}/{UNIT}")
    with page.expect_download() as download:
        page.locator("#chart-missed-by-fifth").get_by_role("link", name="CSV").click()
    with Path(download.value.path()).open(encoding="utf-8-sig", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["measure"] == "missed"]
    asked = {"measure": "missed", "specialty": "340", "period": rows[0]["period"]}
    answer = httpx.get(f"{service}/v1/inequality", params=asked, headers=bearer(key)).json()
    assert [int(row["value"]) for row in rows] == [share["percent"]["value"] for share in answer["fifths"]["shares"]]
    page.locator("#chart-missed-by-fifth summary").click()
    first = page.locator("#chart-missed-by-fifth tbody tr").first
    expect(first).to_contain_text(rows[0]["value"])


def test_one_drawing_of_a_chart_is_seen_and_it_can_be_read(page: Page, service: str) -> None:
    page.goto(f"{service}/{UNIT}")
    for width in (360, 768, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        figures = page.locator("figure")
        assert figures.count() >= 3
        for figure in figures.all():
            seen = [svg for svg in figure.locator("svg").all() if svg.is_visible()]
            assert len(seen) == 1
            sizes = seen[0].evaluate(
                "e => [...e.querySelectorAll('text')].filter(t => t.textContent != 'SYNTHETIC')"
                ".map(t => t.getBoundingClientRect().height)"
            )
            assert min(sizes) >= 10, width


def test_a_specialty_prints_whole_without_navigation_and_with_its_tables(page: Page, service: str) -> None:
    page.set_viewport_size({"width": 688, "height": 1000})  # A4 within margins
    page.goto(f"{service}/{UNIT}")
    page.emulate_media(media="print")
    try:
        expect(page.get_by_role("navigation", name="Dashboard")).to_be_hidden()
        expect(page.get_by_role("navigation", name="Period")).to_be_hidden()
        expect(page.get_by_role("complementary")).to_be_visible()
        assert overflow(page) == 0
        table = page.locator("#chart-missed-by-fifth table")
        assert table.evaluate("e => e.getBoundingClientRect().height") > 50
        paper = pypdf.PdfReader(io.BytesIO(page.pdf(prefer_css_page_size=True)))
        assert "Is the gap closing, or is it chance?" in paper.pages[0].extract_text(), "no page but the last is empty"
    finally:
        page.emulate_media(media="screen")


def test_pages_without_figures_are_for_everyone_and_teach_what_to_do(
    browser: Browser, starter: Path, tmp_path: Path
) -> None:
    settings = Settings(data_dir=starter, counts_dir=tmp_path / "counts")
    key = key_for(settings, "breakdowns")
    with serving(tmp_path, IMDLENS_DATA_DIR=str(starter), IMDLENS_COUNTS_DIR=str(tmp_path / "counts")) as (url, _):
        page = browser.new_page(extra_http_headers=bearer(key))
        for path in ("dashboard", "dashboard/ranking", "dashboard/completeness", "dashboard/practice"):
            page.goto(f"{url}/{path}")
            found = Axe().run(page, options=AXE)
            assert not found.response["violations"], found.generate_report()
        page.goto(f"{url}/dashboard")
        expect(page.locator("main")).to_contain_text("imdlens counts seal")
        page.close()


def test_no_table_loses_the_first_letters_of_its_first_column(page: Page, service: str) -> None:
    page.set_viewport_size({"width": 1440, "height": 900})
    for path in (f"{UNIT}/detail", "dashboard/ranking?measure=over_18_weeks", "dashboard/completeness"):
        page.goto(f"{service}/{path}")
        lost = page.evaluate(
            "[...document.querySelectorAll('.d-scroll')].filter(e => e.offsetParent && e.querySelector('th')"
            ".getBoundingClientRect().left < e.getBoundingClientRect().left).length"
        )
        assert lost == 0, path


def test_every_page_prints_within_the_paper_and_without_addresses(page: Page, service: str) -> None:
    page.set_viewport_size({"width": 688, "height": 1000})
    page.emulate_media(media="print")
    try:
        for path in PAGES:
            page.goto(f"{service}/{path}")
            assert overflow(page) == 0, path
            after = page.evaluate(
                "[...document.querySelectorAll('main a')].map(e => getComputedStyle(e, '::after').content)"
            )
            assert not [text for text in after if "Link" in text], path
    finally:
        page.emulate_media(media="screen")


def test_the_names_of_fifths_whose_places_lie_close_together_can_be_read(page: Page, service: str) -> None:
    names = ("Most deprived", "Second fifth", "Third fifth", "Fourth fifth", "Least deprived")
    page.goto(f"{service}/{UNIT}/detail")
    for width in (360, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        boxes = page.locator("#chart-slope-missed svg").evaluate_all(
            "(svgs, names) => { const svg = svgs.find(e => e.getBoundingClientRect().width);"
            " const all = svg.getBoundingClientRect();"
            " return [...svg.querySelectorAll('text')].filter(t => names.includes(t.textContent))"
            ".map(t => t.getBoundingClientRect())"
            ".map(b => [b.left - all.left, b.top, b.right - all.left, b.bottom, all.width]); }",
            list(names),
        )
        assert len(boxes) == len(names), width
        for i, (left, top, right, bottom, whole) in enumerate(boxes):
            assert 0 <= left < right <= whole
            for other in boxes[:i]:
                apart = right <= other[0] or other[2] <= left or bottom <= other[1] + 3 or other[3] <= top + 3
                assert apart, (width, i)


def test_a_caution_stands_before_the_finding_and_splits_it_from_none_of_its_sentences(page: Page, service: str) -> None:
    page.goto(f"{service}/{UNIT}")
    order = page.evaluate("[...document.querySelector('.d-top').children].map(e => e.className.split(' ').at(-1))")
    assert order[:3] == ["d-banner", "d-finding", "d-lead"]
    assert set(order[3:]) <= {"d-lead", "d-jumps"}
