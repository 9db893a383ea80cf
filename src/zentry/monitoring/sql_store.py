"""Samples and their roll-ups as rows of the platform's database.

How they are read stands in `sql_series.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from zentry.compute.types import Sample
from zentry.monitoring.errors import MetricsUnavailable
from zentry.monitoring.partitions import Partitions
from zentry.monitoring.rollups import FIVE_MINUTES, GRACE, HOUR, Rollups, floor_to
from zentry.monitoring.sql_series import (
    Statement,
    bounds_of,
    bucket_of,
    has_tiers,
    parts_of,
    per_machine,
    shape_of,
    together,
)
from zentry.monitoring.store import Bucket, Metric, Query, acceptable
from zentry.platform.clock import Clock
from zentry.platform.db import Database
from zentry.platform.settings import MonitoringSettings
from zentry.schema.monitoring import (
    metric_late_windows,
    metric_rollups,
    vm_metrics,
    vm_metrics_1h,
    vm_metrics_5m,
)
from zentry.schema.vms import vms

_PARTITIONS_EVERY_SECONDS: Final = 3600.0
_PRUNED_AT_ONCE: Final = 5000
_COLUMNS: Final = ("id", "vm_id", "recorded_at", *Metric)
_values: Final[Callable[[Sample], tuple[Any, ...]]] = attrgetter(*_COLUMNS[1:])


_ANY_ROLLUP: Final = sa.select(metric_rollups.c.name).limit(1)


class SQLMetricsStore:
    """Keeps samples in `vm_metrics`, and averages with peaks in `vm_metrics_5m` and `vm_metrics_1h`."""

    name = "sql"

    def __init__(self, database: Database, *, settings: MonitoringSettings, clock: Clock) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._rollups = Rollups(database, raw_for=self._raw_for)
        self._partitions = Partitions(database)
        self._partitioned_at: float | None = None

    @property
    def _raw_for(self) -> timedelta:
        return timedelta(days=self._settings.retention_days)

    async def record(self, samples: Sequence[Sample]) -> None:
        """Keep samples; a second one of the same machine and instant is dropped."""
        async with self._database.work() as tx:
            kept = acceptable(samples, now=tx.now, oldest=tx.now - self._raw_for)
            if not kept:
                return
            batch_id = tx.new_id()
            if tx.dialect == "sqlite":
                await tx.execute(_INSERT_ROWS, [_row(batch_id, sample) for sample in kept])
            # Repeats are rare, and COPY is several times as quick as the statement that passes over them.
            elif not await tx.copy_unless_there(vm_metrics, _COLUMNS, [(batch_id, *_values(one)) for one in kept]):
                await tx.execute(_INSERT_ARRAYS, _arrays(batch_id, kept))
            late = {floor_to(instant, FIVE_MINUTES) for instant in {sample.recorded_at for sample in kept}}
            closed = [window for window in sorted(late) if window + FIVE_MINUTES < tx.now - GRACE]
            if closed:
                rows = [{"id": tx.new_id(), "starts_at": window} for window in closed]
                await tx.execute(sa.insert(metric_late_windows), rows)

    async def query(self, query: Query) -> Mapping[UUID, Sequence[Bucket]]:
        """Return the steps of each machine that has samples, oldest first."""
        if not query.points or not query.vm_ids:
            return {}
        found: dict[UUID, list[Bucket]] = {}
        for row in await self._read(query, per_machine):
            found.setdefault(row[0], []).append(bucket_of(query, row[1:]))
        return found

    async def query_together(self, query: Query) -> Sequence[Bucket]:
        """Return the steps of all the machines taken together, oldest first."""
        if not query.points or not query.vm_ids:
            return []
        return [bucket_of(query, row) for row in await self._read(query, together)]

    async def latest(self, vm_ids: Sequence[UUID]) -> Mapping[UUID, Sample]:
        """Return the newest sample of each machine that has one: one index look-up per machine."""
        if not vm_ids:
            return {}
        async with self._database.read() as tx:
            rows = (await tx.execute(_LATEST, {"vm_ids": list(vm_ids)})).mappings().all()
        return {
            row["vm_id"]: Sample(
                vm_id=row["vm_id"], recorded_at=row["recorded_at"], **{name.value: row[name] for name in Metric}
            )
            for row in rows
        }

    def finest_step(self, start: datetime, *, now: datetime) -> int:
        """Return the seconds of the finest steps that are kept as far back as `start`."""
        if start >= now - self._raw_for:
            return 1
        if start >= now - timedelta(days=self._settings.retention_5m_days):
            return int(FIVE_MINUTES.total_seconds())
        return int(HOUR.total_seconds())

    async def maintain(self) -> None:
        """Roll up what is due, make partitions ahead, and forget what is too old."""
        await self._rollups.roll()
        async with self._database.read() as tx:
            now = tx.now
        keep = {
            vm_metrics.name: now - self._raw_for,
            vm_metrics_5m.name: now - timedelta(days=self._settings.retention_5m_days),
            vm_metrics_1h.name: now - timedelta(days=self._settings.retention_1h_days),
        }
        monotonic = self._clock.monotonic()
        if self._partitioned_at is None or monotonic - self._partitioned_at >= _PARTITIONS_EVERY_SECONDS:
            self._partitioned_at = monotonic
            await self._partitions.arrange(now=now, keep=keep)
        for name, forget in _FORGET:
            async with self._database.work() as tx:
                await tx.execute(forget, {"before": keep[name], "most": _PRUNED_AT_ONCE})

    async def prune(self, *, before: datetime, limit: int) -> int:
        """Forget at most `limit` of the samples before an instant, the oldest first; their averages stay."""
        async with self._database.work() as tx:
            return (await tx.execute(_FORGET_SAMPLES, {"before": before, "most": limit})).rowcount

    async def check(self) -> None:
        """Raise `MetricsUnavailable` unless the database answers."""
        try:
            async with self._database.read() as tx:
                await tx.execute(_ANY_ROLLUP)
        except (sa.exc.DBAPIError, TimeoutError, OSError) as error:
            raise MetricsUnavailable from error

    async def close(self) -> None:
        """Do nothing: the database is its owner's."""

    async def _read(self, query: Query, build: Statement) -> Sequence[sa.Row[Any]]:
        async with self._database.read() as tx:
            rolled: dict[str, datetime] = {}
            if has_tiers(query):
                rolled = {row.name: row.rolled_until for row in await tx.execute(sa.select(metric_rollups))}
            parts = parts_of(query, rolled)
            return (await tx.execute(build(shape_of(query, parts, tx.dialect)), bounds_of(query, parts))).all()


