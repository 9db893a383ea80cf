"""A project gets another owner: who pays changes at one instant, and nothing else does."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.support.platform import Account, PlatformUnderTest
from zentry.platform.money import from_credits


async def ask(
    platform: PlatformUnderTest, account: Account, method: str, path: str, body: dict[str, Any] | None = None
) -> httpx.Response:
    return await platform.client.request(method, path, json=body, headers=account.headers)


async def charged(platform: PlatformUnderTest, account: Account, vm_id: str) -> int:
    """Return what an account has paid for a machine, without the fee, in micro-credits."""
    lines = [line for line in await platform.history(account) if line["vm_id"] == vm_id]
    return -sum(from_credits(line["amount"]) for line in lines if line["action_type"] == "vm_usage")


async def test_whoever_accepts_pays_from_that_instant_on(platform: PlatformUnderTest) -> None:
    admin = await platform.given_admin()
    ada = await platform.signup("ada@example.com")
    project_id = await platform.given_project(ada)
    bob = await platform.given_member(ada, project_id, role="member")
    eve = await platform.given_member(ada, project_id, role="viewer")
    vm = await platform.given_vm(ada, project_id=project_id, labels={"a": "b"}, user_data="#!/bin/sh\n")
    await platform.given_vm(ada, project_id=project_id, status="terminated")
    vm_id, path = str(vm["id"]), f"/projects/{project_id}/transfer"
    taken = await ask(platform, ada, "POST", f"/vms/{vm_id}/snapshots", {"name": "one"})
    await platform.settle()
    await platform.advance(minutes=20)
    for account in (ada, bob, eve):
        await platform.reauthenticate(account)

    assert (await ask(platform, bob, "POST", path, {"member_id": bob.id})).status_code == 403
    stranger = await platform.signup()
    assert (await ask(platform, ada, "POST", path, {"member_id": stranger.id})).status_code == 404
    offered = await ask(platform, ada, "POST", path, {"member_id": bob.id})
    assert (offered.status_code, offered.json()["required_credits"]) == (201, vm["cost_per_hour"])
    assert (await ask(platform, eve, "GET", path)).json()["to_user_id"] == bob.id
    assert (await ask(platform, eve, "POST", f"{path}/accept")).status_code == 404  # It is offered to somebody else.

    have = (await platform.credits(bob))["current_credits"]
    take = {"kind": "deduction", "amount": have, "reason": "poor"}
    answer = await ask(platform, admin, "POST", f"/admin/users/{bob.id}/credits", take)
    assert answer.is_success, answer.text
    poor = await ask(platform, bob, "POST", f"{path}/accept")
    assert (poor.status_code, poor.json()["error_code"]) == (400, "INSUFFICIENT_CREDITS")
    assert poor.json()["details"] == {"required": vm["cost_per_hour"], "available": 0.0}
    await ask(platform, bob, "POST", "/billing/credits/add", {"amount": 1})
    accepted = await asyncio.gather(*(ask(platform, bob, "POST", f"{path}/accept") for _ in range(2)))

    assert sorted(one.status_code for one in accepted) == [200, 404]
    assert next(one for one in accepted if one.is_success).json()["role"] == "owner"
    await _is_handed_over(platform, (admin, ada, bob, eve), project_id, vm, snapshot_id=str(taken.json()["id"]))


async def _is_handed_over(
    platform: PlatformUnderTest,
    people: tuple[Account, Account, Account, Account],
    project_id: str,
    vm: dict[str, Any],
    *,
    snapshot_id: str,
) -> None:
    admin, ada, bob, eve = people
    vm_id = str(vm["id"])
    assert (await platform.credits(ada))["held_credits"] == 0
    assert (await platform.credits(bob))["held_credits"] == vm["cost_per_hour"]
    await platform.advance(minutes=20)
    await ask(platform, ada, "POST", f"/vms/{vm_id}/stop")  # She is an administrator of the project now.
    await platform.settle()
    third = from_credits(vm["cost_per_hour"]) // 3
    assert await charged(platform, ada, vm_id) == third
    assert await charged(platform, bob, vm_id) == third
    shown = await platform.get_vm(vm_id, bob)
    assert (shown["user_id"], shown["status"]) == (bob.id, "stopped")
    for account in (ada, bob, eve):
        listed = (await ask(platform, account, "GET", "/vms?label_selector=a%3Db")).json()["vms"]
        assert [one["id"] for one in listed] == [vm_id]
        assert (await ask(platform, account, "GET", f"/snapshots/{snapshot_id}")).status_code == 200
        assert (await ask(platform, account, "GET", f"/vms/{vm_id}/operations")).json()["operations"]
    roles = {
        one["user_id"]: one["role"]
        for one in (await ask(platform, eve, "GET", f"/projects/{project_id}/members")).json()
    }
    assert roles == {bob.id: "owner", ada.id: "admin", eve.id: "viewer"}
    used = {one["resource"]: one["used"] for one in (await ask(platform, bob, "GET", "/quotas")).json()["quotas"]}
    assert (used["projects"], used["vms"], used["snapshots"]) == (1, 1, 1)
    assert (await ask(platform, admin, "GET", "/quotas/drift")).json()["drift"] == 0
    assert (await ask(platform, bob, "POST", f"/vms/{vm_id}/start")).status_code == 200
    await platform.settle()
    assert (await ask(platform, ada, "DELETE", f"/projects/{project_id}")).status_code == 403
    assert (await ask(platform, bob, "DELETE", f"/projects/{project_id}")).status_code == 200
    await platform.settle()


async def test_nothing_changes_hands_while_an_operation_is_under_way_or_no_offer_stands(
    platform: PlatformUnderTest,
) -> None:
    ada = await platform.signup("ada@example.com")
    project_id = await platform.given_project(ada)
    bob = await platform.given_member(ada, project_id, role="viewer")
    path = f"/projects/{project_id}/transfer"
    await platform.given_vm(ada, project_id=project_id, status="creating")

    assert (await ask(platform, bob, "POST", f"{path}/accept")).status_code == 404
    await ask(platform, ada, "POST", path, {"member_id": bob.id})
    busy = await ask(platform, bob, "POST", f"{path}/accept")
    assert (busy.status_code, busy.json()["error_code"]) == (409, "VM_BUSY")
    await platform.settle()
    namesake = await platform.given_project(bob, "lab")
    taken = await ask(platform, bob, "POST", f"{path}/accept")
    assert taken.status_code == 409
    await ask(platform, bob, "PUT", f"/projects/{namesake}", {"name": "mine"})
    assert (await ask(platform, bob, "DELETE", path)).status_code == 200  # Declined.
    assert (await ask(platform, bob, "POST", f"{path}/accept")).status_code == 404
    await ask(platform, ada, "POST", path, {"member_id": bob.id})
    assert (await ask(platform, ada, "DELETE", path)).status_code == 200  # Withdrawn.
    assert (await ask(platform, ada, "GET", path)).status_code == 404
    await ask(platform, ada, "POST", path, {"member_id": bob.id})
    await ask(platform, ada, "DELETE", f"/projects/{project_id}/members/{bob.id}")
    assert (await ask(platform, bob, "POST", f"{path}/accept")).status_code == 404
    assert (await ask(platform, ada, "GET", path)).status_code == 404


@pytest.mark.parametrize("overrides", [{"quotas": {"vms_per_user": 1}}])
@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_the_quotas_of_whoever_accepts_hold(platform: PlatformUnderTest) -> None:
    ada = await platform.signup("ada@example.com")
    project_id = await platform.given_project(ada)
    bob = await platform.given_member(ada, project_id, role="member")
    await platform.given_vm(bob)
    await platform.given_vm(ada, project_id=project_id)
    await ask(platform, ada, "POST", f"/projects/{project_id}/transfer", {"member_id": bob.id})

    full = await ask(platform, bob, "POST", f"/projects/{project_id}/transfer/accept")

    assert (full.status_code, full.json()["error_code"]) == (409, "QUOTA_EXCEEDED")
    assert (await ask(platform, ada, "GET", f"/projects/{project_id}")).json()["role"] == "owner"
