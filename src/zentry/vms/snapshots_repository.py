"""Statements over snapshots."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from zentry.platform.caller import Caller
from zentry.platform.db import Transaction
from zentry.projects.access import reach_of, seeing, seen_by
from zentry.schema.vms import SnapshotStatus, is_being_cloned, is_kept, snapshots, vms
from zentry.vms.types import Snapshot

_SNAPSHOT: Final[tuple[sa.ColumnElement[Any], ...]] = (
    snapshots.c.id,
    snapshots.c.user_id,
    snapshots.c.project_id,
    snapshots.c.vm_id,
    snapshots.c.name,
    snapshots.c.image,
    snapshots.c.disk_gib,
    snapshots.c.status,
    snapshots.c.created_at,
)

_DOOM: Final = (
    sa.update(snapshots)
    .where(
        snapshots.c.vm_id == sa.bindparam("doomed_vm"),
        snapshots.c.status.in_(sa.bindparam("statuses", expanding=True)),
    )
    .values(status=SnapshotStatus.DELETING)
    .returning(snapshots.c.id)
)


class SnapshotRepository:
    """Rows of snapshots. One that is being deleted is out of sight."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def find(self, snapshot_id: UUID, *, caller: Caller) -> Snapshot | None:
        """Return a snapshot that a caller sees."""
        query = sa.select(*_SNAPSHOT).where(snapshots.c.id == snapshot_id, _seen_by(caller), is_kept)
        row = (await self._tx.execute(query, seeing(caller))).first()
        return None if row is None else _snapshot(row)

    async def find_of_account(self, snapshot_id: UUID, *, user_id: UUID) -> Snapshot | None:
        """Return a snapshot that an account pays for."""
        query = sa.select(*_SNAPSHOT).where(snapshots.c.id == snapshot_id, snapshots.c.user_id == user_id, is_kept)
        row = (await self._tx.execute(query)).first()
        return None if row is None else _snapshot(row)

    async def find_payer(self, snapshot_id: UUID) -> UUID | None:
        """Return which account pays for a snapshot."""
        query = sa.select(snapshots.c.user_id).where(snapshots.c.id == snapshot_id, is_kept)
        found: UUID | None = (await self._tx.execute(query)).scalar_one_or_none()
        return found

    async def list(
        self, *, caller: Caller, limit: int, vm_id: UUID | None = None, after: tuple[datetime, UUID] | None = None
    ) -> Sequence[Snapshot]:
        """Return the snapshots that a caller sees, of one machine where that is given, the newest first."""
        query = sa.select(*_SNAPSHOT).where(_seen_by(caller), is_kept)
        if vm_id is not None:
            query = query.where(snapshots.c.vm_id == vm_id)
        if after is not None:
            seen = (sa.literal(after[0], snapshots.c.created_at.type), sa.literal(after[1], sa.Uuid))
            query = query.where(sa.tuple_(snapshots.c.created_at, snapshots.c.id) < sa.tuple_(*seen))
        query = query.order_by(snapshots.c.created_at.desc(), snapshots.c.id.desc()).limit(limit)
        return [_snapshot(row) for row in (await self._tx.execute(query, seeing(caller))).all()]

    async def list_in_project(self, project_id: UUID) -> Sequence[Snapshot]:
        """Return the snapshots of a project, also those of machines that are gone."""
        query = sa.select(*_SNAPSHOT).where(snapshots.c.project_id == project_id, is_kept).order_by(snapshots.c.id)
        return [_snapshot(row) for row in (await self._tx.execute(query)).all()]

    async def insert(self, snapshot: Snapshot) -> bool:
        """Write a new snapshot; False when the machine has one of this name."""
        return await self._tx.insert_unless_there(
            snapshots,
            {
                "id": snapshot.id,
                "user_id": snapshot.user_id,
                "project_id": snapshot.project_id,
                "vm_id": snapshot.vm_id,
                "name": snapshot.name,
                "name_key": snapshot.name.casefold(),
                "image": snapshot.image,
                "disk_gib": snapshot.disk_gib,
                "status": snapshot.status,
                "created_at": snapshot.created_at,
            },
        )

    async def move(self, snapshot_id: UUID, *, seen: SnapshotStatus, to: SnapshotStatus) -> bool:
        """Move a snapshot from the status that was seen."""
        moved = await self._tx.execute(
            sa.update(snapshots).where(snapshots.c.id == snapshot_id, snapshots.c.status == seen).values(status=to)
        )
        return moved.rowcount == 1

    async def doom(self, vm_id: UUID, *, everything: bool = False) -> Sequence[UUID]:
        """Mark what is unfinished of a machine's snapshots, or all of them, for removal; return what is marked."""
        statuses = [SnapshotStatus.CREATING, SnapshotStatus.DELETING]
        if everything:
            statuses += [SnapshotStatus.AVAILABLE, SnapshotStatus.ERROR]
        marked = await self._tx.execute(_DOOM, {"doomed_vm": vm_id, "statuses": statuses})
        return sorted(marked.scalars())

    async def bury(self, snapshot_ids: Sequence[UUID]) -> int:
        """Record that snapshots are gone; return how many were not before."""
        gone = await self._tx.execute(
            sa.update(snapshots)
            .where(snapshots.c.id.in_(snapshot_ids), snapshots.c.status == SnapshotStatus.DELETING)
            .values(status=SnapshotStatus.DELETED, deleted_at=self._tx.now)
        )
        return gone.rowcount

    async def is_being_used(self, snapshot_id: UUID) -> bool:
        """Tell whether a machine is being made from it, in any project."""
        query = sa.select(vms.c.id).where(is_being_cloned, vms.c.snapshot_id == snapshot_id)
        return (await self._tx.execute(query.limit(1))).first() is not None


def _seen_by(caller: Caller) -> sa.ColumnElement[bool]:
    return seen_by(reach_of(caller), owner=snapshots.c.user_id, project=snapshots.c.project_id)


def _snapshot(row: sa.Row[Any]) -> Snapshot:
    return Snapshot(**{**row._mapping, "status": SnapshotStatus(row.status)})  # noqa: SLF001 - the documented mapping of a row
