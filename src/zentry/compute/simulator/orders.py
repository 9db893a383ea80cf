"""What the driver can be asked to do, as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from zentry.compute.types import VMSpec


class Action(StrEnum):
    """The methods of the driver protocol, by their names."""

    CREATE = "ensure_created"
    START = "ensure_running"
    STOP = "ensure_stopped"
    REBOOT = "reboot"
    REMOVE = "ensure_absent"
    RESIZE = "resize"
    REBUILD = "rebuild"
    SNAPSHOT = "snapshot"
    RESTORE = "restore"
    DELETE_SNAPSHOT = "delete_snapshot"
    OBSERVE = "observe"
    INVENTORY = "inventory"
    SAMPLE = "sample"
    HISTORY = "sample_history"
    CONSOLE = "console"
    HOSTS = "hosts"


@dataclass(frozen=True, slots=True)
class Order:
    """One wish about one machine, with the fence under which it was given."""

    action: Action
    vm_id: UUID
    fence: int
    spec: VMSpec | None = None
    """Of CREATE, RESIZE and REBUILD only."""
    order: UUID | None = None
    """Of REBOOT, REBUILD and RESTORE: the id under which it happens once."""
    snapshot_id: UUID | None = None
    """Of orders about a snapshot."""
