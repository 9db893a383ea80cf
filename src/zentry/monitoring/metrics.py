"""What machines have measured, read from the store. Nobody calls this with a transaction open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from zentry.compute.types import Sample
from zentry.monitoring.errors import MetricsUnavailable
from zentry.monitoring.store import MetricsStore, Query, bounded_step
from zentry.monitoring.types import History
from zentry.monitoring.usage import average_over, peak_over
from zentry.vms.views import VMView

_log = structlog.get_logger(__name__)


class MetricsService:
    """Records samples and gives them back."""

    def __init__(self, store: MetricsStore) -> None:
        self._store = store

    async def record_vm_metrics(self, samples: Sequence[Sample]) -> None:
        """Keep samples of machines; repeats are dropped."""
        await self._store.record(samples)

    async def latest(self, vm_ids: Sequence[UUID]) -> Mapping[UUID, Sample]:
        """Return the newest sample of each machine that has one; without the store, none."""
        try:
            return await self._store.latest(vm_ids)
        except MetricsUnavailable:
            _log.warning("monitoring.store_away", store=self._store.name)
            return {}

    async def get_vm_metrics(self, vm: VMView, *, hours: int, interval: timedelta, now: datetime) -> History:
        """Return the samples of a machine over the last hours."""
        start = now - timedelta(hours=hours)
        step = bounded_step(start=start, end=now, step_seconds=int(interval.total_seconds()))
        # A sample of this very instant belongs to the period.
        found = await self._store.query(Query([vm.id], start, now + timedelta(microseconds=1), step))
        buckets = found.get(vm.id, ())
        return History(
            vm=vm,
            start=start,
            end=now,
            hours=hours,
            interval=timedelta(seconds=step),
            buckets=buckets,
            averages=average_over(buckets),
            peaks=peak_over(buckets),
        )
