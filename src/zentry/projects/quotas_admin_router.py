"""Routes with which administrators see and set how much an account or a project may have."""

from __future__ import annotations

from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Path, Response

from zentry.operations.once import OnceDep
from zentry.platform.errors import IdempotencyMismatch, InvalidInput, NotAllowed, NotFound
from zentry.platform.ids import parse_id
from zentry.platform.web import AdminDep, EdgeDep, raises
from zentry.projects.quotas import QuotaAdministration, Quotas
from zentry.projects.router import ProjectId
from zentry.projects.schemas import AccountQuotas, ProjectQuotas, QuotasResponse

router = APIRouter(prefix="/admin", tags=["Administration"])

UserId = Annotated[str, Path(description="Id of an account.", examples=["01936b5c-1a2b-7c3d-8e4f-5a6b7c8d9e0f"])]
_REFUSALS = raises(InvalidInput, NotAllowed, NotFound, IdempotencyMismatch)


@router.get("/users/{user_id}/quotas", summary="Show the quotas of any account", responses=raises(NotAllowed, NotFound))
async def get_user_quotas(user_id: UserId, _admin: AdminDep, edge: EdgeDep) -> QuotasResponse:
    """How much an account may have, and how much it has. Administrators only."""
    owner_id = parse_id(user_id)
    async with edge.read() as tx:
        found = await edge.service(QuotaAdministration, tx).list_of_user(owner_id)
    return QuotasResponse.of("account", cast("UUID", owner_id), found)


@router.get(
    "/projects/{project_id}/quotas", summary="Show the quotas of any project", responses=raises(NotAllowed, NotFound)
)
async def get_any_project_quotas(project_id: ProjectId, _admin: AdminDep, edge: EdgeDep) -> QuotasResponse:
    """How much a project may have, and how much it has, whoever owns it. Administrators only."""
    owner_id = parse_id(project_id)
    async with edge.read() as tx:
        found = await edge.service(QuotaAdministration, tx).list_of_project(owner_id)
    return QuotasResponse.of("project", cast("UUID", owner_id), found)


@router.patch("/users/{user_id}/quotas", summary="Set an account's quotas", responses=_REFUSALS)
async def change_user_quotas(
    user_id: UserId, body: AccountQuotas, response: Response, admin: AdminDep, edge: EdgeDep, once: OnceDep
) -> QuotasResponse:
    """Set the limits that are named; the others stay. Below what is in use, what is there stays and nothing is added.

    Administrators only.
    """
    async with edge.work() as tx:
        quotas = edge.service(QuotaAdministration, tx)

        async def change() -> UUID:
            return await quotas.change_of_user(parse_id(user_id), body.amounts, caller=admin)

        owner_id = await once.resource(tx, change)
        answer = QuotasResponse.of("account", owner_id, await Quotas(tx).list(owner_id))
    response.headers.update(once.headers)
    return answer


@router.patch("/projects/{project_id}/quotas", summary="Set a project's quotas", responses=_REFUSALS)
async def change_project_quotas(
    project_id: ProjectId, body: ProjectQuotas, response: Response, admin: AdminDep, edge: EdgeDep, once: OnceDep
) -> QuotasResponse:
    """Set the limits that are named; the others stay. Administrators only."""
    async with edge.work() as tx:
        quotas = edge.service(QuotaAdministration, tx)

        async def change() -> UUID:
            return await quotas.change_of_project(parse_id(project_id), body.amounts, caller=admin)

        owner_id = await once.resource(tx, change)
        answer = QuotasResponse.of("project", owner_id, await Quotas(tx).list(owner_id))
    response.headers.update(once.headers)
    return answer
