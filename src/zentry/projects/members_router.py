"""Routes of members and invitations."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response, status

from zentry.operations.once import OnceDep
from zentry.platform.caller import ProjectRole
from zentry.platform.errors import Conflict, IdempotencyMismatch, InvalidInput
from zentry.platform.ids import parse_id
from zentry.platform.web import CallerDep, EdgeDep, raises
from zentry.platform.wire import APIResponse
from zentry.projects.access import RoleTooLow
from zentry.projects.errors import (
    AlreadyInvited,
    AlreadyMember,
    InvitationNotFound,
    MemberNotFound,
    MembershipLimit,
    OwnerStays,
    ProjectNotFound,
    TooManyInvitations,
)
from zentry.projects.invitations import InvitationService
from zentry.projects.members import MemberService
from zentry.projects.members_schemas import (
    InvitationAccept,
    InvitationCreate,
    InvitationResponse,
    MemberResponse,
    MemberUpdate,
)
from zentry.projects.router import ProjectId
from zentry.projects.schemas import ProjectResponse
from zentry.projects.service import ProjectService

router = APIRouter(tags=["Projects"])

_EXAMPLE = "0197a3b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b"
MemberId = Annotated[str, Path(description="Id of the account of a member.", examples=[_EXAMPLE])]
InvitationId = Annotated[str, Path(description="Id of an invitation.", examples=[_EXAMPLE])]


@router.get(
    "/projects/{project_id}/members", summary="List the members of a project", responses=raises(ProjectNotFound)
)
async def list_members(project_id: ProjectId, caller: CallerDep, edge: EdgeDep) -> list[MemberResponse]:
    """Who works in a project: the owner, and then the others in the order in which they came."""
    async with edge.read() as tx:
        members = await edge.service(MemberService, tx).list_members(parse_id(project_id), caller=caller)
    return [MemberResponse.model_validate(member) for member in members]


@router.patch(
    "/projects/{project_id}/members/{member_id}",
    summary="Change a member's role",
    responses=raises(
        InvalidInput, RoleTooLow, ProjectNotFound, MemberNotFound, OwnerStays, Conflict, IdempotencyMismatch
    ),
)
async def change_member(
    project_id: ProjectId,
    member_id: MemberId,
    body: MemberUpdate,
    response: Response,
    caller: CallerDep,
    edge: EdgeDep,
    once: OnceDep,
) -> MemberResponse:
    """Give a member another role. It holds for the next request, in every process within a second."""
    async with edge.work() as tx:
        service = edge.service(MemberService, tx)

        async def change() -> UUID:
            return await service.change_role(
                parse_id(project_id), parse_id(member_id), role=ProjectRole(body.role), caller=caller
            )

        changed = await once.resource(tx, change)
        project = await edge.service(ProjectService, tx).get_project(parse_id(project_id), caller=caller)
        member = await service.get_member(project.id, changed)
    response.headers.update(once.headers)
    return MemberResponse.model_validate(member)


@router.delete(
    "/projects/{project_id}/members/{member_id}",
    summary="Remove a member",
    responses=raises(RoleTooLow, ProjectNotFound, MemberNotFound, OwnerStays, IdempotencyMismatch),
)
async def remove_member(
    project_id: ProjectId,
    member_id: MemberId,
    response: Response,
    caller: CallerDep,
    edge: EdgeDep,
    once: OnceDep,
) -> APIResponse:
    """Remove somebody from a project; with your own id, leave it.

    Access ends within a second. What the member has made stays, since it is the project's.
    """
    async with edge.work() as tx:
        service = edge.service(MemberService, tx)
        removed = await once.resource(
            tx, lambda: service.remove(parse_id(project_id), parse_id(member_id), caller=caller)
        )
    response.headers.update(once.headers)
    return APIResponse(
        success=True,
        message="Member removed",
        data={"project_id": project_id.lower(), "user_id": str(removed)},
        timestamp=tx.now,
    )


@router.get(
    "/projects/{project_id}/invitations",
    summary="List the invitations to a project",
    responses=raises(RoleTooLow, ProjectNotFound),
)
async def list_invitations(project_id: ProjectId, caller: CallerDep, edge: EdgeDep) -> list[InvitationResponse]:
    """Invitations that nobody has accepted yet, expired ones too, the oldest first."""
    async with edge.read() as tx:
        found = await edge.service(InvitationService, tx).list_invitations(parse_id(project_id), caller=caller)
    return [InvitationResponse.model_validate(one) for one in found]


@router.post(
    "/projects/{project_id}/invitations",
    status_code=status.HTTP_201_CREATED,
    summary="Invite somebody",
    responses=raises(
        InvalidInput,
        RoleTooLow,
        ProjectNotFound,
        AlreadyInvited,
        AlreadyMember,
        TooManyInvitations,
        IdempotencyMismatch,
    ),
)
async def create_invitation(
    project_id: ProjectId, body: InvitationCreate, response: Response, caller: CallerDep, edge: EdgeDep, once: OnceDep
) -> InvitationResponse:
    """Send an invitation to an address. Whoever has, or opens, an account with that address can accept it once.

    The answer is the same whether or not there is such an account.
    """
    async with edge.work() as tx:
        service = edge.service(InvitationService, tx)

        async def invite() -> UUID:
            return await service.invite(
                parse_id(project_id), email=body.email, role=ProjectRole(body.role), caller=caller
            )

        invited = await once.resource(tx, invite)
        invitation = await service.get_invitation(parse_id(project_id), invited, caller=caller)
    response.headers.update(once.headers)
    return InvitationResponse.model_validate(invitation)


@router.post(
    "/projects/{project_id}/invitations/{invitation_id}/resend",
    summary="Send an invitation again",
    responses=raises(RoleTooLow, ProjectNotFound, InvitationNotFound, TooManyInvitations, IdempotencyMismatch),
)
async def resend_invitation(
    project_id: ProjectId,
    invitation_id: InvitationId,
    response: Response,
    caller: CallerDep,
    edge: EdgeDep,
    once: OnceDep,
) -> InvitationResponse:
    """Send another mail with another token, and let the invitation last anew. The token before is worth nothing."""
    async with edge.work() as tx:
        service = edge.service(InvitationService, tx)
        sent = await once.resource(
            tx, lambda: service.resend(parse_id(project_id), parse_id(invitation_id), caller=caller)
        )
        invitation = await service.get_invitation(parse_id(project_id), sent, caller=caller)
    response.headers.update(once.headers)
    return InvitationResponse.model_validate(invitation)


@router.delete(
    "/projects/{project_id}/invitations/{invitation_id}",
    summary="Revoke an invitation",
    responses=raises(RoleTooLow, ProjectNotFound, InvitationNotFound, IdempotencyMismatch),
)
async def revoke_invitation(
    project_id: ProjectId,
    invitation_id: InvitationId,
    response: Response,
    caller: CallerDep,
    edge: EdgeDep,
    once: OnceDep,
) -> APIResponse:
    """Take an invitation back. Its token is worth nothing from now on."""
    async with edge.work() as tx:
        service = edge.service(InvitationService, tx)
        revoked = await once.resource(
            tx, lambda: service.revoke(parse_id(project_id), parse_id(invitation_id), caller=caller)
        )
    response.headers.update(once.headers)
    return APIResponse(
        success=True, message="Invitation revoked", data={"invitation_id": str(revoked)}, timestamp=tx.now
    )


@router.post(
    "/invitations/accept",
    summary="Accept an invitation",
    responses=raises(InvalidInput, InvitationNotFound, AlreadyMember, MembershipLimit, IdempotencyMismatch),
)
async def accept_invitation(
    body: InvitationAccept, response: Response, caller: CallerDep, edge: EdgeDep, once: OnceDep
) -> ProjectResponse:
    """Become a member of the project that you were invited to; you see it from the next request on.

    The account that asks has to have the address that the invitation was sent to. A token that is used,
    revoked, expired or meant for somebody else is answered like one that never was.
    """
    async with edge.work() as tx:
        service = edge.service(InvitationService, tx)
        project_id = await once.resource(tx, lambda: service.accept(body.token.get_secret_value(), caller=caller))
        member = await service.as_member(project_id, caller=caller)
        project = await edge.service(ProjectService, tx).get_project(project_id, caller=member)
    response.headers.update(once.headers)
    return ProjectResponse.of(project, member)
