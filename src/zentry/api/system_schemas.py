"""Wire models of the system and health routes."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, JsonValue

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


_AT: Final = "2026-01-31T12:00:00Z"
_DATABASE: Final[dict[str, JsonValue]] = {
    "status": "healthy",
    "type": "sqlite",
    "response_time_ms": 0.4,
    "users_count": 12,
    "schema_revision": "0003",
    "pool": {"limit": 12, "in_use": 1, "idle": 3},
    "error": None,
    "timestamp": _AT,
}


class DatabaseHealth(ReadModel):
    """How the database is."""

    model_config = ConfigDict(json_schema_extra={"examples": [_DATABASE]})

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

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"status": "healthy", "timestamp": _AT, "version": "1.0.0", "database": _DATABASE, "users_count": 12}
            ]
        }
    )

    status: Literal["healthy", "unhealthy"]
    timestamp: datetime
    version: str
    database: DatabaseHealth
    users_count: int | None = Field(description="Accounts; null while the database is away.")


class SimpleHealth(ReadModel):
    """Health with the figures of the day."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "healthy",
                    "timestamp": _AT,
                    "environment": "production",
                    "database": _DATABASE,
                    "version": "1.0.0",
                    "uptime": 86400.0,
                    "active_users": 12,
                    "total_vms": 7,
                    "running_vms": 5,
                }
            ]
        }
    )

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

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "healthy",
                    "timestamp": _AT,
                    "uptime": 86400.0,
                    "version": "1.0.0",
                    "database": _DATABASE,
                    "vm_statistics": {"total": 7, "running": 5, "by_status": {"running": 5, "stopped": 2}},
                    "resource_usage": {"vcpus": 5, "memory_mib": 5120, "disk_gib": 100},
                    "user_statistics": {"total": 12, "active": 12},
                }
            ]
        }
    )

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

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "alive", "timestamp": _AT}]})

    status: Literal["alive", "ready", "not_ready"]
    timestamp: datetime


class TableStatistics(ReadModel):
    """Rows per table."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"tables": {"users": 12, "vms": 7}, "total_rows": 19, "timestamp": _AT}]}
    )

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
