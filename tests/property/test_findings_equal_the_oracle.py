"""Every number of a finding equals one worked out anew from published rows by other people's statistics."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, logit
from sqlalchemy import Engine, select
from statsmodels.regression.linear_model import WLS
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from app.counting import open_store
from app.counts.parts import PublishedPages
from app.counts.schema import published_row
from app.findings.fifths import fifths
from app.findings.gaps import gap
from app.findings.options import Options
from app.findings.ranking import ranking
from app.findings.trends import trend
from app.settings import Settings
from tests.sealed_store import YEAR, sealed
from tests.unit.findings.waiting import with_waiting_lists

Counts = tuple[int, int]  # events and what they are of
Limits = tuple[float, ...]
HALF = 0.501  # a figure in whole points may be so far from the true one; a little more for exact halves
TENTH = 0.0501


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("oracle")
    engine = open_store(Settings(data_dir=folder, counts_dir=folder))
    with_waiting_lists(engine, YEAR)
    sealed(engine, YEAR, contacts=2500)
    yield engine
    engine.dispose()


def number(engine: Engine, table: str, period: str, unit: str, **where: str) -> int | None:
    """One published count, read without the project's own reader; None where it is hidden or not there."""
    with engine.connect() as connection:
        rows = connection.execute(
            select(published_row).where(published_row.c.name == table, published_row.c.period == period)
        ).all()
    found = [
        row.n
        for row in rows
        if (row.specialty or row.rtt_group) == unit and all(getattr(row, k) == v for k, v in where.items())
    ]
    return found[0] if len(found) == 1 else None


def units_of(engine: Engine, table: str, period: str) -> list[str]:
    with engine.connect() as connection:
        rows = connection.execute(
            select(published_row).where(published_row.c.name == table, published_row.c.period == period)
        ).all()
    return sorted({row.specialty or row.rtt_group for row in rows})


def pair(*counts: int | None) -> Counts | None:
    """None where one of the two is hidden, or no share may be said of them."""
    events, total = counts
    return None if events is None or total is None or total < 100 or events > total else (events, total)


def missed(engine: Engine, period: str, unit: str, **where: str) -> Counts | None:
    table = "specialty_dna_core20" if "Q" in period else "specialty_dna_quintile"
    return pair(
        *(
            number(engine, table, period, unit, outcome=outcome, **where)
            for outcome in ("did_not_attend", "attended_or_did_not_attend")
        )
    )


def waiting(engine: Engine, month: str, unit: str, core20: str) -> Counts | None:
    within, over = (
        number(engine, "waiting_list", month, unit, core20=core20, category=wait)
        for wait in ("within_18_weeks", "over_18_weeks")
    )
    return None if within is None or over is None else pair(over, within + over)


def near(found: Sequence[float] | None, expected: Sequence[float], room: float) -> None:
    assert found is not None
    assert np.abs(np.array(found) - np.array(expected)).max() <= room, (found, expected)


def difference(one: Counts, other: Counts, effect: float, confidence: float = 0.95) -> Limits:
    """In points."""
    (x1, n1), (x2, n2) = (np.array(counts) / effect for counts in (one, other))
    limits = confint_proportions_2indep(x1, n1, x2, n2, method="newcomb", compare="diff", alpha=1 - confidence)
    return tuple(100 * np.array([x1 / n1 - x2 / n2, *limits]))


def two_sides(engine: Engine, measure: str, period: str, unit: str) -> tuple[Counts | None, Counts | None]:
    if measure == "over_18_weeks":
        return waiting(engine, period, unit, "true"), waiting(engine, period, unit, "false")
    return missed(engine, period, unit, core20="true"), missed(engine, period, unit, core20="false")


@pytest.mark.parametrize("effect", [None, 1.5])
@pytest.mark.parametrize(("measure", "period"), [("missed", "2024-25-Q4"), ("over_18_weeks", YEAR[-1])])
def test_gaps_are_newcombe_s_and_ratios_katz_s(store: Engine, measure: Any, period: str, effect: float | None) -> None:
    published, tried = PublishedPages(store).now(), 0
    table = "specialty_dna_core20" if measure == "missed" else "waiting_list"
    widened = 1.0 if effect is None or measure != "missed" else effect
    for unit in units_of(store, table, period):
        one, other = two_sides(store, measure, period, unit)
        found = gap(published, measure, unit, period, Options(design_effect=effect))
        if one is None or other is None:
            assert found.refusal is not None
            assert (found.absolute, found.relative, found.fewer) == (None, None, None)
            continue
        expected = difference(one, other, widened)
        near(found.absolute, expected, HALF)
        assert found.is_certain == (round(expected[1]) > 0 or round(expected[2]) < 0)
        for share, (x, n) in ((found.core20, one), (found.rest, other)):
            limits = proportion_confint(x / widened, n / widened, method="wilson")
            near(share.percent, [100 * x / n, *(100 * limit for limit in limits)], HALF)
        (x1, n1), (x2, n2) = (np.array(counts) / widened for counts in (one, other))
        ratio = confint_proportions_2indep(x1, n1, x2, n2, method="log", compare="ratio", correction=False)
        near(found.relative, [(x1 / n1) / (x2 / n2), *ratio], TENTH)
        if found.fewer is not None:
            assert abs(found.fewer - (one[0] - one[1] * other[0] / other[1])) <= 2.501
            assert 0 < found.fewer <= one[0]
        tried += 1
    assert tried >= 3


