"""Machines through the front door: lifecycle, rules, lists, idempotency."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest
import sqlalchemy as sa

from tests.support.platform import PlatformUnderTest
from zentry.compute.types import Power
from zentry.schema.events import events
from zentry.schema.vms import ip_leases


async def test_a_machine_goes_from_creation_to_its_end(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account, status="creating")
    assert vm["active_operation"]["kind"] == "vms.create"

    await platform.settle()
    running = await platform.get_vm(vm["id"], account)
    stop = await platform.client.post(f"/vms/{vm['id']}/stop", headers=account.headers)
    await platform.settle()
    stopped = await platform.get_vm(vm["id"], account)
    start = await platform.client.post(f"/vms/{vm['id']}/start", headers=account.headers)
    await platform.settle()
    started = await platform.get_vm(vm["id"], account)
    restart = await platform.client.post(f"/vms/{vm['id']}/restart", headers=account.headers)
    await platform.settle()
    delete = await platform.client.delete(f"/vms/{vm['id']}", headers=account.headers)
    await platform.settle()
    ended = await platform.get_vm(vm["id"], account)

    assert running["status"] == "running"
    assert running["ip_address"].startswith("10.")
    assert running["active_operation"] is None
    assert [answer.json()["success"] for answer in (stop, start, restart, delete)] == [True] * 4
    assert (stopped["status"], stopped["stop_reason"]) == ("stopped", "user")
    assert (started["status"], started["stop_reason"]) == ("running", None)
    assert (ended["status"], ended["ip_address"]) == ("terminated", None)
    assert await platform.driver.observe([UUID(vm["id"])]) == {}


async def test_every_transition_is_recorded_with_its_time_and_cause(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account, status="stopped")

    async with platform.database.read() as tx:
        query = (
            sa.select(events.c.kind, events.c.cause, events.c.created_at)
            .where(events.c.resource_id == UUID(vm["id"]))
            .order_by(events.c.created_at, events.c.id)
        )
        rows = (await tx.execute(query)).all()

    assert {(row.kind, row.cause) for row in rows} == {
        ("vm.create_requested", "user"),
        ("vm.running", "vms.create"),
        ("vm.stop_requested", "user"),
        ("vm.stopped", "vms.stop"),
    }
    assert all(row.created_at == platform.clock.now() for row in rows)


async def test_uptime_counts_the_seconds_between_start_and_accepted_stop(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)

    await platform.advance(seconds=5400)
    running = await platform.get_vm(vm["id"], account)
    await platform.client.post(f"/vms/{vm['id']}/stop", headers=account.headers)
    await platform.settle()
    await platform.advance(seconds=999)
    stopped = await platform.get_vm(vm["id"], account)

    assert (running["uptime_hours"], running["current_session_hours"]) == (1.5, 1.5)
    assert (stopped["uptime_hours"], stopped["current_session_hours"]) == (1.5, 0)


@pytest.mark.parametrize(
    ("status", "action"),
    [
        ("running", "start"),
        ("stopped", "stop"),
        ("terminated", "start"),
        ("terminated", "stop"),
        ("terminated", "restart"),
    ],
)
async def test_a_request_that_the_state_forbids_is_a_conflict(
    platform: PlatformUnderTest, status: str, action: str
) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account, status=status)

    answer = await platform.client.post(f"/vms/{vm['id']}/{action}", headers=account.headers)

    assert answer.status_code == 409
    assert answer.json()["error_code"] == "VM_INVALID_TRANSITION"
    assert answer.json()["details"] == {"state": status}


async def test_a_busy_machine_names_the_operation_that_blocks(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account, status="creating")

    answer = await platform.client.post(f"/vms/{vm['id']}/stop", headers=account.headers)

    assert answer.status_code == 409
    assert answer.json()["error_code"] == "VM_BUSY"
    assert answer.json()["details"]["operation_id"] == vm["active_operation"]["id"]


async def test_delete_supersedes_a_creation_that_a_worker_has_claimed(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account, status="creating")
    late = await platform.inner.runner.claim()

    answer = await platform.client.delete(f"/vms/{vm['id']}", headers=account.headers)
    await platform.settle()
    for claim in late:
        await platform.inner.runner.drive(claim)
    ended = await platform.get_vm(vm["id"], account)
    money = await platform.credits(account)

    assert answer.status_code == 200
    assert ended["status"] == "terminated"
    assert await platform.driver.observe([UUID(vm["id"])]) == {}
    assert (money["current_credits"], money["held_credits"]) == (50, 0)


async def test_a_late_stop_leaves_a_restarted_machine_alone(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)
    await platform.client.post(f"/vms/{vm['id']}/stop", headers=account.headers)
    late = await platform.inner.runner.claim()
    await platform.advance(seconds=platform.settings.operations.lease_seconds + 1)
    await platform.client.post(f"/vms/{vm['id']}/start", headers=account.headers)
    await platform.settle()

    for claim in late:
        await platform.inner.runner.drive(claim)

    assert (await platform.get_vm(vm["id"], account))["status"] == "running"
    assert (await platform.driver.observe([UUID(vm["id"])]))[UUID(vm["id"])].power is Power.ON


async def test_deleting_a_terminated_machine_succeeds_and_changes_nothing(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account, status="terminated")

    answer = await platform.client.delete(f"/vms/{vm['id']}", headers=account.headers)

    assert answer.status_code == 200
    assert answer.json()["success"] is True


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "has space"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "Admin"}, "name"),
        ({"name": 7}, "name"),
        ({"instance_type": "huge"}, "instance_type"),
        ({"image": "windows"}, "image"),
        ({"status": "running"}, "status"),
        ({"user_id": "x"}, "user_id"),
    ],
)
async def test_a_wish_that_makes_no_sense_names_its_field_and_changes_nothing(
    platform: PlatformUnderTest, wish: dict[str, object], field: str
) -> None:
    account = await platform.signup()
    project_id = await platform.given_project(account)
    body = {"name": "web", "instance_type": "small", "image": "debian-12", "project_id": project_id, **wish}

    answer = await platform.client.post("/vms", json=body, headers=account.headers)
    listed = await platform.client.get("/vms", headers=account.headers)

    assert answer.status_code == 400
    assert answer.json()["error_code"] == "VALIDATION_ERROR"
    assert [error["field"] for error in answer.json()["details"]["validation_errors"]] == [field]
    assert listed.json()["total_count"] == 0


async def test_a_name_is_unique_among_the_live_machines_of_a_project(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    project_id = await platform.given_project(account)
    first = await platform.given_vm(account, project_id=project_id, name="web")
    body = {"name": "WEB", "instance_type": "small", "image": "debian-12", "project_id": project_id}

    taken = await platform.client.post("/vms", json=body, headers=account.headers)
    await platform.client.delete(f"/vms/{first['id']}", headers=account.headers)
    await platform.settle()
    free = await platform.client.post("/vms", json=body, headers=account.headers)
    await platform.settle()

    assert (taken.status_code, taken.json()["error_code"]) == (409, "VM_NAME_TAKEN")
    assert free.status_code == 201


async def test_somebody_elses_machine_answers_like_one_that_does_not_exist(platform: PlatformUnderTest) -> None:
    owner, stranger = await platform.signup(), await platform.signup()
    vm = await platform.given_vm(owner)
    routes = [("GET", ""), ("POST", "/start"), ("POST", "/stop"), ("POST", "/restart"), ("DELETE", "")]

    for method, path in routes:
        answers = [
            await platform.client.request(method, f"/vms/{id_}{path}", headers=stranger.headers)
            for id_ in (vm["id"], "01890a5d-ac96-774b-bcce-b302099a8057", "42")
        ]

        assert [answer.status_code for answer in answers] == [404] * 3
        assert len({answer.json()["message"] for answer in answers}) == 1


async def test_a_project_of_somebody_else_is_not_there(platform: PlatformUnderTest) -> None:
    owner, stranger = await platform.signup(), await platform.signup()
    project_id = await platform.given_project(owner)
    body = {"name": "web", "instance_type": "small", "image": "debian-12"}

    answers = [
        await platform.client.post("/vms", json={**body, "project_id": id_}, headers=stranger.headers)
        for id_ in (project_id, "01890a5d-ac96-774b-bcce-b302099a8057", "1")
    ]

    assert [(answer.status_code, answer.json()["message"]) for answer in answers] == [(404, "Project not found")] * 3


async def test_the_list_filters_and_pages_through_everything_once(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    project_id = await platform.given_project(account)
    names = [f"web-{number}" for number in range(7)]
    for name in names:
        await platform.given_vm(account, project_id=project_id, name=name)
        await platform.advance(seconds=1)
    other = await platform.given_vm(account, name="db")
    await platform.client.delete(f"/vms/{other['id']}", headers=account.headers)
    await platform.settle()

    seen: list[str] = []
    cursor: str | None = None
    while True:
        params = {"limit": "3"} | ({"cursor": cursor} if cursor else {})
        page = (await platform.client.get("/vms", params=params, headers=account.headers)).json()
        seen += [vm["name"] for vm in page["vms"]]
        assert page["total_count"] == 8
        cursor = page["next_cursor"]
        if cursor is None:
            break
    by_status = (await platform.client.get("/vms?status=terminated", headers=account.headers)).json()
    by_name = (await platform.client.get("/vms?name=WEB-3", headers=account.headers)).json()
    by_project = (await platform.client.get(f"/vms?project_id={project_id}", headers=account.headers)).json()

    assert seen == [*reversed(names), "db"]
    assert [vm["name"] for vm in by_status["vms"]] == ["db"]
    assert by_status["filters_applied"] == {"status": "terminated"}
    assert [vm["name"] for vm in by_name["vms"]] == ["web-3"]
    assert by_project["total_count"] == 7


async def test_a_repeated_key_makes_one_machine(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    project_id = await platform.given_project(account)
    body = {"name": "web", "instance_type": "small", "image": "debian-12", "project_id": project_id}
    headers = {**account.headers, "Idempotency-Key": "create-web-1"}

    first = await platform.client.post("/vms", json=body, headers=headers)
    await platform.settle()
    again = await platform.client.post("/vms", json=body, headers=headers)
    other = await platform.client.post("/vms", json={**body, "name": "other"}, headers=headers)
    listed = await platform.client.get("/vms", headers=account.headers)

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["id"] == again.json()["id"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert (other.status_code, other.json()["error_code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert listed.json()["total_count"] == 1


async def test_a_refusal_releases_the_key(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)
    headers = {**account.headers, "Idempotency-Key": "start-1"}

    refused = await platform.client.post(f"/vms/{vm['id']}/start", headers=headers)
    await platform.client.post(f"/vms/{vm['id']}/stop", headers=account.headers)
    await platform.settle()
    accepted = await platform.client.post(f"/vms/{vm['id']}/start", headers=headers)
    await platform.settle()

    assert (refused.status_code, accepted.status_code) == (409, 200)


async def test_fifty_copies_at_once_of_one_request_make_one_machine(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    project_id = await platform.given_project(account)
    body = {"name": "web", "instance_type": "small", "image": "debian-12", "project_id": project_id}
    headers = {**account.headers, "Idempotency-Key": "one"}

    answers = await asyncio.gather(*(platform.client.post("/vms", json=body, headers=headers) for _ in range(50)))
    await platform.settle()

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1


async def test_respond_async_answers_at_once_and_wait_is_heeded(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)

    accepted = await platform.client.post(
        f"/vms/{vm['id']}/stop", headers={**account.headers, "Prefer": "respond-async"}
    )
    await platform.settle()
    bad = await platform.client.post(f"/vms/{vm['id']}/start", headers={**account.headers, "Prefer": "wait=soon"})

    assert (accepted.status_code, accepted.json()["message"]) == (202, "VM is stopping")
    assert (bad.status_code, bad.json()["error_code"]) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize("overrides", [{"compute": {"network": "10.9.8.0/29"}}])
async def test_an_address_is_leased_once_and_given_back(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    project_id = await platform.given_project(account)
    machines = [await platform.given_vm(account, project_id=project_id) for _ in range(6)]
    body = {"name": "seventh", "instance_type": "small", "image": "debian-12", "project_id": project_id}

    full = await platform.client.post("/vms", json=body, headers=account.headers)
    await platform.client.delete(f"/vms/{machines[2]['id']}", headers=account.headers)
    await platform.settle()
    again = await platform.client.post("/vms", json=body, headers=account.headers)
    await platform.settle()
    async with platform.database.read() as tx:
        leased = (await tx.execute(sa.select(sa.func.count()).select_from(ip_leases))).scalar_one()

    assert len({vm["ip_address"] for vm in machines}) == 6
    assert (full.status_code, full.json()["error_code"]) == (503, "NO_FREE_ADDRESS")
    assert again.json()["ip_address"] == machines[2]["ip_address"]
    assert leased == 6


@pytest.mark.parametrize("overrides", [{"quotas": {"vms_per_user": 3, "vms_per_project": 2}}])
async def test_quotas_hold_when_many_ask_at_once(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    projects = [await platform.given_project(account, name) for name in ("one", "two")]
    bodies = [
        {"name": f"vm-{n}", "instance_type": "small", "image": "debian-12", "project_id": projects[n % 2]}
        for n in range(20)
    ]

    answers = await asyncio.gather(
        *(platform.client.post("/vms", json=body, headers=account.headers) for body in bodies)
    )
    await platform.settle()

    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [409] * 17
    assert {answer.json()["error_code"] for answer in answers if answer.status_code == 409} == {"QUOTA_EXCEEDED"}


@pytest.mark.parametrize("overrides", [{"simulator": {"hosts": 1, "host_vcpus": 1, "host_memory_mib": 1024}}])
async def test_a_creation_that_finds_no_capacity_fails_and_costs_nothing(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    first = await platform.given_vm(account)

    second = await platform.given_vm(account, status="error")
    money = await platform.credits(account)
    await platform.client.delete(f"/vms/{first['id']}", headers=account.headers)
    await platform.settle()
    retried = await platform.client.post(f"/vms/{second['id']}/start", headers=account.headers)
    await platform.settle()

    assert second["ip_address"] is None
    assert money["current_credits"] == 49.95
    assert money["held_credits"] == 0.05
    assert retried.status_code == 200
    assert (await platform.get_vm(second["id"], account))["status"] == "running"


async def test_prices_and_images_are_public_and_cacheable(platform: PlatformUnderTest) -> None:
    pricing = await platform.client.get("/vms/pricing/info")
    again = await platform.client.get("/vms/pricing/info", headers={"If-None-Match": pricing.headers["ETag"]})
    images = await platform.client.get("/images")

    assert pricing.json()["pricing"] == {"small": 0.05, "medium": 0.1, "large": 0.2, "xlarge": 0.4}
    assert pricing.json()["specifications"]["large"]["storage"] == "80 GB SSD"
    assert pricing.json()["billing_details"]["create_fee"] == 0.05
    assert (again.status_code, again.content) == (304, b"")
    assert "ubuntu-22.04" in {image["name"] for image in images.json()}
