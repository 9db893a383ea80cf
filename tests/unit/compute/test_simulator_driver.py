from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from uuid import UUID

import pytest

from zentry.compute.driver import (
    ComputeDriver,
    DriverContext,
    DriverRejected,
    DriverUnavailable,
    StaleFence,
    load_driver,
)
from zentry.compute.simulator import build
from zentry.compute.simulator.driver import SimulatorDriver
from zentry.compute.simulator.faults import FaultKind, Faults, Rule
from zentry.compute.simulator.hosts import Fleet
from zentry.compute.simulator.latency import Latency
from zentry.compute.simulator.orders import Action
from zentry.compute.simulator.world import World
from zentry.compute.types import Power, VMSpec
from zentry.platform.clock import ManualClock
from zentry.platform.settings import Settings

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
VM = UUID(int=1)
SPEC = VMSpec(VM, "web", 2, 2048, 20, "debian-12", "small", "10.64.0.1")
GRACE = timedelta(seconds=10)


class GateClock(ManualClock):
    """A clock whose sleepers wait until the test lets them go."""

    def __init__(self, start: datetime) -> None:
        super().__init__(start)
        self.slept: list[float] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._asleep = asyncio.Semaphore(0)

    async def sleep(self, seconds: float) -> None:
        if seconds > 0:
            self.slept.append(seconds)
            self._asleep.release()
            await self.gate.wait()
        await super().sleep(seconds)

    async def until_asleep(self, sleepers: int) -> None:
        """Wait until so many more have gone to sleep."""
        for _ in range(sleepers):
            await self._asleep.acquire()


@pytest.fixture
def clock() -> GateClock:
    return GateClock(START)


MakeDriver = Callable[[float], SimulatorDriver]


@pytest.fixture
async def make_driver(clock: GateClock) -> AsyncIterator[MakeDriver]:
    made: list[SimulatorDriver] = []

    def make(seconds: float) -> SimulatorDriver:
        world = World(":memory:", fleet=Fleet(hosts=2, vcpus=8, memory_mib=8192))
        latency = Latency(seed=1, boot_seconds=seconds, action_seconds=seconds)
        made.append(SimulatorDriver(world, clock=clock, seed=1, latency=latency))
        return made[-1]

    yield make
    for driver in made:
        await driver.close()


@pytest.fixture
def driver(make_driver: MakeDriver) -> SimulatorDriver:
    return make_driver(0.0)


@pytest.fixture
def slow_driver(make_driver: MakeDriver) -> SimulatorDriver:
    return make_driver(2.0)


# Latency


async def test_without_latency_nothing_sleeps(driver: SimulatorDriver, clock: GateClock) -> None:
    await driver.ensure_created(SPEC, fence=1)
    await driver.ensure_running(VM, fence=1)
    await driver.ensure_stopped(VM, fence=1, grace=GRACE)
    await driver.ensure_absent(VM, fence=1)

    assert clock.slept == []
    assert clock.now() == START


async def test_an_order_takes_time_and_its_repetition_none(slow_driver: SimulatorDriver, clock: GateClock) -> None:
    await slow_driver.ensure_created(SPEC, fence=1)
    once = list(clock.slept)

    await slow_driver.ensure_created(SPEC, fence=1)

    assert len(once) == 1
    assert clock.slept == once


async def test_a_stop_takes_no_longer_than_its_grace(slow_driver: SimulatorDriver, clock: GateClock) -> None:
    await slow_driver.ensure_created(SPEC, fence=1)
    await slow_driver.ensure_running(VM, fence=2)
    clock.slept.clear()

    await slow_driver.ensure_stopped(VM, fence=3, grace=timedelta(milliseconds=250))

    assert clock.slept == [0.25]


async def test_a_rejection_does_not_keep_anybody_waiting(slow_driver: SimulatorDriver, clock: GateClock) -> None:
    with pytest.raises(DriverRejected):
        await slow_driver.ensure_running(VM, fence=1)

    assert clock.slept == []


