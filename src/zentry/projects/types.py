"""Values of the projects domain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from zentry.platform.caller import Caller
from zentry.platform.db import Transaction
from zentry.platform.etags import etag


class ProjectContents(Protocol):
    """What the domain above knows of a project's machines."""

    async def terminate_all(self, tx: Transaction, *, project_id: UUID, caller: Caller) -> int:
        """Ask for every machine of the project to be removed; return how many there were."""
        ...


@dataclass(frozen=True, slots=True)
class Project:
    """A project with the figures that its owner sees; money in micro-credits."""

    id: UUID
    user_id: UUID
    name: str
    description: str
    created_at: datetime
    updated_at: datetime | None
    vm_count: int
    active_vm_count: int
    total_cost: int

    @property
    def etag(self) -> str:
        """The name of its version, which a change may ask for."""
        return etag(self.id, created_at=self.created_at, updated_at=self.updated_at)


@dataclass(frozen=True, slots=True)
class ProjectStatistics:
    """What a project holds and costs; money in micro-credits."""

    project_id: UUID
    vms_by_status: Mapping[str, int]
    running_cost_per_hour: int
    total_cost: int
