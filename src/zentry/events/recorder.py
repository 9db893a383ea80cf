"""Writes events in the transaction of what they tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
import structlog

from zentry.platform.db import Transaction
from zentry.schema.events import events

_APPEND: Final = sa.insert(events)


class EventRecorder:
    """Appends to the event log."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def record(
        self,
        kind: str,
        *,
        resource_type: str,
        resource_id: UUID,
        user_id: UUID | None,
        cause: str = "user",
        project_id: UUID | None = None,
        actor_id: UUID | None = None,
        operation_id: UUID | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        """Append one event; ids and plain facts only, no personal data and no secrets."""
        await self._tx.execute(
            _APPEND,
            {
                "id": self._tx.new_id(),
                "kind": kind,
                "user_id": user_id,
                "project_id": project_id,
                "resource_type": resource_type,
                "resource_id": resource_id,
                "cause": cause,
                "actor_id": actor_id,
                "operation_id": operation_id,
                "request_id": structlog.contextvars.get_contextvars().get("request_id"),
                "data": dict(data or {}),
                "created_at": self._tx.now,
            },
        )
