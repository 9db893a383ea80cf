"""Rows and hosts disagree in every way there is; afterwards the hosts follow and the books are in order."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, cast
from uuid import UUID

import pytest
import sqlalchemy as sa

from tests.support.platform import START, Account, PlatformUnderTest, open_under_test, settings_for_tests
from zentry.compute.simulator.driver import SimulatorDriver
from zentry.compute.simulator.faults import FaultKind, Rule
from zentry.compute.simulator.orders import Action
from zentry.compute.simulator.world import World
from zentry.compute.types import Observation, Power, VMSpec
from zentry.platform import ids
from zentry.platform.clock import ManualClock, SystemClock
from zentry.platform.tasks import Stop
from zentry.schema.events import events
from zentry.schema.operations import operations
from zentry.schema.vms import VMStatus, reconciler_regions, vms
from zentry.vms.regions import Regions
from zentry.vms.repairs import Finding, Row, compare

INTERVAL = 31


def _world(platform: PlatformUnderTest) -> World:
    return cast("SimulatorDriver", platform.driver).world


def _turn(platform: PlatformUnderTest, vm_id: str, power: Power) -> None:
    """Change a machine's power behind the platform's back, as a failing host or an operator's hand does."""
    world = _world(platform)
    with world._transaction():
        world._turn(UUID(vm_id), power, int(platform.clock.now().timestamp() * 1e6))


def _lose(platform: PlatformUnderTest, vm_id: str) -> None:
    world = _world(platform)
    with world._transaction():
        world._remove(UUID(vm_id))


async def _resurrect(platform: PlatformUnderTest, vm_id: str | UUID, *, power: Power = Power.ON) -> None:
    """Let a host have a machine that it should not have."""
    world = _world(platform)
    spec = VMSpec(UUID(str(vm_id)), "ghost", 1, 1024, 20, "debian-12", "small", "10.0.0.1")
    with world._transaction():
        world._connection.execute("INSERT OR IGNORE INTO fences VALUES (?, 0)", (str(vm_id),))
        world._create(spec, int(platform.clock.now().timestamp() * 1e6))
    if power is Power.ON:
        _turn(platform, str(vm_id), Power.ON)


async def _reconcile(platform: PlatformUnderTest, *, after_seconds: float = INTERVAL) -> int:
    platform.clock.advance(timedelta(seconds=after_seconds))
    mended = await platform.inner.reconciler.tick()
    await platform.settle()
    return mended


async def _power(platform: PlatformUnderTest, vm_id: str) -> Power | None:
    seen = await platform.driver.observe([UUID(vm_id)])
    return seen[UUID(vm_id)].power if seen else None


async def _event_kinds(platform: PlatformUnderTest, vm_id: str) -> list[str]:
    async with platform.database.read() as tx:
        query = sa.select(events.c.kind).where(events.c.resource_id == UUID(vm_id), events.c.cause == "reconciler")
        return list((await tx.execute(query)).scalars())


async def _given_agreement(platform: PlatformUnderTest) -> Account:
    account = await platform.signup()
    assert await _reconcile(platform, after_seconds=0) == 0
    return account


@pytest.mark.parametrize("lost", [False, True], ids=["off", "absent"])
async def test_a_machine_found_down_is_started_again_and_the_time_between_is_free(
    platform: PlatformUnderTest, lost: bool
) -> None:
    account = await _given_agreement(platform)
    vm = await platform.given_vm(account)
    await platform.advance(seconds=1000)
    if lost:
        _lose(platform, vm["id"])
    else:
        _turn(platform, vm["id"], Power.OFF)

    platform.clock.advance(timedelta(seconds=INTERVAL))
    mended = await platform.inner.reconciler.tick()
    down = await platform.get_vm(vm["id"], account)
    paused = await platform.credits(account)
    await platform.advance(meter=False, seconds=200)
    up = await platform.get_vm(vm["id"], account)
    await platform.client.post(f"/vms/{vm['id']}/stop", headers=account.headers)
    await platform.settle()

    usage = [-line["amount"] for line in await platform.history(account) if line["action_type"] == "vm_usage"]
    assert mended == 1
    assert (down["status"], down["stop_reason"], down["active_operation"]["kind"]) == ("stopped", "host", "vms.start")
    assert paused["burn_rate_per_hour"] == 0
    assert (up["status"], up["stop_reason"], up["ip_address"]) == ("running", None, vm["ip_address"])
    assert sum(usage) == pytest.approx(0.05 * (1000 + INTERVAL) / 3600, abs=2e-6)
    assert await _event_kinds(platform, vm["id"]) == ["vm.found_down"]


