"""Statements over machines and the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from zentry.operations.types import Claim
from zentry.platform.db import Transaction, values
from zentry.platform.etags import ANY_VERSION, Precondition, version_of
from zentry.schema.projects import projects
from zentry.schema.vms import StopReason, VMStatus, images, instance_types, is_alive, vms
from zentry.vms.types import VM, Image, InstanceType

_VM: Final[tuple[sa.ColumnElement[Any], ...]] = (
    vms.c.id,
    vms.c.user_id,
    vms.c.project_id,
    vms.c.name,
    vms.c.instance_type,
    vms.c.image,
    vms.c.vcpus,
    vms.c.memory_mib,
    vms.c.disk_gib,
    vms.c.status,
    vms.c.wanted,
    vms.c.ip_address,
    vms.c.last_started,
    vms.c.uptime_seconds,
)
_FIND: Final = sa.select(*_VM).where(vms.c.id == sa.bindparam("vm_id"))
_FIND_OF_USER: Final = _FIND.where(vms.c.user_id == sa.bindparam("owner_id"))
_PROJECT: Final = sa.select(projects.c.id).where(
    projects.c.id == sa.bindparam("project", type_=sa.Uuid),
    projects.c.user_id == sa.bindparam("user", type_=sa.Uuid),
    projects.c.deleted_at.is_(None),
)
_INSTANCE_TYPES: Final = sa.select(
    instance_types.c.name,
    instance_types.c.vcpus,
    instance_types.c.memory_mib,
    instance_types.c.disk_gib,
    instance_types.c.description,
).order_by(instance_types.c.sort_order)
_IMAGES: Final = sa.select(images.c.name, images.c.distribution, images.c.version, images.c.description).order_by(
    images.c.sort_order
)


class VMRepository:
    """Rows of machines."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def find(self, vm_id: UUID, *, user_id: UUID | None = None) -> VM | None:
        """Return a machine, of one account where that is given."""
        if user_id is None:
            found = await self._tx.execute(_FIND, {"vm_id": vm_id})
        else:
            found = await self._tx.execute(_FIND_OF_USER, {"vm_id": vm_id, "owner_id": user_id})
        row = found.first()
        return None if row is None else _vm(row)

    async def list_alive_in_project(self, project_id: UUID) -> Sequence[VM]:
        """Return the machines of a project that are not terminated."""
        query = sa.select(*_VM).where(vms.c.project_id == project_id, is_alive).order_by(vms.c.created_at, vms.c.id)
        return [_vm(row) for row in (await self._tx.execute(query)).all()]

    async def has_project(self, project_id: UUID, *, user_id: UUID) -> bool:
        """Tell whether a project lives and is the account's."""
        return (await self._tx.execute(_PROJECT, {"project": project_id, "user": user_id})).first() is not None

    async def insert(self, vm: VM) -> bool:
        """Write a new machine; False when its name is taken in the project."""
        return await self._tx.insert_unless_there(
            vms,
            {
                "id": vm.id,
                "user_id": vm.user_id,
                "project_id": vm.project_id,
                "name": vm.name,
                "name_key": vm.name.casefold(),
                "instance_type": vm.instance_type,
                "image": vm.image,
                "vcpus": vm.vcpus,
                "memory_mib": vm.memory_mib,
                "disk_gib": vm.disk_gib,
                "status": vm.status,
                "wanted": vm.wanted,
                "ip_address": vm.ip_address,
                "created_at": self._tx.now,
            },
        )

    async def find_version(self, vm_id: UUID) -> datetime | None:
        """Return the version in which a machine is."""
        return (await self._tx.execute(sa.select(version_of(vms)).where(vms.c.id == vm_id))).scalar_one_or_none()

    async def wish(
        self,
        vm_id: UUID,
        *,
        seen: VMStatus,
        wanted: str,
        reason: StopReason | None = None,
        match: Precondition = ANY_VERSION,
        **changes: Any,
    ) -> bool:
        """Record what is wanted of a machine that is in the state that was seen, and in a version that is meant."""
        wished = await self._tx.execute(
            sa.update(vms)
            .where(vms.c.id == vm_id, vms.c.status == seen, match.holds(vm_id, version_of(vms)))
            .values(wanted=wanted, stop_reason=reason, updated_at=self._tx.now, **changes)
        )
        return wished.rowcount == 1

    async def land(self, claim: Claim, *, seen: VMStatus, status: VMStatus, **changes: Any) -> bool:
        """Move a machine to another state under a claim; False when a newer fence was raised."""
        moved = await self._tx.execute(
            sa.update(vms)
            .where(vms.c.id == claim.vm_id, vms.c.fence == claim.fence, vms.c.status == seen)
            .values(status=status, updated_at=self._tx.now, **changes)
        )
        return moved.rowcount == 1

    async def find_instance_type(self, name: str) -> InstanceType | None:
        """Return a size of the catalogue."""
        found = [size for size in await self.list_instance_types() if size.name == name]
        return found[0] if found else None

    async def list_instance_types(self) -> Sequence[InstanceType]:
        """Return the sizes, the smallest first."""
        return [InstanceType(*values(row)) for row in (await self._tx.execute(_INSTANCE_TYPES)).all()]

    async def list_images(self) -> Sequence[Image]:
        """Return the images in the order of the catalogue."""
        return [Image(*values(row)) for row in (await self._tx.execute(_IMAGES)).all()]


def _vm(row: sa.Row[Any]) -> VM:
    return VM(**{**row._mapping, "status": VMStatus(row.status)})  # noqa: SLF001 - the documented mapping of a row
