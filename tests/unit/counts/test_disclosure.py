"""The rounding rule against its source, and the audit against all worlds of tiny structures, written out."""

from collections import Counter
from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from app.counts.disclosure import Audit, Choice, Rule, Structure, audit, may_suppress_up_to
from app.counts.shares import Share, share
from app.counts.tables import ATTENDED_OR_NOT, BY_PROVIDER, Figure
from app.settings import Settings

# NHS England, HES and ECDS publications since September 2018: below England 1 to 7 are `*`, all other counts are
# rounded to the nearest 5, and zero is shown.
HES = {
    0: 0, 1: None, 2: None, 5: None, 7: None, 8: 10, 10: 10, 11: 10, 12: 10, 13: 15, 17: 15, 18: 20, 22: 20, 23: 25,
    99: 100, 100: 100, 102: 100, 103: 105, 1233: 1235,
}  # fmt: skip
RULES = [Rule(suppress_up_to=n) for n in (7, 12, 17, 97)]


@pytest.mark.parametrize(("count", "published"), HES.items())
def test_a_count_is_published_as_hes_publishes_it(count: int, published: int | None) -> None:
    assert Rule().published(count) == published


@pytest.mark.parametrize("rule", RULES, ids=lambda r: str(r.suppress_up_to))
def test_bounds_are_exactly_the_counts_that_are_published_alike(rule: Rule) -> None:
    alike: dict[int | None, list[int]] = {}
    for n in range(2101):
        alike.setdefault(rule.published(n), []).append(n)
    for n in range(2001):
        counts = alike[rule.published(n)]
        assert rule.bounds(n) == (counts[0], counts[-1])


@pytest.mark.parametrize("rule", RULES, ids=lambda r: str(r.suppress_up_to))
def test_exactly_the_counts_from_one_to_the_threshold_are_hidden(rule: Rule) -> None:
    hidden = [n for n in range(200) if rule.published(n) is None]
    assert hidden == [n for n in range(200) if rule.is_small(n)] == list(range(1, rule.suppress_up_to + 1))


@pytest.mark.parametrize("rule", RULES, ids=lambda r: str(r.suppress_up_to))
def test_only_nothing_is_published_as_zero(rule: Rule) -> None:
    assert [n for n in range(200) if rule.published(n) == 0] == [0]


@pytest.mark.parametrize("rule", RULES, ids=lambda r: str(r.suppress_up_to))
def test_every_figure_but_zero_stands_for_five_counts_or_more(rule: Rule) -> None:
    alike = Counter(rule.published(n) for n in range(1, 203))  # 203 is shown as 205
    assert min(alike.values()) == 5


@pytest.mark.parametrize("number", [n for n in range(-3, 40) if n not in (7, 12, 17, 22, 27, 32, 37)])
def test_no_rule_hides_up_to_a_number_that_cuts_into_what_is_rounded_alike(number: int) -> None:
    with pytest.raises(ValueError, match="7, 12, 17"):
        Rule(suppress_up_to=number)


@pytest.mark.parametrize("number", range(120))
def test_a_deployment_may_choose_the_numbers_up_to_97_that_a_rule_takes(number: int) -> None:
    if may_suppress_up_to(number) and number <= 97:
        assert Settings(suppress_up_to=number).suppress_up_to == number
    else:
        with pytest.raises(ValidationError):
            Settings(suppress_up_to=number)


def test_a_rule_is_named_by_all_its_numbers() -> None:
    assert len({rule.id for rule in (Rule(), Rule(12), Rule(least_denominator=200), Rule(12, 200))}) == 4


def test_a_negative_count_is_no_count() -> None:
    with pytest.raises(ValueError, match="negative"):
        Rule().published(-1)


DNA = Figure("specialty_dna_core20", "2024-25-Q1", "110", outcome="did_not_attend", core20="true")
ALL = DNA._replace(outcome=ATTENDED_OR_NOT)


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [
        (10, 100, Share(10, 6, 17)),
        (0, 100, Share(0, 0, 4)),
        (15, 95, Share()),  # a denominator under 100
        (None, 200, Share()),
        (20, None, Share()),
        (None, None, Share()),
        (105, 100, Share()),  # rounding made the part the greater one
    ],
)
def test_a_share_is_refused_when_a_part_is_hidden_or_the_whole_is_under_100(
    part: int | None, whole: int | None, shown: Share
) -> None:
    assert share(DNA, {DNA: part, ALL: whole}, Rule()) == shown


