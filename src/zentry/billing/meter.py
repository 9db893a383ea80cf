"""The meter: looks after the accounts that are due, one short transaction each.

A late or missing meter changes nothing in what is charged: a segment knows its start, its rate
and until when it is paid, and nothing beyond that is ever charged.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa
import structlog

from zentry.billing.repository import BillingRepository
from zentry.billing.service import BillingService
from zentry.billing.types import OnCreditExhausted
from zentry.mail.outbox import Outbox
from zentry.mail.texts import credit_ended, credit_low
from zentry.mail.types import Letter
from zentry.platform.clock import Clock
from zentry.platform.db import Database, Transaction
from zentry.platform.sealing import Sealer
from zentry.platform.settings import BillingSettings
from zentry.platform.tasks import Stop
from zentry.schema.accounts import users

_log = structlog.get_logger(__name__)
_MAX_ACCOUNTS_PER_TICK = 1000
_ADDRESS: Final = sa.select(users.c.email).where(users.c.id == sa.bindparam("user_id"))


class Meter:
    """Renews holds before they end and stops what can't be paid for."""

    def __init__(
        self,
        *,
        database: Database,
        settings: BillingSettings,
        clock: Clock,
        sealer: Sealer,
        on_exhausted: OnCreditExhausted,
    ) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._sealer = sealer
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
            await self._look_after(tx, user_id)
        return True

    async def _stop_exhausted(self) -> int:
        """Stop what a request has found to be unpaid before the meter came."""
        async with self._database.read() as tx:
            found = await BillingRepository(tx).list_exhausted_accounts(limit=_MAX_ACCOUNTS_PER_TICK)
        for user_id in found:
            async with self._database.work() as tx:
                await self._look_after(tx, user_id)
        return len(found)

    async def _look_after(self, tx: Transaction, user_id: UUID) -> None:
        renewal = await BillingService(tx, self._settings).renew(user_id, on_exhausted=self._on_exhausted)
        ends_at = renewal.credit_ends_at
        if ends_at is not None:
            key = f"credit.low:{user_id}:{tx.now.isoformat()}"
            await self._write(tx, user_id, key, credit_low(ends_at=ends_at, now=tx.now), until=ends_at)
        if renewal.stopped:
            key = (
                f"credit.ended:{user_id}:{tx.now:%Y-%m-%dT%H}"  # Who loses one after another reads of it once an hour.
            )
            letter = credit_ended(machines=renewal.stopped, grace_days=self._settings.grace_days)
            await self._write(tx, user_id, key, letter)

    async def _write(
        self, tx: Transaction, user_id: UUID, key: str, letter: Letter, *, until: datetime | None = None
    ) -> None:
        address = (await tx.execute(_ADDRESS, {"user_id": user_id})).scalar_one()
        await Outbox(tx, self._sealer).put(key, to=address, letter=letter, user_id=user_id, until=until)

    async def run(self, stop: Stop) -> None:
        """Tick until told to stop."""
        while not stop.is_set():
            try:
                await self.tick()
            except Exception:  # noqa: BLE001 - a process edge: the next tick is the retry
                _log.exception("meter.tick_failed")
            await stop.pause(self._clock.sleep(self._settings.meter_interval_seconds))
