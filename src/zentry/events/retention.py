"""Lets go of what is older than it has to be kept: personal data first, the events themselves later."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from zentry.events.log import EventLog
from zentry.platform.db import Transaction
from zentry.platform.settings import EventSettings

BATCH: Final = 1000


async def forget_actor(tx: Transaction, user_id: UUID) -> None:
    """Delete the addresses and clients of an account that is deleted; what happened stays, by its id."""
    await EventLog(tx).forget_details_of(user_id)


class EventRetention:
    """One bounded batch each time it is called."""

    def __init__(self, settings: EventSettings) -> None:
        self._settings = settings

    async def __call__(self, tx: Transaction) -> int:
        """Delete the oldest that nobody has to keep; return how many rows."""
        log = EventLog(tx)
        forgotten = await log.forget_details(before=tx.now - timedelta(days=self._settings.details_days), most=BATCH)
        head = await log.lock_head()
        if head is None:
            return forgotten  # The sequencer is at work; there is a next time.
        before = tx.now - timedelta(days=self._settings.retention_days)
        return forgotten + await log.let_go(head, before=before, below=head.position, most=BATCH)
