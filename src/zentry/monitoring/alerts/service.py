"""The rules about alert policies and silences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from zentry.billing.service import BillingService
from zentry.events.recorder import EventRecorder
from zentry.monitoring.alerts.errors import (
    AlertPolicyNameTaken,
    AlertPolicyNotFound,
    SilenceNotFound,
    SilencePeriod,
    TooManyAlertPolicies,
    TooManySilences,
)
from zentry.monitoring.alerts.evaluator import Judging, tell, write
from zentry.monitoring.alerts.letters import AlertLetters
from zentry.monitoring.alerts.repository import MOST_POLICIES, MOST_SILENCES, AlertRepository
from zentry.monitoring.alerts.states import AlertState, Comparison
from zentry.monitoring.alerts.types import (
    Change,
    Condition,
    CurrentAlert,
    Figure,
    Policy,
    PolicySeverity,
    Silence,
    Source,
)
from zentry.monitoring.store import Aggregation, Metric
from zentry.platform.caller import Caller
from zentry.platform.db import Transaction
from zentry.platform.errors import InvalidInput, NotFound
from zentry.platform.sealing import Sealer
from zentry.platform.settings import BillingSettings
from zentry.projects.errors import ProjectNotFound
from zentry.schema.projects import projects
from zentry.vms.labels import parse_selector
from zentry.vms.views import VMViews

MAX_SILENCE: Final = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class PolicyFields:
    """A whole policy, as it is to be kept."""

    name: str
    enabled: bool
    severity: PolicySeverity
    source: Source
    subject: str
    condition: Condition
    comparison: Comparison
    threshold: float
    clear_threshold: float | None
    aggregation: Aggregation
    window_seconds: int
    fire_after_seconds: int
    resolve_after_seconds: int
    vm_id: UUID | None
    project_id: UUID | None
    label_selector: str | None
    notify_mail: bool


@dataclass(frozen=True, slots=True)
class SilenceFields:
    """A silence that is wished for."""

    policy_id: UUID | None
    vm_id: UUID | None
    starts_at: datetime | None
    ends_at: datetime
    comment: str


class AlertService:
    """The rules about alerts. Runs inside the caller's transaction and never commits."""

    def __init__(self, tx: Transaction, settings: BillingSettings, sealer: Sealer) -> None:
        self._tx = tx
        self._letters = AlertLetters(tx, sealer)
        self._alerts = AlertRepository(tx)
        self._events = EventRecorder(tx)
        self._billing = BillingService(tx, settings)

    async def list_policies(self, *, caller: Caller) -> Sequence[Policy]:
        """Return the caller's policies by name."""
        return await self._alerts.list(caller.user_id)

    async def get_policy(self, policy_id: UUID | None, *, caller: Caller) -> Policy:
        """Return a policy of the caller's, or raise `AlertPolicyNotFound`."""
        found = [] if policy_id is None else await self._alerts.list(caller.user_id, policy_id=policy_id)
        if not found:
            raise AlertPolicyNotFound
        return found[0]

    async def add_policy(self, fields: PolicyFields, *, caller: Caller) -> UUID:
        """Keep a policy; it is judged from now on."""
        _ensure_sound(fields)
        await self._ensure_scope(fields.vm_id, fields.project_id, caller=caller)
        await self._billing.lock_account(caller.user_id)  # Counts below hold for whoever comes next.
        if len(await self._alerts.list(caller.user_id)) >= MOST_POLICIES:
            raise TooManyAlertPolicies(MOST_POLICIES)
        policy_id = self._tx.new_id()
        values = {**_columns(fields), "id": policy_id, "user_id": caller.user_id}
        if not await self._alerts.insert(values):
            raise AlertPolicyNameTaken(fields.name)
        await self._record("alert_policy.added", policy_id, caller=caller)
        return policy_id

    async def change_policy(self, policy_id: UUID | None, changes: Mapping[str, Any], *, caller: Caller) -> UUID:
        """Change what is given. What is pending or fires is settled: the new policy is judged afresh."""
        policy = await self.get_policy(policy_id, caller=caller)
        kept = {name: getattr(policy, name) for name in PolicyFields.__slots__}
        if "threshold" in changes and "clear_threshold" not in changes:
            kept["clear_threshold"] = changes["threshold"]
        fields = PolicyFields(**{**kept, **changes})
        _ensure_sound(fields)
        if not await self._alerts.change(policy, _columns(fields)):
            raise AlertPolicyNameTaken(fields.name)
        await self._settle(policy)
        await self._record("alert_policy.changed", policy.id, caller=caller, changed=sorted(changes))
        return policy.id

    async def delete_policy(self, policy_id: UUID | None, *, caller: Caller) -> UUID:
        """Judge no more; the history stays."""
        policy = await self.get_policy(policy_id, caller=caller)
        await self._alerts.change(policy, {"deleted_at": self._tx.now})
        await self._settle(policy)
        await self._record("alert_policy.deleted", policy.id, caller=caller)
        return policy.id

    async def test_policy(self, policy_id: UUID | None, *, caller: Caller) -> UUID:
        """Tell of the policy as if it fired, whatever it finds; its state stays as it is."""
        policy = await self.get_policy(policy_id, caller=caller)
        change = Change(
            self._tx.new_id(),
            policy.id,
            policy.target,
            AlertState.FIRING,
            AlertState.FIRING,
            None,
            is_silenced=False,
            is_test=True,
            at=self._tx.now,
        )
        await self._alerts.add_change(policy, change, number=None)
        await tell(self._events, policy, "alert.test", target_id=policy.target, value=None)
        await self._letters.tell(policy, "alert.test", {policy.target: None})
        return policy.id

    async def list_current(self, *, caller: Caller) -> Sequence[CurrentAlert]:
        """Return what is pending or fires."""
        return await self._alerts.list_current(caller.user_id)

    async def list_changes(
        self, *, policy_id: UUID | None, limit: int, after: tuple[datetime, UUID] | None, caller: Caller
    ) -> Sequence[Change]:
        """Return changes of state, the newest first."""
        return await self._alerts.list_changes(caller.user_id, policy_id=policy_id, limit=limit, after=after)

    async def list_silences(self, *, caller: Caller) -> Sequence[Silence]:
        """Return the caller's silences that are not over."""
        return await self._alerts.list_silences(caller.user_id)

    async def get_silence(self, silence_id: UUID, *, caller: Caller) -> Silence:
        """Return a silence of the caller's that is not over, or raise `SilenceNotFound`."""
        found = [silence for silence in await self._alerts.list_silences(caller.user_id) if silence.id == silence_id]
        if not found:
            raise SilenceNotFound
        return found[0]

    async def add_silence(self, fields: SilenceFields, *, caller: Caller) -> UUID:
        """Tell nobody for a time; what still fires when it is over is told then."""
        starts_at = fields.starts_at or self._tx.now
        if not max(starts_at, self._tx.now) < fields.ends_at <= starts_at + MAX_SILENCE:
            raise SilencePeriod(MAX_SILENCE)
        if fields.policy_id is not None:
            await self.get_policy(fields.policy_id, caller=caller)
        await self._ensure_scope(fields.vm_id, None, caller=caller)
        await self._billing.lock_account(caller.user_id)
        if len(await self._alerts.list_silences(caller.user_id)) >= MOST_SILENCES:
            raise TooManySilences(MOST_SILENCES)
        silence = Silence(
            self._tx.new_id(),
            fields.policy_id,
            fields.vm_id,
            starts_at,
            fields.ends_at,
            fields.comment,
            self._tx.now,
        )
        await self._alerts.insert_silence(silence, user_id=caller.user_id)
        await self._record("alert_silence.added", silence.id, caller=caller)
        return silence.id

    async def delete_silence(self, silence_id: UUID | None, *, caller: Caller) -> UUID:
        """End a silence at once."""
        if silence_id is None or not await self._alerts.delete_silence(silence_id, user_id=caller.user_id):
            raise SilenceNotFound
        await self._record("alert_silence.deleted", silence_id, caller=caller)
        return silence_id

    async def _settle(self, policy: Policy) -> None:
        judging = Judging(policy, await self._alerts.active_silences(policy.user_id), self._tx.now)
        await write(self._tx, policy, judging.settled(await self._alerts.alerts_of(policy.id)), self._letters)

    async def _ensure_scope(self, vm_id: UUID | None, project_id: UUID | None, *, caller: Caller) -> None:
        owner = replace(caller, shared={})  # A policy is about the own machines alone.
        if vm_id is not None and await VMViews(self._tx).find(vm_id, caller=owner) is None:
            raise NotFound("VM")
        if project_id is not None:
            query = sa.select(projects.c.id).where(
                projects.c.id == project_id, projects.c.user_id == caller.user_id, projects.c.deleted_at.is_(None)
            )
            if (await self._tx.execute(query)).first() is None:
                raise ProjectNotFound

    async def _record(self, kind: str, resource_id: UUID, *, caller: Caller, **data: object) -> None:
        await self._events.record(
            kind,
            resource_type=kind.partition(".")[0],
            resource_id=resource_id,
            user_id=caller.user_id,
            actor_id=caller.user_id,
            data=data,
        )


