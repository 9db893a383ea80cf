"""Counters with a maximum. Taking is one conditional update, so no number of requests at once gets past it.

An account and each of its projects count for themselves, and a machine counts with both: one
statement takes all of its counters or, where one is full, none. Whoever changes several holds the
account's row, after operations and machines, so that nobody waits in a ring.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal
from uuid import UUID

import sqlalchemy as sa

from zentry.events.changes import changes_of
from zentry.events.recorder import EventRecorder
from zentry.platform.caller import Caller
from zentry.platform.db import Transaction
from zentry.platform.errors import Conflict, NotFound
from zentry.platform.settings import QuotaSettings
from zentry.schema.accounts import users
from zentry.schema.projects import projects, quotas
from zentry.schema.vms import SnapshotStatus, is_alive, snapshots, vms

Resource = Literal["projects", "vms", "vcpus", "memory_mib", "disk_gib", "snapshots"]
Amounts = Mapping[Resource, int]

RESOURCES: Final[Mapping[Resource, str]] = {
    "projects": "projects",
    "vms": "VMs",
    "vcpus": "vCPUs",
    "memory_mib": "MiB of memory",
    "disk_gib": "GiB of disk",
    "snapshots": "snapshots",
}
"""Everything that is counted, with its name in a sentence, in the order in which it is shown."""


class QuotaExceeded(Conflict):
    """The account or the project has as many of these as it may have."""

    code = "QUOTA_EXCEEDED"
    title = "Quota exceeded"

    def __init__(self, resource: Resource, *, maximum: int, used: int) -> None:
        super().__init__(
            f"The limit of {maximum} {RESOURCES[resource]} is reached: {used} are in use. Delete something, or ask for"
            " a higher limit; GET /quotas shows every limit.",
            resource=resource,
            maximum=maximum,
            used=used,
        )


@dataclass(frozen=True, slots=True)
class Quota:
    """One counter of an owner."""

    resource: Resource
    used: int
    maximum: int


@dataclass(frozen=True, slots=True)
class Drift:
    """A counter that does not say what the rows say."""

    owner_id: UUID
    resource: Resource
    used: int
    counted: int


_OPEN: Final = sa.insert(quotas)


class Quotas:
    """The counters of accounts and projects, inside the caller's transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def open(self, owner_id: UUID, maxima: Amounts) -> None:
        """Begin to count for a new owner."""
        rows = [
            {"owner_id": owner_id, "resource": resource, "used": 0, "maximum": maximum}
            for resource, maximum in maxima.items()
        ]
        await self._tx.execute(_OPEN, rows)

    async def list(self, owner_id: UUID) -> Sequence[Quota]:
        """Return an owner's counters."""
        query = sa.select(quotas.c.resource, quotas.c.used, quotas.c.maximum).where(quotas.c.owner_id == owner_id)
        found = {row.resource: row for row in (await self._tx.execute(query)).all()}
        return [Quota(name, found[name].used, found[name].maximum) for name in RESOURCES if name in found]

    async def take(self, owner_id: UUID, resource: Resource, amount: int = 1) -> None:
        """Count more of one resource, or raise `QuotaExceeded`."""
        await self.take_all((owner_id,), {resource: amount})

    async def take_all(self, owner_ids: Sequence[UUID], amounts: Amounts) -> None:
        """Count more with every owner, or raise `QuotaExceeded`: then the transaction must not go on."""
        amounts = _wanted(amounts)
        if not amounts:
            return
        parameters = _parameters(owner_ids, amounts)
        taken = await self._tx.execute(_taking(tuple(amounts)), parameters)
        if taken.rowcount == len(owner_ids) * len(amounts):
            return
        found = {row.resource: row for row in (await self._tx.execute(_full(tuple(amounts)), parameters)).all()}
        resource = next(name for name in RESOURCES if name in found)
        raise QuotaExceeded(resource, maximum=found[resource].maximum, used=found[resource].used)

    async def give_back(self, owner_id: UUID, resource: Resource, amount: int = 1) -> None:
        """Count fewer of one resource; below zero the database refuses."""
        await self.give_back_all((owner_id,), {resource: amount})

    async def give_back_all(self, owner_ids: Sequence[UUID], amounts: Amounts) -> None:
        """Count fewer with every owner; below zero the database refuses."""
        amounts = _wanted(amounts)
        if amounts:
            await self._tx.execute(_giving_back(tuple(amounts)), _parameters(owner_ids, amounts))

    async def close(self, owner_id: UUID, resource: Resource) -> None:
        """Let nothing more be counted; what is there can still be given back."""
        await self._tx.execute(
            sa.update(quotas).where(quotas.c.owner_id == owner_id, quotas.c.resource == resource).values(maximum=0)
        )


