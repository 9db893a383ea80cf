"""Collects samples of running machines on a timer, keeps the store bounded, and records the platform's health.

Several workers share the machines page by page. A worker waits for the store before it takes another
page, and what the store does not take is kept in a bounded queue for a while. A tick that fails leaves
a gap and nothing else; the next one is the retry.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from random import Random
from typing import Final
from uuid import UUID

import structlog
from prometheus_client import Counter

from zentry.compute.driver import ComputeDriver, DriverError
from zentry.compute.types import Sample
from zentry.monitoring.buffer import SampleBuffer
from zentry.monitoring.probe import Probe, RecentRequests
from zentry.monitoring.repository import MonitoringRepository
from zentry.monitoring.rounds import SamplingRounds
from zentry.monitoring.service import MonitoringService
from zentry.monitoring.store import MetricsStore
from zentry.platform.clock import Clock
from zentry.platform.db import Database
from zentry.platform.settings import Settings
from zentry.platform.tasks import Stop

_log = structlog.get_logger(__name__)

SAMPLES: Final = Counter("zentry_monitoring_samples_total", "Samples of machines that were collected.")
FAILURES: Final = Counter("zentry_monitoring_failures_total", "Ticks of the collector that ended early.")

_FIRST_SECONDS: Final = 1.0
_HEALTH_EVERY: Final = timedelta(minutes=5)
_PRUNE_BATCH: Final = 5000
_PRUNE_ROUNDS: Final = 50


class Collector:
    """Measures every running machine once per period."""

    def __init__(
        self,
        *,
        database: Database,
        driver: ComputeDriver,
        store: MetricsStore,
        settings: Settings,
        clock: Clock,
        random: Random,
        requests: RecentRequests | None = None,
    ) -> None:
        self._database = database
        self._driver = driver
        self._store = store
        self._settings = settings
        self._clock = clock
        self._random = random
        self._buffer = SampleBuffer(store, most=settings.monitoring.sample_queue)
        self._probe = Probe(driver, store, settings.data_dir, requests or RecentRequests())

    async def run(self, stop: Stop) -> None:
        """Tick until told to stop, for the first time soon after the start."""
        await stop.pause(self._clock.sleep(min(_FIRST_SECONDS, self._settings.monitoring.sample_seconds)))
        while not stop.is_set():
            try:
                await self.tick()
            except Exception:  # noqa: BLE001 - a process edge: the next tick is the retry
                FAILURES.inc()
                _log.exception("monitoring.tick_failed")
            # Workers that started together do not ask the driver together.
            pause = self._settings.monitoring.sample_seconds * self._random.uniform(0.9, 1.1)
            await stop.pause(self._clock.sleep(pause))

    async def tick(self) -> int:
        """Sample what is due, prune what is old, record health; return how many samples were taken."""
        count = await self._sample_all()
        await self._store.maintain()
        await self._prune()
        await self._record_health()
        return count

    async def _sample_all(self) -> int:
        """Take page after page of the round; no further one while the store does not keep up."""
        taken = 0
        while await self._buffer.flush() or self._buffer.waiting < self._settings.monitoring.sample_queue:
            vm_ids = await self._next_page()
            if not vm_ids:
                break
            samples = await self._measure(vm_ids)
            if samples is None:
                break
            SAMPLES.inc(len(samples))
            taken += len(samples)
            self._buffer.put(samples)
            if len(vm_ids) < self._settings.monitoring.sample_batch:
                break
        await self._buffer.flush()
        return taken

    async def _next_page(self) -> Sequence[UUID]:
        monitoring = self._settings.monitoring
        async with self._database.work() as tx:
            rounds = SamplingRounds(tx, self._driver.name)
            return await rounds.next_page(
                period=timedelta(seconds=monitoring.sample_seconds), limit=monitoring.sample_batch
            )

    async def _measure(self, vm_ids: Sequence[UUID]) -> Sequence[Sample] | None:
        """Ask the driver with no transaction open; None when it can't be asked."""
        try:
            async with asyncio.timeout(self._settings.monitoring.sample_seconds):
                return await self._driver.sample(vm_ids)
        except (DriverError, TimeoutError) as error:
            FAILURES.inc()
            _log.warning("monitoring.sample_failed", driver=self._driver.name, error=str(error) or "timeout")
            return None

    async def _prune(self) -> None:
        for _ in range(_PRUNE_ROUNDS):
            async with self._database.work() as tx:
                before = tx.now - timedelta(days=self._settings.monitoring.retention_days)
                records = await MonitoringRepository(tx).prune_health_records(before=before, limit=_PRUNE_BATCH)
            if records < _PRUNE_BATCH:
                return

    async def _record_health(self) -> None:
        async with self._database.read() as tx:
            last = await MonitoringRepository(tx).last_health_record_at()
            if last is not None and tx.now - last < _HEALTH_EVERY:
                return
        measured = await self._probe.measure()
        async with self._database.read() as tx:
            service = MonitoringService(tx, settings=self._settings, clock=self._clock)
            health = await service.get_system_health(measured)
        async with self._database.work() as tx:
            await MonitoringRepository(tx).insert_health_records(health.components)
