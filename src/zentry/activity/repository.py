"""Reads over the event log and the operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from zentry.activity.types import AuditEntry, AuditFilter, OperationFilter
from zentry.events.chain import HASHED
from zentry.platform.caller import Caller
from zentry.platform.db import Transaction
from zentry.projects.access import reach_of, seeing, seen_by
from zentry.schema.events import event_details, event_log, events
from zentry.schema.metadata import constant
from zentry.schema.operations import OperationStatus, is_not_succeeded, operations
from zentry.schema.vms import vms

_OPERATION: Final[tuple[sa.ColumnElement[Any], ...]] = (
    operations.c.id,
    operations.c.kind,
    operations.c.status,
    operations.c.progress,
    operations.c.step,
    operations.c.undoing,
    operations.c.attempt,
    operations.c.error_code,
    operations.c.error_message,
    operations.c.vm_id,
    operations.c.project_id,
    operations.c.user_id,
    operations.c.created_at,
    operations.c.started_at,
    operations.c.finished_at,
    operations.c.deadline,
)


_FROM: Final = (
    event_details.c.session_id,
    event_details.c.address,
    event_details.c.agent,
    event_details.c.personal,
)


class AuditRepository:
    """Events as audit entries."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def list_entries(self, *, caller: Caller, limit: int, offset: int) -> Sequence[AuditEntry]:
        """Return the entries that a caller sees, newest first."""
        rows = await self._tx.execute(
            sa.select(events)
            .where(seen_by(reach_of(caller), owner=events.c.user_id, project=events.c.project_id))
            .order_by(events.c.created_at.desc(), events.c.id.desc())
            .limit(limit)
            .offset(offset),
            seeing(caller),
        )
        return [_entry(row) for row in rows]


class AuditLogRepository:
    """Everybody's events, with what is kept of who asked."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def list_page(self, wanted: AuditFilter, *, cursor: int | None, most: int) -> Sequence[Mapping[str, Any]]:
        """Return events below a position, the newest first."""
        query = (
            sa.select(event_log.c.position, *HASHED, *_FROM)
            .join_from(event_log, events, events.c.id == event_log.c.event_id)
            .outerjoin(event_details, event_details.c.event_id == events.c.id)
            .order_by(event_log.c.position.desc())
            .limit(most)
        )
        if wanted.user_id is not None:
            query = query.where(event_log.c.user_id == wanted.user_id)
        if wanted.resource_id is not None:
            query = query.where(event_log.c.resource_id == wanted.resource_id)
        if cursor is not None:
            query = query.where(event_log.c.position < cursor)
        return [dict(row) for row in (await self._tx.execute(query)).mappings()]


class OperationViews:
    """Operations as whoever sees them may read them."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def find(self, operation_id: UUID, *, caller: Caller) -> sa.Row[Any] | None:
        """Return an operation that a caller sees."""
        query = sa.select(*_OPERATION).where(operations.c.id == operation_id, _seen_by(caller))
        return (await self._tx.execute(query, seeing(caller))).first()

    async def list(
        self, wanted: OperationFilter, *, caller: Caller, limit: int, after: tuple[datetime, UUID] | None
    ) -> Sequence[sa.Row[Any]]:
        """Return operations that a caller sees, the newest first, behind a row that was shown."""
        query = _page(wanted, limit=limit, after=after).where(_seen_by(caller))
        return (await self._tx.execute(query, seeing(caller))).all()

    async def find_any(self, operation_id: UUID) -> sa.Row[Any] | None:
        """Return an operation, whoever it belongs to."""
        return (await self._tx.execute(sa.select(*_OPERATION).where(operations.c.id == operation_id))).first()

    async def list_all(
        self, wanted: OperationFilter, *, limit: int, after: tuple[datetime, UUID] | None
    ) -> Sequence[sa.Row[Any]]:
        """Return everybody's operations, the newest first, behind a row that was shown."""
        return (await self._tx.execute(_page(wanted, limit=limit, after=after))).all()

    async def has_vm(self, vm_id: UUID, *, caller: Caller) -> bool:
        """Tell whether the caller sees this machine, or has had it."""
        seen = seen_by(reach_of(caller), owner=vms.c.user_id, project=vms.c.project_id)
        query = sa.select(vms.c.id).where(vms.c.id == vm_id, seen)
        return (await self._tx.execute(query, seeing(caller))).first() is not None


def _seen_by(caller: Caller) -> sa.ColumnElement[bool]:
    return seen_by(reach_of(caller), owner=operations.c.user_id, project=operations.c.project_id)


def _page(wanted: OperationFilter, *, limit: int, after: tuple[datetime, UUID] | None) -> sa.Select[tuple[Any, ...]]:
    query = (
        sa.select(*_OPERATION)
        .where(*_conditions(wanted))
        .order_by(operations.c.created_at.desc(), operations.c.id.desc())
        .limit(limit)
    )
    if after is None:
        return query
    created_at, operation_id = after
    return query.where(
        sa.tuple_(operations.c.created_at, operations.c.id)
        < sa.tuple_(sa.literal(created_at, operations.c.created_at.type), sa.literal(operation_id, sa.Uuid))
    )


def _conditions(wanted: OperationFilter) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if wanted.vm_id is not None:
        conditions.append(operations.c.vm_id == wanted.vm_id)
    if wanted.user_id is not None:
        conditions.append(operations.c.user_id == wanted.user_id)
    if wanted.kind is not None:
        conditions.append(operations.c.kind == wanted.kind)
    if wanted.status is not None:
        # Most have succeeded and are found on the way through the list; for the few others there is an index.
        conditions.append(operations.c.status == constant(wanted.status))
        if wanted.status is not OperationStatus.SUCCEEDED:
            conditions.append(is_not_succeeded)
    return conditions


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
