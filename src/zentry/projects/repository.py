"""The SQL of projects."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from zentry.platform.caller import Caller
from zentry.platform.db import Transaction
from zentry.platform.etags import ANY_VERSION, Precondition, version_of
from zentry.projects.access import reach_of, seeing, seen_by
from zentry.projects.types import Project, ProjectStatistics
from zentry.schema.accounts import users
from zentry.schema.billing import resource_costs, segments
from zentry.schema.events import events
from zentry.schema.projects import projects
from zentry.schema.vms import VMStatus, vms

_LIVE: Final = tuple(status for status in VMStatus if status is not VMStatus.TERMINATED)


class ProjectRepository:
    """Reads and writes projects; every read carries the figures that belong to them."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def insert(self, project: Project) -> bool:
        """Add a project; False when the account has a live one of that name."""
        return await self._tx.insert_unless_there(
            projects,
            {
                "id": project.id,
                "user_id": project.user_id,
                "name": project.name,
                "name_key": _key(project.name),
                "description": project.description,
                "created_at": project.created_at,
            },
        )

    async def list_live(self, *, caller: Caller) -> list[Project]:
        """Return the projects that a caller sees, newest first; quotas bound how many."""
        reach = reach_of(caller)
        query = (
            _with_figures(seen_by(reach, owner=vms.c.user_id, project=vms.c.project_id))
            .where(_seen_by(caller), projects.c.deleted_at.is_(None))
            .order_by(projects.c.created_at.desc(), projects.c.id.desc())
        )
        return [Project(**row) for row in (await self._tx.execute(query, seeing(caller))).mappings()]

    async def find_live(self, project_id: UUID, *, caller: Caller) -> Project | None:
        """Return a project that a caller sees."""
        query = _with_figures(vms.c.project_id == project_id).where(
            projects.c.id == project_id, _seen_by(caller), projects.c.deleted_at.is_(None)
        )
        row = (await self._tx.execute(query, seeing(caller))).mappings().one_or_none()
        return None if row is None else Project(**row)

    async def get_statistics(self, project_id: UUID, *, owner_id: UUID) -> ProjectStatistics:
        """Return what a project holds and costs its owner."""
        by_status = (
            sa.select(vms.c.status, sa.func.count().label("machines"))
            .where(vms.c.project_id == project_id)
            .group_by(vms.c.status)
        )
        rate = sa.select(_total(segments.c.rate_micros_per_hour)).where(
            segments.c.user_id == owner_id, segments.c.ended_at.is_(None), segments.c.project_id == project_id
        )
        cost = sa.select(_total(resource_costs.c.charged_micros)).where(resource_costs.c.project_id == project_id)
        counts = {row.status: row.machines for row in await self._tx.execute(by_status)}
        sums = sa.select(rate.scalar_subquery().label("rate"), cost.scalar_subquery().label("cost"))
        money = (await self._tx.execute(sums)).one()
        return ProjectStatistics(
            project_id=project_id,
            vms_by_status={status.value: counts.get(status, 0) for status in VMStatus},
            running_cost_per_hour=money.rate,
            total_cost=money.cost,
        )

    async def find_version(self, project_id: UUID, *, owner_id: UUID) -> datetime | None:
        """Return the version in which a live project is; None when it is not there."""
        query = sa.select(version_of(projects)).where(*_live(project_id, owner_id))
        return (await self._tx.execute(query)).scalar_one_or_none()

    async def update(
        self,
        project_id: UUID,
        *,
        owner_id: UUID,
        name: str | None,
        description: str | None,
        match: Precondition = ANY_VERSION,
    ) -> bool | None:
        """Change a live project.

        None when no project fits: it is not there, of another version, or another has the name. False when another
        request took the name just now; then the transaction is over on PostgreSQL.
        """
        changes: dict[str, Any] = {"updated_at": self._tx.now}
        conditions = [*_live(project_id, owner_id), match.holds(project_id, version_of(projects))]
        if description is not None:
            changes["description"] = description
        if name is not None:
            changes.update(name=name, name_key=_key(name))
            conditions.append(~_another_of_this_name(project_id, owner_id, name))
        try:
            result = await self._tx.execute(sa.update(projects).where(*conditions).values(**changes))
        except sa.exc.IntegrityError:
            # Another request took the name between the look and the write; the unique index decides.
            return False
        return True if result.rowcount == 1 else None

    async def mark_deleted(self, project_id: UUID, *, owner_id: UUID, match: Precondition = ANY_VERSION) -> bool:
        """Take a project out of sight; False when it is not there, or of another version."""
        gone = await self._tx.execute(
            sa.update(projects)
            .where(*_live(project_id, owner_id), match.holds(project_id, version_of(projects)))
            .values(deleted_at=self._tx.now)
        )
        return gone.rowcount == 1

    async def count_terminated_with(self, project_id: UUID, *, user_id: UUID) -> int:
        """Return how many machines were terminated when the project was deleted."""
        query = sa.select(events.c.data).where(
            events.c.resource_id == project_id, events.c.user_id == user_id, events.c.kind == "project.deleted"
        )
        data = (await self._tx.execute(query)).scalars().first() or {}
        return int(data.get("terminated_vms", 0))

    async def change_owner(self, project: Project, *, to: UUID) -> bool:
        """Give a live project to another account; False when that has one of its name."""
        free = ~_another_of_this_name(project.id, to, project.name)
        change = sa.update(projects).where(*_live(project.id, project.user_id), free)
        try:
            changed = await self._tx.execute(change.values(user_id=to, updated_at=self._tx.now))
        except sa.exc.IntegrityError:
            return False  # A project of that name was made between the look and the write; the unique index decides.
        return changed.rowcount == 1

    async def is_owned_by(self, project_id: UUID, owner_id: UUID) -> bool:
        """Tell whether a project lives and is an account's; under the account's lock it stays so."""
        return (
            await self._tx.execute(sa.select(projects.c.id).where(*_live(project_id, owner_id)))
        ).first() is not None

    async def lock_account(self, user_id: UUID) -> None:
        """Wait for whoever changes the account's money, and go on alone."""
        await self._tx.execute(sa.select(users.c.id).where(users.c.id == user_id).with_for_update(key_share=True))


