"""Statements of endpoints, deliveries and attempts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from zentry.events.types import LoggedEvent
from zentry.platform.db import Transaction, values
from zentry.schema.metadata import constant
from zentry.schema.webhooks import (
    DeliveryStatus,
    EndpointStatus,
    is_pending,
    webhook_attempts,
    webhook_cursor,
    webhook_deliveries,
    webhook_endpoints,
)
from zentry.webhooks.types import Attempt, Delivery, Endpoint, Posted

_DELIVERY: Final = tuple(webhook_deliveries.c[name] for name in Delivery.__dataclass_fields__)
_is_enabled: Final = webhook_endpoints.c.status == constant(EndpointStatus.ENABLED)
_LOCK_CURSOR: Final = sa.select(webhook_cursor.c.position).with_for_update(skip_locked=True)
_INSERT: Final = sa.insert(webhook_deliveries)


class EndpointRepository:
    """Endpoints of accounts and projects."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def insert(self, row: dict[str, Any]) -> None:
        """Insert an endpoint."""
        await self._tx.execute(sa.insert(webhook_endpoints), row)

    async def find(self, endpoint_id: UUID, *, user_id: UUID) -> Endpoint | None:
        """Return an endpoint of an account."""
        query = sa.select(webhook_endpoints).where(
            webhook_endpoints.c.id == endpoint_id, webhook_endpoints.c.user_id == user_id
        )
        row = (await self._tx.execute(query)).first()
        return None if row is None else _endpoint(row)

    async def get(self, endpoint_id: UUID) -> Endpoint | None:
        """Return an endpoint, whoever's it is."""
        row = (
            await self._tx.execute(sa.select(webhook_endpoints).where(webhook_endpoints.c.id == endpoint_id))
        ).first()
        return None if row is None else _endpoint(row)

    async def list_of(self, user_id: UUID) -> Sequence[Endpoint]:
        """Return an account's endpoints, the newest first; there are few."""
        query = sa.select(webhook_endpoints).where(webhook_endpoints.c.user_id == user_id)
        rows = await self._tx.execute(query.order_by(webhook_endpoints.c.id.desc()))
        return [_endpoint(row) for row in rows]

    async def list_for(self, *, users: Collection[UUID], projects: Collection[UUID]) -> Sequence[Endpoint]:
        """Return the enabled endpoints that events of these accounts and projects may go to."""
        query = sa.select(webhook_endpoints).where(
            _is_enabled,
            sa.or_(
                sa.and_(webhook_endpoints.c.project_id.is_(None), webhook_endpoints.c.user_id.in_(users)),
                webhook_endpoints.c.project_id.in_(projects),
            ),
        )
        return [_endpoint(row) for row in await self._tx.execute(query.order_by(webhook_endpoints.c.id))]

    async def update(self, endpoint_id: UUID, **changed: Any) -> None:
        """Change an endpoint."""
        await self._tx.execute(
            sa.update(webhook_endpoints).where(webhook_endpoints.c.id == endpoint_id).values(**changed)
        )

    async def disable(self, endpoint_id: UUID, *, reason: str) -> bool:
        """Post nothing more to an endpoint; False when that is so already."""
        done = await self._tx.execute(
            sa.update(webhook_endpoints)
            .where(webhook_endpoints.c.id == endpoint_id, _is_enabled)
            .values(status=EndpointStatus.DISABLED, disabled_reason=reason, updated_at=self._tx.now)
        )
        return done.rowcount == 1

    async def delete(self, endpoint_id: UUID) -> None:
        """Remove an endpoint and its deliveries."""
        await self._tx.execute(sa.delete(webhook_endpoints).where(webhook_endpoints.c.id == endpoint_id))

    async def delete_all(self, user_id: UUID) -> None:
        """Remove every endpoint of an account."""
        await self._tx.execute(sa.delete(webhook_endpoints).where(webhook_endpoints.c.user_id == user_id))


