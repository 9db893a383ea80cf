"""Reads over everybody's tables for monitoring, and the records of the platform's health."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from zentry.monitoring.types import ActiveOperation, Component, Fleet, VMCondition
from zentry.platform.caller import Caller
from zentry.platform.db import Transaction
from zentry.projects.access import reach_of, seeing, seen_by
from zentry.schema.accounts import users
from zentry.schema.monitoring import health_records
from zentry.schema.operations import OperationStatus, is_active, is_pending, operations
from zentry.schema.vms import VMStatus, vms

_NONE: Final = timedelta(0)
_LAST_HEALTH: Final = sa.select(health_records.c.recorded_at).order_by(health_records.c.recorded_at.desc()).limit(1)
_INSERT_HEALTH: Final = sa.insert(health_records)
_NOTHING_AT_ALL: Final = sa.select(sa.literal(1))
_FLEET: Final = sa.select(
    sa.select(sa.func.count()).select_from(users).scalar_subquery().label("users"),
    sa.select(sa.func.min(users.c.meter_due_at))
    .where(users.c.meter_due_at.is_not(None))
    .scalar_subquery()
    .label("meter_due_at"),
    sa.select(sa.func.min(operations.c.not_before)).where(is_pending).scalar_subquery().label("due_at"),
    sa.select(sa.func.min(operations.c.created_at)).where(is_active).scalar_subquery().label("oldest"),
)
# Operations that have ended are history without a bound; only what is active is counted.
_ACTIVE: Final = (
    sa.select(operations.c.status, sa.func.count().label("number")).where(is_active).group_by(operations.c.status)
)
_VMS: Final = sa.select(vms.c.status, sa.func.count().label("number")).group_by(vms.c.status)
_PRUNE_HEALTH: Final = sa.delete(health_records).where(
    health_records.c.id.in_(
        sa.select(health_records.c.id)
        .where(health_records.c.recorded_at < sa.bindparam("before"))
        .order_by(health_records.c.recorded_at)
        .limit(sa.bindparam("most"))
    )
)


class MonitoringRepository:
    """Monitoring's reads, and its own table of health records."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def find_condition(self, vm_id: UUID, *, caller: Caller) -> VMCondition | None:
        """Return what is wished and known of a machine that a caller sees."""
        rows = await self._tx.execute(
            sa.select(
                vms,
                operations.c.id.label("operation_id"),
                operations.c.kind,
                operations.c.status.label("operation_status"),
                operations.c.progress,
            )
            .join_from(vms, operations, (operations.c.vm_id == vms.c.id) & is_active, isouter=True)
            .where(vms.c.id == vm_id, _seen_by(caller)),
            seeing(caller),
        )
        row = rows.one_or_none()
        if row is None:
            return None
        operation = None
        if row.operation_id is not None:
            operation = ActiveOperation(
                id=row.operation_id, kind=row.kind, status=OperationStatus(row.operation_status), progress=row.progress
            )
        return VMCondition(
            vm_id=row.id,
            name=row.name,
            status=VMStatus(row.status),
            wanted=row.wanted,
            stop_reason=row.stop_reason,
            last_started=row.last_started,
            last_stopped=row.last_stopped,
            operation=operation,
            read_at=self._tx.now,
        )

    async def ping(self) -> None:
        """Ask for nothing, to see how long an answer takes."""
        await self._tx.execute(_NOTHING_AT_ALL)

    async def read_fleet(self) -> Fleet:
        """Return the figures of the whole platform."""
        row = (await self._tx.execute(_FLEET)).one()
        active = await self._tx.execute(_ACTIVE)
        counts = {OperationStatus(found.status): found.number for found in active}
        found_vms = {VMStatus(found.status): found.number for found in await self._tx.execute(_VMS)}
        return Fleet(
            vms={status: found_vms.get(status, 0) for status in VMStatus},
            operations={status: counts.get(status, 0) for status in (OperationStatus.PENDING, OperationStatus.RUNNING)},
            users=row.users,
            queue_lag=self._since(row.due_at),
            oldest_operation=self._since(row.oldest),
            meter_lag=self._since(row.meter_due_at),
        )

    async def last_health_record_at(self) -> datetime | None:
        """Return when health was recorded last."""
        return (await self._tx.execute(_LAST_HEALTH)).scalar_one_or_none()

    async def insert_health_records(self, components: Sequence[Component]) -> None:
        """Record how the components are."""
        await self._tx.execute(
            _INSERT_HEALTH,
            [
                {
                    "id": self._tx.new_id(),
                    "component": component.name,
                    "status": component.status,
                    "details": {"reason": component.reason, **component.details},
                    "recorded_at": self._tx.now,
                }
                for component in components
            ],
        )

    async def prune_health_records(self, *, before: datetime, limit: int) -> int:
        """Forget at most `limit` of the records before an instant, and tell how many."""
        return (await self._tx.execute(_PRUNE_HEALTH, {"before": before, "most": limit})).rowcount

    def _since(self, instant: datetime | None) -> timedelta:
        return _NONE if instant is None else max(_NONE, self._tx.now - instant)


def _seen_by(caller: Caller) -> sa.ColumnElement[bool]:
    return seen_by(reach_of(caller), owner=vms.c.user_id, project=vms.c.project_id)
