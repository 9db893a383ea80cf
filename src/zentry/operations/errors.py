"""What the queue refuses."""

from __future__ import annotations

from zentry.operations.types import Operation
from zentry.platform.errors import Conflict


class VMBusy(Conflict):
    """Another operation of this machine is under way."""

    code = "VM_BUSY"

    def __init__(self, operation: Operation) -> None:
        super().__init__(
            f"The VM is busy: operation {operation.id} ({operation.kind}) is {operation.status}."
            " Wait for it, or delete the VM.",
            operation_id=str(operation.id),
            kind=operation.kind,
            progress=operation.progress,
        )