@pytest.mark.parametrize("table", ["specialty_core20", "specialty_new_core20"])
@pytest.mark.parametrize("count", [1, 7, 8, 12, 98, 102, 103])
def test_a_share_of_a_sum_needs_all_its_published_parts(count: int, table: str) -> None:
    parts = [Figure(table, "2024-25", "110", core20=part) for part in ("true", "false")]
    shown = {parts[0]: 200, parts[1]: Rule().published(count)}
    said = share(parts[0], shown, Rule())
    assert (said == Share()) == (count <= 7)
    if count > 7:
        assert said.value == round(20_000 / (200 + (shown[parts[1]] or 0)))


@pytest.mark.parametrize(
    ("cancelled", "kept_or_missed", "shown"),
    [
        (20, 180, Share(10, 7, 15)),
        (0, 100, Share(0, 0, 4)),
        (100, 0, Share(100, 96, 100)),
        (45, 50, Share()),  # a denominator under 100
        (None, 200, Share()),
        (20, None, Share()),
    ],
)
def test_what_the_hospital_cancelled_is_a_share_of_itself_and_of_what_was_kept_or_missed(
    cancelled: int | None, kept_or_missed: int | None, shown: Share
) -> None:
    whole = Figure("specialty_dna_quintile", "2024-25", "110", outcome=ATTENDED_OR_NOT, imd_quintile="1")
    part = whole._replace(outcome=BY_PROVIDER)
    assert share(part, {part: cancelled, whole: kept_or_missed}, Rule()) == shown
    assert share(whole, {part: cancelled, whole: kept_or_missed}, Rule()) == Share()


# -------------------------------------------------------------------------------- all worlds, written out


def worlds(s: Structure, low: list[float], high: list[float], reach: int = 3) -> Iterator[list[int]]:
    """The value of each slot in every world near the true one that publishes the same."""
    linked = {label[0]: label[1] for choice in s.choices for label in choice.labels if len(label) > 1}
    of_atoms = {int(x) for x in s.atoms.flatten()} - {-1}
    for counts in product(*(range(max(0, n - reach), n + reach + 1) for n in s.counts.tolist())):
        fixed = {slot: sum(n for n, row in zip(counts, s.atoms, strict=True) if slot in row) for slot in of_atoms}
        if any(not low[x] <= n <= high[x] for x, n in fixed.items()):
            continue
        splits = [_splits(s, c, counts, low, high, reach) for c in range(len(s.choices))]
        for labels in product(*splits):
            world = dict(fixed)
            for some in labels:
                world |= some
            for slot, other in linked.items():
                world[other] = world.get(other, int(s.truth[other])) + world[slot] - int(s.truth[slot])
            if all(low[x] <= n <= high[x] for x, n in world.items()):
                yield [world[x] for x in range(len(s.truth))]


def _splits(
    s: Structure, choice: int, counts: tuple[int, ...], low: list[float], high: list[float], reach: int
) -> list[dict[int, int]]:
    slots = [label[0] for label in s.choices[choice].labels]
    choosers = (s.choosing == choice).any(1)
    before = sum(int(n) for n, takes in zip(s.counts, choosers, strict=True) if takes)
    total = sum(int(s.truth[x]) for x in slots) - before
    total += sum(n for n, takes in zip(counts, choosers, strict=True) if takes)
    ranges = [
        [n for n in range(max(0, int(s.truth[x]) - reach), int(s.truth[x]) + reach + 1) if low[x] <= n <= high[x]]
        for x in slots
    ]
    return [dict(zip(slots, split, strict=True)) for split in product(*ranges) if sum(split) == total]


@st.composite
def structures(draw: st.DrawFn) -> Structure:
    """Up to four kinds of contact in up to three families of slots, of which some choose a label."""
    atoms = draw(st.integers(1, 4))
    counts = draw(st.lists(st.sampled_from([0, 1, 2, 3, 7, 8, 12, 13]), min_size=atoms, max_size=atoms))
    columns, first = [], 0
    for _ in range(draw(st.integers(1, 3))):
        slots = draw(st.integers(1, 2))
        column = [draw(st.integers(-1, slots - 1)) for _ in range(atoms)]
        used = sorted(set(column) - {-1})  # a slot that nothing is counted in stands alone, and is free
        columns.append([used.index(x) + first if x >= 0 else -1 for x in column])
        first += len(used)
    table = np.array(columns, np.int64).T.reshape(atoms, len(columns))
    truth = [sum(n for n, row in zip(counts, table, strict=True) if x in row) for x in range(first)]
    choosing = [draw(st.integers(-1, 0)) for _ in range(atoms)]
    choices = []
    if 0 in choosing:
        total = sum(n for n, c in zip(counts, choosing, strict=True) if c == 0)
        cut = draw(st.integers(0, total))
        labels = [cut, total - cut]
        slots = tuple(range(first, first + len(labels)))
        truth += labels
        linked = {}
        if draw(st.booleans()):
            linked = {slots[0]: len(truth)}
            truth.append(cut + draw(st.integers(0, 3)))
        choices.append(Choice(tuple((x, linked[x]) if x in linked else (x,) for x in slots)))
    return Structure(
        np.array(truth, np.int64),
        table,
        np.array(counts, np.int64),
        np.array(choosing, np.int64).reshape(atoms, 1),
        choices,
    )


