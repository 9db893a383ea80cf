"""Reads over the event log and the operations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from zentry.activity.types import AuditEntry, OperationFilter
from zentry.platform.db import Transaction
from zentry.schema.events import events
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
    operations.c.created_at,
    operations.c.started_at,
    operations.c.finished_at,
    operations.c.deadline,
)


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


class OperationViews:
    """Operations as their owner may read them."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def find(self, operation_id: UUID, *, user_id: UUID) -> sa.Row[Any] | None:
        """Return an operation of an account."""
        query = sa.select(*_OPERATION).where(operations.c.id == operation_id, operations.c.user_id == user_id)
        return (await self._tx.execute(query)).first()

    async def list(
        self, user_id: UUID, wanted: OperationFilter, *, limit: int, after: tuple[datetime, UUID] | None
    ) -> Sequence[sa.Row[Any]]:
        """Return operations of an account, the newest first, behind a row that was seen."""
        query = (
            sa.select(*_OPERATION)
            .where(operations.c.user_id == user_id, *_conditions(wanted))
            .order_by(operations.c.created_at.desc(), operations.c.id.desc())
            .limit(limit)
        )
        if after is not None:
            created_at, operation_id = after
            query = query.where(
                sa.tuple_(operations.c.created_at, operations.c.id)
                < sa.tuple_(sa.literal(created_at, operations.c.created_at.type), sa.literal(operation_id, sa.Uuid))
            )
        return (await self._tx.execute(query)).all()

    async def has_vm(self, vm_id: UUID, *, user_id: UUID) -> bool:
        """Tell whether the account has, or has had, this machine."""
        query = sa.select(vms.c.id).where(vms.c.id == vm_id, vms.c.user_id == user_id)
        return (await self._tx.execute(query)).first() is not None


def _conditions(wanted: OperationFilter) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if wanted.vm_id is not None:
        conditions.append(operations.c.vm_id == wanted.vm_id)
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
