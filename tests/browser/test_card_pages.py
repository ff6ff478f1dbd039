"""The card in a real browser: for everyone, by keyboard, at any width, on one side of paper, private where it must be.

Pages are served as they are rendered, below a path of a proxy and under the strictest content policy.
"""

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect

from app.pages.card import STATIC, render_ask, render_card, render_gone, render_not_found
from app.pages.sign_in import Visitor, render_sign_in
from tests.unit.pages.views import FULL, VIEWS

PREFIX = "/trust/lens"
POLICY = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'"
WIDTHS = (320, 768, 1280)
PAGES = {f"card/{name}": render_card(view) for name, view in VIEWS.items()} | {
    "card": render_ask(),
    "sign-in": render_sign_in("", "ask"),
    "card/sign-in": render_sign_in("../", "ask", problem="wrong", notice="over"),
    "": render_ask(visitor=Visitor("a" * 40, "0" * 64)),
    "card/gone": render_gone(),
    "card/none": render_not_found(),
}
# A record that shows the card in a small frame: another site's page, so our policy is not its own.
RECORD = b'<!DOCTYPE html><title>Record</title><iframe src="card/full" width="340" height="300" title="Card"></iframe>'
AXE = {"resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}}
# What readers with low vision or dyslexia may set (WCAG 1.4.12).
SPACED = "* { line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important }"


@dataclass
class Site:
    """The pages on an address of this machine, and what was sent to it."""

    url: str
    sent: list[dict[str, list[str]]] = field(default_factory=list)

    def __truediv__(self, name: str) -> str:
        return f"{self.url}{PREFIX}/{quote(name)}"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self, status: int, kind: str, body: bytes, policy: str = POLICY) -> None:
            self.send_response(status)
            for header, value in (
                ("Content-Type", kind),
                ("Content-Length", str(len(body))),
                ("Content-Security-Policy", policy),
                ("X-Content-Type-Options", "nosniff"),
            ):
                self.send_header(header, value)
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            name = unquote(self.path.removeprefix(PREFIX + "/"))
            if name in PAGES:
                self.answer(200, "text/html; charset=utf-8", PAGES[name])
            elif name == "record":
                self.answer(200, "text/html", RECORD, "")
            elif name.startswith("static/") and (STATIC / name.removeprefix("static/")).is_file():
                self.answer(200, "text/css; charset=utf-8", (STATIC / name.removeprefix("static/")).read_bytes())
            else:
                self.answer(404, "text/plain", b"")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            site.sent.append({"to": [self.path], **parse_qs(body, keep_blank_values=True)})
            self.answer(200, "text/html; charset=utf-8", render_ask("postcode"))

        def log_message(self, *_: object) -> None:
            """Nothing is worth a line."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    site = Site(f"http://127.0.0.1:{server.server_port}")
    yield site
    server.shutdown()
    server.server_close()


class Watch:
    """Whom a page asks, and what it complains of."""

    def __init__(self, page: Page) -> None:
        self.asked: set[str] = set()
        self.complaints: list[str] = []
        page.on("request", self._asks)
        page.on("console", self._says)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _asks(self, request: Request) -> None:
        self.asked.add(urlsplit(request.url).netloc)

    def _says(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and "favicon" not in str(message.location):
            self.complaints.append(message.text)


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    yield page
    page.close()


@pytest.fixture(scope="module")
def watch(page: Page) -> Watch:
    return Watch(page)


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_for_everyone_at_every_width_and_asks_nobody_else(
    page: Page, watch: Watch, site: Site, name: str
) -> None:
    page.goto(site / name)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        assert overflow(page) == 0, width
        found = Axe().run(page, options=AXE)
        assert not found.response["violations"], found.generate_report()
    assert watch.asked == {urlsplit(site.url).netloc}
    assert not watch.complaints


def test_a_full_card_with_its_private_part_open_is_for_everyone_too(page: Page, site: Site) -> None:
    page.goto(site / "card/full")
    page.locator("summary").click()
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        assert overflow(page) == 0, width
        found = Axe().run(page, options=AXE)
        assert not found.response["violations"], found.generate_report()


def test_readers_may_space_letters_words_and_lines_as_they_need(page: Page, site: Site) -> None:
    page.set_viewport_size({"width": 320, "height": 800})
    for name in ("card/full", "card"):
        page.goto(site / name)
        page.evaluate(
            "text => { const sheet = new CSSStyleSheet(); sheet.replaceSync(text);"
            " document.adoptedStyleSheets = [sheet] }",
            SPACED,
        )
        assert overflow(page) == 0


def test_the_private_part_is_shut_at_first_and_takes_the_same_room_on_every_card(page: Page, site: Site) -> None:
    rooms: dict[int, set[tuple[float, float, str]]] = {width: set() for width in WIDTHS}
    for name, view in VIEWS.items():
        page.goto(site / f"card/{name}")
        for line in view.private:
            expect(page.get_by_text(line.text)).to_be_hidden()
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            box = page.locator("details").bounding_box()
            assert box
            rooms[width].add((box["width"], box["height"], page.locator("details").inner_text()))
    assert all(len(room) == 1 for room in rooms.values())


def test_two_cards_that_differ_in_what_is_private_look_alike_to_the_pixel_while_it_is_shut(
    page: Page, site: Site
) -> None:
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        seen = set()
        for name in ("no fixed abode", "withheld"):
            page.goto(site / f"card/{name}")
            seen.add(page.screenshot(full_page=True))
        assert len(seen) == 1


def test_the_keyboard_alone_reaches_every_link_in_order_and_its_place_is_seen(page: Page, site: Site) -> None:
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(site / "card/full")
    links = page.locator("a[href]").count()
    look = "e => { const s = getComputedStyle(e); return [s.backgroundColor, s.boxShadow, s.color].join() }"
    plain = page.locator("a[href], summary").evaluate_all(f"all => all.map({look})")
    reached: list[str] = []
    for place in range(links + 1):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        reached.append(focused.inner_text())
        assert focused.evaluate(look) != plain[place], reached[-1]
    assert reached == page.locator("a[href], summary").evaluate_all("all => all.map(e => e.innerText)")


def test_the_keyboard_alone_opens_and_shuts_the_private_part(page: Page, site: Site) -> None:
    page.goto(site / "card/no fixed abode")
    told = page.get_by_text("ask where they are staying now")
    for _ in range(2):
        page.keyboard.press("Tab")
    expect(page.locator("summary")).to_be_focused()
    expect(told).to_be_hidden()
    page.keyboard.press("Enter")
    expect(told).to_be_visible()
    page.keyboard.press("Space")
    expect(told).to_be_hidden()


def test_the_first_key_leads_past_the_header(page: Page, site: Site) -> None:
    page.goto(site / "card/full")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to main content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_the_fullest_card_prints_on_one_side_of_a4_without_what_is_private(page: Page, site: Site) -> None:
    page.goto(site / "card/full")
    page.locator("summary").click()
    expect(page.get_by_text(FULL.private[0].text)).to_be_visible()
    page.emulate_media(media="print")
    try:
        printed = page.locator("body").inner_text()
        for line in FULL.private:
            assert line.title not in printed
            assert line.text not in printed
        assert "private part" not in printed
        assert FULL.summary in printed
        assert FULL.source in printed
        assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(prefer_css_page_size=True))) == 1
    finally:
        page.emulate_media(media="screen")


def test_the_marks_on_the_scale_stand_in_the_order_of_the_deciles(page: Page, site: Site) -> None:
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(site / "card/decile 6")
    marks = page.locator(".scale").evaluate_all(
        "all => all.map(e => { const m = e.firstElementChild.nextElementSibling, s = e.getBoundingClientRect();"
        " const r = m.getBoundingClientRect();"
        " return [Number(m.innerText), (r.left - s.left) / s.width, (s.right - r.right) / s.width] })"
    )
    assert len({decile for decile, _, _ in marks}) >= 5
    for decile, before, after in marks:
        assert before == pytest.approx((decile - 1) / 10, abs=0.02)
        assert after == pytest.approx((10 - decile) / 10, abs=0.02)


def test_the_card_needs_no_script(browser: Browser, site: Site) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(site / "card/full")
    page.locator("summary").click()
    expect(page.get_by_text(FULL.private[0].text)).to_be_visible()
    context.close()


def test_the_card_can_be_used_in_a_small_frame_of_the_record(page: Page, site: Site) -> None:
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(site / "record")
    frame = page.frame_locator("iframe")
    frame.locator("summary").click()
    expect(frame.get_by_text(FULL.private[0].text)).to_be_visible()
    expect(frame.locator("h1")).not_to_be_in_viewport()  # it moves away with the page: nothing is fixed


def test_a_postcode_typed_on_the_page_to_try_is_sent_in_the_body_below_the_same_path(page: Page, site: Site) -> None:
    page.goto(site / "card")
    page.get_by_label("Postcode").fill("NG1 1AA")
    page.get_by_label("Age in years").fill("54")
    page.get_by_role("button", name="Show the card").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Enter a postcode")
    assert site.sent == [{"to": [f"{PREFIX}/card"], "postcode": ["NG1 1AA"], "specialty": [""], "age": ["54"]}]
    assert page.get_by_label("Postcode").input_value() == ""
    found = Axe().run(page, options=AXE)
    assert not found.response["violations"], found.generate_report()
