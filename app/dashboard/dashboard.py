"""The dashboard of one worker: screens worked out from what was published, each kept until something new is."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final, Generic, Literal, NamedTuple, TypeVar

from app.context.rulebook import Rulebook
from app.counts.parts import Published
from app.dashboard import behind, organisation, practices, ranks, specialty, words
from app.dashboard.context import Context
from app.dashboard.frame import Frame, NoSuchPageError
from app.findings.options import Options
from app.pages.charts import Chart
from app.pages.dashboard import Screen, render_screen

Place = Literal[
    "organisation", "specialty", "detail", "ranking", "completeness", "inclusion", "editions", "practice", "help"
]

_T = TypeVar("_T")
_KEPT: Final = 256  # pages, of some 60 kB

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
    """What was made last, by what was published and asked for. Two threads may make the same at a time."""

    def __init__(self) -> None:
        self._made: OrderedDict[tuple[str, Asked], _T] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, published: Published, asked: Asked, make: Callable[[Published, Asked], _T]) -> _T:
        key = (published.version, asked)
        with self._lock:
            if key in self._made:
                self._made.move_to_end(key)
                return self._made[key]
        made = make(published, asked)
        with self._lock:
            self._made[key] = made
            while len(self._made) > _KEPT:
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
        self._pages: _Kept[bytes] = _Kept()
        self._screens: _Kept[Screen] = _Kept()

    def page(self, published: Published, asked: Asked) -> bytes:
        """The page as bytes. NoSuchPageError."""
        return self._pages.get(published, asked, lambda *of: render_screen(self._screen(*of)))

    def chart(self, published: Published, name: str, asked: Asked) -> Chart:
        """The chart of this name on any page of the same unit, period and measure. NoSuchPageError."""
        for place in _OF_UNIT if asked.unit else _OF_ALL:
            for section in self._screen(published, asked._replace(place=place)).sections:
                for exhibit in section.exhibits:
                    if exhibit.chart.id == name:
                        return exhibit.chart
        raise NoSuchPageError

    def brief(self, published: Published, asked: Asked, write: BriefWriter) -> bytes:
        """A specialty on one page of paper, as bytes of a document. NoSuchPageError."""
        frame = Frame.of(asked.above, published, self._context.options, asked.period)
        unit = specialty.known(frame, asked.unit)
        return write(published, self._context.book, self._context.options, frame.quarter or "", unit.code)

    def practice_csv(self) -> bytes:
        """The whole bank of good practice as a file."""
        return practices.as_csv(self._context.book.practice)

    def _screen(self, published: Published, asked: Asked) -> Screen:
        return self._screens.get(published, asked, self._worked_out)

    def _worked_out(self, published: Published, asked: Asked) -> Screen:
        frame = Frame.of(asked.above, published, self._context.options, asked.period)
        return _SCREENS[asked.place](self._context, frame, asked)
