"""Samples that wait for a store which is away: a bounded queue that gives up the oldest first."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from prometheus_client import Gauge

from zentry.compute.types import Sample
from zentry.monitoring.errors import MetricsUnavailable
from zentry.monitoring.store import DROPPED, MetricsStore

WAITING: Final = Gauge("zentry_monitoring_samples_waiting", "Samples of machines that wait for the store.")


class SampleBuffer:
    """Hands samples to the store in the order in which they came."""

    def __init__(self, store: MetricsStore, *, most: int) -> None:
        self._store = store
        self._most = most
        self._batches: deque[Sequence[Sample]] = deque()
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """How many samples wait."""
        return self._waiting

    def put(self, samples: Sequence[Sample]) -> None:
        """Keep a batch; where there is no room, the oldest are dropped and counted."""
        if not samples:
            return
        self._batches.append(samples)
        self._waiting += len(samples)
        while self._waiting > self._most and self._batches:
            self._drop()
        WAITING.set(self._waiting)

    async def flush(self) -> bool:
        """Hand over what waits; False when the store does not take it."""
        while self._batches:
            batch = self._batches[0]
            try:
                await self._store.record(batch)
            except MetricsUnavailable:
                return False
            # Meanwhile it may have been dropped for want of room.
            if self._batches and self._batches[0] is batch:
                self._batches.popleft()
                self._waiting -= len(batch)
                WAITING.set(self._waiting)
        return True

    def _drop(self) -> None:
        oldest = self._batches.popleft()
        self._waiting -= len(oldest)
        DROPPED.labels("queue_full").inc(len(oldest))
