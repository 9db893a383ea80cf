"""Recomputes what must always hold once in a while, so that health can say that it does.

Where there is little, everything is recomputed from one instant. Where there is much, that would hold
up the process and fill its memory: then the books are followed account by account, page by page.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import sqlalchemy as sa
import structlog

from zentry.billing.audit import audit_ledger
from zentry.invariants import broken_invariants
from zentry.monitoring.invariant_checks import begin_check, record_check
from zentry.platform.clock import Clock
from zentry.platform.db import Database
from zentry.platform.tasks import Stop
from zentry.schema.billing import ledger_entries

_log = structlog.get_logger(__name__)

_LOOK_SECONDS: Final = 60.0
_LEASE: Final = timedelta(hours=1)
_LITTLE: Final = 20_000
"""Entries of the books up to which everything is recomputed at once."""
_SOONER: Final = 24
"""What is broken is looked at again after this part of the time."""


class InvariantWatch:
    """One process at a time makes the check that is due."""

    def __init__(self, *, database: Database, clock: Clock, hours: float, little: int = _LITTLE) -> None:
        self._database = database
        self._clock = clock
        self._period = timedelta(hours=hours)
        self._little = little

    async def run(self, stop: Stop) -> None:
        """Look now and then whether a check is due, until told to stop."""
        while not stop.is_set():
            await stop.pause(self._clock.sleep(_LOOK_SECONDS))
            try:
                await self.tick()
            except Exception:  # noqa: BLE001 - a process edge: it is due again when its lease has run out
                _log.exception("invariants.check_failed")

    async def tick(self) -> bool:
        """Make the check if it is due; tell whether it was."""
        async with self._database.work() as tx:
            if not await begin_check(tx, lease=_LEASE):
                return False
        violations, looked_at = await self._check()
        if violations:
            _log.error("invariants.broken", count=len(violations), first=violations[0])
        async with self._database.work() as tx:
            next_in = self._period / (_SOONER if violations else 1)
            await record_check(tx, violations, looked_at=looked_at, next_in=next_in)
        return True

    async def _check(self) -> tuple[list[str], str]:
        async with self._database.read() as tx:
            within = sa.select(ledger_entries.c.user_id).limit(self._little + 1).subquery()
            count = (await tx.execute(sa.select(sa.func.count()).select_from(within))).scalar_one()
        if count <= self._little:
            return await broken_invariants(self._database), f"everything, with {count} entries of the books"
        audit = await audit_ledger(self._database)
        looked_at = f"the books of {audit.accounts} accounts, with {audit.entries} entries"
        return [str(finding) for finding in audit.findings], looked_at
