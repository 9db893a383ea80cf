"""An administrator lets the simulated world fail, and the platform lives with it."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

import httpx
import pytest

from tests.support.platform import Account, PlatformUnderTest
from zentry.compute.simulator.driver import SimulatorDriver
from zentry.compute.simulator.orders import Action
from zentry.invariants import broken_invariants

WORLD: Final = "/admin/simulator"


@pytest.fixture
async def admin(platform: PlatformUnderTest) -> Account:
    return await platform.given_admin()


async def _host_of(platform: PlatformUnderTest, vm: dict[str, Any]) -> str:
    return (await platform.driver.observe([UUID(vm["id"])]))[UUID(vm["id"])].host


async def _live(platform: PlatformUnderTest, *, seconds: float) -> None:
    """Let time pass with everything that a worker does."""
    for _ in range(4):
        await platform.advance(seconds=seconds / 4)
        await platform.inner.reconciler.tick()
        await platform.settle()


async def _change(platform: PlatformUnderTest, admin: Account, host: str, **change: Any) -> httpx.Response:
    answer = await platform.client.patch(f"{WORLD}/hosts/{host}", json=change, headers=admin.headers)
    assert answer.status_code == 200, answer.text
    return answer


async def _add(platform: PlatformUnderTest, admin: Account, **rule: Any) -> dict[str, Any]:
    answer = await platform.client.post(f"{WORLD}/faults", json=rule, headers=admin.headers)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def test_the_machines_of_a_host_that_dies_run_elsewhere_and_pay_nothing_meanwhile(
    platform: PlatformUnderTest, admin: Account
) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)
    host = await _host_of(platform, vm)

    down = (await _change(platform, admin, host, condition="down")).json()
    await _live(platform, seconds=3600)

    elsewhere = await _host_of(platform, vm)
    again = await platform.get_vm(vm["id"], account)
    credits_ = (await platform.client.get("/billing/credits", headers=account.headers)).json()
    assert (down["condition"], down["name"]) == ("down", host)
    assert again["status"] == "running"
    assert elsewhere != host
    assert again["total_cost"] <= vm["total_cost"] + 0.05
    assert credits_["current_credits"] >= 0
    assert await broken_invariants(platform.database) == []


async def test_the_machines_of_a_host_that_cannot_be_reached_are_left_as_they_are(
    platform: PlatformUnderTest, admin: Account
) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)
    host = await _host_of(platform, vm)
    assert isinstance(platform.driver, SimulatorDriver)
    before = platform.driver.world.effects(UUID(vm["id"]))

    await _change(platform, admin, host, condition="unreachable")
    await _live(platform, seconds=120)
    cut_off = await platform.get_vm(vm["id"], account)
    console = await platform.client.get(f"/vms/{vm['id']}/console", headers=account.headers)
    sampled = await platform.driver.sample([UUID(vm["id"])])
    await _change(platform, admin, host, condition="up")
    await _live(platform, seconds=120)

    assert cut_off["status"] == "running"
    assert console.status_code == 503
    assert sampled == []
    assert (await platform.get_vm(vm["id"], account))["status"] == "running"
    assert platform.driver.world.effects(UUID(vm["id"])) == before
    assert await _host_of(platform, vm) == host


async def test_a_machine_that_was_deleted_while_its_host_was_away_goes_when_it_is_back(
    platform: PlatformUnderTest, admin: Account
) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)
    host = await _host_of(platform, vm)

    await _change(platform, admin, host, condition="unreachable")
    deleted = await platform.client.delete(f"/vms/{vm['id']}", headers=account.headers)
    await _live(platform, seconds=600)
    meanwhile = await platform.get_vm(vm["id"], account)
    await _change(platform, admin, host, condition="up")
    await _live(platform, seconds=600)

    assert deleted.status_code == 200
    assert meanwhile["status"] != "terminated"
    assert (await platform.get_vm(vm["id"], account))["status"] == "terminated"
    assert await platform.driver.inventory() == []
    assert await broken_invariants(platform.database) == []


async def test_lost_capacity_is_an_honest_error(platform: PlatformUnderTest, admin: Account) -> None:
    account = await platform.signup()
    hosts = (await platform.client.get(WORLD, headers=admin.headers)).json()["hosts"]
    for host in hosts:
        await _change(platform, admin, host["name"], lost_percent=100)

    refused = await platform.given_vm(account, status="error")
    shown = (await platform.client.get(f"/vms/{refused['id']}/operations", headers=account.headers)).json()
    await _change(platform, admin, "host-2", lost_percent=0)
    made = await platform.given_vm(account)

    assert shown["operations"][0]["error"]["code"] == "NO_CAPACITY"
    assert await _host_of(platform, made) == "host-2"
    assert refused["total_cost"] == 0


async def test_a_fault_strikes_the_calls_that_it_names_and_is_lifted(
    platform: PlatformUnderTest, admin: Account
) -> None:
    account = await platform.signup()
    fault = await _add(platform, admin, action="ensure_running", kind="rejected", count=None)

    failed = await platform.given_vm(account, status="error")
    [shown] = (await platform.client.get(WORLD, headers=admin.headers)).json()["faults"]
    lifted = await platform.client.delete(f"{WORLD}/faults/{fault['id']}", headers=admin.headers)
    again = await platform.client.delete(f"{WORLD}/faults/{fault['id']}", headers=admin.headers)
    works = await platform.given_vm(account)

    assert failed["status"] == "error"
    assert shown == {**fault, "hits": 1}
    assert (lifted.status_code, again.status_code) == (200, 404)
    assert works["status"] == "running"


async def test_an_order_that_arrives_twice_has_one_effect(platform: PlatformUnderTest, admin: Account) -> None:
    account = await platform.signup()
    await _add(platform, admin, kind="duplicate", count=None, delay_seconds=20)
    vm = await platform.given_vm(account)

    await platform.client.post(f"/vms/{vm['id']}/stop", headers=account.headers)
    await platform.settle()
    await _live(platform, seconds=60)

    assert isinstance(platform.driver, SimulatorDriver)
    effects = platform.driver.world.effects(UUID(vm["id"]))
    assert effects == {Action.CREATE: 1, Action.START: 1, Action.STOP: 1}
    assert (await platform.get_vm(vm["id"], account))["status"] == "stopped"


@pytest.mark.parametrize(
    ("rule", "status", "field"),
    [
        ({"kind": "fire"}, 400, "kind"),
        ({"kind": "slow", "action": "explode"}, 400, "action"),
        ({"kind": "slow", "probability": 0}, 400, "probability"),
        ({"kind": "slow", "probability": 1.5}, 400, "probability"),
        ({"kind": "slow", "count": 0}, 400, "count"),
        ({"kind": "slow", "host": "host-99999"}, 404, None),
        ({"kind": "slow", "vm_id": "42"}, 404, None),
    ],
)
async def test_rules_that_mean_nothing_are_refused(
    platform: PlatformUnderTest, admin: Account, rule: dict[str, Any], status: int, field: str | None
) -> None:
    answer = await platform.client.post(f"{WORLD}/faults", json=rule, headers=admin.headers)

    assert answer.status_code == status
    if field is not None:
        assert answer.json()["details"]["validation_errors"][0]["field"] == field
    assert (await platform.client.get(WORLD, headers=admin.headers)).json()["faults"] == []


async def test_an_unknown_host_is_not_found(platform: PlatformUnderTest, admin: Account) -> None:
    answer = await platform.client.patch(f"{WORLD}/hosts/host-x", json={"condition": "down"}, headers=admin.headers)

    assert answer.status_code == 404