def _columns(fields: PolicyFields) -> dict[str, Any]:
    return {**asdict(fields), "clear_threshold": _clear_threshold(fields), "name_key": fields.name.casefold()}


def _clear_threshold(fields: PolicyFields) -> float:
    """Return where it is well again: never on the side of the threshold on which it fires."""
    if fields.clear_threshold is None:
        return fields.threshold
    nearer = min if fields.comparison is Comparison.ABOVE else max
    return nearer(fields.clear_threshold, fields.threshold)


def _ensure_sound(fields: PolicyFields) -> None:
    """Refuse what could never be judged, field by field."""
    if fields.source is Source.METRIC and fields.subject not in set(Metric):
        raise InvalidInput.at("subject", f"Choose a metric: {', '.join(Metric)}.")
    if fields.source is Source.BILLING:
        if fields.subject not in set(Figure):
            raise InvalidInput.at("subject", f"Choose a figure: {', '.join(Figure)}.")
        if fields.condition is not Condition.THRESHOLD:
            raise InvalidInput.at("condition", "A figure of billing is always there: choose threshold.")
        if (fields.vm_id or fields.project_id or fields.label_selector) and not Figure(fields.subject).is_of_parts:
            raise InvalidInput.at(
                "subject",
                "This figure is of the account as a whole. Of a VM, a project or a label choose hourly_cost or "
                "spent_today, or make a budget, which counts months.",
            )
    if fields.source is Source.EVENT and "." not in fields.subject:
        raise InvalidInput.at("subject", "Name a kind of event, such as vm.stopped.")
    if fields.label_selector is not None:
        parse_selector(fields.label_selector)
