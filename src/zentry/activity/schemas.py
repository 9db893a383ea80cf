"""What activity answers with."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import ConfigDict, Field, JsonValue

from zentry.platform.wire import ReadModel


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
