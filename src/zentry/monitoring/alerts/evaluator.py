"""Judges alert policies on a timer.

A worker leases policies that are due, takes their values with no transaction open, and writes what
has changed in one transaction under the fence of its lease. Events are in the same transaction, so
each change is told once: a worker that dies is followed by another that judges anew, and one that
comes late finds the fence moved on and writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Final
from uuid import UUID

import structlog
from prometheus_client import Counter

from zentry.events.recorder import EventRecorder
from zentry.monitoring.alerts.letters import AlertLetters
from zentry.monitoring.alerts.readings import ReadingsTaker
from zentry.monitoring.alerts.repository import AlertRepository
from zentry.monitoring.alerts.states import AlertState, Rule, Standing, judge
from zentry.monitoring.alerts.types import Alert, Change, Policy, Silence
from zentry.monitoring.errors import MetricsUnavailable
from zentry.monitoring.store import MetricsStore
from zentry.platform.clock import Clock
from zentry.platform.db import Database, Transaction
from zentry.platform.sealing import Sealer
from zentry.platform.settings import MonitoringSettings
from zentry.platform.tasks import Stop

_log = structlog.get_logger(__name__)

EVALUATIONS: Final = Counter("zentry_alerts_evaluations_total", "Judgements of alert policies.")
FAILURES: Final = Counter("zentry_alerts_failures_total", "Judgements of alert policies that failed.")
CHANGES: Final = Counter("zentry_alerts_changes_total", "Changes of alerts, by the state they led to.", ("state",))

_AT_ONCE: Final = 20
_LEASE: Final = timedelta(seconds=60)
_TOLD: Final = {AlertState.FIRING: "alert.firing", AlertState.RESOLVED: "alert.resolved"}


class AlertEvaluator:
    """A loop over the policies that are due."""

    def __init__(
        self,
        *,
        database: Database,
        store: MetricsStore,
        settings: MonitoringSettings,
        clock: Clock,
        random: Random,
        sealer: Sealer,
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._readings = ReadingsTaker(database, store)
        self._interval = timedelta(seconds=settings.alert_seconds)
        self._clock = clock
        self._random = random

    async def run(self, stop: Stop) -> None:
        """Judge until told to stop."""
        while not stop.is_set():
            # Workers that started together do not ask together.
            pause = self._interval.total_seconds() * self._random.uniform(0.4, 0.6)
            await stop.pause(self._clock.sleep(pause))
            try:
                await self.tick()
            except Exception:  # noqa: BLE001 - a process edge: the next tick is the retry
                FAILURES.inc()
                _log.exception("alerts.tick_failed")

    async def tick(self) -> int:
        """Judge what is due; return how many policies were."""
        judged = 0
        while True:
            async with self._database.work() as tx:
                policies = await AlertRepository(tx).claim(limit=_AT_ONCE, lease=_LEASE)
            for policy in policies:
                await self._evaluate(policy)
            judged += len(policies)
            if len(policies) < _AT_ONCE:
                return judged

    async def _evaluate(self, policy: Policy) -> None:
        try:
            readings = await self._readings.take(policy)
        except MetricsUnavailable:
            # Nothing is known, so nothing changes; the lease runs out, and somebody judges again.
            FAILURES.inc()
            _log.warning("alerts.store_away", policy_id=str(policy.id))
            return
        async with self._database.work() as tx:
            repository = AlertRepository(tx)
            if not await repository.release(policy, due_in=self._interval):
                return
            judging = Judging(policy, await repository.active_silences(policy.user_id), tx.now)
            found = judging.outcome(await repository.alerts_of(policy.id), readings)
            await write(tx, policy, found, AlertLetters(tx, self._sealer))
        EVALUATIONS.inc()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has become of an alert: its new row, the change to keep, and what to tell."""

    alert: Alert
    previous: AlertState
    is_silenced: bool
    told: str | None


