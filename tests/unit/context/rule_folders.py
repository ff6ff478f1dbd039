"""Folders of rules for tests: a copy of what is shipped, with one thing changed."""

from importlib import resources
from pathlib import Path


def shipped(name: str) -> str:
    """The text of a shipped rules file."""
    return resources.files("app.context").joinpath("rules", name).read_text("utf-8")


def changed(folder: Path, name: str, *changes: tuple[str, str]) -> Path:
    """A folder in which one shipped file stands changed."""
    text = shipped(name)
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, "utf-8")
    return folder


def with_lines(folder: Path, name: str, *lines: str) -> Path:
    """A folder in which one shipped file has further lines at its end."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(shipped(name) + "\n".join([*lines, ""]), "utf-8")
    return folder
