"""The rules of reading what happened."""

from __future__ import annotations

from collections.abc import Sequence

from zentry.activity.repository import AuditRepository
from zentry.activity.types import AuditEntry
from zentry.platform.caller import Caller
from zentry.platform.db import Transaction


class ActivityService:
    """Shows each account its own entries. Runs inside the caller's transaction and never commits."""

    def __init__(self, tx: Transaction) -> None:
        self._entries = AuditRepository(tx)

    async def list_entries(self, *, limit: int, offset: int, caller: Caller) -> Sequence[AuditEntry]:
        """Return the caller's entries, newest first."""
        return await self._entries.list_entries(caller.user_id, limit=limit, offset=offset)