@pytest.mark.parametrize("effect", [None, 1.5])
def test_slopes_are_those_of_weighted_least_squares_on_logits(store: Engine, effect: float | None) -> None:
    published, tried, widened = PublishedPages(store).now(), 0, effect or 1.0
    for unit in units_of(store, "specialty_dna_quintile", "2024-25"):
        counts = [missed(store, "2024-25", unit, imd_quintile=str(q)) for q in range(1, 6)]
        found = fifths(published, "missed", unit, "2024-25", Options(design_effect=effect))
        known = [c for c in counts if c is not None]
        if len(known) < 5:
            assert found.refusal is not None
            assert (found.sii, found.rii, found.fitted, found.fewer) == (None, None, (), None)
            continue
        x, n = np.array(known, dtype=float).T
        weights = n / n.sum()
        middle = np.cumsum(weights) - weights / 2
        limits = np.array([proportion_confint(a / widened, b / widened, method="wilson") for a, b in known])
        errors = (logit(limits[:, 1]) - logit(limits[:, 0])) / (2 * 1.959964)

        def ends(
            y: NDArray[np.float64], middle: NDArray[np.float64] = middle, weights: NDArray[np.float64] = weights
        ) -> NDArray[np.float64]:
            first, by = WLS(y, np.column_stack([np.ones(5), middle]), weights).fit().params
            return np.array([expit(first), expit(first + by)])  # the most and the least deprived end

        y = logit(x / n)
        most, least = ends(y)
        moved = np.array([(ends(y + 1e-5 * np.eye(5)[i]) - ends(y - 1e-5 * np.eye(5)[i])) / 2e-5 for i in range(5)])
        off = 1.959964 * np.sqrt((((moved[:, 0] - moved[:, 1]) * errors) ** 2).sum())
        off_ratio = 1.959964 * np.sqrt((((moved[:, 0] / most - moved[:, 1] / least) * errors) ** 2).sum())
        slope, ratio = most - least, most / least
        near(found.sii, [100 * slope, 100 * (slope - off), 100 * (slope + off)], HALF)
        near(found.rii, [ratio, ratio / np.exp(off_ratio), ratio * np.exp(off_ratio)], TENTH)
        tried += 1
    assert tried >= 2


def monthly(engine: Engine, month: str) -> float | None:
    """The gap of the whole organisation in a month, in points."""
    sums = []
    for fifths_of in (["1"], ["2", "3", "4", "5"]):
        parts = [
            (
                number(engine, "organisation_outcome", month, "", imd_quintile=q, outcome="did_not_attend"),
                number(engine, "organisation_outcome", month, "", imd_quintile=q, outcome="attended"),
            )
            for q in fifths_of
        ]
        if any(count is None for part in parts for count in part):
            return None
        events, attended = (sum(count or 0 for count in column) for column in zip(*parts, strict=True))
        sums.append((events, events + attended))
    if any(total < 100 for _, total in sums):
        return None
    (x1, n1), (x2, n2) = sums
    return 100 * (x1 / n1 - x2 / n2)


def test_limits_over_time_are_those_of_mean_moving_ranges(store: Engine) -> None:
    values = [monthly(store, month) for month in YEAR]
    found = trend(PublishedPages(store).now(), "missed", "", Options(design_effect=1.5))
    assert [p.value is None for p in found.points] == [v is None for v in values]
    ranges = [abs(b - a) for a, b in pairwise(values) if a is not None and b is not None]
    kept = [r for r in ranges if r < 3.267 * np.mean(ranges)]
    mean = np.mean([v for v in values if v is not None])
    (phase,) = found.phases
    assert phase.lower is not None
    assert phase.upper is not None
    near([phase.mean or 0, phase.lower, phase.upper], [mean, *(mean + s * 2.66 * np.mean(kept) for s in (-1, 1))], HALF)
    for value, point in zip(values, found.points, strict=True):
        outside = value is not None and abs(value - mean) > 2.66 * np.mean(kept)
        assert ("outside_limits" in point.flags) == outside


def test_a_ranking_is_ordered_by_gap_and_its_centre_and_rows_are_worked_out_from_what_is_shown(store: Engine) -> None:
    month, published = YEAR[-1], PublishedPages(store).now()
    found = ranking(published, "over_18_weeks", month, Options())
    shown = {}
    for unit in units_of(store, "waiting_list", month):
        one, other = two_sides(store, "over_18_weeks", month, unit)
        if one is not None and other is not None:
            shown[unit] = (one, other)
    assert {row.unit.code for row in found.rows} == set(shown)
    gaps = {u: x1 / n1 - x2 / n2 for u, ((x1, n1), (x2, n2)) in shown.items()}
    weights = {u: n1 * n2 / (n1 + n2) for u, ((_, n1), (_, n2)) in shown.items()}
    centre = 100 * np.average([gaps[u] for u in shown], weights=[weights[u] for u in shown])
    near([found.centre or 0], [centre], HALF)
    assert [row.unit.code for row in found.rows] == sorted(shown, key=lambda u: (-gaps[u], u))
    for row in found.rows:
        near(row.value, difference(*shown[row.unit.code], effect=1.0, confidence=0.998), HALF)
    rate = sum(x for sides in shown.values() for x, _ in sides) / sum(n for sides in shown.values() for _, n in sides)
    for at in found.funnel:
        off = 100 * np.sqrt((found.dispersion or 1) * rate * (1 - rate) / at.size)
        # The dispersion is given in tenths.
        room = HALF + 3.09 * off * 0.05
        near([at.lower95, at.upper95], [centre - 1.96 * off, centre + 1.96 * off], room)
        near([at.lower998, at.upper998], [max(-100, centre - 3.09 * off), min(100, centre + 3.09 * off)], room)
