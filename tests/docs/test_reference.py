"""What pages list is what the code has: the pages that are written from it, and the names of their parts."""

import pytest

from app.doors import DOORS
from app.errors import TITLES
from app.settings import Settings
from handbook import reference
from tests.integration.running import imdlens

PAGES = [path.relative_to(reference.DOCS).as_posix() for path, _ in reference.pages()]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_written_from_the_code_says_what_the_code_says(page: str) -> None:
    written = {path.relative_to(reference.DOCS).as_posix(): text for path, text in reference.pages()}
    assert (reference.DOCS / page).read_text("utf-8") == written[page], "make reference writes it anew"


def test_every_setting_door_and_status_is_on_its_page() -> None:
    written = {path.name: text for path, text in reference.pages()}
    assert all(f"| `IMDLENS_{name.upper()}` |" in written["settings.md"] for name in Settings.model_fields)
    assert all(f"| `{door.name}` | `{door.method} {door.path}` |" in written["doors.md"] for door in DOORS)
    assert all(
        f"| {status} | `urn:imdlens:problem:{code}` |" in written["errors.md"] for status, (code, _) in TITLES.items()
    )


def test_every_command_that_help_lists_is_on_its_page(tmp_path) -> None:  # type: ignore[no-untyped-def]
    shown = imdlens("--help", cwd=tmp_path).stdout.split("Commands", 1)[1]
    named = {line.strip("│ ").split()[0] for line in shown.splitlines() if line.startswith("│ ") and line[2] != " "}
    text = (reference.DOCS / "reference" / "commands.md").read_text("utf-8")
    assert {"lookup", "serve", "data", "counts"} <= named
    assert not [name for name in named if f"\n## {name}\n" not in text and f"\n## {name} " not in text]


def test_a_page_that_lost_its_marks_is_refused(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "settings.md").write_text("# Settings\n", "utf-8")
    monkeypatch.setattr(reference, "DOCS", tmp_path)
    with pytest.raises(reference.NoMarksError, match=r"settings\.md needs"):
        list(reference.pages())
