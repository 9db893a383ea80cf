"""The rules about what changes a machine itself: its size and its disk."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from zentry.compute.types import Capabilities
from zentry.operations.types import Operation
from zentry.platform.caller import Caller
from zentry.platform.db import Transaction
from zentry.platform.errors import Conflict
from zentry.platform.settings import Settings
from zentry.projects.access import Right
from zentry.projects.quotas import Amounts
from zentry.schema.vms import VMStatus
from zentry.vms.errors import EngineCannot, SizeUnchanged
from zentry.vms.kinds import REBUILD, RESIZE
from zentry.vms.service import VMService
from zentry.vms.states import VMRequest, ensure_allowed
from zentry.vms.types import VM, InstanceType


class VMChangeService(VMService):
    """The rules about changing machines, where the engine can. Never commits."""

    def __init__(self, tx: Transaction, settings: Settings, capabilities: Capabilities) -> None:
        super().__init__(tx, settings)
        self._capabilities = capabilities

    async def resize_vm(self, vm_id: UUID | None, *, instance_type: str, caller: Caller) -> Operation:
        """Ask for another size. What it needs more of, credit too, is taken now; what it needs less of is freed later.

        The disk grows to that of the new type and never shrinks, so that a smaller type keeps it.
        """
        vm = await self.get_vm(vm_id, caller=caller, right=Right.OPERATE)
        await self._ensure_idle(vm)
        ensure_allowed(vm.status, VMRequest.RESIZE)
        if not self._capabilities.resize:
            raise EngineCannot("resize VMs")
        size = await self._choices.get_size(instance_type)
        if size.name == vm.instance_type:
            raise SizeUnchanged(size.name)
        return await self._resize(vm, size, caller=caller)

    async def rebuild_vm(self, vm_id: UUID | None, *, image: str, caller: Caller) -> Operation:
        """Ask for a machine's disk to begin afresh from an image; its name, address and size stay."""
        vm = await self.get_vm(vm_id, caller=caller, right=Right.OPERATE)
        await self._ensure_idle(vm)
        ensure_allowed(vm.status, VMRequest.REBUILD)
        if not self._capabilities.rebuild:
            raise EngineCannot("rebuild VMs")
        await self._choices.ensure_image(image)
        operation = await self._enqueue(REBUILD, vm, was_running=vm.status is VMStatus.RUNNING, image=image)
        await self._touch(vm)
        await self._record("vm.rebuild_requested", vm, operation, caller=caller, image=image)
        return operation

    async def _touch(self, vm: VM) -> None:
        """Make another version of the machine, as every request does."""
        self._ensure_unmoved(await self._vms.touch(vm, match=self._match))

    def _ensure_unmoved(self, is_as_seen: bool) -> None:  # noqa: FBT001 - the answer of the statement that decided
        if is_as_seen:
            return
        if self._match.is_given:
            raise self._match.failed()
        raise Conflict("The VM has just changed its state; look at it and try again.")

    async def _resize(self, vm: VM, size: InstanceType, *, caller: Caller) -> Operation:
        disk_gib = max(vm.disk_gib, size.disk_gib)
        resized = replace(vm, instance_type=size.name, vcpus=size.vcpus, memory_mib=size.memory_mib, disk_gib=disk_gib)
        was_running = vm.status is VMStatus.RUNNING
        prices = await self._billing.get_price_list()
        if was_running:
            await self._billing.hold_for_rate(resized.resource, prices=prices)
        else:
            await self._billing.lock_account(vm.user_id)
        operation = await self._enqueue(
            RESIZE,
            vm,
            was_running=was_running,
            price_version=prices.version,
            instance_type=size.name,
            vcpus=size.vcpus,
            memory_mib=size.memory_mib,
            disk_gib=disk_gib,
        )
        await self._count_extra(vm, _more(vm, resized))
        await self._record(
            "vm.resize_requested", vm, operation, caller=caller, before=vm.instance_type, after=size.name
        )
        return operation

    async def _count_extra(self, vm: VM, extra: Amounts) -> None:
        self._ensure_unmoved(await self._vms.count_extra(vm, extra, match=self._match))
        owners = (vm.user_id, vm.project_id)
        await self._quotas.give_back_all(owners, vm.extra)
        await self._quotas.take_all(owners, extra)


def _more(vm: VM, resized: VM) -> Amounts:
    return {
        "vcpus": max(0, resized.vcpus - vm.vcpus),
        "memory_mib": max(0, resized.memory_mib - vm.memory_mib),
        "disk_gib": max(0, resized.disk_gib - vm.disk_gib),
    }
