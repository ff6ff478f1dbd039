"""The service's own cards, of every state and as full as an organisation can make them, in a real browser."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from app.settings import Settings
from tests.browser.test_card_pages import AXE, WIDTHS, Watch, overflow
from tests.browser.test_sign_in_pages import sign_in
from tests.integration.running import serving
from tests.service import bearer, key_for
from tests.unit.context.rule_folders import changed, with_lines

SIGNALS = {"snomed": ["32911000", "191816009", "204331000000107"], "travel_support_required": True}
STATES: dict[str, dict[str, Any]] = {
    "decile 1": {"postcode": "BH1 4AE", "contact": {"specialty": "340", "age": 54}},
    "private part full": {
        "postcode": "NG1 1AA",
        "contact": {"specialty": "320", "age": 84},
        "signals": SIGNALS,
    },
    "decile 10": {"postcode": "AL5 2DA", "contact": {"specialty": "800", "age": 40}},
    "a child": {"postcode": "NG1 1AA", "contact": {"specialty": "258", "age": 4}},
    "a young person": {"postcode": "NG1 1AA", "contact": {"specialty": "711", "age": 15}},
    "terminated": {"postcode": "SR2 0QW"},
    "hospital": {"postcode": "NG5 1PB"},
    "Wales": {"postcode": "LD7 1LG"},
    "not found": {"postcode": "B1 1BB"},
    "malformed": {"postcode": "NG1"},
    "no fixed abode": {"postcode": "ZZ99 3VZ", "contact": {"specialty": "501", "age": 30}},
    "withheld": {"postcode": "ZZZSECUR", "contact": {"specialty": "501", "age": 30}},
    "overseas": {"postcode": "ZZ99 6BZ"},
}


@pytest.fixture(scope="module")
def settings(starter: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Where this service counts, and so where its keys are."""
    return Settings(data_dir=starter, counts_dir=tmp_path_factory.mktemp("counts"))


@pytest.fixture(scope="module")
def key(settings: Settings) -> str:
    """A key of this service, for whoever may see groups."""
    return key_for(settings, "enrich", "inclusion")


@pytest.fixture(scope="module")
def service(key: str, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service with the longest directory entries that are taken, leads, resources and places."""
    assert key  # made before the service starts, which then knows it
    local = tmp_path_factory.mktemp("local")
    address = "https://www.example.org/a-rather-long-address/of-a-service-that-helps"
    with_lines(
        local,
        "signposts.csv",
        *(
            f"long{i},{'Long name ' * 6},{'What it is. ' * 8},{'For whom. ' * 9},,,lad,E06000018,0115 496 000{i},"
            f"{address}-{i},2026-10-01,2099-10-01,the city"
            for i in range(6)
        ),
    )
    named = 'name = "Dr Alexandra Example-Example"\nrole = "consultant in public health"'
    changed(local, "organisation.toml", ('name = ""\nrole = ""', named))
    with (local / "organisation.toml").open("a") as file:
        file.write(f'\n[[resource]]\ntitle = "Our plan for health inequalities"\nurl = "{address}"\n')
    with_lines(local, "places.csv", "NG5 1PB,hospital,ODS,2026-01-01", "NG5 1PB,student,local,2026-01-01")
    environment = {
        "IMDLENS_DATA_DIR": str(settings.data_dir),
        "IMDLENS_LOCAL_DIR": str(local),
        "IMDLENS_COUNTS_DIR": str(settings.counts_dir),
    }
    with serving(tmp_path_factory.mktemp("service"), **environment) as (url, _):
        yield url


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    yield page
    page.close()


@pytest.fixture(scope="module")
def watch(page: Page) -> Watch:
    return Watch(page)


def card(service: str, key: str, name: str) -> str:
    made = httpx.post(f"{service}/card", json=STATES[name], headers=bearer(key))
    assert made.status_code == 201
    return f"{service}/{made.json()['url']}"


@pytest.mark.parametrize("name", STATES)
def test_every_real_card_is_for_everyone_and_prints_on_one_side_of_a4(
    page: Page, watch: Watch, service: str, key: str, name: str
) -> None:
    page.goto(card(service, key, name))
    assert not page.locator("details").get_attribute("open")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        assert overflow(page) == 0, width
    found = Axe().run(page, options=AXE)
    assert not found.response["violations"], found.generate_report()
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(prefer_css_page_size=True))) == 1
    assert not watch.complaints


def test_a_postcode_that_is_typed_leads_to_its_card_and_what_is_wrong_back_to_an_empty_form(
    page: Page, service: str, key: str
) -> None:
    sign_in(page, service, key)
    page.get_by_label("Postcode").fill("NG1 1AA")
    page.get_by_label("Age in years").fill("fifty")
    page.get_by_role("button", name="Show the card").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Enter an age in years, such as 54")
    expect(page.get_by_label("Postcode")).to_have_value("")
    assert page.url == f"{service}/?problem=age"
    page.get_by_label("Postcode").fill("ng11aa")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("more deprived than about 7 in 10")
    assert "ng1" not in page.url.lower().removeprefix(f"{service}/card/")[:4]


def test_no_fixed_abode_and_a_withheld_address_look_alike_to_the_pixel(page: Page, service: str, key: str) -> None:
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        seen = set()
        for name in ("no fixed abode", "withheld"):
            page.goto(card(service, key, name))
            seen.add(page.screenshot(full_page=True))
        assert len(seen) == 1


def test_groups_stand_behind_the_control_and_nowhere_else(page: Page, service: str, key: str) -> None:
    page.goto(card(service, key, "private part full"))
    for title in ("Homelessness", "Drug or alcohol use", "British Sign Language interpreter", "Help with travel"):
        expect(page.get_by_text(title, exact=True)).to_be_hidden()
    page.locator("summary").click()
    for title in ("Homelessness", "Drug or alcohol use", "British Sign Language interpreter", "Help with travel"):
        expect(page.get_by_text(title, exact=True)).to_be_visible()