@pytest.mark.parametrize("overrides", [{"billing": {"welcome_credits": 0.12}}])
async def test_a_machine_found_down_without_credit_stays_down(platform: PlatformUnderTest) -> None:
    account = await _given_agreement(platform)
    vm = await platform.given_vm(account)
    _turn(platform, vm["id"], Power.OFF)

    mended = [await _reconcile(platform, after_seconds=2000), await _reconcile(platform)]

    ended = await platform.get_vm(vm["id"], account)
    assert (ended["status"], ended["stop_reason"], ended["active_operation"]) == ("stopped", "credit", None)
    assert (mended, (await platform.credits(account))["held_credits"]) == ([1, 0], 0)


@pytest.mark.parametrize("overrides", [{"reconciler": {"restart": False}}])
async def test_a_machine_found_down_stays_down_where_the_settings_say_so(platform: PlatformUnderTest) -> None:
    account = await _given_agreement(platform)
    vm = await platform.given_vm(account)
    _turn(platform, vm["id"], Power.OFF)

    await _reconcile(platform)

    ended = await platform.get_vm(vm["id"], account)
    assert (ended["status"], ended["stop_reason"]) == ("stopped", "host")
    assert (await platform.credits(account))["held_credits"] == 0


async def test_a_start_that_fails_ends_the_repair(platform: PlatformUnderTest) -> None:
    account = await _given_agreement(platform)
    vm = await platform.given_vm(account)
    _turn(platform, vm["id"], Power.OFF)
    cast("SimulatorDriver", platform.driver).faults.add(Rule(Action.START, FaultKind.REJECTED, count=100))

    first = await _reconcile(platform)
    later = [await _reconcile(platform) for _ in range(3)]

    ended = await platform.get_vm(vm["id"], account)
    assert (first, later) == (1, [0, 0, 0])
    assert (ended["status"], ended["stop_reason"]) == ("stopped", "host")
    assert (await platform.credits(account))["held_credits"] == 0


async def test_a_stopped_machine_that_runs_is_stopped_again_and_never_billed(platform: PlatformUnderTest) -> None:
    account = await _given_agreement(platform)
    vm = await platform.given_vm(account, status="stopped")
    before = await platform.credits(account)
    _turn(platform, vm["id"], Power.ON)

    mended = await _reconcile(platform)

    after = await platform.credits(account)
    assert (mended, await _power(platform, vm["id"])) == (1, Power.OFF)
    assert after["current_credits"] == before["current_credits"]
    assert (await platform.get_vm(vm["id"], account))["status"] == "stopped"
    assert await _event_kinds(platform, vm["id"]) == ["vm.found_stray"]


async def test_a_terminated_machine_that_comes_back_is_removed_after_a_grace_and_never_billed(
    platform: PlatformUnderTest,
) -> None:
    account = await _given_agreement(platform)
    vm = await platform.given_vm(account, status="terminated")
    before = await platform.credits(account)
    await _resurrect(platform, vm["id"])

    early = await _reconcile(platform)
    there = await _power(platform, vm["id"])
    late = await _reconcile(platform, after_seconds=platform.settings.reconciler.orphan_grace_seconds)

    assert (early, there, late) == (0, Power.ON, 1)
    assert await _power(platform, vm["id"]) is None
    assert (await platform.credits(account))["current_credits"] == before["current_credits"]
    assert (await platform.get_vm(vm["id"], account))["status"] == "terminated"
    assert await _event_kinds(platform, vm["id"]) == ["vm.found_orphan"]


async def test_a_machine_that_is_none_of_ours_is_left_alone(platform: PlatformUnderTest) -> None:
    await _given_agreement(platform)
    foreign = ids.new_id(START, Random(3))
    await _resurrect(platform, foreign)

    mended = [await _reconcile(platform, after_seconds=1000) for _ in range(2)]

    assert (mended, await _power(platform, str(foreign))) == ([0, 0], Power.ON)


