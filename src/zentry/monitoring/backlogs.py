"""What waits in the platform's queues: every figure is the head of an index, however much waits behind it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from zentry.monitoring.invariant_checks import find_last_check
from zentry.monitoring.types import Backlogs, Transition
from zentry.platform.db import Transaction
from zentry.schema.events import event_log, event_queue, events
from zentry.schema.mail import MailStatus, mails
from zentry.schema.mail import is_pending as is_mail_pending
from zentry.schema.metadata import constant
from zentry.schema.monitoring import alert_policies, is_policy_judged, sampling_rounds
from zentry.schema.operations import OperationStatus, is_active, operations
from zentry.schema.vms import is_running, vms
from zentry.schema.webhooks import (
    EndpointStatus,
    is_pending,
    webhook_cursor,
    webhook_deliveries,
    webhook_endpoints,
)

_NONE: Final = timedelta(0)
_MAILS_LOOKED_BACK: Final = timedelta(hours=1)
_DELIVERIES_LOOKED_AT: Final = 500
_NOW: Final[sa.BindParameter[Any]] = sa.bindparam("now")


def _deliveries_due_at() -> sa.ScalarSelect[Any]:
    """Return since when a delivery waits for us: one whose receiver fails waits for the receiver."""
    due = (
        sa.select(
            webhook_deliveries.c.endpoint_id,
            webhook_deliveries.c.due_at,
            webhook_deliveries.c.lease_until.label("held"),
        )
        .where(is_pending, webhook_deliveries.c.due_at <= _NOW)
        .order_by(webhook_deliveries.c.due_at)
        .limit(_DELIVERIES_LOOKED_AT)
        .subquery("due")
    )
    return (
        sa.select(sa.func.min(due.c.due_at))
        .join_from(due, webhook_endpoints, webhook_endpoints.c.id == due.c.endpoint_id)
        .where(
            webhook_endpoints.c.status == constant(EndpointStatus.ENABLED),
            webhook_endpoints.c.failures == 0,
            sa.or_(due.c.held.is_(None), due.c.held <= _NOW),
        )
        .scalar_subquery()
    )


_HEADS: Final = sa.select(
    sa.select(events.c.created_at)
    .where(events.c.id == sa.select(event_queue.c.event_id).order_by(event_queue.c.number).limit(1).scalar_subquery())
    .scalar_subquery()
    .label("events"),
    sa.select(sampling_rounds.c.due_at)
    .where(sampling_rounds.c.driver == sa.bindparam("driver"), sa.exists(sa.select(vms.c.id).where(is_running)))
    .scalar_subquery()
    .label("sampling"),
    sa.select(sa.func.min(alert_policies.c.due_at)).where(is_policy_judged).scalar_subquery().label("alerts"),
    sa.select(sa.func.min(mails.c.due_at)).where(is_mail_pending).scalar_subquery().label("mails"),
    sa.select(sa.func.count())
    .where(mails.c.ended_at > sa.bindparam("mails_since"), mails.c.status == constant(MailStatus.DEAD))
    .scalar_subquery()
    .label("mails_given_up"),
    sa.select(event_log.c.logged_at)
    .where(event_log.c.position == sa.select(webhook_cursor.c.position + 1).scalar_subquery())
    .scalar_subquery()
    .label("unmatched"),
    _deliveries_due_at().label("deliveries"),
)
_OLDEST: Final = (
    sa.select(operations.c.vm_id, operations.c.kind, operations.c.status, operations.c.created_at)
    .where(is_active)
    .order_by(operations.c.created_at, operations.c.id)
    .limit(1)
)


async def read_backlogs(tx: Transaction, *, driver: str) -> Backlogs:
    """Return how long the heads of the queues have been waiting."""
    now = tx.now
    heads = (await tx.execute(_HEADS, {"now": now, "driver": driver, "mails_since": now - _MAILS_LOOKED_BACK})).one()
    oldest = (await tx.execute(_OLDEST)).first()

    def since(instant: datetime | None) -> timedelta:
        return _NONE if instant is None else max(_NONE, now - instant)

    return Backlogs(
        events=since(heads.events),
        sampling=since(heads.sampling),
        alerts=since(heads.alerts),
        mails=since(heads.mails),
        mails_given_up=heads.mails_given_up,
        webhooks=max(since(heads.unmatched), since(heads.deliveries)),
        transition=None
        if oldest is None
        else Transition(oldest.vm_id, oldest.kind, OperationStatus(oldest.status), since(oldest.created_at)),
        invariants=await find_last_check(tx),
    )
