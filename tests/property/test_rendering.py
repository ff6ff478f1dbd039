"""The answer written from prepared parts is the answer that the wire model describes."""

import json
from datetime import date
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.contract.enrich import EnrichResponse
from app.contract.render import render
from app.counts.intake import NO_CONTACT
from app.enrichment import Enrichment, Question, Rules, enrich
from app.lookup.deprivation import DOMAINS
from app.lookup.index import Index
from tests import starter_data
from tests.property.strategies import postcodes


def test_a_domain_that_is_not_known_is_null(index: Index, rules: Rules) -> None:
    answer = enrich(Question("NG1 1AA"), index, rules)._replace(domains=(0, 3, 0, 10, 1, 2, 5))
    written = EnrichResponse.model_validate_json(render(answer, NO_CONTACT, index.release, rules))
    assert written.domains is not None
    assert list(written.domains.model_dump().values()) == [None, 3, None, 10, 1, 2, 5]


_FIELDS = {
    "area": ("id", "kind", "name", "gloss", "sentence", "decile", "share", "few"),
    "prompts": ("id", "kind", "topic", "text"),
    "clinical_areas": ("programme", "id", "name", "aim", "strength", "why"),
}
_SIGNALS = [None, {}, {"snomed": ["32911000", "204331000000107", "x"]}, {"travel_support_required": True}]


def test_the_bytes_are_what_the_model_says(index: Index, rules: Rules) -> None:
    @given(
        st.one_of(postcodes, st.sampled_from(starter_data.postcodes())),
        st.booleans(),
        st.booleans(),
        st.booleans(),
        st.sampled_from(_SIGNALS),
        st.sampled_from([None, {"specialty": "258", "age": 7}, {"specialty": "340", "age": 70}]),
    )
    def check(
        text: str | None, with_area: bool, with_context: bool, may_see_groups: bool, signals: Any, contact: Any
    ) -> None:
        day = date(2026, 11, 22) if with_context else None
        answer = enrich(Question(text, contact, signals, with_area, day), index, rules)
        reading, said = answer.reading, answer.said
        plain = {
            "postcode_status": reading.postcode_status,
            "country": reading.country,
            "repaired": reading.repaired,
            "imd_decile": reading.imd_decile,
            "imd_quintile": reading.imd_quintile,
            "imd_edition": reading.imd_edition,
            "core20": reading.core20,
            "core20_reason": reading.core20_reason,
            "editions": {k: v._asdict() if v else None for k, v in reading.editions.items()},
            "domains": dict(zip(DOMAINS, (d or None for d in answer.domains), strict=True)) if answer.domains else None,
            "summary": reading.summary,
            "cautions": list(reading.cautions),
            "access_needs": [{"id": n.id, "name": n.name, "sentence": n.sentence} for n in said.needs],
            "inclusion_health": {
                "groups": [{"id": g.id, "name": g.name} for g in said.groups] if may_see_groups else None,
                "private_summary": said.private_summary if may_see_groups else None,
            },
            "context": _context(answer, rules),
            "area": {**answer.area._asdict(), "ranks": dict(answer.area.ranks)} if answer.area else None,
            "counted": False,
            "counted_reason": "no_contact",
            "warnings": [w._asdict() for w in (*reading.warnings, *said.problems)],
            "data": {
                "release": index.release.id,
                "postcodes": index.release.postcodes,
                "checksum": index.release.checksum,
                "rules": rules.version,
            },
        }
        written = render(answer, NO_CONTACT, index.release, rules, may_see_groups=may_see_groups)
        assert list(json.loads(written)) == list(EnrichResponse.model_fields)
        assert json.loads(written) == plain == EnrichResponse.model_validate_json(written, strict=True).model_dump()

    check()


def _context(answer: Enrichment, rules: Rules) -> dict[str, Any]:
    """The slow and obvious way."""
    empty: dict[str, Any] = {"words": None} | {
        part: [] for part in ("cautions", "area", "prompts", "signposts", "clinical_areas", "leads", "resources")
    }
    if answer.context is None:
        return empty
    book, reading = rules.book, answer.reading
    asked, note = book.prompts.asked[answer.context.audience]
    return empty | {
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
        **{
            part: [{name: getattr(thing, name) for name in names} for thing in getattr(answer.context, part)]
            for part, names in _FIELDS.items()
        },
        "signposts": [
            {
                **{name: getattr(s, name) for name in ("id", "name", "what", "for_whom", "area", "phone", "url")},
                "reviewed": str(s.reviewed) if s.reviewed else None,
            }
            for s in answer.context.signposts
        ],
        "leads": [
            {name: getattr(lead, name) for name in ("id", "title", "name", "role", "contact", "sentence")}
            for lead in book.organisation.leads
        ],
    }