async def test_the_effect_comes_after_the_wait(slow_driver: SimulatorDriver, clock: GateClock) -> None:
    clock.gate.clear()
    order = asyncio.create_task(slow_driver.ensure_created(SPEC, fence=1))
    await clock.until_asleep(1)
    during = await slow_driver.inventory()

    clock.gate.set()
    await order

    assert during == []
    assert len(await slow_driver.inventory()) == 1


async def test_a_newer_order_overtakes_one_that_waits(slow_driver: SimulatorDriver, clock: GateClock) -> None:
    clock.gate.clear()
    create = asyncio.create_task(slow_driver.ensure_created(SPEC, fence=1))
    await clock.until_asleep(1)

    await slow_driver.ensure_absent(VM, fence=2)
    clock.gate.set()

    with pytest.raises(StaleFence):
        await create
    assert await slow_driver.inventory() == []


async def test_an_order_whose_caller_dies_changes_nothing(slow_driver: SimulatorDriver, clock: GateClock) -> None:
    clock.gate.clear()
    create = asyncio.create_task(slow_driver.ensure_created(SPEC, fence=1))
    await clock.until_asleep(1)

    create.cancel()
    await asyncio.gather(create, return_exceptions=True)

    assert await slow_driver.inventory() == []
    assert slow_driver.world.effects(VM) == {}


async def test_orders_that_wait_side_by_side_have_one_effect(slow_driver: SimulatorDriver, clock: GateClock) -> None:
    await slow_driver.ensure_created(SPEC, fence=1)
    await clock.until_asleep(1)
    clock.gate.clear()
    starts = [asyncio.create_task(slow_driver.ensure_running(VM, fence=2)) for _ in range(5)]
    await clock.until_asleep(5)

    clock.gate.set()
    await asyncio.gather(*starts)

    assert slow_driver.world.effects(VM)[Action.START] == 1


# Effects


async def test_effects_count_what_happened_and_not_what_was_asked(driver: SimulatorDriver) -> None:
    for _ in range(3):
        await driver.ensure_created(SPEC, fence=2)
        await driver.ensure_running(VM, fence=2)
        await driver.reboot(VM, fence=2, order=UUID(int=7))
    await driver.reboot(VM, fence=2, order=UUID(int=8))
    for _ in range(2):
        await driver.ensure_stopped(VM, fence=3, grace=GRACE)
    for _ in range(2):
        await driver.ensure_absent(VM, fence=4)

    assert driver.world.effects(VM) == {
        Action.CREATE: 1,
        Action.START: 1,
        Action.REBOOT: 2,
        Action.STOP: 1,
        Action.REMOVE: 1,
    }


# Faults


async def test_an_unavailable_host_does_nothing_once(driver: SimulatorDriver) -> None:
    await driver.ensure_created(SPEC, fence=1)
    driver.faults.add(Rule(Action.START, FaultKind.UNAVAILABLE))

    with pytest.raises(DriverUnavailable) as caught:
        await driver.ensure_running(VM, fence=2)
    between = (await driver.observe([VM]))[VM].power
    await driver.ensure_running(VM, fence=2)

    assert caught.value.code == "HOST_UNAVAILABLE"
    assert between is Power.OFF
    assert (await driver.observe([VM]))[VM].power is Power.ON


async def test_a_rejected_order_does_nothing(driver: SimulatorDriver) -> None:
    driver.faults.add(Rule(Action.CREATE, FaultKind.REJECTED))

    with pytest.raises(DriverRejected) as caught:
        await driver.ensure_created(SPEC, fence=1)

    assert caught.value.code == "HOST_REJECTED"
    assert await driver.inventory() == []


async def test_a_lost_reply_hides_an_effect_that_a_repetition_does_not_double(driver: SimulatorDriver) -> None:
    await driver.ensure_created(SPEC, fence=1)
    driver.faults.add(Rule(Action.START, FaultKind.LOST_REPLY))

    with pytest.raises(DriverUnavailable) as caught:
        await driver.ensure_running(VM, fence=2)
    after_loss = (await driver.observe([VM]))[VM].power
    await driver.ensure_running(VM, fence=2)

    assert caught.value.code == "LOST_REPLY"
    assert after_loss is Power.ON
    assert driver.world.effects(VM)[Action.START] == 1


