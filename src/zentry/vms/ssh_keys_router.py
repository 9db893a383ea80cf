"""Routes of SSH keys."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response

from zentry.operations.once import OnceDep
from zentry.platform.errors import IdempotencyMismatch, InvalidInput
from zentry.platform.ids import parse_id
from zentry.platform.web import CallerDep, EdgeDep, raises
from zentry.platform.wire import APIResponse
from zentry.vms.errors import SSHKeyNotFound, SSHKeyTaken, TooManySSHKeys
from zentry.vms.public_keys import parse_public_key
from zentry.vms.schemas import SSHKeyCreate, SSHKeyResponse, SSHKeyUpdate
from zentry.vms.ssh_keys import SSHKeyService

router = APIRouter(prefix="/ssh-keys", tags=["Virtual Machines"])

KeyId = Annotated[str, Path(description="Id of an SSH key.", examples=["01936b61-2d3e-7b22-8c5d-6e3f0a4b7c12"])]


@router.get("", summary="List SSH keys")
async def list_ssh_keys(caller: CallerDep, edge: EdgeDep) -> list[SSHKeyResponse]:
    """Your SSH keys by name; an account has 100 at most."""
    async with edge.read() as tx:
        found = await edge.service(SSHKeyService, tx).list_keys(caller=caller)
    return [SSHKeyResponse.model_validate(key) for key in found]


@router.post(
    "",
    summary="Add an SSH key",
    status_code=201,
    responses=raises(InvalidInput, SSHKeyTaken, TooManySSHKeys, IdempotencyMismatch),
)
async def create_ssh_key(
    body: SSHKeyCreate, response: Response, caller: CallerDep, edge: EdgeDep, once: OnceDep
) -> SSHKeyResponse:
    """Keep a public key under a name, for machines that you create."""
    public_key = parse_public_key(body.public_key)
    async with edge.work() as tx:
        service = edge.service(SSHKeyService, tx)

        async def add() -> UUID:
            return (await service.add_key(name=body.name, public_key=public_key, caller=caller)).id

        key = await service.get_key(await once.resource(tx, add), caller=caller)
    response.headers.update({"Location": f"/ssh-keys/{key.id}", **once.headers})
    return SSHKeyResponse.model_validate(key)


@router.get("/{key_id}", summary="Show an SSH key", responses=raises(SSHKeyNotFound))
async def get_ssh_key(key_id: KeyId, caller: CallerDep, edge: EdgeDep) -> SSHKeyResponse:
    """One key of yours."""
    async with edge.read() as tx:
        key = await edge.service(SSHKeyService, tx).get_key(parse_id(key_id), caller=caller)
    return SSHKeyResponse.model_validate(key)


@router.put(
    "/{key_id}", summary="Rename an SSH key", responses=raises(SSHKeyNotFound, SSHKeyTaken, IdempotencyMismatch)
)
async def update_ssh_key(
    key_id: KeyId, body: SSHKeyUpdate, response: Response, caller: CallerDep, edge: EdgeDep, once: OnceDep
) -> SSHKeyResponse:
    """Give a key another name; the key itself never changes."""
    async with edge.work() as tx:
        service = edge.service(SSHKeyService, tx)

        async def rename() -> UUID:
            return (await service.rename_key(parse_id(key_id), name=body.name, caller=caller)).id

        key = await service.get_key(await once.resource(tx, rename), caller=caller)
    response.headers.update(once.headers)
    return SSHKeyResponse.model_validate(key)


@router.delete("/{key_id}", summary="Delete an SSH key", responses=raises(SSHKeyNotFound, IdempotencyMismatch))
async def delete_ssh_key(
    key_id: KeyId, response: Response, caller: CallerDep, edge: EdgeDep, once: OnceDep
) -> APIResponse:
    """Forget a key. Machines that were created with it keep it."""
    async with edge.work() as tx:
        service = edge.service(SSHKeyService, tx)
        await once.resource(tx, lambda: service.delete_key(parse_id(key_id), caller=caller))
    response.headers.update(once.headers)
    return APIResponse(success=True, message="SSH key deleted", timestamp=tx.now)
