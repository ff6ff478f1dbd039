"""CDS Hooks 2.0: which cards a hook is answered with. Pure: a request's values in, cards as plain objects out.

Whether a card is shown follows from the area or from the want of one, never from who the patient is. Source: the
CDS Hooks specification 2.0 (HL7). Nulls and empty values are left out of a card, as it asks.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final, Literal, NamedTuple

from app.enrichment import Enrichment, Question, Reading, Rules
from app.interop.patient import age_on, home_postcode, read_patient
from app.lookup.index import Release

EXTENSION: Final = "urn:imdlens:card"
_TOPICS: Final = "urn:imdlens:topic"
_LONGEST_SUMMARY: Final = 139  # characters: fewer than 140
_NO_HOME_POSTCODE: Final = "no_home_postcode"
_LINK: Final = "What may help here (opens for 15 minutes)"
_DEMONSTRATION: Final = "Demonstration data: most postcodes are not in it."

Shown = Literal["most_deprived", "unknown", "other"]


class Service(NamedTuple):
    """One service as discovery lists it."""

    id: str
    hook: str
    title: str
    description: str
    usage: str


CONTEXT: Final = Service(
    "deprivation-context",
    "patient-view",
    "Deprivation of the area",
    "One sentence about the area of the home postcode, and three open questions. Shown in the most deprived fifth of"
    " areas in England, and where the area is not known. No card means nothing about need: most households that are"
    " deprived in two or more ways live elsewhere.",
    "For information only. Never for triage, priority, predicting attendance, overbooking or discharge. Carry on"
    " without an answer after 500 ms.",
)
OFFERS: Final = Service(
    "access-offers",
    "appointment-book",
    "What may make an appointment easier",
    "Offers for every patient: travel, time, an interpreter, another format. The same for every area. No card means"
    " nothing about need.",
    "Reads whether an interpreter is needed, and no address. Never for priority, predicting attendance or overbooking."
    " Carry on without an answer after 500 ms.",
)
SERVICES: Final = (CONTEXT, OFFERS)


def discovery() -> dict[str, Any]:
    """What `GET /cds-services` answers."""
    return {
        "services": [
            {
                "hook": service.hook,
                "title": service.title,
                "description": service.description,
                "id": service.id,
                "prefetch": {"patient": "Patient/{{context.patientId}}"},
                "usageRequirements": service.usage,
            }
            for service in SERVICES
        ]
    }


def prefetched_patient(prefetch: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The Patient that was sent along; None where there is none, or another resource in its place."""
    patient = prefetch.get("patient") if prefetch else None
    return patient if isinstance(patient, Mapping) and patient.get("resourceType") == "Patient" else None


def question_of(patient: Mapping[str, Any], day: date) -> Question:
    """What is asked about a Patient: the postcode, and the age for the words of questions. Nothing else is."""
    age = age_on(patient.get("birthDate"), day)
    return Question(home_postcode(patient, day), None if age is None else {"age": age}, context_on=day)


def is_shown(reading: Reading, *, every_decile: bool) -> bool:
    """Whether an answer has a card: in the most deprived fifth and where the area is unknown; elsewhere on wish."""
    return every_decile or _shown(reading) != "other"


def context_card(answer: Enrichment, release: Release, rules: Rules, card_id: str, link: str | None) -> dict[str, Any]:
    """The card about the area. `link` is the whole address of the card's page, None where it is not to be linked.

    A withheld address has the card of no fixed abode, to the last byte: which it is, is nobody's business here.
    """
    reading = answer.reading
    summary = reading.summary
    if reading.postcode_status == "withheld":
        summary = rules.book.summaries.sentence("no_fixed_abode", None, None, None)
    paragraphs = [rules.book.area.second]
    if _shown(reading) != "unknown":
        paragraphs += _about_the_area(reading, rules)
    if _shown(reading) == "most_deprived":
        paragraphs += _cues(answer, rules)
    if _shown(reading) != "unknown":
        paragraphs.append(rules.book.area.never)
    if release.starter:
        paragraphs.append(_DEMONSTRATION)
    card = _card(CONTEXT, card_id, summary, paragraphs, _finding(reading, release, rules))
    if link:
        card["links"] = [{"label": _LINK, "url": link, "type": "absolute"}]
    return card


