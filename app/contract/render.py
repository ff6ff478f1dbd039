"""An enrichment as JSON, written from prepared parts.

A response model would cost most of a batch's time (docs/adr records the figures), so the bytes are
put together here; a property test holds them equal to `EnrichResponse`.
"""

from functools import lru_cache
from typing import Final

from pydantic_core import to_json

from app.enrichment import AreaCodes, Enrichment, Reading, Rules
from app.lookup.deprivation import DOMAINS
from app.lookup.index import Release

_DOMAINS: Final = ("{" + ",".join(f'"{name}":%d' for name in DOMAINS) + "}").encode()
_EMPTY: Final = (
    b',"access_needs":[],"inclusion_health":{"groups":[],"private_summary":null}'
    b',"context":{"area":[],"prompts":[],"signposts":[],"clinical_areas":[]},"area":'
)


def render(answer: Enrichment, counted_reason: str, release: Release, rules: Rules) -> bytes:
    """One answer as a JSON object. Nothing is counted yet, so there is always a reason why not."""
    reading, domains, area = answer
    before, after = _around_domains(reading)
    return b"".join(
        (
            before,
            _domains(domains) if domains else b"null",
            after,
            to_json(_area(area)) if area else b"null",
            _end(counted_reason, reading, release, rules),
        )
    )


def _domains(deciles: tuple[int, ...]) -> bytes:
    if all(deciles):
        return _DOMAINS % deciles
    return to_json(dict(zip(DOMAINS, (d or None for d in deciles), strict=True)))


@lru_cache(maxsize=4096)
def _around_domains(reading: Reading) -> tuple[bytes, bytes]:
    """What stands before the domains, and between them and the area."""
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
    after = to_json({"summary": reading.summary, "cautions": reading.cautions})
    return to_json(before)[:-1] + b',"domains":', b"," + after[1:-1] + _EMPTY


@lru_cache(maxsize=4096)
def _end(reason: str, reading: Reading, release: Release, rules: Rules) -> bytes:
    """What stands after the area."""
    end = {
        "counted": False,
        "counted_reason": reason,
        "warnings": [w._asdict() for w in reading.warnings],
        "data": {
            "release": release.id,
            "postcodes": release.postcodes,
            "checksum": release.checksum,
            "rules": rules.version,
        },
    }
    return b"," + to_json(end)[1:]


def _area(area: AreaCodes) -> dict[str, object]:
    return {**area._asdict(), "ranks": dict(area.ranks)}
