"""A store with some months of random contacts, as small as a table needs to have something in it."""

import random
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Engine, insert

from app.counts.cells import NO_DECILE, Cell
from app.counts.schema import population
from app.counts.seal import Publisher, declare_units, seal
from app.counts.store import Batch, CountStore, Event
from app.counts.tables import QUINTILES, quintile_of
from app.database import writing
from app.inequality.measures import ESP2013

YEAR = [f"2024-{m:02d}" for m in range(4, 13)] + [f"2025-{m:02d}" for m in range(1, 4)]
PUBLISHER = Publisher(organisation="RX1", release="starter", edition="IoD2025", without_rates=True)

RESIDENTS = [
    {"edition": "IoD2025", "quintile": quintile, "age_band": band, "persons": weight // 10, "source": "invented"}
    for quintile in QUINTILES
    for band, weight in ESP2013.items()
]


def event(
    month: str,
    specialty: str = "340",
    band: str = "3",
    outcome: str = "attended",
    kind: str = "outpatient",
    age: tuple[str, str] = ("40-64", "50-54"),
    sex: str = "female",
    ethnic: str = "england:A",
    edition: str = "IoD2025",
    attendance: str = "new",
) -> Event:
    """One contact; a band that is no decile is why there is none."""
    quintile = quintile_of(band)
    status = "live" if quintile != NO_DECILE else band
    cells: list[Cell] = [
        (0, month, specialty, kind, attendance, outcome, edition, band),
        (1, month, specialty, edition, quintile, "age_band", age[0]),
        (1, month, specialty, edition, quintile, "ethnic_category", ethnic),
        (1, month, specialty, edition, quintile, "sex", sex),
        (3, month, kind, edition, quintile, age[1], sex),
        (4, month, "unnamed", status),
    ]
    if status == "live":
        cells.append((2, month, "lad", "E06000018"))
    if status == "no_fixed_abode":
        cells.append((2, month, "inclusion", "homelessness"))
    return Event(cells)


def fill(engine: Engine, months: Sequence[str], contacts: int = 300, seed: int = 1) -> None:
    """Random contacts in two specialties of their own and some others."""
    dice, others = random.Random(seed), random.Random(f"attendance {seed}")
    store = CountStore(engine, "IoD2025")
    bands = [*map(str, range(1, 11)), "no_fixed_abode", "not_found"]
    for month in months:
        events = [
            event(
                month,
                dice.choice(("340", "340", "340", "110", "501", "656")),
                dice.choice(bands),
                dice.choice(("attended", "attended", "attended", "did_not_attend", "cancelled_by_patient")),
                dice.choice(("outpatient", "elective", "emergency")),
                dice.choice((("40-64", "50-54"), ("0-17", "5-9"), ("80+", "85-89"))),
                dice.choice(("female", "male")),
                dice.choice(("england:A", "england:H", "not_stated")),
                attendance=others.choice(("new", "follow_up", "follow_up", "absent")),
            )
            for _ in range(contacts)
        ]
        store.commit(Batch.of(events))


def sealed(engine: Engine, months: Sequence[str], contacts: int = 300) -> None:
    """Fill and seal these months, with two specialties that have rows of their own."""
    with writing(engine) as connection:
        declare_units(connection, 2024, ["340", "110"], "declared")
        connection.execute(insert(population), RESIDENTS)
    fill(engine, months, contacts)
    for month in months:
        seal(engine, month, replace(PUBLISHER, without_rates=False))
