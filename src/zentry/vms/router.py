"""Routes of machines and of the catalogue."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel

from zentry.billing.errors import BudgetExceeded, InsufficientCredits
from zentry.billing.quotes import Quotes
from zentry.billing.quotes_router import quote_response
from zentry.billing.quotes_schemas import QuoteResponse
from zentry.operations.errors import VMBusy
from zentry.operations.once import OnceDep
from zentry.operations.types import Operation
from zentry.platform.caching import cached_json
from zentry.platform.caller import Caller
from zentry.platform.db import Transaction
from zentry.platform.errors import IdempotencyMismatch, NotFound, PreconditionFailed
from zentry.platform.etags import etag
from zentry.platform.ids import parse_id
from zentry.platform.pagination import CURSOR_PATTERN, decode_cursor, encode_cursor
from zentry.platform.web import WITH_ETAG, CallerDep, Edge, EdgeDep, JSONBytes, MatchDep, SealerDep, raises
from zentry.platform.wire import APIResponse
from zentry.projects.access import RoleTooLow
from zentry.projects.quotas import QuotaExceeded
from zentry.schema.vms import VMStatus
from zentry.vms.answers import WaitDep
from zentry.vms.catalogue import Catalogue
from zentry.vms.errors import (
    InvalidTransition,
    NoFreeAddress,
    SnapshotNotAvailable,
    SnapshotNotFound,
    SnapshotTooLarge,
    SSHKeyNotFound,
    TemplateOutdated,
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
from zentry.vms.templates import TemplateService
from zentry.vms.types import Extras, Template, VMChanges
from zentry.vms.views import VMFilter, VMView, VMViews, rank_of

router = APIRouter(prefix="/vms", tags=["Virtual Machines"])
catalogue_router = APIRouter(tags=["Virtual Machines"])

_MAX_PAGE: Final = 500
_CATALOGUE_SECONDS: Final = 60
VMId = Annotated[str, Path(description="Id of a VM.", examples=["01936b5e-7d5b-7cc0-a6f1-1f2f4b7a9a10"])]


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
    """Your machines and those of projects that you are a member of, live ones first and then the newest.

    Terminated ones stay in the list.
    """
    after = None if cursor is None else decode_cursor(cursor)
    labels = () if label_selector is None else parse_selector(label_selector)
    async with edge.read() as tx:
        own = await _own_project(tx, project_id, caller)
        wanted = VMFilter(status=status, project_id=own, name=name, labels=labels)
        views = VMViews(tx)
        found = await views.list(wanted, caller=caller, limit=limit + 1, after=after)
        more = len(found) > limit
        page = found[:limit]
        total = await views.count(wanted, caller=caller) if more or after else len(page)
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
        200: {"model": QuoteResponse, "description": "What it would cost; asked for with `dry_run`."},
        201: WITH_ETAG,
        202: {"model": VMResponse, "description": "Accepted; asked for with `Prefer: respond-async`."},
        **raises(
            InsufficientCredits,
            BudgetExceeded,
            RoleTooLow,
            NotFound,
            VMNameTaken,
            QuotaExceeded,
            SnapshotNotAvailable,
            SnapshotTooLarge,
            TemplateOutdated,
            IdempotencyMismatch,
            NoFreeAddress,
        ),
    },
)
async def create_vm(
    body: VMCreate,
    caller: CallerDep,
    edge: EdgeDep,
    wait: WaitDep,
    once: OnceDep,
    sealer: SealerDep,
    *,
    dry_run: Annotated[
        bool, Query(description="Create nothing: answer with what it would cost, or why it would be refused.")
    ] = False,
) -> Response:
    """Hold the credit for a first window, create a machine and start it.

    Answers with the machine as it is after a moment: `running` where the engine was fast, else
    `creating`. It is charged from the first instant that it runs; a creation that fails costs nothing.
    """
    snapshot_id = parse_id(body.snapshot_id)
    if body.snapshot_id and snapshot_id is None:
        raise SnapshotNotFound
    sealed = sealer.seal(body.user_data, owner=caller.user_id) if body.user_data else None
    extras = Extras(
        body.labels, body.delete_protection, snapshot_id, parse_key_ids(body.ssh_keys), sealed, caller.user_id
    )

    async def create(tx: Transaction) -> Operation:
        template = None
        if body.template_id:
            templates = edge.service(TemplateService, tx)
            template = await templates.get_template(parse_id(body.template_id), caller=caller)
        type_, image, complete = _completed(body, extras, template)
        try:
            _, operation = await edge.service(VMService, tx).create_vm(
                name=body.name,
                instance_type=type_,
                image=image or None,
                project_id=parse_id(body.project_id),
                extras=complete,
                caller=caller,
            )
        except SSHKeyNotFound:
            if template is None or "ssh_keys" in body.model_fields_set:
                raise
            raise TemplateOutdated(template.name) from None
        return operation

    if dry_run:
        return await _rehearse(edge, create, caller)
    async with edge.work() as tx:
        operation = await once.operation(tx, lambda: create(tx))
    await wait.for_end(operation)
    view = await _view(edge, operation.vm_id, caller)
    headers = {"Location": f"/vms/{view.id}", "Vary": "Prefer", "ETag": _etag(view), **once.headers}
    return JSONBytes(view, status_code=202 if wait.respond_async else 201, headers=headers)


async def _rehearse(edge: Edge, create: Callable[[Transaction], Awaitable[Operation]], caller: Caller) -> Response:
    """Do everything that a creation does, answer with what it costs, and leave nothing of it."""
    async with edge.rehearse() as tx:
        operation = await create(tx)
        wanted = await edge.service(VMService, tx).get_vm(operation.vm_id, caller=caller)
    async with edge.read() as tx:
        quote = await edge.service(Quotes, tx).quote(wanted.user_id, wanted.instance_type)  # Its owner pays.
    return Response(quote_response(quote).model_dump_json(), media_type="application/json")


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
    """Counts, cost and uptime of the machines that you see."""
    async with edge.read() as tx:
        return summarise(await VMViews(tx).list(VMFilter(), caller=caller, limit=10_000))


@router.get(
    "/{vm_id}", summary="Show a VM", response_model=VMResponse, responses={200: WITH_ETAG, **raises(VMNotFound)}
)
async def get_vm(vm_id: VMId, caller: CallerDep, edge: EdgeDep) -> JSONBytes:
    """One machine as it is now."""
    view = await _view(edge, parse_id(vm_id), caller)
    return JSONBytes(view, headers={"ETag": _etag(view)})


@router.patch(
    "/{vm_id}",
    summary="Change a VM",
    response_model=VMResponse,
    responses={
        200: WITH_ETAG,
        **raises(RoleTooLow, VMNotFound, VMNameTaken, InvalidTransition, PreconditionFailed, IdempotencyMismatch),
    },
)
async def change_vm(
    vm_id: VMId, body: VMUpdate, caller: CallerDep, edge: EdgeDep, once: OnceDep, match: MatchDep
) -> JSONBytes:
    """Rename a machine, replace its labels, or set its protection against deletion.

    Works at any time until it is deleted, also while something is under way. The guest keeps its host
    name until the machine is rebuilt.
    """
    changes = VMChanges(name=body.name, labels=body.labels, delete_protection=body.delete_protection)
    async with edge.work() as tx:
        service = edge.service(VMService, tx).only_if(match)
        id_ = await once.resource(tx, lambda: service.change_vm(parse_id(vm_id), changes, caller=caller))
    view = await _view(edge, id_, caller)
    return JSONBytes(view, headers={"ETag": _etag(view), **once.headers})


_POWER_ERRORS: Final = raises(
    RoleTooLow, VMNotFound, InvalidTransition, VMBusy, PreconditionFailed, IdempotencyMismatch
)
_ACCEPTED: Final[dict[int | str, dict[str, Any]]] = {
    202: {"model": APIResponse, "description": "Accepted; asked for with `Prefer: respond-async`."}
}


@router.post(
    "/{vm_id}/start",
    summary="Start a VM",
    responses={
        **_ACCEPTED,
        **_POWER_ERRORS,
        **raises(InsufficientCredits, BudgetExceeded, NoFreeAddress),
    },
)
async def start_vm(
    vm_id: VMId,
    response: Response,
    caller: CallerDep,
    edge: EdgeDep,
    wait: WaitDep,
    once: OnceDep,
    match: MatchDep,
) -> APIResponse:
    """Start a machine that stands still. Credit for a first window is held; charging begins when it runs."""
    async with edge.work() as tx:
        service = edge.service(VMService, tx).only_if(match)
        operation = await once.operation(tx, lambda: service.start_vm(parse_id(vm_id), caller=caller))
    response.headers.update(once.headers)
    return await wait.answer(operation, response, done="VM started", underway="VM is starting")


@router.post("/{vm_id}/stop", summary="Stop a VM", responses={**_ACCEPTED, **_POWER_ERRORS})
async def stop_vm(
    vm_id: VMId,
    response: Response,
    caller: CallerDep,
    edge: EdgeDep,
    wait: WaitDep,
    once: OnceDep,
    match: MatchDep,
) -> APIResponse:
    """Stop a running machine. Charging ends at once, when the stop is accepted."""
    async with edge.work() as tx:
        service = edge.service(VMService, tx).only_if(match)
        operation = await once.operation(tx, lambda: service.stop_vm(parse_id(vm_id), caller=caller))
    response.headers.update(once.headers)
    return await wait.answer(operation, response, done="VM stopped", underway="VM is stopping")


@router.post(
    "/{vm_id}/restart",
    summary="Restart a VM",
    responses={**_ACCEPTED, **_POWER_ERRORS, **raises(InsufficientCredits, BudgetExceeded)},
)
async def restart_vm(
    vm_id: VMId,
    response: Response,
    caller: CallerDep,
    edge: EdgeDep,
    wait: WaitDep,
    once: OnceDep,
    match: MatchDep,
) -> APIResponse:
    """Restart a machine; one that stands still is started."""
    async with edge.work() as tx:
        service = edge.service(VMService, tx).only_if(match)
        operation = await once.operation(tx, lambda: service.restart_vm(parse_id(vm_id), caller=caller))
    response.headers.update(once.headers)
    return await wait.answer(operation, response, done="VM restarted", underway="VM is restarting")


@router.delete(
    "/{vm_id}",
    summary="Delete a VM",
    responses={**_ACCEPTED, **raises(RoleTooLow, VMNotFound, VMProtected, PreconditionFailed, IdempotencyMismatch)},
)
async def delete_vm(
    vm_id: VMId,
    response: Response,
    caller: CallerDep,
    edge: EdgeDep,
    wait: WaitDep,
    once: OnceDep,
    match: MatchDep,
) -> APIResponse:
    """Remove a machine for good; legal in every state, also while something else is under way.

    Only its own `delete_protection` stands against it. Charging ends at once. Deleting a terminated
    machine succeeds and changes nothing.
    """
    async with edge.work() as tx:
        service = edge.service(VMService, tx).only_if(match)
        operation = await once.operation(tx, lambda: service.delete_vm(parse_id(vm_id), caller=caller))
    response.headers.update(once.headers)
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


def _completed(body: VMCreate, extras: Extras, template: Template | None) -> tuple[str, str, Extras]:
    """Return type, image and extras, with what the request does not say from the template."""
    if template is None:
        return body.instance_type, body.image, extras
    sent = body.model_fields_set
    return (
        body.instance_type or template.instance_type,
        body.image or ("" if body.snapshot_id else template.image),
        replace(
            extras,
            labels={**template.labels, **extras.labels},
            delete_protection=(extras if "delete_protection" in sent else template).delete_protection,
            ssh_key_ids=(extras if "ssh_keys" in sent else template).ssh_key_ids,
            user_data=extras.user_data or template.user_data,
        ),
    )


def parse_key_ids(texts: Sequence[str]) -> tuple[UUID, ...]:
    """Return the ids of SSH keys, each once; `SSHKeyNotFound` where one is no id."""
    ids = {parse_id(text): None for text in texts}
    if None in ids:
        raise SSHKeyNotFound
    return tuple(id_ for id_ in ids if id_ is not None)


async def _view(edge: Edge, vm_id: UUID | None, caller: Caller) -> VMView:
    async with edge.read() as tx:
        view = None if vm_id is None else await VMViews(tx).find(vm_id, caller=caller)
    if view is None:
        raise VMNotFound
    return view


def _etag(view: VMView) -> str:
    return etag(view.id, created_at=view.created_at, updated_at=view.updated_at)


async def _own_project(tx: Transaction, text: str | None, caller: Caller) -> UUID | None:
    if text is None:
        return None
    project_id = parse_id(text)
    if project_id is None or not await VMViews(tx).has_project(project_id, caller=caller):
        raise NotFound("Project")
    return project_id


def _cached(request: Request, content: BaseModel | Sequence[BaseModel]) -> Response:
    plain = (
        content.model_dump(mode="json")
        if isinstance(content, BaseModel)
        else [item.model_dump(mode="json") for item in content]
    )
    return cached_json(request, msgspec.json.encode(plain), max_age_seconds=_CATALOGUE_SECONDS)
