"""Routes that change a machine itself."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Response

from zentry.billing.errors import InsufficientCredits
from zentry.operations.errors import VMBusy
from zentry.operations.once import OnceDep
from zentry.platform.errors import IdempotencyMismatch, InvalidInput, PreconditionFailed
from zentry.platform.ids import parse_id
from zentry.platform.web import CallerDep, EdgeDep, MatchDep, raises
from zentry.platform.wire import APIResponse
from zentry.projects.access import RoleTooLow
from zentry.projects.quotas import QuotaExceeded
from zentry.vms.answers import WaitDep
from zentry.vms.changes import VMChangeService
from zentry.vms.errors import EngineCannot, InvalidTransition, SizeUnchanged, VMNotFound
from zentry.vms.router import VMId
from zentry.vms.schemas import VMRebuild, VMResize

router = APIRouter(prefix="/vms", tags=["Virtual Machines"])

ACCEPTED: Final[dict[int | str, dict[str, Any]]] = {
    202: {"model": APIResponse, "description": "Accepted; asked for with `Prefer: respond-async`."}
}


@router.post(
    "/{vm_id}/resize",
    summary="Resize a VM",
    responses={
        **ACCEPTED,
        **raises(
            InvalidInput,
            InsufficientCredits,
            RoleTooLow,
            VMNotFound,
            InvalidTransition,
            VMBusy,
            QuotaExceeded,
            SizeUnchanged,
            EngineCannot,
            PreconditionFailed,
            IdempotencyMismatch,
        ),
    },
)
async def resize_vm(
    vm_id: VMId,
    body: VMResize,
    response: Response,
    caller: CallerDep,
    edge: EdgeDep,
    wait: WaitDep,
    once: OnceDep,
    match: MatchDep,
) -> APIResponse:
    """Give a machine another instance type, larger or smaller.

    One that runs is stopped, resized and started; one that stands still stays so. The disk grows to that
    of the new type and never shrinks. The new price applies from the instant when it has its new size; a
    resize that fails leaves size and price as they were.
    """
    async with edge.work() as tx:
        service = edge.service(VMChangeService, tx).only_if(match)
        operation = await once.operation(
            tx, lambda: service.resize_vm(parse_id(vm_id), instance_type=body.instance_type, caller=caller)
        )
    response.headers.update(once.headers)
    return await wait.answer(operation, response, done="VM resized", underway="VM is being resized")


@router.post(
    "/{vm_id}/rebuild",
    summary="Rebuild a VM",
    responses={
        **ACCEPTED,
        **raises(
            InvalidInput,
            RoleTooLow,
            VMNotFound,
            InvalidTransition,
            VMBusy,
            EngineCannot,
            PreconditionFailed,
            IdempotencyMismatch,
        ),
    },
)
async def rebuild_vm(
    vm_id: VMId,
    body: VMRebuild,
    response: Response,
    caller: CallerDep,
    edge: EdgeDep,
    wait: WaitDep,
    once: OnceDep,
    match: MatchDep,
) -> APIResponse:
    """Begin afresh from an image: everything on the machine's disk is lost. Snapshots of it stay.

    One that runs is stopped, rebuilt and started, and charged meanwhile; one that stands still stays so.
    """
    async with edge.work() as tx:
        service = edge.service(VMChangeService, tx).only_if(match)
        operation = await once.operation(
            tx, lambda: service.rebuild_vm(parse_id(vm_id), image=body.image, caller=caller)
        )
    response.headers.update(once.headers)
    return await wait.answer(operation, response, done="VM rebuilt", underway="VM is being rebuilt")
