"""A file is opened, and its answer named, only where nothing is lost by it."""

import errno
import os
from pathlib import Path

import pytest

from app.batch.columns import Enricher
from app.batch.files import enrich_file
from app.batch.plan import FileProblemError, Plan
from app.enrichment import Rules
from app.lookup.index import Index


@pytest.fixture
def enricher(index: Index, rules: Rules) -> Enricher:
    return Enricher(index, rules)


def test_a_file_that_is_written_to_while_it_is_read_is_not_answered(enricher: Enricher, tmp_path: Path) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_bytes(b"postcode\nNG1 1AA\n")
    plan = Plan(enricher, tell=lambda _: os.truncate(source, 12))
    with pytest.raises(FileProblemError, match="was changed while it was read"):
        enrich_file(source, target, plan)
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("reason", [errno.EPERM, errno.ENOTSUP])
def test_where_a_share_knows_no_links_the_answer_gets_its_name_all_the_same(
    reason: int, enricher: Enricher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A share without links is nothing that a test can mount.
    def refuse(*_: object) -> None:
        raise OSError(reason, "no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_bytes(b"postcode\nNG1 1AA\n")
    enrich_file(source, target, Plan(enricher))
    assert target.read_bytes().startswith(b"postcode,postcode_status")
    assert sorted(tmp_path.iterdir()) == [source, target]