@dataclass(frozen=True, slots=True)
class Judging:
    """One judgement of a policy: pure, and the same however often it is made from the same rows."""

    policy: Policy
    silences: Sequence[Silence]
    now: datetime

    def outcome(self, alerts: Mapping[UUID, Alert], readings: Mapping[UUID, float | None]) -> Sequence[Outcome]:
        """Return what changes; a target that is not judged any more is settled."""
        rule = self.policy.rule
        outcomes = [self._of(alerts.get(target_id), target_id, value, rule) for target_id, value in readings.items()]
        outcomes += [self._settled(alert) for target_id, alert in alerts.items() if target_id not in readings]
        return [outcome for outcome in outcomes if outcome is not None]

    def settled(self, alerts: Mapping[UUID, Alert]) -> Sequence[Outcome]:
        """Return what changes when the policy is no more what it was: nothing is pending or fires."""
        return [outcome for alert in alerts.values() if (outcome := self._settled(alert)) is not None]

    def _of(self, alert: Alert | None, target_id: UUID, value: float | None, rule: Rule) -> Outcome | None:
        before = alert or Alert(self.policy.id, target_id, Standing(AlertState.OK, self.now), None, 0, notified=False)
        standing = judge(before.standing, rule, value, now=self.now)
        fires = standing.state is AlertState.FIRING
        if standing is before.standing and not (fires and (value != before.value or not before.notified)):
            return None
        shown = before.value if value is None else value
        return self._changed(before, replace(before, standing=standing, value=shown))

    def _settled(self, alert: Alert) -> Outcome | None:
        after = {AlertState.PENDING: AlertState.OK, AlertState.FIRING: AlertState.RESOLVED}.get(alert.standing.state)
        if after is None:
            return None
        return self._changed(alert, replace(alert, standing=Standing(after, self.now)))

    def _changed(self, before: Alert, after: Alert) -> Outcome:
        """Decide whether to tell: of what fires once, when no silence covers it; of its end, where that was told."""
        silenced = any(silence.covers(self.policy.id, after.target_id) for silence in self.silences)
        previous, state = before.standing.state, after.standing.state
        begins = state is AlertState.FIRING and not before.notified and not silenced
        ends = state is AlertState.RESOLVED and previous is AlertState.FIRING and before.notified
        told = _TOLD[state] if begins or ends else None
        number = before.number + (state is not previous)
        notified = state is AlertState.FIRING and (before.notified or told is not None)
        return Outcome(replace(after, number=number, notified=notified), previous, silenced, told)


async def write(tx: Transaction, policy: Policy, outcomes: Sequence[Outcome], letters: AlertLetters) -> None:
    """Write rows, history, events and mails of a judgement, in the transaction that holds its fence."""
    repository, recorder = AlertRepository(tx), EventRecorder(tx)
    for outcome in outcomes:
        alert, state = outcome.alert, outcome.alert.standing.state
        await repository.save(alert)
        if state is not outcome.previous:
            CHANGES.labels(state.value).inc()
            change = Change(
                tx.new_id(),
                policy.id,
                alert.target_id,
                state,
                outcome.previous,
                alert.value,
                outcome.is_silenced,
                is_test=False,
                at=tx.now,
            )
            await repository.add_change(policy, change, number=alert.number)
        if outcome.told is not None:
            await tell(recorder, policy, outcome.told, target_id=alert.target_id, value=alert.value)
    for kind in _TOLD.values():
        values = {found.alert.target_id: found.alert.value for found in outcomes if found.told == kind}
        await letters.tell(policy, kind, values)


async def tell(recorder: EventRecorder, policy: Policy, kind: str, *, target_id: UUID, value: float | None) -> None:
    """Record the event from which stream and webhooks follow."""
    await recorder.record(
        kind,
        resource_type="alert_policy",
        resource_id=policy.id,
        user_id=policy.user_id,
        project_id=policy.project_id,
        cause="alert",
        data={
            "target_id": str(target_id),
            "severity": policy.severity,
            "source": policy.source,
            "subject": policy.subject,
            "condition": policy.condition,
            "threshold": policy.threshold,
            "value": value,
        },
    )
