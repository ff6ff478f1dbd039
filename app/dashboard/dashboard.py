"""The dashboard of one worker: screens worked out from what was published, each kept until something new is."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final, Literal, NamedTuple

from app.context.rulebook import Rulebook
from app.counts.parts import Published
from app.dashboard import behind, organisation, practices, ranks, specialty, words
from app.dashboard.context import Context
from app.dashboard.frame import Frame, NoSuchPageError
from app.findings.kinds import MEASURES
from app.findings.options import Options
from app.pages.charts import Chart, svg
from app.pages.dashboard import NARROW, WIDE, Screen, render_screen

Place = Literal[
    "organisation", "specialty", "detail", "ranking", "completeness", "inclusion", "editions", "practice", "help"
]

_KEPT: Final = 256  # pages, of some 60 kB
_KEPT_BRIEFS: Final = 64  # of some 40 kB

_LONG: Final = 0.005  # seconds
_BREATH: Final = 0.03  # longer than the loop may be late

BriefWriter = Callable[[Published, Rulebook, Options, str, str], bytes]
"""Writes a unit's brief of a quarter."""


class Asked(NamedTuple):
    """A page, as its address asks for it; `above` is the way from there up to the service's root."""

    place: Place
    above: str
    unit: str = ""
    period: str | None = None
    measure: str | None = None


class Made(NamedTuple):
    """A page that was made: its values, and its bytes."""

    screen: Screen
    html: bytes


_SCREENS: Final[Mapping[Place, Callable[[Context, Frame, Asked], Screen]]] = {
    "organisation": lambda context, frame, _: organisation.screen(context, frame),
    "specialty": lambda context, frame, asked: specialty.screen(context, frame, asked.unit),
    "detail": lambda context, frame, asked: specialty.detail(context, frame, asked.unit),
    "ranking": lambda context, frame, asked: ranks.screen(context, frame, asked.measure),
    "completeness": lambda context, frame, _: behind.completeness(context, frame),
    "inclusion": lambda context, frame, _: behind.inclusion(context, frame),
    "editions": lambda context, frame, _: behind.editions(context, frame),
    "practice": lambda context, frame, asked: practices.screen(context, frame, asked.unit),
    "help": lambda _context, frame, _: words.screen(frame),
}
# Which screens may hold a chart: of a unit, or of the organisation.
_OF_UNIT: Final[tuple[Place, ...]] = ("specialty", "detail")
_OF_ALL: Final[tuple[Place, ...]] = ("organisation", "ranking", "completeness", "inclusion")


def _draw(chart: Chart) -> None:
    """Draw a chart before it is asked for, then let others run: while a chart is drawn, no other thread does."""
    for width in (WIDE, NARROW):
        begun = time.perf_counter()
        svg(chart, width)
        if time.perf_counter() - begun > _LONG:  # it was not drawn before
            time.sleep(_BREATH)


class Dashboard:
    """Makes pages and charts. Safe to share between threads: a page may be made twice, and is the same."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._made: OrderedDict[tuple[str, Asked], Made] = OrderedDict()
        self._lock = threading.Lock()
        self._briefs: OrderedDict[tuple[str, str, str], bytes] = OrderedDict()
        self._writing = threading.Lock()

    def page(self, published: Published, asked: Asked) -> bytes:
        """The page as bytes. NoSuchPageError."""
        return self._make(published, asked).html

    def chart(self, published: Published, name: str, asked: Asked) -> Chart:
        """The chart of this name on any page of the same unit, period and measure. NoSuchPageError."""
        if asked.measure is not None and (asked.unit or asked.measure not in MEASURES):
            raise NoSuchPageError
        for place in _OF_UNIT if asked.unit else _OF_ALL:
            # Pages are kept by what they depend on, so that no word of a caller's makes one anew.
            measure = asked.measure if place == "ranking" else None
            made = self._make(published, asked._replace(place=place, measure=measure))
            for section in made.screen.sections:
                for exhibit in section.exhibits:
                    if exhibit.chart.id == name:
                        return exhibit.chart
        raise NoSuchPageError

    def brief(self, published: Published, asked: Asked, write: BriefWriter) -> bytes:
        """A specialty on one page of paper, as bytes of a document. NoSuchPageError."""
        frame = Frame.of(asked.above, published, self._context.options, asked.period)
        unit = specialty.known(frame, asked.unit)
        key = (published.version, frame.quarter or "", unit.code)
        # One at a time, and each once: many at once take the processor from those who ask for a postcode.
        with self._writing:
            if (made := self._briefs.get(key)) is None:
                made = write(published, self._context.book, self._context.options, key[1], unit.code)
                self._briefs[key] = made
                while len(self._briefs) > _KEPT_BRIEFS:
                    self._briefs.popitem(last=False)
            self._briefs.move_to_end(key)
            return made

    def practice_csv(self) -> bytes:
        """The whole bank of good practice as a file."""
        return practices.as_csv(self._context.book.practice)

    def _make(self, published: Published, asked: Asked) -> Made:
        key = (published.version, asked)
        with self._lock:
            if (made := self._made.get(key)) is not None:
                self._made.move_to_end(key)
                return made
        frame = Frame.of(asked.above, published, self._context.options, asked.period)
        screen = _SCREENS[asked.place](self._context, frame, asked)
        for section in screen.sections:
            for exhibit in section.exhibits:
                _draw(exhibit.chart)
        made = Made(screen, render_screen(screen))
        with self._lock:
            self._made[key] = made
            while len(self._made) > _KEPT:
                self._made.popitem(last=False)
        return made
