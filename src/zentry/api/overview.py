"""Figures over everybody's tables for the public health pages, counted every few seconds at most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa

from zentry.platform.clock import Clock
from zentry.platform.db import Transaction
from zentry.platform.web import Edge
from zentry.schema.accounts import users
from zentry.schema.monitoring import health_records
from zentry.schema.vms import VMStatus, vms

_FRESH_SECONDS: Final = 5.0
MAX_RECORDS: Final = 1000


@dataclass(frozen=True, slots=True)
class Figures:
    """How many there are."""

    users: int
    active_users: int
    vms_by_status: Mapping[str, int]
    vcpus: int
    memory_mib: int
    disk_gib: int

    @property
    def running_vms(self) -> int:
        """Machines that run."""
        return self.vms_by_status.get(VMStatus.RUNNING, 0)

    @property
    def live_vms(self) -> int:
        """Machines that exist."""
        return sum(count for status, count in self.vms_by_status.items() if status != VMStatus.TERMINATED)


class Overview:
    """Counts accounts and machines; anyone may ask, so the answer is kept for a moment."""

    def __init__(self, edge: Edge, clock: Clock) -> None:
        self._edge = edge
        self._clock = clock
        self._counted_at = 0.0
        self._figures: Figures | None = None

    async def figures(self) -> Figures:
        """Return the figures of the last seconds."""
        now = self._clock.monotonic()
        if self._figures is None or now - self._counted_at >= _FRESH_SECONDS:
            async with self._edge.read() as tx:
                self._figures = await _count(tx)
            self._counted_at = now
        return self._figures


async def list_health_records(tx: Transaction, *, component: str | None, hours: int) -> Sequence[sa.Row[Any]]:
    """Return the newest records of the platform's health, newest first."""
    since = tx.now - timedelta(hours=hours)
    query = (
        sa.select(health_records)
        .where(health_records.c.recorded_at >= since)
        .order_by(health_records.c.recorded_at.desc(), health_records.c.id.desc())
        .limit(MAX_RECORDS)
    )
    if component is not None:
        query = query.where(health_records.c.component == component)
    return (await tx.execute(query)).all()


async def _count(tx: Transaction) -> Figures:
    accounts = (
        await tx.execute(
            sa.select(
                sa.func.count().label("users"), sa.func.count().filter(users.c.is_active).label("active_users")
            ).select_from(users)
        )
    ).one()
    machines = (
        await tx.execute(
            sa.select(
                vms.c.status,
                sa.func.count().label("machines"),
                sa.func.sum(vms.c.vcpus).label("vcpus"),
                sa.func.sum(vms.c.memory_mib).label("memory_mib"),
                sa.func.sum(vms.c.disk_gib).label("disk_gib"),
            ).group_by(vms.c.status)
        )
    ).all()
    running = next((row for row in machines if row.status == VMStatus.RUNNING), None)
    return Figures(
        users=accounts.users,
        active_users=accounts.active_users,
        vms_by_status={row.status: row.machines for row in machines},
        vcpus=int(running.vcpus) if running else 0,
        memory_mib=int(running.memory_mib) if running else 0,
        disk_gib=int(running.disk_gib) if running else 0,
    )
