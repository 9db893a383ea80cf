"""Operations as values, and what a kind of operation is made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from zentry.platform.db import Transaction
from zentry.schema.operations import OperationStatus

CANCELLED: Final = "CANCELLED"
"""The code of an operation that was turned back because somebody asked for it."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One row of the queue, as clients see it."""

    id: UUID
    kind: str
    vm_id: UUID
    status: OperationStatus
    progress: int
    error_code: str | None = None
    error_message: str | None = None

    @property
    def has_ended(self) -> bool:
        """Tell whether nothing more will happen."""
        return self.status not in (OperationStatus.PENDING, OperationStatus.RUNNING)


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to drive one operation until the lease ends or a newer fence is raised."""

    operation_id: UUID
    kind: str
    vm_id: UUID
    project_id: UUID
    user_id: UUID
    fence: int
    step: int
    undoing: bool
    attempt: int
    deadline: datetime
    input: Mapping[str, Any]
    request_id: str | None
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an operation did not succeed."""

    code: str
    message: str

    @property
    def status(self) -> OperationStatus:
        """How an operation ends that was turned back for this."""
        return OperationStatus.CANCELLED if self.code == CANCELLED else OperationStatus.FAILED


Act = Callable[[Claim], Awaitable[None]]
Record = Callable[[Transaction, Claim], Awaitable[None]]
Abandon = Callable[[Transaction, Claim, Failure], Awaitable[None]]


async def nothing(_tx: Transaction, _claim: Claim) -> None:
    """Record nothing beyond the step itself."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step: an act in the world, then one transaction that records it.

    `act` runs with no transaction open and must be safe to repeat. In the transaction `account`
    comes first, then the fenced step itself, then `record`: the order in which rows are locked
    is users, operations, machines everywhere. `undo` takes the act back, also safe to repeat.
    """

    name: str
    act: Act
    account: Record = nothing
    record: Record = nothing
    undo: Act | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of operation: its steps, and how the books look when it did not succeed."""

    name: str
    steps: tuple[Step, ...]
    release: Abandon
    """Money first, under the account's lock: what is held or metered ends."""
    abandon: Abandon
    """Then the machine."""
    cancellable: bool = False
    """Whether it may be turned back on request: its undo leaves the machine as it was, or as if never made."""
