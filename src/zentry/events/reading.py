"""Reads of the event log, in the order of positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from zentry.events.chain import HASHED
from zentry.events.types import TRANSITIONS, Bounds, LoggedEvent, Wanted
from zentry.platform.db import Rows, Transaction, values
from zentry.schema.events import event_head, event_log, events

_LOGGED: Final = sa.select(event_log.c.position, *HASHED).join(events, events.c.id == event_log.c.event_id)
_BOUNDS: Final = sa.select(event_head.c.position, event_head.c.kept_from)
_AFTER: Final = (
    _LOGGED.where(event_log.c.position > sa.bindparam("after"))
    .order_by(event_log.c.position)
    .limit(sa.bindparam("most"))
)
_LAG: Final = sa.select(event_head.c.longest_lag_seconds)


class LogReader:
    """Looks at the log."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def get_bounds(self) -> Bounds:
        """Return the newest position, and the oldest that is kept."""
        row = (await self._tx.execute(_BOUNDS)).one()
        return Bounds(newest=row.position, kept_from=row.kept_from)

    async def find(self, position: int) -> LoggedEvent | None:
        """Return the event at a position, if it is kept."""
        found = _logged(await self._tx.execute(_LOGGED.where(event_log.c.position == position)))
        return found[0] if found else None

    async def list_all_after(self, position: int, *, most: int) -> Sequence[LoggedEvent]:
        """Return everybody's events behind a position."""
        return _logged(await self._tx.execute(_AFTER, {"after": position, "most": most}))

    async def list_after(self, wanted: Wanted, position: int, *, up_to: int, most: int) -> Sequence[LoggedEvent]:
        """Return events behind a position, the oldest first."""
        query = _LOGGED.where(
            *_conditions(wanted), event_log.c.position > position, event_log.c.position <= up_to
        ).order_by(event_log.c.position)
        return _logged(await self._tx.execute(query.limit(most)))

    async def list_page(
        self, wanted: Wanted, *, newest_first: bool, cursor: int | None, most: int
    ) -> Sequence[LoggedEvent]:
        """Return events behind a position that was seen, in either direction."""
        position = event_log.c.position
        query = _LOGGED.where(*_conditions(wanted), *await self._between(wanted.since, wanted.until))
        if cursor is not None:
            query = query.where(position < cursor if newest_first else position > cursor)
        query = query.order_by(position.desc() if newest_first else position)
        return _logged(await self._tx.execute(query.limit(most)))

    async def list_transitions(self, vm_id: UUID, *, cursor: int | None, most: int) -> Sequence[LoggedEvent]:
        """Return the events of a machine that moved it to another state, the newest first."""
        query = _LOGGED.where(event_log.c.resource_id == vm_id, _is_transition)
        if cursor is not None:
            query = query.where(event_log.c.position < cursor)
        return _logged(await self._tx.execute(query.order_by(event_log.c.position.desc()).limit(most)))

    async def list_requests(self, vm_id: UUID, operation_ids: Sequence[UUID]) -> Mapping[UUID, LoggedEvent]:
        """Return the events that asked for operations of a machine, by operation."""
        query = _LOGGED.where(
            event_log.c.resource_id == vm_id,
            events.c.operation_id.in_(operation_ids),
            events.c.kind.endswith("_requested", autoescape=True),
        )
        found = _logged(await self._tx.execute(query))
        return {event.operation_id: event for event in found if event.operation_id is not None}

    async def _between(self, since: datetime | None, until: datetime | None) -> Sequence[sa.ColumnElement[bool]]:
        """Return the conditions for a range of times, with the range of positions that they can only be in.

        What happened at a time is logged at that time or later, and later by no more than the head
        remembers: so no other positions need to be looked at.
        """
        conditions: list[sa.ColumnElement[bool]] = []
        if since is not None:
            earlier = sa.select(sa.func.max(event_log.c.position)).where(event_log.c.logged_at < since)
            first = (await self._tx.execute(earlier)).scalar() or 0
            conditions += [events.c.created_at >= since, event_log.c.position > first]
        if until is not None:
            lag = timedelta(seconds=(await self._tx.execute(_LAG)).scalar_one())
            within = sa.select(sa.func.max(event_log.c.position)).where(event_log.c.logged_at < until + lag)
            last = (await self._tx.execute(within)).scalar() or 0
            conditions += [events.c.created_at < until, event_log.c.position <= last]
        return conditions


_is_transition: Final = events.c.kind.in_(TRANSITIONS)


def _conditions(wanted: Wanted) -> Sequence[sa.ColumnElement[bool]]:
    by_project = wanted.project_id is not None
    scope = event_log.c.project_id if by_project else event_log.c.user_id
    conditions: list[sa.ColumnElement[bool]] = [scope == wanted.scope]
    if wanted.kinds:
        conditions.append(sa.or_(*(events.c.kind.startswith(kind, autoescape=True) for kind in wanted.kinds)))
    if wanted.resource_id is not None:
        conditions.append(event_log.c.resource_id == wanted.resource_id)
    if wanted.actor_id is not None:
        conditions.append(events.c.actor_id == wanted.actor_id)
    return conditions


def _logged(rows: Rows) -> Sequence[LoggedEvent]:
    return [LoggedEvent(*values(row)) for row in rows]
