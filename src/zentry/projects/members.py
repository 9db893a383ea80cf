"""The rules about who works in a project."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from zentry.events.recorder import EventRecorder
from zentry.platform.caller import Caller, ProjectRole
from zentry.platform.db import Transaction
from zentry.platform.errors import Conflict
from zentry.projects.access import Right, ensure_may
from zentry.projects.errors import MemberNotFound, OwnerStays, ProjectNotFound
from zentry.projects.members_repository import MemberRepository
from zentry.projects.repository import ProjectRepository
from zentry.projects.types import Member, Project


class MemberService:
    """Shows, changes and removes members. Runs inside the caller's transaction and never commits."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._projects = ProjectRepository(tx)
        self._members = MemberRepository(tx)
        self._events = EventRecorder(tx)

    async def list_members(self, project_id: UUID | None, *, caller: Caller) -> Sequence[Member]:
        """Return the owner and the members of a project that the caller sees."""
        project = await self._get_project(project_id, caller=caller, right=Right.READ)
        return await self._members.list(project.id)

    async def change_role(
        self, project_id: UUID | None, user_id: UUID | None, *, role: ProjectRole, caller: Caller
    ) -> UUID:
        """Give a member another role."""
        project = await self._get_project(project_id, caller=caller, right=Right.MANAGE)
        member_id, seen = await self._get_member(project, user_id)
        if seen is role:
            return member_id
        if not await self._members.change_role(project.id, member_id, seen=seen, to=role):
            raise Conflict("The role has just been changed by somebody else; look at it and try again.")
        await self._record("project.role_changed", project, member_id, caller=caller, before=seen, after=role)
        return member_id

    async def remove(self, project_id: UUID | None, user_id: UUID | None, *, caller: Caller) -> UUID:
        """Remove a member, or let the caller leave; what is removed keeps nothing, and its work stays."""
        leaves = user_id == caller.user_id
        project = await self._get_project(project_id, caller=caller, right=Right.READ if leaves else Right.MANAGE)
        member_id, seen = await self._get_member(project, user_id)
        if not await self._members.remove(project.id, member_id):
            raise MemberNotFound  # Somebody else was faster.
        kind = "project.member_left" if leaves else "project.member_removed"
        await self._record(kind, project, member_id, caller=caller, before=seen)
        return member_id

    async def get_member(self, project_id: UUID, user_id: UUID) -> Member:
        """Return one member of a project, or raise `MemberNotFound`."""
        for member in await self._members.list(project_id):
            if member.user_id == user_id:
                return member
        raise MemberNotFound

    async def _get_member(self, project: Project, user_id: UUID | None) -> tuple[UUID, ProjectRole]:
        if user_id == project.user_id:
            raise OwnerStays
        role = None if user_id is None else await self._members.find_role(project.id, user_id)
        if user_id is None or role is None:
            raise MemberNotFound
        return user_id, role

    async def _get_project(self, project_id: UUID | None, *, caller: Caller, right: Right) -> Project:
        project = None if project_id is None else await self._projects.find_live(project_id, caller=caller)
        if project is None:
            raise ProjectNotFound
        ensure_may(caller, right, project_id=project.id, owner_id=project.user_id)
        return project

    async def _record(
        self, kind: str, project: Project, member_id: UUID, *, caller: Caller, **roles: ProjectRole
    ) -> None:
        await self._events.record(
            kind,
            resource_type="project",
            resource_id=project.id,
            user_id=project.user_id,
            project_id=project.id,
            actor_id=caller.user_id,
            data={"member_id": str(member_id), **roles},
        )
