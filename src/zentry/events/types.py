"""What readers of the log get, and what they ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

TRANSITIONS: Final = (
    "vm.create_requested",
    "vm.failed",
    "vm.found_down",
    "vm.running",
    "vm.stopped",
    "vm.terminated",
)
"""Kinds of events with which a VM is in another state; they tell which in `before` and `after`."""


class LoggedEvent(msgspec.Struct, frozen=True):
    """An event at its position, as it goes to the wire."""

    position: int
    id: UUID
    kind: str
    user_id: UUID | None
    project_id: UUID | None
    resource_type: str
    resource_id: UUID
    cause: str
    actor_id: UUID | None
    operation_id: UUID | None
    request_id: str | None
    data: dict[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events are wanted: of an account, or of one project that whoever asks may see."""

    user_id: UUID
    project_id: UUID | None = None
    """With it, the project's events, whoever's they are."""
    kinds: Sequence[str] = ()
    """Beginnings of kinds; none is all."""
    resource_id: UUID | None = None
    actor_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def scope(self) -> UUID:
        """The project or account whose events they are."""
        return self.project_id or self.user_id

    def has(self, event: LoggedEvent) -> bool:
        """Tell whether an event of the scope is one of them, whenever it was."""
        return (
            (not self.kinds or event.kind.startswith(tuple(self.kinds)))
            and self.resource_id in {None, event.resource_id}
            and self.actor_id in {None, event.actor_id}
        )


@dataclass(frozen=True, slots=True)
class Bounds:
    """What there is of the log."""

    newest: int
    kept_from: int
