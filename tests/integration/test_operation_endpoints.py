"""Operations through the front door: lists, one of them, waiting for its end, turning it back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest

from tests.support.platform import Account, PlatformUnderTest, open_under_test, settings_for_tests
from zentry.compute.simulator.driver import SimulatorDriver
from zentry.compute.simulator.faults import FaultKind, Rule
from zentry.compute.simulator.orders import Action
from zentry.platform.clock import SystemClock
from zentry.platform.tasks import Stop


async def _get(platform: PlatformUnderTest, account: Account, path: str, **parameters: Any) -> Any:
    answer = await platform.client.get(path, params=parameters, headers=account.headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def _given_start(platform: PlatformUnderTest, account: Account) -> tuple[str, str]:
    """Ask for the start of a stopped machine; return its id and the operation's."""
    vm = await platform.given_vm(account, status="stopped")
    answer = await platform.client.post(f"/vms/{vm['id']}/start", headers=account.headers)
    assert answer.status_code == 200, answer.text
    return vm["id"], answer.json()["data"]["operation_id"]


async def test_an_operation_shows_what_is_asked_and_how_far_it_is(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account, status="creating")

    pending = await _get(platform, account, f"/operations/{vm['active_operation']['id']}")
    await platform.settle()
    ended = await _get(platform, account, f"/operations/{vm['active_operation']['id']}")

    assert (pending["kind"], pending["status"], pending["progress"], pending["step"]) == (
        "vms.create",
        "pending",
        0,
        "place",
    )
    assert (pending["vm_id"], pending["project_id"]) == (vm["id"], vm["project_id"])
    assert (pending["attempt"], pending["error"], pending["started_at"]) == (0, None, None)
    assert (ended["status"], ended["progress"], ended["step"]) == ("succeeded", 100, None)
    assert ended["finished_at"] == "2026-03-02T12:00:00Z"


async def test_a_failed_operation_names_step_and_error(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account, status="creating")
    cast("SimulatorDriver", platform.driver).faults.add(Rule(Action.START, FaultKind.REJECTED))

    await platform.settle()

    [failed] = (await _get(platform, account, "/operations", status="failed"))["operations"]
    assert (failed["id"], failed["step"], failed["undoing"]) == (vm["active_operation"]["id"], "boot", True)
    assert failed["error"]["code"] == "HOST_REJECTED"
    assert failed["error"]["message"]


async def test_a_step_that_is_tried_again_counts_its_attempts(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account, status="creating")
    cast("SimulatorDriver", platform.driver).faults.add(Rule(Action.START, FaultKind.UNAVAILABLE, count=2))
    path = f"/operations/{vm['active_operation']['id']}"

    seen = []
    await platform.settle()
    for _ in range(3):
        operation = await _get(platform, account, path)
        seen.append((operation["status"], operation["step"], operation["progress"], operation["attempt"]))
        await platform.advance(meter=False, seconds=4)

    assert seen == [("pending", "boot", 50, 1), ("pending", "boot", 50, 2), ("succeeded", None, 100, 3)]


async def test_the_list_pages_through_every_operation_once_the_newest_first(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    project_id = await platform.given_project(account)
    for _ in range(5):
        await platform.given_vm(account, project_id=project_id)
        await platform.advance(seconds=1)

    pages: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = await _get(platform, account, "/operations", limit=2, **cursor)
        pages.append(page["operations"])
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}

    times = [operation["created_at"] for page in pages for operation in page]
    assert [len(page) for page in pages] == [2, 2, 1]
    assert times == sorted(times, reverse=True)
    assert len(set(times)) == 5


