"""The documentation as a site: whole, in order, and asking nobody but its own server."""

import html
import re
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.config.defaults import MkDocsConfig
from playwright.sync_api import Browser, expect

from handbook import site
from tests.browser.test_card_pages import Watch, overflow

ROOT = Path(__file__).parents[2]
AXE = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], "resultTypes": ["violations"]}
# What a browser fetches by itself; a link that somebody follows is no such thing.
FETCHED = re.compile(
    r"<(?!a\b)[a-z]+\b[^>]*?\b(?:src|href|data|poster|srcset)=[\"']?((?:https?:)?//[^\"'\s>]+)", re.IGNORECASE
)


def configured(into: Path, **changes: object) -> MkDocsConfig:
    return load_config(str(ROOT / "mkdocs.yml"), site_dir=str(into), **changes)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it: a link that leads nowhere stops it."""
    folder = tmp_path_factory.mktemp("site")
    config = configured(folder)
    config.plugins.on_startup(command="build", dirty=False)
    build(config)
    return folder


@pytest.fixture(scope="module")
def address(built: Path) -> Iterator[str]:
    """Where the built site is served, on this machine alone."""
    handler = partial(Quiet, directory=str(built))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_every_page_is_built_and_is_in_the_navigation(built: Path) -> None:
    config = configured(built)
    ordered = list(site.named(config.nav))
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").as_posix()
        assert name in ordered or any(site.MORE in part for part in config.nav if isinstance(part, dict)), name
        address = re.sub(r"(^|/)README\.html$", r"\1index.html", f"{name.removesuffix('.md')}.html")
        assert (built / address).is_file(), name


def test_a_page_that_nobody_put_in_order_stands_under_more(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "README.md").write_text("# Home\n", "utf-8")
    (docs / "new.md").write_text("# New\n", "utf-8")
    config = configured(tmp_path / "site", docs_dir=str(docs), nav=["README.md"])
    assert site.on_config(config).nav == ["README.md", {site.MORE: ["new.md"]}]
    assert site.on_config(config).nav == ["README.md", {site.MORE: ["new.md"]}]


def test_no_page_fetches_anything_from_elsewhere(built: Path) -> None:
    pages = list(built.rglob("*.html"))
    assert len(pages) > 60
    assert not [(page.name, found) for page in pages for found in FETCHED.findall(page.read_text("utf-8"))]
    for style in built.rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//|@import[^;]*//", style.read_text("utf-8")), style
    assert all("Content-Security-Policy" in page.read_text("utf-8") for page in pages)


@pytest.mark.parametrize(
    "tag",
    [
        '<script src="https://cdn.example/x.js">',
        "<link rel=stylesheet href=//fonts.example/css>",
        "<img alt='' src='http://example/x.png'>",
    ],
)
def test_a_tag_that_would_fetch_from_elsewhere_is_noticed(tag: str) -> None:
    assert FETCHED.search(tag)
    assert not FETCHED.search('<a href="https://example">')


def test_the_picture_of_the_data_flow_shows_every_box_and_number_of_its_text(built: Path) -> None:
    text = (ROOT / "docs" / "data-flow.md").read_text("utf-8")
    page = (built / "data-flow.html").read_text("utf-8")
    drawn = re.sub(r"<[^>]+>", " ", page.split('<div class="flow"', 1)[1].split("</svg>", 1)[0])
    assert sorted(re.findall(r"F\d+", drawn)) == sorted(re.findall(r"-- (F\d+) -->", text))
    words = " ".join(html.unescape(drawn).split())
    names = re.findall(r'^ +\w+\[\(?"([^"]+)"', text, re.MULTILINE)
    assert len(names) == 15
    assert not [name for name in names if name not in words]


def test_what_is_beside_the_documentation_is_on_the_site_too(built: Path) -> None:
    page = (built / "beside" / "examples" / "client.py.html").read_text("utf-8")
    assert "enrich_or_none" in page
    assert 'href="beside/README.md.html"' in (built / "index.html").read_text("utf-8")
    assert 'href="../settings.html"' in (built / "beside" / "README.md.html").read_text("utf-8")


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("name", ["index", "start/integration", "settings", "data-flow"])
def test_a_page_is_usable_and_asks_its_own_server_alone(browser: Browser, address: str, name: str, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    watch = Watch(page)
    page.goto(f"{address}/{name}.html")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    found = Axe().run(page, options=AXE)
    assert found.violations_count == 0, found.generate_report()
    assert not overflow(page)
    assert watch.asked - {""} == {urlsplit(address).netloc}
    assert not watch.complaints
    page.close()


def test_the_search_finds_a_setting_without_asking_anybody_else(browser: Browser, address: str) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    watch = Watch(page)
    page.goto(f"{address}/index.html")
    page.get_by_role("textbox", name="Search").fill("design effect")
    expect(page.locator(".md-search-result__link").first).to_be_visible()
    assert watch.asked - {""} == {urlsplit(address).netloc}
    assert not watch.complaints
    page.close()
