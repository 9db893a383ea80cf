"""Samples in and out of both stores: ingest against COPY into a bare table, and 24 hours of one machine in 200 points.

Both sides of the ingest write the same rows, of seven values each, to one PostgreSQL in the same run. For the reads the
store holds so many values in all, spread over machines of 24 hours at 15 seconds; the growth is from the first of
the sizes to the last. Rows lie in the order in which samples come, all machines of an instant together, so those of one
machine are far apart. Each query asks for another machine. Beside the 200 points of samples stands what a chart of a
day asks for by default, the averages of five minutes. A hundred million values take some 4 GB in the directory for
temporary files and a few minutes; everything is removed afterwards.

    python -m benchmarks.metrics_store [ROWS] [ROUNDS] [VALUES …]
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import sys
import time
from collections.abc import Sequence
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg
import uvloop
from pydantic import SecretStr

from benchmarks.harness import Figure, directory, postgres, settings_for, show
from benchmarks.metrics_fill import SAMPLES_A_DAY, MachineFill, SQLFill, VictoriaFill, machine_id, sample
from tests.support.victoria import start_victoria
from zentry.compute.types import Sample
from zentry.monitoring.sql_store import SQLMetricsStore
from zentry.monitoring.store import MetricsStore, Query
from zentry.monitoring.victoria import VictoriaMetricsStore
from zentry.platform.clock import ManualClock
from zentry.platform.settings import Settings
from zentry.wiring import Platform, open_platform

_NOON: Final = datetime(2026, 3, 2, 12, tzinfo=UTC)
_BATCH: Final = 5000
_STEP: Final = 432
_CHART_STEP: Final = 300
_METRICS: Final = 7
_WARM_UP: Final = 5
_BUFFERS: Final = "1GB"
"""Memory for each of the two servers: less than operators give them, which is a quarter of it all and more."""
_BARE: Final = (
    "CREATE TABLE bare (id uuid NOT NULL, vm_id uuid, recorded_at timestamptz, a float8, b float8, c float8, d float8, "
    "e float8, f float8, g float8, PRIMARY KEY (vm_id, recorded_at))"
)
_COLUMNS: Final = ("vm_id", "recorded_at", "a", "b", "c", "d", "e", "f", "g")


def main(rows: int = 200_000, rounds: int = 5, *sizes: int) -> None:
    with directory() as place, postgres(shared_buffers=_BUFFERS) as url:
        settings = settings_for(place / "data", database={"url": url, "slow_query_seconds": 60})
        clock = ManualClock(_NOON - timedelta(days=1))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # As the server runs.
            runner.run(_measure(settings, clock, rows=rows, rounds=rounds, sizes=sizes or (1_000_000, 10_000_000)))


async def _measure(settings: Settings, clock: ManualClock, *, rows: int, rounds: int, sizes: Sequence[int]) -> None:
    async with open_platform(settings, clock=clock) as platform:
        await platform.migrations.upgrade()
        store = SQLMetricsStore(platform.database, settings=settings.monitoring, clock=clock)
        await store.maintain()  # Makes the partitions of yesterday and today.
        clock.advance(timedelta(days=1))
        copied, ours = await _ingest(platform, store, rows=rows, rounds=rounds)
        ratios = [one / other for one, other in zip(ours, copied, strict=True)]
        show(
            f"Ingest of {rows:,} rows of {_METRICS} values, in batches of {_BATCH}",
            [
                Figure("COPY into a bare table with its primary key", copied, "rows/s", digits=0),
                Figure("SQLMetricsStore.record on PostgreSQL", ours, "rows/s", digits=0),
                Figure("ours against COPY", ratios, "×", goal="at least 0.7"),
            ],
        )
        server = start_victoria(memory=_BUFFERS)
        try:
            monitoring = settings.monitoring.model_copy(update={"victoria_url": SecretStr(server.url)})
            victoria = VictoriaMetricsStore(settings=monitoring, clock=clock)
            start = _NOON - timedelta(days=1)
            stores: Sequence[tuple[str, MetricsStore, MachineFill, float]] = (
                ("SQL", store, SQLFill(platform.database, start), 12),
                ("VictoriaMetrics", victoria, VictoriaFill(server, victoria, start), 3),
            )
            for name, one, fill, goal in stores:
                await _grow(name, one, fill, goal_ms=goal, queries=rounds * 10, sizes=sizes)
            await victoria.close()
        finally:
            server.stop()


async def _ingest(
    platform: Platform, store: MetricsStore, *, rows: int, rounds: int
) -> tuple[list[float], list[float]]:
    raw = await asyncpg.connect(**platform.database.connection_arguments())
    copied, ours = [], []
    for number in range(rounds):
        batches = [_instant(_NOON - timedelta(minutes=50, seconds=-15 * one), number) for one in range(rows // _BATCH)]
        await raw.execute("DROP TABLE IF EXISTS bare")
        await raw.execute(_BARE)
        rows_of = [[(sample.vm_id, *astuple(sample)) for sample in batch] for batch in batches]
        started = time.perf_counter()
        for records in rows_of:
            await raw.copy_records_to_table("bare", records=records, columns=("id", *_COLUMNS))
        copied.append(rows / (time.perf_counter() - started))
        started = time.perf_counter()
        for batch in batches:
            await store.record(batch)
        ours.append(rows / (time.perf_counter() - started))
    await raw.execute("DROP TABLE bare")
    await raw.close()
    return copied, ours


def _instant(at: datetime, fleet: int) -> list[Sample]:
    """Return one sample of each of many machines at an instant."""
    return [sample(UUID(int=(fleet + 1) << 64 | number), at, number) for number in range(_BATCH)]


async def _grow(
    name: str, store: MetricsStore, fill: MachineFill, *, goal_ms: float, queries: int, sizes: Sequence[int]
) -> None:
    figures: dict[int, list[Figure]] = {_STEP: [], _CHART_STEP: []}
    machines = 0
    for size in sizes:
        wanted = -(-size // (SAMPLES_A_DAY * _METRICS))
        started = time.perf_counter()
        await fill.add(machines, wanted)
        machines = wanted
        print(f"{name}: {size:,} values of {machines:,} machines are there, in {time.perf_counter() - started:.0f} s")
        gc.collect()
        gc.freeze()  # As the server does after its start.
        gc.set_threshold(50_000, 20, 100)
        for step, goal in ((_STEP, f"≤ {goal_ms:g} ms"), (_CHART_STEP, "")):
            times = await _timed(store, machines=machines, queries=queries, step=step)
            points = 86_400 // step
            figures[step].append(Figure(f"{points} points, {size:,} values in the store", times, "ms", goal=goal))
    for of_step in figures.values():
        growth = of_step[-1].median / of_step[0].median
        of_step.append(Figure("growth of the medians, first to last", [growth], "×", goal="≤ 1.5"))
    show(f"{name}: 24 h of one machine at 15 s, seven metrics, average and peak", [*itertools.chain(*figures.values())])


async def _timed(store: MetricsStore, *, machines: int, queries: int, step: int) -> list[float]:
    took = []
    for number in range(-_WARM_UP, queries):
        query = Query([machine_id(number * 97 % machines)], _NOON - timedelta(days=1), _NOON, step)
        started = time.perf_counter()
        (steps,) = (await store.query(query)).values()
        if number >= 0:
            took.append(1000 * (time.perf_counter() - started))
        assert sum(one.samples for one in steps) == SAMPLES_A_DAY
    return took


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