@pytest.mark.parametrize(
    ("filters", "kinds"),
    [
        ({"status": "succeeded"}, ["vms.stop", "vms.create"]),
        ({"status": "pending"}, ["vms.start"]),
        ({"status": "failed"}, []),
        ({"kind": "vms.stop"}, ["vms.stop"]),
        ({"vm_id": "no id"}, []),
        ({"vm_id": "01936b5e-7d5b-7cc0-a6f1-1f2f4b7a9a10"}, []),
    ],
)
async def test_filters_narrow_the_list(platform: PlatformUnderTest, filters: dict[str, str], kinds: list[str]) -> None:
    account = await platform.signup()
    vm_id, _ = await _given_start(platform, account)

    found = await _get(platform, account, "/operations", **{"vm_id": vm_id, **filters})
    of_vm = await _get(platform, account, f"/vms/{vm_id}/operations", **filters)
    await platform.settle()

    assert sorted(operation["kind"] for operation in found["operations"]) == sorted(kinds)
    if "vm_id" not in filters:
        assert of_vm == found


async def test_another_accounts_operations_are_not_there(platform: PlatformUnderTest) -> None:
    owner, other = await platform.signup(), await platform.signup()
    vm_id, operation_id = await _given_start(platform, owner)

    answers = [
        await platform.client.request(method, path, headers=other.headers)
        for method, path in (
            ("GET", f"/operations/{operation_id}"),
            ("POST", f"/operations/{operation_id}/cancel"),
            ("GET", f"/vms/{vm_id}/operations"),
            ("GET", "/operations/no-id"),
        )
    ]
    await platform.settle()

    assert [answer.status_code for answer in answers] == [404] * 4
    assert (await _get(platform, other, "/operations"))["operations"] == []
    assert (await _get(platform, owner, f"/operations/{operation_id}"))["status"] == "succeeded"


async def test_a_long_poll_answers_when_the_operation_ends_and_holds_no_connection(
    database_url: str, tmp_path: Path
) -> None:
    settings = settings_for_tests(tmp_path, database={"url": database_url, "pool_size": 1, "pool_overflow": 0})
    async with open_under_test(settings, clock=SystemClock()) as platform:
        account = await platform.signup()
        vm = await platform.given_vm(account, status="creating")
        path = f"/operations/{vm['active_operation']['id']}"

        polls = [asyncio.create_task(_get(platform, account, path, wait=30)) for _ in range(5)]
        await asyncio.sleep(0.3)
        early = [poll.done() for poll in polls]
        await platform.settle()
        ended = await asyncio.wait_for(asyncio.gather(*polls), 10)

    assert early == [False] * 5
    assert {operation["status"] for operation in ended} == {"succeeded"}


async def test_a_long_poll_is_over_when_its_time_is(database_url: str, tmp_path: Path) -> None:
    async with open_under_test(
        settings_for_tests(tmp_path, database={"url": database_url}), clock=SystemClock()
    ) as platform:
        account = await platform.signup()
        vm = await platform.given_vm(account, status="creating")
        path = f"/operations/{vm['active_operation']['id']}"

        waited = await asyncio.wait_for(_get(platform, account, path, wait=1), 5)
        too_long = await platform.client.get(path, params={"wait": 31}, headers=account.headers)

    assert waited["status"] == "pending"
    assert too_long.status_code == 400


@pytest.mark.parametrize("claimed", [False, True])
async def test_a_cancelled_creation_is_undone_and_costs_nothing(platform: PlatformUnderTest, claimed: bool) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account, status="creating")
    operation_id = vm["active_operation"]["id"]
    late = await platform.inner.runner.claim() if claimed else []

    answer = await platform.client.post(f"/operations/{operation_id}/cancel", headers=account.headers)
    for claim in late:
        await platform.inner.runner.drive(claim)
    await platform.settle()

    operation = await _get(platform, account, f"/operations/{operation_id}")
    ended, money = await platform.get_vm(vm["id"], account), await platform.credits(account)
    assert (answer.status_code, answer.json()["undoing"], answer.json()["status"]) == (200, True, "pending")
    assert (operation["status"], operation["error"]["code"]) == ("cancelled", "CANCELLED")
    assert (ended["status"], ended["ip_address"], ended["active_operation"]) == ("error", None, None)
    assert (money["current_credits"], money["held_credits"]) == (50, 0)
    assert await platform.driver.observe([UUID(vm["id"])]) == {}


