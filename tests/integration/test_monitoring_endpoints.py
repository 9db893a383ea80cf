from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.support.platform import Account, PlatformUnderTest
from tests.support.statements import sent
from zentry.compute.types import Sample

UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057"
PER_VM = (
    "/monitoring/vms/{id}/metrics",
    "/monitoring/vms/{id}/metrics/history",
    "/monitoring/vms/{id}/status",
    "/vms/{id}/metrics",
    "/vms/{id}/metrics/history",
)


@pytest.fixture
def overrides() -> dict[str, Any]:
    """Tokens that outlive the hours which these tests let pass."""
    return {"security": {"access_token_seconds": 86_400}}


async def get(platform: PlatformUnderTest, account: Account, path: str, **query: int) -> dict[str, Any]:
    answer = await platform.client.get(path, params=query, headers=account.headers)
    assert answer.status_code == httpx.codes.OK, answer.text
    return dict(answer.json())


async def record(platform: PlatformUnderTest, vm_id: str, **cpu_by_minutes_ago: float) -> None:
    await platform.inner.app.state.metrics.record_vm_metrics(
        [
            Sample(
                vm_id=UUID(vm_id),
                recorded_at=platform.clock.now() - timedelta(minutes=int(minutes.removeprefix("m"))),
                cpu_usage=cpu,
                memory_usage=cpu / 2,
                disk_usage=25.0,
                network_in=1_000_000.0,
                network_out=500_000.0,
            )
            for minutes, cpu in cpu_by_minutes_ago.items()
        ]
    )


async def test_a_running_vm_is_measured_for_the_answer(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)
    await platform.advance(hours=1)

    metrics = await get(platform, account, f"/monitoring/vms/{vm['id']}/metrics")

    assert (metrics["vm_id"], metrics["vm_name"], metrics["status"]) == (vm["id"], vm["name"], "running")
    assert all(0 < metrics[name] <= 100 for name in ("cpu_usage", "memory_usage", "disk_usage"))
    assert all(metrics[name] >= 0 for name in ("network_in", "network_out"))
    assert metrics["uptime_hours"] == metrics["current_session_hours"] == 1.0
    assert (metrics["cost_per_hour"], metrics["total_cost"]) == (0.05, 0.1)
    assert metrics["recorded_at"].startswith("2026-03-02T13:00:00")


async def test_a_stopped_vm_has_no_load_and_keeps_its_disk(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account, status="stopped")
    await record(platform, vm["id"], m5=80.0)

    metrics = await get(platform, account, f"/monitoring/vms/{vm['id']}/metrics")

    assert (metrics["status"], metrics["cpu_usage"], metrics["memory_usage"], metrics["network_in"]) == (
        "stopped",
        0,
        0,
        0,
    )
    assert metrics["disk_usage"] == 25.0
    assert metrics["current_session_hours"] == 0


@pytest.mark.parametrize("status", ["creating", "terminated"])
async def test_metrics_answer_in_every_state_with_numbers(platform: PlatformUnderTest, status: str) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account, status=status)

    metrics = await get(platform, account, f"/monitoring/vms/{vm['id']}/metrics")
    history = await get(platform, account, f"/monitoring/vms/{vm['id']}/metrics/history")

    assert [metrics[name] for name in ("cpu_usage", "memory_usage", "disk_usage", "network_in", "network_out")] == [
        0
    ] * 5
    assert history["metrics"] == []
    assert history["data_points"] == 0
    assert set(history["averages"].values()) == set(history["peaks"].values()) == {0}


async def test_history_holds_averages_per_interval_and_averages_and_peaks_of_the_period(
    platform: PlatformUnderTest,
) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)
    await record(platform, vm["id"], m600=99.0, m61=10.0, m62=20.0, m63=30.0, m1=80.0)

    history = await get(platform, account, f"/monitoring/vms/{vm['id']}/metrics/history", hours=6, interval=60)

    points = history["metrics"]
    assert [point["cpu_usage"] for point in points] == [20.0, 80.0]
    assert [point["timestamp"] for point in points] == sorted(point["timestamp"] for point in points)
    assert history["averages"]["cpu_usage"] == 35.0
    assert (history["peaks"]["cpu_usage"], history["peaks"]["memory_usage"]) == (80.0, 40.0)
    assert history["peaks"]["network_in"] == 1_000_000.0
    assert (history["data_points"], history["period_hours"], history["interval_minutes"]) == (2, 6, 60)
    assert history["period_end"] == history["generated_at"]


