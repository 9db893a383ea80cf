"""The rules of reading what happened, and of turning back what is under way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from zentry.activity.errors import OperationNotCancellable, OperationNotFound
from zentry.activity.repository import AuditRepository, OperationViews
from zentry.activity.types import AuditEntry, OperationFilter
from zentry.activity.views import OperationView, view_of
from zentry.events.recorder import EventRecorder
from zentry.operations.queue import OperationQueue
from zentry.operations.types import CANCELLED, Kind, Operation
from zentry.platform.caller import Caller
from zentry.platform.db import Transaction
from zentry.vms.errors import VMNotFound


class ActivityService:
    """Shows each account what is its own. Runs inside the caller's transaction and never commits."""

    def __init__(self, tx: Transaction, kinds: Mapping[str, Kind]) -> None:
        self._entries = AuditRepository(tx)
        self._operations = OperationViews(tx)
        self._queue = OperationQueue(tx)
        self._events = EventRecorder(tx)
        self._kinds = kinds

    async def list_entries(self, *, limit: int, offset: int, caller: Caller) -> Sequence[AuditEntry]:
        """Return the caller's entries, newest first."""
        return await self._entries.list_entries(caller.user_id, limit=limit, offset=offset)

    async def get_operation(self, operation_id: UUID | None, *, caller: Caller) -> OperationView:
        """Return an operation of the caller, or raise `OperationNotFound`."""
        row = None if operation_id is None else await self._operations.find(operation_id, user_id=caller.user_id)
        if row is None:
            raise OperationNotFound
        return view_of(row, self._kinds)

    async def list_operations(
        self, wanted: OperationFilter, *, limit: int, after: tuple[datetime, UUID] | None, caller: Caller
    ) -> Sequence[OperationView]:
        """Return operations of the caller, the newest first."""
        rows = await self._operations.list(caller.user_id, wanted, limit=limit, after=after)
        return [view_of(row, self._kinds) for row in rows]

    async def ensure_own_vm(self, vm_id: UUID | None, *, caller: Caller) -> UUID:
        """Return the id of a machine that is or was the caller's, or raise `VMNotFound`."""
        if vm_id is None or not await self._operations.has_vm(vm_id, user_id=caller.user_id):
            raise VMNotFound
        return vm_id

    async def cancel_operation(self, operation_id: UUID | None, *, caller: Caller) -> Operation:
        """Ask for an operation to be undone; one that is being cancelled already stays so."""
        view = await self.get_operation(operation_id, caller=caller)
        kind = self._kinds.get(view.kind)
        if kind is None or not kind.cancellable:
            raise OperationNotCancellable(
                f"An operation {view.kind} can't be undone. Wait for its end, or delete the VM.",
                kind=view.kind,
                status=view.status,
            )
        if await self._queue.cancel(view.id):
            await self._events.record(
                "operation.cancel_requested",
                resource_type="vm",
                resource_id=view.vm_id,
                user_id=caller.user_id,
                project_id=view.project_id,
                actor_id=caller.user_id,
                operation_id=view.id,
                data={"kind": view.kind},
            )
        operation = await self._queue.find(view.id)
        assert operation is not None, "operations are never deleted"
        if operation.error_code != CANCELLED:
            now_is = f"is {operation.status}" if operation.has_ended else "has failed and is being undone"
            raise OperationNotCancellable(
                f"The operation {now_is}: there is nothing left to cancel.", kind=view.kind, status=operation.status
            )
        return operation
