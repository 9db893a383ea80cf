"""What every store of samples does, whatever it is made of."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from pydantic import SecretStr

from tests.support.victoria import VictoriaServer, start_victoria
from tests.unit.monitoring.fleet import Fleet, sample_of
from tests.unit.monitoring.stores import StoreUnderTest
from zentry.monitoring.sql_store import SQLMetricsStore
from zentry.monitoring.store import MAX_POINTS, Aggregation, Metric, MetricsStore, Query, bounded_step
from zentry.monitoring.victoria import VictoriaMetricsStore
from zentry.platform.clock import ManualClock
from zentry.platform.db import Database
from zentry.platform.settings import MonitoringSettings

START = datetime(2024, 1, 15, 10, 0, tzinfo=UTC)
CPU = Metric.CPU_USAGE


def at(minutes: float = 0, **more: float) -> datetime:
    return START + timedelta(minutes=minutes, **more)


def span(*vm_ids: UUID, minutes: float, step: int = 60, start: datetime = START) -> Query:
    return Query(vm_ids, start, start + timedelta(minutes=minutes), step)


@pytest.fixture
def clock() -> ManualClock:
    """A clock of the past: no server takes samples from the future."""
    return ManualClock(START)


@pytest.fixture(scope="session")
def victoria() -> Iterator[VictoriaServer]:
    server = start_victoria()
    yield server
    server.stop()


@pytest.fixture(params=["sql", "victoriametrics"])
async def under_test(
    request: pytest.FixtureRequest, database: Database, dialect: str, clock: ManualClock, fleet: Fleet
) -> AsyncIterator[StoreUnderTest]:
    settings = MonitoringSettings(retention_days=2, retention_5m_days=10, retention_1h_days=100)
    store: MetricsStore = SQLMetricsStore(database, settings=settings, clock=clock)
    flush, oldest = _nothing, timedelta(days=2)
    if request.param == "victoriametrics":
        if dialect != "sqlite":
            pytest.skip("it does not lie in the database")
        server: VictoriaServer = request.getfixturevalue("victoria")
        settings = settings.model_copy(update={"victoria_url": SecretStr(server.url)})
        store, flush, oldest = VictoriaMetricsStore(settings=settings, clock=clock), server.flush, timedelta(days=100)
        fleet.first = next(_fleets)
    yield StoreUnderTest(store, clock, fleet, flush, oldest)
    await store.close()


_fleets = itertools.count(100_000, 1000)


def _nothing() -> None:
    pass


async def test_steps_hold_averages_and_peaks_and_what_lies_between_is_a_gap(under_test: StoreUnderTest) -> None:
    vm_id = await under_test.fleet.add(1)
    loads = {0: 10.0, 30: 20.0, 59.999: 30.0, 60: 80.0, 119: 90.0, 240: 5.0, 300: 99.0}
    await under_test.record(*(sample_of(vm_id, at(seconds=second), cpu=cpu) for second, cpu in loads.items()))

    found = (await under_test.store.query(span(vm_id, minutes=5)))[vm_id]

    assert [bucket.starts_at for bucket in found] == [at(0), at(1), at(4)]
    assert [bucket.samples for bucket in found] == [3, 2, 1]
    assert [bucket.average[CPU] for bucket in found] == [20.0, 85.0, 5.0]
    assert [bucket.peak[Metric.MEMORY_USAGE] for bucket in found] == [60.0, 180.0, 10.0]


async def test_only_what_is_asked_for_is_given(under_test: StoreUnderTest) -> None:
    vm_id, silent = await under_test.fleet.add(1), await under_test.fleet.add(2)
    await under_test.record(sample_of(vm_id, at(1)))
    names, peaks = (Metric.NETWORK_IN, Metric.DISK_USAGE), (Aggregation.PEAK,)

    found = await under_test.store.query(Query([vm_id, silent], at(0), at(5), 60, names, peaks))
    nothing = await under_test.store.query(Query([vm_id], at(0), at(0), 60))
    nobody = await under_test.store.query_together(Query([], at(0), at(5), 60))

    assert set(found) == {vm_id}
    assert found[vm_id][0].peak == {Metric.NETWORK_IN: 1000.0, Metric.DISK_USAGE: 30.0}
    assert found[vm_id][0].average == {}
    assert (nothing, list(nobody)) == ({}, [])


async def test_the_first_step_does_not_begin_before_the_span(under_test: StoreUnderTest) -> None:
    vm_id = await under_test.fleet.add(1)
    start = at(seconds=20)
    await under_test.record(sample_of(vm_id, at(0), cpu=90.0), sample_of(vm_id, start, cpu=10.0))

    found = (await under_test.store.query(span(vm_id, minutes=60, start=start)))[vm_id]

    assert [(bucket.starts_at, bucket.samples, bucket.average[CPU]) for bucket in found] == [(start, 1, 10.0)]


async def test_a_sample_that_comes_twice_counts_once(under_test: StoreUnderTest) -> None:
    vm_id = await under_test.fleet.add(1)
    twice = sample_of(vm_id, at(0), cpu=10.0)
    await under_test.record(twice, twice)

    await under_test.record(twice, sample_of(vm_id, at(seconds=1), cpu=30.0))

    (bucket,) = (await under_test.store.query(span(vm_id, minutes=1)))[vm_id]
    assert (bucket.samples, bucket.average[CPU]) == (2, 20.0)


async def test_several_machines_together_have_mean_usages_and_the_sum_of_their_throughput(
    under_test: StoreUnderTest,
) -> None:
    first, second = await under_test.fleet.add(1), await under_test.fleet.add(2)
    await under_test.record(
        # The first is sampled more often, and weighs no more for that.
        *(sample_of(first, at(seconds=second), cpu=20.0) for second in range(0, 50, 10)),
        sample_of(second, at(0), cpu=40.0),
        sample_of(second, at(2), cpu=50.0),
    )

    found = await under_test.store.query_together(span(first, second, minutes=5))

    assert [bucket.starts_at for bucket in found] == [at(0), at(2)]
    assert [bucket.samples for bucket in found] == [6, 1]
    assert [bucket.average[CPU] for bucket in found] == [30.0, 50.0]
    assert [bucket.average[Metric.NETWORK_IN] for bucket in found] == [2000.0, 1000.0]
    assert [bucket.peak[CPU] for bucket in found] == [40.0, 50.0]


async def test_the_latest_sample_is_given_per_machine(under_test: StoreUnderTest) -> None:
    first, second, silent = [await under_test.fleet.add(number) for number in (1, 2, 3)]
    await under_test.record(*(sample_of(first, at(minute), cpu=float(minute)) for minute in (1, 2, 3)))
    await under_test.record(sample_of(second, at(0), cpu=50.0))

    latest = await under_test.store.latest([first, second, silent])

    assert {vm_id: (sample.recorded_at, sample.cpu_usage) for vm_id, sample in latest.items()} == {
        first: (at(3), 3.0),
        second: (at(0), 50.0),
    }
    assert await under_test.store.latest([]) == {}


async def test_averages_and_peaks_outlive_the_samples(under_test: StoreUnderTest) -> None:
    vm_id = await under_test.fleet.add(1)
    await under_test.record(*(sample_of(vm_id, at(minute), cpu=90.0 if minute == 7 else 10.0) for minute in range(60)))
    fine, coarse = span(vm_id, minutes=60, step=300), span(vm_id, minutes=60, step=3600)
    before = [await under_test.store.query(query) for query in (fine, coarse)]
    await under_test.pass_time(hours=2)

    rolled = [await under_test.store.query(query) for query in (fine, coarse)]
    await under_test.pass_time(days=4)
    late = [await under_test.store.query(query) for query in (fine, coarse)]

    assert [len(found[vm_id]) for found in before] == [12, 1]
    assert before[1][vm_id][0].peak[CPU] == 90.0
    assert rolled == before
    assert late == before
    assert under_test.store.finest_step(START, now=under_test.clock.now()) <= 300


async def test_samples_that_come_late_correct_what_was_rolled_up(under_test: StoreUnderTest) -> None:
    vm_id = await under_test.fleet.add(1)
    await under_test.record(sample_of(vm_id, at(2), cpu=10.0), sample_of(vm_id, at(60), cpu=50.0))
    await under_test.pass_time(hours=3)
    query = span(vm_id, minutes=60, step=300)
    assert await under_test.averages(vm_id, query) == [(0, 10.0)]

    await under_test.record(sample_of(vm_id, at(3), cpu=30.0), sample_of(vm_id, at(40), cpu=5.0))
    await under_test.pass_time(minutes=5)

    assert await under_test.averages(vm_id, query) == [(0, 20.0), (40, 5.0)]
    hours = (await under_test.store.query(span(vm_id, minutes=120, step=3600)))[vm_id]
    assert [(bucket.samples, bucket.average[CPU], bucket.peak[CPU]) for bucket in hours] == [
        (3, 15.0, 30.0),
        (1, 50.0, 50.0),
    ]


async def test_a_span_that_lies_across_every_kind_of_row_counts_each_sample_once(under_test: StoreUnderTest) -> None:
    vm_id = await under_test.fleet.add(1)
    for minute in range(0, 300, 7):
        await under_test.store.record([sample_of(vm_id, at(minute, seconds=17), cpu=float(minute % 5))])
        under_test.clock.advance(timedelta(minutes=7))
        await under_test.store.maintain()
    under_test.flush()

    start = at(11, seconds=20)
    for step in (180, 300, 900, 3600, 7200):
        found = (await under_test.store.query(Query([vm_id], start, at(290), step)))[vm_id]
        expected: dict[int, list[float]] = {}
        for minute in range(0, 300, 7):
            when = at(minute, seconds=17)
            if start <= when < at(290):
                expected.setdefault(int(when.timestamp()) // step, []).append(float(minute % 5))
        assert [bucket.samples for bucket in found] == [len(loads) for loads in expected.values()]
        assert [round(bucket.average[CPU], 9) for bucket in found] == [
            round(sum(loads) / len(loads), 9) for loads in expected.values()
        ]
        assert [bucket.peak[CPU] for bucket in found] == [max(loads) for loads in expected.values()]


async def test_a_sample_of_the_far_past_or_future_is_not_kept(under_test: StoreUnderTest) -> None:
    vm_id = await under_test.fleet.add(1)
    too_old = START - under_test.oldest - timedelta(days=1)
    await under_test.record(sample_of(vm_id, too_old), sample_of(vm_id, at(minutes=61)), sample_of(vm_id, at(1)))

    latest = await under_test.store.latest([vm_id])
    months = Query([vm_id], at(days=-200), at(days=1), 86_400)

    assert latest[vm_id].recorded_at == at(1)
    assert sum(bucket.samples for bucket in (await under_test.store.query(months))[vm_id]) == 1


async def test_a_store_that_answers_is_well(under_test: StoreUnderTest) -> None:
    await under_test.store.check()
    await under_test.store.maintain()


@pytest.mark.parametrize("hours", [1, 24, 83, 84, 168])
@pytest.mark.parametrize("minutes", [5, 30, 3600])
@pytest.mark.parametrize("offset", [0, 1, 299])
def test_a_period_never_has_more_points_than_the_most(hours: int, minutes: int, offset: int) -> None:
    start = START + timedelta(seconds=offset)
    end = start + timedelta(hours=hours)

    step = bounded_step(start=start, end=end, step_seconds=60 * minutes)

    assert Query([], start, end + timedelta(microseconds=1), step).points <= MAX_POINTS
    assert step % (60 * minutes) == 0


def test_a_query_for_more_than_anybody_may_ask_is_refused() -> None:
    with pytest.raises(ValueError, match="too many"):
        Query([], START, START + timedelta(days=1), 60)
    with pytest.raises(ValueError, match="too many"):
        Query([UUID(int=1)] * 10_000, START, START + timedelta(hours=2), 60)
