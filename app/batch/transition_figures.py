"""The figures of a transition report that may be shared: a closed set, rounded, and audited against each other.

A reader is taken to know more than the report says: how many rows each specialty that is shown has, to the row,
and which moves between deciles occur at all, since the areas' deciles are public. The audit finds, for every small
count and for every small count that can be worked out from others, rows that could have been counted otherwise
with all of that as it is.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from app.batch.transition import CELLS, DECILES, REASONS, Editions, Int64s, Tally
from app.counts.disclosure import SUPPRESSED, WITHHELD, Audit, Rule, Structure, audit
from app.counts.tables import ALL_OTHER, Units, own_rows
from app.lookup.deprivation import in_core20

CORE20: Final = "organisation_core20"
CHANGE: Final = "organisation_decile_change"
FLOW: Final = "organisation_deciles"
NOT_COMPARABLE: Final = "organisation_not_comparable"
SPECIALTY: Final = "specialty_core20"

STAYS_IN, ENTERS, LEAVES, STAYS_OUT = "stays_in_core20", "enters_core20", "leaves_core20", "stays_out_of_core20"
MOVES: Final = (STAYS_IN, ENTERS, LEAVES, STAYS_OUT)
NONE: Final = "not_comparable"
PARTS: Final = (*MOVES, NONE)
SAME, LOWER, HIGHER = "same_decile", "lower_decile", "higher_decile"
CHANGES: Final = (SAME, LOWER, HIGHER)
LEAST_ROWS: Final = 100
"""A file with fewer rows gives no report that may be shared."""
_NO_SLOT: Final = -1


class TooFewRowsError(Exception):
    """The file has too few rows for figures that may be shared."""


class Figure(NamedTuple):
    """What one figure is of. The deciles are 0 and the texts empty where they do not apply."""

    table: str
    unit: str = ""  # a treatment function code, an RTT group code, `all_other`, or empty: the whole file
    category: str = ""
    first_decile: int = 0
    second_decile: int = 0


class Shown(NamedTuple):
    """A figure as it is shown: a count, or None with the mark that says why there is none."""

    n: int | None
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """All figures of one run. `is_exact`: for the operator's own eyes, and not to be shared."""

    editions: Editions
    figures: Mapping[Figure, Shown]
    rule: Rule
    is_exact: bool

    def units(self) -> tuple[str, ...]:
        """The specialties and groups that have rows of their own, and `all_other`, in order."""
        return tuple(dict.fromkeys(f.unit for f in self.figures if f.table == SPECIALTY))

    def n(self, table: str, category: str, unit: str = "") -> int | None:
        """A count as it is shown, None where it is not."""
        return self.figures[Figure(table, unit, category)].n

    def share(self, table: str, part: Iterable[str], whole: Iterable[str], unit: str = "") -> int | None:
        """Some categories' share of others, whole percent, from the counts as shown and from nothing else.

        None where any of them is not shown, or the whole is under the rule's least denominator.
        """
        parts, wholes = ([self.n(table, c, unit) for c in names] for names in (part, whole))
        some, every = ([n for n in counts if n is not None] for counts in (parts, wholes))
        total = sum(every)
        if len(some) < len(parts) or len(every) < len(wholes) or total < self.rule.least_denominator:
            return None
        return round(100 * sum(some) / total)


def exact_report(tally: Tally, rule: Rule) -> Report:
    """Exact figures, every specialty by itself. Not to be shared."""
    present = list(tally.by_specialty())
    counts = tally.counts[[tally.specialties.index(s) for s in present]]
    figures = {figure: Shown(n) for figure, n in _counted(present, counts).items()}
    return Report(tally.editions, figures, rule, is_exact=True)


