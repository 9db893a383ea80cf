"""Closes the months of accounts, one short transaction each.

It may die anywhere and be repeated: a month is closed with the row that says so, and a second one for the same
month, or a number twice, is refused by the table.
"""

from __future__ import annotations

from typing import Final

import structlog

from zentry.billing.statements import StatementService
from zentry.platform.clock import Clock
from zentry.platform.db import Database
from zentry.platform.settings import BillingSettings
from zentry.platform.tasks import Stop

_log = structlog.get_logger(__name__)
_MOST: Final = 10_000
"""Accounts looked at in one tick."""


class Closing:
    """Looks for months that are over."""

    def __init__(self, *, database: Database, settings: BillingSettings, clock: Clock) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock

    async def tick(self) -> int:
        """Close what is to be closed; return how many accounts were looked at."""
        for done in range(_MOST):
            async with self._database.work() as tx:
                if not await StatementService(tx, self._settings).close_next():
                    return done
        return _MOST

    async def run(self, stop: Stop) -> None:
        """Tick until told to stop."""
        while not stop.is_set():
            try:
                await self.tick()
            except Exception:  # noqa: BLE001 - a process edge: the next tick is the retry
                _log.exception("closing.tick_failed")
            await stop.pause(self._clock.sleep(self._settings.statement_interval_seconds))
