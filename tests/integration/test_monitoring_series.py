"""Figures over any period, of machines, projects and accounts."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.support.platform import PlatformUnderTest
from zentry.compute.types import Sample


def samples(vm_id: str, platform: PlatformUnderTest, cpu_by_minutes_ago: dict[float, float]) -> list[Sample]:
    return [
        Sample(UUID(vm_id), platform.clock.now() - timedelta(minutes=ago), cpu, 40.0, 25.0, 1000.0, 500.0, 10.0, 20.0)
        for ago, cpu in cpu_by_minutes_ago.items()
    ]


async def test_figures_of_a_machine_a_project_and_an_account_over_a_period_and_the_one_before(
    platform: PlatformUnderTest,
) -> None:
    ada, eve = await platform.signup(), await platform.signup()
    project_id = await platform.given_project(ada)
    first = (await platform.given_vm(ada, project_id=project_id))["id"]
    second = (await platform.given_vm(ada))["id"]
    strange = (await platform.given_vm(eve))["id"]
    record = platform.inner.app.state.metrics.record_vm_metrics
    await record(samples(first, platform, {0: 20.0, 5: 30.0, 50: 10.0, 70: 40.0}))
    await record(samples(second, platform, {0: 60.0}))
    await record(samples(strange, platform, {0: 90.0}))
    start = (platform.clock.now() - timedelta(hours=1)).isoformat()
    asked: dict[str, Any] = {"start": start, "step": 300, "metrics": ["cpu_usage", "network_in"]}

    async def get(path: str, **more: Any) -> httpx.Response:
        return await platform.client.get(path, params={**asked, **more}, headers=ada.headers)

    vm = (await get(f"/monitoring/vms/{first}/series", compare=True)).json()
    assert (vm["scope"], vm["step_seconds"], vm["vms"], len(vm["points"])) == ("vm", 300, 1, 13)
    shown = [(point["samples"], point["values"] and point["values"]["cpu_usage"]) for point in vm["points"]]
    assert shown == [(0, None), (0, None), (1, 10.0), *[(0, None)] * 8, (1, 30.0), (1, 20.0)]
    assert (vm["averages"], vm["peaks"]["cpu_usage"]) == ({"cpu_usage": 20.0, "network_in": 1000.0}, 30.0)
    assert vm["previous"]["averages"]["cpu_usage"] == 40.0
    assert vm["change_percent"] == {"cpu_usage": -50.0, "network_in": 0.0}

    project = (await get(f"/monitoring/projects/{project_id}/series", aggregation="peak")).json()
    assert (project["scope"], project["id"], project["vms"], project["previous"]) == ("project", project_id, 1, None)
    assert project["points"][-1]["values"]["cpu_usage"] == 20.0

    account = (await get("/monitoring/series")).json()
    assert (account["id"], account["vms"]) == (ada.id, 2)
    assert account["points"][-1] == {
        "timestamp": account["points"][-1]["timestamp"],
        "samples": 2,
        "values": {"cpu_usage": 40.0, "network_in": 2000.0},
    }

    table = await get("/monitoring/series", format="csv")
    lines = list(csv.reader(table.text.splitlines()))
    assert table.headers["content-type"].startswith("text/csv")
    assert table.headers["content-disposition"].endswith('.csv"')
    assert lines[0] == ["timestamp", "samples", "cpu_usage", "network_in"]
    assert lines[1][1:] == ["0", "", ""]
    assert lines[-1][1:] == ["2", "40.0", "2000.0"]

    now = (await platform.client.get(f"/monitoring/projects/{project_id}/metrics", headers=ada.headers)).json()
    both = (await platform.client.get("/monitoring/metrics", headers=ada.headers)).json()
    assert (now["running_vms"], now["measured_vms"], both["running_vms"]) == (1, 1, 2)
    assert both["network_in"] > now["network_in"] > 0

    for path in (f"/monitoring/vms/{strange}/series", "/monitoring/vms/12/series", "/monitoring/projects/12/series"):
        assert (await get(path)).status_code == httpx.codes.NOT_FOUND


async def test_a_long_period_is_shown_in_the_steps_that_are_kept(platform: PlatformUnderTest) -> None:
    ada = await platform.signup()
    vm_id = (await platform.given_vm(ada))["id"]
    now = platform.clock.now()

    async def step(days: float, **more: Any) -> int:
        params: dict[str, Any] = {"start": (now - timedelta(days=days)).isoformat(), **more}
        answer = await platform.client.get(f"/monitoring/vms/{vm_id}/series", params=params, headers=ada.headers)
        assert answer.status_code == httpx.codes.OK, answer.text
        assert len(answer.json()["points"]) <= 1000
        return int(answer.json()["step_seconds"])

    assert await step(0.01, step=1) == 1
    assert await step(1, step=60) == 120
    assert await step(30, step=60) == 2700
    assert await step(400) % 3600 == 0
    assert [await step(days) for days in (0.1, 0.5, 1, 7)] == [44, 300, 300, 3600], "even steps by default"


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_of_a_period_that_is_not_kept_the_rest_is_answered(platform: PlatformUnderTest) -> None:
    ada = await platform.signup()
    now = platform.clock.now()
    latest = now + timedelta(days=1)

    for query, start, end in (
        (
            "start=2010-01-01&end=2026-03-01T00:00:00Z",
            datetime(2021, 2, 25, tzinfo=UTC),
            datetime(2026, 3, 1, tzinfo=UTC),
        ),
        ("start=2026-01-01&end=2030-01-01", datetime(2026, 1, 1, tzinfo=UTC), latest),
        ("end=9999-12-31", now, latest),
    ):
        told = (await platform.client.get(f"/monitoring/series?{query}", headers=ada.headers)).json()
        assert [datetime.fromisoformat(told[at]) for at in ("period_start", "period_end")] == [start, end], query
        assert told["points"]
    for query in (
        "start=2026-03-02&end=2026-03-01",
        "start=2015-01-01&end=2015-01-02",
        "start=0001-01-01&end=0001-01-01",
    ):
        told = (await platform.client.get(f"/monitoring/series?{query}&compare=true", headers=ada.headers)).json()
        assert (told["period_start"], told["points"], told["previous"]["points"]) == (told["period_end"], [], []), query


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_a_figure_that_cannot_be_is_refused(platform: PlatformUnderTest) -> None:
    ada = await platform.signup()

    for query in (
        "step=0",
        "metrics=heat",
        "aggregation=sum",
        "format=xml",
        "start=yesterday",
    ):
        answer = await platform.client.get(f"/monitoring/series?{query}", headers=ada.headers)
        assert (answer.status_code, answer.json()["error_code"]) == (400, "VALIDATION_ERROR"), query
