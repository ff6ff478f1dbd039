"""The service in this process, and callers of it with real keys."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.access import key_store
from app.access.caller import SCOPES
from app.counting import key_hasher, open_store
from app.main import create_app
from app.settings import DEFAULT_DATA_DIR, Settings

EVERY = tuple(SCOPES)
_made: dict[tuple[str, tuple[str, ...], str], str] = {}


def key_for(settings: Settings, *scopes: str, name: str = "tests") -> str:
    """A key of a deployment that its database knows; the same one for the same question."""
    address = settings.database_url.get_secret_value() if settings.database_url else str(settings.counts_folder)
    asked = (address, scopes or EVERY, name)
    if asked not in _made:
        engine = open_store(settings)
        try:
            _made[asked] = key_store.create(engine, key_hasher(settings), name, asked[1], by="tests")
        finally:
            engine.dispose()
    return _made[asked]


def bearer(key: str) -> dict[str, str]:
    """The header that carries a key."""
    return {"Authorization": f"Bearer {key}"}


def key_in(folder: Path, *scopes: str, **environment: str) -> str:
    """A key of the deployment that `imdlens serve` would find in a folder with these variables."""
    named = {name.removeprefix("IMDLENS_").lower(): value for name, value in environment.items()}
    named["data_dir"] = str(folder / named.get("data_dir", DEFAULT_DATA_DIR))
    if "counts_dir" in named:
        named["counts_dir"] = str(folder / named["counts_dir"])
    return key_for(Settings(**named), *scopes)  # type: ignore[arg-type]


@contextmanager
def calling(
    settings: Settings, *scopes: str, app: FastAPI | None = None, name: str = "tests", **options: Any
) -> Iterator[TestClient]:
    """A client of the service with these scopes, with every scope when none is named."""
    key = key_for(settings, *scopes, name=name)
    with TestClient(app or create_app(settings), **options) as client:
        client.headers.update(bearer(key))
        yield client
