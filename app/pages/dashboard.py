"""The dashboard's pages: one screen of plain values in, a page out that needs no script.

Every screen is a heading that says the finding, and sections in the order in which they are read. Addresses in links
are relative to the page, so that they hold below any path of a proxy.
"""

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from markupsafe import Markup

from app.pages.charts import Cell, Chart, svg
from app.pages.rendering import render
from app.pages.sign_in import Visitor

Look = Literal["plain", "banner", "empty", "act", "quiet"]
"""How a section looks: a warning at the top, a place that is empty, what to do, small print."""

WIDE: Final = 720  # pixels that a chart is drawn for, on wide windows
NARROW: Final = 340  # and on telephones, or where two stand side by side

_ACCOUNT: Final = b"<!--account-->"


class Link(NamedTuple):
    """A place to go. `is_current`: it is this page."""

    text: str
    href: str
    note: str = ""
    is_current: bool = False


class Chooser(NamedTuple):
    """The same page of something else: of another period (the newest first), measure or specialty."""

    label: str
    links: tuple[Link, ...]


class Fact(NamedTuple):
    """One figure in large letters, and what it is. `mark` is `*`, `w` or `absent` where it is not shown."""

    label: str
    value: str
    note: str = ""
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A chart with its table, and where the same numbers are as CSV and JSON."""

    chart: Chart
    csv: str
    json: str


@dataclass(frozen=True, slots=True)
class Grid:
    """A table without a chart. Cells are texts, the first of each row its heading; `*` and `w` are told in words."""

    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[int] = frozenset()  # columns that hold numbers


class Group(NamedTuple):
    """Links below a heading of their own, which can be gone to; without a heading where it would repeat a link."""

    id: str
    heading: str
    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """One answer of a screen; empty parts are left out."""

    id: str
    heading: str
    sentences: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    exhibits: tuple[Exhibit, ...] = ()
    grid: Grid | None = None
    groups: tuple[Group, ...] = ()
    items: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    quiet: tuple[str, ...] = ()
    look: Look = "plain"


@dataclass(frozen=True, slots=True)
class Screen:
    """One page of the dashboard."""

    above: str  # the way up to the service's root
    title: str  # of the browser's tab
    over: str  # above the heading: whose, and when
    heading: str
    lead: tuple[str, ...]
    jumps: tuple[Link, ...]  # to parts of this page
    navigation: tuple[Link, ...]
    crumbs: tuple[Link, ...]
    choosers: tuple[Chooser, ...]
    sections: tuple[Section, ...]
    most_hidden: int  # `*` is 1 to this
    is_synthetic: bool


def render_screen(screen: Screen, *, is_drawn: bool = True) -> bytes:
    """The page, the same for whoever may see it. DrawingError; none where its charts are not to be drawn."""
    return render(
        "dashboard.html",
        static=f"{screen.above}static",
        screen=screen,
        pictures=pictures if is_drawn else _no_pictures,
        shown=shown,
        column_words=_words_of,
    )


def with_account(html: bytes, above: str, visitor: Visitor | None) -> bytes:
    """The page with who is signed in put into its header; a page without a place for that stays as it is."""
    account = render("dashboard_account.html", above=above, visitor=visitor) if visitor else b""
    return html.replace(_ACCOUNT, account, 1)


def shown(value: Cell, mark: Cell = None) -> str:
    """A cell's text: what is hidden is its mark, what there is none of a dash."""
    if isinstance(value, int):
        return f"{value:,}".replace("-", "\N{MINUS SIGN}")
    if value is not None:
        return str(value)
    return str(mark) if mark in ("*", "w") else "–"


def _words_of(key: str, value: str) -> str:
    """A flag or a yes and no of a chart's table, in words."""
    words = _WORDS.get(key, {})
    return words.get(value, value)


def pictures(chart: Chart) -> tuple[Markup, Markup]:
    """The chart drawn for wide windows and for narrow ones. What is drawn is made by us, its texts escaped there."""
    return Markup(svg(chart, WIDE)), Markup(svg(chart, NARROW))  # noqa: S704 - see above


def _no_pictures(_: Chart) -> tuple[Markup, Markup]:
    said = Markup("<p>This chart cannot be drawn now. Its numbers are beneath.</p>")
    return said, said  # one of the two is shown


_WORDS: Final = {
    "flag": {"better": "unusual, better", "worse": "unusual, worse", "changed": "unusual"},
}
