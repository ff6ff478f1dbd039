"""An attacker of transition reports: an integer program over all that is shared and more that may be known.

Written from the words of the page and not from the program's code. The attacker knows the exact number of rows of
each specialty that is shown, and which moves and reasons occur in the file at all.
"""

import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from app.batch.transition import CELLS, REASONS, Editions, Tally
from app.batch.transition_figures import Report, folded
from app.counts.vocabulary import ABSENT, UNRECOGNISED, vocabulary

Cell = tuple[str, int, int, str]
"""Unit, decile before, decile after, and a reason: deciles are 0 where there is a reason."""

CODES = (*vocabulary().specialties, UNRECOGNISED, ABSENT)
PARTS: dict[str, Callable[[int, int], bool]] = {
    "stays_in_core20": lambda a, b: a <= 2 and b <= 2,
    "enters_core20": lambda a, b: a > 2 and b <= 2,
    "leaves_core20": lambda a, b: a <= 2 and b > 2,
    "stays_out_of_core20": lambda a, b: a > 2 and b > 2,
}
CHANGES: dict[str, Callable[[int, int], bool]] = {
    "same_decile": lambda a, b: a == b,
    "lower_decile": lambda a, b: b < a,
    "higher_decile": lambda a, b: b > a,
}


def tally_of(rows: Mapping[tuple[str, int], int]) -> Tally:
    """A tally from counts by specialty and column."""
    counts = np.zeros((len(CODES), CELLS + len(REASONS)), np.int64)
    for (specialty, column), n in rows.items():
        counts[CODES.index(specialty), column] += n
    return Tally(Editions("IoD2019", "IoD2025"), CODES, counts)


def as_folded(report: Report, tally: Tally, least: int = 1000) -> tuple[list[str], "np.ndarray[Any, Any]"]:
    """The units that a report shows, and their counts."""
    for fewer in range(len(CODES)):
        units, counts = folded(tally, least, fewer)
        if tuple(units) == report.units() or len(units) == 1:
            return units, counts
    raise AssertionError


