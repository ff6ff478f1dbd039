"""An attacker who holds everything that was published, knows how the tables are defined, and solves them together.

Written from the definitions of the tables and from published rows alone: nothing here is shared with the code that
rounds, withholds or audits. Each published figure is an interval around a sum of unknown whole numbers; whatever
contacts could have been is one solution of all intervals together, and a small count is pinned when all solutions
give it the same value. Solutions are found by integer programming. Real contacts are one solution, which is checked.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Final, NamedTuple

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array
from sqlalchemy import Engine

from app.counts.published import NotPublishedError, PublishedTables
from tests.counts_stores import Plan, broad, five_year

ANY: Final = np.inf
TABLES: Final = {
    "specialty_core20": "T1",
    "specialty_dna_core20": "T2",
    "specialty_decile": "T3",
    "specialty_dna_quintile": "T4",
    "specialty_sex": "T5",
    "specialty_age": "T5",
    "organisation_outcome": "T6",
    "organisation_standardised": "T7",
    "organisation_under18_emergency": "T8",
    "organisation_ethnicity": "T9",
    "organisation_inclusion": "T9",
    "organisation_access": "T9",
    "organisation_lad": "T9",
    "waiting_list": "T10",
    "completeness": "T11",
    "specialty_new_core20": "T12",
}
WEIGHTS: Final = {
    "0-4": 5000, "5-9": 5500, "10-14": 5500, "15-17": 3300, "18-19": 2200, "20-24": 6000, "25-29": 6000,
    "30-34": 6500, "35-39": 7000, "40-44": 7000, "45-49": 7000, "50-54": 7000, "55-59": 6500, "60-64": 6000,
    "65-69": 5500, "70-74": 5000, "75-79": 4000, "80-84": 2500, "85-89": 1500, "90+": 1000,
}  # fmt: skip
BROAD_OF: Final = {band: broad(int(band.rstrip("+").split("-")[0])) for band in WEIGHTS}
BROAD: Final = ("0-17", "18-39", "40-64", "65-79", "80+", "absent")
FIFTHS: Final = ("1", "2", "3", "4", "5", "no_decile")
CLASSES: Final = ("did_not_attend", "attended", "cancelled_by_provider", "rest")

Key = tuple[str, ...]


class Row(NamedTuple):
    """A published row: of which table and period, and what is said there."""

    table: str
    period: str
    unit: str
    facts: dict[str, Any]


class Sum(NamedTuple):
    """A sum of unknowns."""

    columns: tuple[int, ...]
    factors: tuple[float, ...]


@dataclass
class Target:
    """A small count to be attacked: where it stands, its unknowns, and what it truly is."""

    table: str
    what: str
    mark: str
    sum: Sum
    truth: int
    seen: set[int] = field(default_factory=set)
    decided: bool = False


@dataclass
class Verdict:
    """What came of an attack on one store."""

    targets: list[Target]
    marks: Counter[tuple[str, str]]  # of every published row, by table
    undecided: int = 0

    def with_values(self, most: int) -> list[Target]:
        """Targets with at most so many possible values."""
        return [t for t in self.targets if t.decided and len(t.seen) <= most]


def published_rows(engine: Engine) -> list[Row]:
    """Everything that anybody can read."""
    found = []
    tables = PublishedTables(engine)
    for table in TABLES:
        try:
            chosen = tables.choose(table, "all")
        except NotPublishedError:
            continue
        found += [Row(table, r["period"], r["specialty"] or r["rtt_group"] or "", dict(r)) for r in chosen.rows]
    return found


def interval(row: Row) -> tuple[float, float]:
    """What a published figure says of the count."""
    n, mark = row.facts["n"], row.facts["suppressed"]
    if mark == "w":
        # Districts without a contact are not listed: one that is listed has one, whatever else is hidden.
        return (1 if row.table == "organisation_lad" else 0), ANY
    if mark == "*":
        return 1, 7
    return (0, 0) if n == 0 else (max(n - 2, 8), n + 2)


def quarter_of(month: str) -> str:
    year, number = int(month[:4]), int(month[5:])
    start = year if number >= 4 else year - 1
    return f"{start}-{(start + 1) % 100:02d}-Q{(number - 4) % 12 // 3 + 1}"


class Attack:
    """All that is known of one store, and the search for what could have been."""

    def __init__(self, plan: Plan, rows: Sequence[Row]) -> None:
        self.plan, self.rows = plan, rows
        self.months = sorted({r.period for r in rows if r.table == "specialty_core20"})
        self.units = list(dict.fromkeys(r.unit for r in rows if r.table == "specialty_core20"))
        self.quarters = {r.period for r in rows if r.table == "specialty_dna_core20"}
        self.year = next((r.period for r in rows if r.table == "specialty_decile"), None)
        self._place: dict[Key, int] = {}
        self._truth: list[int] = []
        self._rows: list[tuple[Sum, float, float]] = []
        self.targets: list[Target] = []
        self._real = _real(plan)
        self._know()

    # -------------------------------------------------------------------------- the unknowns

    def _x(self, *key: str) -> int:
        if key not in self._place:
            self._place[key] = len(self._truth)
            self._truth.append(self._real[key])
        return self._place[key]

    def _sum(self, keys: Iterable[Key], minus: Iterable[Key] = ()) -> Sum:
        plus, less = [self._x(*k) for k in keys], [self._x(*k) for k in minus]
        return Sum((*plus, *less), (1.0,) * len(plus) + (-1.0,) * len(less))

    def _say(self, what: Sum, low: float, high: float) -> None:
        if what.columns and (low > -ANY or high < ANY):
            self._rows.append((what, low, high))

    def _flow(
        self, months: Iterable[str], units: Iterable[str], fifths: Iterable[str], classes: Iterable[str] = CLASSES
    ) -> list[Key]:
        return [("flow", *k) for k in product(months, units, fifths, classes)]

    # ------------------------------------------------------------- what the tables' definitions say

    def _know(self) -> None:
        clients = sorted({(r.period, r.facts["client"]) for r in self.rows if r.table == "completeness"})
        for month in self.months:
            for fifth in FIFTHS:
                others = [("outcome", month, fifth, o) for o in _OTHER_OUTCOMES]
                self._say(self._sum(self._flow([month], self.units, [fifth], ["rest"]), others), 0, 0)
            mine = [c for m, c in clients if m == month]
            status = [("status", month, c, s) for c in mine for s in _STATUSES]
            everyone = self._flow([month], self.units, FIFTHS)
            self._say(self._sum(status, everyone), 0, 0)
            for client in mine:  # a client is listed because it sent something
                self._say(self._sum(("status", month, client, s) for s in _STATUSES), 1, ANY)
            # An area of England has a decile; one of Wales does not.
            placed = [("status", month, c, s) for c in mine for s in ("live", "terminated")]
            with_decile = self._flow([month], self.units, FIFTHS[:5])
            self._say(self._sum(placed, [*with_decile, ("outside", month)]), 0, 0)
        if self.year:
            self._know_of_the_year(clients)
        for row in self.rows:
            self._read(row)
        self._derive()

    def _know_of_the_year(self, clients: Sequence[tuple[str, str]]) -> None:
        for unit in self.units:
            whole = self._flow(self.months, [unit], FIFTHS)
            self._say(self._sum((("sex", unit, s) for s in _SEXES), whole), 0, 0)
            for core20 in _CORE20:
                here = self._flow(self.months, [unit], _of_core20(core20))
                self._say(self._sum([("first", unit, core20)], here), -ANY, 0)
            for fifth in FIFTHS:
                here = self._flow(self.months, [unit], [fifth])
                self._say(self._sum((("age", unit, fifth, b) for b in BROAD), here), 0, 0)
                if fifth != "no_decile":
                    tenths = [("decile", unit, str(d)) for d in (2 * int(fifth) - 1, 2 * int(fifth))]
                    self._say(self._sum(tenths, here), 0, 0)
        for fifth in FIFTHS:
            here = self._flow(self.months, self.units, [fifth])
            ethnic = {r.facts["category"] for r in self.rows if r.table == "organisation_ethnicity"}
            self._say(self._sum((("ethnic", fifth, e) for e in sorted(ethnic)), here), 0, 0)
            # An emergency of a child is a contact of a child.
            children = [("age", u, fifth, "0-17") for u in self.units]
            self._say(self._sum([("child_emergency", fifth)], children), -ANY, 0)
        everyone = self._flow(self.months, self.units, FIFTHS)
        groups = {r.table: r for r in self.rows if r.table in ("organisation_inclusion", "organisation_access")}
        for row in (r for r in self.rows if r.table in groups):
            dimension, group = row.facts["dimension"], row.facts["category"]
            self._say(self._sum([("group", dimension, group)], everyone), -ANY, 0)
        homeless = [("status", m, c, "no_fixed_abode") for m, c in clients]
        # Nothing else tells of homelessness in this version; had it other sources, it could only be more.
        self._say(self._sum([("group", "inclusion", "homelessness")], homeless), 0, 0)
        lads = [r.facts["category"] for r in self.rows if r.table == "organisation_lad"]
        english = [("lad", lad) for lad in lads if lad.startswith("E")]
        foreign = [("lad", lad) for lad in lads if not lad.startswith("E")]
        self._say(self._sum(english, self._flow(self.months, self.units, FIFTHS[:5])), 0, 0)
        self._say(self._sum(foreign, [("outside", m) for m in self.months]), 0, 0)

    def _read(self, row: Row) -> None:
        found = self._counted(row)
        if found is None:
            self._read_rate(row)
            return
        low, high = interval(row)
        self._say(found, low, high)
        self._attack(TABLES[row.table], self._name(row), found, row.facts["suppressed"] or "shown")

    @staticmethod
    def _name(row: Row) -> str:
        shown = ("outcome", "imd_decile", "imd_quintile", "core20", "category", "client")
        return " ".join([row.table, row.period, row.unit, *(str(row.facts[k]) for k in shown if row.facts[k])])

    def _attack(self, table: str, what: str, found: Sum, mark: str) -> None:
        truth = round(sum(f * self._truth[c] for c, f in zip(found.columns, found.factors, strict=True)))
        if 1 <= truth <= 7:
            self.targets.append(Target(table, what, mark, found, truth))

    def _counted(self, row: Row) -> Sum | None:
        """The unknowns that a published count is the sum of; None for a rate."""
        facts, unit = row.facts, [row.unit]
        fifth, category = facts["imd_quintile"], facts["category"]
        of: dict[str, Callable[[], list[Key]]] = {
            "specialty_core20": lambda: self._flow([row.period], unit, _of_core20(facts["core20"])),
            "specialty_dna_core20": lambda: self._flow(
                self._in(row.period), unit, _of_core20(facts["core20"]), _of_outcome(facts["outcome"])
            ),
            "specialty_decile": lambda: (
                [("decile", row.unit, facts["imd_decile"])]
                if facts["imd_decile"] != "no_decile"
                else self._flow(self.months, unit, ["no_decile"])
            ),
            "specialty_dna_quintile": lambda: self._flow(self.months, unit, [fifth], _of_outcome(facts["outcome"])),
            "specialty_sex": lambda: [("sex", row.unit, category)],
            "specialty_age": lambda: [("age", row.unit, f, category) for f in FIFTHS],
            "organisation_outcome": lambda: (
                self._flow([row.period], self.units, [fifth], [facts["outcome"]])
                if facts["outcome"] in CLASSES
                else [("outcome", row.period, fifth, facts["outcome"])]
            ),
            "organisation_under18_emergency": lambda: [("child_emergency", fifth)],
            "organisation_ethnicity": lambda: [("ethnic", fifth, category)],
            "organisation_inclusion": lambda: [("group", facts["dimension"], category)],
            "organisation_access": lambda: [("group", facts["dimension"], category)],
            "organisation_lad": lambda: [("lad", category)],
            # Over 52 weeks is part of over 18 weeks.
            "waiting_list": lambda: [
                ("wait", row.period, row.unit, facts["core20"], w)
                for w in ([category] if category != "over_18_weeks" else ["18_to_52_weeks", "over_52_weeks"])
            ],
            "specialty_new_core20": lambda: [("first", row.unit, facts["core20"])],
            "completeness": lambda: [("status", row.period, facts["client"], category)],
        }
        return self._sum(of[row.table]()) if row.table in of else None

    def _in(self, quarter: str) -> list[str]:
        return [m for m in self.months if quarter_of(m) == quarter]

    def _read_rate(self, row: Row) -> None:
        """A standardised rate: a weighted sum over ages, and these are contacts of the age and fifth."""
        if row.facts["suppressed"]:
            return
        kind, fifth = row.facts["contact_type"], row.facts["imd_quintile"]
        columns = tuple(self._x("five", kind, fifth, band) for band in WEIGHTS)
        residents = [self.plan.residents[fifth, band] for band in WEIGHTS]
        per_contact = tuple(w / n / 100 for w, n in zip(WEIGHTS.values(), residents, strict=True))
        rate = row.facts["value"]
        self._say(Sum(columns, per_contact), rate - 0.5 - 1e-9, rate + 0.5 + 1e-9)
        for band in WEIGHTS:
            self._attack("T7", f"{kind} {fifth} {band}", self._sum([("five", kind, fifth, band)]), "derived")

    def _derive(self) -> None:
        """What the tables give by subtraction, and what rates of different types say together."""
        for quarter, unit, core20 in product(sorted(self.quarters), self.units, ("true", "false")):
            for name, classes in (("attended", CLASSES[1:2]), ("neither", CLASSES[2:])):
                keys = self._flow(self._in(quarter), [unit], _of_core20(core20), classes)
                self._attack("derived", f"{name} {quarter} {unit} {core20}", self._sum(keys), "derived")
        for month, fifth in product(self.months, FIFTHS):
            keys = self._flow([month], self.units, [fifth])
            self._attack("derived", f"organisation {month} {fifth}", self._sum(keys), "derived")
        for month, unit in product(self.months, self.units):
            self._attack("derived", f"{unit} {month}", self._sum(self._flow([month], [unit], FIFTHS)), "derived")
        if not self.year:
            return
        for unit, fifth in product(self.units, FIFTHS[:5]):
            self._attack("derived", f"{unit} {fifth}", self._sum(self._flow(self.months, [unit], [fifth])), "derived")
            for name, classes in _OF_A_YEAR.items():
                keys = self._flow(self.months, [unit], [fifth], classes)
                self._attack("derived", f"{name} {unit} {fifth}", self._sum(keys), "derived")
        for unit, core20 in product(self.units, _CORE20):
            here = self._flow(self.months, [unit], _of_core20(core20))
            self._attack("derived", f"not first {unit} {core20}", self._sum(here, [("first", unit, core20)]), "derived")
        children = [("age", u, f, "0-17") for u in self.units for f in FIFTHS]
        rest = self._sum(children, [("child_emergency", f) for f in FIFTHS])
        self._attack("derived", "other contacts of children", rest, "derived")
        if not self.plan.residents:
            return
        fives = [k for k in self._place if k[0] == "five"]
        for fifth, band in product(FIFTHS[:5], BROAD[:5]):
            mine = [k for k in fives if k[2] == fifth and BROAD_OF[k[3]] == band]
            self._say(self._sum(mine, [("age", u, fifth, band) for u in self.units]), -ANY, 0)
        for fifth in FIFTHS[:5]:
            mine = [k for k in fives if k[1] == "emergency" and k[2] == fifth and BROAD_OF[k[3]] == "0-17"]
            if mine:
                self._say(self._sum(mine, [("child_emergency", fifth)]), 0, 0)
            young = [k for k in fives if k[1] != "emergency" and k[2] == fifth and BROAD_OF[k[3]] == "0-17"]
            children = [("age", u, fifth, "0-17") for u in self.units]
            self._say(self._sum([*young, ("child_emergency", fifth)], children), -ANY, 0)

    # ------------------------------------------------------------------------------ the search

    def run(self, seed: int = 0, rounds: int = 12, seconds: float = 20.0) -> Verdict:
        """Find three values of every target, or show that there are not as many."""
        marks = Counter((TABLES[r.table], r.facts["suppressed"] or "shown") for r in self.rows)
        verdict = Verdict(self.targets, marks)
        self._program()
        truth = np.array(self._truth, float)
        if not self._holds(truth):
            raise AssertionError("what really was contradicts what was published, or the attacker's reading of it")
        self._note(truth)
        dice = random.Random(seed)
        for i in range(rounds):
            left = [t for t in self.targets if len(t.seen) < 3]
            if not left:
                break
            # Up with all that are left, then down, then each its own way: other worlds, many cells at a time.
            signs = [(1, -1)[i] if i < 2 else dice.choice((1, -1)) for _ in left]
            cost = np.zeros(len(truth))
            for target, sign in zip(left, signs, strict=True):
                for c, f in zip(target.sum.columns, target.sum.factors, strict=True):
                    cost[c] += sign * f * dice.uniform(0.5, 1.5)
            self._solve(cost, seconds, near=True)
        for target in self.targets:
            self._decide(target, seconds)
            verdict.undecided += not target.decided
        return verdict

    def _program(self) -> None:
        entries = [
            (i, c, f) for i, (s, _, _) in enumerate(self._rows) for c, f in zip(s.columns, s.factors, strict=True)
        ]
        shape = (len(self._rows), len(self._truth))
        where = ([e[0] for e in entries], [e[1] for e in entries])
        self._matrix = csr_array(([e[2] for e in entries], where), shape=shape)
        self._low = np.array([low for _, low, _ in self._rows])
        self._high = np.array([high for _, _, high in self._rows])
        exact = [all(f == round(f) for f in s.factors) for s, _, _ in self._rows]
        self._slack = np.where(exact, 0, 1e-6)

    def _holds(self, x: "np.ndarray[Any, Any]") -> bool:
        given = self._matrix @ x
        return bool(
            (x >= 0).all() and (given >= self._low - self._slack).all() and (given <= self._high + self._slack).all()
        )

    def _note(self, x: "np.ndarray[Any, Any]") -> None:
        for target in self.targets:
            target.seen.add(round(sum(f * x[c] for c, f in zip(target.sum.columns, target.sum.factors, strict=True))))
            target.decided = target.decided or len(target.seen) >= 3

    def _solve(
        self,
        cost: "np.ndarray[Any, Any]",
        seconds: float,
        within: tuple[Sum, float, float] | None = None,
        *,
        near: bool = False,
    ) -> tuple[bool, int | None]:
        """Whether the solver came to an end, and the least cost found; every world met is noted.

        `near` looks only at worlds close to the true one, which is fast: what it finds is real, what it does not
        find is not shown to be missing.
        """
        constraints = [LinearConstraint(self._matrix, self._low, self._high)]
        if within is not None:
            line = np.zeros(len(cost))
            line[list(within[0].columns)] = within[0].factors
            constraints.append(LinearConstraint(line[None, :], within[1], within[2]))
        # No count is unbounded in a year of a hospital, and a solver likes bounds.
        most = max(10.0, 3.0 * max(self._truth, default=0) + 50)
        truth = np.array(self._truth, float)
        box = Bounds(np.maximum(truth - 4, 0), truth + 4) if near else Bounds(0, most)
        result = milp(
            cost,
            integrality=np.ones(len(cost)),
            bounds=box,
            constraints=constraints,
            options={"time_limit": seconds, "mip_rel_gap": 0.2 if near else 0.0},
        )
        if result.x is None:
            return result.status == 2, None
        x = np.round(result.x)
        if not self._holds(x):
            return False, None
        self._note(x)
        return result.status == 0, round(float(cost @ x))

    def _decide(self, target: Target, seconds: float) -> None:
        """Least, greatest, and something between: fewer than three values are shown to be all."""
        if target.decided:
            return
        cost = np.zeros(len(self._truth))
        cost[list(target.sum.columns)] = target.sum.factors
        for sign in (1, -1):
            self._solve(sign * cost, seconds, near=True)
            if target.decided:
                return
        ends = []
        for sign in (1, -1):
            ended, best = self._solve(sign * cost, seconds)
            if target.decided:
                return
            if not ended or best is None:
                return
            ends.append(sign * best)
        if ends[1] - ends[0] >= 2:
            between = [v for v in range(ends[0] + 1, ends[1]) if v not in target.seen]
            if between:
                ended, _ = self._solve(np.zeros(len(cost)), seconds, (target.sum, between[0], between[-1]))
                if target.decided or not ended:
                    return
        target.decided = True


_OTHER_OUTCOMES: Final = ("cancelled_by_patient", "admitted", "referred", "absent")
# What T3 and T4 say together of a specialty's year in a fifth, by adding and by subtracting.
_OF_A_YEAR: Final = {
    "attended": CLASSES[1:2],
    "neither attended nor missed": CLASSES[2:],
    "attended, missed or cancelled": CLASSES[:3],
    "none of these": CLASSES[3:],
}
_CORE20: Final = ("true", "false", "no_decile")
_SEXES: Final = ("female", "male", "other", "not_known", "absent")
_STATUSES: Final = (
    "live", "terminated", "not_found", "malformed", "no_fixed_abode", "address_not_known", "country_only", "overseas",
    "forces", "crown_dependency",
)  # fmt: skip


def _of_core20(core20: str) -> Sequence[str]:
    return {"true": FIFTHS[:1], "false": FIFTHS[1:5], "no_decile": FIFTHS[5:]}[core20]


def _of_outcome(outcome: str) -> Sequence[str]:
    return CLASSES[:2] if outcome == "attended_or_did_not_attend" else [outcome]


def fifth_of(decile: int | None) -> str:
    return "no_decile" if decile is None else str((decile + 1) // 2)


def _core20_of(decile: int | None) -> str:
    return "no_decile" if decile is None else str(decile <= 2).lower()


def _real(plan: Plan) -> Counter[Key]:
    """The true value of every unknown: only to say which cells are small, and that the truth is a solution."""
    real: Counter[Key] = Counter()
    for c in plan.contacts:
        fifth = fifth_of(c.decile)
        outcome = c.outcome if c.outcome in CLASSES else "rest"
        real["flow", c.month, c.unit, fifth, outcome] += 1
        if outcome == "rest":
            real["outcome", c.month, fifth, c.outcome] += 1
        real["decile", c.unit, str(c.decile)] += 1
        real["sex", c.unit, c.sex] += 1
        if c.attendance == "new":
            real["first", c.unit, _core20_of(c.decile)] += 1
        real["age", c.unit, fifth, broad(c.age)] += 1
        real["ethnic", fifth, c.ethnic] += 1
        real["status", c.month, c.client, c.status] += 1
        real["five", c.type, fifth, five_year(c.age)] += 1
        if c.status in ("live", "terminated") and c.decile is None:
            real["outside", c.month] += 1
        if c.type == "emergency" and c.age is not None and c.age < 18:
            real["child_emergency", fifth] += 1
        if c.lad:
            real["lad", c.lad] += 1
        for dimension, group in c.groups:
            real["group", dimension, group] += 1
    for w in plan.waiting:
        part = {"to_18": "within_18_weeks", "52_to_65": "over_52_weeks", "over_65": "over_52_weeks"}
        real["wait", w.month, w.unit, _core20_of(w.decile), part.get(w.wait, "18_to_52_weeks")] += 1
    return real