async def test_collected_samples_appear_in_the_history(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)
    for _ in range(3):
        await platform.inner.collector.tick()
        await platform.advance(minutes=5)

    history = await get(platform, account, f"/monitoring/vms/{vm['id']}/metrics/history", hours=1, interval=5)

    assert history["data_points"] == 3
    assert history["peaks"]["cpu_usage"] >= history["averages"]["cpu_usage"] > 0


async def test_a_long_period_of_short_intervals_is_widened_and_says_so(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)

    history = await get(platform, account, f"/monitoring/vms/{vm['id']}/metrics/history", hours=168, interval=5)

    assert history["interval_minutes"] == 15


@pytest.mark.parametrize("query", ["hours=0", "hours=169", "hours=x", "interval=4", "interval=3601"])
@pytest.mark.parametrize("path", ["/monitoring/vms/{id}/metrics/history", "/vms/{id}/metrics/history"])
async def test_a_period_or_interval_out_of_bounds_is_refused(
    platform: PlatformUnderTest, path: str, query: str
) -> None:
    account = await platform.signup()

    answer = await platform.client.get(f"{path.format(id=UNKNOWN)}?{query}", headers=account.headers)

    assert (answer.status_code, answer.json()["error_code"]) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize("path", PER_VM)
async def test_another_owners_vm_looks_like_one_that_never_was(platform: PlatformUnderTest, path: str) -> None:
    owner, stranger = await platform.signup(), await platform.signup()
    vm = await platform.given_vm(owner)

    answers = [
        await platform.client.get(path.format(id=vm_id), headers=stranger.headers)
        for vm_id in (vm["id"], UNKNOWN, "12")
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert {(answer.json()["error_code"], answer.json()["detail"]) for answer in answers} == {
        ("NOT_FOUND", "VM not found")
    }


@pytest.mark.parametrize("path", [*PER_VM, "/monitoring/dashboard", "/monitoring/system/health", "/health/audit"])
async def test_without_a_token_nothing_is_shown(platform: PlatformUnderTest, path: str) -> None:
    answer = await platform.client.get(path.format(id=UNKNOWN))

    assert answer.status_code == httpx.codes.UNAUTHORIZED


async def test_the_paths_under_vms_speak_of_megabits(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)
    await record(platform, vm["id"], m1=50.0)

    metrics = await get(platform, account, f"/vms/{vm['id']}/metrics")
    history = await get(platform, account, f"/vms/{vm['id']}/metrics/history", hours=1)

    assert {"network_in_mbps", "network_out_mbps"} <= set(metrics)
    assert "network_in" not in metrics
    assert history["metrics"][0]["network_in_mbps"] == 8.0
    assert history["peaks"]["network_out_mbps"] == 4.0


@pytest.mark.parametrize("path", ["/vms/{id}/metrics", "/vms/{id}/metrics/history"])
async def test_a_terminated_vm_has_no_metrics_under_vms(platform: PlatformUnderTest, path: str) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account, status="terminated")

    answer = await platform.client.get(path.format(id=vm["id"]), headers=account.headers)

    assert (answer.status_code, answer.json()["error_code"]) == (409, "VM_TERMINATED")


