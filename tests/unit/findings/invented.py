"""Published tables of invented figures, as findings read them."""

from collections.abc import Mapping

from app.counts import periods
from app.counts.parts import Part, Publication, Published
from app.counts.tables import ATTENDED_OR_NOT, Figure

YEAR = "2025-26"
QUARTER = "2025-26-Q1"


class Given:
    """Figures by table and period, with one publication for each."""

    def __init__(self, edition: str = "IoD2025", *, synthetic: bool = False) -> None:
        self._pages: dict[tuple[str, str], dict[Figure, Part]] = {}
        self._publications: list[Publication] = []
        self.edition, self.synthetic = edition, synthetic

    def figures(self, table: str, period: str) -> Mapping[Figure, Part]:
        return self._pages.get((table, period), {})

    def add(self, figure: Figure, n: int | str) -> None:
        """One figure; a mark instead of a number is one that is not shown."""
        key = figure.table, figure.period
        if key not in self._pages:
            self._pages[key] = {}
            month = figure.period if periods.is_month(figure.period) else "2026-03"
            self._publications.append(
                Publication(
                    *key, month, "2026-04-10T09:00:00+00:00", self.edition, "r1", "rule", "RX1", "", self.synthetic
                )
            )
        self._pages[key][figure] = Part(None, n) if isinstance(n, str) else Part(n)

    @property
    def published(self) -> Published:
        return Published(self, self._publications)

    def first_contacts(self, units: Mapping[str, tuple[int | str, int | str]], year: str = YEAR) -> None:
        """T12: first contacts from Core20 areas and from the rest."""
        for unit, parts in units.items():
            for core20, n in zip(("true", "false", "no_decile"), (*parts, 0), strict=True):
                first = Figure(
                    "specialty_new_core20", year, unit, core20=core20, dimension="attendance", category="new"
                )
                self.add(first, n)

    def contacts(self, units: Mapping[str, tuple[int | str, int | str]], year: int = 2025) -> None:
        """T1: as many contacts in each month of a financial year."""
        for month in periods.months_of_year(year):
            for unit, parts in units.items():
                for core20, n in zip(("true", "false", "no_decile"), (*parts, 0), strict=True):
                    self.add(Figure("specialty_core20", month, unit, core20=core20), n)

    def ages(self, unit: str, ages: Mapping[str, int | str], year: str = YEAR) -> None:
        """T5: contacts by age band."""
        for band, n in ages.items():
            self.add(Figure("specialty_age", year, unit, dimension="age_band", category=band), n)

    def missed(self, unit: str, x1: int | str, n1: int, x2: int | str, n2: int, quarter: str = QUARTER) -> None:
        """T2: missed and all, Core20 and the rest."""
        for core20, x, n in (("true", x1, n1), ("false", x2, n2)):
            figure = Figure("specialty_dna_core20", quarter, unit, core20=core20)
            self.add(figure._replace(outcome="did_not_attend"), x)
            self.add(figure._replace(outcome=ATTENDED_OR_NOT), n)

    def waiting(self, unit: str, core20: tuple[int, int], rest: tuple[int, int], month: str = "2026-02") -> None:
        """T10: within and over 18 weeks; nobody over 52."""
        for part, counts in (("true", core20), ("false", rest), ("no_decile", (0, 0))):
            for wait, n in zip(("within_18_weeks", "over_18_weeks", "over_52_weeks"), (*counts, 0), strict=True):
                self.add(Figure("waiting_list", month, unit, core20=part, dimension="wait", category=wait), n)
