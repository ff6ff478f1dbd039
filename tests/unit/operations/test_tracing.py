"""`traceparent` is read strictly, and spans reach a real collector with nothing but what is listed."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from app import tracing
from app.doors import DOORS
from app.exchange import Exchange, Trace
from app.settings import Settings
from app.tracing import ATTRIBUTES, Tracing, TracingError, read_trace
from tests.service import calling

MARK = "qz9trace9zz"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (f"00-{TRACE}-{PARENT}-01", Trace(TRACE, PARENT, True)),
        (f"00-{TRACE}-{PARENT}-00", Trace(TRACE, PARENT, False)),
        (f"00-{TRACE}-{PARENT}-03", Trace(TRACE, PARENT, True)),
        (f"01-{TRACE}-{PARENT}-01-what-comes-later", Trace(TRACE, PARENT, True)),
        (f"00-{TRACE}-{PARENT}-01-more", None),
        (f"01-{TRACE}-{PARENT}-01more", None),
        (f"ff-{TRACE}-{PARENT}-01", None),
        (f"00-{'0' * 32}-{PARENT}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-{PARENT}-01", None),
        (f"00-{TRACE}-{PARENT}-01\n", None),
        (f" 00-{TRACE}-{PARENT}-01", None),
        (f"00-{TRACE[:-1]}-{PARENT}-01", None),
        ("", None),
        ("9434765919", None),
    ],
)
def test_a_traceparent_is_read_as_the_standard_has_it(sent: str, read: Trace | None) -> None:
    assert read_trace(sent.encode()) == read


class Collector(ThreadingHTTPServer):
    """Takes OTLP over HTTP."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, bytes]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                collector.taken.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def asked(trace: Trace | None) -> Exchange:
    exchange = Exchange()
    exchange.door, exchange.records, exchange.trace = DOORS[0], 1, trace
    return exchange


def test_each_request_is_one_span_of_listed_attributes(collector: Collector) -> None:
    sends = Tracing(f"http://127.0.0.1:{collector.server_port}")
    sends.start()
    sends.tell(asked(Trace(TRACE, PARENT, sampled=True)), "POST", 200, 0.5, None)
    sends.tell(asked(None), "NG11AA", 500, 0.1, "ValueError")
    sends.tell(asked(Trace(TRACE, PARENT, sampled=False)), "POST", 200, 0.5, None)  # the caller does not sample
    sends.stop()
    assert {path for path, _ in collector.taken} == {"/v1/traces"}
    resources = [r for _, body in collector.taken for r in ExportTraceServiceRequest.FromString(body).resource_spans]
    named = {a.key for r in resources for a in r.resource.attributes}
    assert named == {"service.name", "service.version"}
    first, second = [span for r in resources for scope in r.scope_spans for span in scope.spans]
    assert (first.name, first.trace_id.hex(), first.parent_span_id.hex()) == ("enrich", TRACE, PARENT)
    assert abs(first.end_time_unix_nano - first.start_time_unix_nano - 5e8) < 1e4
    assert second.trace_id.hex() != TRACE
    assert not second.parent_span_id
    attributes = {a.key: a.value for span in (first, second) for a in span.attributes}
    assert set(attributes) == set(ATTRIBUTES)
    assert attributes["http.request.method"].string_value == "_OTHER"
    assert attributes["error.type"].string_value == "ValueError"
    assert not first.events
    assert not second.events
    assert not second.status.message


def test_a_request_to_the_service_becomes_a_span_without_anything_it_carried(
    collector: Collector, starter: Path, tmp_path: Path
) -> None:
    endpoint = f"http://127.0.0.1:{collector.server_port}"
    settings = Settings(data_dir=starter, counts_dir=tmp_path / "counts", otlp_endpoint=endpoint)
    sent = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": f"vendor={MARK}", "baggage": f"nhs={MARK}"}
    with calling(settings, "enrich") as client:
        answer = client.post("/v1/enrich", json={"postcode": "NG1 1AA", "contact": {"event_id": MARK}}, headers=sent)
        client.get(f"/v1/{MARK}?q={MARK}", headers=sent)
    assert not {"traceparent", "tracestate", "baggage"} & set(answer.headers)
    body = b"".join(body for _, body in collector.taken)
    for value in (MARK, "NG1", "/v1", "imdl_", "testserver"):
        assert value.encode() not in body, value
    spans = [
        span
        for _, taken in collector.taken
        for resource in ExportTraceServiceRequest.FromString(taken).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    assert [(span.name, span.trace_id.hex()) for span in spans] == [("enrich", TRACE), ("none", TRACE)]
    assert all({a.key for a in span.attributes} <= set(ATTRIBUTES) for span in spans)
    assert not any(span.trace_state for span in spans)


def test_without_a_collector_nothing_is_sent() -> None:
    sends = Tracing(None)
    sends.start()
    sends.tell(asked(None), "POST", 200, 0.5, None)
    sends.stop()


def test_a_collector_without_what_sends_to_it_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(tracing.util, "find_spec", gone)
    with pytest.raises(TracingError, match="IMDLENS_OTLP_ENDPOINT"):
        Tracing("http://127.0.0.1:4318")
    Tracing(None)
