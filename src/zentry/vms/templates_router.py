"""Routes of templates."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response

from zentry.operations.once import OnceDep
from zentry.platform.errors import IdempotencyMismatch, InvalidInput
from zentry.platform.ids import parse_id
from zentry.platform.web import CallerDep, EdgeDep, SealerDep, raises
from zentry.platform.wire import APIResponse
from zentry.vms.errors import SSHKeyNotFound, TemplateNameTaken, TemplateNotFound, TooManyTemplates
from zentry.vms.router import parse_key_ids
from zentry.vms.templates import TemplateFields, TemplateService
from zentry.vms.templates_schemas import TemplateCreate, TemplateResponse, TemplateUpdate

router = APIRouter(prefix="/templates", tags=["Virtual Machines"])

TemplateId = Annotated[str, Path(description="Id of a template.", examples=["01936b62-3e4f-7c33-9d6e-7f405b8c9d23"])]


@router.get("", summary="List templates")
async def list_templates(caller: CallerDep, edge: EdgeDep) -> list[TemplateResponse]:
    """Your templates by name; an account has 100 at most."""
    async with edge.read() as tx:
        found = await edge.service(TemplateService, tx).list_templates(caller=caller)
    return [TemplateResponse.model_validate(one) for one in found]


@router.post(
    "",
    summary="Add a template",
    status_code=201,
    responses=raises(InvalidInput, SSHKeyNotFound, TemplateNameTaken, TooManyTemplates, IdempotencyMismatch),
)
async def create_template(
    body: TemplateCreate, response: Response, caller: CallerDep, edge: EdgeDep, once: OnceDep, sealer: SealerDep
) -> TemplateResponse:
    """Keep under a name what VMs are created with: send its id as `template_id` to `POST /vms`."""
    fields = TemplateFields(
        body.name,
        body.instance_type,
        body.image,
        body.labels,
        parse_key_ids(body.ssh_keys),
        body.delete_protection,
        sealer.seal(body.user_data, owner=caller.user_id) if body.user_data else None,
    )
    async with edge.work() as tx:
        service = edge.service(TemplateService, tx)
        id_ = await once.resource(tx, lambda: service.add_template(fields, caller=caller))
        template = await service.get_template(id_, caller=caller)
    response.headers.update({"Location": f"/templates/{template.id}", **once.headers})
    return TemplateResponse.model_validate(template)


@router.get("/{template_id}", summary="Show a template", responses=raises(TemplateNotFound))
async def get_template(template_id: TemplateId, caller: CallerDep, edge: EdgeDep) -> TemplateResponse:
    """One template of yours."""
    async with edge.read() as tx:
        template = await edge.service(TemplateService, tx).get_template(parse_id(template_id), caller=caller)
    return TemplateResponse.model_validate(template)


@router.patch(
    "/{template_id}",
    summary="Change a template",
    responses=raises(InvalidInput, TemplateNotFound, SSHKeyNotFound, TemplateNameTaken, IdempotencyMismatch),
)
async def change_template(
    template_id: TemplateId,
    body: TemplateUpdate,
    response: Response,
    caller: CallerDep,
    edge: EdgeDep,
    once: OnceDep,
    sealer: SealerDep,
) -> TemplateResponse:
    """Change what is sent. VMs that were created from it stay as they are."""
    fields = TemplateFields(
        body.name,
        body.instance_type,
        body.image,
        body.labels,
        None if body.ssh_keys is None else parse_key_ids(body.ssh_keys),
        body.delete_protection,
        sealer.seal(body.user_data, owner=caller.user_id) if body.user_data else None,
    )
    async with edge.work() as tx:
        service = edge.service(TemplateService, tx)

        async def change() -> UUID:
            return await service.change_template(parse_id(template_id), fields, caller=caller)

        template = await service.get_template(await once.resource(tx, change), caller=caller)
    response.headers.update(once.headers)
    return TemplateResponse.model_validate(template)


@router.delete("/{template_id}", summary="Delete a template", responses=raises(TemplateNotFound, IdempotencyMismatch))
async def delete_template(
    template_id: TemplateId, response: Response, caller: CallerDep, edge: EdgeDep, once: OnceDep
) -> APIResponse:
    """Forget a template. VMs that were created from it stay as they are."""
    async with edge.work() as tx:
        service = edge.service(TemplateService, tx)
        await once.resource(tx, lambda: service.delete_template(parse_id(template_id), caller=caller))
    response.headers.update(once.headers)
    return APIResponse(success=True, message="Template deleted", timestamp=tx.now)
