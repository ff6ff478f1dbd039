"""Attack many invented stores, as published and with the audit switched off: `python -m benchmarks.attack --stores N`.

Prints, by table, how many small counts were examined and how many of them have one or two possible values; what
rounding hides and what the audit withholds; and how much is left to read for small specialties.
"""

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from unittest.mock import patch

from app.counts.seal import SealError
from tests.attacker import TABLES, Attack, Row, published_rows
from tests.counts_stores import Plan, draw_plan, opened_store, seal_all, sharp_plan

KINDS: dict[str, Callable[[int], Plan]] = {
    "sparse": partial(draw_plan, most_a_month=20.0),
    "mixed": draw_plan,
    "mid": partial(draw_plan, least_months=9, most_a_month=250.0),
    "sharp": sharp_plan,
}
NUMBERS = ("T1", "T2", "T3", "T4", "T5", "T6", "T7", "T8", "T9", "T10", "T11", "T12", "derived")
SIZES = ("under 100", "100 to 1000", "over 1000")


@dataclass
class Found:
    """What came of one store, or of many."""

    stores: int = 0
    refused: list[str] = field(default_factory=list)
    examined: Counter[str] = field(default_factory=Counter)
    one: Counter[str] = field(default_factory=Counter)
    two: Counter[str] = field(default_factory=Counter)
    undecided: int = 0
    cases: list[str] = field(default_factory=list)
    marks: Counter[tuple[str, str]] = field(default_factory=Counter)
    shown: Counter[tuple[str, str]] = field(default_factory=Counter)  # by size of the unit and mark
    seconds: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Found") -> None:
        """Put what came of another store to this."""
        for name in ("stores", "undecided"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("refused", "cases"):
            getattr(self, name).extend(getattr(other, name))
        for name in ("examined", "one", "two", "marks", "shown", "seconds"):
            getattr(self, name).update(getattr(other, name))


def size_of(plan: Plan, unit: str) -> str:
    contacts = sum(c.unit == unit for c in plan.contacts) * 12 / len(plan.months)
    return SIZES[0 if contacts < 100 else 1 if contacts <= 1000 else 2]


def marks_by_size(plan: Plan, rows: list[Row]) -> Counter[tuple[str, str]]:
    """Of figures of units: shown as a number, shown as zero, hidden or withheld."""
    sizes = {unit: size_of(plan, unit) for unit in plan.units}
    return Counter(
        (sizes[r.unit], r.facts["suppressed"] or ("number" if r.facts["n"] else "zero")) for r in rows if r.unit
    )


def attack(kind: str, seed: int, *, audited: bool) -> Found:
    """Make one store, seal it, and attack what it published."""
    plan, found = KINDS[kind](seed), Found(1)
    with tempfile.TemporaryDirectory() as folder, opened_store(plan, Path(folder)) as engine:
        started = time.perf_counter()
        try:
            if audited:
                seal_all(engine, plan)
            else:
                with patch("app.counts.seal.audit", lambda *_: set()):
                    seal_all(engine, plan)
        except (RuntimeError, SealError) as error:
            found.refused.append(f"{kind} {seed}: {error}")
            return found
        finally:
            found.seconds["sealing"] += time.perf_counter() - started  # type: ignore[assignment]
        rows = published_rows(engine)
    started = time.perf_counter()
    verdict = Attack(plan, rows).run(seed)
    found.seconds["attacking"] += time.perf_counter() - started  # type: ignore[assignment]
    found.undecided, found.marks = verdict.undecided, verdict.marks
    found.shown = marks_by_size(plan, rows)
    found.examined.update(t.table for t in verdict.targets)
    for target in verdict.with_values(2):
        (found.one if len(target.seen) == 1 else found.two)[target.table] += 1
        found.cases.append(f"{kind} {seed}: {target.what} ({target.mark}) is {sorted(target.seen)}")
    return found


def _attack(task: tuple[str, int, bool]) -> Found:
    kind, seed, audited = task
    return attack(kind, seed, audited=audited)


def report(title: str, found: Found, cases: int) -> None:
    print(f"\n{title}: {found.stores} stores, {len(found.refused)} could not be sealed")
    print(f"{'':10}{'small':>9}{'pinned':>9}{'two':>7}{'figures':>10}{'* %':>8}{'w %':>8}")
    for number in NUMBERS:
        rows = sum(n for (t, _), n in found.marks.items() if t == number)
        hidden, withheld = (100 * found.marks[number, m] / rows if rows else 0 for m in ("*", "w"))
        counts = f"{found.examined[number]:>9}{found.one[number]:>9}{found.two[number]:>7}"
        print(f"{number:10}{counts}{rows:>10}{hidden:>8.2f}{withheld:>8.2f}")
    small, one, two = (sum(c.values()) for c in (found.examined, found.one, found.two))
    rows = sum(found.marks.values())
    hidden, withheld = (sum(n for (_, m), n in found.marks.items() if m == x) for x in "*w")
    shares = f"{100 * hidden / max(rows, 1):>8.2f}{100 * withheld / max(rows, 1):>8.2f}"
    print(f"{'all':10}{small:>9}{one:>9}{two:>7}{rows:>10}{shares}")
    print(f"undecided {found.undecided}; seconds { {k: round(s) for k, s in found.seconds.items()} }")
    print("figures of units by contacts a year: number, zero, *, w (%)")
    for size in SIZES:
        total = sum(n for (s, _), n in found.shown.items() if s == size)
        parts = (100 * found.shown[size, m] / max(total, 1) for m in ("number", "zero", "*", "w"))
        print(f"  {size:12}{total:>9}  " + " ".join(f"{p:6.1f}" for p in parts))
    for line in [*found.refused[:cases], *found.cases[:cases]]:
        print("  ", line)


def main() -> None:
    assert set(TABLES.values()) <= set(NUMBERS)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stores", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--cases", type=int, default=20, help="cases to list")
    chosen = parser.parse_args()
    kinds = [chosen.kinds[i % len(chosen.kinds)] for i in range(chosen.stores)]
    with ProcessPoolExecutor(chosen.processes) as pool:
        for audited in (True, False):
            total = Found()
            tasks = [(kind, chosen.first + i, audited) for i, kind in enumerate(kinds)]
            for found in pool.map(_attack, tasks):
                total.add(found)
            report("As published" if audited else "Without the audit", total, chosen.cases if audited else 3)


if __name__ == "__main__":
    main()