async def test_a_machine_in_error_is_stopped_since_nobody_pays_for_it(platform: PlatformUnderTest) -> None:
    account = await _given_agreement(platform)
    vm = await platform.given_vm(account)
    cast("SimulatorDriver", platform.driver).faults.add(Rule(Action.STOP, FaultKind.REJECTED))
    await platform.client.post(f"/vms/{vm['id']}/stop", headers=account.headers)
    await platform.settle()

    mended = await _reconcile(platform)

    assert (mended, await _power(platform, vm["id"])) == (1, Power.OFF)
    assert (await platform.get_vm(vm["id"], account))["status"] == "error"


async def test_a_machine_with_an_operation_under_way_is_left_to_it(platform: PlatformUnderTest) -> None:
    account = await _given_agreement(platform)
    vm = await platform.given_vm(account)
    _turn(platform, vm["id"], Power.OFF)
    await platform.client.post(f"/vms/{vm['id']}/restart", headers=account.headers)

    platform.clock.advance(timedelta(seconds=INTERVAL))
    mended = await platform.inner.reconciler.tick()
    await platform.settle()

    assert (mended, await _power(platform, vm["id"])) == (0, Power.ON)


async def test_what_happens_between_the_look_and_the_repair_makes_the_repair_void(platform: PlatformUnderTest) -> None:
    account = await _given_agreement(platform)
    down, stray = await platform.given_vm(account), await platform.given_vm(account, status="stopped")
    reconciler = platform.inner.reconciler
    _turn(platform, down["id"], Power.OFF)
    _turn(platform, stray["id"], Power.ON)
    async with platform.database.read() as tx:
        rows = {
            str(row.id): Row(
                row.id,
                row.user_id,
                row.project_id,
                VMStatus(row.status),
                row.wanted,
                row.fence,
                row.updated_at,
                None,
                False,
            )
            for row in (await tx.execute(sa.select(vms))).all()
        }
    await platform.client.post(f"/vms/{down['id']}/restart", headers=account.headers)
    await platform.client.post(f"/vms/{stray['id']}/start", headers=account.headers)
    await platform.settle()

    from zentry.vms.reconciler import _Walk

    walk = _Walk(100)
    off = Observation(UUID(down["id"]), Power.OFF, 0, "host-1")
    on = Observation(UUID(stray["id"]), Power.ON, 0, "host-1")
    await reconciler._handle(UUID(down["id"]), rows[down["id"]], off, walk)
    await reconciler._handle(UUID(stray["id"]), rows[stray["id"]], on, walk)

    assert (walk.mended, dict(walk.found)) == (0, {Finding.DOWN: 1, Finding.STRAY: 1})
    assert [await _power(platform, vm["id"]) for vm in (down, stray)] == [Power.ON, Power.ON]
    assert (await platform.get_vm(down["id"], account))["status"] == "running"


async def test_a_driver_that_is_away_leaves_everything_to_the_next_pass(platform: PlatformUnderTest) -> None:
    account = await _given_agreement(platform)
    vm = await platform.given_vm(account, status="stopped")
    _turn(platform, vm["id"], Power.ON)
    faults = cast("SimulatorDriver", platform.driver).faults
    faults.add(Rule(Action.INVENTORY, FaultKind.UNAVAILABLE))
    faults.add(Rule(Action.STOP, FaultKind.UNAVAILABLE))

    mended = [await _reconcile(platform) for _ in range(3)]

    assert mended == [0, 0, 1]


@pytest.mark.parametrize(
    "overrides",
    [{"reconciler": {"page_machines": 2, "region_machines": 4, "repairs_per_region": 3, "interval_seconds": 30}}],
)
async def test_regions_grow_with_the_fleet_and_many_workers_mend_each_machine_once(
    platform: PlatformUnderTest,
) -> None:
    account = await _given_agreement(platform)
    project_id = await platform.given_project(account)
    machines = [await platform.given_vm(account, project_id=project_id) for _ in range(12)]
    for _ in range(4):
        await _reconcile(platform)
    for vm in machines:
        _turn(platform, vm["id"], Power.OFF)

    async with platform.database.read() as tx:
        regions = (await tx.execute(sa.select(sa.func.count()).select_from(reconciler_regions))).scalar_one()
    mended = 0
    for _ in range(6):
        platform.clock.advance(timedelta(seconds=INTERVAL))
        mended += sum(await asyncio.gather(*(platform.inner.reconciler.tick() for _ in range(3))))
        await platform.settle()

    async with platform.database.read() as tx:
        starts = sa.select(sa.func.count()).where(operations.c.kind == "vms.start")
        started = (await tx.execute(starts)).scalar_one()
    assert regions >= 3
    assert (mended, started) == (12, 12)
    assert {await _power(platform, vm["id"]) for vm in machines} == {Power.ON}


