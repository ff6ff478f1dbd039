"""Every finding depends on published rows alone, never adds unknown to "not deprived", and turns with the areas."""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from app.counting import open_store
from app.counts.parts import Part, Published, PublishedPages
from app.counts.periods import quarter_name
from app.counts.schema import KINDS, publication, published_row, waiting_list, waiting_list_snapshot
from app.counts.tables import CORE20_PARTS, Figure
from app.database import writing
from app.findings.fifths import fifths
from app.findings.findings import MeasureName, Whole
from app.findings.gaps import gap
from app.findings.options import Options
from app.findings.overview import overview
from app.findings.quality import completeness, inclusion
from app.findings.trends import trend
from app.settings import Settings
from tests.counts_stores import Plan, draw_plan, opened_store, seal_all, sharp_plan
from tests.sealed_store import YEAR, sealed
from tests.service import calling
from tests.unit.findings.plain import Plain
from tests.unit.findings.waiting import with_waiting_lists

OPTIONS = Options()
MEASURES: tuple[MeasureName, ...] = (
    "missed",
    "cancelled_by_provider",
    "over_18_weeks",
    "over_52_weeks",
    "core20_share",
)
PATHS = [
    f"/v1/{door}{'&' if '?' in door else '?'}measure={measure}{unit}"
    for door in ("inequality", "trend", "inequality?by=specialty")
    for measure in MEASURES
    for unit in (("",) if "by" in door else ("", "&specialty=340", "&specialty=all_other"))
]


def everything(published: Published, units: list[str]) -> str:
    """Every finding that there is of a store, as text."""
    months = published.periods("organisation_outcome")
    quarters = dict.fromkeys(quarter_name(m) for m in months)
    years = published.periods("specialty_dna_quintile")
    found: list[object] = []
    for unit in ("", *units):
        found.append(overview(published, unit, options=OPTIONS))
        for measure in MEASURES:
            found += [trend(published, measure, unit, OPTIONS, of=of) for of in ("gap", "share")]
            found += [gap(published, measure, unit, period, OPTIONS) for period in (*months, *quarters, *years)]
            found += [fifths(published, measure, unit, year, OPTIONS) for year in years]
    found += [completeness(published, month, OPTIONS) for month in months]
    found += [inclusion(published, year) for year in years]
    return "\n".join(map(repr, found))


@contextmanager
def sealed_plan(plan: Plan, folder: Path) -> Iterator[Engine]:
    with opened_store(plan, folder) as engine:
        seal_all(engine, plan)
        yield engine


def forget_the_truth(engine: Engine) -> None:
    """Every cell, and every person waiting."""
    with writing(engine) as connection:
        for table in (*KINDS, waiting_list, waiting_list_snapshot):
            table.drop(connection)  # a closed month's rows cannot be deleted


@pytest.mark.parametrize("plan", [*map(draw_plan, range(5)), *map(sharp_plan, range(3))], ids=range(8))
def test_findings_stay_as_they_are_when_every_cell_is_gone(plan: Plan, tmp_path: Path) -> None:
    with sealed_plan(plan, tmp_path) as engine:
        before = everything(PublishedPages(engine).now(), plan.units)
        forget_the_truth(engine)
        assert everything(PublishedPages(engine).now(), plan.units) == before


def test_doors_answer_the_same_bytes_when_every_cell_is_gone(starter: Path, tmp_path: Path) -> None:
    said = Settings(data_dir=starter, counts_dir=tmp_path, design_effect=2.0)
    engine = open_store(said)
    with_waiting_lists(engine, YEAR[-2:])
    sealed(engine, YEAR, contacts=800)
    answers = []
    for _ in range(2):
        with calling(said, "breakdowns") as client:
            answers.append([client.get(path).content for path in PATHS])
        if len(answers) == 1:
            forget_the_truth(engine)
    engine.dispose()
    assert answers[0] == answers[1]
    assert sum(b'"points"' in answer for answer in answers[0]) == 15


def other_truth(plan: Plan, dice: random.Random) -> Plan:
    """Contacts dropped at random, so that true counts differ."""
    return replace(plan, contacts=[c for c in plan.contacts if dice.random() > 0.02])


def test_two_stores_that_publish_the_same_have_the_same_findings(tmp_path: Path) -> None:
    """One whose true counts differ, given the other's published rows, answers like the other."""
    plan = draw_plan(3, least_months=6)
    with (
        sealed_plan(plan, tmp_path) as one,
        sealed_plan(other_truth(plan, random.Random(1)), tmp_path) as two,
    ):
        with one.connect() as connection:
            kept = {t: [row._asdict() for row in connection.execute(select(t))] for t in (publication, published_row)}
            flows = [connection.execute(select(t)).all() for t in KINDS]
        with two.connect() as connection:
            assert [connection.execute(select(t)).all() for t in KINDS] != flows
        assert everything(PublishedPages(two).now(), plan.units) != everything(PublishedPages(one).now(), plan.units)
        with writing(two) as connection:
            for table in (published_row, publication):
                table.drop(connection)  # what is published cannot be changed
            for table in (publication, published_row):
                table.create(connection)
                connection.execute(table.insert(), kept[table])
        assert everything(PublishedPages(two).now(), plan.units) == everything(PublishedPages(one).now(), plan.units)


