"""The NHS style sheet that comes with the service: as it was taken, asking nobody for anything."""

import hashlib
import re
import tomllib
from pathlib import Path

import pytest

from app.pages.card import STATIC

FOLDER = STATIC / "nhsuk-frontend-10.6.1"


def test_the_style_sheet_is_the_one_that_its_provenance_names() -> None:
    provenance = tomllib.loads((FOLDER / "provenance.toml").read_text("utf-8"))
    assert FOLDER.name == f"{provenance['package']}-{provenance['version']}"
    assert hashlib.sha256((FOLDER / provenance["file"]).read_bytes()).hexdigest() == provenance["sha256"]
    assert "MIT" in (FOLDER / "LICENCE").read_text("utf-8")


@pytest.mark.parametrize("path", sorted(STATIC.rglob("*.css")), ids=lambda path: path.name)
def test_no_style_sheet_asks_any_address(path: Path) -> None:
    text = path.read_text("utf-8")
    assert not re.search(r"url\(|@import|@font-face|//|sourceMappingURL", text)


def test_no_picture_and_no_script_is_served() -> None:
    served = {path.suffix for path in STATIC.rglob("*") if path.is_file()}
    assert served <= {".css", ".toml", ""}
