"""Routes of the caller's sessions, and of the keys that tokens are checked with."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from zentry.accounts.dependencies import PROVEN_LATELY, AuthDep
from zentry.accounts.errors import ReauthenticationRequired, SessionNotFound
from zentry.accounts.own_sessions import OwnSessions
from zentry.accounts.schemas import JWKSet, SessionResponse
from zentry.operations.once import OnceDep
from zentry.platform.errors import IdempotencyMismatch
from zentry.platform.ids import parse_id
from zentry.platform.web import CallerDep, EdgeDep, raises
from zentry.platform.wire import APIResponse

router = APIRouter(tags=["Authentication"])

SessionId = Annotated[str, Path(description="Id of a session.", examples=["01936b61-2d3e-7b22-8c5d-6e3f0a4b7c12"])]


@router.get("/auth/sessions", summary="List the own sessions")
async def list_sessions(caller: CallerDep, edge: EdgeDep) -> list[SessionResponse]:
    """Where you are logged in, the newest first: device, address and last use."""
    async with edge.read() as tx:
        found = await edge.service(OwnSessions, tx).list_sessions(caller)
    return [SessionResponse.of(session, caller=caller) for session in found]


@router.delete(
    "/auth/sessions/{session_id}",
    summary="End a session",
    dependencies=[PROVEN_LATELY],
    responses=raises(ReauthenticationRequired, SessionNotFound, IdempotencyMismatch),
)
async def end_session(
    session_id: SessionId, response: Response, caller: CallerDep, edge: EdgeDep, once: OnceDep
) -> APIResponse:
    """Log one of your sessions out; its tokens are refused at once, and within a second by every process."""
    async with edge.work() as tx:
        service = edge.service(OwnSessions, tx)
        await once.resource(tx, lambda: service.end_session(parse_id(session_id), caller=caller))
    response.headers.update(once.headers)
    return APIResponse(success=True, message="Session ended", timestamp=tx.now)


@router.delete(
    "/auth/sessions",
    summary="End all other sessions",
    dependencies=[PROVEN_LATELY],
    responses=raises(ReauthenticationRequired, IdempotencyMismatch),
)
async def end_other_sessions(response: Response, caller: CallerDep, edge: EdgeDep, once: OnceDep) -> APIResponse:
    """Log every session out but this one."""
    async with edge.work() as tx:
        service = edge.service(OwnSessions, tx)
        await once.resource(tx, lambda: service.end_others(caller))
    response.headers.update(once.headers)
    return APIResponse(success=True, message="All other sessions ended", timestamp=tx.now)


@router.get("/.well-known/jwks.json", summary="Show the keys that sign access tokens")
async def get_jwks(auth: AuthDep, response: Response) -> JWKSet:
    """The public keys with which anybody may check access tokens (RFC 7517).

    It is empty where the platform signs with a shared secret. Anyone may ask.
    """
    response.headers["Cache-Control"] = "public, max-age=300"
    return JWKSet.model_validate({"keys": auth.public_keys})
