"""The numbers add up, and are as many as the table says."""

from prometheus_client.parser import text_string_to_metric_families

from app.access.caller import Caller
from app.counts.intake import CountedReason
from app.doors import DOORS
from app.exchange import Exchange
from app.interop.cds_hooks import SERVICES
from app.metrics import _OUTCOMES, _SERVICES, BUCKETS, MOST_CLIENTS, TABLE, Asked, Metrics, Readings

DOOR = {door.name: door for door in DOORS}


def exchange(door: str | None = "enrich", client: str | None = "epr", records: int = 1) -> Exchange:
    made = Exchange()
    made.door, made.records = DOOR[door] if door else None, records
    made.caller = Caller(client, frozenset(), "key", 9e12) if client else None
    return made


def shown(metrics: Metrics) -> dict[tuple[str, ...], float]:
    body, _ = metrics.exposition(Asked("r1", 2))
    return {  # labels in the alphabet's order
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def test_requests_add_up_by_door_status_client_and_time() -> None:
    metrics = Metrics()
    metrics.start()
    metrics.answered(exchange(), 200, 0.0004)
    metrics.answered(exchange("batch", records=1000), 200, 0.02)
    metrics.flush(Readings())
    metrics.answered(exchange(), 200, 0.0005)
    metrics.answered(exchange(None, None), 404, 7.0)
    metrics.answered(exchange(records=0), 403, 0.0)
    contacts = exchange(client="pas")
    contacts.count_contacts(["counted", "counted", "withheld"])
    contacts.count_contacts(["invalid_contact", "spooled"])
    contacts.feedback = ("access-offers", ("accepted", "overridden", "accepted"))
    metrics.answered(contacts, 599, 0.3)
    metrics.in_flight = 4
    metrics.flush(Readings(keys_age=0.34, index_age=2.5, audit_failing=True))
    found = shown(metrics)
    assert found["imdlens_requests_total", "enrich", "200"] == 2
    assert found["imdlens_requests_total", "enrich", "other"] == 1
    assert found["imdlens_requests_total", "none", "404"] == 1
    assert found["imdlens_request_seconds_bucket", "enrich", "0.0005"] == 3
    assert found["imdlens_request_seconds_bucket", "enrich", "0.25"] == 3
    assert found["imdlens_request_seconds_bucket", "enrich", "0.5"] == 4
    assert found["imdlens_request_seconds_bucket", "none", "5.0"] == 0
    assert found["imdlens_request_seconds_bucket", "none", "+Inf"] == 1
    assert found["imdlens_request_seconds_count", "none"] == 1
    assert found["imdlens_request_seconds_sum", "none"] == 7.0
    assert found["imdlens_records_total", "batch"] == 1000
    assert found["imdlens_client_requests_total", "epr"] == 4
    assert found["imdlens_client_requests_total", "pas"] == 1
    assert found["imdlens_contacts_total", "counted"] == 2
    assert found["imdlens_contacts_total", "not_taken"] == 2
    assert found["imdlens_contacts_total", "spooled"] == 1
    assert found["imdlens_card_feedback_total", "accepted", "access-offers"] == 2
    assert found["imdlens_refused_total", "no_scope"] == 1
    assert (found["imdlens_in_flight",], found["imdlens_workers",]) == (4, 1)
    assert (found["imdlens_keys_age_seconds",], found["imdlens_index_age_days",]) == (0.3, 2.5)
    assert (found["imdlens_audit_failing",], found["imdlens_spooled_batches",]) == (1, 2)
    assert [key[1] for key in found if key[0] == "imdlens_release_info"] == ["r1"]
    assert found["imdlens_resident_bytes",] > 1e6


def test_clients_beyond_a_number_are_added_up_as_one() -> None:
    metrics = Metrics()
    metrics.start()
    for number in range(200):
        metrics.answered(exchange(client=f"client-{number}"), 200, 0.001)
        metrics.flush(Readings())
    found = {key[1]: n for key, n in shown(metrics).items() if key[0] == "imdlens_client_requests_total"}
    assert len(found) == MOST_CLIENTS + 1
    assert found["other"] == 200 - MOST_CLIENTS


def test_the_table_names_what_the_service_can_answer() -> None:
    assert tuple(service.id for service in SERVICES) == _SERVICES
    assert set(_OUTCOMES) == {"counted", *CountedReason.__args__} - {"no_contact"}  # type: ignore[attr-defined]
    assert list(BUCKETS) == sorted(BUCKETS)
    assert all(measure.name.startswith("imdlens_") and measure.help.endswith(".") for measure in TABLE)
    assert all(label.bound for measure in TABLE for label in measure.labels)
