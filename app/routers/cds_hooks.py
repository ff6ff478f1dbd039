"""`/cds-services`: CDS Hooks 2.0. No contact is counted here, and nothing of a request is kept."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Final
from uuid import uuid4

from fastapi import APIRouter, Body, Path, Request, Response
from pydantic_core import to_json

from app.contract.cds_hooks import (
    AppointmentBookRequest,
    CdsCards,
    CdsFeedback,
    CdsFeedbackAnswer,
    CdsServices,
    PatientViewRequest,
)
from app.contract.problems import problems
from app.counting import StoreAwayError
from app.counts.periods import today
from app.enrichment import enrich
from app.errors import Problem
from app.exchange import exchange_of
from app.interop import cds_hooks
from app.routers.card import sealed_link
from app.routers.json_body import StrictRoute
from app.routers.state import counts_of, index_of, rules_of, settings_of

PREFIX = "/cds-services"

router = APIRouter(prefix=PREFIX, tags=["CDS Hooks"], route_class=StrictRoute)


_LINKS: Final = {
    "feedback": {
        "operationId": "feedback_cds_services__service_id__feedback_post",
        "parameters": {"service_id": "$response.body#/services/0/id"},
        "description": "What became of cards of a service that is listed.",
    }
}


@router.get(
    "", summary="CDS Hooks discovery", response_model=CdsServices, responses={200: {"links": _LINKS}, **problems(503)}
)
async def discover() -> Response:
    """List the services that an EPR may register."""
    return Response(to_json(cds_hooks.discovery()), media_type="application/json")


@router.post(
    f"/{cds_hooks.CONTEXT.id}",
    summary="A card about the area of the home postcode",
    response_model=CdsCards,
    response_model_exclude_none=True,
    responses=problems(400, 408, 412, 413, 415, 422, 429, 503),
)
async def deprivation_context(request: Request, hook: Annotated[PatientViewRequest, Body()]) -> Response:
    """Answer `patient-view`: a card in deciles 1 and 2 in England and where the area is not known, else none.

    The home address of the prefetched Patient is looked up. Signals of the Patient neither trigger nor alter a card.
    Show the record without waiting: carry on after 500 ms.
    """
    patient = _patient(hook.prefetch)
    index, rules, settings = index_of(request), rules_of(request), settings_of(request)
    question = cds_hooks.question_of(patient, today())
    answer = enrich(question, index, rules)
    exchange_of(request.scope).records = 1
    if not cds_hooks.is_shown(answer.reading, every_decile=settings.cds_every_decile):
        return _cards()
    link = None
    if settings.public_url:
        link = f"{settings.public_url}/{sealed_link(request, question, answer, index, may_see_groups=False)}"
    return _cards(cds_hooks.context_card(answer, index.release, rules, str(uuid4()), link))


@router.post(
    f"/{cds_hooks.OFFERS.id}",
    summary="A card of what to offer with an appointment",
    response_model=CdsCards,
    response_model_exclude_none=True,
    responses=problems(400, 408, 412, 413, 415, 422, 429, 503),
)
async def access_offers(request: Request, hook: Annotated[AppointmentBookRequest, Body()]) -> Response:
    """Answer `appointment-book`: travel, time, an interpreter, another format. The same for every area.

    No address is looked up. Where the Patient says that an interpreter is required, that offer is worded so.
    """
    card = cds_hooks.offers_card(_patient(hook.prefetch), today(), rules_of(request), str(uuid4()))
    exchange_of(request.scope).records = 1
    return _cards(card)


@router.post(
    "/{service_id}/feedback",
    summary="What became of cards",
    response_model=CdsFeedbackAnswer,
    responses=problems(400, 404, 408, 413, 415, 422, 429, 503),
)
async def feedback(
    request: Request,
    service_id: Annotated[
        str,
        Path(
            description="The service that gave the cards.",
            json_schema_extra={"enum": [service.id for service in cds_hooks.SERVICES]},
        ),
    ],
    sent: Annotated[CdsFeedback, Body()],
) -> Response:
    """Add to two counts by month: cards accepted, and cards overridden. Reasons and comments are dropped unread."""
    if service_id not in {service.id for service in cds_hooks.SERVICES}:
        raise Problem(404)
    exchange_of(request.scope).feedback = (service_id, tuple(entry.outcome for entry in sent.feedback))
    if outcomes := Counter[str](entry.outcome for entry in sent.feedback):
        try:
            await asyncio.to_thread(counts_of(request).add_feedback, service_id, outcomes)
        except StoreAwayError:
            raise Problem(503, "Feedback cannot be counted now.", headers={"Retry-After": "5"}) from None
    return Response(b"{}", media_type="application/json")


def _patient(prefetch: Mapping[str, Any] | None) -> Mapping[str, Any]:
    patient = cds_hooks.prefetched_patient(prefetch)
    if patient is None:
        raise Problem(
            412, "Send the Patient in prefetch.patient.", errors=[{"field": "prefetch.patient", "code": "required"}]
        )
    return patient


def _cards(*cards: Mapping[str, Any]) -> Response:
    return Response(to_json({"cards": cards}), media_type="application/json")
