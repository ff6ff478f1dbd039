"""What stands on a card, and what never does."""

import html
import re
from dataclasses import fields, replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from app.pages.card import Bar, CardView, Line, render_ask, render_card, render_gone, render_not_found
from app.pages.sign_in import Visitor, render_closed, render_not_from_here, render_not_safe, render_sign_in
from tests.unit.pages.views import FULL, VIEWS

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7*7 }}{% raw %}&amp;\u202e\x00"
VOID = {"meta", "link", "input", "img", "br"}
PAGES = {name: render_card(view) for name, view in VIEWS.items()} | {
    "ask": render_ask(),
    "ask, a problem": render_ask("postcode", is_demonstration=True),
    "ask, a problem elsewhere": render_ask("age"),
    "ask, signed in": render_ask(visitor=Visitor("clinic", "0" * 64)),
    "ask, by a proxy": render_ask(visitor=Visitor("", "0" * 64)),
    "sign in": render_sign_in("", "ask"),
    "sign in, again": render_sign_in("../", "ask", problem="wrong", notice="over"),
    "no access": render_closed("", 403, may_sign_in=True),
    "not read": render_closed("../", 415),
    "another site": render_not_from_here(""),
    "in the clear": render_not_safe(""),
    "gone": render_gone(),
    "no card": render_not_found(),
}


