"""The CDS Hooks doors, asked over HTTP by the client of `healthchain` and read by its models."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from healthchain.fhir.r4b import Appointment, Bundle, Patient
from healthchain.models import CDSFeedback, CDSRequest, CDSResponse, CDSServiceInformation, OverrideReason, SimpleCoding
from healthchain.models.hooks.basehookcontext import BaseHookContext
from healthchain.models.responses.cdsfeedback import OutcomeEnum
from healthchain.sandbox import SandboxClient
from pydantic import ValidationError

from outside.conftest import PUBLIC, Deployment

CONTEXT, OFFERS = "/cds-services/deprivation-context", "/cds-services/access-offers"
EXTENSION = "urn:imdlens:card"


class AppointmentBookContext(BaseHookContext):
    """The context of appointment-book, of which the client has no model: what its own contexts share, and the rest."""

    appointments: dict[str, Any]


def patient(postcode: str) -> dict[str, Any]:
    """A Patient as their library writes it."""
    home = {"use": "home", "postalCode": postcode}
    return json.loads(Patient(id="1288992", birthDate="1972-03-04", address=[home]).model_dump_json())  # type: ignore[no-any-return]


def viewed(url: str, folder: Path, prefetch: dict[str, Any]) -> Any:
    """What the client holds after a patient-view with this prefetch, sent to a service or a relay."""
    file = folder / "prefetch.json"
    file.write_text(json.dumps(prefetch), "utf-8")
    client = SandboxClient(f"{url}{CONTEXT}", workflow="patient-view")
    (answer,) = client.load_from_path(file).send_requests()
    return answer


def read(answer: Any, deployment: Deployment) -> CDSResponse:
    """What its model made of the answer. Where the model refuses one, the client hands on what was sent, unread."""
    sent = deployment.relay.last.json()
    assert [EXTENSION in card["extension"] for card in sent["cards"]] == [True] * len(sent["cards"])
    assert not [card for card in answer["cards"] if "extension" in card], "the model did not read the answer"
    return CDSResponse.model_validate(sent)


def test_the_model_refuses_what_is_no_card() -> None:
    good = {"summary": "A sentence", "indicator": "info", "source": {"label": "IMD Lens"}}
    assert CDSResponse.model_validate({"cards": [good]}).cards
    for wrong in ({"summary": "A" * 141}, {"indicator": "hard-stop"}, {"source": {}}, {"summary": None}):
        with pytest.raises(ValidationError):
            CDSResponse.model_validate({"cards": [good | wrong]})


def test_discovery_is_read_without_a_key(deployment: Deployment) -> None:
    listed = CDSServiceInformation.model_validate(httpx.get(f"{deployment.url}/cds-services").raise_for_status().json())
    assert [(service.id, service.hook) for service in listed.services] == [
        ("deprivation-context", "patient-view"),
        ("access-offers", "appointment-book"),
    ]
    assert all(service.prefetch == {"patient": "Patient/{{context.patientId}}"} for service in listed.services)
    assert all(service.title and service.usageRequirements for service in listed.services)


def test_without_the_relay_the_client_has_nothing_but_a_refusal(deployment: Deployment, tmp_path: Path) -> None:
    assert viewed(deployment.url, tmp_path, {"patient": patient("ZZ99 3VZ")}) == {}
    assert httpx.post(f"{deployment.url}{CONTEXT}", json={}).status_code == 401


def test_the_most_deprived_fifth_has_one_card_that_only_informs(
    deployment: Deployment, postcode_in: Callable[[str], str], tmp_path: Path
) -> None:
    answer = viewed(deployment.relay.url, tmp_path, {"patient": patient(postcode_in("core20"))})
    (card,) = read(answer, deployment).cards
    assert card.indicator.value == "info"
    assert "more deprived than about" in card.summary
    assert card.detail
    assert card.uuid
    assert card.source.label
    assert card.suggestions is card.links is None


def test_any_other_decile_has_no_card(
    deployment: Deployment, postcode_in: Callable[[str], str], tmp_path: Path
) -> None:
    assert viewed(deployment.relay.url, tmp_path, {"patient": patient(postcode_in("other"))}) == {"cards": []}
    assert deployment.relay.last.status_code == 200


@pytest.mark.parametrize("postcode", ["ZZ99 3VZ", "ZZ99 3WZ", "ZZZSECUR", "B1 1BB", "NG1"])
def test_an_unknown_area_has_a_card_that_says_no_more(deployment: Deployment, tmp_path: Path, postcode: str) -> None:
    (card,) = read(viewed(deployment.relay.url, tmp_path, {"patient": patient(postcode)}), deployment).cards
    assert card.indicator.value == "info"
    assert "deprived" not in card.summary


@pytest.mark.parametrize("prefetch", [{}, {"patient": {"resourceType": "OperationOutcome", "id": "none"}}])
def test_a_patient_that_was_not_prefetched_is_412_to_the_client(
    deployment: Deployment, tmp_path: Path, prefetch: dict[str, Any]
) -> None:
    assert viewed(deployment.relay.url, tmp_path, prefetch) == {}
    assert deployment.relay.last.status_code == 412


def test_an_appointment_has_one_card_of_offers(deployment: Deployment) -> None:
    someone = {"actor": {"reference": "Patient/1288992"}, "status": "needs-action"}
    appointments = Bundle(
        type="collection", entry=[{"resource": Appointment(status="proposed", participant=[someone])}]
    )
    request = CDSRequest(
        hook="appointment-book",
        context=AppointmentBookContext(
            userId="Practitioner/abc", patientId="1288992", appointments=json.loads(appointments.model_dump_json())
        ),
        prefetch={"patient": patient("NG1 1AA")},
    )
    body = request.model_dump(mode="json", exclude_none=True, serialize_as_any=True)
    assert body["context"]["appointments"]["entry"]
    answer = httpx.post(f"{deployment.relay.url}{OFFERS}", json=body).raise_for_status()
    (card,) = CDSResponse.model_validate(answer.json()).cards
    assert card.indicator.value == "info"
    assert "help with travel" in (card.detail or "")


def test_feedback_of_its_model_is_accepted_and_counted(deployment: Deployment, tmp_path: Path) -> None:
    (card,) = read(viewed(deployment.relay.url, tmp_path, {"patient": patient("ZZ99 3VZ")}), deployment).cards
    now = datetime.now(UTC).isoformat()
    reason = OverrideReason(reason=SimpleCoding(code="seen", system="urn:example"), userComment="already known")
    each = [
        CDSFeedback(card=card.uuid, outcome=OutcomeEnum.accepted, outcomeTimestamp=now),
        CDSFeedback(card=card.uuid, outcome=OutcomeEnum.overridden, outcomeTimestamp=now, overriddeReason=reason),
        CDSFeedback(card=card.uuid, outcome=OutcomeEnum.overridden, outcomeTimestamp=now),
    ]
    sent = {"feedback": [one.model_dump(mode="json", exclude_none=True) for one in each]}
    answer = httpx.post(f"{deployment.relay.url}{CONTEXT}/feedback", json=sent)
    assert (answer.status_code, answer.json()) == (200, {})
    counted = json.loads(deployment.run("counts", "feedback", "--json"))
    assert {(row["service"], row["outcome"]): row["n"] for row in counted} == {
        ("deprivation-context", "accepted"): 1,
        ("deprivation-context", "overridden"): 2,
    }


def test_of_a_linked_card_its_model_misses_only_what_came_after_the_standard(
    linking: Deployment, tmp_path: Path
) -> None:
    """`autoLaunchable` is younger than CDS Hooks 2.0, and optional; this version of the model wants it in each link."""
    answer = viewed(linking.relay.url, tmp_path, {"patient": patient("ZZ99 3VZ")})
    assert answer == linking.relay.last.json(), "the client hands on, unread, what its model refuses"
    with pytest.raises(ValidationError) as refused:
        CDSResponse.model_validate(answer)
    assert [(error["type"], error["loc"]) for error in refused.value.errors()] == [
        ("missing", ("cards", 0, "links", 0, "autoLaunchable"))
    ]
    answer["cards"][0]["links"][0]["autoLaunchable"] = False
    (link,) = CDSResponse.model_validate(answer).cards[0].links or []
    assert str(link.url).startswith(f"{PUBLIC}/card/")
