"""The card that a clinician reads in the record: a view of plain values in, one HTML page out.

The page has no script, no inline style and no address but its own style sheets, so that the strictest
content policy fits it. What must not be seen or overheard stands behind one control, which looks and
reads the same on every card: that it is there says nothing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from app.pages.rendering import render
from app.pages.sign_in import Visitor

Field = Literal["postcode", "specialty", "age"]

PROBLEMS: Final[Mapping[Field, str]] = {
    "postcode": "Enter a postcode",
    "specialty": "Enter a treatment function code: three numbers, such as 340",
    "age": "Enter an age in years, such as 54",
}
STATIC: Final = Path(__file__).parent / "static"
TOO_OLD: Final = "This card has expired. Open it again from the record."

_ABOVE: Final = "../static"  # from /card/{token}
_BESIDE: Final = "static"  # from /
_PRINTABLE: Final = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Bar:
    """One part of deprivation: where the area stands in it, 1 the most deprived tenth, None where not known."""

    label: str
    decile: int | None
    sentence: str
    gloss: str | None = None  # what this part is about

    def __post_init__(self) -> None:
        """A wrong decile fails where it is made, not on a page."""
        if self.decile is not None and not 1 <= self.decile <= 10:
            raise ValueError("a decile is 1 to 10, or None")


@dataclass(frozen=True, slots=True)
class Line:
    """One thing to offer or whom to ask: a signpost, a clinical area, a lead, a resource, a need."""

    title: str
    text: str
    link: str | None = None
    phone: str | None = None
    note: str | None = None

    @property
    def href(self) -> str | None:
        """The link, if it is one that a card may hold: an absolute http or https address, or tel."""
        return _safe(self.link)

    @property
    def away(self) -> bool:
        """Whether the link leads to another site, and so opens beside the record and not in its frame."""
        return self.href is not None and not self.href.lower().startswith("tel:")

    @property
    def dial(self) -> str | None:
        """The telephone number as a link; None where it is anything but one number, an extension for example."""
        # The (0) of +44 (0)115 is for those who dial without +44.
        number = re.sub(r"(?<=\S)\s?\(0\)|[ ().-]", "", self.phone or "")
        return f"tel:{number}" if re.fullmatch(r"\+?[0-9]{3,15}", number) else None


@dataclass(frozen=True, slots=True)
class CardView:
    """All that a card shows, in the order in which it is read. Empty texts and tuples are left out."""

    notice: str  # of demonstration data
    summary: str
    second: str
    never: str
    gloss: str
    core20: str
    core20_detail: str
    cautions: tuple[str, ...]
    bars: tuple[Bar, ...]
    area: tuple[str, ...]
    asked: str
    asked_note: str
    cues: tuple[str, ...]
    follow_ups: tuple[str, ...]
    clinical_areas: tuple[Line, ...]
    offer_note: str
    signposts: tuple[Line, ...]
    more_signposts: str
    leads: tuple[Line, ...]
    resources: tuple[Line, ...]
    private: tuple[Line, ...]  # behind the control, never printed
    private_empty: str
    source: str


def render_card(view: CardView) -> bytes:
    """The card's page, to be served at `card/{token}`."""
    return render("card.html", static=_ABOVE, view=view)


def render_ask(
    wrong: Field | None = None,
    *,
    is_demonstration: bool = False,
    may_see_dashboard: bool = False,
    visitor: Visitor | None = None,
) -> bytes:
    """The page to try a postcode on. `wrong`: the field that could not be used; what was typed is never shown again."""
    return render(
        "ask.html",
        static=_BESIDE,
        problem=PROBLEMS[wrong] if wrong else None,
        field=wrong,
        is_demonstration=is_demonstration,
        may_see_dashboard=may_see_dashboard,
        visitor=visitor,
    )


def render_gone() -> bytes:
    """What stands in a card's place when its time is over."""
    return render("notice.html", static=_ABOVE, title=TOO_OLD, text="A card stays open for 15 minutes.")


def render_not_found() -> bytes:
    """What stands in a card's place when there is none at this address."""
    return render(
        "notice.html",
        static=_ABOVE,
        title="There is no card here.",
        text="The address may have been cut short. Open the card again from the record.",
    )


def _safe(link: str | None) -> str | None:
    """The link, or None for one that could run something, hide where it leads, or carry a name and password."""
    if link is None or not _PRINTABLE.fullmatch(link):
        return None
    try:
        parts = urlsplit(link)
    except ValueError:
        return None
    if parts.scheme == "tel":
        return link if re.fullmatch(r"\+?[0-9-]{3,20}", parts.path) and link[4:] == parts.path else None
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc or "\\" in link:
        return None
    return link
