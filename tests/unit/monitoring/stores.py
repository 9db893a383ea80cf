"""The stores that the conformance suite runs against, each fresh and empty."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from tests.unit.monitoring.fleet import Fleet
from zentry.compute.types import Sample
from zentry.monitoring.store import MetricsStore, Query
from zentry.platform.clock import ManualClock


@dataclass(frozen=True, slots=True)
class StoreUnderTest:
    """A store, the clock that it goes by, and what it takes to see what was written."""

    store: MetricsStore
    clock: ManualClock
    fleet: Fleet
    flush: Callable[[], None]
    oldest: timedelta
    """How far back it keeps samples."""

    async def record(self, *samples: Sample) -> None:
        await self.store.record(samples)
        self.flush()

    async def pass_time(self, **by: float) -> None:
        """Let time pass, and the store do what is due."""
        self.clock.advance(timedelta(**by))
        for _ in range(10):
            await self.store.maintain()

    async def averages(self, vm_id: UUID, query: Query) -> list[tuple[float, float]]:
        """Return minutes since the query's start, and the average CPU, of each step."""
        found = await self.store.query(query)
        return [
            ((bucket.starts_at - query.start).total_seconds() / 60, bucket.average["cpu_usage"])  # type: ignore[index]  # a StrEnum is its text
            for bucket in found.get(vm_id, ())
        ]
