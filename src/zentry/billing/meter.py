"""The meter: looks after the accounts that are due, one short transaction each.

A late or missing meter changes nothing in what is charged: a segment knows its start, its rate
and until when it is paid, and nothing beyond that is ever charged.
"""

from __future__ import annotations

import asyncio

import structlog

from zentry.billing.repository import BillingRepository
from zentry.billing.service import BillingService
from zentry.billing.types import OnCreditExhausted
from zentry.platform.clock import Clock
from zentry.platform.db import Database
from zentry.platform.settings import BillingSettings
from zentry.platform.tasks import first_of

_log = structlog.get_logger(__name__)
_MAX_ACCOUNTS_PER_TICK = 1000


class Meter:
    """Renews holds before they end and stops what can't be paid for."""

    def __init__(
        self, *, database: Database, settings: BillingSettings, clock: Clock, on_exhausted: OnCreditExhausted
    ) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._on_exhausted = on_exhausted

    async def tick(self) -> int:
        """Look after every due account; return how many there were."""
        done = 0
        while done < _MAX_ACCOUNTS_PER_TICK and await self._renew_next():
            done += 1
        return done + await self._stop_exhausted()

    async def _renew_next(self) -> bool:
        """Look after one account that is due; False when none is."""
        async with self._database.work() as tx:
            user_id = await BillingRepository(tx).lock_due_account()
            if user_id is None:
                return False
            await BillingService(tx, self._settings).renew(user_id, on_exhausted=self._on_exhausted)
        return True

    async def _stop_exhausted(self) -> int:
        """Stop what a request has found to be unpaid before the meter came."""
        async with self._database.read() as tx:
            found = await BillingRepository(tx).list_exhausted_accounts(limit=_MAX_ACCOUNTS_PER_TICK)
        for user_id in found:
            async with self._database.work() as tx:
                await BillingService(tx, self._settings).renew(user_id, on_exhausted=self._on_exhausted)
        return len(found)

    async def run(self, stop: asyncio.Event) -> None:
        """Tick until told to stop."""
        while not stop.is_set():
            try:
                await self.tick()
            except Exception:  # noqa: BLE001 - a process edge: the next tick is the retry
                _log.exception("meter.tick_failed")
            await first_of(stop.wait(), self._clock.sleep(self._settings.meter_interval_seconds))
