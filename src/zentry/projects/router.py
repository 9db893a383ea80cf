"""Routes of projects. The one that shows a project with its VMs stands with the VMs."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response, status

from zentry.operations.once import OnceDep
from zentry.platform.errors import IdempotencyMismatch, InvalidInput, PreconditionFailed
from zentry.platform.ids import parse_id
from zentry.platform.web import WITH_ETAG, CallerDep, EdgeDep, MatchDep, raises
from zentry.platform.wire import APIResponse
from zentry.projects.access import RoleTooLow
from zentry.projects.errors import ProjectNameTaken, ProjectNotFound, ProjectProtected
from zentry.projects.quotas import QuotaExceeded
from zentry.projects.schemas import ProjectCreate, ProjectResponse, ProjectStatisticsResponse, ProjectUpdate
from zentry.projects.service import ProjectService

router = APIRouter(prefix="/projects", tags=["Projects"])

ProjectId = Annotated[str, Path(description="Id of a project.", examples=["0197a3b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b"])]


@router.get("", summary="List projects", response_description="The projects, newest first.")
async def list_projects(caller: CallerDep, edge: EdgeDep) -> list[ProjectResponse]:
    """Your projects and those that you are a member of, each with the number of its VMs and what they have cost."""
    async with edge.read() as tx:
        projects = await edge.service(ProjectService, tx).get_projects(caller=caller)
    return [ProjectResponse.of(project, caller) for project in projects]


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    summary="Create a project",
    response_description="The new project.",
    responses={201: WITH_ETAG, **raises(InvalidInput, ProjectNameTaken, QuotaExceeded, IdempotencyMismatch)},
)
async def create_project(
    body: ProjectCreate, response: Response, caller: CallerDep, edge: EdgeDep, once: OnceDep
) -> ProjectResponse:
    """Create a project to put VMs into.

    Its name is unique among your projects, whatever the case of its letters. The number of projects
    of an account is limited.
    """
    async with edge.work() as tx:
        service = edge.service(ProjectService, tx)

        async def create() -> UUID:
            return (await service.create_project(name=body.name, description=body.description or "", caller=caller)).id

        project = await service.get_project(await once.resource(tx, create), caller=caller)
    response.headers.update({"ETag": project.etag, **once.headers})
    return ProjectResponse.of(project, caller)


@router.get(
    "/{project_id}/statistics",
    summary="Show a project's statistics",
    response_description="Counts and costs of the project.",
    responses=raises(ProjectNotFound),
)
async def get_project_statistics(project_id: ProjectId, caller: CallerDep, edge: EdgeDep) -> ProjectStatisticsResponse:
    """How many VMs of the project are in each status, what runs per hour, and what all of it has cost."""
    async with edge.read() as tx:
        statistics = await edge.service(ProjectService, tx).get_statistics(parse_id(project_id), caller=caller)
    return ProjectStatisticsResponse.of(statistics)


@router.put(
    "/{project_id}",
    summary="Change a project",
    response_description="The project as it is now.",
    responses={
        200: WITH_ETAG,
        **raises(InvalidInput, RoleTooLow, ProjectNotFound, ProjectNameTaken, PreconditionFailed, IdempotencyMismatch),
    },
)
async def update_project(
    project_id: ProjectId,
    body: ProjectUpdate,
    response: Response,
    caller: CallerDep,
    edge: EdgeDep,
    once: OnceDep,
    match: MatchDep,
) -> ProjectResponse:
    """Give a project another name, another description, or both."""
    async with edge.work() as tx:
        service = edge.service(ProjectService, tx)

        async def update() -> UUID:
            project = await service.update_project(
                parse_id(project_id), name=body.name, description=body.description, caller=caller, match=match
            )
            return project.id

        project = await service.get_project(await once.resource(tx, update), caller=caller)
    response.headers.update({"ETag": project.etag, **once.headers})
    return ProjectResponse.of(project, caller)


@router.delete(
    "/{project_id}",
    summary="Delete a project",
    response_description="The project is gone and its VMs are on their way out.",
    responses=raises(RoleTooLow, ProjectNotFound, ProjectProtected, PreconditionFailed, IdempotencyMismatch),
)
async def delete_project(
    project_id: ProjectId, response: Response, caller: CallerDep, edge: EdgeDep, once: OnceDep, match: MatchDep
) -> APIResponse:
    """Delete a project and terminate all of its VMs; `GET /projects/{project_id}/deletion` shows them before.

    While a VM of it is protected against deletion, nothing is deleted: lift the protection first.
    Billing of the VMs ends here. They stay readable by their ids, as their bills do.
    """
    async with edge.work() as tx:
        service = edge.service(ProjectService, tx)

        async def delete() -> UUID:
            deleted = parse_id(project_id)
            await service.delete_project(deleted, caller=caller, match=match)
            assert deleted is not None, "what has no id is not found"
            return deleted

        terminated = await service.get_terminated_count(await once.resource(tx, delete), caller=caller)
    response.headers.update(once.headers)
    return APIResponse(
        success=True,
        message=f"Project deleted. {terminated} VMs were terminated.",
        data={"project_id": project_id.lower(), "terminated_vms": terminated},
        timestamp=tx.now,
    )
