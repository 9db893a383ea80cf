"""Writes events in the transaction of what they tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
import structlog

from zentry.platform.db import Transaction
from zentry.platform.origin import find_origin
from zentry.platform.signals import EVENTS_RECORDED
from zentry.schema.events import event_details, events

_APPEND: Final = sa.insert(events)
_DETAIL: Final = sa.insert(event_details)


class EventRecorder:
    """Appends events; the sequencer gives them their positions once they are committed."""

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
        personal: Mapping[str, Any] | None = None,
    ) -> None:
        """Append one event; ids and plain facts only, no personal data and no secrets.

        Address, client and session of the request lie beside it, where they can be deleted, and what is `personal`.
        """
        event_id = self._tx.new_id()
        await self._tx.execute(
            _APPEND,
            {
                "id": event_id,
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
        origin = find_origin()
        if origin is not None:
            await self._tx.execute(
                _DETAIL,
                {
                    "event_id": event_id,
                    "actor_id": actor_id or user_id,
                    "session_id": origin.session_id,
                    "address": origin.address,
                    "agent": origin.agent,
                    "created_at": self._tx.now,
                    "personal": None if personal is None else dict(personal),
                },
            )
        self._tx.after_commit(EVENTS_RECORDED)
