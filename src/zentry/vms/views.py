"""Machines as clients see them: one statement, one struct that goes to the wire as it is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

import msgspec
import sqlalchemy as sa

from zentry.billing.reports import accrued_cost
from zentry.billing.types import COMPUTE
from zentry.platform.caller import Caller
from zentry.platform.db import Transaction, values
from zentry.platform.money import MICROS_PER_CREDIT, SECONDS_PER_HOUR
from zentry.projects.access import Reach, reach_of, seeing, seen_by
from zentry.schema.billing import price_lists, prices, resource_costs, segment_is_open, segments
from zentry.schema.metadata import constant
from zentry.schema.operations import is_active, operations
from zentry.schema.projects import projects
from zentry.schema.vms import VMStatus, is_alive, vm_labels, vms
from zentry.vms.labels import Match, Requirement


class SpecsView(msgspec.Struct, frozen=True, gc=False):
    """A machine's size in words."""

    cpu: str
    ram: str
    storage: str


class SSHKeyView(msgspec.Struct, frozen=True, gc=False):
    """A key that a machine was created with."""

    name: str
    fingerprint: str


class ActiveOperationView(msgspec.Struct, frozen=True, gc=False):
    """What is under way."""

    id: UUID
    kind: str
    progress: int


class VMView(msgspec.Struct, frozen=True, gc=False):
    """One machine; hours and credits as JSON numbers, computed at the transaction's time."""

    id: UUID
    name: str
    instance_type: str
    image: str
    status: str
    stop_reason: str | None
    active_operation: ActiveOperationView | None
    ip_address: str | None
    user_id: UUID
    project_id: UUID
    project_name: str
    specs: SpecsView
    vcpus: int
    memory_mib: int
    disk_gib: int
    cost_per_hour: float
    uptime_hours: float
    current_session_hours: float
    total_cost: float
    snapshot_id: UUID | None
    ssh_keys: list[SSHKeyView]
    labels: dict[str, str]
    delete_protection: bool
    has_user_data: bool
    created_at: datetime
    updated_at: datetime | None
    last_started: datetime | None
    last_stopped: datetime | None
    terminated_at: datetime | None


