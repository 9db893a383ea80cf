"""Measurements of a machine, a project or an account over any period, beside those of the period before."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from zentry.compute.types import Sample
from zentry.monitoring.store import BOTH, Aggregation, Bucket, Metric, MetricsStore, Query, bounded_step
from zentry.monitoring.usage import Usage, usage_of
from zentry.platform.caller import Caller
from zentry.platform.db import Transaction
from zentry.platform.errors import NotFound
from zentry.projects.access import reach_of, seeing, seen_by
from zentry.projects.errors import ProjectNotFound
from zentry.schema.projects import projects
from zentry.schema.vms import VMStatus, vms

MAX_MACHINES: Final = 1000
MAX_SPAN: Final = timedelta(days=1830)
_POINTS_WANTED: Final = 200
_FINE_FOR_ONE: Final = timedelta(days=2)
_FINE_FOR_MANY: Final = timedelta(hours=6)
_FIVE_MINUTES: Final = 300
_HOUR: Final = 3600


class Scope(StrEnum):
    """What the figures are of."""

    VM = "vm"
    PROJECT = "project"
    ACCOUNT = "account"


@dataclass(frozen=True, slots=True)
class Subject:
    """Machines whose figures are wanted together."""

    scope: Scope
    id: UUID
    vm_ids: Sequence[UUID]
    running: Sequence[UUID]
    now: datetime


@dataclass(frozen=True, slots=True)
class Wish:
    """Which figures are wanted, as far as the caller said."""

    names: Sequence[Metric]
    aggregation: Aggregation
    start: datetime | None = None
    end: datetime | None = None
    step_seconds: int | None = None
    compare: bool = False


@dataclass(frozen=True, slots=True)
class Series:
    """Every step of a period; None stands for a gap."""

    start: datetime
    end: datetime
    steps: Sequence[tuple[datetime, Bucket | None]]
    averages: Mapping[Metric, float]
    peaks: Mapping[Metric, float]


@dataclass(frozen=True, slots=True)
class Answer:
    """Figures of a period, and of the one before where that was wanted."""

    subject: Subject
    wish: Wish
    step_seconds: int
    series: Series
    previous: Series | None


class Subjects:
    """Finds the machines that a caller asks about. Terminated ones count while they lived."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def vm(self, vm_id: UUID | None, *, caller: Caller) -> Subject:
        """Return one machine that the caller sees."""
        found = await self._find(Scope.VM, vm_id, caller, vms.c.id == vm_id)
        if not found.vm_ids:
            raise NotFound("VM")
        return found

    async def project(self, project_id: UUID | None, *, caller: Caller) -> Subject:
        """Return the machines of a project that the caller sees."""
        seen = seen_by(reach_of(caller), owner=projects.c.user_id, project=projects.c.id)
        query = sa.select(projects.c.id).where(projects.c.id == project_id, projects.c.deleted_at.is_(None), seen)
        if (await self._tx.execute(query, seeing(caller))).first() is None:
            raise ProjectNotFound
        return await self._find(Scope.PROJECT, project_id, caller, vms.c.project_id == project_id)

    async def account(self, *, caller: Caller) -> Subject:
        """Return all machines that the caller sees."""
        return await self._find(Scope.ACCOUNT, caller.user_id, caller, sa.true())

    async def _find(self, scope: Scope, id_: UUID | None, caller: Caller, which: sa.ColumnElement[bool]) -> Subject:
        query = (
            sa.select(vms.c.id, vms.c.status)
            .where(seen_by(reach_of(caller), owner=vms.c.user_id, project=vms.c.project_id), which)
            .order_by(vms.c.created_at.desc(), vms.c.id.desc())
            .limit(MAX_MACHINES)
        )
        rows: list[Any] = list((await self._tx.execute(query, seeing(caller))).all())
        return Subject(
            scope=scope,
            id=id_ or caller.user_id,
            vm_ids=[row.id for row in rows],
            running=[row.id for row in rows if row.status == VMStatus.RUNNING],
            now=self._tx.now,
        )


class SeriesService:
    """Reads the store for subjects. Nobody calls it with a transaction open."""

    def __init__(self, store: MetricsStore) -> None:
        self._store = store

    async def read(self, subject: Subject, wish: Wish) -> Answer:
        """Return the figures of the period, by default of the last day in some two hundred steps."""
        start, end = _period(wish, now=subject.now)
        if start == end:
            nothing = Series(start, end, [], {}, {})
            return Answer(subject, wish, wish.step_seconds or 1, nothing, nothing if wish.compare else None)
        step = self._step(subject, wish, start, end)
        previous = None
        if wish.compare:
            previous = await self._series(subject, wish, start - (end - start), start, step)
        return Answer(subject, wish, step, await self._series(subject, wish, start, end, step), previous)

    def _step(self, subject: Subject, wish: Wish, start: datetime, end: datetime) -> int:
        """Return the width of a step: what was asked for, as far as it is kept and cheap enough to read."""
        span = end - start
        wanted = wish.step_seconds or _even(max(1, math.ceil(span.total_seconds() / _POINTS_WANTED)))
        oldest = start - span if wish.compare else start
        least = self._store.finest_step(oldest, now=subject.now)
        if span > (_FINE_FOR_ONE if len(subject.vm_ids) <= 1 else _FINE_FOR_MANY):
            least = max(least, _FIVE_MINUTES)
        return bounded_step(start=start, end=end, step_seconds=math.ceil(wanted / least) * least)

    async def _series(self, subject: Subject, wish: Wish, start: datetime, end: datetime, step: int) -> Series:
        query = Query(subject.vm_ids, start, end, step, wish.names, BOTH)
        buckets = await self._store.query_together(query)
        found = {bucket.starts_at: bucket for bucket in buckets}
        first = int(start.timestamp() // step)
        steps = [query.starts_at(first + number) for number in range(query.points)]
        samples = sum(bucket.samples for bucket in buckets)
        return Series(
            start=start,
            end=end,
            steps=[(at, found.get(at)) for at in steps],
            averages={
                name: sum(bucket.average[name] * bucket.samples for bucket in buckets) / samples
                for name in wish.names
                if samples
            },
            peaks={name: max(bucket.peak[name] for bucket in buckets) for name in wish.names if buckets},
        )


def _even(seconds: int) -> int:
    """Return about as many seconds, such that averages that are kept already make up a step where they can."""
    for width in (_HOUR, _FIVE_MINUTES):
        if 2 * seconds >= width:
            return round(seconds / width) * width
    return seconds


def _period(wish: Wish, *, now: datetime) -> tuple[datetime, datetime]:
    """Return what is answered of the period that was asked for: nothing of one that ends before it begins."""
    oldest, latest = now - 2 * MAX_SPAN, now + timedelta(days=1)
    # A sample of this very instant belongs to a period that ends now.
    end = max(oldest, min(wish.end or now + timedelta(milliseconds=1), latest))
    start = max(oldest, end - MAX_SPAN, wish.start or end - timedelta(days=1))
    return min(start, end), end


def current(subject: Subject, samples: Mapping[UUID, Sample]) -> Usage:
    """Return the load of machines now: the mean of their usages, and the sum of their throughput."""
    measured = [usage_of(samples[vm_id]) for vm_id in subject.running if vm_id in samples]
    if not measured:
        return Usage()

    def figure(metric: Metric) -> float:
        total: float = sum(getattr(usage, metric) for usage in measured)
        return total if metric.adds_up else total / len(measured)

    return Usage(**{metric.value: figure(metric) for metric in Metric})
