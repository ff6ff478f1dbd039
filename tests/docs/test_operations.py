"""docs/operations.md lists what is written and measured, as the code has it."""

import re
from pathlib import Path

from app import logs, request_log
from app.metrics import TABLE

TEXT = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")


def rows(heading: str) -> list[list[str]]:
    """The rows of the tables under a heading."""
    part = TEXT.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line[:1] == "|"]
    return [row for row in found if row[0].startswith("`")]


def test_the_fields_of_lines_are_listed() -> None:
    listed = [(name.strip("`"), what) for name, what in rows("Lines")]
    assert listed == [*request_log.FIELDS.items(), *logs.FIELDS.items()]


def test_the_metrics_are_listed_with_their_labels() -> None:
    listed = rows("Metrics")
    assert [(name.strip("`"), kind, what) for name, kind, _, what in listed] == [
        (measure.name, measure.kind, measure.help) for measure in TABLE
    ]
    for (_, _, labels, _), measure in zip(listed, TABLE, strict=True):
        parts = dict(part.strip().split(": ", 1) for part in labels.split("; ") if part)
        assert list(parts) == [f"`{label.name}`" for label in measure.labels]
        for label in measure.labels:
            said = parts[f"`{label.name}`"]
            if label.name == "door":
                assert "name of the door" in said
            elif label.values:
                assert re.findall(r"`([^`]+)`", said) == list(label.values)
            else:
                assert said == f"{label.source} (at most {label.most})"