@dataclass(frozen=True, slots=True)
class VMFilter:
    """Which machines are wanted."""

    status: VMStatus | None = None
    project_id: UUID | None = None
    name: str | None = None
    labels: tuple[Requirement, ...] = ()

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What is asked for, by the names of `_FILTERS`."""
        given = {
            "status": self.status,
            "project_id": self.project_id,
            "name": None if self.name is None else f"%{_LIKE_SIGNS.sub(_escaped, self.name.casefold())}%",
        }
        return {name: value for name, value in given.items() if value is not None}


RANK: Final = sa.case((vms.c.status == constant("terminated"), sa.literal_column("0")), else_=sa.literal_column("1"))
"""Live machines come first; spelt like the index that serves the list."""

_current_version = (
    sa.select(price_lists.c.version)
    .where(price_lists.c.effective_at <= sa.bindparam("now", type_=price_lists.c.effective_at.type))
    .order_by(price_lists.c.effective_at.desc())
    .limit(1)
    .scalar_subquery()
)
_price = (
    sa.select(prices.c.micros)
    .where(prices.c.version == _current_version, prices.c.item == vms.c.instance_type)
    .scalar_subquery()
)
_SELECT: Final = sa.select(
    vms.c.id,
    vms.c.name,
    vms.c.instance_type,
    vms.c.image,
    vms.c.status,
    vms.c.wanted,
    vms.c.stop_reason,
    vms.c.ip_address,
    vms.c.user_id,
    vms.c.project_id,
    projects.c.name.label("project_name"),
    vms.c.vcpus,
    vms.c.memory_mib,
    vms.c.disk_gib,
    vms.c.created_at,
    vms.c.updated_at,
    vms.c.last_started,
    vms.c.last_stopped,
    vms.c.terminated_at,
    vms.c.uptime_seconds,
    vms.c.snapshot_id,
    vms.c.ssh_keys,
    vms.c.labels,
    vms.c.delete_protection,
    vms.c.has_user_data,
    operations.c.id.label("operation_id"),
    operations.c.kind.label("operation_kind"),
    operations.c.progress.label("operation_progress"),
    resource_costs.c.charged_micros.label("cost"),
    segments.c.rate_micros_per_hour.label("rate"),
    segments.c.started_at.label("metered_from"),
    segments.c.paid_until,
    segments.c.charged_micros.label("metered_cost"),
    _price.label("price"),
).select_from(
    vms.join(projects, projects.c.id == vms.c.project_id)
    .outerjoin(operations, sa.and_(operations.c.vm_id == vms.c.id, is_active))
    .outerjoin(resource_costs, resource_costs.c.resource_id == vms.c.id)
    .outerjoin(
        segments,
        sa.and_(segments.c.resource_id == vms.c.id, segments.c.meter == constant(COMPUTE), segment_is_open),
    )
)
_SEEN: Final = {reach: seen_by(reach, owner=vms.c.user_id, project=vms.c.project_id) for reach in Reach}
_ONE: Final = {
    reach: _SELECT.where(vms.c.id == sa.bindparam("vm_id", type_=sa.Uuid), seen) for reach, seen in _SEEN.items()
}
_FILTERS: Final[Mapping[str, sa.ColumnElement[bool]]] = {
    "status": vms.c.status == sa.bindparam("status", type_=sa.Text),
    "project_id": vms.c.project_id == sa.bindparam("project_id", type_=sa.Uuid),
    "name": vms.c.name_key.like(sa.bindparam("name", type_=sa.Text), escape="/"),
}
_LIKE_SIGNS: Final = re.compile(r"[%_/]")
_NEWEST_FIRST: Final = (RANK.desc(), vms.c.created_at.desc(), vms.c.id.desc())
_AFTER: Final = sa.tuple_(RANK, vms.c.created_at, vms.c.id) < sa.tuple_(
    sa.bindparam("after_rank", type_=sa.Integer),
    sa.bindparam("after_created_at", type_=vms.c.created_at.type),
    sa.bindparam("after_id", type_=sa.Uuid),
)
_LIMIT: Final = sa.bindparam("limit", type_=sa.Integer)
_ALIVE: Final = {
    reach: _SELECT.where(seen, is_alive).order_by(*_NEWEST_FIRST).limit(_LIMIT) for reach, seen in _SEEN.items()
}
_PROJECT: Final = {
    reach: sa.select(projects.c.id).where(
        projects.c.id == sa.bindparam("project_id"),
        seen_by(reach, owner=projects.c.user_id, project=projects.c.id),
    )
    for reach in Reach
}


# Made once for each set of filters: to build a statement anew costs as much as to run it.
@lru_cache(maxsize=32)
def _page(reach: Reach, filters: tuple[str, ...], labels: tuple[Requirement, ...], *, further: bool) -> sa.Select[Any]:
    conditions = [*_conditions(reach, filters, labels), *([_AFTER] if further else [])]
    return _SELECT.where(*conditions).order_by(*_NEWEST_FIRST).limit(_LIMIT)


@lru_cache(maxsize=32)
def _count(reach: Reach, filters: tuple[str, ...], labels: tuple[Requirement, ...]) -> sa.Select[Any]:
    return sa.select(sa.func.count()).select_from(vms).where(*_conditions(reach, filters, labels))


def _conditions(
    reach: Reach, filters: tuple[str, ...], labels: tuple[Requirement, ...]
) -> list[sa.ColumnElement[bool]]:
    return [_SEEN[reach], *(_FILTERS[name] for name in filters), *(_meets(reach, one) for one in labels)]


def _meets(reach: Reach, requirement: Requirement) -> sa.ColumnElement[bool]:
    """What has to be there is looked up by owner, key and value; the rest, and what others own, machine by machine."""
    chosen = [vm_labels.c.key == requirement.key]
    if requirement.values:
        chosen.append(vm_labels.c.value.in_(requirement.values))
    is_wanted = requirement.match in {Match.IN, Match.EXISTS}
    if is_wanted and reach is Reach.OWN:
        own = vm_labels.c.user_id == sa.bindparam("caller_id", type_=sa.Uuid)
        return vms.c.id.in_(sa.select(vm_labels.c.vm_id).where(own, *chosen))
    carried = sa.exists().where(vm_labels.c.vm_id == vms.c.id, *chosen)
    return carried if is_wanted else ~carried


def ids_labelled(labels: tuple[Requirement, ...]) -> sa.Select[Any]:
    """Return the ids of the machines of `caller_id` that meet requirements, terminated ones among them."""
    own = vms.c.user_id == sa.bindparam("caller_id", type_=sa.Uuid)
    return sa.select(vms.c.id).where(own, *(_meets(Reach.OWN, one) for one in labels))


class VMViews:
    """Reads machines for whoever sees them."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def find(self, vm_id: UUID, *, caller: Caller) -> VMView | None:
        """Return one machine that a caller sees, terminated ones too."""
        parameters = {"vm_id": vm_id, "now": self._tx.now, **seeing(caller)}
        row = (await self._tx.execute(_ONE[reach_of(caller)], parameters)).first()
        return None if row is None else _view(row, self._tx.now, int(self._tx.now.timestamp()))

    async def list(
        self, wanted: VMFilter, *, caller: Caller, limit: int, after: tuple[int, datetime, UUID] | None = None
    ) -> Sequence[VMView]:
        """Return machines that a caller sees, live ones first and then the newest, after a row that was shown."""
        parameters = {"limit": limit, "now": self._tx.now, **wanted.parameters, **seeing(caller)}
        if after is not None:
            parameters |= zip(("after_rank", "after_created_at", "after_id"), after, strict=True)
        query = _page(reach_of(caller), tuple(wanted.parameters), wanted.labels, further=after is not None)
        return await self._list(query, parameters)

    async def has_project(self, project_id: UUID, *, caller: Caller) -> bool:
        """Tell whether the caller sees this project, or has had it."""
        parameters = {"project_id": project_id, **seeing(caller)}
        return (await self._tx.execute(_PROJECT[reach_of(caller)], parameters)).first() is not None

    async def count(self, wanted: VMFilter, *, caller: Caller) -> int:
        """Return how many machines a filter finds."""
        query = _count(reach_of(caller), tuple(wanted.parameters), wanted.labels)
        return int((await self._tx.execute(query, {**wanted.parameters, **seeing(caller)})).scalar_one())

    async def list_alive(self, *, caller: Caller, limit: int) -> Sequence[VMView]:
        """Return the machines that a caller sees and that are not terminated, the newest first."""
        return await self._list(_ALIVE[reach_of(caller)], {"limit": limit, "now": self._tx.now, **seeing(caller)})

    async def _list(self, query: sa.Select[Any], parameters: Mapping[str, Any]) -> Sequence[VMView]:
        now = self._tx.now
        second = int(now.timestamp())
        return [_view(row, now, second) for row in (await self._tx.execute(query, parameters)).all()]


