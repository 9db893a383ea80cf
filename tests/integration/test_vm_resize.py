"""Resizing machines: sizes, prices, quotas and holds move together, or not at all."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from tests.support.platform import Account, PlatformUnderTest
from zentry.billing.service import BillingService
from zentry.compute.simulator.driver import SimulatorDriver
from zentry.compute.simulator.faults import FaultKind, Rule
from zentry.compute.simulator.orders import Action
from zentry.compute.types import Power
from zentry.schema.billing import segments
from zentry.schema.events import events
from zentry.vms.repository import VMRepository
from zentry.vms.service import VMService


async def _resize(platform: PlatformUnderTest, account: Account, vm_id: str, size: str) -> Any:
    return await platform.client.post(f"/vms/{vm_id}/resize", json={"instance_type": size}, headers=account.headers)


async def _used(platform: PlatformUnderTest, account: Account) -> dict[str, int]:
    answer = await platform.client.get("/quotas", headers=account.headers)
    return {
        one["resource"]: one["used"]
        for one in answer.json()["quotas"]
        if one["resource"] not in {"projects", "snapshots"}
    }


async def _power(platform: PlatformUnderTest, vm: dict[str, Any]) -> Power:
    return (await platform.driver.observe([UUID(vm["id"])]))[UUID(vm["id"])].power


async def _segments(platform: PlatformUnderTest, vm: dict[str, Any]) -> list[Any]:
    async with platform.database.read() as tx:
        query = sa.select(segments).where(segments.c.resource_id == UUID(vm["id"])).order_by(segments.c.started_at)
        return list((await tx.execute(query)).all())


def _fail(platform: PlatformUnderTest, action: Action, *, skip: int = 0) -> None:
    assert isinstance(platform.driver, SimulatorDriver)
    platform.driver.faults.add(Rule(action, FaultKind.REJECTED, skip=skip))


async def test_a_running_machine_grows_and_is_charged_the_new_rate_from_then_on(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)
    await platform.advance(meter=False, minutes=30)

    answer = await _resize(platform, account, vm["id"], "medium")
    await platform.settle()
    grown = await platform.get_vm(vm["id"], account)
    await platform.advance(meter=False, minutes=30)
    await platform.client.post(f"/vms/{vm['id']}/stop", headers=account.headers)
    await platform.settle()

    assert (answer.status_code, answer.json()["message"]) == (200, "VM is being resized")
    assert (grown["status"], grown["instance_type"], grown["cost_per_hour"]) == ("running", "medium", 0.1)
    assert (grown["vcpus"], grown["memory_mib"], grown["disk_gib"]) == (2, 4096, 40)
    assert grown["uptime_hours"] == 0.5
    assert [(one.rate_micros_per_hour, one.charged_micros) for one in await _segments(platform, vm)] == [
        (50_000, 25_000),
        (100_000, 50_000),
    ]
    assert (await platform.credits(account))["current_credits"] == 49.875
    assert await _used(platform, account) == {"vms": 1, "vcpus": 2, "memory_mib": 4096, "disk_gib": 40}


async def test_a_smaller_type_keeps_the_disk_and_gives_credit_and_quota_back(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account, instance_type="large")

    await _resize(platform, account, vm["id"], "small")
    busy = await _used(platform, account)
    await platform.settle()
    shrunk = await platform.get_vm(vm["id"], account)

    assert busy == {"vms": 1, "vcpus": 4, "memory_mib": 8192, "disk_gib": 80}
    assert (shrunk["instance_type"], shrunk["vcpus"], shrunk["disk_gib"]) == ("small", 1, 80)
    assert await _used(platform, account) == {"vms": 1, "vcpus": 1, "memory_mib": 1024, "disk_gib": 80}
    assert (await platform.credits(account))["held_credits"] == 0.05


async def test_a_stopped_machine_stays_stopped_and_costs_nothing(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account, status="stopped")
    before = await platform.credits(account)

    await _resize(platform, account, vm["id"], "xlarge")
    await platform.settle()
    resized = await platform.get_vm(vm["id"], account)

    assert (resized["status"], resized["stop_reason"], resized["disk_gib"]) == ("stopped", "user", 160)
    assert await _power(platform, vm) is Power.OFF
    assert (await platform.credits(account))["held_credits"] == before["held_credits"] == 0
    await platform.client.post(f"/vms/{vm['id']}/start", headers=account.headers)
    await platform.settle()
    assert (await platform.credits(account))["held_credits"] == 0.4


@pytest.mark.parametrize(
    ("size", "status", "code"), [("huge", 400, "VALIDATION_ERROR"), ("small", 409, "VM_SIZE_UNCHANGED")]
)
async def test_a_size_that_makes_no_sense_is_named(
    platform: PlatformUnderTest, size: str, status: int, code: str
) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)

    answer = await _resize(platform, account, vm["id"], size)

    assert (answer.status_code, answer.json()["error_code"]) == (status, code)
    assert repr(size) in answer.json()["message"]
    assert await platform.get_vm(vm["id"], account) == vm


async def test_a_machine_that_is_busy_or_gone_is_not_resized(platform: PlatformUnderTest) -> None:
    account, stranger = await platform.signup(), await platform.signup()
    busy = await platform.given_vm(account, status="creating")

    while_busy = await _resize(platform, account, busy["id"], "medium")
    await platform.settle()
    foreign = await _resize(platform, stranger, busy["id"], "medium")
    gone = await platform.given_vm(account, status="terminated")
    when_gone = await _resize(platform, account, gone["id"], "medium")

    assert (while_busy.status_code, while_busy.json()["error_code"]) == (409, "VM_BUSY")
    assert (when_gone.status_code, when_gone.json()["error_code"]) == (409, "VM_INVALID_TRANSITION")
    assert foreign.status_code == 404


@pytest.mark.parametrize("overrides", [{"billing": {"welcome_credits": 0.3}}])
async def test_too_little_credit_refuses_the_larger_size_and_changes_nothing(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)
    await platform.advance(meter=False, minutes=30)

    refused = await _resize(platform, account, vm["id"], "xlarge")
    allowed = await _resize(platform, account, vm["id"], "large")
    await platform.settle()

    # 0.05 are held, of which half is used; 0.4 - 0.025 more would be needed.
    assert (refused.status_code, refused.json()["error_code"]) == (400, "INSUFFICIENT_CREDITS")
    assert refused.json()["details"] == {"required": 0.375, "available": 0.2}
    assert allowed.status_code == 200
    assert (await platform.get_vm(vm["id"], account))["instance_type"] == "large"
    assert (await platform.credits(account))["held_credits"] == 0.2


@pytest.mark.parametrize("overrides", [{"quotas": {"vcpus_per_project": 2}}])
async def test_a_size_beyond_the_quota_is_refused_and_holds_no_credit(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)
    used, money = await _used(platform, account), await platform.credits(account)

    refused = await _resize(platform, account, vm["id"], "large")

    assert (refused.status_code, refused.json()["error_code"]) == (409, "QUOTA_EXCEEDED")
    assert await _used(platform, account) == used
    assert (await platform.credits(account))["held_credits"] == money["held_credits"]


@pytest.mark.parametrize(("action", "skip"), [(Action.STOP, 0), (Action.RESIZE, 0), (Action.START, 0)])
@pytest.mark.parametrize("size", ["small", "xlarge"])
async def test_a_resize_that_fails_leaves_size_price_hold_and_quota_as_they_were(
    platform: PlatformUnderTest, action: Action, skip: int, size: str
) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account, instance_type="medium")
    used = await _used(platform, account)
    await platform.advance(meter=False, minutes=10)
    _fail(platform, action, skip=skip)

    await _resize(platform, account, vm["id"], size)
    await platform.settle()
    after = await platform.get_vm(vm["id"], account)

    async with platform.database.read() as tx:
        query = sa.select(events.c.data["code"].as_string()).where(events.c.kind == "vm.resize_failed")
        codes = (await tx.execute(query)).scalars().all()
    assert codes == ["HOST_REJECTED"]
    assert (after["status"], after["instance_type"], after["disk_gib"]) == ("running", "medium", 40)
    assert after["active_operation"] is None
    assert await _power(platform, vm) is Power.ON
    assert await _used(platform, account) == used
    assert [one.ended_at for one in await _segments(platform, vm)] == [None]
    assert (await platform.credits(account))["held_credits"] == 0.1


@pytest.mark.parametrize("overrides", [{"simulator": {"hosts": 1, "host_vcpus": 3, "host_memory_mib": 65_536}}])
async def test_a_size_for_which_there_is_no_room_fails_and_says_so(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)

    answer = await platform.client.post(
        f"/vms/{vm['id']}/resize", json={"instance_type": "large"}, headers=account.headers
    )
    await platform.settle()

    async with platform.database.read() as tx:
        query = sa.select(events.c.data["code"].as_string()).where(events.c.kind == "vm.resize_failed")
        assert (await tx.execute(query)).scalars().all() == ["NO_CAPACITY"]
    assert answer.status_code == 200
    assert (await platform.get_vm(vm["id"], account))["instance_type"] == "small"


@pytest.mark.parametrize("end", ["delete", "credit"])
async def test_a_resize_gives_way_to_deletion_and_to_the_end_of_credit(platform: PlatformUnderTest, end: str) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)
    await _resize(platform, account, vm["id"], "large")
    late = await platform.inner.runner.claim()
    driver = platform.driver
    await driver.ensure_stopped(UUID(vm["id"]), fence=late[0].fence, grace=platform.clock.now() - platform.clock.now())

    if end == "delete":
        await platform.client.delete(f"/vms/{vm['id']}", headers=account.headers)
    else:
        async with platform.database.work() as tx:
            await VMService(tx, platform.settings).suspend_vm(UUID(vm["id"]))
    await platform.settle()
    for claim in late:
        await platform.inner.runner.drive(claim)
    after = await platform.get_vm(vm["id"], account)

    assert after["status"] == ("terminated" if end == "delete" else "stopped")
    assert after["instance_type"] == "small"
    assert (await platform.credits(account))["held_credits"] == 0
    assert (await _used(platform, account))["vcpus"] == (0 if end == "delete" else 1)


async def test_a_start_takes_back_a_size_that_the_engine_kept_from_a_resize_that_gave_way(
    platform: PlatformUnderTest,
) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)
    assert isinstance(platform.driver, SimulatorDriver)
    platform.driver.faults.add(Rule(Action.RESIZE, FaultKind.LOST_REPLY))
    await _resize(platform, account, vm["id"], "large")
    for claim in await platform.inner.runner.claim():
        await platform.inner.runner.drive(claim)
    grown = sum(host.vcpus_used for host in await platform.driver.hosts())

    async with platform.database.work() as tx:
        await VMService(tx, platform.settings).suspend_vm(UUID(vm["id"]))
    await platform.settle()
    await platform.client.post(f"/vms/{vm['id']}/start", headers=account.headers)
    await platform.settle()

    assert grown == 4
    assert sum(host.vcpus_used for host in await platform.driver.hosts()) == 1
    assert (await platform.get_vm(vm["id"], account))["instance_type"] == "small"


async def test_a_worker_that_comes_too_late_changes_no_rate_and_releases_nothing(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account, status="stopped")
    before, segments_before = await platform.credits(account), await _segments(platform, vm)

    async with platform.database.work() as tx:
        row = await VMRepository(tx).find(UUID(vm["id"]))
        assert row is not None
        billing = BillingService(tx, platform.settings.billing)
        await billing.change_rate(row.resource, prices=await billing.get_price_list())
        await billing.release_excess(row.id, row.user_id)

    assert await platform.credits(account) == before
    assert await _segments(platform, vm) == segments_before
