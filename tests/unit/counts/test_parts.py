"""Published figures as parts: what is hidden stays hidden, and a page is read once."""

from collections.abc import Iterator, Mapping

import pytest
from sqlalchemy import Engine, event

from app.counts.parts import ABSENT, Part, Publication, Published, PublishedPages
from app.counts.published import PublishedTables
from app.counts.seal import seal
from app.counts.tables import Figure
from tests import sealed_store
from tests.databases import opened

MONTH = "2024-04"
SAID = Publication(
    "specialty_core20", MONTH, MONTH, "2024-05-01T09:00:00+00:00", "IoD2025", "r", "rule", "RX1", "", False
)
YES = Figure("specialty_core20", MONTH, "340", core20="true")
NO = YES._replace(core20="false")
NONE = YES._replace(core20="no_decile")


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    with opened(store_url) as engine:
        yield engine


class Pages:
    """Pages by hand."""

    def __init__(self, figures: Mapping[Figure, Part]) -> None:
        self._figures = figures

    def figures(self, table: str, period: str) -> Mapping[Figure, Part]:
        return {f: part for f, part in self._figures.items() if (f.table, f.period) == (table, period)}


def published(**parts: Part) -> Published:
    figures = {YES._replace(core20=name): part for name, part in parts.items()}
    return Published(Pages(figures), [SAID])


def test_parts_that_are_shown_are_added() -> None:
    assert published(true=Part(35), false=Part(110)).total([YES, NO]) == Part(145)


def test_zero_is_a_number_and_no_hidden_part() -> None:
    assert published(true=Part(0), false=Part(0)).total([YES, NO]) == Part(0)


@pytest.mark.parametrize("mark", ["*", "w"])
def test_a_hidden_part_hides_the_sum(mark: str) -> None:
    assert published(true=Part(35), false=Part(None, mark)).total([YES, NO]) == Part(None, mark)


def test_a_figure_that_is_on_no_page_is_absent_and_not_zero() -> None:
    assert published(true=Part(35)).part(NO) == Part(None, ABSENT)
    assert published(true=Part(35)).total([YES, NO]).mark == ABSENT


def test_nothing_is_read_of_a_page_that_is_not_published() -> None:
    other = YES._replace(period="2024-05")
    assert Published(Pages({other: Part(35)}), [SAID]).part(other) == Part(None, ABSENT)


def test_every_published_row_is_read_as_it_stands_in_the_tables(engine: Engine) -> None:
    sealed_store.sealed(engine, sealed_store.YEAR[:3])
    now, tables = PublishedPages(engine).now(), PublishedTables(engine)
    rows = 0
    for said in now.publications:
        figures = now.figures(said.table, said.period)
        chosen = tables.choose(said.table, said.period).rows
        assert [part.n for part in figures.values()] == [row["n"] for row in chosen]
        assert [part.mark or None for part in figures.values()] == [row["suppressed"] for row in chosen]
        rows += len(figures)
    assert rows > 100


def test_a_page_is_read_once_and_needs_no_cell(engine: Engine) -> None:
    sealed_store.sealed(engine, sealed_store.YEAR[:1])
    asked: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda _c, _cu, statement, *_: asked.append(statement))
    now = PublishedPages(engine).now()
    first = now.figures("specialty_core20", MONTH)
    assert now.figures("specialty_core20", MONTH) is first
    assert [statement.split("FROM ")[1].split()[0] for statement in asked if "FROM" in statement] == [
        "publication",
        "published_row",
    ]


def test_the_version_changes_with_each_publication(engine: Engine) -> None:
    sealed_store.fill(engine, sealed_store.YEAR[:2])
    pages = PublishedPages(engine)
    versions = [pages.now().version]
    for month in sealed_store.YEAR[:2]:
        seal(engine, month, sealed_store.PUBLISHER)
        versions.append(pages.now().version)
    assert len(set(versions)) == 3
    assert pages.now().version == versions[-1]