def _escaped(sign: re.Match[str]) -> str:
    return f"/{sign[0]}"


def rank_of(view: VMView) -> int:
    """Return where the list puts a machine."""
    return 0 if view.status == VMStatus.TERMINATED else 1


@lru_cache(maxsize=256)
def specs_text(vcpus: int, memory_mib: int, disk_gib: int) -> SpecsView:
    """Return a size as people read it."""
    memory = f"{memory_mib // 1024} GB" if memory_mib % 1024 == 0 else f"{memory_mib} MB"
    return SpecsView(cpu=f"{vcpus} vCPU", ram=memory, storage=f"{disk_gib} GB SSD")


def _view(row: sa.Row[Any], now: datetime, second: int) -> VMView:
    # In the order of `_SELECT`: to look each column up by its name would cost a list of fifty half of its time.
    (
        vm_id,
        name,
        instance_type,
        image,
        status,
        wanted,
        stop_reason,
        ip_address,
        user_id,
        project_id,
        project_name,
        vcpus,
        memory_mib,
        disk_gib,
        created_at,
        updated_at,
        last_started,
        last_stopped,
        terminated_at,
        uptime_seconds,
        snapshot_id,
        ssh_keys,
        labels,
        delete_protection,
        has_user_data,
        operation_id,
        operation_kind,
        operation_progress,
        cost,
        rate,
        metered_from,
        paid_until,
        metered_cost,
        price,
    ) = values(row)
    session = 0
    if status == "running" and wanted == "running" and last_started is not None:
        session = max(0, second - int(last_started.timestamp()))
    cost = cost or 0
    if rate is not None:
        cost += accrued_cost(
            now=now,
            rate_micros_per_hour=rate,
            started_at=metered_from,
            paid_until=paid_until,
            charged_micros=metered_cost,
        )
    return VMView(  # By position as well, in the order of its fields: names would cost eight times as much.
        vm_id,
        name,
        instance_type,
        image,
        status,
        stop_reason,
        None if operation_id is None else ActiveOperationView(operation_id, operation_kind, operation_progress),
        ip_address,
        user_id,
        project_id,
        project_name,
        specs_text(vcpus, memory_mib, disk_gib),
        vcpus,
        memory_mib,
        disk_gib,
        (rate if rate is not None else price or 0) / MICROS_PER_CREDIT,
        (uptime_seconds + session) / SECONDS_PER_HOUR,
        session / SECONDS_PER_HOUR,
        cost / MICROS_PER_CREDIT,
        snapshot_id,
        [SSHKeyView(key["name"], key["fingerprint"]) for key in ssh_keys],
        labels,
        delete_protection,
        has_user_data,
        created_at,
        updated_at,
        last_started,
        last_stopped,
        terminated_at,
    )
