"""Small stores of invented contacts, loaded through the real code and sealed, for the oracle and for the attacker."""

import random
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

from sqlalchemy import Engine, insert

from app.counts.cells import Answered, Cell, cells_of
from app.counts.contact import Contact
from app.counts.disclosure import Rule
from app.counts.schema import population, waiting_list, waiting_list_snapshot
from app.counts.seal import Publisher, Sealed, declare_units, seal
from app.counts.store import Batch, CountStore, open_month
from app.counts.vocabulary import vocabulary
from app.database import open_engine, upgrade, writing

EDITION = "IoD2025"
YEAR = 2024
MONTHS = [f"2024-{m:02d}" for m in range(4, 13)] + ["2025-01", "2025-02", "2025-03"]
CLIENTS = ("clinic", "ward")
ENGLISH_LADS = ("E06000018", "E07000170", "E07000172", "E07000173")
WELSH_LADS = ("W06000015", "W06000018")
OUTCOMES = (
    "attended", "did_not_attend", "cancelled_by_patient", "cancelled_by_provider", "admitted", "referred", "absent",
)  # fmt: skip
TYPES = ("outpatient", "elective", "emergency", "community", "absent")
SEXES = ("female", "male", "other", "not_known", "absent")
ETHNIC = ("england:A", "england:H", "england:M", "wales:unrecognised", "not_stated", "not_known", "absent")
# What a contact without a decile came with: the status of its postcode, and why there is no decile.
NOWHERE = (
    ("no_fixed_abode", "no_fixed_abode"),
    ("not_found", "not_found"),
    ("malformed", "malformed"),
    ("address_not_known", "address_not_known"),
    ("overseas", "overseas"),
)
WALES = ("live", "not_in_england")
# Units that may be declared, each with specialties counted in it. Some groups cannot be told from `all_other`
# by the specialty alone, which is the point of them.
UNITS = {
    "110": ("110",),
    "130": ("130",),
    "320": ("320",),
    "502": ("502",),
    "X02": ("303", "501"),
    "X04": ("211",),
}
OTHERS = ("656", "160", "absent", "unrecognised")


class Plain(NamedTuple):
    """One contact, as a person would write it down."""

    month: str
    specialty: str
    unit: str
    type: str
    outcome: str
    decile: int | None
    reason: str
    age: int | None
    sex: str
    ethnic: str
    client: str
    status: str
    lad: str | None
    groups: tuple[tuple[str, str], ...] = ()
    attendance: str = "new"


class PlainWait(NamedTuple):
    """One person waiting at a month's end."""

    month: str
    specialty: str
    unit: str
    decile: int | None
    wait: str


@dataclass
class Plan:
    """A store before it is one."""

    months: list[str]
    own: list[str]
    contacts: list[Plain]
    waiting: list[PlainWait] = field(default_factory=list)
    residents: Mapping[tuple[str, str], int] = field(default_factory=dict)  # by quintile and five-year band

    @property
    def units(self) -> list[str]:
        return [*sorted(self.own), "all_other"]


def weighted(dice: random.Random, values: Sequence[Any], sharpness: float) -> list[float]:
    """Weights that are even at 0 and lean on a few values as sharpness grows."""
    return [dice.random() ** sharpness + 1e-9 for _ in values]


def sharp_plan(seed: int) -> Plan:
    """A store in which rounding alone pins counts: many parts at one end of `*`, totals at the other end of theirs.

    Twelve ones make 12, the greatest number shown as 10; four or nine sevens the least number shown as theirs.
    """
    dice = random.Random(seed)
    own = dice.sample(sorted(UNITS), dice.randint(1, 3))
    count, each = dice.choice(((12, 1), (12, 1), (4, 7), (9, 7)))
    months = MONTHS[12 - count :]
    makeup = {u: _Makeup(dice, [1.0] * 10, OUTCOMES[: dice.choice((1, 2, 7))], set()) for u in [*own, "all_other"]}
    contacts = []
    for unit in dice.sample(sorted(makeup), dice.randint(1, len(makeup))):
        kind = makeup[unit].contact(dice, months[0], unit, 0.0, 0.0, ENGLISH_LADS, CLIENTS)
        contacts += [kind._replace(month=month) for month in months for _ in range(each)]
        if dice.random() < 0.5:  # each of another decile, sex, age and ethnic category
            others = (makeup[unit].contact(dice, c.month, unit, 0.1, 0.0, ENGLISH_LADS, CLIENTS) for c in contacts)
            contacts += list(others)[: dice.randint(1, 12)]
    return Plan(months, own, _attending(seed, contacts), [], _residents(dice) if dice.random() < 0.3 else {})


