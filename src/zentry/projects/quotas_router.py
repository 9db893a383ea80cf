"""Routes that show how much of what an account and a project may have."""

from __future__ import annotations

from fastapi import APIRouter

from zentry.platform.ids import parse_id
from zentry.platform.web import AdminDep, CallerDep, EdgeDep, raises
from zentry.projects.errors import ProjectNotFound
from zentry.projects.quotas import Quotas, recount
from zentry.projects.router import ProjectId
from zentry.projects.schemas import QuotaDriftResponse, QuotasResponse
from zentry.projects.service import ProjectService

router = APIRouter(tags=["Projects"])


@router.get("/quotas", summary="Show the account's quotas")
async def get_quotas(caller: CallerDep, edge: EdgeDep) -> QuotasResponse:
    """How many projects and VMs, and how much of what VMs are made of, the account has and may have."""
    async with edge.read() as tx:
        return QuotasResponse.of("account", caller.user_id, await Quotas(tx).list(caller.user_id))


@router.get("/quotas/drift", summary="Recount the quotas")
async def get_quota_drift(_admin: AdminDep, edge: EdgeDep) -> QuotaDriftResponse:
    """Compare every counter with the rows that it counts; an administrator's proof that nothing has drifted."""
    async with edge.read() as tx:
        return QuotaDriftResponse.of(await recount(tx))


@router.get("/projects/{project_id}/quotas", summary="Show a project's quotas", responses=raises(ProjectNotFound))
async def get_project_quotas(project_id: ProjectId, caller: CallerDep, edge: EdgeDep) -> QuotasResponse:
    """How many VMs, and how much of what they are made of, the project has and may have.

    A VM counts with its project and with the account; both limits hold.
    """
    async with edge.read() as tx:
        project = await edge.service(ProjectService, tx).get_project(parse_id(project_id), caller=caller)
        return QuotasResponse.of("project", project.id, await Quotas(tx).list(project.id))
