"""Signing in and out in a real browser: by keyboard, at any width, with a key that never shows."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from app.pages.sign_in import render_closed, render_not_from_here, render_not_safe
from app.settings import Settings
from tests.browser.test_card_pages import AXE, WIDTHS, Watch, overflow
from tests.integration.running import serving
from tests.service import key_for


def sign_in(page: Page, service: str, key: str) -> None:
    """Open the first page and show a key."""
    page.goto(service)
    page.get_by_label("Key").fill(key)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{service}/")


def show(page: Page, address: str, html: bytes) -> None:
    """Open an address that answers with this page."""
    page.route(address, lambda route: route.fulfill(content_type="text/html", body=html), times=1)
    page.goto(address)


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


def is_for_everyone(page: Page, name: str) -> None:
    """Nothing is wider than the window, and axe finds nothing. Keeps pictures where a folder for them is named."""
    for width in (*WIDTHS, 390):
        page.set_viewport_size({"width": width, "height": 844 if width < 768 else 900})
        assert overflow(page) == 0, width
        found = Axe().run(page, options=AXE)
        assert not found.response["violations"], found.generate_report()
        if folder := os.environ.get("SCREENSHOTS"):
            page.screenshot(path=Path(folder) / f"{name}-{width}.png", full_page=True)


def test_one_signs_in_makes_a_card_and_signs_out(page: Page, service: str, key: str) -> None:
    watch = Watch(page)
    page.goto(service)
    assert page.url == f"{service}/sign-in?to=ask"
    is_for_everyone(page, "sign-in")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Key")).to_be_focused()
    page.keyboard.type(key)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Signed in as browser-tests")).to_be_visible()
    assert page.url == f"{service}/"
    assert key not in page.content()
    is_for_everyone(page, "ask")
    page.get_by_label("Postcode").fill("NG1 1AA")
    page.get_by_role("button", name="Show the card").click()
    expect(page.locator("h1")).to_contain_text("more deprived than about 7 in 10")
    expect(page.get_by_text("Signed in as")).to_have_count(0)
    card = page.url
    page.goto(service)
    page.get_by_role("button", name="Sign out").press("Enter")
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    is_for_everyone(page, "signed-out")
    page.goto(service)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.goto(card)
    expect(page.locator("h1")).to_contain_text("more deprived than about 7 in 10")
    assert not watch.complaints


def test_a_wrong_key_is_said_at_its_field_and_not_shown_again(page: Page, service: str) -> None:
    page.goto(f"{service}/sign-in")
    page.get_by_label("Key").fill("imdl_nobodys")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("This key does not work")
    expect(page.get_by_label("Key")).to_have_value("")
    expect(page).to_have_title("Error: Sign in - IMD Lens")
    assert "nobodys" not in page.content() + page.url
    is_for_everyone(page, "wrong-key")
    page.get_by_role("alert").get_by_role("link").click()
    expect(page.get_by_label("Key")).to_be_focused()


def test_the_session_is_out_of_reach_of_scripts_and_ends_with_the_browser(page: Page, service: str, key: str) -> None:
    sign_in(page, service, key)
    (cookie,) = page.context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == ("imdlens", True, "Strict")
    assert cookie["expires"] == -1
    assert page.evaluate("document.cookie") == ""


def test_a_browser_takes_and_gives_back_the_cookie_of_https(page: Page, starter: Path, tmp_path: Path) -> None:
    settings = Settings(data_dir=starter, counts_dir=tmp_path / "counts")
    names = {"IMDLENS_DATA_DIR": str(starter), "IMDLENS_COUNTS_DIR": str(settings.counts_dir)}
    key = key_for(settings, "enrich")
    # To a browser this machine is as safe as https, so it holds such a cookie to all that its name promises.
    with serving(tmp_path, **names, IMDLENS_PUBLIC_URL="https://lens.example.nhs.uk") as (url, _):
        service = url.replace("127.0.0.1", "localhost")
        sign_in(page, service, key)
        (cookie,) = page.context.cookies()
        assert (cookie["name"], cookie["secure"], cookie["path"]) == ("__Host-imdlens", True, "/")
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_text("You are signed out.")).to_be_visible()
        assert page.context.cookies() == []


def test_a_form_that_is_sent_after_the_session_is_over_leads_to_the_sign_in_without_what_was_typed(
    page: Page, service: str, key: str
) -> None:
    sign_in(page, service, key)
    page.get_by_label("Postcode").fill("NG1 1AA")
    page.context.clear_cookies()
    page.get_by_role("button", name="Show the card").click()
    expect(page.get_by_role("status")).to_contain_text("what you typed was not used or kept")
    assert "NG1" not in page.url + page.content()
    is_for_everyone(page, "over")
    page.get_by_label("Key").fill(key)
    page.keyboard.press("Enter")
    expect(page.get_by_label("Postcode")).to_be_visible()


def test_another_sites_page_can_neither_sign_in_nor_make_a_card(page: Page, service: str, key: str) -> None:
    sign_in(page, service, key)
    for door, field in (("sign-in", "key"), ("card", "postcode"), ("sign-out", "form_token")):
        form = f'<form action="{service}/{door}" method="post"><input name="{field}" value="x"></form>'
        show(page, "http://elsewhere.example/", form.encode())
        with page.expect_navigation():
            page.evaluate("document.forms[0].submit()")
        assert page.locator("h1").inner_text() in ("This form could not be used", "Sign in")
    page.goto(service)
    expect(page.get_by_text("Signed in as browser-tests")).to_be_visible()


def test_pages_that_stay_closed_are_for_everyone_too(page: Page, service: str) -> None:
    pages = {
        "no-access": render_closed("", 403, may_sign_in=True),
        "away": render_closed("", 503),
        "foreign": render_not_from_here(""),
        "not-safe": render_not_safe(""),
    }
    for name, html in pages.items():
        show(page, f"{service}/shown", html)
        is_for_everyone(page, name)
