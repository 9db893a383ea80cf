"""A reply that is lost at any step of a change has its effect once, and the change ends well."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from tests.support.platform import Account, PlatformUnderTest
from zentry.compute.simulator.driver import SimulatorDriver
from zentry.compute.simulator.faults import FaultKind, Rule
from zentry.compute.simulator.orders import Action

STEPS = [
    ("resize", Action.STOP),
    ("resize", Action.RESIZE),
    ("resize", Action.START),
    ("rebuild", Action.STOP),
    ("rebuild", Action.REBUILD),
    ("rebuild", Action.START),
    ("restore", Action.STOP),
    ("restore", Action.RESTORE),
    ("restore", Action.START),
    ("snapshot", Action.SNAPSHOT),
    ("delete_snapshots", Action.DELETE_SNAPSHOT),
]


async def _ask(platform: PlatformUnderTest, account: Account, kind: str, vm_id: str, snapshot_id: str) -> None:
    """Ask for one change of the machine."""
    if kind == "delete_snapshots":
        answer = await platform.client.delete(f"/snapshots/{snapshot_id}", headers=account.headers)
    else:
        path, body = {
            "resize": ("resize", {"instance_type": "medium"}),
            "rebuild": ("rebuild", {"image": "ubuntu-24.04"}),
            "restore": (f"snapshots/{snapshot_id}/restore", None),
            "snapshot": ("snapshots", {"name": "two"}),
        }[kind]
        answer = await platform.client.post(f"/vms/{vm_id}/{path}", json=body, headers=account.headers)
    assert answer.is_success, answer.text


@pytest.mark.parametrize("fault", [FaultKind.LOST_REPLY, FaultKind.UNAVAILABLE])
@pytest.mark.parametrize(("kind", "action"), STEPS)
async def test_a_change_survives_a_reply_that_is_lost_and_a_host_that_is_away(
    platform: PlatformUnderTest, kind: str, action: Action, fault: FaultKind
) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)
    taken = await platform.client.post(f"/vms/{vm['id']}/snapshots", json={"name": "one"}, headers=account.headers)
    await platform.settle()
    driver = platform.driver
    assert isinstance(driver, SimulatorDriver)
    before = driver.world.effects(UUID(vm["id"])).get(action, 0)
    driver.faults.add(Rule(action, fault))

    await _ask(platform, account, kind, vm["id"], taken.json()["id"])
    await platform.settle()
    underway = await platform.get_vm(vm["id"], account)
    await platform.advance(meter=False, seconds=1)
    ended = await platform.get_vm(vm["id"], account)

    assert _kind(underway) == f"vms.{kind}"
    assert (_kind(ended), ended["status"]) == (None, "running")
    assert driver.world.effects(UUID(vm["id"]))[action] == before + 1


def _kind(vm: dict[str, Any]) -> str | None:
    return vm["active_operation"] and str(vm["active_operation"]["kind"])


@pytest.mark.parametrize("kind", ["resize", "rebuild", "restore", "snapshot", "delete_snapshots"])
async def test_a_worker_that_dies_after_its_claim_leaves_the_change_to_another(
    platform: PlatformUnderTest, kind: str
) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)
    taken = await platform.client.post(f"/vms/{vm['id']}/snapshots", json={"name": "one"}, headers=account.headers)
    await platform.settle()
    await _ask(platform, account, kind, vm["id"], taken.json()["id"])
    late = await platform.inner.runner.claim()

    await platform.advance(meter=False, seconds=platform.settings.operations.lease_seconds + 1)
    for claim in late:
        await platform.inner.runner.drive(claim)
    ended = await platform.get_vm(vm["id"], account)

    assert len(late) == 1
    assert (_kind(ended), ended["status"]) == (None, "running")
