"""Rows of alert policies, of where they stand, of their history, and of silences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from zentry.monitoring.alerts.states import AlertState, Comparison, Standing
from zentry.monitoring.alerts.types import (
    Alert,
    Change,
    Condition,
    CurrentAlert,
    Policy,
    PolicySeverity,
    Silence,
    Source,
)
from zentry.monitoring.store import Aggregation
from zentry.platform.db import Transaction
from zentry.schema.monitoring import (
    alert_changes,
    alert_policies,
    alert_silences,
    alert_states,
    is_policy_alive,
    is_policy_judged,
)

MOST_POLICIES: Final = 100
MOST_SILENCES: Final = 100
_SHOWN: Final = 500
_PLACE: Final = (alert_changes.c.created_at, alert_changes.c.id)
"""Where a change stands in the history."""
_KEPT: Final = timedelta(days=90)
_SWEPT_AT_ONCE: Final = 1000
_DUE: Final = (
    sa.select(alert_policies.c.id)
    .where(
        is_policy_judged,
        alert_policies.c.due_at <= sa.bindparam("now"),
        sa.or_(alert_policies.c.lease_until.is_(None), alert_policies.c.lease_until < sa.bindparam("now")),
    )
    .order_by(alert_policies.c.due_at)
    .limit(sa.bindparam("most"))
    .with_for_update(skip_locked=True)
)


class AlertRepository:
    """Reads and writes alert policies and what belongs to them."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    # Policies

    async def list(self, user_id: UUID, *, policy_id: UUID | None = None) -> Sequence[Policy]:
        """Return an account's policies by name, only this one where an id is given."""
        query = sa.select(alert_policies).where(alert_policies.c.user_id == user_id, is_policy_alive)
        if policy_id is not None:
            query = query.where(alert_policies.c.id == policy_id)
        rows = await self._tx.execute(query.order_by(alert_policies.c.name_key).limit(MOST_POLICIES))
        return [_policy(row) for row in rows.mappings()]

    async def insert(self, values: Mapping[str, Any]) -> bool:
        """Write a policy; False when the account has its name."""
        now = self._tx.now
        return await self._tx.insert_unless_there(
            alert_policies, {"created_at": now, "due_at": now, "fence": 0, **values}
        )

    async def change(self, policy: Policy, values: Mapping[str, Any]) -> bool:
        """Change a policy; False when its new name is taken. Whoever judges it meanwhile judges in vain."""
        changed = sa.update(alert_policies).where(alert_policies.c.id == policy.id)
        again = {"fence": alert_policies.c.fence + 1, "due_at": self._tx.now, "lease_until": None}
        try:
            await self._tx.execute(changed.values(**values, **again, updated_at=self._tx.now))
        except sa.exc.IntegrityError:
            return False
        return True

    async def claim(self, *, limit: int, lease: timedelta) -> Sequence[Policy]:
        """Take policies that are due and that nobody judges, the most overdue first."""
        now = self._tx.now
        ids = (await self._tx.execute(_DUE, {"now": now, "most": limit})).scalars().all()
        if not ids:
            return []
        taken = (
            sa.update(alert_policies)
            .where(alert_policies.c.id.in_(ids))
            .values(lease_until=now + lease, fence=alert_policies.c.fence + 1)
            .returning(alert_policies)
        )
        return [_policy(row) for row in (await self._tx.execute(taken)).mappings()]

    async def release(self, policy: Policy, *, due_in: timedelta) -> bool:
        """Give a policy back until it is due again; False when it is somebody else's by now, or was changed."""
        given = await self._tx.execute(
            sa.update(alert_policies)
            .where(alert_policies.c.id == policy.id, alert_policies.c.fence == policy.fence)
            .values(due_at=self._tx.now + due_in, lease_until=None)
        )
        return given.rowcount == 1

    # Where they stand

    async def alerts_of(self, policy_id: UUID) -> Mapping[UUID, Alert]:
        """Return where a policy stands with each target that it ever left `ok` with."""
        rows = await self._tx.execute(sa.select(alert_states).where(alert_states.c.policy_id == policy_id))
        return {row["target_id"]: _alert(row) for row in rows.mappings()}

    async def save(self, alert: Alert) -> None:
        """Write where a policy stands with a target."""
        values = {
            "state": alert.standing.state,
            "since": alert.standing.since,
            "run_since": alert.standing.run_since,
            "value": alert.value,
            "number": alert.number,
            "notified": alert.notified,
        }
        key = {"policy_id": alert.policy_id, "target_id": alert.target_id}
        if not await self._tx.insert_unless_there(alert_states, {**key, **values}):
            matches = [alert_states.c[name] == value for name, value in key.items()]
            await self._tx.execute(sa.update(alert_states).where(*matches).values(**values))

    async def list_current(self, user_id: UUID) -> Sequence[CurrentAlert]:
        """Return what is pending or fires, what fires first and then the newest."""
        firing = alert_states.c.state == AlertState.FIRING
        query = (
            sa.select(alert_states, alert_policies.c.name, alert_policies.c.severity)
            .join_from(alert_policies, alert_states, alert_states.c.policy_id == alert_policies.c.id)
            .where(
                alert_policies.c.user_id == user_id,
                is_policy_judged,
                alert_states.c.state.in_((AlertState.PENDING, AlertState.FIRING)),
            )
            .order_by(firing.desc(), alert_states.c.since.desc(), alert_states.c.target_id)
            .limit(_SHOWN)
        )
        silences = await self.active_silences(user_id)
        return [
            CurrentAlert(
                policy_id=row.policy_id,
                policy_name=row.name,
                severity=PolicySeverity(row.severity),
                target_id=row.target_id,
                state=AlertState(row.state),
                since=row.since,
                value=row.value,
                is_silenced=any(silence.covers(row.policy_id, row.target_id) for silence in silences),
            )
            for row in await self._tx.execute(query)
        ]

    # History

    async def add_change(self, policy: Policy, change: Change, *, number: int | None) -> None:
        """Keep one change of state; the same change is never kept twice."""
        await self._tx.execute(
            sa.insert(alert_changes).values(
                id=change.id,
                user_id=policy.user_id,
                policy_id=change.policy_id,
                target_id=change.target_id,
                number=number,
                state=change.state,
                previous=change.previous,
                value=change.value,
                is_silenced=change.is_silenced,
                created_at=change.at,
            )
        )

    async def list_changes(
        self, user_id: UUID, *, policy_id: UUID | None, limit: int, after: tuple[datetime, UUID] | None
    ) -> Sequence[Change]:
        """Return changes of state, the newest first, behind one that was seen."""
        query = sa.select(alert_changes).where(alert_changes.c.user_id == user_id)
        if policy_id is not None:
            query = query.where(alert_changes.c.policy_id == policy_id)
        if after is not None:
            seen = sa.tuple_(*(sa.literal(value, column.type) for value, column in zip(after, _PLACE, strict=True)))
            query = query.where(sa.tuple_(*_PLACE) < seen)
        newest = query.order_by(*(column.desc() for column in _PLACE)).limit(limit)
        return [
            Change(
                id=row.id,
                policy_id=row.policy_id,
                target_id=row.target_id,
                state=AlertState(row.state),
                previous=AlertState(row.previous),
                value=row.value,
                is_silenced=row.is_silenced,
                is_test=row.number is None,
                at=row.created_at,
            )
            for row in await self._tx.execute(newest)
        ]

    # Silences

    async def list_silences(self, user_id: UUID) -> Sequence[Silence]:
        """Return an account's silences that are not over, the next to end first."""
        query = sa.select(alert_silences).where(
            alert_silences.c.user_id == user_id, alert_silences.c.ends_at > self._tx.now
        )
        rows = await self._tx.execute(
            query.order_by(alert_silences.c.ends_at, alert_silences.c.id).limit(MOST_SILENCES)
        )
        return [
            Silence(row.id, row.policy_id, row.vm_id, row.starts_at, row.ends_at, row.comment, row.created_at)
            for row in rows
        ]

    async def active_silences(self, user_id: UUID) -> Sequence[Silence]:
        """Return the silences of this moment."""
        return [silence for silence in await self.list_silences(user_id) if silence.starts_at <= self._tx.now]

    async def insert_silence(self, silence: Silence, *, user_id: UUID) -> None:
        """Write a silence."""
        await self._tx.execute(
            sa.insert(alert_silences).values(
                id=silence.id,
                user_id=user_id,
                policy_id=silence.policy_id,
                vm_id=silence.vm_id,
                starts_at=silence.starts_at,
                ends_at=silence.ends_at,
                comment=silence.comment,
                created_at=silence.created_at,
            )
        )

    async def delete_silence(self, silence_id: UUID, *, user_id: UUID) -> bool:
        """Remove a silence; False when there is none."""
        gone = await self._tx.execute(
            sa.delete(alert_silences).where(alert_silences.c.id == silence_id, alert_silences.c.user_id == user_id)
        )
        return gone.rowcount == 1


