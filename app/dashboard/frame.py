"""What every screen of the dashboard has around it: where it stands, which periods there are, what was published."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from app.counts import periods
from app.counts.parts import Published
from app.findings.options import Options
from app.pages.charts import Chart
from app.pages.dashboard import Chooser, Exhibit, Link, Screen, Section

QUARTERLY: Final = "specialty_dna_core20"
"""The table whose quarters can be chosen."""

_MOST_QUARTERS: Final = 12
_PLACES: Final = (
    ("organisation", "dashboard", "Organisation", True),
    ("ranking", "dashboard/ranking", "Ranking", True),
    ("completeness", "dashboard/completeness", "Completeness", False),
    ("inclusion", "dashboard/inclusion-health", "Inclusion health", False),
    ("editions", "dashboard/editions", "Editions", False),
    ("practice", "dashboard/practice", "Good practice", False),
    ("help", "dashboard/help", "Help", False),
)


class NoSuchPageError(Exception):
    """There is no page of this unit, period or measure; what was asked for is not repeated."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a screen stands. `quarter` is None where none is published; `is_chosen` says that it is in the address."""

    above: str
    published: Published
    options: Options
    quarter: str | None
    is_chosen: bool

    @classmethod
    def of(cls, above: str, published: Published, options: Options, period: str | None) -> "Frame":
        """The frame for a period as asked for, the newest where none is. NoSuchPageError where it is not published."""
        quarters = published.periods(QUARTERLY)
        if period is not None and period not in quarters:
            raise NoSuchPageError
        return cls(above, published, options, period or (quarters[-1] if quarters else None), period is not None)

    @property
    def words(self) -> str:
        """The quarter as a page names it: `July to September 2026`; empty without one."""
        return in_words(self.quarter) if self.quarter else ""

    @property
    def is_synthetic(self) -> bool:
        """Whether any of what was published is invented."""
        return any(publication.synthetic for publication in self.published.publications)

    @property
    def organisation(self) -> str:
        """The organisation as its newest publication names it."""
        named = [p.organisation for p in self.published.publications if p.organisation]
        return named[-1] if named else "Your organisation"

    def to(self, path: str, **query: str | None) -> str:
        """An address below the service's root, relative to this page."""
        asked = urlencode({name: value for name, value in query.items() if value})
        return f"{self.above}./{path}{'?' if asked else ''}{asked}"

    @property
    def kept(self) -> str | None:
        """The period that links take along: the chosen one, else none, so that a link stays the newest."""
        return self.quarter if self.is_chosen else None

    def specialty(self, code: str, behind: str = "") -> str:
        """The address of a specialty's screen, or of one behind it."""
        return self.to(f"dashboard/specialties/{quote(code, safe='')}{behind}", period=self.kept)

    def exhibits(
        self, charts: Iterable[Chart | None], unit: str = "", measure: str | None = None
    ) -> tuple[Exhibit, ...]:
        """Charts with the addresses of their twins; what could not be drawn is left out."""
        return tuple(
            Exhibit(chart, *(self._twin(chart, unit, measure, kind) for kind in ("csv", "json")))
            for chart in charts
            if chart is not None
        )

    def _twin(self, chart: Chart, unit: str, measure: str | None, kind: str) -> str:
        path = f"dashboard/figures/{quote(chart.id, safe='')}"
        return self.to(path, unit=unit, period=self.quarter, measure=measure, format=kind)

    def chooser(self, path: str, **query: str | None) -> Chooser:
        """Links to this page for each quarter, the newest first."""
        quarters = self.published.periods(QUARTERLY)[-_MOST_QUARTERS:]
        links = (
            Link(_short(in_words(quarter)), self.to(path, period=quarter, **query), is_current=quarter == self.quarter)
            for quarter in reversed(quarters)
        )
        return Chooser("Period", tuple(links))

    def screen(
        self,
        place: str,
        heading: str,
        sections: Sequence[Section],
        *,
        title: str = "",
        over: str = "",
        lead: Sequence[str] = (),
        choosers: Sequence[Chooser] = (),
        crumbs: Sequence[Link] = (),
        jumps: Sequence[Link] = (),
    ) -> Screen:
        """A screen in its frame. `place` is the part of the navigation that it belongs to."""
        return Screen(
            self.above,
            title or heading,
            over or self.organisation,
            heading,
            tuple(lead),
            tuple(jumps),
            tuple(
                Link(text, self.to(path, period=self.kept if keeps else None), is_current=name == place and not crumbs)
                for name, path, text, keeps in _PLACES
            ),
            tuple(crumbs),
            tuple(choosers),
            tuple(sections),
            self.options.suppress_up_to,
            self.is_synthetic,
        )


def in_words(period: str) -> str:
    """A period as links and headings name it: `July to September 2026`."""
    return periods.in_words(period).removeprefix("the quarter ").removeprefix("the ")


def _short(words: str) -> str:
    """`Jul to Sep 2026`: months of a choice, so that more of them fit beside each other."""
    return re.sub(r"\b([A-Z][a-z]{2})[a-z]+", r"\1", words)