def draw_plan(seed: int, *, least_months: int = 1, most_a_month: float = 60.0) -> Plan:
    """A small store from a seed: sizes from nearly empty to mid, and often one or more awkward structures."""
    dice = random.Random(seed)
    count = dice.choice([m for m in (1, 2, 3, 5, 6, 9, 12, 12, 12, 12) if m >= least_months])
    months = MONTHS[12 - count :] if dice.random() < 0.8 else MONTHS[:count]
    own = dice.sample(sorted(UNITS), dice.randint(1, 4))
    sizes = {u: most_a_month * dice.random() ** dice.choice((1, 2, 4, 6)) / count**0.3 for u in [*own, "all_other"]}
    if dice.random() < 0.5:
        sizes[dice.choice(sorted(sizes))] = dice.choice((0.1, 0.4, 1.0, 2.0))  # one to three contacts a month
    awkward = {w for w in _AWKWARD if dice.random() < 0.25}
    deciles = weighted(dice, range(10), dice.choice((0, 1, 3, 8)))
    outcomes = ("attended", "did_not_attend") if "two_outcomes" in awkward else OUTCOMES
    makeup = {u: _Makeup(dice, deciles, outcomes, awkward) for u in sizes}
    nowhere = dice.choice((0.0, 0.02, 0.1, 0.4))
    wales = dice.choice((0.0, 0.0, 0.02, 0.1))
    lads = ENGLISH_LADS[: 1 if "one_district" in awkward else dice.randint(1, 4)]
    clients = CLIENTS[: dice.randint(1, 2)]
    contacts = []
    for month in months:
        for unit, size in sizes.items():
            who = makeup[unit]
            contacts += [
                who.contact(dice, month, unit, nowhere, wales, lads, clients) for _ in range(_poisson(dice, size))
            ]
    if "regular" in awkward:
        contacts = _keep_regular(dice, contacts, months, makeup, clients, lads)
    if "edges" in awkward:
        contacts = _trim_to_edges(dice, contacts)
    waiting = []
    if dice.random() < 0.5:
        for month in months:
            for unit in [*own, "all_other"]:
                for _ in range(_poisson(dice, dice.choice((0, 1, 5, 20)))):
                    decile = None if dice.random() < 0.1 else dice.randint(1, 10)
                    specialty = dice.choice(UNITS.get(unit, OTHERS))
                    waiting.append(PlainWait(month, specialty, unit, decile, dice.choice(vocabulary().wait_grid)))
    residents = _residents(dice) if dice.random() < 0.5 else {}
    return Plan(months, own, _attending(seed, contacts), waiting, residents)


_AWKWARD = (
    "one_sex",
    "one_district",
    "one_ethnic",
    "two_outcomes",
    "edges",
    "children_emergency",
    "one_age",
    "regular",
    "regular",
)


