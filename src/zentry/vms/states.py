"""The state machine of a VM: data, and one pure function.

What is under way is an operation and not a state, so these five states are all there is. Events
are what has happened; requests are what may be asked for in a state.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from zentry.schema.vms import VMStatus
from zentry.vms.errors import InvalidTransition


class VMEvent(StrEnum):
    """What has happened to a machine."""

    BOOTED = "booted"
    REBOOTED = "rebooted"
    STOPPED = "stopped"
    FAILED = "failed"
    REMOVED = "removed"
    RESIZED = "resized"
    REPLACED = "replaced"


class VMRequest(StrEnum):
    """What a user may ask for."""

    START = "start"
    STOP = "stop"
    RESTART = "restart"
    RESIZE = "resize"
    REBUILD = "rebuild"
    SNAPSHOT = "snapshot"
    RESTORE = "restore"


TRANSITIONS: Final[Mapping[tuple[VMStatus, VMEvent], VMStatus]] = {
    (VMStatus.CREATING, VMEvent.BOOTED): VMStatus.RUNNING,
    (VMStatus.CREATING, VMEvent.FAILED): VMStatus.ERROR,
    (VMStatus.CREATING, VMEvent.REMOVED): VMStatus.TERMINATED,
    (VMStatus.RUNNING, VMEvent.REBOOTED): VMStatus.RUNNING,
    (VMStatus.RUNNING, VMEvent.RESIZED): VMStatus.RUNNING,
    (VMStatus.RUNNING, VMEvent.REPLACED): VMStatus.RUNNING,
    (VMStatus.RUNNING, VMEvent.STOPPED): VMStatus.STOPPED,
    (VMStatus.RUNNING, VMEvent.FAILED): VMStatus.ERROR,
    (VMStatus.RUNNING, VMEvent.REMOVED): VMStatus.TERMINATED,
    (VMStatus.STOPPED, VMEvent.BOOTED): VMStatus.RUNNING,
    (VMStatus.STOPPED, VMEvent.RESIZED): VMStatus.STOPPED,
    (VMStatus.STOPPED, VMEvent.REPLACED): VMStatus.STOPPED,
    (VMStatus.STOPPED, VMEvent.FAILED): VMStatus.ERROR,
    (VMStatus.STOPPED, VMEvent.REMOVED): VMStatus.TERMINATED,
    (VMStatus.ERROR, VMEvent.BOOTED): VMStatus.RUNNING,
    (VMStatus.ERROR, VMEvent.STOPPED): VMStatus.STOPPED,
    (VMStatus.ERROR, VMEvent.FAILED): VMStatus.ERROR,
    (VMStatus.ERROR, VMEvent.REMOVED): VMStatus.TERMINATED,
}

ALLOWED: Final[Mapping[VMRequest, frozenset[VMStatus]]] = {
    VMRequest.START: frozenset({VMStatus.STOPPED, VMStatus.ERROR}),
    VMRequest.STOP: frozenset({VMStatus.RUNNING, VMStatus.ERROR}),
    VMRequest.RESTART: frozenset({VMStatus.RUNNING, VMStatus.STOPPED, VMStatus.ERROR}),
    VMRequest.RESIZE: frozenset({VMStatus.RUNNING, VMStatus.STOPPED}),
    VMRequest.REBUILD: frozenset({VMStatus.RUNNING, VMStatus.STOPPED}),
    VMRequest.SNAPSHOT: frozenset({VMStatus.RUNNING, VMStatus.STOPPED}),
    VMRequest.RESTORE: frozenset({VMStatus.RUNNING, VMStatus.STOPPED}),
}
"""In which states a request is legal. Delete is legal in every state."""

_ALREADY: Final = {
    (VMRequest.START, VMStatus.RUNNING): "VM is already running",
    (VMRequest.STOP, VMStatus.STOPPED): "VM is already stopped",
}


def next_state(state: VMStatus, event: VMEvent) -> VMStatus:
    """Return the state that `event` leads to, or raise `InvalidTransition`."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise InvalidTransition(f"A VM that is {state} cannot have {event}.", state=state) from None


def ensure_allowed(state: VMStatus, request: VMRequest) -> None:
    """Raise `InvalidTransition` when the request makes no sense in the state."""
    if state in ALLOWED[request]:
        return
    text = _ALREADY.get((request, state), f"Cannot {request} a {state} VM")
    allowed = " or ".join(sorted(ALLOWED[request]))
    raise InvalidTransition(f"{text}. A VM can {request} when it is {allowed}.", state=state)
