"""Looks after every unit of work whether what its events are about is still in order.

These are the rules of `zentry.invariants` for one account and one machine, asked of SQLite
directly: they run ten thousand times where the whole is checked once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

_NEWS: Final = "SELECT rowid, resource_type, resource_id, user_id FROM events WHERE rowid > ? ORDER BY rowid"
_ACCOUNT: Final = """
    SELECT credits, held, ledger_position,
        (SELECT coalesce(sum(remaining), 0) FROM holds WHERE user_id = users.id AND status = 'open'),
        (SELECT coalesce(max(position), 0) FROM ledger_entries WHERE user_id = users.id)
    FROM users WHERE id = ?
"""
_MACHINE: Final = """
    SELECT status, ip_address,
        (SELECT address FROM ip_leases WHERE vm_id = vms.id),
        (SELECT count(*) FROM segments WHERE resource_id = vms.id AND ended_at IS NULL),
        (SELECT count(*) FROM holds WHERE resource_id = vms.id AND status = 'open'),
        (SELECT count(*) FROM operations WHERE vm_id = vms.id AND status IN ('pending', 'running'))
    FROM vms WHERE id = ?
"""
_OVERDUE: Final = "SELECT resource_id, paid_until FROM segments WHERE ended_at IS NULL AND paid_until < ?"
_STUCK: Final = "SELECT id, kind, status FROM operations WHERE status IN ('pending', 'running') AND deadline < ?"

_UNLOGGED: Final = """
    SELECT id, kind FROM event_queue JOIN events ON events.id = event_queue.event_id WHERE created_at < ?
"""


class Watch:
    """Follows the event log."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw = raw
        self._seen = 0
        self._changes = raw.total_changes
        self.events = 0

    def look(self) -> list[str]:
        """Return what is wrong with anything that the newest events are about."""
        if self._raw.total_changes == self._changes:
            return []  # As after most units of work: they have found nothing to do.
        self._changes = self._raw.total_changes
        news = self._raw.execute(_NEWS, (self._seen,)).fetchall()
        if not news:
            return []
        self._seen = news[-1][0]
        self.events += len(news)
        broken: list[str] = []
        for user_id in dict.fromkeys(row[3] for row in news if row[3] is not None):
            broken += self._account(user_id)
        for vm_id in dict.fromkeys(row[2] for row in news if row[1] == "vm"):
            broken += self._machine(vm_id)
        return broken

    def overdue(self, *, before: datetime) -> list[str]:
        """Return every machine that is metered although nothing has been held for it since an instant."""
        rows = self._raw.execute(_OVERDUE, (_text(before),)).fetchall()
        return [f"VM {UUID(vm_id)} runs on although it is paid until {until} only" for vm_id, until in rows]

    def stuck(self, *, before: datetime) -> list[str]:
        """Return every operation that should have ended before an instant."""
        rows = self._raw.execute(_STUCK, (_text(before),)).fetchall()
        return [f"operation {UUID(id_)} ({kind}) is {status} past its deadline" for id_, kind, status in rows]

    def unlogged(self, *, before: datetime) -> list[str]:
        """Return every event of before an instant that the log does not have."""
        rows = self._raw.execute(_UNLOGGED, (_text(before),)).fetchall()
        return [f"event {UUID(id_)} ({kind}) has no position" for id_, kind in rows]

    def _account(self, user_id: str) -> Iterator[str]:
        row = self._raw.execute(_ACCOUNT, (user_id,)).fetchone()
        if row is None:
            return
        credits_, held, position, held_by_holds, last = row
        if held != held_by_holds:
            yield f"holds of {UUID(user_id)} sum to {held_by_holds}, held is {held}"
        if not 0 <= held <= credits_:
            yield f"account {UUID(user_id)} holds {held} of {credits_}"
        if position != last:
            yield f"the books of {UUID(user_id)} end at {last}, not at {position}"

    def _machine(self, vm_id: str) -> Iterator[str]:
        status, address, leased, metered, held, busy = self._raw.execute(_MACHINE, (vm_id,)).fetchone()
        if address != leased:
            yield f"VM {UUID(vm_id)} shows {address} and leases {leased}"
        if metered and not held:
            yield f"VM {UUID(vm_id)} is metered and nothing is held for it"
        if busy:
            return
        if (status == "running") != bool(metered):
            yield f"VM {UUID(vm_id)} is {status} and {'is' if metered else 'is not'} metered"
        if status == "creating":
            yield f"VM {UUID(vm_id)} is stuck in creating"


def _text(instant: datetime) -> str:
    """Return an instant as SQLite keeps it."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")
