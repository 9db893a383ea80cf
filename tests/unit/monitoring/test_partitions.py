from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from tests.unit.monitoring.fleet import Fleet, sample_of
from zentry.monitoring.partitions import Partitions
from zentry.monitoring.sql_store import SQLMetricsStore
from zentry.monitoring.store import Query
from zentry.platform.clock import ManualClock
from zentry.platform.db import Database
from zentry.platform.settings import MonitoringSettings

START = datetime(2026, 1, 15, 10, 0, tzinfo=UTC)
SETTINGS = MonitoringSettings(retention_days=3, retention_5m_days=3)

pytestmark = pytest.mark.parametrize("dialect", ["postgresql"])


async def days_of(database: Database) -> list[str]:
    return sorted(partition.name[-8:] for partition in await Partitions(database).list("vm_metrics"))


async def count(database: Database, table: str) -> int:
    async with database.read() as tx:
        return int((await tx.execute(sa.select(sa.func.count()).select_from(sa.table(table)))).scalar_one())


async def test_days_are_made_ahead_and_dropped_once_all_of_their_samples_are_too_old(
    database: Database, clock: ManualClock, fleet: Fleet
) -> None:
    store, vm_id = SQLMetricsStore(database, settings=SETTINGS, clock=clock), await fleet.add(1)
    await store.maintain()
    first = await days_of(database)
    await store.record([sample_of(vm_id, clock.now())])

    for _ in range(4):
        clock.advance(timedelta(days=1))
        await store.maintain()
    kept = await days_of(database)
    clock.advance(timedelta(days=1))
    await store.maintain()

    assert first == ["20260115", "20260116", "20260117", "20260118", "_default"]
    assert kept[0] == "20260116"  # Of the 15th nothing is younger than three days.
    assert (await days_of(database))[0] == "20260117"
    assert await store.latest([vm_id]) == {}


async def test_no_sample_is_lost_at_midnight_though_nobody_has_made_the_day(
    database: Database, clock: ManualClock, fleet: Fleet
) -> None:
    store, vm_id = SQLMetricsStore(database, settings=SETTINGS, clock=clock), await fleet.add(1)
    await store.maintain()
    clock.advance(timedelta(days=4, hours=13, minutes=59, seconds=30))
    for _ in range(4):
        clock.advance(timedelta(seconds=15))
        await store.record([sample_of(vm_id, clock.now())])
    in_default = await count(database, "vm_metrics_default")

    await store.maintain()

    midnight = datetime(2026, 1, 20, tzinfo=UTC)
    query = Query([vm_id], midnight - timedelta(minutes=1), midnight + timedelta(minutes=1), 15)
    assert [bucket.starts_at for bucket in (await store.query(query))[vm_id]] == [
        midnight + timedelta(seconds=15 * number) for number in (-1, 0, 1, 2)
    ]
    assert in_default == 4
    assert await count(database, "vm_metrics_20260120") == 3
    # Its own day is over, so nobody makes it any more: the default keeps what is left until it is too old.
    assert await count(database, "vm_metrics_default") == 1


async def test_two_who_arrange_at_once_arrange_once(database: Database, clock: ManualClock) -> None:
    first, second = (SQLMetricsStore(database, settings=SETTINGS, clock=clock) for _ in range(2))

    await first.maintain()
    await second.maintain()

    assert len(await days_of(database)) == 5
