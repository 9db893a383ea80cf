"""Samples and their roll-ups as rows of the platform's database.

A query takes each part of its span from the coarsest rows that divide its step: whole hours from
the roll-ups of an hour, whole five minutes at the ends from those of five minutes, the rest and what
is not rolled up yet from the samples. It is one statement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from zentry.compute.types import Sample
from zentry.monitoring.errors import MetricsUnavailable
from zentry.monitoring.partitions import Partitions
from zentry.monitoring.rollups import FIVE_MINUTES, GRACE, HOUR, TIERS, Rollups, floor_to
from zentry.monitoring.store import (
    MAX_POINTS,
    MAX_VALUES,
    Aggregation,
    Bucket,
    Metric,
    Query,
    acceptable,
)
from zentry.platform.clock import Clock
from zentry.platform.db import Database, Transaction
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
        async with self._database.read() as tx:
            parts = await self._parts(tx, query)
            rows = (await tx.execute(_per_machine(tx, query, parts))).mappings().all()
        found: dict[UUID, list[Bucket]] = {}
        for row in rows:
            found.setdefault(row["vm_id"], []).append(_bucket(query, row))
        return found

    async def query_together(self, query: Query) -> Sequence[Bucket]:
        """Return the steps of all the machines taken together, oldest first."""
        if not query.points or not query.vm_ids:
            return []
        async with self._database.read() as tx:
            parts = await self._parts(tx, query)
            rows = (await tx.execute(_together(tx, query, parts))).mappings().all()
        return [_bucket(query, row) for row in rows]

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
                await tx.execute(sa.select(metric_rollups.c.name).limit(1))
        except (sa.exc.DBAPIError, TimeoutError, OSError) as error:
            raise MetricsUnavailable from error

    async def close(self) -> None:
        """Do nothing: the database is its owner's."""

    async def _parts(self, tx: Transaction, query: Query) -> list[_Part]:
        rolled = {row.name: row.rolled_until for row in await tx.execute(sa.select(metric_rollups))}
        tiers = [
            _Tier(table, width, rolled[table.name])
            for table, width in reversed(TIERS)
            if table.name in rolled and query.step_seconds % width.total_seconds() == 0
        ]
        return list(_cut(query.start, query.end, tiers))


@dataclass(frozen=True, slots=True)
class _Tier:
    """Roll-ups of one width, and until when they are made."""

    table: sa.Table
    width: timedelta
    until: datetime


@dataclass(frozen=True, slots=True)
class _Part:
    """A stretch of the span, and the table that it is read from."""

    table: sa.Table
    start: datetime
    end: datetime


def _cut(start: datetime, end: datetime, tiers: Sequence[_Tier]) -> Iterator[_Part]:
    """Cut a span into what each table answers: the coarsest in the middle, finer ones beside it."""
    if start >= end:
        return
    if not tiers:
        yield _Part(vm_metrics, start, end)
        return
    tier, *finer = tiers
    first = floor_to(start + tier.width - timedelta(microseconds=1), tier.width)
    last = min(tier.until, floor_to(end, tier.width))
    if first >= last:
        yield from _cut(start, end, finer)
        return
    yield from _cut(start, first, finer)
    yield _Part(tier.table, first, last)
    yield from _cut(last, end, finer)


# Whole seconds since the epoch. SQLite keeps times as text in UTC, and would round a fraction up.
_EPOCH: Final = {
    "postgresql": "CAST(floor(extract(epoch FROM {0})) AS bigint)",
    "sqlite": "CAST(strftime('%s', substr({0}, 1, 19)) AS INTEGER)",
}


def _sums(tx: Transaction, query: Query, part: _Part) -> sa.Select[Any]:
    """Return samples, sums and maxima of a part, by machine and step."""
    table = part.table
    rolled = table is not vm_metrics
    time = table.c.starts_at if rolled else table.c.recorded_at
    # The step is a whole number of ours; as a literal the grouped expression stays one and the same.
    epoch = _EPOCH[tx.dialect].format(time.name)
    number = sa.literal_column(f"{epoch} / {query.step_seconds}", sa.BigInteger).label("number")
    columns: list[sa.ColumnElement[Any]] = [
        table.c.vm_id,
        number,
        (sa.func.sum(table.c.samples) if rolled else sa.func.count()).label("samples"),
    ]
    for name in query.names:
        if Aggregation.AVERAGE in query.aggregations:
            value = table.c[name] * table.c.samples if rolled else table.c[name]
            columns.append(sa.func.sum(value).label(f"sum_{name}"))
        if Aggregation.PEAK in query.aggregations:
            columns.append(sa.func.max(table.c[f"{name}_peak" if rolled else name]).label(f"peak_{name}"))
    return (
        sa.select(*columns)
        .where(table.c.vm_id.in_(query.vm_ids), time >= part.start, time < part.end)
        .group_by(table.c.vm_id, number)
    )


def _per_machine(tx: Transaction, query: Query, parts: Sequence[_Part]) -> sa.Select[Any]:
    """Return one row for each machine and step; the parts may meet inside of a step."""
    united = sa.union_all(*(_sums(tx, query, part) for part in parts)).subquery("parts")
    samples = sa.func.sum(united.c.samples)
    columns = [united.c.vm_id, united.c.number, samples.label("samples")]
    for name in query.names:
        if Aggregation.AVERAGE in query.aggregations:
            columns.append((sa.func.sum(united.c[f"sum_{name}"]) / samples).label(f"average_{name}"))
        if Aggregation.PEAK in query.aggregations:
            columns.append(sa.func.max(united.c[f"peak_{name}"]).label(f"peak_{name}"))
    return sa.select(*columns).group_by(united.c.vm_id, united.c.number).order_by(united.c.number).limit(MAX_VALUES)


def _together(tx: Transaction, query: Query, parts: Sequence[_Part]) -> sa.Select[Any]:
    """Return one row for each step: the mean of the machines' averages, or their sum, and the highest peak."""
    each = _per_machine(tx, query, parts).limit(None).order_by(None).subquery("machines")
    columns = [each.c.number, sa.func.sum(each.c.samples).label("samples")]
    for name in query.names:
        if Aggregation.AVERAGE in query.aggregations:
            unite = sa.func.sum if name.adds_up else sa.func.avg
            columns.append(unite(each.c[f"average_{name}"]).label(f"average_{name}"))
        if Aggregation.PEAK in query.aggregations:
            columns.append(sa.func.max(each.c[f"peak_{name}"]).label(f"peak_{name}"))
    return sa.select(*columns).group_by(each.c.number).order_by(each.c.number).limit(MAX_POINTS + 1)


def _bucket(query: Query, row: sa.RowMapping) -> Bucket:
    def values(kind: Aggregation) -> dict[Metric, float]:
        return {name: row[f"{kind}_{name}"] for name in query.names} if kind in query.aggregations else {}

    return Bucket(
        starts_at=query.starts_at(row["number"]),
        samples=int(row["samples"]),
        average=values(Aggregation.AVERAGE),
        peak=values(Aggregation.PEAK),
    )


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
