"""Every page, twin, drawing and report is a function of published rows alone, whatever the truth behind them is."""

import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, select

from app.context.rulebook import Rulebook
from app.counts.parts import Published, PublishedPages
from app.counts.schema import publication, published_row
from app.dashboard.context import Context
from app.dashboard.dashboard import Asked, Dashboard
from app.dashboard.frame import QUARTERLY
from app.database import writing
from app.findings.kinds import MEASURES
from app.findings.options import Options
from app.pages.charts import as_csv, as_json
from app.report.brief import brief
from app.report.content import board_paper
from app.report.evidence import gather
from app.report.writers import FORMATS, write
from tests.counts_stores import Plan, draw_plan, opened_store, seal_all, sharp_plan

OPTIONS = Options(design_effect=1.5)
BOOK = Rulebook.load()
READ = frozenset({"publication", "published_row"})
_TABLE = re.compile(r"\b(?:FROM|JOIN)\s+(\w+)", re.IGNORECASE)


def everything(published: Published) -> dict[str, bytes]:
    """Every page with its drawings, every twin, and every report of a store, by what was asked for."""
    dashboard = Dashboard(Context(OPTIONS, BOOK))
    found: dict[str, bytes] = {}

    def page(asked: Asked) -> None:
        found[repr(asked)] = dashboard.page(published, asked)
        for name in set(re.findall(rb'id="([a-z0-9-]+)-720"', found[repr(asked)])):
            chart = dashboard.chart(published, name.decode(), asked)
            found[f"{asked} {name!r}"] = f"{as_csv(chart)}{as_json(chart)}".encode()

    for place in ("completeness", "inclusion", "editions", "practice", "help"):
        page(Asked(place, "../"))
    for measure in MEASURES:
        page(Asked("ranking", "../", measure=measure))
    for quarter in published.periods(QUARTERLY)[-1:]:
        page(Asked("organisation", "../", period=quarter))
        for unit in ("", *published.units(QUARTERLY, quarter)):
            if unit:
                page(Asked("specialty", "../", unit, quarter))
                page(Asked("detail", "../", unit, quarter))
            evidence = gather(published, BOOK, OPTIONS, quarter, unit)
            for suffix in FORMATS:
                found[f"brief {unit} {suffix}"] = write(brief(evidence), suffix)
                if not unit:
                    found[f"board {suffix}"] = write(board_paper(evidence), suffix)
    return found


@contextmanager
def sealed_plan(plan: Plan, folder: Path) -> Iterator[Engine]:
    with opened_store(plan, folder) as engine:
        seal_all(engine, plan)
        yield engine


@contextmanager
def listened(engine: Engine) -> Iterator[set[str]]:
    """The tables that are read meanwhile."""
    read: set[str] = set()

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        read.update(_TABLE.findall(statement))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield read
    finally:
        event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize("seed", range(2))
def test_two_truths_with_one_publication_make_the_same_bytes_of_every_page_and_report(
    tmp_path: Path, seed: int
) -> None:
    plan = draw_plan(seed, least_months=6)
    dice = random.Random(seed)
    other = replace(plan, contacts=[c for c in plan.contacts if dice.random() > 0.3])
    with sealed_plan(plan, tmp_path) as one, sealed_plan(other, tmp_path) as two:
        before = everything(PublishedPages(one).now())
        assert everything(PublishedPages(two).now()) != before
        with one.connect() as connection:
            kept = {t: [row._asdict() for row in connection.execute(select(t))] for t in (publication, published_row)}
        with writing(two) as connection:
            for table in (published_row, publication):
                table.drop(connection)  # what is published cannot be changed
            for table in (publication, published_row):
                table.create(connection)
                connection.execute(table.insert(), kept[table])
        after = everything(PublishedPages(two).now())
    assert len(before) > 20
    assert any(b"chart-svg" in made for made in before.values())
    assert [asked for asked in before if before[asked] != after.get(asked)] == []
    assert after.keys() == before.keys()


@pytest.mark.parametrize("seed", range(2))
def test_pages_and_reports_read_published_tables_and_no_other(tmp_path: Path, seed: int) -> None:
    with sealed_plan(sharp_plan(seed), tmp_path) as engine, listened(engine) as read:
        assert everything(PublishedPages(engine).now())
        assert read == READ
