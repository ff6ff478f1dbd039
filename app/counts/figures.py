"""Reads closed months out of the store: the figures to publish, and the structure that the seal audit needs.

Figures of a table named `hidden…` are never published: a reader can work them out by subtraction, so the audit
protects them like the others.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, text

from app.counts import tables
from app.counts.cells import NO_DECILE
from app.counts.disclosure import Choice, Structure
from app.counts.periods import quarter_name
from app.counts.tables import DECILES, FIRST, Figure, Units
from app.counts.vocabulary import vocabulary

_BANDS: Final = (*DECILES, NO_DECILE)
_WITH_AREA: Final = ("live", "terminated")
UNDER_18: Final = "0-17"
UNDER_18_BANDS: Final = ("0-4", "5-9", "10-14", "15-17")
_BETWEEN: Final = "WHERE month BETWEEN :first AND :last"


@dataclass(slots=True)
class Span:
    """The months that one step of sealing looks at, and which tables of them are published already or now."""

    months: Sequence[str]  # all of one financial year, in order
    quarters: Sequence[str] = ()
    year: str | None = None


@dataclass(slots=True)
class Figures:
    """What may be published of a span, exactly, and how contacts make it up."""

    counts: dict[Figure, int]
    structure: Structure
    slots: list[Figure]  # the figure of each slot of the structure


def read(connection: Connection, span: Span, units: Units) -> Figures:
    """Every figure of a span, zeros included."""
    reader = _Reader(connection, span, units)
    reader.flows()
    reader.completeness()
    reader.waiting_lists()
    if span.year:
        reader.one_ways(span.year)
        reader.totals(span.year)
        reader.under_18(span.year)
    return reader.figures()


class _Reader:
    def __init__(self, connection: Connection, span: Span, units: Units) -> None:
        self._connection, self._span, self._units = connection, span, units
        self._found: Counter[Figure] = Counter()
        self._atoms: Counter[tuple[str, str, str, str]] = Counter()  # month, unit, band, outcome
        self._slots: dict[Figure, int] = {}
        self._grids: list[Figure] = []
        self._ages: Counter[tuple[str, str, str]] = Counter()  # unit, quintile, band
        self._floors: dict[int, int] = {}

    def _rows(self, statement: str) -> Iterable[Any]:
        months = self._span.months
        return self._connection.execute(text(statement), {"first": months[0], "last": months[-1]})

    def _add_grid(self, table: str, period: str, clients: Iterable[str] = (), lads: Iterable[str] = ()) -> None:
        self._grids += tables.grid(table, period, self._units, clients, lads)

    def flows(self) -> None:
        """T1, T6, T2, T3, T4 and T12."""
        for month in self._span.months:
            self._add_grid("specialty_core20", month)
            self._add_grid("organisation_outcome", month)
        for quarter in self._span.quarters:
            self._add_grid("specialty_dna_core20", quarter)
        if self._span.year:
            self._add_grid("specialty_decile", self._span.year)
            self._add_grid("specialty_dna_quintile", self._span.year)
            self._add_grid("specialty_new_core20", self._span.year)
        sum_of_first = f"sum(CASE attendance WHEN '{FIRST}' THEN n ELSE 0 END)"
        for month, specialty, outcome, band, n, firsts in self._rows(
            f"SELECT month, specialty, outcome, band, sum(n), {sum_of_first} FROM flow {_BETWEEN} GROUP BY 1, 2, 3, 4"  # noqa: S608
        ):
            kind = (month, self._units.of(specialty), band if band in DECILES else NO_DECILE, outcome)
            self._atoms[kind] += int(n)
            if self._span.year:
                first = tables.first_figure(self._span.year, kind[1], band)
                self._found[first] += int(firsts)
                self._found[_not_first(first)] += int(n) - int(firsts)
        for kind, n in self._atoms.items():
            for figure in self._families(*kind):
                if figure is not None:
                    self._found[figure] += n

    def _families(self, month: str, unit: str, band: str, outcome: str) -> list[Figure | None]:
        """What one contact of a kind is counted in; as many in all of a span, None for what it is not counted in."""
        families: list[Figure | None] = list(tables.month_figures(month, unit, band, outcome))
        quarter = quarter_name(month)
        if quarter in self._span.quarters:
            dna, denominator = tables.quarter_figures(quarter, unit, band, outcome)
            families += [
                dna,
                denominator,
                *_complements(
                    Figure("hidden_quarter", quarter, unit, core20=tables.core20_of(band)), band, dna, denominator
                ),
            ]
        if self._span.year:
            decile, dna, denominator, cancelled = tables.year_figures(self._span.year, unit, band, outcome)
            hidden = Figure("hidden_year", self._span.year, unit, imd_quintile=tables.quintile_of(band))
            families += [decile, dna, denominator, cancelled, *_complements(hidden, band, dna, denominator)]
            families += _with_cancelled(hidden, band, denominator, cancelled)
        return families

    def completeness(self) -> None:
        """T11."""
        found = list(self._rows(f"SELECT month, client, status, n FROM completeness {_BETWEEN}"))  # noqa: S608
        for month in self._span.months:
            clients = sorted({row.client for row in found if row.month == month})
            self._add_grid("completeness", month, clients=clients)
        for month, client, status, n in found:
            figure = Figure("completeness", month, dimension="postcode_status", category=status, client=client)
            self._found[figure] += int(n)

    def waiting_lists(self) -> None:
        """T10, of months whose list was declared complete."""
        complete = "SELECT month FROM waiting_list_snapshot s WHERE complete AND month BETWEEN :first AND :last"
        months = [row.month for row in self._rows(complete)]
        for month in months:
            self._add_grid("waiting_list", month)
        for month, specialty, wait, band, n in self._rows(
            f"SELECT month, specialty, wait_band, band, sum(n) FROM waiting_list {_BETWEEN} GROUP BY 1, 2, 3, 4"  # noqa: S608
        ):
            if month not in months:
                continue
            base = Figure(
                "waiting_list", month, self._units.of(specialty), core20=tables.core20_of(band), dimension="wait"
            )
            within = wait == vocabulary().wait_grid[0]
            self._found[base._replace(category="within_18_weeks" if within else "over_18_weeks")] += int(n)
            if wait in vocabulary().wait_grid[4:]:
                self._found[base._replace(category="over_52_weeks")] += int(n)

    def one_ways(self, year: str) -> None:
        """T5, and ethnicity of T9."""
        for table in ("specialty_sex", "specialty_age", "organisation_ethnicity"):
            self._add_grid(table, year)
        for specialty, quintile, dimension, value, n in self._rows(
            f"SELECT specialty, quintile, dimension, value, sum(n) FROM one_way {_BETWEEN} GROUP BY 1, 2, 3, 4"  # noqa: S608
        ):
            if dimension == "ethnic_category":
                figure = Figure("organisation_ethnicity", year, imd_quintile=quintile)
            else:
                table = "specialty_sex" if dimension == "sex" else "specialty_age"
                figure = Figure(table, year, self._units.of(specialty))
                if dimension == "age_band":
                    self._ages[figure.unit, quintile, value] += int(n)
            self._found[figure._replace(dimension=dimension, category=value)] += int(n)

    def totals(self, year: str) -> None:
        """Inclusion groups, access needs and districts of T9."""
        found = list(
            self._rows(f"SELECT dimension, value, sum(n) AS n FROM organisation_total {_BETWEEN} GROUP BY 1, 2")  # noqa: S608
        )
        self._add_grid("organisation_inclusion", year)
        self._add_grid("organisation_access", year)
        self._add_grid("organisation_lad", year, lads=sorted(row.value for row in found if row.dimension == "lad"))
        for dimension, value, n in found:
            self._found[Figure(f"organisation_{dimension}", year, dimension=dimension, category=value)] += int(n)

    def under_18(self, year: str) -> None:
        """T8."""
        self._add_grid("organisation_under18_emergency", year)
        for kind, quintile, age, n in self._rows(
            f"SELECT type, quintile, age_band, sum(n) FROM age_sex {_BETWEEN} GROUP BY 1, 2, 3"  # noqa: S608
        ):
            if age in UNDER_18_BANDS and kind == "emergency":
                self._found[_under_18(year, quintile)] += int(n)

    # ------------------------------------------------------------------------------- the structure

    def figures(self) -> Figures:
        """The counts of every figure, and the structure over them."""
        known = set(self._grids)
        strange = {f for f in self._found if f not in known and not f.table.startswith("hidden")}
        if strange:
            # A figure that no grid lists would be left out of its table: the lists and the cells have parted.
            raise RuntimeError(f"cells hold a value that no table lists, in {sorted({f.table for f in strange})}")
        self._slots = {figure: i for i, figure in enumerate(self._grids)}
        kinds, counts = self._kinds()
        atoms = np.array([[self._slot(f) for f in self._families(*kind)] for kind in kinds], np.int64)
        choices, choosing = self._choices(kinds)
        truth = np.array([self._found[f] for f in self._slots], np.int64)
        structure = Structure(truth, atoms, counts, choosing, choices, self._floors)
        return Figures({f: self._found[f] for f in self._grids}, structure, list(self._slots))

    def _kinds(self) -> tuple[list[tuple[str, str, str, str]], np.ndarray[Any, np.dtype[np.int64]]]:
        kinds = [
            (month, unit, band, outcome)
            for month in self._span.months
            for unit in self._units.all()
            for band in _BANDS
            for outcome in vocabulary().outcome_grid
        ]
        return kinds, np.array([self._atoms[kind] for kind in kinds], np.int64)

    def _slot(self, figure: Figure | None) -> int:
        if figure is None:
            return -1
        return self._slots.setdefault(figure, len(self._slots))

    def _choices(
        self, kinds: Sequence[tuple[str, str, str, str]]
    ) -> tuple[list[Choice], np.ndarray[Any, np.dtype[np.int64]]]:
        """Status, sex, age, ethnic category, district, first or not: each contact of a kind takes one of each."""
        found: dict[tuple[str, ...], list[tuple[int, ...]]] = defaultdict(list)
        for figure in list(self._slots):
            self._label(figure, found)
        self._label_people_from_outside(found)
        if self._span.year:
            self._label_ages(self._span.year, found)
        place = {key: i for i, key in enumerate(found)}
        groups = {unit: i for i, unit in enumerate(self._units.all())}
        choices = [
            Choice(tuple(labels), groups[key[1]], len(labels) - 1) if key[0] == "age" else Choice(tuple(labels))
            for key, labels in found.items()
        ]
        wanted = [
            [
                place.get(key, -1)
                for key in (
                    ("nowhere" if band == NO_DECILE else "placed", month),
                    ("sex", unit),
                    ("age", unit, tables.quintile_of(band)),
                    ("ethnic", tables.quintile_of(band)),
                    ("lad",) if band != NO_DECILE else ("none",),
                    ("first", unit, tables.core20_of(band)),
                )
            ]
            for month, unit, band, _ in kinds
        ]
        return choices, np.array(wanted, np.int64).reshape(len(kinds), 6)

    def _label(self, figure: Figure, found: dict[tuple[str, ...], list[tuple[int, ...]]]) -> None:
        slot = self._slots[figure]
        match figure.table:
            case "completeness":
                label: tuple[int, ...] = (slot, self._all_of_client(figure))
                if figure.category == "no_fixed_abode" and self._span.year:
                    label = (*label, self._slot(_group(self._span.year, "inclusion", "homelessness")))
                found["placed" if figure.category in _WITH_AREA else "nowhere", figure.period].append(label)
            case "specialty_sex":
                found["sex", figure.unit].append((slot,))
            case "specialty_new_core20":
                # Nothing else tells of attendance, so any contact of the part may be one of the first.
                found["first", figure.unit, figure.core20] += [(slot,), (self._slot(_not_first(figure)),)]
            case "organisation_ethnicity":
                found["ethnic", figure.imd_quintile].append((slot,))
            case "organisation_lad":
                self._floors[slot] = 1  # only districts with a contact are listed
                if figure.category.startswith("E"):
                    found["lad",].append((slot,))

    def _all_of_client(self, figure: Figure) -> int:
        """A client is listed in a month because it sent something."""
        everything = Figure("hidden_joint_client", figure.period, client=figure.client)
        slot = self._slot(everything)
        self._found[everything] += self._found[figure]
        self._floors[slot] = 1
        return slot

    def _label_people_from_outside(self, found: dict[tuple[str, ...], list[tuple[int, ...]]]) -> None:
        """A postcode of another nation is live and has a district, but no decile."""
        for month, district, n in self._rows(
            f"SELECT month, value, n FROM organisation_total {_BETWEEN} AND dimension = 'lad'"  # noqa: S608
        ):
            if district.startswith("E"):
                continue
            joint = Figure("hidden_joint_outside", month, category=district)
            own: tuple[int, ...] = (self._slot(joint),)
            self._found[joint] = int(n)
            if self._span.year:
                own = (*own, self._slot(_group(self._span.year, "lad", district)))
            for label in found["placed", month].copy():
                found["nowhere", month].append((*label, *own))

    def _label_ages(self, year: str, found: dict[tuple[str, ...], list[tuple[int, ...]]]) -> None:
        """Ages of a unit's contacts in a fifth; the emergencies of under-18s are those that T8 counts."""
        rest = Figure("hidden_under_18", year)
        rest_slot = self._slot(rest)
        for quintile in (*tables.QUINTILES, NO_DECILE):
            emergencies = self._found[_under_18(year, quintile)]
            for unit in self._units.all():
                for band in vocabulary().age_grid:
                    slot = self._slot(Figure("specialty_age", year, unit, dimension="age_band", category=band))
                    joint = Figure("hidden_joint_age", year, unit, imd_quintile=quintile, category=band)
                    n = self._ages[unit, quintile, band]
                    if band != UNDER_18:
                        found["age", unit, quintile].append((slot, self._slot(joint)))
                        self._found[joint] = n
                # Which specialty had an emergency is nowhere said: any way to share them out is a possible world.
                some = min(emergencies, self._ages[unit, quintile, UNDER_18])
                emergencies -= some
                slot = self._slot(Figure("specialty_age", year, unit, dimension="age_band", category=UNDER_18))
                joint = Figure("hidden_joint_age", year, unit, imd_quintile=quintile, category=UNDER_18)
                others = self._ages[unit, quintile, UNDER_18] - some
                self._found[joint] = others
                self._found[rest] += others
                found["age", unit, quintile].append((slot, self._slot(joint), rest_slot))
                joint = joint._replace(contact_type="emergency")
                self._found[joint] = some
                found["age", unit, quintile].append((slot, self._slot(joint), self._slot(_under_18(year, quintile))))


