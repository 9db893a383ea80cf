"""Looks after budgets: tells of thresholds that were reached, and stops what a budget forbids to run.

It takes no input and may be repeated: a threshold is told of once in a month by a primary key, and what is
stopped already is not metered any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol
from uuid import UUID

import sqlalchemy as sa
import structlog

from zentry.billing.budgets import BudgetService
from zentry.billing.service import BillingService
from zentry.mail.outbox import Outbox
from zentry.platform.clock import Clock
from zentry.platform.db import Database, Transaction
from zentry.platform.errors import NotFound
from zentry.platform.sealing import Sealer
from zentry.platform.settings import BillingSettings
from zentry.platform.tasks import Stop
from zentry.schema.billing import budgets

_log = structlog.get_logger(__name__)
_BATCH: Final = 500
_PAGE: Final = (
    sa.select(budgets.c.id, budgets.c.user_id)
    .where(budgets.c.id > sa.bindparam("after"))
    .order_by(budgets.c.id)
    .limit(_BATCH)
)


class OnBudgetExceeded(Protocol):
    """Asked to stop what a budget does not allow to run."""

    async def __call__(self, tx: Transaction, resource_ids: Sequence[UUID]) -> None:
        """Stop these resources; their billing ends here."""
        ...


class BudgetWatch:
    """Compares every budget with what its scope has used."""

    def __init__(
        self,
        *,
        database: Database,
        settings: BillingSettings,
        clock: Clock,
        sealer: Sealer,
        on_exceeded: OnBudgetExceeded,
    ) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._sealer = sealer
        self._on_exceeded = on_exceeded

    async def tick(self) -> int:
        """Look at every budget once; return how many there are."""
        seen, after = 0, UUID(int=0)
        while True:
            async with self._database.read() as tx:
                page = (await tx.execute(_PAGE, {"after": after})).all()
            for row in page:
                await self._look(row.id, row.user_id)
            seen += len(page)
            if len(page) < _BATCH:
                return seen
            after = page[-1].id

    async def run(self, stop: Stop) -> None:
        """Tick until told to stop."""
        while not stop.is_set():
            try:
                await self.tick()
            except Exception:  # noqa: BLE001 - a process edge: the next tick is the retry
                _log.exception("budget_watch.tick_failed")
            await stop.pause(self._clock.sleep(self._settings.budget_interval_seconds))

    async def _look(self, budget_id: UUID, user_id: UUID) -> None:
        async with self._database.work() as tx:
            billing = BillingService(tx, self._settings)
            await billing.lock_account(user_id)
            service = BudgetService(tx, billing)
            try:
                budget = await service.get(budget_id, user_id=user_id)
            except NotFound:
                return  # It was deleted since.
            exceeding = await service.fire(budget, Outbox(tx, self._sealer))
            if exceeding:
                await self._on_exceeded(tx, exceeding)
