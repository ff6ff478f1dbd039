"""What a card shows: an answer packed to codes for its token, and codes read back into a page's plain values.

A token holds what was found, never what was asked: no postcode, no area code, no date of birth or age, no
signal. Whoever opens it gets the words of the rules that are in force then.
"""

import json
from collections.abc import Sequence
from datetime import date
from typing import Any, Final, NamedTuple

from app.context.area import AreaFact
from app.context.core20plus5 import read_age
from app.enrichment import Enrichment, Question, Rules
from app.lookup.deprivation import DOMAINS
from app.lookup.index import Index
from app.pages.card import Bar, CardView, Line

_MOST_SIGNPOSTS: Final = 6  # the nearest: a card is read in a minute, and printed on one page
_MOST_AREAS: Final = 3
_NOT_CHECKED: Final = "Not yet checked by this organisation"
_NOT_KNOWN: Final = "Not known for this area."
_NOTHING_PRIVATE: Final = "Nothing to show here: nothing was sent, or it is not for this screen."
_PROGRAMMES: Final = {"adult": "adults", "cyp": "children and young people"}


class _Codes(NamedTuple):
    """A card's content. Grows at its end only: a token lives for minutes, through a change of version."""

    status: str
    country: str | None
    problem: str | None
    decile: int | None  # that the sentence speaks of
    core20: bool | None
    core20_reason: str | None
    edition: str
    cautions: Sequence[str]
    domains: Sequence[int] | None
    facts: Sequence[tuple[str, int | None]]  # census and rural: id and share
    audience: str
    areas: Sequence[tuple[str, str, str]]
    signposts: Sequence[str]
    needs: Sequence[str]
    groups: Sequence[str]
    postcodes: str
    starter: bool
    day: str


def pack(question: Question, answer: Enrichment, index: Index, rules: Rules, *, may_see_groups: bool) -> bytes:
    """A card's content as bytes for a token. ValueError when the answer was not asked for with its context."""
    reading, context, book = answer.reading, answer.context, rules.book
    if context is None or question.context_on is None:
        raise ValueError("a card needs context")
    standings = [s for s in reading.editions.values() if s is not None]
    spoken = reading.imd_decile if reading.country == "England" else (standings[0].decile if standings else None)
    codes = _Codes(
        reading.postcode_status,
        reading.country,
        "empty" if any(w.code == "empty" for w in reading.warnings) else None,
        spoken,
        reading.core20,
        reading.core20_reason,
        reading.imd_edition,
        reading.cautions,
        answer.domains,
        [(fact.id, _share(fact)) for fact in context.area if fact.kind != "domain"],
        book.prompts.audience(read_age((question.contact or {}).get("age"))),
        [(a.programme, a.id, a.strength) for a in context.clinical_areas[:_MOST_AREAS]],
        [s.id for s in context.signposts[:_MOST_SIGNPOSTS]],
        [need.id for need in answer.said.needs],
        [group.id for group in answer.said.groups] if may_see_groups else [],
        index.release.postcodes,
        index.release.starter,
        question.context_on.isoformat(),
    )
    return json.dumps(codes, separators=(",", ":")).encode()


def view_of(packed: bytes, rules: Rules) -> CardView:
    """The page's values from a token's content. ValueError when it is none that this version can read."""
    codes = _read(packed)
    book = rules.book
    words = book.summaries
    status: Any = codes.status
    country: Any = codes.country
    problem: Any = codes.problem
    core20 = {True: "yes", False: "no", None: "unknown"}[codes.core20]
    reason = words.core20_reason.get(codes.core20_reason or "")
    cautions = [c for c in book.cautions.sentences if c in codes.cautions]
    questions = book.prompts.ask_as(codes.audience, tuple(codes.domains) if codes.domains else None)
    return CardView(
        summary=words.sentence(status, country, codes.decile, problem),
        second=book.area.second,
        gloss=book.area.gloss if codes.decile else "",
        core20=words.core20[core20],
        core20_detail=reason or words.editions.get(codes.edition, codes.edition),
        cautions=tuple(book.cautions.sentences[c] for c in cautions),
        bars=_bars(codes, rules),
        area=tuple(_sentences(codes, rules)),
        cues=tuple(q.text for q in questions if q.kind == "cue"),
        follow_ups=tuple(q.text for q in questions if q.kind == "follow_up"),
        clinical_areas=tuple(_clinical_areas(codes, rules)),
        signposts=tuple(_signposts(codes, rules)),
        leads=tuple(Line(lead.title, lead.sentence) for lead in book.organisation.leads),
        resources=tuple(Line(resource.title, "", resource.url) for resource in book.organisation.resources),
        private=tuple(_private(codes, rules)),
        private_empty=_NOTHING_PRIVATE,
        source=_source(codes, rules),
    )


