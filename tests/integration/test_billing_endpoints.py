"""Money through the front door: what is held, charged, released, refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.platform import Account, PlatformUnderTest


async def _create(platform: PlatformUnderTest, account: Account, project_id: str, number: int) -> Any:
    body = {"name": f"vm-{number}", "instance_type": "small", "image": "debian-12", "project_id": project_id}
    return await platform.client.post("/vms", json=body, headers=account.headers)


async def test_a_new_account_has_the_welcome_credit_as_a_line(platform: PlatformUnderTest) -> None:
    account = await platform.signup()

    money = await platform.credits(account)
    [line] = await platform.history(account)

    assert (money["current_credits"], money["available_credits"], money["total_spent"]) == (50, 50, 0)
    assert (line["action_type"], line["amount"]) == ("credit_add", 50)


async def test_credit_is_held_at_the_request_and_charged_from_the_first_running_instant(
    platform: PlatformUnderTest,
) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account, status="creating")
    requested = await platform.credits(account)

    await platform.advance(seconds=200)
    running = await platform.credits(account)
    await platform.advance(seconds=1800)
    accrued = await platform.credits(account)
    await platform.client.post(f"/vms/{vm['id']}/stop", headers=account.headers)
    await platform.settle()
    stopped = await platform.credits(account)

    assert (requested["current_credits"], requested["held_credits"]) == (50, 0.1)
    assert (running["current_credits"], running["held_credits"]) == (49.95, 0.05)
    assert (accrued["current_credits"], accrued["accrued_cost"], accrued["burn_rate_per_hour"]) == (49.95, 0.025, 0.05)
    assert (stopped["current_credits"], stopped["held_credits"]) == (49.925, 0)
    assert [(line["action_type"], line["amount"]) for line in await platform.history(account)] == [
        ("vm_usage", -0.025),
        ("vm_create", -0.05),
        ("credit_add", 50),
    ]


async def test_a_late_meter_changes_nothing_in_what_is_charged(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    punctual = await platform.given_vm(account)
    for _ in range(24):
        await platform.advance(hours=0.5)

    vm = await platform.get_vm(punctual["id"], account)
    await platform.client.post(f"/vms/{vm['id']}/stop", headers=account.headers)
    await platform.settle()

    assert (await platform.credits(account))["current_credits"] == pytest.approx(50 - 0.05 - 12 * 0.05, abs=1e-9)


async def test_a_missing_meter_changes_nothing_in_what_is_charged(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)

    await platform.advance(meter=False, hours=5)
    await platform.client.post(f"/vms/{vm['id']}/stop", headers=account.headers)
    await platform.settle()

    assert (await platform.credits(account))["current_credits"] == 49.7


@pytest.mark.parametrize("overrides", [{"billing": {"welcome_credits": 0.175}}])
async def test_a_machine_stops_when_its_credit_ends_and_nothing_is_owed(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)

    for _ in range(200):
        await platform.advance(minutes=1)
        assert (await platform.credits(account))["available_credits"] >= 0
    stopped = await platform.get_vm(vm["id"], account)
    money = await platform.credits(account)

    assert (stopped["status"], stopped["stop_reason"]) == ("stopped", "credit")
    # 0.125 credits after the fee pay for 2.5 hours; the machine is stopped within the last minute of them.
    assert 2.5 - 2 / 60 <= stopped["uptime_hours"] <= 2.5
    assert 0 <= money["current_credits"] < 0.002
    assert money["held_credits"] == 0


@pytest.mark.parametrize("overrides", [{"billing": {"welcome_credits": 1.0}}])
async def test_a_top_up_in_time_keeps_a_machine_running(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account, instance_type="xlarge")
    await platform.advance(hours=0.9)
    await platform.advance(hours=1)
    await platform.advance(minutes=27)

    too_much = await platform.client.post("/billing/credits/add", json={"amount": 10_001}, headers=account.headers)
    added = await platform.client.post("/billing/credits/add", json={"amount": 5}, headers=account.headers)
    await platform.advance(hours=1)

    assert (too_much.status_code, added.json()["data"]["previous_balance"] < 1) == (400, True)
    assert added.json()["data"]["amount_added"] == 5
    assert (await platform.get_vm(vm["id"], account))["status"] == "running"


@pytest.mark.parametrize("overrides", [{"billing": {"welcome_credits": 0.09}}])
async def test_too_few_credits_say_what_is_required_and_what_is_there(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    project_id = await platform.given_project(account)

    answer = await _create(platform, account, project_id, 1)

    assert answer.status_code == 400
    assert answer.json()["error_code"] == "INSUFFICIENT_CREDITS"
    assert answer.json()["detail"].startswith("Insufficient credits")
    assert answer.json()["details"] == {"required": 0.1, "available": 0.09}


@pytest.mark.parametrize(
    ("overrides", "admitted"),
    [({"billing": {"welcome_credits": credit}, "quotas": {"vms_per_project": 100}}, k) for credit, k in
     [(0.05, 0), (0.1, 1), (1.0, 10)]],
)  # fmt: skip
async def test_parallel_creates_are_admitted_exactly_as_far_as_the_credit_goes(
    platform: PlatformUnderTest, admitted: int
) -> None:
    account = await platform.signup()
    project_id = await platform.given_project(account)

    answers = await asyncio.gather(*(_create(platform, account, project_id, number) for number in range(40)))
    await platform.settle()

    assert sorted(answer.status_code for answer in answers) == [201] * admitted + [400] * (40 - admitted)


@pytest.mark.parametrize("overrides", [{"billing": {"self_service_credit": False}}])
async def test_self_service_credit_can_be_switched_off(platform: PlatformUnderTest) -> None:
    account = await platform.signup()

    answer = await platform.client.post("/billing/credits/add", json={"amount": 5}, headers=account.headers)

    assert (answer.status_code, answer.json()["error_code"]) == (403, "SELF_SERVICE_CREDIT_DISABLED")


async def test_the_history_filters_and_pages(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    for amount in range(1, 6):
        await platform.advance(seconds=1)
        await platform.client.post("/billing/credits/add", json={"amount": amount}, headers=account.headers)
    vm = await platform.given_vm(account)

    first = (await platform.client.get("/billing/history?limit=3", headers=account.headers)).json()
    second = (await platform.client.get("/billing/history?limit=3&page=2", headers=account.headers)).json()
    by_cursor = (
        await platform.client.get(
            "/billing/history", params={"limit": 3, "cursor": first["next_cursor"]}, headers=account.headers
        )
    ).json()
    by_vm = (await platform.client.get(f"/billing/history?vm_id={vm['id']}", headers=account.headers)).json()
    by_type = (await platform.client.get("/billing/history?action_type=credit_add", headers=account.headers)).json()
    none = (await platform.client.get("/billing/history?end_date=2020-01-01", headers=account.headers)).json()

    assert (first["total"], first["pages"], first["has_next"], first["has_prev"]) == (7, 3, True, False)
    assert second["items"] == by_cursor["items"]
    assert [line["action_type"] for line in by_vm["items"]] == ["vm_create"]
    assert by_type["total"] == 6
    assert none["items"] == []


async def test_usage_and_costs_are_summed_up(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account, instance_type="medium")
    await platform.advance(hours=1)
    await platform.client.post(f"/vms/{vm['id']}/stop", headers=account.headers)
    await platform.settle()
    await platform.given_vm(account, instance_type="large")

    summary = (await platform.client.get("/billing/usage-summary", headers=account.headers)).json()
    analysis = (await platform.client.get("/billing/cost-analysis", headers=account.headers)).json()
    cost = (await platform.client.get("/billing/cost?instance_type=large&hours=1.5", headers=account.headers)).json()

    assert (summary["total_vms"], summary["active_vms"], summary["hourly_cost"]) == (2, 1, 0.2)
    assert summary["projected_monthly_cost"] == 144
    assert summary["total_spent"] == pytest.approx(0.2)
    assert analysis["cost_by_vm_type"] == {"large": 0.05, "medium": 0.15}
    assert analysis["cost_by_action"] == {"vm_create": 0.1, "vm_usage": 0.1}
    assert analysis["most_expensive_vm"]["vm_id"] == vm["id"]
    assert analysis["weekly_trend"] == [0, 0, 0, 0, 0, 0, pytest.approx(0.2)]
    assert cost["cost"] == pytest.approx(0.3)
