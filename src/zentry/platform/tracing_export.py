"""Real spans, by OpenTelemetry. Imported only where traces are asked for: it is the extra `tracing`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    format_span_id,
    format_trace_id,
    set_span_in_context,
)
from opentelemetry.trace import Span as OpenSpan

import zentry
from zentry.platform.settings import TracingSettings
from zentry.platform.tracing import TRACEPARENT, Fact, Facts, Role

_KINDS: Final[Mapping[Role, SpanKind]] = {
    "server": SpanKind.SERVER,
    "consumer": SpanKind.CONSUMER,
    "client": SpanKind.CLIENT,
    "internal": SpanKind.INTERNAL,
}
_TRACEPARENT: Final = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")


def export_to(settings: TracingSettings) -> OpenTelemetryTracing:
    """Return tracing that sends its spans to the collector that the settings name."""
    return OpenTelemetryTracing(OTLPSpanExporter(endpoint=settings.endpoint), ratio=settings.sample_ratio)


class OpenTelemetryTracing:
    """Opens spans and hands them to an exporter, from a thread of its own unless `at_once`."""

    is_on = True

    def __init__(self, exporter: SpanExporter, *, ratio: float = 1.0, at_once: bool = False) -> None:
        # Whoever calls decides nothing about how much is kept: the id of the trace alone does, in every process alike.
        sampler = ParentBased(root=TraceIdRatioBased(ratio), remote_parent_sampled=TraceIdRatioBased(ratio))
        resource = Resource.create({"service.name": "zentry", "service.version": zentry.__version__})
        self._provider = TracerProvider(sampler=sampler, resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(SimpleSpanProcessor(exporter) if at_once else BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("zentry")

    @contextmanager
    def span(
        self, name: str, *, role: Role = "internal", parent: str | None = None, facts: Facts | None = None
    ) -> Iterator[_ExportedSpan]:
        """Open a span until the block ends."""
        with self._tracer.start_as_current_span(
            name,
            context=_context_of(parent),
            kind=_KINDS[role],
            attributes=facts,
            record_exception=False,  # Its message may hold somebody's data.
            set_status_on_exception=False,
        ) as opened:
            here = opened.get_span_context()
            trace_id = format_trace_id(here.trace_id)
            carried = f"00-{trace_id}-{format_span_id(here.span_id)}-{here.trace_flags:02x}"
            token = TRACEPARENT.set(carried)
            try:
                with structlog.contextvars.bound_contextvars(trace_id=trace_id):
                    yield _ExportedSpan(opened)
            except BaseException as error:
                opened.set_status(Status(StatusCode.ERROR, type(error).__name__))
                raise
            finally:
                TRACEPARENT.reset(token)

    def close(self) -> None:
        """Hand over what waits."""
        self._provider.shutdown()


class _ExportedSpan:
    """A span of OpenTelemetry, as the rest of the code knows it."""

    def __init__(self, span: OpenSpan) -> None:
        self._span = span

    def rename(self, name: str) -> None:
        """Name it anew."""
        self._span.update_name(name)

    def note(self, name: str, value: Fact) -> None:
        """Add a fact."""
        self._span.set_attribute(name, value)

    def fail(self, reason: str) -> None:
        """Say that it went wrong."""
        self._span.set_status(Status(StatusCode.ERROR, reason))


def _context_of(parent: str | None) -> Context | None:
    """Return the context that a `traceparent` names; None, the present one, where it names none."""
    found = _TRACEPARENT.fullmatch(parent or "")
    if found is None:
        return None
    trace_id, span_id, flags = (int(part, 16) for part in found.groups())
    remote = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags & TraceFlags.SAMPLED))
    return set_span_in_context(NonRecordingSpan(remote), Context())
