"""Published tables as a person would write them down, without a database."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from app.counts.parts import Part, Publication, Published
from app.counts.tables import ATTENDED_OR_NOT, Figure
from app.findings.drawn import months_of

Number = int | str  # as published: a number, `*` or `w`


@dataclass
class Plain:
    """Pages by table and period. `editions` says from which period on another edition than IoD2025 holds."""

    pages: dict[tuple[str, str], dict[Figure, Part]] = field(default_factory=dict)
    editions: Mapping[str, str] = field(default_factory=dict)

    def figures(self, table: str, period: str) -> Mapping[Figure, Part]:
        """The figures of one page."""
        return self.pages[table, period]

    def put(self, figure: Figure, number: Number) -> None:
        """One published figure."""
        page = self.pages.setdefault((figure.table, figure.period), {})
        page[figure] = Part(None, number) if isinstance(number, str) else Part(number)

    def published(self) -> Published:
        """All of it, each page sealed in its last month."""

        def edition(period: str) -> str:
            return next((e for first, e in self.editions.items() if months_of(period)[-1] >= first), "IoD2025")

        found = [
            Publication(
                table,
                period,
                months_of(period)[-1],
                f"{months_of(period)[-1]}-28T00:00:00+00:00",
                edition(period),
                "release",
                "imdlens-1",
                "RX1",
                "sentence",
                synthetic=False,
            )
            for table, period in self.pages
        ]
        return Published(self, sorted(found, key=lambda p: (p.month, p.table)))

    # ------------------------------------------------------------- one finding's figures

    def missed(self, quarter: str, unit: str, core20: tuple[Number, Number], rest: tuple[Number, Number]) -> "Plain":
        """T2: did not attend and its denominator."""
        for part, (events, total) in (("true", core20), ("false", rest)):
            whole = Figure("specialty_dna_core20", quarter, unit, outcome=ATTENDED_OR_NOT, core20=part)
            self.put(whole._replace(outcome="did_not_attend"), events)
            self.put(whole, total)
        return self

    def by_fifths(
        self, year: str, unit: str, pairs: Iterable[tuple[Number, Number]], cancelled: Iterable[Number] = ()
    ) -> "Plain":
        """T4: did not attend and its denominator of each fifth, the most deprived first; cancelled by the provider."""
        by_provider = list(cancelled)
        for i, (events, total) in enumerate(pairs):
            whole = Figure("specialty_dna_quintile", year, unit, outcome=ATTENDED_OR_NOT, imd_quintile=str(i + 1))
            self.put(whole._replace(outcome="did_not_attend"), events)
            self.put(whole, total)
            if by_provider:
                self.put(whole._replace(outcome="cancelled_by_provider"), by_provider[i])
        return self

    def outcomes(self, month: str, of: Mapping[str, Mapping[str, Number]]) -> "Plain":
        """T6: by fifth (or `no_decile`) and outcome."""
        for quintile, outcomes in of.items():
            for outcome, number in outcomes.items():
                self.put(Figure("organisation_outcome", month, outcome=outcome, imd_quintile=quintile), number)
        return self

    def contacts(self, month: str, unit: str, core20: Number, rest: Number, unknown: Number = 0) -> "Plain":
        """T1."""
        for part, number in (("true", core20), ("false", rest), ("no_decile", unknown)):
            self.put(Figure("specialty_core20", month, unit, core20=part), number)
        return self

    def waiting(self, month: str, unit: str, **parts: tuple[Number, Number, Number]) -> "Plain":
        """T10: within 18, over 18 and over 52 weeks, by `core20`, `rest` and `unknown`."""
        named = {"core20": "true", "rest": "false", "unknown": "no_decile"}
        for name, numbers in parts.items():
            for wait, number in zip(("within_18_weeks", "over_18_weeks", "over_52_weeks"), numbers, strict=True):
                figure = Figure("waiting_list", month, unit, core20=named[name], dimension="wait", category=wait)
                self.put(figure, number)
        return self


def months(first: str, many: int) -> list[str]:
    """So many months from the first on."""
    from app.counts.periods import next_month

    found = [first]
    while len(found) < many:
        found.append(next_month(found[-1]))
    return found
