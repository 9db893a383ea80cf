from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.monitoring.fleet import Fleet, sample_of
from zentry.monitoring.store import MAX_POINTS, SQLMetricsStore, bounded_step
from zentry.platform.clock import ManualClock
from zentry.platform.db import Database

START = datetime(2026, 1, 15, 10, 0, tzinfo=UTC)


async def test_samples_come_back_as_averages_and_peaks_of_their_bucket_oldest_first(
    database: Database, fleet: Fleet
) -> None:
    store, vm_id = SQLMetricsStore(), await fleet.add(1)
    loads = {0: 10.0, 30: 20.0, 59: 30.0, 60: 80.0, 119: 90.0}
    async with database.work() as tx:
        await store.record(tx, [sample_of(vm_id, START + timedelta(seconds=at), cpu=cpu) for at, cpu in loads.items()])

    async with database.read() as tx:
        found = await store.query(tx, vm_id, start=START, end=START + timedelta(minutes=2), step_seconds=60)

    assert [bucket.starts_at for bucket in found] == [START, START + timedelta(minutes=1)]
    assert [bucket.samples for bucket in found] == [3, 2]
    assert [bucket.average.cpu_usage for bucket in found] == [20.0, 85.0]
    assert [bucket.peak.memory_usage for bucket in found] == [60.0, 180.0]


async def test_fractions_of_a_second_stay_in_their_bucket(database: Database, fleet: Fleet) -> None:
    store, vm_id = SQLMetricsStore(), await fleet.add(1)
    late = START + timedelta(seconds=59, microseconds=999_999)
    async with database.work() as tx:
        await store.record(tx, [sample_of(vm_id, late)])

    async with database.read() as tx:
        (bucket,) = await store.query(tx, vm_id, start=START, end=START + timedelta(hours=1), step_seconds=60)

    assert bucket.starts_at == START


async def test_the_first_bucket_does_not_begin_before_the_period(database: Database, fleet: Fleet) -> None:
    store, vm_id = SQLMetricsStore(), await fleet.add(1)
    start = START + timedelta(seconds=20)
    async with database.work() as tx:
        await store.record(tx, [sample_of(vm_id, START), sample_of(vm_id, start)])

    async with database.read() as tx:
        (bucket,) = await store.query(tx, vm_id, start=start, end=START + timedelta(hours=1), step_seconds=60)

    assert (bucket.starts_at, bucket.samples) == (start, 1)


async def test_a_repeated_sample_is_dropped(database: Database, fleet: Fleet) -> None:
    store, vm_id = SQLMetricsStore(), await fleet.add(1)
    async with database.work() as tx:
        await store.record(tx, [sample_of(vm_id, START, cpu=10.0)])

    async with database.work() as tx:
        await store.record(
            tx, [sample_of(vm_id, START, cpu=99.0), sample_of(vm_id, START + timedelta(seconds=1), cpu=30.0)]
        )

    async with database.read() as tx:
        (bucket,) = await store.query(tx, vm_id, start=START, end=START + timedelta(minutes=1), step_seconds=60)
    assert (bucket.samples, bucket.average.cpu_usage) == (2, 20.0)


async def test_the_latest_sample_is_given_per_machine(database: Database, fleet: Fleet) -> None:
    store = SQLMetricsStore()
    first, second, silent = [await fleet.add(number) for number in (1, 2, 3)]
    async with database.work() as tx:
        await store.record(tx, [sample_of(first, START + timedelta(seconds=at), cpu=float(at)) for at in (1, 2, 3)])
        await store.record(tx, [sample_of(second, START, cpu=50.0)])

    async with database.read() as tx:
        latest = await store.latest(tx, [first, second, silent])
        nothing = await store.latest(tx, [])

    assert {vm_id: sample.cpu_usage for vm_id, sample in latest.items()} == {first: 3.0, second: 50.0}
    assert latest[first].recorded_at == START + timedelta(seconds=3)
    assert nothing == {}


async def test_pruning_takes_the_oldest_first_and_no_more_than_its_limit(
    database: Database, fleet: Fleet, clock: ManualClock
) -> None:
    store, vm_id = SQLMetricsStore(), await fleet.add(1)
    async with database.work() as tx:
        await store.record(tx, [sample_of(vm_id, START + timedelta(seconds=at)) for at in range(10)])
    before = START + timedelta(seconds=7)

    async with database.work() as tx:
        removed = [await store.prune(tx, before=before, limit=5) for _ in range(3)]

    assert removed == [5, 2, 0]
    async with database.read() as tx:
        left = await store.query(tx, vm_id, start=START, end=START + timedelta(minutes=1), step_seconds=1)
    assert [bucket.starts_at for bucket in left] == [START + timedelta(seconds=at) for at in (7, 8, 9)]


@pytest.mark.parametrize("hours", [1, 24, 83, 84, 168])
@pytest.mark.parametrize("minutes", [5, 6, 30, 3600])
@pytest.mark.parametrize("offset", [0, 1, 299])
def test_a_period_never_has_more_points_than_the_most(hours: int, minutes: int, offset: int) -> None:
    start = START + timedelta(seconds=offset)
    end = start + timedelta(hours=hours)

    step = bounded_step(start=start, end=end, step_seconds=60 * minutes)

    assert int(end.timestamp()) // step - int(start.timestamp()) // step + 1 <= MAX_POINTS
    assert step % (60 * minutes) == 0
