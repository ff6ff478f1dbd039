"""The dashboard of one worker: screens worked out from what was published, each kept until something new is."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Final, Generic, Literal, NamedTuple, TypeVar

from app.context.rulebook import Rulebook
from app.counts.parts import Published
from app.dashboard import behind, organisation, practices, ranks, specialty, words
from app.dashboard.context import Context
from app.dashboard.frame import Frame, NoSuchPageError
from app.findings.kinds import MEASURES
from app.findings.options import Options
from app.pages.charts import Chart
from app.pages.dashboard import Screen, render_screen
from app.pages.drawing import DrawingError

log: Final = logging.getLogger("imdlens")

Place = Literal[
    "organisation", "specialty", "detail", "ranking", "completeness", "inclusion", "editions", "practice", "help"
]

_T = TypeVar("_T")
_KEPT: Final = 256  # pages, of some 60 kB
_KEPT_BRIEFS: Final = 64  # of some 40 kB

BriefWriter = Callable[[Published, Rulebook, Options, str, str], bytes]
"""Writes a unit's brief of a quarter."""


class Asked(NamedTuple):
    """A page, as its address asks for it; `above` is the way from there up to the service's root."""

    place: Place
    above: str
    unit: str = ""
    period: str | None = None
    measure: str | None = None


class _Kept(Generic[_T]):
    """What was made last. Two threads may make the same at a time."""

    def __init__(self, most: int) -> None:
        self._made: OrderedDict[Hashable, _T] = OrderedDict()
        self._most, self._lock = most, threading.Lock()

    def get(self, key: Hashable, make: Callable[[], _T]) -> _T:
        with self._lock:
            if key in self._made:
                self._made.move_to_end(key)
                return self._made[key]
        made = make()
        with self._lock:
            self._made[key] = made
            while len(self._made) > self._most:
                self._made.popitem(last=False)
        return made


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


class Dashboard:
    """Makes pages and charts. Safe to share between threads: a page may be made twice, and is the same."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._pages: _Kept[bytes] = _Kept(_KEPT)
        self._screens: _Kept[Screen] = _Kept(_KEPT)
        self._briefs: _Kept[bytes] = _Kept(_KEPT_BRIEFS)
        self._writing = threading.Lock()

    def page(self, published: Published, asked: Asked) -> bytes:
        """The page as bytes; with the numbers alone where no chart can be drawn now. NoSuchPageError."""
        screen = self._screen(published, asked)
        try:
            return self._pages.get((published.version, asked), lambda: render_screen(screen))
        except DrawingError:
            log.error("no chart can be drawn: pages show their numbers alone")
            return render_screen(screen, is_drawn=False)

    def chart(self, published: Published, name: str, asked: Asked) -> Chart:
        """The chart of this name on any page of the same unit, period and measure. NoSuchPageError."""
        if asked.measure is not None and (asked.unit or asked.measure not in MEASURES):
            raise NoSuchPageError
        for place in _OF_UNIT if asked.unit else _OF_ALL:
            # Screens are kept by what they depend on, so that no word of a caller's makes one anew.
            measure = asked.measure if place == "ranking" else None
            for section in self._screen(published, asked._replace(place=place, measure=measure)).sections:
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
            return self._briefs.get(key, lambda: write(published, self._context.book, self._context.options, *key[1:]))

    def practice_csv(self) -> bytes:
        """The whole bank of good practice as a file."""
        return practices.as_csv(self._context.book.practice)

    def _screen(self, published: Published, asked: Asked) -> Screen:
        def worked_out() -> Screen:
            frame = Frame.of(asked.above, published, self._context.options, asked.period)
            return _SCREENS[asked.place](self._context, frame, asked)

        return self._screens.get((published.version, asked), worked_out)
