"""What tests share: a real index built from the starter data, and the service on it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from app.context.summary import Summaries
from app.enrichment import Rules
from app.lookup.index import Index
from app.main import create_app
from app.reference.build import BuildOptions, build
from app.reference.manifest import manifest, packaged_data
from app.reference.releases import current_index, publish
from app.settings import Settings

hypothesis_settings.register_profile(
    "suite",
    max_examples=200,
    deadline=None,
    # A slow machine is no fault of a test.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
hypothesis_settings.register_profile("long", parent=hypothesis_settings.get_profile("suite"), max_examples=20_000)
hypothesis_settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("IMDLENS_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the starter data, built by the real build."""
    folder = tmp_path_factory.mktemp("starter")
    options = BuildOptions(allow_part=True, starter=True)
    publish(folder, lambda made: build([packaged_data() / "starter"], made, manifest(), options))
    return folder


@pytest.fixture(scope="session")
def index(starter: Path) -> Index:
    """The starter index, open."""
    return Index(current_index(starter))


@pytest.fixture(scope="session")
def rules() -> Rules:
    """The rules as shipped, Core20 on IoD2025."""
    return Rules("IoD2025", Summaries.load())


@pytest.fixture(scope="session")
def client(starter: Path) -> Iterator[TestClient]:
    """The service on starter data, in this process."""
    with TestClient(create_app(Settings(data_dir=starter)), raise_server_exceptions=False) as client:
        yield client


def full_data() -> Path:
    """The folder of full national files, or a skip that says so."""
    named = os.environ.get("NATIONAL_FILES")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no full data")
    return folder
