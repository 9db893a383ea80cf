"""Routes of machines and of the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from fastapi import APIRouter, Header, Path, Query, Request, Response
from pydantic import BaseModel

from zentry.billing.errors import InsufficientCredits
from zentry.operations.errors import VMBusy
from zentry.operations.idempotency import KEY_PATTERN, IdempotencyKey, IdempotencyStore, Replay, idempotency_key
from zentry.operations.queue import OperationQueue
from zentry.operations.types import Operation
from zentry.platform.caching import cached_json
from zentry.platform.caller import Caller
from zentry.platform.db import Transaction
from zentry.platform.errors import IdempotencyMismatch, InvalidInput, NotFound
from zentry.platform.ids import parse_id
from zentry.platform.pagination import CURSOR_PATTERN, decode_cursor, encode_cursor
from zentry.platform.web import CallerDep, Edge, EdgeDep, JSONBytes, raises
from zentry.platform.wire import APIResponse
from zentry.projects.quotas import QuotaExceeded
from zentry.schema.vms import VMStatus
from zentry.vms.answers import WaitDep
from zentry.vms.catalogue import Catalogue
from zentry.vms.errors import (
    InvalidTransition,
    NoFreeAddress,
    SnapshotNotAvailable,
    SnapshotNotFound,
    VMNameTaken,
    VMNotFound,
    VMProtected,
)
from zentry.vms.labels import MAX_SELECTOR_LENGTH, SELECTOR_PATTERN, parse_selector
from zentry.vms.schemas import (
    ImageResponse,
    InstanceTypeResponse,
    PricingInfo,
    SimplePricing,
    StatusSummary,
    VMCreate,
    VMList,
    VMResponse,
    VMUpdate,
)
from zentry.vms.service import VMService
from zentry.vms.summary import summarise
from zentry.vms.types import Extras, VMChanges
from zentry.vms.views import VMFilter, VMView, VMViews, rank_of

router = APIRouter(prefix="/vms", tags=["Virtual Machines"])
catalogue_router = APIRouter(tags=["Virtual Machines"])

_MAX_PAGE: Final = 500
_CATALOGUE_SECONDS: Final = 60
VMId = Annotated[str, Path(description="Id of a VM.", examples=["01936b5e-7d5b-7cc0-a6f1-1f2f4b7a9a10"])]
IdempotencyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=KEY_PATTERN,
        description="Makes a repeat safe: the same key has one effect, for 24 hours.",
        examples=["b1946ac9-2492-4d23-8a4c-5c0e3f2a7d11"],
    ),
]


@router.get("", summary="List VMs", response_model=VMList, responses=raises(NotFound))
async def list_vms(
    caller: CallerDep,
    edge: EdgeDep,
    status: Annotated[VMStatus | None, Query(description="Only machines in this state.")] = None,
    project_id: Annotated[str | None, Query(max_length=64, description="Only machines of this project.")] = None,
    name: Annotated[
        str | None, Query(min_length=1, max_length=100, description="Only names that contain this.")
    ] = None,
    label_selector: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=MAX_SELECTOR_LENGTH,
            pattern=SELECTOR_PATTERN,
            description="Only machines whose labels meet all of these: `key=value`, `key!=value`, `key in (a,b)`, "
            "`key notin (a,b)`, `key`, `!key`, parted by commas.",
            examples=["env=prod,tier!=web"],
        ),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=_MAX_PAGE, description="Machines per page.")] = _MAX_PAGE,
    cursor: Annotated[
        str | None, Query(pattern=CURSOR_PATTERN, description="`next_cursor` of the page before.")
    ] = None,
) -> JSONBytes:
    """Your machines, live ones first and then the newest; terminated ones stay in the list."""
    after = None if cursor is None else decode_cursor(cursor)
    labels = () if label_selector is None else parse_selector(label_selector)
    async with edge.read() as tx:
        own = await _own_project(tx, project_id, caller)
        wanted = VMFilter(status=status, project_id=own, name=name, labels=labels)
        views = VMViews(tx)
        found = await views.list(caller.user_id, wanted, limit=limit + 1, after=after)
        more = len(found) > limit
        page = found[:limit]
        total = await views.count(caller.user_id, wanted) if more or after else len(page)
    filters = {"status": status, "project_id": project_id, "name": name, "label_selector": label_selector}
    return JSONBytes(
        {
            "vms": page,
            "total_count": total,
            "filters_applied": {key: value for key, value in filters.items() if value is not None},
            "next_cursor": encode_cursor(rank_of(page[-1]), page[-1].created_at, page[-1].id) if more else None,
        }
    )


@router.post(
    "",
    summary="Create a VM",
    status_code=201,
    response_model=VMResponse,
    responses={
        202: {"model": VMResponse, "description": "Accepted; asked for with `Prefer: respond-async`."},
        **raises(
            InsufficientCredits,
            NotFound,
            VMNameTaken,
            QuotaExceeded,
            SnapshotNotAvailable,
            IdempotencyMismatch,
            NoFreeAddress,
        ),
    },
)
async def create_vm(
    body: VMCreate,
    request: Request,
    caller: CallerDep,
    edge: EdgeDep,
    wait: WaitDep,
    idempotency: IdempotencyHeader = None,
) -> JSONBytes:
    """Hold the credit for a first window, create a machine and start it.

    Answers with the machine as it is after a moment: `running` where the engine was fast, else
    `creating`. It is charged from the first instant that it runs; a creation that fails costs nothing.
    """
    key = await _key(request, caller, idempotency)
    snapshot_id = parse_id(body.snapshot_id)
    if body.snapshot_id and snapshot_id is None:
        raise SnapshotNotFound
    async with edge.work() as tx:
        replay = await IdempotencyStore(tx).find_or_begin(key)
        if replay is None:
            vm_id, operation = await edge.service(VMService, tx).create_vm(
                name=body.name,
                instance_type=body.instance_type,
                image=body.image or None,
                project_id=parse_id(body.project_id),
                extras=Extras(body.labels, body.delete_protection, snapshot_id, _key_ids(body.ssh_keys)),
                caller=caller,
            )
            await IdempotencyStore(tx).complete(key, resource_id=vm_id, operation_id=operation.id)
        else:
            assert replay.resource_id is not None, "a key of a creation names the machine"
            vm_id, operation = replay.resource_id, await _replayed(tx, replay)
    await wait.for_end(operation)
    headers = {"Location": f"/vms/{vm_id}", "Vary": "Prefer"} | _replay_header(replay)
    return JSONBytes(await _view(edge, vm_id, caller), status_code=202 if wait.respond_async else 201, headers=headers)


@router.get("/pricing/info", summary="Show prices and sizes", response_model=PricingInfo)
async def get_pricing_info(request: Request, edge: EdgeDep) -> Response:
    """Prices per hour, sizes, and how charges come about. Public."""
    async with edge.read() as tx:
        return _cached(request, await edge.service(Catalogue, tx).get_pricing_info())


@router.get("/pricing", summary="Show prices", response_model=SimplePricing)
async def get_pricing(request: Request, edge: EdgeDep) -> Response:
    """Prices per hour and sizes, in the short form. Public."""
    async with edge.read() as tx:
        return _cached(request, await edge.service(Catalogue, tx).get_simple_pricing())


@router.get("/status/summary", summary="Summarise VMs")
async def get_status_summary(caller: CallerDep, edge: EdgeDep) -> StatusSummary:
    """Counts, cost and uptime of your machines."""
    async with edge.read() as tx:
        return summarise(await VMViews(tx).list(caller.user_id, VMFilter(), limit=10_000))


@router.get("/{vm_id}", summary="Show a VM", response_model=VMResponse, responses=raises(VMNotFound))
async def get_vm(vm_id: VMId, caller: CallerDep, edge: EdgeDep) -> JSONBytes:
    """One machine as it is now."""
    return JSONBytes(await _view(edge, parse_id(vm_id), caller))


@router.patch(
    "/{vm_id}",
    summary="Change a VM",
    response_model=VMResponse,
    responses=raises(VMNotFound, VMNameTaken, InvalidTransition),
)
async def change_vm(vm_id: VMId, body: VMUpdate, caller: CallerDep, edge: EdgeDep) -> JSONBytes:
    """Rename a machine, replace its labels, or set its protection against deletion.

    Works at any time until it is deleted, also while something is under way. The guest keeps its host
    name until the machine is rebuilt.
    """
    id_ = parse_id(vm_id)
    changes = VMChanges(name=body.name, labels=body.labels, delete_protection=body.delete_protection)
    async with edge.work() as tx:
        await edge.service(VMService, tx).change_vm(id_, changes, caller=caller)
    return JSONBytes(await _view(edge, id_, caller))


_POWER_ERRORS: Final = raises(VMNotFound, InvalidTransition, VMBusy, IdempotencyMismatch)
_ACCEPTED: Final[dict[int | str, dict[str, Any]]] = {
    202: {"model": APIResponse, "description": "Accepted; asked for with `Prefer: respond-async`."}
}


@router.post(
    "/{vm_id}/start",
    summary="Start a VM",
    responses={
        **_ACCEPTED,
        **raises(InsufficientCredits, NoFreeAddress, VMNotFound, InvalidTransition, VMBusy, IdempotencyMismatch),
    },
)
async def start_vm(
    vm_id: VMId,
    request: Request,
    response: Response,
    caller: CallerDep,
    edge: EdgeDep,
    wait: WaitDep,
    idempotency: IdempotencyHeader = None,
) -> APIResponse:
    """Start a machine that stands still. Credit for a first window is held; charging begins when it runs."""
    key = await _key(request, caller, idempotency)
    async with edge.work() as tx:
        replay = await IdempotencyStore(tx).find_or_begin(key)
        if replay is None:
            operation = await edge.service(VMService, tx).start_vm(parse_id(vm_id), caller=caller)
            await IdempotencyStore(tx).complete(key, resource_id=operation.vm_id, operation_id=operation.id)
        else:
            operation = await _replayed(tx, replay)
    response.headers.update(_replay_header(replay))
    return await wait.answer(operation, response, done="VM started", underway="VM is starting")


@router.post("/{vm_id}/stop", summary="Stop a VM", responses={**_ACCEPTED, **_POWER_ERRORS})
async def stop_vm(
    vm_id: VMId,
    request: Request,
    response: Response,
    caller: CallerDep,
    edge: EdgeDep,
    wait: WaitDep,
    idempotency: IdempotencyHeader = None,
) -> APIResponse:
    """Stop a running machine. Charging ends at once, when the stop is accepted."""
    key = await _key(request, caller, idempotency)
    async with edge.work() as tx:
        replay = await IdempotencyStore(tx).find_or_begin(key)
        if replay is None:
            operation = await edge.service(VMService, tx).stop_vm(parse_id(vm_id), caller=caller)
            await IdempotencyStore(tx).complete(key, resource_id=operation.vm_id, operation_id=operation.id)
        else:
            operation = await _replayed(tx, replay)
    response.headers.update(_replay_header(replay))
    return await wait.answer(operation, response, done="VM stopped", underway="VM is stopping")


@router.post(
    "/{vm_id}/restart", summary="Restart a VM", responses={**_ACCEPTED, **_POWER_ERRORS, **raises(InsufficientCredits)}
)
async def restart_vm(
    vm_id: VMId,
    request: Request,
    response: Response,
    caller: CallerDep,
    edge: EdgeDep,
    wait: WaitDep,
    idempotency: IdempotencyHeader = None,
) -> APIResponse:
    """Restart a machine; one that stands still is started."""
    key = await _key(request, caller, idempotency)
    async with edge.work() as tx:
        replay = await IdempotencyStore(tx).find_or_begin(key)
        if replay is None:
            operation = await edge.service(VMService, tx).restart_vm(parse_id(vm_id), caller=caller)
            await IdempotencyStore(tx).complete(key, resource_id=operation.vm_id, operation_id=operation.id)
        else:
            operation = await _replayed(tx, replay)
    response.headers.update(_replay_header(replay))
    return await wait.answer(operation, response, done="VM restarted", underway="VM is restarting")


@router.delete(
    "/{vm_id}", summary="Delete a VM", responses={**_ACCEPTED, **raises(VMNotFound, VMProtected, IdempotencyMismatch)}
)
async def delete_vm(
    vm_id: VMId,
    request: Request,
    response: Response,
    caller: CallerDep,
    edge: EdgeDep,
    wait: WaitDep,
    idempotency: IdempotencyHeader = None,
) -> APIResponse:
    """Remove a machine for good; legal in every state, also while something else is under way.

    Only its own `delete_protection` stands against it. Charging ends at once. Deleting a terminated
    machine succeeds and changes nothing.
    """
    key = await _key(request, caller, idempotency)
    async with edge.work() as tx:
        replay = await IdempotencyStore(tx).find_or_begin(key)
        if replay is None:
            operation = await edge.service(VMService, tx).delete_vm(parse_id(vm_id), caller=caller)
            if operation is not None:
                await IdempotencyStore(tx).complete(key, resource_id=operation.vm_id, operation_id=operation.id)
        else:
            operation = await _replayed(tx, replay) if replay.operation_id else None
    response.headers.update(_replay_header(replay))
    if operation is None:
        return APIResponse(success=True, message="VM is already terminated", timestamp=tx.now)
    return await wait.answer(operation, response, done="VM terminated", underway="VM is being terminated")


@catalogue_router.get("/images", summary="List images", response_model=list[ImageResponse])
async def list_images(request: Request, edge: EdgeDep) -> Response:
    """What a machine's disk can start from. Public."""
    async with edge.read() as tx:
        return _cached(request, await edge.service(Catalogue, tx).list_images())


