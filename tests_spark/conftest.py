"""One real Spark session of two cores, and the starter index, built by the real build."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from app.context.rulebook import Rulebook
from app.enrichment import Rules
from app.lookup.index import Index
from app.lookup.layout import read_index, write_index
from app.reference.build import BuildOptions, build
from app.reference.manifest import manifest, packaged_data
from app.reference.releases import current_index, publish

# Less work for the compiler and the collector of a Java machine that lives for a minute.
QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> None:
    for name in list(os.environ):
        if name.startswith("IMDLENS_"):
            del os.environ[name]


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A session on this machine; its Python workers outlive tasks, as they do by default."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    folder = tmp_path_factory.mktemp("spark")
    log4j = folder / "log4j2.properties"
    log4j.write_text("rootLogger.level = off\n")
    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.memory", "768m")
        .config("spark.driver.extraJavaOptions", f"-Dlog4j2.configurationFile={log4j.as_uri()} {QUICK}")
        .config("spark.local.dir", str(folder / "local"))
        .config("spark.sql.warehouse.dir", str(folder / "warehouse"))
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("OFF")  # what fails on purpose is read from the exception
    yield session
    session.stop()


@pytest.fixture(scope="session")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the starter data."""
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


@pytest.fixture
def another(starter: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """An index file of the starter data that no other test has: no worker has it open, and its checksum is its own."""
    path = tmp_path / "another.imdl"
    file = read_index(current_index(starter))
    write_index(path, {**file.header, "name": request.node.name}, file.sections)
    return path
