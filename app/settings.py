"""Every setting of the service, from `IMDLENS_*` in the environment."""

import os
from pathlib import Path
from typing import Final

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

DEFAULT_DATA_DIR: Final = Path("imdlens-data")


class UnknownSettingError(Exception):
    """A misspelt setting, which would otherwise leave its default in force unseen."""


class Settings(BaseSettings):
    """Read once at start; a value that cannot be read stops the start and names the setting."""

    model_config = SettingsConfigDict(env_prefix="IMDLENS_", frozen=True)

    data_dir: Path = Field(
        DEFAULT_DATA_DIR,
        description="Folder of the built data. The default is filled with starter data at first start; any other"
        " must hold data already.",
    )
    core20_edition: str = Field(
        "IoD2025",
        description="The English edition that `imd_decile` and `core20` are read from. NHS England's date for the"
        " move from IoD2019 to IoD2025 was not found, so it is yours to set; every answer states it.",
    )
    max_body_bytes: int = Field(64 * 2**10, gt=0, description="A larger body is refused with 413: one record is small.")
    max_batch_bytes: int = Field(8 * 2**20, gt=0, description="The same for a batch.")
    max_batch_records: int = Field(
        10_000, gt=0, le=10_000, description="A batch with more records is refused with 413."
    )
    data_poll_seconds: float = Field(
        1.0, gt=0, description="How often each worker looks whether another release was made current."
    )
    database_url: str | None = Field(
        None,
        description="Where contacts will be counted. This version counts none: it says so at start, and in each"
        " answer (`counted: false`, `unavailable`).",
    )


def read_settings() -> Settings:
    """The settings of the environment; UnknownSettingError where it names one that does not exist."""
    known = {f"IMDLENS_{name.upper()}" for name in Settings.model_fields}
    unknown = sorted(name for name in os.environ if name.startswith("IMDLENS_") and name not in known)
    if unknown:
        raise UnknownSettingError(f"There is no setting {', '.join(unknown)}: see docs/settings.md.")
    return Settings()
