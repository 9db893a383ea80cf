"""Disks through the front door: rebuilding, snapshots, restoring, machines from snapshots."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from tests.support.platform import Account, PlatformUnderTest
from zentry.compute.simulator.driver import SimulatorDriver
from zentry.compute.simulator.faults import FaultKind, Rule
from zentry.compute.simulator.orders import Action
from zentry.compute.types import Power
from zentry.schema.events import events
from zentry.vms.service import VMService


def _simulator(platform: PlatformUnderTest) -> SimulatorDriver:
    assert isinstance(platform.driver, SimulatorDriver)
    return platform.driver


async def _image_in_the_world(platform: PlatformUnderTest, vm: dict[str, Any]) -> str:
    connection = _simulator(platform).world._connection
    row = connection.execute("SELECT image FROM machines WHERE vm_id = ?", (vm["id"],)).fetchone()
    return str(row[0])


def _snapshots_in_the_world(platform: PlatformUnderTest) -> int:
    row = _simulator(platform).world._connection.execute("SELECT count(*) FROM snapshots").fetchone()
    return int(row[0])


async def _power(platform: PlatformUnderTest, vm: dict[str, Any]) -> Power:
    return (await platform.driver.observe([UUID(vm["id"])]))[UUID(vm["id"])].power


async def _post(platform: PlatformUnderTest, account: Account, path: str, body: dict[str, Any] | None = None) -> Any:
    answer = await platform.client.post(path, json=body, headers=account.headers)
    await platform.settle()
    return answer


async def _snapshot(platform: PlatformUnderTest, account: Account, vm: dict[str, Any], name: str = "one") -> Any:
    answer = await _post(platform, account, f"/vms/{vm['id']}/snapshots", {"name": name})
    assert answer.status_code == 201, answer.text
    shown = await platform.client.get(f"/snapshots/{answer.json()['id']}", headers=account.headers)
    return shown.json()


async def _used(platform: PlatformUnderTest, account: Account) -> int:
    answer = await platform.client.get("/quotas", headers=account.headers)
    return int(next(one["used"] for one in answer.json()["quotas"] if one["resource"] == "snapshots"))


async def _kinds(platform: PlatformUnderTest, vm: dict[str, Any]) -> list[str]:
    async with platform.database.read() as tx:
        query = sa.select(events.c.kind).where(events.c.resource_id == UUID(vm["id"])).order_by(events.c.id)
        return list((await tx.execute(query)).scalars())


async def _listed(platform: PlatformUnderTest, account: Account, path: str = "/snapshots") -> list[str]:
    answer = await platform.client.get(path, headers=account.headers)
    assert answer.status_code == 200, answer.text
    return [one["name"] for one in answer.json()["snapshots"]]


# Rebuild


@pytest.mark.parametrize("status", ["running", "stopped"])
async def test_a_rebuilt_machine_has_another_image_and_the_rest_as_it_was(
    platform: PlatformUnderTest, status: str
) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account, status=status)

    answer = await _post(platform, account, f"/vms/{vm['id']}/rebuild", {"image": "ubuntu-24.04"})
    rebuilt = await platform.get_vm(vm["id"], account)

    assert (answer.status_code, answer.json()["message"]) == (200, "VM is being rebuilt")
    assert await _image_in_the_world(platform, vm) == rebuilt["image"] == "ubuntu-24.04"
    kept = ("status", "name", "ip_address", "instance_type", "disk_gib", "stop_reason", "cost_per_hour")
    assert {name: rebuilt[name] for name in kept} == {name: vm[name] for name in kept}
    assert await _power(platform, vm) is (Power.ON if status == "running" else Power.OFF)
    assert "vm.rebuilt" in await _kinds(platform, vm)


async def test_a_rebuild_of_what_is_not_there_or_from_what_is_not_there_is_refused(
    platform: PlatformUnderTest,
) -> None:
    account, stranger = await platform.signup(), await platform.signup()
    vm = await platform.given_vm(account)
    gone = await platform.given_vm(account, status="terminated")

    unknown = await _post(platform, account, f"/vms/{vm['id']}/rebuild", {"image": "beos"})
    foreign = await _post(platform, stranger, f"/vms/{vm['id']}/rebuild", {"image": "debian-12"})
    dead = await _post(platform, account, f"/vms/{gone['id']}/rebuild", {"image": "debian-12"})

    assert unknown.json()["details"]["validation_errors"][0]["field"] == "image"
    assert foreign.status_code == 404
    assert (dead.status_code, dead.json()["error_code"]) == (409, "VM_INVALID_TRANSITION")


@pytest.mark.parametrize("action", [Action.STOP, Action.REBUILD])
async def test_a_rebuild_that_fails_before_the_disk_is_replaced_leaves_the_machine_running(
    platform: PlatformUnderTest, action: Action
) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)
    _simulator(platform).faults.add(Rule(action, FaultKind.REJECTED))

    await _post(platform, account, f"/vms/{vm['id']}/rebuild", {"image": "ubuntu-24.04"})
    after = await platform.get_vm(vm["id"], account)

    assert (after["status"], after["image"]) == ("running", "debian-12")
    assert await _power(platform, vm) is Power.ON
    assert "vm.rebuild_failed" in await _kinds(platform, vm)
    assert (await platform.credits(account))["held_credits"] == 0.05


async def test_a_rebuild_that_cannot_boot_leaves_an_unbilled_machine_with_the_new_disk(
    platform: PlatformUnderTest,
) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)
    _simulator(platform).faults.add(Rule(Action.START, FaultKind.REJECTED))

    await _post(platform, account, f"/vms/{vm['id']}/rebuild", {"image": "ubuntu-24.04"})
    failed = await platform.get_vm(vm["id"], account)
    money = await platform.credits(account)
    await _post(platform, account, f"/vms/{vm['id']}/start")

    assert (failed["status"], failed["image"]) == ("error", "ubuntu-24.04")
    assert money["held_credits"] == 0
    assert (await platform.get_vm(vm["id"], account))["status"] == "running"


# Snapshots


async def test_a_snapshot_is_taken_listed_and_deleted(platform: PlatformUnderTest) -> None:
    account, stranger = await platform.signup(), await platform.signup()
    vm = await platform.given_vm(account, instance_type="medium")
    other = await platform.given_vm(account)

    taken = await _snapshot(platform, account, vm, "before upgrade")
    await platform.advance(seconds=1)
    await _snapshot(platform, account, other, "second")
    listed = await _listed(platform, account)
    of_one = await _listed(platform, account, f"/vms/{vm['id']}/snapshots")
    foreign = await platform.client.get(f"/snapshots/{taken['id']}", headers=stranger.headers)
    used = await _used(platform, account)
    deleted = await platform.client.delete(f"/snapshots/{taken['id']}", headers=account.headers)
    hidden = await platform.client.get(f"/snapshots/{taken['id']}", headers=account.headers)
    await platform.settle()

    assert (taken["status"], taken["disk_gib"], taken["image"]) == ("available", 40, "debian-12")
    assert (listed, of_one, await _listed(platform, stranger)) == (["second", "before upgrade"], ["before upgrade"], [])
    assert (deleted.status_code, hidden.status_code, foreign.status_code) == (200, 404, 404)
    assert (used, await _used(platform, account)) == (2, 1)
    assert _snapshots_in_the_world(platform) == 1
    assert {"vm.snapshot_taken", "vm.snapshots_deleted"} <= set(await _kinds(platform, vm))


async def test_the_list_of_snapshots_is_paged(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)
    for number in range(5):
        await _snapshot(platform, account, vm, f"s{number}")
        await platform.advance(seconds=1)

    seen: list[str] = []
    cursor = None
    while True:
        params = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (await platform.client.get("/snapshots", params=params, headers=account.headers)).json()
        seen += [one["name"] for one in page["snapshots"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert seen == ["s4", "s3", "s2", "s1", "s0"]


@pytest.mark.parametrize("overrides", [{"quotas": {"snapshots_per_project": 1}}])
async def test_what_cannot_be_taken_is_refused_with_its_reason(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    project_id = await platform.given_project(account)
    vm = await platform.given_vm(account, project_id=project_id)
    gone = await platform.given_vm(account, status="terminated")
    busy = await platform.given_vm(account, status="creating")

    while_busy = await platform.client.post(f"/vms/{busy['id']}/snapshots", json={"name": "x"}, headers=account.headers)
    await platform.settle()
    await _snapshot(platform, account, vm, "One")
    again = await _post(platform, account, f"/vms/{vm['id']}/snapshots", {"name": "one"})
    full = await _post(platform, account, f"/vms/{vm['id']}/snapshots", {"name": "two"})
    dead = await _post(platform, account, f"/vms/{gone['id']}/snapshots", {"name": "x"})
    unnamed = await _post(platform, account, f"/vms/{vm['id']}/snapshots", {"name": "/"})

    codes = [answer.json()["error_code"] for answer in (while_busy, again, full, dead, unnamed)]
    assert codes == [
        "VM_BUSY",
        "SNAPSHOT_NAME_TAKEN",
        "QUOTA_EXCEEDED",
        "VM_INVALID_TRANSITION",
        "VALIDATION_ERROR",
    ]
    assert await _listed(platform, account) == ["One"]


async def test_a_snapshot_that_fails_is_shown_as_such_and_can_be_deleted(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)
    _simulator(platform).faults.add(Rule(Action.SNAPSHOT, FaultKind.REJECTED))

    failed = await _snapshot(platform, account, vm)
    restored = await _post(platform, account, f"/vms/{vm['id']}/snapshots/{failed['id']}/restore")
    await platform.client.delete(f"/snapshots/{failed['id']}", headers=account.headers)
    await platform.settle()

    assert failed["status"] == "error"
    assert (restored.status_code, restored.json()["error_code"]) == (409, "SNAPSHOT_NOT_AVAILABLE")
    assert await _used(platform, account) == 0


async def test_a_deletion_that_the_engine_refuses_can_be_repeated(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)
    snapshot = await _snapshot(platform, account, vm)
    _simulator(platform).faults.add(Rule(Action.DELETE_SNAPSHOT, FaultKind.REJECTED))

    await platform.client.delete(f"/snapshots/{snapshot['id']}", headers=account.headers)
    await platform.settle()
    shown = await platform.client.get(f"/snapshots/{snapshot['id']}", headers=account.headers)
    await platform.client.delete(f"/snapshots/{snapshot['id']}", headers=account.headers)
    await platform.settle()

    assert shown.json()["status"] == "error"
    assert _snapshots_in_the_world(platform) == 0


# Restore


@pytest.mark.parametrize("status", ["running", "stopped"])
async def test_a_restored_machine_has_the_disk_of_the_snapshot(platform: PlatformUnderTest, status: str) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account, status=status)
    snapshot = await _snapshot(platform, account, vm)
    await _post(platform, account, f"/vms/{vm['id']}/rebuild", {"image": "ubuntu-24.04"})

    answer = await _post(platform, account, f"/vms/{vm['id']}/snapshots/{snapshot['id']}/restore")
    restored = await platform.get_vm(vm["id"], account)

    assert answer.status_code == 200
    assert (restored["status"], restored["image"], restored["snapshot_id"]) == (status, "debian-12", snapshot["id"])
    assert await _image_in_the_world(platform, vm) == "debian-12"


async def test_a_restore_while_busy_or_of_another_machines_snapshot_is_refused(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm, other = await platform.given_vm(account), await platform.given_vm(account)
    snapshot = await _snapshot(platform, account, vm)
    await platform.client.post(f"/vms/{vm['id']}/restart", headers=account.headers)

    path = f"/vms/{vm['id']}/snapshots/{snapshot['id']}/restore"
    busy = await platform.client.post(path, headers=account.headers)
    await platform.settle()
    wrong = await _post(platform, account, f"/vms/{other['id']}/snapshots/{snapshot['id']}/restore")

    assert (busy.status_code, busy.json()["error_code"]) == (409, "VM_BUSY")
    assert (wrong.status_code, wrong.json()["message"]) == (404, "Snapshot not found")


# Machines from snapshots, and the end of machines and projects


async def test_a_machine_is_made_from_a_snapshot_of_one_that_is_gone(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)
    snapshot = await _snapshot(platform, account, vm)
    await platform.client.delete(f"/vms/{vm['id']}", headers=account.headers)
    await platform.settle()

    made = await platform.given_vm(account, snapshot_id=snapshot["id"], instance_type="medium")

    assert (made["status"], made["image"], made["snapshot_id"]) == ("running", "debian-12", snapshot["id"])
    assert made["disk_gib"] == 40


async def test_a_source_that_makes_no_sense_is_named(platform: PlatformUnderTest) -> None:
    account, stranger = await platform.signup(), await platform.signup()
    vm = await platform.given_vm(account, instance_type="medium")
    snapshot = await _snapshot(platform, account, vm)

    async def create(by: Account, **wishes: Any) -> Any:
        project_id = await platform.given_project(by, f"p{len(wishes)}{wishes.get('image')}{wishes.get('name')}")
        body = {"name": "web", "instance_type": "medium", "project_id": project_id, **wishes}
        return (await platform.client.post("/vms", json=body, headers=by.headers)).json()

    neither = await create(account)
    both = await create(account, image="debian-12", snapshot_id=snapshot["id"])
    small = await create(account, snapshot_id=snapshot["id"], instance_type="small")
    foreign = await create(stranger, snapshot_id=snapshot["id"])
    malformed = await create(account, snapshot_id="42", name="x")

    assert neither["details"]["validation_errors"][0]["field"] == "image"
    assert both["details"]["validation_errors"][0]["field"] == "image"
    assert (small["error_code"], small["details"]["disk_gib"]) == ("SNAPSHOT_TOO_LARGE", 40)
    assert "40 GiB" in small["message"]
    assert (foreign["message"], malformed["message"]) == ("Snapshot not found", "Snapshot not found")


async def test_a_snapshot_from_which_a_machine_is_being_made_stays(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)
    snapshot = await _snapshot(platform, account, vm)
    await platform.given_vm(account, snapshot_id=snapshot["id"], status="creating")

    early = await platform.client.delete(f"/snapshots/{snapshot['id']}", headers=account.headers)
    await platform.settle()
    late = await platform.client.delete(f"/snapshots/{snapshot['id']}", headers=account.headers)
    await platform.settle()

    assert (early.status_code, early.json()["error_code"]) == (409, "SNAPSHOT_IN_USE")
    assert late.status_code == 200


@pytest.mark.parametrize("end", ["delete", "credit"])
async def test_a_snapshot_under_way_goes_when_its_operation_gives_way(platform: PlatformUnderTest, end: str) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)
    _simulator(platform).faults.add(Rule(Action.SNAPSHOT, FaultKind.LOST_REPLY))
    await platform.client.post(f"/vms/{vm['id']}/snapshots", json={"name": "x"}, headers=account.headers)
    for claim in await platform.inner.runner.claim():
        await platform.inner.runner.drive(claim)
    half = _snapshots_in_the_world(platform)

    if end == "delete":
        await platform.client.delete(f"/vms/{vm['id']}", headers=account.headers)
    else:
        async with platform.database.work() as tx:
            await VMService(tx, platform.settings).suspend_vm(UUID(vm["id"]))
    await platform.settle()

    assert (half, _snapshots_in_the_world(platform)) == (1, 0)
    assert (await _listed(platform, account), await _used(platform, account)) == ([], 0)


async def test_a_projects_snapshots_go_with_it_and_the_preview_says_so(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    project_id = await platform.given_project(account)
    alive = await platform.given_vm(account, project_id=project_id)
    gone = await platform.given_vm(account, project_id=project_id)
    for vm in (alive, gone):
        await _snapshot(platform, account, vm)
    await platform.client.delete(f"/vms/{gone['id']}", headers=account.headers)
    await platform.settle()

    preview = await platform.client.get(f"/projects/{project_id}/deletion", headers=account.headers)
    await platform.client.delete(f"/projects/{project_id}", headers=account.headers)
    await platform.settle()

    assert len(preview.json()["snapshots"]) == 2
    assert _snapshots_in_the_world(platform) == 0
    assert (await _listed(platform, account), await _used(platform, account)) == ([], 0)
