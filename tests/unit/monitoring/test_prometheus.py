from __future__ import annotations

from datetime import timedelta

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from prometheus_client import REGISTRY
from starlette.types import Receive, Scope, Send

from tests.unit.monitoring.fleet import Fleet
from zentry.monitoring.probe import RecentRequests
from zentry.monitoring.prometheus import HTTPMetricsMiddleware, PrometheusPage
from zentry.platform.clock import ManualClock
from zentry.platform.db import Database
from zentry.platform.errors import NotFound

router = APIRouter()


@router.get("/things/{thing}")
async def get_thing(thing: str) -> str:
    if thing == "broken":
        raise RuntimeError(thing)
    return thing


def counted(route: str, status: int, method: str = "GET") -> float:
    labels = {"method": method, "route": route, "status": str(status)}
    return REGISTRY.get_sample_value("zentry_http_requests_total", labels) or 0.0


@pytest.fixture
def requests() -> RecentRequests:
    return RecentRequests()


@pytest.fixture
def client(requests: RecentRequests) -> httpx.AsyncClient:
    app = FastAPI()
    app.include_router(router)
    transport = httpx.ASGITransport(HTTPMetricsMiddleware(app, requests), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://zentry.test")


async def test_requests_are_counted_by_the_template_of_their_route(
    client: httpx.AsyncClient, requests: RecentRequests
) -> None:
    before = counted("/things/{thing}", 200)

    async with client:
        await client.get("/things/1")
        await client.get("/things/2")

    assert counted("/things/{thing}", 200) - before == 2
    assert requests.summary().requests == 2


async def test_what_no_route_matches_is_one_label_whatever_was_asked_for(client: httpx.AsyncClient) -> None:
    before = counted("unmatched", 404), counted("unmatched", 404, "OTHER")

    async with client:
        for path in ("/a", "/b", "/c"):
            await client.get(path)
        await client.request("BREW", "/pot")

    assert (counted("unmatched", 404) - before[0], counted("unmatched", 404, "OTHER") - before[1]) == (3, 1)


async def test_a_request_that_crashes_is_counted_as_our_failure(
    client: httpx.AsyncClient, requests: RecentRequests
) -> None:
    async with client:
        await client.get("/things/broken")

    assert requests.summary().failures == 1


async def test_a_refusal_that_is_answered_further_out_is_not_our_failure(requests: RecentRequests) -> None:
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise NotFound

    transport = httpx.ASGITransport(HTTPMetricsMiddleware(app, requests), raise_app_exceptions=False)
    before = counted("unmatched", 404)

    async with httpx.AsyncClient(transport=transport, base_url="http://zentry.test") as client:
        await client.get("/a")

    assert counted("unmatched", 404) - before == 1
    assert requests.summary().failures == 0


async def test_what_is_not_http_passes_through_uncounted(requests: RecentRequests) -> None:
    seen: list[str] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope["type"])

    async def receive() -> dict[str, str]:
        return {}

    async def send(_message: object) -> None: ...

    await HTTPMetricsMiddleware(app, requests)({"type": "lifespan"}, receive, send)

    assert seen == ["lifespan"]
    assert requests.summary().requests == 0


async def test_the_page_shows_the_platform_and_reads_it_again_only_after_a_while(
    database: Database, clock: ManualClock, fleet: Fleet
) -> None:
    page = PrometheusPage(database, clock, driver="simulator")
    await fleet.add(1)

    first = (await page.render()).decode()
    await fleet.add(2)
    second = (await page.render()).decode()
    clock.advance(timedelta(seconds=5))
    third = (await page.render()).decode()

    assert 'zentry_vms{status="running"} 1.0' in first
    assert 'zentry_vms{status="running"} 1.0' in second
    assert 'zentry_vms{status="running"} 2.0' in third
    for name in ("zentry_users", "zentry_operations", "zentry_operations_oldest_seconds", "zentry_meter_lag_seconds"):
        assert f"# TYPE {name} gauge" in first
    assert "zentry_database_query_seconds_count" in first
