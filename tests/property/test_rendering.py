"""The answer written from prepared parts is the answer that the wire model describes."""

import json

from hypothesis import given
from hypothesis import strategies as st

from app.contract.enrich import EnrichResponse
from app.contract.render import render
from app.counts.intake import NO_CONTACT
from app.enrichment import Question, Rules, enrich
from app.lookup.deprivation import DOMAINS
from app.lookup.index import Index
from tests import starter_data
from tests.property.strategies import postcodes


def test_a_domain_that_is_not_known_is_null(index: Index, rules: Rules) -> None:
    answer = enrich(Question("NG1 1AA"), index, rules)._replace(domains=(0, 3, 0, 10, 1, 2, 5))
    written = EnrichResponse.model_validate_json(render(answer, NO_CONTACT, index.release, rules))
    assert written.domains is not None
    assert list(written.domains.model_dump().values()) == [None, 3, None, 10, 1, 2, 5]


def test_the_bytes_are_what_the_model_says(index: Index, rules: Rules) -> None:
    @given(st.one_of(postcodes, st.sampled_from(starter_data.postcodes())), st.booleans())
    def check(text: str | None, with_area: bool) -> None:
        answer = enrich(Question(text, with_area=with_area), index, rules)
        reading = answer.reading
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
            "access_needs": [],
            "inclusion_health": {"groups": None, "private_summary": None},
            "context": {"area": [], "prompts": [], "signposts": [], "clinical_areas": [], "leads": [], "resources": []},
            "area": {**answer.area._asdict(), "ranks": dict(answer.area.ranks)} if answer.area else None,
            "counted": False,
            "counted_reason": "no_contact",
            "warnings": [w._asdict() for w in reading.warnings],
            "data": {
                "release": index.release.id,
                "postcodes": index.release.postcodes,
                "checksum": index.release.checksum,
                "rules": rules.version,
            },
        }
        written = render(answer, NO_CONTACT, index.release, rules)
        assert list(json.loads(written)) == list(EnrichResponse.model_fields)
        assert json.loads(written) == plain == EnrichResponse.model_validate_json(written, strict=True).model_dump()

    check()
