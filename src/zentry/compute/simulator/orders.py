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
    OBSERVE = "observe"
    INVENTORY = "inventory"
    SAMPLE = "sample"
    HISTORY = "sample_history"
    HOSTS = "hosts"


@dataclass(frozen=True, slots=True)
class Order:
    """One wish about one machine, with the fence under which it was given."""

    action: Action
    vm_id: UUID
    fence: int
    spec: VMSpec | None = None
    """Of CREATE and RESIZE only."""
    order: UUID | None = None
    """Of REBOOT only: the id under which it happens once."""
