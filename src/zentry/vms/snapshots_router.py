"""Routes of snapshots."""

from __future__ import annotations

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response

from zentry.operations.errors import VMBusy
from zentry.operations.once import OnceDep
from zentry.operations.types import Operation
from zentry.platform.errors import IdempotencyMismatch, InvalidInput, PreconditionFailed
from zentry.platform.ids import parse_id
from zentry.platform.pagination import CURSOR_PATTERN, decode_cursor, encode_cursor
from zentry.platform.web import CallerDep, EdgeDep, MatchDep, raises
from zentry.platform.wire import APIResponse
from zentry.projects.access import RoleTooLow
from zentry.projects.quotas import QuotaExceeded
from zentry.vms.answers import WaitDep
from zentry.vms.changes_router import ACCEPTED
from zentry.vms.errors import (
    EngineCannot,
    InvalidTransition,
    SnapshotInUse,
    SnapshotNameTaken,
    SnapshotNotAvailable,
    SnapshotNotFound,
    VMNotFound,
)
from zentry.vms.router import VMId
from zentry.vms.schemas import SnapshotCreate, SnapshotList, SnapshotResponse
from zentry.vms.snapshots import SnapshotService

router = APIRouter(tags=["Virtual Machines"])

_MAX_PAGE: Final = 500
SnapshotId = Annotated[str, Path(description="Id of a snapshot.", examples=["01936b60-0c1d-7a11-b7c4-5d2e9f3a6b01"])]


@router.get("/snapshots", summary="List snapshots")
async def list_snapshots(
    caller: CallerDep,
    edge: EdgeDep,
    limit: Annotated[int, Query(ge=1, le=_MAX_PAGE, description="Snapshots per page.")] = _MAX_PAGE,
    cursor: Annotated[
        str | None, Query(pattern=CURSOR_PATTERN, description="`next_cursor` of the page before.")
    ] = None,
) -> SnapshotList:
    """Your snapshots, the newest first, also those of VMs that are gone."""
    after = None if cursor is None else decode_cursor(cursor)[1:]
    async with edge.read() as tx:
        found = await edge.service(SnapshotService, tx).list_snapshots(caller=caller, limit=limit + 1, after=after)
    page = found[:limit]
    more = len(found) > limit
    return SnapshotList(
        snapshots=[SnapshotResponse.model_validate(one) for one in page],
        next_cursor=encode_cursor(0, page[-1].created_at, page[-1].id) if more else None,
    )


@router.get("/snapshots/{snapshot_id}", summary="Show a snapshot", responses=raises(SnapshotNotFound))
async def get_snapshot(snapshot_id: SnapshotId, caller: CallerDep, edge: EdgeDep) -> SnapshotResponse:
    """One snapshot as it is now."""
    async with edge.read() as tx:
        found = await edge.service(SnapshotService, tx).get_snapshot(parse_id(snapshot_id), caller=caller)
    return SnapshotResponse.model_validate(found)


@router.delete(
    "/snapshots/{snapshot_id}",
    summary="Delete a snapshot",
    responses={**ACCEPTED, **raises(RoleTooLow, SnapshotNotFound, SnapshotInUse, VMBusy, IdempotencyMismatch)},
)
async def delete_snapshot(
    snapshot_id: SnapshotId, response: Response, caller: CallerDep, edge: EdgeDep, wait: WaitDep, once: OnceDep
) -> APIResponse:
    """Remove a snapshot for good. VMs that were made from it, or restored to it, stay as they are."""
    async with edge.work() as tx:
        service = edge.service(SnapshotService, tx)
        operation = await once.operation(tx, lambda: service.delete_snapshot(parse_id(snapshot_id), caller=caller))
    response.headers.update(once.headers)
    return await wait.answer(operation, response, done="Snapshot deleted", underway="Snapshot is being deleted")


@router.get("/vms/{vm_id}/snapshots", summary="List a VM's snapshots", responses=raises(VMNotFound))
async def list_vm_snapshots(vm_id: VMId, caller: CallerDep, edge: EdgeDep) -> SnapshotList:
    """The snapshots of one VM, the newest 500."""
    async with edge.read() as tx:
        found = await edge.service(SnapshotService, tx).list_snapshots_of_vm(
            parse_id(vm_id), caller=caller, limit=_MAX_PAGE
        )
    return SnapshotList(snapshots=[SnapshotResponse.model_validate(one) for one in found], next_cursor=None)


@router.post(
    "/vms/{vm_id}/snapshots",
    summary="Take a snapshot",
    status_code=201,
    responses={
        202: {"model": SnapshotResponse, "description": "Accepted; asked for with `Prefer: respond-async`."},
        **raises(
            InvalidInput,
            RoleTooLow,
            VMNotFound,
            InvalidTransition,
            VMBusy,
            SnapshotNameTaken,
            QuotaExceeded,
            EngineCannot,
            IdempotencyMismatch,
        ),
    },
)
async def create_snapshot(
    vm_id: VMId,
    body: SnapshotCreate,
    response: Response,
    caller: CallerDep,
    edge: EdgeDep,
    wait: WaitDep,
    once: OnceDep,
) -> SnapshotResponse:
    """Copy the disk of a VM that runs or stands still, as it is now.

    Answers with the snapshot as it is after a moment: `available`, else `creating`, or `error` where the
    engine could not take it. A snapshot outlives its VM and counts with the `snapshots` quota.
    """
    async with edge.work() as tx:
        service = edge.service(SnapshotService, tx)
        asked: list[Operation] = []

        async def take() -> UUID:
            snapshot, operation = await service.take_snapshot(parse_id(vm_id), name=body.name, caller=caller)
            asked.append(operation)
            return snapshot.id

        snapshot_id = await once.resource(tx, take)
    for operation in asked:  # None where the key has been used: what it brought about is shown as it is now.
        await wait.for_end(operation)
    response.headers.update({"Location": f"/snapshots/{snapshot_id}", "Vary": "Prefer", **once.headers})
    if wait.respond_async:
        response.status_code = 202
    async with edge.read() as tx:
        now_is = await edge.service(SnapshotService, tx).get_snapshot(snapshot_id, caller=caller)
    return SnapshotResponse.model_validate(now_is)


@router.post(
    "/vms/{vm_id}/snapshots/{snapshot_id}/restore",
    summary="Restore a snapshot",
    responses={
        **ACCEPTED,
        **raises(
            RoleTooLow,
            VMNotFound,
            SnapshotNotFound,
            InvalidTransition,
            VMBusy,
            SnapshotNotAvailable,
            EngineCannot,
            PreconditionFailed,
            IdempotencyMismatch,
        ),
    },
)
async def restore_snapshot(
    vm_id: VMId,
    snapshot_id: SnapshotId,
    response: Response,
    caller: CallerDep,
    edge: EdgeDep,
    wait: WaitDep,
    once: OnceDep,
    match: MatchDep,
) -> APIResponse:
    """Make a VM's disk what it was when a snapshot of this VM was taken; what came later is lost.

    A VM that runs is stopped, restored and started, and charged meanwhile; one that stands still stays so.
    """
    async with edge.work() as tx:
        service = edge.service(SnapshotService, tx).only_if(match)
        operation = await once.operation(
            tx, lambda: service.restore_snapshot(parse_id(vm_id), parse_id(snapshot_id), caller=caller)
        )
    response.headers.update(once.headers)
    return await wait.answer(operation, response, done="VM restored", underway="VM is being restored")
