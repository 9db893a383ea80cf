"""Operations as they go to the wire: structs that msgspec renders."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa

from zentry.operations.types import Kind


class ErrorView(msgspec.Struct, frozen=True):
    """Why it did not succeed."""

    code: str
    message: str


class OperationView(msgspec.Struct, frozen=True):
    """One operation."""

    id: UUID
    kind: str
    status: str
    progress: int
    step: str | None
    undoing: bool
    attempt: int
    error: ErrorView | None
    vm_id: UUID
    project_id: UUID
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    deadline: datetime


def view_of(row: sa.Row[Any], kinds: Mapping[str, Kind]) -> OperationView:
    """Return a row of the queue as clients see it; the row counts steps, their names are the kind's."""
    steps = kinds[row.kind].steps if row.kind in kinds else ()
    return OperationView(
        id=row.id,
        kind=row.kind,
        status=row.status,
        progress=row.progress,
        step=steps[row.step].name if row.step < len(steps) else None,
        undoing=row.undoing,
        attempt=row.attempt,
        error=None if row.error_code is None else ErrorView(row.error_code, row.error_message or row.error_code),
        vm_id=row.vm_id,
        project_id=row.project_id,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        deadline=row.deadline,
    )
