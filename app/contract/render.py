"""An enrichment as JSON, written from prepared parts.

A response model would cost most of a batch's time (docs/adr records the figures), so the bytes are
put together here; a property test holds them equal to `EnrichResponse`.
"""

from functools import lru_cache
from typing import Any, Final

from pydantic_core import to_json

from app.context.inclusion import NOTHING, Group, Need
from app.context.notices import Notice
from app.context.organisation import Organisation
from app.context.rulebook import Context
from app.counts.intake import Receipt
from app.enrichment import Enrichment, Reading, Rules
from app.lookup.deprivation import DOMAINS
from app.lookup.index import Release

_DOMAINS: Final = ("{" + ",".join(f'"{name}":%d' for name in DOMAINS) + "}").encode()
_NO_CONTEXT: Final = (
    b',"context":{"words":null,"cautions":[],"area":[],"prompts":[],"signposts":[],"clinical_areas":[],'
    b'"leads":[],"resources":[]}'
)

_NO_AREA: Final = b',"area":null'


def render(
    answer: Enrichment, receipt: Receipt, release: Release, rules: Rules, *, may_see_groups: bool = False
) -> bytes:
    """One answer as a JSON object. Groups and what may not be overheard only for the scope `inclusion`."""
    reading, domains, area, _, said, context = answer
    before, after, end, plain = _around(reading, receipt, said.problems, release, rules, may_see_groups)
    written = _domains(domains) if domains else b"null"
    if said is NOTHING and area is None and context is None:
        return b"".join((before, written, plain))
    return b"".join(
        (
            before,
            written,
            after,
            _needs(said.needs),
            _groups(said.groups, said.private_summary) if may_see_groups else _UNSEEN,
            _context(context, reading, rules) if context else _NO_CONTEXT,
            b',"area":' + to_json(area._asdict()) if area else _NO_AREA,
            end,
        )
    )


def _domains(deciles: tuple[int, ...]) -> bytes:
    if all(deciles):
        return _DOMAINS % deciles
    return to_json(dict(zip(DOMAINS, (d or None for d in deciles), strict=True)))


# ------------------------------------------------------ what the rules say, each piece written once

_UNSEEN: Final = b',"inclusion_health":{"groups":null,"private_summary":null}'


@lru_cache(maxsize=1024)
def _needs(needs: tuple[Need, ...]) -> bytes:
    return b',"access_needs":' + to_json([_fields(n, "id", "name", "sentence") for n in needs])


@lru_cache(maxsize=1024)
def _groups(groups: tuple[Group, ...], private_summary: str | None) -> bytes:
    shown = {"groups": [_fields(g, "id", "name") for g in groups], "private_summary": private_summary}
    return b',"inclusion_health":' + to_json(shown)


def _context(context: Context, reading: Reading, rules: Rules) -> bytes:
    area, audience, prompts, signposts, clinical_areas = context
    return b"".join(
        (
            _words(reading, audience, rules),
            b',"area":[',
            b",".join([_area_fact(fact) for fact in area]),
            b'],"prompts":',
            _prompts(prompts),
            b',"signposts":',
            _signposts(signposts),
            b',"clinical_areas":',
            _clinical_areas(clinical_areas),
            _organisation(rules.book.organisation),
        )
    )


@lru_cache(maxsize=8192)
def _words(reading: Reading, audience: str, rules: Rules) -> bytes:
    book = rules.book
    asked, note = book.prompts.asked[audience]
    shown = {
        "words": {
            "second": book.area.second,
            "gloss": book.area.gloss,
            "never": book.area.never,
            "core20": book.summaries.core20_heading(reading.core20, reading.core20_reason),
            "core20_detail": book.summaries.core20_detail(reading.imd_edition, reading.core20_reason),
            "asked": asked,
            "asked_note": note,
            "census": book.area.census,
        },
        "cautions": [{"id": c, "sentence": book.cautions.sentences[c]} for c in reading.cautions],
    }
    return b',"context":' + to_json(shown)[:-1]


@lru_cache(maxsize=1024)
def _area_fact(fact: Any) -> bytes:
    return to_json(_fields(fact, "id", "kind", "name", "gloss", "sentence", "decile", "share", "few"))


@lru_cache(maxsize=1024)
def _prompts(prompts: tuple[Any, ...]) -> bytes:
    return to_json([_fields(p, "id", "kind", "topic", "text") for p in prompts])


@lru_cache(maxsize=4096)
def _signposts(signposts: tuple[Any, ...]) -> bytes:
    shown = [
        {
            **_fields(s, "id", "name", "what", "for_whom", "area", "phone", "url"),
            "reviewed": s.reviewed.isoformat() if s.reviewed else None,
        }
        for s in signposts
    ]
    return to_json(shown)


@lru_cache(maxsize=1024)
def _clinical_areas(areas: tuple[Any, ...]) -> bytes:
    return to_json([_fields(a, "programme", "id", "name", "aim", "strength", "why") for a in areas])


@lru_cache(maxsize=8)
def _organisation(organisation: Organisation) -> bytes:
    shown = {
        "leads": [_fields(lead, "id", "title", "name", "role", "contact", "sentence") for lead in organisation.leads],
        "resources": [_fields(resource, "title", "url") for resource in organisation.resources],
    }
    return b"," + to_json(shown)[1:]


def _fields(thing: Any, *names: str) -> dict[str, Any]:
    return {name: getattr(thing, name) for name in names}


@lru_cache(maxsize=8192)
def _around(
    reading: Reading,
    receipt: Receipt,
    notices: tuple[Notice, ...],
    release: Release,
    rules: Rules,
    may_see_groups: bool,
) -> tuple[bytes, bytes, bytes, bytes]:
    """What stands before the domains, between them and the access needs, after the area; and all after the domains
    where there is nothing more to say."""
    before = {
        "postcode_status": reading.postcode_status,
        "country": reading.country,
        "repaired": reading.repaired,
        "imd_decile": reading.imd_decile,
        "imd_quintile": reading.imd_quintile,
        "imd_edition": reading.imd_edition,
        "core20": reading.core20,
        "core20_reason": reading.core20_reason,
        "editions": {name: s._asdict() if s else None for name, s in reading.editions.items()},
    }
    between = {"summary": reading.summary, "cautions": reading.cautions}
    end = {
        "counted": receipt.counted,
        "counted_reason": receipt.reason,
        "warnings": [w._asdict() for w in (*reading.warnings, *notices, *receipt.warnings)],
        "data": {
            "release": release.id,
            "postcodes": release.postcodes,
            "checksum": release.checksum,
            "rules": rules.version,
        },
    }
    first = to_json(before)[:-1] + b',"domains":'
    after, last = b"," + to_json(between)[1:-1], b"," + to_json(end)[1:]
    plain = after + _needs(()) + (_groups((), None) if may_see_groups else _UNSEEN) + _NO_CONTEXT + _NO_AREA + last
    return first, after, last, plain
