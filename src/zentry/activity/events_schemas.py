"""Events as the API shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from pydantic import ConfigDict, Field, JsonValue

from zentry.platform.wire import ReadModel
from zentry.schema.vms import VMStatus

_EVENT: Final[dict[str, JsonValue]] = {
    "position": 4711,
    "id": "01890a5d-ac96-774b-bcce-b302099a8057",
    "kind": "vm.running",
    "user_id": "01890a5d-ac96-774b-bcce-b302099a8001",
    "project_id": "01890a5d-ac96-774b-bcce-b302099a8002",
    "resource_type": "vm",
    "resource_id": "01890a5d-ac96-774b-bcce-b302099a8042",
    "cause": "vms.start",
    "actor_id": None,
    "operation_id": "01890a5d-ac96-774b-bcce-b302099a8077",
    "request_id": None,
    "data": {"before": "stopped", "after": "running"},
    "created_at": "2026-01-15T10:30:00Z",
}
_TRANSITION: Final[dict[str, JsonValue]] = {
    "position": 4711,
    "event_id": "01890a5d-ac96-774b-bcce-b302099a8057",
    "kind": "vm.stopped",
    "from": "running",
    "to": "stopped",
    "cause": "credit",
    "reason": "credit",
    "actor_id": None,
    "operation_id": "01890a5d-ac96-774b-bcce-b302099a8077",
    "operation_kind": "vms.stop",
    "error_code": None,
    "error_message": None,
    "at": "2026-01-15T10:30:00Z",
}


class EventResponse(ReadModel):
    """One thing that has happened."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EVENT]})

    position: int = Field(description="Its place in the log of the whole platform; others' events lie in between.")
    id: UUID
    kind: str = Field(description="What happened, as subject.verb.")
    user_id: UUID | None = Field(description="The account that it belongs to.")
    project_id: UUID | None
    resource_type: str
    resource_id: UUID
    cause: str = Field(description="What brought it about: `user`, `credit`, `reconciler`, or a kind of operation.")
    actor_id: UUID | None = Field(description="The account that asked; null for the platform itself.")
    operation_id: UUID | None
    request_id: str | None = Field(description="The `X-Request-Id` of the request that caused it.")
    data: dict[str, JsonValue] = Field(description="Facts that depend on the kind.")
    created_at: datetime


class EventList(ReadModel):
    """A page of events."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"events": [_EVENT], "next_cursor": None}]})

    events: list[EventResponse]
    next_cursor: int | None = Field(description="Send as `cursor` for the page after this one; null on the last.")


class TransitionResponse(ReadModel):
    """A VM in another state than before, and why."""

    model_config = ConfigDict(json_schema_extra={"examples": [_TRANSITION]})

    position: int
    event_id: UUID
    kind: str
    from_: VMStatus | None = Field(alias="from", description="The state before; null where it was created.")
    to: VMStatus
    cause: str = Field(description="What brought it about: `user`, `credit`, `reconciler`, or a kind of operation.")
    reason: str | None = Field(description="Why it was stopped, where that was told.")
    actor_id: UUID | None = Field(description="The account that asked; null for the platform itself.")
    operation_id: UUID | None
    operation_kind: str | None
    error_code: str | None
    error_message: str | None
    at: datetime


class TransitionList(ReadModel):
    """A page of transitions, the newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"transitions": [_TRANSITION], "next_cursor": None}]})

    transitions: list[TransitionResponse]
    next_cursor: int | None = Field(description="Send as `cursor` for the page after this one; null on the last.")
