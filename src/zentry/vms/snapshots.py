"""The rules about snapshots: taking, restoring and deleting them.

A snapshot belongs to the account and the project of its machine, outlives the machine, and is
counted by the `snapshots` quota. What happens to it is an operation of its machine, so that
nothing else happens to that disk meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from zentry.operations.types import Operation
from zentry.platform.caller import Caller
from zentry.platform.errors import Conflict
from zentry.projects.access import Right
from zentry.schema.vms import SnapshotStatus, VMStatus
from zentry.vms.changes import VMChangeService
from zentry.vms.errors import EngineCannot, SnapshotInUse, SnapshotNameTaken, SnapshotNotAvailable, SnapshotNotFound
from zentry.vms.kinds import DELETE_SNAPSHOTS, RESTORE, SNAPSHOT
from zentry.vms.states import VMRequest, ensure_allowed
from zentry.vms.types import VM, Snapshot


class SnapshotService(VMChangeService):
    """The rules about snapshots. Runs inside the caller's transaction and never commits."""

    async def get_snapshot(self, snapshot_id: UUID | None, *, caller: Caller) -> Snapshot:
        """Return a snapshot that the caller sees, or raise `SnapshotNotFound`."""
        return await self._find_snapshot(snapshot_id, caller=caller, right=Right.READ)

    async def list_snapshots(
        self, *, caller: Caller, limit: int, after: tuple[datetime, UUID] | None
    ) -> Sequence[Snapshot]:
        """Return the snapshots that the caller sees, the newest first."""
        return await self._snapshots.list(caller=caller, limit=limit, after=after)

    async def list_snapshots_of_vm(self, vm_id: UUID | None, *, caller: Caller, limit: int) -> Sequence[Snapshot]:
        """Return the snapshots of one machine, the newest first."""
        vm = await self.get_vm(vm_id, caller=caller)
        return await self._snapshots.list(caller=caller, vm_id=vm.id, limit=limit)

    async def take_snapshot(self, vm_id: UUID | None, *, name: str, caller: Caller) -> tuple[Snapshot, Operation]:
        """Ask for a copy of a machine's disk as it is now."""
        vm = await self.get_vm(vm_id, caller=caller, right=Right.OPERATE)
        await self._ensure_idle(vm)
        ensure_allowed(vm.status, VMRequest.SNAPSHOT)
        self._ensure_snapshots()
        await self._billing.lock_account(vm.user_id)
        snapshot = Snapshot(
            id=self._tx.new_id(),
            user_id=vm.user_id,
            project_id=vm.project_id,
            vm_id=vm.id,
            name=name,
            image=vm.image,
            disk_gib=vm.disk_gib,
            status=SnapshotStatus.CREATING,
            created_at=self._tx.now,
        )
        operation = await self._enqueue(SNAPSHOT, vm, snapshot_id=str(snapshot.id))
        if not await self._snapshots.insert(snapshot):
            raise SnapshotNameTaken(name)
        await self._quotas.take_all((vm.user_id, vm.project_id), {"snapshots": 1})
        await self._record("vm.snapshot_requested", vm, operation, caller=caller, snapshot_id=str(snapshot.id))
        return snapshot, operation

    async def restore_snapshot(self, vm_id: UUID | None, snapshot_id: UUID | None, *, caller: Caller) -> Operation:
        """Ask for a machine's disk to be as it was when a snapshot of it was taken."""
        vm = await self.get_vm(vm_id, caller=caller, right=Right.OPERATE)
        snapshot = await self.get_snapshot(snapshot_id, caller=caller)
        if snapshot.vm_id != vm.id:
            raise SnapshotNotFound
        await self._ensure_idle(vm)
        ensure_allowed(vm.status, VMRequest.RESTORE)
        self._ensure_snapshots()
        if snapshot.status is not SnapshotStatus.AVAILABLE:
            raise SnapshotNotAvailable(snapshot.name, status=snapshot.status)
        operation = await self._enqueue(
            RESTORE,
            vm,
            was_running=vm.status is VMStatus.RUNNING,
            image=snapshot.image,
            snapshot_id=str(snapshot.id),
        )
        await self._touch(vm)
        await self._record("vm.restore_requested", vm, operation, caller=caller, snapshot_id=str(snapshot.id))
        return operation

    async def delete_snapshot(self, snapshot_id: UUID | None, *, caller: Caller) -> Operation:
        """Ask for a snapshot to be removed; nobody finds it from now on."""
        found = await self._find_snapshot(snapshot_id, caller=caller, right=Right.OPERATE)
        await self._billing.lock_account(found.user_id)  # Whoever makes a machine from it holds this lock as well.
        snapshot = await self.get_snapshot(snapshot_id, caller=caller)
        return await self._remove(snapshot, await self.get_vm(snapshot.vm_id, caller=caller), caller=caller)

    async def expire_unpaid_snapshot(self, snapshot_id: UUID, *, before: datetime) -> Operation:
        """Remove a snapshot that has been kept unpaid since before an instant, or raise `Conflict`."""
        payer_id = await self._snapshots.find_payer(snapshot_id)
        if payer_id is None:
            raise Conflict("The snapshot is being removed.")
        await self._billing.lock_account(payer_id)
        snapshot = await self._snapshots.find_of_account(snapshot_id, user_id=payer_id)
        vm = None if snapshot is None else await self._vms.find(snapshot.vm_id)
        if snapshot is None or vm is None or vm.delete_protection:
            raise Conflict("The snapshot is not to be removed.")
        if not await self._billing.is_unpaid_since(snapshot.id, payer_id, before=before):
            raise Conflict("The snapshot is paid for.")
        return await self._remove(snapshot, vm, caller=None)

    async def _remove(self, snapshot: Snapshot, vm: VM, *, caller: Caller | None) -> Operation:
        await self._ensure_idle(vm)
        if await self._snapshots.is_being_used(snapshot.id):
            raise SnapshotInUse(snapshot.name)
        operation = await self._enqueue(DELETE_SNAPSHOTS, vm, snapshot_ids=[str(snapshot.id)])
        if not await self._snapshots.move(snapshot.id, seen=snapshot.status, to=SnapshotStatus.DELETING):
            raise Conflict("The snapshot has just changed; look at it and try again.")
        await self._billing.stop_keeping([snapshot.id], snapshot.user_id)
        await self._record("vm.snapshot_delete_requested", vm, operation, caller=caller, snapshot_id=str(snapshot.id))
        return operation

    def _ensure_snapshots(self) -> None:
        if not self._capabilities.snapshots:
            raise EngineCannot("take snapshots")
