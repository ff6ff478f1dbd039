"""What tests share: a real index built from the starter data, and the service on it."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from app.context.rulebook import Rulebook
from app.database import upgrade
from app.enrichment import Rules
from app.lookup.index import Index
from app.reference.build import BuildOptions, build
from app.reference.manifest import manifest, packaged_data
from app.reference.releases import current_index, publish
from app.settings import Settings
from tests.databases import Postgres, opened, running_postgres
from tests.service import calling, key_for

hypothesis_settings.register_profile(
    "suite",
    max_examples=100,
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
    return Rules("IoD2025", Rulebook.load())


@pytest.fixture(scope="session")
def client(starter: Path) -> Iterator[TestClient]:
    """The service on starter data, in this process; its store knows a key for `enrich` alone too."""
    key_for(Settings(data_dir=starter), "enrich")
    with calling(Settings(data_dir=starter), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL server, started when the first test asks."""
    # Not in pytest's folder, which only this user may enter: as root the server runs as another.
    with tempfile.TemporaryDirectory(prefix="imdlens-pg-") as folder:
        Path(folder).chmod(0o755)
        with running_postgres(Path(folder) / "data") as server:
            yield server


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """The address of a fresh PostgreSQL database with the newest schema."""
    url = postgres.new_database()
    yield url
    postgres.drop(url)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database with the newest schema, to be copied."""
    path = tmp_path_factory.mktemp("template") / "counts.sqlite"
    with opened(f"sqlite:///{path}") as engine:
        upgrade(engine)
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """The address of a fresh SQLite database with the newest schema."""
    shutil.copy(sqlite_template, tmp_path / "counts.sqlite")
    return f"sqlite:///{tmp_path / 'counts.sqlite'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str:
    """The address of a fresh store, once on each database."""
    url: str = request.getfixturevalue({"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param])
    return url


def full_data() -> Path:
    """The folder of full national files, or a skip that says so."""
    named = os.environ.get("NATIONAL_FILES")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no full data")
    return folder