async def test_a_region_is_held_by_one_worker_until_its_lease_ends(platform: PlatformUnderTest) -> None:
    await _given_agreement(platform)
    platform.clock.advance(timedelta(seconds=INTERVAL))
    lease = timedelta(seconds=60)

    async def claim(owner: str) -> Any:
        async with platform.database.work() as tx:
            return await Regions(tx).claim(owner=owner, lease=lease)

    first, second = await claim("a"), await claim("b")
    platform.clock.advance(lease + timedelta(seconds=1))
    third = await claim("b")
    async with platform.database.work() as tx:
        late = await Regions(tx).release(first, due_in=lease)

    assert (first is not None, second, third.fence) == (True, None, first.fence + 1)
    assert late is False


async def test_a_failed_operation_pokes_the_reconciler(database_url: str, tmp_path: Path) -> None:
    settings = settings_for_tests(
        tmp_path,
        database={"url": database_url},
        operations={"wait_seconds": 0, "max_attempts": 1},
        reconciler={"interval_seconds": 3600},
    )
    async with open_under_test(settings, clock=SystemClock()) as platform:
        account = await platform.signup()
        vm = await platform.given_vm(account, status="stopped")
        faults = cast("SimulatorDriver", platform.driver).faults
        # The machine boots, the reply is lost, and so is the way to stop it.
        faults.add(Rule(Action.START, FaultKind.LOST_REPLY))
        faults.add(Rule(Action.STOP, FaultKind.UNAVAILABLE))
        stop = Stop()
        worker = asyncio.create_task(platform.inner.run_worker(stop))
        await platform.inner.clock.sleep(1.5)  # The first look of a fresh worker is over.
        await platform.client.post(f"/vms/{vm['id']}/start", headers=account.headers)

        async with asyncio.timeout(20):
            while not await _event_kinds(platform, vm["id"]):
                await platform.inner.clock.sleep(0.05)
        stop.set()
        await asyncio.wait_for(worker, 10)

        assert await _power(platform, vm["id"]) is Power.OFF
        assert (await platform.get_vm(vm["id"], account))["status"] == "stopped"


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_every_pair_of_row_and_host_has_an_answer(dialect: str) -> None:
    clock = ManualClock(START)
    row = {
        status: Row(UUID(int=1), UUID(int=2), UUID(int=3), status, "running", 1, None, clock.now(), False)
        for status in VMStatus
    }
    seen = {power: Observation(UUID(int=1), power, 1, "host-1") for power in Power}

    answers = {
        (status, power): compare(row[status], seen[power] if power else None)
        for status in VMStatus
        for power in (Power.ON, Power.OFF, None)
    }

    assert answers == {
        (VMStatus.CREATING, Power.ON): None,
        (VMStatus.CREATING, Power.OFF): None,
        (VMStatus.CREATING, None): None,
        (VMStatus.RUNNING, Power.ON): None,
        (VMStatus.RUNNING, Power.OFF): Finding.DOWN,
        (VMStatus.RUNNING, None): Finding.DOWN,
        (VMStatus.STOPPED, Power.ON): Finding.STRAY,
        (VMStatus.STOPPED, Power.OFF): None,
        (VMStatus.STOPPED, None): Finding.MISSING,
        (VMStatus.ERROR, Power.ON): Finding.STRAY,
        (VMStatus.ERROR, Power.OFF): Finding.BROKEN,
        (VMStatus.ERROR, None): None,
        (VMStatus.TERMINATED, Power.ON): Finding.ORPHAN,
        (VMStatus.TERMINATED, Power.OFF): Finding.ORPHAN,
        (VMStatus.TERMINATED, None): None,
    }
    assert {compare(row[status], seen[Power.UNKNOWN]) for status in VMStatus} == {None}
    undeleted = replace(row[VMStatus.ERROR], wanted="terminated")
    assert {compare(undeleted, seen[power] if power else None) for power in (Power.ON, Power.OFF, None)} == {
        Finding.UNDELETED
    }
    assert compare(undeleted, seen[Power.UNKNOWN]) is None
    assert compare(None, seen[Power.ON]) is Finding.UNKNOWN