@catalogue_router.get("/instance-types", summary="List instance types", response_model=list[InstanceTypeResponse])
async def list_instance_types(request: Request, edge: EdgeDep) -> Response:
    """Sizes of machines with their prices. Public."""
    async with edge.read() as tx:
        return _cached(request, await edge.service(Catalogue, tx).list_instance_types())


def _key_ids(texts: Sequence[str]) -> tuple[UUID, ...]:
    ids = {text: parse_id(text) for text in texts}
    unknown = [text for text, id_ in ids.items() if id_ is None]
    if unknown:
        raise InvalidInput.at("ssh_keys", f"You have no SSH key {unknown[0]!r}; see GET /ssh-keys.")
    return tuple(id_ for id_ in ids.values() if id_ is not None)


async def _key(request: Request, caller: Caller, header: str | None) -> IdempotencyKey | None:
    if header is None:
        return None
    route = f"{request.method} {request.scope['route'].path}"
    content = request.url.path.encode() + b"\n" + await request.body()
    return idempotency_key(caller.user_id, route=route, header=header, content=content)


async def _replayed(tx: Transaction, replay: Replay) -> Operation:
    assert replay.operation_id is not None, "a completed key names its operation"
    operation = await OperationQueue(tx).find(replay.operation_id)
    assert operation is not None, "operations outlive their keys"
    return operation


def _replay_header(replay: Replay | None) -> dict[str, str]:
    return {} if replay is None else {"Idempotency-Replayed": "true"}


async def _view(edge: Edge, vm_id: UUID | None, caller: Caller) -> VMView:
    async with edge.read() as tx:
        view = None if vm_id is None else await VMViews(tx).find(vm_id, user_id=caller.user_id)
    if view is None:
        raise VMNotFound
    return view


async def _own_project(tx: Transaction, text: str | None, caller: Caller) -> UUID | None:
    if text is None:
        return None
    project_id = parse_id(text)
    if project_id is None or not await VMViews(tx).has_project(project_id, user_id=caller.user_id):
        raise NotFound("Project")
    return project_id


def _cached(request: Request, content: BaseModel | Sequence[BaseModel]) -> Response:
    plain = (
        content.model_dump(mode="json")
        if isinstance(content, BaseModel)
        else [item.model_dump(mode="json") for item in content]
    )
    return cached_json(request, msgspec.json.encode(plain), max_age_seconds=_CATALOGUE_SECONDS)
