"""A real Chromium, the system's own where there is one."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from app.settings import Settings
from tests.integration.running import imdlens, serving
from tests.service import key_for

expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def key(starter: Path) -> str:
    """A key of the service, made before it starts."""
    return key_for(Settings(data_dir=starter), "enrich", "breakdowns", name="browser-tests")


@pytest.fixture(scope="module")
def service(key: str, starter: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running service on starter data, which knows the key."""
    assert key
    with serving(tmp_path_factory.mktemp("service"), IMDLENS_DATA_DIR=str(starter)) as (url, _):
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium: named by CHROMIUM, or on the path, or Playwright's own download.

    For one module only: while it is open, no other test can run an event loop in this process.
    """
    named = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=named,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder as `imdlens demo` makes it: two years of synthetic contacts, sealed."""
    folder = tmp_path_factory.mktemp("demonstration") / "data"
    made = imdlens("demo", "--out", str(folder), cwd=folder.parent)
    assert made.returncode == 0, made.stderr
    return folder
