"""The values that a policy is judged by. None is a target without one: a gap, not a zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from zentry.monitoring.alerts.figures import figure_of
from zentry.monitoring.alerts.types import Condition, Policy, Source
from zentry.monitoring.store import Aggregation, Bucket, Metric, MetricsStore, Query
from zentry.platform.caller import Caller, Role
from zentry.platform.db import Database, Transaction
from zentry.schema.events import events
from zentry.schema.vms import VMStatus
from zentry.vms.labels import parse_selector
from zentry.vms.views import VMFilter, VMViews, ids_labelled

MOST_TARGETS: Final = 1000
_MINUTE: Final = 60.0
_MILLISECOND: Final = timedelta(milliseconds=1)

Readings = Mapping[UUID, float | None]


class ReadingsTaker:
    """Takes the values of policies, from the database or from the store of samples."""

    def __init__(self, database: Database, store: MetricsStore) -> None:
        self._database = database
        self._store = store

    async def take(self, policy: Policy) -> Readings:
        """Return the value of each target of a policy; no transaction is open meanwhile."""
        if policy.source is Source.METRIC:
            return await self._metrics(policy)
        async with self._database.read() as tx:
            if policy.source is Source.EVENT:
                return {policy.target: await _events(tx, policy)}
            return {policy.target: await figure_of(tx, policy)}

    async def _metrics(self, policy: Policy) -> Readings:
        async with self._database.read() as tx:
            targets = await _machines(tx, policy)
            now = tx.now
        recent = await self._window(policy, list(targets), end=now + _MILLISECOND)
        if policy.condition is Condition.ABSENCE:
            # A machine that has not run for a whole window has nothing to show yet.
            settled = {vm_id for vm_id, started in targets.items() if started is None or started <= now - policy.window}
            return {vm_id: _count(recent[vm_id]) if vm_id in settled else None for vm_id in targets}
        values = {vm_id: _value(policy, buckets) for vm_id, buckets in recent.items()}
        if policy.condition is Condition.THRESHOLD:
            return values
        before = await self._window(policy, list(targets), end=now + _MILLISECOND - policy.window)
        return {vm_id: _rate(policy, value, _value(policy, before[vm_id])) for vm_id, value in values.items()}

    async def _window(
        self, policy: Policy, vm_ids: Sequence[UUID], *, end: datetime
    ) -> Mapping[UUID, Sequence[Bucket]]:
        """Return the samples of a window: it touches two steps of its own width at most."""
        if not vm_ids:
            return {}
        query = Query(
            vm_ids,
            end - policy.window,
            end,
            policy.window_seconds,
            (Metric(policy.subject),),
            (policy.aggregation,),
        )
        found = await self._store.query(query)
        return {vm_id: found.get(vm_id, ()) for vm_id in vm_ids}


def _count(buckets: Sequence[Bucket]) -> float:
    return float(sum(bucket.samples for bucket in buckets))


def _value(policy: Policy, buckets: Sequence[Bucket]) -> float | None:
    if not buckets:
        return None
    metric = Metric(policy.subject)
    if policy.aggregation is Aggregation.PEAK:
        return max(bucket.peak[metric] for bucket in buckets)
    return sum(bucket.average[metric] * bucket.samples for bucket in buckets) / _count(buckets)


def _rate(policy: Policy, value: float | None, before: float | None) -> float | None:
    """Return how fast a value changes, per minute."""
    return None if value is None or before is None else (value - before) * _MINUTE / policy.window_seconds


async def _machines(tx: Transaction, policy: Policy) -> Mapping[UUID, datetime | None]:
    """Return the running machines that a policy is about, and since when they run."""
    views = VMViews(tx)
    owner = Caller(user_id=policy.user_id, session_id=policy.id, role=Role.USER)  # Of the own machines alone.
    if policy.vm_id is not None:
        vm = await views.find(policy.vm_id, caller=owner)
        found = [vm] if vm is not None and vm.status == VMStatus.RUNNING else []
    else:
        labels = parse_selector(policy.label_selector) if policy.label_selector else ()
        wanted = VMFilter(status=VMStatus.RUNNING, project_id=policy.project_id, labels=labels)
        found = list(await views.list(wanted, caller=owner, limit=MOST_TARGETS))
    return {vm.id: vm.last_started for vm in found}


async def _events(tx: Transaction, policy: Policy) -> float | None:
    """Return how many events there were in the window, or how many per minute."""
    since = tx.now - policy.window
    if policy.condition is Condition.ABSENCE and policy.created_at > since:
        return None
    query = sa.select(sa.func.count()).where(
        events.c.user_id == policy.user_id, events.c.created_at > since, events.c.kind == policy.subject
    )
    if policy.vm_id is not None:
        query = query.where(events.c.resource_id == policy.vm_id)
    if policy.project_id is not None:
        query = query.where(events.c.project_id == policy.project_id)
    if policy.label_selector is not None:
        query = query.where(events.c.resource_id.in_(ids_labelled(parse_selector(policy.label_selector))))
    count = float((await tx.execute(query, {"caller_id": policy.user_id})).scalar_one())
    return count * _MINUTE / policy.window_seconds if policy.condition is Condition.RATE else count
