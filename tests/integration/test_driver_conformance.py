"""What every compute driver promises, whichever engine stands behind it.

A driver joins by an `Engine` in `ENGINES`: a name and a function that opens it in a directory. The
tests speak only through the protocol, and skip what a driver's capabilities leave out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from math import isfinite
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest

from zentry.compute.driver import ComputeDriver, DriverContext, DriverRejected, StaleFence
from zentry.compute.simulator import build as build_simulator
from zentry.compute.types import Power, Sample, VMSpec
from zentry.platform.clock import ManualClock
from zentry.platform.settings import Settings, SimulatorSettings

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
GRACE = timedelta(seconds=10)
HOSTS = 3
HOST_VCPUS = 8
HOST_MEMORY_MIB = 8192
UNKNOWN = UUID(int=404)


@dataclass(frozen=True)
class Engine:
    """How a driver under test is opened: twice on one directory must mean one world."""

    name: str
    open: Callable[[Path, ManualClock], ComputeDriver]


def open_simulator(data_dir: Path, clock: ManualClock, *, seconds: float) -> ComputeDriver:
    simulator = SimulatorSettings(
        seed=7,
        hosts=HOSTS,
        host_vcpus=HOST_VCPUS,
        host_memory_mib=HOST_MEMORY_MIB,
        boot_seconds=seconds,
        action_seconds=seconds,
    )
    return build_simulator(DriverContext(Settings(simulator=simulator), data_dir, clock, Random(7)))


ENGINES = (
    Engine("simulator", lambda data_dir, clock: open_simulator(data_dir, clock, seconds=1.0)),
    Engine("simulator-at-once", lambda data_dir, clock: open_simulator(data_dir, clock, seconds=0.0)),
)


@dataclass
class Rig:
    """One engine in one directory, opened as often as a test wants."""

    engine: Engine
    data_dir: Path
    clock: ManualClock
    opened: list[ComputeDriver] = field(default_factory=list)

    def open(self) -> ComputeDriver:
        driver = self.engine.open(self.data_dir, self.clock)
        self.opened.append(driver)
        return driver


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.name)
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(request.param, tmp_path, ManualClock(START))
    yield rig
    for driver in rig.opened:
        await driver.close()


@pytest.fixture
def driver(rig: Rig) -> ComputeDriver:
    return rig.open()


def a_machine(number: int = 1, *, vcpus: int = 2, memory_mib: int = 2048) -> VMSpec:
    return VMSpec(
        vm_id=UUID(int=number),
        name=f"machine-{number}",
        vcpus=vcpus,
        memory_mib=memory_mib,
        disk_gib=20,
        image="debian-12",
        instance_type="small",
        ip_address=f"10.64.0.{number}",
    )


async def power_of(driver: ComputeDriver, vm_id: UUID) -> Power | None:
    observation = (await driver.observe([vm_id])).get(vm_id)
    return None if observation is None else observation.power


async def a_running_machine(driver: ComputeDriver, number: int = 1) -> VMSpec:
    spec = a_machine(number)
    await driver.ensure_created(spec, fence=1)
    await driver.ensure_running(spec.vm_id, fence=2)
    return spec


# Lifecycle


async def test_a_created_machine_is_off_and_stands_on_a_host(driver: ComputeDriver) -> None:
    spec = a_machine()

    await driver.ensure_created(spec, fence=3)

    observation = (await driver.observe([spec.vm_id]))[spec.vm_id]
    assert observation.power is Power.OFF
    assert observation.fence == 3
    assert observation.host in {host.name for host in await driver.hosts()}


async def test_a_machine_goes_through_its_life(driver: ComputeDriver) -> None:
    spec = a_machine()
    seen: list[Power | None] = [await power_of(driver, spec.vm_id)]

    await driver.ensure_created(spec, fence=1)
    seen.append(await power_of(driver, spec.vm_id))
    await driver.ensure_running(spec.vm_id, fence=2)
    seen.append(await power_of(driver, spec.vm_id))
    await driver.ensure_stopped(spec.vm_id, fence=3, grace=GRACE)
    seen.append(await power_of(driver, spec.vm_id))
    await driver.ensure_running(spec.vm_id, fence=4)
    seen.append(await power_of(driver, spec.vm_id))
    await driver.ensure_absent(spec.vm_id, fence=5)
    seen.append(await power_of(driver, spec.vm_id))

    assert seen == [None, Power.OFF, Power.ON, Power.OFF, Power.ON, None]


@pytest.mark.parametrize("power", [Power.ON, Power.OFF])
async def test_a_reboot_leaves_a_machine_running(driver: ComputeDriver, power: Power) -> None:
    spec = await a_running_machine(driver)
    if power is Power.OFF:
        await driver.ensure_stopped(spec.vm_id, fence=3, grace=GRACE)

    await driver.reboot(spec.vm_id, fence=4, order=UUID(int=9))

    assert await power_of(driver, spec.vm_id) is Power.ON


async def test_a_stop_without_grace_is_a_stop_all_the_same(driver: ComputeDriver) -> None:
    spec = await a_running_machine(driver)

    await driver.ensure_stopped(spec.vm_id, fence=3, grace=timedelta(0))

    assert await power_of(driver, spec.vm_id) is Power.OFF


# Idempotence


async def test_a_second_create_takes_no_second_place(driver: ComputeDriver) -> None:
    spec = a_machine()

    await driver.ensure_created(spec, fence=1)
    await driver.ensure_created(spec, fence=1)
    await driver.ensure_created(spec, fence=2)

    assert sum(host.machines for host in await driver.hosts()) == 1
    assert sum(host.vcpus_used for host in await driver.hosts()) == spec.vcpus
    assert len(await driver.inventory()) == 1


async def test_a_second_create_does_not_stop_a_running_machine(driver: ComputeDriver) -> None:
    spec = await a_running_machine(driver)

    await driver.ensure_created(spec, fence=2)

    assert await power_of(driver, spec.vm_id) is Power.ON


async def test_orders_given_twice_end_where_one_does(driver: ComputeDriver) -> None:
    spec = await a_running_machine(driver)

    await driver.ensure_running(spec.vm_id, fence=2)
    running = await power_of(driver, spec.vm_id)
    await driver.ensure_stopped(spec.vm_id, fence=3, grace=GRACE)
    await driver.ensure_stopped(spec.vm_id, fence=3, grace=GRACE)
    stopped = await power_of(driver, spec.vm_id)
    await driver.ensure_absent(spec.vm_id, fence=4)
    await driver.ensure_absent(spec.vm_id, fence=4)
    absent = await power_of(driver, spec.vm_id)

    assert (running, stopped, absent) == (Power.ON, Power.OFF, None)
    assert sum(host.memory_mib_used for host in await driver.hosts()) == 0


async def test_a_reboot_order_that_was_carried_out_does_nothing_more(driver: ComputeDriver) -> None:
    spec = await a_running_machine(driver)
    await driver.reboot(spec.vm_id, fence=3, order=UUID(int=9))
    await driver.ensure_stopped(spec.vm_id, fence=4, grace=GRACE)

    await driver.reboot(spec.vm_id, fence=4, order=UUID(int=9))

    assert await power_of(driver, spec.vm_id) is Power.OFF


async def test_the_same_order_from_two_workers_at_once_counts_once(rig: Rig) -> None:
    workers = [rig.open(), rig.open()]
    spec = a_machine()

    await asyncio.gather(*(worker.ensure_created(spec, fence=1) for worker in workers))
    await asyncio.gather(*(worker.ensure_running(spec.vm_id, fence=2) for worker in workers))

    assert sum(host.machines for host in await workers[0].hosts()) == 1
    assert await power_of(workers[1], spec.vm_id) is Power.ON


# Fences


async def test_every_order_below_the_fence_is_refused_and_changes_nothing(driver: ComputeDriver) -> None:
    spec = a_machine()
    await driver.ensure_created(spec, fence=5)
    await driver.ensure_running(spec.vm_id, fence=6)

    with pytest.raises(StaleFence):
        await driver.ensure_created(spec, fence=5)
    with pytest.raises(StaleFence):
        await driver.ensure_running(spec.vm_id, fence=5)
    with pytest.raises(StaleFence):
        await driver.ensure_stopped(spec.vm_id, fence=5, grace=GRACE)
    with pytest.raises(StaleFence):
        await driver.reboot(spec.vm_id, fence=5, order=UUID(int=9))
    with pytest.raises(StaleFence):
        await driver.ensure_absent(spec.vm_id, fence=5)

    observation = (await driver.observe([spec.vm_id]))[spec.vm_id]
    assert (observation.power, observation.fence) == (Power.ON, 6)


async def test_a_fence_counts_even_where_there_was_nothing_to_do(driver: ComputeDriver) -> None:
    spec = await a_running_machine(driver)
    await driver.ensure_running(spec.vm_id, fence=9)

    with pytest.raises(StaleFence):
        await driver.ensure_stopped(spec.vm_id, fence=8, grace=GRACE)

    assert (await driver.observe([spec.vm_id]))[spec.vm_id].fence == 9


async def test_a_late_create_does_not_bring_a_deleted_machine_back(driver: ComputeDriver) -> None:
    spec = a_machine()
    await driver.ensure_created(spec, fence=1)
    await driver.ensure_absent(spec.vm_id, fence=3)

    with pytest.raises(StaleFence):
        await driver.ensure_created(spec, fence=2)

    assert await power_of(driver, spec.vm_id) is None


async def test_a_delete_is_remembered_of_a_machine_that_never_was(driver: ComputeDriver) -> None:
    await driver.ensure_absent(UUID(int=1), fence=3)

    with pytest.raises(StaleFence):
        await driver.ensure_created(a_machine(), fence=2)

    assert await driver.inventory() == []


async def test_a_newer_create_may_follow_a_delete(driver: ComputeDriver) -> None:
    spec = a_machine()
    await driver.ensure_created(spec, fence=1)
    await driver.ensure_absent(spec.vm_id, fence=2)

    await driver.ensure_created(spec, fence=3)

    assert await power_of(driver, spec.vm_id) is Power.OFF


async def test_the_fence_of_a_refused_order_counts(driver: ComputeDriver) -> None:
    with pytest.raises(DriverRejected):
        await driver.ensure_created(a_machine(vcpus=HOST_VCPUS + 1), fence=5)

    with pytest.raises(StaleFence):
        await driver.ensure_created(a_machine(), fence=4)


async def test_fences_of_different_machines_are_apart(driver: ComputeDriver) -> None:
    await driver.ensure_created(a_machine(1), fence=100)

    await driver.ensure_created(a_machine(2), fence=1)

    assert len(await driver.inventory()) == 2


# Unknown machines


async def test_orders_for_unknown_machines_are_rejected(driver: ComputeDriver) -> None:
    with pytest.raises(DriverRejected):
        await driver.ensure_running(UNKNOWN, fence=1)
    with pytest.raises(DriverRejected):
        await driver.ensure_stopped(UNKNOWN, fence=1, grace=GRACE)
    with pytest.raises(DriverRejected):
        await driver.reboot(UNKNOWN, fence=1, order=UUID(int=9))


async def test_an_unknown_machine_is_absent_already(driver: ComputeDriver) -> None:
    await driver.ensure_absent(UNKNOWN, fence=1)

    assert await driver.inventory() == []


async def test_unknown_ids_are_left_out_of_answers(driver: ComputeDriver) -> None:
    spec = await a_running_machine(driver)

    observed = await driver.observe([UNKNOWN, spec.vm_id])
    sampled = await driver.sample([UNKNOWN, spec.vm_id])

    assert list(observed) == [spec.vm_id]
    assert [sample.vm_id for sample in sampled] == [spec.vm_id]


async def test_asking_about_nothing_answers_nothing(driver: ComputeDriver) -> None:
    await a_running_machine(driver)

    assert await driver.observe([]) == {}
    assert list(await driver.sample([])) == []


async def test_the_inventory_has_every_machine_that_is_left(driver: ComputeDriver) -> None:
    for number in (1, 2, 3):
        await driver.ensure_created(a_machine(number), fence=1)
    await driver.ensure_absent(UUID(int=2), fence=2)

    inventory = await driver.inventory()

    assert {observation.vm_id for observation in inventory} == {UUID(int=1), UUID(int=3)}


# Capacity


async def test_a_machine_too_large_for_every_host_is_rejected(driver: ComputeDriver) -> None:
    with pytest.raises(DriverRejected) as no_cpu:
        await driver.ensure_created(a_machine(1, vcpus=HOST_VCPUS + 1), fence=1)
    with pytest.raises(DriverRejected) as no_memory:
        await driver.ensure_created(a_machine(2, memory_mib=HOST_MEMORY_MIB + 1), fence=1)

    assert (no_cpu.value.code, no_memory.value.code) == ("NO_CAPACITY", "NO_CAPACITY")
    assert await driver.inventory() == []


async def test_a_removed_machine_leaves_its_place_to_another(driver: ComputeDriver) -> None:
    for number in range(1, HOSTS + 1):
        await driver.ensure_created(a_machine(number, vcpus=HOST_VCPUS), fence=1)
    with pytest.raises(DriverRejected):
        await driver.ensure_created(a_machine(50), fence=1)

    await driver.ensure_absent(UUID(int=2), fence=2)
    await driver.ensure_created(a_machine(50), fence=2)

    assert await power_of(driver, UUID(int=50)) is Power.OFF


async def test_a_stopped_machine_keeps_its_place(driver: ComputeDriver) -> None:
    spec = await a_running_machine(driver)

    await driver.ensure_stopped(spec.vm_id, fence=3, grace=GRACE)

    assert sum(host.vcpus_used for host in await driver.hosts()) == spec.vcpus


async def test_workers_that_place_at_once_never_overcommit(rig: Rig) -> None:
    workers = [rig.open() for _ in range(4)]
    fitting = HOSTS * HOST_VCPUS // 2
    orders = [workers[number % 4].ensure_created(a_machine(number), fence=1) for number in range(1, 2 * fitting + 1)]

    outcomes = await asyncio.gather(*orders, return_exceptions=True)

    hosts = await workers[0].hosts()
    refused = [outcome for outcome in outcomes if outcome is not None]
    assert len(refused) == fitting
    assert all(isinstance(outcome, DriverRejected) and outcome.code == "NO_CAPACITY" for outcome in refused)
    assert [host.machines for host in hosts] == [HOST_VCPUS // 2] * HOSTS
    assert all(host.vcpus_used <= host.vcpus and host.memory_mib_used <= host.memory_mib for host in hosts)
    assert len(await workers[1].inventory()) == fitting


# Resize


@pytest.fixture
def resizer(driver: ComputeDriver) -> ComputeDriver:
    if not driver.capabilities.resize:
        pytest.skip("the driver cannot resize")
    return driver


def resized(spec: VMSpec, **sizes: Any) -> VMSpec:
    return replace(spec, instance_type="other", **sizes)


async def room(driver: ComputeDriver) -> tuple[int, int, int]:
    hosts = await driver.hosts()
    return (
        sum(host.vcpus_used for host in hosts),
        sum(host.memory_mib_used for host in hosts),
        sum(host.machines for host in hosts),
    )


async def test_a_machine_grows_and_shrinks_and_takes_the_room_that_it_needs(resizer: ComputeDriver) -> None:
    spec = a_machine()
    await resizer.ensure_created(spec, fence=1)
    small = await room(resizer)

    await resizer.resize(resized(spec, vcpus=6, memory_mib=6144, disk_gib=80), fence=2)
    large = await room(resizer)
    await resizer.resize(spec, fence=3)

    assert large == (6, 6144, 1)
    assert await room(resizer) == small == (2, 2048, 1)
    await resizer.ensure_running(spec.vm_id, fence=4)
    assert await power_of(resizer, spec.vm_id) is Power.ON


async def test_a_second_resize_to_the_same_size_finds_nothing_to_do(resizer: ComputeDriver) -> None:
    spec = await a_running_machine(resizer)

    await resizer.resize(spec, fence=3)

    assert await power_of(resizer, spec.vm_id) is Power.ON
    assert await room(resizer) == (2, 2048, 1)


async def test_a_running_machine_keeps_its_size(resizer: ComputeDriver) -> None:
    spec = await a_running_machine(resizer)

    with pytest.raises(DriverRejected):
        await resizer.resize(resized(spec, vcpus=4), fence=3)

    assert await room(resizer) == (2, 2048, 1)


async def test_a_machine_moves_where_there_is_room_for_its_new_size(resizer: ComputeDriver) -> None:
    for number in range(1, 2 * HOSTS + 1):
        await resizer.ensure_created(a_machine(number), fence=1)
    before = {one.vm_id: one.host for one in await resizer.inventory()}
    neighbour = next(vm_id for vm_id, host in before.items() if vm_id != UUID(int=1) and host == before[UUID(int=1)])
    await resizer.resize(resized(replace(a_machine(), vm_id=neighbour), vcpus=5), fence=2)
    freed = next(vm_id for vm_id, host in before.items() if host != before[UUID(int=1)])
    await resizer.ensure_absent(freed, fence=2)

    await resizer.resize(resized(a_machine(), vcpus=6), fence=2)

    hosts = await resizer.hosts()
    assert (await resizer.observe([UUID(int=1)]))[UUID(int=1)].host != before[UUID(int=1)]
    assert all(host.vcpus_used <= host.vcpus for host in hosts)
    assert sum(host.machines for host in hosts) == 2 * HOSTS - 1


async def test_a_machine_for_which_no_host_has_room_keeps_its_size_and_its_place(resizer: ComputeDriver) -> None:
    spec = a_machine()
    await resizer.ensure_created(spec, fence=1)

    with pytest.raises(DriverRejected) as refused:
        await resizer.resize(resized(spec, vcpus=HOST_VCPUS + 1), fence=2)

    assert refused.value.code == "NO_CAPACITY"
    assert await room(resizer) == (2, 2048, 1)


async def test_a_resize_of_the_past_or_of_nothing_is_refused(resizer: ComputeDriver) -> None:
    spec = a_machine()
    await resizer.ensure_created(spec, fence=5)

    with pytest.raises(StaleFence):
        await resizer.resize(resized(spec, vcpus=4), fence=4)
    with pytest.raises(DriverRejected):
        await resizer.resize(a_machine(404), fence=1)

    assert await room(resizer) == (2, 2048, 1)


# Disks


SNAPSHOT = UUID(int=77)


@pytest.fixture
def copier(driver: ComputeDriver) -> ComputeDriver:
    if not driver.capabilities.snapshots:
        pytest.skip("the driver takes no snapshots")
    return driver


async def test_a_snapshot_is_taken_of_a_running_machine_and_restored_to_one_at_rest(copier: ComputeDriver) -> None:
    spec = await a_running_machine(copier)
    await copier.snapshot(spec.vm_id, SNAPSHOT, fence=3)
    await copier.snapshot(spec.vm_id, SNAPSHOT, fence=3)

    with pytest.raises(DriverRejected):
        await copier.restore(spec.vm_id, SNAPSHOT, fence=4, order=UUID(int=1))
    await copier.ensure_stopped(spec.vm_id, fence=5, grace=GRACE)
    await copier.restore(spec.vm_id, SNAPSHOT, fence=5, order=UUID(int=1))
    await copier.ensure_running(spec.vm_id, fence=5)
    await copier.restore(spec.vm_id, SNAPSHOT, fence=5, order=UUID(int=1))

    assert await power_of(copier, spec.vm_id) is Power.ON


async def test_a_snapshot_outlives_its_machine_and_makes_others(rig: Rig, copier: ComputeDriver) -> None:
    spec = await a_running_machine(copier)
    await copier.snapshot(spec.vm_id, SNAPSHOT, fence=3)
    await copier.ensure_absent(spec.vm_id, fence=4)
    await copier.close()
    after = rig.open()

    await after.ensure_created(replace(a_machine(2), snapshot_id=SNAPSHOT), fence=1)
    await after.delete_snapshot(spec.vm_id, SNAPSHOT, fence=5)
    await after.delete_snapshot(spec.vm_id, SNAPSHOT, fence=5)

    await after.ensure_created(replace(a_machine(2), snapshot_id=SNAPSHOT), fence=2)
    with pytest.raises(DriverRejected):
        await after.ensure_created(replace(a_machine(3), snapshot_id=SNAPSHOT), fence=1)
    assert await power_of(after, UUID(int=2)) is Power.OFF


async def test_snapshots_of_nothing_from_nothing_or_of_the_past_are_refused(copier: ComputeDriver) -> None:
    spec = a_machine()
    await copier.ensure_created(spec, fence=5)

    with pytest.raises(DriverRejected):
        await copier.snapshot(UNKNOWN, SNAPSHOT, fence=1)
    with pytest.raises(DriverRejected):
        await copier.restore(spec.vm_id, SNAPSHOT, fence=5, order=UUID(int=1))
    with pytest.raises(StaleFence):
        await copier.snapshot(spec.vm_id, SNAPSHOT, fence=4)
    with pytest.raises(StaleFence):
        await copier.delete_snapshot(spec.vm_id, SNAPSHOT, fence=4)


async def test_a_machine_at_rest_begins_afresh_once_for_each_order(driver: ComputeDriver) -> None:
    if not driver.capabilities.rebuild:
        pytest.skip("the driver cannot rebuild")
    spec = await a_running_machine(driver)
    fresh = replace(spec, image="ubuntu-24.04")

    with pytest.raises(DriverRejected):
        await driver.rebuild(fresh, fence=3, order=UUID(int=1))
    await driver.ensure_stopped(spec.vm_id, fence=4, grace=GRACE)
    await driver.rebuild(fresh, fence=4, order=UUID(int=1))
    await driver.ensure_running(spec.vm_id, fence=4)
    await driver.rebuild(fresh, fence=4, order=UUID(int=1))
    with pytest.raises(StaleFence):
        await driver.rebuild(fresh, fence=3, order=UUID(int=2))
    with pytest.raises(DriverRejected):
        await driver.rebuild(a_machine(404), fence=1, order=UUID(int=2))

    assert await power_of(driver, spec.vm_id) is Power.ON
    assert [host.machines for host in await driver.hosts() if host.machines] == [1]


# Console


async def test_a_console_tells_of_the_last_boot(rig: Rig, driver: ComputeDriver) -> None:
    if not driver.capabilities.console:
        pytest.skip("the driver shows no console")
    spec = a_machine()
    await driver.ensure_created(spec, fence=1)
    before = await driver.console(spec.vm_id)
    await driver.ensure_running(spec.vm_id, fence=2)
    rig.clock.advance(timedelta(minutes=1))
    first = await driver.console(spec.vm_id)
    await driver.ensure_stopped(spec.vm_id, fence=3, grace=GRACE)
    stopped = await driver.console(spec.vm_id)

    assert before == ""
    assert spec.name in first
    assert len(first.encode()) <= 65_536
    assert stopped.startswith(first)
    with pytest.raises(DriverRejected):
        await driver.console(UNKNOWN)


# Restart


async def test_machines_fences_and_orders_survive_a_restart(rig: Rig) -> None:
    before = rig.open()
    await a_running_machine(before, 1)
    await before.reboot(UUID(int=1), fence=3, order=UUID(int=9))
    await before.ensure_created(a_machine(2), fence=1)
    await before.ensure_absent(UUID(int=2), fence=7)
    inventory, hosts = await before.inventory(), await before.hosts()
    await before.close()

    after = rig.open()

    assert list(await after.inventory()) == list(inventory)
    assert list(await after.hosts()) == list(hosts)
    with pytest.raises(StaleFence):
        await after.ensure_created(a_machine(2), fence=6)
    await after.ensure_stopped(UUID(int=1), fence=4, grace=GRACE)
    await after.reboot(UUID(int=1), fence=4, order=UUID(int=9))
    assert await power_of(after, UUID(int=1)) is Power.OFF


async def test_closing_twice_is_closing(driver: ComputeDriver) -> None:
    await driver.close()

    await driver.close()


# Measurements


def assert_believable(sample: Sample) -> None:
    assert 0 <= sample.cpu_usage <= 100
    assert 0 <= sample.memory_usage <= 100
    assert 0 <= sample.disk_usage <= 100
    assert sample.network_in >= 0
    assert isfinite(sample.network_in)
    assert sample.network_out >= 0
    assert isfinite(sample.network_out)


async def test_a_running_machine_measures_load_now(rig: Rig, driver: ComputeDriver) -> None:
    spec = await a_running_machine(driver)

    (sample,) = await driver.sample([spec.vm_id])

    assert_believable(sample)
    assert sample.recorded_at == rig.clock.now()
    assert sample.cpu_usage > 0
    assert sample.memory_usage > 0


async def test_a_stopped_machine_measures_its_disk_alone(driver: ComputeDriver) -> None:
    spec = await a_running_machine(driver)
    await driver.ensure_stopped(spec.vm_id, fence=3, grace=GRACE)

    (sample,) = await driver.sample([spec.vm_id])

    assert (sample.cpu_usage, sample.memory_usage, sample.network_in, sample.network_out) == (0, 0, 0, 0)
    assert sample.disk_usage > 0


async def test_history_shows_machines_as_they_stood(rig: Rig, driver: ComputeDriver) -> None:
    if not driver.capabilities.history:
        pytest.skip("the driver keeps no history")
    spec = await a_running_machine(driver)
    rig.clock.advance(timedelta(hours=1))
    (live,) = await driver.sample([spec.vm_id])
    rig.clock.advance(timedelta(seconds=1))
    await driver.ensure_stopped(spec.vm_id, fence=3, grace=GRACE)
    rig.clock.advance(timedelta(hours=1))
    await driver.ensure_running(spec.vm_id, fence=4)
    rig.clock.advance(timedelta(hours=1))
    instants = [START - timedelta(seconds=1), *(START + timedelta(minutes=30 + 60 * hour) for hour in range(3))]

    history = await driver.sample_history([spec.vm_id, UNKNOWN], instants=instants)
    again = await driver.sample_history([spec.vm_id], instants=[live.recorded_at])

    assert [sample.recorded_at for sample in history] == instants[1:]
    assert [sample.cpu_usage > 0 for sample in history] == [True, False, True]
    assert list(again) == [live]
    for sample in history:
        assert_believable(sample)
