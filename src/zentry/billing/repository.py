"""Statements over prices, holds, segments and lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import groupby
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from zentry.billing.types import Grant, PriceList, Segment
from zentry.platform.db import Transaction, values
from zentry.schema.accounts import users
from zentry.schema.billing import (
    HoldStatus,
    billing_records,
    budgets,
    daily_spend,
    grant_is_open,
    grants,
    hold_is_open,
    holds,
    is_exhausted,
    price_lists,
    prices,
    resource_costs,
    segment_is_open,
    segments,
)
from zentry.schema.vms import instance_types, vm_labels

_SEGMENT: Final[tuple[sa.ColumnElement[Any], ...]] = (
    segments.c.id,
    segments.c.user_id,
    segments.c.project_id,
    segments.c.resource_id,
    segments.c.resource_type,
    segments.c.price_version,
    segments.c.rate_micros_per_hour,
    segments.c.started_at,
    segments.c.paid_until,
    segments.c.charged_until,
    segments.c.charged_micros,
    segments.c.meter,
    segments.c.unit,
    segments.c.quantity,
    segments.c.price_micros,
    segments.c.discount_basis_points,
    segments.c.vm_id,
    segments.c.exhausted_at,
)

_LISTS: Final = (
    sa.select(price_lists.c.version, price_lists.c.currency, price_lists.c.effective_at, prices.c.item, prices.c.micros)
    .join(prices, prices.c.version == price_lists.c.version)
    .order_by(price_lists.c.version)
)
_LISTS_FROM: Final = _LISTS.where(price_lists.c.version >= sa.bindparam("first", type_=sa.Integer))
_LISTS_AT: Final = _LISTS.where(
    price_lists.c.version
    >= sa.select(price_lists.c.version)
    .where(price_lists.c.effective_at <= sa.bindparam("at", type_=price_lists.c.effective_at.type))
    .order_by(price_lists.c.effective_at.desc())
    .limit(1)
    .scalar_subquery()
)
_INSERT_SEGMENT: Final = sa.insert(segments)
_INSERT_LINE: Final = sa.insert(billing_records)
# An open segment is covered by an open hold of the same meter; a hold may wait for its segment.
_HOLDS: Final = (
    sa.select(holds.c.id.label("hold_id"), holds.c.remaining, *_SEGMENT)
    .select_from(
        holds.outerjoin(
            segments,
            sa.and_(segments.c.resource_id == holds.c.resource_id, segments.c.meter == holds.c.meter, segment_is_open),
        )
    )
    .where(
        holds.c.resource_id == sa.bindparam("resource_id"),
        holds.c.meter.in_(sa.bindparam("meters", expanding=True)),
        hold_is_open,
    )
)
_CHANGE_HOLD: Final = (
    sa.update(holds)
    .where(holds.c.id == sa.bindparam("hold_id"))
    .values(remaining=holds.c.remaining + sa.bindparam("by"))
)
_CLOSE_HOLD: Final = (
    sa.update(holds)
    .where(holds.c.id == sa.bindparam("hold_id"))
    .values(remaining=0, status=HoldStatus.CLOSED, closed_at=sa.bindparam("now"))
)
_OPEN_SEGMENTS: Final = (
    sa.select(*_SEGMENT, holds.c.id.label("hold_id"))
    .select_from(
        segments.join(
            holds,
            sa.and_(holds.c.resource_id == segments.c.resource_id, holds.c.meter == segments.c.meter, hold_is_open),
        )
    )
    .where(segments.c.user_id == sa.bindparam("user_id"), segment_is_open)
    .order_by(segments.c.started_at, segments.c.id)
)
_following = segments.alias("following")
# The one that nothing follows. By time it could not be told: several may begin in one second.
_LAST_SEGMENT: Final = (
    sa.select(segments.c.id, segments.c.ended_at)
    .where(
        segments.c.resource_id == sa.bindparam("resource_id"),
        segments.c.meter == sa.bindparam("meter"),
        ~sa.exists().where(_following.c.predecessor_id == segments.c.id),
    )
    .order_by(segments.c.started_at.desc())
    .limit(1)
)
_month = sa.bindparam("month", type_=budgets.c.period_start.type)
_micros = sa.bindparam("micros", type_=sa.BigInteger)
# Every budget that what was charged belongs to; the first charge of a month begins anew.
_SPEND_BUDGETS: Final = (
    sa.update(budgets)
    .where(
        budgets.c.user_id == sa.bindparam("owner"),
        sa.or_(budgets.c.project_id.is_(None), budgets.c.project_id == sa.bindparam("project")),
        sa.or_(
            budgets.c.label_key.is_(None),
            sa.exists().where(
                vm_labels.c.vm_id == sa.bindparam("resource"),
                vm_labels.c.key == budgets.c.label_key,
                vm_labels.c.value == budgets.c.label_value,
            ),
        ),
    )
    .values(
        spent_micros=sa.case((budgets.c.period_start == _month, budgets.c.spent_micros), else_=0) + _micros,
        period_start=_month,
    )
)
_DUE_ACCOUNT: Final = (
    sa.select(users.c.id)
    .where(users.c.meter_due_at.is_not(None), users.c.meter_due_at <= sa.bindparam("now"))
    .order_by(users.c.meter_due_at)
    .limit(1)
    .with_for_update(skip_locked=True, key_share=True)
)
_EXHAUSTED: Final = (
    sa.select(segments.c.user_id)
    # Above the least id there is, so that an index of few rows is searched.
    .where(is_exhausted, segments.c.user_id > sa.literal(UUID(int=0), sa.Uuid))
    .distinct()
    .limit(sa.bindparam("most"))
)


@dataclass(frozen=True, slots=True)
class Covered:
    """An open hold, and the open segment that it pays for, if there is one yet."""

    hold_id: UUID
    remaining: int
    segment: Segment | None


class BillingRepository:
    """Billing's rows."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def list_price_lists(self, *, first: int) -> Sequence[PriceList]:
        """Return the price lists from a version on, the earliest first."""
        return _price_lists((await self._tx.execute(_LISTS_FROM, {"first": first})).all())

    async def list_price_lists_at(self, at: datetime) -> Sequence[PriceList]:
        """Return the price list that is in force at an instant, and those that follow it."""
        return _price_lists((await self._tx.execute(_LISTS_AT, {"at": at})).all())

    async def list_instance_types(self) -> Mapping[str, int]:
        """Return what machines can be, with the GiB of their disks."""
        rows = await self._tx.execute(sa.select(instance_types.c.name, instance_types.c.disk_gib))
        return {row.name: row.disk_gib for row in rows.all()}

    async def insert_price_list(self, announced: PriceList, *, units: Mapping[str, str]) -> bool:
        """Write a price list; False when there is one of its version or its instant."""
        head = {"version": announced.version, "effective_at": announced.effective_at, "currency": announced.currency}
        if not await self._tx.insert_unless_there(price_lists, {**head, "announced_at": self._tx.now}):
            return False
        rows = [
            {"version": announced.version, "item": item, "unit": units[item], "micros": micros}
            for item, micros in announced.micros.items()
        ]
        await self._tx.execute(sa.insert(prices), rows)
        return True

    async def delete_price_list(self, version: int) -> None:
        """Remove a price list that was never in force."""
        await self._tx.execute(sa.delete(prices).where(prices.c.version == version))
        await self._tx.execute(sa.delete(price_lists).where(price_lists.c.version == version))

    async def insert_hold(self, *, user_id: UUID, resource_id: UUID, meter: str, amount: int) -> UUID | None:
        """Open a hold for a resource; None where it has an open one already."""
        hold_id = self._tx.new_id()
        opened = await self._tx.insert_unless_there(
            holds,
            {
                "id": hold_id,
                "user_id": user_id,
                "resource_id": resource_id,
                "meter": meter,
                "remaining": amount,
                "status": HoldStatus.OPEN,
                "created_at": self._tx.now,
            },
        )
        return hold_id if opened else None

    async def list_holds(self, resource_id: UUID, meters: Sequence[str]) -> Sequence[Covered]:
        """Return a resource's open holds of some meters, with what is metered on them."""
        rows = await self._tx.execute(_HOLDS, {"resource_id": resource_id, "meters": list(meters)})
        return [
            Covered(row.hold_id, row.remaining, None if row.id is None else Segment(*values(row)[2:]))
            for row in rows.all()
        ]

    async def find_covered(self, resource_id: UUID, meter: str) -> Covered | None:
        """Return a resource's open hold of a meter, with what is metered on it."""
        found = await self.list_holds(resource_id, (meter,))
        return found[0] if found else None

    async def change_hold(self, hold_id: UUID, *, by: int) -> None:
        """Add to a hold, or take from it; the table refuses to go below zero."""
        await self._tx.execute(_CHANGE_HOLD, {"hold_id": hold_id, "by": by})

    async def close_hold(self, hold_id: UUID) -> None:
        """End a hold."""
        await self._tx.execute(_CLOSE_HOLD, {"hold_id": hold_id, "now": self._tx.now})

    async def list_covered(self, user_id: UUID) -> Sequence[tuple[Segment, UUID]]:
        """Return what an account is metered by now with the ids of the holds, the longest running first."""
        rows = await self._tx.execute(_OPEN_SEGMENTS, {"user_id": user_id})
        return [(Segment(*values(row)[:-1]), row.hold_id) for row in rows.all()]

    async def insert_segment(self, segment: Segment, *, after: tuple[UUID, datetime] | None = None) -> None:
        """Open a segment after the last one of the resource and meter, which must have ended before it."""
        if after is None:
            last = {"resource_id": segment.resource_id, "meter": segment.meter}
            found = (await self._tx.execute(_LAST_SEGMENT, last)).first()
            after = None if found is None else (found.id, found.ended_at)
        await self._tx.execute(
            _INSERT_SEGMENT,
            {
                "id": segment.id,
                "user_id": segment.user_id,
                "project_id": segment.project_id,
                "resource_id": segment.resource_id,
                "resource_type": segment.resource_type,
                "meter": segment.meter,
                "unit": segment.unit,
                "quantity": segment.quantity,
                "price_micros": segment.price_micros,
                "discount_basis_points": segment.discount_basis_points,
                "vm_id": segment.vm_id,
                "price_version": segment.price_version,
                "rate_micros_per_hour": segment.rate_micros_per_hour,
                "started_at": segment.started_at,
                "paid_until": segment.paid_until,
                "charged_until": segment.charged_until,
                "charged_micros": segment.charged_micros,
                "predecessor_id": after[0] if after else None,
                "predecessor_ended_at": after[1] if after else None,
            },
        )

    async def update_segment(self, segment_id: UUID, **changes: Any) -> None:
        """Move a segment's marks forward, or end it."""
        await self._tx.execute(
            _changing_segment(tuple(changes)),
            {"changed_id": segment_id, **{f"new_{name}": value for name, value in changes.items()}},
        )

    async def list_ending_grants(self, user_id: UUID) -> list[Grant]:
        """Return the open grants of an account, the first to end first."""
        query = (
            sa.select(grants.c.id, grants.c.reason, grants.c.remaining, grants.c.expires_at)
            .where(grants.c.user_id == user_id, grant_is_open)
            .order_by(grants.c.expires_at, grants.c.id)
        )
        return [Grant(*values(row)) for row in (await self._tx.execute(query)).all()]

    async def insert_grant(self, grant: Grant, *, user_id: UUID, record_id: UUID) -> None:
        """Write a grant that ends."""
        await self._tx.execute(
            sa.insert(grants).values(
                id=grant.id,
                user_id=user_id,
                record_id=record_id,
                reason=grant.reason,
                amount=grant.remaining,
                remaining=grant.remaining,
                expires_at=grant.expires_at,
            )
        )

    async def update_grant(self, grant_id: UUID, *, remaining: int) -> None:
        """Record how much of a grant is left."""
        await self._tx.execute(sa.update(grants).where(grants.c.id == grant_id).values(remaining=remaining))

    async def close_grant(self, grant: Grant, *, lapsed: int) -> None:
        """Record that a grant has ended, and what was taken back."""
        await self._tx.execute(
            sa.update(grants)
            .where(grants.c.id == grant.id)
            .values(remaining=grant.remaining, closed_at=self._tx.now, lapsed_micros=lapsed)
        )

    async def insert_line(self, **facts: Any) -> UUID:
        """Write a line of the history."""
        record_id = self._tx.new_id()
        await self._tx.execute(_INSERT_LINE, {"id": record_id, "created_at": self._tx.now, **facts})
        return record_id

    async def add_cost(self, *, resource_id: UUID, user_id: UUID, project_id: UUID, micros: int) -> None:
        """Add to what a resource and a day of its owner have cost."""
        await self._tx.insert_or_add(
            resource_costs,
            {"resource_id": resource_id, "user_id": user_id, "project_id": project_id, "charged_micros": micros},
            add=("charged_micros",),
        )
        await self._tx.insert_or_add(
            daily_spend, {"user_id": user_id, "day": self._tx.now.date(), "micros": micros}, add=("micros",)
        )
        month = self._tx.now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        spend = {"owner": user_id, "project": project_id, "resource": resource_id, "month": month, "micros": micros}
        await self._tx.execute(_SPEND_BUDGETS, spend)

    async def list_exhausted_accounts(self, *, limit: int) -> Sequence[UUID]:
        """Return accounts of which something is to be stopped, since it could not be paid any longer."""
        return list((await self._tx.execute(_EXHAUSTED, {"most": limit})).scalars())

    async def lock_due_account(self) -> UUID | None:
        """Lock and return one account that the meter must look at, passing over locked ones."""
        return (await self._tx.execute(_DUE_ACCOUNT, {"now": self._tx.now})).scalar_one_or_none()


@cache
def _changing_segment(names: tuple[str, ...]) -> sa.Update:
    changes: dict[str, sa.BindParameter[Any]] = {name: sa.bindparam(f"new_{name}") for name in names}
    return sa.update(segments).where(segments.c.id == sa.bindparam("changed_id")).values(changes)


def _price_lists(rows: Sequence[sa.Row[Any]]) -> Sequence[PriceList]:
    lists = []
    for version, group in groupby(rows, key=lambda row: row.version):
        items = list(group)
        micros = {row.item: row.micros for row in items}
        lists.append(PriceList(version, items[0].currency, micros, items[0].effective_at))
    return lists
