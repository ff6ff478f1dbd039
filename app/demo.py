"""Synthetic contacts over the starter postcodes, so that the first sight of the tables is alive.

Everything here is invented: specialties' sizes, the social gradient in missed and cancelled appointments and in long
waits, a gap that narrows, the residents, what the organisation did and set itself. The store is marked synthetic for
good, and every table published from it says so.
"""

import csv
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from typing import Final

from sqlalchemy import Engine, insert, select

from app.context import catchment, targets
from app.context import practice as good_practice
from app.context.catchment import as_catchment_file
from app.context.practice import ALL
from app.context.written import as_file
from app.counts import periods
from app.counts.cells import Cell, cells_of
from app.counts.contact import Contact
from app.counts.parts import Published
from app.counts.schema import month as month_table
from app.counts.schema import population, store_fact
from app.counts.seal import Publisher, Sealed, declare_units, seal
from app.counts.store import Batch, CountStore
from app.counts.tables import QUINTILES, own_rows
from app.counts.vocabulary import vocabulary
from app.counts.waiting import Snapshot, Waiting, replace_waiting_list
from app.database import writing
from app.enrichment import Enrichment, Question, Rules, enrich
from app.findings.findings import MeasureName
from app.findings.gaps import gap
from app.findings.kinds import ORGANISATION
from app.findings.options import Options
from app.inequality.measures import ESP2013
from app.lookup.index import Index
from app.reference.manifest import packaged_data

MONTHS: Final = 24

# Treatment function code: contacts a month. Invented, from very small to large.
_SIZES: Final = {
    "110": 4000, "130": 3400, "300": 2900, "502": 2400, "100": 2000, "320": 1700, "101": 1400, "330": 1200,
    "340": 1000, "301": 850, "120": 700, "420": 560, "410": 430, "400": 320, "307": 230,
    "304": 190, "180": 160, "303": 100, "160": 60, "211": 28, "656": 12,
}  # fmt: skip
_CHILDREN: Final = ("420", "211", "656")
_NARROWING: Final = "110"  # where the gap in missed appointments narrows from month to month
_FEWER_DEPRIVED: Final = ("130", "330", "120")  # where fewer people from the most deprived areas come
_SEXES: Final = (("female", 53), ("male", 45), ("not_known", 1), ("other", 0.3), ("absent", 0.7))
_ETHNIC: Final = (
    ("england:A", 70), ("england:C", 6), ("england:H", 4), ("england:J", 5), ("england:M", 3), ("england:N", 4),
    ("england:D", 1.5), ("england:S", 1.5), ("not_stated", 3), ("not_known", 1), ("absent", 1),
)  # fmt: skip
_ELSEWHERE: Final = (("ZZ99 3VZ", 6), ("ZZ99 3WZ", 3), (None, 8), ("ZZ99 3CZ", 2))


class StoreInUseError(Exception):
    """The store holds counts already, and these might be real."""


def fill(
    engine: Engine, index: Index, rules: Rules, publisher: Publisher, told: Callable[[Sealed], None]
) -> tuple[str, str]:
    """Fill an empty store with 24 sealed months and some contacts of this one; the first and last sealed month."""
    with engine.connect() as connection:
        if connection.execute(select(month_table).limit(1)).first():
            raise StoreInUseError("This store holds counts already: the demonstration needs one of its own.")
    months = _months()
    _mark(engine, publisher.edition, months)
    dice = random.Random(20261122)  # noqa: S311 - invented data
    homes = _homes(index, rules, dice)
    store = CountStore(engine, publisher.edition)
    for nth, month in enumerate([*months, periods.month_of(periods.today())]):
        store.commit(_contacts(month, nth / MONTHS, homes, publisher.edition, index, dice))
        if month in months:
            people = list(_waiting(homes, dice))
            snapshot = Snapshot(f"synthetic-{month}", month, publisher.edition)
            replace_waiting_list(engine, snapshot, people, index, rules, expected=len(people), since=month)
            sealed = seal(engine, month, replace(publisher, release=index.release.id))
            if sealed:
                told(sealed)
    return months[0], months[-1]