class DeliveryRepository:
    """Deliveries, from the event to the last attempt."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def is_behind(self, newest: int) -> bool:
        """Tell whether there are events without their deliveries."""
        return int((await self._tx.execute(sa.select(webhook_cursor.c.position))).scalar_one()) < newest

    async def lock_cursor(self) -> int | None:
        """Become the only one who makes deliveries until the transaction ends; None while somebody else is."""
        return (await self._tx.execute(_LOCK_CURSOR)).scalar_one_or_none()

    async def move_cursor(self, position: int) -> None:
        """Say that deliveries exist for every event up to a position."""
        await self._tx.execute(sa.update(webhook_cursor).values(position=position))

    async def insert(self, rows: Sequence[dict[str, Any]]) -> None:
        """Insert deliveries that are due now."""
        if rows:
            await self._tx.execute(_INSERT, rows)

    def of_event(self, endpoint_id: UUID, event: LoggedEvent) -> dict[str, Any]:
        """Return the row that takes an event to an endpoint."""
        return self.row(endpoint_id, kind=event.kind, resource_id=event.resource_id, position=event.position)

    def row(self, endpoint_id: UUID, *, kind: str, resource_id: UUID, position: int | None) -> dict[str, Any]:
        """Return the row of a delivery that is due now."""
        return {
            "id": self._tx.new_id(),
            "endpoint_id": endpoint_id,
            "position": position,
            "kind": kind,
            "resource_id": resource_id,
            "due_at": self._tx.now,
            "created_at": self._tx.now,
        }

    async def list_due(self, *, leaving_out: Collection[UUID], most: int) -> Sequence[tuple[UUID, UUID]]:
        """Return the ids of due deliveries and their endpoints: of each resource only the first, for the order."""
        own = webhook_deliveries.c
        earlier = webhook_deliveries.alias("earlier")
        is_first = ~sa.exists().where(
            earlier.c.endpoint_id == own.endpoint_id,
            earlier.c.resource_id == own.resource_id,
            earlier.c.status == constant(DeliveryStatus.PENDING),
            earlier.c.position < own.position,
        )
        query = (
            sa.select(own.id, own.endpoint_id)
            .join(webhook_endpoints, webhook_endpoints.c.id == own.endpoint_id)
            .where(
                is_pending,
                own.due_at <= self._tx.now,
                sa.or_(own.lease_until.is_(None), own.lease_until <= self._tx.now),
                _is_enabled,
                sa.or_(webhook_endpoints.c.retry_at.is_(None), webhook_endpoints.c.retry_at <= self._tx.now),
                is_first,
            )
            .order_by(own.due_at, own.id)
            .limit(most)
        )
        if leaving_out:
            query = query.where(own.endpoint_id.not_in(leaving_out))
        return [(row.id, row.endpoint_id) for row in await self._tx.execute(query)]

    async def claim(self, delivery_id: UUID, *, owner: str, lease_until: datetime) -> Delivery | None:
        """Take a due delivery for one attempt; None when somebody was faster."""
        own = webhook_deliveries.c
        done = await self._tx.execute(
            sa.update(webhook_deliveries)
            .where(
                own.id == delivery_id,
                is_pending,
                own.due_at <= self._tx.now,
                sa.or_(own.lease_until.is_(None), own.lease_until <= self._tx.now),
            )
            .values(
                owner=owner,
                lease_until=lease_until,
                attempts=own.attempts + 1,
                attempts_ever=own.attempts_ever + 1,
            )
            .returning(*_DELIVERY)
        )
        row = done.first()
        return None if row is None else _delivery(row)

    async def record(self, delivery: Delivery, posted: Posted, *, retry_at: datetime | None) -> bool:
        """Note what came of an attempt; False when it is no longer ours."""
        own = webhook_deliveries.c
        if posted.is_taken:
            status, ended_at = DeliveryStatus.DELIVERED, self._tx.now
        elif retry_at is None:
            status, ended_at = DeliveryStatus.DEAD, self._tx.now
        else:
            status, ended_at = DeliveryStatus.PENDING, None
        done = await self._tx.execute(
            sa.update(webhook_deliveries)
            .where(own.id == delivery.id, is_pending, own.attempts_ever == delivery.attempts_ever)
            .values(
                status=status,
                ended_at=ended_at,
                due_at=retry_at or own.due_at,
                owner=None,
                lease_until=None,
                last_status=posted.status,
                last_error=posted.error,
            )
        )
        if done.rowcount != 1:
            return False
        await self._tx.execute(
            sa.insert(webhook_attempts),
            {
                "delivery_id": delivery.id,
                "number": delivery.attempts_ever,
                "at": self._tx.now,
                "took_ms": posted.took_ms,
                "response_status": posted.status,
                "error": posted.error,
            },
        )
        return True

    async def revive(self, delivery_id: UUID) -> None:
        """Let a delivery be made again, under its old id."""
        await self._tx.execute(
            sa.update(webhook_deliveries)
            .where(webhook_deliveries.c.id == delivery_id)
            .values(status=DeliveryStatus.PENDING, attempts=0, due_at=self._tx.now, ended_at=None, lease_until=None)
        )

    async def find(self, delivery_id: UUID, *, endpoint_id: UUID) -> Delivery | None:
        """Return a delivery to an endpoint."""
        own = webhook_deliveries.c
        query = sa.select(*_DELIVERY).where(own.id == delivery_id, own.endpoint_id == endpoint_id)
        row = (await self._tx.execute(query)).first()
        return None if row is None else _delivery(row)

    async def list_to(
        self, endpoint_id: UUID, *, status: DeliveryStatus | None, after: UUID | None, limit: int
    ) -> Sequence[Delivery]:
        """Return deliveries to an endpoint, the newest first, behind one that was seen."""
        own = webhook_deliveries.c
        query = sa.select(*_DELIVERY).where(own.endpoint_id == endpoint_id)
        if status is not None:
            query = query.where(own.status == constant(status))
        if after is not None:
            query = query.where(own.id < after)
        return [_delivery(row) for row in await self._tx.execute(query.order_by(own.id.desc()).limit(limit))]

    async def list_attempts(self, delivery_id: UUID) -> Sequence[Attempt]:
        """Return the attempts of a delivery, the first one first."""
        columns = [webhook_attempts.c[name] for name in Attempt.__dataclass_fields__]
        query = sa.select(*columns).where(webhook_attempts.c.delivery_id == delivery_id)
        return [Attempt(*values(row)) for row in await self._tx.execute(query.order_by(webhook_attempts.c.number))]

    async def forget(self, *, before: datetime, most: int) -> int:
        """Delete old deliveries that have ended; return how many."""
        old = (
            sa.select(webhook_deliveries.c.id)
            .where(webhook_deliveries.c.created_at < before, ~is_pending)
            .order_by(webhook_deliveries.c.created_at)
            .limit(most)
        )
        done = await self._tx.execute(sa.delete(webhook_deliveries).where(webhook_deliveries.c.id.in_(old)))
        return done.rowcount


def _endpoint(row: sa.Row[Any]) -> Endpoint:
    facts = {name: getattr(row, name) for name in Endpoint.__dataclass_fields__}
    return Endpoint(**{**facts, "status": EndpointStatus(row.status)})


def _delivery(row: sa.Row[Any]) -> Delivery:
    facts = {name: getattr(row, name) for name in Delivery.__dataclass_fields__}
    return Delivery(**{**facts, "status": DeliveryStatus(row.status)})
