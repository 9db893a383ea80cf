"""The durable queue: whatever dies, repeats or comes late, one effect, one end, and books in order."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, cast
from uuid import UUID

import pytest
import sqlalchemy as sa

from tests.support.platform import Account, PlatformUnderTest, open_under_test, settings_for_tests
from zentry.compute.driver import StaleFence
from zentry.compute.simulator.driver import SimulatorDriver
from zentry.compute.simulator.faults import FaultKind, Rule
from zentry.compute.simulator.orders import Action
from zentry.operations.types import Claim
from zentry.platform.clock import SystemClock
from zentry.platform.tasks import Stop
from zentry.schema.operations import OperationStatus, operations
from zentry.vms import kinds

# Each kind: the state that it starts from, the request, the driver's actions in order, where it ends, and where
# it ends when the engine refuses.
CASES: Final = [
    (kinds.CREATE, "creating", None, (Action.CREATE, Action.START), "running", "error"),
    (kinds.START, "stopped", ("POST", "/start"), (Action.CREATE, Action.START), "running", "stopped"),
    (kinds.STOP, "running", ("POST", "/stop"), (Action.STOP,), "stopped", "error"),
    (kinds.RESTART, "running", ("POST", "/restart"), (Action.REBOOT,), "running", "error"),
    (kinds.DELETE, "running", ("DELETE", ""), (Action.REMOVE,), "terminated", "error"),
]
STEPS: Final = [
    pytest.param(case, action, id=f"{case[0]}-{action}") for case in CASES for action in cast("Any", case)[3]
]


async def _request(platform: PlatformUnderTest, account: Account, case: Any) -> UUID:
    """Bring a machine to where the case starts and ask for the operation; return the machine's id."""
    _, before, request, *_ = case
    vm = await platform.given_vm(account, status=before)
    if request is not None:
        method, path = request
        answer = await platform.client.request(method, f"/vms/{vm['id']}{path}", headers=account.headers)
        assert answer.status_code == 200, answer.text
    return UUID(vm["id"])


def _break(platform: PlatformUnderTest, action: Action, kind: FaultKind, *, count: int = 1) -> None:
    cast("SimulatorDriver", platform.driver).faults.add(Rule(action, kind, count=count))


async def _last_operation(platform: PlatformUnderTest, vm_id: UUID) -> Any:
    async with platform.database.read() as tx:
        # The clock stands still: what was asked for in one instant is told apart by the machine's fence.
        latest = operations.c.created_at.desc(), operations.c.fence.desc()
        return (await tx.execute(sa.select(operations).where(operations.c.vm_id == vm_id).order_by(*latest))).first()


async def _settle_with_time(platform: PlatformUnderTest) -> None:
    """Let postponed tries and leases fall due, until nothing is left to do."""
    for _ in range(60):
        await platform.advance(meter=False, seconds=4)


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
async def test_each_kind_ends_where_it_should(platform: PlatformUnderTest, case: Any) -> None:
    account = await platform.signup()
    vm_id = await _request(platform, account, case)

    await platform.settle()

    operation = await _last_operation(platform, vm_id)
    assert (operation.kind, operation.status, operation.progress) == (case[0], OperationStatus.SUCCEEDED, 100)
    assert (await platform.get_vm(str(vm_id), account))["status"] == case[4]


@pytest.mark.parametrize(("case", "action"), STEPS)
async def test_a_step_that_the_driver_refuses_is_undone_and_costs_nothing_more(
    platform: PlatformUnderTest, case: Any, action: Action
) -> None:
    account = await platform.signup()
    vm_id = await _request(platform, account, case)
    _break(platform, action, FaultKind.REJECTED)

    await platform.settle()

    operation = await _last_operation(platform, vm_id)
    money = await platform.credits(account)
    assert (operation.status, operation.error_code) == (OperationStatus.FAILED, "HOST_REJECTED")
    assert (await platform.get_vm(str(vm_id), account))["status"] == case[5]
    assert (money["held_credits"], money["burn_rate_per_hour"]) == (0, 0)


