"""Activity's values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from zentry.schema.operations import OperationStatus


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One thing that happened to what an account owns."""

    id: UUID
    user_id: UUID
    action: str
    resource_type: str
    resource_id: UUID
    details: Mapping[str, Any]
    timestamp: datetime


@dataclass(frozen=True, slots=True)
class OperationFilter:
    """Which operations are wanted."""

    vm_id: UUID | None = None
    status: OperationStatus | None = None
    kind: str | None = None
    user_id: UUID | None = None
    """Who pays; for administrators, who see everybody's."""


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries of the audit log are wanted."""

    user_id: UUID | None
    resource_id: UUID | None
