"""What is done to a machine whose row and whose host disagree.

Each act names the fence that the row had before the hosts were asked, in the statement that
decides. The fence rises with every claim, so what a worker has done since makes the act void; what
was only asked for since is seen as an active operation. Rows are locked in the one order: users,
operations, machines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from zentry.billing.errors import AlreadyHeld, InsufficientCredits, PayerChanged
from zentry.billing.service import BillingService
from zentry.compute.types import Observation, Power
from zentry.events.recorder import EventRecorder
from zentry.operations.errors import VMBusy
from zentry.operations.queue import OperationQueue
from zentry.operations.types import Operation
from zentry.platform.db import Transaction
from zentry.platform.settings import Settings
from zentry.schema.operations import is_active, operations
from zentry.schema.vms import StopReason, VMStatus, is_alive, vms
from zentry.vms.kinds import DELETE, START
from zentry.vms.repository import VMRepository
from zentry.vms.states import VMEvent, next_state
from zentry.vms.types import VM


class Finding(StrEnum):
    """How a row and the hosts disagree."""

    DOWN = "down"
    """It is to run, and its host has it off or not at all."""
    STRAY = "stray"
    """It runs, and is to stand still or in error: nobody pays for it."""
    ORPHAN = "orphan"
    """It is terminated, and a host still has it."""
    UNDELETED = "undeleted"
    """Its deletion was accepted, and has failed: its host was away."""
    BROKEN = "broken"
    """It is in error, and a host has it, off: somebody has to decide."""
    MISSING = "missing"
    """It stands still, and no host has it; a start makes it anew."""
    UNKNOWN = "unknown"
    """A host has a machine that is none of ours."""


class MovedOn(Exception):
    """Something has happened to the machine since it was looked at: what was found is void."""


@dataclass(frozen=True, slots=True)
class Row:
    """A machine's row as it was before the hosts were asked."""

    id: UUID
    user_id: UUID
    project_id: UUID
    status: VMStatus
    wanted: str
    fence: int
    updated_at: datetime | None
    terminated_at: datetime | None
    is_busy: bool


def compare(row: Row | None, observed: Observation | None) -> Finding | None:
    """Return how a row and the hosts disagree, or None where they agree or an operation is under way."""
    if row is None:
        return Finding.UNKNOWN
    if row.is_busy or (observed is not None and observed.power is Power.UNKNOWN):
        return None
    if row.status is VMStatus.ERROR and row.wanted == "terminated":
        return Finding.UNDELETED
    if observed is None:
        return _ABSENT.get(row.status)
    return _PRESENT.get((row.status, observed.power))


_ABSENT: Final = {VMStatus.RUNNING: Finding.DOWN, VMStatus.STOPPED: Finding.MISSING}
_PRESENT: Final = {
    (VMStatus.RUNNING, Power.OFF): Finding.DOWN,
    (VMStatus.STOPPED, Power.ON): Finding.STRAY,
    (VMStatus.ERROR, Power.ON): Finding.STRAY,
    (VMStatus.ERROR, Power.OFF): Finding.BROKEN,
    (VMStatus.TERMINATED, Power.ON): Finding.ORPHAN,
    (VMStatus.TERMINATED, Power.OFF): Finding.ORPHAN,
}

_ROW: Final[tuple[sa.ColumnElement[Any], ...]] = (
    vms.c.id,
    vms.c.user_id,
    vms.c.project_id,
    vms.c.status,
    vms.c.wanted,
    vms.c.fence,
    vms.c.updated_at,
    vms.c.terminated_at,
    operations.c.id.label("operation_id"),
)
_ROWS: Final = sa.select(*_ROW).select_from(
    vms.outerjoin(operations, sa.and_(operations.c.vm_id == vms.c.id, is_active))
)

_ALIVE_BEYOND: Final = (
    _ROWS.where(is_alive, vms.c.id > sa.bindparam("beyond")).order_by(vms.c.id).limit(sa.bindparam("most"))
)
_ALIVE_BETWEEN: Final = _ALIVE_BEYOND.where(vms.c.id <= sa.bindparam("until"))