class QuotaAdministration:
    """Shows and sets limits, as an administrator. Runs inside the caller's transaction and never commits."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def list_of_user(self, user_id: UUID | None) -> Sequence[Quota]:
        """Return the quotas of any account."""
        return await Quotas(self._tx).list(await self._user(user_id))

    async def list_of_project(self, project_id: UUID | None) -> Sequence[Quota]:
        """Return the quotas of any project that lives."""
        id_, _ = await self._project(project_id)
        return await Quotas(self._tx).list(id_)

    async def change_of_user(self, user_id: UUID | None, maxima: Amounts, *, caller: Caller) -> UUID:
        """Set limits of an account."""
        id_ = await self._user(user_id)
        changes = changes_of(await self._change(id_, maxima), _named(maxima))
        await self._record("user", id_, changes, owner_id=id_, project_id=None, caller=caller)
        return id_

    async def change_of_project(self, project_id: UUID | None, maxima: Amounts, *, caller: Caller) -> UUID:
        """Set limits of a project that lives."""
        id_, owner_id = await self._project(project_id)
        changes = changes_of(await self._change(id_, maxima), _named(maxima))
        await self._record("project", id_, changes, owner_id=owner_id, project_id=id_, caller=caller)
        return id_

    async def _user(self, user_id: UUID | None) -> UUID:
        found = sa.select(users.c.id).where(users.c.id == user_id)
        if user_id is None or (await self._tx.execute(found)).first() is None:
            raise NotFound("User")
        return user_id

    async def _project(self, project_id: UUID | None) -> tuple[UUID, UUID]:
        """Return the ids of a project and of its owner."""
        found = sa.select(projects.c.user_id).where(projects.c.id == project_id, projects.c.deleted_at.is_(None))
        owner_id = None if project_id is None else (await self._tx.execute(found)).scalar_one_or_none()
        if project_id is None or owner_id is None:
            raise NotFound("Project")
        return project_id, owner_id

    async def _change(self, owner_id: UUID, maxima: Amounts) -> Mapping[str, int]:
        """Set limits; return what they were before."""
        query = sa.select(quotas.c.resource, quotas.c.maximum).where(quotas.c.owner_id == owner_id).with_for_update()
        before = {row.resource: row.maximum for row in await self._tx.execute(query)}
        for resource, maximum in maxima.items():
            await self._tx.execute(
                sa.update(quotas)
                .where(quotas.c.owner_id == owner_id, quotas.c.resource == resource)
                .values(maximum=maximum)
            )
        return before

    async def _record(
        self,
        resource_type: str,
        resource_id: UUID,
        changes: Mapping[str, object],
        *,
        owner_id: UUID,
        project_id: UUID | None,
        caller: Caller,
    ) -> None:
        await EventRecorder(self._tx).record(
            "quota.changed",
            resource_type=resource_type,
            resource_id=resource_id,
            user_id=owner_id,
            project_id=project_id,
            cause="administrator",
            actor_id=caller.user_id,
            data=changes,
        )


def _named(maxima: Amounts) -> Mapping[str, int]:
    return {str(resource): maximum for resource, maximum in maxima.items()}


async def open_account_quotas(tx: Transaction, user_id: UUID, settings: QuotaSettings) -> None:
    """Begin to count for a new account."""
    maxima = _sized(settings.vms_per_user, *settings.account_sizes)
    await Quotas(tx).open(
        user_id, {"projects": settings.projects_per_user, "snapshots": settings.snapshots_per_user, **maxima}
    )


async def open_project_quotas(tx: Transaction, project_id: UUID, settings: QuotaSettings) -> None:
    """Begin to count for a new project."""
    maxima = _sized(settings.vms_per_project, *settings.project_sizes)
    await Quotas(tx).open(project_id, {"snapshots": settings.snapshots_per_project, **maxima})


async def recount(tx: Transaction) -> Sequence[Drift]:
    """Return the counters that differ from the rows; there should be none. One statement, so one instant."""
    counted = sa.union_all(
        _counted("projects", projects.c.user_id, sa.func.count(), projects.c.deleted_at.is_(None)),
        *(
            _counted(resource, owner, amount, is_alive)
            for owner in (vms.c.user_id, vms.c.project_id)
            for resource, amount in _OF_MACHINES.items()
        ),
        *(
            _counted("snapshots", owner, sa.func.count(), snapshots.c.status != SnapshotStatus.DELETED)
            for owner in (snapshots.c.user_id, snapshots.c.project_id)
        ),
    ).subquery("counted")
    truth = sa.func.coalesce(counted.c.amount, 0)
    query = (
        sa.select(quotas.c.owner_id, quotas.c.resource, quotas.c.used, truth.label("counted"))
        .outerjoin(counted, sa.and_(counted.c.owner_id == quotas.c.owner_id, counted.c.resource == quotas.c.resource))
        .where(quotas.c.used != truth)
        .order_by(quotas.c.owner_id, quotas.c.resource)
    )
    return [Drift(row.owner_id, row.resource, row.used, row.counted) for row in (await tx.execute(query)).all()]


_OF_MACHINES: Final[Mapping[Resource, sa.ColumnElement[Any]]] = {
    "vms": sa.func.count(),
    "vcpus": sa.func.sum(vms.c.vcpus + vms.c.extra_vcpus),
    "memory_mib": sa.func.sum(vms.c.memory_mib + vms.c.extra_memory_mib),
    "disk_gib": sa.func.sum(vms.c.disk_gib + vms.c.extra_disk_gib),
}


def _counted(
    resource: Resource, owner: sa.Column[Any], amount: sa.ColumnElement[Any], condition: sa.ColumnElement[bool]
) -> sa.Select[Any]:
    return (
        sa.select(
            owner.label("owner_id"),
            sa.literal(resource, sa.Text).label("resource"),
            sa.cast(amount, sa.BigInteger).label("amount"),
        )
        .where(condition)
        .group_by(owner)
    )


def _sized(vms_: int, vcpus: int, memory_mib: int, disk_gib: int) -> Amounts:
    return {"vms": vms_, "vcpus": vcpus, "memory_mib": memory_mib, "disk_gib": disk_gib}


def _wanted(amounts: Amounts) -> Amounts:
    assert all(amount >= 0 for amount in amounts.values()), "take and give back are two ways"
    return {resource: amount for resource, amount in amounts.items() if amount}


# Made once for each set of resources: to build a statement anew costs as much as to run it.
@lru_cache(maxsize=32)
def _taking(resources: tuple[Resource, ...]) -> sa.Update:
    more = quotas.c.used + _amount_of(resources)
    return sa.update(quotas).where(*_rows(resources), more <= quotas.c.maximum).values(used=more)


@lru_cache(maxsize=32)
def _full(resources: tuple[Resource, ...]) -> sa.Select[Any]:
    more = quotas.c.used + _amount_of(resources)
    query = sa.select(quotas.c.resource, quotas.c.maximum, quotas.c.used)
    return query.where(*_rows(resources), more > quotas.c.maximum)


@lru_cache(maxsize=32)
def _giving_back(resources: tuple[Resource, ...]) -> sa.Update:
    return sa.update(quotas).where(*_rows(resources)).values(used=quotas.c.used - _amount_of(resources))


def _parameters(owner_ids: Sequence[UUID], amounts: Amounts) -> dict[str, Any]:
    parameters: dict[str, Any] = {"owners": list(owner_ids)}
    parameters.update({str(resource): amount for resource, amount in amounts.items()})
    return parameters


def _rows(resources: tuple[Resource, ...]) -> tuple[sa.ColumnElement[bool], ...]:
    owners = sa.bindparam("owners", expanding=True, type_=sa.Uuid)
    return quotas.c.owner_id.in_(owners), quotas.c.resource.in_(resources)


def _amount_of(resources: tuple[Resource, ...]) -> sa.ColumnElement[int]:
    amounts = {name: sa.bindparam(name, type_=sa.Integer) for name in resources}
    return sa.case(amounts, value=quotas.c.resource, else_=0)
