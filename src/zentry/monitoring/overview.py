"""What the dashboard is drawn from, in two statements, however many machines there are.

The first gives three answers under each other: the account in figures, a row for each segment that is open,
and the alerts that fire. What accrues is rounded by the one rule, so it is not summed up in the database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from zentry.billing.reports import accrued_cost
from zentry.monitoring.types import Account, FiringPolicy, Severity
from zentry.platform.caller import Caller
from zentry.platform.db import Transaction
from zentry.platform.db.types import Instant
from zentry.projects.access import Reach, reach_of, seeing, seen_by
from zentry.schema.accounts import users
from zentry.schema.billing import segment_is_open, segments
from zentry.schema.metadata import constant
from zentry.schema.monitoring import alert_policies, alert_silences, alert_states, is_policy_judged
from zentry.schema.vms import VMStatus, vms

MOST_FIRING: Final = 100
_COUNTED: Final = tuple(status for status in VMStatus if status is not VMStatus.TERMINATED)
_CALLER: Final[sa.BindParameter[UUID]] = sa.bindparam("caller_id", type_=sa.Uuid)
_NOW: Final = sa.bindparam("now", type_=Instant)
_COLUMNS: Final[Mapping[str, Any]] = {
    "available": sa.BigInteger(),
    "spent": sa.BigInteger(),
    **{f"vms_{status}": sa.BigInteger() for status in _COUNTED},
    "rate": sa.BigInteger(),
    "charged": sa.BigInteger(),
    "at": Instant(),
    "paid_until": Instant(),
    "target_id": sa.Uuid(),
    "name": sa.Text(),
    "severity": sa.Text(),
    "value": sa.Double(),
}


async def read_account(tx: Transaction, *, caller: Caller) -> Account | None:
    """Return a caller's balance, what the own machines cost, all that are seen by status, and what fires."""
    rows = (await tx.execute(_statement(reach_of(caller)), {"now": tx.now, **seeing(caller)})).all()
    accounts = [row for row in rows if row.part == "account"]
    if not accounts:
        return None
    account = accounts[0]
    metered = [row for row in rows if row.part == "segment"]
    accrued = sum(
        accrued_cost(
            now=tx.now,
            rate_micros_per_hour=row.rate,
            started_at=row.at,
            paid_until=row.paid_until,
            charged_micros=row.charged,
        )
        for row in metered
    )
    return Account(
        available=account.available,
        hourly_micros=sum(row.rate for row in metered),
        spent_micros=account.spent + accrued,
        by_status={status: getattr(account, f"vms_{status}") for status in _COUNTED},
        firing=_firing(rows),
    )


def _firing(rows: Sequence[sa.Row[Any]]) -> Sequence[FiringPolicy]:
    return [
        FiringPolicy(name=row.name, severity=Severity(row.severity), target_id=row.target_id, value=row.value)
        for row in rows
        if row.part == "alert"
    ]


@cache
def _statement(reach: Reach) -> sa.CompoundSelect[Any]:
    return sa.union_all(_account(reach), _segments(), _alerts())


def _account(reach: Reach) -> sa.Select[Any]:
    seen = seen_by(reach, owner=vms.c.user_id, project=vms.c.project_id)
    counts = {
        f"vms_{status}": sa.select(sa.func.count())
        .select_from(vms)
        .where(seen, vms.c.status == constant(status.value))
        .scalar_subquery()
        for status in _COUNTED
    }
    # Not the sum over its machines: one that has changed hands has cost others as well.
    given = {"available": users.c.credits - users.c.held, "spent": users.c.total_spent, **counts}
    return _part("account", given).where(users.c.id == _CALLER)


def _segments() -> sa.Select[Any]:
    given = {
        "rate": segments.c.rate_micros_per_hour,
        "charged": segments.c.charged_micros,
        "at": segments.c.started_at,
        "paid_until": segments.c.paid_until,
    }
    return _part("segment", given).where(segments.c.user_id == _CALLER, segment_is_open)


def _alerts() -> sa.Select[Any]:
    silence = alert_silences.c
    is_silenced = sa.exists().where(
        silence.user_id == _CALLER,
        silence.starts_at <= _NOW,
        silence.ends_at > _NOW,
        sa.or_(silence.policy_id.is_(None), silence.policy_id == alert_policies.c.id),
        sa.or_(silence.vm_id.is_(None), silence.vm_id == alert_states.c.target_id),
    )
    firing = (
        sa.select(
            alert_policies.c.name,
            alert_policies.c.severity,
            alert_states.c.target_id,
            alert_states.c.since,
            alert_states.c.value,
        )
        .join_from(alert_policies, alert_states, alert_states.c.policy_id == alert_policies.c.id)
        .where(
            alert_policies.c.user_id == _CALLER,
            is_policy_judged,
            alert_states.c.state == constant("firing"),
            ~is_silenced,
        )
        .order_by(alert_policies.c.severity, alert_states.c.since.desc(), alert_states.c.target_id)
        .limit(MOST_FIRING)
        .subquery("firing")
    )
    given = {
        "at": firing.c.since,
        "target_id": firing.c.target_id,
        "name": firing.c.name,
        "severity": firing.c.severity,
        "value": firing.c.value,
    }
    return _part("alert", given)


def _part(name: str, given: Mapping[str, sa.ColumnElement[Any]]) -> sa.Select[Any]:
    """Return a select of all columns, with nothing in those that this part does not fill."""
    columns = [given.get(column, sa.cast(sa.null(), kind)).label(column) for column, kind in _COLUMNS.items()]
    return sa.select(sa.literal_column(f"'{name}'", sa.Text()).label("part"), *columns)