def shareable_report(tally: Tally, rule: Rule, least_specialty: int = 1000) -> Report:
    """Figures that may be shared. TooFewRowsError under LEAST_ROWS rows.

    Specialties with fewer rows than `least_specialty` stand together by RTT group, and what is left as `all_other`.
    """
    rows = int(tally.counts.sum())
    if rows < LEAST_ROWS:
        raise TooFewRowsError(
            f"The file has fewer than {LEAST_ROWS} rows that can be counted: no figure of it may be shared. --exact"
            " shows them to you alone."
        )
    fewer = 0
    while True:
        units, counts = folded(tally, least_specialty, fewer)
        exact = _counted(units, counts)
        if (withheld := _withheld(units, counts, exact, rule)) is not None:
            break
        fewer += 1
    return Report(tally.editions, {f: _shown(n, f in withheld, rule) for f, n in exact.items()}, rule, is_exact=False)


def folded(tally: Tally, least: int, fewer: int = 0) -> tuple[list[str], Int64s]:
    """Units in the order of publication, each of at least so many rows unless there is only one, and their counts.

    `fewer` times the smallest unit joins the others, until there is only one.
    """
    rows = tally.by_specialty()
    own = own_rows(rows, least)
    while True:
        units = Units(own)
        of = {specialty: units.of(specialty) for specialty in rows}
        size: dict[str, int] = {}
        for specialty, unit in of.items():
            size[unit] = size.get(unit, 0) + rows[specialty]
        if not own or (not fewer and size.get(ALL_OTHER, least) >= least):
            break
        fewer -= bool(fewer)
        # A small remainder would be a small specialty under another name: the smallest row joins it.
        own = [u for u in own if u != min(own, key=lambda u: (size.get(u, 0), u))]
    listed = [unit for unit in units.all() if unit in size]
    counts = np.zeros((len(listed), tally.counts.shape[1]), np.int64)
    for specialty, unit in of.items():
        counts[listed.index(unit)] += tally.counts[tally.specialties.index(specialty)]
    return listed, counts


def _shown(n: int, is_withheld: bool, rule: Rule) -> Shown:
    if is_withheld:
        return Shown(None, WITHHELD)
    published = rule.published(n)
    return Shown(published, "" if published is not None else SUPPRESSED)


# ------------------------------------------------------------------------------ what a row is counted in


def _move(first: int, second: int) -> str:
    if in_core20(first):
        return STAYS_IN if in_core20(second) else LEAVES
    return ENTERS if in_core20(second) else STAYS_OUT


def _change(first: int, second: int) -> str:
    return SAME if first == second else LOWER if second < first else HIGHER


def _figures_of(unit: str, column: int, *, by_unit: bool) -> list[Figure]:
    """The published figures that a row of one unit and one column of the tally is counted in."""
    if column >= CELLS:
        found = [Figure(CORE20, "", NONE), Figure(NOT_COMPARABLE, "", REASONS[column - CELLS])]
        return [*found, Figure(SPECIALTY, unit, NONE)] if by_unit else found
    first, second = _deciles(column)
    move = _move(first, second)
    found = [
        Figure(CORE20, "", move),
        Figure(CHANGE, "", _change(first, second)),
        Figure(FLOW, "", "", first, second),
    ]
    return [*found, Figure(SPECIALTY, unit, move)] if by_unit else found


def _deciles(column: int) -> tuple[int, int]:
    return column // DECILES + 1, column % DECILES + 1


def _hidden_of(unit: str, column: int, *, by_unit: bool) -> list[Figure]:
    """What a reader may work out of published figures by adding and subtracting: as secret as they are."""
    if column >= CELLS:
        return []
    first, second = _deciles(column)
    move = _move(first, second)
    before, after = move in (STAYS_IN, LEAVES), move in (STAYS_IN, ENTERS)
    found = [
        Figure("hidden_known"),
        Figure("hidden_first", "", "", first, 0),
        Figure("hidden_second", "", "", 0, second),
        Figure("hidden_move_change", "", f"{move} {_change(first, second)}"),
    ]
    for name, value in (("before", before), ("after", after), ("crossing", before == after)):
        found.append(Figure(f"hidden_{name}", "", str(value)))
        if by_unit:
            found.append(Figure(f"hidden_unit_{name}", unit, str(value)))
    if by_unit:
        found.append(Figure("hidden_unit_known", unit))
    return found


