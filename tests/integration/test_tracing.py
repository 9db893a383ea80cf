"""One trace from the request through the operation to the driver, over processes; and none unless it is asked for."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import cast

import httpx
import pytest
import structlog
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from tests.support.platform import open_under_test, settings_for_tests
from zentry.compute.simulator.driver import SimulatorDriver
from zentry.compute.simulator.faults import FaultKind, Rule
from zentry.compute.simulator.orders import Action
from zentry.platform.logging import configure_logging
from zentry.platform.settings import LogSettings
from zentry.platform.tracing import NO_TRACING, current_traceparent
from zentry.platform.tracing_export import OpenTelemetryTracing

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    configure_logging(LogSettings(format="json"), stream=stream)
    yield stream
    structlog.reset_defaults()


def trace_of(span: ReadableSpan) -> str:
    assert span.context is not None
    return f"{span.context.trace_id:032x}"


async def test_a_request_its_operation_and_the_calls_of_the_driver_are_one_trace_in_spans_and_logs(
    database_url: str, tmp_path: Path, log: io.StringIO
) -> None:
    settings = settings_for_tests(tmp_path, database={"url": database_url})
    api, worker = InMemorySpanExporter(), InMemorySpanExporter()
    async with (
        open_under_test(settings, tracing=OpenTelemetryTracing(api, at_once=True)) as asked,
        open_under_test(
            settings, seed=8, clock=asked.clock, tracing=OpenTelemetryTracing(worker, at_once=True)
        ) as other,
    ):
        account = await asked.signup()
        project_id = await asked.given_project(account)
        cast("SimulatorDriver", other.driver).faults.add(Rule(Action.START, FaultKind.REJECTED))
        answer = await asked.client.post(
            "/vms",
            json={"name": "a", "instance_type": "small", "image": "debian-12", "project_id": project_id},
            headers={**account.headers, "traceparent": TRACEPARENT, "X-Request-Id": "joined-by-this"},
        )
        assert answer.status_code == httpx.codes.CREATED, answer.text
        await other.settle()
        events = await asked.client.get("/events", params={"resource_id": answer.json()["id"]}, headers=account.headers)
        refused = await asked.client.get("/vms/none", headers=account.headers)
        page = (await asked.client.get("/metrics")).text

    mine = [span for span in api.get_finished_spans() if trace_of(span) == TRACE]
    assert [(span.name, span.kind) for span in mine] == [("POST /vms", SpanKind.SERVER)]
    assert {**(mine[0].attributes or {})} == {
        "http.request.method": "POST",
        "http.route": "/vms",
        "http.response.status_code": 201,
        "zentry.request_id": "joined-by-this",
    }
    done = {span.name: span for span in worker.get_finished_spans()}
    assert {"operation vms.create", "step place", "driver ensure_created", "driver ensure_running"} <= done.keys()
    assert {trace_of(span) for span in done.values()} == {TRACE}
    operation = done["operation vms.create"]
    assert operation.parent is not None
    assert mine[0].context is not None
    assert operation.parent.span_id == mine[0].context.span_id
    assert done["driver ensure_running"].status.status_code is StatusCode.ERROR
    assert (done["driver ensure_running"].attributes or {})["zentry.vm_id"] == answer.json()["id"]
    assert len({trace_of(span) for span in api.get_finished_spans()}) > 3, "requests of their own are their own traces"

    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    joined = [line for line in lines if line.get("trace_id") == TRACE]
    assert {line["event"] for line in joined} == {"http.request", "operation.turned_back"}
    assert {line["request_id"] for line in joined} == {"joined-by-this"}
    turned_back = next(line for line in joined if line["event"] == "operation.turned_back")
    assert turned_back["operation_id"] == (operation.attributes or {})["zentry.operation_id"]
    assert {event["request_id"] for event in events.json()["events"]} == {"joined-by-this"}

    assert refused.status_code == httpx.codes.NOT_FOUND
    assert 'zentry_http_errors_total{code="NOT_FOUND",route="/vms/{vm_id}",status="404"}' in page
    assert 'zentry_driver_calls_total{call="ensure_running",driver="simulator",outcome="rejected"}' in page
    assert 'zentry_driver_call_seconds_count{call="ensure_created",driver="simulator"}' in page
    assert 'zentry_ledger_entries_total{credit="held",debit="available"}' in page


def test_who_calls_does_not_decide_how_much_is_kept_and_a_broken_header_begins_anew() -> None:
    exporter = InMemorySpanExporter()
    none, every = OpenTelemetryTracing(exporter, ratio=0.0, at_once=True), OpenTelemetryTracing(exporter, at_once=True)
    random = Random(1)
    broken = ["", "00-zz", f"00-{'0' * 32}-b7ad6b7169203331-01", f"00-{TRACE}-{'0' * 16}-01", f"{TRACEPARENT}-x"]
    broken += ["".join(random.choices("0123456789abcdef-", k=55)) for _ in range(50)]

    with none.span("a", parent=TRACEPARENT):
        carried = current_traceparent() or ""
    for text in broken:
        with every.span("b", parent=text):
            pass
    with every.span("c", parent=carried):
        pass

    assert (carried[3:35], carried[-2:]) == (TRACE, "00"), "the id goes on, and is not kept"
    found = exporter.get_finished_spans()
    assert [span.name for span in found] == ["b"] * len(broken), "what was not kept is not kept further on"
    assert TRACE not in {trace_of(span) for span in found}
    assert current_traceparent() is None


def test_without_a_collector_nothing_is_opened_or_loaded() -> None:
    code = (
        "import sys, zentry.wiring\n"
        "from zentry.platform.settings import TracingSettings\n"
        "from zentry.platform.tracing import NO_TRACING, build_tracing\n"
        "assert build_tracing(TracingSettings()) is NO_TRACING\n"
        "assert not {'zentry.platform.tracing_export', 'opentelemetry.sdk'} & sys.modules.keys()\n"
        "sys.modules['opentelemetry.sdk'] = None\n"  # As where the extra is not installed.
        "build_tracing(TracingSettings(endpoint='http://127.0.0.1:4318/v1/traces'))"
    )

    with NO_TRACING.span("a", parent=TRACEPARENT) as span:
        span.note("a", 1)
        assert current_traceparent() is None

    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=120)
    assert "CannotStart: ZENTRY_TRACING__ENDPOINT is set" in done.stderr, done.stderr
