"""What is written from the code: `python -m handbook.reference` writes it, a test holds it.

Whole pages stand under `docs/reference/`. In pages that somebody wrote, only what stands between two marks is ours.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from app import logs, request_log
from app.metrics import TABLE, Label
from app.settings import Settings
from handbook import columns, commands, contract
from handbook.tables import table

DOCS: Final = Path(__file__).parents[1] / "docs"
_NOTE: Final = "<!-- Written by `make reference` from the code: change it there. -->\n\n"


class NoMarksError(Exception):
    """A page has lost the marks between which a table stands."""


def pages() -> Iterator[tuple[Path, str]]:
    """Every page that is written from the code, wholly or in part, and what it says now."""
    for name, text in (
        ("commands.md", commands.page()),
        ("doors.md", contract.doors()),
        ("errors.md", contract.errors()),
        ("columns.md", columns.page()),
    ):
        yield DOCS / "reference" / name, _NOTE + text
    yield DOCS / "settings.md", _between(DOCS / "settings.md", {"settings": settings()})
    operations = DOCS / "operations.md"
    parts = {"request": lines(request_log.FIELDS), "other": lines(logs.FIELDS), "metrics": metrics()}
    yield operations, _between(operations, parts)


def settings() -> str:
    """Every setting with its default."""
    rows = []
    for name, field in Settings.model_fields.items():
        rows.append((f"`IMDLENS_{name.upper()}`", _default(field.default), _linked(field.description or "")))
    return table(("setting", "default", "what it does"), rows)


def _default(value: object) -> str:
    if value is None or value == "":
        return "none"
    if isinstance(value, float):
        return f"`{value:g}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def lines(fields: Mapping[str, str]) -> str:
    """The fields of a line."""
    return table(("field", "what it holds"), [(f"`{name}`", what) for name, what in fields.items()])


def metrics() -> str:
    """Every metric with every value of its labels."""
    rows = [(f"`{m.name}`", m.kind, "; ".join(map(_label, m.labels)), m.help) for m in TABLE]
    return table(("metric", "type", "labels", "what it says"), rows)


def _label(label: Label) -> str:
    if label.name == "door":
        return "`door`: name of the door, or `none`"
    values = ", ".join(f"`{value}`" for value in label.values)
    return f"`{label.name}`: {values or f'{label.source} (at most {label.most})'}"


def _linked(text: str) -> str:
    """The names of guides as links, from a page in `docs/`."""
    return re.sub(r"\bdocs/([\w-]+\.md)", r"[\1](\1)", text)


def _between(path: Path, parts: dict[str, str]) -> str:
    text = path.read_text("utf-8")
    for name, part in parts.items():
        begin, end = f"<!-- begin {name}: written by `make reference` -->\n", f"<!-- end {name} -->\n"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise NoMarksError(f"{path.name} needs {begin.strip()} and {end.strip()}, once each.")
        before, rest = text.split(begin)
        text = f"{before}{begin}{part}{end}{rest.split(end)[1]}"
    return text


def main() -> None:
    """Write what has changed, and say what that is."""
    for path, text in pages():
        if not path.is_file() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            sys.stdout.write(f"{path.relative_to(DOCS.parent)}\n")


if __name__ == "__main__":
    main()
