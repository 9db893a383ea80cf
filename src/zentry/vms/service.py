"""The rules about VMs: what may be asked for, and what one request writes.

Each method writes the wish, the money, the operation and the event in the caller's transaction:
they commit together or not at all. Rows are locked in one order everywhere, users first, then
operations, then machines, so that requests, the meter and workers never wait for each other in a
ring.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, Self
from uuid import UUID

from zentry.billing.budgets import BudgetService
from zentry.billing.service import BillingService
from zentry.events.changes import changes_of
from zentry.events.recorder import EventRecorder
from zentry.operations.errors import VMBusy
from zentry.operations.queue import OperationQueue
from zentry.operations.types import Operation
from zentry.platform.caller import Caller
from zentry.platform.db import Transaction
from zentry.platform.errors import Conflict, InvalidInput, NotFound
from zentry.platform.etags import ANY_VERSION, Precondition
from zentry.platform.settings import Settings
from zentry.projects.access import Right, ensure_may
from zentry.projects.errors import ProjectProtected
from zentry.projects.quotas import Quotas
from zentry.schema.vms import SnapshotStatus, StopReason, VMStatus
from zentry.vms.addresses import AddressPool
from zentry.vms.choices import Choices
from zentry.vms.errors import (
    InvalidTransition,
    SnapshotNotAvailable,
    SnapshotNotFound,
    SnapshotTooLarge,
    SSHKeyNotFound,
    VMNameTaken,
    VMNotFound,
    VMProtected,
)
from zentry.vms.kinds import CREATE, DELETE, DELETE_SNAPSHOTS, RESTART, START, STOP
from zentry.vms.repository import VMRepository
from zentry.vms.snapshots_repository import SnapshotRepository
from zentry.vms.ssh_keys import SSHKeyRepository
from zentry.vms.states import VMRequest, ensure_allowed
from zentry.vms.types import VM, Extras, InstanceType, Snapshot, SSHKey, VMChanges

NO_EXTRAS: Final = Extras()
_MOST_NAMED: Final = 10


class VMService:
    """The rules about VMs. Runs inside the caller's transaction and never commits."""

    ASKED_AGAIN: Final[Mapping[str, VMRequest | None]] = {
        CREATE: VMRequest.START,
        START: VMRequest.START,
        RESTART: VMRequest.START,
        STOP: VMRequest.STOP,
        DELETE: None,
    }
    """What an administrator may ask for when an operation of a kind has failed."""

    def __init__(self, tx: Transaction, settings: Settings) -> None:
        self._tx = tx
        self._settings = settings
        self._vms = VMRepository(tx)
        self._choices = Choices(tx)
        self._snapshots = SnapshotRepository(tx)
        self._queue = OperationQueue(tx)
        self._billing = BillingService(tx, settings.billing)
        self._budgets = BudgetService(tx, self._billing)
        self._quotas = Quotas(tx)
        self._events = EventRecorder(tx)
        self._match = ANY_VERSION
        self._addresses = AddressPool(tx, settings.compute.network)

    def only_if(self, match: Precondition) -> Self:
        """Let what is asked for next be meant for some versions of the machine only."""
        self._match = match
        return self

    async def get_vm(self, vm_id: UUID | None, *, caller: Caller, right: Right = Right.READ) -> VM:
        """Return a machine that the caller sees and has a right to, or raise `VMNotFound` or `RoleTooLow`."""
        vm = None if vm_id is None else await self._vms.find(vm_id, caller=caller)
        if vm is None:
            raise VMNotFound
        ensure_may(caller, right, project_id=vm.project_id, owner_id=vm.user_id)
        if self._match.is_given:  # A plain answer before any rule is looked at; the wish decides.
            self._match.ensure(vm.id, await self._vms.find_version(vm.id))
        return vm

    async def create_vm(
        self,
        *,
        name: str,
        instance_type: str,
        image: str | None,
        project_id: UUID | None,
        caller: Caller,
        extras: Extras = NO_EXTRAS,
    ) -> tuple[UUID, Operation]:
        """Ask for a machine: hold its credit, lease its address, count it, and enqueue its creation."""
        if not instance_type:
            raise InvalidInput.at("instance_type", "Send an instance_type, or a template_id that brings one.")
        size = await self._choices.get_size(instance_type)
        if (image is None) == (extras.snapshot_id is None):
            raise InvalidInput.at("image", "Send an image or a snapshot_id, one of them, or a template_id.")
        if image is not None:
            await self._choices.ensure_image(image)
        payer_id = None if project_id is None else await self._vms.find_owner(project_id, caller=caller)
        if project_id is None or payer_id is None:
            raise NotFound("Project")
        ensure_may(caller, Right.OPERATE, project_id=project_id, owner_id=payer_id)
        keys = await self._get_keys(extras.ssh_key_ids, caller=caller)
        if extras.snapshot_id is not None:
            source = await self._lock_source(extras.snapshot_id, payer_id=payer_id, caller=caller)
            image = _fitting(source, size).image
        assert image is not None, "one of the two was given"
        vm = VM(
            id=self._tx.new_id(),
            user_id=payer_id,
            project_id=project_id,
            name=name,
            instance_type=size.name,
            image=image,
            vcpus=size.vcpus,
            memory_mib=size.memory_mib,
            disk_gib=size.disk_gib,
            status=VMStatus.CREATING,
            wanted="running",
            ip_address=None,
            last_started=None,
            uptime_seconds=0,
            snapshot_id=extras.snapshot_id,
        )
        prices = await self._billing.get_price_list()
        await self._billing.hold(vm.resource, prices=prices, with_fee=True)
        if not await self._vms.is_owned_by(project_id, payer_id):
            raise NotFound("Project")  # It has changed hands, or has gone, while its owner's account was waited for.
        await self._budgets.ensure_may_create(payer_id, project_id=project_id, labels=extras.labels)
        address = await self._addresses.lease(vm.id)
        if not await self._vms.insert(replace(vm, ip_address=address), extras, keys=keys):
            raise VMNameTaken(name)
        await self._quotas.take_all((payer_id, project_id), vm.counted)
        operation = await self._enqueue(CREATE, vm, price_version=prices.version)
        await self._record("vm.create_requested", vm, operation, caller=caller, name=name, instance_type=size.name)
        return vm.id, operation

    async def change_vm(self, vm_id: UUID | None, changes: VMChanges, *, caller: Caller) -> UUID:
        """Rename or mark a machine, whatever is under way for it; one that is on its way out stays as it is."""
        vm = await self.get_vm(vm_id, caller=caller, right=Right.OPERATE)
        changed = await self._vms.change(vm, changes, match=self._match)
        if changed is None:
            if self._match.is_given:
                self._match.ensure(vm.id, await self._vms.find_version(vm.id))
            raise InvalidTransition("A VM that is terminated, or about to be, cannot be changed.", state=vm.status)
        if not changed:
            assert changes.name is not None, "only a name can be taken"
            raise VMNameTaken(changes.name)
        named = [field for field in ("name", "labels", "delete_protection") if getattr(changes, field) is not None]
        before = {"name": vm.name, "delete_protection": vm.delete_protection}
        after = {field: getattr(changes, field) for field in named if field in before}
        await self._events.record(
            "vm.changed",
            resource_type="vm",
            resource_id=vm.id,
            user_id=vm.user_id,
            project_id=vm.project_id,
            actor_id=caller.user_id,
            data={"changed": named, **changes_of(before, after)},
        )
        return vm.id

    async def start_vm(self, vm_id: UUID | None, *, caller: Caller) -> Operation:
        """Ask for a machine to run: hold its credit and enqueue the start."""
        vm = await self.get_vm(vm_id, caller=caller, right=Right.OPERATE)
        await self._ensure_idle(vm)
        ensure_allowed(vm.status, VMRequest.START)
        return await self._start(vm, caller=caller, event="vm.start_requested")

    async def restart_vm(self, vm_id: UUID | None, *, caller: Caller) -> Operation:
        """Ask for a machine to run afresh; one that stands still is started."""
        vm = await self.get_vm(vm_id, caller=caller, right=Right.OPERATE)
        await self._ensure_idle(vm)
        ensure_allowed(vm.status, VMRequest.RESTART)
        if vm.status is not VMStatus.RUNNING:
            return await self._start(vm, caller=caller, event="vm.restart_requested")
        operation = await self._enqueue(RESTART, vm)
        await self._wish(vm, wanted="running")
        await self._record("vm.restart_requested", vm, operation, caller=caller)
        return operation

    async def stop_vm(self, vm_id: UUID | None, *, caller: Caller) -> Operation:
        """Ask for a machine to stand still. Billing ends here, when the stop is accepted."""
        vm = await self.get_vm(vm_id, caller=caller, right=Right.OPERATE)
        await self._ensure_idle(vm)
        ensure_allowed(vm.status, VMRequest.STOP)
        return await self._stop(vm, reason=StopReason.USER, caller=caller)

    async def delete_vm(self, vm_id: UUID | None, *, caller: Caller) -> Operation | None:
        """Ask for a machine to be removed; legal in every state. None when it is terminated already.

        What is under way is cancelled, its fence raised so that it can't land later, and billing ends.
        """
        vm = await self.get_vm(vm_id, caller=caller, right=Right.OPERATE)
        if vm.status is VMStatus.TERMINATED:
            return None
        if vm.delete_protection:
            raise VMProtected(vm.name)
        return await self._delete(vm, caller=caller)

    async def delete_all_in_project(self, project_id: UUID, *, caller: Caller) -> int:
        """Ask for every machine of a project to be removed; return how many there were.

        All of them or none: where one is protected, `ProjectProtected` names those that are.
        """
        alive = await self._vms.list_alive_in_project(project_id)
        protected = [vm.name for vm in alive if vm.delete_protection]
        if protected:
            raise ProjectProtected(protected[:_MOST_NAMED])
        for vm in alive:
            await self._delete(vm, caller=caller, with_snapshots=True)
        for vm_id in {snapshot.vm_id: None for snapshot in await self._snapshots.list_in_project(project_id)}:
            await self._delete_left_snapshots(vm_id, caller=caller)
        return len(alive)

    async def suspend_vm(self, vm_id: UUID, *, reason: StopReason = StopReason.CREDIT) -> None:
        """Stop a machine without credit, over its budget, or whose owner is shut out; what is under way gives way."""
        vm = await self._vms.find(vm_id)
        if vm is None or vm.status is VMStatus.TERMINATED:
            return
        await self._billing.stop_metering(vm.id, vm.user_id)
        await self._queue.supersede(vm.id)
        doomed = await self._snapshots.doom(vm.id)
        await self._stop(vm, reason=reason, caller=None, doomed=doomed)
        if any(vm.extra.values()):  # A resize has given way: the machine keeps the size that it has.
            await self._vms.count_extra(vm, dict.fromkeys(vm.extra, 0))
            await self._quotas.give_back_all((vm.user_id, vm.project_id), vm.extra)

    async def ask_again(self, vm_id: UUID, kind: str, *, caller: Caller) -> Operation:
        """Ask once more, as an administrator, for what has failed; the rules are those of the first time."""
        vm = await self._vms.find(vm_id)
        assert vm is not None, "machines are never deleted from the table"
        await self._ensure_idle(vm)
        if kind == DELETE:
            if vm.status is VMStatus.TERMINATED:
                raise InvalidTransition("The VM is terminated already.", state=vm.status)
            return await self._delete(vm, caller=caller)
        request = self.ASKED_AGAIN[kind]
        assert request is not None, "only a deletion is legal in every state"
        ensure_allowed(vm.status, request)
        if kind == STOP:
            return await self._stop(vm, reason=StopReason.USER, caller=caller)
        return await self._start(vm, caller=caller, event="vm.start_requested")

    async def resume_vm(self, vm_id: UUID) -> Operation:
        """Start a machine that was stopped for credit, or raise `InsufficientCredits` or `Conflict`."""
        vm = await self._vms.find(vm_id)
        if vm is None or not await self._vms.is_out_of_credit(vm_id):
            raise Conflict("The VM does not stand still for credit any more.")
        await self._ensure_idle(vm)
        return await self._start(vm, caller=None, event="vm.resume_requested")

    async def expire_vm(self, vm_id: UUID) -> Operation:
        """Remove a machine whose time to be kept without credit is over, or raise `Conflict`."""
        vm = await self._vms.find(vm_id)
        if vm is None or vm.delete_protection or not await self._vms.is_out_of_credit(vm_id):
            raise Conflict("The VM does not stand still for credit any more.")
        return await self._delete(vm, caller=None)

    async def expire_unpaid_vm(self, vm_id: UUID, *, before: datetime) -> Operation:
        """Remove a machine whose disk or address has been kept unpaid since before an instant, or raise `Conflict`."""
        vm = await self._vms.find(vm_id)
        if vm is None or vm.delete_protection or vm.status is VMStatus.TERMINATED:
            raise Conflict("The VM is not to be removed.")
        if not await self._billing.is_unpaid_since(vm.id, vm.user_id, before=before):
            raise Conflict("What is kept of the VM is paid for.")
        return await self._delete(vm, caller=None)

    async def _get_keys(self, key_ids: Sequence[UUID], *, caller: Caller) -> Sequence[SSHKey]:
        keys = await SSHKeyRepository(self._tx).list(caller.user_id, ids=key_ids) if key_ids else []
        if set(key_ids) - {key.id for key in keys}:
            raise SSHKeyNotFound
        return keys

    async def _find_snapshot(self, snapshot_id: UUID | None, *, caller: Caller, right: Right) -> Snapshot:
        """Return a snapshot that the caller sees and has a right to, or raise `SnapshotNotFound` or `RoleTooLow`."""
        snapshot = None if snapshot_id is None else await self._snapshots.find(snapshot_id, caller=caller)
        if snapshot is None:
            raise SnapshotNotFound
        ensure_may(caller, right, project_id=snapshot.project_id, owner_id=snapshot.user_id)
        return snapshot

    async def _lock_source(self, snapshot_id: UUID, *, payer_id: UUID, caller: Caller) -> Snapshot:
        """Return the snapshot that a new machine's disk is to come from, which stays until the transaction ends."""
        snapshot = await self._find_snapshot(snapshot_id, caller=caller, right=Right.OPERATE)
        # Whoever deletes the snapshot holds its owner's lock as well. Two accounts are locked in one order.
        for account_id in sorted({snapshot.user_id, payer_id}):
            await self._billing.lock_account(account_id)
        return await self._find_snapshot(snapshot_id, caller=caller, right=Right.OPERATE)

    async def _start(self, vm: VM, *, caller: Caller | None, event: str) -> Operation:
        prices = await self._billing.get_price_list()
        await self._billing.hold(vm.resource, prices=prices, with_fee=False)
        await self._budgets.ensure_may_start(vm.user_id, project_id=vm.project_id, vm_id=vm.id)
        operation = await self._enqueue(START, vm, price_version=prices.version)
        address = vm.ip_address or await self._addresses.lease(vm.id)
        await self._wish(vm, wanted="running", ip_address=address)
        await self._record(event, vm, operation, caller=caller)
        return operation

    async def _stop(
        self, vm: VM, *, reason: StopReason, caller: Caller | None, doomed: Sequence[UUID] = ()
    ) -> Operation:
        await self._billing.stop_metering(vm.id, vm.user_id)
        await self._billing.start_keeping(vm.resource)
        operation = await self._enqueue(STOP, vm, **_naming(doomed))
        uptime = vm.uptime_seconds + vm.session_seconds(self._tx.now)
        await self._wish(vm, wanted="stopped", reason=reason, last_stopped=self._tx.now, uptime_seconds=uptime)
        await self._record("vm.stop_requested", vm, operation, caller=caller, reason=reason)
        return operation

    async def _delete_left_snapshots(self, vm_id: UUID, *, caller: Caller) -> None:
        """Ask for what is left of a terminated machine to be removed."""
        vm = await self.get_vm(vm_id, caller=caller)
        await self._queue.supersede(vm.id)
        doomed = await self._snapshots.doom(vm.id, everything=True)
        await self._billing.stop_keeping(doomed, vm.user_id)
        operation = await self._enqueue(DELETE_SNAPSHOTS, vm, **_naming(doomed))
        await self._record("vm.snapshot_delete_requested", vm, operation, caller=caller, **_naming(doomed))

    async def _delete(self, vm: VM, *, caller: Caller | None, with_snapshots: bool = False) -> Operation:
        await self._billing.stop_metering(vm.id, vm.user_id)
        await self._queue.supersede(vm.id)
        doomed = await self._snapshots.doom(vm.id, everything=with_snapshots)
        await self._billing.stop_keeping([vm.id, *doomed], vm.user_id)
        operation = await self._enqueue(DELETE, vm, **_naming(doomed))
        uptime = vm.uptime_seconds + vm.session_seconds(self._tx.now)
        await self._wish(vm, wanted="terminated", uptime_seconds=uptime)
        await self._record("vm.delete_requested", vm, operation, caller=caller)
        return operation

    async def _ensure_idle(self, vm: VM) -> None:
        """Raise `VMBusy` before a rule about the state could name one that is about to change."""
        busy = await self._queue.find_active(vm.id)
        if busy is not None:
            raise VMBusy(busy)

    async def _enqueue(self, kind: str, vm: VM, **input_: object) -> Operation:
        return await self._queue.enqueue(
            kind,
            vm_id=vm.id,
            project_id=vm.project_id,
            user_id=vm.user_id,
            deadline=timedelta(seconds=self._settings.operations.deadline_seconds),
            input_=input_,
        )

    async def _wish(self, vm: VM, *, wanted: str, reason: StopReason | None = None, **values: object) -> None:
        wished = await self._vms.wish(
            vm.id, owner_id=vm.user_id, seen=vm.status, wanted=wanted, reason=reason, match=self._match, **values
        )
        if not wished:
            if self._match.is_given:
                raise self._match.failed()
            raise Conflict("The VM has just changed its state; look at it and try again.")

    async def _record(self, kind: str, vm: VM, operation: Operation, *, caller: Caller | None, **data: object) -> None:
        await self._events.record(
            kind,
            resource_type="vm",
            resource_id=vm.id,
            user_id=vm.user_id,
            project_id=vm.project_id,
            cause="user" if caller else str(data.get("reason", "credit")),
            actor_id=caller.user_id if caller else None,
            operation_id=operation.id,
            data=data,
        )


def _fitting(snapshot: Snapshot, size: InstanceType) -> Snapshot:
    """Return the snapshot if a disk of this size can be made from it, else raise why not."""
    if snapshot.status is not SnapshotStatus.AVAILABLE:
        raise SnapshotNotAvailable(snapshot.name, status=snapshot.status)
    if size.disk_gib < snapshot.disk_gib:
        raise SnapshotTooLarge(snapshot.name, needed=snapshot.disk_gib, instance_type=size.name, there=size.disk_gib)
    return snapshot


def _naming(doomed: Sequence[UUID]) -> Mapping[str, list[str]]:
    """Return what an operation has to know of snapshots that are to go with it."""
    return {"snapshot_ids": [str(one) for one in doomed]} if doomed else {}
