"""The rules about handing a project over: its owner offers it to a member, who accepts and pays from then on."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from zentry.events.recorder import EventRecorder
from zentry.platform.caller import Caller, ProjectRole
from zentry.platform.db import Transaction
from zentry.projects.access import Right, ensure_may
from zentry.projects.errors import MemberNotFound, ProjectNameTaken, ProjectNotFound, TransferNotFound
from zentry.projects.members_repository import MemberRepository
from zentry.projects.repository import ProjectRepository
from zentry.projects.types import Project, ProjectHandover, Transfer
from zentry.schema.projects import project_transfers

_LASTS: Final = timedelta(days=7)


class TransferService:
    """Offers, accepts and withdraws. Runs inside the caller's transaction and never commits."""

    def __init__(self, tx: Transaction, *, contents: ProjectHandover) -> None:
        self._tx = tx
        self._contents = contents
        self._projects = ProjectRepository(tx)
        self._members = MemberRepository(tx)
        self._events = EventRecorder(tx)

    async def get_transfer(self, project_id: UUID | None, *, caller: Caller) -> Transfer:
        """Return the offer of a project that the caller sees, and what it takes to accept it now."""
        return await self._get(await self._get_project(project_id, caller=caller, right=Right.READ))

    async def offer(self, project_id: UUID | None, user_id: UUID | None, *, caller: Caller) -> UUID:
        """Offer a project to one of its members; an offer before is withdrawn by that."""
        project = await self._get_project(project_id, caller=caller, right=Right.OWN)
        if user_id is None or await self._members.find_role(project.id, user_id) is None:
            raise MemberNotFound
        await self._projects.lock_account(project.user_id)
        await self._remove(project.id)
        await self._tx.execute(
            sa.insert(project_transfers).values(
                project_id=project.id, user_id=user_id, created_at=self._tx.now, expires_at=self._tx.now + _LASTS
            )
        )
        await self._record("project.transfer_offered", project, owner_id=project.user_id, to=user_id, caller=caller)
        return project.id

    async def withdraw(self, project_id: UUID | None, *, caller: Caller) -> UUID:
        """Take an offer back as the owner, or decline it as the one to whom it was made."""
        project = await self._get_project(project_id, caller=caller, right=Right.READ)
        transfer = await self._get(project)
        if transfer.user_id != caller.user_id:
            ensure_may(caller, Right.OWN, project_id=project.id, owner_id=project.user_id)
        if not await self._remove(project.id, transfer.user_id):
            raise TransferNotFound
        kind = "project.transfer_declined" if transfer.user_id == caller.user_id else "project.transfer_withdrawn"
        await self._record(kind, project, owner_id=project.user_id, to=transfer.user_id, caller=caller)
        return project.id

    async def accept(self, project_id: UUID | None, *, caller: Caller) -> UUID:
        """Own and pay for a project from this instant on; who owned it before stays as its administrator."""
        project = await self._get_project(project_id, caller=caller, right=Right.READ)
        giver_id, taker_id = project.user_id, caller.user_id
        for account_id in sorted({giver_id, taker_id}):
            await self._projects.lock_account(account_id)
        if not await self._remove(project.id, taker_id):
            raise TransferNotFound
        if not await self._projects.change_owner(project, to=taker_id):
            raise ProjectNameTaken(project.name)
        moved = await self._contents.hand_over(self._tx, project_id=project.id, giver_id=giver_id, taker_id=taker_id)
        await self._members.remove(project.id, taker_id)
        await self._members.insert(project.id, giver_id, ProjectRole.ADMIN)
        for owner_id in (giver_id, taker_id):  # It is part of the history of both.
            await self._record(
                "project.handed_over", project, owner_id=owner_id, to=taker_id, caller=caller, metered=moved
            )
        return project.id

    @staticmethod
    def as_owner(project_id: UUID, *, caller: Caller) -> Caller:
        """Return the caller as the next request will see it: a member of the project no longer, but its owner."""
        return replace(caller, shared={id_: role for id_, role in caller.shared.items() if id_ != project_id})

    async def _get(self, project: Project) -> Transfer:
        query = sa.select(
            project_transfers.c.user_id, project_transfers.c.created_at, project_transfers.c.expires_at
        ).where(project_transfers.c.project_id == project.id, project_transfers.c.expires_at > self._tx.now)
        row = (await self._tx.execute(query)).one_or_none()
        if row is None:
            raise TransferNotFound
        required = await self._contents.get_required(
            self._tx, project_id=project.id, giver_id=project.user_id, taker_id=row.user_id
        )
        return Transfer(project.id, project.user_id, row.user_id, required, row.created_at, row.expires_at)

    async def _remove(self, project_id: UUID, user_id: UUID | None = None) -> bool:
        """Remove an offer; of any number of callers, one succeeds."""
        conditions: list[sa.ColumnElement[bool]] = [project_transfers.c.project_id == project_id]
        if user_id is not None:
            conditions += [project_transfers.c.user_id == user_id, project_transfers.c.expires_at > self._tx.now]
        return (await self._tx.execute(sa.delete(project_transfers).where(*conditions))).rowcount == 1

    async def _get_project(self, project_id: UUID | None, *, caller: Caller, right: Right) -> Project:
        project = None if project_id is None else await self._projects.find_live(project_id, caller=caller)
        if project is None:
            raise ProjectNotFound
        ensure_may(caller, right, project_id=project.id, owner_id=project.user_id)
        return project

    async def _record(
        self, kind: str, project: Project, *, owner_id: UUID, to: UUID, caller: Caller, **data: Any
    ) -> None:
        await self._events.record(
            kind,
            resource_type="project",
            resource_id=project.id,
            user_id=owner_id,
            project_id=project.id,
            actor_id=caller.user_id,
            data={"from": str(project.user_id), "to": str(to), **data},
        )
