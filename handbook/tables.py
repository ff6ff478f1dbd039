"""Tables of Markdown."""

from collections.abc import Iterable, Sequence


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a bar in a cell stays one, and a line break becomes a space."""
    lines = [row(headings), "|" + "---|" * len(headings), *map(row, rows)]
    return "\n".join(lines) + "\n"


def row(cells: Iterable[str]) -> str:
    """One row."""
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"