def _oldest(vm_id: sa.Column[Any], time: sa.Column[Any]) -> sa.ColumnElement[bool]:
    oldest = sa.select(vm_id, time).where(time < sa.bindparam("before")).order_by(time)
    return sa.tuple_(vm_id, time).in_(oldest.limit(sa.bindparam("most")))


_FORGET_SAMPLES: Final = sa.delete(vm_metrics).where(_oldest(vm_metrics.c.vm_id, vm_metrics.c.recorded_at))
_FORGET: Final = (
    (vm_metrics.name, _FORGET_SAMPLES),
    (vm_metrics_5m.name, sa.delete(vm_metrics_5m).where(_oldest(vm_metrics_5m.c.vm_id, vm_metrics_5m.c.starts_at))),
    (vm_metrics_1h.name, sa.delete(vm_metrics_1h).where(_oldest(vm_metrics_1h.c.vm_id, vm_metrics_1h.c.starts_at))),
)
_INSERT_ROWS: Final = sqlite.insert(vm_metrics).on_conflict_do_nothing()
# One array for each column: the statement and its parameters stay few, however many samples there are.
_GIVEN: Final = sa.func.unnest(
    *(sa.bindparam(name, type_=postgresql.ARRAY(vm_metrics.c[name].type)) for name in _COLUMNS)
).table_valued(*(sa.column(name, vm_metrics.c[name].type) for name in _COLUMNS), name="given")
_INSERT_ARRAYS: Final = (
    postgresql.insert(vm_metrics).from_select(_COLUMNS, sa.select(_GIVEN.render_derived())).on_conflict_do_nothing()
)


def _arrays(batch_id: UUID, samples: Sequence[Sample]) -> dict[str, list[Any]]:
    arrays: dict[str, list[Any]] = {name: [getattr(sample, name) for sample in samples] for name in _COLUMNS[1:]}
    return {"id": [batch_id] * len(samples), **arrays}


def _row(batch_id: UUID, sample: Sample) -> dict[str, Any]:
    return dict(zip(_COLUMNS, (batch_id, *_values(sample)), strict=True))


def _newest() -> sa.Select[Any]:
    others = vm_metrics.alias("others")
    newest = sa.select(sa.func.max(others.c.recorded_at)).where(others.c.vm_id == vms.c.id).scalar_subquery()
    return (
        sa.select(vm_metrics)
        .join_from(vms, vm_metrics, (vm_metrics.c.vm_id == vms.c.id) & (vm_metrics.c.recorded_at == newest))
        .where(vms.c.id.in_(sa.bindparam("vm_ids", expanding=True)))
    )


_LATEST: Final = _newest()
