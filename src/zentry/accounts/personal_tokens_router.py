"""Routes of personal access tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response

from zentry.accounts.dependencies import PROVEN_LATELY
from zentry.accounts.errors import (
    PersonalTokenNotFound,
    ReauthenticationRequired,
    TokenNameTaken,
    TokenProjectNotFound,
    TooManyTokens,
)
from zentry.accounts.personal_tokens import PersonalTokenService
from zentry.accounts.personal_tokens_schemas import PersonalTokenCreate, PersonalTokenResponse, PersonalTokenSecret
from zentry.operations.once import OnceDep
from zentry.platform.errors import IdempotencyMismatch, InvalidInput
from zentry.platform.ids import parse_id
from zentry.platform.web import CallerDep, EdgeDep, raises
from zentry.platform.wire import APIResponse

router = APIRouter(prefix="/auth/tokens", tags=["Authentication"])

TokenId = Annotated[
    str, Path(description="Id of a personal access token.", examples=["01936b61-2d3e-7b22-8c5d-6e3f0a4b7c12"])
]


@router.get("", summary="List personal access tokens")
async def list_personal_tokens(caller: CallerDep, edge: EdgeDep) -> list[PersonalTokenResponse]:
    """Your tokens by name, without their secrets; an account has 50 at most."""
    async with edge.read() as tx:
        found = await edge.service(PersonalTokenService, tx).list_tokens(caller)
    return [PersonalTokenResponse.of(token) for token in found]


@router.post(
    "",
    summary="Make a personal access token",
    status_code=201,
    dependencies=[PROVEN_LATELY],
    responses=raises(
        ReauthenticationRequired, InvalidInput, TokenProjectNotFound, TokenNameTaken, TooManyTokens, IdempotencyMismatch
    ),
)
async def create_personal_token(
    body: PersonalTokenCreate, response: Response, caller: CallerDep, edge: EdgeDep, once: OnceDep
) -> PersonalTokenSecret:
    """Make a secret with which a program may do what its scopes say, until it expires or you revoke it.

    The secret is in this answer and nowhere else.
    """
    secret: str | None = None
    limits = None if body.project_ids is None else _parse_projects(body.project_ids)
    async with edge.work() as tx:
        service = edge.service(PersonalTokenService, tx)

        async def create() -> UUID:
            nonlocal secret
            token_id, secret = await service.create_token(
                name=body.name,
                scopes=body.scopes,
                life_days=body.expires_in_days,
                project_ids=limits,
                caller=caller,
            )
            return token_id

        token = await service.get_token(await once.resource(tx, create), caller=caller)
    response.headers.update({"Location": f"/auth/tokens/{token.id}", "Cache-Control": "no-store", **once.headers})
    return PersonalTokenSecret.with_secret(token, secret)


@router.get("/{token_id}", summary="Show a personal access token", responses=raises(PersonalTokenNotFound))
async def get_personal_token(token_id: TokenId, caller: CallerDep, edge: EdgeDep) -> PersonalTokenResponse:
    """One token of yours, without its secret."""
    async with edge.read() as tx:
        token = await edge.service(PersonalTokenService, tx).get_token(parse_id(token_id), caller=caller)
    return PersonalTokenResponse.of(token)


@router.post(
    "/{token_id}/rotate",
    summary="Rotate a personal access token",
    dependencies=[PROVEN_LATELY],
    responses=raises(ReauthenticationRequired, PersonalTokenNotFound, IdempotencyMismatch),
)
async def rotate_personal_token(
    token_id: TokenId, response: Response, caller: CallerDep, edge: EdgeDep, once: OnceDep
) -> PersonalTokenSecret:
    """Give a token another secret and its full life again; the old secret ends at once."""
    secret: str | None = None
    async with edge.work() as tx:
        service = edge.service(PersonalTokenService, tx)

        async def rotate() -> UUID:
            nonlocal secret
            found, secret = await service.rotate_token(parse_id(token_id), caller=caller)
            return found

        token = await service.get_token(await once.resource(tx, rotate), caller=caller)
    response.headers.update({"Cache-Control": "no-store", **once.headers})
    return PersonalTokenSecret.with_secret(token, secret)


@router.delete(
    "/{token_id}",
    summary="Revoke a personal access token",
    responses=raises(PersonalTokenNotFound, IdempotencyMismatch),
)
async def revoke_personal_token(
    token_id: TokenId, response: Response, caller: CallerDep, edge: EdgeDep, once: OnceDep
) -> APIResponse:
    """End a token; it is refused at once, and within a second by every process."""
    async with edge.work() as tx:
        service = edge.service(PersonalTokenService, tx)
        await once.resource(tx, lambda: service.revoke_token(parse_id(token_id), caller=caller))
    response.headers.update(once.headers)
    return APIResponse(success=True, message="Token revoked", timestamp=tx.now)


def _parse_projects(texts: Sequence[str]) -> frozenset[UUID]:
    """Return the ids of projects, each once; `TokenProjectNotFound` where one is no id."""
    ids = frozenset(map(parse_id, texts))
    if None in ids:
        raise TokenProjectNotFound
    return frozenset(id_ for id_ in ids if id_ is not None)
