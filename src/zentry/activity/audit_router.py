"""The log of everybody, for administrators: what was done, by whom, and from where."""

from __future__ import annotations

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query

from zentry.activity.audit_schemas import AuditPage
from zentry.activity.repository import AuditLogRepository
from zentry.activity.types import AuditFilter
from zentry.platform.errors import InvalidInput, NotAllowed
from zentry.platform.ids import parse_id
from zentry.platform.web import AdminDep, EdgeDep, JSONBytes, raises

router = APIRouter(prefix="/admin", tags=["Administration"])

_LAST_POSITION: Final = 2**53 - 1
_NO_ID: Final = UUID(int=0)
"""What an id in another form names: nothing."""


@router.get(
    "/audit", summary="Look through the audit log", response_model=AuditPage, responses=raises(InvalidInput, NotAllowed)
)
async def list_audit_log(
    _admin: AdminDep,
    edge: EdgeDep,
    user_id: Annotated[str | None, Query(max_length=64, description="Only what concerns this account.")] = None,
    resource_id: Annotated[str | None, Query(max_length=64, description="Only what concerns this resource.")] = None,
    limit: Annotated[int, Query(ge=1, le=500, description="Most to return.")] = 100,
    cursor: Annotated[
        int | None, Query(ge=0, le=_LAST_POSITION, description="`next_cursor` of the page before.")
    ] = None,
) -> JSONBytes:
    """Everybody's events, the newest first, with session, address and client where these are still kept.

    `zentry audit export` writes the log as lines of JSON, and `zentry audit verify` follows its chain.
    Administrators only.
    """
    wanted = AuditFilter(*(None if text is None else parse_id(text) or _NO_ID for text in (user_id, resource_id)))
    async with edge.read() as tx:
        found = await AuditLogRepository(tx).list_page(wanted, cursor=cursor, most=limit + 1)
    page = found[:limit]
    return JSONBytes({"entries": page, "next_cursor": page[-1]["position"] if len(found) > limit else None})
