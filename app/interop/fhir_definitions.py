"""What a FHIR client can ask of this service before it asks about a patient: abilities, the operation, code systems.

Pure. The code systems are made of the very literals that answers are made of, so they cannot part.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, get_args

from app.context.cautions import CAUTIONS
from app.interop.fhir import AREA_MEASURES
from app.lookup.deprivation import Core20Reason, Status

Json = dict[str, Any]

FHIR_VERSION: Final = "4.0.1"
_DATED: Final = "2026-11-22"  # of these definitions: changed with them


def _literals(literal: Any) -> tuple[str, ...]:
    """The texts of a Literal, those of the Literals inside it too."""
    return tuple(text for arg in get_args(literal) for text in (_literals(arg) if get_args(arg) else (arg,)))


class Codes(NamedTuple):
    """A code system: what it is of, and its codes."""

    title: str
    description: str
    codes: tuple[str, ...]


CODE_SYSTEMS: Final[Mapping[str, Codes]] = {
    "postcode-status": Codes(
        "Postcode status", "What a postcode is, once it was looked up.", tuple(dict.fromkeys(_literals(Status)))
    ),
    "core20-reason": Codes(
        "Core20 reason",
        "Why it is not known whether an area is in Core20. Not known is never no.",
        tuple(dict.fromkeys(_literals(Core20Reason))),
    ),
    "caution": Codes("Caution", "What to mind about a postcode. The published decile stays.", tuple(CAUTIONS)),
    "area-measure": Codes(
        "Area measure",
        "What is looked up for the area of a home postcode, and that it is looked up. It is never about the person.",
        AREA_MEASURES,
    ),
}


class Declared(NamedTuple):
    """A parameter of the operation: its FHIR type, None where it has parts; how often it stands, "*" without limit."""

    name: str
    type: str | None
    least: int
    most: str
    documentation: str
    parts: tuple["Declared", ...] = ()


def _part(name: str, kind: str, least: int = 0, said: str = "") -> Declared:
    return Declared(name, kind, least, "1", said or name.replace("-", " ").capitalize() + ".")


_ID: Final = _part("id", "code", 1, "Which one.")
_NAME: Final = _part("name", "string", 1, "Its name.")
_SENTENCE: Final = _part("sentence", "string", 1, "What is said of it.")

IN: Final = (
    Declared(
        "postcode", "string", 0, "1", "The usual address's postcode as the record holds it. Before the patient's own."
    ),
    Declared(
        "patient",
        "Patient",
        0,
        "1",
        "A UK Core Patient. Its home postcode, birth date, ethnic category and need for an interpreter are read.",
    ),
    Declared("specialty", "code", 0, "1", "Treatment function code, three digits: for clinical areas. A string too."),
    Declared("age", "integer", 0, "1", "Whole years. Before the patient's birth date."),
    Declared("include", "code", 0, "*", "`context`: what a clinician may do with a decile. `area`: codes and ranks."),
    Declared("signal-snomed", "code", 0, "*", "SNOMED CT concept ids that bear on inclusion health. Never kept."),
)

OUT: Final = (
    Declared("postcode-status", "code", 1, "1", "What the postcode is. A poor one is a finding, not an error."),
    Declared("country", "string", 0, "1", "The nation, where it is known."),
    Declared("imd-decile", "integer", 0, "1", "England's published decile, 1 the most deprived. Absent: unknown."),
    Declared("imd-quintile", "integer", 0, "1", "The same in fifths."),
    Declared("imd-edition", "code", 1, "1", "The edition that decile, domains and Core20 are read from."),
    Declared("core20", "boolean", 0, "1", "Whether the area is among England's most deprived fifth."),
    Declared("core20-reason", "code", 0, "1", "Why `core20` is absent. Unknown is never no."),
    Declared(
        "edition",
        None,
        0,
        "*",
        "Each edition of the postcode's own nation, newest first. Deciles of two nations must not be compared.",
        (
            _ID,
            _part("decile", "integer"),
            _part("quintile", "integer"),
            _part("core20", "boolean"),
            _part("computed", "boolean", 0, "Whether the decile is computed from a published rank."),
        ),
    ),
    Declared("domain", None, 0, "*", "Deciles of the seven domains.", (_ID, _part("decile", "integer", 1))),
    Declared("summary", "string", 1, "1", "One sentence about the area that may be overheard."),
    Declared("second", "string", 1, "1", "To be shown beside the summary, always."),
    Declared("caution", "code", 0, "*", "What to mind about the postcode."),
    Declared("access-need", None, 0, "*", "What this person needs to use the service.", (_ID, _NAME, _SENTENCE)),
    Declared(
        "inclusion-groups-shown",
        "boolean",
        1,
        "1",
        "Whether this caller may see inclusion-health groups. Where false, their absence says nothing.",
    ),
    Declared("inclusion-group", None, 0, "*", "Special-category data: never for a shared screen.", (_ID, _NAME)),
    Declared("private-summary", "string", 0, "1", "A sentence that must not be overheard."),
    Declared(
        "area",
        None,
        0,
        "1",
        "Where the postcode lies: only with `include` area.",
        (
            *(_part(name, "code") for name in ("lsoa21", "lsoa11", "lad", "icb")),
            Declared("rank", None, 0, "*", "Published rank by edition.", (_ID, _part("rank", "integer", 1))),
        ),
    ),
    Declared(
        "context",
        None,
        0,
        "1",
        "What a clinician may do with it: only with `include` context.",
        (
            _part("never", "string", 1, "What this must not be used for."),
            Declared("area-fact", None, 0, "*", "About the area.", (_ID, _NAME, _SENTENCE, _part("kind", "code", 1))),
            Declared(
                "prompt", None, 0, "*", "A question.", (_ID, _part("kind", "code", 1), _part("text", "string", 1))
            ),
            Declared(
                "signpost",
                None,
                0,
                "*",
                "A service to tell the patient about.",
                (
                    _ID,
                    _NAME,
                    _part("what", "string", 1),
                    _part("for-whom", "string", 1),
                    _part("phone", "string"),
                    _part("url", "url"),
                    _part("reviewed", "date", 0, "When the organisation last checked it; absent where it never did."),
                ),
            ),
            Declared(
                "clinical-area",
                None,
                0,
                "*",
                "A national aim for the service: it says nothing of the patient.",
                (_ID, _NAME, _part("aim", "string", 1), _part("why", "string", 1)),
            ),
            Declared("lead", None, 0, "*", "Who leads on this here.", (_ID, _SENTENCE)),
        ),
    ),
    Declared(
        "warning",
        None,
        0,
        "*",
        "What was noticed about a value that was sent.",
        (_part("field", "string", 1), _part("code", "code", 1)),
    ),
    Declared(
        "data",
        None,
        1,
        "1",
        "What the answer was read from.",
        tuple(_part(name, "string", 1) for name in ("release", "postcodes", "checksum", "rules")),
    ),
)


def code_system(name: str, base: str, version: str) -> Json | None:
    """A code system of ours under the base of its address; None where there is none of that name."""
    if name not in CODE_SYSTEMS:
        return None
    title, description, codes = CODE_SYSTEMS[name]
    return {
        "resourceType": "CodeSystem",
        "id": name,
        "url": f"{base}/CodeSystem/{name}",
        "version": version,
        "name": "IMDLens" + title.title().replace(" ", ""),
        "title": title,
        "status": "active",
        "date": _DATED,
        "description": description,
        "caseSensitive": True,
        "content": "complete",
        "count": len(codes),
        "concept": [{"code": code, "display": _display(code)} for code in codes],
    }


def operation_definition(base: str, version: str) -> Json:
    """`$enrich`, with every parameter that it takes and answers."""
    return {
        "resourceType": "OperationDefinition",
        "id": "enrich",
        "url": f"{base}/OperationDefinition/enrich",
        "version": version,
        "name": "Enrich",
        "title": "Deprivation context of a home postcode",
        "status": "active",
        "kind": "operation",
        "date": _DATED,
        "description": "The published IMD decile and the Core20 flag of the area of a home postcode, or why there is"
        " none. About the area, never about the person. Never for triage, priority, predicting attendance,"
        " overbooking or discharge.",
        "affectsState": False,
        "code": "enrich",
        "comment": "By POST alone, since an address must hold no postcode. `postcode` or `patient` is needed; a"
        " Patient may also be the body by itself. Nothing is counted and nothing is kept. With the query parameter"
        " `_output=observation` the answer is an Observation of the area, without a subject: keep it out of what is"
        " shared as if it were about the person.",
        "system": True,
        "type": False,
        "instance": False,
        "parameter": [*(_declared(p, "in") for p in IN), *(_declared(p, "out") for p in OUT)],
    }


def capability_statement(base: str, version: str) -> Json:
    """What the FHIR door can do."""
    reads = {"interaction": [{"code": "read"}]}
    return {
        "resourceType": "CapabilityStatement",
        "id": "imd-lens",
        "url": f"{base}/CapabilityStatement/imd-lens",
        "version": version,
        "name": "IMDLens",
        "title": "IMD Lens",
        "status": "active",
        "date": _DATED,
        "kind": "instance",
        "software": {"name": "IMD Lens", "version": version},
        "implementation": {"description": "Deprivation context at the point of care"},
        "fhirVersion": FHIR_VERSION,
        "format": ["application/fhir+json", "json"],
        "rest": [
            {
                "mode": "server",
                "documentation": "One operation that reads and answers; no patient is held, so there is none to read.",
                "resource": [{"type": "CodeSystem", **reads}, {"type": "OperationDefinition", **reads}],
                "operation": [{"name": "enrich", "definition": f"{base}/OperationDefinition/enrich"}],
            }
        ],
    }


def _declared(declared: Declared, use: str) -> Json:
    name, kind, least, most, documentation, parts = declared
    return {
        "name": name,
        "use": use,
        "min": least,
        "max": most,
        "documentation": documentation,
        **({"type": kind} if kind else {}),
        **({"part": [_declared(part, use) for part in parts]} if parts else {}),
    }


def _display(code: str) -> str:
    words = code.replace("_", " ").replace("-", " ").replace("imd", "IMD")
    return words[:1].upper() + words[1:]
