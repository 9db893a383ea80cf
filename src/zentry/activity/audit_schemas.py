"""The audit log as administrators are shown it."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from pydantic import ConfigDict, Field, JsonValue

from zentry.activity.events_schemas import EventResponse
from zentry.platform.wire import ReadModel

_ENTRY: Final[dict[str, JsonValue]] = {
    "position": 4711,
    "id": "01890a5d-ac96-774b-bcce-b302099a8057",
    "kind": "account.login_refused",
    "user_id": "01890a5d-ac96-774b-bcce-b302099a8001",
    "project_id": None,
    "resource_type": "user",
    "resource_id": "01890a5d-ac96-774b-bcce-b302099a8001",
    "cause": "user",
    "actor_id": None,
    "operation_id": None,
    "request_id": "3f2b1c0d9e8f7a6b5c4d",
    "data": {"reason": "wrong_password"},
    "created_at": "2026-01-15T10:30:00Z",
    "session_id": None,
    "address": "203.0.113.9",
    "agent": "Mozilla/5.0",
    "personal": None,
}


class AuditLogEntry(EventResponse):
    """One thing that has happened, and from where it was asked for."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ENTRY]})

    session_id: UUID | None = Field(description="The session that asked; null once it is no longer kept.")
    address: str | None = Field(description="Where the request came from; null once it is no longer kept.")
    agent: str | None = Field(description="The program that asked; null once it is no longer kept.")
    personal: dict[str, JsonValue] | None = Field(
        description="Names and e-mails `before` and `after` a change of them; null where there is none, and once they "
        "are no longer kept."
    )


class AuditPage(ReadModel):
    """A page of the audit log."""

    entries: list[AuditLogEntry]
    next_cursor: int | None = Field(description="Send it as `cursor` for the next page; null on the last one.")
