"""Machines as clients see them: one statement, one struct that goes to the wire as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

import msgspec
import sqlalchemy as sa

from zentry.billing.reports import accrued_cost
from zentry.billing.types import COMPUTE
from zentry.platform.db import Transaction
from zentry.platform.money import MICROS_PER_CREDIT, SECONDS_PER_HOUR
from zentry.schema.billing import price_lists, prices, resource_costs, segment_is_open, segments
from zentry.schema.metadata import constant
from zentry.schema.operations import is_active, operations
from zentry.schema.projects import projects
from zentry.schema.vms import VMStatus, is_alive, vms


class SpecsView(msgspec.Struct, frozen=True):
    """A machine's size in words."""

    cpu: str
    ram: str
    storage: str


class ActiveOperationView(msgspec.Struct, frozen=True):
    """What is under way."""

    id: UUID
    kind: str
    progress: int


class VMView(msgspec.Struct, frozen=True):
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
_ONE: Final = _SELECT.where(
    vms.c.id == sa.bindparam("vm_id", type_=sa.Uuid), vms.c.user_id == sa.bindparam("user_id", type_=sa.Uuid)
)
_NEWEST_FIRST: Final = (RANK.desc(), vms.c.created_at.desc(), vms.c.id.desc())


class VMViews:
    """Reads machines for their owner."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def find(self, vm_id: UUID, *, user_id: UUID) -> VMView | None:
        """Return one machine of an account, terminated ones too."""
        row = (await self._tx.execute(_ONE, {"vm_id": vm_id, "user_id": user_id, "now": self._tx.now})).first()
        return None if row is None else _view(row, self._tx.now)

    async def list(
        self, user_id: UUID, wanted: VMFilter, *, limit: int, after: tuple[int, datetime, UUID] | None = None
    ) -> Sequence[VMView]:
        """Return machines of an account, live ones first and then the newest, after a row that was seen."""
        query = _SELECT.where(*_conditions(user_id, wanted)).order_by(*_NEWEST_FIRST).limit(limit)
        if after is not None:
            query = query.where(_after(*after))
        rows = (await self._tx.execute(query, {"now": self._tx.now})).all()
        now = self._tx.now
        return [_view(row, now) for row in rows]

    async def has_project(self, project_id: UUID, *, user_id: UUID) -> bool:
        """Tell whether the account has, or has had, this project."""
        query = sa.select(projects.c.id).where(projects.c.id == project_id, projects.c.user_id == user_id)
        return (await self._tx.execute(query)).first() is not None

    async def count(self, user_id: UUID, wanted: VMFilter) -> int:
        """Return how many machines a filter finds."""
        query = sa.select(sa.func.count()).select_from(vms).where(*_conditions(user_id, wanted))
        return int((await self._tx.execute(query)).scalar_one())

    async def list_alive(self, user_id: UUID, *, limit: int) -> Sequence[VMView]:
        """Return the machines of an account that are not terminated, the newest first."""
        query = _SELECT.where(vms.c.user_id == user_id, is_alive).order_by(*_NEWEST_FIRST).limit(limit)
        now = self._tx.now
        return [_view(row, now) for row in (await self._tx.execute(query, {"now": now})).all()]


def _conditions(user_id: UUID, wanted: VMFilter) -> list[sa.ColumnElement[bool]]:
    conditions = [vms.c.user_id == user_id]
    if wanted.status is not None:
        conditions.append(vms.c.status == wanted.status)
    if wanted.project_id is not None:
        conditions.append(vms.c.project_id == wanted.project_id)
    if wanted.name is not None:
        conditions.append(vms.c.name_key.contains(wanted.name.casefold(), autoescape=True))
    return conditions


def _after(rank: int, created_at: datetime, vm_id: UUID) -> sa.ColumnElement[bool]:
    return sa.tuple_(RANK, vms.c.created_at, vms.c.id) < sa.tuple_(
        sa.literal(rank), sa.literal(created_at, vms.c.created_at.type), sa.literal(vm_id, sa.Uuid)
    )


def rank_of(view: VMView) -> int:
    """Return where the list puts a machine."""
    return 0 if view.status == VMStatus.TERMINATED else 1


@lru_cache(maxsize=256)
def specs_text(vcpus: int, memory_mib: int, disk_gib: int) -> SpecsView:
    """Return a size as people read it."""
    memory = f"{memory_mib // 1024} GB" if memory_mib % 1024 == 0 else f"{memory_mib} MB"
    return SpecsView(cpu=f"{vcpus} vCPU", ram=memory, storage=f"{disk_gib} GB SSD")


def _view(row: sa.Row[Any], now: datetime) -> VMView:
    # By position where a list of fifty would feel the difference, names where it reads better.
    session = 0
    if row.status == "running" and row.wanted == "running" and row.last_started is not None:
        session = max(0, int((now - row.last_started.replace(microsecond=0)).total_seconds()))
    cost = row.cost or 0
    rate = row.rate
    if rate is not None:
        cost += accrued_cost(
            now=now,
            rate_micros_per_hour=rate,
            started_at=row.metered_from,
            paid_until=row.paid_until,
            charged_micros=row.metered_cost,
        )
    return VMView(
        id=row.id,
        name=row.name,
        instance_type=row.instance_type,
        image=row.image,
        status=row.status,
        stop_reason=row.stop_reason,
        active_operation=None
        if row.operation_id is None
        else ActiveOperationView(row.operation_id, row.operation_kind, row.operation_progress),
        ip_address=row.ip_address,
        user_id=row.user_id,
        project_id=row.project_id,
        project_name=row.project_name,
        specs=specs_text(row.vcpus, row.memory_mib, row.disk_gib),
        vcpus=row.vcpus,
        memory_mib=row.memory_mib,
        disk_gib=row.disk_gib,
        cost_per_hour=(rate if rate is not None else row.price or 0) / MICROS_PER_CREDIT,
        uptime_hours=(row.uptime_seconds + session) / SECONDS_PER_HOUR,
        current_session_hours=session / SECONDS_PER_HOUR,
        total_cost=cost / MICROS_PER_CREDIT,
        created_at=row.created_at,
        updated_at=row.updated_at,
        last_started=row.last_started,
        last_stopped=row.last_stopped,
        terminated_at=row.terminated_at,
    )
