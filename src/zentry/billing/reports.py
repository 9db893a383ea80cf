"""What an account can know about its money. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from zentry.billing.forecast import PresentMachine
from zentry.billing.types import Balance, Resource
from zentry.platform.db import Transaction, values
from zentry.platform.money import SECONDS_PER_HOUR
from zentry.schema.accounts import users
from zentry.schema.billing import billing_records, daily_spend, grants, segment_is_open, segments
from zentry.schema.vms import is_alive, is_available, snapshots, vms

DAYS_PER_WEEK: Final = 7
_MOST_GRANTS: Final = 500


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the history; the amount in micro-credits, charges negative."""

    id: UUID
    user_id: UUID
    vm_id: UUID | None
    project_id: UUID | None
    action_type: str
    amount: int
    description: str
    created_at: datetime
    unit: str | None
    quantity: int | None
    price_micros: int | None
    discount_basis_points: int | None
    price_version: int | None
    period_start: datetime | None
    period_end: datetime | None


@dataclass(frozen=True, slots=True)
class LineFilter:
    """Which lines of the history are wanted."""

    action_type: str | None = None
    vm_id: UUID | None = None
    project_id: UUID | None = None
    start: datetime | None = None
    end: datetime | None = None

    @property
    def is_empty(self) -> bool:
        """Tell whether every line is wanted."""
        return self == LineFilter()


@dataclass(frozen=True, slots=True)
class GrantLine:
    """Credit that ends, and what became of it."""

    id: UUID
    reason: str
    amount: int
    remaining: int
    expires_at: datetime
    lapsed_micros: int | None


_LINE: Final[tuple[sa.ColumnElement[Any], ...]] = (
    billing_records.c.id,
    billing_records.c.user_id,
    billing_records.c.vm_id,
    billing_records.c.project_id,
    billing_records.c.action_type,
    billing_records.c.amount,
    billing_records.c.description,
    billing_records.c.created_at,
    billing_records.c.unit,
    billing_records.c.quantity,
    sa.func.coalesce(billing_records.c.price_micros, billing_records.c.rate_micros_per_hour),
    billing_records.c.discount_basis_points,
    billing_records.c.price_version,
    billing_records.c.period_start,
    billing_records.c.period_end,
)


_MACHINE: Final = (
    vms.c.id,
    vms.c.user_id,
    vms.c.project_id,
    vms.c.name,
    vms.c.instance_type,
    vms.c.disk_gib,
    vms.c.ip_address,
    vms.c.status,
    vms.c.stop_reason,
    vms.c.last_stopped,
    vms.c.delete_protection,
)
_SNAPSHOT: Final = (
    snapshots.c.id,
    snapshots.c.user_id,
    snapshots.c.project_id,
    snapshots.c.name,
    snapshots.c.disk_gib,
    snapshots.c.vm_id,
)