async def test_a_slow_order_works_late(driver: SimulatorDriver, clock: GateClock) -> None:
    driver.faults.add(Rule(Action.CREATE, FaultKind.SLOW, delay_seconds=45))

    await driver.ensure_created(SPEC, fence=1)

    assert clock.slept == [45]
    assert len(await driver.inventory()) == 1


async def test_a_question_can_go_unanswered(driver: SimulatorDriver, clock: GateClock) -> None:
    driver.faults.add(Rule(Action.HOSTS, FaultKind.UNAVAILABLE))
    driver.faults.add(Rule(Action.OBSERVE, FaultKind.LOST_REPLY))
    driver.faults.add(Rule(Action.INVENTORY, FaultKind.SLOW, delay_seconds=5))

    with pytest.raises(DriverUnavailable):
        await driver.hosts()
    with pytest.raises(DriverUnavailable):
        await driver.observe([VM])
    await driver.inventory()

    assert clock.slept == [5]
    assert len(await driver.hosts()) == 2


def test_a_rule_strikes_the_calls_it_names_and_no_others() -> None:
    faults = Faults([Rule(Action.START, FaultKind.UNAVAILABLE, vm_id=VM, skip=1, count=2)])
    calls = [
        (Action.START, UUID(int=2)),
        (Action.STOP, VM),
        (Action.START, VM),
        (Action.START, VM),
        (Action.START, UUID(int=2)),
        (Action.START, VM),
        (Action.START, VM),
    ]

    struck = [faults.strike(action, vm_id).before is not None for action, vm_id in calls]

    assert struck == [False, False, False, True, False, True, False]


def test_one_call_uses_up_one_rule() -> None:
    faults = Faults([Rule(Action.START, FaultKind.REJECTED), Rule(Action.START, FaultKind.UNAVAILABLE)])

    errors = [type(faults.strike(Action.START, VM).before) for _ in range(3)]

    assert errors == [DriverRejected, DriverUnavailable, type(None)]


# Measurements


async def test_large_batches_are_measured_whole_and_in_order(driver: SimulatorDriver) -> None:
    await driver.ensure_created(SPEC, fence=1)
    others = [UUID(int=number) for number in range(100, 600)]

    samples = await driver.sample([*others, VM])

    assert [sample.vm_id for sample in samples] == [VM]


async def test_a_disk_keeps_still_while_its_machine_rests(driver: SimulatorDriver, clock: GateClock) -> None:
    await driver.ensure_created(SPEC, fence=1)
    await driver.ensure_running(VM, fence=2)
    clock.advance(timedelta(days=30))
    (worked,) = await driver.sample([VM])
    await driver.ensure_stopped(VM, fence=3, grace=GRACE)
    clock.advance(timedelta(days=300))

    (rested,) = await driver.sample([VM])
    await driver.ensure_running(VM, fence=4)
    (woken,) = await driver.sample([VM])

    assert worked.disk_usage == rested.disk_usage == woken.disk_usage
    assert woken.cpu_usage > 0


# Wiring


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_the_world_lies_in_the_data_directory(tmp_path: Path, clock: GateClock) -> None:
    driver = build(DriverContext(Settings(), tmp_path / "new", clock, Random(1)))

    await driver.close()

    assert (tmp_path / "new" / "simulator.db").is_file()


async def test_a_world_in_memory_leaves_no_file(
    tmp_path: Path, clock: GateClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    driver = build(DriverContext(Settings(), Path(":memory:"), clock, Random(1)))

    await driver.ensure_created(SPEC, fence=1)
    await driver.close()

    assert names_in(tmp_path) == []


async def test_the_settings_shape_the_fleet(tmp_path: Path, clock: GateClock) -> None:
    driver: ComputeDriver = load_driver(DriverContext(Settings(), tmp_path, clock, Random(1)))

    hosts = await driver.hosts()
    await driver.close()

    assert driver.name == "simulator"
    assert driver.capabilities.history
    assert len(hosts) == Settings().simulator.hosts
    assert {(host.vcpus, host.memory_mib, host.machines) for host in hosts} == {(256, 524_288, 0)}
