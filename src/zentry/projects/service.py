"""The rules about projects."""

from __future__ import annotations

from uuid import UUID

from zentry.events.changes import changes_of
from zentry.events.recorder import EventRecorder
from zentry.platform.caller import Caller
from zentry.platform.db import Transaction
from zentry.platform.etags import ANY_VERSION, Precondition
from zentry.platform.settings import QuotaSettings
from zentry.projects.access import Right, ensure_may
from zentry.projects.errors import ProjectNameTaken, ProjectNotFound
from zentry.projects.members_repository import MemberRepository
from zentry.projects.quotas import Quotas, open_project_quotas
from zentry.projects.repository import ProjectRepository
from zentry.projects.types import Project, ProjectContents, ProjectStatistics


class ProjectService:
    """Creates, shows, changes and deletes projects. Runs inside the caller's transaction and never commits."""

    def __init__(self, tx: Transaction, *, contents: ProjectContents, quotas: QuotaSettings) -> None:
        self._tx = tx
        self._contents = contents
        self._settings = quotas
        self._projects = ProjectRepository(tx)
        self._quotas = Quotas(tx)
        self._events = EventRecorder(tx)

    async def create_project(self, *, name: str, description: str, caller: Caller) -> Project:
        """Create a project of the caller, within the account's quota."""
        await self._quotas.take(caller.user_id, "projects")
        project = Project(
            id=self._tx.new_id(),
            user_id=caller.user_id,
            name=name,
            description=description,
            created_at=self._tx.now,
            updated_at=None,
            vm_count=0,
            active_vm_count=0,
            total_cost=0,
        )
        if not await self._projects.insert(project):
            raise ProjectNameTaken(name)
        await open_project_quotas(self._tx, project.id, self._settings)
        await self._record("project.created", project, caller=caller)
        return project

    async def get_projects(self, *, caller: Caller) -> list[Project]:
        """Return the projects that the caller sees, newest first."""
        return await self._projects.list_live(caller=caller)

    async def get_project(self, project_id: UUID | None, *, caller: Caller, right: Right = Right.READ) -> Project:
        """Return a project that the caller sees and has a right to, or raise `ProjectNotFound` or `RoleTooLow`."""
        project = None if project_id is None else await self._projects.find_live(project_id, caller=caller)
        if project is None:
            raise ProjectNotFound
        ensure_may(caller, right, project_id=project.id, owner_id=project.user_id)
        return project

    async def get_statistics(self, project_id: UUID | None, *, caller: Caller) -> ProjectStatistics:
        """Return what a project that the caller sees holds and costs."""
        project = await self.get_project(project_id, caller=caller)
        return await self._projects.get_statistics(project.id, owner_id=project.user_id)

    async def update_project(
        self,
        project_id: UUID | None,
        *,
        name: str | None,
        description: str | None,
        caller: Caller,
        match: Precondition = ANY_VERSION,
    ) -> Project:
        """Change a project's name, description or both; None leaves it as it is."""
        project = await self.get_project(project_id, caller=caller, right=Right.MANAGE)
        updated = await self._projects.update(
            project.id, owner_id=project.user_id, name=name, description=description, match=match
        )
        if updated is None:
            await self._explain(project, match=match)
        if not updated:
            if name is None:
                raise match.failed()  # It has changed since, and back to a version that is meant.
            raise ProjectNameTaken(name)
        now = await self.get_project(project.id, caller=caller)
        await self._record("project.updated", project, caller=caller, **changes_of(_told(project), _told(now)))
        return now

    async def delete_project(
        self, project_id: UUID | None, *, caller: Caller, match: Precondition = ANY_VERSION
    ) -> int:
        """Delete a project and ask for its machines to be removed; return how many there were."""
        project = await self.get_project(project_id, caller=caller, right=Right.OWN)
        # Everything that changes machines takes the account's row before quotas: so must this, or two
        # requests could wait for each other.
        await self._projects.lock_account(caller.user_id)
        if not await self._projects.mark_deleted(project.id, owner_id=project.user_id, match=match):
            await self._explain(project, match=match)
            raise match.failed()  # It has changed since, and back to a version that is meant.
        terminated = await self._contents.terminate_all(self._tx, project_id=project.id, caller=caller)
        # A machine whose creation has already seen the project waits for the account and then finds no room.
        # Counters come after machines, as they do where a worker ends a machine.
        await self._quotas.close(project.id, "vms")
        await self._quotas.close(project.id, "snapshots")
        await self._quotas.give_back(project.user_id, "projects")
        await MemberRepository(self._tx).remove_all(project.id)
        await self._record("project.deleted", project, caller=caller, terminated_vms=terminated)
        return terminated

    async def get_terminated_count(self, project_id: UUID, *, caller: Caller) -> int:
        """Return how many machines a project had when it was deleted."""
        return await self._projects.count_terminated_with(project_id, user_id=caller.user_id)

    async def _explain(self, project: Project, *, match: Precondition) -> None:
        """Raise why a change did not find its project: it is not there, or has moved on."""
        version = await self._projects.find_version(project.id, owner_id=project.user_id)
        if version is None:
            raise ProjectNotFound
        match.ensure(project.id, version)

    async def _record(self, kind: str, project: Project, *, caller: Caller, **data: object) -> None:
        await self._events.record(
            kind,
            resource_type="project",
            resource_id=project.id,
            user_id=project.user_id,
            project_id=project.id,
            actor_id=caller.user_id,
            data=data,
        )


def _told(project: Project) -> dict[str, str]:
    return {"name": project.name, "description": project.description}
