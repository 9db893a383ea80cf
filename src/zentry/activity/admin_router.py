"""Routes with which administrators look after everybody's operations."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from zentry.activity.errors import OperationNotCancellable, OperationNotFound, OperationNotRetryable
from zentry.activity.router import Cursor, KindFilter, OperationId, PageLimit, StatusFilter, page_of
from zentry.activity.schemas import OperationList, OperationResponse
from zentry.activity.service import ActivityService
from zentry.activity.types import OperationFilter
from zentry.billing.errors import InsufficientCredits
from zentry.operations.errors import VMBusy
from zentry.operations.once import OnceDep
from zentry.platform.errors import IdempotencyMismatch, NotAllowed
from zentry.platform.ids import parse_id, wanted_id
from zentry.platform.pagination import decode_cursor
from zentry.platform.web import AdminDep, EdgeDep, JSONBytes, raises
from zentry.vms.errors import InvalidTransition

router = APIRouter(prefix="/admin/operations", tags=["Administration"])

_DEFAULT_PAGE = 100


@router.get("", summary="List everybody's operations", response_model=OperationList, responses=raises(NotAllowed))
async def list_all_operations(
    _admin: AdminDep,
    edge: EdgeDep,
    user_id: Annotated[
        str | None, Query(max_length=64, description="Only operations for which this account pays.")
    ] = None,
    vm_id: Annotated[str | None, Query(max_length=64, description="Only operations of this VM.")] = None,
    status: StatusFilter = None,
    kind: KindFilter = None,
    limit: PageLimit = _DEFAULT_PAGE,
    cursor: Cursor = None,
) -> JSONBytes:
    """What was asked of any VM, the newest first. Administrators only."""
    after = None if cursor is None else decode_cursor(cursor)[1:]
    async with edge.read() as tx:
        found = await edge.service(ActivityService, tx).list_all_operations(
            OperationFilter(wanted_id(vm_id), status, kind, wanted_id(user_id)), limit=limit + 1, after=after
        )
    return page_of(found, limit=limit)


@router.post(
    "/{operation_id}/cancel",
    summary="Cancel anybody's operation",
    response_model=OperationResponse,
    responses=raises(NotAllowed, OperationNotFound, OperationNotCancellable, IdempotencyMismatch),
)
async def cancel_any_operation(operation_id: OperationId, admin: AdminDep, edge: EdgeDep, once: OnceDep) -> JSONBytes:
    """Undo a creation or a start that is under way, as its owner could. Administrators only."""
    async with edge.work() as tx:
        service = edge.service(ActivityService, tx)
        operation = await once.operation(tx, lambda: service.cancel_any(parse_id(operation_id), caller=admin))
        view = await service.get_any_operation(operation.id)
    return JSONBytes(view, headers=once.headers)


@router.post(
    "/{operation_id}/retry",
    summary="Retry anybody's operation",
    response_model=OperationResponse,
    responses=raises(
        NotAllowed,
        OperationNotFound,
        OperationNotRetryable,
        InvalidTransition,
        VMBusy,
        InsufficientCredits,
        IdempotencyMismatch,
    ),
)
async def retry_operation(operation_id: OperationId, admin: AdminDep, edge: EdgeDep, once: OnceDep) -> JSONBytes:
    """Try again. Administrators only.

    One that waits for its next try is tried at once. For a start, stop, restart or deletion that has failed, another
    operation is begun and answered, by the rules that hold for its owner.
    """
    async with edge.work() as tx:
        service = edge.service(ActivityService, tx)
        operation = await once.operation(tx, lambda: service.retry(parse_id(operation_id), caller=admin))
        view = await service.get_any_operation(operation.id)
    return JSONBytes(view, headers=once.headers)
