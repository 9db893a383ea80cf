"""Gives committed events their positions.

A number drawn inside a transaction is not the order of commits: whoever follows it skips what is
committed late. So events are written without a position, a trigger queues them in the same
transaction, and whoever holds the lock of the log's head appends what is committed. There is one
at any time, in whichever worker process was first; it may die anywhere, since a batch and the new
head are one transaction.
"""

from __future__ import annotations

from typing import Final

import structlog
from prometheus_client import Counter, Histogram

from zentry.events.log import EventLog
from zentry.platform.clock import Clock
from zentry.platform.db import Database
from zentry.platform.settings import EventSettings
from zentry.platform.signals import EVENTS_LOGGED, EVENTS_RECORDED, Signals
from zentry.platform.tasks import Stop

_log = structlog.get_logger(__name__)

LOGGED: Final = Counter("zentry_events_logged_total", "Events that were given their position by this process.")
BATCHES: Final = Histogram(
    "zentry_events_batch_size", "Events per batch of the sequencer.", buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500)
)


class Sequencer:
    """Appends to the event log, as long as nobody else does."""

    def __init__(self, *, database: Database, settings: EventSettings, clock: Clock, signals: Signals) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._signals = signals

    async def run(self, stop: Stop) -> None:
        """Append until told to stop."""
        own = self._settings
        with self._signals.listen(EVENTS_RECORDED) as recorded:
            while not stop.is_set():
                is_ours = True
                try:
                    is_ours = await self.tick() is not None
                except Exception:  # noqa: BLE001 - a process edge: the next tick is the retry
                    _log.exception("sequencer.tick_failed")
                # Another process is at it, and is woken as we are; we look whether it still lives.
                await stop.pause(recorded.wait(own.poll_seconds) if is_ours else self._clock.sleep(own.poll_seconds))
                if own.gather_seconds:
                    await stop.pause(self._clock.sleep(own.gather_seconds))

    async def tick(self) -> int | None:
        """Append all that waits; return how many events, or None where another process does it."""
        appended = 0
        while True:
            batch = await self._append()
            if batch is None:
                return None
            appended += batch
            if batch < self._settings.batch:
                return appended

    async def _append(self) -> int | None:
        async with self._database.work() as tx:
            log = EventLog(tx)
            head = await log.lock_head()
            if head is None:
                return None
            appended = await log.append_waiting(head, most=self._settings.batch)
            if appended:
                tx.after_commit(EVENTS_LOGGED)
        if appended:
            LOGGED.inc(appended)
            BATCHES.observe(appended)
        return appended
