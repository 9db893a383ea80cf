"""Routes by which a project gets another owner."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from fastapi import APIRouter, Response, status
from pydantic import ConfigDict, Field

from zentry.accounts.dependencies import PROVEN_LATELY
from zentry.accounts.errors import ReauthenticationRequired
from zentry.operations.once import OnceDep
from zentry.platform import money
from zentry.platform.errors import Conflict, IdempotencyMismatch, InvalidInput
from zentry.platform.ids import parse_id
from zentry.platform.web import CallerDep, EdgeDep, raises
from zentry.platform.wire import APIResponse, ReadModel, WriteModel
from zentry.projects.access import RoleTooLow
from zentry.projects.errors import MemberNotFound, ProjectNameTaken, ProjectNotFound, TransferNotFound
from zentry.projects.quotas import QuotaExceeded
from zentry.projects.router import ProjectId
from zentry.projects.schemas import ProjectResponse
from zentry.projects.service import ProjectService
from zentry.projects.transfers import TransferService
from zentry.projects.types import Transfer

router = APIRouter(prefix="/projects", tags=["Projects"])

_ID: Final = "0197a3b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b"


class TransferOffer(WriteModel):
    """Who is to own the project."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"member_id": _ID}]})

    member_id: str = Field(min_length=1, max_length=64, description="Id of the account of a member.")


class TransferResponse(ReadModel):
    """An offer to own a project."""

    project_id: UUID = Field(examples=[_ID])
    from_user_id: UUID = Field(description="Who owns and pays now.", examples=[_ID])
    to_user_id: UUID = Field(description="Who may accept.", examples=[_ID])
    required_credits: float = Field(
        description="Credits that must be available to accept it now: a first window of everything that runs.",
        examples=[0.15],
    )
    created_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, transfer: Transfer) -> TransferResponse:
        """Return the offer as clients see it."""
        return cls(
            project_id=transfer.project_id,
            from_user_id=transfer.owner_id,
            to_user_id=transfer.user_id,
            required_credits=money.to_credits(transfer.required),
            created_at=transfer.created_at,
            expires_at=transfer.expires_at,
        )


@router.get(
    "/{project_id}/transfer", summary="Show the offer of a project", responses=raises(ProjectNotFound, TransferNotFound)
)
async def get_transfer(project_id: ProjectId, caller: CallerDep, edge: EdgeDep) -> TransferResponse:
    """To whom the project is offered, until when, and what it takes to accept it now."""
    async with edge.read() as tx:
        return TransferResponse.of(
            await edge.service(TransferService, tx).get_transfer(parse_id(project_id), caller=caller)
        )


@router.post(
    "/{project_id}/transfer",
    status_code=status.HTTP_201_CREATED,
    summary="Offer a project",
    dependencies=[PROVEN_LATELY],
    responses=raises(
        ReauthenticationRequired, InvalidInput, RoleTooLow, ProjectNotFound, MemberNotFound, IdempotencyMismatch
    ),
)
async def offer_transfer(
    project_id: ProjectId, body: TransferOffer, response: Response, caller: CallerDep, edge: EdgeDep, once: OnceDep
) -> TransferResponse:
    """Offer a project to one of its members. Nothing changes until that member accepts, within a week."""
    async with edge.work() as tx:
        service = edge.service(TransferService, tx)
        offered = await once.resource(
            tx, lambda: service.offer(parse_id(project_id), parse_id(body.member_id), caller=caller)
        )
        transfer = await service.get_transfer(offered, caller=caller)
    response.headers.update(once.headers)
    return TransferResponse.of(transfer)


@router.delete(
    "/{project_id}/transfer",
    summary="Withdraw or decline an offer",
    responses=raises(RoleTooLow, ProjectNotFound, TransferNotFound, IdempotencyMismatch),
)
async def withdraw_transfer(
    project_id: ProjectId, response: Response, caller: CallerDep, edge: EdgeDep, once: OnceDep
) -> APIResponse:
    """Take an offer back as the owner, or decline one that was made to you."""
    async with edge.work() as tx:
        service = edge.service(TransferService, tx)
        withdrawn = await once.resource(tx, lambda: service.withdraw(parse_id(project_id), caller=caller))
    response.headers.update(once.headers)
    return APIResponse(success=True, message="Offer withdrawn", data={"project_id": str(withdrawn)}, timestamp=tx.now)


@router.post(
    "/{project_id}/transfer/accept",
    summary="Accept a project",
    dependencies=[PROVEN_LATELY],
    responses={
        400: {"description": "`INSUFFICIENT_CREDITS`: The account cannot pay for a first window of what runs."},
        **raises(
            ReauthenticationRequired,
            ProjectNotFound,
            TransferNotFound,
            ProjectNameTaken,
            QuotaExceeded,
            Conflict,
            IdempotencyMismatch,
        ),
    },
)
async def accept_transfer(
    project_id: ProjectId, response: Response, caller: CallerDep, edge: EdgeDep, once: OnceDep
) -> ProjectResponse:
    """Own a project that was offered to you, and pay for what it runs from this instant on.

    What ran before is charged to whoever owned it, who stays as an administrator of the project. It needs the
    credit for a first window of what runs and room in your quotas, and waits for no operation: end them first.
    """
    async with edge.work() as tx:
        service = edge.service(TransferService, tx)
        before = await edge.service(ProjectService, tx).get_project(parse_id(project_id), caller=caller)
        accepted = await once.resource(tx, lambda: service.accept(before.id, caller=caller))
        owner = service.as_owner(accepted, caller=caller)
        project = await edge.service(ProjectService, tx).get_project(accepted, caller=owner)
    response.headers.update(once.headers)
    return ProjectResponse.of(project, owner)
