"""The figures of billing that policies are judged by: of the account, or of what a policy names of it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from zentry.billing.reports import BillingReports
from zentry.monitoring.alerts.types import Figure, Policy
from zentry.platform.db import Transaction
from zentry.platform.money import MICROS_PER_CREDIT
from zentry.schema.billing import billing_records, daily_spend, segment_is_open, segments
from zentry.vms.labels import parse_selector
from zentry.vms.views import ids_labelled


async def figure_of(tx: Transaction, policy: Policy) -> float | None:
    """Return the figure that a policy names."""
    figure = Figure(policy.subject)
    if figure.is_of_parts:
        micros = await (_hourly_cost(tx, policy) if figure is Figure.HOURLY_COST else _spent_today(tx, policy))
        return micros / MICROS_PER_CREDIT
    if figure is Figure.SPENT_THIS_MONTH:
        first = tx.now.date().replace(day=1)
        spent: Any = sa.func.coalesce(sa.func.sum(daily_spend.c.micros), 0)
        query = sa.select(spent).where(daily_spend.c.user_id == policy.user_id, daily_spend.c.day >= first)
        return float((await tx.execute(query)).scalar_one()) / MICROS_PER_CREDIT
    reports = BillingReports(tx, policy.user_id)
    balance, _ = await reports.balance()
    if figure is Figure.AVAILABLE_CREDITS:
        return (balance.credits - balance.held) / MICROS_PER_CREDIT
    hourly, _ = await reports.running()
    return balance.credits / hourly if hourly else None


async def _hourly_cost(tx: Transaction, policy: Policy) -> float:
    """Return what is metered now, per hour; a disk or address belongs to its machine."""
    machine = sa.func.coalesce(segments.c.vm_id, segments.c.resource_id)
    return await _sum(
        tx,
        policy,
        segments.c.rate_micros_per_hour,
        segments.c.user_id == policy.user_id,
        segment_is_open,
        *_parts(policy, machine, segments.c.project_id),
    )


async def _spent_today(tx: Transaction, policy: Policy) -> float:
    """Return what was charged since midnight, UTC."""
    return await _sum(
        tx,
        policy,
        -billing_records.c.amount,
        billing_records.c.user_id == policy.user_id,
        billing_records.c.created_at >= tx.now.replace(hour=0, minute=0, second=0, microsecond=0),
        billing_records.c.price_version.is_not(None),
        *_parts(policy, billing_records.c.vm_id, billing_records.c.project_id),
    )


def _parts(
    policy: Policy, machine: sa.ColumnElement[Any], project: sa.ColumnElement[Any]
) -> list[sa.ColumnElement[bool]]:
    parts = []
    if policy.vm_id is not None:
        parts.append(machine == policy.vm_id)
    if policy.project_id is not None:
        parts.append(project == policy.project_id)
    if policy.label_selector is not None:
        parts.append(machine.in_(ids_labelled(parse_selector(policy.label_selector))))
    return parts


async def _sum(
    tx: Transaction, policy: Policy, of: sa.ColumnElement[Any], *conditions: sa.ColumnElement[bool]
) -> float:
    query = sa.select(sa.func.coalesce(sa.func.sum(of), 0)).where(*conditions)
    return float((await tx.execute(query, {"caller_id": policy.user_id})).scalar_one())