def _grid(units: Sequence[str]) -> list[Figure]:
    """Every published figure in the order of its table, so that nothing is shown by being absent."""
    both = range(1, DECILES + 1)
    # Rows of one specialty alone, or of none, are the file's rows: they are told once.
    own = units if len(units) > 1 else ()
    return [
        *(Figure(CORE20, "", part) for part in PARTS),
        *(Figure(CHANGE, "", change) for change in CHANGES),
        *(Figure(FLOW, "", "", first, second) for first in both for second in both),
        *(Figure(NOT_COMPARABLE, "", reason) for reason in REASONS),
        *(Figure(SPECIALTY, unit, part) for unit in own for part in PARTS),
    ]


def _counted(units: Sequence[str], counts: Int64s) -> dict[Figure, int]:
    """Every published figure, exactly."""
    exact = dict.fromkeys(_grid(units), 0)
    for row, column in np.argwhere(counts).tolist():
        for figure in _figures_of(units[row], column, by_unit=len(units) > 1):
            exact[figure] += int(counts[row, column])
    return exact


# ------------------------------------------------------------------------------------------------ audit


def _withheld(units: Sequence[str], counts: Int64s, exact: Mapping[Figure, int], rule: Rule) -> set[Figure] | None:
    """The published figures that must be withheld so that no small count can be pinned.

    Those of the whole file are the same with and without specialties, so that two such reports of one file tell no
    more than one. None where specialties cannot be shown so.
    """
    by_unit = len(units) > 1
    already = set[Figure]()
    if by_unit:
        whole = {figure: n for figure, n in exact.items() if figure.table != SPECIALTY}
        already = _withheld([""], counts.sum(0, keepdims=True), whole, rule) or set()
    # Only moves and reasons that occur: whoever knows the areas knows which moves do not, so none is a way out.
    atoms = [(r, c) for r in range(len(units)) for c in np.flatnonzero(counts.sum(0)).tolist()]
    size = counts[tuple(np.array(atoms).T)]
    total = Figure("known_rows")
    slots: dict[Figure, int] = {}
    families: dict[str, list[int]] = {}
    for place, (row, column) in enumerate(atoms):
        unit = units[row]
        known = Figure("known_rows", unit) if by_unit else total
        for figure in (
            known,
            *_figures_of(unit, column, by_unit=by_unit),
            *_hidden_of(unit, column, by_unit=by_unit),
        ):
            family = families.setdefault(figure.table, [_NO_SLOT] * len(atoms))
            family[place] = slots.setdefault(figure, len(slots))
    table = np.array(list(families.values()), np.int64).T
    truth = np.zeros(len(slots), np.int64)
    for family in table.T:
        np.add.at(truth, family[family >= 0], size[family >= 0])
    low, high = np.zeros(len(slots)), np.full(len(slots), np.inf)
    targets, candidates = [], set()
    for figure, slot in slots.items():
        n = int(truth[slot])
        if figure.table == "known_rows":
            low[slot] = high[slot] = n
            continue
        if figure in already:
            high[slot] = np.inf
        elif figure in exact:
            low[slot], high[slot] = rule.bounds(n)
            candidates.add(slot)
        if rule.is_small(n):
            targets.append(slot)
    none = np.full((len(atoms), 0), _NO_SLOT, np.int64)
    structure = Structure(truth, table, size, none, ())
    headline = {slots[f] for f in exact if f in slots and f.table in (CORE20, CHANGE)}
    of_units = {slots[f] for f in exact if f in slots and f.table == SPECIALTY}
    # The figures of the headline go last: the others alone are tried first.
    for some in (of_units,) if by_unit else (candidates - headline, candidates):
        found = audit(structure, targets, low, high, some)
        free_low, free_high = low.copy(), high.copy()
        free_low[list(found)], free_high[list(found)] = 0, np.inf
        worlds = Audit(structure, free_low, free_high)
        if all(worlds.is_safe(target) for target in targets):
            return already | {figure for figure, slot in slots.items() if slot in found}
    return None if by_unit else {figure for figure, slot in slots.items() if slot in found}
