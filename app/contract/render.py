"""An enrichment as JSON, written from prepared parts.

A response model would cost most of a batch's time (docs/adr records the figures), so the bytes are
put together here; a property test holds them equal to `EnrichResponse`.
"""

from functools import lru_cache
from typing import Final

from pydantic_core import to_json

from app.counts.intake import Receipt
from app.enrichment import Enrichment, Reading, Rules
from app.lookup.deprivation import DOMAINS
from app.lookup.index import Release

_DOMAINS: Final = ("{" + ",".join(f'"{name}":%d' for name in DOMAINS) + "}").encode()


def render(answer: Enrichment, receipt: Receipt, release: Release, rules: Rules) -> bytes:
    """One answer as a JSON object."""
    reading, domains, area, _ = answer
    before, after, end, rest = _around(reading, receipt, release, rules)
    written = _domains(domains) if domains else b"null"
    if area is None:
        return b"".join((before, written, rest))
    return b"".join((before, written, after, to_json(area._asdict()), end))


def _domains(deciles: tuple[int, ...]) -> bytes:
    if all(deciles):
        return _DOMAINS % deciles
    return to_json(dict(zip(DOMAINS, (d or None for d in deciles), strict=True)))


@lru_cache(maxsize=8192)
def _around(reading: Reading, receipt: Receipt, release: Release, rules: Rules) -> tuple[bytes, bytes, bytes, bytes]:
    """What stands before the domains, between them and the area, after it, and all after the domains without one."""
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
    between = {
        "summary": reading.summary,
        "cautions": reading.cautions,
        "access_needs": [],
        "inclusion_health": {"groups": [], "private_summary": None},
        "context": {"area": [], "prompts": [], "signposts": [], "clinical_areas": []},
    }
    end = {
        "counted": receipt.counted,
        "counted_reason": receipt.reason,
        "warnings": [w._asdict() for w in (*reading.warnings, *receipt.warnings)],
        "data": {
            "release": release.id,
            "postcodes": release.postcodes,
            "checksum": release.checksum,
            "rules": rules.version,
        },
    }
    first = to_json(before)[:-1] + b',"domains":'
    after = b"," + to_json(between)[1:-1] + b',"area":'
    last = b"," + to_json(end)[1:]
    return first, after, last, after + b"null" + last
