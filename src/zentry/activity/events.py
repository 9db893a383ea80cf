"""The rules of who may see which events, and what a VM's events say about its states."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from zentry.activity.repository import OperationViews
from zentry.events.reading import LogReader
from zentry.events.types import LoggedEvent, Wanted
from zentry.platform.caller import Caller
from zentry.platform.db import Transaction
from zentry.vms.errors import VMNotFound


class Transition(msgspec.Struct, frozen=True, rename={"before": "from", "after": "to"}):
    """A VM in another state than before, and why."""

    position: int
    event_id: UUID
    kind: str
    before: str | None
    after: str
    cause: str
    reason: str | None
    actor_id: UUID | None
    operation_id: UUID | None
    operation_kind: str | None
    error_code: str | None
    error_message: str | None
    at: datetime


class EventService:
    """Shows each account what is its own. Runs inside the caller's transaction and only looks."""

    def __init__(self, tx: Transaction) -> None:
        self._log = LogReader(tx)
        self._views = OperationViews(tx)

    async def list_events(
        self, wanted: Wanted, *, newest_first: bool, cursor: int | None, limit: int
    ) -> Sequence[LoggedEvent]:
        """Return events in the order of positions."""
        return await self._log.list_page(wanted, newest_first=newest_first, cursor=cursor, most=limit)

    async def list_transitions(
        self, vm_id: UUID | None, *, cursor: int | None, limit: int, caller: Caller
    ) -> Sequence[Transition]:
        """Return how a machine came from state to state, the newest first, or raise `VMNotFound`."""
        if vm_id is None or not await self._views.has_vm(vm_id, caller=caller):
            raise VMNotFound
        events = await self._log.list_transitions(vm_id, cursor=cursor, most=limit)
        asked = {event.operation_id for event in events if event.operation_id is not None}
        requests = await self._log.list_requests(vm_id, sorted(asked)) if asked else {}
        return [
            _transition(event, requests.get(event.operation_id) if event.operation_id else None) for event in events
        ]


def _transition(event: LoggedEvent, request: LoggedEvent | None) -> Transition:
    """Return a transition with the cause of the operation that brought it about, where there is one."""
    creates = event.kind == "vm.create_requested"
    came_from = request or event
    return Transition(
        position=event.position,
        event_id=event.id,
        kind=event.kind,
        before=None if creates else event.data.get("before"),
        after="creating" if creates else str(event.data.get("after")),
        cause=came_from.cause,
        reason=came_from.data.get("reason"),
        actor_id=came_from.actor_id,
        operation_id=event.operation_id,
        operation_kind=event.cause if event.cause.startswith("vms.") else None,
        error_code=event.data.get("code"),
        error_message=event.data.get("message"),
        at=event.created_at,
    )