@pytest.mark.parametrize(("case", "action"), STEPS)
async def test_a_step_that_never_succeeds_ends_after_its_tries(
    platform: PlatformUnderTest, case: Any, action: Action
) -> None:
    account = await platform.signup()
    vm_id = await _request(platform, account, case)
    _break(platform, action, FaultKind.UNAVAILABLE, count=1000)

    await _settle_with_time(platform)

    operation = await _last_operation(platform, vm_id)
    assert operation.status == OperationStatus.FAILED
    assert (await platform.get_vm(str(vm_id), account))["status"] == case[5]
    assert (await platform.credits(account))["held_credits"] == 0


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
async def test_a_worker_that_dies_after_its_claim_is_replaced_when_its_lease_ends(
    platform: PlatformUnderTest, case: Any
) -> None:
    account = await platform.signup()
    vm_id = await _request(platform, account, case)
    await platform.inner.runner.claim()

    too_early = await platform.inner.runner.run_once()
    await platform.advance(meter=False, seconds=platform.settings.operations.lease_seconds + 1)

    assert too_early == 0
    assert (await _last_operation(platform, vm_id)).status == OperationStatus.SUCCEEDED
    assert (await platform.get_vm(str(vm_id), account))["status"] == case[4]


async def test_a_zombie_changes_nothing_at_the_driver_nor_in_the_database(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm_id = await _request(platform, account, CASES[2])
    [zombie] = await platform.inner.runner.claim()
    await platform.advance(meter=False, seconds=platform.settings.operations.lease_seconds + 1)
    await platform.client.post(f"/vms/{vm_id}/start", headers=account.headers)
    await platform.settle()
    before = await _last_operation(platform, vm_id)

    with pytest.raises(StaleFence):
        await platform.driver.ensure_stopped(vm_id, fence=zombie.fence, grace=timedelta(seconds=1))
    await platform.inner.runner.drive(zombie)

    assert (await platform.get_vm(str(vm_id), account))["status"] == "running"
    assert await _last_operation(platform, vm_id) == before


async def test_an_operation_past_its_deadline_fails_and_gives_everything_back(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account, status="creating")

    await platform.advance(seconds=platform.settings.operations.deadline_seconds + 1)

    ended = await platform.get_vm(vm["id"], account)
    money = await platform.credits(account)
    assert (await _last_operation(platform, UUID(vm["id"]))).error_code == "DEADLINE_EXCEEDED"
    assert (ended["status"], ended["ip_address"]) == ("error", None)
    assert (money["current_credits"], money["held_credits"]) == (50, 0)


async def test_several_workers_share_the_queue_and_none_takes_what_another_has(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    project_id = await platform.given_project(account)
    for _ in range(12):
        await platform.given_vm(account, project_id=project_id, status="creating")

    batches: list[list[Claim]] = await asyncio.gather(*(platform.inner.runner.claim() for _ in range(6)))
    claims = [claim for batch in batches for claim in batch]
    for claim in claims:
        await platform.inner.runner.drive(claim)

    assert len({claim.operation_id for claim in claims}) == len(claims) == 12


async def test_a_running_worker_is_woken_by_a_request_and_stops_when_told(database_url: str, tmp_path: Path) -> None:
    settings = settings_for_tests(
        tmp_path, database={"url": database_url}, operations={"poll_seconds": 60, "wait_seconds": 0}
    )
    async with open_under_test(settings, clock=SystemClock()) as platform:
        stop = Stop()
        worker = asyncio.create_task(platform.inner.run_worker(stop))
        account = await platform.signup()
        project_id = await platform.given_project(account)

        created = await platform.client.post(
            "/vms",
            json={"name": "web", "instance_type": "small", "image": "debian-12", "project_id": project_id},
            headers={**account.headers, "Prefer": "wait=20"},
        )
        stop.set()
        await worker

    assert created.json()["status"] == "running"


async def test_every_kind_that_is_enqueued_has_a_handler(platform: PlatformUnderTest) -> None:
    named = {value for name, value in vars(kinds).items() if name.isupper()}

    assert set(platform.inner.kinds) == named
