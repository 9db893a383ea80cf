"""The route that shows a project with its machines: projects stand below machines, so it lives here."""

from __future__ import annotations

from fastapi import APIRouter

from zentry.platform.errors import NotFound
from zentry.platform.ids import parse_id
from zentry.platform.web import WITH_ETAG, CallerDep, EdgeDep, JSONBytes, raises
from zentry.projects.router import ProjectId
from zentry.projects.schemas import ProjectResponse
from zentry.projects.service import ProjectService
from zentry.vms.schemas import ProjectWithVMs
from zentry.vms.views import VMFilter, VMViews

router = APIRouter(prefix="/projects", tags=["Projects"])

_MOST_VMS = 500


@router.get(
    "/{project_id}",
    summary="Show a project",
    response_model=ProjectWithVMs,
    responses={200: WITH_ETAG, **raises(NotFound)},
)
async def get_project(project_id: ProjectId, caller: CallerDep, edge: EdgeDep) -> JSONBytes:
    """A project with its machines: live ones first and then the newest, at most 500 of them."""
    async with edge.read() as tx:
        project = await edge.service(ProjectService, tx).get_project(parse_id(project_id), caller=caller)
        machines = await VMViews(tx).list(caller.user_id, VMFilter(project_id=project.id), limit=_MOST_VMS)
    return JSONBytes({**ProjectResponse.of(project).model_dump(), "vms": machines}, headers={"ETag": project.etag})
