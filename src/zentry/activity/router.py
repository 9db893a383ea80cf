"""What happened, as its owner may read it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from zentry.activity.schemas import AuditEntryResponse
from zentry.activity.service import ActivityService
from zentry.platform.errors import InvalidInput, NotAuthenticated
from zentry.platform.web import CallerDep, EdgeDep, raises

router = APIRouter(prefix="/health", tags=["Health"])

EntryLimit = Annotated[int, Query(ge=1, le=1000, description="Most entries to return.")]
EntryOffset = Annotated[int, Query(ge=0, le=100_000, description="Newest entries to leave out.")]


@router.get("/audit", summary="List what happened", responses=raises(InvalidInput, NotAuthenticated))
async def list_audit_entries(
    caller: CallerDep, edge: EdgeDep, limit: EntryLimit = 50, offset: EntryOffset = 0
) -> list[AuditEntryResponse]:
    """List what happened to the account and to what it owns, newest first."""
    async with edge.read() as tx:
        entries = await edge.service(ActivityService, tx).list_entries(limit=limit, offset=offset, caller=caller)
    return [AuditEntryResponse.model_validate(entry) for entry in entries]