def _months() -> list[str]:
    month = periods.month_of(periods.today())
    year, number = int(month[:4]), int(month[5:])
    count = [year * 12 + number - 1 - back for back in range(MONTHS, 0, -1)]
    return [f"{n // 12:04d}-{n % 12 + 1:02d}" for n in count]


def _mark(engine: Engine, edition: str, months: Sequence[str]) -> None:
    years = sorted({periods.financial_year(month) for month in months})
    own = own_rows({s: n * 12 for s, n in _SIZES.items()}, 1000)
    with writing(engine) as connection:
        connection.execute(insert(store_fact), {"name": "synthetic", "value": "invented by imdlens demo"})
        for year in years[:2]:  # the first is not a whole year, so the second cannot be judged by it
            declare_units(connection, year, own, "declared")
        rows = [
            {
                "edition": edition,
                "quintile": quintile,
                "age_band": band,
                "persons": weight * 3 // 2,
                "source": "synthetic",
            }
            for quintile in QUINTILES
            for band, weight in ESP2013.items()
        ]
        connection.execute(insert(population), rows)


def _homes(index: Index, rules: Rules, dice: random.Random) -> list[tuple[str | None, Enrichment]]:
    """Postcodes to draw from, most deprived areas most often, as around an inner-city hospital."""
    homes = []
    for text in _starter_postcodes():
        answer = enrich(Question(text), index, rules)
        decile = answer.reading.imd_decile
        homes += [(text, answer)] * (12 - decile if decile else 1)
    dice.shuffle(homes)
    elsewhere = [(text, enrich(Question(text), index, rules)) for text, weight in _ELSEWHERE for _ in range(weight)]
    return homes + elsewhere * max(1, len(homes) // (25 * len(elsewhere)))


def _starter_postcodes() -> list[str]:
    with (packaged_data() / "starter" / "starter_postcodes.csv").open(encoding="utf-8", newline="") as file:
        return [row["pcds"] for row in csv.DictReader(file)]


def _contacts(
    month: str,
    so_far: float,
    homes: list[tuple[str | None, Enrichment]],
    edition: str,
    index: Index,
    dice: random.Random,
) -> Batch:
    unkeyed: dict[tuple[str, str], Counter[Cell]] = defaultdict(Counter)
    cells, words = unkeyed[month, edition], vocabulary()
    for specialty, size in _SIZES.items():
        n = int(size * dice.uniform(0.9, 1.1))
        drawn = zip(
            dice.choices(homes, k=n),
            dice.choices(("outpatient", "elective", "emergency"), (80, 12, 8), k=n),
            _drawn(_SEXES, n, dice),
            _drawn(_ETHNIC, n, dice),
            strict=True,
        )
        steepness = 2.0 - 1.6 * so_far if specialty == _NARROWING else 1.0
        for (_, first), kind, sex, ethnic in drawn:
            answer = first
            if specialty in _FEWER_DEPRIVED and first.reading.core20 and dice.random() < 0.4:
                answer = dice.choice(homes)[1]
            outcome = "admitted" if kind == "emergency" else _outcome(answer, steepness, dice)
            ages = words.bands_of_age[_age(specialty, dice)]
            attendance = "new" if dice.random() < 0.35 else "follow_up"
            contact = Contact(month, specialty, kind, attendance, outcome, *ages, sex, ethnic, None)
            groups = [("inclusion", "homelessness")] if answer.reading.postcode_status == "no_fixed_abode" else []
            if dice.random() < 0.02:
                groups.append(("access", "interpreter"))
            lad = index.code(answer.place, "lad") if answer.place else None
            cells.update(cells_of(contact, answer.reading, edition, "synthetic", groups, lad))
    return Batch(unkeyed=unkeyed)


def _outcome(answer: Enrichment, steepness: float, dice: random.Random) -> str:
    """Missed more often where areas are more deprived, 13 in 100 in decile 1 and 5 in 100 in decile 10.

    So is cancelled by the hospital, 7 in 100 and 2: what is missed is never shown without it. `steepness` is how many
    times that gradient the one in missed appointments is.
    """
    roll, decile = dice.random(), answer.reading.imd_decile or 5
    missed = 0.09 + 0.009 * (5.5 - decile) * steepness
    cancelled = 0.07 - 0.006 * (decile - 1)
    if roll < missed:
        return "did_not_attend"
    if roll < missed + cancelled:
        return "cancelled_by_provider"
    return "cancelled_by_patient" if roll < missed + cancelled + 0.03 else "attended"


def _age(specialty: str, dice: random.Random) -> int:
    if specialty in _CHILDREN:
        return int(dice.random() * 18)
    return min(int(dice.triangular(0, 99, 62)), 99)


def _drawn(weighted: Sequence[tuple[str, float]], n: int, dice: random.Random) -> list[str]:
    return dice.choices([value for value, _ in weighted], [weight for _, weight in weighted], k=n)


def _waiting(homes: list[tuple[str | None, Enrichment]], dice: random.Random) -> Iterator[Waiting]:
    for specialty, size in _SIZES.items():
        for text, answer in dice.choices(homes, k=size):
            decile = answer.reading.imd_decile or 5
            yield Waiting(text, specialty, dice.expovariate(1 / (20 - 0.6 * decile)))


# ------------------------------------------------------------------------ the organisation's own files

_ORGANISATION: Final = "An invented hospital"
_SYNTHETIC: Final = "SYNTHETIC: invented by imdlens demo"
_PRACTICE: Final = (
    (
        "110",
        "Calls before the first appointment",
        "Somebody rings two days before, and books another day where this one does not suit.\nSYNTHETIC: nobody did.",
        "The outpatient booking lead",
        "Fewer missed first appointments in the most deprived fifth of areas; SYNTHETIC.",
    ),
    (
        "all",
        "Travel costs said in the letter",
        "Every letter says in one line who can have travel costs paid back, and where to ask. SYNTHETIC.",
        "The health-inequalities lead",
        "More people asked; whether fewer appointments were missed is not known. SYNTHETIC.",
    ),
)
# Residents of an invented town in 100: by age, and how much younger its more deprived deciles are.
_AGES: Final = {"0-17": (22, -0.8), "18-39": (34, -0.6), "40-64": (29, 0.0), "65-79": (11, 0.7), "80+": (4, 0.7)}


def own_files(published: Published, edition: str) -> dict[str, str]:
    """What an organisation would bring of its own, by the name of the file; each says that it is synthetic.

    Baselines are those of the published tables, so that no page says another number of the same quarter.
    """
    day, months = periods.today(), _months()
    year_end = date(periods.financial_year(periods.month_of(day)) + 2, 3, 31).isoformat()
    first = next(m for m in months if periods.ends_quarter(m) and months.index(m) >= 2)
    quarter, waits = periods.quarter_name(first), months[0]
    persons = {
        (str(decile), band): round(share * (12 - decile) ** 3 / 10 * (1 + tilt * (decile - 5.5) / 9))
        for decile in range(1, 11)
        for band, (share, tilt) in _AGES.items()
    }
    wanted: tuple[tuple[MeasureName, str, str, int, str], ...] = (
        ("missed", _NARROWING, quarter, 3, "The outpatient lead (SYNTHETIC)"),
        ("missed", "340", quarter, 2, "The respiratory specialty lead (SYNTHETIC)"),
        ("over_18_weeks", ORGANISATION, waits, 2, "The chief operating officer (SYNTHETIC)"),
    )
    aims = []
    for measure, unit, period, target, owner in wanted:
        baseline = gap(published, measure, unit, period, Options()).absolute
        if baseline:
            aim = min(target, max(0, baseline.value - 1))
            aims.append((measure, unit or ALL, baseline.value, period, aim, year_end, owner))
    practice = [(*one, day.isoformat(), _ORGANISATION) for one in _PRACTICE]
    town = as_catchment_file(edition, persons, area="an invented town", source=_SYNTHETIC, of=day, written=day)
    return {
        targets.FILE: as_file(targets.COLUMNS, aims, source=_SYNTHETIC, written=day),
        good_practice.FILE: as_file(good_practice.COLUMNS, practice, source=_SYNTHETIC, written=day),
        catchment.FILE: town,
    }
