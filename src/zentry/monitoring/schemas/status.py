"""What is wished of a machine, known of it, and seen of it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import ConfigDict, Field

from zentry.compute.types import Power
from zentry.monitoring.probe import Seen
from zentry.monitoring.schemas.fields import EXAMPLE_ID, EXAMPLE_TIME
from zentry.monitoring.types import VMCondition
from zentry.platform.wire import ReadModel
from zentry.schema.operations import OperationStatus
from zentry.schema.vms import VMStatus


class OperationSummary(ReadModel):
    """What is under way with a VM."""

    id: UUID
    kind: str = Field(examples=["vms.start"])
    status: OperationStatus
    progress: int = Field(ge=0, le=100, description="Percent.", examples=[50])


class VMStatusResponse(ReadModel):
    """What is wished of a VM, what is known of it, and what its host sees now."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "vm_id": EXAMPLE_ID,
                    "vm_name": "web-1",
                    "status": "running",
                    "wanted_status": "running",
                    "observed_power": "on",
                    "in_sync": True,
                    "stop_reason": None,
                    "active_operation": None,
                    "last_started": EXAMPLE_TIME,
                    "last_stopped": None,
                    "checked_at": EXAMPLE_TIME,
                }
            ]
        }
    )

    vm_id: UUID
    vm_name: str
    status: VMStatus
    wanted_status: str = Field(
        description="What the owner wishes: running, stopped or terminated.", examples=["running"]
    )
    observed_power: Power | None = Field(
        description="What the host sees; null when it has no such machine or does not answer."
    )
    in_sync: bool | None = Field(description="Whether the host sees what the status says; null when it can't be told.")
    stop_reason: str | None = Field(description="Why a stopped VM is stopped: user, credit, host or budget.")
    active_operation: OperationSummary | None
    last_started: datetime | None
    last_stopped: datetime | None
    checked_at: datetime

    @classmethod
    def of(cls, condition: VMCondition, seen: Seen) -> VMStatusResponse:
        """Put together what the database says and what the host sees."""
        return cls(
            vm_id=condition.vm_id,
            vm_name=condition.name,
            status=condition.status,
            wanted_status=condition.wanted,
            observed_power=seen.power,
            in_sync=_in_sync(condition, seen),
            stop_reason=condition.stop_reason,
            active_operation=OperationSummary.model_validate(condition.operation) if condition.operation else None,
            last_started=condition.last_started,
            last_stopped=condition.last_stopped,
            checked_at=condition.read_at,
        )


def _in_sync(condition: VMCondition, seen: Seen) -> bool | None:
    if not seen.answered or condition.operation is not None:
        return None
    if condition.status is VMStatus.RUNNING:
        return seen.power is Power.ON
    if condition.status is VMStatus.TERMINATED:
        return seen.power is None
    return seen.power is not Power.ON
