"""Routes with which administrators find accounts and act on them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Response

from zentry.accounts.admin_schemas import AdministeredUserList, AdministeredUserResponse, RoleChange, Suspension
from zentry.accounts.administration import AccountAdministration
from zentry.accounts.dependencies import PROVEN_LATELY
from zentry.accounts.errors import LastAdministrator, ReauthenticationRequired
from zentry.accounts.identity import MAX_EMAIL_LENGTH
from zentry.accounts.types import UserFilter
from zentry.operations.once import OnceDep
from zentry.platform.caller import Role
from zentry.platform.errors import IdempotencyMismatch, InvalidInput, NotAllowed, NotFound
from zentry.platform.ids import parse_id
from zentry.platform.pagination import CURSOR_PATTERN, decode_cursor, encode_cursor
from zentry.platform.web import AdminDep, EdgeDep, raises

router = APIRouter(prefix="/admin/users", tags=["Administration"])

_MAX_PAGE: Final = 500
UserId = Annotated[str, Path(description="Id of an account.", examples=["01936b5c-1a2b-7c3d-8e4f-5a6b7c8d9e0f"])]


class Act:
    """Does something to an account, once for each key, and answers with the account as it is then."""

    def __init__(self, response: Response, edge: EdgeDep, once: OnceDep) -> None:
        self._response = response
        self._edge = edge
        self._once = once

    async def __call__(self, does: Callable[[AccountAdministration], Awaitable[UUID]]) -> AdministeredUserResponse:
        """Do it in a transaction."""
        async with self._edge.work() as tx:
            service = self._edge.service(AccountAdministration, tx)
            user = await service.get_user(await self._once.resource(tx, lambda: does(service)))
        self._response.headers.update(self._once.headers)
        return AdministeredUserResponse.of(user)


ActDep = Annotated[Act, Depends()]
_ACTS: Final = raises(InvalidInput, NotAllowed, NotFound, IdempotencyMismatch)
_ACTS_ON_ADMINISTRATORS: Final = raises(InvalidInput, NotAllowed, NotFound, LastAdministrator, IdempotencyMismatch)


@router.get("", summary="Find accounts", responses=raises(NotAllowed))
async def list_users(
    _admin: AdminDep,
    edge: EdgeDep,
    email: Annotated[
        str | None, Query(max_length=MAX_EMAIL_LENGTH, description="Only the account of this address, in any case.")
    ] = None,
    role: Annotated[Role | None, Query(description="Only accounts with this role.")] = None,
    suspended: Annotated[bool | None, Query(description="Only accounts that are shut out, or only the others.")] = None,
    limit: Annotated[int, Query(ge=1, le=_MAX_PAGE, description="Accounts per page.")] = 100,
    cursor: Annotated[
        str | None, Query(pattern=CURSOR_PATTERN, description="`next_cursor` of the page before.")
    ] = None,
) -> AdministeredUserList:
    """Accounts, the newest first. Administrators only."""
    after = None if cursor is None else decode_cursor(cursor)[1:]
    async with edge.read() as tx:
        found = await edge.service(AccountAdministration, tx).list_users(
            UserFilter(email=email, role=role, suspended=suspended), limit=limit + 1, after=after
        )
    page = found[:limit]
    last = page[-1] if len(found) > limit else None
    return AdministeredUserList(
        users=[AdministeredUserResponse.of(user) for user in page],
        next_cursor=None if last is None else encode_cursor(0, last.created_at, last.id),
    )


@router.get("/{user_id}", summary="Show an account", responses=raises(NotAllowed, NotFound))
async def get_user(user_id: UserId, _admin: AdminDep, edge: EdgeDep) -> AdministeredUserResponse:
    """One account as it is now. Administrators only."""
    async with edge.read() as tx:
        return AdministeredUserResponse.of(await edge.service(AccountAdministration, tx).get_user(parse_id(user_id)))


@router.post("/{user_id}/suspend", summary="Suspend an account", responses=_ACTS_ON_ADMINISTRATORS)
async def suspend_user(
    user_id: UserId,
    body: Suspension,
    admin: AdminDep,
    act: ActDep,
) -> AdministeredUserResponse:
    """Shut an account out and sign it out everywhere, within a second. Administrators only.

    Its VMs go on and are paid for, unless `stop_vms` stops them. Nothing is deleted.
    """

    async def suspend(service: AccountAdministration) -> UUID:
        return await service.suspend(parse_id(user_id), reason=body.reason, stop_vms=body.stop_vms, caller=admin)

    return await act(suspend)


@router.post("/{user_id}/resume", summary="Resume an account", responses=_ACTS)
async def resume_user(user_id: UserId, admin: AdminDep, act: ActDep) -> AdministeredUserResponse:
    """Let a suspended account in again. VMs that were stopped stay so. Administrators only."""
    return await act(lambda service: service.resume(parse_id(user_id), caller=admin))


@router.post("/{user_id}/sign-out", summary="Sign an account out", responses=_ACTS)
async def sign_out_user(user_id: UserId, admin: AdminDep, act: ActDep) -> AdministeredUserResponse:
    """End every session of an account, within a second. It can log in again. Administrators only."""
    return await act(lambda service: service.sign_out(parse_id(user_id), caller=admin))


@router.post(
    "/{user_id}/second-factor/reset",
    summary="Reset an account's second factor",
    dependencies=[PROVEN_LATELY],
    responses={**_ACTS, **raises(ReauthenticationRequired, NotAllowed)},
)
async def reset_user_factor(user_id: UserId, admin: AdminDep, act: ActDep) -> AdministeredUserResponse:
    """Take the second factor from an account whose owner has lost it, and end its sessions. Administrators only.

    Make sure first who asks for it: from then on the password alone lets somebody in.
    """
    return await act(lambda service: service.reset_factor(parse_id(user_id), caller=admin))


@router.put(
    "/{user_id}/role",
    summary="Change who administers",
    dependencies=[PROVEN_LATELY],
    responses={**_ACTS_ON_ADMINISTRATORS, **raises(ReauthenticationRequired, NotAllowed)},
)
async def change_user_role(
    user_id: UserId,
    body: RoleChange,
    admin: AdminDep,
    act: ActDep,
) -> AdministeredUserResponse:
    """Make an account an administrator, or an ordinary one again; one administrator always stays.

    The first administrator is made with `zentry admin create` by whoever has the machine.
    """
    return await act(lambda service: service.change_role(parse_id(user_id), body.role, caller=admin))