def _group(year: str, dimension: str, value: str) -> Figure:
    return Figure(f"organisation_{dimension}", year, dimension=dimension, category=value)


def _under_18(year: str, quintile: str) -> Figure:
    return Figure(
        "organisation_under18_emergency",
        year,
        contact_type="emergency",
        imd_quintile=quintile,
        dimension="age_band",
        category=UNDER_18,
    )


def _not_first(first: Figure) -> Figure:
    """What a reader gets from T3 and T12: contacts that are not first ones."""
    return Figure("hidden_not_first", first.period, first.unit, core20=first.core20)


def _complements(
    hidden: Figure, band: str, dna: Figure | None, denominator: Figure | None
) -> tuple[Figure | None, Figure | None]:
    """What a reader gets by subtraction: attended, and neither attended nor missed."""
    if band == NO_DECILE:
        return None, None
    if denominator is None:
        return None, hidden._replace(outcome="neither")
    return (None if dna else hidden._replace(outcome="attended")), None


def _with_cancelled(
    hidden: Figure, band: str, denominator: Figure | None, cancelled: Figure | None
) -> tuple[Figure | None, Figure | None]:
    """What a reader gets with cancellations by the provider: what they are a share of, and what is left of a fifth."""
    if band == NO_DECILE:
        return None, None
    if denominator or cancelled:
        return hidden._replace(outcome="attended_missed_or_cancelled"), None
    return None, hidden._replace(outcome="none_of_these")
