"""Metrics for Prometheus: HTTP requests as they happen, the platform's figures at scrape time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector as MetricsCollector
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zentry.monitoring.backlogs import read_backlogs
from zentry.monitoring.probe import RecentRequests
from zentry.monitoring.repository import MonitoringRepository
from zentry.monitoring.types import Backlogs, Fleet
from zentry.platform.clock import Clock
from zentry.platform.db import Database
from zentry.platform.errors import ZentryError

REQUESTS: Final = Counter(
    "zentry_http_requests_total", "HTTP requests by method, route template and status.", ("method", "route", "status")
)
REQUEST_SECONDS: Final = Histogram(
    "zentry_http_request_seconds",
    "Time from a request to the end of its answer, by route template.",
    ("method", "route"),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SERVER_ERROR: Final = 500
_CLIENT_LEFT: Final = 499
_SCRAPE_SECONDS: Final = 5.0


class HTTPMetricsMiddleware:
    """Counts and times requests. Pure ASGI: a stream passes through untouched.

    The route is read from the scope after the router has run, so what stands between must hand on
    the same scope. Labels have bounds: what no route matches is one label, whatever was asked for.
    """

    def __init__(self, app: ASGIApp, requests: RecentRequests) -> None:
        self._app = app
        self._requests = requests
        # `labels()` takes a lock and builds a key; the child for a route is the same for ever.
        self._counters: dict[tuple[str, str, int], Any] = {}
        self._timers: dict[tuple[str, str], Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and note how it went."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = _SERVER_ERROR

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        started = time.perf_counter()
        try:
            await self._app(scope, receive, note_status)
        except ZentryError as error:
            status = error.status  # Somebody outside makes the answer of it.
            raise
        except asyncio.CancelledError:
            status = _CLIENT_LEFT
            raise
        finally:
            self._observe(scope, status, time.perf_counter() - started)

    def _observe(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        route = getattr(scope.get("route"), "path", None) or ("other" if "endpoint" in scope else "unmatched")
        counter = self._counters.get((method, route, status))
        if counter is None:
            counter = self._counters[method, route, status] = REQUESTS.labels(method, route, str(status))
        timer = self._timers.get((method, route))
        if timer is None:
            timer = self._timers[method, route] = REQUEST_SECONDS.labels(method, route)
        counter.inc()
        timer.observe(seconds)
        self._requests.add(seconds=seconds, failed=status >= _SERVER_ERROR)


class PrometheusPage:
    """The text that Prometheus scrapes. Anyone may ask, so the database is asked every few seconds at most."""

    def __init__(self, database: Database, clock: Clock, *, driver: str) -> None:
        self._database = database
        self._clock = clock
        self._driver = driver
        self._lock = asyncio.Lock()
        self._figures: _Gauges | None = None
        self._read_at = 0.0

    async def render(self) -> bytes:
        """Return this process's metrics and the platform's figures."""
        figures = await self._current_figures()
        return generate_latest(REGISTRY) + generate_latest(figures)

    async def _current_figures(self) -> _Gauges:
        async with self._lock:
            if self._figures is None or self._clock.monotonic() - self._read_at >= _SCRAPE_SECONDS:
                async with self._database.read() as tx:
                    fleet = await MonitoringRepository(tx).read_fleet()
                    self._figures = _Gauges(fleet, await read_backlogs(tx, driver=self._driver))
                self._read_at = self._clock.monotonic()
            return self._figures


class _Gauges(MetricsCollector):
    """The platform's figures as gauges."""

    def __init__(self, fleet: Fleet, backlogs: Backlogs) -> None:
        self._fleet = fleet
        self._backlogs = backlogs

    def collect(self) -> Iterable[GaugeMetricFamily]:
        fleet = self._fleet
        yield _by_status("zentry_vms", "VMs by status.", list(fleet.vms.items()))
        yield _by_status(
            "zentry_operations", "Operations that have not ended, by status.", list(fleet.operations.items())
        )
        yield GaugeMetricFamily("zentry_users", "Accounts.", value=fleet.users)
        yield GaugeMetricFamily(
            "zentry_operations_oldest_seconds",
            "Age of the oldest operation that has not ended.",
            value=fleet.oldest_operation.total_seconds(),
        )
        yield GaugeMetricFamily(
            "zentry_operations_queue_lag_seconds",
            "How long the oldest operation has been waiting although it might run.",
            value=fleet.queue_lag.total_seconds(),
        )
        yield GaugeMetricFamily(
            "zentry_meter_lag_seconds",
            "How late the meter is for the most overdue account.",
            value=fleet.meter_lag.total_seconds(),
        )
        waiting = GaugeMetricFamily(
            "zentry_backlog_seconds",
            "How long the head of a queue has been waiting although it might go on, by queue.",
            labels=["queue"],
        )
        for queue in ("events", "sampling", "alerts", "mails", "webhooks"):
            waiting.add_metric([queue], getattr(self._backlogs, queue).total_seconds())
        yield waiting
        check = self._backlogs.invariants
        yield GaugeMetricFamily(
            "zentry_invariants_broken",
            "Rules about books and machines that did not hold at the last recomputation.",
            value=0 if check is None else check.violations,
        )


def _by_status(name: str, documentation: str, counts: Sequence[tuple[str, int]]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, documentation, labels=["status"])
    for status, count in counts:
        family.add_metric([str(status)], count)
    return family


router = APIRouter(tags=["Monitoring"])


@router.get(
    "/metrics",
    summary="Scrape metrics",
    response_class=PlainTextResponse,
    responses={
        200: {
            "description": "Metrics in the text format of Prometheus.",
            "content": {"text/plain": {"example": 'zentry_vms{status="running"} 5.0\n'}},
        }
    },
)
async def get_prometheus_metrics(request: Request) -> Response:
    """Read the platform's metrics in the text format of Prometheus.

    Requests and query times are of the process that answers; VMs, operations, accounts and the
    meter's lag are of the whole platform.
    """
    page: PrometheusPage = request.app.state.prometheus
    return Response(await page.render(), media_type=CONTENT_TYPE_LATEST)
