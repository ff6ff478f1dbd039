"""The page to open shows the API, by itself and from this service alone."""

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.service import bearer


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 900)])
def test_the_docs_page_shows_every_door_and_asks_no_third_party(
    browser: Browser, service: str, width: int, height: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": height})
    asked: set[str] = set()
    failed: list[str] = []
    page.on("request", lambda request: asked.add(urlsplit(request.url).netloc))
    page.on("console", lambda message: failed.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: failed.append(str(error)))
    page.goto(f"{service}/docs")
    expect(page).to_have_title(re.compile("IMD Lens"))
    for path in ("/v1/enrich", "/v1/enrich/batch", "/livez", "/readyz", "/version"):
        expect(page.locator(f'[data-path="{path}"]').first).to_be_visible()
    assert asked - {""} == {urlsplit(service).netloc}
    assert not failed
    page.close()


def test_a_postcode_can_be_tried_from_the_page(browser: Browser, service: str, key: str) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900}, extra_http_headers=bearer(key))
    page.goto(f"{service}/docs")
    door = page.locator("#operations-enrichment-enrich_one_v1_enrich_post")
    door.locator(".opblock-summary-control").click()
    door.get_by_role("button", name="Try it out").click()
    door.locator("textarea").fill('{"postcode": "NG1 1AA"}')
    door.get_by_role("button", name="Execute").click()
    expect(door.locator(".live-responses-table")).to_contain_text('"imd_decile": 3')
    page.close()
