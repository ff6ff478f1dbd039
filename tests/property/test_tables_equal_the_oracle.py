"""Every published table against a count of the same contacts by a few lines that know nothing of cells or audits."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from itertools import product
from math import sqrt
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.counts import seal as sealing
from app.counts.vocabulary import vocabulary
from tests.attacker import BROAD, FIFTHS, TABLES, WEIGHTS, Row, fifth_of, published_rows, quarter_of
from tests.counts_stores import Plain, PlainWait, Plan, broad, draw_plan, five_year, opened_store, seal_all, sharp_plan

YEAR = "2024-25"
DENOMINATOR = "attended_or_did_not_attend"
CANCELLED = "cancelled_by_provider"
FIRST = {"dimension": "attendance", "category": "new"}
DIMENSIONS = (
    "contact_type", "outcome", "imd_decile", "imd_quintile", "core20", "dimension", "category", "client",
)  # fmt: skip
Key = tuple[str, str, str, frozenset[tuple[str, str]]]


def key(table: str, period: str, unit: str = "", **parts: str) -> Key:
    return table, period, unit, frozenset(parts.items())


def key_of(row: Row) -> Key:
    parts = {name: row.facts[name] for name in DIMENSIONS if row.facts[name] is not None}
    return key(row.table, row.period, row.unit, **parts)


def core20_of(decile: int | None) -> str:
    return "no_decile" if decile is None else "true" if decile in (1, 2) else "false"


def counted_in(c: Plain) -> Iterator[Key]:
    """Every figure that one contact is counted in."""
    fifth, core20, quarter = fifth_of(c.decile), core20_of(c.decile), quarter_of(c.month)
    yield key("specialty_core20", c.month, c.unit, core20=core20)
    yield key("organisation_outcome", c.month, imd_quintile=fifth, outcome=c.outcome)
    if c.decile and c.outcome in ("attended", "did_not_attend"):
        for outcome in {DENOMINATOR, c.outcome} - {"attended"}:
            yield key("specialty_dna_core20", quarter, c.unit, core20=core20, outcome=outcome)
            yield key("specialty_dna_quintile", YEAR, c.unit, imd_quintile=fifth, outcome=outcome)
    if c.decile and c.outcome == CANCELLED:
        yield key("specialty_dna_quintile", YEAR, c.unit, imd_quintile=fifth, outcome=CANCELLED)
    yield key("specialty_decile", YEAR, c.unit, imd_decile=str(c.decile or "no_decile"))
    yield key("specialty_sex", YEAR, c.unit, dimension="sex", category=c.sex)
    yield key("specialty_age", YEAR, c.unit, dimension="age_band", category=broad(c.age))
    if c.attendance == "new":
        yield key("specialty_new_core20", YEAR, c.unit, core20=core20, **FIRST)
    if c.type == "emergency" and c.age is not None and c.age < 18:
        parts = {"contact_type": "emergency", "dimension": "age_band", "category": "0-17"}
        yield key("organisation_under18_emergency", YEAR, imd_quintile=fifth, **parts)
    yield key("organisation_ethnicity", YEAR, imd_quintile=fifth, dimension="ethnic_category", category=c.ethnic)
    for dimension, group in c.groups:
        yield key(f"organisation_{dimension}", YEAR, dimension=dimension, category=group)
    if c.lad:
        yield key("organisation_lad", YEAR, dimension="lad", category=c.lad)
    yield key("completeness", c.month, dimension="postcode_status", client=c.client, category=c.status)


def waited_in(w: PlainWait) -> Iterator[Key]:
    waits = ["within_18_weeks"] if w.wait == "to_18" else ["over_18_weeks"]
    if w.wait in ("52_to_65", "over_65"):
        waits.append("over_52_weeks")
    for wait in waits:
        parts = {"core20": core20_of(w.decile), "dimension": "wait", "category": wait}
        yield key("waiting_list", w.month, w.unit, **parts)


def all_rows(plan: Plan) -> set[Key]:
    """Every row that a store must publish, zeros included."""
    words, units = vocabulary(), plan.units
    pair, core20 = (DENOMINATOR, "did_not_attend"), ("true", "false", "no_decile")
    found: set[Key] = set()
    for month in plan.months:
        found |= {key("specialty_core20", month, u, core20=c) for u, c in product(units, core20)}
        outcomes = (*words.outcomes, "absent")
        found |= {key("organisation_outcome", month, imd_quintile=q, outcome=o) for q, o in product(FIFTHS, outcomes)}
        clients = {c.client for c in plan.contacts if c.month == month}
        found |= {
            key("completeness", month, dimension="postcode_status", client=c, category=s)
            for c, s in product(clients, STATUSES)
        }
    for month in {w.month for w in plan.waiting}:
        waits = ("within_18_weeks", "over_18_weeks", "over_52_weeks")
        found |= {
            key("waiting_list", month, u, core20=c, dimension="wait", category=w)
            for u, c, w in product(units, core20, waits)
        }
    for quarter in {quarter_of(m) for m in plan.months if m[5:] in ("03", "06", "09", "12")}:
        found |= {
            key("specialty_dna_core20", quarter, u, core20=c, outcome=o) for u, c, o in product(units, core20[:2], pair)
        }
    if plan.months[-1] == "2025-03":
        found |= rows_of_a_year(plan)
    return found


def rows_of_a_year(plan: Plan) -> set[Key]:
    words, units = vocabulary(), plan.units
    deciles = [*map(str, range(1, 11)), "no_decile"]
    found = {key("specialty_decile", YEAR, u, imd_decile=d) for u, d in product(units, deciles)}
    for u, q, o in product(units, FIFTHS[:5], (DENOMINATOR, "did_not_attend", CANCELLED)):
        found.add(key("specialty_dna_quintile", YEAR, u, imd_quintile=q, outcome=o))
    for u, c in product(units, ("true", "false", "no_decile")):
        found.add(key("specialty_new_core20", YEAR, u, core20=c, **FIRST))
    for u, s in product(units, (*words.sexes, "absent")):
        found.add(key("specialty_sex", YEAR, u, dimension="sex", category=s))
    for u, b in product(units, BROAD):
        found.add(key("specialty_age", YEAR, u, dimension="age_band", category=b))
    for q in FIFTHS:
        parts = {"contact_type": "emergency", "dimension": "age_band", "category": "0-17"}
        found.add(key("organisation_under18_emergency", YEAR, imd_quintile=q, **parts))
        for e in words.ethnic_grid:
            found.add(key("organisation_ethnicity", YEAR, imd_quintile=q, dimension="ethnic_category", category=e))
    for group in ("homelessness", "drugs_and_alcohol", "vulnerable_migrant", "gypsy_roma_traveller", "justice"):
        found.add(key("organisation_inclusion", YEAR, dimension="inclusion", category=group))
    found.add(key("organisation_access", YEAR, dimension="access", category="interpreter"))
    found |= {key("organisation_lad", YEAR, dimension="lad", category=c.lad) for c in plan.contacts if c.lad}
    if plan.residents:
        for kind, q in product(("elective", "emergency", "outpatient"), FIFTHS[:5]):
            found.add(key("organisation_standardised", YEAR, contact_type=kind, imd_quintile=q))
    return found


STATUSES = (
    "live", "terminated", "not_found", "malformed", "no_fixed_abode", "address_not_known", "country_only", "overseas",
    "forces", "crown_dependency",
)  # fmt: skip


def hes(n: int) -> tuple[int | None, str]:
    if 1 <= n <= 7:
        return None, "*"
    return 5 * round(Fraction(n, 5)), ""


def check(plan: Plan, rows: Iterable[Row]) -> None:
    """Everything published of a plan is what the oracle says, and nothing is missing."""
    rows = list(rows)
    truth = Counter(k for c in plan.contacts for k in counted_in(c)) + Counter(
        k for w in plan.waiting for k in waited_in(w)
    )
    published = {key_of(row): row.facts for row in rows}
    assert len(published) == len(rows)
    assert set(published) == all_rows(plan)
    for where, facts in published.items():
        if where[0] == "organisation_standardised":
            check_rate(plan, facts)
        elif facts["suppressed"] == "w":
            assert facts["n"] is None
        else:
            assert (facts["n"], facts["suppressed"] or "") == hes(truth[where]), where
        if where[0] != "organisation_standardised":
            assert (facts["value"], facts["lower_ci"], facts["upper_ci"]) == share_of(where, published), where
    check_sums(plan, truth)


def share_of(where: Key, published: Mapping[Key, Mapping[str, Any]]) -> tuple[int | None, int | None, int | None]:
    """The share beside a figure, from published parts alone."""
    table, period, unit, parts = where
    of, nothing = dict(parts), (None, None, None)
    limits = True
    if table in ("specialty_core20", "specialty_new_core20") and of["core20"] != "no_decile":
        wholes = [key(table, period, unit, **(of | {"core20": c})) for c in ("true", "false")]
    elif table in ("specialty_dna_core20", "specialty_dna_quintile") and of["outcome"] == "did_not_attend":
        wholes = [key(table, period, unit, **(of | {"outcome": DENOMINATOR}))]
    elif table == "specialty_dna_quintile" and of["outcome"] == CANCELLED:
        wholes = [key(table, period, unit, **(of | {"outcome": o})) for o in (DENOMINATOR, CANCELLED)]
    elif table == "waiting_list":
        wholes = [key(table, period, unit, **(of | {"category": c})) for c in ("within_18_weeks", "over_18_weeks")]
        limits = False
    else:
        return nothing
    counts = [published[w]["n"] for w in wholes]
    part = published[where]["n"]
    if part is None or None in counts or sum(counts) < 100 or part > sum(counts):
        return nothing
    p, n, z = part / sum(counts), sum(counts), 1.959963984540054
    if not limits:
        return round(Fraction(100 * part, n)), None, None
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    spread = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return round(Fraction(100 * part, n)), round(100 * (middle - spread)), round(100 * (middle + spread))


def check_rate(plan: Plan, facts: Mapping[str, Any]) -> None:
    """A rate is the standardised one, or withheld; never a count."""
    kind, fifth = facts["contact_type"], facts["imd_quintile"]
    mine = Counter(five_year(c.age) for c in plan.contacts if c.type == kind and fifth_of(c.decile) == fifth)
    rate = sum(Fraction(mine[b] * w, plan.residents[fifth, b]) for b, w in WEIGHTS.items()) / 100
    assert facts["n"] is None
    assert (facts["lower_ci"], facts["upper_ci"]) == (None, None)
    if sum(mine[b] for b in WEIGHTS) < 10:
        assert facts["suppressed"] == "w"
    if facts["suppressed"] == "w":
        assert facts["value"] is None
    else:
        assert facts["value"] == round(rate)


def check_sums(plan: Plan, truth: Counter[Key]) -> None:
    """What each table counts once is counted once: all tables of a period have the same sum."""
    contacts = len(plan.contacts)
    sums: Counter[str] = Counter()
    for where, n in truth.items():
        sums[where[0]] += n
    once = (
        "specialty_core20", "organisation_outcome", "specialty_decile", "specialty_sex", "specialty_age",
        "organisation_ethnicity", "completeness",
    )  # fmt: skip
    assert {table: sums[table] for table in once} == dict.fromkeys(once, contacts)
    assert sums["specialty_new_core20"] == sum(c.attendance == "new" for c in plan.contacts)
    for dna in ("did_not_attend", DENOMINATOR):
        quarters, years = (
            sum(n for (t, _, _, parts), n in truth.items() if t == table and ("outcome", dna) in parts)
            for table in ("specialty_dna_core20", "specialty_dna_quintile")
        )
        assert quarters == years


def publish(plan: Plan, folder: Path) -> list[Row]:
    with opened_store(plan, folder) as engine:
        seal_all(engine, plan)
        return published_rows(engine)


@settings(max_examples=12)
@given(st.integers(0, 2**40), st.booleans())
def test_what_is_published_is_what_a_plain_count_says(
    tmp_path_factory: pytest.TempPathFactory, seed: int, sharp: bool
) -> None:
    plan = sharp_plan(seed) if sharp else draw_plan(seed, most_a_month=15)
    check(plan, publish(plan, tmp_path_factory.mktemp("store")))


@pytest.mark.parametrize("seed", range(12))
def test_every_figure_is_the_plain_count_when_none_is_withheld(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(sealing, "audit", lambda *_: set())
    plan = draw_plan(seed, least_months=3, most_a_month=400)
    rows = publish(plan, tmp_path)
    check(plan, rows)
    assert not [r for r in rows if r.facts["suppressed"] == "w" and TABLES[r.table] != "T7"]


def test_some_of_these_stores_have_shares_and_rates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the tests above would be content with tables that say nothing."""
    monkeypatch.setattr(sealing, "audit", lambda *_: set())
    said: Counter[str] = Counter()
    for seed in (0, 3, 5, 6, 8):
        rows = publish(draw_plan(seed, least_months=3, most_a_month=400), tmp_path)
        said.update(TABLES[r.table] for r in rows if r.facts["value"] is not None)
    assert set(said) >= {"T1", "T2", "T4", "T7", "T12"}