class _Makeup:
    """Of whom a unit's contacts are."""

    def __init__(self, dice: random.Random, deciles: list[float], outcomes: Sequence[str], awkward: set[str]) -> None:
        self._deciles = [d * dice.random() + 1e-9 for d in deciles]
        self._outcomes = outcomes
        self._outcome_weights = weighted(dice, outcomes, dice.choice((1, 3)))
        self._sexes = weighted(dice, SEXES, dice.choice((1, 4)))
        if "one_sex" in awkward and dice.random() < 0.6:
            self._sexes = [1, 0, 0, 0, 0]
        self._ethnic = [1.0, *[0.0] * (len(ETHNIC) - 1)] if "one_ethnic" in awkward else weighted(dice, ETHNIC, 4)
        self._types = weighted(dice, TYPES, 2)
        self._children_are_emergencies = "children_emergency" in awkward
        self._ages = (50, 50) if "one_age" in awkward else dice.choice(((0, 99), (0, 17), (18, 70), (10, 25)))
        self._inclusion = dice.choice((0.0, 0.01, 0.1))

    def contact(
        self,
        dice: random.Random,
        month: str,
        unit: str,
        nowhere: float,
        wales: float,
        lads: Sequence[str],
        clients: Sequence[str],
    ) -> Plain:
        specialty = dice.choice(UNITS.get(unit, OTHERS))
        roll = dice.random()
        decile, lad = None, None
        if roll < nowhere:
            status, reason = dice.choice(NOWHERE)
        elif roll < nowhere + wales:
            status, reason = WALES
            lad = dice.choice(WELSH_LADS)
        else:
            status, reason = ("terminated" if dice.random() < 0.02 else "live"), ""
            decile = dice.choices(range(1, 11), self._deciles)[0]
            lad = dice.choice(lads)
        age = None if dice.random() < 0.03 else dice.randint(*self._ages)
        kind = dice.choices(TYPES, self._types)[0]
        if self._children_are_emergencies and age is not None and age < 18:
            kind = "emergency"
        groups = []
        if status == "no_fixed_abode":
            groups.append(("inclusion", "homelessness"))
        if dice.random() < self._inclusion:
            groups.append(("access", "interpreter"))
        if dice.random() < self._inclusion:
            groups.append(("inclusion", dice.choice(("justice", "drugs_and_alcohol"))))
        return Plain(
            month,
            specialty,
            unit,
            kind,
            dice.choices(self._outcomes, self._outcome_weights)[0],
            decile,
            reason,
            age,
            dice.choices(SEXES, self._sexes)[0],
            dice.choices(ETHNIC, self._ethnic)[0],
            dice.choice(clients),
            status,
            lad,
            tuple(groups),
        )


def _poisson(dice: random.Random, mean: float) -> int:
    """A draw of a Poisson distribution: arrivals before the time is up."""
    n, at = 0, dice.expovariate(1)
    while at < mean:
        n, at = n + 1, at + dice.expovariate(1)
    return n


def _keep_regular(
    dice: random.Random,
    contacts: list[Plain],
    months: Sequence[str],
    makeup: Mapping[str, "_Makeup"],
    clients: Sequence[str],
    lads: Sequence[str],
) -> list[Plain]:
    """Some units become clinics with the same few contacts each month, alike in almost everything."""
    for unit in dice.sample(sorted(makeup), dice.randint(1, len(makeup))):
        contacts = [c for c in contacts if c.unit != unit]
        for _ in range(dice.choice((1, 1, 2, 3))):
            kind = makeup[unit].contact(dice, months[0], unit, 0.0, 0.0, lads, clients)
            each = dice.choice((1, 1, 1, 2, 7, 7, 8, 12, 13))
            contacts += [kind._replace(month=month) for month in months for _ in range(each)]
    return contacts


