"""What a card shows: an answer packed to codes for its token, and codes read back into a page's plain values.

A token holds what was found, never what was asked: no postcode, no area code, no age, no signal. Domains and
shares together do point to one small area nearly always, which is one more reason why it is sealed. Whoever
opens it gets the words of the rules that are in force then.
"""

import json
from collections.abc import Sequence
from datetime import date
from typing import Any, Final, NamedTuple

from app.context.area import AreaFact
from app.context.cautions import NOT_HOME
from app.context.signposting import Signpost
from app.enrichment import Enrichment, Question, Rules
from app.lookup.deprivation import DOMAINS
from app.lookup.index import Index
from app.pages.card import Bar, CardView, Line

# A card is read in a minute, and printed on one page: the nearest services, with room left for national ones.
_MOST_SIGNPOSTS: Final = 6
_LEAST_NATIONAL: Final = 2
_NOT_CHECKED: Final = "Not yet checked by this organisation."
_NOT_KNOWN: Final = "Not known for this area."
_NOTHING_PRIVATE: Final = "Nothing to show here. This does not mean that there are no needs: ask."
_DEMONSTRATION: Final = "Demonstration data: most postcodes are not in it."
_MORE: Final = "There is more in the organisation's directory."
_OFFER: Final = "National priorities (Core20PLUS5). For the service, not a finding about this patient."
_PROGRAMMES: Final = {"adult": "adults", "cyp": "children and young people"}


class _Codes(NamedTuple):
    """A card's content: a token of another layout is no card, and has minutes to live."""

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
    more_signposts: bool


def pack(question: Question, answer: Enrichment, index: Index, *, may_see_groups: bool) -> bytes:
    """A card's content as bytes for a token. ValueError when the answer was not asked for with its context."""
    reading, context = answer.reading, answer.context
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
        context.audience,
        # Only what a specialty is about: a related area on a card would look like a finding about the patient.
        [(a.programme, a.id, a.strength) for a in context.clinical_areas if a.strength == "direct"],
        [s.id for s in _fitting(context.signposts)],
        [need.id for need in answer.said.needs],
        [group.id for group in answer.said.groups] if may_see_groups else [],
        index.release.postcodes,
        index.release.starter,
        question.context_on.isoformat(),
        len(context.signposts) > _MOST_SIGNPOSTS,
    )
    return json.dumps(codes, separators=(",", ":")).encode()


def view_of(packed: bytes, rules: Rules) -> CardView:
    """The page's values from a token's content. ValueError when it is none that this version can read."""
    try:
        return _view(_read(packed), rules)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError("not a card's content") from error


def _view(codes: _Codes, rules: Rules) -> CardView:
    book = rules.book
    words, area = book.summaries, book.area
    status: Any = codes.status
    country: Any = codes.country
    problem: Any = codes.problem
    reason: Any = codes.core20_reason
    questions = book.prompts.ask_as(codes.audience, tuple(codes.domains) if codes.domains else None)
    asked, note = book.prompts.asked[codes.audience]
    areas = _clinical_areas(codes, rules)
    return CardView(
        notice=_DEMONSTRATION if codes.starter else "",
        summary=words.sentence(status, country, codes.decile, problem, is_home=not NOT_HOME & set(codes.cautions)),
        second=area.second,
        never=area.never,
        gloss=area.gloss if codes.decile else "",
        core20=words.core20_heading(codes.core20, reason),
        core20_detail=words.core20_detail(codes.edition, reason),
        cautions=tuple(said for c, said in book.cautions.sentences.items() if c in codes.cautions and c != status),
        bars=_bars(codes, rules),
        area=tuple(_sentences(codes, rules)),
        asked=asked,
        asked_note=note or "",
        cues=tuple(q.text for q in questions if q.kind == "cue"),
        follow_ups=tuple(q.text for q in questions if q.kind == "follow_up"),
        clinical_areas=tuple(areas),
        offer_note=f"{_OFFER} {book.core20plus5.always}" if codes.audience == "adult" else _OFFER,
        signposts=tuple(_signposts(codes, rules)),
        more_signposts=_MORE if codes.more_signposts else "",
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


def _fitting(signposts: Sequence[Signpost]) -> list[Signpost]:
    """As many as fit: the nearest, but with room for some of the whole nation's."""
    local = [s for s in signposts if s.area_code]
    national = [s for s in signposts if not s.area_code]
    room = _MOST_SIGNPOSTS - min(len(national), _LEAST_NATIONAL)
    chosen = local[:room]
    return chosen + national[: _MOST_SIGNPOSTS - len(chosen)]


def _bars(codes: _Codes, rules: Rules) -> tuple[Bar, ...]:
    if codes.domains is None:
        return ()
    area = rules.book.area
    deciles = dict(zip(DOMAINS, codes.domains, strict=True))
    parts = [(area.overall, codes.decile or 0)]
    parts += [(facts, deciles[name]) for name, facts in area.domains.items()]  # type: ignore[index]
    return tuple(_bar(facts, decile) for facts, decile in parts)


def _bar(facts: Sequence[AreaFact], decile: int) -> Bar:
    fact = facts[(decile or 1) - 1]
    said = fact.sentence.removeprefix(f"{fact.name}: ").removesuffix(" in England.")
    return Bar(fact.name, decile or None, f"{said[0].upper()}{said[1:]}." if decile else _NOT_KNOWN, fact.gloss)


def _sentences(codes: _Codes, rules: Rules) -> list[str]:
    area = rules.book.area
    known: dict[str, str] = {fact.id: fact.sentence for fact in area.rural}
    said = []
    for name, share in codes.facts:
        if name in area.measures and share is not None:
            said.append(area.measures[name][share].sentence)
        elif name in known and name not in codes.cautions:
            said.append(known[name])
    return [*said, area.census] if any(name in area.measures for name, _ in codes.facts) else said


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
        Line(e.name, _ended(e.what), e.url, e.phone, f"For: {_lower(_ended(e.for_whom))} {_checked(e)}")
        for e in entries
    ]


def _ended(words: str) -> str:
    return words if words.endswith(".") else f"{words}."


def _checked(entry: Signpost) -> str:
    return f"Checked {_day(entry.reviewed)}." if entry.reviewed else _NOT_CHECKED


def _private(codes: _Codes, rules: Rules) -> list[Line]:
    inclusion = rules.book.inclusion
    groups = [inclusion.groups[name] for name in codes.groups if name in inclusion.groups]
    needs = [inclusion.needs[name] for name in codes.needs if name in inclusion.needs]
    status: Any = codes.status
    lines = [Line(group.name, inclusion.sentence(group, status)) for group in groups]
    return lines + [Line(need.name, need.sentence) for need in needs]


def _source(codes: _Codes, rules: Rules) -> str:
    day = date.fromisoformat(codes.day)
    return f"Data: {codes.postcodes}, {codes.edition}. Rules: {rules.book.version}. Made {_day(day)}."


def _lower(words: str) -> str:
    """Words as they stand in a sentence's midst, but for names in capitals."""
    return words if words[:2].isupper() else f"{words[0].lower()}{words[1:]}"


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"