class BillingReports:
    """Balances, history and sums of one account."""

    def __init__(self, tx: Transaction, user_id: UUID) -> None:
        self._tx = tx
        self._user_id = user_id

    async def balance(self) -> tuple[Balance, int]:
        """Return the balance and the number of lines in the history."""
        row = (
            await self._tx.execute(
                sa.select(users.c.credits, users.c.held, users.c.total_spent, users.c.billing_line_count).where(
                    users.c.id == self._user_id
                )
            )
        ).one()
        return Balance(row.credits, row.held, row.total_spent), row.billing_line_count

    async def grants(self, *, grant_id: UUID | None = None) -> Sequence[GrantLine]:
        """Return the account's grants that end, those first that are spent first, or one of them."""
        query = (
            sa.select(
                grants.c.id,
                grants.c.reason,
                grants.c.amount,
                grants.c.remaining,
                grants.c.expires_at,
                grants.c.lapsed_micros,
            )
            .where(grants.c.user_id == self._user_id)
            .order_by(grants.c.closed_at.is_not(None), grants.c.expires_at, grants.c.id)
            .limit(_MOST_GRANTS)
        )
        if grant_id is not None:
            query = query.where(grants.c.id == grant_id)
        return [GrantLine(*values(row)) for row in (await self._tx.execute(query)).all()]

    async def spent_since(self, *days: date) -> list[int]:
        """Return what was charged on and after each of the days, in one statement."""
        sums = [
            sa.func.coalesce(sa.func.sum(sa.case((daily_spend.c.day >= day, daily_spend.c.micros), else_=0)), 0)
            for day in days
        ]
        query = sa.select(*sums).where(daily_spend.c.user_id == self._user_id, daily_spend.c.day >= min(days))
        return [int(value) for value in values((await self._tx.execute(query)).one())]

    async def running(self) -> tuple[int, int]:
        """Return the sum of the rates per hour that run now, and what has accrued and is not yet charged."""
        query = sa.select(
            segments.c.rate_micros_per_hour, segments.c.started_at, segments.c.paid_until, segments.c.charged_micros
        ).where(segments.c.user_id == self._user_id, segment_is_open)
        rate = accrued = 0
        for row in (await self._tx.execute(query)).all():
            rate += row.rate_micros_per_hour
            accrued += accrued_cost(
                now=self._tx.now,
                rate_micros_per_hour=row.rate_micros_per_hour,
                started_at=row.started_at,
                paid_until=row.paid_until,
                charged_micros=row.charged_micros,
            )
        return rate, accrued

    async def count_vms(self) -> tuple[int, int]:
        """Return how many machines there are and how many of them run."""
        query = sa.select(
            sa.func.count(), sa.func.coalesce(sa.func.sum(sa.case((vms.c.status == "running", 1), else_=0)), 0)
        ).where(vms.c.user_id == self._user_id, is_alive)
        total, running = values((await self._tx.execute(query)).one())
        return int(total), int(running)

    async def machines(self) -> Sequence[PresentMachine]:
        """Return the machines that run or stand still, and the snapshots, as a forecast needs them."""
        query = sa.select(*_MACHINE).where(vms.c.user_id == self._user_id, vms.c.status.in_(("running", "stopped")))
        machines = [
            PresentMachine(
                Resource(
                    row.id,
                    row.user_id,
                    row.project_id,
                    row.name,
                    row.instance_type,
                    storage_gib=row.disk_gib,
                    addresses=0 if row.ip_address is None else 1,
                ),
                row.last_stopped if row.stop_reason == "credit" and row.status == "stopped" else None,
                row.delete_protection,
            )
            for row in (await self._tx.execute(query.order_by(vms.c.id))).all()
        ]
        query = (
            sa.select(*_SNAPSHOT, vms.c.delete_protection)
            .join(vms, vms.c.id == snapshots.c.vm_id)
            .where(snapshots.c.user_id == self._user_id, is_available)
            .order_by(snapshots.c.id)
        )
        return machines + [
            PresentMachine(
                Resource(
                    row.id, row.user_id, row.project_id, row.name, "disk", storage_gib=row.disk_gib, vm_id=row.vm_id
                ),
                None,
                row.delete_protection,
            )
            for row in (await self._tx.execute(query)).all()
        ]

    async def last_line(self) -> Line | None:
        """Return the newest line."""
        lines = await self.lines(LineFilter(), limit=1)
        return lines[0] if lines else None

    async def line(self, record_id: UUID) -> Line | None:
        """Return one line of the account."""
        query = sa.select(*_LINE).where(billing_records.c.id == record_id, billing_records.c.user_id == self._user_id)
        row = (await self._tx.execute(query)).first()
        return None if row is None else Line(*values(row))

    async def lines(
        self, wanted: LineFilter, *, limit: int, offset: int = 0, before: tuple[datetime, UUID] | None = None
    ) -> Sequence[Line]:
        """Return lines, the newest first, from an offset or before a row that was seen."""
        query = self.select_lines(_LINE, wanted, limit=limit, offset=offset, before=before)
        return [Line(*values(row)) for row in (await self._tx.execute(query)).all()]

    def select_lines(
        self,
        columns: Sequence[sa.ColumnElement[Any]],
        wanted: LineFilter,
        *,
        limit: int,
        offset: int = 0,
        before: tuple[datetime, UUID] | None = None,
    ) -> sa.Select[Any]:
        """Return the statement for these columns of lines, the newest first."""
        query = (
            sa.select(*columns)
            .where(*self._conditions(wanted))
            .order_by(billing_records.c.created_at.desc(), billing_records.c.id.desc())
            .limit(limit)
        )
        if before is not None:
            at, id_ = before
            query = query.where(
                sa.tuple_(billing_records.c.created_at, billing_records.c.id)
                < sa.tuple_(sa.literal(at, billing_records.c.created_at.type), sa.literal(id_, sa.Uuid))
            )
        elif offset:
            query = query.offset(offset)
        return query

    async def count(self, wanted: LineFilter) -> int:
        """Return how many lines a filter finds."""
        query = sa.select(sa.func.count()).select_from(billing_records).where(*self._conditions(wanted))
        return int((await self._tx.execute(query)).scalar_one())

    async def has_more_than(self, most: int, wanted: LineFilter) -> bool:
        """Tell whether a filter finds more lines than so many."""
        query = sa.select(billing_records.c.id).where(*self._conditions(wanted)).limit(1).offset(most)
        return (await self._tx.execute(query)).first() is not None

    async def cost_by(self, column: str, *, since: datetime) -> dict[Any, int]:
        """Return charges since an instant, summed by a column of the lines."""
        key = billing_records.c[column]
        query = (
            sa.select(key, -sa.func.sum(billing_records.c.amount))
            .where(*self._charges(since), key.is_not(None))
            .group_by(key)
        )
        return {row[0]: int(row[1]) for row in map(values, (await self._tx.execute(query)).all())}

    async def cost_by_day(self, *, first: date, days: int) -> list[int]:
        """Return what each of the days has cost, the oldest first."""
        query = sa.select(daily_spend.c.day, daily_spend.c.micros).where(
            daily_spend.c.user_id == self._user_id, daily_spend.c.day >= first
        )
        by_day: dict[date, int] = {row.day: row.micros for row in (await self._tx.execute(query)).all()}
        return [by_day.get(first + timedelta(days=offset), 0) for offset in range(days)]

    async def name_of(self, vm_id: UUID) -> str:
        """Return the name of a machine of the account."""
        query = sa.select(vms.c.name).where(vms.c.id == vm_id, vms.c.user_id == self._user_id)
        return str((await self._tx.execute(query)).scalar_one_or_none() or "")

    def _charges(self, since: datetime) -> tuple[sa.ColumnElement[bool], ...]:
        return (
            billing_records.c.user_id == self._user_id,
            billing_records.c.created_at >= since,
            billing_records.c.action_type.in_(("vm_create", "vm_usage")),
        )

    def _conditions(self, wanted: LineFilter) -> list[sa.ColumnElement[bool]]:
        conditions = [billing_records.c.user_id == self._user_id]
        if wanted.action_type is not None:
            conditions.append(billing_records.c.action_type == wanted.action_type)
        if wanted.vm_id is not None:
            conditions.append(billing_records.c.vm_id == wanted.vm_id)
        if wanted.project_id is not None:
            conditions.append(billing_records.c.project_id == wanted.project_id)
        if wanted.start is not None:
            conditions.append(billing_records.c.created_at >= wanted.start)
        if wanted.end is not None:
            conditions.append(billing_records.c.created_at <= wanted.end)
        return conditions


def accrued_cost(
    *, now: datetime, rate_micros_per_hour: int, started_at: datetime, paid_until: datetime, charged_micros: int
) -> int:
    """Return what an open segment has cost by now beyond what is charged, by the one rounding rule."""
    elapsed = int((min(now, paid_until) - started_at).total_seconds())  # Negative for a start ahead of us.
    return max(0, rate_micros_per_hour * elapsed // SECONDS_PER_HOUR - charged_micros)
