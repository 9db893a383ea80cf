"""The operations table: enqueue, claim, advance, end. Every change of a claimed row names its fence.

The fence belongs to the machine and rises with every claim and every supersession, so that a
worker that slept through its lease can change nothing, neither here nor at the driver.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cache
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
import structlog

from zentry.operations.errors import VMBusy
from zentry.operations.types import CANCELLED, Claim, Failure, Operation
from zentry.platform.db import Transaction, values
from zentry.platform.signals import OPERATION_ENDED, OPERATIONS_DUE
from zentry.platform.tracing import current_traceparent
from zentry.schema.operations import OperationStatus, is_active, is_pending, is_running, operations
from zentry.schema.vms import vms

_VIEW: Final[tuple[sa.ColumnElement[Any], ...]] = (
    operations.c.id,
    operations.c.kind,
    operations.c.vm_id,
    operations.c.status,
    operations.c.progress,
    operations.c.error_code,
    operations.c.error_message,
)


# Built once: to build them costs more than to run them.
_FIND: Final = sa.select(*_VIEW).where(operations.c.id == sa.bindparam("operation_id"))
_FIND_ACTIVE: Final = sa.select(*_VIEW).where(operations.c.vm_id == sa.bindparam("vm_id"), is_active)
_RAISE_FENCE: Final = sa.update(vms).where(vms.c.id == sa.bindparam("vm_id")).values(fence=vms.c.fence + 1)
_SUPERSEDE: Final = (
    sa.update(operations)
    .where(operations.c.vm_id == sa.bindparam("superseded_vm"), is_active)
    .values(
        status=OperationStatus.CANCELLED,
        finished_at=sa.bindparam("now"),
        lease_until=None,
        error_code="SUPERSEDED",
        error_message="A newer operation has taken its place.",
    )
    .returning(operations.c.id)
)
_DUE: Final = (
    sa.select(operations.c.id, operations.c.vm_id)
    .where(
        sa.or_(
            sa.and_(is_pending, operations.c.not_before <= sa.bindparam("now")),
            sa.and_(is_running, operations.c.lease_until < sa.bindparam("now")),
        )
    )
    .order_by(operations.c.not_before)
    .limit(sa.bindparam("most"))
    .with_for_update(skip_locked=True)
)
_NEXT_DUE: Final = sa.select(
    sa.select(sa.func.min(operations.c.not_before)).where(is_pending).scalar_subquery(),
    sa.select(sa.func.min(operations.c.lease_until)).where(is_running).scalar_subquery(),
)
_IDS: Final = sa.bindparam("ids", expanding=True, type_=sa.Uuid)
_RAISE_FENCES: Final = sa.update(vms).where(vms.c.id.in_(_IDS)).values(fence=vms.c.fence + 1)
_CLAIM: Final = (
    sa.update(operations)
    .where(operations.c.id.in_(_IDS))
    .values(
        status=OperationStatus.RUNNING,
        owner=sa.bindparam("owner_"),
        lease_until=sa.bindparam("until"),
        attempt=operations.c.attempt + 1,
        started_at=sa.func.coalesce(operations.c.started_at, sa.bindparam("now", type_=operations.c.started_at.type)),
        fence=sa.select(vms.c.fence).where(vms.c.id == operations.c.vm_id).scalar_subquery(),
    )
    .returning(
        operations.c.id,
        operations.c.kind,
        operations.c.vm_id,
        operations.c.project_id,
        operations.c.user_id,
        operations.c.fence,
        operations.c.step,
        operations.c.undoing,
        operations.c.attempt,
        operations.c.deadline,
        operations.c.input,
        operations.c.request_id,
        operations.c.traceparent,
    )
)
_RENEW: Final = (
    sa.update(operations)
    .where(operations.c.id.in_(_IDS), operations.c.owner == sa.bindparam("owner_"), is_running)
    .values(lease_until=sa.bindparam("until"))
    .returning(operations.c.id)
)
_HELD: Final = sa.select(operations.c.id).where(
    operations.c.id == sa.bindparam("operation_id"), operations.c.fence == sa.bindparam("fence"), is_running
)


class OperationQueue:
    """The durable queue inside one transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def enqueue(
        self,
        kind: str,
        *,
        vm_id: UUID,
        project_id: UUID,
        user_id: UUID,
        deadline: timedelta,
        input_: Mapping[str, Any] | None = None,
    ) -> Operation:
        """Add an operation, or raise `VMBusy`: a machine has one active operation at most."""
        operation_id = self._tx.new_id()
        added = await self._tx.insert_unless_there(
            operations,
            {
                "id": operation_id,
                "kind": kind,
                "vm_id": vm_id,
                "project_id": project_id,
                "user_id": user_id,
                "status": OperationStatus.PENDING,
                "not_before": self._tx.now,
                "deadline": self._tx.now + deadline,
                "input": dict(input_ or {}),
                "request_id": structlog.contextvars.get_contextvars().get("request_id"),
                "traceparent": current_traceparent(),
                "created_at": self._tx.now,
            },
        )
        if not added:
            blocking = await self.find_active(vm_id)
            # It may have ended between the two statements; the caller tries again either way.
            raise VMBusy(blocking or Operation(operation_id, kind, vm_id, OperationStatus.PENDING, 0))
        self._tx.after_commit(OPERATIONS_DUE)
        return Operation(operation_id, kind, vm_id, OperationStatus.PENDING, 0)

    async def find(self, operation_id: UUID) -> Operation | None:
        """Return an operation as it is now."""
        row = (await self._tx.execute(_FIND, {"operation_id": operation_id})).first()
        return None if row is None else _operation(row)

    async def find_active(self, vm_id: UUID) -> Operation | None:
        """Return the operation under way for a machine."""
        row = (await self._tx.execute(_FIND_ACTIVE, {"vm_id": vm_id})).first()
        return None if row is None else _operation(row)

    async def find_active_in_project(self, project_id: UUID) -> Operation | None:
        """Return an operation under way for any machine of a project."""
        query = sa.select(*_VIEW).where(operations.c.project_id == project_id, is_active).limit(1)
        row = (await self._tx.execute(query)).first()
        return None if row is None else _operation(row)

    async def hand_over(self, project_id: UUID, *, to: UUID) -> None:
        """Show the operations of a project, past ones too, to the account that owns it from now on."""
        await self._tx.execute(sa.update(operations).where(operations.c.project_id == project_id).values(user_id=to))

    async def supersede(self, vm_id: UUID) -> None:
        """Cancel what is under way for a machine and raise its fence, so that no old order can land."""
        cancelled = await self._tx.execute(_SUPERSEDE, {"superseded_vm": vm_id, "now": self._tx.now})
        for (operation_id,) in cancelled.all():
            self._tx.after_commit(ended_topic(operation_id))
        await self._tx.execute(_RAISE_FENCE, {"vm_id": vm_id})

    async def cancel(self, operation_id: UUID) -> bool:
        """Turn an operation back on request; False when it has ended or is turning back already.

        The fence rises, so that whoever drives it can record nothing more, and the next claim undoes it.
        """
        turned = await self._tx.execute(
            sa.update(operations)
            .where(operations.c.id == operation_id, is_active, operations.c.undoing.is_(sa.false()))
            .values(
                status=OperationStatus.PENDING,
                undoing=True,
                attempt=0,
                owner=None,
                lease_until=None,
                not_before=self._tx.now,
                error_code=CANCELLED,
                error_message="Cancelled on request.",
            )
            .returning(operations.c.vm_id)
        )
        vm_id = turned.scalar_one_or_none()
        if vm_id is None:
            return False
        await self._tx.execute(_RAISE_FENCE, {"vm_id": vm_id})
        self._tx.after_commit(OPERATIONS_DUE)
        return True

    async def try_now(self, operation_id: UUID) -> bool:
        """Let an operation that waits for its next try be due; False for every other."""
        due = await self._tx.execute(
            sa.update(operations)
            .where(operations.c.id == operation_id, is_pending, operations.c.not_before > self._tx.now)
            .values(not_before=self._tx.now)
        )
        if due.rowcount:
            self._tx.after_commit(OPERATIONS_DUE)
        return due.rowcount == 1

    async def claim(self, *, owner: str, lease: timedelta, limit: int) -> Sequence[Claim]:
        """Take up to `limit` operations that are due, or whose worker has let its lease run out."""
        now = self._tx.now
        rows = (await self._tx.execute(_DUE, {"now": now, "most": limit})).all()
        if not rows:
            return []
        await self._tx.execute(_RAISE_FENCES, {"ids": [row.vm_id for row in rows]})
        claimed = await self._tx.execute(
            _CLAIM, {"ids": [row.id for row in rows], "owner_": owner, "until": now + lease, "now": now}
        )
        return [Claim(*values(row)) for row in claimed.all()]

    async def renew(self, operation_ids: Sequence[UUID], *, owner: str, lease: timedelta) -> set[UUID]:
        """Prolong leases; return the ids that are still the owner's."""
        kept = await self._tx.execute(
            _RENEW, {"ids": list(operation_ids), "owner_": owner, "until": self._tx.now + lease}
        )
        return {row.id for row in kept.all()}

    async def is_held(self, claim: Claim) -> bool:
        """Tell whether the claim is still the newest; only a change of the row can make sure of it."""
        held = await self._tx.execute(_HELD, {"operation_id": claim.operation_id, "fence": claim.fence})
        return held.first() is not None

    async def advance(self, claim: Claim, *, step: int, progress: int) -> bool:
        """Record that the steps before `step` are done; False when the claim is lost."""
        return await self._change(claim, step=step, progress=progress, attempt=1)

    async def succeed(self, claim: Claim) -> bool:
        """End the operation well; False when the claim is lost."""
        return await self._end(claim, status=OperationStatus.SUCCEEDED, progress=100, step=claim.step + 1)

    async def fail(self, claim: Claim, failure: Failure) -> bool:
        """End the operation as failed or, on request, as cancelled; False when the claim is lost."""
        return await self._end(
            claim, status=failure.status, error_code=failure.code, error_message=failure.message[:500]
        )

    async def turn_back(self, claim: Claim, failure: Failure) -> bool:
        """Start to undo, from the step that was under way; False when the claim is lost."""
        return await self._change(
            claim,
            undoing=True,
            step=claim.step,
            attempt=1,
            error_code=failure.code,
            error_message=failure.message[:500],
        )

    async def failure_of(self, claim: Claim) -> Failure:
        """Return why an operation was turned back."""
        operation = await self.find(claim.operation_id)
        assert operation is not None, "operations are never deleted while they are claimed"
        return Failure(operation.error_code or "OPERATION_FAILED", operation.error_message or "The operation failed.")

    async def postpone(self, claim: Claim, *, by: timedelta) -> bool:
        """Give the operation back to the queue for a later try; False when the claim is lost."""
        return await self._change(
            claim, status=OperationStatus.PENDING, not_before=self._tx.now + by, lease_until=None, owner=None
        )

    async def next_due_in(self) -> timedelta | None:
        """Return how long until a waiting operation or a lease falls due, None when there is none."""
        row = (await self._tx.execute(_NEXT_DUE)).one()
        times = [time for time in row if time is not None]
        return max(timedelta(0), min(times) - self._tx.now) if times else None

    async def _end(self, claim: Claim, **changes: Any) -> bool:
        self._tx.after_commit(ended_topic(claim.operation_id))
        return await self._change(claim, finished_at=self._tx.now, lease_until=None, **changes)

    async def _change(self, claim: Claim, **changes: Any) -> bool:
        changed = await self._tx.execute(
            _changing(tuple(changes)),
            {
                "claim_id": claim.operation_id,
                "claim_fence": claim.fence,
                **{f"new_{name}": value for name, value in changes.items()},
            },
        )
        return changed.rowcount == 1


@cache
def _changing(names: tuple[str, ...]) -> sa.Update:
    return (
        sa.update(operations)
        .where(
            operations.c.id == sa.bindparam("claim_id"),
            operations.c.fence == sa.bindparam("claim_fence"),
            is_running,
        )
        .values({name: sa.bindparam(f"new_{name}") for name in names})
    )


def ended_topic(operation_id: UUID) -> str:
    """Return the signal that is poked when an operation has ended."""
    return f"{OPERATION_ENDED}:{operation_id}"


def _operation(row: sa.Row[Any]) -> Operation:
    return Operation(
        id=row.id,
        kind=row.kind,
        vm_id=row.vm_id,
        status=OperationStatus(row.status),
        progress=row.progress,
        error_code=row.error_code,
        error_message=row.error_message,
    )
