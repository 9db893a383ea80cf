"""Values of the projects domain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from zentry.platform.caller import Caller, ProjectRole
from zentry.platform.db import Transaction
from zentry.platform.etags import etag


class ProjectContents(Protocol):
    """What the domain above knows of a project's machines."""

    async def terminate_all(self, tx: Transaction, *, project_id: UUID, caller: Caller) -> int:
        """Ask for every machine of the project to be removed; return how many there were."""
        ...


class ProjectHandover(Protocol):
    """How the domain above gives a project's machines to another account."""

    async def hand_over(self, tx: Transaction, *, project_id: UUID, giver_id: UUID, taker_id: UUID) -> int:
        """Give everything of the project to another account, which pays from now on; return how much is metered."""
        ...

    async def get_required(self, tx: Transaction, *, project_id: UUID, giver_id: UUID, taker_id: UUID) -> int:
        """Return the credit that another account must have for that, in micro-credits."""
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
class Member:
    """Somebody who works in a project."""

    user_id: UUID
    name: str
    email: str
    role: ProjectRole
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Invitation:
    """What was sent to an address and not accepted yet."""

    id: UUID
    project_id: UUID
    email: str
    role: ProjectRole
    invited_by: UUID
    created_at: datetime
    sent_at: datetime
    sends: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Transfer:
    """An offer to own a project; money in micro-credits."""

    project_id: UUID
    owner_id: UUID
    user_id: UUID
    required: int
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ProjectStatistics:
    """What a project holds and costs; money in micro-credits."""

    project_id: UUID
    vms_by_status: Mapping[str, int]
    running_cost_per_hour: int
    total_cost: int
