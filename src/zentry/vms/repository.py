"""Statements over machines and the catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from zentry.operations.types import Claim
from zentry.platform.caller import Caller
from zentry.platform.db import Transaction, values
from zentry.platform.etags import ANY_VERSION, Precondition, version_of
from zentry.projects.access import Reach, reach_of, seeing, seen_by
from zentry.projects.quotas import Amounts
from zentry.schema.metadata import constant
from zentry.schema.projects import projects
from zentry.schema.vms import (
    StopReason,
    VMStatus,
    images,
    instance_types,
    is_alive,
    is_out_of_credit,
    vm_labels,
    vm_user_data,
    vms,
)
from zentry.vms.types import VM, Extras, Image, InstanceType, SSHKey, VMChanges

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
    vms.c.delete_protection,
    vms.c.extra_vcpus,
    vms.c.extra_memory_mib,
    vms.c.extra_disk_gib,
    vms.c.snapshot_id,
    vms.c.ssh_keys,
    vms.c.has_user_data,
)
_USER_DATA: Final = sa.select(vm_user_data.c.sealed, vm_user_data.c.sealed_for).where(
    vm_user_data.c.vm_id == sa.bindparam("vm_id")
)
_FORGET_USER_DATA: Final = sa.delete(vm_user_data).where(vm_user_data.c.vm_id == sa.bindparam("vm_id"))
_FIND: Final = sa.select(*_VM).where(vms.c.id == sa.bindparam("vm_id"))
_FIND_SEEN: Final = {
    reach: _FIND.where(seen_by(reach, owner=vms.c.user_id, project=vms.c.project_id)) for reach in Reach
}
_OWNER: Final = sa.select(projects.c.user_id).where(
    projects.c.id == sa.bindparam("project", type_=sa.Uuid), projects.c.deleted_at.is_(None)
)
_OWNER_SEEN: Final = {
    reach: _OWNER.where(seen_by(reach, owner=projects.c.user_id, project=projects.c.id)) for reach in Reach
}
_INSTANCE_TYPES: Final = sa.select(
    instance_types.c.name,
    instance_types.c.vcpus,
    instance_types.c.memory_mib,
    instance_types.c.disk_gib,
    instance_types.c.description,
    instance_types.c.deprecated_at,
    instance_types.c.unavailable_after,
).order_by(instance_types.c.sort_order)
_IMAGES: Final = sa.select(
    images.c.name,
    images.c.distribution,
    images.c.version,
    images.c.description,
    images.c.deprecated_at,
    images.c.unavailable_after,
).order_by(images.c.sort_order)


class VMRepository:
    """Rows of machines."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def find(self, vm_id: UUID, *, caller: Caller | None = None) -> VM | None:
        """Return a machine, as far as it is there for a caller where one is given."""
        if caller is None:
            found = await self._tx.execute(_FIND, {"vm_id": vm_id})
        else:
            found = await self._tx.execute(_FIND_SEEN[reach_of(caller)], {"vm_id": vm_id, **seeing(caller)})
        row = found.first()
        return None if row is None else _vm(row)

    async def list_alive_in_project(self, project_id: UUID) -> Sequence[VM]:
        """Return the machines of a project that are not terminated."""
        query = sa.select(*_VM).where(vms.c.project_id == project_id, is_alive).order_by(vms.c.created_at, vms.c.id)
        return [_vm(row) for row in (await self._tx.execute(query)).all()]

    async def list_running_of(self, user_id: UUID) -> Sequence[UUID]:
        """Return the running machines of an account; its quota bounds how many."""
        query = sa.select(vms.c.id).where(vms.c.user_id == user_id, vms.c.status == constant(VMStatus.RUNNING))
        return (await self._tx.execute(query.order_by(vms.c.id))).scalars().all()

    async def find_owner(self, project_id: UUID, *, caller: Caller) -> UUID | None:
        """Return who owns, and so pays for, a living project that a caller sees."""
        parameters = {"project": project_id, **seeing(caller)}
        return (await self._tx.execute(_OWNER_SEEN[reach_of(caller)], parameters)).scalar_one_or_none()

    async def is_owned_by(self, project_id: UUID, user_id: UUID) -> bool:
        """Tell whether a project lives and is an account's; under the account's lock it stays so."""
        return (await self._tx.execute(_OWNER, {"project": project_id})).scalar_one_or_none() == user_id

    async def insert(self, vm: VM, extras: Extras, *, keys: Sequence[SSHKey] = ()) -> bool:
        """Write a new machine; False when its name is taken in the project."""
        inserted = await self._tx.insert_unless_there(
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
                "delete_protection": extras.delete_protection,
                "labels": dict(extras.labels),
                "snapshot_id": vm.snapshot_id,
                "ssh_keys": [
                    {"name": key.name, "fingerprint": key.fingerprint, "public_key": key.public_key} for key in keys
                ],
                "has_user_data": extras.user_data is not None,
            },
        )
        if inserted:
            await self._insert_labels(vm.id, vm.user_id, extras.labels)
        if inserted and extras.user_data is not None:
            await self._tx.execute(
                sa.insert(vm_user_data),
                {"vm_id": vm.id, "sealed": extras.user_data, "sealed_for": extras.sealed_for or vm.user_id},
            )
        return inserted

    async def change(self, vm: VM, changes: VMChanges, *, match: Precondition = ANY_VERSION) -> bool | None:
        """Change what a machine is called and how it is marked.

        True when done, False when the name is taken, None when the machine is gone, on its way out, or in
        another version than is meant.
        """
        values_: dict[str, Any] = {"updated_at": self._tx.now}
        meant = (vms.c.id == vm.id, vms.c.wanted != "terminated", match.holds(vm.id, version_of(vms)))
        conditions = [*meant]
        if changes.delete_protection is not None:
            values_["delete_protection"] = changes.delete_protection
        if changes.labels is not None:
            values_["labels"] = dict(changes.labels)
        if changes.name is not None:
            values_.update(name=changes.name, name_key=changes.name.casefold())
            conditions.append(~_another_of_this_name(vm, changes.name))
        try:
            changed = await self._tx.execute(sa.update(vms).where(*conditions).values(**values_))
        except sa.exc.IntegrityError:
            # Another request took the name between the look and the write; the unique index decides.
            return False
        if changed.rowcount == 0:
            there = sa.select(vms.c.id).where(*meant)
            return None if (await self._tx.execute(there)).first() is None else False
        if changes.labels is not None:
            await self._tx.execute(sa.delete(vm_labels).where(vm_labels.c.vm_id == vm.id))
            await self._insert_labels(vm.id, vm.user_id, changes.labels)
        return True

    async def _insert_labels(self, vm_id: UUID, user_id: UUID, labels: Mapping[str, str]) -> None:
        if labels:
            rows = [{"vm_id": vm_id, "user_id": user_id, "key": key, "value": labels[key]} for key in sorted(labels)]
            await self._tx.execute(sa.insert(vm_labels), rows)

    async def is_out_of_credit(self, vm_id: UUID) -> bool:
        """Tell whether a machine stands still for credit."""
        query = sa.select(vms.c.id).where(vms.c.id == vm_id, is_out_of_credit)
        return (await self._tx.execute(query)).first() is not None

    async def find_user_data(self, vm_id: UUID) -> tuple[bytes, UUID] | None:
        """Return what was sealed for a machine, and for whom."""
        row = (await self._tx.execute(_USER_DATA, {"vm_id": vm_id})).one_or_none()
        return None if row is None else (row.sealed, row.sealed_for)

    async def forget_user_data(self, vm_id: UUID) -> None:
        """Remove what was sealed for a machine that is gone."""
        await self._tx.execute(_FORGET_USER_DATA, {"vm_id": vm_id})

    async def find_version(self, vm_id: UUID) -> datetime | None:
        """Return the version in which a machine is."""
        return (await self._tx.execute(sa.select(version_of(vms)).where(vms.c.id == vm_id))).scalar_one_or_none()

    async def wish(
        self,
        vm_id: UUID,
        *,
        owner_id: UUID,
        seen: VMStatus,
        wanted: str,
        reason: StopReason | None = None,
        match: Precondition = ANY_VERSION,
        **changes: Any,
    ) -> bool:
        """Record what is wanted of a machine that is in the state that was seen, and in a version that is meant.

        A protected machine is never to go. One whose project has changed hands since is not as it was seen:
        the money was asked of somebody who does not pay for it any more.
        """
        changes |= {"wanted": wanted, "stop_reason": reason, "updated_at": self._tx.now}
        statement = _wishing(tuple(changes), may_end=wanted == "terminated")
        if match.is_given:
            statement = statement.where(match.holds(vm_id, version_of(vms)))
        seen_as = {"vm": vm_id, "owner": owner_id, "seen": seen}
        return (await self._tx.execute(statement, {**seen_as, **_new(changes)})).rowcount == 1

    async def touch(self, vm: VM, *, match: Precondition) -> bool:
        """Make another version of a machine of which something was asked; False unless it is as it was seen."""
        touched = await self._tx.execute(
            sa.update(vms).where(*_as_seen(vm), match.holds(vm.id, version_of(vms))).values(updated_at=self._tx.now)
        )
        return touched.rowcount == 1

    async def count_extra(self, vm: VM, extra: Amounts, *, match: Precondition = ANY_VERSION) -> bool:
        """Record what a machine counts beyond its size; False unless it is in the state that was seen, and meant."""
        counted = await self._tx.execute(
            sa.update(vms)
            .where(*_as_seen(vm), match.holds(vm.id, version_of(vms)))
            .values(
                extra_vcpus=extra["vcpus"],
                extra_memory_mib=extra["memory_mib"],
                extra_disk_gib=extra["disk_gib"],
                updated_at=self._tx.now,
            )
        )
        return counted.rowcount == 1

    async def land(self, claim: Claim, *, seen: VMStatus, status: VMStatus, **changes: Any) -> bool:
        """Move a machine to another state under a claim; False when a newer fence was raised."""
        changes |= {"status": status, "updated_at": self._tx.now}
        claimed = {"vm": claim.vm_id, "claimed": claim.fence, "seen": seen}
        return (await self._tx.execute(_landing(tuple(changes)), {**claimed, **_new(changes)})).rowcount == 1

    async def list_instance_types(self) -> Sequence[InstanceType]:
        """Return the sizes, the smallest first."""
        return [InstanceType(*values(row)) for row in (await self._tx.execute(_INSTANCE_TYPES)).all()]

    async def list_images(self) -> Sequence[Image]:
        """Return the images in the order of the catalogue."""
        return [Image(*values(row)) for row in (await self._tx.execute(_IMAGES)).all()]