async def test_the_status_compares_the_wish_with_what_the_host_sees(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    running = await platform.given_vm(account)
    stopped = await platform.given_vm(account, status="stopped")
    creating = await platform.given_vm(account, status="creating")

    found = [await get(platform, account, f"/monitoring/vms/{vm['id']}/status") for vm in (running, stopped, creating)]

    assert [(seen["status"], seen["wanted_status"], seen["observed_power"], seen["in_sync"]) for seen in found] == [
        ("running", "running", "on", True),
        ("stopped", "stopped", "off", True),
        ("creating", "running", None, None),
    ]
    assert found[1]["stop_reason"] == "user"
    assert found[2]["active_operation"]["kind"].endswith("create")


async def test_an_empty_dashboard_is_made_of_zeros(platform: PlatformUnderTest) -> None:
    account = await platform.signup()

    dashboard = await get(platform, account, "/monitoring/dashboard")

    assert dashboard == {
        "overview": {"total_vms": 0, "running_vms": 0, "stopped_vms": 0, "hourly_cost": 0, "total_cost": 0},
        "vm_summary": [],
        "alerts": [],
        "resource_utilization": {"avg_cpu": 0, "avg_memory": 0, "avg_disk": 0},
    }


async def test_the_dashboard_shows_the_accounts_own_vms_and_costs(platform: PlatformUnderTest) -> None:
    account, stranger = await platform.signup(), await platform.signup()
    running = await platform.given_vm(account)
    await platform.given_vm(account, status="stopped")
    await platform.given_vm(account, status="terminated")
    await platform.given_vm(stranger)
    await platform.advance(hours=1)

    dashboard = await get(platform, account, "/monitoring/dashboard")

    overview = dashboard["overview"]
    assert (overview["total_vms"], overview["running_vms"], overview["stopped_vms"]) == (2, 1, 1)
    assert (overview["hourly_cost"], overview["total_cost"]) == (0.05, 0.2)
    summary = {vm["vm_id"]: vm for vm in dashboard["vm_summary"]}
    assert len(summary) == 2
    assert summary[running["id"]]["cpu_usage"] == dashboard["resource_utilization"]["avg_cpu"] > 0
    assert dashboard["alerts"] == []


async def test_the_dashboard_takes_two_statements_however_many_vms_there_are(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    member_of = await platform.signup()
    project_id = await platform.given_project(member_of)
    project = await platform.given_member(member_of, project_id, role="viewer")
    for _ in range(3):
        await platform.given_vm(account)
    await platform.given_vm(member_of, project_id=project_id)
    taken = []
    for reader in (account, project):
        await get(platform, reader, "/monitoring/dashboard")  # The session is checked, and remembered for a second.
        with sent(platform.database) as statements:
            dashboard = await get(platform, reader, "/monitoring/dashboard")
        taken.append((dashboard["overview"]["running_vms"], len(statements)))

    assert taken == [(3, 2), (1, 2)]


@pytest.mark.parametrize("overrides", [{"billing": {"welcome_credits": 0.12}}])
async def test_the_dashboard_warns_of_credit_that_will_not_last(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    before = (await get(platform, account, "/monitoring/dashboard"))["alerts"]
    await platform.given_vm(account)

    after = (await get(platform, account, "/monitoring/dashboard"))["alerts"]

    assert [(alert["type"], alert["severity"], alert["vm_id"]) for alert in before] == [("low_credit", "warning", None)]
    assert [(alert["type"], alert["severity"], alert["vm_id"]) for alert in after] == [("low_credit", "critical", None)]


async def test_system_health_shows_every_component_and_figure(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    await platform.given_vm(account)

    health = await get(platform, account, "/monitoring/system/health")

    assert health["overall_status"] in {"healthy", "degraded"}
    assert len(health["components"]) == 11
    for component in health["components"].values():
        assert component["status"] in {"healthy", "degraded", "unhealthy"}
        assert component["last_check"]
        assert component["reason"]
    assert health["components"]["database"]["status"] == "healthy"
    assert health["capacity"]["vcpus_used"] == 1
    assert health["capacity"]["vms_running"] == 1
    assert health["performance"]["requests"] > 0
    assert health["performance"]["queries"] > 0
    assert health["next_update"] > health["last_updated"]


async def test_a_meter_that_is_late_makes_the_platform_unhealthy(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    await platform.given_vm(account)
    await platform.advance(hours=2, meter=False)

    health = await get(platform, account, "/monitoring/system/health")

    assert health["components"]["vm_manager"]["status"] == "unhealthy"
    assert health["overall_status"] == "unhealthy"
    assert health["performance"]["meter_lag_seconds"] > 3000
    assert any(alert["severity"] == "critical" for alert in health["alerts"])
    assert health["recommendations"]


async def test_prometheus_reads_counts_of_the_whole_platform(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    await platform.given_vm(account)

    answer = await platform.client.get("/metrics")

    assert answer.status_code == httpx.codes.OK
    assert answer.headers["content-type"].startswith("text/plain")
    assert 'zentry_vms{status="running"} 1.0' in answer.text
    assert "zentry_users 1.0" in answer.text
    assert 'route="/auth/signup"' in answer.text


async def test_the_audit_list_holds_the_callers_entries_newest_first(platform: PlatformUnderTest) -> None:
    account, stranger = await platform.signup(), await platform.signup()
    vm = await platform.given_vm(account)
    await platform.given_vm(stranger)

    answer = await platform.client.get("/health/audit", params={"limit": 1000}, headers=account.headers)
    second = await platform.client.get("/health/audit", params={"limit": 1, "offset": 1}, headers=account.headers)

    entries = answer.json()
    assert {entry["user_id"] for entry in entries} == {account.id}
    assert [entry["timestamp"] for entry in entries] == sorted((entry["timestamp"] for entry in entries), reverse=True)
    assert {"id", "action", "resource_type", "resource_id", "details", "timestamp"} <= set(entries[0])
    assert vm["id"] in {entry["resource_id"] for entry in entries}
    assert second.json() == [entries[1]]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "offset=-1", "offset=100001"])
async def test_an_audit_page_out_of_bounds_is_refused(platform: PlatformUnderTest, query: str) -> None:
    account = await platform.signup()

    answer = await platform.client.get(f"/health/audit?{query}", headers=account.headers)

    assert answer.status_code == httpx.codes.BAD_REQUEST
