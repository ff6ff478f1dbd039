"""Age-standardised rates of the organisation's contacts, published as whole numbers per 1,000 and as nothing else."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, select, text

from app.counts import periods
from app.counts.disclosure import Rule
from app.counts.figures import UNDER_18_BANDS
from app.counts.schema import financial_year, population
from app.counts.tables import QUINTILES, STANDARDISED_TYPES, Figure
from app.inequality.measures import ESP2013, directly_standardised_rate

_LEAST_EVENTS = 10  # OHID gives no directly standardised rate of fewer
_AROUND = (-2, -1, 1, 2)


class StandardisedRates:
    """Reads T7. A rate from which a small count at one age could be worked out is withheld."""

    def __init__(self, connection: Connection, rule: Rule) -> None:
        self._connection, self._rule = connection, rule

    def read(self, months: Sequence[str], year: str) -> dict[Figure, int | None]:
        """Rates per 1,000 residents; None where withheld, empty where no population is loaded."""
        residents = self._residents(months[0])
        if not residents:
            return {}
        contacts = self._contacts(months)
        return {
            Figure("organisation_standardised", year, contact_type=kind, imd_quintile=quintile): self._rate(
                contacts[kind, quintile], residents.get(quintile, {}), self._others(contacts, quintile)
            )
            for kind in STANDARDISED_TYPES
            for quintile in QUINTILES
        }

    def _residents(self, month: str) -> dict[str, dict[str, int]]:
        edition = self._connection.execute(
            select(financial_year.c.edition).where(financial_year.c.year == periods.financial_year(month))
        ).scalar_one()
        found: dict[str, dict[str, int]] = defaultdict(dict)
        for row in self._connection.execute(select(population).where(population.c.edition == edition)):
            found[row.quintile][row.age_band] = int(row.persons)
        return found

    def _contacts(self, months: Sequence[str]) -> Mapping[tuple[str, str], dict[str, int]]:
        statement = text(
            "SELECT type, quintile, age_band, sum(n) FROM age_sex WHERE month BETWEEN :first AND :last GROUP BY 1, 2, 3"
        )
        found: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
        for kind, quintile, age, n in self._connection.execute(statement, {"first": months[0], "last": months[-1]}):
            found[kind, quintile][age] = int(n)
        return found

    @staticmethod
    def _others(contacts: Mapping[tuple[str, str], Mapping[str, int]], quintile: str) -> int:
        """Contacts of a quintile whose type has no rate: they can come and go without any rate changing."""
        return sum(
            sum(ages.values())
            for (kind, q), ages in contacts.items()
            if q == quintile and kind not in STANDARDISED_TYPES
        )

    def _rate(self, events: Mapping[str, int], residents: Mapping[str, int], others: int) -> int | None:
        """The rate, unless two contacts more or fewer would show in it, at an age where the audit may need them to.

        That is an age with few contacts, or under 18, whose emergencies T8 counts; and any age, when every contact
        of the quintile is in some rate.
        """
        ages = {band: events.get(band, 0) for band in ESP2013}
        if sum(ages.values()) < _LEAST_EVENTS or any(residents.get(band, 0) <= 0 for band in ESP2013):
            return None
        shown = _per_thousand(ages, residents)
        for band, n in ages.items():
            if others < max(_AROUND) or self._rule.is_small(n) or band in UNDER_18_BANDS:
                worlds = [ages | {band: n + by} for by in _AROUND if n + by >= 0]
                if any(_per_thousand(world, residents) != shown for world in worlds):
                    return None
        return shown


def _per_thousand(events: Mapping[str, int], residents: Mapping[str, int]) -> int:
    return round(1000 * directly_standardised_rate(dict(events), dict(residents)))
