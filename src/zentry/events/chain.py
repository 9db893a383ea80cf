"""The chain of the event log: each hash covers the whole event, its position, and the hash before it."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from zentry.schema.events import events

HASHED: Final = (
    events.c.id,
    events.c.kind,
    events.c.user_id,
    events.c.project_id,
    events.c.resource_type,
    events.c.resource_id,
    events.c.cause,
    events.c.actor_id,
    events.c.operation_id,
    events.c.request_id,
    events.c.data,
    events.c.created_at,
)
"""What a hash covers: all of an event, in this order."""

_encode: Final = msgspec.json.Encoder(order="deterministic").encode


def entry_hash(previous: str, position: int, event: sa.Row[Any]) -> str:
    """Return the hash of an event at a position; `event` has the columns `HASHED`, as the database gives them back."""
    facts = [getattr(event, column.name) for column in HASHED]
    return hashlib.sha256(_encode([previous, position, *facts])).hexdigest()
