"""What happened and what is under way, as its owner may read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, cast

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from zentry.activity.errors import OperationNotCancellable, OperationNotFound
from zentry.activity.schemas import AuditEntryResponse, OperationList, OperationResponse
from zentry.activity.service import ActivityService
from zentry.activity.types import OperationFilter
from zentry.activity.views import OperationView
from zentry.operations.once import OnceDep
from zentry.operations.waiting import OperationWaiter
from zentry.platform.caller import Caller
from zentry.platform.errors import IdempotencyMismatch, InvalidInput, NotAuthenticated
from zentry.platform.ids import parse_id
from zentry.platform.pagination import CURSOR_PATTERN, decode_cursor, encode_cursor
from zentry.platform.web import CallerDep, Edge, EdgeDep, JSONBytes, raises
from zentry.projects.access import RoleTooLow
from zentry.schema.operations import OperationStatus
from zentry.vms.answers import MAX_WAIT_SECONDS, WaitDep, WaitingFactory
from zentry.vms.errors import VMNotFound

router = APIRouter(prefix="/health", tags=["Health"])
operations_router = APIRouter(tags=["Activity"])

_MAX_PAGE: Final = 500
_DEFAULT_PAGE: Final = 100
EntryLimit = Annotated[int, Query(ge=1, le=1000, description="Most entries to return.")]
EntryOffset = Annotated[int, Query(ge=0, le=100_000, description="Newest entries to leave out.")]
OperationId = Annotated[str, Path(description="Id of an operation.", examples=["01936b5e-7d5b-7cc0-a6f1-1f2f4b7a9a10"])]
PageLimit = Annotated[int, Query(ge=1, le=_MAX_PAGE, description="Operations per page.")]
Cursor = Annotated[str | None, Query(pattern=CURSOR_PATTERN, description="`next_cursor` of the page before.")]
StatusFilter = Annotated[OperationStatus | None, Query(description="Only operations in this state.")]
KindFilter = Annotated[
    str | None,
    Query(pattern=r"^[a-z_.]{1,100}$", description="Only operations of this kind.", examples=["vms.create"]),
]


async def _waiter(request: Request) -> OperationWaiter:
    return cast("WaitingFactory", request.app.state.waiting).waiter


WaiterDep = Annotated[OperationWaiter, Depends(_waiter)]


@router.get("/audit", summary="List what happened", responses=raises(InvalidInput, NotAuthenticated))
async def list_audit_entries(
    caller: CallerDep, edge: EdgeDep, limit: EntryLimit = 50, offset: EntryOffset = 0
) -> list[AuditEntryResponse]:
    """List what happened to the account and to what it owns, newest first."""
    async with edge.read() as tx:
        entries = await edge.service(ActivityService, tx).list_entries(limit=limit, offset=offset, caller=caller)
    return [AuditEntryResponse.model_validate(entry) for entry in entries]


@operations_router.get("/operations", summary="List operations", response_model=OperationList)
async def list_operations(
    caller: CallerDep,
    edge: EdgeDep,
    vm_id: Annotated[str | None, Query(max_length=64, description="Only operations of this VM.")] = None,
    status: StatusFilter = None,
    kind: KindFilter = None,
    limit: PageLimit = _DEFAULT_PAGE,
    cursor: Cursor = None,
) -> JSONBytes:
    """What was asked of your VMs, the newest first; with what is under way, ended and failed."""
    wanted_vm = None if vm_id is None else parse_id(vm_id)
    if vm_id is not None and wanted_vm is None:
        return JSONBytes({"operations": [], "next_cursor": None})
    return await _page(edge, caller, OperationFilter(wanted_vm, status, kind), limit=limit, cursor=cursor)


@operations_router.get(
    "/operations/{operation_id}",
    summary="Show an operation",
    response_model=OperationResponse,
    responses=raises(OperationNotFound),
)
async def get_operation(
    operation_id: OperationId,
    caller: CallerDep,
    edge: EdgeDep,
    waiter: WaiterDep,
    wait: Annotated[
        int, Query(ge=0, le=int(MAX_WAIT_SECONDS), description="Answer when it has ended, or after so many seconds.")
    ] = 0,
) -> JSONBytes:
    """One operation as it is now or, with `wait`, as it is once it has ended or the wait is over."""
    view = await _get(edge, operation_id, caller)
    if wait and view.finished_at is None:
        await waiter.wait(view.id, seconds=wait)
        view = await _get(edge, operation_id, caller)
    return JSONBytes(view)


@operations_router.get(
    "/vms/{vm_id}/operations",
    summary="List the operations of a VM",
    response_model=OperationList,
    responses=raises(VMNotFound),
)
async def list_vm_operations(
    vm_id: Annotated[str, Path(description="Id of a VM.", examples=["01936b5e-7d5b-7cc0-a6f1-1f2f4b7a9a10"])],
    caller: CallerDep,
    edge: EdgeDep,
    status: StatusFilter = None,
    kind: KindFilter = None,
    limit: PageLimit = _DEFAULT_PAGE,
    cursor: Cursor = None,
) -> JSONBytes:
    """What was asked of one VM, the newest first; also of one that is terminated."""
    async with edge.read() as tx:
        own = await edge.service(ActivityService, tx).ensure_own_vm(parse_id(vm_id), caller=caller)
    return await _page(edge, caller, OperationFilter(own, status, kind), limit=limit, cursor=cursor)


@operations_router.post(
    "/operations/{operation_id}/cancel",
    summary="Cancel an operation",
    response_model=OperationResponse,
    responses={
        202: {"model": OperationResponse, "description": "Accepted; asked for with `Prefer: respond-async`."},
        **raises(RoleTooLow, OperationNotFound, OperationNotCancellable, IdempotencyMismatch),
    },
)
async def cancel_operation(
    operation_id: OperationId, caller: CallerDep, edge: EdgeDep, wait: WaitDep, once: OnceDep
) -> Response:
    """Undo a creation or a start that is under way; the operation ends as `cancelled` and what was held is released.

    A VM whose start is cancelled is as it was before. One whose creation is cancelled is in `error`, holds nothing
    and costs nothing: start it or delete it. Cancelling again changes nothing. Other kinds can't be undone.
    """
    async with edge.work() as tx:
        service = edge.service(ActivityService, tx)
        operation = await once.operation(tx, lambda: service.cancel_operation(parse_id(operation_id), caller=caller))
    await wait.for_end(operation)
    view = await _get(edge, operation_id, caller)
    return JSONBytes(view, status_code=202 if wait.respond_async else 200, headers={"Vary": "Prefer", **once.headers})


async def _get(edge: Edge, operation_id: str, caller: Caller) -> OperationView:
    async with edge.read() as tx:
        return await edge.service(ActivityService, tx).get_operation(parse_id(operation_id), caller=caller)


async def _page(edge: Edge, caller: Caller, wanted: OperationFilter, *, limit: int, cursor: str | None) -> JSONBytes:
    after = None if cursor is None else decode_cursor(cursor)[1:]
    async with edge.read() as tx:
        found = await edge.service(ActivityService, tx).list_operations(
            wanted, limit=limit + 1, after=after, caller=caller
        )
    return page_of(found, limit=limit)


def page_of(found: Sequence[OperationView], *, limit: int) -> JSONBytes:
    """Return one page of what was found, which is one more where there is another page."""
    page = found[:limit]
    more = len(found) > limit
    return JSONBytes(
        {
            "operations": page,
            "next_cursor": encode_cursor(0, page[-1].created_at, page[-1].id) if more else None,
        }
    )
