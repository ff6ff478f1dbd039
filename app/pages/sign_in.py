"""The page on which a key is shown, and those that say why a page stays closed.

`above` in every function is the way from the page's address up to the service's root: empty, or `../` some times. The
same page may stand at several addresses, below any path of a proxy.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from app.pages.rendering import render

Problem = Literal["empty", "wrong"]
Notice = Literal["out", "over"]

PROBLEMS: Final[Mapping[Problem, str]] = {
    "empty": "Enter your key",
    "wrong": "This key does not work. Check that you copied all of it, or ask for a new one",
}
NOTICES: Final[Mapping[Notice, str]] = {
    "out": "You are signed out.",
    "over": "You are not signed in, so what you typed was not used or kept. Sign in, then fill in the form again.",
}
HIDDEN_FIELD: Final = "form_token"
"""Where a form holds its token."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is signed in, as a page shows it. `name` is empty for a user of the organisation's own sign-in."""

    name: str
    form_token: str


# What is said in the place of a page: heading, text.
_CLOSED: Final[Mapping[int, tuple[str, str]]] = {
    403: (
        "You do not have access to this page",
        "You are signed in, but not for this. Ask the person who runs IMD Lens in your organisation.",
    ),
    404: (
        "There is no such page",
        "The address may have been cut short, or nothing is published of what it names. Go back and choose again.",
    ),
    413: ("What was sent is too large", "Go back and try again."),
    429: ("Too many people are using this page", "Try again in a minute. Nothing that you typed was kept."),
    503: ("Sorry, there is a problem with the service", "Try again in a few minutes. Nothing that you typed was kept."),
}
_ODD: Final = ("Sorry, this could not be read", "Go back and try again.")


def render_sign_in(above: str, to: str, *, problem: Problem | None = None, notice: Notice | None = None) -> bytes:
    """The page with the field for a key. `to` is the name of the door to open next; the key is never shown again."""
    return render(
        "sign_in.html",
        static=f"{above}static",
        above=above,
        to=to,
        problem=PROBLEMS[problem] if problem else None,
        notice=NOTICES[notice] if notice else None,
    )


def render_closed(above: str, status: int, *, may_sign_in: bool = False) -> bytes:
    """What stands in the place of a page that cannot be shown. `may_sign_in`: another key may help."""
    title, text = _CLOSED.get(status, _ODD)
    return _closed(above, title, text, link=("sign-in", "Sign in with another key") if may_sign_in else None)


def render_not_from_here(above: str) -> bytes:
    """What is said to a form that did not come from a page of ours, or from one that is too old."""
    return _closed(
        above,
        "This form could not be used",
        "It may have been open for too long, or another website may have sent it. Nothing that you typed was kept.",
        link=("./", "Start again"),
    )


def render_not_safe(above: str) -> bytes:
    """What stands in the place of the field for a key where others could read it on its way."""
    return _closed(
        above,
        "You need a secure connection to sign in",
        "Others could read your key on its way. Open this page at its address that starts with https.",
        "If there is no such address, tell the person who runs IMD Lens in your organisation: the settings"
        " IMDLENS_PUBLIC_URL and IMDLENS_PROXIES are for this.",
    )


def _closed(above: str, title: str, *texts: str, link: tuple[str, str] | None = None) -> bytes:
    return render("closed.html", static=f"{above}static", above=above, title=title, texts=texts, link=link)