class Changed:
    """The pages of a store with each part changed as a function says."""

    def __init__(self, published: Published, change: "Mapping[Figure, Part] | None", unknown: Part | None) -> None:
        self._published, self._change, self._unknown = published, change or {}, unknown

    def figures(self, table: str, period: str) -> dict[Figure, Part]:
        """Each unknown replaced, and each figure that is listed."""
        return {
            figure: self._unknown
            if self._unknown and CORE20_PARTS[2] in (figure.core20, figure.imd_quintile)
            else self._change.get(figure, part)
            for figure, part in self._published.figures(table, period).items()
        }


@pytest.mark.parametrize("unknown", [Part(0), Part(100_000), Part(None, "*"), Part(None, "w")], ids=str)
def test_contacts_without_a_decile_change_no_gap_no_slope_and_no_trend(unknown: Part, tmp_path: Path) -> None:
    plan = draw_plan(5, least_months=12)
    with sealed_plan(plan, tmp_path) as engine:
        published = PublishedPages(engine).now()
        changed = Published(Changed(published, None, unknown), published.publications)
        (year,) = published.periods("specialty_dna_quintile")
        for unit in ("", *plan.units):
            for measure in MEASURES:
                for period in (*published.periods("specialty_dna_core20"), year, *published.periods("waiting_list")):
                    here, there = (gap(p, measure, unit, period, OPTIONS) for p in (published, changed))
                    assert here == there
                assert fifths(published, measure, unit, year, OPTIONS) == fifths(changed, measure, unit, year, OPTIONS)
                assert trend(published, measure, unit, OPTIONS) == trend(changed, measure, unit, OPTIONS)


pair = st.tuples(st.integers(0, 40), st.integers(20, 400)).map(lambda p: (5 * min(p), 5 * p[1]))


@settings(max_examples=80, deadline=None)
@given(st.lists(pair, min_size=5, max_size=5))
def test_turning_the_deciles_round_turns_every_direction_round(pairs: list[tuple[int, int]]) -> None:
    year, quarter = "2025-26", "2025-26-Q4"
    one = Plain().by_fifths(year, "340", pairs).missed(quarter, "340", pairs[0], pairs[4]).published()
    two = Plain().by_fifths(year, "340", pairs[::-1]).missed(quarter, "340", pairs[4], pairs[0]).published()
    slope, turned = (fifths(store, "missed", "340", year, OPTIONS) for store in (one, two))
    assert turned.shares == slope.shares[::-1]
    assert turned.sii == (None if slope.sii is None else Whole(-slope.sii.value, -slope.sii.upper, -slope.sii.lower))
    here, there = (gap(store, "missed", "340", quarter, OPTIONS).absolute for store in (one, two))
    assert there == (None if here is None else Whole(-here.value, -here.upper, -here.lower))


@pytest.mark.parametrize("mark", ["*", "w"])
def test_hiding_any_one_part_of_a_gap_leaves_no_number_of_it(mark: str, tmp_path: Path) -> None:
    said = Settings(data_dir=tmp_path, counts_dir=tmp_path)
    engine = open_store(said)
    with_waiting_lists(engine, YEAR[-1:])
    sealed(engine, YEAR, contacts=1500)
    published = PublishedPages(engine).now()
    tried = 0
    for table, measure, period in (
        ("specialty_dna_core20", "missed", "2024-25-Q4"),
        ("specialty_dna_quintile", "missed", "2024-25"),
        ("waiting_list", "over_18_weeks", YEAR[-1]),
    ):
        for figure, part in published.figures(table, period).items():
            is_part = figure.core20 != "no_decile" and figure.category != "over_52_weeks"
            if figure.unit != "340" or not is_part or figure.outcome == "cancelled_by_provider" or part.n is None:
                continue
            shown = gap(published, measure, "340", period, OPTIONS)  # type: ignore[arg-type]
            hidden = Published(Changed(published, {figure: Part(None, mark)}, None), published.publications)
            found = gap(hidden, measure, "340", period, OPTIONS)  # type: ignore[arg-type]
            assert shown.absolute is not None
            assert found.refusal is not None
            assert found.refusal.code == "hidden"
            assert (found.absolute, found.relative, found.fewer) == (None, None, None)
            tried += 1
    engine.dispose()
    assert tried == 4 + 10 + 4