def _key(name: str) -> str:
    return name.casefold()


def _seen_by(caller: Caller) -> sa.ColumnElement[bool]:
    return seen_by(reach_of(caller), owner=projects.c.user_id, project=projects.c.id)


def _live(project_id: UUID, owner_id: UUID) -> tuple[sa.ColumnElement[bool], ...]:
    return projects.c.id == project_id, projects.c.user_id == owner_id, projects.c.deleted_at.is_(None)


def _another_of_this_name(project_id: UUID, owner_id: UUID, name: str) -> sa.ColumnElement[bool]:
    other = projects.alias("other")
    return sa.exists().where(
        other.c.user_id == owner_id,
        other.c.name_key == _key(name),
        other.c.deleted_at.is_(None),
        other.c.id != project_id,
    )


def _with_figures(machines: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Return the query for projects with counts and cost, of which `machines` says what to count."""
    counts = (
        sa.select(
            vms.c.project_id,
            sa.func.count().label("vm_count"),
            sa.func.count(sa.case((vms.c.status == VMStatus.RUNNING, 1))).label("active_vm_count"),
        )
        .where(machines, vms.c.status.in_(_LIVE))
        .group_by(vms.c.project_id)
        .subquery("counts")
    )
    cost = (
        sa.select(_total(resource_costs.c.charged_micros))
        .where(resource_costs.c.project_id == projects.c.id)
        .scalar_subquery()
    )
    return sa.select(
        projects.c.id,
        projects.c.user_id,
        projects.c.name,
        projects.c.description,
        projects.c.created_at,
        projects.c.updated_at,
        sa.func.coalesce(counts.c.vm_count, 0).label("vm_count"),
        sa.func.coalesce(counts.c.active_vm_count, 0).label("active_vm_count"),
        cost.label("total_cost"),
    ).select_from(projects.outerjoin(counts, counts.c.project_id == projects.c.id))


def _total(column: sa.Column[Any]) -> sa.ColumnElement[int]:
    """Return a sum that is never null, and an integer on both databases."""
    return sa.cast(sa.func.coalesce(sa.func.sum(column), 0), sa.BigInteger)
