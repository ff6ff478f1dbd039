"""Traces: a caller's `traceparent` is read, and with a collector configured each request is told to it as one span.

A span holds the door, the method, the status and how many records: no address, no header, no exception. `tracestate`
and `baggage` are neither read nor sent on, since a caller may put anything there.
"""

import re
import time
from importlib import metadata, util
from typing import TYPE_CHECKING, Final

from app.exchange import Exchange, Trace
from app.request_log import METHODS

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

ATTRIBUTES: Final = (
    "imdlens.door",
    "http.request.method",
    "http.response.status_code",
    "imdlens.records",
    "error.type",
)
"""Every attribute that a span may have."""

_PARENT: Final = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_PATH: Final = "/v1/traces"


class TracingError(Exception):
    """Traces are configured, but what would send them is not installed."""


def read_trace(value: bytes) -> Trace | None:
    """A `traceparent`, taken apart; None for one that is not as the W3C has it."""
    found = _PARENT.fullmatch(value)
    if found is None:
        return None
    version, trace_id, parent_id, flags, more = found.groups()
    # A version of the future may go on after these four; this one may not, and 255 is no version.
    if version == b"ff" or (version == b"00" and more is not None):
        return None
    if not int(trace_id, 16) or not int(parent_id, 16):
        return None
    return Trace(trace_id.decode(), parent_id.decode(), bool(int(flags, 16) & 1))


def check(endpoint: str | None) -> None:
    """TracingError, in one sentence, where traces are asked for and cannot be sent."""
    if endpoint and not all(
        _is_there(module)
        for module in ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http.trace_exporter")
    ):
        raise TracingError(
            "IMDLENS_OTLP_ENDPOINT is set, but what sends traces is not installed: it is the extra `otel` of imd-lens."
        )


def _is_there(module: str) -> bool:
    try:
        return util.find_spec(module) is not None
    except ModuleNotFoundError:  # a package above it
        return False


class Tracing:
    """Sends spans, where a collector is configured."""

    def __init__(self, endpoint: str | None) -> None:
        """`endpoint` without `/v1/traces`. TracingError where spans could not be sent."""
        check(endpoint)
        self._endpoint = endpoint
        self._provider: TracerProvider | None = None
        self._tracer: Tracer | None = None

    def start(self) -> None:
        """Begin to send, from a thread of its own."""
        if not self._endpoint:
            return
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        # Not Resource.create: that adds what the environment says.
        resource = Resource({"service.name": "imd-lens", "service.version": metadata.version("imd-lens")})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=self._endpoint.rstrip("/") + _PATH)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("imdlens")

    def stop(self) -> None:
        """Send what waits, and end. Blocks for as long as the collector takes."""
        if self._provider is not None:
            self._provider.shutdown()
        self._provider = self._tracer = None

    def tell(self, exchange: Exchange, method: str, status: int, seconds: float, error: str | None) -> None:
        """Tell of one request, after its answer. `error` is the type of what went wrong, never its message."""
        if self._tracer is None:
            return
        from opentelemetry.trace import SpanKind, StatusCode

        name, ended = exchange.door.name if exchange.door else "none", time.time_ns()
        span = self._tracer.start_span(
            name,
            context=_context_of(exchange.trace),
            kind=SpanKind.SERVER,
            start_time=ended - int(seconds * 1e9),
            attributes={
                "imdlens.door": name,
                "http.request.method": method if method in METHODS else "_OTHER",
                "http.response.status_code": status,
                "imdlens.records": exchange.records,
            },
        )
        if error is not None:
            span.set_attribute("error.type", error)
        if status >= 500:
            span.set_status(StatusCode.ERROR)
        span.end(ended)


def _context_of(trace: Trace | None) -> "Context":
    """The caller's span as a parent; an empty context otherwise, so that nothing around us becomes one."""
    from opentelemetry.context import Context
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

    if trace is None:
        return Context()
    parent = SpanContext(int(trace.trace_id, 16), int(trace.parent_id, 16), True, TraceFlags(int(trace.sampled)))
    return set_span_in_context(NonRecordingSpan(parent), Context())
