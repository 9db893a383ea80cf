"""The rules of reading what happened, and of turning back what is under way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from zentry.activity.errors import OperationNotCancellable, OperationNotFound, OperationNotRetryable
from zentry.activity.repository import AuditRepository, OperationViews
from zentry.activity.types import AuditEntry, OperationFilter
from zentry.activity.views import OperationView, view_of
from zentry.events.recorder import EventRecorder
from zentry.operations.queue import OperationQueue
from zentry.operations.types import CANCELLED, Kind, Operation
from zentry.platform.caller import Caller
from zentry.platform.db import Transaction
from zentry.projects.access import Right, ensure_may
from zentry.schema.operations import OperationStatus
from zentry.vms.errors import VMNotFound
from zentry.vms.service import VMService


class ActivityService:
    """Shows each account what is its own. Runs inside the caller's transaction and never commits."""

    def __init__(self, tx: Transaction, kinds: Mapping[str, Kind], vms: VMService) -> None:
        self._vms = vms
        self._entries = AuditRepository(tx)
        self._operations = OperationViews(tx)
        self._queue = OperationQueue(tx)
        self._events = EventRecorder(tx)
        self._kinds = kinds

    async def list_entries(self, *, limit: int, offset: int, caller: Caller) -> Sequence[AuditEntry]:
        """Return the entries that the caller sees, newest first."""
        return await self._entries.list_entries(caller=caller, limit=limit, offset=offset)

    async def get_operation(self, operation_id: UUID | None, *, caller: Caller) -> OperationView:
        """Return an operation that the caller sees, or raise `OperationNotFound`."""
        return view_of(await self._find(operation_id, caller=caller), self._kinds)

    async def list_operations(
        self, wanted: OperationFilter, *, limit: int, after: tuple[datetime, UUID] | None, caller: Caller
    ) -> Sequence[OperationView]:
        """Return operations that the caller sees, the newest first."""
        rows = await self._operations.list(wanted, caller=caller, limit=limit, after=after)
        return [view_of(row, self._kinds) for row in rows]

    async def ensure_own_vm(self, vm_id: UUID | None, *, caller: Caller) -> UUID:
        """Return the id of a machine that the caller sees, or raise `VMNotFound`."""
        if vm_id is None or not await self._operations.has_vm(vm_id, caller=caller):
            raise VMNotFound
        return vm_id

    async def cancel_operation(self, operation_id: UUID | None, *, caller: Caller) -> Operation:
        """Ask for an operation to be undone; one that is being cancelled already stays so."""
        row = await self._find(operation_id, caller=caller)
        ensure_may(caller, Right.OPERATE, project_id=row.project_id, owner_id=row.user_id)
        return await self._cancel(row, caller=caller)

    # For administrators

    async def list_all_operations(
        self, wanted: OperationFilter, *, limit: int, after: tuple[datetime, UUID] | None
    ) -> Sequence[OperationView]:
        """Return everybody's operations, the newest first."""
        rows = await self._operations.list_all(wanted, limit=limit, after=after)
        return [view_of(row, self._kinds) for row in rows]

    async def get_any_operation(self, operation_id: UUID | None) -> OperationView:
        """Return anybody's operation, or raise `OperationNotFound`."""
        return view_of(await self._find_any(operation_id), self._kinds)

    async def cancel_any(self, operation_id: UUID | None, *, caller: Caller) -> Operation:
        """Ask for anybody's operation to be undone."""
        return await self._cancel(await self._find_any(operation_id), caller=caller)

    async def retry(self, operation_id: UUID | None, *, caller: Caller) -> Operation:
        """Try now what waits for its next try, or ask again for what has failed."""
        row = await self._find_any(operation_id)
        if await self._queue.try_now(row.id):
            await self._record_act("operation.retried", row, caller=caller)
            found = await self._queue.find(row.id)
            assert found is not None, "operations are never deleted"
            return found
        if row.status != OperationStatus.FAILED or row.kind not in VMService.ASKED_AGAIN:
            raise OperationNotRetryable(
                f"An operation {row.kind} that is {row.status} can't be tried again by an administrator.",
                kind=row.kind,
                status=row.status,
            )
        return await self._vms.ask_again(row.vm_id, row.kind, caller=caller)

    async def _cancel(self, row: sa.Row[Any], *, caller: Caller) -> Operation:
        view = view_of(row, self._kinds)
        kind = self._kinds.get(view.kind)
        if kind is None or not kind.cancellable:
            raise OperationNotCancellable(
                f"An operation {view.kind} can't be undone. Wait for its end, or delete the VM.",
                kind=view.kind,
                status=view.status,
            )
        if await self._queue.cancel(view.id):
            await self._record_act("operation.cancel_requested", row, caller=caller)
        operation = await self._queue.find(view.id)
        assert operation is not None, "operations are never deleted"
        if operation.error_code != CANCELLED:
            now_is = f"is {operation.status}" if operation.has_ended else "has failed and is being undone"
            raise OperationNotCancellable(
                f"The operation {now_is}: there is nothing left to cancel.", kind=view.kind, status=operation.status
            )
        return operation

    async def _record_act(self, kind: str, row: sa.Row[Any], *, caller: Caller) -> None:
        await self._events.record(
            kind,
            resource_type="vm",
            resource_id=row.vm_id,
            user_id=row.user_id,
            project_id=row.project_id,
            actor_id=caller.user_id,
            operation_id=row.id,
            data={"kind": row.kind},
        )

    async def _find_any(self, operation_id: UUID | None) -> sa.Row[Any]:
        row = None if operation_id is None else await self._operations.find_any(operation_id)
        if row is None:
            raise OperationNotFound
        return row

    async def _find(self, operation_id: UUID | None, *, caller: Caller) -> sa.Row[Any]:
        row = None if operation_id is None else await self._operations.find(operation_id, caller=caller)
        if row is None:
            raise OperationNotFound
        return row