async def sweep_alert_changes(tx: Transaction) -> int:
    """Forget changes of state that nobody looks up any more, a bounded number."""
    old = (
        sa.select(alert_changes.c.id)
        .where(alert_changes.c.created_at < tx.now - _KEPT)
        .order_by(alert_changes.c.created_at)
        .limit(_SWEPT_AT_ONCE)
    )
    return (await tx.execute(sa.delete(alert_changes).where(alert_changes.c.id.in_(old)))).rowcount


def _policy(row: sa.RowMapping) -> Policy:
    return Policy(
        id=row["id"],
        user_id=row["user_id"],
        name=row["name"],
        enabled=row["enabled"],
        severity=PolicySeverity(row["severity"]),
        source=Source(row["source"]),
        subject=row["subject"],
        condition=Condition(row["condition"]),
        comparison=Comparison(row["comparison"]),
        threshold=row["threshold"],
        clear_threshold=row["clear_threshold"],
        aggregation=Aggregation(row["aggregation"]),
        window_seconds=row["window_seconds"],
        fire_after_seconds=row["fire_after_seconds"],
        resolve_after_seconds=row["resolve_after_seconds"],
        vm_id=row["vm_id"],
        project_id=row["project_id"],
        label_selector=row["label_selector"],
        notify_mail=row["notify_mail"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        fence=row["fence"],
    )


def _alert(row: sa.RowMapping) -> Alert:
    return Alert(
        policy_id=row["policy_id"],
        target_id=row["target_id"],
        standing=Standing(AlertState(row["state"]), row["since"], row["run_since"]),
        value=row["value"],
        number=row["number"],
        notified=row["notified"],
    )
