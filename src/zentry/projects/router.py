"""Routes of projects. The one that shows a project with its VMs stands with the VMs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, status

from zentry.platform.errors import InvalidInput
from zentry.platform.ids import parse_id
from zentry.platform.web import CallerDep, EdgeDep, raises
from zentry.platform.wire import APIResponse
from zentry.projects.errors import ProjectNameTaken, ProjectNotFound, ProjectProtected
from zentry.projects.quotas import QuotaExceeded
from zentry.projects.schemas import ProjectCreate, ProjectResponse, ProjectStatisticsResponse, ProjectUpdate
from zentry.projects.service import ProjectService

router = APIRouter(prefix="/projects", tags=["Projects"])

ProjectId = Annotated[str, Path(description="Id of a project.", examples=["0197a3b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b"])]


@router.get("", summary="List projects", response_description="Your projects, newest first.")
async def list_projects(caller: CallerDep, edge: EdgeDep) -> list[ProjectResponse]:
    """All of your projects, each with the number of its VMs and what they have cost."""
    async with edge.read() as tx:
        projects = await edge.service(ProjectService, tx).get_projects(caller=caller)
    return [ProjectResponse.of(project) for project in projects]


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    summary="Create a project",
    response_description="The new project.",
    responses=raises(InvalidInput, ProjectNameTaken, QuotaExceeded),
)
async def create_project(body: ProjectCreate, caller: CallerDep, edge: EdgeDep) -> ProjectResponse:
    """Create a project to put VMs into.

    Its name is unique among your projects, whatever the case of its letters. The number of projects
    of an account is limited.
    """
    async with edge.work() as tx:
        project = await edge.service(ProjectService, tx).create_project(
            name=body.name, description=body.description or "", caller=caller
        )
    return ProjectResponse.of(project)


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
    responses=raises(InvalidInput, ProjectNotFound, ProjectNameTaken),
)
async def update_project(
    project_id: ProjectId, body: ProjectUpdate, caller: CallerDep, edge: EdgeDep
) -> ProjectResponse:
    """Give a project another name, another description, or both."""
    async with edge.work() as tx:
        project = await edge.service(ProjectService, tx).update_project(
            parse_id(project_id), name=body.name, description=body.description, caller=caller
        )
    return ProjectResponse.of(project)


@router.delete(
    "/{project_id}",
    summary="Delete a project",
    response_description="The project is gone and its VMs are on their way out.",
    responses=raises(ProjectNotFound, ProjectProtected),
)
async def delete_project(project_id: ProjectId, caller: CallerDep, edge: EdgeDep) -> APIResponse:
    """Delete a project and terminate all of its VMs; `GET /projects/{project_id}/deletion` shows them before.

    While a VM of it is protected against deletion, nothing is deleted: lift the protection first.
    Billing of the VMs ends here. They stay readable by their ids, as their bills do.
    """
    async with edge.work() as tx:
        terminated = await edge.service(ProjectService, tx).delete_project(parse_id(project_id), caller=caller)
    return APIResponse(
        success=True,
        message=f"Project deleted. {terminated} VMs were terminated.",
        data={"project_id": project_id.lower(), "terminated_vms": terminated},
        timestamp=tx.now,
    )
