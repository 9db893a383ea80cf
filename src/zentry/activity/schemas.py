"""What activity answers with."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import ConfigDict, Field, JsonValue

from zentry.platform.wire import ReadModel
from zentry.schema.operations import OperationStatus


class AuditEntryResponse(ReadModel):
    """One thing that happened to what the account owns."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "01890a5d-ac96-774b-bcce-b302099a8057",
                    "user_id": "01890a5d-ac96-774b-bcce-b302099a8001",
                    "action": "vm.running",
                    "resource_type": "vm",
                    "resource_id": "01890a5d-ac96-774b-bcce-b302099a8042",
                    "details": {"cause": "operation"},
                    "timestamp": "2026-01-15T10:30:00Z",
                }
            ]
        }
    )

    id: UUID
    user_id: UUID
    action: str = Field(description="What happened, as subject.verb.", examples=["vm.running"])
    resource_type: str = Field(examples=["vm"])
    resource_id: UUID
    details: dict[str, JsonValue] = Field(description="Facts of the event, and what brought it about.")
    timestamp: datetime


class OperationError(ReadModel):
    """Why an operation did not succeed, or why it is being undone."""

    code: str = Field(description="Stable code to program against.", examples=["NO_CAPACITY"])
    message: str


class OperationResponse(ReadModel):
    """What was asked of a VM, and how far it is."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "01890a5d-ac96-774b-bcce-b302099a8057",
                    "kind": "vms.create",
                    "status": "running",
                    "progress": 50,
                    "step": "boot",
                    "undoing": False,
                    "attempt": 1,
                    "error": None,
                    "vm_id": "01890a5d-ac96-774b-bcce-b302099a8042",
                    "project_id": "01890a5d-ac96-774b-bcce-b302099a8001",
                    "created_at": "2026-01-15T10:30:00Z",
                    "started_at": "2026-01-15T10:30:00.004Z",
                    "finished_at": None,
                    "deadline": "2026-01-15T10:35:00Z",
                }
            ]
        }
    )

    id: UUID
    kind: str = Field(description="What is done, as domain.verb.", examples=["vms.create"])
    status: OperationStatus
    progress: int = Field(ge=0, le=100, description="Percent of the steps that are done.")
    step: str | None = Field(description="The step under way, or at which it ended; null when it has succeeded.")
    undoing: bool = Field(description="Whether its steps are, or were, taken back.")
    attempt: int = Field(description="Which try of the step it is; 0 before the first.")
    error: OperationError | None = Field(description="Null while nothing has gone wrong.")
    vm_id: UUID
    project_id: UUID
    created_at: datetime
    started_at: datetime | None = Field(description="When a worker first took it up.")
    finished_at: datetime | None
    deadline: datetime = Field(description="If it has not succeeded by then, it is undone.")


class OperationList(ReadModel):
    """A page of operations, the newest first."""

    operations: list[OperationResponse]
    next_cursor: str | None = Field(description="Send as `cursor` for the page after this one; null on the last.")