class Repairs:
    """Looks at machines and mends them. Runs inside the caller's transaction and never commits."""

    def __init__(self, tx: Transaction, settings: Settings) -> None:
        self._tx = tx
        self._settings = settings
        self._billing = BillingService(tx, settings.billing)
        self._queue = OperationQueue(tx)
        self._events = EventRecorder(tx)

    async def list_alive(self, *, after: UUID, until: UUID | None, limit: int) -> Sequence[Row]:
        """Return the machines of a range of ids that are not terminated."""
        bounds = {"beyond": after, "most": limit} | ({} if until is None else {"until": until})
        found = await self._tx.execute(_ALIVE_BEYOND if until is None else _ALIVE_BETWEEN, bounds)
        return [_row(row) for row in found.all()]

    async def list_by_id(self, vm_ids: Sequence[UUID]) -> Sequence[Row]:
        """Return those of these machines that have a row, terminated ones too."""
        return [_row(row) for row in (await self._tx.execute(_ROWS.where(vms.c.id.in_(vm_ids)))).all()]

    async def take_down(self, seen: Row, *, observed: Observation | None) -> None:
        """End the billing of a machine that was found down, and enqueue its start where that is wished and paid.

        Raises `MovedOn` when something has happened to it since; the caller's transaction is void then.
        """
        await self._stop_metering(seen)
        vm = await VMRepository(self._tx).find(seen.id)
        assert vm is not None, "machines are never deleted from the table"
        operation, reason = await self._start(vm)
        conditions = [*_is(seen), vms.c.wanted == "running"]
        if operation is None:
            await self._billing.start_keeping(vm.resource)
            conditions.append(_is_idle(seen))
        done = await self._tx.execute(
            sa.update(vms)
            .where(*conditions)
            .values(
                status=next_state(seen.status, VMEvent.STOPPED),
                wanted="stopped" if operation is None else "running",
                stop_reason=reason,
                last_stopped=self._tx.now,
                uptime_seconds=vm.uptime_seconds + vm.session_seconds(self._tx.now),
                updated_at=self._tx.now,
            )
        )
        if done.rowcount != 1:
            raise MovedOn
        power = "absent" if observed is None else str(observed.power)
        await self._record(
            "vm.found_down",
            seen,
            operation=operation,
            before=seen.status,
            after=VMStatus.STOPPED,
            power=power,
            starts_again=operation is not None,
        )

    async def delete_again(self, seen: Row) -> None:
        """Enqueue the deletion that was accepted and has failed; raises `MovedOn`."""
        await self._billing.lock_account(seen.user_id)
        operation = await self._enqueue(seen, DELETE)
        touched = await self._tx.execute(sa.update(vms).where(*_is(seen)).values(updated_at=self._tx.now))
        if touched.rowcount != 1:
            raise MovedOn
        await self._record("vm.found_undeleted", seen, operation=operation)

    async def raise_fence(self, seen: Row, finding: Finding) -> int:
        """Raise the fence of a machine for an order to its host, and return it; raises `MovedOn`."""
        raised = await self._tx.execute(
            sa.update(vms).where(*_is(seen), _is_idle(seen)).values(fence=vms.c.fence + 1).returning(vms.c.fence)
        )
        fence = raised.scalar_one_or_none()
        if fence is None:
            raise MovedOn
        await self._record(f"vm.found_{finding}", seen)
        return int(fence)

    async def _stop_metering(self, seen: Row) -> None:
        try:
            await self._billing.stop_metering(seen.id, seen.user_id)
        except PayerChanged as error:
            raise MovedOn from error

    async def _start(self, vm: VM) -> tuple[Operation | None, StopReason]:
        """Enqueue a start; without one, tell why the machine stays down."""
        if not self._settings.reconciler.restart:
            return None, StopReason.HOST
        prices = await self._billing.get_price_list()
        try:
            await self._billing.hold(vm.resource, prices=prices, with_fee=False)
        except InsufficientCredits:
            return None, StopReason.CREDIT
        except AlreadyHeld as error:
            raise MovedOn from error
        return await self._enqueue(vm, START, price_version=prices.version), StopReason.HOST

    async def _enqueue(self, vm: VM | Row, kind: str, **input_: object) -> Operation:
        try:
            return await self._queue.enqueue(
                kind,
                vm_id=vm.id,
                project_id=vm.project_id,
                user_id=vm.user_id,
                deadline=timedelta(seconds=self._settings.operations.deadline_seconds),
                input_=input_,
            )
        except VMBusy as error:
            raise MovedOn from error

    async def _record(self, kind: str, seen: Row, *, operation: Operation | None = None, **data: object) -> None:
        await self._events.record(
            kind,
            resource_type="vm",
            resource_id=seen.id,
            user_id=seen.user_id,
            project_id=seen.project_id,
            cause="reconciler",
            operation_id=None if operation is None else operation.id,
            data=data,
        )


def _is(seen: Row) -> tuple[sa.ColumnElement[bool], ...]:
    # Each claim raises the fence and each wish sets the time, so whatever was done or asked for since is in the row.
    return (
        vms.c.id == seen.id,
        vms.c.fence == seen.fence,
        vms.c.status == seen.status,
        vms.c.updated_at.is_not_distinct_from(seen.updated_at),
    )


def _is_idle(seen: Row) -> sa.ColumnElement[bool]:
    return ~sa.exists().where(operations.c.vm_id == seen.id, is_active)


def _row(row: sa.Row[Any]) -> Row:
    return Row(
        id=row.id,
        user_id=row.user_id,
        project_id=row.project_id,
        status=VMStatus(row.status),
        wanted=row.wanted,
        fence=row.fence,
        updated_at=row.updated_at,
        terminated_at=row.terminated_at,
        is_busy=row.operation_id is not None,
    )
