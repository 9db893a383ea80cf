"""What alert policies are made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from zentry.monitoring.alerts.states import AlertState, Comparison, Rule, Standing
from zentry.monitoring.store import Aggregation


class Source(StrEnum):
    """Where the values come from."""

    METRIC = "metric"
    EVENT = "event"
    BILLING = "billing"


class Condition(StrEnum):
    """What is made of them: the value itself, that there is none, or how fast it changes or happens."""

    THRESHOLD = "threshold"
    ABSENCE = "absence"
    RATE = "rate"


class Figure(StrEnum):
    """What is known of an account's money, in credits; hours where it says so."""

    AVAILABLE_CREDITS = "available_credits"
    HOURLY_COST = "hourly_cost"
    SPENT_TODAY = "spent_today"
    SPENT_THIS_MONTH = "spent_this_month"
    HOURS_LEFT = "hours_left"

    @property
    def is_of_parts(self) -> bool:
        """Whether a machine, a project or a label has it as well; the others are of an account as a whole."""
        return self in {Figure.HOURLY_COST, Figure.SPENT_TODAY}


class PolicySeverity(StrEnum):
    """How soon somebody should look."""

    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Policy:
    """What an account wants to be told of."""

    id: UUID
    user_id: UUID
    name: str
    enabled: bool
    severity: PolicySeverity
    source: Source
    subject: str
    condition: Condition
    comparison: Comparison
    threshold: float
    clear_threshold: float
    aggregation: Aggregation
    window_seconds: int
    fire_after_seconds: int
    resolve_after_seconds: int
    vm_id: UUID | None
    project_id: UUID | None
    label_selector: str | None
    notify_mail: bool
    created_at: datetime
    updated_at: datetime | None
    fence: int

    @property
    def window(self) -> timedelta:
        """Over how long a value is taken."""
        return timedelta(seconds=self.window_seconds)

    @property
    def rule(self) -> Rule:
        """When it fires. What is absent has a count of zero, which is below one."""
        fire, resolve = timedelta(seconds=self.fire_after_seconds), timedelta(seconds=self.resolve_after_seconds)
        if self.condition is Condition.ABSENCE:
            return Rule(Comparison.BELOW, 1.0, 1.0, fire, resolve)
        return Rule(self.comparison, self.threshold, self.clear_threshold, fire, resolve)

    @property
    def target(self) -> UUID:
        """What is judged where it is not each machine by itself."""
        return self.vm_id or self.project_id or self.user_id


@dataclass(frozen=True, slots=True)
class Alert:
    """Where a policy stands with one target."""

    policy_id: UUID
    target_id: UUID
    standing: Standing
    value: float | None
    number: int
    """Changes of state so far."""
    notified: bool
    """Whether its owner has been told that it fires."""


@dataclass(frozen=True, slots=True)
class CurrentAlert:
    """An alert that is pending or firing, as its owner sees it."""

    policy_id: UUID
    policy_name: str
    severity: PolicySeverity
    target_id: UUID
    state: AlertState
    since: datetime
    value: float | None
    is_silenced: bool


@dataclass(frozen=True, slots=True)
class Change:
    """One change of state, as the history keeps it."""

    id: UUID
    policy_id: UUID
    target_id: UUID
    state: AlertState
    previous: AlertState
    value: float | None
    is_silenced: bool
    is_test: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class Silence:
    """A time in which nobody is told."""

    id: UUID
    policy_id: UUID | None
    vm_id: UUID | None
    starts_at: datetime
    ends_at: datetime
    comment: str
    created_at: datetime

    def covers(self, policy_id: UUID, target_id: UUID) -> bool:
        """Tell whether it is about this alert; what it does not name is all."""
        return self.policy_id in {None, policy_id} and self.vm_id in {None, target_id}
