"""What the records of all operations share: read the machine, move it under the claim, tell what happened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from zentry.events.recorder import EventRecorder
from zentry.operations.runner import LostClaim
from zentry.operations.types import Claim
from zentry.platform.db import Transaction
from zentry.schema.vms import VMStatus
from zentry.vms.repository import VMRepository
from zentry.vms.types import VM

NOTHING_EXTRA: Final[Mapping[str, Any]] = {"extra_vcpus": 0, "extra_memory_mib": 0, "extra_disk_gib": 0}
"""A machine whose resize has ended, or that is gone, counts with its size alone."""


async def get_claimed(tx: Transaction, claim: Claim) -> VM:
    """Return the machine of a claim."""
    vm = await VMRepository(tx).find(claim.vm_id)
    assert vm is not None, "machines are never deleted from the table"
    return vm


async def land(tx: Transaction, claim: Claim, vm: VM, status: VMStatus, **values: Any) -> None:
    """Move a machine from the state that was seen, or raise `LostClaim` when a newer fence was raised."""
    if not await VMRepository(tx).land(claim, seen=vm.status, status=status, **values):
        raise LostClaim


async def record_event(tx: Transaction, claim: Claim, vm: VM, kind: str, **data: object) -> None:
    """Append to the event log what an operation has brought about."""
    await EventRecorder(tx).record(
        kind,
        resource_type="vm",
        resource_id=vm.id,
        user_id=vm.user_id,
        project_id=vm.project_id,
        cause=claim.kind,
        operation_id=claim.operation_id,
        data=data,
    )