# Built once for each set of columns: to build them costs more than to run them.
@cache
def _wishing(names: tuple[str, ...], *, may_end: bool) -> sa.Update:
    wishing = _changing(names).where(vms.c.user_id == sa.bindparam("owner"))
    return wishing.where(vms.c.delete_protection.is_(False)) if may_end else wishing


@cache
def _landing(names: tuple[str, ...]) -> sa.Update:
    return _changing(names).where(vms.c.fence == sa.bindparam("claimed"))


def _changing(names: tuple[str, ...]) -> sa.Update:
    return (
        sa.update(vms)
        .where(vms.c.id == sa.bindparam("vm"), vms.c.status == sa.bindparam("seen"))
        .values({name: sa.bindparam(f"new_{name}") for name in names})
    )


def _new(changes: Mapping[str, Any]) -> dict[str, Any]:
    return {f"new_{name}": value for name, value in changes.items()}


def _as_seen(vm: VM) -> tuple[sa.ColumnElement[bool], ...]:
    return vms.c.id == vm.id, vms.c.user_id == vm.user_id, vms.c.status == vm.status


def _another_of_this_name(vm: VM, name: str) -> sa.ColumnElement[bool]:
    other = vms.alias("other")
    return sa.exists().where(
        other.c.project_id == vm.project_id,
        other.c.name_key == name.casefold(),
        other.c.status != constant(VMStatus.TERMINATED),
        other.c.id != vm.id,
    )


def _vm(row: sa.Row[Any]) -> VM:
    keys = tuple(key["public_key"] for key in row.ssh_keys)
    return VM(**{**row._mapping, "status": VMStatus(row.status), "ssh_keys": keys})  # noqa: SLF001 - the documented mapping of a row
