"""Idempotency keys: the first request with a key has its effect, later copies find it.

The key is written in the transaction of the effect. A refusal rolls both back, so a key is never
poisoned by a failure; two copies at once meet at the primary key, where the second waits for the
first to commit and then finds its ids.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from zentry.platform.db import Transaction
from zentry.platform.errors import IdempotencyMismatch, InvalidInput
from zentry.platform.wire import pattern_in_words
from zentry.schema.operations import idempotency_keys

KEPT_FOR: Final = timedelta(hours=24)
_SWEEP_BATCH: Final = 1000
KEY_PATTERN: Final = pattern_in_words(
    "^[!-~]{1,255}$", "This is no key: up to 255 visible ASCII characters without spaces, such as a UUID."
)
_KEY: Final = re.compile(r"[!-~]{1,255}")


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A client's key with what it was used for."""

    user_id: UUID
    route: str
    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Replay:
    """What an earlier request with the same key brought about."""

    resource_id: UUID | None
    operation_id: UUID | None


def idempotency_key(user_id: UUID, *, route: str, header: str | None, content: bytes) -> IdempotencyKey | None:
    """Return the key that a request carries, or None; raise `InvalidInput` for one that is no key."""
    if header is None:
        return None
    if not _KEY.fullmatch(header):
        raise InvalidInput.at("Idempotency-Key", "Send 1 to 255 printable ASCII characters without spaces.")
    return IdempotencyKey(user_id, route, header, hashlib.sha256(content).hexdigest())


class IdempotencyStore:
    """Remembers keys inside the transaction of their effect."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def find_or_begin(self, key: IdempotencyKey | None) -> Replay | None:
        """Return what the key has brought about before, or None when the effect is ours to make."""
        if key is None:
            return None
        fresh = await self._tx.insert_unless_there(
            idempotency_keys,
            {
                "user_id": key.user_id,
                "route": key.route,
                "key": key.key,
                "fingerprint": key.fingerprint,
                "created_at": self._tx.now,
            },
        )
        if fresh:
            return None
        row = (
            await self._tx.execute(
                sa.select(
                    idempotency_keys.c.fingerprint, idempotency_keys.c.resource_id, idempotency_keys.c.operation_id
                ).where(*self._is(key))
            )
        ).one()
        if row.fingerprint != key.fingerprint:
            raise IdempotencyMismatch(
                "This Idempotency-Key was used with another request; use a new key for a new request."
            )
        return Replay(row.resource_id, row.operation_id)

    async def complete(self, key: IdempotencyKey | None, *, resource_id: UUID, operation_id: UUID | None) -> None:
        """Store what the request has brought about."""
        if key is not None:
            await self._tx.execute(
                sa.update(idempotency_keys)
                .where(*self._is(key))
                .values(resource_id=resource_id, operation_id=operation_id)
            )

    @staticmethod
    def _is(key: IdempotencyKey) -> tuple[sa.ColumnElement[bool], ...]:
        return (
            idempotency_keys.c.user_id == key.user_id,
            idempotency_keys.c.route == key.route,
            idempotency_keys.c.key == key.key,
        )


async def sweep_keys(tx: Transaction) -> int:
    """Delete keys older than they are kept, a bounded number, and return how many."""
    over = (
        sa.select(idempotency_keys.c.user_id, idempotency_keys.c.route, idempotency_keys.c.key)
        .where(idempotency_keys.c.created_at < tx.now - KEPT_FOR)
        .order_by(idempotency_keys.c.created_at)
        .limit(_SWEEP_BATCH)
    )
    columns = sa.tuple_(idempotency_keys.c.user_id, idempotency_keys.c.route, idempotency_keys.c.key)
    return (await tx.execute(sa.delete(idempotency_keys).where(columns.in_(over)))).rowcount