async def test_a_cancelled_start_leaves_the_machine_stopped(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm_id, operation_id = await _given_start(platform, account)

    await platform.client.post(f"/operations/{operation_id}/cancel", headers=account.headers)
    await platform.settle()

    assert (await _get(platform, account, f"/operations/{operation_id}"))["status"] == "cancelled"
    assert (await platform.get_vm(vm_id, account))["status"] == "stopped"
    assert (await platform.credits(account))["held_credits"] == 0


async def test_cancelling_twice_is_one_cancellation(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    _, operation_id = await _given_start(platform, account)
    path = f"/operations/{operation_id}/cancel"

    first, second = [await platform.client.post(path, headers=account.headers) for _ in range(2)]
    await platform.settle()
    third = await platform.client.post(path, headers=account.headers)

    assert [answer.status_code for answer in (first, second, third)] == [200] * 3
    assert third.json()["status"] == "cancelled"


async def test_what_has_ended_or_cannot_be_undone_is_a_conflict(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)
    [created] = (await _get(platform, account, f"/vms/{vm['id']}/operations"))["operations"]
    stop = await platform.client.post(f"/vms/{vm['id']}/stop", headers=account.headers)

    answers = [
        await platform.client.post(f"/operations/{operation_id}/cancel", headers=account.headers)
        for operation_id in (created["id"], stop.json()["data"]["operation_id"])
    ]
    await platform.settle()

    assert [(answer.status_code, answer.json()["error_code"]) for answer in answers] == [
        (409, "OPERATION_NOT_CANCELLABLE")
    ] * 2
    assert "nothing left to cancel" in answers[0].json()["message"]
    assert "can't be undone" in answers[1].json()["message"]
    assert (await platform.get_vm(vm["id"], account))["status"] == "stopped"


async def test_many_who_cancel_while_workers_end_it_agree_on_one_end(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm_id, operation_id = await _given_start(platform, account)
    path = f"/operations/{operation_id}/cancel"

    answers = await asyncio.gather(
        *(platform.client.post(path, headers=account.headers) for _ in range(4)),
        platform.settle(),
        platform.settle(),
    )
    await platform.settle()

    ended = (await _get(platform, account, f"/operations/{operation_id}"))["status"]
    state = (await platform.get_vm(vm_id, account))["status"]
    accepted = any(answer is not None and answer.status_code == 200 for answer in answers)
    assert (ended, state) == (("cancelled", "stopped") if accepted else ("succeeded", "running"))


async def test_a_delete_supersedes_what_is_being_cancelled(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm_id, operation_id = await _given_start(platform, account)
    await platform.client.post(f"/operations/{operation_id}/cancel", headers=account.headers)

    await platform.client.delete(f"/vms/{vm_id}", headers=account.headers)
    await platform.settle()

    operation = await _get(platform, account, f"/operations/{operation_id}")
    assert (operation["status"], operation["error"]["code"]) == ("cancelled", "SUPERSEDED")
    assert (await platform.get_vm(vm_id, account))["status"] == "terminated"


async def test_a_worker_in_the_middle_of_a_start_lets_go_when_it_is_cancelled(
    database_url: str, tmp_path: Path
) -> None:
    settings = settings_for_tests(
        tmp_path, database={"url": database_url}, simulator={"boot_seconds": 30, "action_seconds": 0}
    )
    async with open_under_test(settings, clock=SystemClock()) as platform:
        stop = Stop()
        worker = asyncio.create_task(platform.inner.run_worker(stop))
        account = await platform.signup()
        vm = await platform.given_vm(account, status="creating")
        path = f"/operations/{vm['active_operation']['id']}"
        while (await _get(platform, account, path))["step"] != "boot":
            await platform.inner.clock.sleep(0.02)

        answer = await platform.client.post(f"{path}/cancel", headers={**account.headers, "Prefer": "wait=20"})
        ended = await platform.get_vm(vm["id"], account)
        stop.set()
        await asyncio.wait_for(worker, 10)

    assert answer.json()["status"] == "cancelled"
    assert ended["status"] == "error"
