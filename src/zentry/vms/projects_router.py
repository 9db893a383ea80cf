"""The route that shows a project with its machines: projects stand below machines, so it lives here."""

from __future__ import annotations

from fastapi import APIRouter

from zentry.platform import money
from zentry.platform.errors import NotFound
from zentry.platform.ids import parse_id
from zentry.platform.web import WITH_ETAG, CallerDep, EdgeDep, JSONBytes, raises
from zentry.projects.router import ProjectId
from zentry.projects.schemas import ProjectResponse
from zentry.projects.service import ProjectService
from zentry.vms.repository import VMRepository
from zentry.vms.schemas import DeletionPreview, DoomedVM, ProjectWithVMs, SnapshotResponse
from zentry.vms.snapshots_repository import SnapshotRepository
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
        machines = await VMViews(tx).list(VMFilter(project_id=project.id), caller=caller, limit=_MOST_VMS)
    return JSONBytes(
        {**ProjectResponse.of(project, caller).model_dump(), "vms": machines}, headers={"ETag": project.etag}
    )


@router.get("/{project_id}/deletion", summary="Preview a project's deletion", responses=raises(NotFound))
async def get_project_deletion(project_id: ProjectId, caller: CallerDep, edge: EdgeDep) -> DeletionPreview:
    """What would go if the project were deleted now, and whether anything stands against it. Changes nothing."""
    async with edge.read() as tx:
        service = edge.service(ProjectService, tx)
        project = await service.get_project(parse_id(project_id), caller=caller)
        statistics = await service.get_statistics(project.id, caller=caller)
        machines = await VMRepository(tx).list_alive_in_project(project.id)
        kept = await SnapshotRepository(tx).list_in_project(project.id)
    protected = [vm.name for vm in machines if vm.delete_protection]
    return DeletionPreview(
        project_id=project.id,
        allowed=not protected,
        protected=protected,
        vms=[DoomedVM.model_validate(vm) for vm in machines],
        snapshots=[SnapshotResponse.model_validate(one) for one in kept],
        running_cost_per_hour=money.to_credits(statistics.running_cost_per_hour),
    )
