"""What others made and the service carries, style sheet and data: as it was taken, asking nobody for anything."""

import hashlib
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from app.pages.card import STATIC
from supply import carried

ROOT = Path(__file__).parents[3]
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


@pytest.mark.parametrize(
    "path", sorted([*(STATIC.parent / "templates").iterdir(), *STATIC.parent.glob("*.py")]), ids=lambda path: path.name
)
def test_no_page_loads_anything_from_another_address(path: Path) -> None:
    text = path.read_text("utf-8")
    assert not re.search(r"(?:src|srcset|href|action|poster|data)\s*=\s*[\"']?\s*(?:https?:)?//", text)


def test_every_folder_of_somebody_elses_files_names_each_file_and_where_it_is_from() -> None:
    for folder in (path for path in STATIC.iterdir() if path.is_dir()):
        provenance = tomllib.loads((folder / "provenance.toml").read_text("utf-8"))
        assert {path.name for path in folder.iterdir()} == {provenance["file"], "LICENCE", "provenance.toml"}


def test_every_file_of_data_that_is_carried_is_listed_with_the_checksum_that_it_has() -> None:
    files = {path for folder in ("starter", "population") for path in (ROOT / "data" / "imd" / folder).iterdir()}
    listed = {ROOT / entry["file"] for entry in carried.data() if "sha256" in entry}
    assert listed == files
    assert not carried.changed()


def test_a_changed_file_of_data_is_noticed_and_gets_into_no_bill(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = [entry | {"sha256": "00" * 32} if "starter_lsoa21" in entry["file"] else entry for entry in carried.data()]
    monkeypatch.setattr(carried, "data", lambda: wrong)
    assert carried.changed() == ["data/imd/starter/starter_lsoa21.csv"]
    with pytest.raises(ValueError, match="not what was taken"):
        carried.components()


def test_no_font_no_picture_no_archive_and_no_minified_script_is_shipped() -> None:
    listing = ["git", "ls-files", "-z", "app", "migrations", "data"]
    listed = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True).stdout.decode()
    foreign = re.compile(
        r"\.(?:woff2?|ttf|otf|eot|png|jpe?g|gif|ico|zip|gz|whl|jar|so|dll|exe|pyc)$|\.min\.(?:js|css)$"
    )
    found = {name for name in listed.split("\0") if foreign.search(name)}
    assert found == {str((FOLDER / "nhsuk-frontend.min.css").relative_to(ROOT))}


def test_no_picture_and_no_script_is_served() -> None:
    served = {path.suffix for path in STATIC.rglob("*") if path.is_file()}
    assert served <= {".css", ".toml", ""}
