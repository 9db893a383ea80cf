"""Where samples lie: a protocol, and its implementation in SQL.

The protocol is what a store of time series beside the database would have to offer, so reads are
averaged in the store and never in Python.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from zentry.compute.types import Sample
from zentry.platform.db import Transaction
from zentry.schema.monitoring import vm_metrics
from zentry.schema.vms import vms

MAX_POINTS: Final = 1000
"""The most points that one query returns."""


@dataclass(frozen=True, slots=True)
class Usage:
    """One set of figures. Usages in percent, network in bytes per second."""

    cpu_usage: float
    memory_usage: float
    disk_usage: float
    network_in: float
    network_out: float


NO_USAGE: Final = Usage(cpu_usage=0.0, memory_usage=0.0, disk_usage=0.0, network_in=0.0, network_out=0.0)


@dataclass(frozen=True, slots=True)
class Bucket:
    """The samples of one stretch of time as their average and their maximum."""

    starts_at: datetime
    samples: int
    average: Usage
    peak: Usage


class MetricsStore(Protocol):
    """Keeps samples and gives them back downsampled."""

    async def record(self, tx: Transaction, samples: Sequence[Sample]) -> None:
        """Keep samples; a second one of the same machine and instant is dropped."""
        ...

    async def query(
        self, tx: Transaction, vm_id: UUID, *, start: datetime, end: datetime, step_seconds: int
    ) -> Sequence[Bucket]:
        """Return the samples of [start, end) in buckets, oldest first.

        There are at most `MAX_POINTS` of them: a step that would give more is widened.
        """
        ...

    async def latest(self, tx: Transaction, vm_ids: Sequence[UUID]) -> Mapping[UUID, Sample]:
        """Return the newest sample of each machine that has one."""
        ...

    async def prune(self, tx: Transaction, *, before: datetime, limit: int) -> int:
        """Forget at most `limit` of the samples before an instant, and tell how many."""
        ...


def bounded_step(*, start: datetime, end: datetime, step_seconds: int) -> int:
    """Return the step, widened to whole multiples of itself where it would give too many points.

    Buckets lie on a grid from the epoch, so a span touches one more than it holds.
    """
    least = math.ceil((end - start).total_seconds() / (MAX_POINTS - 1))
    return step_seconds * max(1, math.ceil(least / step_seconds))


_USAGES: Final = ("cpu_usage", "memory_usage", "disk_usage", "network_in", "network_out")


class SQLMetricsStore:
    """Keeps samples in the table `vm_metrics`."""

    async def record(self, tx: Transaction, samples: Sequence[Sample]) -> None:
        """Keep samples; a second one of the same machine and instant is dropped."""
        if samples:
            await tx.execute(_INSERT[tx.dialect], [_values(tx, sample) for sample in samples])

    async def query(
        self, tx: Transaction, vm_id: UUID, *, start: datetime, end: datetime, step_seconds: int
    ) -> Sequence[Bucket]:
        """Return the samples of [start, end) in buckets of one width, oldest first."""
        step = bounded_step(start=start, end=end, step_seconds=step_seconds)
        # The step is a whole number of ours; as a literal the grouped expression stays one and the same.
        number = sa.literal_column(f"{_EPOCH[tx.dialect]} / {step}", sa.BigInteger).label("number")
        columns = [vm_metrics.c[name] for name in _USAGES]
        rows = await tx.execute(
            sa.select(
                number,
                sa.func.count().label("samples"),
                *(sa.func.avg(column).label(f"average_{column.name}") for column in columns),
                *(sa.func.max(column).label(f"peak_{column.name}") for column in columns),
            )
            .where(vm_metrics.c.vm_id == vm_id, vm_metrics.c.recorded_at >= start, vm_metrics.c.recorded_at < end)
            .group_by(number)
            .order_by(number)
            .limit(MAX_POINTS)
        )
        return [
            Bucket(
                # The first bucket of the grid may begin before the span that was asked for.
                starts_at=max(start, datetime.fromtimestamp(row.number * step, UTC)),
                samples=row.samples,
                average=_usage(row, "average_"),
                peak=_usage(row, "peak_"),
            )
            for row in rows
        ]

    async def latest(self, tx: Transaction, vm_ids: Sequence[UUID]) -> Mapping[UUID, Sample]:
        """Return the newest sample of each machine that has one: one index look-up per machine."""
        if not vm_ids:
            return {}
        others = vm_metrics.alias("others")
        newest = sa.select(sa.func.max(others.c.recorded_at)).where(others.c.vm_id == vms.c.id).scalar_subquery()
        rows = await tx.execute(
            sa.select(vm_metrics)
            .join_from(vms, vm_metrics, (vm_metrics.c.vm_id == vms.c.id) & (vm_metrics.c.recorded_at == newest))
            .where(vms.c.id.in_(vm_ids))
        )
        return {
            row.vm_id: Sample(
                vm_id=row.vm_id,
                recorded_at=row.recorded_at,
                cpu_usage=row.cpu_usage,
                memory_usage=row.memory_usage,
                disk_usage=row.disk_usage,
                network_in=row.network_in,
                network_out=row.network_out,
            )
            for row in rows
        }

    async def prune(self, tx: Transaction, *, before: datetime, limit: int) -> int:
        """Forget at most `limit` of the samples before an instant, the oldest first."""
        key = sa.tuple_(vm_metrics.c.vm_id, vm_metrics.c.recorded_at)
        oldest = (
            sa.select(vm_metrics.c.vm_id, vm_metrics.c.recorded_at)
            .where(vm_metrics.c.recorded_at < before)
            .order_by(vm_metrics.c.recorded_at)
            .limit(limit)
        )
        return (await tx.execute(sa.delete(vm_metrics).where(key.in_(oldest)))).rowcount


_INSERT: Final = {
    "postgresql": postgresql.insert(vm_metrics).on_conflict_do_nothing(),
    "sqlite": sqlite.insert(vm_metrics).on_conflict_do_nothing(),
}
# Whole seconds since the epoch. SQLite keeps times as text in UTC, and would round a fraction up.
_EPOCH: Final = {
    "postgresql": "CAST(floor(extract(epoch FROM recorded_at)) AS bigint)",
    "sqlite": "CAST(strftime('%s', substr(recorded_at, 1, 19)) AS INTEGER)",
}


def _values(tx: Transaction, sample: Sample) -> dict[str, Any]:
    return {
        "id": tx.new_id(),
        "vm_id": sample.vm_id,
        "recorded_at": sample.recorded_at,
        "cpu_usage": sample.cpu_usage,
        "memory_usage": sample.memory_usage,
        "disk_usage": sample.disk_usage,
        "network_in": sample.network_in,
        "network_out": sample.network_out,
    }


def _usage(row: sa.Row[Any], prefix: str) -> Usage:
    return Usage(**{name: getattr(row, prefix + name) for name in _USAGES})
