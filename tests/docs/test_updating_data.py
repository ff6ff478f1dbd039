"""docs/updating-data.md lists every surprise as the gate has it, and its commands are there."""

import re
from pathlib import Path

from app.cli_data import REFUSED
from app.reference.surprises import LIMITS
from tests.integration.running import imdlens

TEXT = (Path(__file__).parents[2] / "docs" / "updating-data.md").read_text("utf-8")


def test_every_surprise_is_listed_with_its_limit_and_what_it_may_mean() -> None:
    listed = re.findall(r"^\| `([\w-]+)` \| (.+?) \| (.+) \|$", TEXT, re.MULTILINE)
    assert listed == [
        (name, f"{limit.most:.2%}" if limit.most else "none", limit.means) for name, limit in LIMITS.items()
    ]


def test_the_exit_code_of_a_refusal_is_the_one_that_is_told() -> None:
    assert f"| {REFUSED} | refused by the gate." in TEXT


def test_every_option_that_the_guide_names_exists(tmp_path: Path) -> None:
    for command in ("update", "prune"):
        shown = imdlens("data", command, "--help", cwd=tmp_path).stdout
        for line in re.findall(rf"imdlens data {command} ([^\n`&]*)", TEXT):
            for option in re.findall(r"--[a-z]+", line):
                assert option in shown, (command, option)
