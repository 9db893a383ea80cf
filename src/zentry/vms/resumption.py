"""Machines that were stopped for credit: started again when there is some, removed when their time is over.

It looks when credit was added, and on a timer; what it finds is true or void in the transaction in
which it acts.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
import structlog

from zentry.billing.errors import InsufficientCredits
from zentry.platform.clock import Clock
from zentry.platform.db import Database, Transaction
from zentry.platform.errors import Conflict
from zentry.platform.settings import Settings
from zentry.platform.signals import CREDIT_ADDED, Signals
from zentry.platform.tasks import Stop
from zentry.schema.accounts import users
from zentry.schema.vms import is_out_of_credit, vms
from zentry.vms.service import VMService

_log = structlog.get_logger(__name__)
_MOST: Final = 500
"""Machines looked at in one tick."""
# The last that was stopped was the last that the credit was kept for, so it is the first to start.
_RESUMABLE: Final = (
    sa.select(vms.c.id)
    .join(users, users.c.id == vms.c.user_id)
    .where(is_out_of_credit, users.c.credits > users.c.held)
    .order_by(vms.c.user_id, vms.c.last_stopped.desc(), vms.c.id)
    .limit(_MOST)
)
_OVER: Final = (
    sa.select(vms.c.id)
    .where(is_out_of_credit, vms.c.last_stopped < sa.bindparam("before"), vms.c.delete_protection.is_(sa.false()))
    .order_by(vms.c.last_stopped)
    .limit(_MOST)
)


class Resumption:
    """Looks after machines that stand still for credit."""

    def __init__(self, *, database: Database, settings: Settings, clock: Clock, signals: Signals) -> None:
        self._database = database
        self._settings = settings
        self._own = settings.billing
        self._clock = clock
        self._signals = signals

    async def run(self, stop: Stop) -> None:
        """Tick until told to stop."""
        with self._signals.listen(CREDIT_ADDED) as added:
            while not stop.is_set():
                try:
                    await self.tick()
                except Exception:  # noqa: BLE001 - a process edge: the next tick is the retry
                    _log.exception("resumption.tick_failed")
                await stop.pause(added.wait(self._own.resume_seconds))

    async def tick(self) -> int:
        """Start what can be paid again, and remove what was kept long enough; return how many machines."""
        done = 0
        if self._own.resume_on_credit:
            done += await self._resume()
        if self._own.grace_days:
            done += await self._expire()
        return done

    async def _resume(self) -> int:
        async with self._database.read() as tx:
            found = await _ids(tx, _RESUMABLE)
        resumed = 0
        for vm_id in found:
            try:
                async with self._database.work() as tx:
                    await VMService(tx, self._settings).resume_vm(vm_id)
            except (InsufficientCredits, Conflict):
                continue  # A smaller one may still be paid; or somebody was faster.
            resumed += 1
        return resumed

    async def _expire(self) -> int:
        async with self._database.read() as tx:
            found = await _ids(tx, _OVER, before=tx.now - timedelta(days=self._own.grace_days))
        expired = 0
        for vm_id in found:
            try:
                async with self._database.work() as tx:
                    await VMService(tx, self._settings).expire_vm(vm_id)
            except Conflict:
                continue
            expired += 1
        return expired


async def _ids(tx: Transaction, query: sa.Select[tuple[UUID]], **parameters: datetime) -> Sequence[UUID]:
    return list((await tx.execute(query, parameters)).scalars())
