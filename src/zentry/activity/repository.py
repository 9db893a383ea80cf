"""Reads over the event log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from zentry.activity.types import AuditEntry
from zentry.platform.db import Transaction
from zentry.schema.events import events


class AuditRepository:
    """Events as audit entries."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def list_entries(self, user_id: UUID, *, limit: int, offset: int) -> Sequence[AuditEntry]:
        """Return an account's entries, newest first."""
        rows = await self._tx.execute(
            sa.select(events)
            .where(events.c.user_id == user_id)
            .order_by(events.c.created_at.desc(), events.c.id.desc())
            .limit(limit)
            .offset(offset)
        )
        return [_entry(row) for row in rows]


def _entry(row: sa.Row[Any]) -> AuditEntry:
    facts = {
        "cause": row.cause,
        "actor_id": row.actor_id,
        "operation_id": row.operation_id,
        "request_id": row.request_id,
    }
    known = {name: str(value) for name, value in facts.items() if value is not None}
    return AuditEntry(
        id=row.id,
        user_id=row.user_id,
        action=row.kind,
        resource_type=row.resource_type,
        resource_id=row.resource_id,
        details={**row.data, **known},
        timestamp=row.created_at,
    )