def bounds_of(s: Structure, withheld: set[int]) -> tuple[list[float], list[float]]:
    """What is published of each slot allows."""
    pairs = [(0.0, np.inf) if i in withheld else Rule().bounds(n) for i, n in enumerate(s.truth.tolist())]
    return [float(a) for a, _ in pairs], [float(b) for _, b in pairs]


def possible(s: Structure, withheld: set[int], slot: int) -> set[int]:
    """Every value of a slot, near its true one, that the published figures allow."""
    return {world[slot] for world in worlds(s, *bounds_of(s, withheld))}


@settings(max_examples=60)
@given(structures(), st.data())
def test_what_the_audit_calls_safe_has_three_possible_values(s: Structure, data: st.DataObject) -> None:
    withheld = {i for i in range(len(s.truth)) if data.draw(st.integers(0, 3)) == 0}
    low, high = bounds_of(s, withheld)
    found = Audit(s, np.array(low), np.array(high))
    for slot in range(len(s.truth)):
        if found.is_safe(slot):
            assert len(possible(s, withheld, slot)) >= 3


@settings(max_examples=60)
@given(structures())
def test_after_the_audit_every_small_count_has_three_possible_values(s: Structure) -> None:
    low, high = bounds_of(s, set())
    small = [i for i, n in enumerate(s.truth.tolist()) if Rule().is_small(n)]
    everything = set(range(len(s.truth)))
    withheld = audit(s, small, np.array(low), np.array(high), everything)
    if withheld == everything:  # nothing is published
        return
    for slot in small:
        assert len(possible(s, withheld, slot)) >= 3


@settings(max_examples=60)
@given(structures())
def test_the_audit_leaves_the_true_world_as_it_was(s: Structure) -> None:
    low, high = bounds_of(s, set())
    found = Audit(s, np.array(low), np.array(high))
    first = [found.is_safe(slot) for slot in range(len(s.truth))]
    assert [found.is_safe(slot) for slot in range(len(s.truth))] == first


def parts_and_total(parts: list[int]) -> Structure:
    """Each part in a slot of its own, and all of them in one."""
    table = [[i, len(parts)] for i in range(len(parts))]
    truth = [*parts, sum(parts)]
    nobody = np.full((len(parts), 1), -1)
    return Structure(np.array(truth), np.array(table), np.array(parts), nobody, ())


@pytest.mark.parametrize("parts", [[1] * 12, [7] * 4, [7] * 9, [7, 7], [6, 7]])
def test_parts_at_one_end_and_a_total_at_the_other_are_not_published_together(parts: list[int]) -> None:
    s = parts_and_total(parts)
    low, high = bounds_of(s, set())
    found = Audit(s, np.array(low), np.array(high))
    pinned = [slot for slot in range(len(parts)) if not found.is_safe(slot)]
    assert pinned
    withheld = audit(s, range(len(parts)), np.array(low), np.array(high), set(range(len(s.truth))))
    for slot in withheld:
        found.withhold(slot)
    assert all(found.is_safe(slot) for slot in range(len(parts)))


def test_a_small_count_that_nobody_can_narrow_costs_nothing() -> None:
    s = parts_and_total([3, 4, 3])
    low, high = bounds_of(s, set())
    assert audit(s, range(3), np.array(low), np.array(high), set(range(4))) == set()


def test_counted_worlds_are_those_that_publish_the_same() -> None:
    """The oracle itself, on a case small enough to see: 7 + 7 = 14 is shown as 15, so the parts are 13 or 14."""
    s = parts_and_total([7, 7])
    found = Counter(tuple(world) for world in worlds(s, *bounds_of(s, set())))
    assert set(found) == {(7, 7, 14), (6, 7, 13), (7, 6, 13)}