class Reader(HTMLParser):
    """Elements in order, each with its attributes and the text inside; fails where tags do not close."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[list[str]] = []
        self.open: list[int] = []
        self.feed(page.decode())
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.texts.append([])
        if tag not in VOID:
            self.open.append(len(self.elements) - 1)

    def handle_endtag(self, tag: str) -> None:
        assert self.elements[self.open.pop()][0] == tag

    def handle_data(self, data: str) -> None:
        for place in self.open:
            self.texts[place].append(data)

    def text_of(self, *tags: str) -> list[str]:
        found = zip(self.elements, self.texts, strict=True)
        return [" ".join("".join(text).split()) for (tag, _), text in found if tag in tags]


def details_of(page: bytes) -> bytes:
    """The private part of a card as it stands while shut."""
    found = re.search(rb"<details.*?</summary>", page, re.DOTALL)
    assert found
    return found.group()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_no_script_no_inline_style_and_no_address_but_its_own(name: str) -> None:
    reader = Reader(PAGES[name])
    for tag, attributes in reader.elements:
        assert tag not in {"script", "style", "iframe", "object", "embed", "img", "svg", "base", "video", "audio"}
        assert not {key for key in attributes if key == "style" or key == "src" or key.startswith("on")}
        if tag == "link":
            assert re.fullmatch(r"(\.\./)?static/[\w./-]+\.css", attributes["href"] or "")
    assert b"style=" not in PAGES[name]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_in_british_english_with_one_main_heading_and_no_level_left_out(name: str) -> None:
    reader = Reader(PAGES[name])
    assert next(a for tag, a in reader.elements if tag == "html") == {"lang": "en-GB"}
    levels = [int(tag[1]) for tag, _ in reader.elements if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    if name in VIEWS:
        assert levels[0] == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("name", PAGES)
def test_no_id_stands_twice_and_all_that_is_referred_to_is_there(name: str) -> None:
    reader = Reader(PAGES[name])
    ids = [a["id"] for _, a in reader.elements if "id" in a]
    assert len(ids) == len(set(ids))
    for _, attributes in reader.elements:
        named = f"{attributes.get('aria-labelledby') or ''} {attributes.get('aria-describedby') or ''}".split()
        named += [attributes["for"] or ""] if "for" in attributes else []
        assert set(named) <= set(ids)


def test_the_main_heading_is_the_sentence_about_the_area_and_the_second_sentence_follows() -> None:
    for name, view in VIEWS.items():
        reader = Reader(PAGES[name])
        assert reader.text_of("h1") == [view.summary]
        assert PAGES[name].index(b"</h1>") < PAGES[name].index(view.second.encode()) < PAGES[name].index(b"<h2")


def test_every_sentence_of_a_full_view_is_on_its_card_in_the_order_in_which_it_is_read() -> None:
    text = " ".join(Reader(PAGES["full"]).text_of("main")[0].split())
    bars = [part for bar in FULL.bars for part in (bar.label, bar.gloss, bar.sentence) if part]

    def of(*groups: tuple[Line, ...]) -> list[str]:
        lines = [line for group in groups for line in group]
        return [part for line in lines for part in (line.title, line.text, line.phone, line.note) if part]

    said = [
        *(FULL.notice, FULL.summary, FULL.second, FULL.never, FULL.gloss, FULL.core20, FULL.core20_detail),
        *(*FULL.cautions, *bars, *FULL.area, FULL.asked, FULL.asked_note, *FULL.cues, *FULL.follow_ups),
        *(*of(FULL.signposts), FULL.more_signposts, FULL.offer_note, *of(FULL.clinical_areas)),
        *(*of(FULL.leads, FULL.resources, FULL.private), FULL.source),
    ]
    place = 0
    for sentence in said:
        place = text.index(sentence, place) + len(sentence)


def test_nothing_to_say_is_not_a_heading_with_nothing_under_it() -> None:
    lists = {f.name: () for f in fields(CardView) if isinstance(getattr(FULL, f.name), tuple)}
    reader = Reader(render_card(replace(FULL, **(lists | {"cues": FULL.cues}))))
    assert reader.text_of("h2", "h3") == [FULL.core20, "Questions that help"]
    assert not reader.text_of("table")


def test_a_part_that_is_not_known_has_its_row_and_no_place_on_the_scale() -> None:
    page = PAGES["full"].decode()
    row = next(part for part in page.split("<tr>") if "Housing and services" in part)
    assert "Not known for this area." in row
    assert "decile-" not in row


def test_the_scale_says_its_number_in_text_too() -> None:
    rows = Reader(PAGES["decile 6"]).text_of("td")
    assert rows[0] == "Step 6 of 10. Less deprived than about 5 in 10 areas."


@pytest.mark.parametrize("decile", [0, 11, -1])
def test_a_decile_that_there_is_not_is_refused(decile: int) -> None:
    with pytest.raises(ValueError, match="1 to 10"):
        Bar("Income", decile, "")


def test_the_private_part_is_shut_and_the_same_whether_or_not_anything_is_in_it() -> None:
    shut = {details_of(PAGES[name]) for name in VIEWS}
    assert len(shut) == 1
    assert b" open" not in shut.pop().split(b">")[0]
    for name, view in VIEWS.items():
        rest = PAGES[name].split(b"<details")[1].split(b"</details>")[1] + PAGES[name].split(b"<details")[0]
        for line in view.private:
            assert html.escape(line.title).encode() not in rest
            assert line.text.encode() not in rest


def test_two_cards_that_differ_in_what_is_private_differ_nowhere_else() -> None:
    def public(page: bytes) -> bytes:
        return re.sub(rb'<div class="nhsuk-details__text">.*?</details>', b"", page, flags=re.DOTALL)

    assert public(PAGES["no fixed abode"]) == public(PAGES["withheld"])
    assert PAGES["no fixed abode"] != PAGES["withheld"]


def test_the_title_of_the_window_is_the_same_for_every_card() -> None:
    assert {tuple(Reader(PAGES[name]).text_of("title")) for name in VIEWS} == {("Card about the area - IMD Lens",)}


def test_a_hostile_string_in_any_field_stays_text() -> None:
    line = Line(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    clean = Line("a", "a", None, "a", "a")
    for place in fields(CardView):
        values = {
            "bars": ((Bar(HOSTILE, 3, HOSTILE),), (Bar("a", 3, "a"),)),
            "clinical_areas": ((line,), (clean,)),
            "signposts": ((line,), (clean,)),
            "leads": ((line,), (clean,)),
            "resources": ((line,), (clean,)),
            "private": ((line,), (clean,)),
            "cautions": ((HOSTILE,), ("a",)),
            "area": ((HOSTILE,), ("a",)),
            "cues": ((HOSTILE,), ("a",)),
            "follow_ups": ((HOSTILE,), ("a",)),
            "private_empty": (HOSTILE, "a"),
        }.get(place.name, (HOSTILE, "a"))
        view = replace(FULL, private=())
        hostile, harmless = (Reader(render_card(replace(view, **{place.name: value}))) for value in values)
        assert hostile.elements == harmless.elements, place.name
        assert "alert(1)" in str(hostile.texts)


def test_a_sign_that_cannot_be_sent_costs_one_sign_and_not_the_card() -> None:
    assert "in area ?." in render_card(replace(FULL, source="in area \ud800.")).decode()


@pytest.mark.parametrize(
    "link",
    [
        "https://www.nhs.uk/live-well/",
        "http://intranet.example/leads?id=1#top",
        "HTTPS://EXAMPLE.ORG",
        "tel:111",
        "tel:+441154960000",
    ],
)
def test_a_link_to_a_page_or_a_telephone_is_a_link(link: str) -> None:
    assert Line("Help", "", link).href == link


@pytest.mark.parametrize(
    "link",
    [
        "",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "java\nscript:alert(1)",
        " javascript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "mailto:a@example.org",
        "//example.org/x",
        "/card",
        "card",
        "https:example.org",
        "https://",
        "https:///x",
        "https://user:word@example.org/",
        "https://nhs.uk\\@example.org/",
        "https://[broken/",
        "https://example.org/a b",
        "https://example.org/\u202e",
        "tel:",
        "tel:*#06#",
        "tel://0115",
        "tel:111?x",
    ],
)
def test_any_other_link_is_left_out_and_its_words_stay(link: str) -> None:
    assert Line("Help", "", link).href is None
    page = render_card(replace(FULL, signposts=(Line("Help in words", "", link),), resources=()))
    assert '<span class="lines__title">Help in words</span>' in page.decode()


@pytest.mark.parametrize(
    ("phone", "dial"),
    [
        ("0800 144 8848", "tel:08001448848"),
        ("+44 (115) 496-0000", "tel:+441154960000"),
        ("+44 (0)115 496 0000", "tel:+441154960000"),
        ("0115 496 0000 or 111", None),
        ("111", "tel:111"),
        ("ask the desk", None),
        ("", None),
        (None, None),
        ("0115 496 0000 ext. 123456789", None),
    ],
)
def test_a_telephone_number_can_be_pressed_where_it_is_one(phone: str | None, dial: str | None) -> None:
    assert Line("Help", "", phone=phone).dial == dial


def test_links_tell_nobody_where_they_were_pressed_and_leave_the_record_in_its_frame() -> None:
    links = [a for tag, a in Reader(PAGES["full"]).elements if tag == "a" and not (a["href"] or "").startswith("#")]
    assert len(links) >= 6
    for link in links:
        assert link["rel"] == "noreferrer"
        assert ("target" in link) == (link["href"] or "").startswith("http")


def test_the_page_to_try_asks_for_three_things_and_sends_them_in_a_body() -> None:
    reader = Reader(PAGES["ask"])
    forms = [a for tag, a in reader.elements if tag == "form"]
    assert [(form["method"], form["action"]) for form in forms] == [("post", "card")]
    inputs = [a for tag, a in reader.elements if tag == "input"]
    assert [a["name"] for a in inputs] == ["postcode", "specialty", "age"]
    assert all(a["autocomplete"] == "off" and "value" not in a for a in inputs)
    assert "trying it out" in PAGES["ask"].decode()
    assert "demonstration data" in PAGES["ask, a problem"].decode()
    assert "Nothing that you type here is recorded." in PAGES["ask"].decode()


def test_every_form_of_whoever_is_signed_in_holds_the_token() -> None:
    for name, forms in (("ask, signed in", ["sign-out", "card"]), ("ask, by a proxy", ["card"])):
        reader = Reader(PAGES[name])
        assert [a["action"] for tag, a in reader.elements if tag == "form"] == forms
        tokens = [a["value"] for tag, a in reader.elements if tag == "input" and a["name"] == "form_token"]
        assert tokens == ["0" * 64] * len(forms)
    assert b"form_token" not in PAGES["ask"] + PAGES["sign in"]


def test_the_field_for_a_key_shows_and_remembers_nothing() -> None:
    for name in ("sign in", "sign in, again"):
        (field,) = [a for tag, a in Reader(PAGES[name]).elements if tag == "input" and a["name"] == "key"]
        assert (field["type"], field["autocomplete"], "value" in field) == ("password", "off", False)
        (form,) = [a for tag, a in Reader(PAGES[name]).elements if tag == "form"]
        assert form["method"] == "post"
    assert form["action"] == "../sign-in"


def test_a_problem_is_said_in_the_title_at_the_top_and_at_its_field() -> None:
    reader = Reader(PAGES["ask, a problem elsewhere"])
    assert reader.text_of("title") == ["Error: Try a postcode - IMD Lens"]
    assert reader.text_of("main")[0].count("Enter an age in years, such as 54") == 2
    marked = [a["name"] for tag, a in reader.elements if tag == "input" and a.get("aria-invalid") == "true"]
    assert marked == ["age"]


def test_a_card_whose_time_is_over_says_what_to_do() -> None:
    assert Reader(PAGES["gone"]).text_of("h1") == ["This card has expired. Open it again from the record."]


def test_each_page_finds_its_style_sheets_from_where_it_is_served() -> None:
    def prefixes(page: bytes) -> set[str]:
        return {(a["href"] or "").split("static/")[0] for tag, a in Reader(page).elements if tag == "link"}

    assert prefixes(PAGES["ask"]) == {""}
    for name in {*VIEWS, "gone", "no card"}:
        assert prefixes(PAGES[name]) == {"../"}
