"""Wire models of the system and health routes."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field, JsonValue

from zentry.platform.wire import ReadModel


class ServerInfo(ReadModel):
    """What this server is and where things are."""

    message: str = Field(examples=["Zentry Cloud API"])
    version: str = Field(examples=["1.0.0"])
    status: str = Field(examples=["running"])
    environment: str = Field(examples=["development"])
    docs: str = Field(description="Path of the interactive documentation.", examples=["/docs"])
    api_info: dict[str, str] = Field(description="Name, version and licence.")
    endpoints: dict[str, str] = Field(description="Paths of the main parts.")
    features: list[str] = Field(description="What the platform offers.")
    rate_limits: dict[str, str] = Field(description="Limits in force, in words.")
    timestamp: datetime


class DatabaseHealth(ReadModel):
    """How the database is."""

    status: Literal["healthy", "unhealthy"]
    type: str = Field(description="sqlite or postgresql.")
    response_time_ms: float
    users_count: int | None = Field(description="Accounts; null while the database is away.")
    schema_revision: str | None = Field(description="Migration that the schema is at.")
    pool: dict[str, int] = Field(description="Connections of this process: limit, in_use, idle.")
    error: str | None = Field(description="What is wrong, null when nothing is.")
    timestamp: datetime


class HealthStatus(ReadModel):
    """Whether the server can do its work."""

    status: Literal["healthy", "unhealthy"]
    timestamp: datetime
    version: str
    database: DatabaseHealth
    users_count: int | None = Field(description="Accounts; null while the database is away.")


class SimpleHealth(ReadModel):
    """Health with the figures of the day."""

    status: Literal["healthy", "unhealthy"]
    timestamp: datetime
    environment: str
    database: DatabaseHealth
    version: str
    uptime: float = Field(description="Seconds since this process started.")
    active_users: int | None = Field(description="Accounts that may sign in; null while the database is away.")
    total_vms: int | None = Field(description="Machines that exist; null while the database is away.")
    running_vms: int | None = Field(description="Machines that run; null while the database is away.")


class VMStatistics(ReadModel):
    """Machines of the platform."""

    total: int = Field(description="All but terminated ones.")
    running: int
    by_status: dict[str, int]


class AllocatedResources(ReadModel):
    """What running machines hold."""

    vcpus: int
    memory_mib: int
    disk_gib: int


class UserStatistics(ReadModel):
    """Accounts of the platform."""

    total: int
    active: int = Field(description="Accounts that may sign in.")


class PlatformHealth(ReadModel):
    """The platform at a glance."""

    status: Literal["healthy", "high_load", "idle", "unhealthy"] = Field(
        description="`idle` where no machine runs, `high_load` where nearly all database connections are taken."
    )
    timestamp: datetime
    uptime: float = Field(description="Seconds since this process started.")
    version: str
    database: DatabaseHealth
    vm_statistics: VMStatistics | None = Field(description="Null while the database is away.")
    resource_usage: AllocatedResources | None = Field(description="Null while the database is away.")
    user_statistics: UserStatistics | None = Field(description="Null while the database is away.")


class ProbeAnswer(ReadModel):
    """The answer to an orchestrator's probe."""

    status: Literal["alive", "ready", "not_ready"]
    timestamp: datetime


class TableStatistics(ReadModel):
    """Rows per table."""

    tables: dict[str, int]
    total_rows: int
    timestamp: datetime


class HealthRecord(ReadModel):
    """How a component was at one time."""

    id: UUID
    component: str = Field(examples=["database"])
    status: str = Field(examples=["healthy"])
    details: dict[str, JsonValue]
    recorded_at: datetime
