"""Statements over prices, holds, segments and lines."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from zentry.billing.types import COMPUTE, PriceList, Segment
from zentry.platform.db import Transaction, values
from zentry.schema.accounts import users
from zentry.schema.billing import (
    HoldStatus,
    billing_records,
    daily_spend,
    hold_is_open,
    holds,
    price_lists,
    prices,
    resource_costs,
    segment_is_open,
    segments,
)

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

_PRICES: Final = sa.select(price_lists.c.version, price_lists.c.currency, prices.c.item, prices.c.micros).join(
    prices, prices.c.version == price_lists.c.version
)
_PRICES_OF_VERSION: Final = _PRICES.where(price_lists.c.version == sa.bindparam("version", type_=sa.Integer))
_PRICES_AT: Final = _PRICES.where(
    price_lists.c.version
    == sa.select(price_lists.c.version)
    .where(price_lists.c.effective_at <= sa.bindparam("at", type_=price_lists.c.effective_at.type))
    .order_by(price_lists.c.effective_at.desc())
    .limit(1)
    .scalar_subquery()
)
_INSERT_SEGMENT: Final = sa.insert(segments)
_INSERT_LINE: Final = sa.insert(billing_records)
_HOLD: Final = sa.select(holds.c.id, holds.c.remaining).where(
    holds.c.resource_id == sa.bindparam("resource_id"), holds.c.meter == COMPUTE, hold_is_open
)
_CHANGE_HOLD: Final = (
    sa.update(holds)
    .where(holds.c.id == sa.bindparam("hold_id"))
    .values(remaining=holds.c.remaining + sa.bindparam("by"))
)
_OPEN_SEGMENT: Final = sa.select(*_SEGMENT).where(
    segments.c.resource_id == sa.bindparam("resource_id"), segments.c.meter == COMPUTE, segment_is_open
)
_OPEN_SEGMENTS: Final = (
    sa.select(*_SEGMENT)
    .where(segments.c.user_id == sa.bindparam("user_id"), segment_is_open)
    .order_by(segments.c.started_at, segments.c.id)
)
_following = segments.alias("following")
# The one that nothing follows. By time it could not be told: several may begin in one second.
_LAST_SEGMENT: Final = (
    sa.select(segments.c.id, segments.c.ended_at)
    .where(
        segments.c.resource_id == sa.bindparam("resource_id"),
        segments.c.meter == COMPUTE,
        ~sa.exists().where(_following.c.predecessor_id == segments.c.id),
    )
    .order_by(segments.c.started_at.desc())
    .limit(1)
)
_DUE_ACCOUNT: Final = (
    sa.select(users.c.id)
    .where(users.c.meter_due_at.is_not(None), users.c.meter_due_at <= sa.bindparam("now"))
    .order_by(users.c.meter_due_at)
    .limit(1)
    .with_for_update(skip_locked=True, key_share=True)
)


class BillingRepository:
    """Billing's rows."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def find_price_list(self, at: datetime) -> PriceList | None:
        """Return the prices that are in force at an instant."""
        return _price_list((await self._tx.execute(_PRICES_AT, {"at": at})).all())

    async def find_price_list_version(self, version: int) -> PriceList | None:
        """Return the prices of one version."""
        return _price_list((await self._tx.execute(_PRICES_OF_VERSION, {"version": version})).all())

    async def insert_hold(self, *, user_id: UUID, resource_id: UUID, amount: int) -> UUID | None:
        """Open a hold for a resource; None where it has an open one already."""
        hold_id = self._tx.new_id()
        opened = await self._tx.insert_unless_there(
            holds,
            {
                "id": hold_id,
                "user_id": user_id,
                "resource_id": resource_id,
                "remaining": amount,
                "status": HoldStatus.OPEN,
                "created_at": self._tx.now,
            },
        )
        return hold_id if opened else None

    async def find_hold(self, resource_id: UUID) -> tuple[UUID, int] | None:
        """Return the id and the rest of a resource's open hold."""
        row = (await self._tx.execute(_HOLD, {"resource_id": resource_id})).first()
        return None if row is None else (row.id, row.remaining)

    async def change_hold(self, hold_id: UUID, *, by: int) -> None:
        """Add to a hold, or take from it; the table refuses to go below zero."""
        await self._tx.execute(_CHANGE_HOLD, {"hold_id": hold_id, "by": by})

    async def close_hold(self, hold_id: UUID) -> None:
        """End a hold."""
        await self._tx.execute(
            sa.update(holds)
            .where(holds.c.id == hold_id)
            .values(remaining=0, status=HoldStatus.CLOSED, closed_at=self._tx.now)
        )

    async def find_open_segment(self, resource_id: UUID) -> Segment | None:
        """Return what a resource is metered by now."""
        row = (await self._tx.execute(_OPEN_SEGMENT, {"resource_id": resource_id})).first()
        return None if row is None else Segment(*values(row))

    async def list_open_segments(self, user_id: UUID) -> Sequence[Segment]:
        """Return what an account is metered by now, the longest running first."""
        rows = await self._tx.execute(_OPEN_SEGMENTS, {"user_id": user_id})
        return [Segment(*values(row)) for row in rows.all()]

    async def insert_segment(self, segment: Segment) -> None:
        """Open a segment after the last one of the resource, which must have ended before it."""
        predecessor = (await self._tx.execute(_LAST_SEGMENT, {"resource_id": segment.resource_id})).first()
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
                "predecessor_id": predecessor.id if predecessor else None,
                "predecessor_ended_at": predecessor.ended_at if predecessor else None,
            },
        )

    async def update_segment(self, segment_id: UUID, **changes: Any) -> None:
        """Move a segment's marks forward, or end it."""
        await self._tx.execute(
            _changing_segment(tuple(changes)),
            {"changed_id": segment_id, **{f"new_{name}": value for name, value in changes.items()}},
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

    async def lock_due_account(self) -> UUID | None:
        """Lock and return one account that the meter must look at, passing over locked ones."""
        return (await self._tx.execute(_DUE_ACCOUNT, {"now": self._tx.now})).scalar_one_or_none()


@cache
def _changing_segment(names: tuple[str, ...]) -> sa.Update:
    changes: dict[str, sa.BindParameter[Any]] = {name: sa.bindparam(f"new_{name}") for name in names}
    return sa.update(segments).where(segments.c.id == sa.bindparam("changed_id")).values(changes)


def _price_list(rows: Sequence[sa.Row[Any]]) -> PriceList | None:
    if not rows:
        return None
    return PriceList(rows[0].version, rows[0].currency, {row.item: row.micros for row in rows})