def _trim_to_edges(dice: random.Random, contacts: list[Plain]) -> list[Plain]:
    """Take contacts away until each unit's year in each fifth is at an edge of rounding: 1, 7, 8, 12, 13 ..."""
    kept: dict[tuple[str, int | None], list[Plain]] = defaultdict(list)
    for contact in contacts:
        kept[contact.unit, contact.decile and (contact.decile + 1) // 2].append(contact)
    found = []
    for some in kept.values():
        dice.shuffle(some)
        edge = max(n for n in range(len(some) + 1) if n <= 1 or n in (7, 8) or (n > 8 and n % 5 in (2, 3)))
        found += some[:edge]
    return found


def _attending(seed: int, contacts: Sequence[Plain]) -> list[Plain]:
    """The contacts, some of them first: all, none or any of each unit and part, or as many as an edge of rounding."""
    dice = random.Random(f"attendance {seed}")  # of its own, so that a seed's store stays the same but for this
    parts: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, c in enumerate(contacts):
        parts[c.unit, "" if c.decile is None else str(c.decile <= 2)].append(place)
    found = list(contacts)
    for places in parts.values():
        n = len(places)
        edges = {m for k in (0, 1, 2, 7, 8, 12, 13, 17) for m in (k, n - k) if 0 <= m <= n}
        dice.shuffle(places)
        firsts = dice.choice((dice.choice(sorted(edges)), round(n * dice.random())))
        for place in places[firsts:]:
            found[place] = found[place]._replace(attendance=dice.choice(("follow_up", "follow_up", "absent")))
    return found


def _residents(dice: random.Random) -> dict[tuple[str, str], int]:
    words = vocabulary()
    scale = dice.choice((200, 1000, 5000, 20000))
    return {(str(q), band): int(scale * dice.uniform(0.5, 1.5)) for q in range(1, 6) for band in words.five_year_bands}


# ----------------------------------------------------------------------- through the real code


def five_year(age: int | None) -> str:
    return "absent" if age is None else vocabulary().bands_of_age[age][1]


def broad(age: int | None) -> str:
    return "absent" if age is None else vocabulary().bands_of_age[age][0]


def _cells(contact: Plain) -> Sequence[Cell]:
    standing = contact.decile and SimpleNamespace(decile=contact.decile, quintile=(contact.decile + 1) // 2)
    reading = SimpleNamespace(
        country="Wales" if contact.lad in WELSH_LADS else "England" if contact.decile else None,
        editions={EDITION: standing},
        core20_reason=contact.reason or None,
        postcode_status=contact.status,
    )
    read = Contact(
        contact.month,
        contact.specialty,
        contact.type,
        contact.attendance,
        contact.outcome,
        broad(contact.age),
        five_year(contact.age),
        contact.sex,
        contact.ethnic,
        None,
    )
    return cells_of(read, cast("Answered", reading), EDITION, contact.client, contact.groups, contact.lad)


@contextmanager
def opened_store(plan: Plan, folder: Path) -> Iterator[Engine]:
    """An engine on a store that holds the plan, not sealed yet: in a folder of its own, whoever else uses this one."""
    with tempfile.TemporaryDirectory(dir=folder) as own:
        file = Path(own) / "store.sqlite"
        shutil.copyfile(_template(folder), file)
        engine = open_engine(f"sqlite:///{file}")
        try:
            _fill(engine, plan)
            yield engine
        finally:
            engine.dispose()


def _template(folder: Path) -> Path:
    """An empty store, made once a folder and put there whole."""
    template = folder / "template.sqlite"
    if not template.exists():
        with tempfile.TemporaryDirectory(dir=folder) as own:
            engine = open_engine(f"sqlite:///{own}/template.sqlite")
            upgrade(engine)
            engine.dispose()
            Path(own, "template.sqlite").replace(template)
    return template


def _fill(engine: Engine, plan: Plan) -> None:
    with writing(engine) as connection:
        declare_units(connection, YEAR, plan.own, "declared")
        for month in plan.months:  # one without a contact is published too
            open_month(connection, month, EDITION)
        if plan.residents:
            rows = [
                {"edition": EDITION, "quintile": q, "age_band": band, "persons": n, "source": "invented"}
                for (q, band), n in plan.residents.items()
            ]
            connection.execute(insert(population), rows)
    cells: dict[str, Counter[Cell]] = {month: Counter() for month in plan.months}
    for contact in plan.contacts:
        cells[contact.month].update(_cells(contact))
    store = CountStore(engine, EDITION)
    store.commit(Batch(unkeyed={(month, EDITION): found for month, found in cells.items()}))
    store.close()
    _wait(engine, plan)


def _wait(engine: Engine, plan: Plan) -> None:
    counts = Counter((w.month, w.specialty, w.wait, str(w.decile or "not_found")) for w in plan.waiting)
    listed = [
        {"month": m, "specialty": s, "wait_band": w, "edition": EDITION, "band": b, "n": n}
        for (m, s, w, b), n in counts.items()
    ]
    snapshots = [
        {
            "month": month,
            "snapshot": month,
            "edition": EDITION,
            "complete": True,
            "patients": sum(w.month == month for w in plan.waiting),
            "received_on": date(2025, 4, 1).isoformat(),
        }
        for month in sorted({w.month for w in plan.waiting})
    ]
    if listed:
        with writing(engine) as connection:
            connection.execute(insert(waiting_list_snapshot), snapshots)
            connection.execute(insert(waiting_list), listed)


def seal_all(engine: Engine, plan: Plan, rule: Rule | None = None) -> list[Sealed]:
    """Seal every month of the plan, in order."""
    publisher = Publisher(
        rule or Rule(), organisation="RH8", release="invented", edition=EDITION, without_rates=not plan.residents
    )
    return [sealed for month in plan.months if (sealed := seal(engine, month, publisher))]