def cells_of(units: list[str], counts: "np.ndarray[Any, Any]") -> dict[Cell, int]:
    """Every cell that may hold rows, with what it holds."""
    cells: dict[Cell, int] = {}
    for column in np.flatnonzero(counts.sum(0)).tolist():
        for i, unit in enumerate(units):
            where = (column // 10 + 1, column % 10 + 1, "") if column < CELLS else (0, 0, REASONS[column - CELLS])
            cells[unit, *where] = int(counts[i, column])
    return cells


class Attack:
    """Looks for three values of every count of one to seven."""

    def __init__(self, report: Report, cells: Mapping[Cell, int]) -> None:
        self.cells = list(cells)
        self.truth = np.array([cells[c] for c in self.cells], float)
        units = list(dict.fromkeys(c[0] for c in self.cells))
        self.rows: list[tuple[Any, float, float]] = []
        self.targets: dict[str, Any] = {}
        for figure, shown in report.figures.items():
            line = self._line(self._of(figure))
            name = " ".join(map(str, figure))
            self._target(name, line)
            if shown.n is not None:
                self.rows.append((line, shown.n - 2 * (shown.n > 0), shown.n + 2 * (shown.n > 0)))
            elif shown.mark == "*":
                self.rows.append((line, 1, 7))
        for unit in units:
            line = self._line(c[0] == unit for c in self.cells)
            self.rows.append((line, float(line @ self.truth), float(line @ self.truth)))
        self._derived(units)

    def _of(self, figure: Any) -> Iterable[bool]:
        for unit, a, b, reason in self.cells:
            if figure.table == "organisation_deciles":
                yield (a, b) == (figure.first_decile, figure.second_decile)
            elif figure.table == "organisation_not_comparable":
                yield reason == figure.category
            elif figure.table == "organisation_decile_change":
                yield not reason and CHANGES[figure.category](a, b)
            elif figure.table == "specialty_core20" and unit != figure.unit:
                yield False
            else:
                part = figure.category
                yield bool(reason) if part == "not_comparable" else not reason and PARTS[part](a, b)

    def _derived(self, units: list[str]) -> None:
        """What sums and differences of figures say."""
        within: dict[str, Callable[[Cell], bool]] = {
            "in before": lambda c: not c[3] and c[1] <= 2,
            "in after": lambda c: not c[3] and c[2] <= 2,
            "crosses": lambda c: not c[3] and (c[1] <= 2) != (c[2] <= 2),
            "does not cross": lambda c: not c[3] and (c[1] <= 2) == (c[2] <= 2),
            "out before": lambda c: not c[3] and c[1] > 2,
            "out after": lambda c: not c[3] and c[2] > 2,
            "comparable": lambda c: not c[3],
        }
        for name, holds in within.items():
            self._target(f"derived {name}", self._line(holds(c) for c in self.cells))
            for unit in units:
                self._target(f"derived {name} {unit}", self._line(c[0] == unit and holds(c) for c in self.cells))
        for decile in range(1, 11):
            self._target(f"derived from {decile}", self._line(c[1] == decile for c in self.cells))
            self._target(f"derived to {decile}", self._line(c[2] == decile for c in self.cells))
        for change, moves in CHANGES.items():
            for part, inside in PARTS.items():
                line = self._line(not c[3] and moves(c[1], c[2]) and inside(c[1], c[2]) for c in self.cells)
                self._target(f"derived {change} {part}", line)

    def joint(self) -> "Attack":
        """Let every cell of specialty and deciles be a target too, though no table shows one."""
        for i, cell in enumerate(self.cells):
            self._target(f"joint {cell}", self._line(j == i for j in range(len(self.cells))))
        return self

    def _line(self, within: Iterable[bool]) -> Any:
        return np.fromiter(within, float, len(self.cells))

    def _target(self, name: str, line: Any) -> None:
        if 1 <= line @ self.truth <= 7:
            self.targets[name] = line

    def pinned(self, seed: int = 0) -> dict[str, set[int]]:
        """The targets with fewer than three possible values, each with those that were found."""
        matrix = np.array([line for line, _, _ in self.rows])
        low, high = (np.array([row[i] for row in self.rows]) for i in (1, 2))
        given = matrix @ self.truth
        assert ((low <= given) & (given <= high)).all(), "the truth is a solution"
        base = LinearConstraint(matrix, low, high)
        worlds = [self.truth]
        dice = random.Random(seed)

        def solve(cost: Any, extra: tuple[Any, float, float] | None = None, near: bool = False) -> Any:
            constraints = [base] + ([LinearConstraint(extra[0][None, :], *extra[1:])] if extra else [])
            box = Bounds(np.maximum(self.truth - 4, 0), self.truth + 4) if near else Bounds(0, self.truth.sum())
            found = milp(cost, integrality=np.ones(len(cost)), bounds=box, constraints=constraints)
            assert found.x is not None or found.status == 2, "the solver came to an end"
            if found.x is None:
                return None
            worlds.append(np.round(found.x))
            return worlds[-1]

        def seen(line: Any) -> set[int]:
            return {round(float(line @ world)) for world in worlds}

        for i in range(8):
            cost = np.zeros(len(self.cells))
            for line in self.targets.values():
                if len(seen(line)) < 3:
                    cost += (1, -1)[i % 2] * line * dice.uniform(0.5, 1.5)
            solve(cost, near=True)
        few = {}
        for name, line in self.targets.items():
            if len(seen(line)) >= 3:
                continue
            ends = [round(float(line @ solve(sign * line))) for sign in (1, -1)]
            for value in range(ends[0] + 1, ends[1]):
                if len(seen(line)) < 3:
                    solve(np.zeros(len(line)), (line, value, value))
            if len(seen(line)) < 3:
                few[name] = seen(line)
        return few


def drawn(seed: int) -> dict[tuple[str, int], int]:
    """A file as it might be: some specialties, most rows in few moves, and many counts about the edges of the rule."""
    dice = random.Random(seed)
    rows: dict[tuple[str, int], int] = {}
    moves = dice.sample(range(CELLS), dice.randint(2, 7)) + dice.sample([0, 1, 10, 11, 12, 20, 21, 22], 4)
    columns = [*moves, *(CELLS + dice.randrange(len(REASONS)) for _ in range(dice.randint(0, 3)))]
    specialties = dice.sample(CODES, dice.randint(1, 4))
    for specialty in specialties:
        for column in columns:
            rows[specialty, column] = dice.choice([0, 0, 0, 1, 2, 3, 5, 7, 8, 9, 12, 13, 18, dice.randint(0, 60)])
        rows[specialty, dice.choice(columns)] += dice.choice([150, 900, 1100, 1500])
    if sum(rows.values()) < 100:
        rows[specialties[0], columns[0]] += 100
    return {key: n for key, n in rows.items() if n}
