"""Forgets what is over: counters, idempotency keys and sessions beyond their time, in bounded batches."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import structlog

from zentry.platform.clock import Clock
from zentry.platform.db import Database, Transaction
from zentry.platform.tasks import Stop

_log = structlog.get_logger(__name__)

Sweep = Callable[[Transaction], Awaitable[int]]


class Sweeper:
    """Runs every sweep on a timer."""

    def __init__(self, *, database: Database, clock: Clock, sweeps: Sequence[Sweep], interval_seconds: float) -> None:
        self._database = database
        self._clock = clock
        self._sweeps = tuple(sweeps)
        self._interval_seconds = interval_seconds

    async def tick(self) -> int:
        """Run every sweep once; return how many rows went."""
        swept = 0
        for sweep in self._sweeps:
            async with self._database.work() as tx:
                swept += await sweep(tx)
        return swept

    async def run(self, stop: Stop) -> None:
        """Sweep until told to stop."""
        while not stop.is_set():
            await stop.pause(self._clock.sleep(self._interval_seconds))
            try:
                await self.tick()
            except Exception:  # noqa: BLE001 - a process edge: the next tick is the retry
                _log.exception("sweeper.tick_failed")
