"""What monitoring refuses."""

from __future__ import annotations

from zentry.platform.errors import Conflict, Unavailable


class VMTerminated(Conflict):
    """A terminated machine has no metrics on this path."""

    code = "VM_TERMINATED"

    def __init__(self) -> None:
        super().__init__(
            "The VM is terminated and has no metrics. Its history is under /monitoring/vms/{id}/metrics/history."
        )


class MetricsUnavailable(Unavailable):
    """The store of metrics does not answer."""

    code = "METRICS_UNAVAILABLE"

    def __init__(self) -> None:
        super().__init__("The store of metrics does not answer. Try again in a moment.", retry_after_seconds=5)