def _read(packed: bytes) -> _Codes:
    values = json.loads(packed)
    if not isinstance(values, list) or len(values) < len(_Codes._fields):
        raise ValueError("not a card's content")
    return _Codes(*values[: len(_Codes._fields)])


def _share(fact: AreaFact) -> int | None:
    return -1 if fact.few else fact.share


def _bars(codes: _Codes, rules: Rules) -> tuple[Bar, ...]:
    if codes.domains is None:
        return ()
    deciles = dict(zip(DOMAINS, codes.domains, strict=True))
    bars = []
    for name, facts in rules.book.area.domains.items():
        decile = deciles[name]  # type: ignore[index]
        fact = facts[(decile or 1) - 1]
        said = fact.sentence.removeprefix(f"{fact.name}: ")
        sentence = f"{said[0].upper()}{said[1:]}" if decile else _NOT_KNOWN
        bars.append(Bar(fact.name, decile or None, sentence))
    return tuple(bars)


def _sentences(codes: _Codes, rules: Rules) -> list[str]:
    area = rules.book.area
    known: dict[str, str] = {fact.id: fact.sentence for fact in area.rural}
    said = []
    for name, share in codes.facts:
        if name in area.measures and share is not None:
            said.append(area.measures[name][share].sentence)
        elif name in known and name not in codes.cautions:
            said.append(known[name])
    return said


def _clinical_areas(codes: _Codes, rules: Rules) -> list[Line]:
    areas = [rules.book.core20plus5.area(*names) for names in codes.areas]
    return [
        Line(
            area.name,
            f"National aim: {area.aim[0].lower()}{area.aim[1:]}",
            note=f"Core20PLUS5 for {_PROGRAMMES[area.programme]}. {area.why}",
        )
        for area in areas
        if area
    ]


def _signposts(codes: _Codes, rules: Rules) -> list[Line]:
    known = {entry.id: entry for entry in rules.book.signposts.entries}
    entries = [known[name] for name in codes.signposts if name in known]
    return [
        Line(
            e.name,
            f"{e.what}. For: {_lower(e.for_whom)}.",
            e.url,
            e.phone,
            f"Checked {_day(e.reviewed)}" if e.reviewed else _NOT_CHECKED,
        )
        for e in entries
    ]


def _private(codes: _Codes, rules: Rules) -> list[Line]:
    inclusion = rules.book.inclusion
    groups = [inclusion.groups[name] for name in codes.groups if name in inclusion.groups]
    needs = [inclusion.needs[name] for name in codes.needs if name in inclusion.needs]
    status: Any = codes.status
    lines = [Line(group.name, inclusion.sentence(group, status)) for group in groups]
    return lines + [Line(need.name, need.sentence) for need in needs]


def _source(codes: _Codes, rules: Rules) -> str:
    day = date.fromisoformat(codes.day)
    said = f"Data: {codes.postcodes}, {codes.edition}. Rules: {rules.book.version}. Made {_day(day)}."
    return f"Demonstration data: most postcodes are not in it. {said}" if codes.starter else said


def _lower(words: str) -> str:
    """Words as they stand in a sentence's midst, but for names in capitals."""
    return words if words[:2].isupper() else f"{words[0].lower()}{words[1:]}"


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"
