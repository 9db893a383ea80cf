"""The event log as the sequencer and retention write it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from zentry.events.chain import HASHED, entry_hash
from zentry.platform.db import Transaction
from zentry.schema.events import event_details, event_head, event_log, event_queue, events

_LOCK_HEAD: Final = sa.select(event_head).with_for_update(skip_locked=True)
_WAITING: Final = (
    sa.select(event_queue.c.number, *HASHED)
    .join(events, events.c.id == event_queue.c.event_id)
    .order_by(event_queue.c.number)
    .limit(sa.bindparam("most"))
)
_INSERT: Final = sa.insert(event_log)
_TAKE: Final = sa.delete(event_queue).where(event_queue.c.number.in_(sa.bindparam("numbers", expanding=True)))
_MOVE: Final = (
    sa.update(event_head)
    .where(event_head.c.position == sa.bindparam("seen"))
    .values(
        position=sa.bindparam("new_position"),
        hash=sa.bindparam("new_hash"),
        logged_at=sa.bindparam("new_logged_at"),
        longest_lag_seconds=sa.bindparam("new_lag"),
    )
)


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the log, and where what is kept of it begins."""

    position: int
    hash: str
    logged_at: datetime
    longest_lag_seconds: int
    kept_from: int


class EventLog:
    """Appends to the log, and lets go of its beginning."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def lock_head(self) -> Head | None:
        """Become the only writer of the log until the transaction ends; None while somebody else is."""
        row = (await self._tx.execute(_LOCK_HEAD)).first()
        return None if row is None else _head(row)

    async def append_waiting(self, head: Head, *, most: int) -> int:
        """Give the committed events that wait the next positions, in the order of writing; return how many."""
        waiting = (await self._tx.execute(_WAITING, {"most": most})).all()
        if not waiting:
            return 0
        logged_at = max(self._tx.now, head.logged_at)
        entries, last = _entries(head, waiting, logged_at)
        await self._tx.execute(_INSERT, entries)
        # By their numbers, not by the highest: one that was written earlier may be committed later.
        numbers = [event.number for event in waiting]
        await self._tx.execute(_TAKE, {"numbers": numbers})
        lag = max(int((logged_at - event.created_at).total_seconds()) + 1 for event in waiting)
        moved = await self._tx.execute(
            _MOVE,
            {
                "seen": head.position,
                "new_position": head.position + len(entries),
                "new_hash": last,
                "new_logged_at": logged_at,
                "new_lag": max(head.longest_lag_seconds, lag),
            },
        )
        assert moved.rowcount == 1, "the head moves under its lock only"
        return len(entries)

    async def let_go(self, head: Head, *, before: datetime, below: int, most: int) -> int:
        """Delete the oldest events, logged before an instant and below a position; return how many.

        The mark moves first: the guards let nothing go that is not below it. The hash of the last
        one that goes stays as the anchor from which the rest can still be verified.
        """
        oldest = sa.select(event_log.c.position, event_log.c.event_id, event_log.c.hash).where(
            event_log.c.position < below, event_log.c.logged_at < before
        )
        gone = (await self._tx.execute(oldest.order_by(event_log.c.position).limit(most))).all()
        if not gone:
            return 0
        last = gone[-1]
        await self._tx.execute(
            sa.update(event_head)
            .where(event_head.c.kept_from == head.kept_from)
            .values(kept_from=last.position + 1, anchor=last.hash)
        )
        await self._tx.execute(sa.delete(event_log).where(event_log.c.position <= last.position))
        await self._tx.execute(sa.delete(events).where(events.c.id.in_([row.event_id for row in gone])))
        return len(gone)

    async def forget_details_of(self, actor_id: UUID) -> None:
        """Delete the personal data that events have of an account."""
        await self._tx.execute(sa.delete(event_details).where(event_details.c.actor_id == actor_id))

    async def forget_details(self, *, before: datetime, most: int) -> int:
        """Delete the oldest personal data of events; return how many rows."""
        old = (
            sa.select(event_details.c.event_id)
            .where(event_details.c.created_at < before)
            .order_by(event_details.c.created_at)
            .limit(most)
        )
        return (await self._tx.execute(sa.delete(event_details).where(event_details.c.event_id.in_(old)))).rowcount


def _entries(head: Head, waiting: Sequence[sa.Row[Any]], logged_at: datetime) -> tuple[list[dict[str, Any]], str]:
    """Return the rows of the log for these events, and the hash of the last."""
    entries, last = [], head.hash
    for position, event in enumerate(waiting, start=head.position + 1):
        last = entry_hash(last, position, event)
        entries.append(
            {
                "position": position,
                "event_id": event.id,
                "user_id": event.user_id,
                "project_id": event.project_id,
                "resource_id": event.resource_id,
                "logged_at": logged_at,
                "hash": last,
            }
        )
    return entries, last


def _head(row: sa.Row[Any]) -> Head:
    return Head(
        position=row.position,
        hash=row.hash,
        logged_at=row.logged_at,
        longest_lag_seconds=row.longest_lag_seconds,
        kept_from=row.kept_from,
    )
