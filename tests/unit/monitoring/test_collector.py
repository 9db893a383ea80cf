from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest
import sqlalchemy as sa

from tests.unit.monitoring.fleet import Fleet, SteadyDriver, sample_of
from zentry.compute.types import Sample
from zentry.monitoring.buffer import SampleBuffer
from zentry.monitoring.collector import Collector
from zentry.monitoring.errors import MetricsUnavailable
from zentry.monitoring.rounds import SamplingRounds
from zentry.monitoring.sql_store import SQLMetricsStore
from zentry.platform.clock import ManualClock
from zentry.platform.db import Database
from zentry.platform.settings import MonitoringSettings, Settings
from zentry.platform.tasks import Stop
from zentry.schema.monitoring import health_records, vm_metrics


@pytest.fixture
def driver(clock: ManualClock) -> SteadyDriver:
    return SteadyDriver(clock)


@pytest.fixture
def collector(database: Database, driver: SteadyDriver, clock: ManualClock, tmp_path: Path) -> Collector:
    monitoring = MonitoringSettings(sample_seconds=30, sample_batch=2, retention_days=1)
    settings = Settings(_env_file=None, data_dir=tmp_path, monitoring=monitoring)
    store = SQLMetricsStore(database, settings=monitoring, clock=clock)
    return Collector(database=database, driver=driver, store=store, settings=settings, clock=clock, random=Random(1))


async def count(database: Database, table: sa.Table) -> int:
    async with database.read() as tx:
        return int((await tx.execute(sa.select(sa.func.count()).select_from(table))).scalar_one())


async def test_a_tick_samples_every_running_machine_in_batches(
    collector: Collector, database: Database, driver: SteadyDriver, fleet: Fleet
) -> None:
    running = [await fleet.add(number) for number in range(5)]
    for number, status in enumerate(("stopped", "creating", "error", "terminated"), start=10):
        await fleet.add(number, status=status)

    kept = await collector.tick()

    assert kept == 5
    assert await count(database, vm_metrics) == 5
    assert [vm_id for batch in driver.asked for vm_id in batch] == running
    assert max(len(batch) for batch in driver.asked) == 2


async def test_a_machine_with_a_fresh_sample_is_left_to_whoever_took_it(
    collector: Collector, clock: ManualClock, fleet: Fleet
) -> None:
    await fleet.add(1)

    kept = [await collector.tick(), await collector.tick()]
    clock.advance(timedelta(seconds=30))
    kept.append(await collector.tick())

    assert kept == [1, 0, 1]


async def test_several_workers_share_a_round_and_measure_each_machine_once(
    database: Database, driver: SteadyDriver, clock: ManualClock, fleet: Fleet
) -> None:
    running = [await fleet.add(number) for number in range(5)]
    pages = []

    for _ in range(4):
        async with database.work() as tx:
            pages.append(list(await SamplingRounds(tx, "steady").next_page(period=timedelta(seconds=30), limit=2)))
    clock.advance(timedelta(seconds=95))
    async with database.work() as tx:
        late = await SamplingRounds(tx, "steady").next_page(period=timedelta(seconds=30), limit=9)
    clock.advance(timedelta(seconds=29))
    async with database.work() as tx:
        soon = await SamplingRounds(tx, "steady").next_page(period=timedelta(seconds=30), limit=9)

    assert pages == [running[:2], running[2:4], running[4:], []]
    assert (list(late), list(soon)) == (running, [])


class AwayStore(SQLMetricsStore):
    """A store that can be taken away."""

    is_away = False

    async def record(self, samples: Sequence[Sample]) -> None:
        if self.is_away:
            raise MetricsUnavailable
        await super().record(samples)


async def test_samples_wait_for_a_store_that_is_away_and_the_oldest_are_given_up(
    database: Database, clock: ManualClock, fleet: Fleet
) -> None:
    vm_id = await fleet.add(1)
    store = AwayStore(database, settings=MonitoringSettings(), clock=clock)
    buffer = SampleBuffer(store, most=3)
    store.is_away = True
    for minute in range(5):
        buffer.put([sample_of(vm_id, clock.now() - timedelta(minutes=5 - minute))])
        assert not await buffer.flush()
    waiting = buffer.waiting

    store.is_away = False
    flushed = await buffer.flush()

    assert (waiting, flushed, buffer.waiting) == (3, True, 0)
    assert await count(database, vm_metrics) == 3


async def test_a_driver_that_is_away_leaves_a_gap_and_nothing_else(
    collector: Collector, database: Database, driver: SteadyDriver, clock: ManualClock, fleet: Fleet
) -> None:
    await fleet.add(1)
    driver.away = True

    gap = await collector.tick()
    driver.away = False
    clock.advance(timedelta(seconds=30))
    after = await collector.tick()

    assert (gap, after) == (0, 1)
    assert await count(database, vm_metrics) == 1


async def test_samples_beyond_the_retention_are_forgotten(
    collector: Collector, database: Database, clock: ManualClock, fleet: Fleet
) -> None:
    vm_id = await fleet.add(1, status="stopped")
    store = SQLMetricsStore(database, settings=MonitoringSettings(), clock=clock)
    await store.record([sample_of(vm_id, clock.now()), sample_of(vm_id, clock.now() + timedelta(minutes=50))])
    clock.advance(timedelta(hours=24, minutes=30))

    await collector.tick()

    assert await count(database, vm_metrics) == 1


async def test_health_is_recorded_per_component_every_five_minutes_and_no_more_often(
    collector: Collector, database: Database, clock: ManualClock, fleet: Fleet
) -> None:
    await collector.tick()
    first = await count(database, health_records)
    clock.advance(timedelta(minutes=4))
    await collector.tick()
    second = await count(database, health_records)
    clock.advance(timedelta(minutes=1))
    await collector.tick()

    assert (first, second) == (11, 11)
    assert await count(database, health_records) == 22


async def test_health_records_beyond_the_retention_are_forgotten(
    collector: Collector, database: Database, clock: ManualClock, fleet: Fleet
) -> None:
    await collector.tick()
    clock.advance(timedelta(hours=25))

    await collector.tick()

    assert await count(database, health_records) == 11


async def test_it_ticks_until_it_is_told_to_stop(
    collector: Collector, database: Database, driver: SteadyDriver, fleet: Fleet
) -> None:
    await fleet.add(1)
    stop = Stop()
    driver.stop_after(3, stop)

    async with asyncio.timeout(10):
        await collector.run(stop)

    assert await count(database, vm_metrics) == 3


async def test_a_stop_ends_a_wait_at_once(
    database: Database, driver: SteadyDriver, clock: ManualClock, tmp_path: Path
) -> None:
    class Standing(ManualClock):
        async def sleep(self, seconds: float) -> None:  # noqa: ARG002 - it waits for ever
            await asyncio.Event().wait()

    settings = Settings(_env_file=None, data_dir=tmp_path)
    store = SQLMetricsStore(database, settings=settings.monitoring, clock=clock)
    collector = Collector(
        database=database, driver=driver, store=store, settings=settings, clock=Standing(clock.now()), random=Random(1)
    )
    stop = Stop()
    task = asyncio.create_task(collector.run(stop))
    await asyncio.sleep(0)

    stop.set()

    async with asyncio.timeout(5):
        await task