def offers_card(patient: Mapping[str, Any], day: date, rules: Rules, card_id: str) -> dict[str, Any]:
    """The card of offers, one for everybody: no address is read. A recorded need of an interpreter words its offer."""
    book = rules.book
    flag = {"interpreter_required": True} if read_patient(patient, day).interpreter_required else None
    # "live" stands for any status: the rules decide whether the flag is read, and the address has no part in it.
    recorded = " ".join(need.sentence for need in book.inclusion.read("live", flag).needs)
    said = {"interpreter": f"{book.offers.needed} {recorded}"} if recorded else {}
    lines = [f"- **{offer.name}:** {said.get(offer.id, offer.sentence)}" for offer in book.offers.each]
    paragraphs = ["\n".join(lines), book.offers.everybody, book.area.never]
    return _card(OFFERS, card_id, book.offers.summary, paragraphs, {"rules": rules.version})


def _shown(reading: Reading) -> Shown:
    if reading.core20:
        return "most_deprived"
    # Another nation's area is known, and so is one in a higher decile; whatever else is without a decile is not.
    elsewhere = reading.postcode_status in ("live", "terminated") and reading.country != "England"
    return "other" if elsewhere or reading.imd_decile is not None else "unknown"


def _about_the_area(reading: Reading, rules: Rules) -> list[str]:
    """Core20 with its edition, and what to mind about the postcode."""
    summaries, cautions = rules.book.summaries, rules.book.cautions
    paragraphs = [cautions.sentences[c] for c in reading.cautions if c != reading.postcode_status]
    if reading.imd_decile is None:  # the summary of another nation says that Core20 is not for it
        return paragraphs
    heading = summaries.core20_heading(reading.core20, reading.core20_reason)
    return [f"{heading}. {summaries.core20_detail(reading.imd_edition, reading.core20_reason)}", *paragraphs]


def _cues(answer: Enrichment, rules: Rules) -> list[str]:
    """The three questions under their heading. None where the answer was not asked for with its context."""
    if answer.context is None:
        return []
    asked, note = rules.book.prompts.asked[answer.context.audience]
    cues = "\n".join(f"- {prompt.text}" for prompt in answer.context.prompts if prompt.kind == "cue")
    return [f"**{asked}**", cues, *([note] if note else [])]


def _finding(reading: Reading, release: Release, rules: Rules) -> dict[str, Any]:
    """The answer for machines. What is not known is left out, and never false."""
    home = reading.postcode_status not in ("withheld", "no_fixed_abode")
    return {
        "decile": reading.imd_decile,
        "quintile": reading.imd_quintile,
        "edition": reading.imd_edition,
        "core20": reading.core20,
        "core20_reason": reading.core20_reason if home else _NO_HOME_POSTCODE,
        "postcode_status": reading.postcode_status if home else _NO_HOME_POSTCODE,
        "release": release.id,
        "rules": rules.version,
    }


def _card(
    service: Service, card_id: str, summary: str, paragraphs: list[str], extension: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "uuid": card_id,
        "summary": summary if len(summary) <= _LONGEST_SUMMARY else f"{summary[: _LONGEST_SUMMARY - 1]}…",
        "detail": "\n\n".join(paragraphs),
        "indicator": "info",  # never warning: an area is no alarm about a person
        "source": {
            "label": "IMD Lens",
            "topic": {"system": _TOPICS, "code": service.id, "display": service.title},
        },
        "extension": {EXTENSION: {name: value for name, value in extension.items() if value is not None}},
    }
